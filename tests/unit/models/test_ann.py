"""The ANNs to be converted: sizes, names, forward passes by another way, tracing, refusals."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, fx, nn
from torch._subclasses import FakeTensorMode
from torch.nn import functional

import snnlens
from snnlens.errors import InputError
from snnlens.models import ann_layers, ann_plan
from snnlens.models import resnet as core
from snnlens.models.ann import ANNS, build, cifar_resnet, mlp, resnet, vgg16
from snnlens.models.ann_resnet import ZeroChannels

# torchvision's documentation
PARAMETERS = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808}
VGG16_BN = 138_365_992
SMALL: dict[str, Callable[..., nn.Module]] = {  # every kind of layer, small enough for float64
    "mlp": lambda **kw: mlp(3, 8, features=3 * 32 * 32, classes=5, **kw),
    "residual mlp": lambda **kw: mlp(3, 8, features=3 * 32 * 32, classes=5, residual=True, **kw),
    "mlp without BN": lambda **kw: mlp(2, 8, features=3072, classes=5, batch_norm=False, **kw),
    "vgg": lambda **kw: vgg16(5, hidden=(16, 16), dropout=0.3, **kw),
    "vgg max": lambda **kw: vgg16(5, hidden=(), pool="max", **kw),
    "option A": lambda **kw: cifar_resnet(8, 5, **kw),
    "option B": lambda **kw: cifar_resnet(14, 5, shortcut="B", **kw),
    "resnet18": lambda **kw: resnet(18, 5, **kw),
    "resnet50": lambda **kw: resnet(50, 5, stem="cifar", **kw),
    "average stem": lambda **kw: resnet(18, 5, pool="average", **kw),
}
each = pytest.mark.parametrize("name", SMALL)


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@contextmanager
def faked() -> Iterator[None]:
    """Networks without memory: sizes alone."""

    def made(kind: Callable[..., nn.Module], *sizes: int, **options: Any) -> nn.Module:
        return kind(*sizes, **options)

    with FakeTensorMode(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(ann_layers, "skip_init", made)  # a fake module can not be moved
        yield


def size(make: Callable[[], nn.Module]) -> int:
    """The number of parameters of a network that would be large."""
    with faked():
        return count(make())


def inputs(batch: int = 3, seed: int = 0, side: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 3, side, side, generator=generator, dtype=torch.float64)


def lived(model: nn.Module, seed: int = 1) -> nn.Module:
    """In float64 and evaluation mode, with BatchNorms that do something."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            for tensor in (module.weight, module.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5, generator=generator)
            for tensor in (module.bias, module.running_mean):
                nn.init.uniform_(tensor, -0.5, 0.5, generator=generator)
    return model.double().eval()


def refusal(run: Callable[[], Any]) -> str:
    with pytest.raises(InputError) as caught:
        run()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- sizes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", PARAMETERS)
def test_resnets_have_torchvisions_number_of_parameters(depth: int) -> None:
    assert size(lambda: resnet(depth, seed=0)) == PARAMETERS[depth]


@pytest.mark.parametrize(
    ("depth", "published"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)]
)
def test_cifar_resnets_have_the_papers_number(depth: int, published: float) -> None:
    """He et al. 2016, Table 6, in millions; and by their own formula, layer by layer."""
    n = (depth - 2) // 6
    convolutions = 9 * (3 * 16 + 2 * n * 16**2)
    for width in (32, 64):
        convolutions += 9 * (width // 2 * width + (2 * n - 1) * width**2)
    norms = 2 * (16 + 2 * n * (16 + 32 + 64))
    option_a = convolutions + norms + 64 * 10 + 10
    assert count(cifar_resnet(depth)) == option_a
    assert option_a / 1e6 == pytest.approx(published, abs=0.05 if published > 1 else 0.005)
    projections = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    assert count(cifar_resnet(depth, shortcut="B")) == option_a + projections


def test_resnet20_to_the_last_parameter() -> None:
    assert count(cifar_resnet(20)) == 269_722
    assert count(cifar_resnet(20, shortcut="B")) == 272_474


def test_vgg16_has_torchvisions_number_of_parameters() -> None:
    assert size(lambda: vgg16(1000, shape=(3, 224, 224), seed=0)) == VGG16_BN


def test_vgg16_at_32_pixels() -> None:
    features = 14_714_688 + 8_448  # 13 convolutions with biases (torchvision's vgg16), BatchNorm
    dense = (512 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 10
    assert size(lambda: vgg16(10, seed=0)) == features + dense == 33_646_666
    assert size(lambda: vgg16(10, hidden=(), seed=0)) == features + 513 * 10
    wide = size(lambda: vgg16(10, hidden=(), shape=(1, 97, 64), seed=0))  # 3 x 2 are left
    assert wide == features - 2 * 64 * 9 + (512 * 6 + 1) * 10


def test_mlp_by_hand() -> None:
    assert count(mlp(features=64, classes=10)) == 64 * 32 + 15 * 32**2 + 16 * 64 + 33 * 10
    assert count(mlp(2, 8, features=5, classes=3, batch_norm=False)) == 6 * 8 + 9 * 8 + 9 * 3
    one_each = mlp(width=(256, 256, 128, 64), features=64, classes=10)
    layers = 64 * 256 + 256 * 256 + 256 * 128 + 128 * 64
    assert count(one_each) == layers + 2 * (256 + 256 + 128 + 64) + 65 * 10
    assert count(mlp(4, [256, 256, 128, 64], features=64, classes=10)) == count(one_each)


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("depth", "convolutions"), [(18, 2), (34, 2), (50, 3), (101, 3)])
def test_the_names_are_torchvisions(depth: int, convolutions: int) -> None:
    """As its state dicts list them; the counts above leave no room for another shape."""
    blocks = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}[depth]
    layers = ["conv1", "bn1"]
    for stage, number in enumerate(blocks, start=1):
        for at in (f"layer{stage}.{position}" for position in range(number)):
            layers += [
                f"{at}.{kind}{i + 1}" for i in range(convolutions) for kind in ("conv", "bn")
            ]
            if at.endswith(".0") and (stage > 1 or convolutions == 3):
                layers += [f"{at}.downsample.0", f"{at}.downsample.1"]
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    wanted = ["fc.weight", "fc.bias"]
    for layer in layers:
        is_norm = "bn" in layer or layer.endswith("downsample.1")
        wanted += [f"{layer}.{end}" for end in (norm if is_norm else ("weight",))]
    with faked():
        assert sorted(resnet(depth, 3, seed=0).state_dict()) == sorted(wanted)


def test_the_names_of_vgg16_are_torchvisions() -> None:
    """vgg16_bn: features.0, 1, 3, 4, 7, ...: 13 times Conv, BN, ReLU, and 5 pools."""
    places, at = [], 0
    for convolutions in (2, 2, 3, 3, 3):
        for _ in range(convolutions):
            places += [(at, "weight bias"), (at + 1, "weight bias running_mean running_var")]
            at += 3
        at += 1
    wanted = {f"features.{i}.{end}" for i, ends in places for end in ends.split()}
    wanted |= {f"classifier.{i}.{end}" for i in (0, 3, 6) for end in ("weight", "bias")}
    own = {k for k in vgg16(3, hidden=(8, 8)).state_dict() if not k.endswith("tracked")}
    assert own == wanted
    assert "features.41.running_var" in own


def test_the_names_of_an_mlp() -> None:
    names = [name for name, _ in mlp(2, 4, features=4, classes=2).named_children()]
    assert names == ["flatten", "fc1", "bn1", "relu1", "fc2", "bn2", "relu2", "fc"]
    bare = mlp(1, 4, features=4, classes=2, batch_norm=False)
    assert [name for name, _ in bare.named_children()] == ["flatten", "fc1", "relu1", "fc"]


def test_the_names_of_the_activations() -> None:
    names = [n for n, m in resnet(50, 2, stem="cifar").named_modules() if isinstance(m, nn.ReLU)]
    assert names[:4] == ["relu", "layer1.0.relu1", "layer1.0.relu2", "layer1.0.relu3"]
    assert len(names) == 1 + 16 * 3


# --- forward passes by another way ---------------------------------------------------------------


@pytest.mark.parametrize("depth", [18, 50])
def test_resnet_is_the_ann_of_the_spiking_builder(depth: int) -> None:
    """Two implementations, one state dict, equal logits."""
    own = lived(resnet(depth, 7, seed=0))
    other = core.resnet(depth, residual="ann", classes=7, seed=3).double().eval()
    other.load_state_dict(own.state_dict())
    x = inputs(2, side=64)
    # float64, sums in another order: 1e-13 relative after 50 layers
    assert torch.allclose(own(x), other(x), rtol=1e-10, atol=1e-10)


def test_option_b_is_the_ann_of_the_spiking_builder() -> None:
    own = lived(cifar_resnet(20, 7, shortcut="B", seed=0))
    other = core.resnet(20, residual="ann", layout="cifar", classes=7, seed=3).double().eval()
    other.load_state_dict(own.state_dict())
    assert torch.allclose(own(inputs()), other(inputs()), rtol=1e-10, atol=1e-10)  # as above


def normed(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    """BatchNorm by its formula."""
    weight, bias, mean, var = (
        state[f"{name}.{end}"].reshape(-1, *[1] * (x.dim() - 2))
        for end in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / (var + 1e-5).sqrt() * weight + bias


def test_option_a_as_functions() -> None:
    """He et al. 2016 with functions alone; the shortcut is written element by element."""
    model = lived(cifar_resnet(8, 5, seed=0))
    s, x = model.state_dict(), inputs()
    h = normed(s, "bn1", functional.conv2d(x, s["conv1.weight"], padding=1)).clamp(min=0)
    for stage, stride in ((1, 1), (2, 2), (3, 2)):
        at = f"layer{stage}.0"
        f = functional.conv2d(h, s[f"{at}.conv1.weight"], stride=stride, padding=1)
        f = normed(s, f"{at}.bn1", f).clamp(min=0)
        f = normed(s, f"{at}.bn2", functional.conv2d(f, s[f"{at}.conv2.weight"], padding=1))
        shortcut = torch.zeros_like(f)
        before = (f.shape[1] - h.shape[1]) // 2
        for channel in range(h.shape[1]):
            for row in range(f.shape[2]):
                for column in range(f.shape[3]):
                    there = h[:, channel, row * stride, column * stride]
                    shortcut[:, before + channel, row, column] = there
        h = (f + shortcut).clamp(min=0)
    logits = h.mean(dim=(2, 3)) @ s["fc.weight"].T + s["fc.bias"]
    # float64, sums in another order
    assert torch.allclose(model(x), logits, rtol=1e-10, atol=1e-10)


def test_zero_channels_of_an_odd_difference_and_an_odd_image() -> None:
    y = ZeroChannels(2, 5, 2)(torch.ones(1, 2, 7, 5))
    assert y.shape == (1, 5, 4, 3)  # as of a convolution of stride 2
    assert y.mean(dim=(0, 2, 3)).tolist() == [0, 1, 1, 0, 0]


@pytest.mark.parametrize("pool", ["average", "max"])
def test_vgg16_as_functions(pool: str) -> None:
    model = lived(vgg16(5, pool=pool, hidden=(16, 8), dropout=0.5, seed=0))
    s, h, at = model.state_dict(), inputs(2), 0
    for convolutions in (2, 2, 3, 3, 3):
        for _ in range(convolutions):
            w, b = s[f"features.{at}.weight"], s[f"features.{at}.bias"]
            h = functional.conv2d(h, w, b, padding=1)
            h = normed(s, f"features.{at + 1}", h).clamp(min=0)
            at += 3
        corners = torch.stack([h[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)])
        h = corners.mean(0) if pool == "average" else corners.amax(0)
        at += 1
    h = h.reshape(2, 512)
    for i in (0, 3, 6):
        h = h @ s[f"classifier.{i}.weight"].T + s[f"classifier.{i}.bias"]
        h = h if i == 6 else h.clamp(min=0)
    assert torch.allclose(model(inputs(2)), h, rtol=1e-10, atol=1e-10)  # float64, as above


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_mlp_in_numpy(residual: bool, batch_norm: bool) -> None:
    model = lived(mlp(4, 6, features=12, classes=3, residual=residual, batch_norm=batch_norm,
                      seed=0))  # fmt: skip
    s = {k: v.numpy() for k, v in model.state_dict().items()}
    x = torch.randn(5, 3, 2, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    h = x.numpy().reshape(5, 12)
    for i in range(1, 5):
        z = h @ s[f"fc{i}.weight"].T
        if batch_norm:
            z = (z - s[f"bn{i}.running_mean"]) / np.sqrt(s[f"bn{i}.running_var"] + 1e-5)
            z = z * s[f"bn{i}.weight"] + s[f"bn{i}.bias"]
        else:
            z = z + s[f"fc{i}.bias"]
        h = np.maximum(z + h if residual and i > 1 else z, 0)
    logits = h @ s["fc.weight"].T + s["fc.bias"]
    assert model(x).detach().numpy() == pytest.approx(logits, rel=1e-12, abs=1e-12)  # float64


def test_dropout_is_where_it_is_asked_for() -> None:
    model = vgg16(3, hidden=(8, 8), dropout=0.25)
    found = [(n, m.p) for n, m in model.named_modules() if isinstance(m, nn.Dropout)]
    assert found == [("classifier.2", 0.25), ("classifier.5", 0.25)]


def test_the_average_stem_is_the_max_stem_but_for_its_pool() -> None:
    stems = [resnet(18, 5, pool=pool, seed=0) for pool in (None, "max", "average")]
    pools = [m.get_submodule("pool") for m in stems]
    assert [type(p) for p in pools] == [nn.MaxPool2d, nn.MaxPool2d, nn.AvgPool2d]
    assert {(p.kernel_size, p.stride, p.padding) for p in pools} == {(3, 2, 1)}


# --- tracing -------------------------------------------------------------------------------------


@each
def test_traced_and_equal_at_any_batch(name: str) -> None:
    model = lived(SMALL[name](seed=0))
    traced = fx.symbolic_trace(model)
    for batch in (1, 3):
        x = inputs(batch, seed=batch)
        assert torch.equal(traced(x), model(x))
    # no sample sees another: what time folded into the batch needs
    both = model(inputs(4))
    assert torch.allclose(both[2:], model(inputs(4)[2:]), rtol=1e-10, atol=1e-12)  # kernels by size


@each
def test_each_activation_is_a_module_that_runs_once(name: str) -> None:
    made: list[nn.Module] = []

    def activation() -> nn.Module:
        made.append(nn.Softplus())
        return made[-1]

    model = SMALL[name](activation=activation, seed=0)
    inside = {n: m for n, m in model.named_modules() if isinstance(m, nn.Softplus)}
    assert set(inside.values()) == set(made)
    assert not any(isinstance(m, nn.ReLU) for m in model.modules())
    called = Counter(n.target for n in fx.symbolic_trace(model).graph.nodes
                     if n.op == "call_module")  # fmt: skip
    assert set(called.values()) == {1}
    assert set(inside) <= set(called)


@pytest.mark.parametrize(
    ("name", "adds"),
    [("mlp", 0), ("residual mlp", 2), ("vgg", 0), ("option A", 3), ("option B", 6),
     ("resnet18", 8), ("resnet50", 16)],
)  # fmt: skip
def test_a_tracer_sees_every_add(name: str, adds: int) -> None:
    """Each sum goes straight into an activation."""
    traced = fx.symbolic_trace(SMALL[name](seed=0))
    found = [n for n in traced.graph.nodes if "add" in str(n.target)]
    assert len(found) == adds
    for node in found:
        (user,) = node.users
        assert isinstance(traced.get_submodule(str(user.target)), nn.ReLU)


@each
def test_batch_norm_follows_every_layer_that_a_neuron_follows(name: str) -> None:
    """So that it can be folded: each has one linear layer before it, which nothing else uses."""
    traced = fx.symbolic_trace(SMALL[name](seed=0))
    kinds = {n: type(traced.get_submodule(str(n.target)))
             for n in traced.graph.nodes if n.op == "call_module"}  # fmt: skip
    norms = [n for n, kind in kinds.items() if issubclass(kind, nn.BatchNorm1d | nn.BatchNorm2d)]
    for node in norms:
        (before,) = node.all_input_nodes
        assert kinds[before] in (nn.Linear, nn.Conv2d)
        assert set(before.users) == {node}
    convolutions = [n for n, kind in kinds.items() if kind is nn.Conv2d]
    hidden = [n for n, kind in kinds.items() if kind is nn.Linear and "mlp" in name][:-1]
    wanted = 0 if name == "mlp without BN" else len(convolutions) + len(hidden)
    assert len(norms) == wanted


# --- weights -------------------------------------------------------------------------------------


@each
def test_a_seed_decides_the_weights_and_nothing_else(name: str) -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    one, two, other = (SMALL[name](seed=s).state_dict() for s in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[k], two[k]) for k in one)
    drawn = [k for k in one if one[k].dim() > 1]
    assert not any(torch.equal(one[k], other[k]) for k in drawn)
    assert all(bool(tensor.isfinite().all()) for tensor in one.values())


def test_without_a_seed_torchs_own_state_is_drawn_from() -> None:
    torch.manual_seed(5)
    first, second = (mlp(1, 4, features=4, classes=2).fc1.weight for _ in range(2))
    torch.manual_seed(5)
    again = mlp(1, 4, features=4, classes=2).fc1.weight
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_how_the_weights_are_spread() -> None:
    """N(0, 2 / fan) by its standard deviation: of n numbers it is known to 1 / sqrt(2 n)."""
    model = vgg16(10, hidden=(512,), seed=0)
    for name, fan in (("features.24", 512 * 9), ("classifier.0", 512)):
        weight = model.get_submodule(name).weight
        assert isinstance(weight, Tensor)
        tolerance = 5 / math.sqrt(2 * weight.numel())
        assert float(weight.detach().std()) == pytest.approx(math.sqrt(2 / fan), rel=tolerance)
        assert not model.get_submodule(name).bias.detach().any()
    read_out = model.get_submodule("classifier.3")
    for tensor in read_out.parameters():
        largest = float(tensor.detach().abs().max())
        assert 0.8 / math.sqrt(512) < largest <= 1 / math.sqrt(512)


def test_an_mlp_keeps_its_signal_without_batch_norm() -> None:
    """He's normal keeps E[h^2]; torch's default would leave 6^-16 of it after 16 layers."""
    model = mlp(16, 256, features=256, classes=10, batch_norm=False, seed=0)
    x = torch.randn(64, 256, generator=torch.Generator().manual_seed(1))
    seen: list[Tensor] = []
    model.get_submodule("relu16").register_forward_hook(lambda m, a, y: seen.append(y.detach()))
    model(x)
    # sd of log2 of the factor is about sqrt(16 * 5 / 256) / ln 2 = 0.8: a factor of 8 is 3.7 sd
    assert 1 / 8 < float(seen[0].square().mean()) < 8


# --- by name -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ANNS)
def test_every_name_builds(name: str) -> None:
    with faked():
        model = build(name, shape=(3, 32, 32), classes=7, seed=0).eval()
        assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 7)


@pytest.mark.parametrize(
    ("name", "options", "same"),
    [
        ("mlp", {"depth": 2, "width": 8, "residual": True},
         lambda: mlp(2, 8, features=3072, classes=4, residual=True, seed=3)),
        ("mlp", {"width": (8, 4), "pool": None, "batch_norm": False},
         lambda: mlp(width=(8, 4), features=3072, classes=4, batch_norm=False, seed=3)),
        ("vgg16", {"pool": "max", "hidden": (), "residual": False},
         lambda: vgg16(4, pool="max", hidden=(), seed=3)),
        ("resnet32", {}, lambda: cifar_resnet(32, 4, seed=3)),
        ("resnet20", {"shortcut": "B"}, lambda: cifar_resnet(20, 4, shortcut="B", seed=3)),
        ("resnet18", {}, lambda: resnet(18, 4, stem="cifar", seed=3)),
        ("resnet18", {"stem": "imagenet", "pool": "average"},
         lambda: resnet(18, 4, pool="average", seed=3)),
    ],
)  # fmt: skip
def test_build_gives_its_options_on(
    name: str, options: dict[str, Any], same: Callable[[], nn.Module]
) -> None:
    made, wanted = build(name, classes=4, seed=3, **options).eval(), same().eval()
    assert str(made) == str(wanted)
    x = inputs().float()
    assert torch.equal(made(x), wanted(x))


def test_build_by_shape() -> None:
    large = build("resnet18", shape=[1, 64, 70], classes=2)
    assert large.get_submodule("conv1").stride == (2, 2)
    assert large(torch.zeros(2, 1, 64, 70)).shape == (2, 2)
    assert build("mlp", shape=(1, 28, 28), depth=1)(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert build("resnet20", shape=(1, 28, 28)).get_submodule("conv1").weight.shape[1] == 1


def test_the_names_need_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; from snnlens.models import ann_plan; "
        "print(*ann_plan.ANNS)"
    )
    root = Path(snnlens.__path__[0]).parent
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == list(ANNS)
    assert {"mlp", "vgg16", "resnet20", "resnet32", "resnet56"} < set(ANNS)
    assert {"resnet18", "resnet34", "resnet50", "resnet101"} < set(ANNS)


# --- refusals ------------------------------------------------------------------------------------


def test_an_unknown_name() -> None:
    wanted = (
        "mlp, vgg16, resnet20, resnet32, resnet44, resnet56, resnet110, resnet18, resnet34, "
        "resnet50, resnet101, resnet152"
    )
    assert refusal(lambda: build("resnet21")) == (
        f"the name of an ANN must be {wanted}; got 'resnet21'; "
        "an ANN of your own is package.module:factory or file.py:factory"
    )


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("vgg16", {"depth": 3},
         "depth must be left out: vgg16 has pool, dropout, hidden; got 3"),
        ("mlp", {"pool": "max"},
         "pool must be left out: mlp has depth, width, residual, batch_norm; got 'max'"),
        ("resnet56", {"residual": True},
         "residual must be left out: resnet56 has shortcut alone; got True"),
        ("resnet34", {"wdith": 1}, "wdith must be left out: resnet34 has stem, pool; got 1"),
        ("resnet18", {"pool": "max"},
         "pool must be left out: the cifar stem has none; got 'max'"),
        ("resnet18", {"stem": "small"}, "stem must be imagenet or cifar; got 'small'"),
        ("resnet20", {"shortcut": "C"},
         "shortcut must be A (zero channels) or B (1 x 1 convolution); got 'C'"),
        ("vgg16", {"pool": "mean"}, "pool must be average or max; got 'mean'"),
        ("vgg16", {"dropout": 1.0}, "dropout must be from 0 to below 1; got 1.0"),
        ("vgg16", {"hidden": (8, 0)}, "hidden must be at least 1; got 0"),
        ("vgg16", {"shape": (1, 28, 28)},
         "the image of VGG-16 must be at least 32 x 32; got (1, 28, 28); give --image-size 32"),
        ("mlp", {"shape": (28, 28)},
         "the shape of an input must be [C, H, W], each >= 1; got (28, 28)"),
        ("mlp", {"shape": (1, 0, 28)},
         "the shape of an input must be [C, H, W], each >= 1; got (1, 0, 28)"),
        ("mlp", {"depth": 0}, "depth must be at least 1; got 0"),
        ("mlp", {"width": 0}, "width must be at least 1; got 0"),
        ("mlp", {"width": ()}, "width must be a number, or one for each layer; got ()"),
        ("mlp", {"width": (8, 8), "depth": 3},
         "depth must be left out, or 2, as many as widths; got 3"),
        ("mlp", {"width": (8, 4), "residual": True},
         "width must be the same for all layers of a residual MLP; got (8, 4)"),
        ("mlp", {"classes": 0}, "classes must be at least 1; got 0"),
        ("resnet20", {"classes": 0}, "classes must be at least 1; got 0"),
    ],
)  # fmt: skip
def test_an_option_that_does_not_fit(name: str, options: dict[str, Any], message: str) -> None:
    assert refusal(lambda: build(name, **options)) == message


def test_another_depth() -> None:
    assert refusal(lambda: cifar_resnet(18)) == "depth must be 6n + 2, from 8 to 1202; got 18"
    assert refusal(lambda: cifar_resnet(2)) == "depth must be 6n + 2, from 8 to 1202; got 2"
    assert refusal(lambda: resnet(20)) == (
        "depth must be 18, 34, 50, 101 or 152; got 20; a depth of 6n + 2 is a cifar_resnet"
    )


def test_every_option_is_a_parameter_of_its_family() -> None:
    """What `ann_plan`, which knows no torch, promises."""
    families = {"mlp": mlp, "vgg16": vgg16, "cifar_resnet": cifar_resnet, "resnet": resnet}
    assert set(families) == set(ann_plan.OPTIONS) == set(ann_plan.FAMILIES.values())
    common = {"depth", "classes", "channels", "shape", "features", "activation", "seed", "return"}
    for name, make in families.items():
        own = set(make.__annotations__) - (common - set(ann_plan.OPTIONS[name]))
        assert own == set(ann_plan.OPTIONS[name])
