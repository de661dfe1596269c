"""Thresholds as keywords of a Python call: `silent_max=0.1`, `firing_rate_min=0.001`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any

from snnlens.errors import InputError
from snnlens.report.gate.case import FAIL_ON
from snnlens.report.gate.file import read
from snnlens.report.gate.grammar import Bound, Rules, codes, rules
from snnlens.report.gate.words import wrong

SHORT = {
    "rate": "firing_rate", "silent": "silent_share", "saturated": "saturated_share",
    "gradient": "gradient_norm",
}  # fmt: skip
ENDS = ("_min", "_max")


def told(
    whose: str,
    limits: Mapping[str, Any],
    *,
    fail_on: str | None = None,
    ignore: Sequence[str] = (),
    where: Any = None,
    but: Any = None,
    config: str | Path | None = None,
) -> Rules:
    """The rules of a call: those of a file, if one is named, and those of its keywords.

    >>> made = told("snnlens_gate", {"silent_max": 0.1}, fail_on="warning", ignore=["SNL207"])
    >>> made.fail_on, made.bounds[0].name, made.ignored
    ('warning', 'silent_share', ('SNL207',))
    """
    made = Rules(source=whose) if config is None else read(Path(config))
    if fail_on not in (None, *FAIL_ON):
        raise wrong(f"fail_on of {whose}", fail_on, FAIL_ON)
    if isinstance(ignore, str):
        raise InputError(f"ignore of {whose}", got=ignore, wanted="a list of codes")
    return replace(
        made,
        fail_on=fail_on or made.fail_on,
        ignored=(*made.ignored, *codes(ignore, whose)),
        bounds=(*made.bounds, *bounds(limits, whose, where, but)),
    )


def bounds(
    given: Mapping[str, Any], whose: str, where: Any = None, but: Any = None
) -> tuple[Bound, ...]:
    """The thresholds of keywords that end in _min and _max; `whose` call it is, for messages.

    >>> [(b.name, b.text) for b in bounds({"silent_max": 0.1, "xi_min": 1}, "snnlens_gate")]
    [('silent_share', 'max 0.1'), ('xi', 'min 1')]
    """
    rows = {k: v for k, v in (("where", where), ("except", but)) if v is not None}
    if rows and not given:
        raise InputError(f"{' and '.join(rows)} of {whose}", got="no threshold",
                         wanted="with one, such as silent_max=0.1")  # fmt: skip
    return tuple(_bound(name, value, rows, whose) for name, value in given.items())


def _bound(name: str, value: Any, rows: Mapping[str, Any], whose: str) -> Bound:
    quantity, _, limit = name.rpartition("_")
    place = f"{name} of {whose}"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputError(place, got=value, wanted="a number")
    quantity = SHORT.get(quantity, quantity)
    made = rules({"sites": {quantity: {limit: float(value), **rows}}}, whose).bounds[0]
    return replace(made, said_in=place)


def split(
    given: Mapping[str, Any], options: Sequence[str], whose: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Thresholds and options; any other keyword is a typo.

    >>> split({"silent_max": 0.1, "mode": "eval"}, ["mode"], "snnlens_gate")
    ({'silent_max': 0.1}, {'mode': 'eval'})
    """
    limits = {k: v for k, v in given.items() if k.endswith(ENDS)}
    others = {k: v for k, v in given.items() if k not in limits}
    for name in others:
        if name not in options:
            known = [*options, *(f"{q}{end}" for q in (*SHORT, *SHORT.values()) for end in ENDS)]
            raise wrong(
                f"a keyword of {whose}", name, known, "an option or QUANTITY_min, QUANTITY_max"
            )
    return limits, others
