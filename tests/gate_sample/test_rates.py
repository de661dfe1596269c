"""A test of somebody who uses snnlens: `pytest --snnlens`."""

import pytest
from model import batch, empty, faulty, mended


def test_the_mended_network(snnlens_gate) -> None:
    result = snnlens_gate(mended(), *batch(), silent_max=0.25, rate_min=0.01, ignore=["SNL207"])
    assert result.table["silent_share"].max() <= 0.25


def test_the_faulty_network(snnlens_gate) -> None:
    snnlens_gate(faulty(), *batch(), silent_max=0.25, rate_min=0.01)


def test_no_spiking_network(snnlens_gate) -> None:
    snnlens_gate(empty(), *batch())


def test_a_typo(snnlens_gate) -> None:
    snnlens_gate(mended(), *batch(), silent_mx=0.25)


def test_a_quantity_that_is_not_there(snnlens_gate) -> None:
    snnlens_gate(mended(), *batch(), firing_rte_max=0.25)


def test_the_rules_of_the_file(snnlens_gate) -> None:
    snnlens_gate(mended(), *batch(), config="snnlens.toml")


def test_without_a_gate() -> None:
    with pytest.raises(ZeroDivisionError):
        1 / 0  # noqa: B018
