"""The same maps of something else: another surrogate, other draws, permuted weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd
from torch import Tensor, nn

from snnlens.attribution import attribute
from snnlens.attribution import variants as others
from snnlens.attribution.maps import Maps
from snnlens.attribution.methods._base import Method, Options
from snnlens.errors import InputError
from snnlens.experiments._attribution_belief import PAIRS, Ground, compared
from snnlens.experiments._attribution_bridge import bridged

if TYPE_CHECKING:
    from snnlens.experiments._attribution import Run


@dataclass(frozen=True)
class Variant:
    """What is asked again, of which model, with which options."""

    kind: str  # surrogate, seed or weights
    other: str
    model: nn.Module
    methods: Sequence[Method]
    options: Options


def compared_with(run: Run, target: Tensor, found: Sequence[Maps]) -> pd.DataFrame:
    """Rank correlations of each map with those of the run's variants."""
    rows = [row for v in _variants(run) for row in _rows(run, v, target, found)]
    return pd.DataFrame(rows, columns=PAIRS)


def _variants(run: Run) -> Iterator[Variant]:
    model, options = run.subject.model, run.options
    if drawn := [m for m in run.methods if m.random]:
        again = replace(options, seed=options.seed + 1)
        yield Variant("seed", f"seed {again.seed}", model, drawn, again)
    permuted = _made(others.randomised, model, options.seed)
    if permuted is not None:
        yield Variant("weights", "permuted", permuted, run.methods, options)
    changed = _made(others.other_surrogate, model)
    gradient = [m for m in run.methods if m.gradient]
    if changed is not None and gradient:
        yield Variant("surrogate", others.surrogates(changed), changed, gradient, options)


def _made(function: Callable[..., nn.Module], *args: Any) -> nn.Module | None:
    """The changed model; None where it cannot be made: foreign neurons, no copy."""
    try:
        return function(*args)
    except InputError:
        return None


def _rows(run: Run, variant: Variant, target: Tensor, found: Sequence[Maps]) -> list[list[Any]]:
    subject, rows = replace(run.subject, model=variant.model), []
    with bridged(subject, seed=run.params.seed) as bridge:
        ground = Ground.of(bridge)
        for method in variant.methods:
            again = attribute(bridge, bridge.x, target, method, variant.options)
            was = next(m for m in found if (m.method, m.place) == (method.name, again.place))
            rows += compared(ground, variant.kind, was, again, variant.other)
    return rows
