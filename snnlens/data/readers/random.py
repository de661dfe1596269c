"""Random images, Gaussian and seeded: no data, only for trying things out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snnlens.data.source import Floats, Integers, Request, Source, stated_size

PATH = ""
CLASSES = 10


def check(_path: Path | None) -> None:
    """Nothing to check: there is no file.

    >>> check(None)
    """


def read(_path: Path | None, request: Request) -> Source:
    """Draw standard normal pixels and uniform labels in [0, 10) from two streams of one seed.

    Raises InputError without an image size.

    >>> noise = read(None, Request(samples=2, image_size=4, seed=0))
    >>> noise.title, noise.pixels(np.arange(2)).shape
    ('random images (no data)', (2, 3, 4, 4))
    """
    side = stated_size(request, "random images have no size of their own")
    labels = np.random.default_rng([request.seed, 1]).integers(CLASSES, size=request.samples)

    def pixels(indices: Integers) -> Floats:
        shape = (request.samples, 3, side, side)
        return np.random.default_rng([request.seed, 0]).standard_normal(shape, np.float32)[indices]

    title = "random images (no data)"
    return Source(title, labels, CLASSES, (0.0,) * 3, (1.0,) * 3, pixels, shuffle=False)
