"""Seen: one network of a Record as the checks read it, and the words that their evidence shares."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from snnlens.measures.silence import MINIMUM_OBSERVATIONS, rule_of_three
from snnlens.recording import blocks
from snnlens.recording.blocks import Network, trained
from snnlens.recording.extent import extent, observations
from snnlens.recording.readout import SPIKING, readouts
from snnlens.recording.record import Record
from snnlens.recording.result import Severity

NO_RATES = (
    'no spiking layer was recorded with its firing rate; record with probes=["firing_rate"] and '
    "call the model"
)


@dataclass(frozen=True)
class Seen:
    """One network of a Record: its facts, and one row per site with every quantity."""

    record: Record
    name: str
    facts: dict[str, Any]
    frame: pd.DataFrame

    @cached_property
    def blocks(self) -> Network | None:
        """Its residual blocks side by side; None where it has none."""
        if not self.frame["role"].isin(list(blocks.ROLES)).any():
            return None
        return next(n for n in blocks.networks(self.record) if n.name == self.name)

    def layers(self, *columns: str) -> pd.DataFrame:
        """Its spiking layers, in order, that were seen and have a number in each of the columns.

        Without those that are read by their membrane: what they spike is of no use to the network.
        """
        return self.sites("neuron", *columns)

    def sites(self, role: str, *columns: str) -> pd.DataFrame:
        """The sites of a role, in order, with a number in each of the columns."""
        if (role, columns) not in self._sites:
            self._sites[role, columns] = self._select(role, columns)
        return self._sites[role, columns]

    @cached_property
    def _sites(self) -> dict[tuple[str, tuple[str, ...]], pd.DataFrame]:
        """Every check asks for the same few, and none changes them."""
        return {}

    def _select(self, role: str, columns: tuple[str, ...]) -> pd.DataFrame:
        rows = self.frame[self.frame["role"] == role]
        if role == "neuron" and "signal" in rows:
            rows = rows[rows["signal"].isin(SPIKING) & ~rows["site"].isin(list(self.readouts))]
        if any(column not in rows for column in columns):
            return rows.iloc[:0]
        return rows[rows[list(columns)].notna().all(axis=1)]

    def table(self, probe: str) -> pd.DataFrame:
        """The sums that a probe kept of this network; empty without them."""
        table = self.record.tables.get(probe)
        return pd.DataFrame() if table is None else table[table["network"] == self.name]

    @cached_property
    def norms_per_step(self) -> pd.DataFrame:
        """Site, step and gradient norm, where there is one; of that probe alone, which is quick."""
        record, probe = self.record, "gradient_norm"
        if probe not in record.tables:
            return pd.DataFrame()
        alone = replace(record, tables={probe: record.tables[probe]},
                        schemas={probe: record.schemas[probe]})  # fmt: skip
        rows = alone.frame(per_step=True, network=self.name)
        return rows[rows[probe].notna()].sort_values("step", kind="stable")

    def broken(self, probe: str, column: str) -> set[str]:
        """The sites with a sum that is NaN or infinite."""
        table = self.table(probe)
        if column not in table:
            return set()
        sums = table[column].to_numpy(float)
        return {str(s) for s in table["site"][~np.isfinite(sums)]}

    def test(self, name: str) -> dict[str, Any]:
        """What a check-up tried on the model; `not_applicable` says why it has no result."""
        nothing = {"not_applicable": "nobody tried it on this model; `snnlens checkup` does"}
        tests: dict[str, Any] = self.facts.get("tests") or {}
        return dict(tests.get(name) or nothing)

    def known(self, site: object) -> str | None:
        """The site of that name; None where the model has none (its output)."""
        return str(site) if (self.frame["site"] == site).any() else None

    @cached_property
    def readouts(self) -> set[str]:
        """The spiking layers that are read by their membrane."""
        return readouts(self.frame)

    @cached_property
    def zeroed(self) -> set[str]:
        """Blocks whose residual branch ends in a weight of 0, by design: zero-init.

        By the model's word, or by a recorded weight whose norm is 0.
        """
        inputs = self.frame.loc[self.frame["role"] == "block_input", "site"]
        names = {str(s).removesuffix(".input") for s in inputs}
        if self.facts.get("zero_init") and not trained(self.facts):
            return names
        return {n for n in names for p in self.zero_weights if p.startswith(f"{n}.")}

    @cached_property
    def zero_weights(self) -> list[str]:
        """Recorded weights that are exactly 0, in order; biases begin at 0 and do not count."""
        table = self.table("parameter_gradient")
        if "parameter_squares" not in table:
            return []
        sites = table.loc[table["parameter_squares"] == 0, "site"]
        return [str(s) for s in sites if str(s).endswith("weight")]

    @cached_property
    def constant(self) -> set[str]:
        """Layers that zero-init holds silent (or saturated): the last of a SEW branch."""
        if self.facts.get("residual") == "spiking":  # its last layer sees the shortcut as well
            return set()
        layers = [str(s) for s in self.layers()["site"]]
        ends = set()
        for block in self.zeroed:
            branch = [s for s in layers if s.startswith(f"{block}.") and not _beside(s, block)]
            ends |= set(branch[-1:])
        return ends

    def in_zeroed(self, site: str) -> bool:
        """Whether a site lies in a block with zero-init: no gradient enters its branch yet."""
        return any(site.startswith(f"{block}.") for block in self.zeroed)


def networks(record: Record) -> list[Seen]:
    """The networks that were run for their own sake, in the order of the run.

    A record that all checks are shown keeps them, see `checks.examine`.
    """
    kept: list[Seen] | None = getattr(record, "seen", None)
    return made(record) if kept is None else kept


def made(record: Record) -> list[Seen]:
    """As `networks`, made afresh."""
    frame = record.frame()
    return [
        Seen(record, name, facts, frame[frame["network"] == name].reset_index(drop=True))
        for name, facts in record.networks.items()
        if not facts.get("auxiliary")
    ]


# --- words -------------------------------------------------------------------------------------


def no_spikes(row: pd.Series) -> str:
    """How much was seen of a silent layer, and what that proves."""
    neurons, each = int(row["neurons"]), observations(row)
    return (
        f"0 spikes of {neurons} neurons in {neurons * each} neuron-steps ({extent(row)}); 95 % "
        f"bound on a neuron's rate 3/(N T) = {rule_of_three(each):.2g}"
    )


def severity(silent: pd.Series) -> Severity:
    """An error where enough was seen of a silent layer, a warning where a few spikes may be missed."""
    enough = int(silent["neurons"]) * observations(silent) >= MINIMUM_OBSERVATIONS
    return "error" if enough else "warning"


def others(count: int, what: str) -> str:
    """`; 3 more layers are silent`, or nothing."""
    noun, verb = ("layer", "is") if count == 1 else ("layers", "are")
    return f"; {count} more {noun} {verb} {what}" if count else ""


def most(rows: pd.DataFrame, column: str) -> pd.Series:
    """The row with the largest number in a column, the first of equal ones."""
    return rows.iloc[int(rows[column].to_numpy(float).argmax())]


def where(rows: pd.DataFrame, chosen: Iterable[bool]) -> pd.DataFrame:
    """The chosen rows: one flag a row, none for none."""
    return rows[np.fromiter(chosen, bool, len(rows))]


def finite(rows: pd.DataFrame, column: str) -> np.ndarray:
    """Which rows have a finite number in a column."""
    found: np.ndarray = np.isfinite(rows[column].to_numpy(float))
    return found


def is_lost(number: float | None) -> bool:
    """Whether it is NaN, which a saved run holds as null."""
    return number is None or math.isnan(number)


def names(sites: Sequence[object]) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(str(s) for s in sites[:3])
    return shown + (f" and {len(sites) - 3} more" if len(sites) > 3 else "")


def _beside(site: str, block: str) -> bool:
    """Whether a layer lies in the shortcut of its block, not in the branch."""
    part = site.removeprefix(f"{block}.")
    return part.startswith(("downsample", "shortcut", "conv_sc", "skip"))
