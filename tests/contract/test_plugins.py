"""What every probe is: one file, one class of its name, columns that add up, a formula, a test."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from snnlens import registry
from snnlens.errors import InputError
from snnlens.measures.quotients import QUOTIENTS
from snnlens.measures.whole import WHOLE
from snnlens.neuron.statistics import BIT
from snnlens.recording.probe import Probe
from snnlens.recording.record import Column, Quantity, Schema

TESTS = Path(__file__).parents[1]
PROBES = list(registry.listing("probes"))
METHODS = ("value", "gradient", "around", "train", "paths", "step", "counted")
ROLES = {"neuron", "block_input", "block_residual", "block_output", "parameter", "synapse", "norm"}
# a formula, a published source, or both
SAID = re.compile(r"Source: \S|sum|\|\||share of", re.IGNORECASE)


def test_there_are_probes() -> None:
    assert {"firing_rate", "gradient_norm", "identity_error"} <= set(PROBES)


def test_listing_reads_first_lines_and_imports_nothing() -> None:
    folder = registry.PACKAGE / "probes"
    assert sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_")) == PROBES
    for name, line in registry.listing("probes").items():
        assert line == (inspect.getdoc(registry.module("probes", name)) or "").split("\n")[0]
        assert line.endswith(".")


@pytest.mark.parametrize("name", PROBES)
def test_one_class_of_the_files_name(name: str) -> None:
    module = registry.module("probes", name)
    own = [c for _, c in inspect.getmembers(module, inspect.isclass)
           if issubclass(c, Probe) and c.__module__ == module.__name__]  # fmt: skip
    assert [c.name for c in own] == [name]
    assert registry.plugin("probes", name) is own[0]
    assert own[0].__name__ == "".join(part.capitalize() for part in name.split("_"))
    assert isinstance(own[0](), Probe)  # needs no argument


@pytest.mark.parametrize("name", PROBES)
def test_columns_and_quantities(name: str) -> None:
    probe: Any = registry.plugin("probes", name)
    assert probe.columns
    for column in probe.columns.values():
        assert isinstance(column, Column)
        assert {column.merge, column.steps} <= {"sum", "max", "min", "or"}
    for quantity in probe.quantities.values():
        assert isinstance(quantity, Quantity)
        assert set(quantity.of) <= set(probe.columns)
        takes = inspect.signature((QUOTIENTS | WHOLE)[quantity.measure]).parameters.values()
        assert len(quantity.of) == sum(p.kind is not p.KEYWORD_ONLY for p in takes)
        assert quantity.unit
    assert probe.schema() == Schema(probe.axes, probe.columns, probe.quantities, probe.adds)
    assert set(probe.roles) <= ROLES


def test_no_two_probes_give_one_quantity() -> None:
    """They all become columns of one frame."""
    names = [q for name in PROBES for q in registry.plugin("probes", name).quantities]
    assert len(set(names)) == len(names)
    assert not set(names) & {"network", "site", "step", "order", "block", "stage", "area"}


@pytest.mark.parametrize("name", PROBES)
def test_it_observes_something(name: str) -> None:
    probe = registry.plugin("probes", name)()
    assert any(probe.overrides(method) for method in METHODS)
    assert probe.overrides("counted") == bool(probe.statistics)
    assert probe.statistics <= set(BIT)
    with pytest.raises(NotImplementedError):
        Probe.value(probe, None, torch.zeros(1))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", PROBES)
def test_it_says_its_formula_or_source(name: str) -> None:
    text = inspect.getdoc(registry.plugin("probes", name))
    assert text is not None
    assert text != inspect.getdoc(Probe)
    assert SAID.search(text)
    assert len(text.splitlines()) >= 3


@pytest.mark.parametrize("name", PROBES)
def test_it_has_its_own_test_file(name: str) -> None:
    path = TESTS / "unit" / "probes" / f"test_{name}.py"
    assert path.is_file()
    assert registry.plugin("probes", name).__name__ in path.read_text(encoding="utf-8")


def test_no_test_file_without_its_probe() -> None:
    there = {p.stem.removeprefix("test_") for p in (TESTS / "unit" / "probes").glob("test_*.py")}
    assert there == set(PROBES)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError) as error:
        registry.plugin("probes", "fireing_rate")
    assert str(error.value) == f"probe must be one of {', '.join(PROBES)}; got 'fireing_rate'"
