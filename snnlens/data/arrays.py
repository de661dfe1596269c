"""Arrays in an .npz file, opened so that no file can run code or fill the memory. No torch."""

from __future__ import annotations

import math
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from snnlens.errors import InputError

# What numpy and zipfile raise on broken files; numpy reads a header as Python's literals.
BROKEN: tuple[type[Exception], ...] = (
    *(OSError, ValueError, TypeError, LookupError, EOFError, RuntimeError, SyntaxError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
    *(tokenize.TokenError, MemoryError),  # the parser's, of a header of 9000 signs
)
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what numpy writes
MOST = 100  # times the bytes of its file may data take: 5 to 20 of events, 1000 of a zip bomb
FREE = 2**26  # bytes that any file may unpack to


@contextmanager
def opened(path: Path, do: str = "") -> Iterator[Any]:
    """The arrays of an .npz by name, never a pickle; `do` says how to save them again.

    Raises InputError for what would unpack to more than 100 times its size, and one of `BROKEN`
    for a broken file, here or when an array is read.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "0.npz"
    >>> np.savez(path, x=[3])
    >>> with opened(path) as arrays:
    ...     arrays["x"]
    array([3])
    """
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of headers that Python 2 wrote
        with zipfile.ZipFile(file) as archive:
            check_unpacked(path, sum(entry.file_size for entry in archive.infolist()), do)
            for entry in archive.infolist():
                _check_entry(archive, entry)
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            yield arrays


def _check_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Raise ValueError for what numpy does not write: it makes room before it reads."""
    if entry.compress_type not in PACKED:
        raise ValueError("packed by something else than numpy")
    with archive.open(entry) as member:
        magic, version = member.read(6), member.read(2)
        if magic != np.lib.format.MAGIC_PREFIX:
            return
        # the third version differs from the second in the alphabet of names of fields
        head = "read_array_header_1_0" if version == b"\1\0" else "read_array_header_2_0"
        shape, _, dtype = getattr(np.lib.format, head)(member)
        if math.prod(shape) * dtype.itemsize > entry.file_size and not dtype.hasobject:
            raise ValueError("an array larger than its file")


def check_unpacked(path: Path, promised: int, do: str = "") -> None:
    """Raise InputError for a file that promises more bytes than its own could be.

    >>> check_unpacked(Path(__file__), 10**6)
    """
    size = path.stat().st_size
    if promised > max(FREE, MOST * size):
        wanted = f"at most {MOST} times as large as the file"
        got = f"{promised:,} bytes from {size:,}"
        raise InputError(f"what {path} unpacks to", got=got, wanted=wanted, do=do)
