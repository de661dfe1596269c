"""What a notebook shows of a Result, a Record and a Finding."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from snnlens.recording.record import empty
from snnlens.report import build, rich
from tests.unit.report import hostile, sample
from tests.unit.runs import answered

VOID = {"br", "hr", "img", "input", "meta", "link", "path", "circle"}


class Shown(HTMLParser):
    """Tags, attributes and texts; every element that opens has to close."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(k, v or "") for k, v in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(k, v or "") for k, v in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


def safe(html: str) -> Shown:
    """What holds of everything that is shown."""
    shown = Shown(html)
    assert not {"script", "iframe", "object", "img", "link", "form", "input"} & set(shown.tags)
    assert shown.tags.count("style") == 1
    names = {name for name, _ in shown.attributes}
    assert not names & {"id", "aria-labelledby", "src", "style", "tabindex", "for"}
    assert not [name for name in names if name.startswith("on")]
    assert all(v.startswith("http") for n, v in shown.attributes if n == "href")
    assert len(html) < 300_000
    return shown


def seen(shown: Shown) -> str:
    return " ".join(shown.text.split())


@pytest.mark.parametrize("question", ["gradients", "checkup", "identity", "train"])
def test_a_result_of_a_run(question: str) -> None:
    result = answered(question)
    shown = safe(rich.html_of_result(result))
    assert result.title in seen(shown)
    for claim in result.claims:
        assert claim.id in shown.text
    for finding in result.findings:
        assert finding.code in shown.text
    safe(rich.html_of_record(result.record))


def test_a_result_has_the_numbers_of_its_table() -> None:
    made = sample.result(sample.table(sample.NETWORKS[:2], 6))
    shown = safe(rich.html_of_result(made))
    assert shown.tags.count("table") == 1 + 2  # claims, a table per network
    for rate in made.table["firing_rate_input"]:
        assert f"{rate:.4f}" in shown.text
    assert "6 claims: 4 hold, 1 fails, 1 not testable; 3 findings: 1 error" in seen(shown)
    assert made.caption in seen(shown)
    assert "How to read it" in shown.text


def test_a_long_table_is_cut_and_says_so() -> None:
    """ResNet-152: nine networks of 50 blocks."""
    made = sample.result(sample.table([*sample.NETWORKS, ("spiking-zero-t1", "spiking", True)]))
    html = rich.html_of_result(made)
    shown = safe(html)
    assert len(made.table) == 450
    rows = sum(len(p.rows) for p in rich._table(made.table, made.record)[0])
    assert rows == rich.MOST_ROWS
    said = f"The {rich.MOST_ROWS} of 450 rows with the smallest gradient norm (input)."
    assert f"{said} The others are in .frame()." in seen(shown)
    assert len(html) < 100_000


def test_the_worst_rows_are_shown() -> None:
    made = sample.result(
        sample.table(sample.NETWORKS[4:5], 60)
    )  # sew-and: 12 blocks have no gradient
    text = seen(safe(rich.html_of_result(made)))
    smallest = made.table["gradient_norm"].sort_values(kind="stable").head(rich.MOST_ROWS)
    assert (smallest == 0).sum() == 12
    assert text.count("silent") >= 12


def test_a_record_says_what_it_holds() -> None:
    record = answered("gradients").record
    shown = safe(rich.html_of_record(record))
    assert f"Record of {len(record.networks)} networks, {len(record.sites)} sites" in seen(shown)
    for name in [*record.networks, *record.tables]:
        assert name in shown.text
    assert "Firing rate" in shown.text
    assert "No rows." in seen(safe(rich.html_of_record(empty())))


def test_a_finding_is_the_entry_of_the_page() -> None:
    finding = sample.FINDINGS[1]
    shown = safe(rich.html_of_finding(finding))
    for said in (finding.code, finding.severity, finding.site, finding.evidence, finding.why,
                 finding.next, finding.reference):  # fmt: skip
        assert str(said) in seen(shown)
    page = build._render("rich", style="", **dict.fromkeys(
        ("title", "summary", "caption", "claims", "parts", "said", "notes", "hint"), ""
    ), more_findings=0, entries=rich.entries([rich._case(finding)]))  # fmt: skip
    entry = re.compile(r"<li.*</li>", re.DOTALL)
    drawn = rich._ICON.sub("", entry.findall(str(page))[0])
    here = re.sub(
        r'<svg class="icon".*?</svg>', "", entry.findall(rich.html_of_finding(finding))[0]
    )
    assert here == drawn


def test_icons_are_drawn_and_not_referred_to() -> None:
    html = rich.html_of_result(sample.result(sample.table(sample.NETWORKS[:1], 4)))
    assert "<use" not in html
    assert set(rich._icons()) == {"error", "fails", "warning", "note", "holds", "not-testable"}
    for name in rich._icons():
        assert rich._icons()[name] in html


@pytest.mark.parametrize("name", hostile.NAMES)
def test_no_name_is_markup(name: str) -> None:
    finding = hostile.findings()[hostile.NAMES.index(name)]
    shown = safe(rich.html_of_finding(finding))
    said = f"{name}: 0 spikes".replace("`", "")  # what stands in backticks is set as code
    assert " ".join(said.split()) in seen(shown).replace("`", "")


def test_no_name_of_a_result_is_markup() -> None:
    made = hostile.result()
    shown = safe(rich.html_of_result(made))
    assert hostile.SCRIPT in shown.text
    assert f"and {len(hostile.NAMES) - rich.MOST_ENTRIES} more diagnoses" in seen(shown)
    safe(rich.html_of_record(made.record))


def test_shown_twice_nothing_clashes_and_the_bytes_are_the_same() -> None:
    made = sample.result(sample.table(sample.NETWORKS[:1], 4))
    one, other = rich.html_of_result(made), rich.html_of_result(replace(made))
    assert one == other
    assert 'id="' not in one


def test_every_rule_of_the_style_is_scoped() -> None:
    style = build._file("rich.css")
    for rule in re.findall(r"([^{}]+)\{", style):
        for selector in rule.split(","):
            assert ".snnlens" in selector, selector
    assert "url(" not in style
    assert "@import" not in style
