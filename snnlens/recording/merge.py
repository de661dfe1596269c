"""Merge Records of several ranks or batches into the one that a single Recorder would have made.

A Recorder adds up the passes that it sees one after the other; so do Records of the same networks,
each with passes of its own, by the rule of each column. Needs no torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd

from snnlens.errors import InputError
from snnlens.recording.record import KEYS, Merge, Record, Schema
from snnlens.recording.store import plain

COUNTED = {"per rank": "ranks", "over all ranks": "ranks", "per batch": "merged_batches"}
ADDED = (  # facts of a site
    "forward_calls", "gradient_calls", "samples", "replayed", "replay_mismatches",
)  # fmt: skip
SUMMED = ("forward_passes", "samples")  # facts of a network
SOME = ("non_finite_inputs", "elsewhere")  # the same, of those that have one
RULES: dict[Merge, np.ufunc] = {
    "sum": np.add, "max": np.maximum, "min": np.minimum, "or": np.bitwise_or,
}  # fmt: skip
OWN = "it holds for one rank alone, and the ranks differ"
NO_RULE = "nothing says how its rows add up, and the ranks differ"


def merge(records: Sequence[Record], *, how: str, expected: int | None = None) -> Record:
    """The Record of all passes that several Records of the same networks saw, each its own.

        column = sum, max, min or "or" of its rows, by network, site and the probe's axes
        loss   = sum of loss x samples / sum of samples

    Integers add exactly. Rows that only some records hold are kept. A table whose rows do not add
    up (`Schema.adds` is false, or a key of it is no axis) is kept where all records agree, else
    left out, which the fact `not_merged` says. Facts of a network that differ are listed in the
    fact `differs`, an entry for each rank.

    BatchNorm in training mode normalises each pass by itself: the merged numbers are those of the
    parts one after the other, not of one large batch. The fact `batch_norm` says so.

    Args:
        records: of the same networks, with the same sites, time steps and batch per call.
        how: over what each BatchNorm averaged: per rank, over all ranks (SyncBatchNorm), or per
            batch where the records are of one process. The fact `ranks` (or `merged_batches`)
            counts the parts.
        expected: so many there should be; the fact `missing_ranks` says how many are not.

    Raises:
        InputError: no record; other networks, sites, columns, shapes; more parts than expected.

    >>> from snnlens.recording.record import Column, Schema
    >>> def part(spikes):
    ...     table = pd.DataFrame({"network": "n", "site": ["sn"], "step": [0], "spikes": [spikes]})
    ...     sites = table[["network", "site"]].assign(time_steps=1, batch=4, forward_calls=1)
    ...     schema = {"rate": Schema(columns={"spikes": Column()})}
    ...     return Record(sites, {"rate": table}, schema, {"n": {"loss": spikes / 2}}, {})
    >>> both = merge([part(3), part(5)], how="per rank")
    >>> int(both.tables["rate"]["spikes"][0]), both.networks["n"]["loss"]
    (8, 2.0)
    >>> both.networks["n"]["ranks"], both.networks["n"]["batch_norm"]
    (2, 'per rank')
    """
    records = list(records)
    _check(records, how)
    sites = reduce(_both_sites, [r.sites for r in records])
    tables, left_out = _tables(records, sites)
    schemas = {p: s for r in records for p, s in r.schemas.items() if p in tables}
    networks = {n: _network(n, records, how, expected, left_out) for n in records[0].networks}
    return Record(sites, tables, schemas, networks, _provenance(records, COUNTED[how]))


def _check(records: Sequence[Record], how: str) -> None:
    if how not in COUNTED:
        raise InputError("how", got=how, wanted="per rank, over all ranks or per batch")
    if not records:
        raise InputError("the records to merge", got="none", wanted="at least one")
    for record in records[1:]:
        _same("the networks of merged records", [sorted(r.networks) for r in (records[0], record)])
        _same("the sites of merged records", [_places(r) for r in (records[0], record)])


def _places(record: Record) -> list[str]:
    return [f"{network}: {site}" for network, site in record.sites[KEYS].itertuples(index=False)]


def _same(what: str, said: list[list[str]]) -> None:
    """Raise with what only one of the two lists holds; of equal ones in another order, with all."""
    if said[0] != said[1]:
        one, other = set(said[0]), set(said[1])
        raise InputError(what, got=sorted(one ^ other) or said, wanted="the same in every record")


# --- sites -----------------------------------------------------------------------------------


def _both_sites(one: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Calls added up; what else is known of a site is the same in both, or known in one."""
    merged = one.copy()
    for column in other:
        if column not in one:
            merged[column] = other[column].to_numpy()
        elif column in ADDED:
            merged[column] = one[column].add(other[column].set_axis(one.index), fill_value=0)
        else:
            merged[column] = _agreeing(one, other.set_axis(one.index), str(column))
    return merged


def _agreeing(one: pd.DataFrame, other: pd.DataFrame, column: str) -> pd.Series:
    a, b = one[column], other[column]
    differ = (a.notna() & b.notna() & (a != b).fillna(value=False)).to_numpy(bool)
    if differ.any():
        at = int(differ.argmax())
        raise InputError(
            f"{column} of site {one['site'].iloc[at]}", got=plain([a.iloc[at], b.iloc[at]]),
            wanted="the same in every record",
        )  # fmt: skip
    return a.where(a.notna(), b)


# --- tables ----------------------------------------------------------------------------------


def _tables(
    records: Sequence[Record], sites: pd.DataFrame
) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """The merged tables, and why some are left out."""
    order = {place: i for i, place in enumerate(sites[KEYS].itertuples(index=False, name=None))}
    kept, left_out = {}, {}
    for name in dict.fromkeys(p for r in records for p in r.tables):
        parts = [r.tables[name] for r in records if name in r.tables]
        schema = _schema(name, records)
        if reason := _why_apart(schema, parts):
            if len(parts) == len(records) and all(parts[0].equals(p) for p in parts[1:]):
                kept[name] = parts[0]
            else:
                left_out[name] = reason
        else:
            kept[name] = _added(parts, schema, order)
    return kept, left_out


def _schema(name: str, records: Sequence[Record]) -> Schema:
    said = [r.schemas[name] for r in records if name in r.schemas]
    for schema in said[1:]:
        if schema != said[0]:
            other = [f.name for f in fields(Schema)
                     if getattr(schema, f.name) != getattr(said[0], f.name)]  # fmt: skip
            raise InputError(
                f"the schema of {name}", got="other " + ", ".join(other),
                wanted="the same in every record",
            )  # fmt: skip
    return said[0]


def _why_apart(schema: Schema, parts: Sequence[pd.DataFrame]) -> str:
    """Why the rows of these tables cannot be added, or nothing."""
    if not schema.adds:
        return OWN
    known = {*KEYS, *schema.axes, *schema.columns}
    return "" if all(set(p) == known for p in parts) else NO_RULE


def _added(parts: Sequence[pd.DataFrame], schema: Schema, order: Mapping[Any, int]) -> pd.DataFrame:
    """Rows of equal keys as one, by each column's rule; in the order of the sites."""
    keys = [*KEYS, *schema.axes]
    rows = pd.concat(parts, ignore_index=True)
    again = rows.duplicated(keys).to_numpy()
    group = rows.groupby(keys, sort=False).ngroup().to_numpy()[again]
    merged = rows[~again].reset_index(drop=True)
    for name, column in schema.columns.items():
        numbers = rows[name].to_numpy()
        total = numbers[~again]
        with np.errstate(invalid="ignore", over="ignore"):  # infinite squares; inf - inf is NaN
            RULES[column.merge].at(total, group, numbers[again])
        merged[name] = total
    places = [order.get(p, len(order)) for p in merged[KEYS].itertuples(index=False, name=None)]
    axes = [merged[axis].to_numpy() for axis in reversed(schema.axes)]
    return merged.iloc[np.lexsort([*axes, np.array(places)])].reset_index(drop=True)


# --- facts -----------------------------------------------------------------------------------


def _network(
    name: str, records: Sequence[Record], how: str, expected: int | None, left_out: dict[str, str]
) -> dict[str, Any]:
    """The facts of one network: what the parts agree on, what adds up, and what was merged."""
    parts, counted = [r.networks[name] for r in records], COUNTED[how]
    counts = [int(p.get(counted, 1)) for p in parts]
    facts = _agreed(parts, counts, _together(parts, [_samples(name, r) for r in records]))
    trained = facts.get("training_mode", True)
    over = [p["batch_norm"] for p in parts if "batch_norm" in p]
    over = list(dict.fromkeys([*over, how if trained else "running statistics"]))
    facts |= {counted: sum(counts), "batch_norm": ", ".join(over)}
    missing = sum(p.get("missing_ranks", 0) for p in parts)
    if expected is not None:
        missing = expected - sum(counts)
        if missing < 0:
            raise InputError("the records to merge", got=sum(counts), wanted=f"at most {expected}")
    if missing or expected is not None:
        facts["missing_ranks"] = missing
    lost = {probe: why for p in parts for probe, why in p.get("not_merged", {}).items()} | left_out
    return facts | ({"not_merged": lost} if lost else {})


def _together(parts: Sequence[Mapping[str, Any]], samples: Sequence[float]) -> dict[str, Any]:
    """The facts that are a number of all passes."""
    made: dict[str, Any] = {}
    for fact in SUMMED:
        if all(isinstance(p.get(fact), int) for p in parts):
            made[fact] = sum(p[fact] for p in parts)
    for fact in SOME:
        if any(fact in p for p in parts):
            made[fact] = sum(p.get(fact, 0) for p in parts)
    if all(isinstance(p.get("binary"), bool) for p in parts):
        made["binary"] = all(p["binary"] for p in parts)
    if all(isinstance(p.get("loss"), int | float) for p in parts):
        weights = samples if all(samples) else [1.0] * len(parts)
        products = [p["loss"] * w for p, w in zip(parts, weights, strict=True)]
        made["loss"] = math.fsum(products) / math.fsum(weights)
    return made


def _samples(network: str, record: Record) -> float:
    """How many samples were seen by the site that saw most; of an older record batch x calls."""
    sites = record.sites
    if "samples" in sites and sites["samples"].notna().any():
        return float(sites.loc[sites["network"] == network, "samples"].max())
    if not {"batch", "forward_calls"} <= set(sites):
        return 0.0
    own = sites[(sites["network"] == network) & sites["batch"].notna()]
    return float((own["batch"] * own["forward_calls"]).max()) if len(own) else 0.0


def _agreed(
    parts: Sequence[Mapping[str, Any]], counts: Sequence[int], made: dict[str, Any]
) -> dict[str, Any]:
    """What all say alike, or was made of all; what they say otherwise is listed."""
    told = {"differs", "not_merged", "missing_ranks", "batch_norm", *COUNTED.values(), *made}
    alike, differs = {}, {}
    for fact in dict.fromkeys(k for p in parts for k in [*p, *p.get("differs", {})]):
        said = [value for p, n in zip(parts, counts, strict=True)
                for value in p.get("differs", {}).get(fact, [p.get(fact)] * n)]  # fmt: skip
        if fact in told:
            continue
        if all(plain(value) == plain(said[0]) for value in said):
            alike[fact] = said[0]
        else:
            differs[fact] = said
    return alike | made | ({"differs": differs} if differs else {})


def _provenance(records: Sequence[Record], counted: str) -> dict[str, Any]:
    """That of the first rank, which answers; what the others say otherwise is listed."""
    parts = [r.provenance for r in records]
    counts = [int(p.get(counted, 1)) for p in parts]
    started = [p["started"] for p in parts if "started" in p]
    begun = {"started": min(started)} if started else {}
    listed = _agreed(parts, counts, dict(begun)).get("differs")
    own = {k: v for k, v in parts[0].items() if k != "differs"} | begun | {counted: sum(counts)}
    return own | ({"differs": listed} if listed else {})
