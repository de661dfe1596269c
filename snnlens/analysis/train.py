"""How a network learned: loss and accuracy per epoch, and what was recorded inside meanwhile."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from snnlens.measures.degradation import AT_CHANCE
from snnlens.recording.record import Record
from snnlens.recording.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INSIDE = ("by_epoch", "layers_by_epoch")  # further tables: per block, per spiking layer
NOTES = [
    (
        "Shown: loss and accuracy after each epoch, on the training set while it learned (each batch "
        "before its step) and on the test set in evaluation mode; below, what was recorded inside "
        "with one fixed batch in training mode, one line per record, from initialisation (light) to "
        "the last epoch (dark)."
    ),
    "Good: both losses fall; rates, gradient norms and identity errors stay level along the depth.",
    (
        "Bad: a loss that stays near ln(classes) is chance; a training loss that falls while the test "
        "loss rises is overfitting; a gradient norm that falls by a factor per block, or a rate that "
        "goes to 0, says in which block learning stops."
    ),
    (
        "What to do: read the findings below, which judge the last record; compare with a shallower "
        "network or with SEW add (`snnlens degradation`)."
    ),
]


def compute(record: Record) -> Result:
    """One row per epoch: train and test loss, top-1 and top-5 accuracy in percent, learning rate.

    Source: the recipe of Fang et al. 2021 (SEW ResNet); quantities as their probes say.
    """
    curves = record.table("curves")
    return Result(
        question="train",
        title="How does this network learn?",
        table=curves,
        caption=_caption(record),
        claims=[],
        findings=[],
        record=record,
        notes=NOTES,
        extra={name: record.tables[name] for name in INSIDE if name in record.tables},
        draw=draw,
    )


def draw(result: Result) -> Figure:
    """Curves over epochs; rates, gradient norms and identity errors over depth."""
    from snnlens.figures.training import training_figure

    blocks, layers = (result.extra.get(name) for name in INSIDE)
    return training_figure(result.table, blocks, layers, result.caption)


def _caption(record: Record) -> str:
    name, facts = next(iter(record.networks.items()))
    parameters: dict[str, Any] = record.provenance.get("parameters") or {}
    parts = [
        f"{name}: {_ended(record.table('curves'), facts.get('classes'))}",
        facts.get("data"),
        f"T = {facts['time_steps']}" if facts.get("time_steps") else None,
        _recipe(parameters),
        f"seed {facts.get('seed')}",
        f"{facts['processes']} processes, BatchNorm per process"
        if facts.get("processes", 1) > 1 else None,
        record.provenance.get("device"),
    ]  # fmt: skip
    return "; ".join(str(p) for p in parts if p) + "."


def _ended(curves: pd.DataFrame, classes: int | None) -> str:
    """What the last epoch gave, the best test accuracy, and whether anything was learned."""
    last, best = curves.iloc[-1], curves.iloc[int(curves["test_top1"].fillna(-1).argmax())]
    text = (
        f"after {len(curves)} epoch{'s' * (len(curves) > 1)} training loss {last['train_loss']:.4g}, test accuracy "
        f"{last['test_top1']:.2f} % (best {best['test_top1']:.2f} %, after {int(best['epoch']) + 1})"
    )
    chance = math.log(classes) if classes else math.inf
    if last["train_loss"] >= (1 - AT_CHANCE) * chance:
        text += f", no better than chance (ln {classes} = {chance:.3f})"
    return text


def _recipe(parameters: dict[str, Any]) -> str | None:
    """Optimiser, learning rate and schedule, batch, precision."""
    if "optimiser" not in parameters:
        return None
    p = parameters
    precision = "" if p["precision"] == "float32" else f", {p['precision']}"
    return f"{p['optimiser']}, lr {p['lr']:g} {p['schedule']}, batch {p['batch']}{precision}"
