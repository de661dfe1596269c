"""neuron_map against kept tensors, neuron by neuron; and which layers it takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from snnlens.neuron.layers import IF
from snnlens.probes.neuron_map import LARGEST, NeuronMap
from snnlens.recording.recorder import Recorder
from tests.unit.probes import foreign
from tests.unit.probes.foreign import KINDS


@pytest.mark.parametrize("kind", [*KINDS, "graded"])
def test_against_every_neuron(kind: str) -> None:
    one = foreign.GRADED if kind == "graded" else KINDS[kind]
    record, kept = foreign.recorded(one, NeuronMap(), foreign.batches())
    for site, neurons in {"sn1": 54, "sn2": 7}.items():
        table = foreign.rows(record, "neuron_map", site)
        assert table["neuron"].tolist() == list(range(neurons))
        flat = np.concatenate([q.s.reshape(-1, neurons) for q in kept[site]])
        for n, row in table.iterrows():
            assert row["total"] == sum(flat[:, n].tolist())
            assert row["elements"] == len(flat)
        assert table["total"].nunique() > 3
    assert not set(record.frame()) & {"total", "elements"}


def test_the_rows_are_the_map() -> None:
    layer = IF()
    x = torch.zeros(2, 3, 2, 3, 4)
    x[:, 0, 1, 2, 3] = 5.0
    x[1, :, 0, 1, 0] = 5.0
    with Recorder(layer, [NeuronMap()]) as recorder:
        layer(x)
    total = recorder.record().table("neuron_map")["total"].to_numpy().reshape(2, 3, 4)
    assert total[1, 2, 3] == 2
    assert total[0, 1, 0] == 3
    assert total.sum() == 5


def test_chosen_layers_only() -> None:
    chosen = NeuronMap(frozenset({"sn2"}))
    record, _ = foreign.recorded(KINDS["one step"], chosen, foreign.batches())
    assert set(record.table("neuron_map")["site"]) == {"sn2"}


def test_a_large_layer_must_be_chosen() -> None:
    layer = IF()
    for neurons, probe, rows in [
        (LARGEST, NeuronMap(), LARGEST),
        (LARGEST + 1, NeuronMap(), 0),
        (LARGEST + 1, NeuronMap(frozenset({""})), LARGEST + 1),
    ]:
        with Recorder(layer, [probe]) as recorder:
            layer(torch.ones(1, 1, neurons))
        assert len(recorder.record().tables.get("neuron_map", [])) == rows
