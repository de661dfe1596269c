"""The folder of an export: there whole or not at all; only an older export is replaced."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from snnlens import atomic
from snnlens.errors import InputError
from snnlens.provenance import snnlens_version
from snnlens.recording import checked
from snnlens.recording.store import dumps

NOTE = "export.json"  # what was exported, with each file's checksum: the mark of such a folder
SCHEMA_VERSION = 1
WHAT = "the output folder"


def place(folder: Path, *, force: bool) -> AbstractContextManager[None]:
    """Have the folder's place to oneself while the export is made."""
    return atomic.place(folder, WHAT, "the export", lambda: check(folder, force=force))


def check(folder: Path, *, force: bool) -> None:
    """Refuse, before any work, a folder that cannot become an export."""
    there = folder.exists() or folder.is_symlink()
    if there and not force:
        raise InputError(
            WHAT, got=str(folder), wanted="new",
            do="add --force to replace it, or choose another with -o",
        )  # fmt: skip
    if there and not _replaceable(folder):
        raise InputError(
            WHAT, got=str(folder), wanted="an older export or an empty folder",
            do="--force replaces nothing else; choose another with -o",
        )  # fmt: skip
    if not os.access(_existing(folder.absolute().parent), os.W_OK):
        raise InputError(WHAT, got=str(folder), wanted="in a writable folder")


def write(folder: Path, files: Mapping[str, bytes], about: dict[str, Any]) -> None:
    """Write the files and export.json beside the folder's place, then put them there."""
    new = atomic.hidden(folder, "new")
    with place(folder, force=True):
        try:
            _fill(new, {**files, NOTE: _note(files, about)})
            atomic.swap(new, folder)
        except OSError as error:
            raise atomic.said(error, WHAT, folder, "the export") from error
        finally:
            atomic.remove(new)


def _fill(new: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        path = new / name
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_file(path, data)


def _note(files: Mapping[str, bytes], about: dict[str, Any]) -> bytes:
    facts = {"schema": SCHEMA_VERSION, "snnlens": snnlens_version()} | about
    sizes = {n: {"bytes": len(d), "sha256": atomic.sha256(d)} for n, d in sorted(files.items())}
    return dumps(facts | {"files": sizes}).encode()


def _replaceable(folder: Path) -> bool:
    if not folder.is_dir() or folder.is_symlink():
        return False
    return not any(folder.iterdir()) or _is_export(folder)


def _is_export(folder: Path) -> bool:
    try:
        said = checked.json(folder, NOTE)
    except (OSError, InputError):
        return False
    return isinstance(said, dict) and "schema" in said and "target" in said


def _existing(parent: Path) -> Path:
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir():
        raise InputError(WHAT, got=str(parent), wanted="inside a folder")
    return parent
