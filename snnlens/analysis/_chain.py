"""What theory says of a zero-initialised network, from the deepest input of each area only."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from snnlens.errors import InputError
from snnlens.measures.chain import ChainNeuron, chain_norms, same_step_ratio
from snnlens.recording.blocks import Network
from snnlens.recording.record import Record

Floats = NDArray[np.float64]
EQ11_RESIDUALS = ("sew", "ms")


def predictions(record: Record, network: Network) -> tuple[Floats, Floats]:
    """||dL/dS^l|| at l = 0 .. L: the exact law, and the rate-only approximation; else NaN."""
    norms, phi = network.inputs("gradient_norm"), rates(network)
    exact, rate_only = np.full(len(norms), np.nan), np.full(len(norms), np.nan)
    for members in network.areas.values():
        deepest = members[-1]
        if follows_eq11(network):
            exact[members] = norms[deepest]
        elif (neuron := chain_neuron(network)) is not None:
            k = deepest - np.array(members, float)
            rate_only[members] = norms[deepest] * same_step_ratio(phi[deepest], neuron, k)
            gram = gram_at(record, network, deepest)
            if gram is not None:
                exact[members] = chain_norms(gram, neuron, len(members) - 1)[::-1]
    return exact, rate_only


def follows_eq11(network: Network) -> bool:
    """Zero-initialised SEW and MS blocks: the Jacobian of an identity block is 1 (Eq. 11)."""
    facts = network.facts
    return _as_initialised(network) and facts.get("residual") in EQ11_RESIDUALS


def chain_neuron(network: Network) -> ChainNeuron | None:
    """The neuron of a zero-initialised Spiking network that is the identity; None for others."""
    facts = network.facts
    if facts.get("residual") != "spiking" or not _as_initialised(network):
        return None
    if not facts.get("is_identity") or facts.get("reset_potential") != 0:
        return None
    return ChainNeuron(
        surrogate_at_spike=facts["surrogate_at_spike"],
        surrogate_at_silence=facts["surrogate_at_silence"],
        threshold=facts["threshold"],
        gain=facts["gain"],
        leak=facts["leak"],
        reset=facts["reset"],
        detach_reset=facts["detach_reset"],
    )


def _as_initialised(network: Network) -> bool:
    """With zero-init, and not trained since: then the branches have their identity value."""
    return bool(network.facts.get("zero_init")) and network.trained is None


def gram_at(record: Record, network: Network, block_input: int) -> Floats | None:
    """The recorded Gram matrices [2^T, T, T] at S^l, if they were recorded."""
    table = record.tables.get("pattern_gram", pd.DataFrame(columns=["network", "site"]))
    here = (table["network"] == network.name) & (table["site"] == network.sites[block_input])
    rows = table[here]
    if rows.empty:
        return None
    shape = [int(rows[axis].max()) + 1 for axis in ("pattern", "step", "other_step")]
    patterns, steps, others = shape
    if not steps == others == patterns.bit_length() - 1 or patterns != 2**steps:
        raise InputError(
            "the Gram matrices of pattern_gram", got=shape, wanted="2^T of T times T numbers"
        )
    ordered = rows.sort_values(["pattern", "step", "other_step"], kind="stable")
    return ordered["gram"].to_numpy(float).reshape(shape)


def rates(network: Network) -> Floats:
    """The firing rates at S^0 .. S^L; NaN where none were recorded."""
    try:
        return network.inputs("firing_rate")
    except KeyError:  # recorded without firing rates
        return np.full(len(network.blocks) + 1, np.nan)
