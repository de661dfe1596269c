"""All payloads in every place of one page, opened by a browser: nothing runs, nothing is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page

from snnlens.report import build
from tests.browser.conftest import browser, page  # noqa: F401 - fixtures
from tests.trust.payloads import PAYLOADS, filled
from tests.trust.tally import Count
from tests.unit.report import sample


@pytest.mark.promise("nothing-runs-in-the-page")
@pytest.mark.browser
def test_all_payloads_do_nothing_in_chromium(
    page: Page,  # noqa: F811 - the fixture
    tmp_path: Path,
    tally: Count,
) -> None:
    place = tmp_path / "report.html"
    build.write([sample.save(tmp_path / "run", filled(PAYLOADS), svg="")], place)
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
    assert said == [place.as_uri()]
    tally("payloads in Chromium", len(PAYLOADS))
