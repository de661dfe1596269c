"""The browser that the tests use."""

from __future__ import annotations

import pytest
from playwright.sync_api import Error, Page

pytestmark = pytest.mark.browser


def test_the_page_draws(page: Page) -> None:
    page.set_content("<h1>snnlens</h1>")
    assert page.inner_text("h1") == "snnlens"


def test_the_page_has_no_network(page: Page) -> None:
    with pytest.raises(Error, match="ERR_INTERNET_DISCONNECTED"):
        page.goto("http://example.invalid/")
