"""Record: sites, reduced sums and counts, facts and provenance. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from snnlens.errors import InputError
from snnlens.measures.quotients import QUOTIENTS

Merge = Literal["sum", "max", "min", "or"]
KEYS = ["network", "site"]


@dataclass(frozen=True)
class Column:
    """One recorded number: how it merges over batches and ranks, and how over time steps."""

    merge: Merge = "sum"
    steps: Merge = "sum"


@dataclass(frozen=True)
class Quantity:
    """A number made of columns by a measure of `snnlens.measures.quotients`."""

    measure: str
    of: tuple[str, ...]
    unit: str = ""


@dataclass(frozen=True)
class Schema:
    """What the table of a probe holds, and what follows from it."""

    axes: tuple[str, ...] = ("step",)
    columns: dict[str, Column] = field(default_factory=dict)
    quantities: dict[str, Quantity] = field(default_factory=dict)

    @staticmethod
    def from_dict(saved: dict[str, Any]) -> Schema:
        """The inverse of `dataclasses.asdict`, from JSON."""
        columns = {k: Column(**v) for k, v in saved["columns"].items()}
        quantities = {
            k: Quantity(v["measure"], tuple(v["of"]), v["unit"])
            for k, v in saved["quantities"].items()
        }
        return Schema(tuple(saved["axes"]), columns, quantities)


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
        number that does not exist at a site (a gradient that was not asked for) is NaN.
        """
        parts = {name: self._quantities(name, per_step=per_step) for name in self.tables}
        frame = self.sites
        if per_step:
            frame = frame.merge(self._steps(), on=KEYS, how="inner")
        for part in parts.values():
            if part is not None:
                frame = frame.merge(part, on=[*KEYS, "step"] if per_step else KEYS, how="left")
        frame = frame if network is None else frame[frame["network"] == network]
        return frame.reset_index(drop=True)

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
        return pd.concat(have).drop_duplicates().sort_values("step", kind="stable")

    def _quantities(self, name: str, *, per_step: bool) -> pd.DataFrame | None:
        schema, table = self.schemas[name], self.tables[name]
        if not schema.quantities or (per_step and not _stepped(schema)):
            return None
        keys = [*KEYS, "step"] if per_step else KEYS
        sums = _over_steps(table, keys, {c: spec.steps for c, spec in schema.columns.items()})
        made = sums[keys].copy()
        for quantity, spec in schema.quantities.items():
            made[quantity] = QUOTIENTS[spec.measure](*(sums[c].to_numpy() for c in spec.of))
        return made


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


def schema_dict(schema: Schema) -> dict[str, Any]:
    """A schema as plain dictionaries, for JSON."""
    return asdict(schema)


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
