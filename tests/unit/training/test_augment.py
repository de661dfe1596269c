"""Random temporal delete: which steps stay, for whom, and how likely each choice is."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from snnlens.errors import InputError
from snnlens.training.augment import changed, random_temporal_delete
from snnlens.training.recipe import Recipe


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbered(steps: int, batch: int = 3) -> Tensor:
    """x[t, b] = 100 t + b, in a shape of frames."""
    t, b = torch.meshgrid(torch.arange(steps), torch.arange(batch), indexing="ij")
    return (100.0 * t + b)[..., None, None, None].expand(-1, -1, 2, 4, 4)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 20), st.integers(0, 10**6), st.data())
def test_some_steps_stay_in_order_and_alike_for_the_batch(
    steps: int, seed: int, data: st.DataObject
) -> None:
    keep = data.draw(st.integers(1, steps))
    x = numbered(steps)
    out = random_temporal_delete(x, keep, seeded(seed))
    assert out.shape == (keep, *x.shape[1:])
    kept = (out[:, 0, 0, 0, 0] / 100).int().tolist()
    assert kept == sorted(set(kept))
    assert torch.equal(out, torch.stack([x[t] for t in kept]))


def test_every_choice_is_as_likely() -> None:
    """All 10 choices of 3 of 5: each 300 times of 3,000, with a standard deviation of 16.4."""
    generator = seeded(0)
    x = torch.arange(5).view(5, 1)
    seen = Counter(
        tuple(random_temporal_delete(x, 3, generator).flatten().tolist()) for _ in range(3000)
    )
    assert set(seen) == set(itertools.combinations(range(5), 3))
    assert all(abs(count - 300) < 66 for count in seen.values())  # four standard deviations


def test_one_seed_is_one_choice_and_the_global_state_stays() -> None:
    x = torch.arange(16).view(16, 1)
    state = torch.get_rng_state()
    first, same, other = (random_temporal_delete(x, 12, seeded(s)) for s in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_all_steps_are_all_steps() -> None:
    x = numbered(6)
    assert torch.equal(random_temporal_delete(x, 6, seeded(3)), x)


def test_the_gradient_goes_to_the_steps_that_stay() -> None:
    x = torch.zeros(8, 2, requires_grad=True)
    random_temporal_delete(x, 5, seeded(4)).sum().backward()
    assert x.grad is not None
    assert x.grad.sum(1).tolist().count(2.0) == 5
    assert x.grad.sum() == 10


@pytest.mark.parametrize("keep", [0, -1, 17])
def test_too_few_or_too_many(keep: int) -> None:
    with pytest.raises(InputError) as error:
        random_temporal_delete(torch.zeros(16, 1), keep, seeded(0))
    assert str(error.value) == f"train_steps must be from 1 to the 16 steps there are; got {keep}"


def test_a_recipe_deletes_steps_of_frames_alone() -> None:
    recipe = Recipe(train_steps=2)
    frames, image = numbered(4), torch.rand(3, 3, 8, 8)
    assert len(changed(frames, recipe, seeded(0))) == 2
    assert torch.equal(changed(image, recipe, seeded(0)), image)
    assert torch.equal(changed(frames, Recipe(), seeded(0)), frames)
