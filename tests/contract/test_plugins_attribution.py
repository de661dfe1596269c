"""What every attribution method is: one file, one class, a source, a map, no trace left."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnlens
from snnlens import registry
from snnlens.attribution import Method, Options, attribute
from snnlens.attribution.methods._base import option_names
from snnlens.errors import InputError
from tests.unit.attribution import nets
from tests.unit.attribution.nets import N, T, Y

FOLDER = "attribution/methods"
METHODS = list(registry.listing(FOLDER))
STEPS = 64
FEW: dict[str, Any] = {"draws": 3, "window": (2, 3, 4), "neuron": (3, 1, 2, 2)}
FACTS = {"place": str, "signed": bool, "relevance": bool, "complete": bool, "within": bool,
         "random": bool, "gradient": bool, "options": tuple}  # fmt: skip


def kind(name: str) -> type[Method]:
    return registry.plugin(FOLDER, name)


def options(name: str, **more: Any) -> Options:
    """Of a map over the layer `a`, or through it, where the method looks at one."""
    looks = kind(name).place == "layer" or kind(name).within
    return Options(**(FEW | {"at": "a" if looks else None} | more))


def test_there_are_methods() -> None:
    assert {"ig", "saliency", "gradcam", "occlusion", "sam", "tsa"} <= set(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_one_class_of_the_files_name(name: str) -> None:
    module = registry.module(FOLDER, name)
    own = [c for _, c in inspect.getmembers(module, inspect.isclass)
           if issubclass(c, Method) and c.__module__ == module.__name__]  # fmt: skip
    assert [c.name for c in own] == [name]
    assert kind(name) is own[0]
    assert own[0].__name__.lower() == name.replace("_", "")
    assert isinstance(own[0](), Method)  # needs no argument


@pytest.mark.parametrize("name", METHODS)
def test_facts(name: str) -> None:
    method = kind(name)
    for fact, wanted in FACTS.items():
        assert isinstance(getattr(method, fact), wanted), fact
    assert method.place in ("input", "layer")
    assert not (method.within and method.place == "layer")
    assert method.title
    assert method.title == method.title.strip()
    assert set(method.options) <= set(option_names())
    assert len(set(method.options)) == len(method.options)
    assert ("seed" in method.options) == method.random
    assert method.within <= ("at" in method.options)


@pytest.mark.parametrize("name", METHODS)
def test_it_says_its_formula_source_and_example(name: str) -> None:
    text = inspect.getdoc(kind(name))
    assert text is not None
    assert text != inspect.getdoc(Method)
    assert re.search(r"^    \S.*=", text, re.MULTILINE), "a formula"
    assert re.search(r"^Source: \S", text, re.MULTILINE)
    assert ">>> " in inspect.getsource(registry.module(FOLDER, name))
    assert re.search(r"\b(19|20)\d\d\b", kind(name).source), "a year"


@pytest.mark.parametrize("name", METHODS)
def test_the_options_that_it_reads_are_the_ones_it_says(name: str) -> None:
    """One that it does not say changes nothing, to the bit."""
    case = nets.own()
    changed = {
        "steps": 3, "seed": 5, "noise": 0.3, "draws": 2, "smooths": "input_x_gradient",
        "window": (1, 2, 2), "over": "time", "gamma": 0.9, "decay": 0.3, "absent": True,
        "neuron": (2, 0, 1, 1),
    }  # fmt: skip
    with snnlens.bridge(case.net, case.given) as bridge:
        plain = attribute(bridge, bridge.x, Y, name, options(name, steps=5)).values
        for option, value in changed.items():
            if option not in kind(name).options:
                other = options(name, **({"steps": 5} | {option: value}))
                found = attribute(bridge, bridge.x, Y, name, other).values
                assert torch.equal(found, plain), option


@pytest.mark.parametrize("framework", ["snnlens", "SpikingJelly, per step", "sinabs, folded"])
@pytest.mark.parametrize("name", METHODS)
def test_the_map(framework: str, name: str) -> None:
    case = nets.CASES[framework]()
    with snnlens.bridge(case.net, case.given, **case.told) as bridge:
        x = bridge.x.clone()
        maps = attribute(bridge, x, Y, name, options(name, steps=4))
        assert torch.equal(x, bridge.x)
        assert not x.requires_grad
    assert maps.method == name
    assert maps.place == ("a" if kind(name).place == "layer" else "input")
    places = (4, 4) if kind(name).place == "layer" else (6, 6)
    assert maps.values.shape[:2] == (N, T)
    assert maps.values.shape[3:] == places
    assert maps.values.shape[2] in (1, maps.shown.shape[2])
    assert maps.shown.shape[:2] == (N, T)
    assert maps.values.isfinite().all()
    assert maps.values.is_contiguous()
    assert not maps.values.requires_grad
    assert maps.values.any()
    assert kind(name).signed or bool((maps.values >= 0).all())
    assert maps.delta.isnan().all() != kind(name).complete


def hooks(net: nn.Module) -> int:
    """Of every kind, on every module and parameter."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    modules = sum(len(getattr(m, which)) for m in net.modules() for which in kinds)
    return modules + sum(len(p._backward_hooks or ()) for p in net.parameters())


class Falls(nn.Module):
    """Raises once it has been called often enough."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 10**9

    def forward(self, x: Tensor) -> Tensor:
        self.left -= 1
        if self.left < 0:
            raise KeyError("fallen")
        return x


@pytest.mark.parametrize("name", METHODS)
def test_no_hook_is_left(name: str) -> None:
    """After a normal run, a class that there is not, and a layer that raises in the middle."""
    case, falls = nets.own(), Falls()
    case.net.out = nn.Sequential(case.net.out, falls)
    before = hooks(case.net), hooks(nn.Sequential(case.net, falls))
    with snnlens.bridge(case.net, case.given) as bridge:
        attribute(bridge, bridge.x, Y, name, options(name, steps=4))
        assert hooks(bridge) == 0
        assert bridge.tapped is None
        with pytest.raises(InputError, match="target must be from 0 to 3"):
            attribute(bridge, bridge.x, Y + 9, name, options(name, steps=4))
        assert hooks(bridge) == 0
        for left in (0, 1, 2):
            falls.left = left
            with pytest.raises(KeyError, match="fallen"):
                attribute(bridge, bridge.x, Y, name, options(name, steps=4))
            assert hooks(bridge) == 0
            assert bridge.tapped is None
            assert not bridge.counters
        falls.left = 10**9
        assert attribute(bridge, bridge.x, Y, name, options(name, steps=4)).values.any()
    assert (hooks(case.net), hooks(nn.Sequential(case.net, falls))) == before == (0, 0)


@pytest.mark.parametrize("name", [m for m in METHODS if kind(m).complete])
def test_the_sum_is_the_rise_of_a_smooth_function(name: str) -> None:
    """In float64, nothing is a step; conductance is off by 1 / steps, as its differences are."""
    case = nets.smooth()
    with snnlens.bridge(case.net, case.given, **case.told) as bridge:
        maps = attribute(bridge, bridge.x, Y, name, options(name, steps=STEPS))
    rise = maps.score - maps.baseline_score
    assert rise.abs().min() > 0.05
    torch.testing.assert_close(maps.delta, maps.values.flatten(1).sum(1) - rise)
    # captum's weights are float32; of one-sided differences half a step's change is lost
    most = 2 / STEPS if name == "layer_conductance" else 2e-7
    assert float((maps.delta / rise).abs().max()) < most
