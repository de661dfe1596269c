"""A factor per layer counts the layers that it passes, recorded or not."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import snnlens
from snnlens.checks._line import depth_line
from snnlens.checks._seen import made
from snnlens.checks.and_silence import AndSilence
from snnlens.recording.record import Record
from tests.unit.analysis.handmade import Net, record
from tests.unit.checks.handmade import only

SLOPE = 1 / (1 + (math.pi * 0.5) ** 2)  # of atan with alpha = 2, half a threshold away


class Chain(nn.Module):
    """Ten IF neurons with V_th = .5, each handed the spike 1 of the one before: H - V_th = .5."""

    def __init__(self, *, unheard: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(snnlens.IF(threshold=0.5) for _ in range(10))
        self.unheard = unheard

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:3]:
            x = layer(x)
        middle = nn.Sequential(*self.layers[3:7])
        x = checkpoint(middle, x, use_reentrant=True) if self.unheard else middle(x)
        for layer in self.layers[7:]:
            x = layer(x)
        return x


def recorded(*, unheard: bool) -> Record:
    net = Chain(unheard=unheard)
    with snnlens.record(net, probes=["firing_rate", "gradient_norm"]) as seen:
        net(torch.ones(1, 4, 6, requires_grad=True)).sum().backward()
    return seen.record()


@pytest.mark.filterwarnings("ignore:.*use_reentrant.*")
def test_layers_that_no_gradient_was_heard_of_leave_a_gap() -> None:
    lines = [depth_line(made(recorded(unheard=u))[0]) for u in (False, True)]
    assert [len(line.norms) for line in lines if line] == [10, 6]
    for line in lines:
        assert line is not None
        assert line.span == 9
        assert line.fit.factor == pytest.approx(SLOPE, rel=1e-6)
        assert line.total == pytest.approx(SLOPE**9, rel=1e-5)


def test_blocks_are_called_by_their_number() -> None:
    """SEW and, the first two blocks not recorded: O^7 is O^7."""
    rates = [0.4 * 0.3**i for i in range(8)]
    whole = record(Net("sew", "and", nonzero=rates), depth=18)
    outputs = whole.sites[whole.sites["role"] == "block_output"].sort_values("block")
    gone = set(outputs["site"][:2])
    rates_left = whole.tables["firing_rate"]
    whole.tables["firing_rate"] = rates_left[~rates_left["site"].isin(gone)]
    finding = only(AndSilence(), whole)
    assert "a factor 0.3 per block" in finding.evidence
    assert "over 5 blocks 2.4e-03" in finding.evidence
    assert "0.036 at O^2 to 8.75e-05 at O^7" in finding.evidence
