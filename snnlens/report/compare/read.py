"""The runs that are compared: read, given a letter each, checked to answer one question."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from snnlens.errors import InputError
from snnlens.recording import store
from snnlens.recording.record import Record
from snnlens.recording.result import Claim, Finding, Result
from snnlens.recording.tables import MOST_ROWS

LETTERS = "ABCDEFG"  # as many as there are lines that one tells apart
RESULT, RECORDED, FACTS = "result", "record", "facts"  # the first table; one made of the facts
# Facts of a network that are fractions and were chosen; the others were measured.
CHOSEN = (
    "threshold", "alpha", "tau", "tau_steps", "leak", "gain", "reset_potential", "slope",
    "initial_potential", "surrogate_at_spike", "surrogate_at_silence", "learning_rate",
)  # fmt: skip
# Tables that hold pixels, single neurons or facts of others: nothing that a change is read from.
DRAWN = (
    "frames", "inputs", "rasters", "membranes", "shapes", "shown", "pairs", "coverage", "published",
)  # fmt: skip


@dataclass(frozen=True)
class Side:
    """One run: A is what the others are compared with.

    Attributes:
        letter: A, B, C ...
        name: the last part of its folder's path, with a number where two are called the same.
        record: what was measured.
        result: what was made of it; None of a Record alone.
        tables: what is compared, by name; the first is the result's, or the Record's.
    """

    letter: str
    name: str
    record: Record
    result: Result | None
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def claims(self) -> list[Claim]:
        """None of a Record alone."""
        return self.result.claims if self.result else []

    @property
    def findings(self) -> list[Finding]:
        """None of a Record alone."""
        return self.result.findings if self.result else []

    @property
    def units(self) -> dict[str, str]:
        """The unit of each quantity of the Record."""
        return {n: q.unit for s in self.record.schemas.values() for n, q in s.quantities.items()}


def read(folders: Sequence[Path]) -> list[Side]:
    """The runs in the order given."""
    _check_number(folders)
    found = [store.load_both(f) for f in folders]
    return sides(_names(folders), found)


def sides(names: Sequence[str], found: Sequence[tuple[Result | None, Record]]) -> list[Side]:
    """The same of runs that were read already."""
    _check_question([result for result, _ in found])
    whole = all(result for result, _ in found)
    made = []
    for letter, name, (result, record) in zip(LETTERS, names, found, strict=False):
        tables = _tables(result) if whole and result else {RECORDED: _recorded(record)}
        facts = _facts(record)
        tables |= {FACTS: facts} if len(facts.columns) > 1 else {}
        made.append(Side(letter, name, record, result, tables))
    return made


def flat(facts: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested facts under dotted names; lists of fractions are left out.

    >>> flat({"packages": {"numpy": "2.4"}, "depth": 18, "rates": [0.2, 0.1]})
    {'packages.numpy': '2.4', 'depth': 18}
    """
    made: dict[str, Any] = {}
    for name, value in facts.items():
        if isinstance(value, Mapping):
            made |= flat(value, f"{before}{name}.")
        elif not (isinstance(value, list | tuple) and any(isinstance(v, float) for v in value)):
            made[f"{before}{name}"] = value
    return made


def measured(name: str, value: Any) -> bool:
    """Whether a fact of a network was measured: its loss, its accuracy."""
    return isinstance(value, float) and name not in CHOSEN


def _facts(record: Record) -> pd.DataFrame:
    """A row per network, a column per measured fact."""
    rows = [
        {"network": name} | {n: v for n, v in flat(facts).items() if measured(n, v)}
        for name, facts in record.networks.items()
    ]
    return pd.DataFrame(rows, columns=None if rows else ["network"])


def _check_number(folders: Sequence[Path]) -> None:
    if not 2 <= len(folders) <= len(LETTERS):
        raise InputError(
            "RUN", got=len(folders), wanted=f"2 to {len(LETTERS)} run folders",
            do="snnlens compare RUN_A RUN_B",
        )  # fmt: skip


def _check_question(results: Sequence[Result | None]) -> None:
    questions = list(dict.fromkeys(r.question for r in results if r))
    if len(questions) > 1:
        raise InputError(
            "the runs", got=" and ".join(questions), wanted="answers to one question",
            do="compare gradients with gradients, rates with rates",
        )  # fmt: skip


def _names(folders: Sequence[Path]) -> list[str]:
    lasts = [Path(os.path.abspath(f)).name for f in folders]  # noqa: PTH100 - follows no links
    seen = [lasts[: i + 1].count(last) for i, last in enumerate(lasts)]
    return [last if n == 1 else f"{last} ({n})" for last, n in zip(lasts, seen, strict=True)]


def _tables(result: Result) -> dict[str, pd.DataFrame]:
    further = {n: t for n, t in result.extra.items() if n not in DRAWN}
    for name, table in further.items():
        if len(table) > MOST_ROWS:
            most = f"of at most {MOST_ROWS:,} rows, to be compared"
            raise InputError(f"the table {name}", got=f"{len(table):,} rows", wanted=most)
    places = _places(result.record)
    return {n: _placed(t, places) for n, t in {RESULT: result.table, **further}.items()}


def _recorded(record: Record) -> pd.DataFrame:
    """Per network and site, its quantities and what says where it lies."""
    frame = record.frame()
    asked = [q for s in record.schemas.values() for q in s.quantities]
    return frame[["network", "site", *(c for c in ("block", "stage", *asked) if c in frame)]]


def _places(record: Record) -> pd.DataFrame | None:
    if not {"block", "stage"} <= set(record.sites):
        return None
    return record.sites.drop_duplicates(["network", "site"])[["network", "site", "block", "stage"]]


def _placed(table: pd.DataFrame, places: pd.DataFrame | None) -> pd.DataFrame:
    """A table of sites says of each which block and stage it lies in."""
    if places is None or not {"network", "site"} <= set(table) or "block" in table:
        return table
    more: Any = places.drop(columns=[c for c in ("stage",) if c in table])
    return table.merge(more, on=["network", "site"], how="left")
