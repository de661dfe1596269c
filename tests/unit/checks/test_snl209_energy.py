"""SNL209: the spiking network's arithmetic costs more than that of the ANN."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from snnlens.checks.energy import AMPLITUDES, Energy
from snnlens.recording.record import Record, Schema
from tests.unit.checks.handmade import layers, made, only, passes, reason

CHECK = Energy()
N, T = 10, 4


def run(events: float, *, shown: int = T, **facts: Any) -> Record:
    """An image through 100 MACs, `shown` times, then 1000 MACs of spikes in each step."""
    record = made(layers(0.2), **({"samples": N, "time_steps": T} | facts))
    columns = ["events", "macs", "spikes_as_counts", "bit_serial", "non_integer", "items"]
    image, spikes = N * shown, events * N * T
    rows = [[100 * image, 100 * image, 0, 0, 7, image],
            [spikes, 1000 * N * T, spikes, spikes, 0, N * T]]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns).assign(network="net", site=["conv", "fc"])
    record.tables["synaptic_operations"] = table
    record.schemas["synaptic_operations"] = Schema((), {}, {})
    return record


def by_hand(events: float) -> tuple[float, float]:
    """Picojoule per sample: the image once, one addition per event; the ANN in one pass."""
    return 4.6 * 100 + 0.9 * T * events, 4.6 * 1100


@pytest.mark.parametrize(("events", "issue"), [(1200, False), (1300, True)])
def test_by_hand(events: float, *, issue: bool) -> None:
    """They meet at 4.6 x 1000 / (0.9 x 4) = 1277.8 events per step."""
    spiking, dense = by_hand(events)
    assert (spiking > dense) is issue
    assert passes(CHECK, run(events)) is not issue


def test_an_image_shown_once_costs_what_one_shown_at_every_step_does() -> None:
    assert only(CHECK, run(2000, shown=1)).evidence == only(CHECK, run(2000)).evidence


def test_it_is_a_note_with_both_numbers() -> None:
    finding = only(CHECK, run(2000))
    assert (finding.severity, finding.site) == ("note", None)
    spiking, dense = by_hand(2000)
    assert finding.evidence == (
        f"net: {spiking * 1e-9:.3g} mJ per sample (8e+03 additions, 100 MACs), bound the ANN's "
        f"{dense * 1e-9:.3g} mJ (1.1e+03 MACs); N = 10 samples, T = 4"
    )


def test_what_is_missing() -> None:
    assert "synaptic_operations" in reason(CHECK, made(layers(0.2)))
    blind = run(2000, samples=None, time_steps=None)
    blind.sites["batch"] = pd.NA
    assert "N and T" in reason(CHECK, blind)
    told = run(2000, samples=None, time_steps=None)
    told.sites["batch"] = N
    assert not passes(CHECK, told)  # the layers say them


@pytest.mark.parametrize(("batch", "calls"), [(5, 2), (10, 1), (10, 0)])
def test_the_layers_say_n_and_t_where_the_facts_do_not(batch: int, calls: int) -> None:
    """N = batch x calls, a layer that was never counted as called once; T is the longest."""
    record = run(2000, samples=None, time_steps=None)
    record.sites[["batch", "forward_calls"]] = [batch, calls]
    assert only(CHECK, record).evidence == only(CHECK, run(2000)).evidence
    told = run(2000, time_steps=None)
    told.sites["time_steps"] = T
    assert only(CHECK, told).evidence == only(CHECK, run(2000)).evidence


def test_facts_come_before_the_layers() -> None:
    record = run(2000)
    record.sites[["batch", "time_steps"]] = [77, 99]
    assert only(CHECK, record).evidence.endswith("N = 10 samples, T = 4")


def test_no_layer_with_weights() -> None:
    record = run(2000)
    record.tables["synaptic_operations"]["macs"] = 0
    assert reason(CHECK, record) == "no layer with weights was run"


def test_amplitudes_of_theta() -> None:
    assert reason(CHECK, run(2000, amplitudes="theta")) == AMPLITUDES
    assert not passes(CHECK, run(2000, amplitudes="one"))
