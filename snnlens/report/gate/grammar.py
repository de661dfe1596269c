"""The thresholds of a gate, read from a TOML table: whatever is not known is an error.

[gate]              fail_on
[gate.sites]        QUANTITY = { min, max, drop, rise, where, except, missing, severity }
[gate.tables.NAME]  COLUMN = the same, for each row of NAME.csv of the run folder
[gate.claims]       required, ignore
[gate.findings]     ignore, judge
[gate.baseline]     tolerance, quantities, missing
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from snnlens import registry
from snnlens.errors import InputError
from snnlens.recording.result import SEVERITIES, Severity
from snnlens.report.gate.case import FAIL_ON
from snnlens.report.gate.words import visible, wrong

Where = tuple[tuple[str, tuple[Any, ...]], ...]
Missing = Literal["fail", "skip"]
SITES = ""  # in the place of a table's name: the sites; a table of a run folder has one
TOLERANCE = 0.05
LIMITS = ("min", "max", "drop", "rise")
BOUND_KEYS = (*LIMITS, "where", "except", "missing", "severity")


@dataclass(frozen=True)
class Bound:
    """A threshold: one quantity at each site, or one column at each row of a table."""

    table: str
    quantity: str
    limits: tuple[tuple[str, float], ...]
    where: Where = ()
    but: Where = ()
    missing: Missing = "fail"
    severity: Severity = "error"
    said_in: str = ""  # where it stands, for a message

    @property
    def name(self) -> str:
        """`firing_rate`; of another table than the sites `TABLE.COLUMN`."""
        return self.quantity if self.table == SITES else f"{self.table}.{self.quantity}"

    @property
    def text(self) -> str:
        """`min 0.001, max 0.9`."""
        return ", ".join(f"{limit} {value:g}" for limit, value in self.limits)

    @property
    def compares(self) -> bool:
        """Whether it needs a baseline."""
        return any(limit in ("drop", "rise") for limit, _ in self.limits)


@dataclass(frozen=True)
class Rules:
    """Everything that a gate may be told, with what it does when it is told nothing."""

    source: str = ""
    fail_on: str = "error"
    bounds: tuple[Bound, ...] = ()
    required: tuple[str, ...] = ()
    ignored_claims: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    only_new: bool = False
    tolerance: float = TOLERANCE
    compared: tuple[str, ...] = ()
    missing: Missing = "fail"


def rules(table: Any, source: str = "") -> Rules:
    """Read a `[gate]` table; `source` names its file in messages.

    >>> made = rules({"sites": {"silent_share": {"max": 0.1}}})
    >>> made.bounds[0].name, made.bounds[0].text
    ('silent_share', 'max 0.1')
    >>> rules({"sites": {"silent_share": {"mx": 0.1}}})
    Traceback (most recent call last):
    snnlens.errors.InputError: a key of [gate.sites] silent_share must be one of min, max, drop,
    rise, where, except, missing, severity; got 'mx'; did you mean max?
    """
    read = _Reader(source)
    gate = read.table(table, "[gate]", ("fail_on", "sites", "tables", "claims", "findings",
                                        "baseline"))  # fmt: skip
    made = Rules(source, bounds=_bounds(gate, read))
    if "fail_on" in gate:
        made = replace(made, fail_on=read.one_of(gate["fail_on"], FAIL_ON, "fail_on", "[gate]"))
    return _baseline(_findings(_claims(made, gate, read), gate, read), gate, read)


def _bounds(gate: Mapping[str, Any], read: _Reader) -> tuple[Bound, ...]:
    made = []
    if "sites" in gate:
        made += _of_table(gate["sites"], SITES, "[gate.sites]", read)
    if "tables" in gate:
        for name, table in read.table(gate["tables"], "[gate.tables]").items():
            made += _of_table(table, name, f"[gate.tables.{visible(name)}]", read)
    return tuple(made)


def _of_table(table: Any, name: str, place: str, read: _Reader) -> list[Bound]:
    made = []
    for quantity, given in read.table(table, place).items():
        several = given if isinstance(given, list) and given else [given]
        here = f"{place} {visible(quantity)}"
        made += [_bound(one, name, quantity, read, here) for one in several]
    return made


def _bound(given: Any, table: str, quantity: str, read: _Reader, place: str) -> Bound:
    """One threshold: at least one limit, no limit that contradicts another."""
    keys = read.table(given, place, BOUND_KEYS)
    limits = {k: read.number(keys[k], k, place) for k in LIMITS if k in keys}
    if not limits:
        raise read.error(place, list(keys), "with min, max, drop or rise")
    if limits.get("min", -math.inf) > limits.get("max", math.inf):
        raise read.error(f"min of {place}", limits["min"], f"at most its max {limits['max']:g}")
    for change in ("drop", "rise"):
        if limits.get(change, 0) < 0:
            raise read.error(f"{change} of {place}", limits[change], "at least 0")
    return Bound(
        table, quantity, tuple(limits.items()),
        where=read.where(keys.get("where"), f"where of {place}"),
        but=read.where(keys.get("except"), f"except of {place}"),
        missing=read.one_of(keys.get("missing", "fail"), ("fail", "skip"), "missing", place),
        severity=read.one_of(keys.get("severity", "error"), SEVERITIES, "severity", place),
        said_in=f"{place}{read.of}",
    )  # fmt: skip


def _claims(made: Rules, gate: Mapping[str, Any], read: _Reader) -> Rules:
    if "claims" not in gate:
        return made
    place = "[gate.claims]"
    keys = read.table(gate["claims"], place, ("required", "ignore"))
    required, ignored = (
        read.names(keys[k], k, place) if k in keys else () for k in ("required", "ignore")
    )
    for both in required:
        if both in ignored:
            raise read.error(f"ignore of {place}", both, "without the ids that are required")
    return replace(made, required=required, ignored_claims=ignored)


def _findings(made: Rules, gate: Mapping[str, Any], read: _Reader) -> Rules:
    if "findings" not in gate:
        return made
    place = "[gate.findings]"
    keys = read.table(gate["findings"], place, ("ignore", "judge"))
    judge = read.one_of(keys.get("judge", "all"), ("all", "new"), "judge", place)
    ignored = read.names(keys["ignore"], "ignore", place) if "ignore" in keys else ()
    return replace(made, only_new=judge == "new", ignored=codes(ignored, f"{place}{read.of}"))


def codes(given: Sequence[str], place: str) -> tuple[str, ...]:
    """Codes of findings, each of which exists.

    >>> codes(["SNL205"], "ignore"), codes([], "ignore")
    (('SNL205',), ())
    """
    known = [registry.plugin("checks", n).code for n in registry.listing("checks")] if given else []
    for code in given:
        if code not in known:
            raise wrong(f"ignore of {place}", code, sorted(known), "a code of a finding")
    return tuple(given)


def _baseline(made: Rules, gate: Mapping[str, Any], read: _Reader) -> Rules:
    if "baseline" not in gate:
        return made
    place = "[gate.baseline]"
    keys = read.table(gate["baseline"], place, ("tolerance", "quantities", "missing"))
    tolerance = read.number(keys.get("tolerance", TOLERANCE), "tolerance", place)
    if tolerance < 0:
        raise read.error(f"tolerance of {place}", tolerance, "at least 0")
    names = read.names(keys["quantities"], "quantities", place) if "quantities" in keys else ()
    missing = read.one_of(keys.get("missing", "fail"), ("fail", "skip"), "missing", place)
    return replace(made, tolerance=tolerance, compared=names, missing=missing)


class _Reader:
    """Reads values of a TOML file, and says in which file a wrong one stands."""

    def __init__(self, source: str) -> None:
        self.of = f" of {source}" if source else ""

    def error(self, what: str, got: object, wanted: str) -> InputError:
        return InputError(visible(what) + self.of, got=got, wanted=wanted)

    def table(self, value: Any, place: str, keys: Sequence[str] = ()) -> Mapping[str, Any]:
        """A table that is not empty and has no other key than those, if some are given."""
        if not isinstance(value, dict):
            like = ", such as { max = 0.1 }" if keys == BOUND_KEYS else ""
            raise self.error(place, value, f"a table{like}")
        if not value:
            raise self.error(place, "an empty table", "a table with at least one key")
        for key in value:
            if keys and key not in keys:
                raise wrong(f"a key of {place}{self.of}", key, keys)
        return value

    def number(self, value: Any, key: str, place: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
            raise self.error(f"{key} of {place}", value, "a finite number")
        return float(value)

    def one_of(self, value: Any, known: Sequence[str], key: str, place: str) -> Any:
        if value not in known:
            raise wrong(f"{key} of {place}{self.of}", value, known)
        return value

    def names(self, value: Any, key: str, place: str) -> tuple[str, ...]:
        if not (isinstance(value, list) and value and all(isinstance(v, str) for v in value)):
            raise self.error(f"{key} of {place}", value, "a list of at least one name")
        return tuple(value)

    def where(self, value: Any, place: str) -> Where:
        """Columns and the values that a row has there: text with * and ?, numbers, flags."""
        if value is None:
            return ()
        made = []
        for column, wanted in self.table(value, place).items():
            several = wanted if isinstance(wanted, list) else [wanted]
            if not several or not all(isinstance(v, str | int | float) for v in several):
                raise self.error(f"{visible(column)} of {place}", wanted, "a value or a list")
            made.append((column, tuple(several)))
        return tuple(made)


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float holds
        return False
