"""Attribution through time: which pixels, events and steps speak for the class, and how surely."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from snnlens.analysis import _attribution_shown as shown
from snnlens.analysis import _attribution_tables as tables
from snnlens.analysis import _attribution_words as words
from snnlens.analysis._attribution_claims import claims
from snnlens.recording.record import Record
from snnlens.recording.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOTES = [
    (
        "Shown: for one sample what each method says of every pixel, summed over the steps of a frame "
        "(vermilion speaks for the class, blue against it, grey is the input below), and its sum per "
        "step; of a static image maps with time lie over the first layer's spikes. Deletion sets to the "
        "baseline what a map ranks highest and looks at the score; insertion begins at the baseline and "
        "puts it back in the same order; the grey band is random orders. SAM shows where spikes follow "
        "each other closely: activity, the same whatever class is asked for. It claims no relevance for "
        "the class, so its curves are drawn and no claim is made on them."
    ),
    (
        "Good: deletion falls steeply and insertion rises steeply, both well clear of random orders; "
        "methods of different kinds rank alike; another seed or surrogate gives the same map, permuted "
        "weights give another one. Of a complete method delta, what its sum misses of f(x) - f(baseline), "
        "is small."
    ),
    (
        "Bad: a curve inside the random band (the map does not say what the network uses), a map that "
        "outlives permuted weights (it shows the input), or one that turns with the surrogate (it shows "
        "the surrogate). A large delta is no fault of the integration: with surrogate gradients "
        "completeness does not hold. The forward pass jumps where the backward pass has a slope, so that "
        "the path integral of the surrogate is not the difference of a step function, and more steps do "
        "not close the gap."
    ),
    (
        "What to do: believe a map as far as its curves go, and no further. Read it as a ranking where "
        "deletion beats random, as amounts only where delta is small as well. Prefer what methods with and "
        "without gradients (occlusion, feature ablation) agree on. Deletion shows the network inputs that "
        "it never saw in training, so compare methods with each other and with random, not with 0; judge "
        "many samples, not the one that is drawn."
    ),
]  # fmt: skip


def compute(record: Record) -> Result:
    """One row per method, place of its map and sample: score, sum, delta, areas under the curves.

    delta = sum of the map - (f(x) - f(baseline)) and relative_delta = |delta| / |f(x) - f(baseline)|,
    of methods that claim completeness; deletion_* and insertion_* are areas under the score against
    the share of pixels, steps or events set to the baseline or put back, random_* the same of random
    orders with the 95 % interval of their mean; all in units of the score.

    Further tables: summary (per method, over samples), areas (their means beside random), curves (mean
    over samples), agreement (rank correlation of methods), robustness (against another surrogate, seed,
    permuted weights), and of the sample that is drawn: shown, time, frames, inputs, shapes, rasters,
    layers, membranes.

    Source: Sundararajan et al. 2017 (completeness), Petsiuk et al. 2018 (deletion and insertion),
    Yeh et al. 2019 (infidelity, sensitivity), Adebayo et al. 2018 (permuted weights).
    """
    under, methods = tables.areas(record), tables.methods(record)
    table = tables.rows(record, under)
    extra = _further(record, table, tables.beside_random(under, methods))
    return Result(
        question="attribution",
        title="Which pixels, events and steps speak for the class, and can the maps be believed?",
        table=table,
        caption=words.caption(record),
        claims=claims(methods, table, extra),
        findings=[],
        record=record,
        notes=NOTES,
        headline=words.headline(record, extra["summary"], extra.get("areas")),
        extra=extra,
        draw=draw,
    )


def draw(result: Result) -> Figure:
    """Maps of one sample over time, the curves, agreement and robustness, spikes and membranes."""
    from snnlens.figures.attribution import attribution_figure

    return attribution_figure(result.extra, result.caption)


def _further(record: Record, table: pd.DataFrame, areas: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The other tables, those that this record has; none is empty."""
    made = {
        "summary": tables.summary(record, table),
        "areas": areas,
        "curves": tables.curves(record),
        "agreement": tables.agreement(record),
        "robustness": tables.robustness(record),
        **shown.tables(record),
    }
    return {name: of for name, of in made.items() if len(of)}
