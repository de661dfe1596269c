"""Firing rates of O^l and A^l across depth (Figs. 4 and 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from snnlens.analysis._caption import caption, state
from snnlens.analysis._verdicts import NotTestable, claim, equal_outputs, of_initialisation
from snnlens.measures.quotients import ratio
from snnlens.recording import blocks
from snnlens.recording.blocks import Network
from snnlens.recording.record import Record
from snnlens.recording.result import Claim, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAPER = "Fang et al. 2021 (SEW ResNet), Fig. 5"
TRAINED = "Fang et al. 2021 (SEW ResNet), Fig. 4"
ADD_BOUND = "Fang et al. 2021 (SEW ResNet), Section 3.3"
# Mean spikes of A^l per neuron and step: one and two spikes in the T = 4 of Fig. 4.
LARGEST_RATE = {18: 0.25, 34: 0.25, 50: 0.25, 101: 0.5, 152: 0.5}
TRAINED_STEPS, TRAINED_SIZE = 4, 224  # T and pixels of the networks of Fig. 4
SILENT_RATE = 0.01  # "close to 0"; at most .001 in the last two blocks of Fig. 4, read off
SHOWN = (
    "Shown: the mean value per neuron and time step of each block's output O^l, and of its residual "
    "branch A^l, {}. O^l of SEW add holds integers, so its mean may exceed 1."
)
NOTES = [
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

    Source: Fang et al. 2021, Figs. 4 and 5.
    """
    record.table("firing_rate")
    every = blocks.networks(record)  # a record of `gradients` holds one at T = 1 for its claim
    networks = [n for n in every if not n.facts.get("auxiliary")] or every
    table = pd.concat([_table(n) for n in networks], ignore_index=True)
    return Result(
        question="rates",
        title="How often do the neurons of each block fire?",
        table=table,
        caption=caption(networks),
        claims=_claims(record, networks),
        findings=[],
        record=record,
        notes=_notes(record),
        draw=draw,
    )


def draw(result: Result) -> Figure:
    """O^l on the left (Fig. 5), A^l on the right (trained: Fig. 4)."""
    from snnlens.figures.rates import rate_figure

    return rate_figure(result.table, result.caption, weights=state(result.record))


def _notes(record: Record) -> list[str]:
    zero_init = " With zero-init all networks have the same O^l, drawn once."
    weights = state(record)
    more = zero_init if weights == "at initialisation" else ""
    return [SHOWN.format(weights) + more, *NOTES]


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
            "samples": b["samples_input"].to_numpy(int),
            "seed": facts.get("seed"),
        }
    )


# --- claims ----------------------------------------------------------------------------------


def _claims(record: Record, networks: list[Network]) -> list[Claim]:
    def find(residual: str, connect: str | None, *, zero_init: bool) -> Network:
        wanted = {"residual": residual, "connect": connect, "zero_init": zero_init}
        for network in networks:
            if all(network.facts.get(k) == v for k, v in wanted.items()) and not network.trained:
                return network
        of_initialisation(networks)
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
              lambda: _add_bound(_sew_add(networks))),
        claim("fig4-branch-rates", "Trained SEW: A^l fires at most once (18, 34, 50 layers) or twice "
              "(101, 152) per neuron in T = 4, on average over a block.", TRAINED,
              "largest mean of A^l <= .25 or .5", lambda: _branch_rates(networks)),
        claim("fig4-last-blocks", "Trained SEW: A^l of the last two blocks is close to 0.", TRAINED,
              f"largest mean of A^l in the last two blocks <= {SILENT_RATE}",
              lambda: _last_blocks(networks)),
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


def _sew_add(networks: list[Network]) -> Network:
    """The SEW add network without zero-init, or a trained one: the bound holds for any weights."""
    for network in networks:
        kind = [network.facts.get(k) for k in ("residual", "connect")]
        if kind == ["sew", "add"] and (network.trained or not network.facts.get("zero_init")):
            return network
    raise NotTestable("sew add was not run")


def _branch_rates(networks: list[Network]) -> tuple[float, bool, str]:
    network = _of_figure_4(networks)
    rates = network.blocks["firing_rate_residual"].to_numpy(float)
    at, bound = int(rates.argmax()), LARGEST_RATE[network.facts["depth"]]
    largest = float(rates[at])
    return largest, largest <= bound, f"at l = {at}; depth {network.facts['depth']}: {bound}"


def _last_blocks(networks: list[Network]) -> tuple[float, bool, str]:
    network = _of_figure_4(networks)
    last = network.blocks["firing_rate_residual"].to_numpy(float)[-2:]
    reason = f"l = {len(network.blocks) - 2} and {len(network.blocks) - 1}: {last[0]:.3g} and {last[1]:.3g}"
    return float(last.max()), bool((last <= SILENT_RATE).all()), reason


def _of_figure_4(networks: list[Network]) -> Network:
    """A SEW add network trained on ImageNet, on photographs, as Fig. 4 measured it."""
    loaded = [n for n in networks if n.trained]
    if not loaded:
        raise NotTestable("at initialisation: the claim speaks of trained weights")
    network = loaded[0]
    facts = network.facts
    wanted: dict[str, tuple[object, str]] = {
        "residual": ("sew", "of SEW networks"),
        "connect": ("add", "of SEW add"),
        "classes": (1000, "of networks trained on the 1000 classes of ImageNet"),
        "layout": ("imagenet", "of the imagenet layout"),
        "time_steps": (TRAINED_STEPS, f"of T = {TRAINED_STEPS}"),
        "training_mode": (False, "of BatchNorm in evaluation mode"),
        "data_kind": ("imagefolder", "of photographs"),
        "image_size": (TRAINED_SIZE, f"of {TRAINED_SIZE} px"),
    }
    for fact, (value, words) in wanted.items():
        if facts.get(fact) != value:
            raise NotTestable(f"{fact} = {facts.get(fact)}: the claim speaks {words}")
    return network
