"""Words of a gate: text made fit for one line, numbers, and the names nearest to a wrong one."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence

from snnlens.errors import InputError

ALIKE = 0.5  # from so much on (1: equal) a name may be what was meant
LONG = 200  # characters of a name; more are no better known, and take seconds
FEW = 12  # so many names are listed whole; of more, the nearest


def visible(text: object) -> str:
    r"""Text on one line: whatever is not printable is written as an escape.

    >>> print(visible("a\n::error::b"), visible("\x1b[31m"))
    a\n::error::b \x1b[31m
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def spoken(value: float | None) -> str:
    """A number as a line of text shows it.

    >>> spoken(0.1), spoken(float("nan")), spoken(None), spoken(1234567.0)
    ('0.1', 'no finite number', 'no finite number', '1.23457e+06')
    """
    return f"{value:.6g}" if value is not None and math.isfinite(value) else "no finite number"


def near(name: object, known: Iterable[str]) -> list[str]:
    """The known names that are most like a wrong one, the nearest first.

    >>> near("firing_rte", ["firing_rate", "xi"])
    ['firing_rate']
    """
    wanted = str(name).lower()[:LONG]
    alike = {n: difflib.SequenceMatcher(None, wanted, n.lower()).ratio() for n in set(known)}
    best = max(alike.values(), default=0)
    found = sorted((n for n in alike if alike[n] >= max(ALIKE, best - 0.15)),
                   key=lambda n: (-alike[n], n))  # fmt: skip
    return found[:3]


def wrong(what: str, got: object, known: Sequence[str], kind: str = "") -> InputError:
    """A name that is not known: one line with the nearest of those that are.

    >>> print(wrong("a key", "mim", ["max", "min"]))
    a key must be one of max, min; got 'mim'; did you mean min?
    """
    names, nearest = [visible(n) for n in known], [visible(n) for n in near(got, known)]
    few, listed = 0 < len(names) <= FEW, ", ".join(names[:FEW])
    wanted = f"{kind}: {listed}" if kind and few else kind or f"one of {listed}"
    if nearest:
        do = f"did you mean {' or '.join(nearest)}?"
    elif few or not kind:
        do = ""
    else:
        more = f" and {len(names) - FEW} more" if names else ""
        do = f"there are {listed or 'none'}{more}"
    return InputError(visible(what), got=got, wanted=wanted, do=do)
