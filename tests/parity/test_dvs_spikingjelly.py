"""The official code's DVS networks, built of SpikingJelly 2.0's modules: the same numbers as ours.

Every operation is the same one in the same order, and with tau = 2 the leak is exact: logits, block
outputs, all gradients of block inputs and weights, and running statistics are equal to the bit. The
gradient of PLIF's w alone is summed in float64 by ours and in float32 by theirs.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snnlens.models.dvs import CLASSES, NETWORKS, DVSNet, dvs_net
from tests.parity import jelly

pytestmark = pytest.mark.parity

NETS = [
    ("7B-Net", "sew", "add"), ("7B-Net", "sew", "and"), ("7B-Net", "sew", "iand"),
    ("7B-Net", "plain", None), ("7B-Net", "spiking", None), ("Wide-7B-Net", "sew", "add"),
    ("Wide-7B-Net", "spiking", None),
]  # fmt: skip
NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
RTOL = 1e-4  # dL/dw: float32 sums over up to 17 million elements; measured 8e-6


@pytest.fixture(scope="module")
def sj() -> Any:
    pytest.importorskip("spikingjelly")
    return jelly.load()


class Official:
    """The network of dvsgesture/smodels.py and cifar10dvs/smodels.py, line by line."""

    def __init__(self, sj: Any) -> None:
        self.sj = sj

    def neuron(self) -> nn.Module:
        made: nn.Module = self.sj.neuron.ParametricLIFNode(
            init_tau=2.0, detach_reset=True, surrogate_function=self.sj.surrogate.ATan(),
            step_mode="m",
        )  # fmt: skip
        return made

    def conv_bn(self, channels_in: int, channels: int, kernel: int) -> nn.Module:
        conv = nn.Conv2d(channels_in, channels, kernel, padding=kernel // 2, bias=False)
        made: nn.Module = self.sj.layer.SeqToANNContainer(conv, nn.BatchNorm2d(channels))
        return made

    def spiking(self, channels_in: int, channels: int, kernel: int) -> nn.Module:
        return nn.Sequential(self.conv_bn(channels_in, channels, kernel), self.neuron())

    def block(self, width: int, residual: str, connect: str | None) -> nn.Module:
        if residual != "spiking":
            conv = nn.Sequential(self.spiking(width, width, 3), self.spiking(width, width, 3))
            return Block(conv, connect, None)
        conv = nn.Sequential(self.spiking(width, width, 3), self.conv_bn(width, width, 3))
        return Block(conv, connect, self.neuron())

    def network(self, name: str, residual: str, connect: str | None, classes: int) -> nn.Module:
        layers: list[nn.Module] = []
        channels = 2
        for width, count in NETWORKS[name]:
            layers.append(self.spiking(channels, width, 1))
            channels = width
            for _ in range(count):
                layers.append(self.block(width, residual, connect))
                layers.append(self.sj.layer.SeqToANNContainer(nn.MaxPool2d(2, 2)))
        return Network(nn.Sequential(*layers, nn.Flatten(2)), nn.Linear(channels, classes))


class Block(nn.Module):
    """SEWBlock, PlainBlock and BasicBlock of the official code, without the in-place sums."""

    def __init__(self, conv: nn.Module, connect: str | None, sn: nn.Module | None) -> None:
        super().__init__()
        self.conv, self.connect = conv, connect
        if sn is not None:
            self.sn = sn

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x)
        if hasattr(self, "sn"):
            out = self.sn(x + out)
        elif self.connect == "add":
            out = out + x
        elif self.connect == "and":
            out = out * x
        elif self.connect == "iand":
            out = x * (1.0 - out)
        return out


class Network(nn.Module):
    def __init__(self, conv: nn.Module, out: nn.Module) -> None:
        super().__init__()
        self.conv, self.out = conv, out

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(1, 0, 2, 3, 4)
        x = self.conv(x)
        logits: Tensor = self.out(x.mean(0))
        return logits


def names(model: DVSNet) -> dict[str, str]:
    """Our name of each entry of the state dict -> the official one (there with `.module` in it)."""
    found: dict[str, str] = {}

    def layer(ours: str, i: int, convolution: str, neuron: str) -> None:
        found[f"{ours}conv{i}.weight"] = f"{convolution}.0.weight"
        found.update({f"{ours}bn{i}.{key}": f"{convolution}.1.{key}" for key in NORM})
        found[f"{ours}sn{i}.w"] = f"{neuron}.w"

    index, last_stage = 0, 0
    for plan in model.plans:
        if plan.stage != last_stage:
            layer("", plan.stage, f"conv.{index}.0", f"conv.{index}.1")
            index, last_stage = index + 1, plan.stage
        at = f"conv.{index}"
        layer(f"{plan.name}.", 1, f"{at}.conv.0.0", f"{at}.conv.0.1")
        last = ("conv.1", "sn") if model.residual == "spiking" else ("conv.1.0", "conv.1.1")
        layer(f"{plan.name}.", 2, f"{at}.{last[0]}", f"{at}.{last[1]}")
        index += 2  # the pool takes one
    return found | {"fc.weight": "out.weight", "fc.bias": "out.bias"}


def frames(batch: int, seed: int) -> Tensor:
    """Counts as a recording gives them: mostly zeros."""
    generator = torch.Generator().manual_seed(seed)
    return torch.poisson(torch.full((4, batch, 2, 128, 128), 0.4), generator=generator)


def blocks(model: nn.Module, paths: list[str]) -> tuple[list[Tensor], list[Tensor], list[Any]]:
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []

    def keep(module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
        args[0].retain_grad()
        inputs.append(args[0])
        outputs.append(out)

    return inputs, outputs, [model.get_submodule(p).register_forward_hook(keep) for p in paths]


def gradient(x: Tensor) -> Tensor:
    assert x.grad is not None
    return x.grad


def loss_of(logits: Tensor) -> Tensor:
    weights = torch.linspace(-1, 1, logits.numel()).reshape(logits.shape)
    return (logits * weights).sum()


@pytest.mark.parametrize(("name", "residual", "connect"), NETS)
def test_networks(sj: Any, name: str, residual: str, connect: str | None) -> None:
    ours = dvs_net(name, residual=residual, connect=connect, seed=0)
    theirs = Official(sj).network(name, residual, connect, CLASSES[name])
    their_names = names(ours)
    assert sorted(their_names) == sorted(ours.state_dict())
    own = ours.state_dict()
    theirs.load_state_dict({their_names[key]: value for key, value in own.items()})

    x = frames(2, seed=1)
    mine = blocks(ours, [plan.name for plan in ours.plans])
    its = blocks(theirs, [n for n, m in theirs.named_modules() if isinstance(m, Block)])
    logits, other = ours(x), theirs(x.transpose(0, 1))
    assert torch.equal(logits, other)
    assert len(mine[1]) == 7
    for a, b in zip(mine[1], its[1], strict=True):
        assert torch.equal(a, b)
    if connect != "and":  # the silence problem: with AND the last blocks get nothing
        assert all(o.any() for o in mine[1])

    loss_of(logits).backward()
    loss_of(other).backward()
    for a, b in zip(mine[0], its[0], strict=True):
        assert torch.equal(gradient(a), gradient(b))
        assert gradient(a).any() or connect == "and"
    parameters = dict(theirs.named_parameters())
    for key, parameter in ours.named_parameters():
        a, b = gradient(parameter), gradient(parameters[their_names[key]])
        if key.endswith(".w"):
            assert a.item() == pytest.approx(b.item(), rel=RTOL), key
        else:
            assert torch.equal(a, b), key
    for key, value in ours.state_dict().items():  # running statistics moved alike
        assert torch.equal(value, theirs.state_dict()[their_names[key]]), key


@pytest.mark.parametrize("name", NETWORKS)
def test_a_seed_gives_the_official_codes_weights(sj: Any, name: str) -> None:
    """The official code builds its network after torch.manual_seed(2020)."""
    ours = dvs_net(name, residual="sew", connect="add", seed=2020)
    before = torch.get_rng_state()
    try:
        torch.manual_seed(2020)
        theirs = Official(sj).network(name, "sew", "add", CLASSES[name]).state_dict()
    finally:
        torch.set_rng_state(before)
    for key, other in names(ours).items():
        assert torch.equal(ours.state_dict()[key], theirs[other].reshape_as(ours.state_dict()[key]))
