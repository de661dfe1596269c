"""40-bit events of N-MNIST and N-Caltech101: bytes, the row 240, damage, a real recording."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snnlens.data.formats import nbin
from snnlens.errors import InputError
from tests.unit.data.eventfiles import AGAIN, read_nbin, rows, write_nbin


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        nbin.decode(path)
    return str(caught.value)


def test_decode_gives_what_was_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    recorded = [
        (*map(int, rng.integers((256, 240, 2, 2**23))),) for _ in range(200)
    ]  # every byte; no order of time is promised
    path = write_nbin(tmp_path / "a.bin", [(0, 0, 0, 0), (255, 239, 1, 2**23 - 1), *recorded])
    assert rows(nbin.decode(path)) == [(0, 0, 0, 0), (255, 239, 1, 2**23 - 1), *recorded]
    assert rows(nbin.decode(path)) == read_nbin(path)


def test_the_row_240_is_time_that_ran_over(tmp_path: Path) -> None:
    """Each adds 2^13 us to what follows, and is no event."""
    recorded = [(1, 1, 0, 8000), (0, 240, 0, 0), (2, 2, 1, 10), (9, 240, 1, 5), (3, 3, 0, 20)]
    found = nbin.decode(write_nbin(tmp_path / "a.bin", recorded))
    assert rows(found) == [(1, 1, 0, 8000), (2, 2, 1, 8192 + 10), (3, 3, 0, 2 * 8192 + 20)]


@pytest.mark.parametrize(("size", "rest"), [(4, "4 bytes"), (11, "1 byte"), (14, "4 bytes")])
def test_a_cut_file(tmp_path: Path, size: int, rest: str) -> None:
    path = write_nbin(tmp_path / "a.bin", [(1, 2, 1, 3)] * 4)
    path.write_bytes(path.read_bytes()[:size])
    assert refusal(path) == (
        f"{path} at byte {size - size % 5} must be a whole event of 5 bytes; got '{rest}'; {AGAIN}"
    )


def test_no_events(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.touch()
    assert refusal(path) == f"recording must be a file of events; got '{path} (empty)'; {AGAIN}"
    write_nbin(path, [(0, 240, 0, 0)])
    assert refusal(path) == f"the number of events in {path} must be at least 1; got 0"


def test_a_file_that_can_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    assert refusal(path) == (
        f"recording must be a file that can be read; got '{path}: No such file or directory'"
    )
    path.mkdir()
    assert refusal(path) == (
        f"recording must be a file that can be read; got '{path}: Is a directory'"
    )


@pytest.mark.data
def test_a_real_recording(data_root: Path) -> None:
    path = data_root / "events" / "ncaltech101_faces_easy_0001.bin"
    found = nbin.decode(path)
    assert len(found) == path.stat().st_size // 5 == 67_445
    assert rows(found) == read_nbin(path)
    assert (int(found.x.max()), int(found.y.max())) == (150, 172)
    assert (np.diff(found.t_us) >= 0).all()
