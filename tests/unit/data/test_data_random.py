"""The random images: Gaussian, seeded, two independent streams."""

from __future__ import annotations

import numpy as np
import pytest

from snnlens.data.images import load


def test_pixels_are_numpys_gaussian_stream() -> None:
    batch = load("random", samples=3, image_size=5, seed=9)
    stream = np.random.default_rng([9, 0])
    expected = [stream.standard_normal(dtype=np.float32) for _ in range(3 * 3 * 5 * 5)]
    assert batch.x.flatten().tolist() == expected


def test_moments_are_standard_normal() -> None:
    x = load("random", samples=64, image_size=32).x.double()
    error = 5 / x.numel() ** 0.5  # five standard errors of the mean
    assert x.mean().item() == pytest.approx(0, abs=error)
    assert x.var().item() == pytest.approx(1, abs=error * 2**0.5)
    assert (x.abs() < 1).double().mean().item() == pytest.approx(0.6827, abs=error)


def test_labels_are_uniform_over_ten_classes() -> None:
    y = load("random", samples=10_000, image_size=1).y.numpy()
    assert np.bincount(y, minlength=10) == pytest.approx(np.full(10, 1000), abs=150)  # 5 sigma


def test_dataset_is_what_was_asked_for() -> None:
    batch = load("random", samples=7, image_size=4)
    assert batch.dataset_size == 7
    assert (batch.mean, batch.std) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
