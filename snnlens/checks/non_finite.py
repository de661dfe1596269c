"""SNL301: a loss, an activation or a gradient that is not a finite number."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from snnlens.checks._base import Check
from snnlens.checks._seen import Seen
from snnlens.recording.result import Finding

FORWARD = {
    "firing_rate": ("total", "activation"),
    "input_current": ("current", "input current"),
}
BACKWARD = {
    "gradient_norm": ("squares", "gradient"),
    "parameter_gradient": ("weight_squares", "gradient of this weight"),
}
COUNT = "gradient_non_finite"


class NonFinite(Check):
    """The first site, in the order of computation, whose sum is NaN or infinite.

    A float64 sum of finite float32 values cannot overflow, so the sum tells. A spike is 0 where its
    membrane is NaN, so the input current is looked at too.
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
    reference = "Fang et al. 2021, Eq. 8; snnTorch issue #427"
    formula = "a sum over the site, or the loss, is NaN or infinite"
    thresholds = {"value": "not finite; nothing is chosen"}

    def lacks(self, seen: Seen) -> str:
        known = any(len(seen.table(probe)) for probe in (FORWARD | BACKWARD)) or COUNT in seen.frame
        nothing = 'no value was recorded; record with probes=["firing_rate", "gradient_norm"]'
        return "" if known or "loss" in seen.facts else nothing

    def judge(self, seen: Seen) -> Iterator[Finding]:
        found = _first(seen)
        loss = seen.facts.get("loss")
        if found is not None:
            site, kind = found
            yield self.finding("error", site, f"{seen.name}: the {kind} here is not finite, the first "
                               f"in the order of computation")  # fmt: skip
        elif "loss" in seen.facts and (loss is None or not math.isfinite(loss)):
            yield self.finding("error", None, f"{seen.name}: the loss is not finite")
        elif not math.isfinite(seen.test("output").get("largest", 0.0)):
            yield self.finding("error", None, f"{seen.name}: an output is not finite")


def _first(seen: Seen) -> tuple[str, str] | None:
    """Forward passes come before backward ones, which run from the last site to the first."""
    bad: dict[str, str] = {}
    for probe, (column, kind) in FORWARD.items():
        bad |= {site: kind for site in _broken(seen, probe, column) if site not in bad}
    order = [str(s) for s in seen.frame["site"] if s in bad]
    if order:
        return order[0], bad[order[0]]
    for probe, (column, kind) in BACKWARD.items():
        sites = _broken(seen, probe, column) | (_counted(seen) if kind == "gradient" else set())
        order = [str(s) for s in seen.frame["site"] if s in sites]
        if order:
            return order[-1], kind
    return None


def _broken(seen: Seen, probe: str, column: str) -> set[str]:
    """The sites with a sum that is not finite."""
    table = seen.table(probe)
    if column not in table:
        return set()
    sums = table[column].to_numpy(float)
    return {str(s) for s in table["site"][~np.isfinite(sums)]}


def _counted(seen: Seen) -> set[str]:
    """The sites where the histogram of gradients counted one apart."""
    if COUNT not in seen.frame:
        return set()
    return {str(s) for s in seen.frame["site"][seen.frame[COUNT] > 0]}
