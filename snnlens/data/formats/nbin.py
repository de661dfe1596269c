"""The .bin files of N-MNIST and N-Caltech101: 40 bits an event."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snnlens.data.events import Events
from snnlens.data.formats._file import check_whole, contents, no_events

SUFFIXES = (".bin",)
MAGIC = b""
SENSOR = None  # 34 x 34 in N-MNIST, up to 180 x 240 in N-Caltech101: no file says it
EVENT_BYTES = 5
OVERFLOW_ROW = 240  # below the sensor: no event, time goes on by 2^13 us from here on
OVERFLOW_US = 2**13
# Source: Orchard et al., Converting Static Image Datasets to Spiking Neuromorphic Datasets Using
# Saccades, Frontiers in Neuroscience 9:437, 2015; the row 240 is in G. Orchard's own reader,
# read_dataset of github.com/gorchard/event-Python.


def decode(path: Path) -> Events:
    """Read one file: 5 bytes an event, x, y, then polarity (1 bit) and time (23 bits, us).

    Raises InputError for a file that is empty, cut or can not be read.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "0.bin"
    >>> _ = path.write_bytes(bytes([33, 7, 0b1000_0001, 0, 2]))
    >>> event = decode(path)
    >>> event.x, event.y, event.polarity, event.t_us
    (array([33]), array([7]), array([1]), array([65538]))
    """
    raw = contents(path)
    check_whole(path, 0, len(raw), EVENT_BYTES)
    x, y, high, middle, low = np.frombuffer(raw, np.uint8).reshape(-1, 5).T.astype(np.int64)
    overflow = y == OVERFLOW_ROW
    t_us = ((high & 0x7F) << 16 | middle << 8 | low) + np.cumsum(overflow) * OVERFLOW_US
    kept = ~overflow
    if not kept.any():
        raise no_events(path)
    return Events(x[kept], y[kept], high[kept] >> 7, t_us[kept])
