"""SNL506: parallel and sequential neurons in one network."""

from __future__ import annotations

from collections.abc import Iterator

from snnlens.checks._conversion import (
    ConversionCheck,
    Place,
    against_the_ann,
    coverage,
    extent,
    places,
    ran,
)
from snnlens.checks._seen import Seen, names
from snnlens.recording.result import Finding

KINDS = ("parallel", "sequential")


class MixedNeurons(ConversionCheck):
    """The kinds of the spiking layers, in the order of the forward pass, of each run of a network.

    Layers that were spiking before the conversion keep their kind; those that stand for activations
    have the kind that was asked for.
    """

    name = "mixed_neurons"
    code = "SNL506"
    title = "parallel and sequential neurons in one network"
    why = (
        "A parallel neuron's spikes are sorted: all of them at one end of the T steps. A sequential "
        "neuron behind it gets its whole current there, and that error does not fall with T."
    )
    next = (
        "Give the whole network one kind of neuron: convert the layers that spike already from their "
        "activations too, or use the method that they have."
    )
    reference = (
        "Hao et al. 2025, Section 4 (the sorted trains); `snnlens conversion`, table "
        "conversion_unevenness (what they do to a sequential neuron)"
    )
    formula = "kinds of neuron in one network = 1"
    thresholds = {
        "kinds": "1; nothing is chosen",
        "warning": "a sequential layer comes behind a parallel one; a note where none does: a "
        "parallel neuron takes any train",
    }
    reads = ("conversion_coverage", "conversion_accuracy")

    def lacks(self, seen: Seen) -> str:
        none = "no layer of the network spikes"
        return super().lacks(seen) or ("" if places(coverage(seen), "parallel") else none)

    def judge(self, seen: Seen) -> Iterator[Finding]:
        rows = coverage(seen)
        runs = [(run, places(rows, run)) for run in ran(seen)]
        mixed = [(run, spiking) for run, spiking in runs if len({p.kind for p in spiking}) > 1]
        if not mixed:
            return
        run, spiking = next((m for m in mixed if _behind(m[1])), mixed[0])
        behind = _behind(spiking)
        how = ", ".join(
            s for s in (against_the_ann(seen, run), _trials(seen) if behind else "") if s
        )
        site = seen.known(behind[0].module) if behind else None
        yield self.finding("warning" if behind else "note", site, (
            f"{seen.name}: {_counts(spiking)}; {_where(behind)}{'; ' if how else ''}{how} "
            f"({extent(seen)})"
        ))  # fmt: skip


def _behind(spiking: list[Place]) -> list[Place]:
    """The sequential layers that come behind a parallel one."""
    first = next((p.row for p in spiking if p.kind == "parallel"), None)
    return [p for p in spiking if first is not None and p.kind == "sequential" and p.row > first]


def _counts(spiking: list[Place]) -> str:
    parallel, sequential = ([p for p in spiking if p.kind == kind] for kind in KINDS)
    return f"{len(parallel)} parallel and {len(sequential)} sequential layers"


def _where(behind: list[Place]) -> str:
    if not behind:
        return "no sequential one comes behind a parallel one"
    first, rest = behind[0], [p.module for p in behind[1:]]
    return f"{first} is sequential behind parallel ones" + (f"; also {names(rest)}" if rest else "")


def _trials(seen: Seen) -> str:
    """What sorted trains do to a sequential neuron, as the run measured it; empty if it did not."""
    table = seen.record.tables.get("conversion_unevenness")
    if table is None or table.empty:
        return ""
    last = table[table["time_steps"] == table["time_steps"].max()]
    found = {row["inputs"]: row["rmse"] for _, row in last.iterrows()}
    if not {"late", "regular"} <= set(found):
        return ""
    return (
        f"in the trials of one neuron sorted trains make an error of {found['late']:.2g} theta rms "
        f"at T = {int(last['time_steps'].iloc[0])} and regular ones {found['regular']:.2g}"
    )
