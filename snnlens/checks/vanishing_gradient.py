"""SNL302: the gradient norm falls toward the shallow blocks."""

from __future__ import annotations

import numpy as np

from snnlens.checks._base import Check, has_blocks, judged
from snnlens.recording.blocks import Network
from snnlens.recording.record import Record
from snnlens.recording.result import Finding, Severity

WARNING, ERROR = 1e-3, 1e-6  # smallest norm / largest norm; ours: a block then learns a thousand
# times slower, or below the resolution of a float32 update beside the deepest block's


class VanishingGradient(Check):
    """min over l of ||dL/dS^l|| / max over l, where the smallest lies before the largest."""

    name = "vanishing_gradient"
    code = "SNL302"
    title = "the gradient vanishes"
    why = "Shallow blocks get updates that are smaller by this ratio: they stay as initialised."
    next = (
        "Use SEW blocks (add, iand) with zero-init, whose identity chain has factor 1; or a "
        "surrogate with sigma'(1 - V_th) = 1: atan with alpha = 2 at V_th = 1. If why_small says "
        "silent, mend the firing rates first."
    )
    reference = "Fang et al. 2021, Eqs. 8 and 11, Figs. 6 and 7"
    needs = ("gradient_norm",)

    def applies(self, record: Record) -> bool:
        return super().applies(record) and has_blocks(record)

    def findings(self, record: Record) -> list[Finding]:
        found = []
        for network in judged(record):
            norms = network.inputs("gradient_norm")
            if not np.isfinite(norms).all() or norms.max() == 0:
                continue
            low, high = int(norms.argmin()), int(norms.argmax())
            ratio = float(norms[low] / norms[high])
            if ratio == 0 and _silent(network):
                continue  # dead, not vanishing: SNL201 says so
            if low < high and ratio < WARNING:
                zero = "exactly 0" if ratio == 0 else f"{ratio:.1e} of the largest, at S^{high}"
                evidence = f"{network.name}: the norm at S^{low} is {zero}"
                severity: Severity = "error" if ratio < ERROR else "warning"
                found.append(self.finding(severity, network.sites[low], evidence))
        return found


def _silent(network: Network) -> bool:
    shares = network.blocks.get("nonzero_share_output")
    return shares is not None and bool((shares == 0).any())
