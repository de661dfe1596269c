"""NaN, infinity, overflow and underflow: the right sums, and a line that says where it begins."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import snnlens
from snnlens import registry
from snnlens.api import save
from snnlens.errors import InputError
from snnlens.recording.result import Finding
from snnlens.sites import Site
from tests.trust import stress
from tests.trust.stress import KINDS, Kind, every_kind, few_kinds
from tests.trust.tally import Count, times

pytestmark = pytest.mark.promise("right-under-stress")
BAD = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
every_bad = pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
OWN = KINDS["snnlens"]


def said(result: snnlens.Result) -> list[Finding]:
    return [f for f in result.findings if f.code == "SNL301"]


def one(result: snnlens.Result) -> Finding:
    (finding,) = said(result)
    assert finding.severity == "error"
    return finding


# --- the input ------------------------------------------------------------------------------------


def _one_number(x: Tensor, bad: float) -> int:
    x.view(-1)[x.numel() // 2] = bad
    return 1


def _one_sample(x: Tensor, bad: float) -> int:
    part = x[:, 1] if x.dim() == 3 else x[1]
    part.fill_(bad)
    return part.numel()


def _one_step(x: Tensor, bad: float) -> int:
    x[1].fill_(bad)  # of images, one sample
    return x[1].numel()


def _all_of_it(x: Tensor, bad: float) -> int:
    x.fill_(bad)
    return x.numel()


PLACES: list[Callable[[Tensor, float], int]] = [_one_number, _one_sample, _one_step, _all_of_it]
CASES = [(place, bad) for i, place in enumerate(PLACES)
         for bad in np.roll([*BAD.values()], i)]  # fmt: skip


@every_kind
def test_a_bad_input_is_counted_right(kind: Kind, tally: Count) -> None:
    """Of snnlens each place with one bad value in CI, of others two; all twelve pairs in a soak."""
    for place, bad in CASES[:: max(1, round((3 if kind is OWN else 6) / times(1)))]:
        x = kind.x()
        place(x, bad)
        tally("numbers equal to brute force", stress.right(kind, x))
        tally("bad inputs")


@few_kinds
def test_a_bad_input_is_named(kind: Kind, tally: Count) -> None:
    for place, bad in CASES[:: max(1, round(12 / times(1)))]:
        x = kind.x()
        count = place(x, bad)
        compared, result = stress.right_everywhere(kind, x)
        first = one(result)
        assert f"NaN or infinite numbers in the input of the model: {count}" in first.evidence
        assert first.site == kind.layers[0]
        tally("bad inputs")
        tally("numbers equal to brute force", compared)


@every_bad
def test_a_record_of_rates_alone_says_why_it_is_silent(bad: float, tally: Count) -> None:
    """NaN >= V_th is false: every rate is 0, and no sum is NaN."""
    x = OWN.x()
    x[:] = bad
    with snnlens.record(OWN.make(), ["firing_rate"]) as recorder:
        recorder.model(x)
        recorder.model(x)
    result = snnlens.analyse("checkup", recorder)
    assert one(result).evidence == (
        f"model: NaN or infinite numbers in the input of the model: {2 * x.numel()}"
    )
    tally("bad inputs")


def test_a_model_that_cleans_its_input_is_well(tally: Count) -> None:
    """A sensor's NaN for "no value" is no fault where the model sees to it."""

    class Cleaning(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside = OWN.make()

        def forward(self, x: Tensor) -> Tensor:
            return self.inside(x.nan_to_num(0.0))

    x = OWN.x()
    x[0] = math.nan
    assert not said(snnlens.checkup(Cleaning(), x))
    tally("bad inputs")


def test_the_watch_says_it_of_the_step_that_it_was_in(tally: Count) -> None:
    model, told = OWN.make(), []
    good, bad = OWN.x(), OWN.x()
    bad[1, 1, 1] = math.nan
    with snnlens.watch(model, every=1, on_record=lambda step, rec: told.append(rec)):
        for x in (good, bad, good):
            stress.train(model, x)
    found = [rec.networks["model"].get("non_finite_inputs") for rec in told]
    assert found == [None, 1, None]
    tally("bad inputs")


@every_bad
def test_operations_of_nothing_but_one_bad_value(bad: float, tally: Count) -> None:
    """Infinity is its own square, as zeros and ones are, and no spike."""
    layer = nn.Linear(4, 6)
    for x in (torch.full((3, 4), bad), torch.tensor([[1.0, 0.0, bad, 1.0]])):
        found = registry.plugin("probes", "synaptic_operations")().around(
            Site("s", "s", "input", "synapse"), layer, x, layer(x)
        )
        assert int(found["events"]) == 6 * sum(1 for n in x.flatten().tolist() if n != 0)
        assert int(found["non_integer"]) == int((~x.isfinite()).sum())
        tally("bad inputs")


@every_bad
def test_no_map_is_made_of_it(bad: float, tally: Count) -> None:
    x = OWN.x()
    x[0, 0, 0] = bad
    with pytest.raises(InputError) as error:
        snnlens.attribute(OWN.make(), x, 0, method="saliency")
    assert str(error.value) == (
        "the input must be finite; got '1 of 60 numbers that are NaN or infinite'"
    )
    tally("bad inputs")


# --- weights, buffers, thresholds -----------------------------------------------------------------


def _break(name: str, bad: float) -> Callable[[nn.Module], None]:
    def change(model: nn.Module) -> None:
        with torch.no_grad():
            dict([*model.named_parameters(), *model.named_buffers()])[name].view(-1)[0] = bad

    return change


@few_kinds
def test_a_bad_weight_is_named(kind: Kind, tally: Count) -> None:
    names = [n for n, _ in kind.make().named_parameters() if n.endswith("weight")]
    for name, bad in [*zip(names[1:], BAD.values(), strict=False)][: times(1)]:
        compared, result = stress.right_everywhere(kind, kind.x(), _break(name, bad))
        assert f"; {name}" in one(result).evidence  # a state that follows may come after it
        tally("bad weights")
        tally("numbers equal to brute force", compared)


def test_statistics_that_one_bad_batch_has_spoilt_are_named(tally: Count) -> None:
    """In evaluation mode everything is NaN from there on, though input and weights are well."""

    class Normed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm = nn.Linear(4, 6), nn.BatchNorm1d(6)
            self.neuron = snnlens.LIF(threshold=0.1)

        def forward(self, x: Tensor) -> Tensor:
            y = self.norm(self.first(x).flatten(0, 1)).unflatten(0, x.shape[:2])
            return self.neuron(y)

    model = Normed()
    model(torch.full((2, 3, 4), math.nan))
    finding = one(snnlens.checkup(model, OWN.x(), mode="eval"))
    assert finding.site == "neuron"
    assert finding.evidence.endswith("; norm.running_mean, norm.running_var are not finite")
    tally("bad weights")


def test_a_threshold_that_is_nan(tally: Count) -> None:
    """A neuron of snnlens refuses it; of another framework it is named."""
    for make in (snnlens.IF, lambda v: snnlens.LIF(2.0, threshold=v)):
        with pytest.raises(InputError, match=r"^threshold must be in \(0, 1e6\]; got nan$"):
            make(math.nan)
    kind = KINDS["spikingjelly"]

    def change(model: Any) -> None:
        model.sn1.v_threshold = math.nan

    compared, result = stress.right_everywhere(kind, kind.x(), change)
    assert one(result).evidence.endswith("; sn1.v_threshold is not finite")
    tally("bad weights", 3)
    tally("numbers equal to brute force", compared)


@pytest.mark.parametrize("name", ["2.weight", "4.bias"])
def test_no_map_is_made_with_such_a_weight(name: str, tally: Count) -> None:
    with pytest.raises(InputError, match=r"must be finite; got .* NaN or infinite.*SNL301\)$"):
        snnlens.attribute(OWN.make(_break(name, math.nan)), OWN.x(), 0, method="saliency")
    tally("bad weights")


# --- loss and gradients ---------------------------------------------------------------------------


@every_bad
def test_the_loss_comes_before_the_gradients_that_follow_from_it(bad: float, tally: Count) -> None:
    y = torch.tensor([0, 1, 2])
    result = snnlens.checkup(OWN.make(), OWN.x(), y, loss=lambda out, _: (out * bad).sum())
    assert one(result).evidence == "Sequential: the loss is not finite"
    tally("bad gradients")


class Scaled(torch.autograd.Function):
    """The identity, whose gradient is multiplied."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad * ctx.factor, None


def _scale_gradient(factor: float) -> Callable[[nn.Module], None]:
    def change(model: nn.Module) -> None:
        own = model.forward
        model.forward = lambda x: Scaled.apply(own(x), factor)  # type: ignore[method-assign]

    return change


FACTORS = [1e30, 1e-26, 1e19, 1e-38, 1e-44, math.nan, math.inf]  # 1e-44 is denormal
SQUARES_OF_FLOAT32 = {1e30: math.inf, 1e-26: 0.0, 1e-38: 0.0}


@every_kind
def test_norms_that_float32_squares_could_not_hold(kind: Kind, tally: Count) -> None:
    for factor in FACTORS[: times(len(FACTORS) if kind is OWN else 2)]:
        compared = stress.right(kind, kind.x(), _scale_gradient(factor))
        tally("scaled gradients")
        tally("numbers equal to brute force", compared)
        if factor in SQUARES_OF_FLOAT32:
            found = stress.kept(kind, kind.make(_scale_gradient(factor)),
                                lambda m: stress.train(m, kind.x()))  # fmt: skip
            last = found[kind.layers[-1]].outputs[-1].grad
            assert last is not None
            assert last.abs().max() > 0
            # a reference that squares in float32 is wrong here
            assert float(last.square().sum()) == SQUARES_OF_FLOAT32[factor]


@every_bad
def test_a_gradient_alone_is_named_where_it_begins(bad: float, tally: Count) -> None:
    """The forward pass and the loss are well; the last site is the first of the way back."""
    model = OWN.make()
    with snnlens.record(model, stress.PROBES) as recorder:
        Scaled.apply(model(OWN.x()), bad).sum().backward()
    finding = one(snnlens.analyse("checkup", recorder))
    assert finding.site == "3"
    assert "the gradient here is not finite" in finding.evidence
    tally("bad gradients")


def test_the_norm_of_parameters_overflows_no_float32(tally: Count) -> None:
    model = OWN.make(_scale_gradient(1e30))
    with snnlens.record(model, ["parameter_gradient"]) as recorder:
        stress.train(model, OWN.x())
    frame = recorder.frame().set_index("site")["parameter_gradient"].dropna()
    assert len(frame) == 6
    for name, weight in model.named_parameters():
        squares = math.fsum(float(g) ** 2 for g in weight.grad.double().ravel())  # type: ignore[union-attr]
        assert frame[name] == pytest.approx(math.sqrt(squares), rel=1e-12)
        assert torch.isinf(weight.grad.square().sum())  # type: ignore[union-attr]
        tally("scaled gradients")


# --- kept on disk ---------------------------------------------------------------------------------


def test_a_saved_run_says_the_same(tally: Count, tmp_path: Any) -> None:
    """A file has null in the place of NaN: reading it again was a TypeError once."""
    for i, bad in enumerate([*BAD.values()][: times(1)]):
        for name in ("2.weight", "4.bias"):
            result = snnlens.checkup(OWN.make(_break(name, bad)), OWN.x(), torch.tensor([0, 1, 2]))
            folder = tmp_path / f"{i}{name}"
            save(result, folder)
            again = snnlens.analyse("checkup", snnlens.load(folder))
            assert said(again) == said(result)
            tally("bad weights")
