"""Text of users made fit for a page: cut, without absolute paths, as a name in a link."""

from __future__ import annotations

import re

from markupsafe import Markup

CUT = 60  # characters of a name that a table or a heading shows; the title attribute holds it all
ELLIPSIS = "…"

# A path from the root, in a word of its own or after a separator as in `imagefolder:/data/x`.
# `and/or`, `S / T` and `https://host/page` are none.
_ABSOLUTE = re.compile(r"""(?<![\w.~/…])/(?:[^\s/:;,"'()]+/)*([^\s/:;,"'()]+)/?""")
_WINDOWS = re.compile(r"""\b[A-Za-z]:\\(?:[^\s\\:;,"'()]+\\)*([^\s\\:;,"'()]+)""")
_CODE = re.compile(r"`([^`\n]+)`")
_NUMBER = re.compile(
    r"(?:\b[A-Za-z][\w^]{0,3} )?[<>=]=? [-+]?[\d.]+(?:e[-+]?\d+)?\b|\b\d[\d.]{0,40}e[-+]\d+\b"
)


def without_paths(text: str) -> str:
    """The text with absolute paths cut to their last part: a page may be published.

    >>> without_paths("--data imagefolder:/data/my/photos (and/or https://example.org/a/b)")
    '--data imagefolder:…/photos (and/or https://example.org/a/b)'
    """
    return _WINDOWS.sub(r"…/\1", _ABSOLUTE.sub(r"…/\1", text))


def cut(text: object, length: int = CUT) -> Markup:
    """Escaped text; a long one ends with an ellipsis and has its whole in the title attribute.

    >>> cut("a<b"), cut("abcdef", 4)
    (Markup('a&lt;b'), Markup('<span title="abcdef">abc…</span>'))
    """
    whole = str(text)
    if len(whole) <= length:
        return Markup("{}").format(whole)
    return Markup('<span title="{}">{}</span>').format(whole, whole[: length - 1] + ELLIPSIS)


def shortened(whole: str) -> str:
    """For a label that is read aloud, or next to others: cut, without the title attribute.

    >>> len(shortened("x" * 300))
    60
    """
    return whole if len(whole) <= CUT else whole[: CUT - 1] + ELLIPSIS


def steady(text: object) -> Markup:
    """Escaped text in which no line breaks inside `1e-6` or `T = 4`; what is between backticks is
    code.

    >>> steady("error <= 1e-6, T = 4")
    Markup('error <span class="nb">&lt;= 1e-6</span>, <span class="nb">T = 4</span>')
    >>> steady("see `snnlens list`")
    Markup('see <code>snnlens list</code>')
    """
    plain, *rest = _CODE.split(str(text))
    made = _unbroken(plain)
    for code, after in zip(rest[::2], rest[1::2], strict=True):
        made += [Markup("<code>{}</code>").format(code), *_unbroken(after)]
    return Markup("").join(made)


def _unbroken(whole: str) -> list[str]:
    """Parts, for a sum of as many strings would take the square of the time."""
    made: list[str] = []
    end = 0
    for match in _NUMBER.finditer(whole):
        made += [whole[end : match.start()], Markup('<span class="nb">{}</span>').format(match[0])]
        end = match.end()
    return [*made, whole[end:]]


def slug(text: str) -> str:
    """A name for ids and links: lower-case letters, digits and hyphens, a letter first.

    >>> slug("Fig. 6: ResNet-152"), slug("<7>")
    ('fig-6-resnet-152', 'run-7')
    """
    made = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-")
    return made if made[:1].isalpha() else f"run-{made}".rstrip("-")


def plural(count: int, one: str, many: str = "") -> str:
    """A number with its noun.

    >>> plural(1, "claim"), plural(2, "claim"), plural(0, "hit", "hits")
    ('1 claim', '2 claims', '0 hits')
    """
    return f"{count} {one if count == 1 else many or one + 's'}"
