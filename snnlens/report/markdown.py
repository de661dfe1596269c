r"""Text of users made fit for Markdown as GitHub and GitLab show it: nothing of it is markup.

Names stand in code, where nobody is called by `@name` and no `#1` is a link; in sentences every
sign that means something is escaped.
"""

from __future__ import annotations

import re

from snnlens.report.text import ELLIPSIS

_CODE = re.compile(r"(?<!`)`(?! )([^`]+)(?<! )`(?!`)")
_SIGNS = re.compile(r"[\\`*_{}\[\]<>&~|$#@]")
_LINKED = re.compile(r"(?<=[A-Za-z])://|(?<=www)\.", re.IGNORECASE)
_CALLS = re.compile(r"(?<=[@#])(?=\w)|(?<=GH)(?=-\d)")
NOTHING = "\u200b"  # no width: what stands before and behind it is no call and no number


def sentence(text: object, most: int = 300, *, cell: bool = False) -> str:
    r"""A sentence in one line, cut, its signs escaped; what stands in backticks is code.

    >>> print(sentence("a_b <b>|\n[x](https://y), `c_d`"))
    a\_b \<b\>\| \[x\](https\://y), `c_d`
    """
    parts = _CODE.split(_line(text, most))
    return "".join(code(p, most, cell=cell) if i % 2 else _escaped(p) for i, p in enumerate(parts))


def _escaped(text: str) -> str:
    called = _SIGNS.sub(lambda m: "\\" + m[0], _CALLS.sub(NOTHING, text))
    return _LINKED.sub(lambda m: "\\" + m[0], called)


def code(text: object, most: int = 80, *, cell: bool = False) -> str:
    r"""A name as code; of a table's cell its bars are escaped.

    >>> print(code("a`b"), code("a|b", cell=True), code("x" * 9, 4))
    ``a`b`` `a\|b` `xxx…`
    """
    line = _line(text, most)
    if not line:
        return ""
    fence = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    space = " " if line[0] == "`" or line[-1] == "`" else ""
    return f"{fence}{space}{line.replace('|', chr(92) + '|') if cell else line}{space}{fence}"


def fitting(lines: list[str], most: int, rest: str) -> list[str]:
    """The first lines that have so many characters together; then `rest`, which says how many more.

    >>> fitting(["aaa", "bbb", "ccc"], 9, "and {} more")
    ['aaa', 'bbb', 'and 1 more']
    """
    size = 0
    for number, line in enumerate(lines):
        size += len(line) + 1
        if size > most:
            return [*lines[:number], rest.format(len(lines) - number)]
    return lines


def _line(text: object, most: int) -> str:
    """In one line, without what cannot be seen, cut."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return line if len(line) <= most else line[: most - 1] + ELLIPSIS
