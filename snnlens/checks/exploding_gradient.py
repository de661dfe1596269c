"""SNL303: the gradient norm grows toward the shallow blocks."""

from __future__ import annotations

import numpy as np

from snnlens.checks._base import Check, has_blocks, judged
from snnlens.recording.record import Record
from snnlens.recording.result import Finding, Severity

WARNING, ERROR = 1e3, 1e6  # largest norm / norm at the last block input; ours, as in SNL302


class ExplodingGradient(Check):
    """max over l of ||dL/dS^l|| over the norm at the input of the last block."""

    name = "exploding_gradient"
    code = "SNL303"
    title = "the gradient explodes"
    why = "One learning rate cannot serve blocks whose gradients differ so much; updates overflow."
    next = (
        "Lower the surrogate's slope so that sigma'(1 - V_th) is at most 1 (atan: alpha = 2 at "
        "V_th = 1), or use SEW blocks with zero-init. Gradient clipping hides it, no more. At "
        "initialisation, also look at n in the caption: BatchNorm over few samples amplifies."
    )
    reference = "Fang et al. 2021, Eq. 8, Fig. 8"
    needs = ("gradient_norm",)

    def applies(self, record: Record) -> bool:
        return super().applies(record) and has_blocks(record)

    def findings(self, record: Record) -> list[Finding]:
        found = []
        for network in judged(record):
            norms = network.inputs("gradient_norm")[:-1]
            last = float(norms[-1])
            if not np.isfinite(norms).all() or last == 0:
                continue
            high = int(norms.argmax())
            ratio = float(norms[high]) / last
            if ratio > WARNING:
                evidence = (
                    f"{network.name}: the norm at S^{high} is {ratio:.1e} times that at the last "
                    f"block, S^{len(norms) - 1}"
                )
                severity: Severity = "error" if ratio > ERROR else "warning"
                found.append(self.finding(severity, network.sites[high], evidence))
        return found
