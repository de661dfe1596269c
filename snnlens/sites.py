"""Site: the stable name of a place in a model. Models list them, the recorder attaches to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["neuron", "block_input", "block_residual", "block_output", "parameter"]
Signal = Literal["spikes", "counts", "current", "activation", "weight"]


@dataclass(frozen=True)
class Site:
    """One tensor of a forward pass, time first: [T, B, ...].

    Attributes:
        name: dotted and stable, e.g. `layer3.4.sn1` or `layer3.4.input`.
        module: dotted path of the module whose input or output it is.
        reads: which of the two.
        role: a neuron layer's spikes, a block's input S^l, residual A^l or output O^l, or a
            parameter (its gradient only).
        signal: spikes (zeros and ones), counts (integers, after a SEW ADD), a current, an
            activation, or a weight.
        block: the block's index l from 0, or None outside the blocks.
        stage: 1..4, the layer that the block lies in.
        area: the run of block inputs joined by identity blocks that this tensor belongs to.
        block_kind: identity or downsample.
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
