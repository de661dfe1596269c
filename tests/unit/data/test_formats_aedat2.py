"""AEDAT 2.0 of a DVS128: header, address bits, unsigned time, damage, two real recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snnlens.data.formats import aedat2
from snnlens.errors import InputError
from tests.unit.data.eventfiles import AEDAT2 as HEADER
from tests.unit.data.eventfiles import AGAIN, address, read_aedat2, rows, write_aedat2

Raw = tuple[int, int]  # address, time stamp


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        aedat2.decode(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_decode_gives_what_was_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    times = np.sort(rng.integers(2**32, size=300)).tolist()  # half of them above 2^31
    seen = [(*map(int, rng.integers((128, 128, 2))), t) for t in times]
    path = write_aedat2(tmp_path / "a.aedat", [(address(x, y, p), t) for x, y, p, t in seen])
    assert rows(aedat2.decode(path)) == seen
    assert rows(aedat2.decode(path)) == read_aedat2(path)


def test_the_corners(tmp_path: Path) -> None:
    """Address 0 is the lower right pixel, ON."""
    path = write_aedat2(tmp_path / "a.aedat", [(0, 0), (0x7FFF, 2**31), (0x00FF, 2**32 - 1)])
    assert rows(aedat2.decode(path)) == [(127, 127, 1, 0), (0, 0, 0, 2**31), (0, 127, 0, 2**32 - 1)]


@pytest.mark.parametrize("header", [b"#!AER-DAT2.0\r\n", b"#!AER-DAT2.0\n# a comment\n", HEADER])
def test_header_lines_are_passed_over(tmp_path: Path, header: bytes) -> None:
    path = write_aedat2(tmp_path / "a.aedat", [(address(3, 4, 1), 9)], header)
    assert rows(aedat2.decode(path)) == [(3, 4, 1, 9)]


def test_marks_without_a_pixel_are_left_out(tmp_path: Path) -> None:
    """Bit 15 (external input) or bit 31 (special), as in jAER."""
    recorded = [(0x8000, 1), (address(3, 4, 0), 2), (0x8000_0000, 3), (0x8000_0C00, 4)]
    assert rows(aedat2.decode(write_aedat2(tmp_path / "a.aedat", recorded))) == [(3, 4, 0, 2)]


@pytest.mark.parametrize(("cut", "rest"), [(1, "7 bytes"), (7, "1 byte")])
def test_a_cut_event(tmp_path: Path, cut: int, rest: str) -> None:
    path = write_aedat2(tmp_path / "a.aedat", [(0, 5)] * 3)
    path.write_bytes(path.read_bytes()[:-cut])
    assert refusal(path) == (
        f"{path} at byte {len(HEADER) + 16} must be a whole event of 8 bytes; got '{rest}'; {AGAIN}"
    )


def test_a_cut_header(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    path.write_bytes(b"#!AER-DAT2.0\r\n# This is a raw AE data")
    assert refusal(path) == (
        f"{path} at byte 14 must be a whole header line; got '# This is a raw AE data'; {AGAIN}"
    )


@pytest.mark.parametrize("recorded", [[], [(0x8000, 1)]])
def test_no_events(tmp_path: Path, recorded: list[Raw]) -> None:
    path = write_aedat2(tmp_path / "a.aedat", recorded)
    assert refusal(path) == f"the number of events in {path} must be at least 1; got 0"


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    path.touch()
    assert refusal(path) == f"recording must be a file of events; got '{path} (empty)'; {AGAIN}"


@pytest.mark.parametrize(
    ("head", "got"), [(b"#!AER-DAT4.0\r\n", "#!AER-DAT4.0"), (b"\0\0", "\\x00\\x00")]
)
def test_another_beginning(tmp_path: Path, head: bytes, got: str) -> None:
    path = write_aedat2(tmp_path / "a.aedat", [], head)
    assert refusal(path) == f"the beginning of {path} must be '#!AER-DAT2.0'; got '{got}'"


def test_time_that_runs_backwards(tmp_path: Path) -> None:
    path = write_aedat2(tmp_path / "a.aedat", [(0, 7), (0, 7), (0, 5), (0, 9)])
    assert refusal(path) == (
        f"time in {path} must be in order; got '5 us after 7 us at byte {len(HEADER) + 16}'"
    )


def test_an_address_of_another_camera(tmp_path: Path) -> None:
    """A DAVIS240 has y in bits 22 to 30 and x in bits 12 to 21."""
    path = write_aedat2(tmp_path / "a.aedat", [(0, 7), (100 << 22 | 32 << 12 | 1 << 11, 8)])
    assert refusal(path) == (
        f"{path} at byte {len(HEADER) + 8} must be an address of a DVS128, 15 bits; "
        f"got '0x19020800'; {AGAIN}"
    )


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "count", "first", "last"),
    [
        ("walking", 19_182, 41_306_606, 48_193_156),
        ("scissors", 143_655, 2_890_272_251, 2_909_034_948),  # above 2^31 = 2,147,483,648
    ],
)
def test_real_recordings(data_root: Path, name: str, count: int, first: int, last: int) -> None:
    path = data_root / "events" / f"aedat2_dvs128_{name}.aedat"
    found = aedat2.decode(path)
    assert (len(found), int(found.t_us[0]), int(found.t_us[-1])) == (count, first, last)
    assert rows(found) == read_aedat2(path)


@pytest.mark.data
def test_the_noise_of_a_dark_background_is_on(data_root: Path) -> None:
    """What tells the polarity without its documentation: a DVS pixel's leak makes ON events only.

    At both sides of the walking person nothing moves.
    """
    found = aedat2.decode(data_root / "events" / "aedat2_dvs128_walking.aedat")
    aside = (found.x < 25) | (found.x > 90)
    assert aside.sum() > 500
    assert found.polarity[aside].mean() > 0.95
    assert found.polarity[~aside].mean() < 0.5
