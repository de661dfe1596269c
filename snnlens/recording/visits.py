"""How each site was seen: in which shape, how often, in how many samples."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd
from torch import Tensor

from snnlens.sites import Site

WHOLE = ("block", "stage", "area", "time_steps", "batch", "neurons", "positions", "samples",
         "replayed", "replay_mismatches")  # fmt: skip
REAL = ("threshold", "leak", "gain", "slope", "support")


class Visits:
    """What the passes of a model say of its sites, besides what the probes sum."""

    def __init__(self) -> None:
        self.shapes: dict[str, tuple[int, ...]] = {}  # [T, B, ...], as each was seen first
        self.forward: Counter[str] = Counter()
        self.gradients: Counter[str] = Counter()
        self._samples: Counter[str] = Counter()  # batches may differ in size
        self._replayed: dict[str, tuple[Tensor | int, int]] = {}

    def saw(self, site: str, shape: tuple[int, ...], at: int) -> None:
        """A call of a site whose first step is step `at` of the pass."""
        self.forward[site] += at == 0
        self._samples[site] += shape[1] if at == 0 and len(shape) > 1 else 0
        if not math.prod(self.shapes.get(site, (0,))):  # nothing, or a batch of no samples
            self.shapes[site] = tuple(shape)
        old = self.shapes[site]
        if len(old) and len(shape) and old[0] < shape[0] + at:
            self.shapes[site] = (shape[0] + at, *old[1:])

    def replayed(self, site: str, differ: Tensor, of: int) -> None:
        """Spikes that our equations gave again, and how many of them were not the site's own."""
        wrong, before = self._replayed.get(site, (0, 0))
        self._replayed[site] = (differ + wrong, before + of)

    def table(self, network: str, sites: Sequence[Site]) -> pd.DataFrame:
        """One row per site, in their order: what it is, and how it was seen."""
        rows = [
            {"network": network, "order": order}
            | {key: value for key, value in asdict(site).items() if key != "name"}
            | {"site": site.name}
            | self._of(site.name)
            for order, site in enumerate(sites)
        ]
        return pd.DataFrame(rows).astype(dict.fromkeys(WHOLE, "Int64") | dict.fromkeys(REAL, float))

    def _of(self, site: str) -> dict[str, int | None]:
        shape = self.shapes.get(site, ())
        steps, batch, *rest = shape if len(shape) > 1 else (None, None)
        wrong, of = self._replayed.get(site, (None, None))
        return {
            "time_steps": steps,
            "batch": batch,
            "neurons": None if steps is None else math.prod(rest),
            "positions": None if steps is None else math.prod(rest[1:]),
            "samples": self._samples.get(site),
            "forward_calls": self.forward[site],
            "gradient_calls": self.gradients[site],
            "replayed": of,
            "replay_mismatches": None if wrong is None else int(wrong),
        }
