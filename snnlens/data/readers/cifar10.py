"""CIFAR-10: the unpacked binary version, or an .npz with images and labels. Never a pickle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snnlens.data.readers import _npz
from snnlens.data.source import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Floats,
    Integers,
    Request,
    Source,
    check_part,
    uint8_pixels,
    visible_entries,
)
from snnlens.errors import InputError

PATH = "a folder of the binary version (data_batch_1.bin ...), one .bin, or an .npz"
PARTS = True
RECORD_BYTES = 3073  # one label, then 32 x 32 of red, of green, of blue
CLASSES = 10
USE_BINARY = "unpack cifar-10-binary.tar.gz from cs.toronto.edu/~kriz and give its folder"
# Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009. The mean and
# std are ImageNet's, as in the ResNets of akamaster/pytorch_resnet_cifar10 (inputs for conversion).


def check(path: Path | None) -> None:
    """Check names and sizes of the files, without reading them.

    Raises InputError for the python version (a pickle), an archive, a folder without .bin files,
    a .bin that is cut, a file that is no .npz.

    >>> check(Path("cifar-10-python.tar.gz"))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    snnlens.errors.InputError: cifar10 path must be a folder of the binary version ...
    """
    assert path is not None  # specs.parse
    if path.suffix.lower() == ".npz":
        _npz.check(path)
    else:
        _bin_files(path, None)


def parts(path: Path | None) -> tuple[str, ...]:
    """Which of "train" and "test" there is: data_batch_1.bin ..., test_batch.bin, or arrays.

    >>> parts(Path(__file__).parent)
    ()
    """
    assert path is not None  # specs.parse
    if path.suffix.lower() == ".npz":
        return _npz.parts(path)
    return tuple(_batches(path)) if path.is_dir() else ()


def read(path: Path | None, request: Request) -> Source:
    """Read the part that is asked for, else train (test where there is no other); in [0, 1].

    Raises InputError as `check` does, for a part that is not there, arrays of another shape or
    type, labels outside the classes, and unequal numbers of images and labels.

    >>> PATH.endswith("or an .npz")
    True
    """
    assert path is not None  # specs.parse
    if request.part is not None:
        check_part(request.part, parts(path), path)
    if path.suffix.lower() == ".npz":
        images, labels, classes, part = _npz.read(path, request.part)
    else:
        images, labels, classes, part = _read_bins(_bin_files(path, request.part))

    def pixels(indices: Integers) -> Floats:
        return uint8_pixels(images[indices])

    title = f"CIFAR-10 ({part})"
    return Source(title, labels, classes, IMAGENET_MEAN, IMAGENET_STD, pixels)


def _bin_files(path: Path, part: str | None) -> list[Path]:
    files = _in_folder(path, part) if path.is_dir() else [path]
    if files[0].suffix.lower() != ".bin":
        raise InputError("cifar10 path", got=str(path), wanted=PATH, do=USE_BINARY)
    for file in files:
        _check_size(file)
    return files


def _in_folder(path: Path, part: str | None) -> list[Path]:
    found = _batches(path)
    if not found:
        raise _refused(path, [entry.name for entry in _entries(path)])
    return found[part or next(iter(found))]


def _batches(path: Path) -> dict[str, list[Path]]:
    """The files of each part that is there, train first."""
    bins = [file for file in _entries(path) if file.suffix == ".bin" and file.is_file()]
    found = {
        "train": [file for file in bins if file.name.startswith("data_batch_")],
        "test": [file for file in bins if file.name == "test_batch.bin"],
    }
    return {part: files for part, files in found.items() if files}


def _entries(path: Path) -> list[Path]:
    inner = path / "cifar-10-batches-bin"  # as the archive unpacks
    return visible_entries(inner if inner.is_dir() else path)


def _refused(path: Path, names: list[str]) -> InputError:
    if any(name in names for name in ("data_batch_1", "test_batch", "cifar-10-batches-py")):
        wanted = "the binary version (the python version is a pickle, which could run any code)"
        return InputError("cifar10 folder", got=str(path), wanted=wanted, do=USE_BINARY)
    wanted = "one with data_batch_1.bin ... or test_batch.bin"
    return InputError("cifar10 folder", got=str(path), wanted=wanted, do=USE_BINARY)


def _check_size(file: Path) -> None:
    size = file.stat().st_size
    if not file.is_file() or size == 0 or size % RECORD_BYTES:
        wanted = f"a whole number of records of {RECORD_BYTES} bytes"
        raise InputError(f"size of {file}", got=size, wanted=wanted, do=USE_BINARY)


def _read_bins(files: list[Path]) -> tuple[NDArray[np.uint8], Integers, int, str]:
    records = np.concatenate([_records(file) for file in files])
    images = records[:, 1:].reshape(-1, 3, 32, 32)
    return images, records[:, 0].astype(np.int64), CLASSES, _part(files)


def _records(file: Path) -> NDArray[np.uint8]:
    try:
        records = np.fromfile(file, np.uint8).reshape(-1, RECORD_BYTES)
    except OSError as error:
        got = f"{file}: {error.strerror}"
        raise InputError("cifar10 file", got=got, wanted="one that can be read") from error
    if (worst := int(records[:, 0].max())) >= CLASSES:
        raise InputError(f"labels in {file}", got=worst, wanted="0 to 9", do=USE_BINARY)
    return records


def _part(files: list[Path]) -> str:
    if files[0].name.startswith("data_batch_"):
        return "train part" if len(files) > 1 else files[0].name
    return "test part" if files[0].name == "test_batch.bin" else files[0].name
