"""Published training logs as a Record of the question `degradation`. Needs no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from snnlens.data.logs import names, runs
from snnlens.data.logs.runs import LoggedRun
from snnlens.provenance import provenance
from snnlens.recording.record import Record, Schema, empty

ORIGIN = "published logs"


def record(
    folder: Path, *, pattern: str | None = None, tags: Mapping[str, str] | None = None
) -> Record:
    """Read a folder of TensorBoard logs: one network per run, the curves as a table.

    Args:
        folder: a run, or a tree of runs.
        pattern: for the runs' names, see `snnlens.data.logs.names.rules`.
        tags: which tag is which curve, see `snnlens.data.logs.curves.curves`.

    Raises:
        InputError: as `snnlens.data.logs.runs.read` does.

    >>> record(Path("nowhere"))
    Traceback (most recent call last):
    snnlens.errors.InputError: a folder of logs must be a folder; got 'nowhere'
    """
    found, skipped = runs.survey(folder, pattern=pattern, tags=tags)
    named = dict(zip(_names(found), found, strict=True))
    tables = {"curves": _curves(named)}
    if skipped:
        tables["skipped"] = pd.DataFrame(sorted(skipped.items()), columns=["run", "why"])
    return Record(
        sites=empty().sites,
        tables=tables,
        schemas={name: Schema(axes=()) for name in tables},
        networks={name: _facts(run) for name, run in named.items()},
        provenance=provenance()
        | {
            "question": "degradation",
            "parameters": {"logs": str(folder), "pattern": pattern, "tags": dict(tags or {})},
            "data": f"training logs in {folder.resolve().name}",
            "data_fingerprint": _fingerprint(tables["curves"]),
        },
    )


def _names(found: Sequence[LoggedRun]) -> list[str]:
    """A name for each run; those that their names do not tell apart are numbered."""
    made: list[str] = []
    for run in found:
        name = wanted = names.network(run.facts)
        count = 1
        while name in made:
            count += 1
            name = f"{wanted}-{count}"
        made.append(name)
    return made


def _curves(named: Mapping[str, LoggedRun]) -> pd.DataFrame:
    parts = []
    for name, run in named.items():
        parts.append(run.curves.copy())
        parts[-1].insert(0, "network", name)
    return pd.concat(parts, ignore_index=True)


def _facts(run: LoggedRun) -> dict[str, Any]:
    return run.facts | {
        "origin": ORIGIN,
        "folder": run.name,
        "files": run.files,
        "empty_files": list(run.empty_files),
        "cut_files": list(run.cut_files),
        "tags": run.tags,
    }


def _fingerprint(curves: pd.DataFrame) -> str:
    """sha256 of what was read, whatever the folder is called."""
    return hashlib.sha256(curves.to_csv(index=False).encode()).hexdigest()
