"""SNL103: a change at one time step or sample moves what comes before it or lies beside it."""

from __future__ import annotations

from collections.abc import Iterator

from snnlens.checks._base import Check
from snnlens.checks._seen import Seen, is_lost
from snnlens.recording.result import Finding, Severity


class WrongTimeAxis(Check):
    """In evaluation mode: the input changed at step t, and changed in sample i.

    Causality: nothing moves before t. Independence: no other sample moves.
    """

    name = "wrong_time_axis"
    code = "SNL103"
    title = "an axis is wrongly taken for time"
    why = (
        "The membranes run along the wrong axis: samples of one batch leak into each other, or the "
        "network sees the future, and results do not hold on other batches."
    )
    next = (
        "Look at the order of the axes: SpikingJelly (step_mode 'm'), Norse and snnlens want "
        "[T, N, ...]; sinabs [N, T, ...] or [N T, ...]; a module that is called per step [N, ...]. "
        "After a flatten or view of both axes, put them back in the same order. A layer that looks "
        "ahead by design (the PSN family, attention over time) moves earlier steps rightly."
    )
    reference = "Fang et al. 2023 (SpikingJelly), step modes; sinabs, shapes of its layers"
    formula = "max abs change at steps < t, and at samples != i"
    thresholds = {"change": "exactly 0: what is not connected does not move"}

    def lacks(self, seen: Seen) -> str:
        time, sample = seen.test("time"), seen.test("samples")
        reasons = [str(t["not_applicable"]) for t in (time, sample) if "not_applicable" in t]
        if len(reasons) == 2:
            return "; ".join(dict.fromkeys(reasons))
        moved = (time.get("before", 0.0), sample.get("others", 0.0))
        broken = any(map(is_lost, moved))
        return "the outputs are not finite, so nothing can be compared; see SNL301" * broken

    def judge(self, seen: Seen) -> Iterator[Finding]:
        time, sample = seen.test("time"), seen.test("samples")
        parts, at = [], None
        severity: Severity = "warning"
        if sample.get("others", 0.0) > 0:
            severity, at = "error", sample.get("site")
            parts.append(f"a change of sample {sample['sample']} moves other samples by up to "
                         f"{sample['others']:.3g} at {at}")  # fmt: skip
        if time.get("before", 0.0) > 0:
            at = time.get("site")
            parts.append(f"a change at step {time['step']} moves earlier steps by up to "
                         f"{time['before']:.3g} at {at}")  # fmt: skip
        if parts:
            axis = seen.facts.get("time_axis")
            taken = f" (time was taken to be {axis}, T = {seen.facts.get('time_steps')})"
            text = f"{seen.name}: {'; '.join(parts)}, bound 0{taken if axis else ''}"
            yield self.finding(severity, seen.known(at), text)
