"""What others tried on pages, in every place of a report that a user's words reach."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playwright.sync_api import Page

from snnlens.recording.record import Record
from snnlens.recording.result import Claim, Finding, Result
from snnlens.report import build
from tests.browser.conftest import browser, page  # noqa: F401 - fixtures
from tests.trust.payloads import PAYLOADS
from tests.trust.tally import Count
from tests.unit.report import sample

IDS = [f"{i:02d}" for i in range(len(PAYLOADS))]


def named(name: str) -> Result:
    """A result whose every text is that name: networks, sites, findings, claims, provenance."""
    frame = sample.table(sample.NETWORKS[:2], 4)
    networks = dict(zip(frame["network"].unique(), (name, f"{name} b"), strict=True))
    frame = frame.assign(network=frame["network"].map(networks), note=name, residual=name)
    finding = Finding("SNL201", "error", name, f"{name}: 0 spikes", name, name, name)
    result = sample.result(
        frame,
        dict.fromkeys(("command", "data", "device", "machine", "python", "git_commit"), name),
        title=name, caption=name, notes=[name], findings=[finding, replace(finding, site=None)],
        claims=[Claim(name, name, name, 0.5, name, "fails", name)],
    )  # fmt: skip
    return replace(result, record=_record(result.record, name), extra={"more": frame.head(3)})


def _record(record: Record, name: str) -> Record:
    facts = {f"{network}": {**about, "neuron": name} for network, about in record.networks.items()}
    return replace(
        record,
        sites=record.sites.assign(site=[f"{name} {i}" for i in range(len(record.sites))]),
        networks=facts,
    )


class Shape(HTMLParser):
    """The elements of a page with the names of their attributes, and what would run."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[tuple[str, ...]] = Counter()
        self.links: set[str] = set()
        self.comments = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag, *sorted(name for name, _ in attrs)] += 1
        self.links |= {(v or "")[:5] for k, v in attrs if k in {"href", "src", "action"}}

    def handle_comment(self, data: str) -> None:
        self.comments += 1


def foreign(shape: Shape, harmless: dict[int, Shape]) -> list[str]:
    """What a page has that pages of plain letters have not."""
    tags = {key[0] for plain in harmless.values() for key in plain.tags}
    attributes = {key[1:] for plain in harmless.values() for key in plain.tags}
    return [
        *(f"<{key[0]}>" for key in shape.tags if key[0] not in tags),
        *(f"attributes {key[1:]}" for key in shape.tags if key[1:] not in attributes),
        *["a script"] * (shape.tags["script",] - harmless[20].tags["script",]),
        *["a comment"] * (shape.comments - harmless[20].comments),
        *(link for link in shape.links if link.lower().startswith(("javas", "data:t", "//"))),
    ]


def built(name: str, folder: Path) -> str:
    return build.build([sample.save(folder, named(name), svg="")])


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Shape]:
    """The page of plain letters: the longer a name, the more of it is cut, so one per length."""
    made = {n: built("x" * n, tmp_path_factory.mktemp("plain") / "run") for n in (20, 400)}
    return {n: Shape(text) for n, text in made.items()}


@pytest.mark.promise("nothing-runs-in-the-page")
@pytest.mark.parametrize("payload", PAYLOADS, ids=IDS)
def test_a_payload_is_text_and_nothing_else(
    payload: str, tmp_path: Path, harmless: dict[int, Shape], tally: Count
) -> None:
    text = built(payload, tmp_path / "run")
    assert not foreign(Shape(text), harmless)
    tally("payloads in HTML")


@pytest.mark.promise("nothing-runs-in-the-page")
def test_a_page_that_is_not_escaped_would_be_seen(harmless: dict[int, Shape]) -> None:
    """The measure itself: what is raw in a page is noticed."""
    payloads = "<script>x</script>", "<svg/onload=x>", "<a href=javascript:x>", "<!-- x -->"
    for payload in payloads:
        assert foreign(Shape(f"<script></script><td>{payload}</td>"), harmless), payload


@pytest.mark.promise("nothing-runs-in-the-page")
@pytest.mark.browser
def test_all_payloads_in_one_page_do_nothing_in_chromium(
    page: Page,  # noqa: F811 - the fixture
    tmp_path: Path,
    tally: Count,
) -> None:
    folders = [
        sample.save(tmp_path / f"run{i}", named(payload), svg="")
        for i, payload in enumerate(PAYLOADS)
    ]
    place = tmp_path / "report.html"
    build.write(folders, place)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.goto(place.as_uri())
    page.mouse.move(200, 200)
    for _ in range(5):
        page.keyboard.press("Tab")
    assert page.evaluate("typeof window.pwned + typeof ({}).pwned") == "undefinedundefined"
    assert page.url.startswith("file:")
    assert said == [place.as_uri()]
    tally("payloads in Chromium", len(PAYLOADS))
