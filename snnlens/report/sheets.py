"""A table of a run with what the page says about it; cut to its worst rows where it must be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from snnlens.report import tables
from snnlens.report.columns import column
from snnlens.report.tables import Mark, Part, Table
from snnlens.report.text import plural

MOST_ROWS = 200  # of a table that made a page too large
NEVER_WHOLE = 10_000  # rows of 200 bytes and more: beyond the 2 MB of a page
# What a run is ranked by, and whether its largest value is the worst. The first that is there.
RANKED = {
    "equal": False,
    "gradient_norm": False,
    "identity_error": True,
    "points_below_ann": True,
    "rms_total": True,
    "top1_max": False,
    "test_loss": True,
    "deletion_pixels": True,
    "silent_share": True,
    "firing_rate_output": False,
    "firing_rate": False,
}


@dataclass(frozen=True)
class Sheet:
    """One table of a run.

    Attributes:
        id: what its parts and controls are named by in the page.
        name: what stands above it.
        frame: its rows, all of them.
        table: as it is shown.
        marks: links and findings of its rows, by index.
        units: of columns that only the Record knows.
        note: how much of it is shown, where that is not all.
    """

    id: str
    name: str
    frame: pd.DataFrame
    table: Table
    marks: Mapping[int, Mark]
    units: dict[str, str]
    note: str = ""
    kept: frozenset[int] | None = None  # the rows that are shown; None: all

    @property
    def parts(self) -> list[Part]:
        """The rows of each network."""
        return self.table.parts

    @property
    def names(self) -> list[str]:
        """The networks of all its rows, shown or not."""
        if not self.table.grouped or "network" not in self.frame:
            return [part.name for part in self.parts]
        return [str(n) for n in self.frame["network"].drop_duplicates()]

    @property
    def begin(self) -> int:
        """Which network the reader sees first: one with findings, if any has them."""
        found = [self.names.index(part.name) for part in self.parts if part.found]
        shown = [self.names.index(part.name) for part in self.parts]
        return min(found or shown, default=0)

    @property
    def hint(self) -> str:
        """What a reader may filter its rows by."""
        if "block_kind" in self.frame:
            return "layer3 or downsample"
        return "layer3" if "site" in self.frame else "a word of the row"

    @property
    def rows(self) -> int:
        """Rows shown."""
        return sum(len(part.rows) for part in self.parts)

    @property
    def found(self) -> int:
        """Rows shown that have findings."""
        return sum(part.found for part in self.parts)

    @property
    def size(self) -> int:
        """Bytes of its rows in the page."""
        return sum(len(row.encode()) for part in self.parts for row in part.rows)

    def row_id(self, index: int) -> str:
        """The id of a row, empty where it is not shown or nothing leads to it."""
        if self.kept is not None and index not in self.kept:
            return ""
        mark = self.marks.get(index)
        return mark.id if mark else ""


def sheet(
    id_: str,
    name: str,
    frame: pd.DataFrame,
    units: dict[str, str] | None = None,
    marks: Mapping[int, Mark] | None = None,
) -> Sheet:
    """A whole table; one of so many rows that no page takes them is cut here.

    >>> sheet("run-a-t0", "", pd.DataFrame({"block": [0, 1], "k": [1, 0]})).rows
    2
    """
    marks = marks or {}
    shown = frame if len(frame) <= NEVER_WHOLE else frame.iloc[:1]
    made = Sheet(id_, name, frame, tables.table(shown, units, marks), marks, units or {})
    return made if shown is frame else worst(made)


def worst(whole: Sheet, most: int = MOST_ROWS) -> Sheet:
    """A table cut to its worst rows, in their old order: those with findings, then by rank."""
    if (len(whole.frame) if whole.kept is None else whole.rows) <= most:
        return whole
    by = next((c for c in RANKED if c in whole.frame and whole.frame[c].notna().any()), None)
    order = _ranking(whole, by)
    said = _said(by)
    note = f"The page would be too large: the {most} worst of {plural(len(order), 'row')} are here"
    return _kept(whole, order[:most], f"{note}, {said}.")


def _ranking(whole: Sheet, by: str | None) -> list[int]:
    """The indices of a table, the worst first; equals and rows without a number as they come."""
    frame = whole.frame
    flagged = [not (m := whole.marks.get(i)) or not m.flag for i in frame.index]
    keys = pd.DataFrame({"quiet": flagged}, index=frame.index)
    if by is not None:
        keys["value"] = pd.to_numeric(frame[by]).astype(float) * (-1 if RANKED[by] else 1)
    keys = keys.sort_values([str(key) for key in keys], kind="stable", na_position="last")
    return [int(i) for i in keys.index]


def _said(by: str | None) -> str:
    if by is None:
        return "rows with findings before the first ones"
    if by == "equal":
        return "rows with findings first, then those whose numbers differ"
    most = "largest" if RANKED[by] else "smallest"
    return f"rows with findings first, then those of the {most} {column(by, {}).full}"


def _kept(whole: Sheet, indices: Sequence[int], note: str) -> Sheet:
    kept = frozenset(indices)
    rows = whole.frame[whole.frame.index.isin(kept)]
    shown = tables.table(rows, whole.units, whole.marks)
    return replace(whole, table=shown, note=note, kept=kept)
