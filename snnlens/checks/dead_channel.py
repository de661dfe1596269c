"""SNL508: channels whose activation is 0 on all samples: their threshold is a guess."""

from __future__ import annotations

from collections.abc import Iterator

from snnlens.checks._conversion import ConversionCheck, also, extent
from snnlens.checks._seen import Seen, most
from snnlens.measures.conversion import share
from snnlens.measures.silence import rule_of_three
from snnlens.recording.result import Finding

WARNING = 0.5


class DeadChannel(ConversionCheck):
    """Channels of the ANN that are 0 at every position of every sample, of each spiking layer.

    The samples are those that thresholds were read of. Judged where thresholds were read from activations; a learned one was fitted to no channel.
    """

    name = "dead_channel"
    code = "SNL508"
    title = "a channel is dead: its threshold is a guess"
    why = (
        "Its largest activation is 0, which is no threshold; the median of the layer's others is "
        "taken instead. If another sample wakes the channel, that may be far too large for it, and "
        "all of it is lost to quantisation, or too small. If none does, its weights do nothing."
    )
    next = (
        "Show more samples to find thresholds (the whole training set). If the channel stays dead, "
        "prune it, or train again with a smaller learning rate or without a bias that holds it down."
    )
    reference = (
        "Hao et al. 2025, released code (which takes 1e-3 there); Hanley and Lippman-Hand 1983 (what "
        "no event in N samples proves)"
    )
    formula = "channels with max over samples and positions of a = 0"
    thresholds = {
        "note": "one channel; nothing is chosen",
        "warning": "0.5 of the channels of a layer; ours, as SNL203 of silent neurons: the layer then "
        "has less than half of its width",
    }
    reads = ("conversion_layers",)

    def lacks(self, seen: Seen) -> str:
        learned = "the thresholds were learned, not read from activations"
        return super().lacks(seen) or (learned if seen.facts.get("thresholds") == "learned" else "")

    def judge(self, seen: Seen) -> Iterator[Finding]:
        rows = seen.table("conversion_layers")
        bad = rows[rows["dead_channels"] > 0]  # of the ANN: the same at every T and neuron
        if not len(bad):
            return
        bad = bad.assign(part=share(bad["dead_channels"], bad["channels"]))
        worst = most(bad, "part")
        severe = worst["part"] > WARNING
        bound = f" (bound {WARNING:.0%})" if severe else ""
        yield self.finding("warning" if severe else "note", seen.known(worst["layer"]), (
            f"{seen.name}: {int(worst['dead_channels'])} of {int(worst['channels'])} channels of "
            f"{worst['layer']} are 0 on all samples{bound}, and the least theta there is "
            f"{worst['threshold_min']:.3g} ({_extent(seen)}{_proves(seen)}){also(bad, worst)}"
        ))  # fmt: skip


def _looked_at(seen: Seen) -> int | None:
    """Samples of which thresholds were read."""
    samples: int | None = seen.facts.get("calibration_samples") or seen.facts.get("samples")
    return samples


def _extent(seen: Seen) -> str:
    read = seen.facts.get("calibration_samples")
    return f"N = {read} samples that thresholds were read of" if read else extent(seen)


def _proves(seen: Seen) -> str:
    """`; a new sample wakes one with at most 1.5 %`: the 95 % bound; empty if N is unknown."""
    samples = _looked_at(seen)
    if not samples:
        return ""
    bound = rule_of_three(int(samples))
    return f"; another sample wakes such a channel with a probability of at most {bound:.2g}, 95 %"
