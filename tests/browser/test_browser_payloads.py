"""One page with every payload in every place, in a real browser: nothing of it runs or loads."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page

from snnlens.report import build
from tests.trust.payloads import MARKED, PAYLOADS, PLACES, figure, filled
from tests.trust.tally import Count
from tests.unit.report import sample

pytestmark = [pytest.mark.browser, pytest.mark.promise("nothing-runs-in-the-page")]
FEW = 20  # of a run: the page has several
EVENTS = "mouseover mouseenter focus toggle load error begin"  # none that our script hears
PROVOKED = """events => {
  document.querySelectorAll("details").forEach(d => { d.open = true; });
  for (const element of document.querySelectorAll("*")) {
    if (element.closest("a[href]")) continue;
    for (const name of events) element.dispatchEvent(new Event(name));
  }
}"""

PROTOCOLS = """[...document.querySelectorAll("[href]")].map(
  e => new URL(e.getAttribute("href"), location.href).protocol)"""


def test_no_payload_runs(page: Page, tmp_path: Path, tally: Count) -> None:
    every = [*PAYLOADS, *MARKED]
    runs = [
        sample.save(tmp_path / f"r{i}", filled(every[i : i + FEW]), svg=figure(every[i : i + FEW]))
        for i in range(0, len(every), FEW)
    ]
    build.write(runs, tmp_path / "report.html")
    heard: list[str] = []
    page.on("console", lambda m: heard.append(f"console: {m.text}"))
    page.on("pageerror", lambda e: heard.append(f"error: {e}"))
    page.on("dialog", lambda d: heard.append(f"dialog: {d.message}"))
    page.on("request", lambda r: heard.append(f"request: {r.url}"))
    page.on("popup", lambda p: heard.append(f"window: {p.url}"))
    address = (tmp_path / "report.html").as_uri()
    page.goto(address)
    page.evaluate(PROVOKED, EVENTS.split())
    page.wait_for_timeout(200)
    assert heard == [f"request: {address}"]
    assert page.evaluate("typeof window.pwned") == "undefined"
    assert page.url == address
    assert page.locator("script").count() == 1
    assert not page.locator(
        "iframe, object, embed, base, form, link, meta[http-equiv=refresh]"
    ).all()
    assert set(page.evaluate(PROTOCOLS)) == {"file:", "data:", "https:"}
    tally("payloads in a browser", PLACES * len(every))
