"""SNL206: nothing comes out of the network."""

from __future__ import annotations

from typing import Any

from snnlens.checks.output_silent import OutputSilent
from tests.unit.checks.handmade import layer, layers, made, only, passes, reason

CHECK = OutputSilent()


def test_the_last_layer_is_silent() -> None:
    finding = only(CHECK, made(layers(0.2, 0.1, 0.0)))
    assert (finding.severity, finding.site) == ("error", "2")
    assert finding.evidence == (
        "net: 2, the last layer: 0 spikes of 64 neurons in 32768 neuron-steps (N = 128 samples, T "
        "= 4); 95 % bound on a neuron's rate 3/(N T) = 0.0059"
    )


def test_every_output_is_zero() -> None:
    """The last layer fires, and yet: a readout without bias behind dead weights."""
    tests: dict[str, Any] = {"output": {"largest": 0.0, "zero_share": 1.0}}
    finding = only(CHECK, made(layers(0.2), tests=tests, samples=8))
    assert finding.site is None
    assert finding.evidence == (
        "net: 100 % of the outputs are exactly 0, bound below 100 % (N = 8 samples)"
    )


def test_one_output_that_is_not_zero() -> None:
    assert passes(CHECK, made(layers(0.2), tests={"output": {"largest": 1, "zero_share": 0.99}}))


def test_a_silent_layer_before_the_last_is_another_finding() -> None:
    assert passes(CHECK, made(layers(0.0, 0.1)))


def test_a_silent_branch_is_not_the_output_of_its_block() -> None:
    rows = [layer(site="b.sn2", rate=0.0, block=0),
            layer(site="b.output", role="block_output", rate=0.1, block=0)]  # fmt: skip
    assert passes(CHECK, made(rows))
    rows[1]["rate"] = 0.0
    assert only(CHECK, made(rows)).site == "b.output"


def test_nothing_is_known() -> None:
    assert "firing_rate" in reason(CHECK, made([{"norm": 1.0}]))


def test_a_silent_output_of_the_last_block_in_words() -> None:
    rows = [layer(site="b.sn2", rate=0.1, block=0),
            layer(site="b.output", role="block_output", rate=0.0, block=0)]  # fmt: skip
    finding = only(CHECK, made(rows))
    assert (finding.severity, finding.site) == ("error", "b.output")
    assert finding.evidence == ("net: b.output, the last layer: 0 spikes (N = 128 samples, T = 4)")


def test_outputs_of_zero_without_the_number_of_samples() -> None:
    tests: dict[str, Any] = {"output": {"largest": 0.0, "zero_share": 1.0}}
    finding = only(CHECK, made(layers(0.2), tests=tests))
    assert finding.severity == "error"
    assert finding.evidence == "net: 100 % of the outputs are exactly 0, bound below 100 %"


def test_outputs_alone_are_known() -> None:
    known: dict[str, Any] = {"output": {"largest": 1.0, "zero_share": 0.5}}
    assert passes(CHECK, made([{"norm": 1.0}], tests=known))


def test_a_block_whose_output_has_no_number_is_not_the_last() -> None:
    rows = [layer(site="sn", rate=0.0), {"site": "b.output", "role": "block_output", "block": 0}]
    assert only(CHECK, made(rows)).site == "sn"
