"""The files of a run folder, checked before anything is made of them. Needs no torch.

A checksum shows what changed by accident; who changes a file on purpose makes its checksum anew. So
names, kinds, sizes, shapes and types are checked as well, and nothing outside the folder is read.

    a JSON file      at most 16 MiB, 200 levels deep; UTF-8; run.json: at most 10,000 networks
    any other file   at most 1 GiB; no link; in the folder or in its folder `record`
"""

from __future__ import annotations

import hashlib
import re
import stat
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from snnlens.errors import InputError, SnnlensError
from snnlens.recording.record import Schema
from snnlens.recording.result import Claim, Finding

MOST_JSON = 2**24  # bytes
MOST_NETWORKS = 10_000
MOST_BYTES = 2**30  # of any other file
NAME = re.compile(r"(?:record/)?\w[\w.+-]{0,200}")
CHANGED = "the file was changed"
CUT = "the run is not whole"


@dataclass(frozen=True)
class File:
    """What run.json says of one of the files."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Run:
    """What run.json holds; what else is in it is passed over."""

    question: str | None
    title: str | None
    caption: str | None
    notes: list[str]
    extra: list[str]
    provenance: dict[str, Any]
    networks: dict[str, dict[str, Any]]
    schemas: dict[str, Schema]
    files: dict[str, File]


@contextmanager
def reading(*folders: Path) -> Iterator[None]:
    """Say in one line what is wrong with a run whose fault only its use brings to light.

    Each file may have its shape, and a network still be 0 layers deep, or a row stand there twice.
    """
    try:
        yield
    except (SnnlensError, MemoryError):
        raise
    except OSError as error:
        raise InputError(
            "RUN", got=", ".join(map(str, folders)), wanted="a run folder that can be read",
            do=error.strerror or "",
        ) from error  # fmt: skip
    except Exception as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if "snnlens" in f.filename]
        place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "elsewhere"
        names = ", ".join(map(str, folders))
        raise InputError(
            "what RUN holds", got=f"{names} ({type(error).__name__}: {error}, seen by {place})",
            wanted="as snnlens wrote it", do="if nobody changed it, that is a bug of snnlens",
        ) from error  # fmt: skip


def json(folder: Path, name: str, do: str = CUT) -> Any:
    """What stands in a JSON file of a folder."""
    size(folder, name, MOST_JSON, do)
    return _validated(Any, (folder / name).read_bytes(), folder / name)


def holds_trainings(folder: Path) -> bool:
    """Whether a folder is where trainings are kept, or one of them, and no run.

    >>> holds_trainings(Path("/"))
    False
    """
    if (folder / "run.json").exists():
        return False
    return (folder / "train.json").exists() or any(folder.glob("*/train.json"))


def run(folder: Path, version: int) -> Run:
    """What run.json says; the run is of the schema version `version`."""
    path = folder / "run.json"
    if holds_trainings(folder):
        raise InputError("RUN", got=f"{folder}, which keeps trainings", wanted="a run folder",
                         do="give the one that `snnlens train` wrote with -o")  # fmt: skip
    found = json(folder, path.name, "is this a run folder?")
    got = found.get("schema") if isinstance(found, dict) else None
    if type(got) is not int or got != version:
        raise InputError(
            f"the schema version of {folder}", got=got, wanted=str(version),
            do="read it with the snnlens that wrote it",
        )  # fmt: skip
    said: Run = _validated(Run, path.read_bytes(), path)
    if len(said.networks) > MOST_NETWORKS:
        most = f"of at most {MOST_NETWORKS:,} networks"
        raise InputError(str(path), got=f"{len(said.networks):,}", wanted=most, do=CHANGED)
    if said.question is not None and None in (said.title, said.caption):
        raise changed(path, "a question without title and caption")
    return said


def claims(folder: Path, files: Mapping[str, File]) -> list[Claim]:
    """The claims of a run folder."""
    path = listed(folder, "claims.json", files, MOST_JSON)
    made: list[Claim] = _validated(list[Claim], path.read_bytes(), path)
    return made


def findings(folder: Path, files: Mapping[str, File]) -> list[Finding]:
    """The findings of a run folder."""
    path = listed(folder, "findings.json", files, MOST_JSON)
    made: list[Finding] = _validated(list[Finding], path.read_bytes(), path)
    return made


def whole(folder: Path, files: Mapping[str, File]) -> None:
    """Raise InputError unless each file is in the folder as it was written."""
    for name, facts in files.items():
        if not NAME.fullmatch(name):
            raise InputError(
                f"a file of {folder / 'run.json'}", got=name, do=CHANGED,
                wanted="one of this folder: no path, no ..",
            )  # fmt: skip
        _check_file(folder, name, facts)


def listed(folder: Path, name: str, files: Mapping[str, File], most: int = MOST_BYTES) -> Path:
    """The path of a file that run.json lists, which is no larger than `most`."""
    if name not in files:
        raise InputError(str(folder / name), got="nothing", wanted="there", do=CUT)
    size(folder, name, most)
    return folder / name


def size(folder: Path, name: str, most: int, do: str = CUT) -> int:
    """The bytes of a regular file of a folder, which is no link and not larger than `most`."""
    path = folder / name
    try:
        linked = path.parent != folder and path.parent.is_symlink()
        found = path.lstat()
    except OSError:
        raise InputError(str(path), got="nothing", wanted="there", do=do) from None
    if linked or not stat.S_ISREG(found.st_mode):
        kind = "a link" if linked or stat.S_ISLNK(found.st_mode) else "no file"
        raise InputError(str(path), got=kind, wanted="a file of this folder", do=CHANGED)
    if found.st_size > most:
        got = f"{found.st_size:,} bytes"
        raise InputError(str(path), got=got, wanted=f"at most {most:,} bytes long", do=CHANGED)
    return found.st_size


def sha256(path: Path) -> str:
    """The checksum of a file, hex; its bytes are never in memory together."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- JSON ----------------------------------------------------------------------------------------


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _validated(kind: Any, data: bytes, path: Path) -> Any:
    try:
        return _adapter(kind).validate_json(data, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        raise InputError(
            str(path), got="something else", wanted="JSON", do="the file was cut or changed"
        )
    place = ".".join(map(str, first["loc"]))
    says = first["msg"][:1].lower() + first["msg"][1:]
    raise changed(path, f"no {place}" if first["type"] == "missing" else f"{place}: {says}")


def changed(path: Path, got: str, wanted: str = "as written") -> InputError:
    """What is said of a file that is not what snnlens writes."""
    return InputError(str(path), got=got, wanted=wanted, do=CHANGED)


def _check_file(folder: Path, name: str, facts: File) -> None:
    path, found = folder / name, size(folder, name, MOST_BYTES)
    if found != facts.bytes:
        got = f"{found} bytes"
        raise InputError(
            str(path), got=got, wanted=f"{facts.bytes} bytes long", do="the file was cut"
        )
    if sha256(path) != facts.sha256:
        raise changed(path, "other bytes")
