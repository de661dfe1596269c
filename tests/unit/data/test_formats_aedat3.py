"""AEDAT 3.1: files built by hand from the published format; packets, validity, overflow, damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snnlens.data.formats import aedat3
from snnlens.errors import InputError
from tests.unit.data.eventfiles import AEDAT3 as HEADER
from tests.unit.data.eventfiles import AGAIN, Event, packet, polarity, rows, write_aedat3


def some(count: int, seed: int, low: int = 0) -> list[Event]:
    rng = np.random.default_rng(seed)
    times = np.sort(rng.integers(low, low + 1000, size=count)).tolist()
    return [(*map(int, rng.integers((128, 128, 2))), t) for t in times]


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        aedat3.decode(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_packets_in_a_row(tmp_path: Path) -> None:
    first, second, third = some(50, 0), some(1, 1, 1000), some(70, 2, 2000)
    path = write_aedat3(tmp_path / "a.aedat", *map(polarity, (first, second, third)))
    assert rows(aedat3.decode(path)) == first + second + third


def test_the_bits_of_one_event(tmp_path: Path) -> None:
    """0b0000101_00000110_0000000_0001111_11... by hand: x = 5, y = 7, ON, valid."""
    body = bytes([0b0001_1111, 0b0000_0000, 0b0000_1010, 0b0000_0000, 0x01, 0x02, 0, 0])
    path = write_aedat3(tmp_path / "a.aedat", packet(body, 1))
    assert rows(aedat3.decode(path)) == [(5, 7, 1, 0x0201)]


def test_only_valid_events(tmp_path: Path) -> None:
    events = some(6, 3)
    marks = [1, 0, 0, 1, 0, 1]
    path = write_aedat3(
        tmp_path / "a.aedat", polarity(events, valid=marks), polarity(events[:1], valid=[0])
    )
    assert rows(aedat3.decode(path)) == [e for e, mark in zip(events, marks, strict=True) if mark]


def test_overflow_adds_two_to_the_31(tmp_path: Path) -> None:
    before, after = (1, 2, 0, 2**31 - 1), (3, 4, 1, 5)
    path = write_aedat3(tmp_path / "a.aedat", polarity([before]), polarity([after], overflow=1),
                 polarity([after], overflow=3))  # fmt: skip
    assert aedat3.decode(path).t_us.tolist() == [2**31 - 1, 2**31 + 5, 3 * 2**31 + 5]


def test_other_events_are_passed_over(tmp_path: Path) -> None:
    """Special events (8 bytes) and a frame of 36 + 6 bytes; also a packet without events."""
    events = some(9, 4)
    special, frame = packet(b"\xff" * 16, 2, kind=0), packet(b"#" * 42, 1, kind=2, size=42)
    empty = packet(b"", 0)
    path = write_aedat3(tmp_path / "a.aedat", special, polarity(events[:4]), frame, empty,
                 polarity(events[4:]), special)  # fmt: skip
    assert rows(aedat3.decode(path)) == events


def test_room_that_is_not_filled(tmp_path: Path) -> None:
    """A packet holds `capacity` events, of which `number` are filled."""
    events = some(3, 5)
    body = polarity(events)[28:] + b"\xff" * 16
    path = write_aedat3(
        tmp_path / "a.aedat", packet(body, 3, capacity=5), polarity(some(2, 6, 1000))
    )
    assert rows(aedat3.decode(path)) == events + some(2, 6, 1000)


def test_a_hash_in_the_data_is_no_header(tmp_path: Path) -> None:
    """The type 0x0023 of a packet would begin with #; the header has an end of its own."""
    events = some(2, 7)
    path = write_aedat3(tmp_path / "a.aedat", packet(b"\n" * 8, 1, kind=0x23), polarity(events))
    assert rows(aedat3.decode(path)) == events


# --- damage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 27])
def test_a_cut_packet_header(tmp_path: Path, length: int) -> None:
    whole = polarity(some(3, 0))
    path = write_aedat3(tmp_path / "a.aedat", whole, whole[:length])
    at = len(HEADER) + len(whole)
    assert refusal(path) == (
        f"{path} at byte {at} must be a packet header of 28 bytes; got '{length} bytes'; {AGAIN}"
    )


@pytest.mark.parametrize(("cut", "whole", "rest"), [(1, 2, 7), (8, 2, 0), (15, 1, 1), (24, 0, 0)])
def test_a_cut_packet(tmp_path: Path, cut: int, whole: int, rest: int) -> None:
    path = write_aedat3(tmp_path / "a.aedat", polarity(some(3, 0))[:-cut])
    at = len(HEADER) + 28 + 8 * whole
    assert refusal(path) == (
        f"{path} at byte {at} must be a whole event of 8 bytes; got '{rest} bytes'; {AGAIN}"
    )


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"size": 4}, (1, 1, 4, 4, 0, 1, 1, 1)),
        ({"time_at": 0}, (1, 1, 8, 0, 0, 1, 1, 1)),
        ({"capacity": 0}, (1, 1, 8, 4, 0, 0, 1, 1)),
        ({"valid": 2}, (1, 1, 8, 4, 0, 1, 1, 2)),
        ({"overflow": -1}, (1, 1, 8, 4, -1, 1, 1, 1)),
        ({"kind": -1}, (-1, 1, 8, 4, 0, 1, 1, 1)),
        ({"kind": 2, "size": 0}, (2, 1, 0, 4, 0, 1, 1, 1)),
        ({"capacity": -2, "valid": 0}, (1, 1, 8, 4, 0, -2, 1, 0)),
    ],
)
def test_a_damaged_packet_header(
    tmp_path: Path, change: dict[str, int], shown: tuple[int, ...]
) -> None:
    first = polarity(some(2, 0))
    bad = packet(b"\0" * 8, 1, **change)  # type: ignore[arg-type]
    path = write_aedat3(tmp_path / "a.aedat", first, bad)
    assert refusal(path) == (
        f"{path} at byte {len(HEADER) + len(first)} must be the header of a packet; got {shown}; "
        f"{AGAIN}"
    )


def test_a_slip_of_one_byte_is_found(tmp_path: Path) -> None:
    """A byte lost in the middle: the next packet's header is none, wherever the loss was."""
    good = [polarity(some(20, i, 1000 * i)) for i in range(4)]
    raw = HEADER + b"".join(good)
    path = tmp_path / "a.aedat"
    for lost in range(len(HEADER), len(raw) - len(good[-1]), 7):
        path.write_bytes(raw[:lost] + raw[lost + 1 :])
        assert str(path) in refusal(path)


@pytest.mark.parametrize(
    ("header", "at", "got"),
    [
        (b"#!AER-DAT3.1\r\n#Format: RAW\r\n", 28, "\\x01\\x00"),
        (b"#!AER-DAT3.1\r\n#Format", 14, "#Format"),
    ],
)
def test_a_header_without_its_end(tmp_path: Path, header: bytes, at: int, got: str) -> None:
    path = write_aedat3(tmp_path / "a.aedat", b"\x01\0" if at == 28 else b"", header=header)
    assert refusal(path) == (
        f"{path} at byte {at} must be a header line, the last one #!END-HEADER; "
        f"got '{got}'; {AGAIN}"
    )


@pytest.mark.parametrize("packets", [[], [packet(b"\0" * 8, 1, kind=0)], [packet(b"", 0)]])
def test_no_events(tmp_path: Path, packets: list[bytes]) -> None:
    path = write_aedat3(tmp_path / "a.aedat", *packets)
    assert refusal(path) == f"the number of events in {path} must be at least 1; got 0"


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    path.touch()
    assert refusal(path) == f"recording must be a file of events; got '{path} (empty)'; {AGAIN}"


def test_another_beginning(tmp_path: Path) -> None:
    path = write_aedat3(tmp_path / "a.aedat", header=b"#!AER-DAT3.0\r\n")
    assert refusal(path) == f"the beginning of {path} must be '#!AER-DAT3.1'; got '#!AER-DAT3.0'"


@pytest.mark.parametrize(
    ("event", "field", "value"), [((128, 0, 0, 1), "x", 128), ((0, 500, 0, 1), "y", 500)]
)
def test_an_event_outside_the_sensor(tmp_path: Path, event: Event, field: str, value: int) -> None:
    path = write_aedat3(tmp_path / "a.aedat", polarity([(1, 1, 0, 0), event]))
    assert refusal(path) == (f"{field} of the events in {path} must be from 0 to 127; got {value}")


def test_time_that_runs_backwards(tmp_path: Path) -> None:
    """Inside a packet, from one packet to the next, and below 0; an invalid event has no say."""
    later, earlier = (1, 1, 0, 50), (2, 2, 0, 40)
    path = write_aedat3(tmp_path / "a.aedat", polarity([later, earlier]))
    at = len(HEADER) + 28
    assert (
        refusal(path)
        == f"time in {path} must be in order; got '40 us after 50 us at byte {at + 8}'"
    )
    write_aedat3(path, polarity([later]), polarity([earlier]))
    assert refusal(path) == (
        f"time in {path} must be in order; got '40 us after 50 us at byte {at + 36}'"
    )
    write_aedat3(path, polarity([(1, 1, 0, -3)]))
    assert refusal(path) == f"time in {path} must be in order; got '-3 us after 0 us at byte {at}'"
    write_aedat3(path, polarity([earlier, (0, 0, 0, 0), later], valid=[1, 0, 1]))
    assert rows(aedat3.decode(path)) == [earlier, later]
