"""SNL302: the gradient norm falls toward the shallow blocks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snnlens.checks import _line
from snnlens.checks._base import Check
from snnlens.checks._line import Line, depth_line
from snnlens.checks._seen import Seen
from snnlens.recording.result import Finding


class VanishingGradient(Check):
    """The fitted factor per block below 1, times itself over the depth; or a norm of exactly 0.

    The line goes through the block inputs S^0 to S^(L-1), without blocks through the spiking layers.
    A gradient that is 0 because a layer is silent is dead, not vanishing: SNL201 and SNL202 say so.
    """

    name = "vanishing_gradient"
    code = "SNL302"
    title = "the gradient vanishes"
    why = "Shallow layers get updates that are smaller by this ratio: they stay as initialised."
    next = (
        "Use a surrogate whose largest slope is 1 (atan: alpha = 2; a sigmoid: alpha = 4) and whose "
        "sigma'(1 - V_th) is 1 too: V_th = 1. Use SEW blocks (add, iand) with zero-init, whose "
        "identity chain has factor 1; where the rates fall with depth too (SNL208), mend them first."
    )
    reference = "Fang et al. 2021, Eqs. 8 and 11, Figs. 6 and 7; SpikingJelly issue #285"
    formula = "||dL/dS^l|| = c f^-l, f fitted; f^(L-1) < 1e-3 and the interval of f below 1"
    thresholds = {"total": _line.TOTAL, "interval": _line.INTERVAL, "points": _line.ENOUGH}
    needs = ("gradient_norm",)

    def lacks(self, seen: Seen) -> str:
        line = depth_line(seen)
        reason = _line.NO_GRADIENT if line is None else line.lacks()
        if line is None or reason:
            return reason
        if _stops(line) is not None and _line.silent(seen):
            return (
                "a silent layer makes gradients exactly 0, which is dead, not vanishing; mend "
                "SNL201 or SNL202 first"
            )
        few = line.fit.points < _line.POINTS and _stops(line) is None
        return f"fewer than {_line.POINTS} norms are positive; SNL305 says where" if few else ""

    def judge(self, seen: Seen) -> Iterator[Finding]:
        line = depth_line(seen)
        assert line is not None
        stop = _stops(line)
        if stop is not None:
            count = int((line.norms == 0).sum())
            evidence = (
                f"{seen.name}: the norm at {line.labels[stop]} is exactly 0, the deepest of {count} "
                f"such of {line.where} ({line.seen})"
            )
            yield self.finding("error", line.places[stop], evidence)
        elif line.vanishes:
            low = int(line.norms.argmin())
            severe = line.total < 1 / _line.ERROR
            yield self.finding("error" if severe else "warning", line.places[low],
                               f"{seen.name}: {line.text()}")  # fmt: skip


def _stops(line: Line) -> int | None:
    """The deepest norm of exactly 0 that lies before the largest: there the gradient stops."""
    zeros = np.flatnonzero(line.norms[: int(line.norms.argmax())] == 0)
    return int(zeros[-1]) if len(zeros) else None
