"""A field that is given by its place, as MODEL is; the user's traceback; the panels of --help."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import BaseModel, ConfigDict, Field

from snnlens import api, registry
from snnlens.cli import QUESTIONS, YOUR_MODEL, _panel, main
from snnlens.recording.result import Result

SOURCE = '"""What a fake question asks?"""\n\nPANEL = "Your model"\n'


class Params(BaseModel):
    """What the fake needs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(description="a name [of a model]", json_schema_extra={"argument": True})
    second: str | None = Field(None, description="more", json_schema_extra={"argument": True})
    output: int | None = Field(None, description="which output")
    time_steps: int = Field(4, description="T")


@pytest.fixture(autouse=True)
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A question `fake`, found as every question is: by its file; what `answer` was given."""
    package = tmp_path / "package"
    for kind in ("experiments", "checks", "probes", "analysis", "adapters", "commands"):
        (package / kind).mkdir(parents=True)
    (package / "experiments" / "fake.py").write_text(SOURCE, encoding="utf-8")
    (package / "experiments" / "another.py").write_text('"""Another?"""\n', encoding="utf-8")
    (package / "commands" / "report.py").write_text('"""A page."""\n', encoding="utf-8")
    module = types.ModuleType("snnlens.experiments.fake")
    module.Params = Params  # type: ignore[attr-defined]
    monkeypatch.setattr(registry, "PACKAGE", package)
    monkeypatch.setitem(sys.modules, "snnlens.experiments.fake", module)
    given: list[dict[str, Any]] = []

    def answer(question: str, folder: Path, **more: Any) -> Result:
        given.append({"question": question, "folder": folder} | more)
        return Result("fake", "a caption", pd.DataFrame(), "", [], [], None)  # type: ignore[arg-type]

    monkeypatch.setattr(api, "answer", answer)
    monkeypatch.chdir(tmp_path)
    return given


def test_the_argument_arrives_under_its_name(seen: list[dict[str, Any]]) -> None:
    assert main(["fake", "zoo.nets:build", "-o", "mine", "--quiet"]) == 0
    assert seen == [{"question": "fake", "folder": Path("mine"), "force": False, "progress": None,
                     "model": "zoo.nets:build"}]  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        ["--time-steps", "2", "m", "n"],
        ["m", "--time-steps", "2", "n"],
        ["m", "n", "--time-steps", "2"],
    ],
)
def test_options_may_stand_anywhere(words: list[str], seen: list[dict[str, Any]]) -> None:
    assert main(["fake", *words, "--quiet"]) == 0
    assert {k: seen[0][k] for k in ("model", "second", "time_steps")} == {
        "model": "m", "second": "n", "time_steps": "2",
    }  # fmt: skip


def test_output_may_be_a_parameter(seen: list[dict[str, Any]]) -> None:
    """INDEX of a model's outputs; the folder is then -o or --folder."""
    assert main(["fake", "m", "--output", "1", "--folder", "mine", "--quiet"]) == 0
    assert (seen[0]["output"], seen[0]["folder"]) == ("1", Path("mine"))


def test_without_the_argument(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fake"]) == 2
    said = capsys.readouterr()
    line = "snnlens: Missing argument 'MODEL'; see `snnlens fake --help`\n"
    assert (said.out, said.err) == ("", line)


def test_one_too_many(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fake", "m", "n", "o"]) == 2
    line = "snnlens: Got unexpected extra argument(s) (o); see `snnlens fake --help`\n"
    assert capsys.readouterr().err == line


def test_the_help_of_a_question_with_an_argument(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fake", "--help"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"fake \[OPTIONS\] \{?MODEL\}? \[\{?SECOND\}?\]", text)
    assert re.search(r"│ \*? +MODEL +.*a name \[of a model\]", text)
    assert "--model" not in text
    assert "Undefined" not in text
    assert "T [default: 4]" in text


def test_questions_about_a_model_have_their_own_panel(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    names = re.findall(r"─ (Questions|Your model|Runs|About) ─|^│ (\w+) ", text, re.MULTILINE)
    order = [panel or command for panel, command in names]
    assert order == ["Questions", "another", "Your model", "fake", "Runs", "report", "About",
                     "list", "explain", "doctor"]  # fmt: skip


def test_listing_reads_the_panel_and_imports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "snnlens.experiments.fake")
    assert (_panel("fake"), _panel("another")) == (YOUR_MODEL, QUESTIONS)
    assert "snnlens.experiments.fake" not in sys.modules


def test_the_users_traceback_comes_before_the_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from snnlens.experiments._model import load_model

    Path("bad.py").write_text("def build():\n    return 1 / 0\n", encoding="utf-8")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(api, "answer", lambda _q, _f, model, **_: load_model(model))
    assert main(["fake", "bad.py:build", "--quiet"]) == 2
    said = capsys.readouterr()
    sys.modules.pop("bad")
    lines = said.err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == f'  File "{Path.cwd()}/bad.py", line 2, in build'
    assert lines[-2:] == [
        "ZeroDivisionError: division by zero",
        "snnlens: bad.py:build raised ZeroDivisionError: division by zero",
    ]
    assert said.err.count("Traceback") == 1
    assert str(registry.PACKAGE) not in said.err
    assert said.out == ""
