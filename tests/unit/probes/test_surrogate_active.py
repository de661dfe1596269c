"""surrogate_active: counted at every neuron and step from the membranes, by hand and by the tap."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from snnlens.neuron.equations import Step
from snnlens.neuron.layers import IF, LIF
from snnlens.neuron.surrogate import ATan, Rectangular, Triangular
from snnlens.probes.surrogate_active import SurrogateActive
from snnlens.recording.recorder import Recorder
from tests.unit.recording import brute


class One(nn.Module):
    def __init__(self, neuron: IF) -> None:
        super().__init__()
        self.neuron = neuron

    def forward(self, x: Tensor) -> Tensor:
        return self.neuron(x)


def test_by_hand() -> None:
    """Rectangular, V_th = 1: active where .5 < H < 1.5. Columns: three neurons, two steps."""
    model = One(IF(surrogate=Rectangular()))
    x = torch.tensor([[[0.2, 0.6, 1.7]], [[0.5, 0.6, 0.5]]])  # H: .2 .6 1.7, then .7 1.2 .5
    with Recorder(model, [SurrogateActive()]) as recorder:
        model(x)
    assert recorder.frame()["surrogate_active"].tolist() == [3 / 6]
    per_step = recorder.frame(per_step=True)
    assert per_step["surrogate_active"].tolist() == [1 / 3, 2 / 3]
    assert recorder.record().table("surrogate_active")["neuron_steps"].tolist() == [3, 3]


@pytest.mark.parametrize("surrogate", [Rectangular(), Triangular(2.0), ATan()], ids=str)
@pytest.mark.parametrize("connect", ["add", "iand"])
def test_against_kept_steps(surrogate: object, connect: str) -> None:
    neuron = LIF(1.5, threshold=0.4, surrogate=surrogate)  # type: ignore[arg-type]
    model, x = brute.small("sew", connect, neuron=neuron), brute.batch()
    kept: dict[str, list[Step]] = {}
    with ExitStack() as taps:
        for name, layer in model.neurons():
            taps.enter_context(layer.tap(kept.setdefault(name, []).append))
        model(x)
    with Recorder(model, [SurrogateActive()]) as recorder:
        model(x)
    steps = recorder.frame(per_step=True).set_index(["site", "step"])
    distances = []
    for name, shown in kept.items():
        for step in shown:
            distance = np.abs(step.membrane.double().numpy() - 0.4)
            distances.append(distance)
            reach = {"rectangular": 0.5, "triangular": 0.5, "atan": np.inf}[surrogate.name]  # type: ignore[attr-defined]
            assert steps.loc[(name, step.t), "surrogate_active"] == np.mean(distance < reach)
    assert (np.concatenate([d.ravel() for d in distances]) > 0.5).any()


def test_batches_and_unequal_lengths_merge() -> None:
    model = One(IF(surrogate=Rectangular()))
    with Recorder(model, [SurrogateActive()]) as recorder:
        model(torch.full((2, 1, 4), 0.6))  # H .6 (active), 1.2 (active)
        model(torch.full((3, 1, 2), 0.3))  # H .3 .6 .9
    table = recorder.record().table("surrogate_active")
    assert table["active"].tolist() == [4, 6, 2]
    assert table["neuron_steps"].tolist() == [6, 6, 2]
