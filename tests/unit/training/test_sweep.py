"""A sweep in one process: its locks, its table, its failures; what a kill leaves; time left."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from snnlens import atomic
from snnlens.errors import InputError
from snnlens.training import progress, sweep
from snnlens.training.points import FAILED, METRICS, Busy, Point, fail, whole_epochs
from tests.unit.training import toy

ROOT = Path(__file__).parents[3]
HOLD = """
import sys, time
from snnlens.training import sweep
with sweep.claimed(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds a point until it is killed."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def started(folder: Path, *arguments: Any) -> subprocess.Popen[str]:
    """A sweep of the toy as its own program, in a group of its own."""
    command = [sys.executable, "-W", "error", "-m", "tests.unit.training.toy", str(folder)]
    return subprocess.Popen(
        command + [str(a) for a in arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, cwd=ROOT, start_new_session=True,
        env=os.environ | {"TMPDIR": str(folder)},  # a killed one leaves its temporary files
    )  # fmt: skip


def wait_until(true: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    """Until something is so; a process that should bring it about must not end before."""
    while not true():
        if process is not None and process.poll() is not None:
            pytest.fail(f"it ended before: {process.communicate()}")
        time.sleep(0.01)


def whole(points: list[Point]) -> int:
    """Epochs done, of all points."""
    return sum(whole_epochs(p.folder) for p in points)


# --- one after another ---------------------------------------------------------------------------


def test_points_run_in_their_order_and_end(tmp_path: Path) -> None:
    points = toy.points(tmp_path, 3, epochs=2)
    table = sweep.run(points, toy.work)
    toy.assert_whole(points)
    assert list(table["network"]) == ["p0", "p1", "p2"]
    assert set(table["state"]) == {"done"}
    assert list(table["epoch"]) == list(table["epochs"]) == [2, 2, 2]
    lines = [(line.at, p.name) for p in points for line in toy.log(p.folder)]
    assert [name for _, name in sorted(lines)] == ["p0"] * 4 + ["p1"] * 4 + ["p2"] * 4
    assert toy.pids(points) == {os.getpid()}


def test_a_point_that_is_done_is_left_alone(tmp_path: Path) -> None:
    points = toy.points(tmp_path, 2, epochs=1)
    sweep.run(points[:1], toy.work)
    before = toy.log(points[0].folder)
    sweep.run(points, toy.work)
    assert toy.log(points[0].folder) == before
    toy.assert_whole(points)


def test_a_failing_point_stops_no_other_and_is_tried_again_the_next_time(tmp_path: Path) -> None:
    points = toy.points(tmp_path, 3, epochs=3)
    points[1].params.update(fails_at=2, fails="always")
    table = sweep.run(points, toy.work, retries=2)
    assert list(table["state"]) == ["done", "failed", "done"]
    assert list(table["why"]) == ["", "ValueError: a fault of two lines", ""]
    assert list(table["epoch"]) == [3, 2, 3]
    assert len(toy.attempts(points[1].folder)) == 3
    written = json.loads((points[1].folder / FAILED).read_text())
    assert written["why"] == "ValueError: a fault of two lines"
    del points[1].params["fails"], points[1].params["fails_at"]
    table = sweep.run(points, toy.work)
    assert set(table["state"]) == {"done"}
    assert not (points[1].folder / FAILED).exists()
    toy.assert_whole(points)


def test_what_failed_is_not_tried_twice_in_one_run(tmp_path: Path) -> None:
    """Dask asks again where the answer was lost with its worker."""
    (point,) = toy.points(tmp_path, 1, epochs=1, fails_at=0, fails="always")

    def outcome(run: str) -> sweep.Outcome:
        return sweep.attempt(str(point.folder), point.params, toy.work, 0, run)

    wanted = sweep.Outcome("failed", "ValueError: a fault of two lines")
    for run, attempts in (("a", 1), ("a", 1), ("b", 2)):
        assert outcome(run) == wanted
        assert len(toy.attempts(point.folder)) == attempts
    del point.params["fails_at"]
    assert outcome("c") == outcome("c") == sweep.Outcome("ended")
    assert len(toy.attempts(point.folder)) == 3


def test_the_old_reason_is_gone_while_the_point_runs(tmp_path: Path) -> None:
    (point,) = toy.points(tmp_path, 1, epochs=1)
    point.folder.mkdir()
    fail(point.folder, "an old reason")
    seen: list[Any] = []

    def work(folder: str, params: dict[str, Any]) -> None:
        seen.append(sweep.table([point]).iloc[0].to_dict())

    assert sweep.table([point])["why"][0] == "an old reason"
    sweep.run([point], work)
    assert seen == [{"network": "p0", "state": "running", "epoch": 0, "epochs": 1, "why": ""}]


def test_a_users_mistake_is_not_tried_again_and_an_accident_is(tmp_path: Path) -> None:
    points = toy.points(tmp_path, 2, epochs=2, fails_at=1)
    points[0].params["fails"] = "user"
    points[1].params["fails"] = "once"
    table = sweep.run(points, toy.work, retries=1)
    assert list(table["state"]) == ["failed", "done"]
    assert table["why"][0] == "depth must be 8 or 20; got 9"
    assert [len(toy.attempts(p.folder)) for p in points] == [1, 2]


def test_a_reason_that_a_full_disk_has_no_room_for_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    points = toy.points(tmp_path, 2, epochs=1)
    monkeypatch.setattr(atomic, "write_file", full)
    table = sweep.run(points, toy.work, retries=0)
    assert list(table["state"]) == ["failed", "failed"]
    assert set(table["why"]) == {"OSError: [Errno 28] No space left on device"}
    assert not (points[0].folder / FAILED).exists()


def test_a_folder_that_cannot_be_made_fails_its_point_alone(tmp_path: Path) -> None:
    (tmp_path / "p0").write_text("a file")
    points = toy.points(tmp_path, 2, epochs=1)
    table = sweep.run(points, toy.work)
    assert list(table["state"]) == ["failed", "done"]
    said = "the folder of a training must be in a writable folder; got"
    assert table["why"][0] == f"{said} '{points[0].folder}'"


def test_ctrl_c_goes_up_and_the_whole_epochs_stay(tmp_path: Path) -> None:
    points = toy.points(tmp_path, 2, epochs=3)

    def work(folder: str, params: dict[str, Any]) -> None:
        toy.work(folder, params | {"epochs": 1})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep.run(points, work)
    assert not sweep.is_claimed(points[0].folder)
    assert [whole_epochs(p.folder) for p in points] == [1, 0]
    assert not toy.log(points[1].folder)


# --- the lock ------------------------------------------------------------------------------------


def test_the_second_claim_is_refused_and_a_killed_holder_lets_go(tmp_path: Path) -> None:
    with holder(tmp_path / "p0") as process:
        assert sweep.is_claimed(tmp_path / "p0")
        with pytest.raises(Busy) as error, sweep.claimed(tmp_path / "p0"):
            pass
        assert str(error.value) == (
            f"{tmp_path / 'p0'} must be free; got one that another process works on; "
            "wait until it ends"
        )
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not sweep.is_claimed(tmp_path / "p0")
        with sweep.claimed(tmp_path / "p0"):
            assert sweep.is_claimed(tmp_path / "p0")
    assert not sweep.is_claimed(tmp_path / "p0")


def test_a_claim_is_refused_within_one_process_too(tmp_path: Path) -> None:
    with sweep.claimed(tmp_path), pytest.raises(Busy), sweep.claimed(tmp_path):
        pass


def test_whoever_only_looks_disturbs_no_claim(tmp_path: Path) -> None:
    """`is_claimed` takes the lock for a moment; a claim outlasts it."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.001):
            sweep.is_claimed(tmp_path)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for _ in range(100):
            with sweep.claimed(tmp_path):
                pass
    finally:
        over.set()
        watcher.join()


def test_the_lock_goes_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^a fault$"), sweep.claimed(tmp_path):
        raise ValueError("a fault")
    assert not sweep.is_claimed(tmp_path)


def test_a_held_point_waits_until_it_is_free(tmp_path: Path) -> None:
    """The others go on; then it is done by this process."""
    points = toy.points(tmp_path, 3, epochs=1)
    with holder(points[0].folder) as process:

        def tell(done: int, total: int, left: float | None, table: pd.DataFrame) -> None:
            if done == 2:
                assert list(table["state"]) == ["running", "done", "done"]
                process.kill()

        table = sweep.run(points, toy.work, progress=tell)
    assert set(table["state"]) == {"done"}
    toy.assert_whole(points)


def test_a_point_held_without_end_is_given_up_and_shown_as_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(sweep, "LOOK_SECONDS", 0.05)
    points = toy.points(tmp_path, 2, epochs=1)
    with holder(points[0].folder):
        table = sweep.run(points, toy.work)
        assert list(table["state"]) == ["running", "done"]
        assert list(table["why"]) == ["", ""]
    assert sweep.table(points)["state"][0] == "waiting"


def test_patience_lasts_as_long_as_epochs_are_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock of our own: 40 s after each epoch is fine, 61 s without one is not."""
    now = [1000.0]
    monkeypatch.setattr(sweep.time, "monotonic", lambda: now[0])
    (point,) = toy.points(tmp_path, 1, epochs=9)
    point.folder.mkdir()
    patience = sweep._Patience()
    (point.folder / METRICS).write_text("epoch\n")
    for _ in range(5):
        assert not patience.is_over([point])
        now[0] += 40
        atomic.append(point.folder / METRICS, "0")
    assert not patience.is_over([point])
    now[0] += 61
    assert patience.is_over([point])


# --- a kill --------------------------------------------------------------------------------------


def test_a_killed_sweep_goes_on_where_it_was(tmp_path: Path) -> None:
    """Killed at three moments, a line cut by hand as well: no epoch is done twice."""
    points = toy.points(tmp_path, 2, epochs=30, seconds=0.02)
    for done in (1, 31, 55):
        with started(tmp_path, 2, 1, 30, 0.02) as process:
            wait_until(lambda n=done: whole(points) >= n, process)  # type: ignore[misc]
            process.kill()
        if done == 31:
            with (points[1].folder / METRICS).open("a") as file:
                file.write("99")
    sweep.run(points, toy.work)
    assert len(toy.pids(points)) == 4
    assert len([x for p in points for x in toy.log(p.folder) if x.what == "epoch"]) <= 60
    toy.assert_whole(points)


# --- the table -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "epochs"),
    [
        ("", 0),
        ("epoch,lo", 0),
        ("epoch,loss\n", 0),
        ("epoch,loss\n0,1.5\n", 1),
        ("epoch,loss\n0,1.5\n1,0.25", 1),
        ("epoch,loss\n0,1.5\n1", 1),
        ("epoch,loss\n0,1.5\n1\n", 1),
        ("epoch,loss\n0,1.5\n1,0.25\n", 2),
    ],
    ids=["empty", "half a head", "head", "one", "no newline", "no comma", "a cut row", "two"],
)
def test_only_whole_lines_are_epochs(tmp_path: Path, text: str, epochs: int) -> None:
    (tmp_path / METRICS).write_text(text)
    assert whole_epochs(tmp_path) == epochs


def test_the_states_of_a_table(tmp_path: Path) -> None:
    points = toy.points(tmp_path, 4, epochs=5)
    for point in points[:3]:
        point.folder.mkdir()
    sweep.mark_done(points[0].folder)
    fail(points[1].folder, "a reason")
    fail(points[2].folder, "an older one")
    with sweep.claimed(points[2].folder):
        table = sweep.table(points)
    assert list(table.columns) == ["network", "state", "epoch", "epochs", "why"]
    assert list(table["state"]) == ["done", "failed", "running", "waiting"]
    assert list(table["why"]) == ["", "a reason", "", ""]
    assert [str(kind) for kind in table.dtypes[["epoch", "epochs"]]] == ["int64", "int64"]
    assert sweep.table([]).empty


# --- progress ------------------------------------------------------------------------------------


def test_progress_is_told_while_points_run_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0.02)
    said: list[tuple[int, int, float | None]] = []
    points = toy.points(tmp_path, 2, epochs=5, seconds=0.05)
    sweep.run(points, toy.work, progress=lambda *told: said.append(told[:3]))
    done = [d for d, *_ in said]
    assert done == sorted(done)
    assert said[-1] == (10, 10, 0.0)
    assert {total for _, total, _ in said} == {10}
    assert len(set(done)) > 5
    for number, _, left in said:
        assert (left is None) == (number == 0)


def test_time_left_by_hand(tmp_path: Path) -> None:
    """Epochs of cost 1, 4 and 1: 2 + 4 done in 12 s, so 2 s a unit; 4 + 8 to come."""
    points = [Point(n, tmp_path / n, {"epochs": 6} | cost)
              for n, cost in (("a", {}), ("b", {"cost": 4.0}), ("c", {}))]  # fmt: skip
    points[1].params["epochs"] = 4
    first = sweep.table(points).assign(epoch=[0, 1, 3])
    now = first.assign(epoch=[2, 2, 3], state=["running", "running", "failed"])
    assert progress.seconds_left(points, first, now, 12.0) == (4 * 1 + 2 * 4) * 2.0
    whole = now.assign(epoch=[6, 4, 3], state=["done", "done", "failed"])
    assert progress.seconds_left(points, first, whole, 50.0) == 0.0


# --- wrong use -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"workers": 0}, "workers must be at least 1; got 0"),
        ({"threads": 0}, "threads must be at least 1; got 0"),
    ],
)
def test_wrong_numbers(tmp_path: Path, given: dict[str, int], message: str) -> None:
    with pytest.raises(InputError) as error:
        sweep.run([], toy.work, **given)  # type: ignore[arg-type]
    assert str(error.value) == message


def test_two_points_of_one_name_or_folder(tmp_path: Path) -> None:
    a, b = toy.points(tmp_path, 2, epochs=1)
    with pytest.raises(InputError) as error:
        sweep.run([a, Point("p0", b.folder, b.params)], toy.work)
    assert str(error.value) == "the names of the points must be all different; got 'p0 twice'"
    with pytest.raises(InputError) as error:
        sweep.run([a, Point("p1", a.folder, b.params)], toy.work)
    assert str(error.value) == (
        f"the folders of the points must be all different; got '{a.folder} twice'"
    )
    assert not a.folder.exists()
