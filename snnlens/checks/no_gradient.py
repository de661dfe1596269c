"""SNL305: a spiking layer or a parameter that the gradient does not reach."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from snnlens.checks._base import Check
from snnlens.checks._line import NO_GRADIENT
from snnlens.checks._seen import Seen, names, where
from snnlens.recording.extent import extent
from snnlens.recording.result import Finding


class NoGradient(Check):
    """Of what was run forward: no call of its gradient hook, or a norm of exactly 0.

    In a block with zero-init the branch has a gradient of exactly 0 until the first update, by
    design; there only the zero weight itself is judged, which must have one.
    """

    name = "no_gradient"
    code = "SNL305"
    title = "the gradient does not reach a layer"
    why = "What has no gradient never learns, and stays as it was initialised."
    next = (
        "Look for detach(), torch.no_grad(), .item(), .data, a comparison or a round() between this "
        "layer and the loss; for a silent layer behind it (SNL202); for a surrogate of bounded "
        "support that the membrane never meets (SNL307); for an output that the loss does not use."
    )
    reference = "SpikingJelly issue #190"
    formula = "gradient calls = 0, or ||dL/dS|| = 0, or ||dL/dW|| = 0"
    thresholds = {"norm": "exactly 0, in float64; nothing is chosen"}
    needs = ("gradient_norm",)

    def lacks(self, seen: Seen) -> str:
        ran = seen.facts.get("backward", bool((seen.frame["gradient_calls"] > 0).any()))
        if not ran:
            return NO_GRADIENT
        return "" if len(_judged(seen)) else "no spiking layer was seen; SNL901 says which were not"

    def judge(self, seen: Seen) -> Iterator[Finding]:
        layers, weights = _judged(seen), _weights(seen)
        without = layers[_unreached(layers, "gradient_norm")]
        idle = weights[_unreached(weights, "parameter_gradient")]
        if not len(without) and not len(idle):
            return
        worst = (without if len(without) else idle).iloc[-1]
        never = int(worst["gradient_calls"]) == 0
        how = "was never called with a gradient" if never else "has a gradient of exactly 0"
        where = extent(worst if len(without) else layers.iloc[0])
        parts = [f"{len(without)} of {len(layers)} spiking layers"] if len(without) else []
        parts += [f"{len(idle)} of {len(weights)} parameters ({names(list(idle['site']))})"] * bool(
            len(idle)
        )
        evidence = (
            f"{seen.name}: {worst['site']} {how}; without one are {' and '.join(parts)} ({where})"
        )
        yield self.finding("warning", str(worst["site"]), evidence)


def _judged(seen: Seen) -> pd.DataFrame:
    """The spiking layers that ran, but for the branches that zero-init holds at 0."""
    layers = seen.layers()
    layers = layers[layers["forward_calls"] > 0]
    return where(layers, (not seen.in_zeroed(str(s)) for s in layers["site"]))


def _weights(seen: Seen) -> pd.DataFrame:
    rows = seen.sites("parameter")
    zero = set(seen.zero_weights)
    return where(rows, (not seen.in_zeroed(str(s)) or s in zero for s in rows["site"]))


def _unreached(rows: pd.DataFrame, norm: str) -> pd.Series:
    """No call, or a norm of 0; a call without a norm (not recorded, not finite) is neither."""
    never = rows["gradient_calls"] == 0
    return never | (rows[norm] == 0) if norm in rows else never
