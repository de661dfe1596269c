"""Numbers and texts of a run that would fill the memory, or take for ever: bounded, or one line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from snnlens import api
from snnlens.errors import InputError
from snnlens.recording import store, tables
from snnlens.recording.record import Column, Quantity, Record, Schema
from snnlens.report import build, gate, sheets, svg, text
from snnlens.report import tables as shown
from snnlens.report.compare import read as comparing
from snnlens.report.gate import rows as gate_rows
from tests.trust import broken_runs as broken
from tests.trust.tally import Count
from tests.unit.recording.test_store import draw, make_record, make_result
from tests.unit.report import sample

pytestmark = pytest.mark.promise("one-line")
HUGE = 2**40


def table(name: str) -> pd.DataFrame:
    return pd.read_parquet(broken.V1 / name)


# --- numbers of a run ----------------------------------------------------------------------------


def test_a_site_stands_there_once(tmp_path: Path, tally: Count) -> None:
    """A thousand of one site and a thousand steps of it would be joined to a million rows."""
    run, sites = broken.copy(tmp_path), table("record/sites.parquet")
    broken.put_table(run, "record/sites.parquet", pd.concat([sites, sites.iloc[:1]]))
    with pytest.raises(InputError, match=r"sites.parquet must be as written; got 'a site twice'"):
        store.load(run)
    tally("sizes")


def test_the_bins_of_a_histogram_are_as_many_as_its_rows(tally: Count) -> None:
    counts = pd.DataFrame({"network": "n", "site": "s", "bin": [0, 1, 2], "counts": [1, 1, 1]})
    given = {"bins": (0.0, 1.0, HUGE), "low": 0.0}
    quantity = Quantity("share_between", ("counts",), "share", given)
    schema = Schema(("bin",), {"counts": Column()}, {"share": quantity})
    record = Record(
        counts[["network", "site"]].drop_duplicates(), {"h": counts}, {"h": schema}, {"n": {}}, {}
    )
    assert record.frame()["share"].isna().all()
    tally("sizes")


@pytest.mark.parametrize("column", ["pattern", "step", "other_step"])
def test_gram_matrices_are_of_two_to_the_t_trains(
    tmp_path: Path, tally: Count, column: str
) -> None:
    """2^T trains are counted: a step of 40 would be a million million."""
    run, name = broken.copy(tmp_path), "record/pattern_gram.parquet"
    for larger in (lambda n: n + 40, lambda n: n * 0):
        broken.put_table(run, name, table(name).assign(**{column: larger(table(name)[column])}))
        with pytest.raises(InputError, match="Gram matrices of pattern_gram must be 2"):
            api.analyse("gradients", store.load(run))
        tally("sizes")


def test_a_map_is_as_large_as_the_memory_takes(tally: Count) -> None:
    from snnlens.analysis import _attribution_shown

    shapes = pd.DataFrame({"steps": [4], "frames": [4], "height": [34], "width": [34]})
    assert _attribution_shown._drawable(shapes) is shapes
    for name in shapes:
        with pytest.raises(InputError, match="a map must be of at most 1e"):
            _attribution_shown._drawable(shapes.assign(**{str(name): HUGE}))
        tally("sizes")


def test_a_block_of_a_huge_number_has_no_navigator(tmp_path: Path, tally: Count) -> None:
    frame = sample.table(sample.NETWORKS[:1], 6)
    usual = build.build([sample.save(tmp_path / "usual", sample.result(frame), svg="")])
    frame.loc[frame.index[-1], "block"] = HUGE
    page = build.build([sample.save(tmp_path / "huge", sample.result(frame), svg="")])
    assert usual.count('<figure class="navigator"') == 1
    assert page.count('<figure class="navigator"') == 0
    tally("sizes")


# --- many rows -----------------------------------------------------------------------------------


def test_of_a_table_that_no_page_takes_only_the_worst_rows_are_made(
    tally: Count, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    real = shown.table
    monkeypatch.setattr(shown, "table", lambda f, *rest: made.append(len(f)) or real(f, *rest))
    frame = pd.DataFrame({"block": range(sheets.NEVER_WHOLE + 1), "gradient_norm": 1.0})
    assert sheets.sheet("x", "", frame).rows == sheets.MOST_ROWS
    assert max(made) == sheets.MOST_ROWS
    assert sheets.sheet("x", "", frame[1:]).rows == sheets.NEVER_WHOLE
    tally("sizes")


def test_a_table_of_too_many_rows_is_not_gone_through_row_by_row(
    tmp_path: Path, tally: Count, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = store.load_result(broken.V1)
    assert made is not None
    many = len(made.table)
    for module in (comparing, gate_rows):
        monkeypatch.setattr(module, "MOST_ROWS", many)
    made = replace(made, extra={"odd": pd.DataFrame({"x": np.arange(many + 1.0)})})
    run = store.save_run(made, tmp_path / "run", draw)
    assert "the table odd" in broken.call(["compare", str(run), str(run), "-o", "/none/x"])[1]
    path = tmp_path / "my.toml"
    path.write_text("[gate.tables.odd]\nx = { max = 9 }\n")
    with pytest.raises(InputError, match="must be about a table of at most"):
        gate.judge([gate.read(run)], gate.read_rules(path))
    monkeypatch.setattr(tables, "MOST_ROWS", 1)
    with pytest.raises(
        InputError, match=rf"result.parquet must be of at most 1 rows; got '{many} rows'"
    ):
        store.load_result(run)
    tally("sizes", 3)


# --- texts ---------------------------------------------------------------------------------------

LONG = 10**6
SLOW = {  # each once took the search for it the square of its length, hours of a megabyte
    "a style that is a word": f'<text style="fill:{"a" * 900_000}">x</text>',
    "a path of digits": f'<path d="{"1" * 900_000}"/>',
    "scales that do not end": f'<g transform="{"scale(" * 150_000}"/>',
    "numbers that do not end": f"<text>{'1.1' * 300_000}</text>",
}
BAD = {
    "its numbers are none": '<path d="M 1.2345.678 0"/><g transform="scale(1.1.1)"/>',
    "its copies draw more than 200,000 elements": (
        f'<g id="a">{"<path/>" * 999}</g>' + '<use href="#a"/>' * 999
    ),
}


def figure(inside: str) -> str:
    space = 'xmlns="http://www.w3.org/2000/svg"'
    return f'<svg {space} viewBox="0 0 900 900" width="9pt" height="9pt">{inside}</svg>'


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", SLOW)
def test_no_drawing_is_looked_at_for_hours(tmp_path: Path, tally: Count, kind: str) -> None:
    path = tmp_path / "figure.svg"
    path.write_text(figure(SLOW[kind]), encoding="utf-8")
    assert svg.figure(path, "x__", "x").startswith("<svg")
    tally("bombs")


@pytest.mark.parametrize("why", BAD)
def test_a_drawing_that_is_none_is_left_out(tmp_path: Path, tally: Count, why: str) -> None:
    run = sample.save(tmp_path / "run", svg=figure(BAD[why]))
    assert f"figure.svg cannot be shown: {why}." in build.build([run])
    tally("bombs")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("part", ["1.1", "1e", "= 1.", "`a", "/a", "C:\\a\\", "a_", "https://"])
def test_no_text_is_looked_at_for_hours(tally: Count, part: str) -> None:
    whole = part * (LONG // len(part))
    assert len(text.steady(whole)) >= LONG - 10
    assert text.without_paths(whole)
    tally("bombs")


@pytest.mark.parametrize("place", ["network", "site", "caption", "fact"])
def test_a_text_that_utf8_cannot_write_is_refused(tmp_path: Path, tally: Count, place: str) -> None:
    bad, made, record = "a\ud800b", make_result(), make_record()
    if place == "network":
        changed = replace(made, record=replace(record, networks={bad: {}}))
    elif place == "site":
        sites = record.sites.astype({"site": object})
        sites["site"] = pd.Series([bad, "b"], dtype=object)
        changed = replace(made, record=replace(record, sites=sites))
    elif place == "caption":
        changed = replace(made, caption=bad)
    else:
        changed = replace(made, record=replace(record, networks={"net": {"x": [bad]}}))
    with pytest.raises(InputError, match="a name or a text of the run must be text that UTF-8"):
        store.save_run(changed, tmp_path / "run", draw)
    assert not list(tmp_path.iterdir())
    tally("texts refused")


def test_a_network_that_is_not_said_is_one_line(tmp_path: Path, tally: Count) -> None:
    """What no shape tells: sites of a network that run.json does not have."""
    run = broken.copy(tmp_path)
    said = broken.said(run)
    broken.put(run, "run.json", json.dumps(said | {"networks": {}}).encode())
    code, line = broken.answer("rates", run, tmp_path)
    assert code == 2
    assert "what RUN holds must be as snnlens wrote it; got" in line
    assert line.endswith("if nobody changed it, that is a bug of snnlens\n")
    tally("JSON of another shape")
