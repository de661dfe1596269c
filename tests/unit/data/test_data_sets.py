"""Training and test sets: nothing in both, all of it in one, the same whoever asks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from snnlens.data import images, sets
from snnlens.errors import InputError


def test_the_parts_of_digits_are_a_partition_and_stratified() -> None:
    train, test = sets.load("digits", image_size=8)
    both = np.concatenate([train.indices, test.indices])
    assert sorted(both.tolist()) == list(range(1797))
    assert len(test) == round(0.2 * 1797)
    for label in range(10):
        members = int((train.source.labels == label).sum())
        tested = int((test.labels == label).sum())
        assert abs(tested - 0.2 * members) < 1  # largest remainders: never a whole sample off


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.99])
def test_shares_add_up(share: float) -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        sizes = generator.integers(1, 40, size=7)
        counts = sets.shares(sizes, share)
        assert counts.sum() == round(share * int(sizes.sum()))
        assert (counts >= 0).all()
        assert (counts <= sizes).all()
        assert (abs(counts - share * sizes) < 1).all()


def test_a_batch_is_what_images_gives_for_the_same_samples() -> None:
    """Resized and normalised alike, held in memory or not."""
    train, _ = sets.load("digits", image_size=12)
    whole = images.load("digits", samples=1797, image_size=12, seed=0)
    order = torch.randperm(1797, generator=torch.Generator().manual_seed(0))
    chosen = torch.tensor([3, 700, 41])
    x, y = train.batch(chosen)
    places = [int((order == int(train.indices[i])).nonzero()) for i in chosen]
    # resizing a batch of 3 and one of 1,797 may round differently: float32, bilinear
    torch.testing.assert_close(x, whole.x[places], rtol=0, atol=1e-5)
    assert torch.equal(y, whole.y[places])
    train.hold()
    again, same = train.batch(chosen)
    torch.testing.assert_close(again, x, rtol=0, atol=1e-5)
    assert torch.equal(same, y)


def test_in_order_shows_each_sample_once() -> None:
    _, test = sets.load("digits", image_size=8)
    parts = list(test.in_order(100))
    assert [len(y) for _, y in parts] == [100, 100, 100, 59]
    assert torch.equal(torch.cat([y for _, y in parts]), test.labels)
    assert torch.equal(torch.cat([x for x, _ in parts]), test.batch(torch.arange(359))[0])


def test_the_split_is_always_the_same() -> None:
    torch.manual_seed(7)
    one = sets.load("digits", image_size=8)
    torch.manual_seed(8)
    other = sets.load("digits", image_size=8)
    assert [s.indices.tolist() for s in one] == [s.indices.tolist() for s in other]
    for both in (one, other):
        for part in both:
            part.hold()
    assert sets.digest(one) == sets.digest(other)


def test_a_fingerprint_sees_a_changed_pixel() -> None:
    train, test = sets.load("digits", image_size=8)
    train.hold()
    before = sets.digest((train, test))
    train._held[0][5, 0, 0, 0] += 1
    assert sets.digest((train, test)) != before


def test_own_parts_are_taken(tmp_path: Path) -> None:
    """CIFAR-10's own test images, whatever the share."""
    generator = np.random.default_rng(0)
    arrays = {
        f"{kind}_{part}": values
        for part, count in (("train", 30), ("test", 7))
        for kind, values in (
            ("x", generator.integers(0, 255, (count, 32, 32, 3), dtype=np.uint8)),
            ("y", generator.integers(0, 10, count)),
        )
    }
    np.savez(tmp_path / "few.npz", **arrays)  # type: ignore[arg-type]
    train, test = sets.load(f"cifar10:{tmp_path / 'few.npz'}", test_share=0.9)
    assert (len(train), len(test)) == (30, 7)
    assert test.labels.tolist() == arrays["y_test"].tolist()
    pixel = test.batch(torch.tensor([2]))[0][0, 1, 4, 9].item()
    assert pixel == pytest.approx((arrays["x_test"][2, 4, 9, 1] / 255 - 0.456) / 0.224, rel=1e-5)
    assert train.description == "CIFAR-10 (train part), 30 images for training at their own size"


@pytest.mark.parametrize("share", [0.0, 1.0, float("nan")])
def test_a_share_outside(share: float) -> None:
    with pytest.raises(InputError) as error:
        sets.load("digits", test_share=share)
    assert str(error.value) == f"test_share must be above 0 and below 1; got {share}"


def test_a_share_that_leaves_nothing() -> None:
    with pytest.raises(InputError) as error:
        sets.load("digits", image_size=8, test_share=1e-9)
    assert str(error.value) == (
        "the test part of digits must be with samples; got 'empty'; give --test-share .5"
    )


@pytest.mark.data
def test_recordings_of_events(data_root: Path) -> None:
    """50 of the 100 N-MNIST recordings for training, 50 for testing, centred in 128 px."""
    spec = f"nmnist:{data_root / 'events/nmnist/Test'}"
    train, test = sets.load(spec, image_size=128, test_share=0.5, time_steps=4)
    assert (len(train), len(test)) == (50, 50)
    x, _ = train.batch(torch.arange(3))
    assert x.shape == (4, 3, 2, 128, 128)
    border = x.clone()
    border[..., 47:81, 47:81] = 0
    assert border.sum() == 0
    assert x.sum() > 1000
    train.hold()
    assert torch.equal(train.batch(torch.arange(3))[0], x)
