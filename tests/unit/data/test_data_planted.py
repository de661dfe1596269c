"""The planted events: where they lie, that nothing else says the class, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from snnlens.data import images, sets, specs
from snnlens.data.images import Images
from snnlens.data.readers import planted
from snnlens.data.source import Request
from snnlens.errors import InputError


def load(samples: int, **options: object) -> Images:
    return images.load("planted", samples=samples, **options)  # type: ignore[arg-type]


def corners(x: torch.Tensor) -> torch.Tensor:
    """[T, N, 4]: events in the 3 x 3 pixels of each corner, cut by hand."""
    found = [x[..., :3, :3], x[..., :3, -3:], x[..., -3:, :3], x[..., -3:, -3:]]
    return torch.stack([part.sum((-3, -2, -1)) for part in found], -1)


def test_shape_and_words() -> None:
    batch = load(6)
    assert (batch.x.dtype, tuple(batch.x.shape)) == (torch.float32, (8, 6, 2, 12, 12))
    assert (batch.frames, batch.classes, batch.y.tolist()) == (True, 4, [0, 1, 2, 3, 0, 1])
    assert batch.description == (
        "planted events (train part; no data), 6 sequences at 12 px, 8 frames, "
        "a corner lit in frame 4"
    )
    one = load(1, image_size=6, time_steps=1)
    assert one.x.shape == (1, 1, 2, 6, 6)
    assert one.description.endswith("1 sequence at 6 px, 1 frame, a corner lit in frame 0")


@pytest.mark.parametrize("steps", [1, 2, 5, 8])
@pytest.mark.parametrize("side", [6, 9, 12])
def test_the_corner_of_the_class_is_lit_at_the_middle_step(steps: int, side: int) -> None:
    batch = load(12, time_steps=steps, image_size=side)
    seen = corners(batch.x)
    for n, label in enumerate(batch.y.tolist()):
        assert seen[steps // 2, n, label] == 2 * 2 * 9
        others = seen[:, n].clone()
        others[steps // 2, label] = 0
        assert others.max() <= 2 * 9  # a background pixel has one event of each polarity at most


def test_nothing_but_the_lit_corner_says_the_class() -> None:
    """The counts of every class at every place but these have the background's rate."""
    samples = 4096
    batch = load(samples)
    x, lit = batch.x, torch.zeros_like(batch.x, dtype=torch.bool)
    for label in range(4):
        rows, columns = planted.corner(label, 12)
        lit[4, batch.y == label, :, rows, columns] = True
    assert x[lit].unique().tolist() == [2]
    assert lit.sum() == samples * 18
    background = x.masked_fill(lit, 0)
    assert background.unique().tolist() == [0, 1]
    for label in range(4):
        of = batch.y == label
        shown = (~lit[:, of]).sum(1)
        mean = background[:, of].sum(1)[shown > 0] / shown[shown > 0]
        # 5.5 standard errors of a share over 1024 samples: 4 x 2,286 places are looked at
        assert (mean - 0.05).abs().max() < 5.5 * (0.05 * 0.95 / 1024) ** 0.5


def test_all_events_together_have_the_stated_rate() -> None:
    x = load(2000, image_size=16, time_steps=4).x
    background = x[x != 2].double()
    error = (0.05 * 0.95 / len(background)) ** 0.5
    assert background.mean().item() == pytest.approx(0.05, abs=5 * error)


def test_a_sample_is_the_same_however_many_are_asked_for() -> None:
    few, many = load(3, seed=5), load(1500, seed=5)
    assert torch.equal(few.x, many.x[:, :3])
    assert (few.dataset_size, many.dataset_size) == (1024, 1500)
    assert load(3, seed=6).fingerprint != few.fingerprint
    assert load(3, seed=5).fingerprint == few.fingerprint


def test_pixels_are_numpys_stream_of_seed_part_and_sample() -> None:
    batch = load(3, seed=9, part="test", time_steps=2, image_size=7)
    expected = np.random.default_rng([9, 1, 2]).random((2, 2, 7, 7)) < 0.05
    expected = expected.astype(np.float32)
    expected[1, :, 4:, :3] = 2  # class 2: bottom left, at step 2 // 2
    np.testing.assert_array_equal(batch.x[:, 2].numpy(), expected)


def test_two_parts_for_a_training() -> None:
    train, test = sets.load("planted")
    assert (len(train), len(test)) == (1024, 256)
    assert specs.parts("planted") == ("train", "test")
    assert torch.bincount(train.labels).tolist() == [256] * 4
    assert torch.bincount(test.labels).tolist() == [64] * 4
    x, y = test.batch(torch.tensor([5, 2]))
    both = images.load("planted", samples=6, part="test")
    assert torch.equal(x, both.x[:, [5, 2]])
    assert y.tolist() == [1, 2]
    trained = {a.numpy().tobytes() for a in train.batch(torch.arange(1024))[0].unbind(1)}
    tested = {a.numpy().tobytes() for a in test.batch(torch.arange(256))[0].unbind(1)}
    assert (len(trained), len(tested)) == (1024, 256)
    assert not trained & tested
    assert images.load("planted", samples=2).fingerprint == load(2, part="train").fingerprint


def refusal(**options: object) -> str:
    with pytest.raises(InputError) as caught:
        load(1, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_refused() -> None:
    assert refusal(image_size=5) == (
        "image size must be at least 6: the corners of planted events are 3 x 3; got 5"
    )
    assert refusal(bin_ms=10) == "bin_ms must be left out: planted events have no clock; got 10"
    assert refusal(part="val") == "the part of planted must be train or test; got 'val'"
    with pytest.raises(InputError, match="time_steps must be at least 1; got 0"):
        planted.read(None, Request(samples=1, image_size=None, seed=0, time_steps=0))
    with pytest.raises(InputError, match="planted takes no path"):
        images.load("planted:/tmp", samples=1)
