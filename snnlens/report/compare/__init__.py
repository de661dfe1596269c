"""Two or more runs of one question: what is different, differences first.

    found = compare([Path("runs/a"), Path("runs/b")])
    found.numbers                       # a row per place and quantity: a, b, change, interval
    write([Path("runs/a"), Path("runs/b")], Path("compare.html"))

The first run is A, what the others are compared with. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from snnlens.recording import checked
from snnlens.recording.record import Record
from snnlens.recording.result import Result
from snnlens.report import build as report
from snnlens.report.compare import page as pages
from snnlens.report.compare import read as reading
from snnlens.report.compare.found import Comparison, compared


def compare(runs: Sequence[Path]) -> Comparison:
    """What is different between run folders; the first is A.

    Raises:
        InputError: fewer than two runs, or runs of different questions.
    """
    with checked.reading(*runs):
        return compared(reading.read([Path(run) for run in runs]))


def compare_results(runs: dict[str, Result | Record]) -> Comparison:
    """The same of Results or Records at hand, by name.

    >>> from snnlens.recording.record import empty
    >>> compare_results({"before": empty(), "after": empty()}).equal
    True
    """
    found = [(None, r) if isinstance(r, Record) else (r, r.record) for r in runs.values()]
    return compared(reading.sides(list(runs), found))


def build(runs: Sequence[Path]) -> str:
    """The page. The same runs give the same page."""
    return pages.page(compare(runs))


def write(runs: Sequence[Path], output: Path, *, force: bool = False) -> Comparison:
    """Write the page, whole or not at all; what it shows."""
    with report.place(output, force=force):
        found = compare(runs)
        with checked.reading(*runs):
            page = pages.page(found)
        report.put(output, {output: page})
    return found
