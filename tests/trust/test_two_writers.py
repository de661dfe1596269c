"""Two processes on one folder: one of them writes, the other is told, and nobody reads a mix."""

from __future__ import annotations

import errno
import fcntl
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from snnlens import api, atomic, cli
from snnlens.errors import InputError
from snnlens.recording import store
from snnlens.recording.result import Result
from snnlens.report import view
from snnlens.training import checkpoint, sweep
from tests.trust import test_kills as one
from tests.trust.tally import Count, times
from tests.trust.victims import SLOWEST, Nursery
from tests.unit.recording.test_store import draw, make_record, make_result

pytestmark = pytest.mark.promise("one-writer")
RUN = Path(__file__).parents[1] / "runs" / "v1"
AHEAD = 0.05  # seconds until two begin in the same moment
TAKEN = r"must be one that no other process writes; got .*; wait until it is there, or choose .*"
THERE = r"must be (new|a new file); got .*; add --force to replace it, or choose another with -o"
KINDS = {"save": one.run, "report": one.report, "gate": one.gate}


@pytest.fixture(scope="module", name="nursery")
def _nursery() -> Iterator[Nursery]:
    with Nursery() as made:
        yield made


@pytest.mark.parametrize("force", [False, True], ids=["", "force"])
@pytest.mark.parametrize("kind", KINDS)
def test_one_writes_and_the_other_is_told(
    kind: str, force: bool, nursery: Nursery, tmp_path: Path, tally: Count
) -> None:
    for number in range(times(6)):
        where = tmp_path / str(number)
        where.mkdir()
        at = time.monotonic() + AHEAD
        two = [
            nursery.start(kind, where, log=f"log{first}", first=first, stop=1, at=at, force=force)
            for first in (1, 2)
        ]
        said = [victim.end()[-1] for victim in two]
        wrote = [n for n, line in enumerate(said, 1) if line == f"saved {n}\n"]
        told = [line for line in said if not line.startswith("saved")]
        assert wrote, said
        assert force or len(wrote) == 1, said
        assert all(re.search(TAKEN if force else f"{TAKEN}|{THERE}", line) for line in told), said
        assert KINDS[kind](where) in wrote  # one of them, whole
        assert not list(where.glob(".*"))
        tally("pairs of writers")


def test_two_threads_are_two_writers(tmp_path: Path, tally: Count) -> None:
    """In one process: who comes while the first makes a run is told, and leaves it alone."""
    said: list[str] = []

    def second(folder: Path) -> None:
        try:
            make_record(0.2).save(tmp_path / "run", force=True)
        except InputError as error:
            said.append(str(error))

    def slow(folder: Path) -> None:
        other = threading.Thread(target=second, args=[folder])
        other.start()
        other.join()
        draw(folder)

    store.save_run(make_result(0.1), tmp_path / "run", slow, force=True)
    assert len(said) == 1
    assert re.search(TAKEN, said[0])
    assert store.load(tmp_path / "run").tables["firing_rate"]["total"][0] == 0.1
    assert [p.name for p in tmp_path.iterdir()] == ["run"]
    tally("pairs of writers")


def test_on_a_disk_without_locks_nothing_mixes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Count
) -> None:
    """Nobody is told there; the last one who writes is the one who is read, whole."""
    monkeypatch.setattr(fcntl, "flock", _no_locks)

    def slow(folder: Path) -> None:
        _elsewhere(lambda: store.save_run(make_result(0.2), tmp_path / "run", draw, force=True))
        assert store.load(tmp_path / "run").tables["firing_rate"]["total"][0] == 0.2
        draw(folder)  # the folder of the first is still there

    store.save_run(make_result(0.1), tmp_path / "run", slow, force=True)
    assert store.load(tmp_path / "run").tables["firing_rate"]["total"][0] == 0.1
    assert [p.name for p in tmp_path.iterdir()] == ["run"]
    tally("pairs of writers")


def _no_locks(*_: object) -> None:
    raise OSError(errno.ENOLCK, "No locks available")


def test_the_second_is_told_before_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Count
) -> None:
    """A run of an hour is not made for nothing."""
    target = tmp_path / "new" / "out"

    def run(*_: object, **__: object) -> None:
        with pytest.raises(InputError, match=TAKEN):
            _elsewhere(lambda: api.answer("rates", target))
        assert ran == [1]
        raise KeyboardInterrupt

    ran: list[int] = []
    monkeypatch.setattr(api, "run", lambda *a, **k: (ran.append(1), run())[1])
    with pytest.raises(KeyboardInterrupt):
        api.answer("rates", target)
    assert not list(tmp_path.iterdir())  # and nothing was written
    tally("pairs of writers")


def _elsewhere(act: Callable[[], object]) -> None:
    """In another thread, which is as another process here; its error comes up."""
    found: list[BaseException] = []

    def call() -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - raised below
            found.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    if found:
        raise found[0]


def test_two_runs_of_one_second_have_two_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Count
) -> None:
    """Runs/QUESTION-TIME: the second gets a -2, while the first is made and when it is there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "strftime", lambda _: "20260101-120000")
    given: list[Path] = []

    def answer(question: str, folder: Path, **_: object) -> Result:
        given.append(folder)
        if len(given) == 1:
            _elsewhere(lambda: cli.main(["rates", "--quiet"]))
        return _saved(folder)

    monkeypatch.setattr(api, "answer", answer)
    cli.main(["rates", "--quiet"])
    cli.main(["rates", "--quiet"])
    names = ["rates-20260101-120000", *(f"rates-20260101-120000-{n}" for n in (2, 3))]
    assert [p.name for p in given] == names
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == names
    tally("pairs of writers", 2)


def _saved(folder: Path) -> Result:
    result = make_result()
    store.save_run(result, folder, draw)
    return result


# --- readers beside a writer ---------------------------------------------------------------------


def page(where: Path) -> int:
    """The number in a run as a report reads it: the Result, its CSV, its figure."""
    (shown,) = view.read([where / "run"])
    found = {int(shown.caption), int(float(re.findall(r"0,([\d.]+),silent", _plain(shown.csv))[0]))}
    assert len(found) == 1, found
    return found.pop()


def _plain(address: str) -> str:
    from urllib.parse import unquote

    return unquote(address)


def weights(where: Path) -> int:
    kept = checkpoint.load(where / "point")
    assert kept is not None
    assert float(kept.weights["weight"][0, 0]) == kept.epoch
    return kept.epoch


def result(where: Path) -> int:
    """The number in a run, read from the Result and its Record alone."""
    found = store.load_result(where / "run")
    assert found is not None
    number = int(found.caption)
    assert number == int(found.table["norm"][0])
    assert number == int(found.record.tables["firing_rate"]["total"][0])
    return number


READERS = [("save", result, True), ("save", result, False), ("save", page, True),
           ("train", weights, True)]  # fmt: skip


@pytest.mark.parametrize(("kind", "read", "exchange"), READERS)
def test_a_reader_never_sees_a_mix(
    kind: str,
    read: Callable[[Path], int],
    exchange: bool,
    nursery: Nursery,
    tmp_path: Path,
    tally: Count,
) -> None:
    (tmp_path / "point").mkdir()
    writer = nursery.start(kind, tmp_path, first=1, exchange=exchange)
    writer.begun()
    seen: list[int] = []
    end = time.monotonic() + SLOWEST
    try:
        while len(seen) < times(25) or len(set(seen)) < 3:  # and it was replaced meanwhile
            assert time.monotonic() < end, "it was not replaced"
            try:
                seen.append(read(tmp_path))
            except InputError as error:
                assert "must be one that stays while it is read" in str(error)  # noqa: PT017
            tally("reads beside a writer")
    finally:
        writer.kill()
    assert seen == sorted(seen)


def test_a_checkpoint_that_goes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Count
) -> None:
    """A training that goes on removes the older one: the newer one is read then."""
    model = torch.nn.Linear(2, 2)
    optimiser = torch.optim.SGD(model.parameters(), 0.1)

    def save(epoch: int) -> None:
        checkpoint.save(tmp_path, epoch, model, optimiser, torch.amp.GradScaler("cpu"))

    real, read = checkpoint.read, []

    def reading(path: Path) -> checkpoint.Checkpoint:
        read.append(path.name)
        if len(read) < 3:
            save(len(read) + 1)
        return real(path)

    save(1)
    monkeypatch.setattr(checkpoint, "read", reading)
    kept = checkpoint.load(tmp_path)
    assert kept is not None
    assert kept.epoch == 3
    assert read == ["epoch-0001", "epoch-0002", "epoch-0003"]
    tally("reads beside a writer", 3)


def test_a_folder_that_never_stays_is_said(tmp_path: Path, tally: Count) -> None:
    """Who reads slower than another writes is told so, and does not wait for ever."""
    target = make_record(1).save(tmp_path / "run")

    def read() -> int:
        tally("reads beside a writer")
        make_record(1).save(target, force=True)
        return 1

    with pytest.raises(InputError) as error:
        atomic.steady(target, "RUN", read)
    assert str(error.value) == (
        f"RUN must be one that stays while it is read; got '{target}'; wait until no other "
        "process replaces it"
    )


# --- the commands --------------------------------------------------------------------------------

TRAIN = ["train", "sew_resnet8", "--data", "digits", "--image-size", "8", "--batch", "256",
         "--time-steps", "1", "--epochs", "2", "--record-every", "2"]  # fmt: skip
COMMANDS = {
    "gradients": (one.COMMANDS["gradients"], one.COMMANDS["gradients"]),
    "train": ([*TRAIN, "-o", "a"], [*TRAIN, "-o", "b"]),  # one training, two answers
    "degradation": (one.COMMANDS["degradation"], one.COMMANDS["degradation"]),
}


PLACES = {
    "out": ["gradients", *one.TINY, "-o", "out"],
    "page.html": ["report", "run", "-o", "page.html"],
    "page.json": ["report", "run", "-o", "page.html"],
    "compare.html": ["compare", "run", "run", "-o", "compare.html"],
    "gate.xml": ["gate", "run", "-o", "gate.xml"],
    "paper": ["export", "run", "--to", "latex", "-o", "paper"],
}


@pytest.mark.parametrize("name", PLACES)
def test_a_command_is_told_that_a_place_is_taken(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tally: Count,
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(RUN, tmp_path / "run")
    codes: list[int] = []
    with atomic.claimed(tmp_path / name):
        for more in ([], ["--force"]):
            _elsewhere(lambda more=more: codes.append(cli.main([*PLACES[name], *more])))
    lines = capsys.readouterr().err.splitlines()
    assert codes == [2, 2], lines
    assert len(lines) == 2
    assert all(re.fullmatch(f"snnlens: .* {TAKEN}", line) for line in lines), lines
    assert [p.name for p in tmp_path.iterdir()] == ["run"]
    tally("pairs of writers", 2)


def test_a_training_that_another_process_works_on(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tally: Count,
) -> None:
    monkeypatch.chdir(tmp_path)
    params = api.parameters("train", {
        "model": "sew_resnet8", "data": "digits", "image_size": 8, "batch": 256, "time_steps": 1,
        "epochs": 2, "record_every": 2,
    })  # fmt: skip
    with sweep.claimed(params.folder):
        assert cli.main([*TRAIN, "-o", "a", "--quiet"]) == 2
        assert [p.name for p in params.folder.iterdir()] == [".lock"]
    assert capsys.readouterr().err == (
        f"snnlens: {params.folder} must be free; got one that another process works on; wait until "
        "it ends\n"
    )
    assert not Path("a").exists()
    tally("pairs of writers")


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_two_commands(name: str, tmp_path: Path, tally: Count) -> None:
    """One ends well, the other is told in one line what is taken."""
    two = [one.command(words, tmp_path) for words in COMMANDS[name]]
    said = [process.communicate(timeout=one.kills.SLOWEST) for process in two]
    codes = [process.returncode for process in two]
    assert sorted(codes) in ([0, 2], [0, 0]), said  # the second may have come when all was done
    for code, (_, error) in zip(codes, said, strict=True):
        lines = error.decode().strip().splitlines()
        assert code == 0 or re.search(f"{TAKEN}|{THERE}|another process works on|begun", lines[-1])
    made = [p.parent for p in tmp_path.glob("*/run.json")]
    assert made
    for folder in made:
        assert store.load_result(folder) is not None
    tally("pairs of writers")
