"""A training and a test set from any kind of data: its own parts, or a stratified split."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snnlens.data import images, specs
from snnlens.data.source import Integers, Request, Source
from snnlens.errors import InputError

HELD_BYTES = 2**30  # a set of up to 1 GiB is decoded once and kept
CHUNK = 256  # samples decoded at a time
DRAWN = 64  # samples of random data; every other reader lists all that there are


@dataclass(frozen=True, eq=False)
class Set:
    """Samples to train or to test on, normalised, in the order of the data set.

    >>> train, test = load("digits", image_size=8)
    >>> len(train), len(test), train.batch(np.array([0, 5]))[0].shape
    (1438, 359, torch.Size([2, 3, 8, 8]))
    """

    source: Source
    indices: Integers  # of the source
    image_size: int | None
    description: str  # one phrase for a caption
    part: str  # train or test
    _held: list[Tensor] = field(default_factory=list, repr=False)

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def labels(self) -> Tensor:
        """The class of each sample, int64 [samples]."""
        return torch.from_numpy(self.source.labels[self.indices])

    def batch(self, chosen: Integers | Tensor) -> tuple[Tensor, Tensor]:
        """Samples by their number in this set: x [B, 3, H, W], or frames [T, B, 2, H, W]; y [B]."""
        numbers = torch.as_tensor(chosen)
        if self._held:
            x = self._held[0].index_select(self._axis, numbers)
        else:
            x = self._decoded(numbers.numpy())
        return x, self.labels[numbers]

    def in_order(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All samples in batches of `size`, the last one smaller."""
        for numbers in torch.arange(len(self)).split(size):
            yield self.batch(numbers)

    def hold(self) -> None:
        """Decode every sample once, if all of them fit into `HELD_BYTES`."""
        first = self._decoded(np.arange(1))
        if self._held or first.numel() * first.element_size() * len(self) > HELD_BYTES:
            return
        parts = [self._decoded(part.numpy()) for part in torch.arange(len(self)).split(CHUNK)]
        self._held.append(torch.cat(parts, self._axis))

    def fingerprint(self) -> str:
        """The sha256 (hex) of all labels and of the first samples (all, where they are held)."""
        shown = self._held[0] if self._held else self.batch(torch.arange(min(CHUNK, len(self))))[0]
        return images.fingerprint(shown, self.labels)

    @property
    def _axis(self) -> int:
        return 1 if self.source.frames else 0

    def _decoded(self, numbers: Integers) -> Tensor:
        return images.decoded(self.source, self.indices[numbers], self.image_size)


def load(
    spec: str,
    *,
    image_size: int | None = None,
    test_share: float = 0.2,
    time_steps: int | None = None,
    **options: Any,
) -> tuple[Set, Set]:
    """The training set and the test set of a kind of data.

    Where the data has a training and a test part of its own (CIFAR-10, folders with `train` and
    `val`, N-MNIST, ...) these are taken. Else `test_share` of each class, chosen by a permutation
    that is always the same, is the test set, so that seeds differ in weights and order alone.

    Args:
        spec: `kind` or `kind:PATH`, as in `--data`.
        image_size: pixels, both sides; None leaves samples as they are.
        test_share: of each class, in (0, 1); of all samples it is exact to rounding.
        time_steps: frames of event data.
        options: further fields of `Request` (bin_ms).

    Raises:
        InputError: as `images.load`; a share outside (0, 1); a set without samples.
    """
    specs.check(spec, image_size, frames=True)
    if not 0 < test_share < 1:
        raise InputError("test_share", got=test_share, wanted="above 0 and below 1")
    kind, path = specs.parse(spec)
    request = Request(DRAWN, image_size, 0, time_steps, **options)
    if {"train", "test"} <= set(specs.parts(spec)):
        both = [_whole(kind, path, replace(request, part=part)) for part in ("train", "test")]
    else:
        both = _split(specs.reader(kind).read(path, request), image_size, test_share)
    for one in both:
        if not len(one):
            raise InputError(f"the {one.part} part of {spec}", got="empty", wanted="with samples",
                             do="give --test-share .5")  # fmt: skip
    return both[0], both[1]


def _whole(kind: str, path: Path | None, request: Request) -> Set:
    source = specs.reader(kind).read(path, request)
    assert request.part is not None
    return _set(source, np.arange(len(source.labels)), request.image_size, request.part)


def _split(source: Source, image_size: int | None, share: float) -> list[Set]:
    """A share of each class for the test, by a fixed permutation."""
    order = torch.randperm(len(source.labels), generator=torch.Generator().manual_seed(0)).numpy()
    classes, sizes = np.unique(source.labels, return_counts=True)
    tested = np.zeros(len(order), bool)
    for label, count in zip(classes, shares(sizes, share), strict=True):
        members = order[source.labels[order] == label]
        tested[members[:count]] = True
    parts = {"train": np.flatnonzero(~tested), "test": np.flatnonzero(tested)}
    return [_set(source, indices, image_size, part) for part, indices in parts.items()]


def shares(sizes: Integers, share: float) -> Integers:
    """So many of each class that their sum is `share` of all, rounded: by largest remainders.

    >>> shares(np.array([3, 3, 4]), 0.5)
    array([2, 1, 2])
    """
    wanted = share * sizes
    counts: Integers = np.floor(wanted).astype(np.int64)
    missing = round(share * int(sizes.sum())) - int(counts.sum())
    first = np.argsort(counts - wanted, kind="stable")[:missing]
    counts[first] += 1
    return counts


def _set(source: Source, indices: Integers, image_size: int | None, part: str) -> Set:
    size = f"{image_size} px" if image_size is not None else "their own size"
    noun = source.noun + ("s" if len(indices) != 1 else "")
    words = [source.title, f"{len(indices)} {noun} for {part}ing at {size}", source.note]
    return Set(source, indices, image_size, ", ".join(w for w in words if w), part)


def digest(sets: tuple[Set, Set]) -> str:
    """One sha256 (hex) of a training and a test set."""
    return hashlib.sha256("".join(s.fingerprint() for s in sets).encode()).hexdigest()
