"""AEDAT 2.0 of a DVS128 (CIFAR10-DVS, MNIST-DVS, recordings of jAER): 8 bytes an event."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snnlens.data.events import Events
from snnlens.data.formats._file import (
    check_magic,
    check_order,
    check_whole,
    contents,
    damaged,
    no_events,
)
from snnlens.data.source import Integers

SUFFIXES = (".aedat",)
MAGIC = b"#!AER-DAT2.0"
SENSOR = (128, 128)  # height, width in pixels
EVENT_BYTES = 8
SPECIAL = 0x8000_8000  # an external input or another mark of jAER, at no pixel
LAST = 127
# Source: iniVation, AEDAT 2.0; jAER, ch.unizh.ini.jaer.chip.retina.DVS128.Extractor: bits 14 to 8
# are y from the bottom, 7 to 1 are x from the right, bit 0 is 0 for ON. (iniVation's page on
# AEDAT 1.0 says 1 for ON; jAER, which writes the files, does not, and the noise of a DVS pixel,
# which is ON, is 0 in them: Nozaki and Delbruck, IEEE Trans. Electron Devices 64:3239, 2017.)


def decode(path: Path) -> Events:
    r"""Read one file: header lines that begin with #, then address and time (us), big-endian.

    x, y count from the top left as the scene was seen, polarity 1 is ON; time is unsigned (jAER's
    is signed: after 2^31 us it would be negative). Marks without a pixel are left out.

    Raises InputError for another first line, a header or an event that is cut, an address of
    another camera, time that runs backwards, a file without events.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "0.aedat"
    >>> event = (3 << 8 | 2 << 1 | 1).to_bytes(4, "big") + (2**31 + 7).to_bytes(4, "big")
    >>> _ = path.write_bytes(b"#!AER-DAT2.0\r\n# created by hand\r\n" + event)
    >>> decoded = decode(path)
    >>> decoded.x, decoded.y, decoded.polarity, decoded.t_us
    (array([125]), array([124]), array([0]), array([2147483655]))
    """
    raw = contents(path)
    check_magic(path, raw, MAGIC)
    start = _header_bytes(path, raw)
    check_whole(path, start, len(raw), EVENT_BYTES)
    address, t_us = np.frombuffer(raw, ">u4", offset=start).reshape(-1, 2).T.astype(np.int64)
    bytes_at = start + EVENT_BYTES * np.arange(len(address))
    check_order(path, t_us, bytes_at)
    pixel = address & SPECIAL == 0
    _check_addresses(path, address[pixel], bytes_at[pixel])
    address = address[pixel]
    x, y = LAST - (address >> 1 & LAST), LAST - (address >> 8 & LAST)
    return Events(x, y, 1 - (address & 1), t_us[pixel])


def _header_bytes(path: Path, raw: bytes) -> int:
    start = 0
    while raw.startswith(b"#", start):
        end = raw.find(b"\n", start)
        if end < 0:
            raise damaged(path, start, got=_shown(raw[start:]), wanted="a whole header line")
        start = end + 1
    return start


def _check_addresses(path: Path, address: Integers, bytes_at: Integers) -> None:
    if not len(address):
        raise no_events(path)
    other = np.flatnonzero(address >> 15)
    if len(other):
        got, wanted = hex(int(address[other[0]])), "an address of a DVS128, 15 bits"
        raise damaged(path, int(bytes_at[other[0]]), got=got, wanted=wanted)


def _shown(line: bytes) -> str:
    return line[:24].decode("latin-1")
