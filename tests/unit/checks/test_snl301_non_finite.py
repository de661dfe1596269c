"""SNL301: a loss, an activation or a gradient that is not a finite number, at its first site."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import snnlens
from snnlens.checks.non_finite import STATE, NonFinite
from snnlens.recording.record import Record
from snnlens.recording.result import Finding
from snnlens.recording.store import load
from tests.unit.analysis.handmade import Net, record
from tests.unit.checks.handmade import layer, layers, made, passes, reason, weight

COUNT = 8  # blocks of depth 18
BAD = [math.nan, math.inf, -math.inf]


def found(of: Record) -> list[Finding]:
    findings = NonFinite().findings(of)
    assert {(f.code, f.severity) for f in findings} <= {("SNL301", "error")}
    return findings


def at(block_input: int, value: float, *others: int) -> np.ndarray:
    norms = np.ones(COUNT + 1)
    norms[[block_input, *others]] = value
    return norms


def test_a_finite_run_passes() -> None:
    assert found(record(Net(norms=1e150), Net("sew", "add", norms=0.0), depth=18)) == []


@pytest.mark.parametrize("bad", BAD)
def test_the_gradient_goes_backward(bad: float) -> None:
    """From the last block to the first: of S^1, S^3 and S^5 the first in time is S^5."""
    (finding,) = found(record(Net(), Net("sew", "add", norms=at(5, bad, 3, 1)), depth=18))
    assert finding.site == "layer3.1.input"
    assert finding.evidence == (
        "sew-add: the gradient here is not finite, the first in the order of computation"
    )


@pytest.mark.parametrize("bad", BAD)
def test_the_activation_goes_forward_and_comes_first(bad: float) -> None:
    rates = np.full(COUNT + 1, 0.2)
    rates[[4, 6]] = bad
    (finding,) = found(record(Net(rates=rates, norms=math.nan), depth=18))
    assert finding.site == "layer2.1.output"  # O^3 = S^4, which was seen before S^6
    assert finding.evidence == (
        "spiking: the activation here is not finite, the first in the order of computation"
    )


@pytest.mark.parametrize("loss", [math.nan, math.inf, None])
def test_the_loss_alone(loss: float | None) -> None:
    """None is what a saved run has in place of NaN."""
    (finding,) = found(record(Net(facts={"loss": loss}), depth=18))
    assert (finding.site, finding.evidence) == (None, "spiking: the loss is not finite")


def test_every_network_is_looked_at() -> None:
    nets = [Net(norms=math.nan), Net("sew", "add"), Net("sew", "and", norms=math.inf)]
    evidence = [f.evidence.partition(":")[0] for f in found(record(*nets, depth=18))]
    assert evidence == ["spiking", "sew-and"]


def test_a_record_of_rates_alone() -> None:
    assert found(record(Net(norms=None), depth=18)) == []


# --- layers without blocks ---------------------------------------------------------------------


def test_a_nan_current_gives_no_spike_and_is_found() -> None:
    """NaN >= V_th is false: the rates are finite."""
    rows = [layer(current=1.0), layer(current=math.nan, rate=0.0), layer(current=math.nan)]
    (finding,) = found(made(rows, probes={"input_current": ["current"]}))
    assert (finding.site, finding.evidence) == (
        "1", "net: the input current here is not finite, the first in the order of computation",
    )  # fmt: skip


def test_a_gradient_that_the_histogram_counted_apart() -> None:
    """In a sum of squares it shows as well, where that was recorded; the last site is the first."""
    for last in (2.0, 1.0):
        rows = [{"rate": 0.2, "gradient_non_finite": n} for n in (3.0, last, 0.0)]
        (finding,) = found(made(rows, probes={"gradient_histogram": ["gradient_non_finite"]}))
        assert finding.site == "1"


def test_a_weight_whose_gradient_is_nan() -> None:
    (finding,) = found(made([*layers(0.2), weight("w", math.nan), weight("b", 0.1)]))
    assert (finding.site, finding.evidence) == (
        "w",
        (
            "net: the gradient of this weight here is not finite, the first in the order of "
            "computation"
        ),
    )  # fmt: skip


def test_an_output_alone() -> None:
    (finding,) = found(made(layers(0.2), tests={"output": {"largest": math.inf}}))
    assert (finding.site, finding.evidence) == (None, "net: an output is not finite")
    assert passes(NonFinite(), made(layers(0.2), tests={"output": {"largest": 3.0}}))


def test_what_the_model_holds() -> None:
    for broken, said in ((["bn.running_var"], "is"), (["a", "b"], "are")):
        (finding,) = found(made(layers(0.2), **{STATE: broken}))
        assert (finding.severity, finding.site) == ("error", None)
        assert finding.evidence == f"net: {', '.join(broken)} {said} not finite"
    assert passes(NonFinite(), made(layers(0.2), **{STATE: []}))


def test_nothing_was_recorded() -> None:
    assert "firing_rate" in reason(NonFinite(), made([{}]))


# --- real models -------------------------------------------------------------------------------


class Order:
    """The sites whose gradient is not finite, in the order in which torch hands them over."""

    def __init__(self, model: snnlens.resnet) -> None:  # type: ignore[valid-type]
        self.seen: list[str] = []
        for site in model.sites():  # type: ignore[attr-defined]
            module = model.get_submodule(site.module)  # type: ignore[attr-defined]
            if site.role != "block_residual" and site.reads == "output":
                module.register_forward_hook(self._watch(site.name))

    def _watch(self, name: str) -> Any:
        def hook(_module: object, _args: object, output: Tensor) -> None:
            def gradient(grad: Tensor) -> None:
                if not bool(grad.isfinite().all()):
                    self.seen.append(name)

            output.register_hook(gradient)

        return hook


def test_an_overflow_is_found_where_it_happens(tmp_path: Any) -> None:
    """alpha = 1e30: two identity blocks multiply the gradient beyond float32."""
    neuron = snnlens.IF(surrogate=snnlens.ATan(alpha=1e30))
    options: dict[str, Any] = {
        "layout": "cifar", "residual": "spiking", "neuron": neuron, "zero_init": True,
        "time_steps": 2, "classes": 10, "seed": 0,
    }  # fmt: skip
    model, watched = snnlens.resnet(20, **options), snnlens.resnet(20, **options)
    x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    order = Order(watched)
    watched(x).square().sum().backward()
    with snnlens.record(model) as recorder:
        model(x).square().sum().backward()
    (finding,) = found(recorder.record())
    assert finding.site == order.seen[0] == "layer3.1.sn1"
    recorder.save(tmp_path / "run")  # and the same from the disk, where no NaN is in the JSON
    assert found(load(tmp_path / "run")) == [finding]


def test_a_weight_that_is_nan_is_found() -> None:
    model = snnlens.resnet(8, layout="cifar", residual="ann", classes=10, seed=0)
    with torch.no_grad():
        model.get_parameter("layer2.0.conv1.weight")[0] = math.nan
    with snnlens.record(model) as recorder:
        model(torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)))
    (finding,) = found(recorder.record())
    assert finding.site == "layer2.0.sn1"


# --- the input ---------------------------------------------------------------------------------

GIVEN = "net: NaN or infinite numbers in the input of the model: 3"


def test_an_input_that_nothing_else_shows() -> None:
    """No current was recorded: whether the model cleans its input is not known."""
    (finding,) = found(made(layers(0.2, 0.3), non_finite_inputs=3))
    assert (finding.site, finding.evidence) == ("0", GIVEN)


def test_an_input_that_the_model_cleans() -> None:
    rows = [layer(current=1.0), layer(current=2.0)]
    cleaned = made(rows, probes={"input_current": ["current"]}, non_finite_inputs=3)
    assert passes(NonFinite(), cleaned)


@pytest.mark.parametrize("bad", BAD)
def test_an_input_comes_before_all_that_it_breaks(bad: float) -> None:
    rows = [layer(current=1.0), layer(current=bad), layer(current=1.0)]
    probes = {"input_current": ["current"]}
    (finding,) = found(made(rows, probes=probes, non_finite_inputs=3))
    reached = "; the first site that they reach is 1"
    assert (finding.site, finding.evidence) == ("1", GIVEN + reached)
    rows = [layer(current=1.0, norm=bad), layer(current=1.0)]
    (finding,) = found(made(rows, probes=probes, non_finite_inputs=3))
    assert (finding.site, finding.evidence) == ("0", GIVEN)
    rows = [layer(current=1.0), layer(current=1.0)]
    (finding,) = found(made(rows, probes=probes, non_finite_inputs=3, loss=bad))
    assert (finding.site, finding.evidence) == ("0", GIVEN)


def test_a_loss_alone_is_something_to_judge() -> None:
    (finding,) = found(made([{}], loss=math.nan))
    assert finding.evidence == "net: the loss is not finite"
    assert passes(NonFinite(), made([{}], loss=1.0))


def test_what_the_histogram_counted_is_a_gradient_of_the_site() -> None:
    rows = [{"rate": 0.2, "gradient_non_finite": n} for n in (0.0, 2.0, 0.0)]
    (finding,) = found(made(rows, probes={"gradient_histogram": ["gradient_non_finite"]}))
    assert (finding.site, finding.evidence) == (
        "1", "net: the gradient here is not finite, the first in the order of computation",
    )  # fmt: skip
