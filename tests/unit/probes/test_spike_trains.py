"""spike_trains against the trains counted one by one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from snnlens.measures.trains import reference_trains
from snnlens.neuron.layers import IF
from snnlens.probes.spike_trains import SpikeTrains
from snnlens.recording.probe import Train
from snnlens.recording.recorder import Recorder
from snnlens.sites import Site
from tests.unit.probes import foreign
from tests.unit.probes.foreign import KINDS

SITE = Site("sn", "sn", "output", "neuron")
RTOL = 1e-12  # both are float64 quotients of the same integers, by one pass and by two


def _times(trains: np.ndarray) -> list[list[int]]:
    return [[t for t, s in enumerate(train) if s != 0] for train in trains.T.tolist()]


def _columns(batches: list[np.ndarray]) -> dict[str, int]:
    """The six sums over [T, N] of each batch, in Python's integers."""
    times = [one for trains in batches for one in _times(trains)]
    gaps = [b - a for one in times for a, b in pairwise(one)]
    counts = [len(one) for one in times]
    return {
        "intervals": len(gaps), "interval_steps": sum(gaps),
        "interval_squares": sum(g * g for g in gaps), "trains": len(counts),
        "spikes": sum(counts), "spikes_squared": sum(n * n for n in counts),
    }  # fmt: skip


@pytest.mark.parametrize("kind", [*KINDS, "graded"])
def test_against_every_train(kind: str) -> None:
    """Batches of 6, 6 and 4 steps; no interval reaches from one into the next."""
    one = foreign.GRADED if kind == "graded" else KINDS[kind]
    record, kept = foreign.recorded(one, SpikeTrains(), foreign.batches())
    frame = record.frame().set_index("site")
    for site, seen in kept.items():
        table = foreign.rows(record, "spike_trains", site)
        assert len(table) == 1
        found = table.drop(columns=["network", "site"]).iloc[0].to_dict()
        assert found == _columns([q.trains for q in seen])
        # A train of zeros appended adds no interval, so one array can hold the shorter batch too;
        # the Fano factor looks at counts only.
        padded = [np.pad(q.trains, ((0, 6 - len(q.trains)), (0, 0))) for q in seen]
        wanted = reference_trains(np.concatenate(padded, axis=1))
        row = frame.loc[site]
        assert row["isi_mean"] == pytest.approx(wanted.isi_mean, rel=RTOL)
        assert row["isi_cv"] == pytest.approx(wanted.isi_cv, rel=RTOL)
        assert row["fano"] == pytest.approx(wanted.fano, rel=RTOL)
        assert min(row["isi_cv"], row["fano"]) > 0.1


@pytest.mark.parametrize("rate", [0.02, 0.3, 0.9])
def test_long_random_trains(rate: float) -> None:
    generator = torch.Generator().manual_seed(1)
    x = (torch.rand(300, 3, 2, 2, generator=generator) < rate).float()
    found = SpikeTrains().train(SITE, Train(x))
    assert {n: int(v) for n, v in found.items()} == _columns([x.flatten(1).numpy()])
    assert {v.dtype for v in found.values()} == {torch.int64}
    assert {v.shape for v in found.values()} == {torch.Size([])}


@pytest.mark.parametrize("steps", [2**12, 5000])
def test_squares_beyond_what_float32_holds(steps: int) -> None:
    """Two spikes far apart, or one at every step; 4999^2 is odd and above 2^24."""
    x = torch.zeros(steps, 1, 2, dtype=torch.bfloat16)
    x[[0, -1], 0, 0] = 1
    x[:, 0, 1] = 1
    found = SpikeTrains().train(SITE, Train(x))
    assert found["interval_squares"].tolist() == (steps - 1) ** 2 + steps - 1
    assert found["spikes_squared"].tolist() == 4 + steps**2


def test_silent_and_lonely_spikes_have_no_interval() -> None:
    x = torch.zeros(5, 2, 1)
    x[0, 0] = 1
    found = SpikeTrains().train(SITE, Train(x))
    assert {n: v.tolist() for n, v in found.items()} == {
        "intervals": 0, "interval_steps": 0, "interval_squares": 0,
        "trains": 2, "spikes": 1, "spikes_squared": 1,
    }  # fmt: skip
    assert SpikeTrains().train(SITE, Train(x[:, 0, 0]))["trains"].tolist() == 1
    layer = IF()
    with Recorder(layer, [SpikeTrains()]) as recorder:
        layer(x - 1)
    row = recorder.frame().iloc[0]
    assert row[["isi_mean", "isi_cv", "fano"]].isna().all()
