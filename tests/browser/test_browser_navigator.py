"""The navigator, the choice of a network, the filter and the links, in a real browser."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from snnlens.recording.record import Record
from snnlens.report import build, slim, svg
from tests.unit.report import laid, sample

pytestmark = pytest.mark.browser

SCRIPT, LONG = "<script>alert(1)</script>", "x" * 300


def hostile() -> Any:
    """Modules that mean harm: the finding lies in them."""
    modules = [SCRIPT, LONG, "two\nlines", "a|b", *laid.MODULES[4:]]
    found = [laid.finding(f"{m}.output") for m in modules[:4]]
    made = laid.result(found)
    networks = made.record.networks
    record = Record(laid.sites(list(networks), modules), {}, {}, networks, {})
    return laid.result(found, record=record)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("navigator")
    runs = [sample.save(folder / "a", laid.result()), sample.save(folder / "b", hostile())]
    build.write(runs, folder / "report.html")
    return folder / "report.html"


@pytest.fixture
def seen(page: Page, report: Path) -> Iterator[Page]:
    """The open report; a request, an error or a dialog fails the test."""
    heard: list[str] = []
    page.on("console", lambda m: heard.append(f"console: {m.text}"))
    page.on("pageerror", lambda e: heard.append(f"error: {e}"))
    page.on("dialog", lambda d: heard.append(f"dialog: {d.message}"))
    page.on("request", lambda r: heard.append(f"request: {r.url}"))
    page.goto(report.as_uri())
    yield page
    assert heard == [f"request: {report.as_uri()}"]


def shown(page: Page, run: str = "a") -> Locator:
    return page.locator(f"#run-{run} figure.navigator:visible")


def reading(page: Page) -> list[str]:
    """What the navigator says of the place under its cursor."""
    nav = shown(page)
    return [nav.locator(".here b").inner_text(), *nav.locator(".now").all_inner_texts()]


def cells(page: Page, block: int) -> list[str]:
    """The numbers of a block in the table."""
    table = page.locator("#run-a_t table:visible")
    columns = ["gradient_norm", "factor", "firing_rate_output", "firing_rate_residual"]
    at = [int(table.locator(f'th[title="{c}"]').get_attribute("data-c") or 0) for c in columns]
    row = table.locator("tbody tr").nth(block)
    return [row.locator("th, td").nth(i).get_attribute("data-v") or "" for i in at]


def number(text: str) -> float:
    digits = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
    return float(re.sub(r"\u202f×\u202f10(\S+)", lambda m: "e" + m[1].translate(digits), text))


def test_arrow_keys_show_the_numbers_of_each_block(seen: Page) -> None:
    slider = shown(seen).get_by_role("slider", name="Residual block")
    slider.focus()
    for key, block in [
        ("Home", 0),
        ("ArrowRight", 1),
        ("ArrowUp", 2),
        ("ArrowLeft", 1),
        ("End", 11),
    ]:
        seen.keyboard.press(key)
        name, *values = reading(seen)
        assert name.startswith(f"Block {block}: {laid.MODULES[block]}, stage ")
        wanted = [float(v) for v in cells(seen, block)]
        assert [number(v) for v in values] == pytest.approx(wanted, rel=5e-4)
    said = slider.get_attribute("aria-valuetext") or ""
    assert said.startswith("Block 11: layer3.11, stage 3, downsample; Gradient norm, input 0.006")
    assert said.endswith("spikes per neuron and step")


def test_it_begins_where_the_first_finding_lies(seen: Page) -> None:
    assert reading(seen)[0] == "Block 4: layer2.4, stage 2, identity"


def test_the_pointer_shows_the_numbers_and_a_click_takes_the_keys_along(seen: Page) -> None:
    box = shown(seen).locator(".hits").bounding_box()
    assert box is not None
    shown(seen).scroll_into_view_if_needed()
    shown(seen).locator(".hits").hover(position={"x": box["width"] * 7.5 / 12, "y": 30})
    assert reading(seen)[0].startswith("Block 7: ")
    shown(seen).locator(".hits").click(position={"x": box["width"] * 2.5 / 12, "y": 30})
    assert "#" not in seen.url
    seen.keyboard.press("ArrowRight")
    assert reading(seen)[0].startswith("Block 3: ")


def test_the_cursor_stands_over_the_dot(seen: Page) -> None:
    nav = shown(seen)
    hits = nav.locator(".hits").bounding_box()
    assert hits is not None
    nav.get_by_role("slider").focus()
    seen.keyboard.press("End")
    left = nav.locator(".lanes").evaluate(
        "e => e.getBoundingClientRect().left + parseFloat(getComputedStyle(e, '::after').left)"
    )
    assert left == pytest.approx(hits["x"] + hits["width"] * 11.5 / 12, abs=1)


def test_the_link_leads_to_the_row_of_the_block(seen: Page) -> None:
    shown(seen).get_by_role("slider").focus()
    seen.keyboard.press("End")
    seen.keyboard.press("Shift+Tab")
    assert seen.evaluate("document.activeElement.textContent") == "row in the table"
    seen.keyboard.press("Enter")
    expect(seen.locator("#run-a_t11")).to_be_focused()
    assert seen.locator("tr:target").evaluate("e => e.id") == "run-a_t11"
    colour = "e => getComputedStyle(e.cells[1]).backgroundColor"
    other = seen.locator("#run-a_t5").evaluate(colour)
    assert seen.locator("tr:target").evaluate(colour) != other
    seen.keyboard.press("Tab")  # the row's way back to its finding
    assert seen.evaluate("document.activeElement.getAttribute('href')") == "#run-a_f2"


def test_a_finding_of_another_network_shows_that_network(seen: Page) -> None:
    assert seen.locator("#run-a_t13").is_hidden()
    seen.locator("#run-a_f3").get_by_role("link", name="row block 1", exact=True).click()
    expect(seen.locator("#run-a_t13")).to_be_focused()
    assert seen.locator("#run-a_t13").is_visible()
    assert seen.locator("#run-a_t").get_by_label("spiking-zero", exact=True).is_checked()


def test_the_arrow_keys_choose_a_network(seen: Page) -> None:
    first = seen.locator("#run-a_t").get_by_label("spiking", exact=True)
    assert first.is_checked()
    assert seen.locator("#run-a_t table:visible").count() == 1
    first.focus()
    seen.keyboard.press("ArrowRight")
    assert seen.locator("#run-a_t table:visible caption").inner_text().startswith("spiking-zero")
    assert shown(seen).get_attribute("aria-label") == "spiking-zero along the depth"
    seen.keyboard.press("ArrowRight")
    assert seen.locator("#run-a_t table:visible").count() == 2
    assert shown(seen).count() == 2


def visible(page: Page) -> list[str]:
    rows = page.locator("#run-a_t tbody tr:visible th")
    return [str(v) for v in rows.evaluate_all("cells => cells.map(c => c.dataset.v)")]


def test_tab_alone_reaches_everything_that_can_be_used(seen: Page) -> None:
    """Of a group of radios the chosen one; arrow keys do the rest."""
    seen.evaluate("addEventListener('focusin', e => { e.target.dataset.reached = '1' })")
    usable = (
        "a[href]:not([tabindex='-1']):visible, button:visible, summary:visible, "
        "[tabindex='0']:visible, input:not([type='radio']:not(:checked)):visible"
    )
    wanted = seen.locator(usable).count()
    for _ in range(wanted):
        seen.keyboard.press("Tab")
    left = seen.locator(usable).and_(seen.locator(":not([data-reached])"))
    assert left.evaluate_all("all => all.map(e => e.outerHTML.slice(0, 80))") == []
    assert wanted > 60


def test_the_filter_keeps_the_rows_with_a_word(seen: Page) -> None:
    field = seen.locator("#run-a_t").get_by_label("Filter")
    field.fill("LAYER2")
    assert visible(seen) == [str(b) for b in range(3, 11)]
    assert seen.locator("#run-a_t .count").inner_text() == "8 of 12 rows"
    field.fill("downsample")
    assert visible(seen) == ["0", "3", "11"]
    field.fill("")
    assert len(visible(seen)) == 12
    assert seen.locator("#run-a_t .count").inner_text() == ""


def test_rows_with_findings_alone(seen: Page) -> None:
    seen.locator("#run-a_t").get_by_label("only rows with findings (3)").check()
    assert visible(seen) == ["4", "11"]
    assert seen.locator("#run-a_t .count").inner_text() == "2 of 12 rows"


def test_a_link_to_a_row_that_is_filtered_away_shows_it(seen: Page) -> None:
    seen.locator("#run-a_t").get_by_label("Filter").fill("nothing has this")
    assert visible(seen) == []
    seen.locator("#run-a_f2").get_by_role("link", name="row block 11", exact=True).click()
    expect(seen.locator("#run-a_t11")).to_be_focused()
    assert len(visible(seen)) == 12


def test_a_link_from_outside_opens_its_row(page: Page, report: Path) -> None:
    page.goto(report.as_uri() + "#run-a_t13")
    expect(page.locator("#run-a_t13")).to_be_focused()
    box = page.locator("#run-a_t13").bounding_box()
    assert box is not None
    assert 0 < box["y"] < 720


@pytest.mark.parametrize("mark", ["#%E0%A4%A", "#%", '#"]', "#run-a", "#nothing"])
def test_an_odd_link_is_no_error(page: Page, report: Path, mark: str) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.goto(report.as_uri() + mark)
    assert not errors


def test_a_hostile_site_is_text_and_cut(seen: Page) -> None:
    nav = shown(seen, "b")
    nav.get_by_role("slider").focus()
    names = []
    for key in ("Home", "ArrowRight", "ArrowRight", "ArrowRight"):
        seen.keyboard.press(key)
        names.append(nav.locator(".here b").inner_text().partition(": ")[2])
    assert names[0].startswith(SCRIPT)
    assert names[1].startswith("x" * 59 + "…, stage 1")
    assert names[2].startswith("two lines, ")
    assert names[3].startswith("a|b, ")
    assert seen.locator("#run-b_t tbody th").first.inner_text().endswith(SCRIPT)
    seen.set_viewport_size({"width": 375, "height": 800})
    assert seen.evaluate("document.documentElement.scrollWidth") == 375


def test_without_javascript_it_is_a_picture_with_links(browser: Browser, report: Path) -> None:
    context = browser.new_context(offline=True, java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator("#run-a figure.navigator:visible").count() == 2
    assert page.locator("#run-a .plot path.line:visible").count() == 8
    assert page.locator("#run-a .reading:visible, #run-a .find:visible").count() == 0
    place = page.locator("#run-a_n0 .hits a").nth(5)
    assert place.get_attribute("href") == "#run-a_t5"
    title = place.locator("title").text_content() or ""
    assert title.startswith("Block 5: layer2.5, stage 2, identity\n0.0")
    page.locator("#run-a_t").get_by_label("spiking-zero", exact=True).check()
    assert page.locator("#run-a_t table:visible").count() == 1
    page.goto(report.as_uri() + "#run-a_t13")
    assert page.locator("#run-a_t13").is_visible()
    context.close()


@pytest.mark.parametrize("width", [375, 1440])
def test_words_of_the_navigator_do_not_lie_on_each_other(seen: Page, width: int) -> None:
    seen.set_viewport_size({"width": width, "height": 900})
    for words in (".axis span", ".strip .flag:visible", ".lane", ".quantity, .unit, .now"):
        boxes = [b for e in shown(seen).locator(words).all() if (b := e.bounding_box())]
        for i, one in enumerate(boxes):
            for other in boxes[i + 1 :]:
                apart = (
                    one["x"] + one["width"] <= other["x"] + 0.5
                    or other["x"] + other["width"] <= one["x"] + 0.5
                    or one["y"] + one["height"] <= other["y"] + 0.5
                    or other["y"] + other["height"] <= one["y"] + 0.5
                )
                assert apart, (words, one, other)


def test_every_axis_says_its_unit(seen: Page) -> None:
    for lane in shown(seen).locator(".lane").all():
        assert lane.locator(".unit").inner_text()
    assert "residual block" in shown(seen).locator("figcaption").inner_text().lower()


def test_a_slim_figure_looks_like_the_whole_one(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = sample.save(tmp_path / "run")
    pictures = []
    for kept in (slim.slim, lambda root: None):
        monkeypatch.setattr(svg, "slim", kept)
        drawn = svg.figure(run / "figure.svg", "a__", "it")
        page.set_content(f"<style>:root{{--ink:#262626}}</style><div>{drawn}</div>")
        shot = page.locator("svg").screenshot()
        pictures.append(np.asarray(Image.open(io.BytesIO(shot)).convert("L"), dtype=float))
    assert pictures[0].shape == pictures[1].shape
    assert pictures[0].std() > 10  # something is drawn
    assert np.abs(pictures[0] - pictures[1]).mean() < 0.2
