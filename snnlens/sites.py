"""Site: the stable name of a place in a model. Models list them, the recorder attaches to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal[
    "neuron", "block_input", "block_residual", "block_output", "parameter", "synapse", "norm"
]
Signal = Literal["spikes", "counts", "current", "activation", "weight"]


@dataclass(frozen=True)
class Site:
    """One tensor of a forward pass, time first: [T, B, ...]; or a layer that is looked at whole.

    Attributes:
        name: dotted and stable, e.g. `layer3.4.sn1` or `layer3.4.input`.
        module: dotted path of the module whose input or output it is.
        reads: which of the two.
        role: a neuron layer's spikes; a block's input S^l, residual A^l or output O^l; a parameter
            (its gradient only); a synapse (convolution or linear layer) or a norm (BatchNorm).
        signal: spikes (zeros and ones), counts (integers, after a SEW ADD), a current, an
            activation, or a weight.
        block: the block's index l from 0, or None outside the blocks.
        stage: 1..4, the layer that the block lies in.
        area: the run of block inputs joined by identity blocks that this tensor belongs to.
        block_kind: identity or downsample.
        threshold: V_th of a neuron layer, where it is one number.
        leak: dH/dV of one step: 1 without a leak, 1 - 1 / tau with one.
        gain: dH/dX of one step: 1, or 1 / tau where the input decays.
        slope: the largest sigma' of the surrogate gradient.
        support: sigma' is 0 farther than this from the threshold; infinite where it never is.

    >>> Site("conv1.sn", module="sn1", reads="output", role="neuron").signal
    'spikes'
    """

    name: str
    module: str
    reads: Literal["input", "output"]
    role: Role
    signal: Signal = "spikes"
    block: int | None = None
    stage: int | None = None
    area: int | None = None
    block_kind: Literal["identity", "downsample"] | None = None
    threshold: float | None = None
    leak: float | None = None
    gain: float | None = None
    slope: float | None = None
    support: float | None = None
