"""What the theme's markup lacks for those who use the keyboard or a screen reader."""

from __future__ import annotations

from typing import Any

SCROLLS = {  # what may be wider than the page has to be reached by the keyboard
    "<pre>": '<pre tabindex="0">',
    '<div class="table-wrapper ': '<div tabindex="0" class="table-wrapper ',
}
LEVEL = {'role="heading"': 'role="heading" aria-level="2"'}


def reachable(_app: Any, _page: str, _template: str, context: dict[str, Any], _tree: Any) -> None:
    """Of Sphinx's event, after the theme's own: mend body and navigation of a page."""
    for key, mends in (("body", SCROLLS), ("furo_navigation_tree", LEVEL)):
        context[key] = mended(context.get(key) or "", mends)


def mended(html: str, mends: dict[str, str]) -> str:
    """The page with each piece replaced.

    >>> mended("<pre>a</pre>", SCROLLS)
    '<pre tabindex="0">a</pre>'
    """
    for old, new in mends.items():
        html = html.replace(old, new)
    return html
