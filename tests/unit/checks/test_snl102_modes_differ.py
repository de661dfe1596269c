"""SNL102: training mode and evaluation mode are two different networks."""

from __future__ import annotations

import math
from typing import Any

import pytest

from snnlens.checks.modes_differ import ModesDiffer
from snnlens.recording.record import Record
from tests.unit.checks.handmade import layers, made, only, passes, reason

CHECK = ModesDiffer()


def tried(**modes: Any) -> Record:
    options = {"difference": 0.1, "batches_tracked": 9, "rates": {"0": [0.2, 0.2]}} | modes
    return made(layers(0.2, 0.2), samples=8, tests={"modes": options})


def test_the_first_layer_whose_rate_collapses() -> None:
    finding = only(CHECK, tried(rates={"0": [0.2, 0.19], "1": [0.2, 0.05]}))
    assert (finding.severity, finding.site) == ("warning", "1")
    assert finding.evidence == (
        "net: 1 fires 0.2 in training and 0.05 in evaluation mode, bound a factor 2 (1 of 2 "
        "layers: 1) (N = 8 samples)"
    )


def test_outputs_alone() -> None:
    finding = only(CHECK, tried(difference=0.8))
    assert finding.site is None
    assert "the outputs differ by 0.8 of their norm, bound 0.5" in finding.evidence


@pytest.mark.parametrize(("difference", "issue"), [(0.49, False), (0.5, False), (0.51, True)])
def test_at_the_bound_of_the_outputs(difference: float, *, issue: bool) -> None:
    assert passes(CHECK, tried(difference=difference)) is not issue


@pytest.mark.parametrize(
    ("train", "evaluated", "issue"),
    [(0.2, 0.101, False), (0.2, 0.1, False), (0.2, 0.099, True), (0.0, 0.2, True),
     (0.1, 0.21, True), (1e-3, 0.0, True), (9e-4, 1e-5, False)],  # too few spikes for a factor
)  # fmt: skip
def test_at_the_bound_of_the_rates(train: float, evaluated: float, *, issue: bool) -> None:
    assert passes(CHECK, tried(rates={"0": [train, evaluated]})) is not issue


def test_fresh_running_statistics_are_not_meant_to_agree() -> None:
    assert "num_batches_tracked is 0" in reason(CHECK, tried(difference=9.0, batches_tracked=0))
    assert not passes(CHECK, tried(difference=9.0, batches_tracked=None))  # no BatchNorm: dropout


def test_nothing_to_compare() -> None:
    assert "SNL206" in reason(CHECK, tried(difference=None, rates={}))
    assert "not finite" in reason(CHECK, tried(difference=math.nan))
    assert "snnlens checkup" in reason(CHECK, made(layers(0.2)))


def test_without_the_number_of_samples() -> None:
    record = made(layers(0.2), tests={"modes": {"difference": 0.8}})
    assert only(CHECK, record).evidence == (
        "net: the outputs differ by 0.8 of their norm, bound 0.5"
    )


def test_rates_alone_can_be_compared() -> None:
    assert passes(CHECK, tried(difference=None))
    finding = only(CHECK, tried(difference=None, rates={"0": [0.2, 0.01]}))
    assert finding.evidence.startswith("net: 0 fires 0.2 in training and 0.01 in evaluation mode")
