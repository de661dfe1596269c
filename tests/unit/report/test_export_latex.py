"""LaTeX of a run: what a reader of it would set, and that no text of a user is a command."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from snnlens.recording import store
from snnlens.recording.result import Result
from snnlens.report.export import Options, _tex, _tex_columns, latex
from snnlens.report.export._tex_table import Titled, table
from tests.unit.report import hostile, sample
from tests.unit.report.tex import read, rows, sound, value
from tests.unit.runs import saved

QUESTIONS = ["gradients", "rates", "identity", "checkup"]


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A result that nobody measured has tables and no Record to draw from."""
    monkeypatch.setattr(latex, "_figure", lambda _: ({}, []))


def small(**changes: Any) -> Result:
    """A result of one small network."""
    return sample.result(sample.table(sample.NETWORKS[:1], 4), **changes)


# --- tables ------------------------------------------------------------------------------------

TITLED = Titled("A caption", "tab:x", "result.csv")


def test_the_rows_and_numbers_are_those_of_the_table() -> None:
    frame = sample.table(sample.NETWORKS[:1], 12).drop(columns="network")
    text = table(frame, TITLED, {})
    sound(text)
    made = rows(text)
    assert len(made) == 12
    order = [c.name for c in _tex_columns.chosen(frame, set(), {}).cells]
    assert {"block", "gradient_norm", "factor"} <= set(order)
    for name, shown in zip(order, zip(*made, strict=True), strict=True):
        if name == "block_kind":
            assert list(shown) == frame[name].tolist()
        else:  # four digits of the smallest number of the column
            np.testing.assert_allclose([value(cell) for cell in shown], frame[name], rtol=6e-4)


def test_units_stand_in_the_headings() -> None:
    frame = sample.table(sample.NETWORKS[:1], 5).drop(columns="network")
    head = table(frame, TITLED, {}).partition(r"\toprule")[2].partition(r"\midrule")[0]
    assert "Gradient norm" in head
    assert "(loss per spike)" in head
    assert r"\cmidrule(lr)" in head
    unknown = table(pd.DataFrame({"mine": [0.5, 0.25]}), TITLED, {"mine": "spikes_per_x"})
    assert r"(spikes\_per\_x)" in unknown


def test_what_does_not_fit_is_left_out_and_said() -> None:
    frame = pd.DataFrame({f"quantity_{i:02}": np.arange(3) + 0.125 for i in range(40)})
    text = table(frame, TITLED, {})
    sound(text)
    kept, left = (
        len(rows(text)[0]),
        text.partition("Left out for want of room: ")[2].partition("\n")[0],
    )
    assert kept + len(left.split(", ")) == 40
    assert 4 <= kept <= 8
    (spec,) = re.findall(r"\\begin\{tabular\}\{(\w+)\}", text)
    assert len(spec) == kept


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_table_of_a_question_fits(question: str) -> None:
    result = store.load_result(saved(question))
    assert result is not None
    for frame in (result.table, *result.extra.values()):
        made = _tex_columns.chosen(frame, {"network"}, {})
        total = sum(c.width + _tex_columns.GAP for c in made.cells)
        assert total <= _tex_columns.ROOM + _tex_columns.GAP
        everything = {c.meta for c in made.cells} | {m for m, _ in made.same} | set(made.left)
        assert len(everything) >= len(made.cells) > 0


def test_what_is_the_same_everywhere_goes_into_the_caption() -> None:
    frame = pd.DataFrame({"site": ["a", "b"], "factor": [0.5, 0.25], "seed": [3, 3], "k": [2, 2]})
    text = table(frame, TITLED, {})
    assert r"\caption{A caption In all rows: seed 3; k 2 blocks.}" in text
    assert rows(text) == [["a", "0.5000"], ["b", "0.2500"]]


def test_networks_have_their_rows_below_their_names() -> None:
    frame = sample.table(sample.NETWORKS[:2], 3)
    text = table(frame, TITLED, {})
    assert [read(n) for n in re.findall(r"\\emph\{(.*?)\}\} ", text)] == [
        "spiking (zero-init no)", "spiking-zero (zero-init yes)"
    ]  # fmt: skip
    assert len(rows(text)) == 6
    assert "layout imagenet; depth 152; T = 4 steps" in read(text)


def test_where_each_network_is_a_row_its_name_is_the_first_column() -> None:
    frame = pd.DataFrame({"network": ["b", "a"], "block": [0, 0], "top1": [50.0, 60.0]})
    assert rows(table(frame, TITLED, {})) == [["b", "50"], ["a", "60"]]


@pytest.mark.parametrize(("count", "kind"), [(40, "tabular"), (41, "longtable")])
def test_a_long_table_runs_over_several_pages(count: int, kind: str) -> None:
    text = table(pd.DataFrame({"block": range(count), "k": range(count)}), TITLED, {})
    sound(text)
    assert rf"\begin{{{kind}}}" in text
    assert len(rows(text)) == count
    assert text.count("Block") == (2 if kind == "longtable" else 1)


@pytest.mark.usefixtures("undrawn")
def test_a_longer_one_is_cut_to_its_worst_rows_and_says_so(tmp_path: Path) -> None:
    frame = sample.table(sample.NETWORKS, 60)
    made = sample.result(frame)
    text = (
        latex.export(str(sample.save(tmp_path / "run", made, svg="")), Options())
        .files["result.tex"]
        .decode()
    )
    assert "The 200 of 480 rows with the smallest gradient norm (input)." in read(text)
    smallest = frame["gradient_norm"].sort_values(kind="stable").index[:200]
    shown = [int(row[0]) for row in rows(text)]
    assert shown == frame.loc[sorted(smallest), "block"].tolist()


def test_long_names_are_cut_and_sentences_wrap() -> None:
    frame = pd.DataFrame({
        "site": [hostile.LONG, "a"], "reason": ["many words " * 10, hostile.LONG + " and more"]
    })  # fmt: skip
    text = table(frame, TITLED, {})
    sound(text)
    assert "p{0.30" in text
    assert max(len(word) for row in rows(text) for cell in row for word in read(cell).split()) <= 34


def test_missing_numbers_are_dashes_and_empty_columns_are_gone() -> None:
    frame = pd.DataFrame({
        "block": [0, 1], "factor": [np.nan, 0.5], "k": [pd.NA, pd.NA], "connect": [None, "add"],
    })  # fmt: skip
    text = table(frame, TITLED, {})
    assert rows(text) == [["0", "--", "--"], ["1", "0.5000", "add"]]


# --- the folder --------------------------------------------------------------------------------


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_file_of_a_question_is_sound(question: str) -> None:
    files = latex.export(str(saved(question)), Options()).files
    result = store.load_result(saved(question))
    assert result is not None
    wanted = {"result.tex", "caption.tex", "methods.tex", "all.tex", "references.bib",
              "figure.pdf", "figure.svg"}  # fmt: skip
    wanted |= {f"{_tex.file_name(name)}.tex" for name in result.extra}
    assert set(files) - {"claims.tex"} == wanted
    for name in (n for n in files if n.endswith(".tex")):
        sound(files[name].decode())
    assert read(files["caption.tex"].decode()).strip() == f"{result.title} {result.caption}"
    assert files["references.bib"].decode().count("{") == files["references.bib"].decode().count(
        "}"
    )
    for name in re.findall(r"\\input\{(.*?)\}", files["all.tex"].decode()):
        assert f"{name}.tex" in files


@pytest.mark.usefixtures("undrawn")
def test_hostile_texts_are_text(tmp_path: Path) -> None:
    files = latex.export(str(hostile.saved(tmp_path / "run")), Options()).files
    for name in (n for n in files if n.endswith(".tex")):
        sound(files[name].decode())


def test_hostile_names_are_text(tmp_path: Path) -> None:
    run = sample.save(tmp_path / "run", hostile.measured(), svg="")
    files = latex.export(str(run), Options()).files
    assert not [name for name in files if not re.fullmatch(r"[a-z-]+\.(tex|bib|pdf|svg)", name)]
    for name in (n for n in files if n.endswith(".tex")):
        sound(files[name].decode())
    assert "<script" not in files["figure.svg"].decode()
    ET.fromstring(files["figure.svg"].decode())


@pytest.mark.usefixtures("undrawn")
def test_tables_of_one_name_do_not_replace_each_other(tmp_path: Path) -> None:
    frame = pd.DataFrame({"site": ["a"], "factor": [0.5]})
    extra = {"by_x": frame, "by-x": frame, "caption": frame, "claims": frame}
    run = sample.save(tmp_path / "run", small(extra=extra), svg="")
    files = latex.export(str(run), Options()).files
    assert {"by-x.tex", "by-x-2.tex", "caption.tex", "caption-2.tex", "claims.tex",
            "claims-2.tex"} <= set(files)  # fmt: skip
    assert b"tabular" not in files["caption.tex"]


@pytest.mark.usefixtures("undrawn")
def test_an_empty_table_is_said(tmp_path: Path) -> None:
    run = sample.save(tmp_path / "run", small(extra={"none": pd.DataFrame({"a": []})}), svg="")
    said = latex.export(str(run), Options()).files["none.tex"].decode()
    assert said == "% none.csv of the run folder has no rows\n"


SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    """The texts of a drawing, but for its caption."""
    root = ET.fromstring(svg)
    for parent in list(root.iter()):
        for child in [c for c in parent if c.get("id") == "caption"]:
            parent.remove(child)
    return ["".join(text.itertext()).strip() for text in root.iter(f"{SVG}text")]


def test_the_figure_is_the_run_s_without_its_caption() -> None:
    run = saved("gradients")
    made = latex.export(str(run), Options()).files["figure.svg"].decode()
    theirs = (run / "figure.svg").read_text(encoding="utf-8")
    assert texts(made) == texts(theirs)
    assert 'id="caption"' in theirs
    assert 'id="caption"' not in made
    lines = [
        [path.get("d") for path in ET.fromstring(svg).iter(f"{SVG}path")] for svg in (made, theirs)
    ]
    assert len(lines[0]) == len(lines[1])


def test_a_pdf_has_fonts_and_no_date() -> None:
    pdf = latex.export(str(saved("rates")), Options()).files["figure.pdf"]
    assert pdf.startswith(b"%PDF-1.")
    for key in (b"CreationDate", b"Producer", b"Creator", b"/Type3"):
        assert key not in pdf
    assert b"/Image" not in pdf.partition(b"endobj")[0]


def test_letters_that_the_font_has_not_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = Figure()
    figure.text(0.5, 0.5, hostile.NAMES[hostile.NAMES.index("\N{GRINNING FACE} 漢字")])
    analysis = SimpleNamespace(compute=lambda _: small(), draw=lambda _: figure)
    monkeypatch.setattr(latex.registry, "module", lambda *_: analysis)
    made, says = latex._figure(small())
    assert says == [latex.NO_GLYPH]
    assert texts(made["figure.svg"].decode()) == ["\N{GRINNING FACE} 漢字"]  # text stays text


def test_a_unit_that_says_the_same_as_the_label_takes_no_room() -> None:
    """MACs are multiply-accumulates; a heading of one long word left the column out."""
    frame = pd.DataFrame({"formula": ["a", "b"], "additions": [1.0, 2.0], "macs": [3.0, 4.0]})
    (macs,) = [c for c in _tex_columns.chosen(frame, set(), {"macs": "multiply-accumulates"}).cells
               if c.name == "macs"]  # fmt: skip
    assert macs.head == ["MACs"]
    assert macs.meta.full == "MACs"
