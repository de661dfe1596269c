"""SNL901: sites that the recorder never saw, or saw more often than the model was called."""

from __future__ import annotations

import torch
from torch import nn

import snnlens
from snnlens.checks.unseen_sites import UnseenSites
from snnlens.recording.record import Record
from tests.unit.analysis.handmade import Net, record


def counted(calls: dict[str, int], passes: int = 1) -> Record:
    made = record(Net(facts={"forward_passes": passes}), depth=18)
    for site, number in calls.items():
        made.sites.loc[made.sites["site"] == site, "forward_calls"] = number
    return made


def test_each_site_once_per_pass() -> None:
    assert UnseenSites().findings(counted({})) == []
    made = record(Net(facts={"forward_passes": 3}), depth=18)
    made.sites["forward_calls"] = 3
    assert UnseenSites().findings(made) == []


def test_never_seen() -> None:
    (finding,) = UnseenSites().findings(counted({"layer2.0.input": 0, "layer4.1.output": 0}))
    assert (finding.code, finding.severity) == ("SNL901", "warning")
    assert finding.site == "layer2.0.input"
    assert finding.evidence == "spiking: 2 of 24 sites were never seen"


def test_seen_twice() -> None:
    """A checkpointed block runs again in the backward pass."""
    (finding,) = UnseenSites().findings(counted({"layer3.0.output": 2}))
    assert (finding.site, finding.evidence) == (
        "layer3.0.output",
        "spiking: 1 of 24 sites were seen more often than the model was called",
    )


def test_parameters_are_not_seen_forward() -> None:
    model = snnlens.resnet(8, layout="cifar", classes=10, time_steps=1, seed=0)
    with snnlens.record(model, ["firing_rate", "parameter_gradient"]) as recorder:
        model(torch.randn(2, 3, 8, 8)).sum().backward()
    made = recorder.record()
    assert (made.sites["role"] == "parameter").any()
    assert UnseenSites().findings(made) == []


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
    assert (finding.site, finding.evidence) == ("second", "half: 1 of 2 sites were never seen")
