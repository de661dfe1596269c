"""Deletion and insertion: how the score falls and rises as a map says, and in random order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from snnlens.attribution.units import OVER, falling, nothing, own, ranks, shape_of, values_of
from snnlens.errors import InputError

Over = Literal["pixels", "steps", "events"]
Kind = Literal["deletion", "insertion"]
KINDS = ("deletion", "insertion")
BATCH = 32  # samples in one pass of the network


class Scores(Protocol):
    """What is needed of a bridge."""

    def score(self, x: Tensor, target: Tensor) -> Tensor:
        """The score of each sample's class [N]."""


def curves(
    bridge: Scores, x: Tensor, target: Tensor, values: Tensor,
    *, over: Over, kind: Kind, shares: Sequence[float], baseline: Tensor | None = None,
    internal_batch: int = BATCH,
) -> Tensor:  # fmt: skip
    """The score of each sample after a share of its units was deleted or inserted, highest first.

    A unit is, for `over`,

        pixels   a position (y, x), over all channels and steps; of features [F] one feature
        steps    a whole time step
        events   one element x[n, t, ...] that is not equal to the baseline

    and its value is the sum of the map over it, in float64. Deletion sets the first
    k = floor(share U + 1/2) of U units to the baseline, insertion starts at the baseline and puts
    them in. Deleting events adds none: what is left is an input of spikes. Units are ranked by
    value, not by size: what speaks for the class goes first, what speaks against it last.

    Equal values are taken in one fixed order, shuffled once and the same for every sample: a map of
    zeros is a random order, not one that begins at the first step or the upper left.

    A map over a layer is brought to the input's positions, see `over_input`; over steps its
    marginal is taken, whatever its shape.

    Args:
        bridge: `score` is called without a graph.
        x: [N, T, ...].
        target: [N], a class each.
        values: the maps, [N, T, ...] of the input or of a layer.
        over: pixels, steps or events.
        kind: deletion or insertion.
        shares: S shares in [0, 1].
        baseline: what counts as nothing, [T, ...] or [N, T, ...]; None: zeros.
        internal_batch: samples in one pass of the network.

    Returns:
        Scores [N, S].

    Raises:
        InputError: an unknown `over` or `kind`, a share outside of [0, 1], steps of a static image,
            a map that is not finite or does not fit the input.

    Source: Petsiuk et al. 2018 (RISE), deletion and insertion; over events and steps it is ours.

    >>> class Sum:
    ...     def score(self, x, target):
    ...         return x.flatten(1).sum(1)
    >>> x = torch.tensor([[[3.0, 0.0], [1.0, 2.0]]])                      # [N, T, F]
    >>> options = {"kind": "deletion", "shares": [0, 0.5, 1]}
    >>> [curves(Sum(), x, torch.tensor([0]), x, over=o, **options)[0].tolist() for o in OVER]
    [[6.0, 2.0, 0.0], [6.0, 3.0, 0.0], [6.0, 1.0, 0.0]]
    """
    walk = _walk(bridge, x, target, over=over, kind=kind, shares=shares, baseline=baseline,
                 internal_batch=internal_batch)  # fmt: skip
    if len(values) != len(x):
        raise InputError("maps", got=len(values), wanted=f"one a sample, {len(x)}")
    if not values.isfinite().all():
        raise InputError("a map", got="with a number that is not finite", wanted="finite")
    return walk.scores([falling(values_of(v, x.shape[1:], over)) for v in values])


def random_curves(
    bridge: Scores, x: Tensor, target: Tensor,
    *, over: Over, kind: Kind, shares: Sequence[float], draws: int, seed: int = 0,
    baseline: Tensor | None = None, internal_batch: int = BATCH,
) -> Tensor:  # fmt: skip
    """As `curves`, in random orders: what a map has to beat.

    Draw d of a sample is one permutation, uniform and drawn from (seed, d, the sample's `own`
    constant): the same whatever the batch and however many draws, and the same for deletion and
    insertion.

    Args:
        bridge: as for `curves`.
        x: as for `curves`.
        target: as for `curves`.
        over: as for `curves`.
        kind: as for `curves`.
        shares: as for `curves`.
        draws: how many orders of each sample.
        seed: of the orders.
        baseline: as for `curves`.
        internal_batch: as for `curves`.

    Returns:
        Scores [draws, N, S].

    Raises:
        InputError: as for `curves`, and with no draw.

    Source: Samek et al. 2017 (region perturbation) compares with random orders.

    >>> class Sum:
    ...     def score(self, x, target):
    ...         return x.flatten(1).sum(1)
    >>> found = random_curves(Sum(), torch.ones(2, 4, 3), torch.zeros(2).long(), over="events",
    ...                       kind="insertion", shares=[0, 0.25, 1], draws=5)
    >>> found.shape, found.unique(dim=0).tolist()
    (torch.Size([5, 2, 3]), [[[0.0, 3.0, 12.0], [0.0, 3.0, 12.0]]])
    """
    if draws < 1:
        raise InputError("draws", got=draws, wanted="at least 1")
    walk = _walk(bridge, x, target, over=over, kind=kind, shares=shares, baseline=baseline,
                 internal_batch=internal_batch)  # fmt: skip
    constants = [own(sample) for sample in x]

    def order(draw: int, constant: int) -> Tensor:
        drawn = np.random.default_rng([seed, draw, constant]).permutation(walk.units)
        return torch.from_numpy(drawn).to(x.device)

    return torch.stack([walk.scores([order(d, c) for c in constants]) for d in range(draws)])


# --- one walk through the shares ---------------------------------------------------------------


@dataclass(frozen=True)
class _Walk:
    """What stays the same whatever the order."""

    bridge: Scores
    x: Tensor
    target: Tensor
    nothing: Tensor
    events: Tensor | None  # [N, units], whether there is one; None where every unit counts
    shape: tuple[int, ...]  # of the units, as they lie over a sample [T, ...]
    kind: str
    shares: Tensor
    batch: int

    @property
    def units(self) -> int:
        """How many there are in a sample, of events how many there could be."""
        return int(np.prod(self.shape))

    @torch.no_grad()
    def scores(self, orders: list[Tensor]) -> Tensor:
        """[N, S], for an order of the units of each sample, the first one first."""
        if self.events is not None:
            orders = [o[there[o]] for o, there in zip(orders, self.events, strict=True)]
        when = torch.stack([ranks(o, self.units) for o in orders]).unflatten(1, self.shape)
        counts = torch.stack([(self.shares * len(o) + 0.5).floor().long() for o in orders])
        sample = torch.arange(len(orders), device=counts.device)[:, None].expand_as(counts)
        jobs, which = torch.stack([sample, counts]).flatten(1).unique(dim=1, return_inverse=True)
        found = [self._some(when, *part) for part in jobs.split(self.batch, 1)]
        return torch.cat(found)[which].reshape(counts.shape)

    def _some(self, when: Tensor, sample: Tensor, count: Tensor) -> Tensor:
        """The scores of some samples, each with its own number of units changed."""
        x, none = self.x[sample], self.nothing[sample]
        first = when[sample] < count.reshape(-1, *(1 for _ in self.shape))
        changed = (
            torch.where(first, none, x) if self.kind == "deletion" else torch.where(first, x, none)
        )
        return self.bridge.score(changed, self.target[sample])


def _walk(
    bridge: Scores, x: Tensor, target: Tensor,
    *, over: str, kind: str, shares: Sequence[float], baseline: Tensor | None, internal_batch: int,
) -> _Walk:  # fmt: skip
    _check(x, over, kind, shares, internal_batch)
    none = nothing(x, baseline)
    events = (x != none).flatten(1) if over == "events" else None
    given = torch.tensor(list(shares), dtype=torch.float64, device=x.device)
    shape = shape_of(x, over)
    return _Walk(bridge, x, target, none, events, shape, kind, given, internal_batch)


def _check(x: Tensor, over: str, kind: str, shares: Sequence[float], internal_batch: int) -> None:
    if over not in OVER:
        raise InputError("over", got=over, wanted=", ".join(OVER))
    if kind not in KINDS:
        raise InputError("kind", got=kind, wanted=" or ".join(KINDS))
    if over == "steps" and x.shape[1] == 1:
        raise InputError("over", got="steps", wanted="pixels or events: the input has one step")
    if not len(shares) or not all(0 <= s <= 1 for s in shares):
        raise InputError("shares", got=list(shares), wanted="from 0 to 1")
    if internal_batch < 1:
        raise InputError("internal_batch", got=internal_batch, wanted="at least 1")
