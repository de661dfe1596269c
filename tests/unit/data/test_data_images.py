"""`load`: the batch, its order, its size, its fingerprint and its refusals."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
import torch

from snnlens.data.images import fingerprint, load
from snnlens.errors import InputError


@pytest.mark.parametrize("spec", ["digits", "random"])
def test_batch_has_the_promised_types(spec: str) -> None:
    batch = load(spec, samples=5, image_size=12)
    assert (batch.x.dtype, batch.x.shape) == (torch.float32, (5, 3, 12, 12))
    assert (batch.y.dtype, batch.y.shape) == (torch.int64, (5,))
    assert batch.x.is_contiguous()
    assert 0 <= batch.y.min() <= batch.y.max() < batch.classes == 10
    assert batch.source == spec


@pytest.mark.parametrize("spec", ["digits", "random"])
def test_same_seed_same_bytes(spec: str) -> None:
    first, second = (load(spec, samples=6, image_size=9, seed=3) for _ in range(2))
    assert first.x.numpy().tobytes() == second.x.numpy().tobytes()
    assert first.y.numpy().tobytes() == second.y.numpy().tobytes()
    assert first.fingerprint == second.fingerprint


@pytest.mark.parametrize("spec", ["digits", "random"])
def test_other_seed_other_images(spec: str) -> None:
    first, second = (load(spec, samples=6, image_size=9, seed=seed) for seed in (0, 1))
    assert not torch.equal(first.x, second.x)
    assert first.fingerprint != second.fingerprint


@pytest.mark.parametrize("spec", ["digits", "random"])
def test_a_larger_batch_begins_with_the_smaller_one(spec: str) -> None:
    small, large = (load(spec, samples=samples, image_size=8) for samples in (5, 33))
    assert torch.equal(small.x, large.x[:5])
    assert torch.equal(small.y, large.y[:5])


def test_the_global_random_state_is_left_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    load("digits", samples=2, image_size=8)
    load("random", samples=2, image_size=8)
    assert torch.equal(torch.rand(3), expected)


def test_fingerprint_is_the_sha256_of_the_packed_numbers() -> None:
    x, y = torch.tensor([[1.5, -2.0], [0.0, 3.25]]), torch.tensor([7, -1])
    packed = struct.pack("<4f", 1.5, -2.0, 0.0, 3.25) + struct.pack("<2q", 7, -1)
    assert fingerprint(x, y) == hashlib.sha256(packed).hexdigest()


def test_fingerprint_reads_values_not_strides() -> None:
    x, y = torch.rand(3, 4), torch.arange(3)
    assert fingerprint(x.T.contiguous().T, y) == fingerprint(x, y)


def test_fingerprint_changes_with_one_bit_of_x_or_y() -> None:
    batch = load("digits", samples=2, image_size=8)
    assert fingerprint(batch.x.clone(), batch.y.clone()) == batch.fingerprint
    x, y = batch.x.clone(), batch.y.clone()
    x.view(torch.int32)[1, 2, 7, 7] ^= 1  # the last pixel's last bit
    y[1] ^= 1
    assert fingerprint(x, batch.y) != batch.fingerprint
    assert fingerprint(batch.x, y) != batch.fingerprint


@pytest.mark.parametrize(
    ("spec", "samples", "description"),
    [
        ("digits", 128, "digits (scikit-learn), 128 images at 8 px"),
        ("random", 1, "random images (no data), 1 image at 8 px"),
    ],
)
def test_description(spec: str, samples: int, description: str) -> None:
    assert load(spec, samples=samples, image_size=8).description == description


def test_images_is_frozen() -> None:
    batch = load("random", samples=1, image_size=2)
    with pytest.raises(FrozenInstanceError):
        batch.classes = 3  # type: ignore[misc]


def test_twice_the_size_by_hand() -> None:
    """Bilinear with half-pixel centres: weights 1/4 and 3/4, edges repeated."""
    small, large = (load("digits", samples=3, image_size=size).x for size in (8, 16))
    assert large.numpy() == pytest.approx(_twice(_twice(small.numpy(), 2), 3), abs=1e-6)


def _twice(x: np.ndarray, axis: int) -> np.ndarray:
    x = np.moveaxis(x.astype(np.float64), axis, 0)
    before, after = np.concatenate([x[:1], x[:-1]]), np.concatenate([x[1:], x[-1:]])
    pairs = np.stack([0.25 * before + 0.75 * x, 0.75 * x + 0.25 * after], axis=1)
    return np.moveaxis(pairs.reshape(-1, *x.shape[1:]), 0, axis)


def test_half_the_size_by_hand() -> None:
    """Shrinking is smoothed: a triangle over four pixels, 1/8 3/8 3/8 1/8, inside the image."""
    full, half = (load("digits", samples=3, image_size=size).x.numpy() for size in (8, 4))
    weights = np.array([1, 3, 3, 1]) / 8
    block = full[:, :, 1:5, 3:7].astype(np.float64)  # the taps of output pixel (1, 2)
    expected = np.einsum("bcij,i,j->bc", block, weights, weights)
    assert half[:, :, 1, 2] == pytest.approx(expected, abs=1e-6)


def refusal(spec: str, *, samples: int = 1, image_size: int = 8, seed: int = 0) -> str:
    with pytest.raises(InputError) as caught:
        load(spec, samples=samples, image_size=image_size, seed=seed)
    return str(caught.value)


@pytest.mark.parametrize("samples", [0, -3])
def test_samples_below_one(samples: int) -> None:
    message = f"samples must be at least 1; got {samples}; give --batch 8"
    assert refusal("digits", samples=samples) == message


def test_image_size_below_one() -> None:
    message = "image size must be at least 1 pixel; got 0; give --image-size 64"
    assert refusal("digits", image_size=0) == message


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_seed_out_of_range(seed: int) -> None:
    message = f"seed must be a whole number from 0 to 2^63 - 1; got {seed}; give --seed 0"
    assert refusal("digits", seed=seed) == message


@pytest.mark.parametrize("spec", ["digits", "random"])
def test_the_largest_seed_is_taken(spec: str) -> None:
    assert load(spec, samples=1, image_size=2, seed=2**63 - 1).x.isfinite().all()


def test_too_few_images() -> None:
    assert refusal("digits", samples=1798) == (
        "number of images in digits must be at least 1798; got 1797; give --batch 1797 or fewer"
    )
    assert len(load("digits", samples=1797, image_size=1).y) == 1797


def test_a_data_set_without_any_image(tmp_path: Path) -> None:
    path = tmp_path / "none.npz"
    np.savez(path, x=np.zeros((0, 32, 32, 3), np.uint8), y=np.zeros(0, np.int64))
    assert refusal(f"cifar10:{path}") == (
        f"number of images in cifar10:{path} must be at least 1; got 0; give other data"
    )
