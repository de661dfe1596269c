"""A run folder: the same after reading, whole or not at all, refused unless whole."""

from __future__ import annotations

import csv
import errno
import json
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from snnlens import atomic
from snnlens.errors import InputError
from snnlens.recording import checked, store
from snnlens.recording.record import Column, Quantity, Record, Schema
from snnlens.recording.result import Claim, Finding, Result

SCHEMA = Schema(
    ("step",),
    {"total": Column(), "elements": Column()},
    {"rate": Quantity("ratio", ("total", "elements"), "spikes")},
)


def make_record(rate: float = 0.5) -> Record:
    """A small record with what is awkward to write: missing, non-finite and large numbers."""
    sites = pd.DataFrame(
        {"network": "net", "order": [0, 1], "site": ["sn1", "layer1.0.output"],
         "block": pd.array([None, 0], "Int64"), "block_kind": [None, "identity"]}
    )  # fmt: skip
    table = pd.DataFrame(
        {"network": "net", "site": ["sn1", "sn1", "layer1.0.output"], "step": [0, 1, 0],
         "total": [rate, 1e-300, math.nan], "elements": [1, 2**62, 3]}
    )  # fmt: skip
    digest = pd.DataFrame({"network": "net", "site": "sn1", "digest": [-(2**63)]})
    facts = {"loss": math.nan, "depth": 18, "zero_init": True, "connect": None, "v": [1, 0.1 + 0.2]}
    return Record(
        sites, {"firing_rate": table, "output_digest": digest},
        {"firing_rate": SCHEMA, "output_digest": Schema((), {"digest": Column()})},
        {"net": facts}, {"command": "snnlens rates", "seed": 7},
    )  # fmt: skip


def make_result(rate: float = 0.5) -> Result:
    claim = Claim("eq11-flat", "the norm is the same", "Eq. 11", math.nan, "<= 1e-6",
                  "not-testable", "no area")  # fmt: skip
    finding = Finding("SNL301", "warning", None, "σ' ≤ 1", "why", "next", "reference")
    table = pd.DataFrame({"block": [0, 1], "norm": [rate, math.inf], "why": ["silent", None]})
    trials = pd.DataFrame({"neuron": ["IF"], "possible": [True]})
    return Result("rates", "How often?", table, "T = 4", [claim], [finding], make_record(rate),
                  ["a note"], {"trials": trials})  # fmt: skip


def draw(folder: Path) -> None:
    (folder / "figure.svg").write_text("<svg/>", encoding="utf-8")
    (folder / "figure.png").write_bytes(b"png")


def assert_same(got: Record, wanted: Record) -> None:
    assert_frame_equal(got.sites, wanted.sites)
    assert list(got.tables) == list(wanted.tables)
    for name, table in wanted.tables.items():
        assert_frame_equal(got.tables[name], table)
    assert got.schemas == wanted.schemas
    assert got.provenance == wanted.provenance
    assert got.networks == {"net": wanted.networks["net"] | {"loss": None}}
    assert_frame_equal(got.frame(), wanted.frame())


def files(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, hidden ones too."""
    return {p.relative_to(folder).as_posix(): p.read_bytes()
            for p in sorted(folder.rglob("*")) if p.is_file()}  # fmt: skip


# --- writing and reading -----------------------------------------------------------------------


def test_round_trip(tmp_path: Path) -> None:
    record = make_record()
    assert record.save(tmp_path / "run") == tmp_path / "run"
    assert_same(store.load(tmp_path / "run"), record)
    assert_same(store.load(str(tmp_path / "run")), record)
    assert store.load_result(tmp_path / "run") is None


def test_round_trip_of_a_result(tmp_path: Path) -> None:
    result = make_result()
    store.save_run(result, tmp_path / "deep" / "run", draw)
    got = store.load_result(tmp_path / "deep" / "run")
    assert got is not None
    assert_frame_equal(got.table, result.table)
    assert list(got.extra) == ["trials"]
    assert_frame_equal(got.extra["trials"], result.extra["trials"])
    assert got.claims[0].measured is None  # NaN is null
    assert [c.id for c in got.claims] == ["eq11-flat"]
    assert got.findings == result.findings
    assert (got.question, got.title, got.caption, got.notes) == (
        "rates", "How often?", "T = 4", ["a note"],
    )  # fmt: skip
    assert_same(got.record, result.record)
    assert got.draw is None


def test_the_files_of_a_run(tmp_path: Path) -> None:
    make_record().save(tmp_path / "record")
    assert sorted(files(tmp_path / "record")) == [
        "record/firing_rate.parquet", "record/output_digest.parquet", "record/sites.parquet",
        "run.json",
    ]  # fmt: skip
    store.save_run(make_result(), tmp_path / "result", draw)
    assert sorted(files(tmp_path / "result")) == [
        "claims.json", "figure.png", "figure.svg", "findings.json", "record/firing_rate.parquet",
        "record/output_digest.parquet", "record/sites.parquet", "result.csv", "result.parquet",
        "run.json", "trials.csv", "trials.parquet",
    ]  # fmt: skip
    assert sorted(p.name for p in tmp_path.iterdir()) == ["record", "result"]


def test_run_json_lists_every_other_file(tmp_path: Path) -> None:
    store.save_run(make_result(), tmp_path / "run", draw)
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    there = files(tmp_path / "run")
    assert set(run["files"]) == set(there) - {"run.json"}
    assert all(facts["bytes"] == len(there[name]) for name, facts in run["files"].items())
    assert run["schema"] == 1


def test_json_has_no_nan(tmp_path: Path) -> None:
    store.save_run(make_result(math.nan), tmp_path / "run", draw)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    for path in (tmp_path / "run").glob("*.json"):
        json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["networks"]["net"]["loss"] is None
    assert run["networks"]["net"]["v"] == [1, 0.1 + 0.2]  # every digit


def test_plain_takes_what_numpy_and_pandas_make() -> None:
    import numpy as np

    value = {1: np.float32(0.5), "n": np.int64(2**62), "b": np.bool_(1), "na": pd.NA,
             "inf": -math.inf, "t": (np.float64(math.nan), "x"), "nat": pd.NaT}  # fmt: skip
    assert store.plain(value) == {
        "1": 0.5, "n": 2**62, "b": True, "na": None, "inf": None, "t": [None, "x"], "nat": None,
    }  # fmt: skip
    assert store.dumps({"s": "σ"}) == '{\n "s": "σ"\n}\n'


def test_the_same_record_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        store.save_run(make_result(), tmp_path / name, draw)
    assert files(tmp_path / "a") == files(tmp_path / "b")


# --- refusing to read --------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return store.save_run(make_result(), tmp_path / "run", draw)


def refusal(folder: Path) -> str:
    messages = []
    for read in (store.load, store.load_result):
        with pytest.raises(InputError) as error:
            read(folder)
        messages.append(str(error.value))
        assert error.value.exit_code == 2
    assert messages[0] == messages[1]
    return messages[0]


def test_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "nowhere"
    assert refusal(path) == f"RUN must be a run folder; got '{path}'; see `snnlens list`"
    path.write_text("a file")
    assert refusal(path) == f"RUN must be a run folder; got '{path}'; see `snnlens list`"


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    assert refusal(tmp_path) == f"{path} must be there; got 'nothing'; is this a run folder?"


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_an_unknown_schema_version(run: Path, version: Any) -> None:
    path = run / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": version}))
    assert refusal(run) == (
        f"the schema version of {run} must be 1; got {version!r};"
        " read it with the snnlens that wrote it"
    )


def test_a_run_json_of_another_kind(run: Path) -> None:
    (run / "run.json").write_text("[1, 2]")
    assert refusal(run) == (
        f"the schema version of {run} must be 1; got None; read it with the snnlens that wrote it"
    )


@pytest.mark.parametrize("length", [0, 1, 100])
def test_a_cut_run_json(run: Path, length: int) -> None:
    path = run / "run.json"
    path.write_bytes(path.read_bytes()[:length])
    assert refusal(run) == f"{path} must be JSON; got 'something else'; the file was cut or changed"


def test_a_run_json_without_its_parts(run: Path) -> None:
    path = run / "run.json"
    whole = json.loads(path.read_text())
    for part in ("files", "schemas", "networks", "provenance"):
        path.write_text(json.dumps({k: v for k, v in whole.items() if k != part}))
        with pytest.raises(InputError) as error:
            store.load(run)
        assert str(error.value) == (
            f"{path} must be as written; got 'no {part}'; the file was changed"
        )


NAMES = ["record/sites.parquet", "record/firing_rate.parquet", "result.parquet", "claims.json",
         "figure.svg", "result.csv"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file(run: Path, name: str) -> None:
    (run / name).unlink()
    assert refusal(run) == f"{run / name} must be there; got 'nothing'; the run is not whole"


@pytest.mark.parametrize("name", NAMES)
def test_a_cut_file(run: Path, name: str) -> None:
    whole = (run / name).read_bytes()
    (run / name).write_bytes(whole[:-1])
    assert refusal(run) == (
        f"{run / name} must be {len(whole)} bytes long; got '{len(whole) - 1} bytes';"
        " the file was cut"
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_file(run: Path, name: str) -> None:
    whole = bytearray((run / name).read_bytes())
    whole[len(whole) // 2] ^= 1
    (run / name).write_bytes(bytes(whole))
    assert refusal(run) == (
        f"{run / name} must be as written; got 'other bytes'; the file was changed"
    )


# --- the target --------------------------------------------------------------------------------


def test_an_existing_folder_without_force(tmp_path: Path) -> None:
    target = tmp_path / "run"
    make_record(0.1).save(target)
    before = files(tmp_path)
    with pytest.raises(InputError) as error:
        make_record(0.2).save(target)
    assert str(error.value) == (
        f"the output folder must be new; got '{target}';"
        " add --force to replace it, or choose another with -o"
    )
    assert files(tmp_path) == before


def test_force_replaces_a_run_and_an_empty_folder(tmp_path: Path) -> None:
    target = tmp_path / "run"
    store.save_run(make_result(0.1), target, draw)
    make_record(0.2).save(target, force=True)
    assert_same(store.load(target), make_record(0.2))
    assert "figure.svg" not in files(target)  # nothing of the old run is mixed in
    empty = tmp_path / "empty"
    empty.mkdir()
    make_record(0.3).save(empty, force=True)
    assert_same(store.load(empty), make_record(0.3))
    make_record(0.4).save(tmp_path / "new", force=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "new", "run"]


def _something_else(folder: Path, kind: str) -> None:
    if kind == "a symlink to a run":
        make_record().save(folder.parent / "real")
        folder.symlink_to(folder.parent / "real")
    elif kind == "a symlink to nothing":
        folder.symlink_to(folder.parent / "gone")
    elif kind == "a file":
        folder.write_text("precious")
    else:
        folder.mkdir()
        (folder / "thesis.tex").write_text("precious")
        if kind == "another run.json":
            (folder / "run.json").write_text('{"precious": 1}')


@pytest.mark.parametrize(
    "kind", ["a folder", "another run.json", "a file", "a symlink to a run", "a symlink to nothing"]
)
def test_force_refuses_what_is_no_run(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "run"
    _something_else(target, kind)
    before = files(tmp_path)
    with pytest.raises(InputError) as error:
        make_record().save(target, force=True)
    assert str(error.value) == (
        f"the output folder must be an older run or an empty folder; got '{target}';"
        " --force replaces nothing else; choose another with -o"
    )
    assert files(tmp_path) == before
    assert target.is_symlink() == ("symlink" in kind)


def test_a_target_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / "run"
    with pytest.raises(InputError) as error:
        make_record().save(target)
    assert str(error.value) == f"the output folder must be inside a folder; got '{target}'"


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_no_room_is_said_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9, 3 * 2**20))
    with pytest.raises(InputError) as error:
        make_record().save(tmp_path / "a" / "run")
    assert str(error.value) == (
        "the disk of the output folder must be with at least 64 MB free; got '3 MB free';"
        " make room or use -o"
    )
    assert not list(tmp_path.iterdir())


def test_a_folder_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(InputError) as error:
        make_record().save(tmp_path / "run")
    assert str(error.value) == (
        f"the output folder must be in a writable folder; got '{tmp_path / 'run'}'"
    )
    assert not list(tmp_path.iterdir())


# --- failures on the way -----------------------------------------------------------------------

FULL = OSError(errno.ENOSPC, "No space left on device")
Failure = Callable[[pytest.MonkeyPatch, BaseException], None]


def _fail_at(owner: Any, name: str, nth: int = 1) -> Failure:
    """Let the nth call of owner.name fail, once."""

    def inject(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
        original, calls = getattr(owner, name), []

        def failing(*args: Any, **kwargs: Any) -> Any:
            calls.append(1)
            if len(calls) == nth:
                raise error
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, failing)

    return inject


STEPS: dict[str, Failure] = {
    "first table": _fail_at(pd.DataFrame, "to_parquet", 1),
    "third table": _fail_at(pd.DataFrame, "to_parquet", 3),
    "result table": _fail_at(pd.DataFrame, "to_parquet", 4),
    "csv": _fail_at(pd.DataFrame, "to_csv"),
    "claims": _fail_at(Path, "write_text", 1),
    "findings": _fail_at(Path, "write_text", 2),
    "run.json": _fail_at(store, "_run_json"),
    "checksum": _fail_at(checked, "sha256", 3),
    "first sync": _fail_at(os, "fsync", 1),
    "last sync": _fail_at(os, "fsync", 12),
    "swap": _fail_at(atomic, "swap"),
    "first rename": _fail_at(Path, "rename", 1),
}


def _draw_fails(folder: Path) -> None:
    (folder / "figure.svg").write_text("<sv", encoding="utf-8")
    raise RuntimeError("the drawing failed")


ERRORS: dict[str, BaseException] = {
    "full": FULL,
    "quota": OSError(errno.EDQUOT, "Disk quota exceeded"),
    "broken": OSError(errno.EIO, "Input/output error"),
    "bug": RuntimeError("a bug"),
    "ctrl-c": KeyboardInterrupt(),
}


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("step", STEPS)
def test_a_failure_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, kind: str
) -> None:
    STEPS[step](monkeypatch, ERRORS[kind])
    target = tmp_path / "new" / "run"
    _expect(kind, target, lambda: store.save_run(make_result(), target, draw))
    assert not list(tmp_path.iterdir())  # not even the folder around it


def _in_turn(nth: int) -> Failure:
    """Let the nth rename fail where two folders cannot change places in one step."""

    def inject(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
        monkeypatch.setattr(atomic, "_renameat2", lambda: None)
        _fail_at(Path, "rename", nth)(monkeypatch, error)

    return inject


SWAPS: dict[str, Failure] = {
    "exchange": _fail_at(atomic, "_exchanged"),
    "old aside": _in_turn(2),
    "new in its place": _in_turn(3),
}


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("step", [*STEPS, *SWAPS])
def test_a_failure_leaves_the_old_run_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, kind: str
) -> None:
    target = tmp_path / "run"
    store.save_run(make_result(0.1), target, draw)
    before = files(tmp_path)
    (STEPS | SWAPS)[step](monkeypatch, ERRORS[kind])
    _expect(kind, target, lambda: store.save_run(make_result(0.2), target, draw, force=True))
    monkeypatch.undo()
    assert files(tmp_path) == before
    assert [p.name for p in tmp_path.iterdir()] == ["run"]
    assert_same(store.load(target), make_record(0.1))


SAID = {
    "full": "the disk of the output folder must be with room for the run; got 'full';"
    " make room or choose another folder with -o",
    "broken": "the output folder must be in a writable folder; got '{}'; Input/output error",
}


def _expect(kind: str, target: Path, call: Callable[[], object]) -> None:
    said = SAID.get("full" if kind == "quota" else kind)
    with pytest.raises(InputError if said else type(ERRORS[kind])) as error:
        call()
    assert said is None or str(error.value) == said.format(target)


def test_a_drawing_that_fails_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "run"
    with pytest.raises(RuntimeError, match=r"^the drawing failed$"):
        store.save_run(make_result(), target, _draw_fails)
    assert not list(tmp_path.iterdir())
    store.save_run(make_result(0.1), target, draw)
    with pytest.raises(RuntimeError, match=r"^the drawing failed$"):
        store.save_run(make_result(), target, _draw_fails, force=True)
    assert_same(store.load(target), make_record(0.1))
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_what_pyarrow_says_of_a_full_disk() -> None:
    """The errno that `save` looks at is there when the real writer meets a real full device."""
    full = Path("/dev/full")
    if not full.exists():
        return  # not Linux: the injected errors above stand for it
    with pytest.raises(OSError) as error:  # noqa: PT011
        make_record().sites.to_parquet(full, index=False)
    assert error.value.errno == errno.ENOSPC


# --- what is handed back -----------------------------------------------------------------------


def test_nothing_is_replaced_unless_it_is_said(tmp_path: Path) -> None:
    for write in (
        lambda: store.save(make_record(), tmp_path / "record"),
        lambda: store.save_run(make_result(), tmp_path / "result", draw),
    ):
        assert write().is_dir()
        with pytest.raises(InputError, match="must be new; got"):
            write()


def test_result_and_record_of_one_run(tmp_path: Path) -> None:
    store.save_run(make_result(), tmp_path / "result", draw)
    result, record = store.load_both(tmp_path / "result")
    assert result is not None
    assert record is result.record
    assert_same(record, make_record())
    store.save(make_record(), tmp_path / "record")
    result, record = store.load_both(str(tmp_path / "record"))
    assert result is None
    assert_same(record, make_record())


def test_a_file_that_the_run_lists(tmp_path: Path) -> None:
    store.save_run(make_result(), tmp_path / "run", draw)
    assert store.member(tmp_path / "run", "figure.svg", 100) == tmp_path / "run" / "figure.svg"
    (tmp_path / "run" / "other.svg").write_text("<svg/>", encoding="utf-8")
    with pytest.raises(InputError):
        store.member(tmp_path / "run", "other.svg", 100)
    with pytest.raises(InputError):
        store.member(tmp_path / "run", "figure.svg", 5)


def test_run_json_says_what_the_result_says(tmp_path: Path) -> None:
    store.save_run(make_result(), tmp_path / "result", draw)
    store.save(make_record(), tmp_path / "record")
    said = {}
    for kind in ("result", "record"):
        run = json.loads((tmp_path / kind / "run.json").read_text(encoding="utf-8"))
        said[kind] = [run[k] for k in ("question", "title", "caption", "notes", "extra")]
    assert said == {"result": ["rates", "How often?", "T = 4", ["a note"], ["trials"]],
                    "record": [None, None, None, [], []]}  # fmt: skip


def test_rows_that_were_chosen_are_written_without_their_numbers(tmp_path: Path) -> None:
    """A table that was filtered has an index with gaps, which is no column of it."""
    record = make_record()
    chosen = record.tables["firing_rate"].iloc[[0, 2]]
    kept = replace(record, sites=record.sites.iloc[[1]],
                   tables=record.tables | {"firing_rate": chosen})  # fmt: skip
    result = replace(make_result(), record=kept, table=make_result().table.iloc[[1]])
    store.save_run(result, tmp_path / "run", draw)
    got, record = store.load_both(tmp_path / "run")
    assert got is not None
    assert_frame_equal(record.sites, kept.sites.reset_index(drop=True))
    assert_frame_equal(record.tables["firing_rate"], chosen.reset_index(drop=True))
    assert_frame_equal(got.table, result.table.reset_index(drop=True))
    head = (tmp_path / "run" / "result.csv").read_bytes().splitlines()[0]
    assert head == b"block,norm,why"


def test_numbers_of_numpy_are_written_as_pythons() -> None:
    kinds = [type(store.plain(x)) for x in (np.int64(3), np.float32(0.5), np.bool_(True))]
    assert kinds == [int, float, bool]
    assert json.loads(store.dumps({"n": np.int64(3), "yes": np.bool_(True)})) == {
        "n": 3,
        "yes": True,
    }


@pytest.mark.parametrize("column", ["total", "elements"])
def test_a_sum_that_is_text_is_refused(tmp_path: Path, column: str) -> None:
    record = make_record()
    table = record.tables["firing_rate"].assign(**{column: "many"})
    store.save(replace(record, tables=record.tables | {"firing_rate": table}), tmp_path / "run")
    with pytest.raises(InputError, match=column):
        store.load(tmp_path / "run")


# --- names and texts ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sites", "result", "a b", "a/b", "", ".."])
def test_a_table_that_would_take_the_place_of_another_file(tmp_path: Path, name: str) -> None:
    made = make_record()
    made.tables[name], made.schemas[name] = made.tables["output_digest"], Schema((), {})
    with pytest.raises(InputError) as error:
        store.save(made, tmp_path / "run")
    assert str(error.value) == (
        "the name of a table must be of letters, digits, '_', '.', '+' and '-', and neither sites "
        f"nor result; got {name!r}"
    )
    assert not list(tmp_path.iterdir())


def test_a_further_table_of_such_a_name(tmp_path: Path) -> None:
    made = replace(make_result(), extra={"result": make_result().table})
    with pytest.raises(InputError, match=r"^the name of a table must be .*; got 'result'$"):
        store.save_run(made, tmp_path / "run", draw)
    assert not list(tmp_path.iterdir())


def test_a_text_that_utf_8_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        store.save_run(replace(make_result(), caption="so \ud800 it"), tmp_path / "run", draw)
    assert str(error.value).startswith(
        "a name or a text of the run must be text that UTF-8 can write; got '"
    )
    assert "so \\ud800" in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_site_twice_is_refused(tmp_path: Path) -> None:
    made = make_record()
    twice = replace(made, sites=pd.concat([made.sites, made.sites.iloc[:1].assign(order=2)]))
    store.save(twice, tmp_path / "run")
    with pytest.raises(InputError) as error:
        store.load(tmp_path / "run")
    path = tmp_path / "run" / "record" / "sites.parquet"
    assert str(error.value).startswith(f"{path} must be as written; got 'a site twice'")


@pytest.mark.parametrize(
    ("table", "quotes"),
    [
        (pd.DataFrame({"a": ["x", "y"], "b": [1, 2]}), False),
        (pd.DataFrame({"a": ["x", "y\rz"], "b": [1, 2]}), True),
        (pd.DataFrame({"a\r": [1, 2]}), True),
    ],
)
def test_a_carriage_return_is_quoted(table: pd.DataFrame, *, quotes: bool) -> None:
    assert store.quoting(table) == (csv.QUOTE_NONNUMERIC if quotes else csv.QUOTE_MINIMAL)


def test_a_file_that_is_no_json_is_no_run_to_replace(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("no JSON")
    with pytest.raises(InputError):
        store.save(make_record(), tmp_path / "run", force=True)
    assert (tmp_path / "run" / "run.json").read_text() == "no JSON"


def test_json_keeps_letters_as_they_are() -> None:
    assert "σ' ≤ 1" in store.dumps({"text": "σ' ≤ 1"})
