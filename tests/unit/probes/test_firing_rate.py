"""firing_rate against all tensors kept and counted in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from snnlens.neuron.layers import IF, LIF
from snnlens.probes.firing_rate import FiringRate
from snnlens.recording.recorder import Recorder
from tests.unit.probes import foreign
from tests.unit.recording import brute

NETS = {
    "add": lambda: brute.small("sew", "add", neuron=IF(0.25)),
    "and": lambda: brute.small("sew", "and"),
    "spiking lif": lambda: brute.small("spiking", neuron=LIF(1.5, threshold=0.3)),
    "ms": lambda: brute.small("ms"),
    "ann": lambda: brute.small("ann"),
}


def _bits(largest: float) -> float:
    """The digits of the largest value in base 2."""
    if largest < 0 or largest != int(largest):
        return float("nan")
    return float(len(f"{int(largest):b}")) if largest else 0.0


@pytest.mark.parametrize("name", NETS)
def test_against_brute_force(name: str) -> None:
    model, x = NETS[name](), brute.batch()
    kept = brute.keep_all(model, x)
    with Recorder(model, [FiringRate()]) as recorder:
        brute.loss(model, x)
    frame = recorder.frame().set_index("site")
    steps = recorder.frame(per_step=True).set_index(["site", "step"])
    assert list(frame.index) == [s.name for s in model.sites()]
    for site in model.sites():
        value, row = kept[site.name].value, frame.loc[site.name]
        assert row["firing_rate"] == pytest.approx(value.mean(), rel=1e-6, abs=1e-7)
        assert row["nonzero_share"] == np.mean(value != 0)
        assert row["above_one_share"] == np.mean(value > 1)
        assert row["largest"] == value.max()
        assert row["bit_width"] == pytest.approx(_bits(value.max()), nan_ok=True)
        for t, step in enumerate(value):
            at = steps.loc[(site.name, t)]
            assert at["firing_rate"] == pytest.approx(step.mean(), rel=1e-6, abs=1e-7)
            assert at["largest"] == step.max()


def test_integer_spikes_are_reported_as_such() -> None:
    """SEW add: the mean value, the share above 1, the largest; none of them is a rate of 0/1."""
    model, x = brute.small("sew", "add", neuron=IF(0.2), depth=20), brute.batch()
    with Recorder(model, [FiringRate()]) as recorder:
        model(x)
    frame = recorder.frame().set_index("site")
    last = frame.loc["layer1.2.output"]
    assert last["largest"] >= 3
    assert last["firing_rate"] > last["nonzero_share"] > last["above_one_share"] > 0
    assert last["bit_width"] == _bits(last["largest"]) >= 2
    assert frame.loc["layer1.2.sn2", "bit_width"] == 1
    assert frame.loc["layer1.2.sn2", "largest"] == 1
    assert frame.loc["layer1.2.sn2", "above_one_share"] == 0


def test_spikes_are_counted_exactly() -> None:
    """Binary spikes: total is the integer count, whatever the size (beyond 2^24 too)."""

    class Many(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.neuron = IF()

        def forward(self, x: Tensor) -> Tensor:
            return self.neuron(x)

    model, count = Many(), 2**24 + 3
    x = torch.ones(1, 1, count, dtype=torch.bfloat16)
    with Recorder(model, [FiringRate()]) as recorder:
        model(x)
    table = recorder.record().table("firing_rate")
    assert table["total"].tolist() == [float(count)]
    assert table["elements"].tolist() == [count]


def test_a_silent_site_has_a_rate_of_zero_and_an_absent_one_none() -> None:
    model = brute.small("spiking", neuron=IF(1e6))
    with Recorder(model, [FiringRate()]) as recorder:
        model(brute.batch())
    frame = recorder.frame()
    assert (frame["firing_rate"] == 0).all()
    assert (frame["largest"] == 0).all()
    assert (frame["bit_width"] == 0).all()


@pytest.mark.parametrize("kind", [*foreign.KINDS, "graded"])
def test_against_every_spike_of_any_neuron(kind: str) -> None:
    """Called per step or per sequence, batch first too; integers exactly."""
    one = foreign.GRADED if kind == "graded" else foreign.KINDS[kind]
    record, kept = foreign.recorded(one, FiringRate(), foreign.batches())
    frame = record.frame().set_index("site")
    for site, seen in kept.items():
        table = foreign.rows(record, "firing_rate", site)
        assert table["step"].tolist() == list(range(6))
        for t, row in table.iterrows():
            s = np.concatenate([q.s[t].ravel() for q in seen if t < len(q.s)]).astype(float)
            counts = [s.sum(), s.size, np.count_nonzero(s), (s > 1).sum(), s.max()]
            names = ["total", "elements", "nonzero", "above_one", "largest"]
            assert row[names].tolist() == counts
        assert frame.loc[site, "bit_width"] == _bits(table["largest"].max())
