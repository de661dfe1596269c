"""The identity error of each block, and the table of which neuron can be the identity where.

Question  Which blocks can pass their input on unchanged, and with which neuron?
Claim     Spiking blocks are the identity only for some neurons, SEW add and iand for all.
Source    Fang et al. 2021, "Deep Residual Learning in Spiking Neural Networks", Sections 3.2 and
          3.3. Fig. 5 is analyses/firing_rates.py.
Choices   152 layers as published; T = 4; 32 real images at 64 px; seed 0; MS-ResNet beside them.

Run       python analyses/identity.py [-o FOLDER] [--data SPEC] [--depth N]       (about 2 minutes)
"""

from __future__ import annotations

import argparse
from pathlib import Path

from snnlens import api


def main() -> None:
    """One run folder, its claims and its table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("reports/out/analyses"))
    parser.add_argument("--data", default="digits")
    parser.add_argument("--depth", type=int, default=152)
    options = parser.parse_args()
    folder = options.output / "identity"
    result = api.answer("identity", folder, force=True, depth=options.depth, data=options.data)
    for claim in result.claims:
        measured = "-" if claim.measured is None else f"{claim.measured:.4g}"
        print(f"{claim.verdict:12}  {claim.id:24}  {measured}  {claim.reason}")
    for title, table in result.extra.items():
        print(f"\n{title}\n{table.drop(columns=['condition']).to_string(index=False)}")


if __name__ == "__main__":
    main()
