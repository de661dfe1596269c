"""SNL101: two equal calls give different outputs, because state is left over from the first."""

from __future__ import annotations

from collections.abc import Iterator

from snnlens.checks._base import Check
from snnlens.checks._seen import Seen, is_lost
from snnlens.recording.result import Finding


class ResetForgotten(Check):
    """In evaluation mode, with the random state restored: call, call again, reset, call.

    A note: a training loop may reset outside of the model, which a check-up cannot see.
    """

    name = "reset_forgotten"
    code = "SNL101"
    title = "the membranes are not reset between calls"
    why = (
        "A batch then begins with the membranes that the last one left: equal inputs give different "
        "outputs, a result depends on the order of the samples, and a backward pass may reach into "
        "the last graph."
    )
    next = (
        "Reset before each batch: SpikingJelly functional.reset_net(model); snnTorch "
        "utils.reset(model) with init_hidden, or a new init_leaky() inside forward; Norse pass "
        "state=None; sinabs model.reset_states(); your own neurons v = 0. If your training loop does "
        "so outside of the model, as it should in SpikingJelly, nothing is wrong."
    )
    reference = "SpikingJelly issues #267 and #323"
    formula = "max abs(y2 - y1) > 0 and, after a reset, max abs(y3 - y1) = 0"
    thresholds = {"difference": "exactly 0: equal calls of one program give equal bits"}

    def lacks(self, seen: Seen) -> str:
        test = seen.test("repeat")
        if "not_applicable" in test:
            return str(test["not_applicable"])
        after = test["after_reset"]
        if is_lost(after) or is_lost(test["difference"]):
            return "the outputs are not finite, so nothing can be compared; see SNL301"
        if after > 0:
            return (
                f"equal calls differ by up to {after:.3g} even after a reset: randomness that is not "
                "torch's, a kernel that is not deterministic, or state that no adapter knows of; set "
                "torch.use_deterministic_algorithms(True), or name the neuron class with --spiking"
            )
        return ""

    def judge(self, seen: Seen) -> Iterator[Finding]:
        test = seen.test("repeat")
        if test["difference"] > 0:
            samples = test.get("samples")
            over = f" (N = {samples} samples)" if samples else ""
            yield self.finding("note", None, (
                f"{seen.name}: two equal calls in evaluation mode differ by up to "
                f"{test['difference']:.3g}, bound 0; after a reset by {test['after_reset']:g}{over}"
            ))  # fmt: skip
