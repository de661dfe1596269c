"""A drawing with fewer bytes: what is dropped was never seen."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from snnlens.report import slim


def slimmed(text: str) -> str:
    root = ET.fromstring(text)
    slim.slim(root)
    return ET.tostring(root, encoding="unicode")


def test_ids_that_nothing_refers_to_are_dropped() -> None:
    assert slimmed(
        '<svg viewBox="0 0 9 9"><path id="a" d="M0 0"/><path id="b" d="M0 0"/>'
        '<g clip-path="url(#b)"><use href="#c"/></g><path id="c" d="M0 0"/></svg>'
    ) == (
        '<svg viewBox="0 0 9 9"><path d="M0 0" /><path id="b" d="M0 0" />'
        '<g clip-path="url(#b)"><use href="#c" /></g><path id="c" d="M0 0" /></svg>'
    )


def test_a_style_of_all_members_is_said_once() -> None:
    one = '<use x="1" style="fill:red;stroke:blue" />'
    assert slimmed(f'<svg viewBox="0 0 9 9"><g opacity=".5">{one}{one}</g></svg>') == (
        '<svg viewBox="0 0 9 9"><g opacity=".5" style="fill:red;stroke:blue">'
        '<use x="1" /><use x="1" /></g></svg>'
    )


@pytest.mark.parametrize(
    "members",
    [
        '<use style="opacity:.5" /><use style="opacity:.5" />',  # of each, not of the group
        '<use style="fill:red" /><use style="fill:blue" />',
        '<use style="fill:red" /><use />',
        '<use style="fill:red" fill="blue" /><use style="fill:red" />',
        '<use style="fill:red" />',
    ],
)
def test_a_style_that_is_not_shared_stays(members: str) -> None:
    text = f'<svg viewBox="0 0 9 9"><g opacity="1">{members}</g></svg>'
    assert slimmed(text) == text


def test_long_ids_get_a_number_and_keep_what_refers_to_them() -> None:
    assert slimmed(
        '<svg viewBox="0 0 9 9"><path id="a__m714acf428b" d="M0 0"/><path id="a__0" d="M0 0"/>'
        '<use href="#a__m714acf428b"/><use href="#a__0"/><g clip-path="url(#a__pd0f756d273)"/>'
        '<clipPath id="a__pd0f756d273"/></svg>'
    ) == (
        '<svg viewBox="0 0 9 9"><path id="a__m714acf428b" d="M0 0" /><path id="a__0" d="M0 0" />'
        '<use href="#a__m714acf428b" /><use href="#a__0" /><g clip-path="url(#a__pd0f756d273)" />'
        '<clipPath id="a__pd0f756d273" /></svg>'
    ).replace("m714acf428b", "1").replace("pd0f756d273", "2")


def test_a_font_of_all_texts_is_named_once() -> None:
    one = '<text style="font-size:8px;font-family:A, serif;fill:red">x</text>'
    other = one.replace("A, serif", "B")
    assert slimmed(f'<svg viewBox="0 0 9 9">{one}<g x="1">{one}</g></svg>') == (
        '<svg viewBox="0 0 9 9" font-family="A, serif">'
        '<text style="font-size:8px;fill:red">x</text>'
        '<g x="1"><text style="font-size:8px;fill:red">x</text></g></svg>'
    )
    for odd in (other, "<text>x</text>"):
        text = f'<svg viewBox="0 0 9 9">{one}{odd}</svg>'
        assert slimmed(text) == text


def test_groups_that_say_nothing_go() -> None:
    assert slimmed('<svg viewBox="0 0 9 9"><g><g id="x"><path d="M0 0"/></g></g></svg>') == (
        '<svg viewBox="0 0 9 9"><path d="M0 0" /></svg>'
    )


@pytest.mark.parametrize(
    ("box", "transform", "rounds"),
    [
        ("0 0 400 300", "translate(1 2)", True),
        ("0 0 400 300", "scale(1 -1)", True),
        ("0 0 400 300", "scale(100)", False),  # a hundredth is a unit then
        ("0 0 400 300", "matrix(3,0,0,3,0,0)", False),
        ("0 0 1 1", "", False),
    ],
)
def test_only_what_is_finer_than_a_screen_is_rounded(
    box: str, transform: str, rounds: bool
) -> None:
    text = f'<svg viewBox="{box}"><path d="M 1.23456 -0.0004" transform="{transform}"/></svg>'
    assert ('d="M1.23 0"' in slimmed(text)) == rounds
    assert ("1.23456 -0.0004" in slimmed(text)) != rounds
