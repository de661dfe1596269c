"""An .npz with CIFAR-10 images and labels, read without pickle."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnlens.data.source import Integers
from snnlens.errors import InputError

Array = NDArray[Any]
CLASSES = 10
# images, labels, the part that the caption names; the first pair that is there is read
PAIRS = (
    ("x_train", "y_train", "train part"),
    ("images", "labels", ".npz"),
    ("x", "y", ".npz"),
    ("x_test", "y_test", "test part"),
)
SAVE_AGAIN = "save it with numpy.savez(path, images=..., labels=...)"
# what numpy and zipfile raise on broken files
BROKEN: tuple[type[Exception], ...] = (
    *(OSError, ValueError, EOFError, NotImplementedError, RuntimeError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)


def check(path: Path) -> None:
    """Check that a file is an .npz, which is a zip archive.

    Raises InputError if it is not.

    >>> check(Path(__file__))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    snnlens.errors.InputError: cifar10 file must be an .npz (a zip archive of arrays); got ...
    """
    if not (path.is_file() and zipfile.is_zipfile(path)):
        wanted = "an .npz (a zip archive of arrays)"
        raise InputError("cifar10 file", got=str(path), wanted=wanted, do=SAVE_AGAIN)


def read(path: Path) -> tuple[NDArray[np.uint8], Integers, int, str]:
    """Read uint8 images [n, 3, 32, 32], int64 labels [n], the number of classes and the part.

    The file may hold x_train and y_train, images and labels, x and y, or x_test and y_test;
    images are uint8 [n, 32, 32, 3] or [n, 3, 32, 32], labels integers [n] or [n, 1].
    `class_names`, if there, gives the number of classes (10 without it).

    Raises InputError for a file that is cut, arrays that are missing, pickled, of another shape
    or type, labels outside [0, classes), unequal numbers of images and labels.

    >>> PAIRS[0]
    ('x_train', 'y_train', 'train part')
    """
    check(path)
    arrays = _arrays(path)
    x, y, part = _pair(path, list(arrays))
    images = _images(arrays[x], f"{x} in {path}")
    classes = len(np.atleast_1d(arrays["class_names"])) if "class_names" in arrays else CLASSES
    labels = _labels(arrays[y], f"{y} in {path}", classes)
    if len(labels) != len(images):
        wanted = f"one per image ({len(images)})"
        raise InputError(f"labels {y} in {path}", got=len(labels), wanted=wanted, do=SAVE_AGAIN)
    return images, labels, classes, part


def _arrays(path: Path) -> dict[str, Array]:
    """Read the first pair of names that is there, and class_names."""
    try:
        with np.load(path, allow_pickle=False) as file:
            x, y, _ = _pair(path, file.files)
            names = [name for name in (x, y, "class_names") if name in file.files]
            return {name: np.asarray(file[name]) for name in names}
    except BROKEN as error:
        wanted = "whole arrays of plain numbers (a pickled object is never read)"
        raise InputError("cifar10 file", got=str(path), wanted=wanted, do=SAVE_AGAIN) from error


def _pair(path: Path, names: list[str]) -> tuple[str, str, str]:
    for x, y, part in PAIRS:
        if x in names and y in names:
            return x, y, part
    wanted = "x_train and y_train, images and labels, x and y, or x_test and y_test"
    raise InputError(f"arrays in {path}", got=", ".join(names), wanted=wanted, do=SAVE_AGAIN)


def _images(array: Array, what: str) -> NDArray[np.uint8]:
    if array.dtype != np.uint8 or array.shape[1:] not in ((32, 32, 3), (3, 32, 32)):
        wanted = "uint8 [images, 32, 32, 3]"
        raise InputError(what, got=_shown(array), wanted=wanted, do=SAVE_AGAIN)
    return array if array.shape[1] == 3 else array.transpose(0, 3, 1, 2)


def _labels(array: Array, what: str, classes: int) -> Integers:
    if array.dtype.kind not in "iu" or array.ndim not in (1, 2) or array.size != len(array):
        wanted = "whole numbers [images]"
        raise InputError(what, got=_shown(array), wanted=wanted, do=SAVE_AGAIN)
    if array.size and not 0 <= array.min() <= array.max() < classes:
        got = f"{array.min()} to {array.max()}"
        raise InputError(what, got=got, wanted=f"0 to {classes - 1}", do=SAVE_AGAIN)
    return array.reshape(-1).astype(np.int64)


def _shown(array: Array) -> str:
    return f"{array.dtype} {list(array.shape)}"
