"""Firing rates of O^l and A^l across depth (Fig. 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from snnlens.analysis._caption import caption
from snnlens.analysis._verdicts import NotTestable, claim, equal_outputs
from snnlens.measures.quotients import ratio
from snnlens.recording import blocks
from snnlens.recording.blocks import Network
from snnlens.recording.record import Record
from snnlens.recording.result import Claim, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAPER = "Fang et al. 2021 (SEW ResNet), Fig. 5"
ADD_BOUND = "Fang et al. 2021 (SEW ResNet), Section 3.3"
NOTES = [
    (
        "Shown: the mean value per neuron and time step of each block's output O^l, and of its residual "
        "branch A^l, at initialisation. O^l of SEW add holds integers, so its mean may exceed 1. With "
        "zero-init all networks have the same O^l, drawn once."
    ),
    "Good: rates that stay between a few percent and about one third.",
    (
        "Bad: a curve that reaches 0 (silence: nothing passes forward, and in SEW and nothing passes "
        "backward), or rates near 1 (saturated: a spike tells nothing)."
    ),
    (
        "What to do: for silence in SEW and, use add, iand or zero-init; for silence elsewhere lower "
        "the threshold or look at the BatchNorm before the neuron."
    ),
]


def compute(record: Record) -> Result:
    """One row per network and block: the rates, the share of elements that are not 0, the largest.

    rate = sum of values / (neurons x T x samples).

    Source: Fang et al. 2021, Fig. 5.
    """
    record.table("firing_rate")
    networks = blocks.networks(record)
    table = pd.concat([_table(n) for n in networks], ignore_index=True)
    return Result(
        question="rates",
        title="How often do the neurons of each block fire?",
        table=table,
        caption=caption(networks),
        claims=_claims(record, networks),
        findings=[],
        record=record,
        notes=NOTES,
        draw=draw,
    )


def draw(result: Result) -> Figure:
    """Fig. 5: O^l on the left, A^l on the right."""
    from snnlens.figures.rates import rate_figure

    return rate_figure(result.table, result.caption)


def _table(network: Network) -> pd.DataFrame:
    facts, b = network.facts, network.blocks
    columns = {
        f"{quantity}_{part}": b[f"{quantity}_{part}"].to_numpy(float)
        for quantity in ("firing_rate", "nonzero_share", "above_one_share", "largest")
        for part in ("input", "residual", "output")
    }
    return pd.DataFrame(
        blocks.describe(network, b)
        | columns
        | {
            "time_steps": b["time_steps_input"].to_numpy(int),
            "samples": b["batch_input"].to_numpy(int),
            "seed": facts.get("seed"),
        }
    )


# --- claims ----------------------------------------------------------------------------------


def _claims(record: Record, networks: list[Network]) -> list[Claim]:
    def find(residual: str, connect: str | None, *, zero_init: bool) -> Network:
        wanted = {"residual": residual, "connect": connect, "zero_init": zero_init}
        for network in networks:
            if all(network.facts.get(k) == v for k, v in wanted.items()):
                return network
        raise NotTestable(f"{residual} {connect or ''} was not run".replace("  ", " "))

    return [
        claim("fig5-zero-init-equal", "O^l of all four zero-init networks are equal.", PAPER,
              "0 differing elements", lambda: _equal(record, find)),
        claim("fig5-and-falls", "SEW and: a block's output is never larger than its input (the "
              "silence problem).", PAPER, "largest rate(O) / rate(S) of identity blocks <= 1",
              lambda: _and_falls(find("sew", "and", zero_init=False))),
        claim("fig5-add-linear", "SEW add: the mean of O^l grows linearly inside an area.", PAPER,
              "smallest R^2 of areas of at least six blocks >= .99",
              lambda: _add_linear(find("sew", "add", zero_init=False))),
        claim("add-bound", "SEW add: n blocks after a downsample block (or after the stem) put out "
              "integers up to n + 2 (n + 1 after the stem).", ADD_BOUND,
              "largest value - bound <= 0",
              lambda: _add_bound(find("sew", "add", zero_init=False))),
    ]  # fmt: skip


def _equal(record: Record, find: object) -> tuple[float, bool, str]:
    assert callable(find)
    found = [find("spiking", None, zero_init=True)]
    found += [find("sew", c, zero_init=True) for c in ("add", "and", "iand")]
    if not found[0].facts.get("is_identity"):
        raise NotTestable("this neuron is not the identity on spikes, see `snnlens identity`")
    return equal_outputs(record, [n.name for n in found])


def _and_falls(network: Network) -> tuple[float, bool, str]:
    identity = network.blocks[network.blocks["block_kind"] == "identity"]
    before = identity["firing_rate_input"].to_numpy(float)
    after = identity["firing_rate_output"].to_numpy(float)
    ratios = np.divide(after, before, out=np.zeros_like(after), where=before > 0)
    silent = int((after == 0).sum())
    return float(ratios.max()), bool((after <= before).all()), f"{silent} blocks end silent"


def _add_linear(network: Network) -> tuple[float, bool, str]:
    areas = network.long_areas(6)
    if not areas:
        raise NotTestable("no area has six identity blocks at this depth")
    rates, fits, texts = network.inputs("firing_rate"), [], []
    grows = True
    for members in areas.values():
        slope, offset = np.polyfit(members, rates[members], 1)
        residual = rates[members] - (slope * np.array(members) + offset)
        total = rates[members] - rates[members].mean()
        fits.append(1 - float(ratio(residual @ residual, total @ total)))  # NaN of a flat line
        grows = grows and slope > 0
        inner = [m for m in members if m != members[-1]]
        branch = network.blocks["firing_rate_residual"].loc[inner].mean()
        texts.append(f"l {members[0]}-{members[-1]}: slope {slope:.4f}, mean A rate {branch:.4f}")
    worst = float(np.min(fits))
    return worst, grows and worst >= 0.99, "; ".join(texts)


def _add_bound(network: Network) -> tuple[float, bool, str]:
    b = network.blocks
    largest = b["largest_output"].to_numpy(float)
    bounds, bound = [], 1
    for kind in b["block_kind"]:
        bound = 2 if kind == "downsample" else bound + 1
        bounds.append(bound)
    excess = largest - np.array(bounds)
    at = int(largest.argmax())
    reason = f"largest O is {largest[at]:g} at l = {at}, its bound {bounds[at]}"
    return float(excess.max()), bool((excess <= 0).all()), reason
