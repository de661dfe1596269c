"""Each fault is found by its code at its site, and nothing at all is found in the mended twin."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import pandas as pd
import pytest
import torch
from torch import nn

import snnlens
from snnlens import registry
from snnlens.api import parameters
from snnlens.checks import examine
from snnlens.probes.firing_rate import FiringRate
from snnlens.recording.result import Result
from tests.faults import models
from tests.faults.faults import FAULTS, Build, Fault
from tests.faults.frameworks import FRAMEWORKS, UsersLIF, stack
from tests.faults.networks import Change, Stack, batch, same, shown

CASES = [
    pytest.param(f, name, id=f"{f.code}-{f.what}-{name}") for f in FAULTS for name in f.frameworks
]
OTHER_RUNS = [*(f"SNL50{n}" for n in range(1, 10)), *(f"SNL60{n}" for n in range(1, 7))]
Key = tuple[Build, str, tuple[tuple[str, Any], ...]]


def checkup(net: nn.Module, of: Mapping[str, Any], given: Change = same) -> Result:
    """As a user asks for it: the network, a batch and its labels."""
    if of.get("images"):
        x, y = models.images()
    else:
        sizes = {k: v for k, v in of.items() if k in ("steps", "samples")}
        x, y = batch(**sizes)
        x = given(x)
        x = shown(net, x) if isinstance(net, Stack) else x
    return snnlens.checkup(net, x, y, spiking=(UsersLIF,))


def key_of(fault: Fault, framework: str) -> Key:
    return fault.build, framework, tuple(sorted(fault.of.items()))


@cache
def twin(build: Build, framework: str, of: tuple[tuple[str, Any], ...]) -> Result:
    """The check-up of the healthy network, which many faults share."""
    return checkup(build(framework, **dict(of)), dict(of))


def outcomes(result: Result) -> pd.Series:
    """How each check ended, by its code."""
    return result.extra["checks"].set_index("code")["outcome"]


@pytest.mark.parametrize(("fault", "framework"), CASES)
def test_the_fault_is_found_at_its_site(fault: Fault, framework: str) -> None:
    net = fault.build(framework, **fault.of)
    fault.plant(net)
    found = checkup(net, fault.of, fault.given).findings
    assert (fault.code, fault.site) in {(f.code, f.site) for f in found}


@pytest.mark.parametrize(("fault", "framework"), CASES)
def test_nothing_is_found_in_its_mended_twin(fault: Fault, framework: str) -> None:
    """Not even a note; and the check did look: it passed, which is more than not applicable."""
    result = twin(*key_of(fault, framework))
    assert [(f.code, f.site, f.evidence) for f in result.findings] == []
    assert outcomes(result)[fault.code] == "passed"


def test_every_check_has_a_fault_in_two_frameworks() -> None:
    """SNL902 is the audit's, below; SNL903 is about sweeps, SNL5xx about conversions: they have
    tests of their own.
    """
    codes = {registry.plugin("checks", name).code for name in registry.listing("checks")}
    packages = {
        c: {FRAMEWORKS[n][0] for f in FAULTS if f.code == c for n in f.frameworks} for c in codes
    }
    assert sorted(c for c in codes if len(packages[c]) < 2) == [*OTHER_RUNS, "SNL902", "SNL903"]


def test_every_framework_has_several_faults() -> None:
    assert min(sum(n in f.frameworks for f in FAULTS) for n in FRAMEWORKS) >= 3


def mean_over_time(y: torch.Tensor) -> torch.Tensor:
    return y.mean(0)


@pytest.mark.parametrize("read", [same, mean_over_time])
def test_four_steps_are_not_taken_for_the_four_samples_of_a_test(read: Change) -> None:
    """SNL103 shows four samples; at T = 4 both axes of the output are as long, or classes are."""
    net = stack("spikingjelly", steps=4, samples=64)
    net.read = read
    result = checkup(net, {"steps": 4, "samples": 64})
    assert list(result.findings) == []
    assert outcomes(result)["SNL103"] == "passed"


# --- the audit ---------------------------------------------------------------------------------


class FirstSampleOnly(FiringRate):
    """A probe with a planted bug: it counts the first sample of the batch, and says it was all."""

    statistics = frozenset()  # nothing that a kernel has summed: it looks itself

    def value(self, site: Any, x: torch.Tensor) -> Any:
        return super().value(site, x[:, :1].expand_as(x))


@pytest.fixture(params=["spikingjelly", "snntorch", "snnlens"])
def audited(request: pytest.FixtureRequest) -> Any:
    """The audit of a healthy network with some probes."""
    net = stack(request.param)
    experiment = registry.module("experiments", "audit")
    params = parameters("audit", {"model": request.param})
    return lambda *probes: experiment.of(net, *batch(), params, probes=list(probes))


def test_the_audit_finds_a_planted_wrong_probe(audited: Any) -> None:
    found = {o.code: o for o in examine(audited(FirstSampleOnly()))}["SNL902"]
    assert [(f.severity, f.site) for f in found.findings] == [("error", "sn0")]
    assert "firing_rate.total at sn0" in found.findings[0].evidence


def test_the_audit_confirms_the_right_probe(audited: Any) -> None:
    record = audited(FiringRate())
    assert {o.code: o.outcome for o in examine(record)}["SNL902"] == "passed"
    assert len(record.table("audit")) > 0
