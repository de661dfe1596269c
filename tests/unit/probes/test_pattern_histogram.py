"""pattern_histogram against the trains written out as binary numbers."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from snnlens.measures.trains import reference_trains
from snnlens.probes.pattern_histogram import PatternHistogram
from snnlens.recording.probe import Train
from snnlens.sites import Site
from tests.unit.probes import foreign
from tests.unit.probes.foreign import KINDS

SPIKES = Site("sn", "sn", "output", "neuron")
COUNTS = Site("sn", "sn", "output", "neuron", "counts")


def _patterns(trains: np.ndarray) -> list[int]:
    """Counts of the 2^T patterns; the first step is the last binary digit."""
    digits = ["".join("1" if s else "0" for s in reversed(train)) for train in trains.T.tolist()]
    found = Counter(int(d, 2) for d in digits)
    return [found[p] for p in range(2 ** len(trains))]


@pytest.mark.parametrize("steps", [1, 6, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_against_every_train(kind: str, steps: int) -> None:
    xs = foreign.batches((steps,) * 3)
    record, kept = foreign.recorded(KINDS[kind], PatternHistogram(), xs)
    for site, seen in kept.items():
        trains = np.concatenate([q.trains for q in seen], axis=1)
        table = foreign.rows(record, "pattern_histogram", site)
        assert table["pattern"].tolist() == list(range(2**steps))
        assert table["counts"].tolist() == _patterns(trains)
        share = record.frame().set_index("site").loc[site, "constant_share"]
        assert share == reference_trains(trains).constant_share
        assert share < 1 or steps == 1
        assert table["counts"].gt(0).sum() > 2 or steps == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.bool])
def test_all_patterns_in_every_dtype(dtype: torch.dtype) -> None:
    """Train n is pattern n: each of the 256 once."""
    x = torch.tensor([[[n >> t & 1 for n in range(256)]] for t in range(8)]).to(dtype)
    assert PatternHistogram().train(SPIKES, Train(x))["counts"].tolist() == [1] * 256


def test_the_first_step_is_bit_0() -> None:
    x = torch.tensor([[[1.0, 1.0]], [[0.0, 0.0]], [[0.0, 1.0]]])
    assert PatternHistogram().train(SPIKES, Train(x))["counts"].tolist() == [0, 1, 0, 0, 0, 1, 0, 0]


def test_long_and_graded_trains_have_none() -> None:
    probe = PatternHistogram()
    assert probe.train(SPIKES, Train(torch.zeros(9, 1, 1))) == {}
    assert probe.train(COUNTS, Train(torch.zeros(2, 1, 1))) == {}
    record, _ = foreign.recorded(foreign.GRADED, probe, foreign.batches())
    assert not record.tables
