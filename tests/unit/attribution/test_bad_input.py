"""A wrong argument is one line: what was given, what is wanted, what to do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnlens
from snnlens import registry
from snnlens.attribution import Method, Options, attribute
from snnlens.errors import InputError, NothingToRecord
from tests.unit.attribution import nets
from tests.unit.attribution.nets import T

KNOWN = ", ".join(registry.listing("attribution/methods"))
OPTIONS = (
    "steps, internal_batch, baseline, at, seed, noise, draws, smooths, window, over, gamma, decay, "
    "absent, neuron"
)

NEURON_A = "neuron must be an index (t, c, y, x) in the output of a, below (5, 3, 4, 4); "
NEURON_B = "neuron must be an index (t, f) in the output of b, below (5, 8); "


def refusal(*args: Any, net: nn.Module | None = None, x: Any = None, **options: Any) -> str:
    """The one line of `snnlens.attribute`."""
    net = nets.own().net if net is None else net
    with pytest.raises(InputError) as error:
        snnlens.attribute(net, nets.movie() if x is None else x, *args, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("target", [4, -1, torch.tensor([0, 7, 1])])
def test_a_class_that_there_is_not(target: Any) -> None:
    got = 7 if isinstance(target, Tensor) else target
    assert refusal(target) == (
        f"target must be from 0 to 3, as the output has 4 classes; got {got}"
    )


@pytest.mark.parametrize(
    ("target", "got"),
    [
        (1.0, "'torch.float32 []'"),
        (True, "'torch.bool []'"),
        (torch.zeros(3, 1, dtype=torch.long), "'torch.int64 [3, 1]'"),
    ],
)
def test_a_target_that_is_no_class(target: Any, got: str) -> None:
    assert refusal(target) == f"target must be a class, or one per sample; got {got}"


def test_as_many_targets_as_samples() -> None:
    assert refusal([0, 1]) == "target must be a class per sample: [3]; got [2]"


@pytest.mark.parametrize("method", ["saliency", "gradcam"])
def test_a_layer_that_there_is_not(method: str) -> None:
    net = snnlens.resnet(8, layout="cifar", classes=4, time_steps=2, seed=0)
    net(torch.rand(2, 3, 8, 8))
    said = refusal(1, net=net, x=torch.rand(2, 3, 8, 8), method=method, at="layer1.0.sn3")
    assert said == (
        "a spiking layer must be one of sn1, layer1.0.sn1, layer1.0.sn2, layer2.0.sn1, "
        "layer2.0.downsample.2, layer2.0.sn2, layer3.0.sn1, layer3.0.downsample.2, ...; got "
        "'layer1.0.sn3'; did you mean layer1.0.sn2, layer1.0.sn1, layer3.0.sn2?"
    )


class Hard(nn.Module):
    """A step without a surrogate."""

    def forward(self, x: Tensor) -> Tensor:
        return (x > 0).to(x.dtype)


def hard() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), Hard(), nn.Linear(4, 4), Hard())


GRADIENT = [
    m for m in registry.listing("attribution/methods")
    if registry.plugin("attribution/methods", m).gradient
]  # fmt: skip


@pytest.mark.parametrize("method", GRADIENT)
def test_a_method_of_gradients_on_a_model_without(method: str) -> None:
    told = {"spiking": [Hard], "per_step": True, "neuron": (0, 0)}
    if registry.plugin("attribution/methods", method).place == "layer" or "neuron" in method:
        told["at"] = "1"  # behind the last layer nothing needs a gradient
    said = refusal(1, net=hard(), x=torch.rand(T, 2, 3), method=method, **told)
    assert said == (
        f"the model of {method} must be one with surrogate gradients; got 'without a gradient'; "
        "take sam, occlusion or feature_ablation, or give its neurons a surrogate"
    )


def test_the_other_methods_take_a_model_without_a_gradient() -> None:
    for method in ("occlusion", "feature_ablation"):
        found = snnlens.attribute(
            hard(), torch.randn(T, 2, 3), 1, method=method, spiking=[Hard], per_step=True
        )
        assert found.values.shape == (2, T, 3)


def test_no_sample() -> None:
    nothing = torch.zeros(0, dtype=torch.long)
    with snnlens.bridge(nets.own().net, nets.movie()) as bridge, pytest.raises(InputError) as error:
        attribute(bridge, bridge.x[:0], nothing, "saliency")
    assert str(error.value) == "samples must be at least 1; got 0"
    assert refusal(1, x=nets.movie()[:, :0]) == (
        "x must be a tensor with elements; got [5, 0, 2, 6, 6]"
    )


def test_whole_numbers_have_no_gradient() -> None:
    class Floats(nn.Module):
        """A model that takes counts."""

        def __init__(self) -> None:
            super().__init__()
            self.net = nets.own().net

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x.double())

    assert refusal(1, net=Floats(), x=nets.movie().long()) == (
        "the input must be of a floating dtype; got 'torch.int64'; give x.float()"
    )


def test_two_inputs() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nets.own().net

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return self.net(x + y)

    assert refusal(1, net=Both(), x=(nets.movie(), nets.movie())) == (
        "the inputs of forward must be one tensor; got 2"
    )


class Greedy(nn.Module):
    """Has room for so many samples, forwards and, if asked, backwards."""

    def __init__(self, text: str, most: int, back: bool) -> None:
        super().__init__()
        self.net, self.text, self.most, self.back = nets.own().net, text, most, back

    def forward(self, x: Tensor) -> Tensor:
        out = self.net(x)
        if x.shape[1] > self.most:
            if not self.back:
                raise RuntimeError(self.text)
            if out.requires_grad:
                out.register_hook(self.fail)
        return out

    def fail(self, grad: Tensor) -> None:
        raise RuntimeError(self.text)


OUT_OF_MEMORY = (
    "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 3.94 GiB",
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory: you tried to allocate 64000000000 bytes.",
)


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("text", OUT_OF_MEMORY)
def test_a_batch_that_does_not_fit_in_memory(text: str, back: bool) -> None:
    """Forwards and backwards; with a smaller internal_batch the same samples have a map."""
    x, target = nets.movie().repeat(1, 2, 1, 1, 1), torch.zeros(6, dtype=torch.long)
    with snnlens.bridge(Greedy(text, 3, back), x[:, :3]) as bridge:
        fits, not_so = (Options(steps=2, internal_batch=b) for b in (3, 6))
        many = x.transpose(0, 1)
        assert attribute(bridge, many, target, "ig", fits).values.any()
        with pytest.raises(InputError) as error:
            attribute(bridge, many, target, "ig", not_so)
    assert str(error.value) == (
        "a pass must be smaller; got '6 samples at once, which do not fit in memory'; lower "
        "internal_batch"
    )


def test_another_error_of_the_model_is_its_own() -> None:
    net = Greedy("something else", 3, back=False)
    with snnlens.bridge(net, nets.movie()) as bridge:
        many = torch.cat([bridge.x, bridge.x])
        with pytest.raises(RuntimeError, match="something else"):
            bridge(many)


def test_a_method_that_is_refused() -> None:
    assert refusal(1, method="guided_backprop") == (
        "a method must be one that means something on spikes; got 'guided_backprop'; it rewrites "
        "the backward pass of ReLU modules alone; a spiking network has none, so what comes out is "
        "the plain gradient under another name: take saliency"
    )


def test_an_unknown_method() -> None:
    assert refusal(1, method="salency") == (
        f"a method must be one of {KNOWN}; got 'salency'; did you mean saliency?"
    )
    assert refusal(1, method="x") == f"a method must be one of {KNOWN}; got 'x'"


def test_an_unknown_option() -> None:
    assert refusal(1, step=3) == (
        f"an option must be one of {OPTIONS}; got 'step'; did you mean steps?"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"steps": 0}, "steps must be at least 1; got 0"),
        ({"internal_batch": 0}, "internal_batch must be at least 1; got 0"),
        ({"draws": -1}, "draws must be at least 1; got -1"),
        ({"noise": -0.1}, "noise must be at least 0; got -0.1"),
        ({"noise": float("nan")}, "noise must be at least 0; got nan"),
        ({"window": (1, 0, 3)}, "window must be at least 1, each of three; got (1, 0, 3)"),
        ({"over": "all"}, "over must be space, time, space-time; got 'all'"),
        ({"decay": 2.0}, "decay must be from 0 to 1; got 2.0"),
        ({"baseline": torch.zeros(3)},
         "the baseline must be [5, 2, 6, 6]: a sample; got [3]"),
        ({"method": "smoothgrad", "smooths": "gradcam"},
         "smooths must be one of saliency, input_x_gradient, ig; got 'gradcam'"),
        ({"method": "neuron_conductance", "at": "a"}, NEURON_A + "got None; neuron=(0, 0, 0, 0)"),
        ({"method": "neuron_conductance", "at": "b", "neuron": (0, 8)},
         NEURON_B + "got (0, 8); neuron=(0, 0)"),
        ({"method": "neuron_conductance", "at": "b", "neuron": (0, 1, 2)},
         NEURON_B + "got (0, 1, 2); neuron=(0, 0)"),
    ],
)  # fmt: skip
def test_options(options: dict[str, Any], said: str) -> None:
    assert refusal(1, **options) == said


def test_a_model_without_a_spiking_layer() -> None:
    with pytest.raises(NothingToRecord, match="the model must have a spiking site"):
        snnlens.attribute(nn.Linear(2, 2), torch.ones(3, 2))


def test_axes_that_nothing_tells() -> None:
    """30 frames, of which the layers see 5 steps of 3 samples."""

    class Every(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nets.own().net

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x[::2].unflatten(0, (T, nets.N)))

    assert refusal(net=Every(), x=nets.movie().flatten(0, 1).repeat_interleave(2, 0)) == (
        "the axes of the input must be told: nothing says which is time; got [30, 2, 6, 6]; give "
        "time_axis, per_step, or targets y as long as the batch"
    )


def test_a_method_of_ones_own() -> None:
    class Ones(Method):
        """A map of ones."""

        name = title = source = "ones"
        gradient = False

        def values(self, bridge: Any, x: Tensor, target: Tensor, options: Options) -> Tensor:
            return torch.ones_like(x)

    found = snnlens.attribute(nets.own().net, nets.movie(), 1, method=Ones())
    assert (found.method, bool(found.values.all())) == ("ones", True)
