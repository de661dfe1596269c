"""Identity error of each block, and which neuron can be the identity in which block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from snnlens.analysis._caption import caption, state
from snnlens.analysis._verdicts import NotTestable, claim, of_initialisation
from snnlens.recording import blocks
from snnlens.recording.blocks import Network
from snnlens.recording.record import Record
from snnlens.recording.result import Claim, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAPER = "Fang et al. 2021 (SEW ResNet)"
NOTES = [
    (
        "Shown: how far each identity block's output is from its input, ||O - S|| / ||S||, and whether "
        "each kind of block could be the identity at all with each kind of neuron, found by running "
        "the block on every binary spike train with its residual branch at its identity value."
    ),
    "Good: an error of 0 with zero-init, and a check mark for your neuron and block.",
    (
        "Bad: a cross. Then no weights make the block pass its input on, and more blocks can only add "
        "change. A gap in a curve is a block whose input is silent: no error is defined there."
    ),
    (
        "What to do: SEW add and iand need only SN(0) = 0, so any neuron will do; AND needs a bias "
        "that fires at every step (tau V_th for a decayed input); a Spiking block needs V_th <= dH/dX."
    ),
]
COLUMNS = ("identity_error", "mismatch_share", "capability_error", "capability_mismatch_share")


def compute(record: Record) -> Result:
    """One row per network and identity block; the neuron trials are a further table.

    identity_error = ||O - S|| / ||S||, null where S is silent; mismatch_share = share of elements
    with O != S; capability_*: the same with the residual branch at its identity value.

    Source: Fang et al. 2021, Sections 3.2 and 3.3, Table 1.
    """
    for probe in ("identity_error", "firing_rate"):
        record.table(probe)
    networks = blocks.networks(record)
    trials = record.tables.get("identity_trials")
    return Result(
        question="identity",
        title="Which blocks are the identity, and which could be?",
        table=pd.concat([_table(n) for n in networks], ignore_index=True),
        caption=caption(networks),
        claims=_claims(networks, trials),
        findings=[],
        record=record,
        notes=NOTES,
        extra={} if trials is None else {"identity_trials": trials},
        draw=draw,
    )


def draw(result: Result) -> Figure:
    """Identity error against depth, and the table of neurons and blocks."""
    from snnlens.figures.identity import identity_figure

    trials, weights = result.extra.get("identity_trials"), state(result.record)
    return identity_figure(result.table, trials, result.caption, weights=weights)


def _table(network: Network) -> pd.DataFrame:
    facts = network.facts
    b = network.blocks[network.blocks["block_kind"] == "identity"]
    table = pd.DataFrame(
        blocks.describe(network, b)
        | {column: b[f"{column}_output"].to_numpy(float) for column in COLUMNS}
        | {
            "firing_rate_input": b["firing_rate_input"].to_numpy(float),
            "firing_rate_output": b["firing_rate_output"].to_numpy(float),
            "time_steps": b["time_steps_input"].to_numpy(int),
            "samples": b["samples_input"].to_numpy(int),
            "seed": facts.get("seed"),
        }
    )
    return table.drop(columns="block_kind")  # identity blocks all


# --- claims ----------------------------------------------------------------------------------


def _claims(networks: list[Network], trials: pd.DataFrame | None) -> list[Claim]:
    return [
        claim("identity-zero-init", "Zero-init: every identity block of SEW passes its input on "
              "unchanged, and of Spiking if its neuron can.", f"{PAPER}, Sections 3.2 and 3.3",
              "largest share of mismatched elements = 0", lambda: _zero_init(networks)),
        claim("identity-sew-any-neuron", "SEW add and iand can be the identity with every neuron.",
              f"{PAPER}, Section 3.3", "0 neurons fail", lambda: _sew(trials)),
        claim("identity-closed-form", "Spiking blocks can be the identity exactly if V_th <= dH/dX "
              "(IF: 1, LIF with decayed input: 1 / tau), hard reset.", f"{PAPER}, Section 3.2",
              "0 of the neurons and blocks disagree with the closed form",
              lambda: _closed_form(trials)),
    ]  # fmt: skip


def _zero_init(networks: list[Network]) -> tuple[float, bool, str]:
    worst, names = 0.0, []
    for network in networks:
        facts = network.facts
        able = facts.get("residual") in ("sew", "ms") or (
            facts.get("residual") == "spiking" and facts.get("is_identity")
        )
        if facts.get("zero_init") and able and not network.trained:
            worst = max(worst, float(network.blocks["mismatch_share_output"].max()))
            names.append(network.name)
    if not names:
        of_initialisation(networks)
        raise NotTestable("no zero-initialised network that could be the identity was run")
    return worst, worst == 0, ", ".join(names)


def _sew(trials: pd.DataFrame | None) -> tuple[float, bool, str]:
    rows = _tried(trials)
    rows = rows[rows["block"].isin(["sew-add", "sew-iand"])]
    failed = int((~rows["measured"]).sum())
    return float(failed), failed == 0, f"{len(rows)} neurons and blocks were run"


def _closed_form(trials: pd.DataFrame | None) -> tuple[float, bool, str]:
    rows = _tried(trials)
    wrong = rows[rows["measured"] != rows["closed_form"]]
    reason = f"{len(rows)} neurons and blocks, {int(rows['measured'].sum())} can be the identity"
    if len(wrong):
        first = wrong.iloc[0]
        reason += f"; first: {first['block']} with {first['neuron']}, V_th {first['threshold']}"
    return float(len(wrong)), wrong.empty, reason


def _tried(trials: pd.DataFrame | None) -> pd.DataFrame:
    if trials is None:
        raise NotTestable("the record holds no neuron trials")
    return trials
