"""What a ResNet of a depth and a layout consists of: blocks, stages, areas. No torch here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from snnlens.errors import InputError

Kind = Literal["identity", "downsample"]

IMAGENET = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}
CIFAR_MAX_DEPTH = 1202
BUILT_IN = re.compile(r"(sew|spiking|plain|ms)_resnet(\d+)(?:_(add|and|iand))?")  # MODEL by name
DVS_NET = re.compile(r"(sew|spiking|plain)_(wide_)?7b_net(?:_(add|and|iand))?")  # MODEL by name
SIZES = {"imagenet": 64, "cifar": 32}  # pixels, where nobody says
DVS_SIDE = 128  # pixels that a 7B-Net needs: its seven poolings leave one
RESIDUALS = ("ann", "plain", "spiking", "sew", "ms")
CONNECTS = ("add", "and", "iand")
LAYOUTS = ("imagenet", "cifar")
EXPANSION = {"basic": 1, "bottleneck": 4}


@dataclass(frozen=True)
class BlockPlan:
    """One residual block: S^l is its input. `area` is the area of S^l, `area_out` that of O^l."""

    index: int
    stage: int
    position: int
    kind: Kind
    channels_in: int
    channels: int
    stride: int
    area: int
    area_out: int

    @property
    def name(self) -> str:
        """The block's dotted path in the model."""
        return f"layer{self.stage}.{self.position}"


@dataclass(frozen=True)
class Plan:
    """A whole network: the stem's width, the blocks, and how far the image shrinks."""

    depth: int
    layout: str
    block: str
    width: int
    blocks: tuple[BlockPlan, ...]

    @property
    def total_stride(self) -> int:
        """How many pixels of the image one position of the last stage stands for."""
        return 32 if self.layout == "imagenet" else 4

    def last_stage_samples(self, batch: int, image_size: int) -> int:
        """n = batch x H x W in the last stage: what its BatchNorm averages over at each step.

        >>> plan(152, "imagenet").last_stage_samples(32, 64)
        128
        """
        side = -(-image_size // self.total_stride)
        return batch * side * side

    def areas(self) -> dict[int, list[int]]:
        """Block inputs by area; S^L = O^(L-1) is counted as input L.

        >>> {a: (m[0], m[-1]) for a, m in plan(152, "imagenet").areas().items()}
        {0: (0, 0), 1: (1, 3), 2: (4, 11), 3: (12, 47), 4: (48, 50)}
        """
        members: dict[int, list[int]] = {}
        for block in self.blocks:
            members.setdefault(block.area, []).append(block.index)
        last = self.blocks[-1]
        members.setdefault(last.area_out, []).append(last.index + 1)
        return members

    def area_ends(self) -> frozenset[str]:
        """The site names of the deepest block input of each area, S^m.

        >>> sorted(plan(18).area_ends())
        ['layer2.0.input', 'layer3.0.input', 'layer4.0.input', 'layer4.1.output']
        """
        deepest = {b.area: f"{b.name}.input" for b in self.blocks}
        last = self.blocks[-1]
        return frozenset((deepest | {last.area_out: f"{last.name}.output"}).values())


def plan(depth: int, layout: str = "imagenet") -> Plan:
    """The plan of a depth: 18, 34, 50, 101, 152 (imagenet) or 6n + 2 up to 1202 (cifar)."""
    if layout not in LAYOUTS:
        raise InputError("layout", got=layout, wanted="imagenet or cifar")
    if not _has(depth, layout):
        raise InputError("depth", got=depth, wanted=_depths(layout), do=_other(depth, layout))
    if layout == "imagenet":
        block, counts = IMAGENET[depth]
        return Plan(depth, layout, block, 64, _blocks(block, counts, 64))
    return Plan(depth, layout, "basic", 16, _blocks("basic", ((depth - 2) // 6,) * 3, 16))


def _blocks(block: str, counts: tuple[int, ...], width: int) -> tuple[BlockPlan, ...]:
    plans: list[BlockPlan] = []
    channels_in, area = width, 0
    for stage, count in enumerate(counts, start=1):
        channels = width * 2 ** (stage - 1)
        for position in range(count):
            stride = 2 if stage > 1 and position == 0 else 1
            out = channels * EXPANSION[block]
            kind: Kind = "downsample" if stride > 1 or channels_in != out else "identity"
            area_out = area + (kind == "downsample")
            index = len(plans)
            plans.append(
                BlockPlan(
                    index, stage, position, kind, channels_in, channels, stride, area, area_out
                )
            )
            channels_in, area = out, area_out
    return tuple(plans)


def _has(depth: int, layout: str) -> bool:
    if layout == "imagenet":
        return depth in IMAGENET
    return 8 <= depth <= CIFAR_MAX_DEPTH and (depth - 2) % 6 == 0


def _depths(layout: str) -> str:
    if layout == "imagenet":
        return "18, 34, 50, 101 or 152 in the imagenet layout"
    return f"6n + 2 from 8 to {CIFAR_MAX_DEPTH} in the cifar layout"


def _other(depth: int, layout: str) -> str:
    other = "cifar" if layout == "imagenet" else "imagenet"
    return f"the {other} layout has it: --layout {other}" if _has(depth, other) else ""


def usual_size(model: str) -> int | None:
    """The image size of a built-in model by its name, in pixels; None for any other.

    >>> usual_size("sew_resnet50"), usual_size("spiking_resnet20"), usual_size("my.module:build")
    (64, 32, None)
    >>> usual_size("sew_wide_7b_net")
    128
    """
    if DVS_NET.fullmatch(model):
        return DVS_SIDE
    named = BUILT_IN.fullmatch(model)
    if named is None:
        return None
    return SIZES["imagenet" if int(named[2]) in IMAGENET else "cifar"]
