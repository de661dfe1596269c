"""Figs. 6, 7 and 8 of the SEW ResNet paper, and what they do not say: the factor against n.

Question  Do gradients vanish or explode across the depth of Spiking and SEW ResNets?
Claim     Spiking ResNets decay (V_th 1, alpha 2), vanish (V_th .5), explode (alpha 3); SEW add and
          iand do not; SEW and is silent; with zero-init SEW is level and Spiking follows Eq. 8.
Source    Fang et al. 2021, "Deep Residual Learning in Spiking Neural Networks", Figs. 6 to 8.
Choices   152 layers as published; T = 4 (not stated in the figures); 32 real images at 64 px, so
          that n = 128; seed 0. The factor against n uses batches of 4, 8, 16, 32 and two seeds.

Run       python analyses/gradients.py [-o FOLDER] [--data SPEC] [--depth N]      (about 6 minutes)
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from snnlens import api
from snnlens.analysis.gradients import spiking_factor
from snnlens.figures import style
from snnlens.figures.factor import factor_figure

SETTINGS = {
    "fig6": {"threshold": 1.0, "alpha": 2.0},
    "fig7": {"threshold": 0.5, "alpha": 2.0},
    "fig8": {"threshold": 1.0, "alpha": 3.0},
}
BATCHES = (4, 8, 16, 32)  # n = 16, 32, 64, 128 at 64 px
SEEDS = (0, 1)


def figures(folder: Path, data: str, depth: int) -> None:
    """One run folder per published figure."""
    for name, setting in SETTINGS.items():
        result = api.answer(
            "gradients", folder / name, force=True, depth=depth, data=data, **setting
        )
        for claim in result.claims:
            measured = "-" if claim.measured is None else f"{claim.measured:.4g}"
            print(f"{name}  {claim.verdict:12}  {claim.id:28}  {measured}")


def factor_against_n(folder: Path, data: str, depth: int) -> pd.DataFrame:
    """The sign of the Spiking network's slope depends on how many samples BatchNorm sees."""
    rows = []
    for seed in SEEDS:
        for batch in BATCHES:
            record = api.run(
                "gradients", depth=depth, residual="spiking", zero_init="no", batch=batch,
                data=data, seed=seed,
            )  # fmt: skip
            fit, n = spiking_factor(api.analyse("gradients", record))
            rows.append({"n": n, "factor": fit.factor, "r_squared": fit.r_squared, "seed": seed})
            print(f"n = {n:4}  seed {seed}  factor {fit.factor:.4f}  R^2 {fit.r_squared:.3f}")
    table = pd.DataFrame(rows)
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "factor.csv", index=False, lineterminator="\n")
    caption = (
        f"Spiking ResNet-{depth} at initialisation without zero-init, V_th = 1, alpha = 2, T = 4, "
        f"{data} at 64 px: the fitted factor per block over the longest area."
    )
    style.save(factor_figure(table, caption), folder)
    return table


def main() -> None:
    """Both parts, into one folder."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("reports/out/analyses"))
    parser.add_argument("--data", default="digits")
    parser.add_argument("--depth", type=int, default=152)
    options = parser.parse_args()
    figures(options.output, options.data, options.depth)
    factor_against_n(options.output / "factor", options.data, options.depth)


if __name__ == "__main__":
    main()
