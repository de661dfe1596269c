"""A Record of the question `attribution` made by hand: every answer is known on paper.

Sample s has class s % 4 (the corner that is lit in step T // 2) and score 2 + s, and the baseline
scores 1/2: D = f(x) - f(baseline) = 1.5 + s. Of method i in the network's list:

    map               8/8 of r D (signed: 10/8) over the class' corner in step T // 2, and where it
                      is signed -2/8 of r D over the opposite corner in the last step
    r                 1.02 where it claims completeness, so that delta = .02 D; else 1
    deletion          a straight line from f(x) to f(baseline) over the first (i + 1) / 5 of the
                      shares (at most 1), then flat: area f(baseline) + D (i + 1) / 10
    insertion         the same, mirrored: area f(x) - D (i + 1) / 10
    random, draw d    the same over the first (7 + d) / 10, d = 0 .. 3: D (7 + d) / 20
    infidelity        .01 (i + 1), sensitivity .1 (i + 1)
    rank correlation  with method j > i .9 - .2 (j - i); other surrogate .9, seed .8, weights .1

A random area lies in mean at .425 D above the baseline; its standard deviation over four draws is
.0645 D, so that the 95 % interval of the mean is .425 D +- 3.182 x .0645 D / 2 = [.322, .528] D.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise, product
from typing import Any

import numpy as np
import pandas as pd

from snnlens.recording.record import Record, Schema, empty
from tests.unit.attribution_nets import (
    BASELINE,
    CLASSES,
    COMPLETE,
    UNSIGNED,
    Floats,
    Net,
    empty_at,
    score,
    shown,
    volume,
)

SHARES = np.linspace(0, 1, 11)
NO_RELEVANCE = ("sam",)
VARIANTS = (("surrogate", "sigmoid", 0.9), ("seed", "seed 1", 0.8), ("weights", "randomised", 0.1))
Rows = Iterator[dict[str, Any]]


def record(*nets: Net) -> Record:
    """The Record of these networks; of `Net()` without any."""
    nets = nets or (Net(),)
    made = {name: pd.DataFrame([row for net in nets for row in rows(net)])
            for name, rows in TABLES.items()}  # fmt: skip
    made["attribution_maps"] = made["attribution_maps"].astype({"label": "Int64"})
    return Record(
        sites=_sites(nets),
        tables=made,
        schemas={name: Schema(axes=()) for name in made},
        networks={net.name: _facts(net) for net in nets},
        provenance={"question": "attribution", "parameters": {"samples": nets[0].samples}},
    )


def change(made: Record, table: str, where: Mapping[str, Any], **values: Any) -> Record:
    """The same Record with other values in the rows where every column has the given value."""
    rows = made.tables[table]
    chosen = np.logical_and.reduce([rows[c] == v for c, v in where.items()] or [rows.index >= 0])
    assert chosen.any(), f"no row of {table} has {where}"
    for column, value in values.items():
        rows.loc[chosen, column] = value
    return made


def without(made: Record, *tables: str) -> Record:
    """The same Record without some tables."""
    for name in tables:
        del made.tables[name], made.schemas[name]
    return made


# --- tables ------------------------------------------------------------------------------------


def _each(net: Net) -> Iterator[tuple[dict[str, Any], int, str, int]]:
    for number, method, place in net.maps():
        for sample in range(net.samples):
            keys = {"network": net.name, "method": method, "place": place, "sample": sample}
            yield keys, number, method, sample


def _maps(net: Net) -> Rows:
    for keys, _, method, sample in _each(net):
        values, claims = volume(net, method, sample, keys["place"]), method in COMPLETE
        total, wrong = float(values.sum()), sample == 2  # this one's label is its neighbour
        yield keys | {
            "label": (sample + wrong) % CLASSES, "target": sample % CLASSES,
            "predicted": sample % CLASSES, "score": score(sample), "baseline": BASELINE,
            "total": total, "delta": total - net.gain(sample) if claims else math.nan,
            "absolute": float(np.abs(values).sum()),
            "nonzero_share": float((values != 0).mean()), "signed": method not in UNSIGNED,
        }  # fmt: skip


def _time(net: Net) -> Rows:
    for keys, _, method, sample in _each(net):
        under = shown(net, sample).sum((1, 2, 3)).tolist()
        for step, value in enumerate(volume(net, method, sample, keys["place"])):
            at = under[step] if keys["place"] == "input" else 5.0 + step
            yield keys | {"step": step, "value": float(value.sum()),
                          "absolute": float(np.abs(value).sum()), "shown": at}  # fmt: skip


def _framed(net: Net, values: Floats) -> Rows:
    """The sums over channels and the steps of each frame, where they are not 0."""
    edges = np.linspace(0, len(values), min(net.frames, len(values)) + 1).round().astype(int)
    for frame, (first, end) in enumerate(pairwise(edges)):
        summed = values[first:end].sum((0, 1))
        for y, x in np.argwhere(summed):
            yield {"frame": frame, "first_step": first, "last_step": end - 1, "y": y, "x": x,
                   "value": float(summed[y, x])}  # fmt: skip


def _frames(net: Net) -> Rows:
    for keys, _, method, sample in _each(net):
        for row in _framed(net, volume(net, method, sample, keys["place"])):
            yield keys | row


def _inputs(net: Net) -> Rows:
    for sample in range(net.samples):
        for row in _framed(net, shown(net, sample)):
            yield {"network": net.name, "sample": sample} | row


def _shapes(net: Net) -> Rows:
    for _, method, place in [(0, "", "input"), *net.maps()]:
        steps, channels, height, width = empty_at(net, place).shape
        yield {"network": net.name, "method": method, "place": place, "steps": steps,
               "channels": channels, "height": height, "width": width,
               "frames": min(net.frames, steps)}  # fmt: skip


def _curves(net: Net) -> Rows:
    lines = [(m, place, 0, min((i + 1) / 5, 1.0)) for i, m, place in net.maps()]
    lines += [("random", place, d, (7 + d % 4) / 10)
              for place in net.grounds() for d in range(net.draws)]  # fmt: skip
    axes = (lines, range(net.samples), ("pixels", "steps", "events"), ("deletion", "insertion"))
    for (method, place, draw, reach), sample, over, kind in product(*axes):
        if over == "steps" and net.static and place == "input":
            continue  # an image has one step
        for share in SHARES.tolist():
            done = min(share / reach, 1)
            left = 1 - done if kind == "deletion" else done
            yield {"network": net.name, "method": method, "place": place, "draw": draw,
                   "sample": sample, "over": over, "kind": kind, "share": share,
                   "score": BASELINE + left * net.gain(sample)}  # fmt: skip


def _trust(net: Net) -> Rows:
    for keys, number, _, _ in _each(net):
        yield keys | {"infidelity": 0.01 * (number + 1), "sensitivity": 0.1 * (number + 1)}


def _pairs(net: Net) -> Rows:
    """Of a static image the maps over its encoder alone."""
    for keys, number, method, sample in _each(net):
        if keys["place"] != net.places(method)[0]:
            continue
        later = enumerate(net.methods[number + 1 :], 1)
        others = [("method", m, 0.9 - 0.2 * far) for far, m in later]
        for kind, other, value in [*VARIANTS, *others]:
            yield {"network": net.name, "kind": kind, "sample": sample, "method": method,
                   "other": other, "rank_correlation": value}  # fmt: skip


def _rasters(net: Net) -> Rows:
    """Six neurons a site of the first sample: neuron n fires in step t if (n + t) % 3 = 0."""
    for site, step, neuron in product(net.sites, range(net.time_steps), range(6)):
        if (neuron + step) % 3 == 0:
            yield {"network": net.name, "sample": 0, "site": site, "step": step, "neuron": neuron}


def _layers(net: Net) -> Rows:
    for site in net.sites:
        yield {"network": net.name, "site": site, "neurons": 16, "shown": 6,
               "spikes": 2 * net.time_steps, "threshold": 1.0}  # fmt: skip


def _membranes(net: Net) -> Rows:
    """IF neurons with soft reset and the constant currents .5, .6 and .7 from rest."""
    for neuron, current in enumerate((0.5, 0.6, 0.7)):
        rest = 0.0
        for step in range(net.time_steps):
            membrane = rest + current
            spike = membrane >= 1
            rest = membrane - spike
            yield {"network": net.name, "sample": 0, "site": net.sites[0], "neuron": neuron,
                   "step": step, "membrane": membrane, "threshold": 1.0,
                   "spike": bool(spike)}  # fmt: skip


TABLES: dict[str, Callable[[Net], Rows]] = {
    "attribution_maps": _maps, "attribution_time": _time, "attribution_frames": _frames,
    "attribution_inputs": _inputs, "attribution_shapes": _shapes, "attribution_curves": _curves,
    "attribution_trust": _trust, "attribution_pairs": _pairs, "attribution_rasters": _rasters,
    "attribution_layers": _layers, "attribution_membranes": _membranes,
}  # fmt: skip


def _sites(nets: Sequence[Net]) -> pd.DataFrame:
    sites = empty().sites
    rows = [{"network": net.name, "site": site, "module": site, "role": "neuron",
             "signal": "spikes", "reads": "output", "order": order, "threshold": 1.0,
             "time_steps": net.time_steps, "batch": net.samples, "neurons": 16}
            for net in nets for order, site in enumerate(net.sites)]  # fmt: skip
    made = pd.DataFrame(rows).reindex(columns=sites.columns)
    made[["forward_calls", "gradient_calls"]] = 0
    return made.astype(sites.dtypes.to_dict())


def _facts(net: Net) -> dict[str, Any]:
    return {
        "model": net.name, "time_steps": net.time_steps, "samples": net.samples,
        "static": net.static, "classes": CLASSES, "score": "the output averaged over its time axis",
        "baseline": "zeros", "encoder": net.sites[0], "dtype": "float32", "alone_difference": 0.0,
        "methods": list(net.methods), "data": "planted events", "seed": 0, "steps": 64,
        "draws": net.draws, "internal_batch": 64,
        "input_shape": [net.steps, net.channels, net.side, net.side],
        "names": {m: m.replace("_", " ") for m in net.methods},
        "claims_relevance": {m: m not in NO_RELEVANCE for m in net.methods},
        "complete": {m: m in COMPLETE for m in net.methods}, "auxiliary": False,
    } | dict(net.facts)  # fmt: skip
