"""The claims on degradation: of the paper's own logs, and of other trainings. The bounds were fixed
before anything was measured.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from snnlens.analysis import _training_runs
from snnlens.analysis._published import DEPTHS, PAPER
from snnlens.analysis._verdicts import NotTestable, claim
from snnlens.measures.degradation import Interval, over_seeds
from snnlens.recording.result import Claim

Measured = tuple[float, bool, str]
Measure = Callable[[pd.DataFrame], Measured]
TRAINED = 0.5  # of ln(classes): above it the shallowest network has not learned enough to judge
RISE = 0.1  # nats per doubling of the depth: e^.1, a tenth more; less than that is no degradation
FIG3 = f"{PAPER}, Fig. 3"


def claims(table: pd.DataFrame) -> list[Claim]:
    """Every claim that speaks of these runs, with its verdict."""
    published = table["published_top1"].notna()
    made = []
    if published.any():
        made += [
            claim(name, statement, source, bound, partial(measure, table[published]))
            for name, statement, source, bound, measure in PUBLISHED
        ]
    others = table[~published]
    if published.any():  # beside the paper's, a network of one depth is no claim's
        others = others[others["depth"].notna()]
    settings = list(others.groupby(["dataset", "model"], sort=False, dropna=False))
    for names, runs in settings:
        setting = ", ".join(n for n in names if isinstance(n, str)) or "data not known"
        made += _of_trainings(runs, setting if len(settings) > 1 else "")
    return made


# --- the paper's own logs ----------------------------------------------------------------------


def _table2(runs: pd.DataFrame) -> Measured:
    rows = runs[runs["dataset"] == "ImageNet"]
    agree = sum(_agrees(r, f"top{k}", 2) for _, r in rows.iterrows() for k in (1, 5))
    odd = [str(r["network"]) for _, r in rows.iterrows()
           if not (_agrees(r, "top1", 2) and _agrees(r, "top5", 2))]  # fmt: skip
    reason = f"{agree} of {2 * len(rows)} agree" + (f"; not: {', '.join(odd)}" if odd else "")
    if len(rows) < 2 * len(DEPTHS):
        raise NotTestable(f"{len(rows)} of the {2 * len(DEPTHS)} logs are there; {reason}")
    return float(agree), agree == 4 * len(DEPTHS), reason


def _independent(runs: pd.DataFrame) -> Measured:
    rows = runs[runs["dataset"] == "ImageNet"]
    if rows.empty:
        raise NotTestable("no log of ImageNet is there")
    other = [
        r for _, r in rows.iterrows() if round(r["top5_at_top1_max"], 2) != r["published_top5"]
    ]
    maxima = sum(_agrees(r, "top5", 2) for _, r in rows.iterrows())
    said = [f"{r['network']} {r['top5_at_top1_max']:.2f}, printed {r['published_top5']:.2f}"
            for r in other]  # fmt: skip
    reason = (
        f"{maxima} of {len(rows)} printed Acc@5 are the maximum; Acc@5 in the epoch of the best "
        f"Acc@1: {'; '.join(said) or 'as printed'}"
    )
    return float(len(other)), bool(other) and maxima == len(rows), reason


def _alone(dataset: str, digits: int) -> Measure:
    """One printed accuracy of one network."""

    def measure(runs: pd.DataFrame) -> Measured:
        rows = runs[runs["dataset"] == dataset]
        if rows.empty:
            raise NotTestable(f"the log of {dataset} is not there")
        row = rows.iloc[0]
        reason = (
            f"printed {row['published_top1']:g}; the maximum over {row['epochs']} epochs, at epoch "
            f"{row['top1_max_epoch']}; {row['top1_final']:.2f} in the last"
        )
        return float(row["top1_max"]), _agrees(row, "top1", digits), reason

    return measure


def _agrees(row: pd.Series[Any], which: str, digits: int) -> bool:
    return bool(round(row[f"{which}_max"], digits) == row[f"published_{which}"])


def _monotone(residual: str, column: str, sign: int) -> Measure:
    """The step against the claim that is largest: all must have the sign."""

    def measure(runs: pd.DataFrame) -> Measured:
        rows = _depths(runs, residual)
        steps = np.diff(rows[column].to_numpy(float))
        worst = float(steps.min() if sign > 0 else steps.max())
        return worst, bool((sign * steps > 0).all()), _said(rows, column)

    return measure


def _step(column: str, shallow: int, deep: int) -> Measure:
    """One step of the Spiking curve."""

    def measure(runs: pd.DataFrame) -> Measured:
        rows = _depths(runs, "spiking").set_index("depth").loc[[shallow, deep]]
        change = float(rows[column].diff().iloc[1])
        means = float(rows["train_loss_last20"].diff().iloc[1])
        reason = (
            f"final {rows[column].iloc[0]:.4f} and {rows[column].iloc[1]:.4f}; mean of the last 20 "
            f"epochs {means:+.4f}; final training accuracy "
            f"{rows['train_top1_final'].iloc[0]:.2f} and {rows['train_top1_final'].iloc[1]:.2f} %"
        )
        return change, change > 0, reason

    return measure


def _depths(runs: pd.DataFrame, residual: str) -> pd.DataFrame:
    """The five depths of Fig. 3 of one kind, in order."""
    rows = runs[(runs["dataset"] == "ImageNet") & (runs["residual"] == residual)]
    rows = rows.sort_values("depth")
    if missing := [str(d) for d in DEPTHS if d not in set(rows["depth"])]:
        raise NotTestable(f"the {residual} logs of these depths are missing: {', '.join(missing)}")
    return rows


def _said(rows: pd.DataFrame, column: str) -> str:
    values = list(zip(rows["depth"], rows[column], strict=True))
    return ", ".join(f"{a} to {b}: {y - x:+.4g}" for (a, x), (b, y) in pairwise(values))


# --- other trainings ---------------------------------------------------------------------------


def _of_trainings(runs: pd.DataFrame, setting: str) -> list[Claim]:
    """Does Spiking degrade, does SEW, and one against the other; of one data set and model."""
    connects = list(runs.loc[runs["residual"] == "sew", "connect"].dropna().unique()) or ["add"]
    made = [
        claim("degradation-spiking", "Spiking ResNet degrades: the deeper, the higher its final "
              "training loss.", FIG3, "slope against log2 depth: 95 % interval above 0",
              partial(_rises, runs)),
    ]  # fmt: skip
    for connect in connects:
        name = f"SEW ResNet ({connect})"
        made += [
            claim(f"degradation-sew-{connect}", f"{name} does not degrade: its final training loss "
                  f"rises by no more than {RISE} nats per doubling of the depth.", FIG3,
                  f"slope against log2 depth: 95 % interval below {RISE}",
                  partial(_does_not_rise, runs, connect)),
            claim(f"degradation-against-sew-{connect}", f"Spiking ResNet degrades more than {name}.",
                  FIG3, "difference of the slopes, by seed: 95 % interval above 0",
                  partial(_slopes_differ, runs, connect)),
            claim(f"degradation-deepest-loss-sew-{connect}", f"The deepest Spiking ResNet ends with "
                  f"a higher training loss than the deepest {name}.", FIG3,
                  "difference, by seed: 95 % interval above 0",
                  partial(_deepest, runs, connect, "train_loss_final", 1)),
            claim(f"degradation-deepest-accuracy-sew-{connect}", f"The deepest {name} ends with a "
                  "higher test accuracy than the deepest Spiking ResNet.", FIG3,
                  "difference, by seed: 95 % interval above 0",
                  partial(_deepest, runs, connect, "top1_final", -1)),
        ]  # fmt: skip
    if not setting:
        return made
    end = re.sub(r"[^a-z0-9]+", "-", setting.lower()).strip("-")
    return [replace(c, id=f"{c.id}-{end}", statement=f"{setting}: {c.statement}") for c in made]


def _rises(runs: pd.DataFrame) -> Measured:
    """The slope of Spiking has to be above 0."""
    found, reason = _slope(runs, None)
    return found.mean, bool(found.low > 0), reason


def _does_not_rise(runs: pd.DataFrame, connect: str) -> Measured:
    """The slope of SEW has to be shown small; an interval that is too wide shows nothing."""
    found, reason = _slope(runs, connect)
    if found.low <= 0 and found.high > RISE:
        raise NotTestable(f"{reason}; the interval holds 0 and more than {RISE}: train more seeds")
    return found.mean, bool(found.high <= RISE), reason


def _slope(runs: pd.DataFrame, connect: str | None) -> tuple[Interval, str]:
    """The slope of one kind with its interval, and in words what it was made of."""
    rows = _trained(_kind(runs, connect))
    found = _interval(_training_runs.seed_slopes(rows))
    chance = int(rows["at_chance"].sum())
    reason = f"{_text(found)} nats per doubling; depths {_listed(rows['depth'])}"
    reason += f"; {chance} of {len(rows)} runs at chance" if chance else ""
    if rows["classes"].isna().any():
        reason += "; the number of classes is not known, and so not whether the shallowest learned"
    return found, reason


def _slopes_differ(runs: pd.DataFrame, connect: str) -> Measured:
    spiking, sew = (_trained(_kind(runs, c)) for c in (None, connect))
    both = set(spiking["depth"]) & set(sew["depth"])
    if len(both) < 2:
        raise NotTestable("Spiking and SEW were not trained at two common depths")
    slopes = [_training_runs.seed_slopes(r[r["depth"].isin(both)]) for r in (spiking, sew)]
    found = _interval({s: slopes[0][s] - slopes[1][s] for s in slopes[0].keys() & slopes[1].keys()})
    means = [float(np.mean(list(s.values()))) for s in slopes]
    reason = f"{_text(found)} nats per doubling; Spiking {means[0]:+.3g}, SEW {means[1]:+.3g}"
    reason += f"; depths {', '.join(str(d) for d in sorted(both))}"
    return found.mean, bool(found.low > 0), reason


def _deepest(runs: pd.DataFrame, connect: str, column: str, sign: int) -> Measured:
    """Spiking minus SEW (sign 1), or SEW minus Spiking, at the deepest depth that both have."""
    spiking, sew = (_trained(_kind(runs, c)) for c in (None, connect))
    both = set(spiking["depth"]) & set(sew["depth"])
    if not both:
        raise NotTestable("Spiking and SEW were trained at no common depth")
    at = [r[r["depth"] == max(both)].groupby("seed")[column].mean() for r in (spiking, sew)]
    differences = sign * (at[0] - at[1]).dropna()
    found = _interval({int(s): float(d) for s, d in differences.items()})
    unit = "nats" if "loss" in column else "percentage points"
    reason = (
        f"{_text(found)} {unit} at depth {max(both)}; mean Spiking {at[0].mean():.4g}, SEW "
        f"{at[1].mean():.4g}"
    )
    return found.mean, bool(found.low > 0), reason


def _kind(runs: pd.DataFrame, connect: str | None) -> pd.DataFrame:
    """The runs of SEW with that connect, or of Spiking, of seeds that ended at every depth.

    Zero-init as in the paper. A seed whose deepest network failed would make depth look harmless.
    """
    residual = "spiking" if connect is None else "sew"
    name = residual if connect is None else f"sew {connect}"
    rows = runs[runs["residual"] == residual]
    rows = rows if connect is None else rows[rows["connect"] == connect]
    found = list(_training_runs.kinds(rows).values())
    if not found:
        raise NotTestable(f"{name} was not trained at two depths")
    as_in_paper = [f for f in found if f["zero_init"].iloc[0] == (connect is None)]
    chosen = (as_in_paper or found)[0]
    whole = _training_runs.whole_seeds(chosen)
    if whole.empty:
        names = ", ".join(chosen.loc[~chosen["complete"], "network"])
        raise NotTestable(
            f"{name}: no seed was trained to the end at every depth; missing: {names}"
        )
    return whole


def _trained(rows: pd.DataFrame) -> pd.DataFrame:
    """The runs, if the shallowest network learned: without that a slope says nothing."""
    first = rows.iloc[0]
    lost = rows.loc[~np.isfinite(rows["train_loss_final"].to_numpy(float)), "network"]
    if len(lost):
        raise NotTestable(f"no finite final training loss: {', '.join(lost)}")
    if pd.isna(first["classes"]):
        return rows
    chance = math.log(first["classes"])
    shallow = rows[rows["depth"] == rows["depth"].min()]
    worst = float(np.max(shallow["train_loss_final"].to_numpy(float)))
    if not worst < TRAINED * chance:
        at = "at chance" if shallow["at_chance"].any() else "not trained"
        raise NotTestable(
            f"{first['residual']}: the shallowest network ({shallow['depth'].iloc[0]} layers) is {at}: "
            f"final training loss {worst:.3g}, half of ln({first['classes']}) is {TRAINED * chance:.3g}"
        )
    return rows


def _interval(values: dict[int, float]) -> Interval:
    found = over_seeds(values, np.random.default_rng(_training_runs.BOOTSTRAP_SEED))
    if found.seeds == 0:
        raise NotTestable("no common seed was trained to the end")
    if found.seeds == 1:
        raise NotTestable(f"one seed: {found.mean:+.3g}, without an interval; train at least two")
    return found


def _text(found: Interval) -> str:
    return f"{found.mean:+.3g} (95 % {found.low:+.3g} to {found.high:+.3g}, {found.method})"


def _listed(values: pd.Series[Any]) -> str:
    return ", ".join(str(v) for v in sorted(values.unique()))


STEPS = list(pairwise(DEPTHS))
PUBLISHED: list[tuple[str, str, str, str, Measure]] = [
    ("table2-maxima", "The 20 accuracies of Table 2 are the maxima over the epochs of the logs.",
     f"{PAPER}, Table 2", "20 of 20 agree, rounded as printed", _table2),
    ("table2-independent", "Acc@1 and Acc@5 of Table 2 are maxima over the epochs, each for itself.",
     f"{PAPER}, Table 2", ("every printed Acc@5 is the maximum, and one at least is not of the epoch "
     "of the best Acc@1"), _independent),
    ("table4-sew-add", "7B-Net with SEW add reaches 97.92 % on DVS Gesture.", f"{PAPER}, Table 4",
     "97.92, rounded as printed", _alone("DVS Gesture", 2)),
    ("table6-sew-add", "Wide-7B-Net with SEW add reaches 74.4 % on CIFAR10-DVS at T = 16.",
     f"{PAPER}, Table 6", "74.4, rounded as printed", _alone("CIFAR10-DVS", 1)),
    ("fig3-sew-loss", "SEW ResNet: the deeper, the lower the final training loss.", FIG3,
     "every step from depth to depth < 0", _monotone("sew", "train_loss_final", -1)),
    ("fig3-sew-train", "SEW ResNet: the deeper, the higher the final training accuracy.", FIG3,
     "every step > 0", _monotone("sew", "train_top1_final", 1)),
    ("fig3-sew-test", "SEW ResNet: the deeper, the higher the final test accuracy.", FIG3,
     "every step > 0", _monotone("sew", "top1_final", 1)),
    ("fig3-spiking-loss", "Spiking ResNet: the deeper, the higher the final training loss.", FIG3,
     "every step from depth to depth > 0", _monotone("spiking", "train_loss_final", 1)),
    *((f"fig3-spiking-loss-{a}-{b}", (f"Spiking ResNet: the final training loss of {b} layers is "
       f"above that of {a}."), FIG3, "difference > 0", _step("train_loss_final", a, b))
      for a, b in STEPS),
    ("fig3-spiking-train", "Spiking ResNet: the deeper, the lower the final training accuracy.",
     FIG3, "every step < 0", _monotone("spiking", "train_top1_final", -1)),
    ("fig3-spiking-test", "Spiking ResNet: the deeper, the lower the final test accuracy.", FIG3,
     "every step < 0", _monotone("spiking", "top1_final", -1)),
]  # fmt: skip
