"""The page of a comparison in a real browser: closed to the network, readable anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from snnlens.recording.result import Result
from snnlens.report.compare import write
from tests.unit.report import compare_runs as runs
from tests.unit.report import hostile, sample

pytestmark = pytest.mark.browser

Scheme = Literal["light", "dark"]


def other(made: Result) -> Result:
    """The same run with other numbers, verdicts, findings and words."""
    numbers = made.table.select_dtypes("float") * 1.5
    words = {"why_small": made.table["why_small"].fillna("underflow")}
    verdicts = {"holds": "fails", "fails": "holds"}
    return replace(
        made,
        table=made.table.assign(**{str(n): v for n, v in numbers.items()} | words),
        claims=[replace(c, verdict=verdicts.get(c.verdict, c.verdict)) for c in made.claims],  # type: ignore[arg-type]
        findings=[replace(made.findings[0], site="elsewhere"),
                  *(replace(f, evidence="another") for f in made.findings[1:2])],
        record=replace(made.record, provenance=made.record.provenance | {"git_commit": "b" * 40}),
    )  # fmt: skip


def saved(folder: Path, *made: Result) -> Path:
    folders = [runs.saved(folder / f"{name}", one) for name, one in zip("abc", made, strict=False)]
    write(folders, folder / "compare.html")
    return folder / "compare.html"


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs as big as they come, with every kind of difference."""
    made = sample.result()
    return saved(tmp_path_factory.mktemp("compare"), made, other(made))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in few rows, three runs: axe looks at each cell for seconds."""
    made = sample.result(sample.table(sample.NETWORKS[:2], 4))
    return saved(tmp_path_factory.mktemp("small"), made, other(made), made)


@pytest.fixture(scope="module")
def harmful(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Names that mean harm, everywhere."""
    made = hostile.result()
    changed = replace(
        made, table=made.table.assign(gradient_norm=made.table["gradient_norm"] + 1),
        claims=[replace(c, measured=1.0) for c in made.claims],
        findings=[replace(f, evidence=f"not {f.evidence}") for f in made.findings],
    )  # fmt: skip
    return saved(tmp_path_factory.mktemp("harmful"), made, changed)


@pytest.fixture(params=["compared", "harmful"])
def seen(page: Page, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The open page; it fails a test that made a request, an error or a dialog."""
    path: Path = request.getfixturevalue(request.param)
    heard: list[str] = []
    page.on("console", lambda m: heard.append(f"console: {m.text}"))
    page.on("pageerror", lambda e: heard.append(f"error: {e}"))
    page.on("dialog", lambda d: heard.append(f"dialog: {d.message}"))
    page.on("request", lambda r: heard.append(f"request: {r.url}"))
    page.goto(path.as_uri())
    yield page
    assert heard == [f"request: {path.as_uri()}"]


def test_nothing_leaves_the_page_and_nothing_foreign_runs(seen: Page) -> None:
    assert seen.title() == "snnlens compare: a, b"
    assert seen.locator("figure svg").first.is_visible()
    assert seen.locator("script").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 375, 768, 1440])
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


def test_the_page_is_whole_without_javascript(browser: Browser, compared: Path) -> None:
    context = browser.new_context(offline=True, java_script_enabled=False)
    page = context.new_page()
    page.goto(compared.as_uri())
    for selector in ("#claims tbody tr", "#findings li", "figure svg", "#provenance tbody tr"):
        assert page.locator(selector).first.is_visible()
    table = page.locator("details table.data").first
    assert not table.is_visible()
    page.locator(".quantity summary").first.click()
    assert table.is_visible()
    assert page.locator("table.data button").count() == 0
    context.close()


def test_the_keyboard_sorts_the_overview(page: Page, compared: Path) -> None:
    page.goto(compared.as_uri())
    table = page.locator("#numbers-result table.data").first
    head = table.locator("th[data-c]").first
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    names = [row.locator("th a").inner_text() for row in table.locator("tbody tr").all()]
    assert names == sorted(names)


def test_a_name_in_the_overview_leads_to_its_figure(page: Page, compared: Path) -> None:
    page.goto(compared.as_uri())
    link = page.locator("#numbers-result table.data a").first
    link.focus()
    page.keyboard.press("Enter")
    target = page.locator(f"[id='{str(link.get_attribute('href'))[1:]}']")
    assert target.inner_text().startswith("Gradient norm (input)")
    box = target.bounding_box()
    assert box is not None
    assert 0 <= box["y"] < 200


def test_dark_colours_reach_into_the_figures(page: Page, compared: Path) -> None:
    page.goto(compared.as_uri())
    line = page.locator('figure svg [style*="--vermillion"]').first
    stroke = "e => getComputedStyle(e).stroke"
    page.emulate_media(color_scheme="light")
    light = line.evaluate(stroke)
    page.emulate_media(color_scheme="dark")
    assert (light, line.evaluate(stroke)) == ("rgb(213, 94, 0)", "rgb(255, 132, 71)")


def test_print_is_on_white(page: Page, compared: Path) -> None:
    page.goto(compared.as_uri())
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("table.data tbody tr").last.evaluate("e => e.checkVisibility()")
