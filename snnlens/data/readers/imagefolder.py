"""A folder of photographs: class subfolders, or flat with an optional labels.csv."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snnlens.data.readers import _labels, _photograph
from snnlens.data.source import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Floats,
    Integers,
    Request,
    Source,
    stated_size,
    uint8_pixels,
    visible_entries,
)
from snnlens.errors import InputError

PATH = "a folder of photographs, or of one subfolder of photographs per class"


def check(path: Path | None) -> None:
    """Check that the folder holds photographs (by suffix); none is opened; labels.csv is.

    Raises InputError for a file, an empty folder, a folder without photographs, one with
    photographs both in it and in subfolders, for a labels.csv that does not fit.

    >>> check(Path(__file__).parent)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    snnlens.errors.InputError: imagefolder must be a folder of photographs, ...
    """
    assert path is not None  # specs.parse
    _labelled(path, _files(path))


def read(path: Path | None, request: Request) -> Source:
    """List the photographs, sorted by name; each is decoded when its pixels are asked for.

    Labels: the rank of the subfolder's name; in a flat folder the `class_id` of labels.csv, or
    without one the rank of the file's name (the note says so). Hidden names, subfolders without
    photographs and folders below them are not read.

    Raises InputError as `check` does, without an image size, and later for a broken photograph.

    >>> PATH.startswith("a folder of photographs")
    True
    """
    assert path is not None  # specs.parse
    side = stated_size(request, "photographs differ in size")
    files = _files(path)
    labels, classes, note = _labelled(path, files)

    def pixels(indices: Integers) -> Floats:
        chosen = [_photograph.read(files[index], side) for index in indices]
        return uint8_pixels(np.stack(chosen).transpose(0, 3, 1, 2))

    title = f"photographs ({path.resolve().name})"
    return Source(title, labels, classes, IMAGENET_MEAN, IMAGENET_STD, pixels, note)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        raise InputError("imagefolder", got=str(path), wanted=PATH)
    entries = visible_entries(path)
    flat = [entry for entry in entries if _photograph.is_photograph(entry)]
    nested = [file for entry in entries if entry.is_dir() for file in _inside(entry)]
    if flat and nested:
        got = f"{flat[0]} beside {nested[0]}"
        raise InputError("imagefolder", got=got, wanted=PATH, do="move one of the two away")
    if not flat and not nested:
        raise _without_images(path, entries)
    return flat or nested


def _inside(folder: Path) -> list[Path]:
    return [entry for entry in visible_entries(folder) if _photograph.is_photograph(entry)]


def _without_images(path: Path, entries: list[Path]) -> InputError:
    state = "no photograph in it or one folder below" if entries else "nothing in it"
    do = f"give a folder with {', '.join(_photograph.SUFFIXES)}"
    return InputError("imagefolder", got=f"{path} ({state})", wanted=PATH, do=do)


def _labelled(path: Path, files: list[Path]) -> tuple[Integers, int, str]:
    if files[0].parent != path:
        ranks = _ranks([file.parent.name for file in files])
        return ranks, int(ranks.max()) + 1, ""
    if (path / "labels.csv").exists():
        return *_labels.read(path / "labels.csv", [file.name for file in files]), ""
    return np.arange(len(files)), len(files), "labels in file order"


def _ranks(names: list[str]) -> Integers:
    rank = {name: position for position, name in enumerate(sorted(set(names)))}
    return np.array([rank[name] for name in names], dtype=np.int64)
