"""How far a sweep is, and how long it will still take: told about once a second while it runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pandas as pd

from snnlens.training.points import Point, table

# Whole epochs done, of how many, seconds left (None until an epoch is done), the sweep's table.
Progress = Callable[[int, int, float | None, pd.DataFrame], None]
EVERY_SECONDS = 1.0


@contextmanager
def telling(points: Sequence[Point], progress: Progress | None) -> Iterator[None]:
    """Tell `progress` while the block runs, from a thread, and once more when it has ended well."""
    if progress is None:
        yield
        return
    begin, first = time.monotonic(), table(points)

    def tell() -> None:
        now = table(points)
        left = seconds_left(points, first, now, time.monotonic() - begin)
        progress(int(now["epoch"].sum()), int(now["epochs"].sum()), left, now)

    over = threading.Event()

    def watch() -> None:
        while not over.wait(EVERY_SECONDS):
            tell()

    watcher = threading.Thread(target=watch, name="progress of a sweep", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
    tell()


def seconds_left(
    points: Sequence[Point], first: pd.DataFrame, now: pd.DataFrame, seconds: float
) -> float | None:
    """The cost still to come by the cost done since the beginning, in seconds.

        left = seconds x (sum of cost x epochs to come) / (sum of cost x epochs done since)

    An epoch of a point costs `cost` of its parameters (1 by default). Failed points take no more
    time. None until an epoch is done.

    >>> from pathlib import Path
    >>> from snnlens.training.points import Point, table
    >>> points = [Point("a", Path("/a"), {"epochs": 4}),
    ...           Point("b", Path("/b"), {"epochs": 2, "cost": 3})]
    >>> first = table(points)
    >>> seconds_left(points, first, first, 10.0) is None
    True
    >>> seconds_left(points, first, first.assign(epoch=[1, 1]), 8.0)   # 4 of 10 in 8 s
    12.0
    """
    cost = pd.Series([float(p.params.get("cost", 1.0)) for p in points])
    done = float((cost * (now["epoch"] - first["epoch"])).sum())
    to_come = cost * (now["epochs"] - now["epoch"]).clip(lower=0)
    left = float(to_come[~now["state"].isin(["done", "failed"])].sum())
    return seconds * left / done if done > 0 else None
