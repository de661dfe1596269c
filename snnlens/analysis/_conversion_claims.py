"""The claims on conversion, and what this run says of them. The bounds were fixed before anything
was measured.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from snnlens.analysis._conversion_tables import EXPONENTS, FITTED, KIND
from snnlens.analysis._verdicts import NotTestable, claim
from snnlens.recording.result import Claim

Measured = tuple[float, bool, str]
PAPER = "Hao et al. 2025 (Faster and Stronger)"
DERIVED = "derived for snnlens from the neurons of Hao et al. 2025"
MEASURED = "measured for snnlens beforehand, of the sequential neuron as in Hao et al. 2025"
NO_BIAS = 1e-6  # of the threshold; a grid of midpoints leaves 1e-7
FLIPS = 1e-3  # of the counts in float32; a ResNet-20 of 19 layers had 2.4e-4, none in float64
FROM_EXPONENT = 0.1  # the prototype was off by .01, .01, .06 and .04
SAME = [k for k in KIND if k != "depth"]  # of two depths that are compared


class Answers(NamedTuple):
    """What the claims read: facts, accuracies, layers and the trials without a network."""

    networks: pd.DataFrame
    table: pd.DataFrame
    layers: pd.DataFrame
    expectation: pd.DataFrame | None
    slopes: pd.DataFrame | None


def claims(
    networks: pd.DataFrame, table: pd.DataFrame, extra: dict[str, pd.DataFrame]
) -> list[Claim]:
    """Every claim, with its verdict on this record."""
    layers = extra.get("layers", pd.DataFrame(columns=["network", "neuron", "time_steps", "view"]))
    seen = Answers(networks, table, layers[layers["view"] == "accumulated"],
                   extra.get("expectation"), extra.get("unevenness_slopes"))  # fmt: skip
    return [
        claim(name, statement, source, bound, partial(measure, seen))
        for name, statement, source, bound, measure in CLAIMS
    ]


# --- parallel neurons --------------------------------------------------------------------------


def _lossless(seen: Answers) -> Measured:
    """Counts against the ANN's own at T = L."""
    rows = _at_levels(seen, "parallel")
    differ = int(rows["differs"].sum())
    answers = _answers(seen, "parallel", "ann", at_levels=True)
    _exact(seen, rows)
    return float(differ), differ == 0, f"{_of(rows)}{_precision(seen, rows)}; {answers}"


def _requantised(seen: Answers) -> Measured:
    """Counts, and right answers, against the ANN whose quantiser has T levels."""
    rows = _layers_of(seen, "parallel")
    differ = int(rows["differs"].sum())
    both = _both(seen, "parallel", "requantised")
    unequal = int((both["right"] != both["right_other"]).sum())
    steps = ", ".join(str(t) for t in sorted(rows["time_steps"].unique()))
    reason = (
        f"{_of(rows)} at T = {steps}{_precision(seen, rows)}; the number of right answers differs "
        f"in {unequal} of {len(both)} runs"
    )
    _exact(seen, rows)
    return float(differ), differ == 0 and unequal == 0 and len(both) > 0, reason


def _sorted(seen: Answers) -> Measured:
    """Neighbouring steps of a neuron that fall from 1 to 0."""
    rows = seen.layers[seen.layers["unsorted"].notna()] if len(seen.layers) else seen.layers
    if rows.empty:
        raise NotTestable("no parallel neuron was run")
    falls = int(rows["unsorted"].sum())
    neurons = " and ".join(rows["neuron"].unique())
    return float(falls), falls == 0, f"{_of(rows)} of {neurons} neurons"


def _expected(seen: Answers) -> Measured:
    """The mean error of the neuron on inputs uniform on [0, theta]."""
    if seen.expectation is None:
        raise NotTestable("the record holds no conversion_expectation")
    trials = seen.expectation.assign(size=seen.expectation["error"].abs())
    uniform, half = trials["inputs"] == "uniform", trials["shift"] == 0.5
    asked = trials[uniform & half]
    if asked.empty:
        raise NotTestable("no uniform inputs at shift 1/2 were run")
    largest = float(np.max(asked["size"].to_numpy(float)))
    reason = f"{len(asked)} pairs of L and T"
    if len(peaked := trials[~uniform & half]):
        worst = peaked.iloc[int(peaked["size"].to_numpy().argmax())]
        reason += f"; not so of {worst['inputs']} inputs: up to {_bias(worst)}"
    if len(zero := trials[uniform & (trials["shift"] == 0)]):
        worst = zero.iloc[int(zero["size"].to_numpy().argmax())]
        off = (zero["error"] - zero["closed_form"]).abs()
        reason += (
            f"; nor at shift 0: up to {_bias(worst)}, within {float(off.max()):.1g} of "
            "(1/L - 1/T) / 2"
        )
    return largest, largest <= NO_BIAS, reason


def _bias(row: pd.Series[Any]) -> str:
    return f"{row['error']:+.3g} theta (L = {row['levels']:g}, T = {row['time_steps']:g})"


# --- the sequential neuron ---------------------------------------------------------------------


def _not_lossless(seen: Answers) -> Measured:
    """The share of counts that differ from the ANN's at T = L; the first layer is exact always."""
    rows = _at_levels(seen, "sequential")
    if rows["order"].max() == 0:
        raise NotTestable("one spiking layer only, whose current is constant: it is exact always")
    differ, values = int(rows["differs"].sum()), int(rows["values"].sum())
    answers = _answers(seen, "sequential", "ann", at_levels=True)
    return differ / values, differ > 0, f"{_of(rows)} differ in {differ}; {answers}"


def _slopes(seen: Answers) -> Measured:
    """How far the exponents are from -1, -0.7, 0 and 0."""
    if seen.slopes is None:
        raise NotTestable("the record holds no conversion_unevenness")
    found = seen.slopes.set_index("inputs")
    if missing := [i for i in EXPONENTS if i not in found.index]:
        raise NotTestable(f"not run: {', '.join(missing)}")
    found = found.loc[list(EXPONENTS)]
    if (found["from_steps"] > FITTED[0]).any() or (found["to_steps"] < FITTED[1]).any():
        raise NotTestable(f"needs T from {FITTED[0]} to {FITTED[1]}")
    off = (found["exponent"] - found["expected"]).abs().to_numpy(float)
    said = ", ".join(
        f"{inputs} {row['exponent']:+.3f} (95 % {row['low']:+.3f} to {row['high']:+.3f})"
        for inputs, row in found.iterrows()
    )
    return float(np.max(off)), bool((off <= FROM_EXPONENT).all()), f"T = 8 to 256: {said}"


def _widens(seen: Answers) -> Measured:
    """The smallest step, from depth to depth, of the gap between ANN and sequential at T = L."""
    steps, said = [], []
    for name, gaps in _gaps(seen):
        steps += [b - a for a, b in pairwise(gaps)]
        means = ", ".join(f"{d} layers {g:.2f}" for d, g in gaps.items())
        said.append(f"{name}: {means}")
    if not steps:
        raise NotTestable("no family was run at two depths")
    return float(min(steps)), min(steps) > 0, "points below the ANN, " + "; ".join(said)


def _gaps(seen: Answers) -> list[tuple[str, pd.Series[Any]]]:
    """Per family the gap by depth in points, the mean over the seeds that every depth has."""
    table = _with_levels(seen, "sequential")
    facts = seen.networks.set_index("network")
    rows = table.assign(**{k: table["network"].map(facts[k]) for k in SAME})
    made = []
    for _, of in rows[rows["depth"].notna()].groupby(SAME, sort=False, dropna=False):
        if of["depth"].nunique() < 2:
            continue
        seeds = of.assign(seed=of["seed"].fillna(-1))  # networks that say no seed are one
        gaps = seeds.pivot_table(index="seed", columns="depth", values="points_below_ann")
        whole = gaps.dropna()
        if whole.empty:
            raise NotTestable(f"{of['family'].iloc[0]}: no seed was run at every depth")
        mean = f"mean of {len(whole)} seed{'s' * (len(whole) > 1)}"
        made.append((f"{of['family'].iloc[0]}, {mean}", whole.mean()))
    return made


# --- what several read -------------------------------------------------------------------------


def _with_levels(seen: Answers, neuron: str) -> pd.DataFrame:
    """Rows of the main table at T = L."""
    if seen.networks["levels"].isna().all():
        raise NotTestable("the ANN has no levels (ReLU): there is no T at which it should be met")
    rows = seen.table[seen.table["neuron"] == neuron]
    if rows.empty:
        raise NotTestable(f"no {neuron} neuron was run")
    at = rows[(rows["time_steps"] == rows["levels"]).fillna(value=False)]
    if at.empty:
        levels = ", ".join(str(x) for x in sorted(rows["levels"].dropna().unique()))
        raise NotTestable(f"T = L was not run: L is {levels}")
    return at


def _at_levels(seen: Answers, neuron: str) -> pd.DataFrame:
    """The layers at T = L."""
    at = _with_levels(seen, neuron)[["network", "time_steps"]].astype({"time_steps": int})
    rows = _layers_of(seen, neuron).merge(at, on=["network", "time_steps"], validate="many_to_one")
    if rows.empty:
        raise NotTestable(f"no layer was recorded at T = L of {neuron}")
    return rows


def _layers_of(seen: Answers, neuron: str) -> pd.DataFrame:
    rows = seen.layers[seen.layers["neuron"] == neuron]
    if rows.empty:
        raise NotTestable(f"the layers of no {neuron} neuron were recorded")
    return rows


def _both(seen: Answers, neuron: str, other: str) -> pd.DataFrame:
    """The runs of a neuron beside those of another one of the same network and T."""
    keys = ["network"] if other == "ann" else ["network", "time_steps"]
    reference = seen.table[seen.table["neuron"] == other][[*keys, "right"]]
    rows = seen.table[seen.table["neuron"] == neuron]
    return rows.merge(reference, on=keys, suffixes=("", "_other"), validate="many_to_one")


def _answers(seen: Answers, neuron: str, other: str, *, at_levels: bool) -> str:
    """The mean accuracy of both, and the points between."""
    both = _both(seen, neuron, other)
    both = both[(both["time_steps"] == both["levels"]).fillna(value=not at_levels)]
    if both.empty:
        return "accuracies not known"
    own = float(both["top1"].mean())
    lost = float((100 * (both["right_other"] - both["right"]) / both["samples"]).mean())
    return f"top 1 {own:.2f} %, {lost:.2f} points below the ANN, mean of {len(both)}"


def _of(rows: pd.DataFrame) -> str:
    """How much was looked at."""
    networks, layers = rows["network"].nunique(), rows.groupby("network")["layer"].nunique().sum()
    return (
        f"{int(rows['values'].sum()):,} values of {layers} layers in {networks} "
        f"network{'s' * (networks > 1)}"
    )


def _exact(seen: Answers, rows: pd.DataFrame) -> None:
    """Raise NotTestable where counts differ in float32: the statement is of exact arithmetic, and
    there a current within the rounding of a product falls to either side of a level.
    """
    differ, values = int(rows["differs"].sum()), int(rows["values"].sum())
    if 0 < differ < FLIPS * values and "float32" in _precision(seen, rows):
        raise NotTestable(
            f"{differ} of {values} counts ({differ / values:.1g}) differ in float32, where a current "
            "within rounding of a level falls to either side, and later layers inherit it; "
            "--precision float64 tells"
        )


def _precision(seen: Answers, rows: pd.DataFrame) -> str:
    """In which precision: of float32 a few counts may flip, where a sum is close to a tie."""
    of = seen.networks.loc[seen.networks["network"].isin(list(rows["network"])), "precision"]
    return f" in {' and '.join(map(str, of.dropna().unique()))}" if of.notna().any() else ""


CLAIMS: list[tuple[str, str, str, str, Callable[[Answers], Measured]]] = [
    ("thm41-lossless", ("At T = L (the levels of QCFS) the network of parallel neurons is the ANN, "
     "neuron by neuron."), f"{PAPER}, Theorem 4.1 (i)", "0 counts differ from the ANN's",
     _lossless),
    ("thm41-expectation", ("With the shift theta / 2 and inputs uniform on [0, theta] the parallel "
     "neuron's expected error is 0 at every T."), f"{PAPER}, Theorem 4.1 (ii)",
     f"largest |E[r_T - r_L]| <= {NO_BIAS:g} theta", _expected),
    ("sorted", "A parallel neuron's spikes lie in its last k steps.", DERIVED,
     "0 neighbouring steps fall from 1 to 0", _sorted),
    ("parallel-is-requantised", ("At every T the network of parallel neurons is the ANN whose "
     "quantiser has T levels."), DERIVED,
     "0 counts differ, and the numbers of right answers are equal", _requantised),
    ("sequential-not-lossless", "At T = L the network of sequential IF neurons is not the ANN.",
     DERIVED, "share of counts that differ > 0", _not_lossless),
    ("unevenness-slope", ("More steps cure the unevenness of a sequential IF neuron by the order "
     "of its input spikes: as T^-1 of regular trains, T^-0.7 of shuffled ones, not at all of "
     "sorted ones."), MEASURED, f"largest |exponent - expected| <= {FROM_EXPONENT}", _slopes),
    ("depth-widens-gap", ("The deeper the network, the further the sequential IF network is below "
     "the ANN at T = L."), DERIVED, "every step from depth to depth > 0 points", _widens),
]  # fmt: skip
