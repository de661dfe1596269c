"""surrogate_active: counted at every neuron and step from the membranes, by hand and by the tap."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from snnlens.neuron.equations import Step
from snnlens.neuron.layers import IF, LIF
from snnlens.neuron.surrogate import ATan, Rectangular, Surrogate, Triangular
from snnlens.probes.surrogate_active import SurrogateActive
from snnlens.recording.recorder import Recorder
from tests.unit.probes import foreign
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
    table = recorder.record().table("surrogate_active")
    assert table["neuron_steps"].tolist() == [3, 3]
    assert table["slopes"].tolist() == [1.0, 2.0]  # sigma' is 1 where it is not 0
    assert per_step["surrogate_mean"].tolist() == [1 / 3, 2 / 3]


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


SLOPES = {  # sigma' of the distance to the threshold, from their definitions
    Rectangular(): lambda d: np.where(np.abs(d) < 0.5, 1.0, 0.0),
    Triangular(2.0): lambda d: 2 * np.maximum(0, 1 - 2 * np.abs(d)),
    ATan(3.0): lambda d: 1.5 / (1 + (np.pi / 2 * 3 * d) ** 2),
}
# sigma' is float32 in the layer and float64 here: 6e-8 each, for numbers that are all positive, and
# a difference H - V_th that is rounded to 6e-8 of the threshold, at a slope of sigma' below 10.
SLOPE_RTOL = 2e-6


@pytest.mark.parametrize("surrogate", SLOPES, ids=str)
@pytest.mark.parametrize("kind", foreign.KINDS)
def test_against_every_membrane(kind: str, surrogate: Surrogate) -> None:
    """The membranes come from a recursion in numpy; layers called per step and per sequence."""
    record, kept = foreign.recorded(
        foreign.KINDS[kind], SurrogateActive(), foreign.batches(), surrogate=surrogate
    )
    frame = record.frame().set_index("site")
    for site, seen in kept.items():
        table = foreign.rows(record, "surrogate_active", site)
        assert table["step"].tolist() == list(range(6))
        sums = np.zeros(3)
        for t, row in table.iterrows():
            h = np.concatenate([q.h[t].ravel() for q in seen if t < len(q.h)]).astype(float)
            slope = SLOPES[surrogate](h - foreign.THRESHOLD)
            assert row["active"] == np.count_nonzero(slope)
            assert row["neuron_steps"] == h.size
            assert row["slopes"] == pytest.approx(slope.sum(), rel=SLOPE_RTOL)
            sums += [row["active"], row["slopes"], row["neuron_steps"]]
        assert frame.loc[site, "surrogate_active"] == sums[0] / sums[2]
        assert frame.loc[site, "surrogate_mean"] == sums[1] / sums[2] > 0


def test_a_membrane_that_nobody_knows_has_no_share() -> None:
    record, _ = foreign.recorded(foreign.GRADED, SurrogateActive(), foreign.batches())
    assert not record.tables


def test_batches_and_unequal_lengths_merge() -> None:
    model = One(IF(surrogate=Rectangular()))
    with Recorder(model, [SurrogateActive()]) as recorder:
        for _ in range(2):  # two calls of one shape are tallied together
            model(torch.full((2, 1, 4), 0.6))  # H .6 (active), 1.2 (active)
        model(torch.full((3, 1, 2), 0.3))  # H .3 .6 .9
    table = recorder.record().table("surrogate_active")
    assert table["active"].tolist() == [8, 10, 2]
    assert table["neuron_steps"].tolist() == [10, 10, 2]
    assert table["slopes"].tolist() == [8.0, 10.0, 2.0]
