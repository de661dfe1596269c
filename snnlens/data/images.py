"""Load a seeded batch of images, or of sequences of event frames, from any kind of data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from snnlens.data import specs
from snnlens.data.source import Channels, Integers, Request, Source, check_part
from snnlens.errors import InputError


@dataclass(frozen=True, eq=False)
class Images:
    """A batch of images for a run, with what a caption and run.json say about it.

    >>> batch = load("digits", samples=2, image_size=8)
    >>> batch.description
    'digits (scikit-learn), 2 images at 8 px'
    """

    # float32 [samples, channels, image_size, image_size] (3 channels; 1 of mnist),
    # (pixel - mean) / std; of event data counts,
    # time first: [T, samples, 2, height, width]
    x: Tensor = field(repr=False)
    y: Tensor = field(repr=False)  # int64 [samples], in [0, classes)
    classes: int
    description: str  # one phrase for a figure caption
    fingerprint: str  # sha256 (hex) of the bytes of x, then of y
    source: str  # the spec that was loaded
    dataset_size: int  # images to choose from (train part of CIFAR-10)
    mean: Channels  # per channel, of pixels in [0, 1]
    std: Channels
    frames: bool = False  # x is a sequence of frames, time first


def load(
    spec: str,
    *,
    samples: int,
    image_size: int | None = None,
    seed: int = 0,
    time_steps: int | None = None,
    bin_ms: float | None = None,
    part: str | None = None,
) -> Images:
    """Load `samples` images: the first of a seeded permutation of the data set, without repeats.

    Images of another size are resized: digits, CIFAR-10 bilinearly (half-pixel centres,
    smoothed where they shrink), photographs by their short side and a centre crop. A larger batch
    of the same seed begins with the smaller one. On little-endian machines the same arguments and
    library versions give the same bytes.

    Event data (nmnist, cifar10dvs, ...) come as counts in frames, neither resized nor normalised:
    `time_steps` frames that hold equally many events, or with `bin_ms` frames of that duration. An
    image size above the sensor's has them centred, zeros around.

    Args:
        spec: the kind of data, with its path where it takes one.
        samples: how many.
        image_size: pixels, both sides; None leaves them as the data is.
        seed: of the permutation.
        time_steps: T of event data; images have no time and take no notice of it.
        bin_ms: duration of a frame of event data in milliseconds.
        part: "train" or "test", of data that has such parts (`specs.parts`); train where nothing
            is said.

    Raises InputError for a spec that `specs.check` refuses, for samples or image_size below 1, a
    seed outside [0, 2^63), a part that is not there, a data set with fewer images, and data that
    can not be read.

    >>> batch = load("random", samples=4, image_size=16, seed=1)
    >>> batch.x.shape, batch.y.shape
    (torch.Size([4, 3, 16, 16]), torch.Size([4]))
    """
    specs.check(spec, image_size, frames=True)
    _check_numbers(samples, seed)
    kind, path = specs.parse(spec)
    _check_bin(kind, bin_ms)
    if part is not None:
        check_part(part, specs.parts(spec), spec)
    request = Request(samples, image_size, seed, time_steps, bin_ms, part)
    source = specs.reader(kind).read(path, request)
    order = _order(source, spec, samples, seed)
    x = decoded(source, order, image_size)
    y = torch.from_numpy(source.labels[order])
    return Images(
        x=x,
        y=y,
        classes=source.classes,
        description=_description(source, samples, x),
        fingerprint=fingerprint(x, y),
        source=spec,
        dataset_size=len(source.labels),
        mean=source.mean,
        std=source.std,
        frames=source.frames,
    )


def decoded(source: Source, indices: Integers, image_size: int | None) -> Tensor:
    """Samples as a model takes them: images resized and normalised, frames as they are.

    >>> from snnlens.data.readers import digits
    >>> source = digits.read(None, Request(samples=1, image_size=8, seed=0))
    >>> decoded(source, np.arange(3), 16).shape
    torch.Size([3, 3, 16, 16])
    """
    x = torch.from_numpy(source.pixels(indices))
    return x if source.frames else _normalised(_resized(x, image_size), source)


def fingerprint(x: Tensor, y: Tensor) -> str:
    """Return the sha256 (hex) of the bytes of x followed by those of y, in C order.

    >>> fingerprint(torch.zeros(1), torch.zeros(1, dtype=torch.int64))[:16]
    '15ec7bf0b50732b4'
    """
    digest = hashlib.sha256(x.detach().cpu().contiguous().numpy().data)
    digest.update(y.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def _check_numbers(samples: int, seed: int) -> None:
    if samples < 1:
        raise InputError("samples", got=samples, wanted="at least 1", do="give --batch 8")
    if not 0 <= seed < 2**63:
        wanted = "a whole number from 0 to 2^63 - 1"
        raise InputError("seed", got=seed, wanted=wanted, do="give --seed 0")


def _check_bin(kind: str, bin_ms: float | None) -> None:
    if bin_ms is not None and not specs.has_frames(kind):
        raise InputError("bin_ms", got=bin_ms, wanted=f"left out: {kind} holds no events")


def _order(source: Source, spec: str, samples: int, seed: int) -> Integers:
    size = len(source.labels)
    if size < samples:
        do = f"give --batch {size} or fewer" if size else "give other data"
        what = f"number of {source.noun}s in {spec}"
        raise InputError(what, got=size, wanted=f"at least {samples}", do=do)
    if not source.shuffle:
        return np.arange(samples)
    permutation = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    return permutation[:samples].numpy()


def _resized(x: Tensor, image_size: int | None) -> Tensor:
    if image_size is None or x.shape[-2:] == (image_size, image_size):
        return x
    shrinks = image_size < x.shape[-1]
    return functional.interpolate(
        x, size=image_size, mode="bilinear", align_corners=False, antialias=shrinks
    )


def _normalised(x: Tensor, source: Source) -> Tensor:
    mean, std = (torch.tensor(c).view(1, -1, 1, 1) for c in (source.mean, source.std))
    return (x - mean) / std


def _description(source: Source, samples: int, x: Tensor) -> str:
    height, width = x.shape[-2:]
    size = f"{width}" if height == width else f"{height} x {width}"
    count = f"{samples} {source.noun}{'s' if samples > 1 else ''} at {size} px"
    return ", ".join(part for part in (source.title, count, source.note) if part)
