"""Where the thresholds of a gate stand: snnlens.toml, or pyproject.toml. A typo is an error."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from snnlens import files
from snnlens.errors import InputError
from snnlens.report.gate.grammar import Rules, rules
from snnlens.report.gate.words import visible, wrong

OWN, PROJECT = "snnlens.toml", "pyproject.toml"
ALIKE = 0.9  # of a file's name: `snnlen.toml`, `.snnlens.toml`, but not `snnlens-old.toml`
ALIKE_KEY = 0.85  # of a table's name: `snn-lens`, `snlens`


def find(folder: Path) -> Rules:
    """The rules of the nearest file: in the folder or above it, up to the repository's root.

    Without any, the rules that say nothing: findings and claims are judged alone.
    """
    for here in _upwards(folder):
        own, project = here / OWN, here / PROJECT
        found = [f for f in (own, project) if f.is_file() and _table(f) is not None]
        if len(found) > 1:
            raise InputError(
                "the thresholds", got=f"in {OWN} and in {PROJECT}", wanted="in one file",
                do=f"keep [gate] of {OWN} or [tool.snnlens.gate] of {PROJECT}",
            )  # fmt: skip
        if found:
            return read(found[0])
        _misnamed(here)
    return Rules()


def read(path: Path) -> Rules:
    """The rules of one file, which must hold some."""
    table = _table(path)
    if table is None:
        raise InputError(
            visible(path), got="no [tool.snnlens.gate]", wanted="a file with thresholds",
            do="see docs/gate.md",
        )  # fmt: skip
    return rules(table, visible(path.name))


def _upwards(folder: Path) -> Iterator[Path]:
    """The folder and those above it, no further than one with .git."""
    for here in (folder.absolute(), *folder.absolute().parents):
        yield here
        if (here / ".git").exists():
            return


def _table(path: Path) -> Any:
    """What stands below `gate`; None of a pyproject.toml that says nothing to snnlens."""
    whole = _toml(path)
    if path.name != PROJECT:
        return _gate(whole, visible(path.name))
    tools = whole.get("tool")
    if not isinstance(tools, dict):
        return None
    _misspelt(tools)
    return (
        None if "snnlens" not in tools else _gate(tools["snnlens"], f"[tool.snnlens] of {PROJECT}")
    )


def _gate(table: Any, place: str) -> Any:
    """The one key of a table, `gate`."""
    if not isinstance(table, dict) or not table:
        raise InputError(place, got=table or "nothing", wanted="with a table `gate`")
    for key in table:
        if key != "gate":
            raise wrong(f"a key of {place}", key, ["gate"])
    return table["gate"]


def _toml(path: Path) -> dict[str, Any]:
    try:
        return files.toml(path)
    except FileNotFoundError:
        raise InputError("--config", got=str(path), wanted="a TOML file that is there") from None
    except (OSError, ValueError) as error:
        raise InputError(visible(path), got="something else", wanted="TOML",
                         do=visible(error)) from None  # fmt: skip


def _misspelt(tools: dict[str, Any]) -> None:
    for name in tools:
        if name != "snnlens" and _alike(name, "snnlens") >= ALIKE_KEY:
            raise wrong(f"[tool.{visible(name)}] of {PROJECT}", name, ["snnlens"])


def _misnamed(folder: Path) -> None:
    """A file that was meant to be snnlens.toml is not passed over."""
    for file in sorted(folder.glob("*.*")) if folder.is_dir() else []:
        if file.name != OWN and _alike(file.name, OWN) >= ALIKE and file.is_file():
            raise wrong("a file with thresholds", file.name, [OWN])


def _alike(name: str, wanted: str) -> float:
    return difflib.SequenceMatcher(None, name.lower(), wanted).ratio()
