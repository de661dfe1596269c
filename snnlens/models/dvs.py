"""7B-Net and Wide-7B-Net, for frames of events: seven residual blocks, a max pool after each.

    7B-Net       c32k1-BN-SN - {block c32 - MaxPool 2} x 7 - FC
    Wide-7B-Net  c64k1-BN-SN - {block c64 - MaxPool 2} x 4
                 - c128k1-BN-SN - {block c128 - MaxPool 2} x 3 - FC

A block is that of `snnlens.models.resnet`: Conv3x3-BN-SN twice, joined with its input. The paper
writes k3 for the stem and the step to 128 channels; the official code has k1, and only so are
there 0.13 and 1.19 million parameters (Tables 5 and 6).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from snnlens.errors import InputError
from snnlens.models.plan import DVS_SIDE, BlockPlan
from snnlens.models.resnet import (
    Block,
    block_sites,
    connection,
    folded,
    make_block,
    signal_between,
    zero_initialise,
)
from snnlens.neuron.layers import PLIF, Neuron
from snnlens.sites import Site

Stages = tuple[tuple[int, int], ...]  # channels, blocks
NETWORKS: dict[str, Stages] = {"7B-Net": ((32, 7),), "Wide-7B-Net": ((64, 4), (128, 3))}
CLASSES = {"7B-Net": 11, "Wide-7B-Net": 10}  # DVS Gesture, CIFAR10-DVS
RESIDUALS = ("plain", "spiking", "sew")
POLARITIES = 2


def dvs_net(
    name: str = "7B-Net",
    *,
    residual: str = "sew",
    connect: str | None = None,
    neuron: Neuron | None = None,
    zero_init: bool = False,
    time_steps: int = 16,
    classes: int | None = None,
    seed: int | None = None,
) -> DVSNet:
    """Build a 7B-Net or a Wide-7B-Net with torch's default weights, as the official code does.

    Args:
        name: 7B-Net or Wide-7B-Net.
        residual: plain, spiking or sew.
        connect: add (the default), and, or iand; for sew only.
        neuron: the template that every layer copies; PLIF(init_tau=2.0) by default.
        zero_init: the residual branches begin at their identity value; not in the official code.
        time_steps: T that the facts speak of; an input brings its own.
        classes: outputs of the last layer; 11 of a 7B-Net, 10 of a Wide-7B-Net by default.
        seed: equal seeds give equal weights, whatever the residual; None takes torch's global
            random state.

    Returns:
        A module: frames [T, B, 2, H, W] of at least 128 x 128 in, logits [B, classes] of the mean
        over time out.

    Source: Fang et al. 2021, Section 4.2 and the official implementation.

    >>> net = dvs_net(seed=0)
    >>> sum(p.numel() for p in net.parameters())
    130426
    """
    if name not in NETWORKS:
        raise InputError("the name of a DVS network", got=name, wanted=" or ".join(NETWORKS))
    if residual not in RESIDUALS:
        raise InputError("residual", got=residual, wanted="plain, spiking or sew")
    if time_steps < 1:
        raise InputError("time_steps", got=time_steps, wanted="at least 1")
    connect, template = connection(residual, connect), PLIF() if neuron is None else neuron
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.default_generator.manual_seed(seed)
        model = DVSNet(
            name, residual, connect, template,
            time_steps=time_steps, classes=CLASSES[name] if classes is None else classes,
        )  # fmt: skip
    if zero_init:
        zero_initialise(model)
    return model


class DVSNet(nn.Module):
    """The network that `dvs_net` builds."""

    def __init__(
        self,
        name: str,
        residual: str,
        connect: str | None,
        neuron: Neuron,
        *,
        time_steps: int,
        classes: int,
    ) -> None:
        super().__init__()
        self.name, self.residual, self.connect = name, residual, connect
        self.time_steps, self.classes, self.zero_init = time_steps, classes, False
        self.plans = blocks_of(name)
        channels = POLARITIES
        for stage, (width, _) in enumerate(NETWORKS[name], start=1):
            self.add_module(f"conv{stage}", nn.Conv2d(channels, width, 1, bias=False))
            self.add_module(f"bn{stage}", nn.BatchNorm2d(width))
            self.add_module(f"sn{stage}", copy.deepcopy(neuron))
            plans = [plan for plan in self.plans if plan.stage == stage]
            made = [make_block("basic", plan, residual, connect, neuron) for plan in plans]
            self.add_module(f"layer{stage}", nn.Sequential(*made))
            channels = width
        self.maxpool = nn.MaxPool2d(2, 2)
        self.fc = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes] of the mean over time of frames [T, B, 2, H, W]."""
        _check_frames(x, self.name)
        for stage, blocks in self._stages():
            x = self._widened(x, stage)
            for _, block in blocks:
                x = folded(block(x), self.maxpool)
        logits: Tensor = self.fc(x.mean(dim=(3, 4)).mean(dim=0))
        return logits

    def blocks(self) -> Iterator[tuple[str, Block]]:
        """The residual blocks in order, with their dotted names."""
        for _, blocks in self._stages():
            yield from blocks

    def sites(self) -> list[Site]:
        """Every site in the order of the forward pass."""
        between = signal_between(self.residual, self.connect, "spikes")
        sites: list[Site] = []
        for stage, blocks in self._stages():
            sites.append(Site(f"sn{stage}", f"sn{stage}", "output", "neuron"))
            for name, block in blocks:
                sites += block_sites(name, block, "spikes", between)
        return sites

    def neurons(self) -> list[tuple[str, Neuron]]:
        """Every spiking layer with its dotted name."""
        return [(n, m) for n, m in self.named_modules() if isinstance(m, Neuron)]

    def facts(self) -> dict[str, Any]:
        """What a Record says of this network."""
        facts: dict[str, Any] = {
            "model": self.name,
            "residual": self.residual,
            "connect": self.connect,
            "zero_init": self.zero_init,
            "time_steps": self.time_steps,
            "blocks": len(self.plans),
        }
        return facts | self.neurons()[0][1].facts(self.time_steps)

    def _stages(self) -> Iterator[tuple[int, list[tuple[str, Block]]]]:
        """Each width with its blocks."""
        for stage in range(1, self.plans[-1].stage + 1):
            names = [plan.name for plan in self.plans if plan.stage == stage]
            yield stage, [(name, self.get_submodule(name)) for name in names]  # type: ignore[misc]

    def _widened(self, x: Tensor, stage: int) -> Tensor:
        """The 1x1 Conv-BN-SN at the beginning of a width."""
        conv, bn, sn = (self.get_submodule(f"{kind}{stage}") for kind in ("conv", "bn", "sn"))
        spikes: Tensor = sn(folded(x, lambda y: bn(conv(y))))
        return spikes


def blocks_of(name: str) -> tuple[BlockPlan, ...]:
    """The seven blocks of a network.

    Each is an area of its own: S^l and O^l are joined by an identity block, and the pool between
    O^l and S^(l+1) ends the area. A stage is a width.

    >>> [(b.name, b.area, b.area_out) for b in blocks_of("Wide-7B-Net")][3:5]
    [('layer1.3', 3, 3), ('layer2.0', 4, 4)]
    """
    plans: list[BlockPlan] = []
    for stage, (width, count) in enumerate(NETWORKS[name], start=1):
        for position in range(count):
            index = len(plans)
            plans.append(
                BlockPlan(index, stage, position, "identity", width, width, 1, index, index)
            )
    return tuple(plans)


def _check_frames(x: Tensor, name: str) -> None:
    if x.dim() != 5 or x.shape[2] != POLARITIES:
        wanted, do = "frames of events [T, B, 2, H, W]", "give event data: --data nmnist:PATH"
        raise InputError(f"the input of a {name}", got=tuple(x.shape), wanted=wanted, do=do)
    if min(x.shape[-2:]) < DVS_SIDE:
        got, wanted = " x ".join(map(str, x.shape[-2:])), f"at least {DVS_SIDE} x {DVS_SIDE} pixels"
        do = "it pools seven times; centre smaller frames in more: --image-size 128"
        raise InputError(f"the input of a {name}", got=got, wanted=wanted, do=do)
