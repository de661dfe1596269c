"""Plug-ins by file name: listing imports nothing, loading imports one file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from snnlens import registry
from snnlens.errors import InputError

QUESTIONS = (
    "attribution, audit, checkup, conversion, degradation, gradients, identity, rates, train"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of our own with a folder `things`."""
    things = tmp_path / "things"
    things.mkdir()
    (things / "_hidden.py").write_text('"""No plug-in."""\n', encoding="utf-8")
    (things / "b.py").write_text('"""Second.\n\nMore.\n"""\nraise RuntimeError\n', encoding="utf-8")
    (things / "a.py").write_text("x = 1\n", encoding="utf-8")
    (things / "notes.txt").write_text("x", encoding="utf-8")
    monkeypatch.setattr(registry, "PACKAGE", tmp_path)
    return things


def test_listing_is_the_files_in_order(folder: Path) -> None:
    """Nothing is imported: b.py would raise."""
    assert list(registry.listing("things").items()) == [("a", ""), ("b", "Second.")]


def test_a_new_file_is_a_new_plugin(folder: Path) -> None:
    (folder / "aa.py").write_text('"""New."""\n', encoding="utf-8")
    assert list(registry.listing("things")) == ["a", "aa", "b"]


def test_no_folder_no_plugin(folder: Path) -> None:
    assert registry.listing("nothing") == {}


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("experiments", "x", f"question must be one of {QUESTIONS}; got 'x'"),
        ("analysis", "x", f"analysis must be one of {QUESTIONS}; got 'x'"),
        ("experiments", "_params", f"question must be one of {QUESTIONS}; got '_params'"),
        ("analysis", "../cli", f"analysis must be one of {QUESTIONS}; got '../cli'"),
    ],
)  # fmt: skip
def test_an_unknown_name(kind: str, name: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        registry.module(kind, name)
    assert str(error.value) == message


def test_an_unknown_check_lists_the_checks() -> None:
    with pytest.raises(InputError) as error:
        registry.plugin("checks", "x")
    known = ", ".join(registry.listing("checks"))
    assert str(error.value) == f"check must be one of {known}; got 'x'"


def test_loading_imports_that_file_alone() -> None:
    code = (
        "import sys; from snnlens import registry; registry.listing('probes');"
        "registry.module('checks', 'no_identity');"
        "print(sorted(m for m in sys.modules if m.startswith(('snnlens.checks.', 'snnlens.probes',"
        "'torch'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    own = ["snnlens.checks._base", "snnlens.checks._seen", "snnlens.checks.no_identity"]
    assert done.stdout == f"{own}\n"


def test_a_file_without_its_class_is_our_mistake() -> None:
    with pytest.raises(AssertionError, match="has no class named like 'gradients'"):
        registry.plugin("analysis", "gradients")
