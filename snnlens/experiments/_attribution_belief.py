"""How far to believe the maps of a run: curves, infidelity, sensitivity, agreement, variants."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from snnlens.attribution import faithfulness, metrics
from snnlens.attribution.bridge import Bridge
from snnlens.attribution.maps import Maps
from snnlens.attribution.methods._base import Method, Options
from snnlens.attribution.units import OVER, over_input
from snnlens.errors import InputError
from snnlens.experiments._attribution_tables import plane
from snnlens.measures.attribution import rank_correlation

if TYPE_CHECKING:
    from snnlens.experiments.attribution import Params

PAIRS = ["kind", "sample", "method", "other", "rank_correlation"]
DRAWS = 4  # perturbations of infidelity and of sensitivity: each is a pass, or a whole map
Where = tuple[Bridge, Tensor]


@dataclass(frozen=True)
class Ground:
    """What is deleted from and inserted into: the input.

    Of a static image the spikes of the encoder, which have time, and for maps over its pixels the
    image.
    """

    whole: Where
    spikes: Where | None  # of a static image

    @classmethod
    def of(cls, bridge: Bridge) -> Ground:
        """The ground of a model and its batch."""
        if not bridge.static:
            return cls((bridge, bridge.x), None)
        encoded = bridge.spikes(bridge.x)[bridge.encoder]
        return cls((bridge, bridge.x), (bridge.behind(bridge.encoder, bridge.x), encoded))

    def under(self, maps: Maps) -> Where:
        """Where this map's units lie."""
        return self.whole if maps.place == "input" or self.spikes is None else self.spikes

    def name(self, maps: Maps) -> str:
        """What is deleted for this map: "input", or the encoder."""
        bridge, x = self.under(maps)
        return "input" if x is self.whole[1] else str(bridge.site)


def all_curves(ground: Ground, found: Sequence[Maps], params: Params, batch: int) -> pd.DataFrame:
    """Deletion and insertion over pixels, steps and events, of each map and in random order.

    The place of a random order is what is deleted: the input, or the spikes of the encoder.
    """
    shares = [i / params.points for i in range(params.points + 1)]
    parts = [part for maps in found for part in _curves(ground.under(maps), maps, shares, batch)]
    grounds = {ground.name(maps): maps for maps in found}
    for name, maps in grounds.items():
        parts += _random(ground.under(maps), name, maps.target, shares=shares, params=params,
                         batch=batch)  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def _curves(where: Where, maps: Maps, shares: list[float], batch: int) -> Iterator[pd.DataFrame]:
    bridge, x = where
    for over, kind in _asked(x):
        try:
            scores = faithfulness.curves(
                bridge, x, maps.target, maps.values, over=over, kind=kind, shares=shares,
                internal_batch=batch,
            )  # fmt: skip
        except InputError:  # a layer without positions in space says nothing of pixels
            continue
        yield _rows(
            scores[None], shares, method=maps.method, place=maps.place, over=over, kind=kind
        )


def _random(
    where: Where, place: str, target: Tensor, *, shares: list[float], params: Params, batch: int
) -> Iterator[pd.DataFrame]:
    bridge, x = where
    for over, kind in _asked(x):
        scores = faithfulness.random_curves(
            bridge, x, target, over=over, kind=kind, shares=shares, draws=params.random_orders,
            seed=params.seed, internal_batch=batch,
        )  # fmt: skip
        yield _rows(scores, shares, method="random", place=place, over=over, kind=kind)


def _asked(x: Tensor) -> list[tuple[Any, Any]]:
    """Over what and how: a single step cannot be ranked."""
    over = [o for o in OVER if o != "steps" or x.shape[1] > 1]
    return [(o, kind) for o in over for kind in faithfulness.KINDS]


def _rows(scores: Tensor, shares: list[float], **said: str) -> pd.DataFrame:
    """[draws, N, S] as rows."""
    draw, sample, share = np.indices(scores.shape).reshape(3, -1)
    return pd.DataFrame({
        **said, "draw": draw, "sample": sample, "share": np.asarray(shares)[share],
        "score": scores.double().cpu().numpy().reshape(-1),
    })  # fmt: skip


def trust(
    ground: Ground, found: Sequence[Maps], methods: Sequence[Method], options: Options
) -> pd.DataFrame:
    """Infidelity of each map, and how far it moves when its input does."""
    by_name = {m.name: m for m in methods}
    return pd.concat(
        [_trust(ground, maps, by_name[maps.method], options) for maps in found], ignore_index=True
    )


def _trust(ground: Ground, maps: Maps, method: Method, options: Options) -> pd.DataFrame:
    bridge, x = ground.under(maps)
    common: dict[str, Any] = {"seed": options.seed, "draws": DRAWS}
    local = method.local(options)
    wrong = _or_nan(len(x), lambda: metrics.infidelity(
        bridge, x, maps.target, maps.values, local=local, internal_batch=options.batch, **common,
    ))  # fmt: skip
    inner, given, told = _asked_again(ground, maps, method, options)
    moved = _or_nan(len(x), lambda: metrics.sensitivity(
        inner, given, maps.target, method, told, **common
    ))  # fmt: skip
    return pd.DataFrame({
        "method": maps.method, "place": maps.place, "sample": range(len(x)),
        "infidelity": wrong.double().cpu().numpy(), "sensitivity": moved.double().cpu().numpy(),
    })  # fmt: skip


def _asked_again(
    ground: Ground, maps: Maps, method: Method, options: Options
) -> tuple[Bridge, Tensor, Options]:
    """What is moved a little, so that the method gives this very map: input, or layer's spikes."""
    bridge, x = ground.whole
    if method.place == "layer":  # its layer may be a default that a part of the model has not
        return bridge, x, replace(options, at=maps.place)
    if maps.place == "input":
        return bridge, x, options
    return bridge.behind(maps.place, x), maps.shown, options


def _or_nan(samples: int, measured: Callable[[], Tensor]) -> Tensor:
    """What cannot be measured of a map (a layer without positions) is no number."""
    try:
        return measured()
    except InputError:
        return torch.full((samples,), torch.nan)


# --- agreement ---------------------------------------------------------------------------------


def agreement(ground: Ground, found: Sequence[Maps]) -> pd.DataFrame:
    """Rank correlation of each two methods' maps of a sample; not over a static image's pixels."""
    rows: list[list[Any]] = []
    timed = [m for m in found if ground.spikes is None or m.place != "input"]
    for one, two in combinations(timed, 2):
        rows += compared(ground, "method", one, two, two.method)
    return pd.DataFrame(rows, columns=PAIRS)


def compared(ground: Ground, kind: str, one: Maps, two: Maps, other: str) -> list[list[Any]]:
    """A row per sample; none where a layer has no positions to compare."""
    shape = ground.under(one)[1].shape[1:]
    try:
        planes = [plane(over_input(m.values, shape)).cpu().numpy() for m in (one, two)]
    except InputError:
        return []
    return [
        [kind, i, one.method, other, rank_correlation(a.ravel(), b.ravel())]
        for i, (a, b) in enumerate(zip(*planes, strict=True))
    ]
