"""A run folder, written whole or not at all, read only if it is whole. Needs no torch.

    run.json            schema version, facts, provenance, and each file's size and checksum
    record/*.parquet    sites and one table per probe
    result.parquet, result.csv, claims.json, findings.json, figure.svg, figure.png

Nothing is ever unpickled.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from snnlens import atomic
from snnlens.errors import InputError
from snnlens.recording.record import Record, Schema, schema_dict
from snnlens.recording.result import Claim, Finding, Result

SCHEMA_VERSION = 1
ROOM_BYTES = 64 * 2**20  # a run at depth 152 takes 3 MB; less room than this is no room
Draw = Callable[[Path], None]


def save(record: Record, folder: Path, *, force: bool = False) -> Path:
    """Write a record alone as a run folder."""
    return _write(folder, record, None, None, force=force)


def save_run(result: Result, folder: Path, draw: Draw, *, force: bool = False) -> Path:
    """Write record, result and figure; `draw` writes figure.svg and figure.png into a folder."""
    return _write(folder, result.record, result, draw, force=force)


def load(folder: str | Path) -> Record:
    """Read the Record of a run folder, or say in one line why it cannot be read."""
    folder = Path(folder)
    run = _read_run(folder)
    tables = {name: _parquet(folder, f"record/{name}.parquet") for name in run["schemas"]}
    return Record(
        sites=_parquet(folder, "record/sites.parquet"),
        tables=tables,
        schemas={name: Schema.from_dict(s) for name, s in run["schemas"].items()},
        networks=run["networks"],
        provenance=run["provenance"],
    )


def load_result(folder: str | Path) -> Result | None:
    """Read the Result of a run folder; None where only a record was saved."""
    folder = Path(folder)
    run = _read_run(folder)
    if run["question"] is None:
        return None
    return Result(
        question=run["question"],
        title=run["title"],
        table=_parquet(folder, "result.parquet"),
        caption=run["caption"],
        claims=[Claim(**c) for c in _json(folder / "claims.json")],
        findings=[Finding(**f) for f in _json(folder / "findings.json")],
        record=load(folder),
        notes=run["notes"],
        extra={name: _parquet(folder, f"{name}.parquet") for name in run["extra"]},
    )


def check_target(folder: Path, *, force: bool) -> None:
    """Refuse, before any work, a folder that cannot become a run folder."""
    if folder.exists() or folder.is_symlink():
        if not force:
            raise InputError(
                "the output folder", got=str(folder), wanted="new",
                do="add --force to replace it, or choose another with -o",
            )  # fmt: skip
        if not _replaceable(folder):
            raise InputError(
                "the output folder", got=str(folder), wanted="an older run or an empty folder",
                do="--force replaces nothing else; choose another with -o",
            )  # fmt: skip
    parent = _existing_parent(folder)
    if not os.access(parent, os.W_OK):
        raise InputError("the output folder", got=str(folder), wanted="in a writable folder")
    free = shutil.disk_usage(parent).free
    if free < ROOM_BYTES:
        raise InputError(
            "the disk of the output folder", got=f"{free // 2**20} MB free",
            wanted=f"with at least {ROOM_BYTES // 2**20} MB free", do="make room or use -o",
        )  # fmt: skip


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
    check_target(folder, force=force)
    with _new_folder(folder) as new:
        _write_record(new, record)
        if result is not None:
            _write_result(new, result)
        if draw is not None:
            draw(new)
        _write_text(new / "run.json", dumps(_run_json(new, record, result)))
        _sync(new)
        atomic.swap(new, folder)
    return folder


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A folder beside the target that is gone afterwards, whatever happened."""
    new = folder.parent / f".{folder.name}.{os.getpid()}.new"
    missing = [p for p in folder.parents if not p.exists()]
    try:
        new.mkdir(parents=True)
        yield new
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(
                "the disk of the output folder", got="full", wanted="with room for the run",
                do="make room or choose another folder with -o",
            ) from error  # fmt: skip
        if isinstance(error, FileExistsError | NotADirectoryError | PermissionError):
            raise InputError(
                "the output folder", got=str(folder), wanted="in a writable folder"
            ) from error
        raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
        for parent in missing:  # the innermost first; those that hold the run stay
            with suppress(OSError):
                parent.rmdir()


def _write_record(folder: Path, record: Record) -> None:
    (folder / "record").mkdir()
    record.sites.to_parquet(folder / "record" / "sites.parquet", index=False)
    for name, table in record.tables.items():
        table.to_parquet(folder / "record" / f"{name}.parquet", index=False)


def _write_result(folder: Path, result: Result) -> None:
    for name, table in {"result": result.table, **result.extra}.items():
        table.to_parquet(folder / f"{name}.parquet", index=False)
        table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    _write_text(folder / "claims.json", dumps([asdict(c) for c in result.claims]))
    _write_text(folder / "findings.json", dumps([asdict(f) for f in result.findings]))


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
            p.relative_to(folder).as_posix(): {"bytes": p.stat().st_size, "sha256": _sha256(p)}
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
        return "schema" in json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def _existing_parent(folder: Path) -> Path:
    parent = folder.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir():
        raise InputError("the output folder", got=str(folder), wanted="inside a folder")
    return parent


# --- reading ---------------------------------------------------------------------------------


def _read_run(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise InputError("RUN", got=str(folder), wanted="a run folder", do="see `snnlens list`")
    run = _json(folder / "run.json")
    version = run.get("schema") if isinstance(run, dict) else None
    if version != SCHEMA_VERSION:
        raise InputError(
            f"the schema version of {folder}", got=version, wanted=str(SCHEMA_VERSION),
            do="read it with the snnlens that wrote it",
        )  # fmt: skip
    for part in ("files", "schemas", "networks", "provenance"):
        if part not in run:
            raise InputError(
                str(folder / "run.json"), got=f"no {part}", wanted="as written",
                do="the file was changed",
            )  # fmt: skip
    for name, facts in run["files"].items():
        _check_file(folder / name, facts)
    return run  # type: ignore[no-any-return]


def _check_file(path: Path, facts: dict[str, Any]) -> None:
    if not path.is_file():
        raise InputError(str(path), got="nothing", wanted="there", do="the run is not whole")
    if path.stat().st_size != facts["bytes"]:
        got = f"{path.stat().st_size} bytes"
        raise InputError(
            str(path), got=got, wanted=f"{facts['bytes']} bytes long", do="the file was cut"
        )
    if _sha256(path) != facts["sha256"]:
        raise InputError(
            str(path), got="other bytes", wanted="as written", do="the file was changed"
        )


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            str(path), got="nothing", wanted="there", do="is this a run folder?"
        ) from None
    except (ValueError, UnicodeDecodeError):
        raise InputError(
            str(path), got="something else", wanted="JSON", do="the file was cut or changed"
        ) from None


def _parquet(folder: Path, name: str) -> pd.DataFrame:
    try:
        return pd.read_parquet(folder / name)
    except FileNotFoundError:
        raise InputError(
            str(folder / name), got="nothing", wanted="there", do="the run is not whole"
        ) from None


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
