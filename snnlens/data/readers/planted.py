"""Planted events, seeded: one corner at one time step decides the class, nothing else does."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snnlens.data import events
from snnlens.data.source import Floats, Integers, Request, Source
from snnlens.errors import InputError

PATH = ""
FRAMES = True
PARTS = True
CLASSES = 4  # corners: top left, top right, bottom left, bottom right
SIDE, STEPS = 12, 8  # where nothing is said
PATCH = 3  # pixels, both sides of a lit corner
RATE = 0.05  # background events per pixel, polarity and step
LIT = 2  # events per pixel and polarity of the lit corner: a background pixel has one at most
SIZES = {"train": 1024, "test": 256}  # samples of a part, more where more are asked for


def check(_path: Path | None) -> None:
    """Nothing to check: there is no file.

    >>> check(None)
    """


def parts(_path: Path | None) -> tuple[str, ...]:
    """Both: a training and a test part, drawn from two streams of one seed.

    >>> parts(None)
    ('train', 'test')
    """
    return tuple(SIZES)


def read(_path: Path | None, request: Request) -> Source:
    """Draw sparse events, and in each sample one lit corner at step T // 2.

    Sample i shows class c = i mod 4. Each pixel of each polarity has an event at each step with
    probability 0.05, also in the corners; only the 3 x 3 pixels of corner c at step T // 2 have two
    events of each polarity instead. So no event but these 36 says anything of the class. Sample i
    of a part is the same however many are asked for.

    Raises InputError for an image that two corners do not fit into, no frames, and a `bin_ms`:
    there is no clock.

    >>> planted = read(None, Request(samples=4, image_size=None, seed=0))
    >>> frames = planted.pixels(np.arange(4))
    >>> planted.labels[:4].tolist(), frames.shape, frames[4, 2, :, 9:, :3].sum()
    ([0, 1, 2, 3], (8, 4, 2, 12, 12), np.float32(36.0))
    """
    side = SIDE if request.image_size is None else request.image_size
    steps = STEPS if request.time_steps is None else request.time_steps
    part = request.part or "train"
    _check(side, steps, request.bin_ms)
    labels = np.arange(max(SIZES[part], request.samples)) % CLASSES
    stream = request.seed, tuple(SIZES).index(part)

    def pixels(indices: Integers) -> Floats:
        drawn = [_sample([*stream, int(i)], int(labels[i]), steps, side) for i in indices]
        return np.stack(drawn, axis=1)

    title = f"planted events ({part} part; no data)"
    return Source(
        *(title, labels.astype(np.int64), CLASSES, (0.0, 0.0), (1.0, 1.0), pixels),
        note=f"{steps} frame{'s' if steps > 1 else ''}, a corner lit in frame {steps // 2}",
        shuffle=False,
        noun="sequence",
        frames=True,
    )


def corner(label: int, side: int) -> tuple[slice, slice]:
    """Rows and columns of the corner that a class lights, in an image of side x side pixels.

    >>> corner(1, 12)
    (slice(0, 3, None), slice(9, 12, None))
    """
    first, last = slice(0, PATCH), slice(side - PATCH, side)
    return (last if label // 2 else first), (last if label % 2 else first)


def _sample(seed: list[int], label: int, steps: int, side: int) -> Floats:
    """Counts float32 [T, 2, side, side]."""
    shape = (steps, events.POLARITIES, side, side)
    frames = (np.random.default_rng(seed).random(shape) < RATE).astype(np.float32)
    frames[(steps // 2, slice(None), *corner(label, side))] = LIT
    return frames


def _check(side: int, steps: int, bin_ms: float | None) -> None:
    if side < 2 * PATCH:
        wanted = f"at least {2 * PATCH}: the corners of planted events are {PATCH} x {PATCH}"
        raise InputError("image size", got=side, wanted=wanted)
    if bin_ms is not None:
        raise InputError("bin_ms", got=bin_ms, wanted="left out: planted events have no clock")
    events.check_steps(steps)
