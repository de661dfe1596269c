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
    check_part,
    stated_size,
    uint8_pixels,
    visible_entries,
)
from snnlens.errors import InputError

PATH = "a folder of photographs, or of one subfolder of photographs per class"
PARTS = True
TESTS = ("val", "test")  # beside train: the first one that is there


def check(path: Path | None) -> None:
    """Check that the folder holds photographs (by suffix); none is opened; labels.csv is.

    Raises InputError for a file, an empty folder, a folder without photographs, one with
    photographs both in it and in subfolders, for a labels.csv that does not fit.

    >>> check(Path(__file__).parent)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    snnlens.errors.InputError: imagefolder must be a folder of photographs, ...
    """
    assert path is not None  # specs.parse
    folder = _folder(path, None)
    _labelled(folder, _files(folder), [])


def parts(path: Path | None) -> tuple[str, ...]:
    """Both parts where there are a folder train and a folder val or test, as of ImageNet.

    Each holds one subfolder per class, or photographs with a labels.csv.

    >>> parts(Path(__file__).parent)
    ()
    """
    assert path is not None  # specs.parse
    return tuple(_parts(path))


def read(path: Path | None, request: Request) -> Source:
    """List the photographs, sorted by name; each is decoded when its pixels are asked for.

    Labels: the rank of the subfolder's name; in a flat folder the `class_id` of labels.csv, or
    without one the rank of the file's name (the note says so). Hidden names, subfolders without
    photographs and folders below them are not read. Of a folder with parts, train is read where
    no part is asked for; the rank is that among the subfolders of both parts.

    Raises InputError as `check` does, for a part that is not there, without an image size, and
    later for a broken photograph.

    >>> PATH.startswith("a folder of photographs")
    True
    """
    assert path is not None  # specs.parse
    side = stated_size(request, "photographs differ in size")
    there = _parts(path)
    check_part(request.part, tuple(there), path)
    folder = _folder(path, request.part)
    files = _files(folder)
    both = list(there.values()) if folder != path else []
    labels, classes, note = _labelled(folder, files, both)

    def pixels(indices: Integers) -> Floats:
        chosen = [_photograph.read(files[index], side) for index in indices]
        return uint8_pixels(np.stack(chosen).transpose(0, 3, 1, 2))

    part = f", {folder.name} part" if folder != path else ""
    title = f"photographs ({path.resolve().name}{part})"
    return Source(title, labels, classes, IMAGENET_MEAN, IMAGENET_STD, pixels, note)


def _parts(path: Path) -> dict[str, Path]:
    """The folders of both parts, or none."""
    if not path.is_dir():
        return {}
    inside = {entry.name: entry for entry in visible_entries(path) if entry.is_dir()}
    test = next((inside[name] for name in TESTS if name in inside), None)
    if test is None or "train" not in inside:
        return {}
    found = {"train": inside["train"], "test": test}
    labelled = all(_subfolders(f) or (f / "labels.csv").exists() for f in found.values())
    return found if labelled else {}


def _folder(path: Path, part: str | None) -> Path:
    """Where the photographs of a part are; a folder that holds some itself is read as it is."""
    there = _parts(path)
    if not there or (part is None and any(_flat_nested(path))):
        return path
    return there[part or "train"]


def _subfolders(folder: Path) -> set[str]:
    return {entry.name for entry in visible_entries(folder) if entry.is_dir()}


def _flat_nested(path: Path) -> tuple[list[Path], list[Path]]:
    """The photographs in a folder, and those one folder below."""
    entries = visible_entries(path)
    flat = [entry for entry in entries if _photograph.is_photograph(entry)]
    return flat, [file for entry in entries if entry.is_dir() for file in _inside(entry)]


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        raise InputError("imagefolder", got=str(path), wanted=PATH)
    flat, nested = _flat_nested(path)
    if flat and nested:
        got = f"{flat[0]} beside {nested[0]}"
        raise InputError("imagefolder", got=got, wanted=PATH, do="move one of the two away")
    if not flat and not nested:
        raise _without_images(path)
    return flat or nested


def _inside(folder: Path) -> list[Path]:
    return [entry for entry in visible_entries(folder) if _photograph.is_photograph(entry)]


def _without_images(path: Path) -> InputError:
    there = bool(visible_entries(path))
    state = "no photograph in it or one folder below" if there else "nothing in it"
    do = f"give a folder with {', '.join(_photograph.SUFFIXES)}"
    return InputError("imagefolder", got=f"{path} ({state})", wanted=PATH, do=do)


def _labelled(path: Path, files: list[Path], both: list[Path]) -> tuple[Integers, int, str]:
    """Labels, classes and a note; the classes are those in `both`, the folders of the parts."""
    if files[0].parent != path:
        names = [file.parent.name for file in files]
        known = sorted(set(names).union(*map(_subfolders, both)))
        rank = {name: position for position, name in enumerate(known)}
        return np.array([rank[name] for name in names], np.int64), len(known), ""
    if (path / "labels.csv").exists():
        labels, classes = _labels.read(path / "labels.csv", [file.name for file in files])
        tables = [folder / "labels.csv" for folder in both]
        counts = [_labels.read(table, [])[1] for table in tables if table.exists()]
        return labels, max([classes, *counts]), ""
    return np.arange(len(files)), len(files), "labels in file order"
