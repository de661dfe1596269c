"""Accuracies of converted networks that papers and released code print, to lay beside one's own.

Only cells that could be read in a source that names them are here. The text of Hao et al. 2025 itself
was not read: its cells are those that two notes on it quote alike.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import pandas as pd

PAPER = "Hao et al. 2025 (Faster and Stronger, ICML)"
MAIN = f"{PAPER}, main comparison, as two notes on it quote it"
FREE = f"{PAPER}, training-free conversion, as two notes on it quote it"
ABSTRACT = "abstract of OpenReview PBz9CMIOtn (submission, rejected)"
COS = "README of hzc1208/ANN2SNN_COS (Hao et al. 2023)"
H_MT = "H-MT paper (AAAI 2026), Table 1"
CALIBRATION = "README of yhhhli/SNN_Calibration (Li et al. 2021), mean of 5"
LABEL = "its script runs 32 steps whatever T is given"


class Cell(NamedTuple):
    """One printed accuracy in percent; `before` are steps of pre-simulation that come on top of T."""

    dataset: str
    network: str
    method: str
    time_steps: int
    top1: float
    source: str
    ann_top1: float = math.nan
    before: int = 0
    note: str = ""


def table() -> pd.DataFrame:
    """All cells, one row each.

    >>> found = table().query("method == 'parallel (Hao et al.)' and network == 'VGG-16'")
    >>> found["top1"].tolist()
    [95.5, 73.92]
    """
    return pd.DataFrame(CELLS).rename(columns={"before": "steps_before"})


def _sweep(
    dataset: str, network: str, method: str, top1: dict[int, float], source: str,
    *, ann: float = math.nan, before: int = 0, note: str = "",
) -> list[Cell]:  # fmt: skip
    first = (dataset, network, method)
    return [Cell(*first, t, a, source, ann, before, note) for t, a in top1.items()]


PARALLEL = "parallel (Hao et al.)"
DAGGER = "marked with a dagger: probably calibrated, with T other than the levels"
CELLS: list[Cell] = [
    Cell("CIFAR-10", "VGG-16", "QCFS", 4, 93.96, MAIN),
    Cell("CIFAR-10", "VGG-16", PARALLEL, 4, 95.50, MAIN),
    Cell("CIFAR-100", "ResNet-20", "QCFS", 8, 55.37, MAIN),
    Cell("CIFAR-100", "ResNet-20", PARALLEL, 8, 69.62, MAIN),
    Cell("ImageNet", "VGG-16", "QCFS", 16, 50.97, MAIN),
    Cell("ImageNet", "VGG-16", PARALLEL, 8, 73.92, MAIN),
    Cell("ImageNet", "ResNet-34", "COS", 2, 72.66, MAIN, before=8, note="printed as T = 10"),
    Cell("ImageNet", "ResNet-34", PARALLEL, 4, 72.90, MAIN, note=DAGGER),
    Cell("ImageNet", "ResNet-34", "Dspike (trained directly)", 6, 68.19, MAIN),
    *_sweep("ImageNet", "ResNet-34", "TBC, training-free", {32: 59.03, 64: 70.47}, FREE),
    *_sweep("ImageNet", "ResNet-34", f"{PARALLEL}, training-free",
            {16: 68.04, 32: 72.46, 64: 73.03}, FREE),
    *_sweep("ImageNet", "ResNet-101", f"{PARALLEL}, training-free",
            {16: 73.86, 32: 76.42, 64: 77.01}, FREE),
    Cell("ImageNet", "ResNet-18", PARALLEL, 4, 25.20, ABSTRACT, note="as a baseline"),
    Cell("ImageNet", "ResNet-34", PARALLEL, 8, 50.67, ABSTRACT, note="as a baseline"),
    Cell("ImageNet", "ResNet-18", "two-stage calibration", 4, 62.28, ABSTRACT),
    Cell("ImageNet", "ResNet-34", "two-stage calibration", 8, 68.23, ABSTRACT),
    *_sweep("CIFAR-100", "VGG-16", "COS", {1: 74.24, 2: 76.03, 4: 76.26, 8: 76.52}, COS,
            ann=76.28, before=4),
    *_sweep("CIFAR-100", "ResNet-20", "COS", {1: 59.22, 2: 64.21, 4: 65.18, 8: 67.17}, COS,
            ann=69.97, before=4),
    *_sweep("ImageNet", "VGG-16", "COS", {1: 63.84, 2: 70.59, 4: 72.94, 8: 73.82}, COS,
            ann=74.19, before=8),
    *_sweep("ImageNet", "ResNet-34", "COS", {1: 69.11, 2: 72.66, 4: 73.81, 8: 74.17}, COS,
            ann=74.22, before=8),
    Cell("ImageNet", "ResNet-34", "QCFS", 64, 72.35, H_MT, 74.32),
    Cell("ImageNet", "VGG-16", "QCFS", 64, 72.85, H_MT, 74.29),
    *_sweep("ImageNet", "ResNet-34", "SRP", {4: 66.71, 64: 68.61}, H_MT),
    *_sweep("ImageNet", "VGG-16", "SRP", {4: 66.47, 64: 69.43}, H_MT),
    Cell("ImageNet", "ResNet-34", "MMSE calibration", 64, 71.12, H_MT),
    Cell("ImageNet", "VGG-16", "MMSE calibration", 64, 70.69, H_MT),
    *_sweep("ImageNet", "ResNet-34", "GN", {8: 73.57, 32: 73.46}, H_MT),
    *(Cell(dataset, network, method, 16, top1, CALIBRATION, note=LABEL)
      for dataset, network, cells in (
          ("CIFAR-10", "VGG-16", (64.52, 93.30, 93.65)),
          ("CIFAR-10", "ResNet-20", (67.88, 93.89, 94.33)),
          ("CIFAR-100", "VGG-16", (2.69, 65.26, 70.91)),
          ("CIFAR-100", "ResNet-20", (39.27, 73.89, 74.48)))
      for method, top1 in zip(("no calibration", "light calibration", "advanced calibration"),
                              cells, strict=True)),
    Cell("ImageNet", "ResNet-34", "floor, round or ceil with its v(0), L = T", 8, 74.74,
         "OpenReview 9pZhYkf80k (ICLR 2026 submission)"),
]  # fmt: skip
