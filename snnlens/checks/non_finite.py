"""SNL301: a loss, an activation or a gradient that is not a finite number."""

from __future__ import annotations

import math

import numpy as np

from snnlens.checks._base import Check
from snnlens.recording.record import Record
from snnlens.recording.result import Finding


class NonFinite(Check):
    """The first site, in the order of computation, whose sum is NaN or infinite.

    A float64 sum of finite float32 values cannot overflow, so the sum tells.
    """

    name = "non_finite"
    code = "SNL301"
    title = "a value is not finite"
    why = (
        "One NaN or infinity spreads to every weight in one update; nothing can be learned from it."
    )
    next = (
        "Look at this site's input first: a non-finite image, a learning rate, or a surrogate whose "
        "largest slope is above 1 (a product over depth overflows): lower alpha, or use SEW blocks."
    )
    reference = "Fang et al. 2021, Eq. 8"

    def findings(self, record: Record) -> list[Finding]:
        found = []
        for network, facts in record.networks.items():
            first = self._first(record, network, "firing_rate", "total", backward=False)
            kind = "activation"
            if first is None:
                first = self._first(record, network, "gradient_norm", "squares", backward=True)
                kind = "gradient"
            loss = facts.get("loss")
            bad_loss = "loss" in facts and (loss is None or not math.isfinite(loss))
            if first is not None:
                found.append(self.finding("error", first, f"{network}: the {kind} here is not "
                                          f"finite, the first in the order of computation"))  # fmt: skip
            elif bad_loss:
                found.append(self.finding("error", None, f"{network}: the loss is not finite"))
        return found

    def _first(
        self, record: Record, network: str, probe: str, column: str, *, backward: bool
    ) -> str | None:
        if probe not in record.tables:
            return None
        table = record.tables[probe]
        table = table[table["network"] == network]
        sums = table.groupby("site", sort=False)[column].apply(lambda s: np.isfinite(s).all())
        bad = set(sums.index[~sums.astype(bool)])
        order = [s for s in record.sites.query("network == @network")["site"] if s in bad]
        return (order[-1] if backward else order[0]) if order else None
