"""Networks with the structure and the keys of the official SEW ResNet code, and its files.

Written from its description, not copied: containers with the layers in `.module`, the stem run
once, g after the last neuron, a neuron in the shortcut of SEW only. The neurons are ours, so that
what is tested is where each weight goes.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from snnlens.models.resnet import folded
from snnlens.neuron.layers import IF, PLIF

Make = Callable[..., nn.Module]
COUNTS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
JOIN: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "ADD": lambda a, s: a + s, "AND": lambda a, s: a * s, "IAND": lambda a, s: s * (1.0 - a),
}  # fmt: skip


class Container(nn.Module):
    """Older SpikingJelly's SeqToANNContainer: the layers are in `.module`."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.module = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return folded(x, self.module)


class TodaysContainer(nn.Sequential):
    """SpikingJelly's SeqToANNContainer of today: the layers are its own."""

    def forward(self, x: Tensor) -> Tensor:
        return folded(x, super().forward)


class Block(nn.Module):
    """A basic or bottleneck block, SEW (connect_f ADD, AND, IAND) or Spiking (None)."""

    def __init__(self, cin: int, mid: int, stride: int, depth: int, connect_f: str | None,
                 box: Make, neuron: Make) -> None:  # fmt: skip
        super().__init__()
        self.connect_f = connect_f
        out = mid if depth < 50 else 4 * mid
        shapes = [(cin, mid, 3, stride), (mid, out, 3, 1)]
        if depth >= 50:
            shapes = [(cin, mid, 1, 1), (mid, mid, 3, stride), (mid, out, 1, 1)]
        self.count = len(shapes)
        for i, (a, b, kernel, step) in enumerate(shapes, start=1):
            conv = nn.Conv2d(a, b, kernel, step, padding=kernel // 2, bias=False)
            self.add_module(f"conv{i}", box(conv, nn.BatchNorm2d(b)))
            self.add_module(f"sn{i}", neuron())
        self.downsample: nn.Module | None = None
        if stride != 1 or cin != out:
            conv_bn = box(nn.Conv2d(cin, out, 1, stride, bias=False), nn.BatchNorm2d(out))
            self.downsample = nn.Sequential(conv_bn, neuron()) if connect_f else conv_bn
        self.out_channels = out

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        for i in range(1, self.count + 1):
            x = self.get_submodule(f"conv{i}")(x)
            if i < self.count or self.connect_f:
                x = self.get_submodule(f"sn{i}")(x)
        if self.connect_f:
            return JOIN[self.connect_f](x, identity)
        out: Tensor = self.get_submodule(f"sn{self.count}")(x + identity)
        return out


class Net(nn.Module):
    """An official ResNet for ImageNet: logits [B, classes]."""

    def __init__(self, depth: int = 18, connect_f: str | None = "ADD", *, T: int = 4,
                 classes: int = 10, box: Make = Container, neuron: Make = IF) -> None:  # fmt: skip
        super().__init__()
        self.T, cin = T, 64
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1, self.sn1 = nn.BatchNorm2d(64), neuron()
        for stage, count in enumerate(COUNTS[depth], start=1):
            blocks = []
            for at in range(count):
                stride = 2 if stage > 1 and at == 0 else 1
                blocks.append(Block(cin, 64 << (stage - 1), stride, depth, connect_f, box, neuron))
                cin = blocks[-1].out_channels
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
        self.fc = nn.Linear(cin, classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.bn1(self.conv1(images)).unsqueeze(0).repeat(self.T, 1, 1, 1, 1)
        x = folded(self.sn1(x), nn.MaxPool2d(3, 2, padding=1))
        for stage in range(1, 5):
            x = self.get_submodule(f"layer{stage}")(x)
        x = folded(x, nn.AdaptiveAvgPool2d((1, 1))).flatten(2)
        logits: Tensor = self.fc(x.mean(dim=0))
        return logits


class DVSBlock(nn.Module):
    """A block of the networks for events: `sew`, `plain` or `basic` (Spiking)."""

    def __init__(self, channels: int, kind: str) -> None:
        super().__init__()
        self.kind = kind
        last: nn.Module = _conv_bn(channels, channels, 3)
        if kind != "basic":
            last = nn.Sequential(last, PLIF())
        self.conv = nn.Sequential(nn.Sequential(_conv_bn(channels, channels, 3), PLIF()), last)
        if kind == "basic":
            self.sn = PLIF()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x)
        if self.kind == "basic":
            out = self.sn(x + out)
        return x + out if self.kind == "sew" else out


class DVSNet(nn.Module):
    """An official 7B-Net (or, with two widths, Wide-7B-Net): frames [T, B, 2, H, W] in."""

    def __init__(self, kind: str = "sew", widths: tuple[int, ...] = (32,) * 7,
                 classes: int = 11) -> None:  # fmt: skip
        super().__init__()
        layers: list[nn.Module] = []
        channels = 2
        for width in widths:
            if width != channels:
                layers.append(nn.Sequential(_conv_bn(channels, width, 1), PLIF()))
                channels = width
            layers += [DVSBlock(width, kind), Container(nn.MaxPool2d(2, 2))]
        self.conv = nn.Sequential(*layers, nn.Flatten(2))
        self.out = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.out(self.conv(x).mean(0))
        return logits


def _conv_bn(cin: int, out: int, kernel: int) -> Container:
    conv = nn.Conv2d(cin, out, kernel, padding=kernel // 2, bias=False)
    return Container(conv, nn.BatchNorm2d(out))


@torch.no_grad()
def settled(model: nn.Module, x: Tensor, seed: int = 0) -> nn.Module:
    """Seeded weights, and BatchNorm statistics of x: in evaluation mode fresh ones silence it."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            nn.init.kaiming_normal_(parameter, mode="fan_out", generator=generator)
        elif not name.endswith(".w"):
            level = float(name.endswith("weight"))
            nn.init.uniform_(parameter, level, level + 0.1, generator=generator)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    model.train()(x)
    for norm in norms:
        norm.momentum = 0.1
    return model.eval()


def images(size: int = 32, batch: int = 4, seed: int = 1) -> Tensor:
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(seed))


def save(path: Path, model: nn.Module, *, holder: str = "model", epoch: int = 319,
         args: dict[str, Any] | None = None, **more: Any) -> Path:  # fmt: skip
    """A file as the official training writes it: the dictionary, with args a Namespace."""
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=320)
    torch.save(
        {
            holder: model.state_dict(), "optimizer": optimiser.state_dict(),
            "lr_scheduler": schedule.state_dict(), "epoch": epoch,
            "args": Namespace(**({"T": 4, "connect_f": None, "lr": 0.1, "model": "x"}
                                 | (args or {}))),
            "max_test_acc1": 63.182, "test_acc5_at_max_test_acc1": 84.37,
        } | more,
        path,
    )  # fmt: skip
    return path
