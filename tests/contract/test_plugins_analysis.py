"""What every question, analysis and check is, whatever it asks."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib.figure
import pydantic
import pytest

from snnlens import registry
from snnlens.checks._base import Check
from snnlens.experiments._params import ModelParams, NetworkParams, SubjectParams
from snnlens.experiments._training import TrainingParams
from snnlens.recording.record import Record
from snnlens.recording.result import Result
from tests.unit.runs import ATTRIBUTES, CONVERTS, OF_A_MODEL, TRAINS, answered, made

QUESTIONS = list(registry.listing("experiments"))
ANALYSES = list(registry.listing("analysis"))
CHECKS = list(registry.listing("checks"))
TESTS = Path(__file__).parents[1]
RANGES = {"1": "input and state", "2": "spikes", "3": "gradients", "4": "blocks and identity",
          "5": "conversion", "6": "attribution", "9": "not seen by the recorder"}  # fmt: skip


BASES: dict[str, type[pydantic.BaseModel]] = {
    **dict.fromkeys(OF_A_MODEL, SubjectParams), **dict.fromkeys(TRAINS, TrainingParams),
    **dict.fromkeys(CONVERTS, pydantic.BaseModel), **dict.fromkeys(ATTRIBUTES, ModelParams),
}  # fmt: skip


# of claims; the rest is the SEW paper's
SOURCES = {"attribution": " et al. 20", "audit": "", "conversion": "Hao et al. 20"}


def check(name: str) -> type[Check]:
    return registry.plugin("checks", name)


# --- questions ---------------------------------------------------------------------------------


def test_a_question_and_its_analysis_have_one_name() -> None:
    assert QUESTIONS == [
        "attribution", "audit", "checkup", "conversion", "degradation", "gradients", "identity",
        "rates", "train",
    ]  # fmt: skip
    assert set(QUESTIONS) <= set(ANALYSES)


@pytest.mark.parametrize("kind", ["experiments", "analysis", "checks"])
def test_first_lines_are_the_docstrings(kind: str) -> None:
    for name, line in registry.listing(kind).items():
        module = registry.module(kind, name)
        assert line == (module.__doc__ or "").splitlines()[0]
        assert line.endswith((".", "?"))
        assert len(line) <= 100  # `snnlens list` shows it behind the name
    for line in registry.listing("experiments").values():
        assert "?" in line  # a question


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_experiment_has_params_and_run(name: str) -> None:
    module = registry.module("experiments", name)
    params = module.Params
    assert issubclass(params, BASES.get(name, NetworkParams))
    assert params.model_config["frozen"]
    assert params.model_config["extra"] == "forbid"
    assert params.__doc__
    given = {"model": "sew_resnet18"} if "model" in params.model_fields else {}
    params(**given)  # every other parameter has a default
    for field in params.model_fields.values():
        assert field.description
    assert list(inspect.signature(module.run).parameters) == ["params", "progress"]
    with pytest.raises(pydantic.ValidationError):
        params(**given).seed = 18


@pytest.mark.parametrize("name", QUESTIONS)
def test_run_gives_a_record_that_says_its_question(name: str) -> None:
    record = made(name)
    assert isinstance(record, Record)
    assert record.provenance["question"] == name
    assert set(record.schemas) == set(record.tables)
    assert set(record.sites["network"]) == set(record.networks)


@pytest.mark.parametrize("name", ANALYSES)
def test_compute_gives_a_whole_result(name: str) -> None:
    module = registry.module("analysis", name)
    assert list(inspect.signature(module.compute).parameters) == ["record"]
    assert list(inspect.signature(module.draw).parameters) == ["result"]
    assert "Source: " in (inspect.getdoc(module.compute) or "")
    result = module.compute(made(name))
    assert isinstance(result, Result)
    assert result.question == name
    assert result.title.endswith("?")
    assert result.draw is module.draw
    assert len(result.table)
    assert "network" in result.table
    words = [note.partition(":")[0] for note in result.notes]
    assert words == ["Shown", "Good", "Bad", "What to do"]  # how to read the figure
    assert result.caption.endswith(".")
    assert not result.findings  # checks find; an analysis computes


@pytest.mark.parametrize("name", ANALYSES)
def test_draw_gives_a_figure_from_the_result_alone(name: str) -> None:
    result = answered(name)
    before = result.table.copy()
    figure = result.plot()
    assert isinstance(figure, matplotlib.figure.Figure)
    assert figure.canvas.manager is None  # no pyplot window
    assert before.equals(result.table)  # drawing changes no number


@pytest.mark.parametrize("name", ANALYSES)
def test_claims_are_whole(name: str) -> None:
    claims = answered(name).claims
    assert len({c.id for c in claims}) == len(claims)
    assert claims or name in {"checkup", "train"}  # which repeat nobody's claim
    for claim in claims:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", claim.id)
        assert claim.statement.endswith(".")
        assert SOURCES.get(name, "Fang et al. 2021") in claim.source
        assert claim.bound
        assert claim.verdict in {"holds", "fails", "not-testable"}
        assert (claim.measured is None) == (claim.verdict == "not-testable")
        assert claim.reason  # a verdict without its evidence is none


# --- checks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_says_its_facts(name: str) -> None:
    cls = check(name)
    assert issubclass(cls, Check)
    assert cls.name == name
    assert cls.__name__ == "".join(part.capitalize() for part in name.split("_"))
    module = registry.module("checks", name)
    own = [c for _, c in inspect.getmembers(module, inspect.isclass)
           if issubclass(c, Check) and c.__module__ == module.__name__]  # fmt: skip
    assert own == [cls]  # one file, one check
    assert re.fullmatch(r"SNL[1-69]\d\d", cls.code)
    assert (module.__doc__ or "").startswith(f"{cls.code}: ")
    for text in (cls.title, cls.why, cls.next, cls.reference):
        assert text.strip() == text
        assert text
    assert cls.why.endswith(".")
    assert cls.next.endswith(".")
    assert cls.formula
    assert cls.thresholds
    assert all(name and text for name, text in cls.thresholds.items())
    assert set(cls.needs) <= set(registry.listing("probes"))


def test_codes_are_unique_and_in_the_documented_ranges() -> None:
    codes = [check(name).code for name in CHECKS]
    assert len(set(codes)) == len(codes)
    text = (TESTS.parent / "docs" / "contract.md").read_text(encoding="utf-8")
    documented = " ".join(text.partition("## Finding codes")[2].split())
    for digit, words in RANGES.items():
        assert f"{digit}xx {words}" in documented
    assert {code[3] for code in codes} <= set(RANGES)


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_has_its_own_test_file(name: str) -> None:
    path = TESTS / "unit" / "checks" / f"test_{check(name).code.lower()}_{name}.py"
    assert path.is_file()


def test_no_test_file_without_its_check() -> None:
    files = {p.stem for p in (TESTS / "unit" / "checks").glob("test_snl*.py")}
    assert files == {f"test_{check(name).code.lower()}_{name}" for name in CHECKS}


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_check_reads_the_record_of_every_question(name: str, question: str) -> None:
    """Whatever was recorded: it applies and finds, or it does not apply; it never raises."""
    record, made_check = made(question), check(name)()
    tables = {probe: table.copy() for probe, table in record.tables.items()}
    outcome = made_check.outcome(record)
    assert (outcome.outcome == "not applicable") == bool(made_check.applies(record))
    assert outcome.reason or outcome.outcome != "not applicable"
    found: Any = outcome.findings
    sites = set(record.sites["site"])
    for one in found:
        assert one.code == made_check.code
        assert one.severity in {"error", "warning", "note"}
        assert one.site is None or one.site in sites
        assert any(network in one.evidence for network in record.networks)
        assert (one.why, one.next, one.reference) == (
            made_check.why, made_check.next, made_check.reference,
        )  # fmt: skip
    assert all(table.equals(record.tables[probe]) for probe, table in tables.items())


# --- no torch ----------------------------------------------------------------------------------


def test_importing_a_question_imports_no_torch() -> None:
    names = [f"snnlens.experiments.{n}" for n in QUESTIONS]
    names += [f"snnlens.analysis.{n}" for n in ANALYSES]
    names += [f"snnlens.checks.{n}" for n in CHECKS]
    code = (
        f"import importlib, sys\nfor name in {names!r}:\n    importlib.import_module(name)\n"
        "    heavy = {'torch', 'matplotlib', 'sklearn'} & set(sys.modules)\n"
        "    assert not heavy, (name, heavy)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
