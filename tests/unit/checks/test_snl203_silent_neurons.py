"""SNL203: a layer with more silent neurons than chance explains."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from snnlens.checks.silent_neurons import SilentNeurons
from snnlens.recording.record import Record
from tests.unit.checks.handmade import layer, made, only, passes, reason

CHECK = SilentNeurons()
PROBES = {"silence": ["silent_share", "silent_channel_share"]}


def seen(*silent: float, **numbers: Any) -> Record:
    rows = [layer(silent_share=s, silent_channel_share=0.0, **numbers) for s in silent]
    return made(rows, probes=PROBES)


def test_the_worst_layer_speaks_for_all() -> None:
    finding = only(CHECK, seen(0.3, 0.05, 0.75))
    assert (finding.severity, finding.site) == ("warning", "2")
    assert finding.evidence == (
        "net: 75.0% of 64 neurons, 0.0% of its channels are silent at 2, 0.0% expected by "
        "chance at its rate of 0.25, bound 50% beyond (N = 128 samples, T = 4; a silent neuron's "
        "rate is below 0.0059 with 95 %); also at 0"
    )


@pytest.mark.parametrize(
    ("share", "severity"), [(0.2, None), (0.21, "note"), (0.5, "note"), (0.51, "warning")]
)
def test_at_its_two_bounds(share: float, severity: str | None) -> None:
    assert [f.severity for f in CHECK.findings(seen(share))] == ([severity] if severity else [])


def test_what_chance_explains_is_not_held_against_a_layer() -> None:
    """At a rate of 1/512 in 512 steps a neuron is silent with (511/512)^512 = 0.368, simulated."""
    generator = np.random.default_rng(0)
    spikes = generator.random((4000, 512)) < 1 / 512
    simulated = float((~spikes.any(1)).mean())
    assert simulated == pytest.approx(0.368, abs=0.03)  # 4 standard errors of 4,000 neurons
    assert passes(CHECK, seen(simulated, rate=1 / 512))
    assert not passes(CHECK, seen(simulated, rate=0.02))


def test_a_layer_without_any_spike_is_another_finding() -> None:
    assert passes(CHECK, seen(1.0, rate=0.0))


def test_graded_layers_fire_where_they_are_not_zero() -> None:
    assert only(CHECK, seen(0.6, rate=3.0, nonzero=0.3)).site == "0"


@pytest.mark.parametrize(("batch", "applies"), [(63, False), (64, True)])
def test_few_observations_prove_nothing(batch: int, *, applies: bool) -> None:
    """T = 4: 64 samples are the 256 observations."""
    record = seen(0.9, batch=batch)
    assert (CHECK.applies(record) == "") is applies
    if applies:
        assert only(CHECK, record).site == "0"
    else:
        assert "N T = 252: below 256" in reason(CHECK, record)


def test_it_needs_the_bit_maps() -> None:
    assert "silence" in reason(CHECK, made([layer()]))


def test_channels_that_were_not_counted_are_not_named() -> None:
    record = made([layer(silent_share=0.3)], probes={"silence": ["silent_share"]})
    text = only(CHECK, record).evidence
    assert "30.0% of 64 neurons are silent at 0" in text
    assert ", bound 20% beyond" in text
    assert "also" not in text
    text = only(
        CHECK, made([layer(silent_share=0.3, silent_channel_share=math.nan)], probes=PROBES)
    ).evidence
    assert "30.0% of 64 neurons are silent at 0" in text


def test_layers_seen_too_little_are_left_out() -> None:
    """The second was seen in 252 neuron-steps: what it says is not judged, nor named."""
    rows = [layer(silent_share=0.3), layer(silent_share=0.9, batch=63)]
    finding = only(CHECK, made(rows, probes={"silence": ["silent_share"]}))
    assert finding.site == "0"
    assert "also" not in finding.evidence


def test_one_layer_alone() -> None:
    evidence = only(CHECK, seen(0.75, 0.05)).evidence
    assert evidence.endswith("a silent neuron's rate is below 0.0059 with 95 %)")


def test_a_readout_alone_is_no_layer_to_judge() -> None:
    """It has no threshold: that it is silent says nothing."""
    assert reason(CHECK, seen(1.0, threshold=math.inf)).startswith("N T = 0: below")
