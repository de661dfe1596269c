"""AEDAT 3.1 of a DVS128 (DVS128 Gesture): packets of events, of which polarity events are read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from snnlens.data.events import Events, check_inside
from snnlens.data.formats._file import check_magic, check_order, contents, damaged, no_events
from snnlens.data.source import Integers

SUFFIXES = (".aedat",)
MAGIC = b"#!AER-DAT3.1"
SENSOR = (128, 128)  # height, width in pixels
END = b"#!END-HEADER"
POLARITY = 1
HEADER = Struct("<hhiiiiii")
Words = NDArray[np.int32]
# Source: iniVation, AEDAT 3.1; libcaer, events/common.h and events/polarity.h.


class Packet(NamedTuple):
    """The 28 bytes before the events of a packet, all signed and little-endian."""

    type: int
    source: int
    event_bytes: int
    time_at: int  # the byte of an event where its time is
    overflow: int  # how often the 31 bits of time ran over
    capacity: int  # events that follow, filled or not
    events: int  # those that are filled
    valid: int


def decode(path: Path) -> Events:
    """Read one file: header lines up to #!END-HEADER, then packets; other events are passed over.

    An event is 32 bits, x (15), y (15), polarity (1 is ON) and whether it is valid, and 32 bits
    of time in us, to which overflow x 2^31 is added. x, y count from the top left. Only valid
    events are returned.

    Raises InputError for another first line, a header, packet or event that is cut, an event
    outside 128 x 128, time that runs backwards, a file without events.

    >>> MAGIC.decode(), HEADER.size
    ('#!AER-DAT3.1', 28)
    """
    raw = contents(path)
    check_magic(path, raw, MAGIC)
    found = list(_polarity(path, raw, _header_bytes(path, raw)))
    if not found:
        raise no_events(path)
    words, t_us, bytes_at = (np.concatenate(parts) for parts in zip(*found, strict=True))
    check_order(path, t_us, bytes_at)
    x, y, polarity = words >> 17 & 0x7FFF, words >> 2 & 0x7FFF, words >> 1 & 1
    events = Events(x, y, polarity, t_us)
    check_inside(events, SENSOR, f"events in {path}")
    return events


def _header_bytes(path: Path, raw: bytes) -> int:
    start = 0
    while raw.startswith(b"#", start):
        end = raw.find(b"\n", start) + 1
        if not end:
            break
        if raw[start:end].rstrip() == END:
            return end
        start = end
    got = raw[start : start + 24].decode("latin-1")
    raise damaged(path, start, got=got, wanted=f"a header line, the last one {END.decode()}")


def _polarity(path: Path, raw: bytes, at: int) -> Iterator[tuple[Integers, Integers, Integers]]:
    """The valid events of each packet: 32 bits of data, time in us, byte in the file."""
    while at < len(raw):
        packet = _packet(path, raw, at)
        first = at + HEADER.size
        at = first + packet.capacity * packet.event_bytes
        if packet.type != POLARITY or not packet.events:
            continue
        pairs = np.frombuffer(raw, "<u4", 2 * packet.events, first).reshape(-1, 2)
        words = pairs[:, 0].astype(np.int64)
        t_us = pairs[:, 1].astype(np.int32).astype(np.int64) + (packet.overflow << 31)
        valid = words & 1 == 1
        if valid.any():
            bytes_at = first + packet.event_bytes * np.flatnonzero(valid)
            yield words[valid], t_us[valid], bytes_at


def _packet(path: Path, raw: bytes, at: int) -> Packet:
    rest = len(raw) - at - HEADER.size
    if rest < 0:
        wanted = f"a packet header of {HEADER.size} bytes"
        raise damaged(path, at, got=f"{rest + HEADER.size} bytes", wanted=wanted)
    packet = Packet(*HEADER.unpack_from(raw, at))
    _check(path, packet, at)
    if packet.capacity * packet.event_bytes > rest:
        cut = at + HEADER.size + rest // packet.event_bytes * packet.event_bytes
        wanted = f"a whole event of {packet.event_bytes} bytes"
        raise damaged(path, cut, got=f"{len(raw) - cut} bytes", wanted=wanted)
    return packet


def _check(path: Path, packet: Packet, at: int) -> None:
    polarity = (packet.event_bytes, packet.time_at) == (8, 4) or packet.type != POLARITY
    counts = 0 <= packet.valid <= packet.events <= packet.capacity
    if min(packet) < 0 or not packet.event_bytes or not polarity or not counts:
        raise damaged(path, at, got=tuple(packet), wanted="the header of a packet")
