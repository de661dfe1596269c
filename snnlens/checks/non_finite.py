"""SNL301: a loss, an activation or a gradient that is not a finite number."""

from __future__ import annotations

import math
from collections.abc import Iterator

from snnlens.checks._base import Check
from snnlens.checks._seen import Seen, names
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
INPUTS, STATE = "non_finite_inputs", "non_finite_state"  # facts of a network that has some


class NonFinite(Check):
    """The first, in the order of computation, that is NaN or infinite: the model's input, a site,
    the loss, a gradient; and which weights or buffers are.

    A float64 sum of finite float32 values cannot overflow, so the sum tells. A spike is 0 where its
    membrane is NaN: a network that is silent by it is not silent by its weights, so the input of
    the model and the input currents are looked at too.
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
        known = known or any(fact in seen.facts for fact in (INPUTS, STATE))
        nothing = 'no value was recorded; record with probes=["firing_rate", "gradient_norm"]'
        return "" if known or "loss" in seen.facts else nothing

    def judge(self, seen: Seen) -> Iterator[Finding]:
        site, text = _first(seen)
        broken = seen.facts.get(STATE) or []
        held = f"{names(broken)} {'is' if len(broken) == 1 else 'are'} not finite" if broken else ""
        if text or held:
            yield self.finding(
                "error", site, f"{seen.name}: " + "; ".join(filter(None, (text, held)))
            )


def _first(seen: Seen) -> tuple[str | None, str]:
    """Where, and what: forward passes come before the loss, and that before backward ones."""
    inputs, forward, lost = seen.facts.get(INPUTS, 0), _forward(seen), _lost(seen)
    site, kind = forward or _backward(seen) or (None, "")
    if inputs and (site or lost or seen.table("input_current").empty):
        reached = f"; the first site that they reach is {site}" if forward else ""
        site = site if forward else str(seen.frame["site"].iloc[0])
        return site, f"NaN or infinite numbers in the input of the model: {inputs}{reached}"
    if lost and not forward:
        return None, lost
    here = f"the {kind} here is not finite, the first in the order of computation"
    return site, here if site else ""


def _lost(seen: Seen) -> str:
    """What is wrong behind the last site; a saved run has null in the place of NaN."""
    loss, largest = seen.facts.get("loss", 0.0), seen.test("output").get("largest", 0.0)
    if loss is None or not math.isfinite(loss):
        return "the loss is not finite"
    return "an output is not finite" * (largest is None or not math.isfinite(largest))


def _forward(seen: Seen) -> tuple[str, str] | None:
    """The first site whose sum broke in the forward pass."""
    bad: dict[str, str] = {}
    for probe, (column, kind) in FORWARD.items():
        bad |= {site: kind for site in seen.broken(probe, column) if site not in bad}
    order = [str(s) for s in seen.frame["site"] if s in bad]
    return (order[0], bad[order[0]]) if order else None


def _backward(seen: Seen) -> tuple[str, str] | None:
    """The same of the backward pass, which runs from the last site to the first."""
    for probe, (column, kind) in BACKWARD.items():
        sites = seen.broken(probe, column) | (_counted(seen) if kind == "gradient" else set())
        order = [str(s) for s in seen.frame["site"] if s in sites]
        if order:
            return order[-1], kind
    return None


def _counted(seen: Seen) -> set[str]:
    """The sites where the histogram of gradients counted one apart."""
    if COUNT not in seen.frame:
        return set()
    return {str(s) for s in seen.frame["site"][seen.frame[COUNT] > 0]}
