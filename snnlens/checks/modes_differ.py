"""SNL102: training mode and evaluation mode are two different networks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from snnlens.checks._base import Check
from snnlens.checks._seen import Seen, names
from snnlens.recording.result import Finding

OUTPUT, FACTOR, FLOOR = 0.5, 2.0, 1e-3


class ModesDiffer(Check):
    """The same batch in both modes: the outputs, and the firing rate of each spiking layer."""

    name = "modes_differ"
    code = "SNL102"
    title = "training and evaluation mode differ"
    why = (
        "What was trained is not what is evaluated: accuracy collapses under eval(), mostly because "
        "BatchNorm's running statistics are not those of the batches."
    )
    next = (
        "Train longer or with a larger momentum of BatchNorm until its running statistics have "
        "settled; take larger batches; let BatchNorm see [T N, C, H, W] in both modes; use dropout "
        "that keeps its mask over time. Or recompute the statistics on training data before eval()."
    )
    reference = "SpikingJelly issue #559"
    formula = "||y_train - y_eval|| / ||y_eval||, and max(r_train, r_eval) / min of both"
    thresholds = {
        "output": "0.5; ours: an output off by half of its norm is another answer",
        "rate": "a factor 2; ours: the next layer's input current then doubles or halves",
        "floor": "1e-3 for the larger rate; ours: below, the factor is that of a few spikes",
    }

    def lacks(self, seen: Seen) -> str:
        test = seen.test("modes")
        if "not_applicable" in test:
            return str(test["not_applicable"])
        if test.get("batches_tracked") == 0:
            return (
                "a BatchNorm has seen no batch yet (num_batches_tracked is 0), so evaluation mode is "
                "not meant to agree; train it or load a checkpoint first"
            )
        difference = test.get("difference")
        if difference is None and not test.get("rates"):
            return "the output in evaluation mode is 0 and no rate was recorded; see SNL206"
        if difference is not None and not math.isfinite(difference):
            return "the outputs are not finite, so nothing can be compared; see SNL301"
        return ""

    def judge(self, seen: Seen) -> Iterator[Finding]:
        test = seen.test("modes")
        difference, changed = test.get("difference"), _changed(test)
        parts = []
        if difference is not None and difference > OUTPUT:
            parts.append(f"the outputs differ by {difference:.2g} of their norm, bound {OUTPUT}")
        if changed:
            name, (train, evaluated) = changed[0]
            parts.append(
                f"{name} fires {train:.3g} in training and {evaluated:.3g} in evaluation mode, bound "
                f"a factor {FACTOR:g} ({len(changed)} of {len(test['rates'])} layers: "
                f"{names([s for s, _ in changed])})"
            )
        if parts:
            samples = seen.facts.get("samples")
            over = f" (N = {samples} samples)" if samples else ""
            site = seen.known(changed[0][0]) if changed else None
            yield self.finding("warning", site, f"{seen.name}: {'; '.join(parts)}{over}")


def _changed(test: dict[str, Any]) -> list[tuple[str, tuple[float, float]]]:
    """The layers whose rate changes by more than the factor, in order."""
    found = []
    for site, (train, evaluated) in (test.get("rates") or {}).items():
        low, high = sorted((train, evaluated))
        if high >= FLOOR and high > FACTOR * low:
            found.append((str(site), (train, evaluated)))
    return found
