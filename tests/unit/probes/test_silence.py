"""silence against the neurons of kept tensors, looked at one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from snnlens.probes.silence import Silence
from snnlens.recording.recorder import Recorder
from snnlens.sites import Site
from tests.unit.probes import foreign
from tests.unit.probes.foreign import KINDS

SPIKES = Site("sn", "sn", "output", "neuron")
COUNTS = Site("sn", "sn", "output", "neuron", "counts")


def _flags(spikes: np.ndarray) -> tuple[list[bool], list[bool]]:
    """Of each neuron of [observations, N]: whether it spiked, whether it missed a step."""
    trains = [spikes[:, n].tolist() for n in range(spikes.shape[1])]
    return [any(s != 0 for s in t) for t in trains], [any(s == 0 for s in t) for t in trains]


@pytest.mark.parametrize("kind", KINDS)
def test_against_every_neuron(kind: str) -> None:
    record, kept = foreign.recorded(KINDS[kind], Silence(), foreign.batches())
    frame = record.frame().set_index("site")
    shares = []
    for site, seen in kept.items():
        neurons = int(np.prod(seen[0].s.shape[2:]))
        positions = int(np.prod(seen[0].s.shape[3:]))
        spiked, missed = _flags(np.concatenate([q.s.reshape(-1, neurons) for q in seen]))
        table = foreign.rows(record, "silence", site)
        assert table["byte"].tolist() == list(range(math.ceil(neurons / 8)))
        np.testing.assert_array_equal(table["spiked"], np.packbits(spiked))
        np.testing.assert_array_equal(table["missed"], np.packbits(missed))
        row = frame.loc[site]
        assert row["silent_share"] == spiked.count(False) / neurons
        assert row["saturated_share"] == missed.count(False) / neurons
        by_channel = np.reshape([spiked, missed], (2, -1, positions))
        silent, saturated = (~by_channel).all(2).mean(1)
        assert (row["silent_channel_share"], row["saturated_channel_share"]) == (silent, saturated)
        shares += [row["silent_share"], row["saturated_share"], silent, saturated]
    assert all(0 < share < 1 for share in shares)  # both kinds of neurons are there
    assert shares[:2] != shares[2:4]  # some channels are silent in part
    assert not set(frame) & {"spiked", "missed"}


@pytest.mark.parametrize("shape", [(2, 3, 4, 3, 5), (3, 2, 9), (4, 2), (2, 2, 16)])
@pytest.mark.parametrize("lies", ["dense", "channels last", "batch first"])
def test_neurons_are_in_c_order_however_the_tensor_lies(shape: tuple[int, ...], lies: str) -> None:
    generator = torch.Generator().manual_seed(len(shape))
    x = (torch.rand(shape, generator=generator) < 0.3).float()
    if lies == "channels last" and len(shape) == 5:
        x = x.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, shape[:2])
        assert not x.is_contiguous()
    if lies == "batch first":
        x = x.transpose(0, 1).contiguous().transpose(0, 1)
    found = Silence().value(SPIKES, x)
    spiked, missed = _flags(x.numpy().reshape(shape[0] * shape[1], -1))
    assert found["spiked"].dtype == torch.uint8
    assert found["spiked"].tolist() == np.packbits(spiked).tolist()
    assert found["missed"].tolist() == np.packbits(missed).tolist()


def test_graded_spikes_may_cancel() -> None:
    """+2 and -2 are two spikes whose sum is 0; 3 spikes in one step are not three steps."""
    x = torch.tensor([[[2.0, 3.0, 0.0, 1.0]], [[-2.0, 0.0, 0.0, 2.0]], [[0.0, 0.0, 0.0, 1.0]]])
    found = Silence().value(COUNTS, x)
    assert found["spiked"].tolist() == [0b11010000]
    assert found["missed"].tolist() == [0b11100000]


def test_graded_network() -> None:
    record, kept = foreign.recorded(foreign.GRADED, Silence(), foreign.batches())
    for site, seen in kept.items():
        neurons = int(np.prod(seen[0].s.shape[2:]))
        spiked, missed = _flags(np.concatenate([q.s.reshape(-1, neurons) for q in seen]))
        table = foreign.rows(record, "silence", site)
        np.testing.assert_array_equal(table["spiked"], np.packbits(spiked))
        np.testing.assert_array_equal(table["missed"], np.packbits(missed))
    assert min(q.s.min() for seen in kept.values() for q in seen) < 0


def test_not_a_number_is_neither_silent_nor_saturated() -> None:
    found = Silence().value(SPIKES, torch.tensor([[[math.nan, 0.0]], [[1.0, 0.0]]]))
    assert found["spiked"].tolist() == [0b10000000]
    assert found["missed"].tolist() == [0b11000000]


@pytest.mark.parametrize("shape", [(3,), (0, 2, 4), (2, 0, 4), (2, 2, 0)])
def test_nothing_to_look_at(shape: tuple[int, ...]) -> None:
    assert Silence().value(SPIKES, torch.zeros(shape)) == {}


def test_batches_of_unequal_shape_have_no_share() -> None:
    kind = KINDS["snnlens"]
    model = foreign.Net(kind.lies, lambda: kind.make(foreign.Rectangular(), True)).sn1
    with Recorder(model, [Silence()]) as recorder:
        model(torch.ones(2, 1, 3, 4))
        assert recorder.frame()["silent_share"].tolist() == [0.0]
        model(torch.ones(2, 1, 3, 6))
    assert recorder.frame()["silent_share"].isna().all()
