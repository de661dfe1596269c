"""Text of users as LaTeX: set as it stands, never a command."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnlens.report import numbers
from snnlens.report.export import _tex
from tests.unit.report import hostile
from tests.unit.report.tex import SIGNS, balanced, read, sound, value


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_ascii_is_set_as_it_stands(text: str) -> None:
    made = _tex.escaped(text)
    assert read(made) == " ".join(text.split())
    assert balanced(made)
    assert not re.search("--", made)


@given(st.text())
def test_any_text_is_ascii_balanced_and_one_line(text: str) -> None:
    made = _tex.escaped(text)
    assert made.isascii()
    assert made.isprintable()
    assert balanced(made)
    assert set(re.findall(r"\\([A-Za-z]+)", made)) <= SIGNS | {
        m[1:] for m in _tex.SIGNS.values()
    } | {m[1:] for m in _tex.ACCENTS.values() if m[1:].isalpha()}


@pytest.mark.parametrize("name", hostile.NAMES)
def test_no_name_is_a_command(name: str) -> None:
    for length in (None, 40):
        made = _tex.escaped(name, length)
        sound(made)
        if name == hostile.LONG and length:
            assert read(made) == "x" * 39 + "…"


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("Timothée, Größe, naïve", r"Timoth\'{e}e, Gr\"{o}\ss{}e, na\"{i}ve"),
        ("10⁻³ ≤ σ", r"10\ensuremath{^{-3}} \ensuremath{\le} \ensuremath{\sigma}"),
        ("e\u0301 = é", r"\'{e} = \'{e}"),
        ("漢", "U+6F22"),
        ("\x00", "U+0000"),
    ],
)
def test_other_signs(text: str, made: str) -> None:
    assert _tex.escaped(text) == made


@pytest.mark.parametrize("shown", [0.0, 1.0, -1.5e-26, 12345678.0, 0.145, -np.inf, np.inf, 6.6e7])
def test_a_number_can_be_read_back(shown: float) -> None:
    for show in (numbers.column([shown])[0], numbers.scientific):
        assert value(_tex.number(show(shown))) == pytest.approx(shown, rel=1e-3)
