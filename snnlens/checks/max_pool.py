"""SNL505: a max-pool over the spikes of sequential neurons."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from snnlens.checks._conversion import (
    ConversionCheck,
    Place,
    coverage,
    extent,
    is_max_pool,
    layers,
    longest,
    of_currents,
    places,
    ran,
)
from snnlens.checks._seen import Seen, names
from snnlens.recording.result import Finding


class Pool(NamedTuple):
    """A max-pool, the sequential layer whose spikes it sees, and the spiking layer behind it."""

    module: str
    type: str
    before: Place
    behind: Place | None


class MaxPool(ConversionCheck):
    """Max-pools whose last spiking layer before them, in the order of the forward pass, is sequential.

    The maximum at each step is the maximum of the counts where trains are sorted alike: of parallel
    neurons with one threshold per channel. One before the first spiking layer sees constants.
    """

    name = "max_pool"
    code = "SNL505"
    title = "a max-pool before a sequential neuron"
    why = (
        "It lets a spike pass whenever one neuron of the window fires: two neurons that fire in turn "
        "count as one that fires always. The result is too large, at every T."
    )
    next = (
        "Train the ANN with average pools, or turn the max-pools into them (--pool average) and look "
        "at what the ANN loses; or use parallel neurons, for which the maximum is exact."
    )
    reference = (
        "Rueckauer et al. 2017 (max-pooling of spikes); Bu et al. 2022 (QCFS), whose VGG-16 "
        "has average pools"
    )
    formula = "max over the window of mean_t s(t) <= mean_t of max over the window of s(t)"
    thresholds = {"pools": "one; nothing is chosen"}
    reads = ("conversion_coverage", "conversion_accuracy")

    def lacks(self, seen: Seen) -> str:
        if missing := super().lacks(seen):
            return missing
        rows = coverage(seen)
        kinds = {place.kind for run in ran(seen) for place in places(rows, run)}
        none = (
            "no sequential neuron was run; the maximum at each step is exact on the sorted trains of "
            "parallel ones"
        )
        return "" if "sequential" in kinds else none

    def judge(self, seen: Seen) -> Iterator[Finding]:
        pools = _pools(seen)
        if not pools:
            return
        first, rest = pools[0], [pool.module for pool in pools[1:]]
        more = f"; also {names(rest)}" if rest else ""
        yield self.finding("warning", seen.known(first.module), (
            f"{seen.name}: {first.module} ({first.type}) takes the maximum of single spikes of "
            f"{first.before}, sequential, and not of their counts; {_effect(seen, first.behind)} "
            f"({extent(seen)}){more}"
        ))  # fmt: skip


def _pools(seen: Seen) -> list[Pool]:
    """By the run with sequential neurons where there is one."""
    rows = coverage(seen)
    spiking = places(rows, "sequential" if "sequential" in ran(seen) else "parallel")
    found = []
    seen_spikes = is_max_pool(rows) & ~of_currents(rows)
    for at, row in rows[seen_spikes & (rows["outcome"] == "analog")].iterrows():
        before = [place for place in spiking if place.row < int(str(at))]
        behind = [place for place in spiking if place.row > int(str(at))]
        if before and before[-1].kind == "sequential":
            found.append(
                Pool(row["module"], row["type"], before[-1], behind[0] if behind else None)
            )
    return found


def _effect(seen: Seen, behind: Place | None) -> str:
    """The error that the layer behind inherits, with both kinds of neuron."""
    if behind is None:
        return "no spiking layer is behind it, and the output has the error"
    said = []
    for neuron in ("sequential", "parallel"):
        rows = layers(seen, [neuron])
        rows = longest(rows[rows["layer"] == behind.module]) if len(rows) else rows
        if len(rows):
            row = rows.iloc[0]
            said.append(f"{row['inherited']:.3g} with {neuron} neurons at T = {row['time_steps']}")
    measured = ", ".join(said) or "not measured"
    return f"the error that {behind.module} inherits, in theta rms, is {measured}"
