"""A clean drawing with fewer bytes and the same picture: what nobody refers to, says twice or
draws finer than any screen goes.
"""

from __future__ import annotations

import re
from itertools import count
from xml.etree import ElementTree as ET

# Properties that an element hands down to what it holds: of these alone a group may speak.
INHERITED = frozenset({
    "fill", "fill-opacity", "fill-rule", "stroke", "stroke-width", "stroke-opacity",
    "stroke-linejoin", "stroke-linecap", "stroke-dasharray", "stroke-dashoffset",
    "stroke-miterlimit",
})  # fmt: skip
WIDE = 100.0  # units of a drawing across: two decimals are finer than a screen then
MOST_SCALE = 2.0  # of a group inside; an error of a hundredth is still none
MOST_NAME = 6  # characters of an id that stays as it is
_REFERENCE = re.compile(r"#([^\s\"')]+)")
_FAMILY = re.compile(r"(?:^|;)(font-family:[^;]+)")
_LONG = re.compile(r"-?(?:(?<!\d)\d+)?\.\d{3,}(?![\deE])")
_SCALED = re.compile(r"(?:scale|matrix)\(([^()]*)\)")
_POINTS = ("d", "points", "x", "y", "x1", "y1", "x2", "y2")
_NO_TURN = re.compile(r"rotate\(-?0(?:\.0+)?(?:[ ,][^)]*)?\)")


def slim(root: ET.Element) -> None:
    """Make a drawing smaller where it stands."""
    _drop_ids(root)
    _short_ids(root)
    _one_font(root)
    _hoist(root)
    _unwrap(root)
    if _is_coarse(root):
        _round(root)


def _drop_ids(root: ET.Element) -> None:
    """Ids that nothing in the drawing refers to."""
    used = set()
    for element in root.iter():
        for value in element.attrib.values():
            used |= set(_REFERENCE.findall(value))
    for element in root.iter():
        if element is not root and element.get("id") not in used:
            element.attrib.pop("id", None)


def _short_ids(root: ET.Element) -> None:
    """Names that a program made, by number: a marker's is said at each of its places."""
    taken = {name for e in root.iter() if (name := e.get("id"))}
    made: dict[str, str] = {}
    for name in [e.get("id", "") for e in root.iter()]:
        before, _, last = name.partition("__")
        if len(last) > MOST_NAME:
            free = (f"{before}__{n}" for n in count(len(made)))
            made[name] = next(short for short in free if short not in taken)
            taken.add(made[name])
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == "id":
                element.set(key, made.get(value, value))
            elif "#" in value:
                element.set(key, _REFERENCE.sub(lambda m: "#" + made.get(m[1], m[1]), value))


def _one_font(root: ET.Element) -> None:
    """A family that every text names is named once."""
    texts = [e for e in root.iter() if e.tag == "text"]
    named = [set(_FAMILY.findall(e.get("style", ""))) for e in texts]
    family = set.intersection(*named) if named else set()
    if len(family) != 1 or len(set.union(*named)) != 1:
        return
    root.set("font-family", family.pop().partition(":")[2])
    for text in texts:
        text.set("style", _FAMILY.sub("", text.attrib["style"]).strip(";"))


def _hoist(root: ET.Element) -> None:
    """A style that all members of a group share, said once by the group."""
    for group in [g for g in root.iter("g") if "style" not in g.attrib and len(g) > 1]:
        styles = {child.get("style", "") for child in group}
        if len(styles) != 1 or not (style := styles.pop()):
            continue
        own = {key for child in group for key in child.attrib} & INHERITED
        if not own and {d.partition(":")[0] for d in style.split(";")} <= INHERITED:
            group.set("style", style)
            for child in group:
                child.attrib.pop("style")


def _unwrap(root: ET.Element) -> None:
    """Groups that say nothing give their place to what they hold."""
    for parent in [p for p in root.iter() if p.tag in {"svg", "g"}]:
        parent[:] = _members(parent)


def _members(parent: ET.Element) -> list[ET.Element]:
    found = []
    for child in parent:
        empty = child.tag == "g" and not child.attrib
        found += _members(child) if empty else [child]
    return found


def _is_coarse(root: ET.Element) -> bool:
    """Whether nothing enlarges a hundredth of a unit to what can be seen."""
    width = float((root.get("viewBox") or "0 0 0 0").replace(",", " ").split()[2])
    holders = [e for e in root.iter() if e.tag != "image"]  # an image holds no points
    scales = [s for e in holders for s in _SCALED.findall(e.get("transform", ""))]
    factors = [float(f) for s in scales for f in re.split(r"[\s,]+", s.strip())[:4]]
    return width >= WIDE and all(abs(f) <= MOST_SCALE for f in factors)


def _round(root: ET.Element) -> None:
    for element in root.iter():
        for key in _POINTS:
            if key in element.attrib:
                element.set(key, shorter(element.attrib[key]))
        if _NO_TURN.fullmatch(element.get("transform", "")):
            element.attrib.pop("transform")


def shorter(points: str) -> str:
    """A path or a number to two decimals, without the spaces that nothing needs.

    >>> shorter("M 42.608 166.472666  L -0.001 2.5e-3 z")
    'M42.61 166.47L0 2.5e-3z'
    """
    rounded = _LONG.sub(lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), points)
    bare = re.sub(r"(?<![\d.])-0(?![\d.])", "0", rounded)
    return re.sub(r"\s*([A-DF-Za-df-z])\s*", r"\1", " ".join(bare.split()))
