"""One row per training, and one per kind of network: what `degradation` reads off the curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from snnlens.analysis._published import printed
from snnlens.measures import degradation
from snnlens.recording.record import Record

CURVES = ["train_loss", "train_top1", "train_top5", "test_loss", "test_top1", "test_top5"]
# Of one kind only depth and seed differ.
KIND = ["model", "dataset", "residual", "connect", "zero_init", "layout", "time_steps", "classes"]
WHOLE = ["depth", "epochs", "top1_max_epoch", "top5_max_epoch", "seed", "time_steps",
         "train_loss_min_epoch", "classes", "epochs_planned"]  # fmt: skip
BOOTSTRAP_SEED = 0


def rows(record: Record) -> pd.DataFrame:
    """One row per network, in the order of the record."""
    curves = {str(n): c for n, c in record.table("curves").groupby("network", sort=False)}
    empty = record.table("curves").iloc[:0]
    states = _states(record)
    made = [
        _row(name, facts, curves.get(name, empty).sort_values("epoch"), states.get(name))
        for name, facts in record.networks.items()
    ]
    table = pd.DataFrame(made).astype(dict.fromkeys(WHOLE, "Int64"))
    named = {n: kind for kind, runs in kinds(table).items() for n in runs["network"]}
    return table.assign(kind=table["network"].map(named))


def statistic(table: pd.DataFrame) -> pd.DataFrame:
    """One row per kind with two depths: the slope of the final training loss, and its interval."""
    made = []
    for kind, runs in kinds(table).items():
        whole = whole_seeds(runs)
        found = degradation.over_seeds(seed_slopes(whole), np.random.default_rng(BOOTSTRAP_SEED))
        first = runs.iloc[0]
        made.append({"kind": kind} | {k: first[k] for k in KIND} | {
            "slope": found.mean, "low": found.low, "high": found.high, "seeds": found.seeds,
            "method": found.method, "depths": whole["depth"].nunique(), "runs": len(whole),
            "at_chance": int(whole["at_chance"].sum()), "left_out": len(runs) - len(whole),
        })  # fmt: skip
    columns = ["kind", *KIND, "slope", "low", "high", "seeds", "method", "depths", "runs",
               "at_chance", "left_out"]  # fmt: skip
    return pd.DataFrame(made, columns=columns)


def whole_seeds(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of one kind whose seed ended at every depth of that kind.

    Slopes of seeds over different depths do not compare, and a deepest network that diverged would
    be missing just where it matters.
    """
    depths = set(runs["depth"])
    seeds = runs["seed"].fillna(-1)
    ended = [s for s, of in runs[runs["complete"]].groupby(seeds) if set(of["depth"]) == depths]
    return runs[seeds.isin(ended) & runs["complete"]]


def kinds(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The runs of each kind of network that has two depths, by its name; in their order."""
    deep = table[table["depth"].notna()]
    groups = [g for _, g in deep.groupby(KIND, sort=False, dropna=False)]
    groups = [g for g in groups if g["depth"].nunique() > 1]
    twice = _varied(groups)
    return {_kind(g.iloc[0], twice): g for g in groups}


def seed_slopes(runs: pd.DataFrame) -> dict[int, float]:
    """nats per doubling of the depth, for each seed; runs that say no seed are one."""
    seeds = runs["seed"].fillna(-1).to_numpy(int)
    depths, losses = runs["depth"].to_numpy(int), runs["train_loss_final"].to_numpy(float)
    return degradation.slopes(depths, losses, seeds)


def _row(
    name: str, facts: dict[str, Any], curve: pd.DataFrame, state: str | None
) -> dict[str, Any]:
    paper, epochs, planned = printed(facts), len(curve), facts.get("epochs")
    classes = facts.get("classes")
    loss = _last(curve, "train_loss")
    top1, top1_epoch = _best(curve, "test_top1")
    top5, top5_epoch = _best(curve, "test_top5")
    lowest, lowest_epoch = _best(curve, "train_loss", lowest=True)
    return {
        "network": name,
        **{k: facts.get(k) for k in ("residual", "connect", "depth")},
        "epochs": epochs,
        "top1_max": top1, "top1_max_epoch": top1_epoch, "top1_final": _last(curve, "test_top1"),
        "top5_max": top5, "top5_max_epoch": top5_epoch, "top5_final": _last(curve, "test_top5"),
        "published_top1": paper.top1, "published_top5": paper.top5,
        **{k: facts.get(k) for k in ("model", "dataset", "zero_init", "layout", "seed", "time_steps")},
        "top5_at_top1_max": _at(curve, "test_top5", top1_epoch),
        "train_loss_final": loss, "train_loss_min": lowest, "train_loss_min_epoch": lowest_epoch,
        "train_loss_last20": float(curve["train_loss"].tail(20).mean()),
        "train_top1_final": _last(curve, "train_top1"),
        "test_loss_final": _last(curve, "test_loss"),
        "classes": classes,
        "at_chance": bool(degradation.at_chance(loss, classes or np.nan)),
        "epochs_planned": planned,
        "complete": epochs > 0 and (epochs >= (planned or 0) if state is None else state == "done"),
    }  # fmt: skip


def _states(record: Record) -> dict[str, str]:
    """Of a sweep: done, running, waiting or failed, by network."""
    points = record.tables.get("points")
    return {} if points is None else dict(zip(points["network"], points["state"], strict=True))


def _last(curve: pd.DataFrame, column: str) -> float:
    """The last number of a curve; NaN where it has none."""
    there = curve[column].dropna()
    return float(there.iloc[-1]) if len(there) else np.nan


def _best(curve: pd.DataFrame, column: str, *, lowest: bool = False) -> tuple[float, int | None]:
    """The best number of a curve, and the first epoch that has it."""
    there = curve[curve[column].notna()]
    if there.empty:
        return np.nan, None
    values = there[column].to_numpy(float)
    at = int(values.argmin() if lowest else values.argmax())
    return float(values[at]), int(there["epoch"].iloc[at])


def _at(curve: pd.DataFrame, column: str, epoch: int | None) -> float:
    """A curve's number in one epoch."""
    there = curve.loc[curve["epoch"] == epoch, column]
    return float(there.iloc[0]) if len(there) else np.nan


def _varied(groups: list[pd.DataFrame]) -> list[str]:
    """What a kind's name has to say beside residual and connect, since it differs between them."""
    firsts = pd.DataFrame([g.iloc[0] for g in groups])
    if firsts.empty:
        return []
    same = firsts.groupby(["residual", "connect"], dropna=False)
    told = [k for k in KIND if k not in ("residual", "connect")]
    return [k for k in told if (same[k].nunique(dropna=False) > 1).any()]


def _kind(first: pd.Series[Any], said: list[str]) -> str:
    """`sew-add`, `spiking`; with zero-init, model or data set only where kinds differ by it."""
    name = str(first["residual"])
    if isinstance(first["connect"], str):
        name += f"-{first['connect']}"
    if "zero_init" in said:
        name += {True: "-zero", False: ""}.get(first["zero_init"], " (zero-init not known)")
    words = {"time_steps": "T = {}", "classes": "{} classes", "layout": "{} layout"}
    further = [k for k in KIND if k in said and k != "zero_init"]
    return ", ".join([name, *(words.get(k, "{}").format(first[k]) for k in further)])
