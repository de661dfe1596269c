"""Which neuron can be the identity in which block: the blocks are run, not only reasoned about."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import torch
from torch import Tensor

from snnlens.models.plan import BlockPlan
from snnlens.models.resnet import Block, MSBlock, SEWBlock, SpikingBlock
from snnlens.neuron.layers import EXHAUSTIVE_STEPS, IF, LIF, PLIF, Neuron

SPEC = BlockPlan(0, 1, 1, "identity", 1, 1, 1, 0, 0)
THRESHOLDS = (0.5, 1.0, 1.5)
TAU = 2.0


def trials(time_steps: int) -> pd.DataFrame:
    """One row per kind of block and neuron: `measured` from a run over all binary spike trains of
    min(T, 8) steps with the branch at its identity value, `closed_form` from the condition.
    """
    steps = min(time_steps, EXHAUSTIVE_STEPS)
    rows = []
    for neuron in _neurons():
        for kind, block in _blocks(neuron):
            possible, condition = _closed_form(kind, neuron)
            rows.append(
                {
                    "block": kind,
                    "neuron": type(neuron).__name__,
                    "threshold": neuron.rule.threshold,
                    "tau_steps": neuron.tau(),
                    "decay_input": neuron.rule.decay_input if neuron.rule.leaks() else None,
                    "reset": neuron.rule.reset,
                    "time_steps": steps,
                    "measured": _is_identity(block, steps, kind),
                    "closed_form": possible,
                    "condition": condition,
                }
            )
    return pd.DataFrame(rows)


def _neurons() -> Iterator[Neuron]:
    for threshold in THRESHOLDS:
        yield IF(threshold)
        yield LIF(TAU, threshold=threshold)
        yield LIF(TAU, threshold=threshold, decay_input=False)
        yield PLIF(TAU, threshold=threshold)
    for threshold in (0.5, 1.0):
        yield IF(threshold, reset="soft")


def _blocks(neuron: Neuron) -> Iterator[tuple[str, Block]]:
    yield "spiking", SpikingBlock("basic", SPEC, "spiking", neuron)
    for connect in ("add", "and", "iand"):
        yield f"sew-{connect}", SEWBlock("basic", SPEC, "sew", neuron, connect)
    yield "sew-and, bias V_th", _FixedBias("basic", SPEC, "sew", neuron, "and")
    yield "ms", MSBlock("basic", SPEC, "ms", neuron)


class _FixedBias(SEWBlock):
    """AND with the bias of the official code's recipe, V_th, whatever the neuron."""

    def identity_current(self, dtype: torch.dtype, time_steps: int) -> float:
        assert isinstance(self.last_activation, Neuron)
        return self.last_activation.rule.threshold


def _is_identity(block: Block, steps: int, kind: str) -> bool:
    s = _all_trains(steps)
    if kind == "ms":  # its shortcut carries currents, so any numbers will do
        s = s * 1.75 - 0.5
    o = block.identity_output(s)
    return o is not None and bool(torch.equal(o, s))


def _all_trains(steps: int) -> Tensor:
    bits = torch.arange(2**steps)[None] >> torch.arange(steps)[:, None] & 1
    return bits.float().reshape(steps, -1, 1, 1, 1)


def _closed_form(kind: str, neuron: Neuron) -> tuple[bool, str]:
    """The condition under which O = S for binary S, a resting potential of 0 and every T."""
    threshold, gain = neuron.rule.threshold, neuron.gain()
    name = "1 / tau" if gain < 1 else "1"
    if kind == "spiking" and neuron.rule.reset == "soft":
        return threshold == gain, f"V_th = {name} (nothing is left after a spike)"
    if kind == "spiking":
        return threshold <= gain, f"V_th <= {name}"
    if kind == "sew-and, bias V_th":
        return gain == 1, "the input is not decayed (else the bias must be tau V_th)"
    always = {
        "sew-add": "SN(0) = 0",
        "sew-iand": "SN(0) = 0",
        "sew-and": "a firing bias exists",
        "ms": "S + 0 = S",
    }
    return True, always[kind]
