"""The claims of the parallel-neuron paper on networks that anyone can train, or on weights.

Question  What does an ANN lose when spiking neurons take the place of its activations, and where?
Claim     Parallel neurons lose nothing at T = L, and equal the ANN requantised to T levels at any
          T; sequential IF neurons lose points there, the more the deeper the network, since the
          order of their input spikes is uneven.
Source    Hao et al. 2025, "Faster and Stronger: When ANN-SNN Conversion Meets Parallel Spiking
          Calculation" (ICML), Theorem 4.1; Bu et al. 2022 (QCFS, ICLR).
Choices   MLPs of 4, 8 and 16 layers of 32 neurons, digits at their own 8 px, QCFS with L = 4, Adam
          for 20 epochs, three seeds, T = 1 to 64, float64. With weights: their ReLU network,
          thresholds from the training images, DA-QCFS in both variants, T = 4 to 32, float32.

Run       python analyses/conversion.py [-o FOLDER]                                 (minutes)
          python analyses/conversion.py --ann resnet20 --weights FILE --data cifar10:PATH  (1/2 h)
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from snnlens import api

WEIGHTS: dict[str, Any] = {
    "training_free": True,
    "calibrate": True,
    "time_steps": (4, 8, 16, 32),
    "precision": "float32",
}


def main() -> None:
    """One run folder: of trained MLPs, or of the weights that are given."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("reports/out/analyses"))
    parser.add_argument("--ann", help="resnet20, ..., package.module:factory, file.py:factory")
    parser.add_argument("--weights", help="a .safetensors or .pt file")
    parser.add_argument("--data", help="digits, cifar10:PATH, mnist:PATH, imagefolder:PATH")
    options = parser.parse_args()
    given = {k: v for k in ("ann", "weights", "data") if (v := getattr(options, k)) is not None}
    chosen = given | (WEIGHTS if options.weights else {})
    name = f"conversion-{Path(options.ann).stem if options.ann else 'digits'}"
    result = api.answer("conversion", options.output / name, force=True, **chosen)
    for claim in result.claims:
        measured = "-" if claim.measured is None else f"{claim.measured:.4g}"
        print(f"{claim.verdict:12}  {claim.id:26}  {measured:10}  {claim.reason}")


if __name__ == "__main__":
    main()
