"""What a spiking network looks at, and when: maps, and whether to believe them.

Question  Which pixels at which steps decide, by which method, and does the network agree?
Claim     The sum of integrated gradients is f(x) - f(baseline): true of true gradients, and not of
          surrogate gradients. Deleting what a map ranks first costs the class more than deleting in
          random order. A network with permuted weights has other maps.
Source    Sundararajan et al. 2017 (ICML), Proposition 1; Petsiuk et al. 2018 (RISE); Adebayo et al.
          2018 (sanity checks); Kim and Panda 2021 (SAM); Nguyen et al. 2023 (TSA).
Choices   A network set by hand on data where one corner at one step decides (the answer is known),
          64 samples, 64 points of a path, 10 random orders. With --model and --data: any other;
          the published ones are sinabs' N-MNIST network as a NIR graph and ten recordings at 1 ms.

Run       python analyses/attribution.py [-o FOLDER]                                      (seconds)
          python analyses/attribution.py --model cnn_sinabs.nir --data nmnist:PATH        (minutes)
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from snnlens import api

METHODS = ("ig", "input_x_gradient", "saliency", "smoothgrad", "occlusion", "sam", "tsa")
HERE = Path(__file__).resolve().parents[1]
PLANTED: dict[str, Any] = {
    "model": f"{HERE / 'examples' / 'planted.py'}:network",
    "data": "planted",
    "time_steps": 8,
    "samples": 64,
    "method": METHODS,
}
RECORDINGS: dict[str, Any] = {  # 300 ms of N-MNIST; what occlusion would cost there is minutes each
    "time_steps": 300,
    "bin_ms": 1.0,
    "samples": 10,
    "method": ("ig", "input_x_gradient", "saliency", "smoothgrad", "gradcam", "sam", "tsa"),
}


def main() -> None:
    """One run folder: of the planted network, or of the model that is given."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("reports/out/analyses"))
    parser.add_argument("--model", help="MODEL of `snnlens attribution`")
    parser.add_argument("--data", help="nmnist:PATH, ...")
    options = parser.parse_args()
    if (options.model is None) != (options.data is None):
        parser.error("--model and --data must be given together")
    chosen = PLANTED
    if options.model is not None:
        chosen = RECORDINGS | {"model": options.model, "data": options.data}
    name = "attribution-planted" if options.model is None else "attribution-given"
    result = api.answer("attribution", options.output / name, force=True, belief="all", **chosen)
    print(result.extra["summary"].to_string(index=False))
    for claim in result.claims:
        measured = "-" if claim.measured is None else f"{claim.measured:.4g}"
        print(f"{claim.verdict:12}  {claim.id:26}  {measured:10}  {claim.reason}")


if __name__ == "__main__":
    main()
