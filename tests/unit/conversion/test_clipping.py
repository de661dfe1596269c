"""Thresholds of ReLU networks: by numpy over all that every channel was given."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from snnlens.conversion.clipping import BINS, LEAST_THETA, thresholds
from snnlens.conversion.prepare import prepare
from snnlens.errors import InputError
from tests.unit.conversion.nets import relus


def _given(prepared, x: Tensor) -> dict[str, np.ndarray]:  # type: ignore[no-untyped-def, type-arg]
    """[C, values] of each activation's input, seen by hooks of the test's own."""
    found = {}
    for name in prepared.activations:
        prepared.activation(name).register_forward_pre_hook(
            lambda _, given, name=name: found.update({name: given[0].transpose(0, 1).flatten(1)})
        )
    prepared.network(x)
    return {name: z.detach().numpy() for name, z in found.items()}


def test_the_maximum_of_each_channel() -> None:
    ann, _ = relus()
    prepared = prepare(ann)
    batches = [torch.randn(7, 3, 8, 8).double() for _ in range(3)]
    found = thresholds(prepared, prepared.activations, [(b, None) for b in batches])
    for name, z in _given(prepare(ann), torch.cat(batches)).items():
        assert found[name].shape == (len(z), 1, 1)
        top = z.max(1)
        assert (top > 0).all()
        assert np.array_equal(found[name].flatten().numpy(), np.maximum(top, LEAST_THETA))


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.99, 1.0])
def test_a_quantile(quantile: float) -> None:
    ann, x = relus()
    prepared = prepare(ann)
    found = thresholds(prepared, prepared.activations, [x], quantile=quantile)
    for name, z in _given(prepare(ann), x).items():
        for row, theta in zip(z, found[name].flatten().tolist(), strict=True):
            wanted = np.quantile(row[row > 0], quantile, method="inverted_cdf")
            assert (
                wanted - 1e-9 <= theta <= wanted + row.max() / BINS + 1e-9
            )  # the bin's upper edge


def test_a_dead_channel_gets_the_median_of_the_others() -> None:
    ann = nn.Sequential(nn.Linear(1, 4, bias=False), nn.ReLU())
    ann[0].weight.data = torch.tensor([[1.0], [-1.0], [2.0], [5.0]])
    prepared, x = prepare(ann), torch.linspace(0, 1, 9)[:, None]
    assert thresholds(prepared, prepared.activations, [x])["1"].tolist() == [1.0, 2.0, 2.0, 5.0]
    nothing = thresholds(prepared, prepared.activations, [-x[:1]])["1"]
    assert nothing.tolist() == pytest.approx([LEAST_THETA] * 4)


def test_bad_quantile() -> None:
    ann, x = relus()
    prepared = prepare(ann)
    with pytest.raises(InputError, match="quantile must be above 0 and at most 1; got 2"):
        thresholds(prepared, prepared.activations, [x], quantile=2)
