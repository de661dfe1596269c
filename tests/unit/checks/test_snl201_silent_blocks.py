"""SNL201: block outputs without a single spike."""

from __future__ import annotations

import numpy as np

from snnlens.checks.silent_blocks import SilentBlocks
from tests.unit.analysis.handmade import Net, record
from tests.unit.checks.handmade import layers, made, passes, reason

COUNT = 8  # blocks of depth 18


def test_it_fires_and_says_where_and_over_what() -> None:
    nonzero = np.where(np.arange(COUNT) >= 5, 0.0, 0.2)
    nets = [Net(), Net("sew", "and", nonzero=nonzero)]
    (finding,) = SilentBlocks().findings(record(*nets, depth=18, batch=6))
    assert (finding.code, finding.severity) == ("SNL201", "error")
    assert finding.site == "layer3.1.output"  # block 5
    assert finding.evidence == (
        "sew-and: 3 of 8 block outputs are silent (N = 6 samples, T = 4); the first is O^5"
    )


def test_one_nonzero_element_is_not_silent() -> None:
    assert SilentBlocks().findings(record(Net(nonzero=1e-9), depth=18)) == []


def test_an_auxiliary_network_is_not_judged() -> None:
    made = record(Net(nonzero=0.0, name="spiking-zero-t1"), depth=18)
    assert SilentBlocks().findings(made) == []


def test_it_needs_rates_and_blocks() -> None:
    assert passes(SilentBlocks(), record(Net(), depth=18))
    assert "firing_rate" in reason(SilentBlocks(), record(Net(rates=None), depth=18))
    assert "no residual block" in reason(SilentBlocks(), made(layers(0.0)))
