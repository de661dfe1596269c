"""A table that is cut keeps its worst rows, in their order, and says so."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from markupsafe import Markup

from snnlens.report import sheets
from snnlens.report.tables import Mark


def frame(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"network": "a", "block": range(6), **columns})


def names(made: sheets.Sheet) -> list[int]:
    assert made.kept is not None
    return sorted(made.kept)


def test_rows_with_findings_come_before_the_smallest_norms() -> None:
    table = frame(gradient_norm=[5.0, 1.0, 4.0, np.nan, 2.0, 3.0])
    flagged = {2: Mark("r2", flag=Markup("<a></a>")), 0: Mark("r0")}
    whole = sheets.sheet("s", "", table, marks=flagged)
    made = sheets.worst(whole, 3)
    assert names(made) == [1, 2, 4]
    by_hand = table["gradient_norm"].drop(2).nsmallest(2).index
    assert set(made.kept or ()) == {2, *by_hand}
    assert made.note == (
        "The page would be too large: the 3 worst of 6 rows are here, rows with findings first, "
        "then those of the smallest gradient norm (input)."
    )
    heads = [re.findall(r"<th[^>]*>(\d)", row) for row in made.parts[0].rows]
    assert heads == [["1"], ["2"], ["4"]]


def test_a_large_error_is_worse_than_a_small_one_and_none_is_last() -> None:
    made = sheets.worst(sheets.sheet("s", "", frame(identity_error=[0, 3, 1, 9, None, 2])), 5)
    assert names(made) == [0, 1, 2, 3, 5]
    assert "the largest identity error" in made.note


def test_numbers_that_differ_are_worse_than_equal_ones() -> None:
    made = sheets.worst(
        sheets.sheet("s", "", frame(equal=[True, True, True, False, True, True])), 2
    )
    assert names(made) == [0, 3]


def test_without_a_rank_the_first_rows_stay() -> None:
    made = sheets.worst(sheets.sheet("s", "", frame(odd=range(6))), 2)
    assert names(made) == [0, 1]
    assert made.note.endswith("rows with findings before the first ones.")


def test_a_short_table_is_whole() -> None:
    whole = sheets.sheet("s", "", frame())
    assert sheets.worst(whole, 6) is whole


def test_networks_keep_their_numbers_when_one_is_cut_away() -> None:
    table = pd.DataFrame({
        "network": ["a"] * 3 + ["b"] * 3, "block": [0, 1, 2] * 2,
        "gradient_norm": [9.0, 9, 9, 1, 2, 3],
    })  # fmt: skip
    made = sheets.worst(sheets.sheet("s", "", table), 2)
    assert made.names == ["a", "b"]
    assert [part.name for part in made.parts] == ["b"]
    assert made.begin == 1


def test_a_row_that_is_not_shown_has_no_id() -> None:
    marks = {i: Mark(f"r{i}") for i in range(6)}
    whole = sheets.sheet("s", "", frame(gradient_norm=range(6)), marks=marks)
    assert whole.row_id(5) == "r5"
    assert sheets.worst(whole, 2).row_id(5) == ""
    assert whole.row_id(99) == ""


def test_the_first_network_is_one_with_findings() -> None:
    table = pd.DataFrame({"network": list("aabb"), "block": [0, 1, 0, 1]})
    flagged = {3: Mark("r3", flag=Markup("<a></a>"))}
    assert sheets.sheet("s", "", table).begin == 0
    assert sheets.sheet("s", "", table, marks=flagged).begin == 1
