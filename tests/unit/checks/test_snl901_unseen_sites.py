"""SNL901: sites that the recorder never saw, or saw more often than the model was called."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnlens
from snnlens.checks.unseen_sites import UnseenSites
from snnlens.recording.merge import merge
from snnlens.recording.record import Record
from tests.unit.analysis.handmade import Net, record
from tests.unit.checks.handmade import layer, made, only, passes, reason


def counted(calls: dict[str, int], passes: int = 1) -> Record:
    counts = record(Net(facts={"forward_passes": passes}), depth=18)
    for site, number in calls.items():
        counts.sites.loc[counts.sites["site"] == site, "forward_calls"] = number
    return counts


def test_each_site_once_per_pass() -> None:
    assert UnseenSites().findings(counted({})) == []
    thrice = record(Net(facts={"forward_passes": 3}), depth=18)
    thrice.sites["forward_calls"] = 3
    assert UnseenSites().findings(thrice) == []


def test_never_seen() -> None:
    (finding,) = UnseenSites().findings(counted({"layer2.0.input": 0, "layer4.1.output": 0}))
    assert (finding.code, finding.severity) == ("SNL901", "warning")
    assert finding.site == "layer2.0.input"
    assert finding.evidence == (
        "spiking: 2 of 24 sites were never seen (1 forward passes): layer2.0.input, layer4.1.output"
    )


def test_seen_twice() -> None:
    """A checkpointed block runs again in the backward pass."""
    (finding,) = UnseenSites().findings(counted({"layer3.0.output": 2}))
    assert (finding.site, finding.evidence) == (
        "layer3.0.output",
        (
            "spiking: 1 of 24 sites were seen more often than the model was called (1 forward "
            "passes): layer3.0.output"
        ),
    )


def test_parameters_are_not_seen_forward() -> None:
    model = snnlens.resnet(8, layout="cifar", classes=10, time_steps=1, seed=0)
    with snnlens.record(model, ["firing_rate", "parameter_gradient"]) as recorder:
        model(torch.randn(2, 3, 8, 8)).sum().backward()
    seen = recorder.record()
    assert (seen.sites["role"] == "parameter").any()
    assert UnseenSites().findings(seen) == []


def test_a_model_that_skips_a_layer() -> None:
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = snnlens.IF(), snnlens.IF()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.first(x)  # type: ignore[no-any-return]

    model = Half()
    with snnlens.record(model, ["firing_rate"], network="half") as recorder:
        model(torch.rand(2, 3, 4))
    (finding,) = UnseenSites().findings(recorder.record())
    assert (finding.site, finding.evidence) == (
        "second", "half: 1 of 2 sites were never seen (1 forward passes): second",
    )  # fmt: skip


@pytest.mark.parametrize("role", ["parameter", "synapse", "norm"])
def test_other_roles_are_not_judged(role: str) -> None:
    rows = [layer(), layer(role=role, forward_calls=0), layer(role=role, forward_calls=9)]
    assert passes(UnseenSites(), made(rows))
    assert "no spiking layer" in reason(UnseenSites(), made(rows[1:]))


def test_a_compiled_model_is_named() -> None:
    rows = [layer(), layer(forward_calls=0)]
    text = only(UnseenSites(), made(rows, wrapped=["OptimizedModule"])).evidence
    assert text.endswith("(the model came wrapped in OptimizedModule)")


def test_a_shared_layer_is_seen_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = snnlens.IF()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.a(self.a(x))  # type: ignore[no-any-return]

    model = Twice()
    with snnlens.record(model, ["firing_rate"]) as recorder:
        model(torch.rand(2, 3, 4))
    assert "seen more often" in only(UnseenSites(), recorder.record()).evidence


def test_a_layer_that_is_called_past_its_hooks() -> None:
    class Past(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = snnlens.IF(), snnlens.IF()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.b.forward(self.a(x))

    model = Past()
    with snnlens.record(model, ["firing_rate"]) as recorder:
        model(torch.rand(2, 3, 4))
    assert only(UnseenSites(), recorder.record()).site == "b"


def test_what_the_recorder_says_that_it_did_not_see() -> None:
    two = [layer(), layer()]
    outcome = UnseenSites().outcome(made(two, replaced=["1", "gone"], unheard=["0"], elsewhere=3))
    assert [(f.severity, f.site) for f in outcome.findings] == [
        ("warning", "1"), ("warning", "0"), ("warning", None),
    ]  # fmt: skip
    replaced, unheard, elsewhere = (f.evidence for f in outcome.findings)
    assert replaced == (
        "net: 2 of 2 sites gave their place to another module while they were recorded, which was "
        "not seen: 1, gone"
    )
    assert unheard == (
        "net: 1 of 2 sites ran again inside the backward pass, where their gradient was not "
        "heard: 0"
    )
    assert elsewhere == ("net: 3 passes that other threads made at the same time were not recorded")
    none = made(two, replaced=[], unheard=None, elsewhere=0)
    assert UnseenSites().outcome(none).outcome == "passed"


@pytest.mark.parametrize("how", ["per rank", "per batch"])
def test_ranks_whose_record_was_not_there(how: str) -> None:
    one = made([layer()], forward_passes=1)
    two = merge([one, one], how=how, expected=5)
    finding = only(UnseenSites(), two)
    assert (finding.severity, finding.site) == ("warning", None)
    assert finding.evidence == (
        "net: 3 of the 5 records to merge were not there; the numbers are those of the others"
    )
    passes(UnseenSites(), merge([one, one], how=how, expected=2))
