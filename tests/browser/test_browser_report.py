"""The report in a real browser: closed to the network, usable by keyboard, readable anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from snnlens.recording import store
from snnlens.report import build
from tests.unit.report import laid, sample

pytestmark = pytest.mark.browser

NAMES = [("<script>alert(1)</script>", "spiking", False), ("x" * 300, "sew-add", True)]
Scheme = Literal["light", "dark"]
HOSTILE_SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"
onload="fetch('//x.test')">
<script>document.title = "run"</script><image href="http://x.test/a.png"/>
<style>@import "http://x.test/a.css"; body { display: none }</style>
<foreignObject><img src="x" onerror="document.title = 'run'"/></foreignObject>
<path d="M0 0L9 9" stroke="#D55E00" style="fill: url(http://x.test/a.svg)"/></svg>"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs: one as big as they come, one with names and a figure that mean harm."""
    folder = tmp_path_factory.mktemp("report")
    hostile = sample.result(sample.table(NAMES, 12), claims=[], findings=[])
    runs = [
        sample.save(folder / "gradients"),
        sample.save(folder / "hostile", hostile, svg=HOSTILE_SVG),
    ]
    build.write(runs, folder / "report.html", skipped=[build.Skipped("conversion", "no model")])
    return folder / "report.html"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that a page can show, in few rows: axe looks at each cell for seconds."""
    folder = tmp_path_factory.mktemp("small")
    quiet = sample.result(sample.table(NAMES, 3), claims=[], findings=[], notes=["A note."])
    runs = [
        sample.save(folder / "gradients", sample.result(sample.table(sample.NETWORKS[:2], 3))),
        sample.save(folder / "hostile", quiet, svg="<svg"),
        sample.save(folder / "laid", laid.result()),
        store.save(quiet.record, folder / "record"),
    ]
    build.write(runs, folder / "report.html", skipped=[build.Skipped("conversion", "no model")])
    return folder / "report.html"


@pytest.fixture
def seen(page: Page, report: Path) -> Iterator[Page]:
    """The open report; it fails a test that made a request, an error or a dialog."""
    heard: list[str] = []
    page.on("console", lambda m: heard.append(f"console: {m.text}"))
    page.on("pageerror", lambda e: heard.append(f"error: {e}"))
    page.on("dialog", lambda d: heard.append(f"dialog: {d.message}"))
    page.on("request", lambda r: heard.append(f"request: {r.url}"))
    page.goto(report.as_uri())
    yield page
    assert heard == [f"request: {report.as_uri()}"]


def test_nothing_leaves_the_page_and_nothing_foreign_runs(seen: Page) -> None:
    assert seen.title() == "snnlens report: gradients, hostile"
    assert seen.locator("figure:not(.navigator) > .scroll > svg").count() == 2
    assert seen.locator("figure").first.is_visible()


def test_a_csp_forbids_what_an_injection_would_do(page: Page, report: Path) -> None:
    said: list[str] = []
    page.on("console", lambda m: said.append(m.text))
    page.goto(report.as_uri())
    page.evaluate("document.body.append(Object.assign(document.createElement('script'),"
                  "{textContent: 'document.title = 1'}))")  # fmt: skip
    assert page.title() == "snnlens report: gradients, hostile"
    assert "Content Security Policy" in said[0]


def column(page: Page, index: int) -> list[str]:
    rows = page.locator("table.data").first.locator("tbody tr").all()
    return [row.locator("th, td").nth(index).inner_text() for row in rows]


def test_the_keyboard_sorts(seen: Page) -> None:
    table = seen.locator("table.data").first
    head = table.locator('th[title="gradient_norm"]')
    index = int(head.get_attribute("data-c") or -1)
    exact = sorted(sample.table()["gradient_norm"][:50])
    head.locator("button").focus()
    seen.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    smallest = column(seen, index)[0]
    assert smallest == f"{exact[0]:.3e}".replace("e-04", "\u202f×\u202f10⁻⁴")
    seen.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "descending"
    assert column(seen, index)[-1] == smallest
    assert table.locator("[aria-sort]").count() == 1


def test_sorting_keeps_the_order_of_equals_and_puts_no_value_last(seen: Page) -> None:
    seen.get_by_label("sew-and", exact=True).check()
    table = seen.locator("#run-gradients_t table.data:visible")  # factor has no value where dead
    blocks = "rows => rows.map(row => row.cells[0].dataset.v ?? row.cells[0].textContent)"
    table.locator('th[title="stage"] button').click()
    assert table.locator("tbody tr").evaluate_all(blocks) == [str(b) for b in range(50)]
    for _ in range(2):
        table.locator('th[title="factor"] button').click()
        last = table.locator("tbody tr").evaluate_all(blocks)[-11:]
        assert last == [str(b) for b in range(11)]


def test_tab_reaches_the_skip_link_first_and_it_skips(seen: Page) -> None:
    seen.keyboard.press("Tab")
    assert seen.evaluate("document.activeElement.textContent") == "Skip to the findings"
    seen.keyboard.press("Enter")
    assert seen.evaluate("document.activeElement.id") == "findings"


def test_the_page_is_whole_without_javascript(browser: Browser, report: Path) -> None:
    context = browser.new_context(offline=True, java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    for selector in ("#findings li", "#claims tbody tr", "figure svg", "#provenance pre"):
        assert page.locator(selector).first.is_visible()
    rows = page.locator("table.data tbody tr:visible")
    assert rows.count() == 8 * 50 + 2 * 12
    assert page.locator("figure.navigator:visible").count() == 8 + 2
    assert page.locator("table.data button").count() == 0
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 375, 768, 1024, 1440])
def test_the_page_fits(seen: Page, tmp_path: Path, scheme: Scheme, width: int) -> None:
    seen.emulate_media(color_scheme=scheme)
    seen.set_viewport_size({"width": width, "height": 900})
    seen.screenshot(path=tmp_path / f"{scheme}-{width}.png", full_page=True)
    seen.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert seen.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1440])
def test_axe_finds_no_fault(page: Page, small: Path, scheme: Scheme, width: int) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(small.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    faults = Axe().run(page, options={"resultTypes": ["violations"]})
    assert faults.violations_count == 0, faults.generate_report()


def test_dark_colours_reach_into_the_figure(seen: Page) -> None:
    line = seen.locator('figure svg [style*="--blue"]').first
    stroke = "e => getComputedStyle(e).stroke"
    seen.emulate_media(color_scheme="light")
    assert line.evaluate(stroke) == "rgb(0, 114, 178)"
    seen.emulate_media(color_scheme="dark")
    assert line.evaluate(stroke) == "rgb(91, 157, 245)"


def test_print_shows_every_row_on_white(seen: Page) -> None:
    seen.emulate_media(media="print", color_scheme="dark")
    assert seen.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert seen.locator("nav").is_hidden()
    assert seen.locator("table.data tbody tr").last.evaluate("e => e.checkVisibility()")
    assert seen.locator("table.data tbody tr").last.bounding_box() is not None
