"""MNIST: handwritten digits, 28 x 28, one channel in [0, 1], from the original idx files."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from snnlens.data import arrays
from snnlens.data.source import (
    Floats,
    Integers,
    Request,
    Source,
    check_part,
    uint8_pixels,
    visible_entries,
)
from snnlens.errors import InputError

PATH = "a folder with t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, or train-..., .gz or not"
PARTS = True
CLASSES = 10
FOLDERS = (".", "raw", "MNIST/raw")  # as the archive is, and as torchvision lays it
FILES = re.compile(r"(train|t10k)-(images|labels)[-.]idx[13]-ubyte(\.gz)?")
NAMES = {"train": "train", "t10k": "test"}
AXES = {"images": 3, "labels": 1}
GET_AGAIN = "fetch the file again"
BROKEN = (OSError, EOFError, zlib.error)  # OSError is gzip.BadGzipFile too
# Source: Y. LeCun, C. Cortes, C. J. C. Burges, The MNIST Database of Handwritten Digits, 1998.


def check(path: Path | None) -> None:
    """Check which files there are, and their headers; no pixel is read.

    Raises InputError for a folder without a whole part (images and labels), a file that is no
    idx file of bytes, and unequal numbers of images and labels.

    >>> check(Path(__file__).parent)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    snnlens.errors.InputError: mnist must be a folder with t10k-images-idx3-ubyte and ...
    """
    assert path is not None  # specs.parse
    for files in _parts(path).values():
        _sizes(files)


def parts(path: Path | None) -> tuple[str, ...]:
    """Which of "train" and "test" the folder has with both images and labels.

    >>> parts(Path(__file__).parent)
    ()
    """
    assert path is not None  # specs.parse
    return tuple(_found(path))


def read(path: Path | None, request: Request) -> Source:
    """Read the part that is asked for, else train (test where there is no other).

    Pixels are bytes / 255 in ONE channel, [n, 1, 28, 28], and the mean and standard deviation are
    0 and 1: they come as they lie, which is what networks for MNIST are trained on. A network
    that wants another normalisation does it itself; the ResNets of snnlens take three channels,
    its ANNs for conversion as many as there are. Other data in these files (Fashion-MNIST) are
    read and called MNIST.

    Raises InputError as `check` does, for a part that is not there, a file that is cut or goes on
    too long, and labels above 9.

    >>> PATH.startswith("a folder with t10k-images-idx3-ubyte")
    True
    """
    assert path is not None  # specs.parse
    there = _parts(path)
    check_part(request.part, tuple(there), path)
    part = request.part or next(iter(there))
    files = there[part]
    _sizes(files)
    images, labels = (_array(files[what], AXES[what]) for what in AXES)
    if len(labels) and labels.max() >= CLASSES:
        raise InputError(f"labels in {files['labels']}", got=int(labels.max()), wanted="0 to 9")

    def pixels(indices: Integers) -> Floats:
        return uint8_pixels(images[indices, None])

    title = f"MNIST ({part} part)"
    return Source(title, labels.astype(np.int64), CLASSES, (0.0,), (1.0,), pixels)


def _parts(path: Path) -> dict[str, dict[str, Path]]:
    found = _found(path)
    if not found:
        raise InputError("mnist", got=f"{path} ({_holds(path)})", wanted=PATH)
    return found


def _found(path: Path) -> dict[str, dict[str, Path]]:
    """The files of each whole part, train first."""
    if not path.is_dir():
        return {}
    files = _idx_files(path)
    parts = {part: files.get(name, {}) for name, part in NAMES.items()}
    return {part: files for part, files in parts.items() if set(files) == set(AXES)}


def _idx_files(path: Path) -> dict[str, dict[str, Path]]:
    """By part and content, of the first folder that has any; a plain file goes before its .gz."""
    for folder in FOLDERS:
        found: dict[str, dict[str, Path]] = {}
        entries = visible_entries(path / folder) if (path / folder).is_dir() else []
        for entry in entries:
            named = FILES.fullmatch(entry.name)
            if named and entry.is_file():
                found.setdefault(named[1], {}).setdefault(named[2], entry)
        if found:
            return found
    return {}


def _holds(path: Path) -> str:
    if not path.is_dir():
        return "a file"
    found = [file.name for files in _idx_files(path).values() for file in files.values()]
    return f"{', '.join(found)} alone" if found else "no idx file in it"


# --- idx files: 0, 0, 8 (bytes), the number of axes; each axis, 4 bytes, big-endian; the data -----


def _sizes(files: dict[str, Path]) -> None:
    """Check the headers of a part."""
    images, labels = (_shape(files[what], AXES[what])[0] for what in AXES)
    if images != labels:
        wanted = f"one per image ({images})"
        raise InputError(f"labels in {files['labels']}", got=labels, wanted=wanted, do=GET_AGAIN)


def _shape(file: Path, axes: int) -> tuple[int, ...]:
    try:
        with _open(file) as stream:
            return _header(file, stream, axes)
    except BROKEN as error:
        raise _unreadable(file, error) from error


def _array(file: Path, axes: int) -> NDArray[np.uint8]:
    try:
        with _open(file) as stream:
            shape = _header(file, stream, axes)
            data = _data(file, stream, math.prod(shape))
    except BROKEN as error:
        raise _unreadable(file, error) from error
    if len(data) != math.prod(shape):
        wanted = f"{math.prod(shape)}, as its header says {list(shape)}"
        raise InputError(f"bytes of {file}", got=len(data), wanted=wanted, do=GET_AGAIN)
    return np.frombuffer(data, np.uint8).reshape(shape)


def _data(file: Path, stream: IO[bytes], count: int) -> bytes:
    """What comes behind the header; of a .gz no more than a byte too many."""
    if file.suffix != ".gz":
        return stream.read()
    arrays.check_unpacked(file, count, GET_AGAIN)
    return stream.read(count + 1)


def _open(file: Path) -> IO[bytes]:
    return gzip.open(file) if file.suffix == ".gz" else file.open("rb")  # type: ignore[return-value]


def _header(file: Path, stream: IO[bytes], axes: int) -> tuple[int, ...]:
    header = stream.read(4 + 4 * axes)
    if len(header) < 4 + 4 * axes or header[:4] != bytes([0, 0, 8, axes]):
        wanted = f"an idx file of bytes with {axes} axes, which begins with 0 0 8 {axes}"
        got = " ".join(str(byte) for byte in header[:4]) or "nothing"
        raise InputError(f"{file}", got=got, wanted=wanted, do=GET_AGAIN)
    shape = tuple(int(size) for size in np.frombuffer(header, ">u4", offset=4))
    if axes == 3 and shape[1:] != (28, 28):
        raise InputError(f"images in {file}", got=list(shape), wanted="[images, 28, 28]")
    return shape


def _unreadable(file: Path, error: Exception) -> InputError:
    got = f"{file}: {getattr(error, 'strerror', None) or 'cut or damaged'}"
    return InputError("mnist file", got=got, wanted="one that can be read", do=GET_AGAIN)
