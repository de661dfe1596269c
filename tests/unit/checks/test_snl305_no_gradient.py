"""SNL305: a spiking layer or a parameter that the gradient does not reach."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

import snnlens
from snnlens.checks.no_gradient import NoGradient
from tests.unit.checks.handmade import layer, made, only, passes, reason, weight

CHECK = NoGradient()


def cut() -> dict[str, Any]:
    """A layer that ran, and behind which somebody detached."""
    return {"rate": 0.2, "gradient_calls": 0}


def test_the_last_layer_without_a_gradient_is_where_it_stops() -> None:
    finding = only(CHECK, made([cut(), cut(), layer()], backward=True))
    assert (finding.severity, finding.site) == ("warning", "1")
    assert finding.evidence == (
        "net: 1 was never called with a gradient; without one are 2 of 3 spiking layers (N = 128 "
        "samples, T = 4)"
    )


def test_a_norm_of_exactly_zero() -> None:
    finding = only(CHECK, made([layer(norm=0.0), layer(norm=1e-100)]))
    assert finding.site == "0"
    wanted = "0 has a gradient of exactly 0; without one are 1 of 2 spiking layers"
    assert wanted in finding.evidence


def test_a_parameter_alone() -> None:
    rows = [layer(), weight("w", None), weight("v", 0.0), weight("u", 1e-9)]
    finding = only(CHECK, made(rows))
    assert finding.site == "v"
    assert "without one are 2 of 3 parameters (w, v) (N = 128 samples, T = 4)" in finding.evidence


def test_a_parameter_saw_no_samples_and_the_layers_say_how_many() -> None:
    nothing = {"time_steps": None, "batch": None, "neurons": None}
    text = only(CHECK, made([layer(), weight("w", None, **nothing)])).evidence
    assert text.endswith("without one are 1 of 1 parameters (w) (N = 128 samples, T = 4)")


def test_every_layer_and_parameter_is_reached() -> None:
    assert passes(CHECK, made([layer(), layer(), weight("w")]))


def test_zero_init_holds_the_gradient_of_its_branches_at_zero() -> None:
    """All but that of the zero weight itself: where that is 0 too, the block is frozen for ever."""
    rows = [layer(site="b.input", role="block_input"), layer(), layer(site="b.sn1", norm=0.0),
            weight("b.conv2.weight", 0.0), weight("b.bn2.weight", 0.1, norm=0.0)]  # fmt: skip
    assert passes(CHECK, made(rows))
    rows[4] = weight("b.bn2.weight", 0.0, norm=0.0)
    assert only(CHECK, made(rows)).site == "b.bn2.weight"


def test_without_a_backward_pass() -> None:
    assert "loss.backward()" in reason(CHECK, made([cut()]))
    assert "loss.backward()" in reason(CHECK, made([layer()], backward=False))


def test_a_detached_layer_of_a_real_model() -> None:
    class Detached(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 2)
            self.first, self.second = snnlens.IF(), snnlens.IF()
            self.cuts = True

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            spikes = self.first(self.a(x))
            return self.second(self.b(spikes.detach() if self.cuts else spikes))  # type: ignore[no-any-return]

    torch.manual_seed(0)
    for cuts in (True, False):
        model = Detached()
        model.cuts = cuts
        with snnlens.record(model, ["firing_rate", "gradient_norm"]) as recorder:
            model(torch.rand(4, 8, 3)).sum().backward()
        sites = [f.site for f in CHECK.findings(recorder.record())]
        assert sites == (["first"] if cuts else [])


def test_parameters_without_any_layer() -> None:
    assert "no spiking layer was seen" in reason(CHECK, made([weight("w")], backward=True))


def test_the_samples_are_those_of_the_layer_that_is_named() -> None:
    rows = [layer(norm=1.0, batch=3), layer(norm=0.0, batch=5), layer(norm=1.0, batch=7)]
    finding = only(CHECK, made(rows))
    assert finding.site == "1"
    assert "(N = 5 samples, T = 4)" in finding.evidence
