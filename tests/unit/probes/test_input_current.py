"""input_current against the kept inputs; xi against a free membrane that is run."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from snnlens.neuron.layers import IF, LIF
from snnlens.probes.input_current import InputCurrent
from snnlens.recording.recorder import Recorder
from tests.unit.probes import foreign
from tests.unit.probes.foreign import KINDS, TAU, THRESHOLD

SUM_RTOL = 1e-12  # float64 sums of fewer than 1e4 numbers in another order
DEVIATION_RTOL = 1e-11  # of a difference; the mean square is less than 10 times the variance


@pytest.mark.parametrize("leaks", [True, False], ids=["lif", "if"])
@pytest.mark.parametrize("kind", KINDS)
def test_against_every_input(kind: str, leaks: bool) -> None:
    record, kept = foreign.recorded(KINDS[kind], InputCurrent(), foreign.batches(), leaks=leaks)
    frame = record.frame().set_index("site")
    for site, seen in kept.items():
        table = foreign.rows(record, "input_current", site)
        assert table["step"].tolist() == list(range(6))
        for t, row in table.iterrows():
            x = np.concatenate([q.x[t].ravel() for q in seen if t < len(q.x)]).astype(float)
            assert row["inputs"] == x.size
            assert row["current"] == pytest.approx(math.fsum(x), rel=SUM_RTOL)
            assert row["current_squared"] == pytest.approx(math.fsum(x * x), rel=SUM_RTOL)
        x = np.concatenate([q.x.ravel() for q in seen]).astype(float)
        row = frame.loc[site]
        assert row["current_mean"] == pytest.approx(x.mean(), rel=SUM_RTOL)
        assert row["current_deviation"] == pytest.approx(x.std(), rel=DEVIATION_RTOL)
        xi = (THRESHOLD - x.mean()) / (x.std() / math.sqrt(2 * TAU - 1)) if leaks else math.nan
        assert row["xi"] == pytest.approx(xi, rel=DEVIATION_RTOL, nan_ok=True)


@pytest.mark.parametrize("decay_input", [True, False])
def test_xi_is_that_of_a_free_membrane_that_runs(decay_input: bool) -> None:
    """White input into U = V + (X - V) / tau or V - V / tau + X, long after the start."""
    tau, threshold, steps = 3.0, 5.0, 40
    generator = torch.Generator().manual_seed(0)
    x = 0.4 + 0.8 * torch.randn(steps, 20_000, 1, generator=generator)
    layer = LIF(tau, threshold=threshold, decay_input=decay_input)
    with Recorder(layer, [InputCurrent()]) as recorder:
        layer(x)
    u = np.zeros(20_000)
    for now in x[:, :, 0].double().numpy():
        u += (now - u) / tau if decay_input else now - u / tau
    found = recorder.frame()["xi"].item()
    # 20,000 samples of U: the mean and the deviation are known to 1 / sqrt(20,000) = 0.7 % of the
    # deviation, which makes 0.7 + 0.5 % xi; and (2/3)^40 = 1e-7 is left of the start.
    assert found == pytest.approx((threshold - u.mean()) / u.std(), rel=0.03)


def test_what_a_site_does_not_say_is_nan() -> None:
    """The inputs are counted all the same, over calls that are merged."""
    layer = IF()
    recorder = Recorder(layer, [InputCurrent()])
    bare = recorder.sites[0]
    found = {"current": torch.ones(2).double(), "current_squared": torch.ones(2).double()}
    unknown = type(bare)(bare.name, bare.module, "output", "neuron")
    sums = InputCurrent().counted(unknown, found, torch.Size([2, 3, 4]), 5)
    assert sums["inputs"].tolist() == [60, 60]
    for name in ("threshold", "leak", "gain"):
        assert sums[name].isnan().all()
        assert sums[name].shape == (2,)
    with recorder:
        layer(torch.ones(2, 3, 4))
        layer(torch.ones(3, 3, 4))
    table = recorder.record().table("input_current")
    assert table["threshold"].tolist() == [1.0, 1.0, 1.0]
    assert table["leak"].tolist() == [1.0, 1.0, 1.0]
    assert table["gain"].tolist() == [1.0, 1.0, 1.0]
    assert table["inputs"].tolist() == [24, 24, 12]
