"""Gradient norm across depth, with the theory of the identity chain on top (Figs. 6, 7 and 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from snnlens.analysis import _chain, _gradient_claims
from snnlens.analysis._caption import caption, state
from snnlens.analysis._why_small import why_small
from snnlens.measures.depth import Fit
from snnlens.measures.quotients import ratio
from snnlens.recording import blocks
from snnlens.recording.blocks import Network
from snnlens.recording.record import Record
from snnlens.recording.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Do gradients vanish or explode across depth?"
SHOWN = (
    "Shown: the norm of the loss gradient at the input S^l of each residual block, from the last "
    "block (right) back to the first (left)."
)
INITIAL = (
    " Open circles: without zero-init; filled: every "
    "residual branch starts at its identity value. Dashed: the exact law of the identity chain, "
    "computed from what is measured at the end of each area only; dotted: from the firing rate "
    "alone, an approximation."
)
NOTES = [
    (
        "Good: a level line; every block learns at a similar rate. Steps at downsample blocks "
        "(vertical lines) are normal."
    ),
    (
        "Bad: a line that falls toward the left (vanishing: shallow blocks do not learn), rises "
        "toward the left (exploding), or lies on the floor (exactly 0: dead, look at the firing "
        "rates first)."
    ),
    (
        "What to do: SEW blocks with add or iand and zero-init keep the gradient; a surrogate with "
        "sigma'(1 - V_th) = 1 (atan with alpha = 2 at V_th = 1) keeps a Spiking chain from vanishing "
        "or exploding at spikes. The column why_small names the cause per block."
    ),
]


def compute(record: Record) -> Result:
    """One row per network and block, the predictions beside the measurement, and the claims.

    `factor` = ||dL/dS^l|| / ||dL/dS^(l+1)||; `k` counts blocks up to the deepest input m of the
    area; `predicted_norm` is exact, from S^m only (`snnlens.measures.chain`), and null where no
    law holds (without zero-init).

    Source: Fang et al. 2021, Figs. 6 to 8, Eqs. 8 and 11.
    """
    networks = blocks.networks(record)
    record.table("gradient_norm")
    table = pd.concat([_table(record, n) for n in networks], ignore_index=True)
    return Result(
        question="gradients",
        title=TITLE,
        table=table,
        caption=caption(networks),
        claims=_gradient_claims.claims(record, networks, table),
        findings=[],
        record=record,
        notes=_notes(record),
        draw=draw,
    )


def draw(result: Result) -> Figure:
    """The paper's figure: one panel per kind of network, without and with zero-init."""
    from snnlens.figures.gradients import gradient_figure

    return gradient_figure(result.table, result.caption, weights=state(result.record))


def _notes(record: Record) -> list[str]:
    initial = state(record) == "at initialisation"
    return [SHOWN + (INITIAL if initial else f" The network is one {state(record)}."), *NOTES]


def spiking_factor(result: Result) -> tuple[Fit, int]:
    """The fitted factor per block of the Spiking network without zero-init, and its n.

    exp(-slope) of a line through log norm against l over the longest area without its two ends.
    """
    networks = blocks.networks(result.record)
    found = _gradient_claims.Networks(result.record, networks, result.table)
    network = found.find("spiking", zero_init=False)
    samples = blocks.last_stage_samples(network)
    assert samples is not None
    return _gradient_claims.fit_of(network, _gradient_claims.longest_area(network)), samples


def _table(record: Record, network: Network) -> pd.DataFrame:
    facts, b = network.facts, network.blocks
    norms = network.inputs("gradient_norm")
    exact, rate_only = _chain.predictions(record, network)
    deepest = {block: max(m) for m in network.areas.values() for block in m}
    return pd.DataFrame(
        blocks.describe(network, b)
        | {
            "gradient_norm": norms[:-1],
            "gradient_norm_output": norms[1:],
            "predicted_norm": exact[:-1],
            "factor": ratio(norms[:-1], norms[1:]),
            "k": [deepest[int(block)] - int(block) for block in b.index],
        }
        | _rates(b)
        | {
            "time_steps": b["time_steps_input"].to_numpy(int),
            "samples": b["samples_input"].to_numpy(int),
            "seed": facts.get("seed"),
            "predicted_norm_rate_only": rate_only[:-1],
            "why_small": why_small(record, network),
        }
    )


def _rates(b: pd.DataFrame) -> dict[str, Any]:
    parts = ("input", "output", "residual")
    columns = [f"firing_rate_{p}" for p in parts] + [f"nonzero_share_{p}" for p in parts]
    return {c: b[c].to_numpy(float) if c in b else np.full(len(b), np.nan) for c in columns}
