"""Record: sites, reduced sums and counts, facts and provenance. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from snnlens.errors import InputError
from snnlens.measures.quotients import QUOTIENTS
from snnlens.measures.whole import WHOLE, measure

Merge = Literal["sum", "max", "min", "or"]
KEYS = ["network", "site"]
FACTS = ["neurons", "positions", "threshold", "time_steps", "batch"]  # of a site, for a measure
SITE_COLUMNS = {  # of a Record's sites, by dtype
    "str": ("network", "site", "module", "reads", "role", "signal", "block_kind"),
    "int64": ("order", "forward_calls", "gradient_calls"),
    "Int64": ("block", "stage", "area", "time_steps", "batch", "neurons", "positions", "samples",
              "replayed", "replay_mismatches"),
    "float64": ("threshold", "leak", "gain", "slope", "support"),
}  # fmt: skip
UNBOUNDED = {"low": -math.inf, "high": math.inf}


@dataclass(frozen=True)
class Column:
    """One recorded number: how it merges over batches and ranks, and how over time steps."""

    merge: Merge = "sum"
    steps: Merge = "sum"


@dataclass(frozen=True)
class Quantity:
    """A number made of columns by a measure of `snnlens.measures.quotients` or of `.whole`.

    A quotient is made of the columns' sums, per site or per time step. A measure of `whole` is made
    once per site of all rows of the table, with the site's facts (neurons, positions, ...) and the
    constants that are `given`: of a histogram its `bins` (lowest, width, count) and the bounds
    `low` and `high`, infinite where they are not given.
    """

    measure: str
    of: tuple[str, ...]
    unit: str = ""
    given: dict[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Schema:
    """What the table of a probe holds, what follows from it, whether it adds up over ranks."""

    axes: tuple[str, ...] = ("step",)
    columns: dict[str, Column] = field(default_factory=dict)
    quantities: dict[str, Quantity] = field(default_factory=dict)
    adds: bool = True

    @staticmethod
    def from_dict(saved: dict[str, Any]) -> Schema:
        """The inverse of `dataclasses.asdict`, from JSON."""
        columns = {k: Column(**v) for k, v in saved["columns"].items()}
        quantities = {
            k: Quantity(v["measure"], tuple(v["of"]), v["unit"], _constants(v.get("given", {})))
            for k, v in saved["quantities"].items()
        }
        return Schema(tuple(saved["axes"]), columns, quantities, saved.get("adds", True))


@dataclass(frozen=True)
class Record:
    """What was measured.

    Attributes:
        sites: one row per network and site, in the order of the forward pass.
        tables: per probe, sums and counts: network, site, the probe's axes, its columns.
        schemas: per probe, how its columns merge and which quantities they give.
        networks: per network, facts: residual, depth, T, batch, loss, sigma' ...
        provenance: command, parameters, versions, seed, device, data, time.
    """

    sites: pd.DataFrame
    tables: dict[str, pd.DataFrame]
    schemas: dict[str, Schema]
    networks: dict[str, dict[str, Any]]
    provenance: dict[str, Any]

    def frame(self, *, per_step: bool = False, network: str | None = None) -> pd.DataFrame:
        """A tidy table with one row per network and site (and time step), a column per quantity.

        Rates are spikes / (neurons x T x samples); norms are root mean squares over batches. A
        number that does not exist at a site (a gradient that was not asked for) is NaN. A measure
        of a whole table (a share of neurons) has no time step and is left out per step.
        """
        parts = [self._quotients(name, per_step=per_step) for name in self.tables]
        if not per_step:
            parts += [self._wholes(name) for name in self.tables]
        frame = self.sites
        if per_step:
            frame = frame.merge(self._steps(), on=KEYS, how="inner")
        for part in parts:
            if part is not None:
                frame = frame.merge(part, on=[*KEYS, "step"] if per_step else KEYS, how="left")
        frame = frame if network is None else frame[frame["network"] == network]
        return frame.reset_index(drop=True)

    def _repr_html_(self) -> str:
        """Networks and sites, as a notebook shows them."""
        return str(import_module("snnlens.report.rich").html_of_record(self))

    def table(self, probe: str) -> pd.DataFrame:
        """The sums that one probe kept."""
        if probe not in self.tables:
            raise InputError(
                "this record", got="without " + probe, wanted=f"one that holds {probe}",
                do=f'record it with probes=[..., "{probe}"]',
            )  # fmt: skip
        return self.tables[probe]

    def save(self, folder: str | Path, *, force: bool = False) -> Path:
        """Write the record as a run folder, whole or not at all."""
        from snnlens.recording.store import save

        return save(self, Path(folder), force=force)

    def _steps(self) -> pd.DataFrame:
        have = [self.tables[n][[*KEYS, "step"]] for n, s in self.schemas.items() if _stepped(s)]
        if not have:  # no probe of this record counts by step
            return self.sites[KEYS].iloc[:0].assign(step=0)
        return pd.concat(have).drop_duplicates().sort_values("step", kind="stable")

    def _quotients(self, name: str, *, per_step: bool) -> pd.DataFrame | None:
        schema, table = self.schemas[name], self.tables[name]
        asked = {q: spec for q, spec in schema.quantities.items() if spec.measure not in WHOLE}
        if not asked or (per_step and not _stepped(schema)):
            return None
        keys = [*KEYS, "step"] if per_step else KEYS
        rules = {c: schema.columns[c].steps for spec in asked.values() for c in spec.of}
        sums = _over_steps(table, keys, rules)
        made = sums[keys].copy()
        for quantity, spec in asked.items():
            made[quantity] = QUOTIENTS[spec.measure](*(sums[c].to_numpy() for c in spec.of))
        return made

    def _wholes(self, name: str) -> pd.DataFrame | None:
        quantities = self.schemas[name].quantities
        asked = {q: spec for q, spec in quantities.items() if spec.measure in WHOLE}
        if not asked:
            return None
        facts, made = self._facts(), []
        for (network, site), rows in self.tables[name].groupby(KEYS, sort=False):
            known = facts.get((network, site), {})
            numbers = {q: _whole(spec, rows, known) for q, spec in asked.items()}
            made.append({"network": network, "site": site} | numbers)
        return pd.DataFrame(made, columns=[*KEYS, *asked])

    def _facts(self) -> dict[Any, dict[str, Any]]:
        """What is known of each site, by network and name."""
        known = [c for c in FACTS if c in self.sites]
        rows = self.sites[[*KEYS, *known]].to_dict("records")
        return {
            (row["network"], row["site"]): {f: row[f] for f in known if not pd.isna(row[f])}
            for row in rows
        }


def join(records: Iterable[Record], provenance: dict[str, Any] | None = None) -> Record:
    """One Record of several networks; the names of the networks must differ."""
    records = list(records)
    names = [n for r in records for n in r.networks]
    if len(set(names)) != len(names):
        raise InputError("the networks of one record", got=names, wanted="named differently")
    probes = list(dict.fromkeys(p for r in records for p in r.tables))
    return Record(
        sites=pd.concat([r.sites for r in records], ignore_index=True),
        tables={
            p: pd.concat([r.tables[p] for r in records if p in r.tables], ignore_index=True)
            for p in probes
        },
        schemas={p: s for r in records for p, s in r.schemas.items()},
        networks={n: f for r in records for n, f in r.networks.items()},
        provenance=provenance if provenance is not None else records[0].provenance,
    )


def empty() -> Record:
    """A Record without networks, sites and sums, to which tables can be added.

    >>> len(empty().frame()), "role" in empty().frame()
    (0, True)
    """
    kinds = {name: kind for kind, names in SITE_COLUMNS.items() for name in names}
    sites = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})
    return Record(sites, {}, {}, {}, {})


def schema_dict(schema: Schema) -> dict[str, Any]:
    """A schema as plain dictionaries, for JSON."""
    return asdict(schema)


def _whole(spec: Quantity, rows: pd.DataFrame, facts: dict[str, Any]) -> float:
    """A measure of all rows of one site."""
    given = UNBOUNDED | facts | spec.given
    if "bins" in given:
        lowest, width, count = given["bins"]
        if len(rows) != count + 2:  # a histogram of other bins; edges of that many would not fit
            return math.nan
        given["edges"] = lowest + width * np.arange(count + 1)
    try:
        return measure(spec.measure, *(rows[c].to_numpy() for c in spec.of), **given)
    except InputError:  # the number of neurons is not known, or differs between the batches
        return math.nan


def _constants(saved: dict[str, Any]) -> dict[str, Any]:
    """JSON has no tuples."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in saved.items()}


def _over_steps(table: pd.DataFrame, keys: list[str], rules: dict[str, Merge]) -> pd.DataFrame:
    """Merge the rows of each key. NaN at one step makes NaN: pandas by itself would skip it."""
    merged = table.groupby(keys, sort=False, as_index=False).agg(rules)
    by = [table[key] for key in keys]
    for column in rules:
        if table[column].isna().any():
            holes = table[column].isna().groupby(by, sort=False).any()
            merged[column] = merged[column].mask(holes.to_numpy())
    return merged


def _stepped(schema: Schema) -> bool:
    return schema.axes == ("step",)
