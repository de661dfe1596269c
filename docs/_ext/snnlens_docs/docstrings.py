"""Docstrings are plain sentences: a bar or a star in a formula is no markup of the site."""

from __future__ import annotations

import re
from typing import Any

MARKUP = re.compile(r"(?<!`)([*|])|(\w)_(?=[\s.,;:)]|$)")


def escape(_app: Any, _what: str, _name: str, _thing: Any, _options: Any, lines: list[str]) -> None:
    """Of autodoc's event: escape what reStructuredText would read, outside of code and examples."""
    example = False
    for number, line in enumerate(lines):
        example = bool(line.strip()) and (example or line.lstrip().startswith(">>>"))
        if not example:
            lines[number] = escaped(line)


def signature(*event: Any) -> tuple[str | None, str | None]:
    """Of autodoc's event: a default that a dataclass makes anew each time reads `...`."""
    *_, said, returns = event
    return said.replace("<factory>", "...") if said else said, returns


def escaped(line: str) -> str:
    r"""A line of a docstring for reStructuredText.

    >>> escaped("norm |x|, `a * b`, *args")
    'norm \\|x\\|, `a * b`, \\*args'
    """
    parts = re.split(r"(`+[^`]*`+)", line)
    return "".join(p if i % 2 else MARKUP.sub(_escaped, p) for i, p in enumerate(parts))


def _escaped(match: re.Match[str]) -> str:
    return f"\\{match[1]}" if match[1] else f"{match[2]}\\_"
