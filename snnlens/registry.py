"""Plug-ins by file name: one file in its folder is one plug-in; no list is kept.

A file that begins with `_` is none. Listing reads the first docstring line from the source and
imports nothing; loading imports that one file. Probes, checks and adapters of other packages are
found by their entry points `snnlens.probes`, `snnlens.checks` and `snnlens.adapters`.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from snnlens.errors import InputError

WORDS = {
    "analysis": "analysis", "experiments": "question", "conversion/calibration": "calibration",
    "attribution/methods": "method", "report/export": "target",
}  # fmt: skip
PACKAGE = Path(__file__).resolve().parent


def listing(kind: str) -> dict[str, str]:
    """Name and first docstring line of each plug-in in a folder, sorted by name.

    >>> "firing_rate" in listing("probes")
    True
    """
    files = sorted((PACKAGE / kind).glob("[!_]*.py"))
    own = {f.stem: _first_line(f, f.stat().st_mtime_ns) for f in files}
    return {name: f"{e.value}." for name, e in outside(kind).items()} | own


def module(kind: str, name: str) -> ModuleType:
    """Import the plug-in's file: `analysis`, `gradients` -> snnlens.analysis.gradients."""
    known = listing(kind)
    if name not in known:
        what = WORDS.get(kind, kind.rstrip("s"))
        raise InputError(what, got=name, wanted="one of " + ", ".join(known))
    return importlib.import_module(f"snnlens.{kind.replace('/', '.')}.{name}")


def plugin(kind: str, name: str) -> type[Any]:
    """The class of that `name` in the plug-in's file, or of another package's entry point."""
    if name in outside(kind) and not (PACKAGE / kind / f"{name}.py").is_file():
        loaded: type[Any] = outside(kind)[name].load()
        return loaded
    found = module(kind, name)
    for class_name, value in inspect.getmembers(found, inspect.isclass):
        if value.__module__ == found.__name__ and class_name.lower() == name.replace("_", ""):
            return value
    raise AssertionError(f"{found.__name__} has no class named like {name!r}")


@cache
def outside(kind: str) -> dict[str, EntryPoint]:
    """The plug-ins of other packages, by name; nothing is imported."""
    return {e.name: e for e in sorted(entry_points(group=f"snnlens.{kind}"))}


@cache
def _first_line(path: Path, _changed_ns: int) -> str:
    """Parsed once per file: `record` asks for its probes by name in every training step."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]
