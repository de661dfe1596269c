"""The page of a comparison: whole, escaped, the same bytes, what it says where."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from snnlens.recording.result import Claim, Result
from snnlens.report.compare import build, compare_results, curves, figures, overview, tables
from snnlens.report.compare.found import Comparison
from snnlens.report.compare.page import page
from tests.unit.report import compare_runs as runs
from tests.unit.report import hostile, sample


class Seen(HTMLParser):
    """Tags, ids and links of a page; an unknown nesting is an error."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attrs)
        assert not [name for name in found if name.startswith("on")]
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if tag == "a":
            self.links.append(str(found.get("href")))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def seen(text: str) -> Seen:
    parser = Seen()
    parser.feed(text)
    parser.close()
    return parser


def two(a: Result, b: Result) -> str:
    return page(compare_results({"a": a, "b": b}))


def texts(markup: str) -> str:
    return re.sub(r"\s+", " ", " ".join(seen(markup).text))


def verdict(markup: str) -> str:
    found = re.search(r'<p class="verdict">.*?</p>', markup, re.DOTALL)
    assert found
    return texts(found[0]).strip()


# --- what it says -----------------------------------------------------------------------------


def test_no_difference() -> None:
    made = sample.result()
    shown = two(made, made)
    assert verdict(shown) == (
        "No difference : every claim, finding, number and parameter is the same"
    )
    assert "<figure>" not in shown
    assert '<table class="data' not in shown
    assert texts(shown).count("No difference") >= 4  # claims, findings, numbers, settings


def test_the_first_line_counts() -> None:
    a, b = sample.result(), sample.result()
    b.table.loc[:3, "gradient_norm"] *= 2
    failing = [replace(c, verdict="fails") if c.id == "eq11-flat" else c for c in sample.CLAIMS]
    b = replace(b, claims=failing, findings=sample.FINDINGS[1:])
    given = ["depth", "block", "stage", "area", "k", "time_steps", "samples", "seed"]
    numbers = int(a.table.select_dtypes("number").drop(columns=given).notna().sum().sum())
    assert verdict(two(a, b)) == (
        f"1 claim has another verdict ; findings: 1 gone; 4 of {numbers} numbers differ"
    )
    assert 'class="mark fails"' in two(a, b)


def test_sections_in_order() -> None:
    shown = seen(two(runs.gradients(18), runs.gradients(34)))
    wanted = ["claims", "findings", "numbers-result", "not-run", "provenance"]
    assert [i for i in shown.ids if i in wanted] == wanted
    assert len(set(shown.ids)) == len(shown.ids)
    anchors = [link[1:] for link in shown.links if link.startswith("#")]
    assert set(anchors) <= set(shown.ids)


def test_it_says_how_depths_were_aligned_and_what_was_left() -> None:
    said = texts(two(runs.gradients(18), runs.gradients(34)))
    assert "Aligned: by stage, a block's position in its stage scaled to 0 (first) and 1" in said
    assert "stage 3: 2 against 6" in said
    assert "No intervals: there are no seeds to tell a change from chance by." in said
    assert "Only in B The numbers, spiking: block 1, 4-5, 8-11, 14" in said


def test_seeds_have_their_intervals_on_the_page() -> None:
    a, b = runs.trainings({"x": [1.0, 2.0], "y": [3.0, 4.0]}), runs.trainings(
        {"x": [2.0, 4.0], "y": [3.0, 5.0]})  # fmt: skip
    said = texts(two(a, b))
    assert "Intervals are of 95 %, by t of 2 paired seeds" in said
    assert "−4.853 to +7.853" in said  # 1.5 +- 12.7062 x 0.7071 / sqrt(2)


def test_the_largest_change_comes_first() -> None:
    a, b = runs.gradients(18), runs.gradients(18)
    b.table["gradient_norm"] = a.table["gradient_norm"] * [1, 2.5, 8, 0.01, 1, 3, 0.5, 1]
    found = compare_results({"a": a, "b": b})
    ranked = overview.ranked(found.numbers[found.numbers["quantity"] == "gradient_norm"])
    assert ranked["a_at"].tolist() == [f"block {n}" for n in (3, 2, 5, 1, 6)]
    section = tables.sections(found)[0]
    assert "block 3" in section.rows[0]
    assert "× 0.01" in section.rows[0]
    assert len(section.quantities[0].largest.rows) == 5


def test_claims_side_by_side() -> None:
    a = [Claim("c", "it holds", "s", 0.5, "<= 1", "holds")]
    b = [
        Claim("c", "it holds", "s", 2.0, "<= 1", "fails"),
        Claim("n", "new", "s", None, "", "holds"),
    ]
    shown = two(runs.gradients(18, claims=a), runs.gradients(18, claims=b))
    rows = re.findall(r"<tr role=\"row\"( class=\"failing\")?>(.*?)</tr>", shown, re.DOTALL)
    said = [(bool(failing), texts(cells)) for failing, cells in rows if 'scope="row"' in cells]
    assert said[0][0]
    assert "holds 0.5" in said[0][1]
    assert "fails 2" in said[0][1]
    assert "not in this run" in said[1][1]


# --- figures ----------------------------------------------------------------------------------


def drawn(found: Comparison, quantity: str = "gradient_norm") -> curves.Drawing:
    mine = [one for one in found.aligned if one.table == "result"]
    return curves.drawing(mine, quantity, quantity, [])


def test_a_curve_of_each_run_over_the_stages() -> None:
    a, b = runs.gradients(18), runs.gradients(34)
    made = drawn(compare_results({"a": a, "b": b}))
    (panel,) = made.panels
    assert panel.title == "spiking"
    first, second = panel.curves
    assert first.y == a.table["gradient_norm"].tolist()
    assert second.y == b.table["gradient_norm"].tolist()  # unpaired blocks, too
    assert first.x == pytest.approx([0, 0.9, 1, 1.9, 2, 2.9, 3, 3.9])
    assert second.x[:3] == pytest.approx([0, 0.45, 0.9])
    assert [name for _, name in made.ticks] == ["stage 1", "stage 2", "stage 3", "stage 4"]
    assert made.log


def test_the_artists_hold_the_numbers() -> None:
    a, b = runs.gradients(18, seed=1), runs.gradients(18, seed=2)
    figure = figures.figure(drawn(compare_results({"a": a, "b": b})), {"A": "a", "B": "b"})
    lines = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 8]  # type: ignore[arg-type]
    shown = [list(line.get_ydata()) for line in lines]  # type: ignore[arg-type]
    assert a.table["gradient_norm"].tolist() in shown
    assert b.table["gradient_norm"].tolist() in shown
    assert figure.axes[0].get_yscale() == "log"


def test_a_zero_stands_on_the_floor() -> None:
    a, b = runs.gradients(18), runs.gradients(18)
    b.table.loc[3, "gradient_norm"] = 0.0
    figure = figures.figure(drawn(compare_results({"a": a, "b": b})), {"A": "a", "B": "b"})
    floor = min(
        a.table["gradient_norm"].min(), b.table["gradient_norm"][b.table["gradient_norm"] > 0].min()
    )
    lows = [
        min(line.get_ydata()) for line in figure.axes[0].get_lines() if len(line.get_ydata()) == 8
    ]  # type: ignore[arg-type, type-var]
    assert min(lows) == pytest.approx(floor / 10)
    assert "exactly 0" in [text.get_text() for text in figure.axes[0].texts]


def test_seeds_are_a_mean_with_its_range() -> None:
    a, b = (
        runs.trainings({"x": [1.0, 3.0], "y": [2.0, 2.0]}),
        runs.trainings({"x": [2.0, 4.0], "y": [0.0, 1.0]}),
    )
    made = drawn(compare_results({"a": a, "b": b}), "top1_final")
    (panel,) = made.panels
    assert (panel.curves[0].y, panel.curves[0].low, panel.curves[0].high) == (
        [2, 2],
        [1, 2],
        [3, 2],
    )
    assert made.seeds
    assert not made.joined
    assert made.ticks == [(0.0, "x"), (1.0, "y")]


def test_at_most_so_many_panels_those_with_the_largest_changes() -> None:
    made = [runs.gradients(18, network=f"n{i}", seed=i) for i in range(8)]
    a = replace(made[0], table=pd.concat([m.table for m in made]))
    b = replace(
        a,
        table=a.table.assign(
            gradient_norm=a.table["gradient_norm"] * np.repeat(np.arange(1, 9), 8)
        ),
    )
    found = compare_results({"a": a, "b": b})
    quantity = tables.sections(found)[0].quantities[0]
    assert "Shown are the 6 of 8 panels with the largest changes." in quantity.caption
    titles = re.findall(r"n\d", str(quantity.figure))
    assert titles == ["n7", "n6", "n5", "n4", "n3", "n2"]


# --- bytes, names, sizes ----------------------------------------------------------------------


def test_the_same_runs_give_the_same_bytes(tmp_path: Path) -> None:
    folders = [runs.saved(tmp_path / n, runs.gradients(d)) for n, d in (("a", 18), ("b", 34))]
    first = build(folders)
    assert build(folders) == first
    assert str(tmp_path) not in first


def test_no_names_of_the_runs_become_markup(tmp_path: Path) -> None:
    a = hostile.result()
    b = replace(a, table=a.table.assign(gradient_norm=a.table["gradient_norm"] * 3 + 1,
                                        note=[f"was {n}" for n in a.table["note"]]),
                claims=[replace(c, verdict="holds") for c in a.claims],
                findings=[replace(f, evidence=f"{f.evidence}!") for f in a.findings[:5]],
                )  # fmt: skip
    made = page(compare_results({hostile.SCRIPT: a, hostile.LONG: b}))
    shown = seen(made)
    assert shown.tags.count("script") == 1
    assert "alert(1)</script>" not in made
    assert set(shown.tags) <= ALLOWED
    assert hostile.LONG in made  # in a title, while what is shown is cut


ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "a", "svg", "symbol", "path", "circle",
    "div", "header", "p", "h1", "h2", "h3", "h4", "ul", "ol", "li", "code", "nav", "main",
    "section", "table", "caption", "thead", "tbody", "tr", "th", "td", "span", "i", "dl", "dt",
    "dd", "details", "summary", "figure", "figcaption", "script", "g", "defs", "use", "text",
    "tspan", "rect", "clippath", "b",
}  # fmt: skip


def test_columns_of_any_name() -> None:
    a = runs.gradients(18)
    odd = {name: np.random.default_rng(i).random(8) for i, name in enumerate(hostile.NAMES)}
    a = replace(a, table=a.table.assign(**odd))
    b = replace(a, table=a.table.assign(**{n: v + 1 for n, v in odd.items()}))
    shown = seen(two(a, b))
    assert shown.tags.count("script") == 1
    assert len(set(shown.ids)) == len(shown.ids)


def test_a_large_comparison_stays_below_2_mb() -> None:
    a = sample.result()
    rng = np.random.default_rng(0)
    numbers = a.table.select_dtypes("float")
    b = replace(a, table=a.table.assign(**{c: v * rng.random(len(v)) for c, v in numbers.items()}))
    made = two(a, b)
    assert 8 < made.count("<figure>") <= tables.FIGURES
    assert len(made.encode()) < 2_000_000


@pytest.mark.parametrize("width", [1, 12, 30])
def test_ticks_with_names(width: int) -> None:
    names = [f"network {i} of many" for i in range(width)]
    a = runs.trainings({n: [1.0] for n in names})
    b = runs.trainings({n: [2.0] for n in names})
    made = drawn(compare_results({"a": a, "b": b}), "top1_final")
    assert len(made.ticks) == (width if width <= curves.NAMED else 0)
    figures.figure(made, {"A": "a", "B": "b"})
