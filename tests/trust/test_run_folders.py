"""A run folder of anybody: broken by a disk, or on purpose with fitting checksums: one line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnlens.errors import InputError
from snnlens.recording import checked, store, tables
from tests.trust import broken_runs as broken
from tests.trust.hostile_files import damaged, fresh, impostors, refuses, replaced
from tests.trust.tally import Count, fuzz

pytestmark = pytest.mark.promise("one-line")
SAID = broken.said(broken.V1)
BYTES = {name: (broken.V1 / name).read_bytes() for name in broken.FILES}
FRAMES = {name: pd.read_parquet(broken.V1 / name) for name in broken.TABLES}
Impostor = Callable[[Path], None]


def refusal(run: Path) -> str:
    """What is said of a run folder that cannot be read."""
    with pytest.raises(InputError) as error:
        store.load_both(run)
    return str(error.value)


# --- by accident ---------------------------------------------------------------------------------


@fuzz(150)
@given(st.sampled_from(broken.WRITTEN), st.data())
def test_a_file_that_is_not_as_it_was_written_is_refused(
    tmp_path: Path, tally: Count, name: str, data: st.DataObject
) -> None:
    run = broken.copy(fresh(tmp_path))
    (run / name).write_bytes(data.draw(damaged(*BYTES.values())))
    assert refuses(store.load_both, run) == ((run / name).read_bytes() != BYTES[name])
    tally("files damaged")


@fuzz(40)
@given(st.data(), st.sampled_from(list(broken.COMMANDS)))
def test_no_damage_to_run_json_is_a_traceback(
    tmp_path: Path, tally: Count, data: st.DataObject, command: str
) -> None:
    run = broken.copy(fresh(tmp_path))
    (run / "run.json").write_bytes(data.draw(damaged(BYTES["run.json"])))
    broken.answer(command, run, run.parent)
    tally("run.json damaged")


@pytest.mark.timeout(60)  # a pipe that is opened never ends
@pytest.mark.parametrize("name", ["run.json", "record/sites.parquet", "claims.json", "figure.svg"])
@impostors
def test_something_else_in_the_place_of_a_file(
    tmp_path: Path, tally: Count, name: str, impostor: Impostor
) -> None:
    run = broken.copy(tmp_path)
    replaced(run / name, impostor)
    message = refusal(run)
    assert message.startswith(f"{run / name} must be ")
    assert broken.answer("report", run, tmp_path)[1] == f"snnlens: {message}\n"
    tally("things in the place of a file")


def test_a_record_folder_that_is_a_link_is_refused(tmp_path: Path, tally: Count) -> None:
    run = broken.copy(tmp_path)
    (run / "record").rename(tmp_path / "elsewhere")
    (run / "record").symlink_to(tmp_path / "elsewhere")
    assert "must be a file of this folder; got 'a link'" in refusal(run)
    tally("links refused")


# --- on purpose ----------------------------------------------------------------------------------

PARTS = ["provenance", "schemas", "files", "extra", "notes", "question", "title"]


@fuzz(32)
@given(st.sampled_from(["networks", *PARTS]), st.data(), st.sampled_from(list(broken.COMMANDS)))
def test_run_json_of_any_shape(
    tmp_path: Path, tally: Count, part: str, data: st.DataObject, command: str
) -> None:
    run = broken.copy(fresh(tmp_path))
    changed = data.draw(broken.changed(SAID, (part,)))
    broken.put(run, "run.json", json.dumps(changed).encode())
    broken.answer(command, run, run.parent)
    tally("JSON of another shape")


@fuzz(20)
@given(st.sampled_from(["claims.json", "findings.json"]), st.data(),
       st.sampled_from(["report", "compare", "gate", "latex"]))  # fmt: skip
def test_claims_and_findings_of_any_shape(
    tmp_path: Path, tally: Count, name: str, data: st.DataObject, command: str
) -> None:
    run = broken.copy(fresh(tmp_path))
    whole = json.loads(BYTES["claims.json"]) if name == "claims.json" else [FINDING]
    broken.put(run, name, json.dumps(data.draw(broken.changed(whole))).encode())
    broken.answer(command, run, run.parent)
    tally("JSON of another shape")


FINDING = {"code": "SNL201", "severity": "error", "site": "layer1.0", "evidence": "0 spikes",
           "why": "why", "next": "next", "reference": "reference"}  # fmt: skip


@fuzz(28)
@given(st.sampled_from(broken.TABLES), st.data(), st.sampled_from(list(broken.COMMANDS)))
def test_a_table_of_any_columns(
    tmp_path: Path, tally: Count, name: str, data: st.DataObject, command: str
) -> None:
    run = broken.copy(fresh(tmp_path))
    broken.put_table(run, name, data.draw(broken.changed_table(FRAMES[name])))
    broken.answer(command, run, run.parent)
    tally("tables of other columns")


@pytest.mark.parametrize("key", store.KEYS)
def test_a_key_that_is_no_text(tmp_path: Path, tally: Count, key: str) -> None:
    run = broken.copy(fresh(tmp_path))
    name = "record/firing_rate.parquet"
    broken.put_table(run, name, FRAMES[name].assign(**{key: 1}))
    with pytest.raises(InputError, match=rf"with text in {key}; got .*int64 in {key}"):
        store.load_both(run)
    tally("tables of other columns")


@fuzz(100)
@given(st.sampled_from(broken.TABLES), st.data())
def test_a_damaged_table_with_its_checksum(
    tmp_path: Path, tally: Count, name: str, data: st.DataObject
) -> None:
    run = broken.copy(fresh(tmp_path))
    broken.put(run, name, data.draw(damaged(BYTES[name])))
    refuses(store.load_both, run)
    tally("tables damaged")


# --- JSON that is none ---------------------------------------------------------------------------

DEEP = 100_000
TEXTS: dict[str, str] = {
    "lists in lists": '{"schema": 1, "a": ' + "[" * DEEP + "]" * DEEP + "}",
    "objects in objects": '{"schema": 1, "a": ' + '{"a":' * DEEP + "1" + "}" * DEEP + "}",
    "only opened": "[" * DEEP,
    "a lone surrogate": '{"schema": 1, "title": "\\ud800"}',
    "digits": '{"schema": ' + "9" * 5000 + "}",
    "a byte order mark": "\ufeff" + json.dumps(SAID),
    "UTF-16": json.dumps(SAID).encode("utf-16").decode("latin-1"),
    "two values": json.dumps(SAID) * 2,
    "a comment": "// made by hand\n" + json.dumps(SAID),
    "single quotes": "{'schema': 1}",
    "nothing": "",
}


@pytest.mark.parametrize("name", ["run.json", "claims.json"])
@pytest.mark.parametrize("text", TEXTS)
def test_json_that_is_none(tmp_path: Path, tally: Count, text: str, name: str) -> None:
    run = broken.copy(tmp_path)
    broken.put(run, name, TEXTS[text].encode("utf-8"))
    path = run / name
    wanted = f"{path} must be JSON; got 'something else'; the file was cut or changed"
    assert refusal(run) == wanted
    tally("JSON that is none")


@pytest.mark.parametrize("version", [0, 2, -1, 10**30, 1.0, True, "1", None, [1], {"1": 1}])
def test_a_schema_of_another_kind(tmp_path: Path, tally: Count, version: Any) -> None:
    run = broken.copy(tmp_path)
    broken.put(run, "run.json", json.dumps(SAID | {"schema": version}).encode())
    assert refusal(run).startswith(f"the schema version of {run} must be 1; got ")
    tally("other schema versions")


@pytest.mark.parametrize("kind", [None, True, 1, "x", [], [1], [{}]])
@pytest.mark.parametrize("part", ["networks", "provenance", "schemas", "files"])
def test_a_part_of_another_kind(tmp_path: Path, tally: Count, part: str, kind: Any) -> None:
    run = broken.copy(tmp_path)
    broken.put(run, "run.json", json.dumps(SAID | {part: kind}).encode())
    assert refusal(run) == (
        f"{run / 'run.json'} must be as written; got '{part}: input should be an object'; "
        "the file was changed"
    )
    tally("JSON of another shape")


def test_names_and_facts_that_are_long_and_many(tmp_path: Path, tally: Count) -> None:
    run = broken.copy(tmp_path)
    networks = SAID["networks"] | {f"n{i}": {"depth": i, "data": "x" * 40} for i in range(20)}
    more = {"provenance": {"command": "x" * 10**6, "parameters": {"a" * 10**5: ["b"] * 10**4}}}
    broken.put(run, "run.json", json.dumps(SAID | more | {"networks": networks}).encode())
    for command in ("report", "compare", "gate", "latex"):
        broken.answer(command, run, tmp_path)
        tally("JSON of another shape")
    many = {f"n{i}": {} for i in range(checked.MOST_NETWORKS + 1)}
    broken.put(run, "run.json", json.dumps(SAID | {"networks": many}).encode())
    assert refusal(run).startswith(f"{run / 'run.json'} must be of at most 10,000 networks; got ")


# --- files that are bombs ------------------------------------------------------------------------


def test_a_file_is_not_read_if_it_is_too_large(
    tmp_path: Path, tally: Count, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checked, "sha256", lambda path: pytest.fail("it was read"))
    for name, size, most in (
        ("run.json", 2**40, checked.MOST_JSON), ("result.csv", 2**40, checked.MOST_BYTES),
    ):  # fmt: skip
        run = broken.copy(fresh(tmp_path))
        os.truncate(run / name, size)  # of nothing: it takes no room on the disk
        said = SAID | {"files": {"result.csv": {"bytes": size, "sha256": ""}}}
        if name != "run.json":
            broken.put(run, "run.json", json.dumps(said).encode())
        assert refusal(run) == (
            f"{run / name} must be at most {most:,} bytes long; got '{size:,} bytes'; "
            "the file was changed"
        )
        tally("bombs")


def bomb_of_columns(path: Path) -> None:
    columns = {f"c{i}": np.zeros(1) for i in range(tables.MOST_COLUMNS + 1)}
    pq.write_table(pa.table(columns), path)


def bomb_of_text(path: Path) -> None:
    """A megabyte once, and that it is in each of a million rows: 400 kB."""
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(10**6, "int32")), ["x" * 2**20])
    pq.write_table(pa.table({"network": text.cast(pa.dictionary(pa.int32(), pa.string()))}),
                   path, compression="zstd", store_schema=False)  # fmt: skip


def bomb_of_rows(path: Path) -> None:
    """Ten million zeros, twenty times."""
    zeros = pa.table({"step": pa.array(np.zeros(10**7, "int8"))})
    with pq.ParquetWriter(path, zeros.schema, compression="zstd") as writer:
        for _ in range(20):
            writer.write_table(zeros, row_group_size=10**7)


def bomb_of_lists(path: Path) -> None:
    lists = pa.array([[0] * 10**6] * 10, pa.list_(pa.int8()))
    pq.write_table(pa.table({"step": lists}), path, compression="zstd")


BOMBS = {
    bomb_of_columns: "1,001 columns",
    bomb_of_text: "bytes with those before it",
    bomb_of_rows: "1,600,000,000 bytes with those before it",
    bomb_of_lists: "step: list<element: int8>",
}


@pytest.mark.parametrize("name", ["result.parquet", "record/sites.parquet"])
@pytest.mark.parametrize("bomb", BOMBS, ids=lambda b: b.__name__)
def test_a_bomb_is_refused_before_it_is_a_table(
    tmp_path: Path, tally: Count, monkeypatch: pytest.MonkeyPatch, name: str,
    bomb: Callable[[Path], None],
) -> None:  # fmt: skip
    run = broken.copy(tmp_path)
    columns = tables.Columns()  # of sites, too: it is the size that counts
    bomb(run / name)
    assert (run / name).stat().st_size < 2**21
    monkeypatch.setattr(pd, "read_parquet", lambda *_: pytest.fail("it became a table"))
    files = {name: checked.File(0, "")}
    with pytest.raises(InputError, match=str(run / name)) as error:
        tables.read(run, files, {name: columns})
    assert BOMBS[bomb] in str(error.value)
    tally("bombs")


# --- names of files ------------------------------------------------------------------------------

NAMES = [
    "../secret.parquet", "record/../../secret.parquet", "/etc/passwd", "//etc/passwd",
    ".", "..", "",
    "record/", "record/a/b", "./result.csv", "record\\sites.parquet", "C:\\secret", "a\0b", "a\nb",
    ".hidden", "-rf", "record/.hidden", "x" * 300, "file:///etc/passwd", "~/secret",
]  # fmt: skip


@pytest.mark.promise("inside-the-folder")
@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_another_folder_is_refused(tmp_path: Path, tally: Count, name: str) -> None:
    run = broken.copy(tmp_path)
    (tmp_path / "secret.parquet").write_bytes(BYTES["result.parquet"])
    facts = {
        "bytes": len(BYTES["result.parquet"]),
        "sha256": SAID["files"]["result.parquet"]["sha256"],
    }
    listed = SAID | {"files": SAID["files"] | {name: facts}}
    broken.put(run, "run.json", json.dumps(listed).encode())
    assert refusal(run) == str(InputError(
        f"a file of {run / 'run.json'}", got=name, wanted="one of this folder: no path, no ..",
        do="the file was changed",
    ))  # fmt: skip
    tally("names of files refused")


@pytest.mark.promise("inside-the-folder")
@pytest.mark.parametrize("name", ["../secret", "record/../../secret", "/secret", "a/b", "gone"])
@pytest.mark.parametrize("kind", ["extra", "schemas"])
def test_a_table_of_another_folder_is_refused(
    tmp_path: Path, tally: Count, name: str, kind: str
) -> None:
    run = broken.copy(tmp_path)
    for place in (tmp_path, tmp_path.parent, run):
        (place / "secret.parquet").write_bytes(BYTES["result.parquet"])
    said = SAID | {kind: [name] if kind == "extra" else {name: SAID["schemas"]["firing_rate"]}}
    broken.put(run, "run.json", json.dumps(said).encode())
    with pytest.raises(InputError, match="must be there; got 'nothing'; the run is not whole"):
        (store.load_both if kind == "extra" else store.load)(run)
    tally("names of files refused")
