"""Figs. 4 and 5 of the SEW ResNet paper: firing rates per block, trained and at initialisation.

Question  How often do the neurons of each block fire, before and after training?
Claim     Fig. 5, at initialisation: SEW and falls silent, add grows linearly, zero-init makes all
          equal. Fig. 4, trained: the branches A^l fire rarely (at most .25 for 18, 34 and 50
          layers, .5 for 101 and 152) and those of the last two blocks hardly at all.
Source    Fang et al. 2021, "Deep Residual Learning in Spiking Neural Networks", Figs. 4 and 5.
Choices   Fig. 5: 152 layers, T = 4, 32 real images at 64 px, seed 0. Fig. 4: a checkpoint of the
          authors' on photographs, or a training of one's own, in evaluation mode.

Run       python analyses/firing_rates.py [-o FOLDER] [--depth N]                     (a minute)
          python analyses/firing_rates.py RUN|CHECKPOINT ... [--data imagefolder:PATH]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from snnlens import api


def main() -> None:
    """Fig. 5, and a folder for each trained network that is given."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("trained", nargs="*", help="training folders, or files of weights")
    parser.add_argument("-o", "--output", type=Path, default=Path("reports/out/analyses"))
    parser.add_argument("--data", help="images for the trained networks (what they learned on)")
    parser.add_argument("--depth", type=int, default=152, help="of Fig. 5")
    options = parser.parse_args()
    shown = {} if options.data is None else {"data": options.data}
    runs = {f"fig4-{Path(t).stem}": {"source": t} | shown for t in options.trained}
    for name, chosen in (runs or {"fig5": {"depth": options.depth}}).items():
        result = api.answer("rates", options.output / name, force=True, **chosen)
        for claim in result.claims:
            measured = "-" if claim.measured is None else f"{claim.measured:.4g}"
            print(f"{name}  {claim.verdict:12}  {claim.id:24}  {measured:10}  {claim.reason}")


if __name__ == "__main__":
    main()
