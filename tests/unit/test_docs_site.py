"""The site as Sphinx builds it, without a warning: nothing is loaded from elsewhere, all is there.

`SNNLENS_SITE` names a site that is built already; without it one is built (half a minute).
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.unit.pages import CODES, DOCS, PARTS, ROOT, Text, snnlens_docs

pytestmark = pytest.mark.slow  # needs the extra `docs`; `make docs` runs it

LOADS = {"src", "href", "srcset", "data", "poster", "action", "xlink:href"}
NEEDED = ("CHANGELOG.md", "CONTRIBUTING.md", "README.md", "examples", "notebooks", "reports")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built pages; built from a copy, so that nothing is left in the repository."""
    if os.environ.get("SNNLENS_SITE"):
        return Path(os.environ["SNNLENS_SITE"]).resolve()
    for package in ("sphinx", "furo", "myst_nb"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install 'snnlens[docs]'")
    root = tmp_path_factory.mktemp("site")
    made = [*snnlens_docs.MADE, "_build", "jupyter_execute", ".jupyter_cache"]
    shutil.copytree(DOCS, root / "docs", ignore=lambda at, names: made if Path(at) == DOCS else [])
    for name in NEEDED:
        (root / name).symlink_to(ROOT / name)
    command = [sys.executable, "-m", "sphinx", "-W", "-n", "-q", "-b", "html", "docs", "site"]
    done = subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stderr == ""
    return root / "site"


class Resources(HTMLParser):
    """What a page loads by itself, and where it links to."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "href" and tag == "a":
                self.linked.append(value or "")
            elif name in LOADS or (name == "style" and "url(" in (value or "")):
                self.loaded.append(value or "")


def resources(page: Path) -> Resources:
    parsed = Resources()
    parsed.feed(page.read_text(encoding="utf-8"))
    return parsed


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > len(CODES) + 30
    for page in pages:
        loaded = [u for u in resources(page).loaded if not u.startswith(("#", "data:"))]
        assert [u for u in loaded if re.match(r"([a-z]+:)?//", u)] == [], page
        files = [unquote(re.split("[?#]", u)[0]) for u in loaded]
        assert [f for f in files if f and not (page.parent / f).exists()] == [], page
    for sheet in site.rglob("*.css"):
        assert re.findall(r"(?:@import|url\()[^;)]*//[^;)]*", sheet.read_text("utf-8")) == [], sheet


def test_the_built_links_lead_to_pages(site: Path) -> None:
    for page in sorted(site.rglob("*.html")):
        inner = [u for u in resources(page).linked if u and not re.match("https?:|#", u)]
        files = {unquote(re.split("[?#]", u)[0]) for u in inner}
        assert [f for f in files if not (page.parent / f).exists()] == [], page


def test_each_code_each_figure_and_each_notebook_is_built(site: Path) -> None:
    assert [c for c in CODES if not (site / "findings" / f"{c}.html").is_file()] == []
    for name in PARTS["figures"].names():
        assert "<img" in (site / "figures" / f"{name}.html").read_text("utf-8"), name
    books = [p.stem for p in (ROOT / "notebooks").glob("*.ipynb")]
    assert books
    assert [b for b in books if not (site / "notebooks" / f"{b}.html").is_file()] == []


def test_docstrings_are_shown_as_they_are_written(site: Path) -> None:
    page = (site / "reference" / "python.html").read_text("utf-8")
    parsed = Text()
    parsed.feed(page)
    shown = "".join(parsed.texts)
    assert ">>> rec.frame().query(" in shown
    assert "np.True_\n" in shown
    assert "&lt;factory&gt;" not in (site / "reference" / "results.html").read_text("utf-8")
