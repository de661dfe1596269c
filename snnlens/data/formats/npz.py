"""NumPy's .npz with the events as one structured array or as four: x, y, t, p. Never a pickle."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnlens.data import arrays
from snnlens.data.events import Events
from snnlens.data.formats._file import contents, no_events
from snnlens.errors import InputError

SUFFIXES = (".npz",)
MAGIC = b""
SENSOR = None  # no field says it
FIELDS = ("x", "y", "p", "t")
LAST = (4095, 4095, 1)  # of x, y, p: sensors have up to 1280 pixels, frames take all up to the last
SAVE_AGAIN = "save it with numpy.savez(path, x=x, y=y, t=t_us, p=p)"
Array = NDArray[Any]


def decode(path: Path) -> Events:
    """Read one file: x, y in pixels from the top left, t in whole us, p 0 or 1 (or booleans).

    The four are arrays of these names, as SpikingJelly writes them, or fields of the one
    structured array in the file, as Tonic has them; other arrays are left alone.

    Raises InputError for a file that is cut, arrays that are missing, pickled, of unequal length
    or no whole numbers, pixels outside 4096 x 4096, another polarity, a file without events.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "0.npz"
    >>> np.savez(path, x=[3], y=[4], t=[10], p=[True])
    >>> decode(path).polarity
    array([1])
    """
    contents(path, limit=1)  # an empty file and one that can not be read have their own errors
    if not zipfile.is_zipfile(path):
        raise _broken(path)
    columns = [_whole(path, name, array) for name, array in _fields(path).items()]
    if len({len(column) for column in columns}) > 1:
        got = [len(column) for column in columns]
        raise InputError(f"x, y, p and t in {path}", got=got, wanted="of one length", do=SAVE_AGAIN)
    if not len(columns[0]):
        raise no_events(path)
    for name, column, last in zip(FIELDS, columns, LAST, strict=False):
        _check_range(path, name, column, last)
    return Events(*columns)


def _fields(path: Path) -> dict[str, Array]:
    """The four arrays by name."""
    try:
        with arrays.opened(path, SAVE_AGAIN) as file:
            names = _named(path, file)
            if names == list(FIELDS):
                return {name: np.asarray(file[name]) for name in FIELDS}
            table = np.asarray(file[names[0]])
            return {name: table[name] for name in FIELDS}
    except arrays.BROKEN as error:
        raise _broken(path) from error


def _named(path: Path, file: Any) -> list[str]:
    """The four names, or that of the structured array."""
    if all(name in file.files for name in FIELDS):
        return list(FIELDS)
    for name in file.files:
        if set(FIELDS) <= set(np.asarray(file[name]).dtype.names or ()):
            return [name]
    got, wanted = ", ".join(file.files), "x, y, t and p, or one structured array of these"
    raise InputError(f"arrays in {path}", got=got, wanted=wanted, do=SAVE_AGAIN)


def _whole(path: Path, name: str, array: Array) -> Array:
    if array.ndim != 1 or array.dtype.kind not in ("iub" if name == "p" else "iu"):
        got = f"{array.dtype} {list(array.shape)}"
        raise InputError(f"{name} in {path}", got=got, wanted="whole numbers [events]",
                         do=SAVE_AGAIN)  # fmt: skip
    return array.astype(np.int64)


def _check_range(path: Path, name: str, column: Array, last: int) -> None:
    outside = column[(column < 0) | (column > last)]
    if len(outside):
        wanted = f"from 0 to {last}"
        raise InputError(f"{name} in {path}", got=int(outside[0]), wanted=wanted, do=SAVE_AGAIN)


def _broken(path: Path) -> InputError:
    wanted = "whole arrays of plain numbers (a pickled object is never read)"
    got = f"{path}: {_where(path)}"
    return InputError("recording", got=got, wanted=wanted, do=SAVE_AGAIN)


def _where(path: Path) -> str:
    """Where the file stops being whole, as far as a zip archive tells."""
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
            at = None if bad is None else archive.getinfo(bad).header_offset
    except arrays.BROKEN:
        return f"no end of a zip archive up to byte {size}"
    return "pickled" if at is None else f"{bad} at byte {at} is damaged"
