"""The digits against scikit-learn's own arrays."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from snnlens.data.images import load


def test_every_image_and_label_is_scikit_learns() -> None:
    batch = load("digits", samples=1797, image_size=8, seed=5)
    order = torch.randperm(1797, generator=torch.Generator().manual_seed(5)).numpy()
    bunch = load_digits()
    counts = (batch.x.numpy() * batch.std[0] + batch.mean[0]) * 16
    for channel in range(3):
        assert np.array_equal(counts[:, channel].round(), bunch.images[order])
    assert counts == pytest.approx(counts.round(), abs=2e-5)  # float32 of values up to 16
    assert np.array_equal(batch.y.numpy(), bunch.target[order])
    assert (batch.dataset_size, batch.classes) == (1797, 10)


def test_mean_and_std_are_those_of_all_pixels() -> None:
    batch = load("digits", samples=1, image_size=8)
    pixels = [value / 16 for value in load_digits().images.ravel().tolist()]
    assert batch.mean == pytest.approx([statistics.fmean(pixels)] * 3, rel=1e-12)
    assert batch.std == pytest.approx([statistics.pstdev(pixels)] * 3, rel=1e-12)


def test_the_whole_set_has_mean_zero_and_variance_one() -> None:
    x = load("digits", samples=1797, image_size=8).x.double()
    assert x.mean().item() == pytest.approx(0, abs=1e-6)  # float32 pixels
    assert x.var(correction=0).item() == pytest.approx(1, abs=1e-6)


def test_no_image_comes_twice() -> None:
    x = load("digits", samples=1797, image_size=8).x[:, 0].flatten(1)
    distinct = len(np.unique(load_digits().data, axis=0))
    assert len(torch.unique(x, dim=0)) == distinct
