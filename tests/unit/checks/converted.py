"""Records of conversions for the checks: chosen sizes of single layers, and layers counted by hand.

The rest of each Record is that of `tests.unit.conversion_record`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from snnlens.recording.record import Record
from tests.unit.checks.handmade import layers, made
from tests.unit.conversion_record import Net, change, record

SIGNAL = 0.125**0.5  # rms of the activations of every layer made by hand, in thresholds
Floats = NDArray[np.float64]

OTHER = made(layers(0.2))  # a Record of another question
NO_LAYERS = "the record holds no conversion_layers; `snnlens conversion` makes one that does"


def relu(**options: Any) -> Net:
    """A training-free network; `facts` may say more."""
    return Net(**{"levels": None} | options)


def sized(whole: Record, layer: str, *, at: dict[str, Any] | None = None, **sizes: float) -> Record:
    """The Record with other root mean squares of a layer's errors, in thresholds."""
    n = whole.tables["conversion_layers"]["values"].iloc[0]
    squares = {f"{source}_squares": n * size**2 for source, size in sizes.items()}
    return change(whole, "conversion_layers", {"layer": layer} | (at or {}), **squares)


def covered(whole: Record, *rows: tuple[str, str, str]) -> Record:
    """The Record whose first network has another coverage: module, type, outcome."""
    name = next(iter(whole.networks))
    said = [
        {"network": name, "module": module, "type": kind, "outcome": outcome,
         "by": "ParallelLayer" if outcome == "replaced" else "", "why": "it is so"}
        for module, kind, outcome in rows
    ]  # fmt: skip
    table = whole.tables["conversion_coverage"]
    others = table[table["network"] != name]
    whole.tables["conversion_coverage"] = pd.concat([pd.DataFrame(said), others], ignore_index=True)
    return whole


def sited(whole: Record, site: str) -> Record:
    """The Record with a site of that name in its first network."""
    whole.sites.loc[0, ["network", "site"]] = [next(iter(whole.networks)), site]
    return whole


def ungiven(whole: Record, *facts: str) -> Record:
    """The Record without some facts of its networks."""
    for known in whole.networks.values():
        for fact in facts:
            del known[fact]
    return whole


# --- counted by hand ---------------------------------------------------------------------------


def quantised(z: Floats, steps: int) -> Floats:
    """QCFS_T(z) in thresholds, from its definition: the nearest of T + 1 levels, halves upward."""
    levels = np.arange(steps + 1) / steps
    edges = levels[1:] - 0.5 / steps  # where the next level begins
    found: Floats = levels[np.searchsorted(edges, z, side="right")]
    return found


def fired(currents: Floats) -> tuple[Floats, Floats]:
    """Counts and V(T) of IF neurons, soft reset, V(0) = 1/2, from currents [T, n] in thresholds."""
    v, k = np.full(currents.shape[1], 0.5), np.zeros(currents.shape[1])
    for current in currents:
        v += current
        spikes = v >= 1
        v -= spikes
        k += spikes
    return k, v


def counted(z: Floats, steps: int, currents: Floats | None = None) -> dict[str, Any]:
    """The columns of one layer whose mean current is z in the ANN and the network, in thresholds.

    Without currents per step nothing is uneven.
    """
    a, exact = np.maximum(z, 0), quantised(z, steps)
    k, v = fired(currents) if currents is not None else (exact * steps, np.zeros(len(z)))
    clipped = np.clip(z, 0, 1)
    errors = {"inherited": 0 * z, "clip": clipped - a, "quantisation": exact - clipped,
              "unevenness": k / steps - exact}  # fmt: skip
    return {
        **{f"{source}_squares": float((e**2).sum()) for source, e in errors.items()},
        "values": len(z), "activation_sum": float(a.sum()),
        "activation_squares": float((a**2).sum()),
        "saturated": int((z > 1).sum()), "residual_more": int(((v < 0) & (k > 0)).sum()),
        "residual_less": int(((v >= 1) & (k < steps)).sum()),
    }  # fmt: skip


def one_layer(steps: int, columns: dict[str, Any], **options: Any) -> Record:
    """A training-free network of one layer, run at one T, with these columns."""
    net = relu(depth=1, time_steps=(steps,), **options)
    return change(record(net), "conversion_layers", {}, **columns)
