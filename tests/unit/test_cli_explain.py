"""`snnlens explain`: every check's own words, and no torch."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest

from snnlens import registry
from snnlens.cli import main

CHECKS: list[Any] = [registry.plugin("checks", name) for name in registry.listing("checks")]
HEADLINES = ["What it means", "Formula", "Thresholds", "What to try", "Reference"]


def words(text: str) -> str:
    """Without line breaks and indentation."""
    return " ".join(text.split())


def sections(text: str) -> dict[str, str]:
    """The text under each headline: a line that is not indented, after an empty one."""
    title, *parts = re.split(r"\n\n(?=\S)", text)
    found = {"": title}
    for part in parts:
        headline, _, body = part.partition("\n")
        assert all(line.startswith("  ") for line in body.splitlines())
        found[headline] = words(body)
    return found


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.code)
def test_a_code_is_explained_in_the_words_of_its_check(
    check: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", check.code]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    found = sections(said.out.rstrip("\n"))
    assert list(found) == ["", *HEADLINES]
    assert found[""] == f"{check.code}  {check.title}"
    assert found["What it means"] == words(check.why)
    assert found["What to try"] == words(check.next)
    assert found["Reference"] == words(check.reference)
    assert found["Formula"] == words(f"{check.formula} {check.__doc__}")
    wanted = " ".join(f"{name}: {words(text)}" for name, text in check.thresholds.items())
    assert found["Thresholds"] == (wanted or "none")
    assert max(map(len, said.out.splitlines())) <= 88


def test_formula_and_thresholds_of_a_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    check = registry.plugin("checks", "vanishing_gradient")
    monkeypatch.setattr(check, "formula", "min / max")
    monkeypatch.setattr(check, "__doc__", "Its own\n    words.")
    thresholds = {"warning": "1e-3 (ours)", "error": "1e-6 (float32)"}
    monkeypatch.setattr(check, "thresholds", thresholds)
    assert main(["explain", "snl302"]) == 0  # lower case will do
    text = capsys.readouterr().out
    assert "\nFormula\n  min / max\n  Its own words.\n\n" in text
    assert "\nThresholds\n  warning: 1e-3 (ours)\n  error: 1e-6 (float32)\n" in text
    monkeypatch.setattr(check, "thresholds", {})
    assert main(["explain", "SNL302"]) == 0
    assert "\nThresholds\n  none\n\n" in capsys.readouterr().out


def test_without_a_code_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == sorted(f"{check.code}  {check.title}" for check in CHECKS)
    assert len(lines) == len(registry.listing("checks")) >= 6


def test_no_code_belongs_to_two_checks() -> None:
    """Else explain would show one of them only."""
    assert len({check.code for check in CHECKS}) == len(CHECKS)


def test_it_imports_no_torch() -> None:
    code = (
        "import sys; from snnlens.cli import main; main(['explain', 'SNL302']); "
        "print({'torch', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "set()", done.stderr
