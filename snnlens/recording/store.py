"""A run folder, written whole or not at all, read only if it is whole. Needs no torch.

    run.json            schema version, facts, provenance, and each file's size and checksum
    record/*.parquet    sites and one table per probe
    result.parquet, result.csv, claims.json, findings.json, figure.svg, figure.png

Nothing is ever unpickled.
"""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pandas.api.types import is_numeric_dtype

from snnlens import atomic
from snnlens.errors import InputError
from snnlens.recording import checked, tables
from snnlens.recording.record import KEYS, SITE_COLUMNS, Record, Schema, schema_dict
from snnlens.recording.result import Result

SCHEMA_VERSION = 1
ROOM_BYTES = 64 * 2**20  # a run at depth 152 takes 3 MB; less room than this is no room
Draw = Callable[[Path], None]
OUTPUT = "the output folder"
SITES = tables.Columns(
    KEYS,
    {name: tables.TEXT if kind == "str" else tables.NUMBERS
     for kind, names in SITE_COLUMNS.items() for name in names},
    tables.MOST_ROWS,
)  # fmt: skip


def save(record: Record, folder: Path, *, force: bool = False) -> Path:
    """Write a record alone as a run folder."""
    return _write(folder, record, None, None, force=force)


def save_run(result: Result, folder: Path, draw: Draw, *, force: bool = False) -> Path:
    """Write record, result and figure; `draw` writes figure.svg and figure.png into a folder."""
    return _write(folder, result.record, result, draw, force=force)


def load(folder: str | Path) -> Record:
    """Read the Record of a run folder, or say in one line why it cannot be read."""
    with checked.reading(Path(folder)):
        return atomic.steady(Path(folder), "RUN", lambda: _load(Path(folder)))


def _load(folder: Path) -> Record:
    run = _read_run(folder)
    schemas = {name: Schema.from_dict(asdict(s)) for name, s in run.schemas.items()}
    wanted = {"sites": SITES} | {name: _columns(schema) for name, schema in schemas.items()}
    files = {f"record/{name}.parquet": columns for name, columns in wanted.items()}
    sites, *found = tables.read(folder, run.files, files)
    if sites.duplicated(KEYS).any():
        raise checked.changed(folder / "record" / "sites.parquet", "a site twice")
    return Record(
        sites=sites,
        tables=dict(zip(schemas, found, strict=True)),
        schemas=schemas,
        networks=run.networks,
        provenance=run.provenance,
    )


def load_result(folder: str | Path) -> Result | None:
    """Read the Result of a run folder; None where only a record was saved."""
    with checked.reading(Path(folder)):
        return atomic.steady(Path(folder), "RUN", lambda: _load_result(Path(folder)))


def member(folder: Path, name: str, most: int) -> Path:
    """A file of a run folder that run.json lists, of at most so many bytes."""
    return checked.listed(folder, name, checked.run(folder, SCHEMA_VERSION).files, most)


def load_both(folder: str | Path) -> tuple[Result | None, Record]:
    """Result and Record of a run folder, of one and the same run."""
    result = load_result(folder)
    return result, load(folder) if result is None else result.record


def _load_result(folder: Path) -> Result | None:
    run = _read_run(folder)
    if run.question is None:
        return None
    files = {"result.parquet": tables.Columns(most_rows=tables.MOST_ROWS)}
    files |= {f"{name}.parquet": tables.Columns() for name in run.extra}
    table, *extra = tables.read(folder, run.files, files)
    return Result(
        question=run.question,
        title=str(run.title),
        table=table,
        caption=str(run.caption),
        claims=checked.claims(folder, run.files),
        findings=checked.findings(folder, run.files),
        record=load(folder),
        notes=run.notes,
        extra=dict(zip(run.extra, extra, strict=True)),
    )


def check_target(folder: Path, *, force: bool) -> None:
    """Refuse, before any work, a folder that cannot become a run folder."""
    if folder.exists() or folder.is_symlink():
        if not force:
            raise InputError(
                OUTPUT, got=str(folder), wanted="new",
                do="add --force to replace it, or choose another with -o",
            )  # fmt: skip
        if not _replaceable(folder):
            raise InputError(
                OUTPUT, got=str(folder), wanted="an older run or an empty folder",
                do="--force replaces nothing else; choose another with -o",
            )  # fmt: skip
    parent = _existing_parent(folder)
    if not os.access(parent, os.W_OK):
        raise InputError(OUTPUT, got=str(folder), wanted="in a writable folder")
    free = shutil.disk_usage(parent).free
    if free < ROOM_BYTES:
        raise InputError(
            "the disk of the output folder", got=f"{free // 2**20} MB free",
            wanted=f"with at least {ROOM_BYTES // 2**20} MB free", do="make room or use -o",
        )  # fmt: skip


def place(folder: Path, *, force: bool) -> AbstractContextManager[None]:
    """Have the place of a run folder to oneself while the run is made; nothing is written yet.

    Raises:
        InputError: a folder that cannot become a run folder, or that another process makes.
    """
    return atomic.place(folder, OUTPUT, "the run", lambda: check_target(folder, force=force))


def plain(value: Any) -> Any:
    """For JSON: numpy numbers as Python's, missing and non-finite numbers as null."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def dumps(value: Any) -> str:
    """JSON without NaN, keys in the order given."""
    return json.dumps(plain(value), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


# --- writing ---------------------------------------------------------------------------------


def _write(
    folder: Path, record: Record, result: Result | None, draw: Draw | None, *, force: bool
) -> Path:
    _check_names([*record.tables, *(result.extra if result else ())])
    with place(folder, force=force), _new_folder(folder) as new:
        _write_record(new, record)
        if result is not None:
            _write_result(new, result)
        if draw is not None:
            draw(new)
        _write_text(new / "run.json", dumps(_run_json(new, record, result)))
        _sync(new)
        atomic.swap(new, folder)
    return folder


def _check_names(names: Iterable[str]) -> None:
    """A table is a file of the folder, and takes no other one's place."""
    for name in names:
        if name in ("sites", "result") or not checked.NAME.fullmatch(f"record/{name}"):
            raise InputError(
                "the name of a table", got=name,
                wanted="of letters, digits, '_', '.', '+' and '-', and neither sites nor result",
            )  # fmt: skip


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A folder beside the target that is gone afterwards, whatever happened."""
    new = atomic.hidden(folder, "new")
    try:
        new.mkdir()
        yield new
    except OSError as error:
        raise atomic.said(error, OUTPUT, folder, "the run") from error
    except UnicodeEncodeError as error:
        got, wanted = error.object[: error.end], "text that UTF-8 can write"
        raise InputError("a name or a text of the run", got=got, wanted=wanted) from error
    finally:
        atomic.remove(new)


def _write_record(folder: Path, record: Record) -> None:
    (folder / "record").mkdir()
    record.sites.to_parquet(folder / "record" / "sites.parquet", index=False)
    for name, table in record.tables.items():
        table.to_parquet(folder / "record" / f"{name}.parquet", index=False)


def _write_result(folder: Path, result: Result) -> None:
    for name, table in {"result": result.table, **result.extra}.items():
        table.to_parquet(folder / f"{name}.parquet", index=False)
        table.to_csv(
            folder / f"{name}.csv", index=False, lineterminator="\n", quoting=quoting(table)
        )
    _write_text(folder / "claims.json", dumps([asdict(c) for c in result.claims]))
    _write_text(folder / "findings.json", dumps([asdict(f) for f in result.findings]))


def quoting(table: pd.DataFrame) -> Literal[0, 2]:
    """How a table's text stands in CSV: Python leaves a carriage return bare, which ends a row."""
    texts = [pd.Series([str(name) for name in table])]
    texts += [table[c].astype(str) for c in table if not is_numeric_dtype(table[c])]
    bare = any(text.str.contains("\r", regex=False).any() for text in texts)
    return csv.QUOTE_NONNUMERIC if bare else csv.QUOTE_MINIMAL


def _run_json(folder: Path, record: Record, result: Result | None) -> dict[str, Any]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {
        "schema": SCHEMA_VERSION,
        "question": result.question if result else None,
        "title": result.title if result else None,
        "caption": result.caption if result else None,
        "notes": result.notes if result else [],
        "extra": list(result.extra) if result else [],
        "provenance": record.provenance,
        "networks": record.networks,
        "schemas": {name: schema_dict(s) for name, s in record.schemas.items()},
        "files": {
            p.relative_to(folder).as_posix(): {
                "bytes": p.stat().st_size,
                "sha256": checked.sha256(p),
            }
            for p in files
        },
    }


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _sync(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        atomic.sync(path)


def _replaceable(folder: Path) -> bool:
    if not folder.is_dir() or folder.is_symlink():
        return False
    names = {p.name for p in folder.iterdir()}
    if not names:
        return True
    return "run.json" in names and _is_run(folder)


def _is_run(folder: Path) -> bool:
    try:
        found = checked.json(folder, "run.json")
    except (OSError, InputError):
        return False
    return isinstance(found, dict) and "schema" in found


def _existing_parent(folder: Path) -> Path:
    parent = folder.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir():
        raise InputError(OUTPUT, got=str(folder), wanted="inside a folder")
    return parent


# --- reading ---------------------------------------------------------------------------------


def _read_run(folder: Path) -> checked.Run:
    if not folder.is_dir():
        raise InputError("RUN", got=str(folder), wanted="a run folder", do="see `snnlens list`")
    run = checked.run(folder, SCHEMA_VERSION)
    checked.whole(folder, run.files)
    return run


def _columns(schema: Schema) -> tables.Columns:
    """What the table of a probe has to have; one without sums is read by its analysis alone."""
    if not schema.columns:
        return tables.Columns()
    kinds = dict.fromkeys(KEYS, tables.TEXT) | dict.fromkeys(schema.columns, tables.NUMBERS)
    return tables.Columns((*kinds, *schema.axes), kinds)
