"""What the tests of the documentation share: its pages, written and made, and how to read them."""

from __future__ import annotations

import importlib
import os
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote

from markdown_it import MarkdownIt

import snnlens

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS / "_ext"))
snnlens_docs: Any = importlib.import_module("snnlens_docs")
NAMES = "docstrings drawings figures findings markup reference repository words"
PARTS: dict[str, Any] = {
    name: importlib.import_module(f"snnlens_docs.{name}") for name in NAMES.split()
}
MADE: dict[str, str] = snnlens_docs.pages(ROOT)
OUT = {*snnlens_docs.MADE, "_build", "_ext", "_static", "jupyter_execute"}
WRITTEN = {
    path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(DOCS.rglob("*.md"))
    if path.relative_to(DOCS).parts[0] not in OUT and path.relative_to(DOCS).as_posix() not in MADE
}
CODES = [check.code for check in PARTS["findings"].checks()]
PUBLIC = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in (snnlens, snnlens.conversion, snnlens.attribution)
    for name in module.__all__
    if name != "__version__" and not isinstance(getattr(module, name), ModuleType)
}


def links(text: str) -> list[str]:
    """The targets of a Markdown text's links and pictures, without those in code."""
    tokens = MarkdownIt("commonmark").parse(text)
    inline = [child for token in tokens for child in token.children or []]
    found = [str(t.attrs.get("href") or t.attrs.get("src") or "") for t in inline]
    return [unquote(target) for target in found if target]


def anchors(text: str) -> set[str]:
    """What `#...` may name: headings as MyST and GitHub slug them."""
    heads = re.findall(r"^#{1,3} (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in heads}


def broken(text: str, folder: str) -> list[str]:
    """Links of a page below docs/ that lead to no page, no file or no heading."""
    wrong = []
    for target in links(text):
        path, _, anchor = target.partition("#")
        if re.match("https?:", target):
            continue
        at = os.path.normpath(Path("docs", folder, path)) if path else ""
        page = at.removeprefix("docs/")
        whole = text if not path else MADE.get(page) or WRITTEN.get(page)
        # a Markdown file that is no page of the site is a link that Sphinx cannot follow
        there = whole is not None or ((ROOT / at).exists() and not at.endswith(".md"))
        if not there or (anchor and anchor not in anchors(whole or "")):
            wrong.append(target)
    return wrong


def plain(markdown: str) -> str:
    """What a reader of the page sees."""
    parsed = Text()
    parsed.feed(MarkdownIt("commonmark").render(markdown))
    return " ".join("".join(parsed.texts).split())


class Text(HTMLParser):
    """The text of a page without its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def said(text: str) -> str:
    """What is left of a sentence of the package: pairs of back quotes are marks of code."""
    return " ".join((text if text.count("`") % 2 else text.replace("`", "")).split())
