"""Which spiking layers are read by their membrane: what they spike is of no use to the network."""

from __future__ import annotations

import numpy as np
import pandas as pd

SPIKING = ("spikes", "counts")  # a layer of an ANN is a site too, and no spiking layer


def readouts(sites: pd.DataFrame) -> set[str]:
    """The readouts of one network, by the rows of its sites.

    A layer with an infinite threshold; and the last one, if no gradient comes to its spikes though
    every weight of the network has one: the loss reads its membrane. (Where spikes are cut off by
    a detach(), the weights before them have no gradient.)

    >>> rows = [("l1", "neuron", 1, None), ("out", "neuron", 0, None), ("w", "parameter", 1, 0.5)]
    >>> names = ["site", "role", "gradient_calls", "parameter_gradient"]
    >>> seen = {"signal": "spikes", "threshold": 1.0, "forward_calls": 1}
    >>> readouts(pd.DataFrame(rows, columns=names).assign(**seen))
    {'out'}
    """
    if not {"role", "signal", "threshold", "forward_calls", "gradient_calls"} <= set(sites):
        return set()
    layers = sites[(sites["role"] == "neuron") & sites["signal"].isin(SPIKING)]
    found = {str(s) for s in layers.loc[np.isposinf(layers["threshold"].astype(float)), "site"]}
    weights = sites[sites["role"] == "parameter"]
    norms = weights.get("parameter_gradient")
    learns = norms is not None and len(norms) > 0 and bool((norms > 0).all())
    last = layers[-1:]
    unread = last[(last["forward_calls"] > 0) & (last["gradient_calls"] == 0)]
    return found | {str(s) for s in unread["site"] if learns}
