"""Figs. 3 and 9 and Table 2 of the SEW ResNet paper from its logs; the same experiment on digits.

Question  Do deeper Spiking ResNets train worse than shallower ones, and SEW ResNets not?
Claim     Spiking: the training loss rises and the accuracy falls with depth (degradation). SEW: the
          loss falls and the accuracy rises with depth. Table 2: best accuracies on ImageNet.
Source    Fang et al. 2021, "Deep Residual Learning in Spiking Neural Networks", Fig. 3, Tables 2,
          4 and 6; the logs are in the authors' repository, origin_logs/.
Choices   Logs: all runs of the folder. Sweep: the cifar layout at depths 8, 20, 32, 56, digits at
          their own 8 px, T = 4, the paper's recipe (SGD .9, cosine, no weight decay) for 12 epochs,
          three seeds. At 8 px the last stage has 2 x 2 positions.

Run       python analyses/degradation.py --logs FOLDER [-o FOLDER]            (seconds)
          python analyses/degradation.py [-o FOLDER] [--workers 2] [--resume]  (about an hour)
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from snnlens import api

SWEEP: dict[str, Any] = {
    "data": "digits",
    "image_size": 8,
    "layout": "cifar",
    "depth": (8, 20, 32, 56),
    "residual": ("spiking", "sew"),
    "epochs": 12,
    "seeds": 3,
}


def main() -> None:
    """One run folder: of the logs, if they are given, else of the sweep."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("reports/out/analyses"))
    parser.add_argument("--logs", type=Path, help="origin_logs of the official repository")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    if options.logs is not None:
        chosen, name = {"logs": str(options.logs)}, "fig3-logs"
    else:
        chosen, name = SWEEP | {"workers": options.workers, "resume": options.resume}, "fig3-digits"
    result = api.answer("degradation", options.output / name, force=True, **chosen)
    for claim in result.claims:
        measured = "-" if claim.measured is None else f"{claim.measured:.4g}"
        print(f"{claim.verdict:12}  {claim.id:36}  {measured:10}  {claim.reason}")


if __name__ == "__main__":
    main()
