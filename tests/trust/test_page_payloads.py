"""Nothing that a name, a table or a text holds is more than text in what snnlens writes."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from snnlens import cli
from snnlens.commands._progress import shown
from snnlens.recording import store
from snnlens.recording.result import Result
from snnlens.report import build, companions, compare, rich, svg
from tests.trust.hostile_files import fresh
from tests.trust.payloads import MARKED, PAYLOADS, PLACES, Page, Word, figure, filled, harmless
from tests.trust.tally import Count
from tests.unit.report import sample
from tests.unit.runs import FOLDERS

pytestmark = pytest.mark.promise("nothing-runs-in-the-page")
FEW = 15  # of a page: many networks make a page slow, and one payload needs no other
PARTS = [PAYLOADS[i : i + FEW] for i in range(0, len(PAYLOADS), FEW)]
parts = pytest.mark.parametrize("payloads", PARTS, ids=[str(FEW * i) for i in range(len(PARTS))])
LINK = re.compile(r"#.+|data:text/csv;charset=utf-8,[\w%,:;()+.~/-]*|https?://[^\s\"'<>]+")
MARKDOWN = MarkdownIt("commonmark").enable("table")


@cache
def saved(payloads: tuple[str, ...], word: Word = str) -> Path:
    """A run folder whose every text is a payload, or a harmless word as long as that."""
    return sample.save(Path(tempfile.mkdtemp(dir=FOLDERS.name)) / "run",
                       filled(list(payloads), word), svg="")  # fmt: skip


def both(payloads: list[str]) -> list[Path]:
    """That run, and the one that it must be like."""
    return [saved(tuple(payloads), word) for word in (str, harmless)]


def is_like(page: str, wanted: str) -> bool:
    """Whether two pages have the same elements, attributes, styles, scripts and comments."""
    found, other = Page(page), Page(wanted)
    assert found.elements - other.elements == other.elements - found.elements
    assert found.raw == other.raw
    assert found.styles == other.styles
    return found.comments == other.comments


def is_closed(page: Page) -> bool:
    """Whether no attribute acts and no link leads to anything but a place, a file, an address."""
    names = {name for _, *names in page.elements for name in names}
    assert not [name for name in names if name.startswith("on")]
    assert not [style for style in page.styles if re.search(r"url|expression|@|/\*", style)]
    return all(LINK.fullmatch(link) for link in page.links)


# --- HTML ----------------------------------------------------------------------------------------


@parts
def test_a_report_is_that_of_harmless_names(tally: Count, payloads: list[str]) -> None:
    page, wanted = (build.build([run]) for run in both(payloads))
    assert is_like(page, wanted)
    assert is_closed(Page(page))
    tally("payloads in a place of a report", PLACES * len(payloads))


@pytest.mark.filterwarnings("ignore:Glyph")  # no font has every sign
@parts
def test_a_comparison_is_that_of_harmless_names(
    tmp_path: Path, tally: Count, payloads: list[str]
) -> None:
    pages = []
    for number, run in enumerate(both(payloads)):
        made = store.load_result(run)
        assert made is not None
        other = changed(made, drawn=payloads in PARTS[::3])  # figures take seconds
        other = sample.save(tmp_path / f"{number}b", other, svg="")
        pages.append(compare.build([run, other]))
    assert is_like(*pages)
    assert is_closed(Page(pages[0]))
    tally("payloads in a place of a comparison", PLACES * len(payloads))


def changed(made: Result, *, drawn: bool) -> Result:
    """The same with other numbers, so that each of them is named; some that are `drawn`."""
    factor = 2 if drawn else 1
    numbers = made.table.assign(gradient_norm=factor * made.table["gradient_norm"])
    claims = [replace(c, measured=1.0, verdict="holds") for c in made.claims]
    return replace(made, table=numbers, claims=claims, findings=made.findings[::2])  # type: ignore[arg-type]


@parts
def test_what_a_notebook_shows_is_that_of_harmless_names(tally: Count, payloads: list[str]) -> None:
    made, wanted = filled(payloads), filled(payloads, harmless)
    assert is_like(rich.html_of_result(made), rich.html_of_result(wanted))
    assert is_like(rich.html_of_record(made.record), rich.html_of_record(wanted.record))
    for finding, other in zip(made.findings, wanted.findings, strict=True):
        assert is_like(rich.html_of_finding(finding), rich.html_of_finding(other))
    tally("payloads in a place of a notebook", 3 * len(payloads))


def test_what_is_marked_up_on_purpose_is_code_a_number_or_an_address(tally: Count) -> None:
    page, usual = (Page(build.build([run])) for run in both(MARKED))
    assert is_closed(page)
    assert set(page.elements - usual.elements) <= {
        ("code",), ("span", "class"), ("a", "href", "rel"), ("dt",), ("dd",),
    }  # fmt: skip
    assert {link for link in page.links if link.startswith("http")} == {
        "https://x.example/a?b=1&c=2_8"
    }
    tally("payloads in a place of a report", PLACES * len(MARKED))


@pytest.mark.parametrize("payloads", [PAYLOADS])
def test_a_figure_is_drawing_alone(tmp_path: Path, tally: Count, payloads: list[str]) -> None:
    run = sample.save(tmp_path / "run", svg=figure(payloads))
    page = Page(build.build([run]))
    assert is_closed(page)
    assert not {"foreignobject", "a", "set", "animate", "iframe", "script", "style"} & {
        tag for tag, *_ in Page(str(svg.figure(run / "figure.svg", "x__", "x"))).elements
    }
    tally("payloads in a figure", len(payloads))


@pytest.mark.parametrize("name", ["report", "comparison", "empty"])
def test_the_policy_allows_the_one_script_alone(tally: Count, name: str) -> None:
    run = saved(tuple(PARTS[0]))
    text = compare.build([run, run]) if name == "comparison" else build.build(
        [run] if name == "report" else [], [build.Skipped(p, p) for p in PAYLOADS])  # fmt: skip
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy == (
        "default-src &#39;none&#39;; img-src data:; style-src &#39;unsafe-inline&#39;; "
        f"script-src &#39;sha256-{digest}&#39;"
    )
    assert text.index("Content-Security-Policy") < text.index("<title>")
    tally("pages with a policy")


# --- other formats -----------------------------------------------------------------------------


@parts
def test_a_comment_is_that_of_harmless_names(
    tmp_path: Path, tally: Count, payloads: list[str]
) -> None:
    """Of report.md: no markup, no address, no call of somebody."""
    shown = []
    for run in both(payloads):
        page = fresh(tmp_path) / "page.html"
        beside = companions.write([run], page)
        tokens = MARKDOWN.parse(beside[1].read_text(encoding="utf-8"))
        inline = [t for token in tokens for t in token.children or []]
        kinds = [t.type for t in [*tokens, *inline] if t.type not in {"text", "inline"}]
        shown.append({kind: kinds.count(kind) for kind in kinds if kind != "text_special"})
        assert not [t for t in [*tokens, *inline] if t.type in {"html_block", "html_inline",
                                                                "link_open", "image"}]  # fmt: skip
        json.loads(beside[0].read_text(encoding="utf-8"))
        assert not page.exists()
    assert shown[0] == shown[1]
    tally("payloads in a comment", len(payloads))


@parts
def test_a_csv_file_is_data(tally: Count, payloads: list[str]) -> None:
    """Each cell comes back as it was: a spreadsheet is told to take them as text."""
    run = saved(tuple(payloads))
    with (run / "odd.csv").open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    names = [f"{text}_{i}" for i, text in enumerate(payloads)]
    assert head == ["network", *names]
    assert rows == [[name] * (1 + len(names)) for name in names]
    tally("payloads in a table", len(payloads))


@parts
def test_a_terminal_obeys_no_name(
    tally: Count, payloads: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The summary of a run, and its progress: printable signs, a line for each thing."""
    lines = []
    for word in (str, harmless):
        cli._summary(filled(payloads, word), Path(word(" ".join(payloads))))
        with shown(quiet=False) as progress:
            for text in payloads:
                progress(word(text), 1)()
                progress.announce(word(text.strip()) or "x")
        said = capsys.readouterr()
        lines.append(said.out.split("\n"))
        assert all(line.isprintable() for line in said.out.split("\n"))
        assert all(line.isprintable() for line in said.err.split("\n"))
    assert len(lines[0]) == len(lines[1])
    tally("payloads in a terminal", 3 * len(payloads))
