"""Units of an input: their order, and maps over layers brought to the input, element by element."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from snnlens.attribution.units import falling, nothing, over_input, own
from snnlens.errors import InputError


def test_a_map_of_zeros_is_no_order_of_its_own() -> None:
    """Not row by row, not step by step: one shuffled order, the same at each call."""
    order = falling(torch.zeros(1000)).tolist()
    assert sorted(order) == list(range(1000))
    assert order == falling(torch.full((1000,), 7.0)).tolist()
    early = np.mean(np.array(order[:500]) < 500)
    assert early == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(1000))  # four standard errors


def test_ties_keep_their_order_beside_others() -> None:
    ties, values = falling(torch.zeros(50)).tolist(), torch.zeros(50)
    values[7], values[30] = 1.0, -1.0
    assert falling(values).tolist() == [7, *(i for i in ties if i not in {7, 30}), 30]


def test_a_sample_is_known_by_its_content() -> None:
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    assert own(x) == own(x.double()) == own(x.T.contiguous().T)
    assert own(x) != own(x + 1)


def test_a_layer_map_over_the_input() -> None:
    """4 x 6 pixels of 3 channels over a layer of 2 x 3 with two channels, three steps."""
    layer = torch.randn(2, 3, 2, 2, 3, generator=torch.Generator().manual_seed(0))
    found = over_input(layer, (3, 3, 4, 6))
    assert found.shape == (2, 3, 3, 4, 6)
    for n, t, c, y, x in np.ndindex(2, 3, 3, 4, 6):
        wanted = float(layer[n, t, :, y // 2, x // 2].double().sum())
        assert float(found[n, t, c, y, x]) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize(("of", "side"), [(3, 8), (5, 7), (4, 3), (8, 3)])
def test_the_nearest_position_by_centres(of: int, side: int) -> None:
    layer = torch.arange(float(of)).reshape(1, 1, 1, 1, of)
    found = over_input(layer, (1, 1, 1, side)).flatten()
    centres = (np.arange(side) + 0.5) / side
    for value, centre in zip(found.tolist(), centres, strict=True):
        away = np.abs((np.arange(of) + 0.5) / of - centre)
        assert away[int(value)] == pytest.approx(away.min(), abs=1e-12)


def test_a_static_image_has_the_sum_of_a_layers_steps() -> None:
    layer = torch.randn(2, 5, 1, 4, 4, generator=torch.Generator().manual_seed(0)).double()
    assert torch.equal(over_input(layer, (1, 1, 4, 4)), layer.sum(1, keepdim=True))
    same = torch.randn(2, 1, 3, 4, 4).double()
    assert torch.equal(over_input(same, (1, 3, 4, 4)), same)


def test_a_baseline_for_each_sample_or_one_for_all() -> None:
    x, one = torch.ones(2, 3, 4), torch.rand(3, 4)
    assert torch.equal(nothing(x, one), torch.stack([one, one]))
    assert torch.equal(nothing(x, x + 1), x + 1)
    assert nothing(x.double(), one).dtype == torch.float64
    with pytest.raises(InputError) as error:
        nothing(x, torch.rand(5))
    assert str(error.value) == "the baseline must be a sample, [3, 4]; got [5]"
