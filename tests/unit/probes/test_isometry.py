"""The probe isometry: its Gram matrix against Jacobians that are known, and its quantities."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from snnlens.errors import InputError
from snnlens.measures.isometry import eigenvalue_moments
from snnlens.probes.isometry import Isometry
from snnlens.recording.ledger import Ledger
from snnlens.recording.record import Record
from snnlens.recording.recorder import Recorder
from snnlens.sites import Site
from tests.unit.recording import brute

SITE = Site("b.output", "b", "output", "block_output")


def vectors(n: int, m: int, seed: int) -> Tensor:
    """The v_i that the probe draws from a generator of this seed, as rows."""
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randn(m, generator=generator) for _ in range(n)]).double()


def seen(o_of: nn.Module, s: Tensor, n: int = 32, seed: int = 0) -> dict[str, Tensor]:
    """What the probe says of one block."""
    probe = Isometry(n, torch.Generator().manual_seed(seed))
    s = s.requires_grad_()
    return probe.around(SITE, o_of, s, o_of(s))


def test_of_a_matrix() -> None:
    """O = S M^T for each of 4 samples: gram = V (I x M M^T) V^T."""
    torch.manual_seed(0)
    block = nn.Linear(5, 3).double()
    found = seen(block, torch.randn(4, 5, dtype=torch.float64))
    m = block.weight.detach()
    v = vectors(32, 12, 0).view(32, 4, 3)
    w = (v @ m).flatten(1)
    # float64 throughout; a sum of 20 products in another order
    np.testing.assert_allclose(found["gram"], w @ w.T, rtol=1e-12, atol=1e-12)
    assert (found["outputs"] == 12).all()
    assert found["gram"].dtype == torch.float64
    assert found["outputs"].dtype == torch.int64


@pytest.mark.parametrize("seed", range(3))
def test_the_moments_of_a_known_spectrum(seed: int) -> None:
    """Eigenvalues 1, 4, 9, 16 of J J^T, equally often: mean 7.5, variance 32.25."""
    block = nn.Linear(4, 4, bias=False)
    with torch.no_grad():
        block.weight.copy_(torch.diag(torch.tensor([1.0, 2.0, 3.0, 4.0])))
    found = seen(block, torch.zeros(250, 4), n=64, seed=seed)
    moments = eigenvalue_moments(found["gram"].numpy(), 1000)
    assert moments.mean.low < 7.5 < moments.mean.high  # 95 % each: three seeds that do
    assert moments.variance.low < 32.25 < moments.variance.high
    # 4 standard errors sqrt(2 tr((J J^T)^2) / (64 m^2)) = sqrt(2 x 88.5 / 64000) are 0.21
    assert 0.1 < moments.mean.high - moments.mean.low < 0.4


def test_quantities_of_a_record() -> None:
    """Two batches add up to that of one large batch, J being block-diagonal."""
    block = nn.Linear(3, 3, bias=False)
    probe, sums = Isometry(40), []
    for _ in range(2):
        s = torch.zeros(50, 3, requires_grad=True)
        sums.append(probe.around(SITE, block, s, block(s)))
    gram, outputs = (sums[0][c] + sums[1][c] for c in ("gram", "outputs"))
    whole = eigenvalue_moments(gram.numpy(), 300)
    eigenvalues = np.linalg.eigvalsh((block.weight @ block.weight.T).detach().double().numpy())
    assert whole.mean.low < eigenvalues.mean() < whole.mean.high
    table = _table(gram, outputs)
    record = Record(
        sites=pd.DataFrame([{"network": "model", "site": SITE.name, "role": "block_output"}]),
        tables={"isometry": table}, schemas={"isometry": Isometry.schema()},
        networks={"model": {}}, provenance={},
    )  # fmt: skip
    row = record.frame().iloc[0]
    for moment in ("mean", "variance"):
        estimate = getattr(whole, moment)
        assert row[f"isometry_{moment}"] == estimate.value
        assert row[f"isometry_{moment}_low"] == estimate.low
        assert row[f"isometry_{moment}_high"] == estimate.high


def _table(gram: Tensor, outputs: Tensor) -> pd.DataFrame:
    ledger = Ledger()
    ledger.add(Isometry(), SITE, {"gram": gram, "outputs": outputs})
    return ledger.table("model", Isometry(), [SITE])


def test_an_output_that_does_not_depend_on_the_input() -> None:
    """J = 0, where O hangs on a weight alone."""
    weight = nn.Parameter(torch.ones(2, 3))
    s = torch.ones(2, 3, requires_grad=True)
    found = Isometry().around(SITE, None, s, weight * 2)
    assert (found["gram"] == 0).all()
    assert Isometry().around(SITE, None, s, torch.ones(2, 3)) == {}


def test_tiny_gains_do_not_underflow() -> None:
    """J = 1e-30: w . w is 0 in float32."""
    s = torch.ones(1, 4, requires_grad=True)
    found = Isometry().around(SITE, None, s, s * 1e-30)
    v = vectors(32, 4, 0)
    # float32 products of 1e-30, summed in float64
    np.testing.assert_allclose(found["gram"], v @ v.T * 1e-60, rtol=1e-5, atol=1e-65)


def test_a_recorder_gives_it_nothing_to_say() -> None:
    model = brute.small("sew", "add")
    with Recorder(model, [Isometry()]) as recorder:
        brute.loss(model, brute.batch()).backward()
    assert "isometry" not in recorder.record().tables


def test_too_few_vectors() -> None:
    with pytest.raises(InputError) as error:
        Isometry(31)
    assert str(error.value) == "vectors must be at least 32; got 31"
