"""Records of trainings made by hand: final losses that a test gives, curves that end in them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from snnlens.recording.record import Record, Schema, empty

COLUMNS = ["train_loss", "train_top1", "train_top5", "test_loss", "test_top1", "test_top5"]


@dataclass
class Run:
    """One training; its training loss falls geometrically from ln(classes) to `loss`."""

    residual: str = "sew"
    connect: str | None = "add"
    depth: int | None = 8
    seed: int | None = 0
    loss: float = 0.5
    epochs: int = 20
    top1: float | None = None  # of the last epoch; by default 100 exp(-loss) percent
    logged: int | None = None  # epochs that are in the curves; all of them by default
    state: str | None = "done"
    facts: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""

    def __post_init__(self) -> None:
        kind = self.residual + (f"-{self.connect}" if self.connect else "")
        self.name = self.name or f"{kind}-{self.depth}-s{self.seed}"


def record(*runs: Run, **tables: pd.DataFrame) -> Record:
    """The Record of these trainings, as the command `degradation` makes it of a sweep."""
    states = [
        {"network": r.name, "state": r.state, "epoch": _logged(r), "epochs": r.epochs, "why": ""}
        for r in runs if r.state is not None
    ]  # fmt: skip
    whole = {"curves": pd.concat([curve(r) for r in runs], ignore_index=True)} | tables
    if states:
        whole["points"] = pd.DataFrame(states)
    return Record(
        sites=empty().sites,
        tables=whole,
        schemas={name: Schema(axes=()) for name in whole},
        networks={r.name: _facts(r) for r in runs},
        provenance={"question": "degradation"},
    )


def curve(run: Run) -> pd.DataFrame:
    """Its rows of the table `curves`."""
    classes = (_facts(run)["classes"]) or 10
    done = np.arange(_logged(run))
    ways = (done + 1) / run.epochs
    loss = math.log(classes) * (run.loss / math.log(classes)) ** ways
    last = 100 * math.exp(-run.loss) if run.top1 is None else run.top1
    accuracy = 100 / classes + (last - 100 / classes) * ways
    values = [loss, accuracy, np.minimum(accuracy * 1.5, 100), loss * 1.1, accuracy,
              np.minimum(accuracy * 1.5, 100)]  # fmt: skip
    table = pd.DataFrame(dict(zip(COLUMNS, values, strict=True)))
    table.insert(0, "network", run.name)
    table.insert(1, "epoch", done)
    return _as_printed(run, table) if "numbers" in run.facts else table


def sweep(losses: Mapping[str, Mapping[int, Sequence[float]]], **options: Any) -> list[Run]:
    """Runs of several kinds: {"sew-add": {8: [loss of seed 0, of seed 1, ...], 20: ...}}."""
    made = []
    for kind, by_depth in losses.items():
        residual, _, connect = kind.partition("-")
        for depth, of_seeds in by_depth.items():
            made += [
                Run(residual, connect or None, depth, seed, loss, **options)
                for seed, loss in enumerate(of_seeds)
            ]
    return made


def three_seeds() -> Record:
    """SEW that gets a little better with depth, Spiking that degrades: two runs at chance."""
    return record(*sweep({
        "sew-add": {8: [.42, .47, .40], 20: [.35, .38, .33], 32: [.33, .36, .30],
                    56: [.31, .37, .29]},
        "spiking": {8: [.45, .50, .47], 20: [.60, .72, .55], 32: [1.10, 1.42, .95],
                    56: [2.28, 2.301, 1.86]},
    }))  # fmt: skip


def papers(
    losses: Mapping[str, float] | None = None,
    changed: Mapping[str, Mapping[str, float]] | None = None,
) -> list[Run]:
    """The twelve published networks: three epochs whose best are the printed accuracies.

    `losses` are final training losses by network; `changed` the numbers of a network's `PAPER` row.
    """
    made = []
    for name, (dataset, residual, depth, top1, top5) in PAPER.items():
        facts = {"rule": "published logs", "dataset": dataset, "model": "ResNet", "classes": 1000,
                 "time_steps": 4 if depth else 16}  # fmt: skip
        numbers = {"top1": top1, "top5": top5, "drop": 0.5} | dict((changed or {}).get(name, {}))
        made.append(Run(
            residual, "add" if residual == "sew" else None, depth, None,
            (losses or LOSSES).get(name, 0.1), epochs=3, name=name, state=None,
            facts=facts | {"numbers": numbers},
        ))  # fmt: skip
    return made


PAPER = {
    "sew-add-18": ("ImageNet", "sew", 18, 63.18, 84.53),
    "sew-add-34": ("ImageNet", "sew", 34, 67.04, 87.25),
    "sew-add-50": ("ImageNet", "sew", 50, 67.78, 87.52),
    "sew-add-101": ("ImageNet", "sew", 101, 68.76, 88.25),
    "sew-add-152": ("ImageNet", "sew", 152, 69.26, 88.57),
    "spiking-18-zero": ("ImageNet", "spiking", 18, 62.32, 84.05),
    "spiking-34-zero": ("ImageNet", "spiking", 34, 61.86, 83.69),
    "spiking-50-zero": ("ImageNet", "spiking", 50, 57.66, 80.43),
    "spiking-101-zero": ("ImageNet", "spiking", 101, 31.79, 54.91),
    "spiking-152-zero": ("ImageNet", "spiking", 152, 10.03, 23.57),
    "7b-net-sew-add": ("DVS Gesture", "sew", None, 97.92, math.nan),
    "wide-7b-net-sew-add": ("CIFAR10-DVS", "sew", None, 74.4, math.nan),
}
LOSSES = dict(zip(PAPER, (1.75, 1.5, 1.25, 1.0, 0.75, 1.5, 1.625, 2.0, 3.5, 5.25), strict=False))


def _as_printed(run: Run, table: pd.DataFrame) -> pd.DataFrame:
    """Acc@1 is best in epoch 1, Acc@5 in epoch 2, `drop` percentage points above epoch 1."""
    numbers = run.facts["numbers"]
    top1, top5, drop = (numbers[k] for k in ("top1", "top5", "drop"))
    return table.assign(
        test_top1=[1.0, top1, top1 - 0.25], test_top5=[1.0, top5 - drop, top5],
        train_top1=[1.0, 2.0, 100 - 10 * run.loss],
    )  # fmt: skip


def _logged(run: Run) -> int:
    return run.epochs if run.logged is None else run.logged


def _facts(run: Run) -> dict[str, Any]:
    return {
        "model": "ResNet", "residual": run.residual, "connect": run.connect, "depth": run.depth,
        "layout": "cifar", "zero_init": run.residual == "spiking", "seed": run.seed,
        "epochs": run.epochs, "classes": 10, "dataset": "digits (scikit-learn)", "time_steps": 4,
        "origin": "trained", "folder": run.name, "files": 0, "empty_files": [], "cut_files": [],
    } | dict(run.facts)  # fmt: skip
