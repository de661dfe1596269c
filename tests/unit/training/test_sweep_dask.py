"""A sweep on worker processes: killed, interrupted and lost, and every epoch is done once."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

from snnlens.errors import InputError, SnnlensError
from snnlens.training import cluster, progress, sweep
from tests.unit.training import toy
from tests.unit.training.test_sweep import ROOT, started, wait_until, whole

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_WAIT_POLICY")


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress is told so often that a kill falls into the middle of a short sweep."""
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0.1)


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        said = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
    return re.search(r"^State:\s+[ZX]", said, re.MULTILINE) is None


def children(pid: int) -> set[int]:
    """The processes that a process has begun."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        found |= {int(child) for child in (task / "children").read_text().split()}
    return found


class Killer:
    """A progress that kills, once, the worker process of a point that has done some epochs."""

    def __init__(self, points: list[sweep.Point], epochs: int) -> None:
        self.points, self.epochs = points, epochs
        self.killed: int | None = None

    def __call__(self, done: int, total: int, left: float | None, table: pd.DataFrame) -> None:
        running = table[(table["state"] == "running") & (table["epoch"] >= self.epochs)]
        if self.killed is None and len(running):
            self.killed = toy.log(self.points[int(running.index[0])].folder)[-1].pid
            os.kill(self.killed, signal.SIGKILL)


# --- worker processes of this machine ------------------------------------------------------------


def test_a_killed_worker_costs_the_open_epoch_only(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    points = toy.points(tmp_path, 4, epochs=20, seconds=0.05)
    killer = Killer(points, epochs=2)
    table = sweep.run(points, toy.work, workers=2, progress=killer)
    assert set(table["state"]) == {"done"}
    toy.assert_whole(points)
    worked = toy.pids(points)
    assert killer.killed in worked
    assert len(worked) <= 3  # two, and the one that came for the killed one
    assert os.getpid() not in worked
    assert [len(toy.attempts(p.folder)) for p in points].count(2) == 1
    noted = [x for p in points for x in toy.log(p.folder) if x.what == "epoch"]
    assert len(noted) in {80, 79}  # 79 where the kill fell between a line and its note
    assert not any(alive(pid) for pid in worked)
    assert capfd.readouterr() == ("", "")


def test_what_fails_on_a_worker_is_said_and_a_deadly_point_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The workers have threads of their own, and nothing of it stays in this process."""
    monkeypatch.setitem(cluster.LOCAL, "distributed.scheduler.allowed-failures", 0)
    cluster._distributed()  # loading it sets the levels of its loggers
    before = {name: os.environ.get(name) for name in THREADS}
    levels = {name: logging.getLogger(name).level for name in cluster.LOGGERS}
    points = toy.points(tmp_path, 4, epochs=3, fails_at=1)
    for point, kind in zip(points, ("user", "always", "dies", "never"), strict=True):
        point.params["fails"] = kind
    table = sweep.run(points, toy.work, workers=2, threads=3, retries=1)
    assert list(table["state"]) == ["failed", "failed", "failed", "done"]
    assert list(table["why"]) == [
        "depth must be 8 or 20; got 9",
        "ValueError: a fault of two lines",
        "2 worker processes died under it",
        "",
    ]
    assert [len(toy.attempts(p.folder)) for p in points[:3]] == [1, 2, 2]
    assert list(table["epoch"]) == [1, 1, 1, 3]
    assert capfd.readouterr() == ("", "")
    for point in points:
        assert [toy.environment(point.folder)[name] for name in THREADS] == ["3"] * 3 + ["passive"]
    assert {name: os.environ.get(name) for name in THREADS} == before
    assert {name: logging.getLogger(name).level for name in cluster.LOGGERS} == levels


def test_a_killed_parent_takes_its_workers_along_and_the_sweep_goes_on(tmp_path: Path) -> None:
    points = toy.points(tmp_path, 3, epochs=30, seconds=0.02)
    with started(tmp_path, 3, 2, 30, 0.02) as process:
        wait_until(lambda: all(whole([p]) >= 3 for p in points[:2]), process)
        begun = children(process.pid)
        process.kill()
    assert toy.pids(points) <= begun
    wait_until(lambda: not any(alive(pid) for pid in begun))
    assert not any(sweep.is_claimed(p.folder) for p in points)
    assert set(sweep.run(points, toy.work)["state"]) == {"done"}
    toy.assert_whole(points)


def test_ctrl_c_in_a_terminal_ends_all_processes_without_a_word(tmp_path: Path) -> None:
    """There the workers get the signal too. They listen to this machine only."""
    points = toy.points(tmp_path, 3, epochs=10_000, seconds=0.05)
    with started(tmp_path, 3, 2, 10_000, 0.05) as process:
        wait_until(lambda: all(whole([p]) >= 1 for p in points[:2]), process)
        begun = children(process.pid)
        heard = listening({process.pid, *begun})
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate()
    assert (out, err, process.returncode) == ("interrupted\n", "", 0)
    assert toy.pids(points) <= begun
    wait_until(lambda: not any(alive(pid) for pid in begun))
    assert not any(sweep.is_claimed(p.folder) for p in points)
    assert not toy.log(points[2].folder)  # what waited never began
    assert len(heard) >= 3  # the scheduler's, and each worker's
    assert set(heard) == {"127.0.0.1"}


def test_ctrl_c_while_the_workers_start(tmp_path: Path) -> None:
    """Dask cannot be stopped then: it is heard a moment later, and no worker tells of it."""
    points = toy.points(tmp_path, 2, epochs=10_000, seconds=0.05)
    with started(tmp_path, 2, 2, 10_000, 0.05) as process:
        wait_until(lambda: len(children(process.pid)) > 1, process)
        os.killpg(process.pid, signal.SIGINT)
        assert not toy.pids(points)  # it was early enough
        out, err = process.communicate()
    assert (out, err, process.returncode) == ("interrupted\n", "", 0)
    assert whole(points) == 0


def listening(pids: set[int]) -> list[str]:
    """The addresses at which processes listen."""
    connections = [c for pid in pids for c in psutil.Process(pid).net_connections("inet")]
    return [c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN]


def test_a_worker_that_nobody_knows_of_any_more_is_waited_for(tmp_path: Path) -> None:
    """It holds its point until that is done: never two writers, and no epoch twice."""
    points = toy.points(tmp_path, 2, epochs=60, seconds=0.05)
    points[1].params["epochs"] = 1
    with started(tmp_path, 1, 1, 60, 0.05) as stale:
        wait_until(lambda: whole(points) >= 2, stale)
        table = sweep.run(points, toy.work, workers=2)
        stale.wait()
    assert set(table["state"]) == {"done"}
    assert toy.pids(points[:1]) == {stale.pid}
    toy.assert_whole(points)


# --- a scheduler that is somewhere ---------------------------------------------------------------


@contextmanager
def program(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program of Dask's own, quiet, killed in the end."""
    command = [sys.executable, "-m", *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def scheduler(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """`dask scheduler` at a port of its choice; its address."""
    file = folder / "scheduler.json"
    with program(
        "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
        "--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(file),
    ) as process:  # fmt: skip
        wait_until(lambda: file.exists() and '"address"' in file.read_text(), process)
        address = re.search(r'"(tcp://[^"]+)"', file.read_text())
        assert address is not None
        yield address[1], process


@contextmanager
def worker(address: str, folder: Path, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """`dask worker` of one thread, without a nanny: a process is a worker."""
    with program(
        "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard",
        "--local-directory", str(folder), *more,
    ) as process:  # fmt: skip
        yield process


def test_workers_of_a_scheduler_and_when_it_goes_away(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each point takes a GPU, which two of three workers have; one of the two is killed."""
    points = toy.points(tmp_path, 3, epochs=20, seconds=0.05)
    with scheduler(tmp_path) as (address, process), \
            worker(address, tmp_path / "a", "--resources", "GPU=1") as first, \
            worker(address, tmp_path / "b", "--resources", "GPU=1") as second, \
            worker(address, tmp_path / "c") as without:  # fmt: skip
        killer = Killer(points, epochs=2)
        table = sweep.run(points, toy.work, scheduler=address, resources={"GPU": 1},
                          progress=killer)  # fmt: skip
        assert set(table["state"]) == {"done"}
        assert killer.killed in {first.pid, second.pid}
        assert toy.pids(points) <= {first.pid, second.pid}
        assert without.poll() is None  # the workers of a scheduler stay
        toy.assert_whole(points)

        endless = [sweep.Point("endless", tmp_path / "e", {"epochs": 10_000, "seconds": 0.05})]

        def kill(done: int, total: int, left: float | None, table: pd.DataFrame) -> None:
            if done:
                process.kill()

        with pytest.raises(SnnlensError) as error:
            sweep.run(endless, toy.work, scheduler=address, progress=kill)
    assert str(error.value) == (
        f"the Dask scheduler must stay until the end; got {address}, which went away; "
        "whole epochs stay, go on with --resume"
    )
    assert capfd.readouterr() == ("", "")


NOBODY = "tcp://127.0.0.1:9"  # the port that discards what it gets; closed on any machine of today


@pytest.mark.parametrize(
    "address", [NOBODY, "deaf", "nonsense", "http://host:1", "tcp://host", "", "tls://127.0.0.1:9"]
)
def test_a_scheduler_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], address: str
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    points = toy.points(tmp_path, 1, epochs=1)
    with socket.create_server(("127.0.0.1", 0)) as server:  # it listens, and is no Dask
        if address == "deaf":
            address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(InputError) as error:
            sweep.run(points, toy.work, scheduler=address)
    assert str(error.value) == (
        f"--scheduler must be the address of a Dask scheduler that answers; got {address!r}; "
        "start one with `dask scheduler` and give the address that it shows"
    )
    assert not points[0].folder.exists()
    assert capfd.readouterr() == ("", "")


def test_a_scheduler_is_waited_for_no_longer_than_a_few_seconds() -> None:
    assert 1 <= cluster.CONNECT_SECONDS <= 5


def test_without_dask_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    points = toy.points(tmp_path, 2, epochs=1)
    monkeypatch.setattr(cluster, "import_module", missing)
    with pytest.raises(InputError) as error:
        sweep.run(points, toy.work, workers=2)
    assert str(error.value) == (
        "a sweep on several workers needs a package that must be installed; got 'distributed'; "
        "pip install 'snnlens[scale]'"
    )
    assert set(sweep.run(points, toy.work)["state"]) == {"done"}  # one worker needs nothing
