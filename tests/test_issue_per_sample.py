"""Numbers that are said per sample, or over N samples, are of all batches and not of one call."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnlens
from snnlens.checks.rate_collapse import RateCollapse
from snnlens.checks.silent_blocks import SilentBlocks
from tests.unit.checks.handmade import layers, made, only
from tests.unit.recording import brute


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 32), snnlens.IF(), nn.Linear(32, 4), snnlens.IF())


def energy(batch: int, calls: int = 1) -> dict[str, float]:
    """Additions and millijoules per sample of samples that are all the same."""
    net = network()
    with snnlens.record(net, probes=["firing_rate", "synaptic_operations"]) as seen:
        for _ in range(calls):
            net(torch.ones(4, batch, 16))
    table = snnlens.analyse("checkup", seen.record()).extra["energy"]
    return table.set_index(["formula", "integer_spikes", "first_layer"])["additions"].to_dict()


def test_the_energy_of_a_sample_does_not_depend_on_how_many_were_shown() -> None:
    one = energy(1)
    assert one["counted synaptic operations", "binary", "as it ran"] > 0
    assert energy(8) == pytest.approx(one, rel=1e-12)
    assert energy(2, calls=3) == pytest.approx(one, rel=1e-12)


def test_a_record_that_says_no_samples_has_no_energy_per_sample() -> None:
    net = network()
    with snnlens.record(net, probes=["synaptic_operations"]) as seen:
        net(torch.ones(4, 2, 16))
    record = seen.record()
    record.sites["batch"] = None
    assert not len(snnlens.analyse("checkup", record).extra["energy"])


def test_where_less_than_a_spike_is_left_counts_all_batches() -> None:
    rates = [0.4 * 0.25**i for i in range(5)]
    one = only(RateCollapse(), made(layers(*rates)))
    parts = only(RateCollapse(), made(layers(*rates, batch=4, forward_calls=32)))
    assert "from layer 7 on (N = 128 samples, T = 4)" in one.evidence
    assert "from layer 7 on (N = 128 samples, T = 4)" in parts.evidence


def test_silent_blocks_and_result_tables_say_all_samples() -> None:
    net = brute.small("sew", "and", neuron=snnlens.IF(threshold=1e6))
    with snnlens.record(net, probes=["firing_rate", "gradient_norm"]) as seen:
        for _ in range(4):
            net(brute.batch(2)).sum().backward()
    record = seen.record()
    assert "(N = 8 samples, T = 3)" in only(SilentBlocks(), record).evidence
    assert set(snnlens.analyse("rates", record).table["samples"]) == {8}
    assert set(snnlens.analyse("gradients", record).table["samples"]) == {8}
