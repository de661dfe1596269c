"""Trains, maps, membranes and currents of SpikingJelly's neurons against kept tensors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from snnlens.measures.trains import reference_trains
from snnlens.neuron.surrogate import Surrogate
from snnlens.probes.channel_rate import ChannelRate
from snnlens.probes.input_current import InputCurrent
from snnlens.probes.membrane import Membrane
from snnlens.probes.neuron_map import NeuronMap
from snnlens.probes.pattern_histogram import PatternHistogram
from snnlens.probes.silence import Silence
from snnlens.probes.spike_trains import SpikeTrains
from snnlens.probes.surrogate_active import SurrogateActive
from snnlens.recording.probe import Probe
from tests.parity import jelly
from tests.unit.probes import foreign
from tests.unit.probes.foreign import TAU, THRESHOLD, Kind, Seen

pytestmark = pytest.mark.parity
SUM_RTOL = 1e-12  # float64 sums of fewer than 1e4 numbers in another order
SLOPE_RTOL = 2e-6  # sigma' of SpikingJelly's ATan in float32 against float64, all of them positive


@pytest.fixture(params=["m", "s"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """SpikingJelly's LIF with a whole sequence, and called once per step."""
    pytest.importorskip("spikingjelly")
    sj = jelly.load()

    def make(_surrogate: Surrogate, leaks: bool) -> Any:
        shared = {"v_threshold": THRESHOLD, "step_mode": request.param,
                  "surrogate_function": sj.surrogate.ATan(2.0)}  # fmt: skip
        return sj.neuron.LIFNode(tau=TAU, **shared) if leaks else sj.neuron.IFNode(**shared)

    return Kind("time first" if request.param == "m" else "one step", make)


def _seen(kind: Kind, probe: Probe, lengths: tuple[int, ...] = (6, 6, 6)) -> Any:
    record, kept = foreign.recorded(kind, probe, foreign.batches(lengths))
    frame = record.frame().set_index("site")
    return [(foreign.rows(record, probe.name, n), frame.loc[n], q) for n, q in kept.items()]


def _trains(seen: list[Seen]) -> np.ndarray:
    return np.concatenate([q.trains for q in seen], axis=1)


def _neurons(seen: list[Seen]) -> np.ndarray:
    """[samples x steps, neurons]."""
    return np.concatenate([q.s.reshape(math.prod(q.s.shape[:2]), -1) for q in seen])


def test_silence(kind: Kind) -> None:
    for table, row, seen in _seen(kind, Silence(), (6, 6, 4)):
        flat = _neurons(seen)
        assert table["spiked"].tolist() == np.packbits((flat != 0).any(0)).tolist()
        assert table["missed"].tolist() == np.packbits((flat == 0).any(0)).tolist()
        assert row["silent_share"] == np.mean(flat.sum(0) == 0) > 0
        assert row["saturated_share"] == np.mean(flat.sum(0) == len(flat)) > 0


def test_maps(kind: Kind) -> None:
    for table, _, seen in _seen(kind, NeuronMap(), (6, 6, 4)):
        assert table["total"].tolist() == _neurons(seen).sum(0, dtype=int).tolist()
    for table, _, seen in _seen(kind, ChannelRate(), (6, 6, 4)):
        flat = _neurons(seen)
        wanted = flat.reshape(len(flat), len(table), -1).sum((0, 2), dtype=int)
        assert table["total"].tolist() == wanted.tolist()


def test_trains(kind: Kind) -> None:
    for _, row, seen in _seen(kind, SpikeTrains()):
        wanted = reference_trains(_trains(seen))
        found = [row["isi_mean"], row["isi_cv"], row["fano"]]
        assert found == pytest.approx([wanted.isi_mean, wanted.isi_cv, wanted.fano], rel=SUM_RTOL)
    for table, row, seen in _seen(kind, PatternHistogram()):
        wanted = reference_trains(_trains(seen))
        assert table["counts"].tolist() == wanted.patterns.tolist()
        assert row["constant_share"] == wanted.constant_share


def test_membrane_and_surrogate(kind: Kind) -> None:
    edges = np.arange(-32, 49) / 8
    for table, _, seen in _seen(kind, Membrane(), (6, 6, 4)):
        ratios = np.concatenate([q.h.ravel() for q in seen]).astype(float) / THRESHOLD
        places = np.searchsorted(edges, ratios, side="right")
        assert table["counts"].tolist() == np.bincount(places, minlength=82).tolist()
    for table, row, seen in _seen(kind, SurrogateActive(), (6, 6, 4)):
        h = np.concatenate([q.h.ravel() for q in seen]).astype(float)
        slope = 1 / (1 + (math.pi * (h - THRESHOLD)) ** 2)
        assert table["active"].sum() == table["neuron_steps"].sum() == h.size
        assert row["surrogate_mean"] == pytest.approx(slope.mean(), rel=SLOPE_RTOL)


def test_input_current(kind: Kind) -> None:
    for _, row, seen in _seen(kind, InputCurrent(), (6, 6, 4)):
        x = np.concatenate([q.x.ravel() for q in seen]).astype(float)
        assert row["current_mean"] == pytest.approx(x.mean(), rel=SUM_RTOL)
        xi = (THRESHOLD - x.mean()) / (x.std() / math.sqrt(2 * TAU - 1))
        assert row["xi"] == pytest.approx(xi, rel=10 * SUM_RTOL)
