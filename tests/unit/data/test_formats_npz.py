""".npz with events: four arrays or one structured array, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnlens.data.events import Events
from snnlens.data.formats import npz
from snnlens.errors import InputError

SAVE_AGAIN = "save it with numpy.savez(path, x=x, y=y, t=t_us, p=p)"
PLAIN = "whole arrays of plain numbers (a pickled object is never read)"
ROWS = [(3, 4, 1, 10), (300, 0, 0, 5), (0, 200, 1, 2**40)]


def columns(**changes: Any) -> dict[str, Any]:
    x, y, p, t = (list(column) for column in zip(*ROWS, strict=True))
    return {"x": x, "y": y, "p": p, "t": t} | changes


def rows(events: Events) -> list[tuple[int, ...]]:
    fields = (events.x, events.y, events.polarity, events.t_us)
    return list(zip(*(field.tolist() for field in fields), strict=True))


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        npz.decode(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_four_arrays(tmp_path: Path, save: Any) -> None:
    """As SpikingJelly keeps events; in any order of time, of any whole numbers."""
    save(tmp_path / "a.npz", **columns(x=np.array([3, 300, 0], np.uint16), other=[1.5]))
    assert rows(npz.decode(tmp_path / "a.npz")) == ROWS


def test_booleans_are_polarities(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **columns(p=[True, False, True]))
    assert rows(npz.decode(tmp_path / "a.npz")) == ROWS


@pytest.mark.parametrize("order", ["xyp t", "t x y p extra"])
def test_one_structured_array(tmp_path: Path, order: str) -> None:
    """As Tonic has events: fields in any order, others are left alone."""
    names = order.replace("xyp", "x y p").split()
    kinds = {"x": "i2", "y": "u1", "p": "?", "t": "i8", "extra": "f4"}
    table = np.zeros(len(ROWS), [(name, kinds[name]) for name in names])
    for name, column in columns().items():
        table[name] = column
    np.savez(tmp_path / "a.npz", labels=np.array([1]), events=table)
    assert rows(npz.decode(tmp_path / "a.npz")) == ROWS


def test_missing_arrays(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=[1], y=[1], time=[1])
    assert refusal(path) == (
        f"arrays in {path} must be x, y, t and p, or one structured array of these; "
        f"got 'x, y, time'; {SAVE_AGAIN}"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"t": [0.5, 1, 2]}, "t in PATH must be whole numbers [events]; got 'float64 [3]'; SAVE"),
        ({"x": [[1, 2, 3]]}, "x in PATH must be whole numbers [events]; got 'int64 [1, 3]'; SAVE"),
        ({"x": [True] * 3}, "x in PATH must be whole numbers [events]; got 'bool [3]'; SAVE"),
        ({"y": [1, 2]}, "x, y, p and t in PATH must be of one length; got [3, 2, 3, 3]; SAVE"),
        ({"p": [1, -1, 1]}, "p in PATH must be from 0 to 1; got -1; SAVE"),
        ({"p": [1, 2, 1]}, "p in PATH must be from 0 to 1; got 2; SAVE"),
        ({"x": [0, -7, 0]}, "x in PATH must be from 0 to 4095; got -7; SAVE"),
        (dict.fromkeys("xypt", np.zeros(0, int)),
         "the number of events in PATH must be at least 1; got 0"),
    ],
)  # fmt: skip
def test_wrong_arrays(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **columns(**changes))
    assert refusal(path) == message.replace("PATH", str(path)).replace("SAVE", SAVE_AGAIN)


def test_a_pickle_is_never_read(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **columns(x=np.array([1, "a", None], object)))
    assert refusal(path) == f"recording must be {PLAIN}; got '{path}: pickled'; {SAVE_AGAIN}"


def test_a_cut_file(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **columns())
    whole = path.read_bytes()
    for size in (1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert refusal(path) == (
            f"recording must be {PLAIN}; got '{path}: no end of a zip archive up to byte {size}'; "
            f"{SAVE_AGAIN}"
        )
    path.write_bytes(b"")
    assert refusal(path) == (
        f"recording must be a file of events; got '{path} (empty)'; copy or download it again"
    )


def test_a_damaged_array_names_its_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **columns())
    whole = bytearray(path.read_bytes())
    at = whole.find(b"PK\x03\x04", 1)  # the second array, y
    last = whole.find(b"PK\x03\x04", at + 1) - 1  # the last byte of its data
    whole[last] ^= 0xFF
    path.write_bytes(whole)
    assert refusal(path) == (
        f"recording must be {PLAIN}; got '{path}: y.npy at byte {at} is damaged'; {SAVE_AGAIN}"
    )


def test_an_npy_is_no_npz(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(3))
    path = (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    size = path.stat().st_size
    assert refusal(path) == (
        f"recording must be {PLAIN}; got '{path}: no end of a zip archive up to byte {size}'; "
        f"{SAVE_AGAIN}"
    )
