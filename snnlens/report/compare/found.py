"""The comparison of runs as one plain object of frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from snnlens.report.compare import numbers, said
from snnlens.report.compare import read as reading
from snnlens.report.compare.align import Aligned, align
from snnlens.report.compare.read import Side

TIME = "time"  # of settings: differs between any two runs, and is no difference


@dataclass(frozen=True)
class Comparison:
    """What is different between A and each other run, as frames.

    Attributes:
        question: what the runs answer; `record` where they were compared by their Records.
        sides: the runs with their letters.
        claims: a row per claim and run: verdict and number in A and there; what: verdict, number,
            new, gone or same.
        findings: a row per finding and run, by code and site; what: new, gone, changed or same.
        numbers: a row per place, quantity and run: a, b, change (b - a, or b / a where scale is
            ratio), the ends of its 95 % interval, how that was made or why there is none.
        summary: the same of the mean over all places, a row per network and quantity.
        words: texts, and yes and no, that changed.
        settings: parameters, provenance and facts that are not the same, a column per run.
        alignment: how the rows were set against each other, in words.
        unaligned: what could not be: only in A or only in the other run.
        aligned: the tables behind it.
    """

    question: str
    sides: list[Side]
    claims: pd.DataFrame
    findings: pd.DataFrame
    numbers: pd.DataFrame
    summary: pd.DataFrame
    words: pd.DataFrame
    settings: pd.DataFrame
    alignment: pd.DataFrame
    unaligned: pd.DataFrame
    aligned: list[Aligned]

    @property
    def equal(self) -> bool:
        """Whether nothing is different but the time at which the runs were made."""
        other = self.settings[self.settings["kind"] != TIME]
        changed = [self.numbers["differs"].any(), len(self.words), len(self.unaligned), len(other)]
        told = [(f["what"] != "same").any() for f in (self.claims, self.findings)]
        return not any(map(bool, [*changed, *told]))

    def as_json(self) -> dict[str, Any]:
        """All frames as lists of rows; numbers that are none are null once dumped."""
        frames = (
            "claims", "findings", "summary", "numbers", "words", "settings", "alignment",
            "unaligned",
        )  # fmt: skip
        runs = [{"letter": s.letter, "name": s.name} for s in self.sides]
        return {"question": self.question, "runs": runs, "equal": self.equal} | {
            name: getattr(self, name).to_dict(orient="records") for name in frames
        }


def compared(sides: list[Side]) -> Comparison:
    """All differences between the first side and each other."""
    first, others = sides[0], sides[1:]
    shared = [n for n in first.tables if all(n in s.tables for s in others)]
    aligned = [align(name, first, other) for other in others for name in shared]
    return Comparison(
        question=next((s.result.question for s in sides if s.result), reading.RECORDED)
        if all(s.result for s in sides) else reading.RECORDED,
        sides=sides,
        claims=_joined([said.claims(first, other) for other in others]),
        findings=_joined([said.findings(first, other) for other in others]),
        numbers=_each(numbers.numbers, aligned),
        summary=_each(numbers.summary, aligned),
        words=_joined([said.words(one) for one in aligned]),
        settings=said.settings(sides),
        alignment=_alignment(aligned),
        unaligned=_unaligned(sides, aligned),
        aligned=aligned,
    )  # fmt: skip


def _each(
    made: Callable[[Aligned, dict[str, str]], pd.DataFrame], aligned: Sequence[Aligned]
) -> pd.DataFrame:
    """One frame of all tables; a quantity has one scale in all runs."""
    names = dict.fromkeys(one.table for one in aligned)
    scales = {n: numbers.scales([one for one in aligned if one.table == n]) for n in names}
    return _joined([made(one, scales[one.table]) for one in aligned])


def _joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One below the other; those without rows lend their columns alone."""
    filled = [f for f in frames if len(f)]
    return pd.concat(filled, ignore_index=True) if filled else frames[0]


def _alignment(aligned: Sequence[Aligned]) -> pd.DataFrame:
    rows = [
        {"table": one.table, "run": one.side_b.letter, "how": how, "networks": ", ".join(networks)}
        for one in aligned
        for how, networks in one.how.items()
    ]
    return pd.DataFrame(rows, columns=["table", "run", "how", "networks"])


def _unaligned(sides: Sequence[Side], aligned: Sequence[Aligned]) -> pd.DataFrame:
    """What has no counterpart; what networks have in common is one row."""
    merged: dict[tuple[str, str, str, str], list[str]] = {}
    for one in aligned:
        for letter, found in ((sides[0].letter, one.only_a), (one.side_b.letter, one.only_b)):
            for network, what in found:
                key = (one.table, one.side_b.letter, letter, what)
                merged.setdefault(key, []).append(network)
    for side in sides[1:]:
        for mine, other in ((sides[0], side), (side, sides[0])):
            for name in (n for n in mine.tables if n not in other.tables):
                merged[name, side.letter, mine.letter, "the whole table"] = []
    rows = [(*key, ", ".join(networks)) for key, networks in merged.items()]
    return pd.DataFrame(rows, columns=["table", "run", "only_in", "what", "networks"])
