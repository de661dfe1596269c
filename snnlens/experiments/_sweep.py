"""A sweep of trainings: its points, handed to the runner, and what a progress bar hears of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from snnlens.experiments import _point
from snnlens.experiments._machine import work_per_step
from snnlens.models.plan import BUILT_IN, plan
from snnlens.training import sweep
from snnlens.training.progress import Progress as Heard

if TYPE_CHECKING:
    from snnlens.experiments._networks import Progress
    from snnlens.experiments.degradation import Params
    from snnlens.experiments.train import Params as Training


def run(points: Sequence[Training], params: Params, progress: Progress | None) -> pd.DataFrame:
    """Train every point that is not done; how each one ended."""
    threads = params.threads or 1  # whoever runs a point, it adds in the same order
    prepared = [
        sweep.Point(
            p.name, p.folder, p.model_dump(mode="json") | {"cost": _cost(p), "threads": threads}
        )
        for p in points
    ]
    on_gpus = params.scheduler is not None and params.device.startswith("cuda")
    return sweep.run(
        prepared, _point.work, workers=params.workers, scheduler=params.scheduler,
        threads=threads, resources={"GPU": 1} if on_gpus else None,
        progress=_telling(progress),
    )  # fmt: skip


def _cost(point: Training) -> float:
    """What an epoch costs, next to other depths: multiply-accumulates of an image."""
    found = BUILT_IN.fullmatch(point.model)
    assert found is not None
    assert point.pixels is not None
    return work_per_step(plan(int(found[2]), point.depth_layout), point.pixels)[0]


def _telling(progress: Progress | None) -> Heard | None:
    """A bar over all epochs of the sweep, and a line for each point that ends."""
    if progress is None:
        return None
    told: dict[str, Any] = {"epochs": 0, "ended": set()}
    announce: Callable[[str], None] = getattr(progress, "announce", lambda _: None)

    def hear(done: int, total: int, seconds_left: float | None, table: pd.DataFrame) -> None:
        if "tick" not in told:
            told["tick"] = progress("sweep", total)
        for _ in range(done - told["epochs"]):
            told["tick"]()
        told["epochs"] = max(done, told["epochs"])
        ended = table[table["state"].isin(["done", "failed"])]
        for name, state, why in zip(ended["network"], ended["state"], ended["why"], strict=True):
            if name not in told["ended"]:
                told["ended"].add(name)
                announce(f"{name} {state}{': ' + why if why else ''}; {len(told['ended'])} of "
                         f"{len(table)} trainings{_left(seconds_left)}")  # fmt: skip

    return hear


def _left(seconds: float | None) -> str:
    """Time left in words; nothing where nothing is known.

    >>> _left(90.0), _left(None)
    (', about 2 min left', '')
    """
    if not seconds:
        return ""
    return (
        f", about {seconds:.0f} s left" if seconds < 60 else f", about {seconds / 60:.0f} min left"
    )
