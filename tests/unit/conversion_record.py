"""A Record of the question `conversion` made by hand: every answer is known on paper.

Each network has 200 samples and layers of one width; n = 200 x width values a layer. In thresholds:

    rms of           sequential, layer o > 0   sequential, layer 0   parallel
    inherited        .03 o                     0                     .02 o (0 at T = L)
    clip             0 (.01 of ReLU)           the same              the same
    quantisation     .05 (0 at T = L)          the same              the same
    unevenness       .16 / T                   0                     0

The four are uncorrelated, so that the total's square is the sum of theirs: at T = L = 4 layer 1 has
sqrt(.03^2 + .04^2) = .05. Of its n counts 1 % are one too small, 4 % one and 1 % two too large.

    right of 200, seed s, QCFS   ann 190 - 2 s; parallel and requantised 60, 180, 190, 192 - 2 s at
                                 T = 1, 2, 4, 8; sequential 190 - 16 depth / T - 4 s, at least 20
    gap at T = 4                 2 depth + s points
    spikes                       T / 4 for each neuron and sample
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from snnlens.recording.record import Record, Schema, empty

SAMPLES = 200
SOURCES = ("inherited", "clip", "quantisation", "unevenness")
OFFSETS = ("m3", "m2", "m1", "0", "1", "2", "3")
NEURONS = ("parallel", "sequential")
PARALLEL = {1: 60, 2: 180, 4: 190, 8: 192, 16: 192, 32: 193, 64: 193}  # right of 200, QCFS
INPUTS = ("regular", "shuffled", "late", "early")


@dataclass
class Net:
    """One converted network; ReLU where `levels` is None."""

    depth: int = 4
    width: int = 10
    seed: int = 0
    levels: int | None = 4
    time_steps: Sequence[int] = (1, 2, 4, 8)
    neurons: Sequence[str] = NEURONS  # and "calibrated", "calibrated-zero-mean"
    family: str = "mlp"
    residual: bool = False  # one residual add a network, with its two paths
    facts: Mapping[str, Any] | None = None
    name: str = ""

    def __post_init__(self) -> None:
        self.name = self.name or f"{self.family}-{self.depth}x{self.width}-s{self.seed}"

    @property
    def values(self) -> int:
        """n of a layer."""
        return self.width * SAMPLES


def record(*nets: Net, trials: bool = True) -> Record:
    """The Record of these networks; `trials`: with the tables that belong to no network."""
    made = {
        "conversion_accuracy": _frame(_accuracy(net) for net in nets),
        "conversion_layers": _frame(_layers(net) for net in nets),
        "conversion_coverage": _frame(_coverage(net) for net in nets),
        "conversion_pairs": _frame(_pairs(net) for net in nets),
    }
    if any(net.residual for net in nets):
        made["conversion_paths"] = _frame(_paths(net) for net in nets if net.residual)
    if trials:
        made |= {"conversion_expectation": expectation(), "conversion_unevenness": unevenness()}
    return Record(
        sites=empty().sites,
        tables=made,
        schemas={name: Schema(axes=()) for name in made},
        networks={net.name: _facts(net) for net in nets},
        provenance={"question": "conversion"},
    )


def three_depths(seeds: int = 3, **options: Any) -> Record:
    """4, 8 and 16 layers: the gap at T = 4 is 9, 17 and 33 points in the mean of three seeds."""
    return record(*(Net(d, seed=s, **options) for d in (4, 8, 16) for s in range(seeds)))


def change(made: Record, table: str, where: Mapping[str, Any], **values: Any) -> Record:
    """The same Record with other values in the rows where every column has the given value."""
    rows = made.tables[table]
    chosen = np.logical_and.reduce([rows[c] == v for c, v in where.items()] or [rows.index >= 0])
    assert chosen.any(), f"no row of {table} has {where}"
    for column, value in values.items():
        rows.loc[chosen, column] = value
    return made


def plausible(made: Record, generator: np.random.Generator, spread: float = 0.3) -> Record:
    """The same Record with errors that scatter: `spread` is that of their logarithm."""
    rows = made.tables["conversion_layers"]
    total = np.zeros(len(rows))
    for source in SOURCES:
        factor = np.exp(generator.normal(0, spread, len(rows)))
        rows[f"{source}_squares"] *= factor
        rows[f"{source}_sum"] *= factor
        total += rows[f"{source}_squares"]
    rows["total_squares"] = total * generator.uniform(0.8, 1.2, len(rows))
    trials = made.tables.get("conversion_unevenness")
    if trials is not None:
        trials["rmse"] *= np.exp(generator.normal(0, spread / 5, len(trials)))
    return made


def expectation() -> pd.DataFrame:
    """At shift 1/2 0 of uniform inputs, -.154 / T^2 of half-normal ones; at 0 (1/L - 1/T) / 2."""
    rows = [
        {"network": "", "levels": levels, "time_steps": t, "shift": shift, "inputs": inputs,
         "error": 0.0 if shift and inputs == "uniform" else
         -0.154 / t**2 if shift else (1 / levels - 1 / t) / 2}
        for levels in (4, 8) for t in (1, 2, 4, 8, 16, 32)
        for shift, inputs in ((0.5, "uniform"), (0.0, "uniform"), (0.5, "half-normal"))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def unevenness() -> pd.DataFrame:
    """Power laws: .25 / T, .2 T^-.7, and two that do not fall."""
    steps = (2, 4, 8, 16, 32, 64, 128, 256)
    laws = {
        "regular": (0.25, -1.0, 0.0),
        "shuffled": (0.2, -0.7, 0.0),
        "late": (0.07, 0.0, -0.005),
        "early": (0.036, 0.0, 0.013),
    }
    rows = [
        {"network": "", "inputs": inputs, "time_steps": t, "rmse": factor * t**exponent,
         "bias": bias, "share": 0.065}
        for inputs, (factor, exponent, bias) in laws.items() for t in steps
    ]  # fmt: skip
    return pd.DataFrame(rows)


# --- one network ---------------------------------------------------------------------------------


def _facts(net: Net) -> dict[str, Any]:
    relu = net.levels is None
    return {
        "family": net.family, "depth": net.depth, "width": net.width, "residual": net.residual,
        "activation": "relu" if relu else "qcfs", "levels": net.levels,
        "thresholds": "max" if relu else "learned",
        "calibration": "published" if "calibrated" in net.neurons else "none", "seed": net.seed,
        "dataset": "digits", "data": "digits (scikit-learn), 200 test images", "samples": SAMPLES,
        "classes": 10, "precision": "float64", "time_steps": list(net.time_steps),
        "batch_norm": "folded", "spiking_layers": net.depth, "pool": "as given",
        "parameters": 100 * net.depth, "ann_top1": right(net, "ann", 0) / 2, "neuron": "converted",
        "auxiliary": False,
    } | dict(net.facts or {})  # fmt: skip


def right(net: Net, neuron: str, time_steps: int) -> int:
    """Right answers of 200."""
    seed = net.seed
    if neuron == "ann":
        return 190 - 2 * seed
    if net.levels is None:
        lost = 160 if neuron == "sequential" else 80
        return 190 - lost // time_steps - 2 * seed
    parallel = PARALLEL[time_steps] - 2 * seed
    if neuron == "sequential":
        return min(parallel, max(20, 190 - 16 * net.depth // time_steps - 4 * seed))
    return parallel - ("calibrated" in neuron)


def _accuracy(net: Net) -> Iterator[dict[str, Any]]:
    answered = [("ann", 0)] + [("requantised", t) for t in net.time_steps]
    answered += [(neuron, t) for neuron in net.neurons for t in net.time_steps]
    for neuron, t in answered:
        spikes = math.nan if neuron in {"ann", "requantised"} else net.depth * net.values * t / 4
        yield {
            "network": net.name, "neuron": neuron, "time_steps": t, "samples": SAMPLES,
            "correct": right(net, neuron, t), "spikes": spikes, "neurons": net.depth * net.width,
        }  # fmt: skip


def _layers(net: Net) -> Iterator[dict[str, Any]]:
    for neuron in net.neurons:
        for t in net.time_steps:
            for view in ("accumulated", "local"):
                for order in range(net.depth):
                    yield _layer(net, neuron, t, view, order)


def _layer(net: Net, neuron: str, t: int, view: str, order: int) -> dict[str, Any]:
    n, uneven = net.values, neuron == "sequential" and order > 0
    level = t == net.levels
    exact = level and not uneven
    sizes = _sizes(net, neuron, t, view, order)
    means = {"inherited": -0.002 * order if sizes["inherited"] else 0.0, "clip": -sizes["clip"] / 4,
             "quantisation": 0.0, "unevenness": 0.004 if uneven else 0.0}  # fmt: skip
    sums = {f"{s}_sum": n * means[s] for s in SOURCES} | {"total_sum": n * sum(means.values())}
    squares = {f"{s}_squares": n * sizes[s] ** 2 for s in SOURCES}
    offsets = dict(zip(OFFSETS, (0, 0, 1, 94, 4, 1, 0) if uneven else (0, 0, 0, 100, 0, 0, 0),
                       strict=True))  # fmt: skip
    return {
        "network": net.name, "layer": f"act{order}", "neuron": neuron, "time_steps": t,
        "view": view, "order": order, "values": n, "threshold": 1 + order / 10,
        "threshold_min": 1 + order / 10, "threshold_max": 1 + order / 10, "channels": net.width,
        "dead_channels": int(order == 1), **sums, **squares,
        "total_squares": sum(squares.values()),
        # half of the activations .5, the others 0; r = .9 where the rates are not equal to them
        "activation_sum": n / 4, "activation_squares": n / 8, "rate_sum": n / 4,
        "rate_squares": n / 8, "activation_rate": n * (0.125 if exact else 0.11875),
        "saturated": n // 50, "differs": n * 6 // 100 if uneven else 0,
        "uneven": n * 6 // 100 if uneven else 0,
        "residual_more": n * 5 // 100 if uneven else 0,
        "residual_less": n // 100 if uneven else 0,
        "residual_wrong": 0.0 if neuron == "sequential" else math.nan,
        **{f"offset_{o}": n * share // 100 for o, share in offsets.items()},
        "unsorted": math.nan if neuron == "sequential" else 0.0, "spikes": n * t / 4,
    }  # fmt: skip


def _sizes(net: Net, neuron: str, t: int, view: str, order: int) -> dict[str, float]:
    """The rms of each source, in thresholds."""
    sequential, level = neuron == "sequential", t == net.levels
    inherited = (0.03 if sequential else 0.0 if level else 0.02) * order
    return {
        "inherited": 0.0 if view == "local" else inherited,
        "clip": 0.01 if net.levels is None else 0.0,
        "quantisation": 0.0 if level else 0.05,
        "unevenness": 0.16 / t if sequential and order else 0.0,
    }


def _coverage(net: Net) -> Iterator[dict[str, Any]]:
    for order in range(net.depth):
        for module, kind, outcome, by, why in (
            (f"bn{order}", "BatchNorm1d", "folded", f"fc{order}", "Its scale is in the weights."),
            (f"act{order}", "QCFS", "replaced", "ParallelLayer", "An activation spikes."),
        ):
            yield {"network": net.name, "module": module, "type": kind, "outcome": outcome,
                   "by": by, "why": why}  # fmt: skip


def _pairs(net: Net) -> Iterator[dict[str, Any]]:
    """25 values of each of three layers: on the identity, and of sequential layers 3 above it."""
    shown = sorted({0, net.depth // 2, net.depth - 1})
    levels = net.levels or 16
    for neuron in net.neurons:
        for t in net.time_steps:
            for order in shown:
                for at in range(25):
                    activation = (at % (levels + 1)) / levels
                    rate = math.floor(activation * t + 0.5) / t
                    rate += 1 / t if neuron == "sequential" and order and at in {1, 6, 11} else 0
                    yield {"network": net.name, "layer": f"act{order}", "order": order,
                           "neuron": neuron, "time_steps": t, "activation": activation,
                           "rate": min(rate, 1.0)}  # fmt: skip


def _paths(net: Net) -> Iterator[dict[str, Any]]:
    """The error of the main path is .2, that of the shortcut .1 of the signal."""
    for neuron in net.neurons:
        for t in net.time_steps:
            for path, share in (("main", 0.2), ("shortcut", 0.1)):
                yield {"network": net.name, "site": "add0", "order": 0, "neuron": neuron,
                       "time_steps": t, "path": path, "values": net.values,
                       "error_squares": share**2 * 4 * net.values,
                       "signal_squares": 4.0 * net.values}  # fmt: skip


def _frame(rows: Iterator[Iterator[dict[str, Any]]]) -> pd.DataFrame:
    return pd.DataFrame([row for of in rows for row in of])
