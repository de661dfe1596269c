"""Event files written by hand, event by event, and read again the slow way with struct."""

from __future__ import annotations

import struct
from pathlib import Path

from snnlens.data.events import Events

Event = tuple[int, int, int, int]  # x, y, polarity, microseconds
AGAIN = "copy or download it again"

AEDAT2 = b"#!AER-DAT2.0\r\n# This is a raw AE data file - do not edit\r\n#\r\n"
AEDAT3 = (
    b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n"
    b"#Start-Time: 2017-01-01 10:00:00 (TZ+0000)\r\n#!END-HEADER\r\n"
)


def rows(events: Events) -> list[Event]:
    """The events one by one."""
    fields = (events.x, events.y, events.polarity, events.t_us)
    return list(zip(*(field.tolist() for field in fields), strict=True))


# --- .bin ----------------------------------------------------------------------------------------


def write_nbin(path: Path, recorded: list[Event]) -> Path:
    """Big-endian, 40 bits an event: 8 of x, 8 of y, 1 of polarity, 23 of time."""
    words = [x << 32 | y << 24 | p << 23 | t for x, y, p, t in recorded]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(word.to_bytes(5, "big") for word in words))
    return path


def read_nbin(path: Path) -> list[Event]:
    """One whole number of 40 bits after the other."""
    raw, found = path.read_bytes(), []
    for start in range(0, len(raw), 5):
        word = int.from_bytes(raw[start : start + 5], "big")
        found.append((word >> 32, word >> 24 & 255, word >> 23 & 1, word & (2**23 - 1)))
    return found


# --- AEDAT 2.0 -----------------------------------------------------------------------------------


def address(x: int, y: int, on: int) -> int:
    """What a DVS128 sends: y from the bottom, x from the right, 0 for ON."""
    return (127 - y) << 8 | (127 - x) << 1 | (1 - on)


def write_aedat2(path: Path, recorded: list[tuple[int, int]], header: bytes = AEDAT2) -> Path:
    """Big-endian pairs of address and time after the header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + b"".join(struct.pack(">II", *pair) for pair in recorded))
    return path


def read_aedat2(path: Path) -> list[Event]:
    """Line by line, then event by event."""
    found = []
    with path.open("rb") as file:
        start = 0
        for line in iter(file.readline, b""):
            if not line.startswith(b"#"):
                break
            start = file.tell()
        file.seek(start)
        while pair := file.read(8):
            where, time = struct.unpack(">II", pair)
            x, y = 127 - (where & 0xFE) // 2, 127 - (where & 0x7F00) // 256
            found.append((x, y, int(where % 2 == 0), time))
    return found


# --- AEDAT 3.1 -----------------------------------------------------------------------------------


def packet(
    body: bytes, count: int, *, kind: int = 1, size: int = 8, time_at: int = 4,
    overflow: int = 0, capacity: int | None = None, valid: int | None = None,
) -> bytes:  # fmt: skip
    """28 bytes, little-endian: type, source, size, where time is, overflow, three counts."""
    header = struct.pack(
        "<hhiiiiii", kind, 1, size, time_at, overflow,
        count if capacity is None else capacity, count, count if valid is None else valid,
    )  # fmt: skip
    return header + body


def polarity(recorded: list[Event], *, overflow: int = 0, valid: list[int] | None = None) -> bytes:
    """A packet: 15 bits of x, 15 of y, polarity, whether it is valid; then 32 of time."""
    marks = valid or [1] * len(recorded)
    body = b"".join(
        struct.pack("<Ii", x << 17 | y << 2 | p << 1 | mark, t)
        for (x, y, p, t), mark in zip(recorded, marks, strict=True)
    )
    return packet(body, len(recorded), overflow=overflow, valid=sum(marks))


def write_aedat3(path: Path, *packets: bytes, header: bytes = AEDAT3) -> Path:
    """Packets after the header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + b"".join(packets))
    return path
