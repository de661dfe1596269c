"""Sentences of the package as Markdown: nothing of them is markup but code."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

CODE = re.compile(r"SNL\d{3}")
SPECIAL = re.compile(r"[\\`*_<>\[\]|$#~{}&]")
OPTION = re.compile(r"(?<![\w`-])--[a-z][a-z-]*")
BEGINS = re.compile(r"^(\d*)([-+=.)])")  # a list or a line, at the beginning of a paragraph


def prose(text: str, link: Callable[[str], str] | None = None) -> str:
    r"""One paragraph, as a person wrote it: what stands between back quotes is code.

    Args:
        text: the sentences.
        link: the address of a finding's page; None leaves codes as they are.

    >>> prose("sum of abs(map) = 0 | `a_b`, see SNL202", "{}.md".format)
    'sum of abs(map) = 0 \\| `a_b`, see [SNL202](SNL202.md)'
    """
    whole = " ".join(text.split())
    parts = whole.split("`") if whole.count("`") % 2 == 0 else [whole]
    return "`".join(p if i % 2 else _plain(p, link, first=not i) for i, p in enumerate(parts))


def paragraphs(text: str, link: Callable[[str], str] | None = None) -> str:
    """A docstring's paragraphs."""
    return "\n\n".join(prose(p, link) for p in inspect.cleandoc(text).split("\n\n"))


def definitions(of: dict[str, str]) -> str:
    """Terms and what they mean, as a definition list."""
    return "\n\n".join(f"{term}\n: {text}" for term, text in of.items())


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; its cells are Markdown already, with a bar in code not escaped yet."""
    lines = [head, ["---"] * len(head), *rows]
    safe = [[re.sub(r"(?<!\\)\|", r"\|", cell) for cell in cells] for cells in lines]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in safe)


def documented(thing: Any) -> str:
    """Its docstring."""
    return inspect.getdoc(thing) or ""


def _plain(text: str, link: Callable[[str], str] | None, *, first: bool) -> str:
    escaped = OPTION.sub(r"`\g<0>`", SPECIAL.sub(r"\\\g<0>", text))
    escaped = BEGINS.sub(r"\1\\\2", escaped) if first else escaped
    return CODE.sub(lambda m: f"[{m[0]}]({link(m[0])})", escaped) if link else escaped
