"""The accuracies that the SEW paper printed, and of which networks."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

PAPER = "Fang et al. 2021 (SEW ResNet)"


class Printed(NamedTuple):
    """Test accuracies in percent as a table prints them; NaN where it prints none."""

    top1: float
    top5: float
    table: str
    digits: int = 2  # after the point


NOTHING = Printed(math.nan, math.nan, "")

# Table 2: ImageNet, T = 4; SEW without, Spiking with zero-init. Acc@1 and Acc@5, by depth.
_SEW = {18: (63.18, 84.53), 34: (67.04, 87.25), 50: (67.78, 87.52), 101: (68.76, 88.25),
        152: (69.26, 88.57)}  # fmt: skip
_SPIKING = {18: (62.32, 84.05), 34: (61.86, 83.69), 50: (57.66, 80.43), 101: (31.79, 54.91),
            152: (10.03, 23.57)}  # fmt: skip
DEPTHS = tuple(_SEW)
Key = tuple[str, str, str | None, int | None, int]  # dataset, residual, connect, depth, T
TABLES: dict[Key, Printed] = (
    {("ImageNet", "sew", "add", d, 4): Printed(*a, "Table 2") for d, a in _SEW.items()}
    | {("ImageNet", "spiking", None, d, 4): Printed(*a, "Table 2") for d, a in _SPIKING.items()}
    | {
        ("DVS Gesture", "sew", "add", None, 16): Printed(97.92, math.nan, "Table 4"),
        ("CIFAR10-DVS", "sew", "add", None, 16): Printed(74.4, math.nan, "Table 6", digits=1),
    }
)


def printed(facts: dict[str, Any]) -> Printed:
    """What the paper printed of a network, if its published log is the one that was read.

    A user's own logs, and trainings, are not the paper's network, however like it they are.

    >>> log = {"rule": "published logs", "dataset": "ImageNet", "residual": "sew",
    ...        "connect": "add", "depth": 18, "time_steps": 4}
    >>> printed(log).top1, printed(log | {"rule": "--pattern"}).top1
    (63.18, nan)
    """
    if facts.get("rule") != "published logs":
        return NOTHING
    dataset, residual, connect = (facts.get(k) for k in ("dataset", "residual", "connect"))
    key: Any = (dataset, residual, connect, facts.get("depth"), facts.get("time_steps"))
    return TABLES.get(key, NOTHING)
