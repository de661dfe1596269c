"""Why a gradient is small: silent, surrogate inactive, product of factors, or underflow."""

from __future__ import annotations

import numpy as np

from snnlens.recording.blocks import Network
from snnlens.recording.record import Record

SMALL = 1e-3  # of the network's largest norm: below it a block learns a thousand times slower
FLOAT32_TINY = float(np.finfo(np.float32).tiny)


def why_small(record: Record, network: Network) -> list[str]:
    """One word or two per block input; empty where the norm is not small.

    silent              a block output between S^l and the loss holds no spike at all
    surrogate inactive  a layer on the way has sigma' = 0 at every neuron and step
    underflow           the typical gradient, the root mean square over neurons, samples and steps,
                        is below float32's smallest normal number
    product of factors  not zero, but below 1e-3 of the network's largest norm
    """
    norms = network.inputs("gradient_norm")
    largest = norms[np.isfinite(norms)].max(initial=0.0)
    dead = _downstream(network.blocks.get("nonzero_share_output"), len(norms) - 1)
    inactive = _inactive(record, network)
    elements = [network.blocks[f"{n}_input"] for n in ("neurons", "batch", "time_steps")]
    sizes = np.sqrt(np.prod([n.to_numpy(float) for n in elements], axis=0))
    reasons = []
    for block, norm in enumerate(norms[:-1]):
        if not np.isfinite(norm) or norm >= SMALL * largest > 0:
            reasons.append("")
        elif norm == 0:
            cause = "silent" if dead[block] else "surrogate inactive" if inactive[block] else ""
            reasons.append(cause or "underflow")
        else:
            typical = norm / sizes[block]
            reasons.append("underflow" if typical < FLOAT32_TINY else "product of factors")
    return reasons


def _downstream(shares: object, length: int) -> list[bool]:
    """Whether a block output at l or deeper is silent."""
    silent = np.zeros(length, bool) if shares is None else np.asarray(shares, float) == 0
    return [bool(silent[block:].any()) for block in range(length)]


def _inactive(record: Record, network: Network) -> list[bool]:
    """Whether a block at l or deeper has a last neuron without any surrogate gradient."""
    length = len(network.blocks)
    if "surrogate_active" not in record.tables:
        return [False] * length
    frame = record.frame(network=network.name)
    neurons = frame[(frame["role"] == "neuron") & frame["block"].notna()]
    none = neurons[neurons["surrogate_active"] == 0]["block"].astype(int)
    return [bool((none >= block).any()) for block in range(length)]
