"""Where a run's rows lie: one per network and block or layer, along the depth. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from snnlens.recording import blocks
from snnlens.recording.record import Record
from snnlens.recording.result import Finding, Result

SITES = ("network", "site", "module", "role", "order", "block", "block_kind")
FEWEST = 2  # places of a network: one alone has no depth
OF_RECORD = {  # the columns of a Record's blocks that a table of places takes, and their names here
    "firing_rate_output": "firing_rate_output",
    "gradient_norm_input": "gradient_norm",
    "identity_error_output": "identity_error",
}
OF_LAYERS = ("firing_rate", "gradient_norm", "identity_error")
NEURONS = ("sequential", "parallel")  # whose errors a conversion's layers show, if there are any
Kind = Literal["block", "site"]


@dataclass(frozen=True)
class Places:
    """The rows of one run along its depth.

    Attributes:
        kind: what a place is, and the column that names it: block or site.
        frame: one row per network and place, in order; its index counts the rows of the table.
        own: whether the run's own table shows these rows.
        said: which of several rows per place these are.
    """

    kind: Kind
    frame: pd.DataFrame
    own: bool
    said: str = ""


def places(table: pd.DataFrame, result: Result | None, record: Record) -> Places | None:
    """The rows along the depth: of the table itself, else of its layers, else of the Record.

    >>> from snnlens.recording.record import empty
    >>> rates = pd.DataFrame({"network": "a", "block": [0, 1], "firing_rate": [0.2, 0.1]})
    >>> places(rates, None, empty()).kind
    'block'
    """
    own = _own(table)
    found = own or _layers(result) or _blocks(record) or _neurons(record)
    if found is None or found.frame.groupby("network", sort=False).size().max() < FEWEST:
        return None
    return found


def _own(table: pd.DataFrame) -> Places | None:
    table = table.reset_index(drop=True)
    for kind in ("block", "site"):
        rows = _spiking(table)
        if kind in rows and "network" in rows and rows[kind].notna().all() and _single(rows, kind):
            return Places(kind, rows, own=True)
    return None


def _spiking(rows: pd.DataFrame) -> pd.DataFrame:
    """Of a table of all sites the neurons, which have an order of their own."""
    return rows[rows["role"] == "neuron"] if "role" in rows else rows


def _single(rows: pd.DataFrame, name: str) -> bool:
    return len(rows) > 0 and not rows.duplicated(["network", name]).any()


def _layers(result: Result | None) -> Places | None:
    """The table `layers` of a result; of a conversion at the largest T, of one neuron."""
    rows = result.extra.get("layers") if result else None
    if rows is None or "network" not in rows:
        return None
    said = ""
    if {"view", "neuron", "time_steps"} <= set(rows):
        rows, said = _one_view(rows)
    rows = rows.rename(columns={"layer": "site"}).reset_index(drop=True)
    return Places("site", rows, False, said) if "site" in rows and _single(rows, "site") else None


def _one_view(rows: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    neurons = set(rows["neuron"])
    neuron = next((n for n in NEURONS if n in neurons), min(neurons, default=""))
    rows = rows[(rows["neuron"] == neuron) & (rows["view"] == "accumulated")]
    largest = rows["time_steps"].max()
    return rows[rows["time_steps"] == largest], f"{neuron} neurons as they ran, T = {largest}"


def _blocks(record: Record) -> Places | None:
    """The residual blocks of the Record."""
    if not sites(record)["role"].isin(list(blocks.ROLES)).any():
        return None
    rows = pd.concat([_of_blocks(n) for n in blocks.networks(record)], ignore_index=True)
    return Places("block", rows, own=False)


def _of_blocks(network: blocks.Network) -> pd.DataFrame:
    wide = network.blocks
    facts = pd.DataFrame({
        "network": network.name, "block": wide.index.to_numpy(),
        "stage": wide["stage"].to_numpy(), "block_kind": wide["block_kind"].to_numpy(),
    })  # fmt: skip
    known = {new: wide[old].to_numpy() for old, new in OF_RECORD.items() if old in wide}
    return facts.assign(**known)


def _neurons(record: Record) -> Places | None:
    """The spiking layers of the Record, if a quantity of them is known."""
    if not (sites(record)["role"] == "neuron").any():
        return None
    rows = _spiking(record.frame())
    known = [c for c in OF_LAYERS if c in rows and rows[c].notna().any()]
    facts = [c for c in ("network", "site", "block", "stage", "block_kind") if c in rows]
    rows = rows[[*facts, *known]].reset_index(drop=True)
    return Places("site", rows, own=False) if known and _single(rows, "site") else None


# --- where a finding lies --------------------------------------------------------------------


def network_of(finding: Finding, names: Sequence[str]) -> str | None:
    """The network that a finding speaks of: its evidence begins with the name.

    >>> finding = Finding("SNL201", "error", "sn1", "sew-and: silent", "", "", "")
    >>> network_of(finding, ["sew", "sew-and"])
    'sew-and'
    """
    named = [n for n in names if finding.evidence.startswith(f"{n}: ")]
    if named:
        return max(named, key=len)
    return names[0] if len(names) == 1 else None


def row_of(finding: Finding, table: pd.DataFrame, record: Record) -> int | None:
    """The row of a table that shows a finding's site, or the block or layer it lies in."""
    network = network_of(finding, list(record.networks))
    if finding.site is None or network is None or "network" not in table:
        return None
    rows = table[table["network"] == network]
    exact = rows.index[rows["site"] == finding.site] if "site" in rows else rows.index[:0]
    if len(exact):
        return int(exact[0])
    known = sites(record)
    facts = _site(known, network, finding.site)
    return None if facts is None else _around(rows, facts, known)


def sites(record: Record) -> pd.DataFrame:
    """The Record's sites; what it does not say of them is missing."""
    return record.sites.reindex(columns=list(SITES))


def _site(known: pd.DataFrame, network: str, name: str) -> dict[str, Any] | None:
    """What the Record knows of a site: by its name, else by its module's."""
    rows = known[known["network"] == network]
    found = rows[rows["site"] == name]
    if found.empty:
        found = rows[rows["module"] == name]
    return None if found.empty else {str(k): v for k, v in found.iloc[0].items()}


def _around(rows: pd.DataFrame, site: dict[str, Any], known: pd.DataFrame) -> int | None:
    """The row of the site's block; in a table of layers the last one up to the site."""
    block = site.get("block")
    if block is None or pd.isna(block) or "block" not in rows:
        return None
    rows = rows[(rows["block"] == block).fillna(value=False).astype(bool)]
    if "site" in rows:
        here = known[(known["network"] == site["network"]) & (known["order"] <= site["order"])]
        rows = rows[rows["site"].isin(here["site"])]
    return int(rows.index[-1]) if len(rows) else None


def block_of(finding: Finding, network: str, record: Record) -> int | None:
    """The residual block that a finding's site lies in."""
    facts = _site(sites(record), network, finding.site) if finding.site else None
    block = facts.get("block") if facts else None
    return None if block is None or pd.isna(block) else int(block)


def modules(record: Record) -> dict[tuple[str, int], str]:
    """The module of each residual block, by network and block."""
    known = sites(record)
    rows = known[(known["role"] == "block_input") & known["block"].notna()]
    keys = zip(rows["network"], rows["block"], strict=True)
    return {(str(n), int(b)): str(m) for (n, b), m in zip(keys, rows["module"], strict=True)}


def downsamples(record: Record, network: str) -> set[int]:
    """The blocks of a network whose shortcut has a convolution."""
    known = sites(record)
    rows = known[(known["network"] == network) & (known["block_kind"] == "downsample")]
    return {int(b) for b in rows["block"].dropna()}
