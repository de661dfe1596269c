"""Every call that changes a file fails once, in each way: what is there is old or new, whole."""

from __future__ import annotations

import errno
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import safetensors.torch
import torch
from matplotlib.figure import Figure

from snnlens import atomic
from snnlens.commands import gate
from snnlens.errors import InputError, SnnlensError
from snnlens.figures import style
from snnlens.models import nir
from snnlens.neuron.kernels import compiler
from snnlens.neuron.layers import IF
from snnlens.recording import store
from snnlens.report import build, companions, compare, export
from snnlens.training import checkpoint, folder, loop, sweep
from snnlens.training.points import DONE, FAILED, Point
from snnlens.training.recipe import Recipe
from tests.trust import faults
from tests.trust.tally import TIMES, Count, times
from tests.unit.recording.test_store import draw, make_record, make_result

pytestmark = pytest.mark.promise("whole-or-nothing")
State = dict[str, bytes] | None


@dataclass(frozen=True)
class Operation:
    """What writes NAME into a folder, from an old or a new content."""

    write: Callable[[Path, str], object]
    names: tuple[str, ...]
    read: Callable[[Path], object] = lambda _: None  # raises where it is not whole
    tidy: bool = True  # whether the next one removes what a kill has left

    def state(self, where: Path) -> list[State]:
        """The bytes under each of its names."""
        return [self._one(where / name) for name in self.names]

    def _one(self, path: Path) -> State:
        if not path.exists():
            with suppress(InputError):
                self.read(path)  # who looks for it puts back what a kill has left aside
        if not path.exists():
            return None
        if path.is_file():
            return {"": path.read_bytes()}
        return {
            p.relative_to(path).as_posix(): p.read_bytes() for p in path.rglob("*") if p.is_file()
        }


RATES = {"old": 0.1, "new": 0.2}
TEXTS = {"old": "an old page\n" * 9, "new": "a new page\n" * 7}


def _save(where: Path, what: str) -> None:
    """As `record` and the questions save: with a result, tables and a figure."""
    store.save_run(make_result(RATES[what]), where / "run", draw, force=True)


def _save_deep(where: Path, what: str) -> None:
    make_record(RATES[what]).save(where / "deep" / "run", force=True)


def _report(where: Path, what: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        beside = companions.paths(where / "report.html")
        patch.setattr(build, "page_of", lambda *_: (TEXTS[what], {}))
        patch.setattr(companions, "_texts", lambda *_: dict.fromkeys(beside, TEXTS[what] + "{}"))
        companions.write_with_page([], where / "report.html", force=True)


def _compare(where: Path, what: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare, "compare", lambda _: None)
        patch.setattr(compare.pages, "page", lambda _: TEXTS[what])
        compare.write([], where / "compare.html", force=True)


def _export(where: Path, what: str) -> None:
    """The files of a target: of each of them they are written by the same hand."""
    made = export.Exported({"a.tex": TEXTS[what].encode(), "deep/b.pdf": b"pdf"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export.registry.module("report/export", "latex"), "export", lambda *_: made)
        export.write("run", "latex", where / "paper", force=True)


def _gate(where: Path, what: str) -> None:
    gate._write(where / "gate.xml", TEXTS[what], force=True)


def _nir(where: Path, what: str) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), IF(threshold=1 + RATES[what]))
    with torch.no_grad():
        model[0].weight.fill_(RATES[what])
        model[0].bias.zero_()
    nir.write_nir(model, where / "net.nir", (2,))


def _checkpoint(where: Path, what: str) -> None:
    """The same epoch once more, as after an epoch that is done again."""
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 2)
    with torch.no_grad():
        model.weight.fill_(RATES[what])
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    folder.clear(where)
    checkpoint.save(where, 1, model, optimiser, torch.amp.GradScaler("cpu", enabled=False))


OPERATIONS = {
    "a run": Operation(_save, ("run",), store.load_result),
    "a record in new folders": Operation(_save_deep, ("deep/run",), store.load),
    "a report": Operation(_report, ("report.html", "report.json", "report.md")),
    "a page of a comparison": Operation(_compare, ("compare.html",)),
    "an export": Operation(_export, ("paper",)),
    "a gate's file": Operation(_gate, ("gate.xml",)),
    "a checkpoint": Operation(_checkpoint, ("checkpoints/epoch-0001",), checkpoint.read),
    "a NIR graph": Operation(_nir, ("net.nir",), tidy=False),
}
CASES = [(name, old) for name in OPERATIONS for old in ("over an old one", "where nothing is")]


def chosen(calls: int, most: int) -> Iterator[tuple[int, str]]:
    """Which call fails in which way: each in each way, or so many of them."""
    every = list(product(range(calls), faults.FAULTS))
    chance = random.Random(0 if TIMES == 1 else None)
    yield from every if len(every) <= times(most) else chance.sample(every, times(most))


@pytest.fixture(name="_without_exchange")
def _without_renameat2(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a system cannot let two folders change places."""
    monkeypatch.setattr(atomic, "_renameat2", lambda: None)


@pytest.mark.parametrize(("name", "old"), CASES)
def test_the_old_or_the_new(name: str, old: str, tmp_path: Path, tally: Count) -> None:
    _every_call(OPERATIONS[name], old == "over an old one", tmp_path, tally)


@pytest.mark.usefixtures("_without_exchange")
@pytest.mark.parametrize("name", ["a run", "an export"])
def test_the_old_or_the_new_in_two_steps(name: str, tmp_path: Path, tally: Count) -> None:
    found = OPERATIONS[name]
    found = found if name == "a run" else replace(found, read=_claimed)  # nobody of us reads it
    _every_call(found, True, tmp_path, tally)


def _claimed(path: Path) -> None:
    """What whoever writes there next does first."""
    with atomic.claimed(path):
        pass


def _every_call(operation: Operation, over: bool, tmp_path: Path, tally: Count) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    for where in (before, after):
        where.mkdir()
        if over:
            operation.write(where, "old")
            operation.read(where / operation.names[0])
    old = operation.state(before)
    calls = faults.counted(after, lambda: operation.write(after, "new"))
    operation.read(after / operation.names[0])
    new = operation.state(after)  # from here on what is equal to one of them is whole
    assert old != new
    assert len(calls) >= 3, calls
    for k, fault in chosen(len(calls), 120):
        where = tmp_path / f"{k}-{fault}"
        shutil.copytree(before, where)
        _one_call(operation, where, k, fault, (old, new))
        shutil.rmtree(where)
        tally("failing calls injected")


def _one_call(
    operation: Operation, where: Path, k: int, fault: str, states: tuple[Any, Any]
) -> None:
    old, new = states
    with faults.failing(where, k, fault) as disk:
        ended = _ending(lambda: operation.write(where, "new"))
    seen = disk.calls[k:][:1], fault, ended
    assert disk.hit, seen
    there = operation.state(where)
    for mine, before, after in zip(there, old, new, strict=True):
        assert mine in (before, after), seen  # no third state
    assert ended or there == new, seen  # who says nothing has written
    if len(there) > 1 and fault != "kill":
        assert there in (old, new) or disk.calls[k] in ("replace", "fsync"), seen
    _only_ours(where, operation)
    faults.counted(where, lambda: operation.write(where, "new"))  # a second attempt
    assert operation.state(where) == new, seen
    assert not (operation.tidy and _hidden(where, operation)), seen


def _ending(act: Callable[[], object]) -> str:
    """What a person is told, in one line; an error that is not for a person goes up."""
    said = ""
    try:
        act()
    except faults.Killed:
        said = "killed"
    except SnnlensError as error:
        said = str(error)
    assert "\n" not in said
    return said


def _hidden(where: Path, operation: Operation) -> list[str]:
    """What was left beside the places of an operation."""
    return [p.name for n in operation.names for p in (where / n).parent.glob(".*")]


def _only_ours(where: Path, operation: Operation) -> None:
    """What a fault leaves has a name that the next writer knows."""
    names = [Path(n).name for n in operation.names]
    for left in _hidden(where, operation):
        assert any(left.startswith(f".{n}.") for n in names), left
        assert Path(left).suffix in (".new", ".old", ".lock"), left


@pytest.mark.usefixtures("_without_exchange")
def test_a_run_that_a_kill_left_aside_is_read_and_kept(tmp_path: Path, tally: Count) -> None:
    """Between two renames there is no run under its name: who reads it puts it back."""
    _save(tmp_path, "old")
    old = OPERATIONS["a run"].state(tmp_path)
    calls = faults.counted(tmp_path, lambda: _save(tmp_path, "old"))
    third = [i for i, name in enumerate(calls) if name == "rename"][2]
    with faults.failing(tmp_path, third, "kill"):
        assert _ending(lambda: _save(tmp_path, "new")) == "killed"
    assert not (tmp_path / "run").exists()
    assert store.load(tmp_path / "run").networks
    assert OPERATIONS["a run"].state(tmp_path) == old
    with pytest.raises(InputError, match="the output folder must be new"):
        make_record().save(tmp_path / "run")
    tally("failing calls injected")


# --- trainings ---------------------------------------------------------------------------------


@pytest.fixture
def small() -> Callable[[str, dict[str, Any]], None]:
    """The work of a point: two epochs of a network of one layer, with a Record after each."""
    from tests.unit.training.test_loop import parts

    both = parts()

    def work(where: str, params: dict[str, Any]) -> None:
        place = Path(where)
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Flatten(1), torch.nn.Linear(192, 10))
        if not folder.is_training(place):
            folder.describe(place, {"name": "small"})
        recipe = Recipe(epochs=params["epochs"], batch=26)
        observe = lambda done: _observed(place, done)  # noqa: E731
        loop.train(loop.Job(model, *both, recipe, place, observe=observe, logits=_logits))
        sweep.mark_done(place)

    return work


def _logits(model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    return model(x.reshape(len(x), -1))  # type: ignore[no-any-return]


def _observed(place: Path, done: int) -> None:
    target = folder.record_folder(place, done)
    store.save(make_record(done / 8), target, force=target.exists())


def _trained(where: Path) -> dict[str, Any]:
    """All that a training says of itself."""
    kept = checkpoint.load(where)
    records = {e: store.load(p).frame().to_csv() for e, p in folder.recorded(where).items()}
    return {
        "checkpoint": None if kept is None else (
            kept.epoch, safetensors.torch.save(kept.weights),
            safetensors.torch.save(kept.optimiser), safetensors.torch.save(kept.random),
        ),
        "metrics": folder.metrics(where).drop(columns="seconds").to_csv(),
        "records": records,
        "done": (where / DONE).exists(),
        "failed": (where / FAILED).exists(),
    }  # fmt: skip


def test_a_training_goes_on_behind_every_call(
    small: Callable[[str, dict[str, Any]], None], tmp_path: Path, tally: Count
) -> None:
    """Train.json, metrics, checkpoints, Records, done.json, failed.json: the end is the same."""
    whole = _swept(tmp_path / "whole", small)
    assert whole["done"]
    calls = faults.counted(tmp_path / "counted", lambda: _swept(tmp_path / "counted", small))
    for k, fault in chosen(len(calls), 40):
        where = tmp_path / f"{k}-{fault}"
        with faults.failing(where, k, fault) as disk:
            ended = _ending(partial(_swept, where, small))
        seen = k, calls[k], fault, ended
        assert disk.hit, seen
        before = _trained(where) if where.exists() else {"checkpoint": None}
        epochs = 0 if before["checkpoint"] is None else before["checkpoint"][0]
        assert len(folder.metrics(where)) >= epochs, seen
        assert _swept(where, small) == whole, seen
        assert {p.name for p in where.rglob(".*")} == {".lock"}, seen
        tally("failing calls injected")


def _swept(where: Path, work: Callable[[str, dict[str, Any]], None]) -> dict[str, Any]:
    """One point of a sweep, however it ends."""
    table = sweep.run([Point("small", where, {"epochs": 2})], work, retries=0)
    why = table["why"][0]
    assert table["state"][0] in ("done", "failed"), table
    assert "Error" not in why, why  # an error that is not for a person
    return _trained(where) if where.exists() else {}


# --- the kernel's cache --------------------------------------------------------------------------


def test_a_kernel_is_compiled_behind_every_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Count
) -> None:
    """The cache is whole, or this process does without it; the next one fills it."""
    source = tmp_path / "answer.c"
    source.write_text("int answer(void) { return 42; }\n")
    _forget()
    monkeypatch.setenv("SNNLENS_CACHE", str(tmp_path / "made"))
    assert compiler.load(source).answer() == 42
    (made,) = (tmp_path / "made").rglob("*.so")
    monkeypatch.setattr(compiler, "_run", lambda command: _copied(made, command))
    monkeypatch.setenv("SNNLENS_CACHE", str(tmp_path / "counted"))
    _forget()
    calls = faults.counted(tmp_path / "counted", lambda: compiler.load(source))
    for k, fault in chosen(len(calls), 120):
        where = tmp_path / f"{k}-{fault}"
        monkeypatch.setenv("SNNLENS_CACHE", str(where))
        _forget()
        with faults.failing(where, k, fault):
            answer = _compiled(source)
        ends = {"kill": "killed", "full": "the reference", "gone": "the reference"}
        assert answer in (42, ends.get(fault)), (calls[k], fault)
        _forget()
        assert compiler.load(source).answer() == 42
        kept = {p.suffix for p in where.rglob("*") if p.is_file()}
        assert kept == {".so", ".lock"}, (calls[k], fault)  # nothing half-made is left
        tally("failing calls injected")
    _forget()


def _compiled(source: Path) -> Any:
    try:
        return compiler.load(source).answer()
    except faults.Killed:
        return "killed"
    except compiler.NotCompiled:  # nowhere at all can it be written
        return "the reference"


def _copied(library: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    """What the compiler would have written."""
    Path(command[command.index("-o") + 1]).write_bytes(library.read_bytes())
    return subprocess.CompletedProcess(command, 0, "", "")


def _forget() -> None:
    for function in (compiler.find, compiler.cache_folder, compiler._temporary, compiler._version):
        function.cache_clear()


WRITERS: dict[str, Callable[[Path], object]] = {
    "a table": lambda path: pd.DataFrame({"a": [1, 2]}).to_parquet(path),
    "a csv": pd.DataFrame({"a": [1, 2]}).to_csv,
    "a text": lambda path: path.write_text("x"),
    "bytes": lambda path: path.write_bytes(b"x"),
    "a figure": lambda path: style.save(Figure(), path.parent),
    "a tree that goes": lambda path: shutil.rmtree(path.parent / "tree"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_the_shim_sees_every_writer(name: str, tmp_path: Path, tally: Count) -> None:
    def fresh() -> Path:
        (tmp_path / "tree" / "deep").mkdir(parents=True, exist_ok=True)
        return tmp_path / "file"

    fresh()
    calls = faults.counted(tmp_path, lambda: WRITERS[name](tmp_path / "file"))
    assert len(calls) >= 2
    for k in range(len(calls)):
        path = fresh()
        with pytest.raises(OSError) as error, faults.failing(tmp_path, k, "broken"):  # noqa: PT011
            WRITERS[name](path)
        assert error.value.errno == errno.EIO
        tally("failing calls injected")
