"""A point of a sweep that takes no time to learn: an epoch is a short sleep and a line.

What it leaves: metrics.csv, done.json, and log.csv with a line for each thing that a process did,
on the machine's one monotonic clock: begin, epoch (when it has ended), end.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from snnlens import atomic
from snnlens.errors import SnnlensError
from snnlens.training import sweep
from snnlens.training.points import DONE, METRICS, Point, whole_epochs

HEAD = "epoch,pid"


class Line(NamedTuple):
    pid: int
    at: int  # nanoseconds
    what: str


def work(folder: str, params: dict[str, Any]) -> None:
    """Add an epoch after each `seconds`, from the last whole one on."""
    place = Path(folder)
    done = whole_epochs(place)
    note(place, "begin")
    atomic.write_file(place / "environment.json", json.dumps(dict(os.environ)).encode())
    if not (place / METRICS).exists():
        atomic.write_file(place / METRICS, f"{HEAD}\n".encode())
    _cut(place, done)
    for epoch in range(done, params["epochs"]):
        time.sleep(params.get("seconds", 0.0))
        _misfortune(place, params, epoch)
        atomic.append(place / METRICS, f"{epoch},{os.getpid()}")
        note(place, "epoch")
    note(place, "end")
    sweep.mark_done(folder)


def environment(folder: Path) -> dict[str, str]:
    """The environment in which a point was worked on last."""
    return dict(json.loads((folder / "environment.json").read_text()))


def note(folder: Path, what: str) -> None:
    """One line, in one write: lines of two processes never mix."""
    line = f"{os.getpid()},{time.monotonic_ns()},{what}\n".encode()
    file = os.open(folder / "log.csv", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, line)
    os.close(file)


def log(folder: Path) -> list[Line]:
    """What was noted, in the order in which it happened."""
    try:
        rows = [line.split(",") for line in (folder / "log.csv").read_text().splitlines()]
    except FileNotFoundError:
        return []
    return sorted((Line(int(p), int(at), what) for p, at, what in rows), key=lambda x: x.at)


def attempts(folder: Path) -> list[list[Line]]:
    """The log cut at each begin."""
    found: list[list[Line]] = []
    for line in log(folder):
        if line.what == "begin":
            found.append([])
        found[-1].append(line)
    return found


def pids(points: list[Point]) -> set[int]:
    """Every process that ever worked on a point."""
    return {line.pid for p in points for line in log(p.folder)}


def points(folder: Path, count: int, **params: Any) -> list[Point]:
    """Points p0, p1, ... in a folder."""
    return [Point(f"p{i}", folder / f"p{i}", dict(params)) for i in range(count)]


def assert_whole(points: list[Point]) -> None:
    """Every epoch once and in order, and never two processes at one point at the same time."""
    for point in points:
        text = (point.folder / METRICS).read_text()
        epochs = [line.split(",")[0] for line in text.split("\n")[1:-1]]
        assert epochs == [str(i) for i in range(point.params["epochs"])], point.name
        for attempt in attempts(point.folder):
            assert len({line.pid for line in attempt}) == 1, (point.name, attempt)
        assert (point.folder / DONE).exists()


def _cut(folder: Path, done: int) -> None:
    """Drop the line that a kill has cut, as the real work does."""
    path = folder / METRICS
    lines = path.read_text().split("\n")[: done + 1]
    atomic.write_file(path, "".join(line + "\n" for line in lines).encode())


def _misfortune(folder: Path, params: dict[str, Any], epoch: int) -> None:
    """What `params` say goes wrong with this epoch."""
    if epoch != params.get("fails_at"):
        return
    kind = params["fails"]
    if kind == "never":
        return
    if kind == "user":
        raise SnnlensError("depth must be 8 or 20; got 9")
    if kind == "once" and len(attempts(folder)) > 1:
        return
    if kind == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    raise ValueError("a fault\n  of two lines")


def main() -> None:
    """Run a sweep as its own program: FOLDER COUNT WORKERS EPOCHS SECONDS."""
    # a job in the background of a shell ignores Ctrl-C, and so would its children
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder, (count, workers, epochs) = Path(sys.argv[1]), map(int, sys.argv[2:5])
    todo = points(folder, count, epochs=epochs, seconds=float(sys.argv[5]))
    try:
        sweep.run(todo, work, workers=workers)
    except KeyboardInterrupt:
        sys.stdout.write("interrupted\n")


if __name__ == "__main__":
    main()
