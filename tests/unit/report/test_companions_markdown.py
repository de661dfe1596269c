"""Text of users as Markdown: whatever it says, it is text or code."""

from __future__ import annotations

from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from snnlens.report import markdown
from tests.unit.report.comment import rendered


@given(st.text())
def test_any_sentence_is_text(text: str) -> None:
    made = markdown.sentence(text, 1000, cell=True)
    assert "\n" not in made
    page = rendered(f"| a |\n|---|\n| x {made} y |\n")
    assert set(page.tags) <= {"table", "thead", "tbody", "tr", "th", "td", "code"}
    assert page.tags.count("td") == 1
    seen = page.text.split("x ", 1)[1].rsplit(" y", 1)[0]
    assert bare(seen) == bare("".join(c if c.isprintable() else " " for c in text))


def bare(text: str) -> list[str]:
    """The words, without what has no width, and without backticks, which may have become code."""
    return text.replace(markdown.NOTHING, "").replace("`", "").split()


@given(st.text(min_size=1))
def test_any_name_is_code(text: str) -> None:
    made = markdown.code(text, 1000, cell=True)
    page = rendered(f"| a | b |\n|---|---|\n| {made} | c |\n")
    assert page.tags.count("td") == 2
    assert set(page.tags) <= {"table", "thead", "tbody", "tr", "th", "td", "code"}
    shown = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if shown and "\\|" not in shown:  # a cell takes one backslash away from before a bar
        assert unescape(page.text).split()[2:-1] == shown.split()
