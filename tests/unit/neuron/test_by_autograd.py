"""The derivative of a foreign spike function, as autograd finds it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snnlens.errors import InputError
from snnlens.neuron import kernels, statistics, surrogate
from snnlens.neuron.equations import RULES, Rule
from snnlens.neuron.layers import IF, LIF
from snnlens.neuron.statistics import Bins
from snnlens.neuron.surrogate import ATan, ByAutograd, Surrogate, by_name

SMOOTH = [by_name("atan", 3.0), by_name("sigmoid"), by_name("superspike", 2.0)]


class HandMade(torch.autograd.Function):
    """Theta(x) forward, 1 / (1 + x^2) backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad / (1 + x * x)


def arctan() -> ByAutograd:
    """ATan with alpha = 2 as somebody else wrote it: a function from H - V_th to spikes."""

    class Theta(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return (x >= 0).to(x.dtype)

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Tensor:
            return grad * ATan().derivative(ctx.saved_tensors[0])

    return ByAutograd("theirs", Theta.apply)


def test_a_hand_made_function() -> None:
    found = ByAutograd("made", HandMade.apply)
    x = torch.tensor([-3.0, -1.0, 0.0, 0.5, 2.0], dtype=torch.float64)
    assert found.derivative(x).tolist() == pytest.approx([0.1, 0.5, 1.0, 0.8, 0.2], rel=1e-15)
    assert found.at(1.0) == 0.5
    assert str(found) == found.name == "made"


@pytest.mark.parametrize("s", SMOOTH, ids=str)
def test_the_true_derivative_of_a_primitive(s: Surrogate) -> None:
    """Autograd on sigma against sigma' written out; both in float64, a few roundings apart."""
    x = torch.linspace(-2.53, 2.51, 127, dtype=torch.float64)
    found = ByAutograd("primitive", s.primitive).derivative(x)
    # autograd's 1 - sigmoid is off by a unit in the last place of 1, times alpha = 4 in the slope
    assert torch.allclose(found, s.derivative(x), rtol=1e-14, atol=4 * 2.0**-52)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("around", [torch.no_grad, torch.enable_grad, torch.inference_mode])
def test_it_leaves_no_graph_and_no_gradient(around: Callable[[], Any], dtype: torch.dtype) -> None:
    layer = nn.PReLU().to(dtype)  # a function with a parameter
    found = ByAutograd("prelu", layer)
    with around():
        x = torch.tensor([-1.0, 2.0], dtype=dtype)
        kept, slope = x.clone(), found.derivative(x)
        assert torch.equal(x, kept)
        assert found.derivative_(x) is x
    assert slope.tolist() == x.tolist() == [0.25, 1.0]
    assert (slope.dtype, slope.requires_grad) == (dtype, False)
    assert layer.weight.grad is None


def test_a_leaf_that_needs_a_gradient_gets_none() -> None:
    x = torch.ones(3, requires_grad=True)
    assert not ByAutograd("tanh", torch.tanh).derivative(x).requires_grad
    assert x.grad is None


@pytest.mark.parametrize(
    "function",
    [lambda x: (x >= 0).to(x.dtype), lambda x: nn.Linear(2, 2).weight.sum() + 0 * x.detach()],
    ids=["no graph", "a graph without x"],
)
def test_a_function_without_a_gradient(function: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(InputError) as error:
        ByAutograd("step", function).at(0.0)
    assert str(error.value) == (
        "the surrogate must be a function that autograd can differentiate; got 'step'"
    )


def test_it_has_no_registered_name_and_no_primitive() -> None:
    made = ByAutograd("tanh", torch.tanh)
    assert "tanh" not in surrogate.names()
    assert len(surrogate.names()) == 6
    with pytest.raises(InputError) as error:
        made.primitive(torch.zeros(1))
    assert str(error.value) == (
        "a surrogate with a primitive must be one of atan, constant, rectangular, sigmoid, "
        "superspike, triangular; got 'tanh'"
    )


def test_each_function_is_a_rule_of_its_own() -> None:
    """Modules of one kind print alike, and two rules of one key would be one kernel."""
    first, second = nn.Tanh(), nn.Tanh()
    made = [ByAutograd("tanh", f) for f in (first, second)]
    assert repr(first) == repr(second)
    assert made[0] != made[1]
    assert made[0] == ByAutograd("tanh", first)
    assert hash(made[0]) == hash(ByAutograd("tanh", first))
    rules = [Rule(surrogate=m) for m in made]
    assert rules[0].key != rules[1].key
    assert [RULES[r.key].surrogate for r in rules] == made
    assert Rule(surrogate=ByAutograd("tanh", first)).key == rules[0].key


def test_the_reference_runs_it_and_says_why() -> None:
    x, rule = torch.zeros(2, 3), Rule(surrogate=arctan())
    assert kernels.which(x, rule) == ("reference", "surrogate theirs is not compiled")
    with kernels.backend("cpu"), pytest.raises(InputError, match=r"theirs is not compiled$"):
        kernels.which(x, rule)


@pytest.mark.parametrize("detach", [True, False])
def test_it_equals_the_rule_that_it_imitates(detach: bool) -> None:
    """Spikes, every statistic and the gradient of ATan, by another way to ATan."""
    generator = torch.Generator().manual_seed(0)
    x, grad = torch.randn(2, 5, 4, 33, generator=generator)
    found = []
    for rule in (Rule("lif", tau_steps=3.3, detach_reset=detach, surrogate=s)
                 for s in (arctan(), ATan())):  # fmt: skip
        y = x.clone().requires_grad_()
        with kernels.backend("reference"):
            spikes, _, seen = kernels.multi_step(
                y, None, rule, wanted=frozenset(statistics.BIT), bins=Bins(-1.0, 0.25, 8)
            )
            spikes.backward(grad)
        assert seen is not None
        assert y.grad is not None
        found.append({"spikes": spikes.detach(), "grad": y.grad} | seen.forward | seen.gradients)
    assert found[0].keys() == found[1].keys() == {"spikes", "grad"} | statistics.BIT.keys()
    assert all(torch.equal(found[0][k], found[1][k]) for k in found[0])
    assert found[0]["surrogate"].all()


def test_a_layer_with_it() -> None:
    """Copied with the same function, compiled as one node, described by its label."""
    neuron = LIF(3.3, surrogate=arctan())
    assert copy.deepcopy(neuron).rule == neuron.rule
    with kernels.backend("reference"):
        told, ours = neuron.facts(4), LIF(3.3).facts(4)
    assert {k for k in told if told[k] != ours[k]} == {"surrogate", "alpha"}
    assert (told["surrogate"], told["alpha"]) == ("theirs", None)
    grads = []
    torch._dynamo.reset()
    for run in (neuron, torch.compile(neuron, backend="aot_eager", fullgraph=True), LIF(3.3)):
        x = torch.linspace(-1, 4, 40).view(4, 10).requires_grad_()
        with kernels.backend("reference"):
            run(x).sum().backward()
        grads.append(x.grad)
    assert torch.equal(grads[0], grads[1])  # type: ignore[arg-type]
    assert torch.equal(grads[0], grads[2])  # type: ignore[arg-type]


def test_opcheck_with_it() -> None:
    """The operators under PyTorch's checks, where autograd is switched off around them."""
    rule, wanted = Rule(surrogate=arctan()), statistics.bits(statistics.FORWARD)
    x = torch.linspace(-1, 2, 30).view(3, 2, 5)
    arguments = (x.clone().requires_grad_(), None, None, rule.key, wanted, [-1.0, 0.25, 8.0])
    with kernels.backend("reference"):
        torch.library.opcheck(torch.ops.snnlens.neuron_forward.default, arguments)
        torch.library.opcheck(
            torch.ops.snnlens.neuron_backward.default, (x, x, None, None, rule.key, 0)
        )


def test_any_spike_function_in_a_layer_of_float64() -> None:
    """float64 runs in the reference anyway: no warning, and the slope is the function's."""
    x = torch.tensor([[0.5], [1.5]], dtype=torch.float64, requires_grad=True)
    IF(surrogate=ByAutograd("made", HandMade.apply))(x).sum().backward()
    assert x.grad is not None
    # t = 1: H = 2, slope 1/(1 + 1); t = 0: H = 1/2, slope 1/(1 + 1/4), and what t = 1 sends back
    assert x.grad.flatten().tolist() == pytest.approx([0.8 + 0.5, 0.5], rel=1e-15)
