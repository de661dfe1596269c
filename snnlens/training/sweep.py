"""A sweep: points run one after another or side by side, each in a folder of its own. No torch.

It knows nothing of networks: `work(folder, params)` does a point, or goes on with it from what its
folder holds (see points.py), adds a line to metrics.csv for each whole epoch, and calls `mark_done`
in the end.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import pandas as pd

from snnlens.errors import InputError, SnnlensError
from snnlens.training.points import (
    DONE,
    FAILED,
    Busy,
    Point,
    claimed,
    fail,
    failure,
    is_claimed,
    mark_done,
    reason,
    table,
    whole_epochs,
)
from snnlens.training.progress import Progress, telling

__all__ = ["Busy", "Outcome", "Point", "claimed", "is_claimed", "mark_done", "run", "table"]

LOOK_SECONDS = 0.5  # between two looks at points that another process holds
PATIENCE_SECONDS = 60.0  # so long a held point may stay without a new whole epoch
Work = Callable[[str, dict[str, Any]], None]


class Outcome(NamedTuple):
    """How an attempt ended; `why` in one line."""

    state: Literal["ended", "failed", "busy"]
    why: str = ""


class Crew(Protocol):
    """Who does the work: takes points, and says which have ended."""

    def start(self, point: Point) -> None:
        """Take a point on."""

    def ended(self) -> Sequence[tuple[Point, Outcome]]:
        """Those that have ended since the last call, after a short wait; none if none has."""


def run(
    points: Sequence[Point],
    work: Work,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    threads: int = 1,
    resources: dict[str, float] | None = None,
    retries: int = 2,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Do every point that is not done, and say how far each one is: see `table`.

    With one worker and no scheduler the points run in this process, in their order. Else Dask runs
    them: on worker processes of this machine, which end with this call, or on those of a
    scheduler. A worker that is lost costs the open epoch: its point goes on elsewhere.

    No point is ever worked on twice at the same time. One that another process holds is tried again
    as soon as it is free. When nothing else is left to do, it is waited for, as long as whole
    epochs are added to it, at most `PATIENCE_SECONDS` apart; after that it stays `running` in the
    table.

    A point that fails does not stop the others. Ctrl-C does: what is whole stays. What the workers
    of a scheduler have begun goes on there to its end, and is held for so long.

    Args:
        points: with names and folders that differ.
        work: a function of a module, which workers import by its name.
        workers: processes on this machine, each with `threads` threads; a script that asks for more
            than one calls this under `if __name__ == "__main__":`, as they load it too.
        scheduler: a Dask scheduler's address, tcp://host:port; its workers have their own threads.
        threads: of one worker process, for its numerical libraries.
        resources: what one point takes of a worker, e.g. {"GPU": 1}; a scheduler's workers say what
            they have, those of this machine have it once each.
        retries: how often a point is tried again after an error that is not the user's, or when as
            many workers died under it as Dask allows (3 on this machine).
        progress: told about once a second; see `snnlens.training.progress`.

    Raises:
        InputError: no worker, no thread, two points of one name or folder, Dask that is not
            installed, a scheduler that does not answer.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     point = Point("a", Path(folder) / "a", {"epochs": 0})
    ...     run([point], lambda folder, params: mark_done(folder))["state"].tolist()
    ['done']
    """
    _check(points, workers, threads)
    todo = [p for p in points if not (p.folder / DONE).exists()]
    crew: AbstractContextManager[Crew] = nullcontext(_Alone(work, retries))
    if todo and (workers > 1 or scheduler is not None):
        from snnlens.training.cluster import Cluster

        crew = Cluster(
            work, workers=min(workers, len(todo)), scheduler=scheduler, threads=threads,
            resources=resources, retries=retries,
        )  # fmt: skip
    with telling(points, progress), crew as working:
        found = _drive(todo, working)
    return _with_reasons(table(points), found)


def attempt(folder: str, params: dict[str, Any], work: Work, retries: int, run: str) -> Outcome:
    """Do one point in this process, under its lock; an error is written down and handed back.

    Dask asks again where a worker dies before its answer was heard: what has ended in this run of
    the sweep stays as it is.
    """
    try:
        with claimed(folder):
            if (Path(folder) / DONE).exists():
                return Outcome("ended")
            said = failure(folder)
            if said is not None and said["run"] == run:
                return Outcome("failed", said["why"])
            (Path(folder) / FAILED).unlink(missing_ok=True)
            why = _tried(folder, params, work, retries)
            if why:
                fail(folder, why, run)
            return Outcome("failed" if why else "ended", why)
    except Busy:
        return Outcome("busy")
    except (OSError, InputError) as error:  # a folder that cannot be made, locked or written
        return Outcome("failed", reason(error))


# --- inside --------------------------------------------------------------------------------------


def _check(points: Sequence[Point], workers: int, threads: int) -> None:
    for name, number in (("workers", workers), ("threads", threads)):
        if number < 1:
            raise InputError(name, got=number, wanted="at least 1")
    for what, given in (
        ("the names of the points", Counter(p.name for p in points)),
        ("the folders of the points", Counter(str(p.folder.absolute()) for p in points)),
    ):
        twice = [name for name, times in given.items() if times > 1]
        if twice:
            raise InputError(what, got=", ".join(twice) + " twice", wanted="all different")


def _tried(folder: str, params: dict[str, Any], work: Work, retries: int) -> str:
    """Why it failed, or nothing. A user's mistake is not tried again: it stays one."""
    why = ""
    for _ in range(1 + retries):
        try:
            work(folder, params)
        except SnnlensError as error:
            return reason(error)
        except Exception as error:  # noqa: BLE001 - whatever the work raises is this point's end
            why = reason(error)
        else:
            return ""
    return why


def _drive(points: Sequence[Point], crew: Crew) -> dict[str, str]:
    """Have every point done; why those failed that did."""
    found: dict[str, str] = {}
    held: list[Point] = []
    patience = _Patience()
    for point in points:
        crew.start(point)
    running = len(points)
    while running or held:
        for point, outcome in crew.ended():
            running -= 1
            if outcome.state == "busy":
                held.append(point)
            found[point.name] = outcome.why
        free = [p for p in held if not is_claimed(p.folder)]
        held = [p for p in held if p not in free]
        for point in free:
            crew.start(point)
        running += len(free)
        if held and not running:
            if patience.is_over(held):
                break
            time.sleep(LOOK_SECONDS)
    return found


class _Patience:
    """Waits for points that another process holds, as long as whole epochs are added to them."""

    def __init__(self) -> None:
        self.epochs, self.since = -1, 0.0

    def is_over(self, held: Sequence[Point]) -> bool:
        epochs = sum(whole_epochs(p.folder) for p in held)
        if epochs != self.epochs:
            self.epochs, self.since = epochs, time.monotonic()
        return time.monotonic() - self.since > PATIENCE_SECONDS


class _Alone:
    """This process, one point after another."""

    def __init__(self, work: Work, retries: int) -> None:
        self.work, self.retries, self.run = work, retries, uuid.uuid4().hex
        self.waiting: list[Point] = []

    def start(self, point: Point) -> None:
        self.waiting.append(point)

    def ended(self) -> Sequence[tuple[Point, Outcome]]:
        if not self.waiting:
            return []
        point = self.waiting.pop(0)
        asked = str(point.folder), point.params, self.work, self.retries, self.run
        return [(point, attempt(*asked))]


def _with_reasons(states: pd.DataFrame, found: dict[str, str]) -> pd.DataFrame:
    """What could not be written into a folder is said all the same."""
    why = pd.Series([found.get(name, "") for name in states["network"]], states.index, "str")
    unsaid = (states["state"] == "waiting") & (why != "")
    states.loc[unsaid, "state"] = "failed"
    states.loc[unsaid, "why"] = why[unsaid]
    return states
