"""Run folders that are not what they say: changed by accident, or on purpose with new checksums."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import strategies as st

from snnlens.cli import main
from tests.trust.hostile_files import is_one_line

V1 = Path(__file__).parents[1] / "runs" / "v1"
FILES = sorted(p.relative_to(V1).as_posix() for p in V1.rglob("*") if p.is_file())
WRITTEN = [name for name in FILES if name != "run.json"]  # with a checksum in run.json
TABLES = [name for name in FILES if name.endswith(".parquet")]
JSONS = ["run.json", "claims.json", "findings.json"]
FINE = (0, 1)
REFUSED = (2, 5)

# Every command that takes RUN; RUN and the folder of what it writes are put in.
COMMANDS: dict[str, list[str]] = {
    "report": ["report", "RUN", "-o", "OUT/page.html", "--quiet"],
    "compare": ["compare", str(V1), "RUN", "-o", "OUT/page.html", "--json"],
    "gate": ["gate", "RUN", "--format", "json", "--fail-on", "warning"],
    "baseline": ["gate", str(V1), "--baseline", "RUN"],
    "latex": ["export", "RUN", "--to", "latex", "-o", "OUT/tex"],
    "tensorboard": ["export", "RUN", "--to", "tensorboard", "-o", "OUT/events"],
    "nir": ["export", "RUN", "--to", "nir", "-o", "OUT/nir"],
    "rates": ["rates", "RUN", "-o", "OUT/rates", "--json", "--quiet"],
    "gradients": ["gradients", "RUN", "-o", "OUT/gradients", "--quiet"],
    "identity": ["identity", "RUN", "-o", "OUT/identity", "--quiet"],
}
commands = pytest.mark.parametrize("command", COMMANDS)


def copy(folder: Path, of: Path = V1) -> Path:
    """A run of one's own in a folder, to be broken."""
    return Path(shutil.copytree(of, folder / "run"))


def said(run: Path, name: str = "run.json") -> Any:
    """What a JSON file of a run holds."""
    return json.loads((run / name).read_text(encoding="utf-8"))


def seal(run: Path, *names: str) -> None:
    """Make the checksums of changed files anew, as somebody would who does it on purpose."""
    whole = said(run)
    for name in names:
        data = (run / name).read_bytes()
        whole["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (run / "run.json").write_text(json.dumps(whole), encoding="utf-8")


def put(run: Path, name: str, data: bytes) -> None:
    """Write a file of a run, with its checksum."""
    (run / name).write_bytes(data)
    if name != "run.json":
        seal(run, name)


def put_table(run: Path, name: str, frame: pd.DataFrame) -> None:
    """Write a table of a run, with its checksum."""
    frame.to_parquet(run / name, index=False)
    seal(run, name)


def answer(command: str, run: Path, out: Path) -> tuple[int, str]:
    """Run a command on a run: its exit code, and its line where it refuses.

    Whatever the run holds, that is one line and nothing on stdout, or an answer.
    """
    argv = [part.replace("OUT", str(out)) for part in COMMANDS[command]]
    return call([str(run) if part == "RUN" else part for part in argv])


def call(argv: list[str]) -> tuple[int, str]:
    """The same of any command line."""
    stdout, stderr = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr), _quiet():
        code = main(argv)
    stdout.flush()
    line = stderr.getvalue()
    assert code in FINE + REFUSED, f"{argv}: {code}\n{line[-3000:]}"
    assert all(part.isprintable() for part in line.split("\n"))
    if code in REFUSED:
        assert stdout.buffer.getvalue() == b""  # type: ignore[attr-defined]
        assert line.startswith("snnlens: ")
        assert is_one_line(line.removesuffix("\n")), line
        assert "the memory" not in line
    return code, line


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Warnings are no errors of the command: of numbers that overflow, of fonts without a sign."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# --- JSON ----------------------------------------------------------------------------------------

NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([2**31, 2**63, -(2**63) - 1, 2**64, 10**30, 10**400]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([1e308, -1e308, 5e-324]),
)
WORDS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.sampled_from(["", "../../x", "<script>", "\x1b[31m\n", "nan", "18", "sew", "if", "network"]),
)
LEAVES = st.none() | st.booleans() | NUMBERS | WORDS
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@st.composite
def changed(draw: st.DrawFn, value: Any, below: tuple[str, ...] = ()) -> Any:
    """A JSON value with one part replaced, removed, named otherwise or said twice."""
    value = json.loads(json.dumps(value))
    places = [p for p in _places(value) if p[: len(below)] == below and len(p) > len(below)]
    if not places:
        return draw(JSON)
    *way, last = draw(st.sampled_from(places))
    holder = value
    for key in way:
        holder = holder[key]
    kind = draw(st.sampled_from(["other", "other", "other", "gone", "renamed", "deeper"]))
    if kind == "gone":
        del holder[last]
    elif kind == "renamed" and isinstance(holder, dict):
        holder[draw(WORDS)] = holder.pop(last)
    elif kind == "deeper":
        holder[last] = draw(st.sampled_from([[holder[last]], {"a": holder[last]}]))
    else:
        holder[last] = draw(JSON)
    return value


def _places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield here
    if isinstance(value, dict | list):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in parts:
            yield from _places(part, (*here, key))


# --- tables --------------------------------------------------------------------------------------


@st.composite
def changed_table(draw: st.DrawFn, frame: pd.DataFrame) -> pd.DataFrame:
    """A table with other columns, types, numbers, rows."""
    frame = frame.copy()
    for _ in range(draw(st.integers(1, 3))):
        column = str(draw(st.sampled_from(list(frame.columns))))
        kind = draw(st.sampled_from(["gone", "named", "type", "value", "rows", "order", "null"]))
        if kind == "gone" and len(frame.columns) > 1:
            frame = frame.drop(columns=column)
        elif kind == "named":
            frame = frame.rename(columns={column: draw(WORDS)})
            frame = frame.loc[:, ~frame.columns.duplicated()]
        elif kind == "type":
            frame[column] = pd.Series(
                [draw(st.sampled_from(VALUES))] * len(frame), index=frame.index
            )
        elif kind == "value" and len(frame):
            frame[column] = _with(draw, frame[column])
        elif kind == "rows":
            frame = frame.iloc[: draw(st.integers(0, 3))]
        elif kind == "order":
            frame = pd.concat([frame, frame.iloc[: draw(st.integers(0, 3))]], ignore_index=True)
        else:
            frame[column] = None
    return frame.reset_index(drop=True)


VALUES: list[Any] = [True, "x", "", 0, -1, 2**62, 1.5, float("nan"), float("inf"), 1e308, None]


def _with(draw: st.DrawFn, column: pd.Series[Any]) -> pd.Series[Any]:
    """A column with one other value, of its own kind."""
    numeric = pd.api.types.is_numeric_dtype(column)
    kept = [v for v in VALUES if isinstance(v, float | int) == numeric and not isinstance(v, bool)]
    values = column.astype(object).tolist()
    values[draw(st.integers(0, len(values) - 1))] = draw(st.sampled_from(kept))
    return pd.Series(values, index=column.index)
