"""Residual blocks of foreign models: which modules they are, their kinds, stages and areas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnlens
from snnlens.adapters._blocks import Block, block_sites, residual_blocks
from snnlens.models.resnet import resnet
from snnlens.neuron.layers import IF, Neuron


def spiking(module: nn.Module) -> bool:
    return isinstance(module, Neuron)


class BasicBlock(nn.Module):
    """torchvision's: a downsample that may be None, and a stride."""

    def __init__(self, c_in: int = 4, c_out: int = 4, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.sn1 = nn.Conv2d(c_in, c_out, 3, stride, 1), IF(0.3)
        self.conv2, self.sn2 = nn.Conv2d(c_out, c_out, 3, 1, 1), IF(0.3)
        self.downsample = None
        if stride != 1 or c_in != c_out:
            self.downsample = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride), IF(0.3))
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        def over_time(layer: nn.Module, y: Tensor) -> Tensor:
            return torch.unflatten(layer(y.flatten(0, 1)), 0, y.shape[:2])

        out = over_time(self.conv2, self.sn1(over_time(self.conv1, x)))
        if self.downsample is not None:
            x = self.downsample[1](over_time(self.downsample[0], x))
        out = self.sn2(out)
        return out + x


class ResBlock(nn.Sequential):
    """Its name says that it is residual; nothing else does."""


class ConvBlock(nn.Sequential):
    """Not residual."""


class PreActBottleneck(nn.Module):
    """Shortcut in an empty Sequential, as in many networks for CIFAR; the neuron comes first."""

    def __init__(self, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.shortcut = nn.Sequential() if shortcut is None else shortcut
        self.sn = IF()
        self.conv = nn.Conv2d(4, 4, 1)


def found(model: nn.Module, classes: Sequence[type[nn.Module]] = ()) -> list[Block]:
    return residual_blocks(model, spiking, classes)


def test_a_model_without_blocks_gives_nothing() -> None:
    assert block_sites(nn.Sequential(nn.Linear(2, 2), IF()), spiking) == []
    assert block_sites(IF(), spiking) == []
    assert found(nn.Sequential(ConvBlock(nn.Conv2d(1, 1, 1), IF()))) == []  # no shortcut
    assert found(nn.Sequential(ResBlock(nn.Conv2d(1, 1, 1), nn.ReLU()))) == []  # no spikes


def test_blocks_of_the_torchvision_kind() -> None:
    model = nn.Module()
    model.add_module("layer1", nn.Sequential(BasicBlock(), BasicBlock()))
    model.add_module("layer2", nn.Sequential(BasicBlock(4, 8, 2), BasicBlock(8, 8)))
    model.add_module("layer3", nn.Sequential(BasicBlock(8, 16)))
    blocks = found(model)
    names = ["layer1.0", "layer1.1", "layer2.0", "layer2.1", "layer3.0"]
    assert [b.name for b in blocks] == names
    assert [b.index for b in blocks] == [0, 1, 2, 3, 4]
    assert [b.stage for b in blocks] == [1, 1, 2, 2, 3]
    assert [b.kind[0] for b in blocks] == ["i", "i", "d", "i", "d"]
    assert [(b.area, b.area_out) for b in blocks] == [(0, 0), (0, 0), (0, 1), (1, 1), (1, 2)]
    assert [b.last for b in blocks] == [f"{n}.sn2" for n in names]  # not the shortcut's neuron
    assert {(b.residual, b.connect) for b in blocks} == {(None, None)}
    sites = block_sites(model, spiking)
    # what A^l is in a block of unknown kind is not guessed
    assert [s.role for s in sites] == ["block_input", "block_output"] * 5
    assert {s.signal for s in sites} == {"activation"}
    assert [s.name for s in sites[:2]] == ["layer1.0.input", "layer1.0.output"]
    assert {s.module for s in sites} == set(names)
    assert [s.reads for s in sites[:2]] == ["input", "output"]


@pytest.mark.parametrize(("name", "connect", "signal"), [
    ("cnf", "ADD", "counts"), ("cnf", "and", "spikes"), ("connect_f", "IAND", "spikes"),
])  # fmt: skip
def test_sew_says_its_connect_function(name: str, connect: str, signal: str) -> None:
    block = BasicBlock()
    setattr(block, name, connect)
    (one,) = found(nn.Sequential(block))
    assert (one.residual, one.connect) == ("sew", connect.lower())
    sites = block_sites(nn.Sequential(block), spiking)
    assert [s.role for s in sites] == ["block_input", "block_residual", "block_output"]
    assert [s.signal for s in sites] == [signal, "spikes", signal]
    assert [s.module for s in sites] == ["0", "0.sn2", "0"]
    assert [s.name for s in sites] == ["0.input", "0.residual", "0.output"]
    setattr(block, name, "cat")
    assert found(nn.Sequential(block))[0].residual is None


def test_a_shortcut_with_a_layer_is_a_downsample() -> None:
    shortcuts = [nn.Sequential(), nn.Identity(), nn.Sequential(nn.Identity()),
                 nn.Conv2d(4, 4, 1), nn.Sequential(nn.AvgPool2d(2))]  # fmt: skip
    kinds = [found(nn.Sequential(PreActBottleneck(s)))[0].kind for s in shortcuts]
    assert kinds == ["identity", "identity", "identity", "downsample", "downsample"]
    strided = PreActBottleneck()
    strided.stride = (2, 2)
    assert found(nn.Sequential(strided))[0].kind == "downsample"
    strided.stride = (1, 1)
    assert found(nn.Sequential(strided))[0].kind == "identity"
    later = BasicBlock()
    later.conv_sc = nn.Conv2d(4, 4, 1)
    assert found(nn.Sequential(later))[0].kind == "downsample"


def test_blocks_with_a_layer_between_share_no_area() -> None:
    def areas(*modules: nn.Module) -> list[int]:
        return [b.area for b in found(nn.Sequential(*modules))]

    assert areas(BasicBlock(), BasicBlock()) == [0, 0]
    assert areas(BasicBlock(), nn.Identity(), nn.Dropout(), BasicBlock()) == [0, 0]
    assert areas(nn.Conv2d(3, 4, 1), IF(), BasicBlock(), BasicBlock(), nn.Linear(1, 1)) == [0, 0]
    assert areas(BasicBlock(), nn.MaxPool2d(2), BasicBlock(), BasicBlock()) == [0, 1, 1]
    assert areas(BasicBlock(4, 8), nn.MaxPool2d(2), BasicBlock(8, 8)) == [0, 2]
    assert areas(BasicBlock(), nn.Sequential(nn.Conv2d(4, 4, 1), IF()), BasicBlock()) == [0, 1]


def test_the_innermost_block_counts() -> None:
    inner = BasicBlock()
    model = nn.Sequential(ResBlock(nn.Conv2d(4, 4, 1), ResBlock(inner, nn.Conv2d(4, 4, 1))))
    assert [b.name for b in found(model)] == ["0.1.0"]
    without = ResBlock(ResBlock(nn.Conv2d(1, 1, 1)), IF())  # the inner one has no spikes
    assert [b.name for b in found(nn.Sequential(without))] == ["0"]


def test_classes_that_the_user_names() -> None:
    class Unit(nn.Sequential):
        pass

    model = nn.Sequential(Unit(nn.Conv2d(1, 1, 1), IF()), Unit(nn.ReLU()), ConvBlock(IF()))
    assert found(model) == []
    assert [b.name for b in found(model, [Unit])] == ["0"]
    assert [b.name for b in found(model, [Unit, ConvBlock])] == ["0", "2"]


def test_what_lies_inside_a_spiking_layer_is_its_own() -> None:
    class Cell(IF):
        def __init__(self) -> None:
            super().__init__()
            self.inner = IF()

    (block,) = found(nn.Sequential(ResBlock(nn.Conv2d(1, 1, 1), Cell())))
    assert block.last == "0.1"


def test_our_own_networks_have_the_blocks_that_their_plan_says() -> None:
    """A second way: the plan of a CIFAR ResNet, where only the modules are looked at."""
    for residual in ("sew", "spiking", "ms"):
        model = resnet(20, residual=residual, layout="cifar", neuron=IF(0.4), classes=10)
        plan = {b.name: b for b in model.plan.blocks}
        blocks = found(model)
        assert [b.name for b in blocks] == list(plan)
        for b in blocks:
            wanted: Any = plan[b.name]
            assert (b.index, b.stage, b.kind) == (wanted.index, wanted.stage, wanted.kind)
            assert (b.area, b.area_out) == (wanted.area, wanted.area_out)


def test_a_recorded_block_gives_the_sums_of_its_output() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(BasicBlock(), BasicBlock(4, 6, 2), BasicBlock(6, 6))
    x = torch.randn(3, 2, 4, 8, 8)
    with snnlens.record(model, probes=["firing_rate"]) as rec:
        model(x)
    table = rec.record().tables["firing_rate"]
    with torch.no_grad():
        for i, block in enumerate(model):
            for end in ("input", "output"):
                x = block(x) if end == "output" else x
                total = table.query(f"site == '{i}.{end}'")["total"]
                # float64 sums of float32 numbers in another order
                assert total.tolist() == pytest.approx(
                    x.double().sum(dim=(1, 2, 3, 4)).tolist(), rel=1e-12
                )
    sites = rec.record().sites.set_index("site")
    assert sites.loc["1.sn1", "block"] == 1
    assert sites.loc["1.sn1", "block_kind"] == "downsample"
