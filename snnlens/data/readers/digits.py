"""Handwritten digits that come with scikit-learn: 1,797 real images, 8 x 8, ten classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snnlens.data.source import Floats, Integers, Request, Source

PATH = ""
FULL_INK = 16.0  # a pixel counts the inked cells of a 4 x 4 block
# Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998.


def check(_path: Path | None) -> None:
    """Nothing to check: the data come with scikit-learn.

    >>> check(None)
    """


def read(_path: Path | None, _request: Request) -> Source:
    """Read all 1,797 digits: pixels in [0, 1], three equal channels.

    The mean and standard deviation (population) are those of all 1,797 x 64 pixels at 8 x 8.

    >>> digits = read(None, Request(samples=1, image_size=8, seed=0))
    >>> len(digits.labels), digits.classes, digits.pixels(np.array([0, 1])).shape
    (1797, 10, (2, 3, 8, 8))
    """
    ink, labels = _load()
    mean, std = (float(value) for value in (ink.mean(dtype=np.float64), ink.std(dtype=np.float64)))

    def pixels(indices: Integers) -> Floats:
        return np.repeat(ink[indices, None], 3, axis=1)

    return Source("digits (scikit-learn)", labels, 10, (mean,) * 3, (std,) * 3, pixels)


def _load() -> tuple[Floats, Integers]:
    from sklearn.datasets import load_digits  # takes a second

    data = load_digits()
    return (data.images / FULL_INK).astype(np.float32), data.target.astype(np.int64)
