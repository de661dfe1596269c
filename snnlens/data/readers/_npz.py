"""An .npz with CIFAR-10 images and labels, read without pickle."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnlens.data import arrays
from snnlens.data.readers._labels import MAX_CLASSES
from snnlens.data.source import Integers
from snnlens.errors import InputError

Array = NDArray[Any]
CLASSES = 10
# images, labels, the part that the caption names; the first pair that is there is read
Pair = tuple[str, str, str]
PAIRS: tuple[Pair, ...] = (
    ("x_train", "y_train", "train part"),
    ("images", "labels", ".npz"),
    ("x", "y", ".npz"),
    ("x_test", "y_test", "test part"),
)
PARTS = {"train": PAIRS[0], "test": PAIRS[-1]}
SAVE_AGAIN = "save it with numpy.savez(path, images=..., labels=...)"


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


def parts(path: Path) -> tuple[str, ...]:
    """Which of "train" and "test" the file has: x_train and y_train, x_test and y_test.

    Raises InputError for a file that is no .npz, or cut.

    >>> PARTS["test"][:2]
    ('x_test', 'y_test')
    """
    check(path)
    try:
        with arrays.opened(path, SAVE_AGAIN) as file:
            names = file.files
    except arrays.BROKEN as error:
        raise _broken(path) from error
    return tuple(part for part, pair in PARTS.items() if set(pair[:2]) <= set(names))


def read(path: Path, part: str | None = None) -> tuple[NDArray[np.uint8], Integers, int, str]:
    """Read uint8 images [n, 3, 32, 32], int64 labels [n], the number of classes and the part.

    The file may hold x_train and y_train, images and labels, x and y, or x_test and y_test: the
    first pair that is there, or that of `part` ("train", "test"), which must be there;
    images are uint8 [n, 32, 32, 3] or [n, 3, 32, 32], labels integers [n] or [n, 1].
    `class_names`, if there, gives the number of classes (10 without it).

    Raises InputError for a file that is cut, arrays that are missing, pickled, of another shape
    or type, labels outside [0, classes), unequal numbers of images and labels.

    >>> PAIRS[0]
    ('x_train', 'y_train', 'train part')
    """
    check(path)
    pairs = PAIRS if part is None else (PARTS[part],)
    found = _arrays(path, pairs)
    x, y, which = _pair(path, list(found), pairs)
    images = _images(found[x], f"{x} in {path}")
    classes = len(np.atleast_1d(found["class_names"])) if "class_names" in found else CLASSES
    if classes > MAX_CLASSES:  # names of no bytes: a file may have a billion of them
        wanted = f"at most {MAX_CLASSES}"
        raise InputError(f"class_names in {path}", got=classes, wanted=wanted, do=SAVE_AGAIN)
    labels = _labels(found[y], f"{y} in {path}", classes)
    if len(labels) != len(images):
        wanted = f"one per image ({len(images)})"
        raise InputError(f"labels {y} in {path}", got=len(labels), wanted=wanted, do=SAVE_AGAIN)
    return images, labels, classes, which


def _arrays(path: Path, pairs: tuple[Pair, ...]) -> dict[str, Array]:
    """Read the first pair of names that is there, and class_names."""
    try:
        with arrays.opened(path, SAVE_AGAIN) as file:
            x, y, _ = _pair(path, file.files, pairs)
            names = [name for name in (x, y, "class_names") if name in file.files]
            return {name: np.asarray(file[name]) for name in names}
    except arrays.BROKEN as error:
        raise _broken(path) from error


def _broken(path: Path) -> InputError:
    wanted = "whole arrays of plain numbers (a pickled object is never read)"
    return InputError("cifar10 file", got=str(path), wanted=wanted, do=SAVE_AGAIN)


def _pair(path: Path, names: list[str], pairs: tuple[Pair, ...]) -> Pair:
    for x, y, part in pairs:
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
