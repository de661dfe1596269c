"""Which network of one run is compared with which of another; seeds of one network together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from snnlens.report.compare.read import Side

NO_SEED = -1
GROUP, SEED = "\0group", "\0seed"  # columns that no table of a user has
_SEEDED = re.compile(r"(.+)-s(\d+)")


class Match(NamedTuple):
    """A network of A (all its seeds), one of B, and how they found each other, empty by name."""

    a: str
    b: str
    how: str


class Matches(NamedTuple):
    """What was matched, and what is in one run alone."""

    found: list[Match]
    only_a: list[str]
    only_b: list[str]


def labelled(table: pd.DataFrame) -> pd.DataFrame:
    """The table with each row's network without its seed, and its seed.

    The seed is the number behind -s of a network's name, or the column `seed` where it varies
    within a network.

    >>> made = labelled(pd.DataFrame({"network": ["sew-8-s0", "sew-8-s1"], "loss": [1.0, 2.0]}))
    >>> made[GROUP].tolist(), made[SEED].tolist()
    (['sew-8', 'sew-8'], [0, 1])
    """
    names = table["network"].astype(str) if "network" in table else pd.Series("", table.index)
    parts = {n: split(n) for n in names.unique()}
    seeds = names.map({n: seed for n, (_, seed) in parts.items()})
    if "seed" in table and (table["seed"].groupby(names).transform("nunique") > 1).any():
        seeds = seeds.where(seeds != NO_SEED, table["seed"])
    groups = names.map({n: group for n, (group, _) in parts.items()})
    return table.assign(**{GROUP: groups, SEED: seeds.astype("int64")}).reset_index(drop=True)


def split(network: str) -> tuple[str, int]:
    """A network's name without its seed, and the seed.

    >>> split("sew-add-20-s3"), split("spiking")
    (('sew-add-20', 3), ('spiking', -1))
    """
    found = _SEEDED.fullmatch(network)
    return (found[1], int(found[2])) if found else (network, NO_SEED)


def match(a: Mapping[str, int | None], b: Mapping[str, int | None]) -> Matches:
    """Networks of one name; those that differ in depth alone; the only one of each run.

    Args:
        a: the networks of A without their seeds, each with its depth.
        b: those of B.

    >>> match({"sew-18": 18, "ms-18": 18}, {"sew-34": 34, "ms-34": 34, "ann": None}).found[0]
    Match(a='sew-18', b='sew-34', how='their names but for the depth')
    """
    found = [Match(n, n, "") for n in a if n in b]
    left_a, left_b = [n for n in a if n not in b], [n for n in b if n not in a]
    kinds_a, kinds_b = _by_kind(left_a, a), _by_kind(left_b, b)
    for kind, names in kinds_a.items():
        if len(names) == len(kinds_b.get(kind, [])) == 1:
            found.append(Match(names[0], kinds_b[kind][0], "their names but for the depth"))
    if not found and len(a) == len(b) == 1:
        found.append(Match(left_a[0], left_b[0], "being the only one of each run"))
    used_a, used_b = {m.a for m in found}, {m.b for m in found}
    rest_a, rest_b = [n for n in a if n not in used_a], [n for n in b if n not in used_b]
    return Matches(found, rest_a, rest_b)


def depths(side: Side) -> dict[str, int | None]:
    """The depth of each network, by its name without the seed, as the Record's facts have it."""
    known: dict[str, int | None] = {}
    for name, facts in side.record.networks.items():
        depth = facts.get("depth")
        known.setdefault(split(name)[0], depth if isinstance(depth, int) else None)
    return known


def _by_kind(names: list[str], depth: Mapping[str, int | None]) -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault(_kind(name, depth[name]), []).append(name)
    return kinds


def _kind(name: str, depth: int | None) -> str:
    return name if depth is None else re.sub(rf"(?<!\d){depth}(?!\d)", "\0", name)
