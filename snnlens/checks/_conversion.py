"""What the conversion checks share: the tables they read, per layer and T, and the words for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar, NamedTuple

import pandas as pd

from snnlens.checks._base import Check
from snnlens.checks._seen import Seen, names, networks
from snnlens.measures.conversion import rms, share
from snnlens.recording.record import Record
from snnlens.recording.result import Finding

SOURCES = ("inherited", "clip", "quantisation", "unevenness")
OF_THE_ANN = ("ann", "requantised")  # rows of conversion_accuracy in which nothing spikes
OF_A_KIND = ("family", "depth", "width", "residual", "levels", "thresholds")  # not of one seed
PART = 0.1
OF_THE_SIGNAL = (
    "0.1 of the layer's signal, rms; ours: what rounding to T = 5 levels does to a signal that is "
    "uniform on [0, theta], 1 / (2 T), so that the layer is no finer than five steps make it"
)


class ConversionCheck(Check):
    """A check that reads tables of the Record of the question `conversion`."""

    reads: ClassVar[tuple[str, ...]] = ()  # tables without which it does not apply

    def lacks(self, seen: Seen) -> str:
        missing = [name for name in self.reads if seen.table(name).empty]
        said = f"the record holds no {', '.join(missing)}; `snnlens conversion` makes one that does"
        return said if missing else ""

    def findings(self, record: Record) -> list[Finding]:
        """One finding where the seeds of a network agree: of the first, with the others' names."""
        alike: dict[tuple[object, ...], list[tuple[str, Finding]]] = {}
        for seen in networks(record):
            if self.lacks(seen):
                continue
            for number, finding in enumerate(self.judge(seen)):
                kind = tuple(str(seen.facts.get(fact)) for fact in OF_A_KIND)
                alike.setdefault((*kind, number, finding.severity), []).append((seen.name, finding))
        return [_with_others(found) for found in alike.values()]


def _with_others(found: list[tuple[str, Finding]]) -> Finding:
    """The first one's finding, and which others have one like it."""
    (_, first), *others = found
    if not others:
        return first
    return replace(first, evidence=f"{first.evidence}; also {names([n for n, _ in others])}")


class Place(NamedTuple):
    """One spiking layer of a network as it was run."""

    module: str
    type: str
    kind: str  # parallel or sequential
    row: int  # of the coverage, in the order of the forward pass

    def __str__(self) -> str:
        return f"{self.module} ({self.type})"


# --- layers ------------------------------------------------------------------------------------


def layers(seen: Seen, neurons: Iterable[str] = ("parallel", "sequential")) -> pd.DataFrame:
    """The layers as the network ran them, at each T, by rising T and then depth.

    Of the first of the neurons that was run. Beside the sums: the root mean squares of each source
    and of the `signal` a, in thresholds, and the share of `saturated_share` values.
    """
    table = seen.table("conversion_layers")
    rows = table[table["view"] == "accumulated"] if len(table) else table
    ran = [n for n in neurons if len(rows) and (rows["neuron"] == n).any()]
    if not ran:
        return table.iloc[:0]
    rows = rows[rows["neuron"] == ran[0]].sort_values(["time_steps", "order"], kind="stable")
    sizes = {s: rms(rows[f"{s}_squares"], rows["values"]) for s in SOURCES}
    signal = rms(rows["activation_squares"], rows["values"])
    saturated = share(rows["saturated"], rows["values"])
    return rows.assign(**sizes, signal=signal, saturated_share=saturated).reset_index(drop=True)


def longest(rows: pd.DataFrame) -> pd.DataFrame:
    """The layers at the largest T that was run."""
    found: pd.DataFrame = rows[rows["time_steps"] == rows["time_steps"].max()]
    return found


def also(rows: pd.DataFrame, worst: pd.Series, column: str = "layer") -> str:
    """`; also act2, act3`: the other layers of one cause; empty where there is none."""
    rest = [name for name in dict.fromkeys(rows[column]) if name != worst[column]]
    return f"; also {names(rest)}" if rest else ""


# --- accuracy ----------------------------------------------------------------------------------


def accuracies(seen: Seen) -> pd.DataFrame:
    """Accuracy in percent of each neuron and T, by rising T."""
    table = seen.table("conversion_accuracy")
    if table.empty:
        return table
    percent = 100 * share(table["correct"], table["samples"])
    return table.assign(percent=percent).sort_values("time_steps", kind="stable")


def against_the_ann(seen: Seen, kind: str) -> str:
    """`62.0% with parallel neurons at T = 8, the ANN 95.0%`; empty where one is not known."""
    rows = accuracies(seen)
    if rows.empty:
        return ""
    ann, net = rows[rows["neuron"] == "ann"], rows[rows["neuron"] == kind]
    if not len(ann) or not len(net):
        return ""
    last = net.iloc[-1]
    return (
        f"{last['percent']:.1f}% with {kind} neurons at T = {last['time_steps']}, the ANN "
        f"{ann.iloc[0]['percent']:.1f}%"
    )


def ran(seen: Seen) -> list[str]:
    """The kinds of neuron that stood for the activations: parallel, sequential."""
    rows = accuracies(seen)
    found = [] if rows.empty else [str(n) for n in rows["neuron"] if n not in OF_THE_ANN]
    return sorted({"sequential" if n == "sequential" else "parallel" for n in found})


def extent(seen: Seen) -> str:
    """`N = 200 samples`."""
    samples = seen.facts.get("samples")
    return f"N = {samples} samples" if samples else "N unknown"


# --- coverage ----------------------------------------------------------------------------------


def coverage(seen: Seen) -> pd.DataFrame:
    """What became of each layer, in the order of the forward pass."""
    return seen.table("conversion_coverage").reset_index(drop=True)


def is_max_pool(rows: pd.DataFrame) -> pd.Series:
    """Which rows are max-pools, modules or functions."""
    bare = rows["type"].str.lower().str.replace("_", "").str.removeprefix("adaptive")
    return bare.str.startswith("maxpool")


def of_currents(rows: pd.DataFrame) -> pd.Series:
    """Which rows are max-pools that see no spikes of single layers: exact for no neuron."""
    return is_max_pool(rows) & rows["why"].str.startswith("a maximum of currents")


def places(rows: pd.DataFrame, run: str) -> list[Place]:
    """Every spiking layer of a network whose activations were replaced by neurons of one kind.

    A layer that was spiking before keeps its own kind. Where `by` names two kinds, it is believed.
    """
    found = rows[rows["outcome"].isin(["replaced", "spiking"])]
    named = {k for by in found.loc[found["outcome"] == "replaced", "by"] if (k := _kind(by))}
    made = []
    for at, row in found.iterrows():
        if row["outcome"] == "spiking":
            kind = _kind(row["type"]) or "sequential"  # every other neuron goes step by step
        else:
            kind = (_kind(row["by"]) if len(named) > 1 else "") or run
        made.append(Place(str(row["module"]), str(row["type"]), kind, int(str(at))))
    return made


def _kind(name: object) -> str:
    """The kind of neuron that a class name says; empty where it says none."""
    found = [k for k in ("parallel", "sequential") if k in str(name).lower()]
    return found[0] if found else ""
