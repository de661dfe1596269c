"""A folder with one subfolder of recordings per class."""

from __future__ import annotations

from pathlib import Path

from snnlens.data.source import visible_entries
from snnlens.errors import InputError


def recordings(path: Path, kind: str, suffixes: tuple[str, ...], wanted: str) -> list[list[Path]]:
    """List the recordings of each class, classes by the subfolder's name, recordings by theirs.

    Hidden names, files beside the subfolders and subfolders without recordings are not read.

    Raises InputError for a file, and for a folder without recordings one folder below.

    >>> recordings(Path(__file__).parent, "events", (".bin",), "a folder of recordings")
    Traceback (most recent call last):
    snnlens.errors.InputError: events must be a folder of recordings; got '... (no .bin there)'
    """
    folders = [entry for entry in visible_entries(path) if entry.is_dir()]
    listed = [_inside(folder, suffixes) for folder in folders]
    found = [files for files in listed if files]
    if not found:
        missing = " or ".join(suffixes)
        raise InputError(kind, got=f"{path} (no {missing} there)", wanted=wanted)
    return found


def numbered(classes: list[list[Path]]) -> tuple[list[Path], list[int]]:
    """All recordings in one list, and the class of each.

    >>> numbered([[Path("a"), Path("b")], [Path("c")]])[1]
    [0, 0, 1]
    """
    files = [file for files in classes for file in files]
    return files, [label for label, files in enumerate(classes) for _ in files]


def check_bytes(files: list[Path]) -> None:
    """Raise InputError for a recording of no bytes; none is opened.

    >>> check_bytes([])
    """
    for file in files:
        if not file.stat().st_size:
            wanted = "a file of events"
            raise InputError("recording", got=f"{file} (empty)", wanted=wanted)


def _inside(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    entries = visible_entries(folder)
    return [e for e in entries if e.suffix.lower() in suffixes and e.is_file()]
