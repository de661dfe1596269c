"""From a measurement to a verdict; what several questions share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from snnlens.recording.blocks import Network
from snnlens.recording.record import Record
from snnlens.recording.result import Claim


class NotTestable(Exception):
    """Raised by a measurement that this run does not allow; its text is the reason."""


def of_initialisation(networks: Iterable[Network]) -> None:
    """Raise NotTestable where a network that was asked for is missing and one is trained."""
    for network in networks:
        if network.trained:
            reason = f"trained weights ({network.trained}): the claim speaks of initialisation"
            raise NotTestable(reason)


def claim(
    name: str,
    statement: str,
    source: str,
    bound: str,
    measure: Callable[[], tuple[float, bool, str]],
) -> Claim:
    """Measure, and say whether it holds; a number that is not finite fails and says so."""
    try:
        measured, holds, reason = measure()
    except NotTestable as why:
        return Claim(name, statement, source, None, bound, "not-testable", str(why))
    if not math.isfinite(measured):
        reason = f"the measured number is {measured}; {reason}"
        return Claim(name, statement, source, None, bound, "fails", reason)
    return Claim(name, statement, source, measured, bound, "holds" if holds else "fails", reason)


def equal_outputs(record: Record, names: list[str]) -> tuple[float, bool, str]:
    """How many block outputs (site and time step) differ in a bit between networks."""
    if "output_digest" not in record.tables:
        raise NotTestable("the record holds no output_digest")
    table = record.table("output_digest")
    digests = [table[table["network"] == n].set_index(["site", "step"])["digest"] for n in names]
    sites = digests[0].index.get_level_values("site").nunique()
    unequal = [(d != digests[0]) for d in digests[1:]]
    count = sum(int(u.sum()) for u in unequal)
    odd = {s for u in unequal for s in u[u].index.get_level_values("site")}
    where = [s for s in digests[0].index.get_level_values("site").unique() if s in odd]
    reason = f"digests of the bits of {len(names)} networks at {sites} block outputs"
    if where:
        reason += f"; {len(where)} differ, the first {where[0]}"
    return float(count), count == 0, reason
