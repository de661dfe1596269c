"""A figure.svg made fit to stand inside a page: only drawing, own ids, colours as variables.

A figure may come from anybody. What is not on the lists below is dropped: elements, attributes,
properties, and every reference that leaves the figure.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

from markupsafe import Markup

from snnlens.report.slim import slim

MOST_BYTES = 1_000_000  # of one figure: a page of several stays below 2 MB
MOST_SCALE = 1.35  # a figure made for a column may grow this much on a wide screen
CAPTION_LINE = 10.0  # points from the base of a caption's first line to the drawing above it
MOST_DEPTH = 60  # matplotlib nests 6 deep
MOST_DRAWN = 200_000  # elements that copies (`use`) draw together


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SVG = "{http://www.w3.org/2000/svg}"
HREF = "{http://www.w3.org/1999/xlink}href"
ELEMENTS = _words(
    "svg g defs use path rect circle ellipse line polyline polygon text tspan clipPath pattern "
    "linearGradient radialGradient stop image"
)
ATTRIBUTES = _words(
    "id d x y x1 y1 x2 y2 cx cy r rx ry fx fy dx dy width height points offset rotate "
    "viewBox preserveAspectRatio transform gradientTransform gradientUnits patternTransform "
    "patternUnits patternContentUnits clipPathUnits spreadMethod textLength lengthAdjust"
)
PROPERTIES = _words(
    "fill fill-opacity fill-rule stroke stroke-width stroke-opacity stroke-linejoin stroke-linecap "
    "stroke-dasharray stroke-dashoffset stroke-miterlimit opacity color stop-color stop-opacity "
    "clip-path clip-rule visibility font font-family font-size font-style font-weight "
    "font-stretch text-anchor dominant-baseline alignment-baseline letter-spacing white-space "
    "image-rendering paint-order"
)

# The literal colours of snnlens/figures, each a variable of style.css with a dark counterpart.
COLOURS = {
    "#262626": "--ink",
    "#d9d9d9": "--grid",
    "#8c8c8c": "--mid",
    "#ffffff": "--paper",
    "#0072b2": "--blue",
    "#d55e00": "--vermillion",
    "#009e73": "--green",
    "#cc79a7": "--purple",
    "#e69f00": "--orange",
    "#56b4e9": "--sky",
    "#000000": "--black",
}
_COLOUR = re.compile(f"(?:{'|'.join(COLOURS)})(?![0-9a-f])", re.IGNORECASE)
_LOCAL = re.compile(r"""url\(\s*(["']?)#([^"'()\s\\]+)\1\s*\)""")
_UNSAFE = re.compile(r"[\\<>@{}]|/\*|(?:url|image|image-set|expression|src)\s*\(", re.IGNORECASE)
_TRANSLATED = re.compile(r"translate\([\d.]+[ ,]([\d.]+)\)")
_PNG = re.compile(r"data:image/(?:png|jpeg);base64,[A-Za-z0-9+/=\s]*")


class Unfit(Exception):
    """The file cannot be shown; the message says why."""


def figure(path: Path, prefix: str, title: str) -> Markup:
    """The drawing as markup for the page, or `Unfit`.

    Every id begins with `prefix`, so that two figures never share one.
    """
    root = _parse(path)
    try:
        clean = _clean(root, prefix, title)
    except (ValueError, IndexError):
        raise Unfit("its numbers are none") from None
    return Markup(ET.tostring(clean, encoding="unicode"))  # escapes texts and attributes


def _clean(root: ET.Element, prefix: str, title: str) -> ET.Element:
    _without_caption(root)
    clean = _element(root, prefix, 0)
    if clean is None:
        raise Unfit("its root is not svg")
    _no_chains(clean)
    slim(clean)
    _frame(clean, root, prefix, title)
    return clean


def _parse(path: Path) -> ET.Element:
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise Unfit(f"it has {size / 1e6:.1f} MB, and a page takes {MOST_BYTES / 1e6:.0f} MB")
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise Unfit("the run has no figure.svg") from None
    except (OSError, UnicodeDecodeError):
        raise Unfit("it cannot be read as text") from None
    if "<!ENTITY" in text:
        raise Unfit("it defines entities")
    try:
        return ET.fromstring(text)
    except (ET.ParseError, ValueError):
        raise Unfit("it is not well-formed XML") from None


def _without_caption(root: ET.Element) -> None:
    """Drop the group `caption` of a figure and the room below it: the page has its own caption."""
    for parent in list(root.iter()):
        for child in [c for c in parent if c.get("id") == "caption"]:
            parent.remove(child)
            first = next((t.get("transform", "") for t in child.iter(f"{SVG}text")), "")
            _cut_below(root, _TRANSLATED.match(first))


def _cut_below(root: ET.Element, line: re.Match[str] | None) -> None:
    box = re.fullmatch(r"0 0 ([\d.]+) ([\d.]+)", root.get("viewBox", ""))
    if line is None or box is None or not float(box[2]) / 2 < float(line[1]) < float(box[2]):
        return
    width, height = float(box[1]), float(line[1]) - CAPTION_LINE
    root.set("viewBox", f"0 0 {width:g} {height:g}")
    root.set("width", f"{width:g}pt")
    root.set("height", f"{height:g}pt")


def _element(old: ET.Element, prefix: str, depth: int) -> ET.Element | None:
    """A copy of an element with what is allowed of it; None if it is not allowed."""
    if depth > MOST_DEPTH:
        raise Unfit(f"it nests deeper than {MOST_DEPTH} elements")
    name = old.tag.removeprefix(SVG)
    if name not in ELEMENTS or (depth == 0) != (name == "svg"):
        return None
    new = ET.Element(name, dict(_attributes(old, name, prefix)))
    if name in {"text", "tspan"}:
        new.text = old.text
    for child in old:
        kept = _element(child, prefix, depth + 1)
        if kept is not None:
            kept.tail = child.tail if name in {"text", "tspan"} else None
            new.append(kept)
    return new


def _attributes(old: ET.Element, name: str, prefix: str) -> list[tuple[str, str]]:
    kept: list[tuple[str, str]] = []
    for key, value in old.attrib.items():
        if key == "id":
            kept.append(("id", prefix + value))
        elif key == "style":
            kept.append(("style", _style(value, prefix)))
        elif key in {"href", HREF}:
            kept += _reference(value, name, prefix)
        elif key in PROPERTIES:
            kept += [(key, v) for v in _value(value, prefix)]
        elif key in ATTRIBUTES:
            kept.append((key, value))
    return [(key, value) for key, value in kept if value]


def _reference(value: str, name: str, prefix: str) -> list[tuple[str, str]]:
    if value.startswith("#"):
        return [("href", f"#{prefix}{value[1:]}")]
    if name == "image" and _PNG.fullmatch(value):
        return [("href", value)]
    return []


def _style(style: str, prefix: str) -> str:
    kept = []
    for declaration in style.split(";"):
        key, _, value = declaration.partition(":")
        if key.strip().lower() in PROPERTIES:
            kept += [f"{key.strip().lower()}:{v}" for v in _value(value.strip(), prefix)]
    return ";".join(kept)


def _value(value: str, prefix: str) -> list[str]:
    """The value with own ids and variable colours; nothing if it reaches out of the figure."""
    if _UNSAFE.search(_LOCAL.sub("", value)):
        return []
    local = _LOCAL.sub(lambda m: f"url(#{prefix}{m[2]})", value)
    return [_COLOUR.sub(lambda m: f"var({COLOURS[m[0].lower()]},{m[0].lower()})", local)]


def _no_chains(root: ET.Element) -> None:
    """A copy of copies of copies grows without bound: `use` takes drawings, patterns draw."""
    named = {e.get("id"): e for e in root.iter()}
    sizes: dict[str, int] = {}  # of what is copied; 0 of what holds a copy, or is not there
    for use in list(root.iter("use")):
        name = use.get("href", "")[1:]
        if name not in sizes:
            inside = [e.tag for e in named[name].iter()] if name in named else []
            sizes[name] = 0 if "use" in inside else len(inside)
        if not sizes[name]:
            use.attrib.pop("href", None)
    if sum(sizes.get(use.get("href", "")[1:], 0) for use in root.iter("use")) > MOST_DRAWN:
        raise Unfit(f"its copies draw more than {MOST_DRAWN:,} elements")
    for pattern in list(root.iter("pattern")):
        for inner in list(pattern.iter()):
            inner.attrib = {
                k: v for k, v in inner.attrib.items() if "url(" not in v and k != "href"
            }


def _frame(clean: ET.Element, old: ET.Element, prefix: str, title: str) -> None:
    """The root: its size, its role and its name."""
    width, height = (_pixels(old.get(side, "")) for side in ("width", "height"))
    box = clean.get("viewBox")
    if box is None and width and height:
        box = f"0 0 {width:g} {height:g}"
    if box is None:
        raise Unfit("it has no size")
    font = {key: value for key, value in clean.attrib.items() if key == "font-family"}
    clean.attrib = font | {
        "viewBox": box,
        "role": "img",
        "aria-labelledby": f"{prefix}title",
        "focusable": "false",
    }
    if width and height:
        clean.attrib |= {"width": f"{width:g}", "height": f"{height:g}"}
        clean.set("style", f"--most:{MOST_SCALE * width:.0f}px")
    named = ET.Element("title", {"id": f"{prefix}title"})
    named.text = title
    clean.insert(0, named)


def _pixels(length: str) -> float:
    """A length in CSS pixels; 0 for one that says nothing.

    >>> _pixels("72pt"), _pixels("10"), _pixels("100%")
    (96.0, 10.0, 0.0)
    """
    match = re.fullmatch(r"\s*([0-9]{1,6}(?:\.[0-9]+)?)\s*(pt|px|in|)\s*", length)
    return float(match[1]) * {"pt": 96 / 72, "in": 96.0}.get(match[2], 1.0) if match else 0.0
