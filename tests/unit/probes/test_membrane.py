"""membrane against the membranes of an independent recursion, each put into its bin by a search."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from snnlens.measures.whole import MEMBRANE_EDGES
from snnlens.neuron.layers import IF
from snnlens.probes.membrane import BINS, Membrane
from snnlens.recording.record import Schema, schema_dict
from snnlens.recording.recorder import Recorder
from tests.unit.probes import foreign
from tests.unit.probes.foreign import KINDS, THRESHOLD

EDGES = [-4 + k / 8 for k in range(81)]
FRINGE = (
    1e-9  # thresholds: no membrane of these tests lies nearer to an edge, so no rounding counts
)


def _histogram(ratios: np.ndarray) -> np.ndarray:
    places = np.searchsorted(EDGES, ratios, side="right")
    return np.bincount(places, minlength=len(EDGES) + 1)


@pytest.mark.parametrize("leaks", [True, False], ids=["lif", "if"])
@pytest.mark.parametrize("kind", KINDS)
def test_against_every_membrane(kind: str, leaks: bool) -> None:
    record, kept = foreign.recorded(KINDS[kind], Membrane(), foreign.batches(), leaks=leaks)
    frame = record.frame().set_index("site")
    for site, seen in kept.items():
        ratios = np.concatenate([q.h.ravel() for q in seen]).astype(float) / THRESHOLD
        assert np.abs(ratios[:, None] - np.array(EDGES)).min() > FRINGE
        table = foreign.rows(record, "membrane", site)
        assert table["bin"].tolist() == list(range(82))
        np.testing.assert_array_equal(table["counts"], _histogram(ratios))
        shares = {
            "membrane_low_share": np.mean(ratios < -1),
            "membrane_near_share": np.mean(np.abs(ratios - 1) < 0.5),
            "membrane_high_share": np.mean(ratios > 3),
        }
        assert dict(frame.loc[site, list(shares)]) == shares
        assert min(shares.values()) > 0
        assert table["counts"].iloc[[0, -1]].min() > 0


def test_a_membrane_that_nobody_knows_has_no_row() -> None:
    """A class without a rule and its neighbour: nothing is guessed, and nothing is 0."""
    kind = foreign.GRADED
    model = foreign.Net(kind.lies, lambda: kind.make(foreign.Rectangular(), True))
    model.sn2 = IF(THRESHOLD)
    with Recorder(model, [Membrane()], adapters=kind.adapters) as recorder:
        model.run(foreign.batches()[0])
    record = recorder.record()
    assert set(record.table("membrane")["site"]) == {"sn2"}
    shares = record.frame().set_index("site")["membrane_near_share"]
    assert shares.isna().to_dict() == {"sn1": True, "sn2": False}


def test_edges_are_in_thresholds() -> None:
    """V_th = 4: H of 2, 6 and 12 begin the bins of 1/2, 3/2 and 3 thresholds, and NaN is high."""
    layer = IF(4.0)
    x = torch.tensor([[[-16.0625, -16.0, -4.0625, -4.0, 1.9375, 2.0, 5.9375, 6.0, 12.0, 24.0]]])
    with Recorder(layer, [Membrane()]) as recorder:
        layer(x)
        layer(torch.tensor([[[float("nan")] * 10]]))
    row = recorder.frame().iloc[0]
    assert row["membrane_low_share"] == 3 / 20
    assert row["membrane_near_share"] == 2 / 20
    assert row["membrane_high_share"] == 12 / 20
    counts = recorder.record().table("membrane")["counts"]
    assert counts[counts > 0].to_dict() == {
        0: 1, 1: 1, 24: 1, 25: 1, 36: 1, 37: 1, 44: 1, 45: 1, 57: 1, 81: 11,
    }  # fmt: skip


def test_bins_are_those_of_the_measures() -> None:
    assert [BINS.lowest + BINS.width * k for k in range(BINS.count + 1)] == EDGES
    assert MEMBRANE_EDGES.tolist() == EDGES
    assert Schema.from_dict(schema_dict(Membrane.schema())) == Membrane.schema()
