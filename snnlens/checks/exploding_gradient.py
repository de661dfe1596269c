"""SNL303: the gradient norm grows toward the shallow blocks."""

from __future__ import annotations

from collections.abc import Iterator

from snnlens.checks import _line
from snnlens.checks._base import Check
from snnlens.checks._line import depth_line
from snnlens.checks._seen import Seen
from snnlens.recording.result import Finding


class ExplodingGradient(Check):
    """The fitted factor per block above 1, times itself over the depth.

    The line goes through the block inputs S^0 to S^(L-1), without blocks through the spiking layers.
    """

    name = "exploding_gradient"
    code = "SNL303"
    title = "the gradient explodes"
    why = "One learning rate cannot serve layers whose gradients differ so much; updates overflow."
    next = (
        "Lower the surrogate's slope so that sigma'(1 - V_th) is at most 1 (atan: alpha = 2 at "
        "V_th = 1), or use SEW blocks with zero-init. Gradient clipping hides it, no more. At "
        "initialisation, also look at how many samples BatchNorm sees in the last stage: with few "
        "it amplifies."
    )
    reference = "Fang et al. 2021, Eq. 8, Fig. 8; SpikingJelly issue #160"
    formula = "||dL/dS^l|| = c f^-l, f fitted; f^(L-1) > 1e3 and the interval of f above 1"
    thresholds = {"total": _line.TOTAL, "interval": _line.INTERVAL, "points": _line.ENOUGH}
    needs = ("gradient_norm",)

    def lacks(self, seen: Seen) -> str:
        line = depth_line(seen)
        if line is None:
            return _line.NO_GRADIENT
        few = f"fewer than {_line.POINTS} norms are positive; SNL302 or SNL305 says where"
        return line.lacks() or (few if line.fit.points < _line.POINTS else "")

    def judge(self, seen: Seen) -> Iterator[Finding]:
        line = depth_line(seen)
        assert line is not None
        if line.explodes:
            site = line.places[int(line.norms.argmax())]
            severe = line.total > _line.ERROR
            yield self.finding("error" if severe else "warning", site,
                               f"{seen.name}: {line.text()}")  # fmt: skip
