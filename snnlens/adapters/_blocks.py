"""Residual blocks of foreign models, and the sites they have.

A block is a module that holds a spiking layer and no other block, and whose class

- is one of those that the user names, or
- has a name with "Block" or "Bottleneck" in it, as written, and a shortcut: a `cnf` or `connect_f`
  (SEW), or an attribute whose name begins with downsample, shortcut, conv_sc or skip, be it None;
  or a name with "Res" or "SEW" in it as well (ResBlock, SEWBlock). A ConvBlock has none of these.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from snnlens.sites import Role, Signal, Site

Spiking = Callable[[nn.Module], bool]
SHORTCUTS = ("downsample", "shortcut", "conv_sc", "skip")
CONNECTS = ("add", "and", "iand")
SPIKING_RESNET = "spikingjelly.activation_based.model.spiking_resnet"


@dataclass(frozen=True)
class Block:
    """One residual block of a foreign model; S^l is its input, O^l its output.

    Attributes:
        name: its dotted path.
        index: l, from 0, in the order in which the modules are registered.
        stage: n of a `layern` in the path.
        kind: downsample if its shortcut holds a layer or its stride is not 1, else identity.
        area: the run of block inputs joined by identity blocks that S^l belongs to.
        area_out: that of O^l.
        residual: sew where it says its connect function, spiking where the sum comes before the
            last neuron; None where that is not known.
        connect: add, and or iand, of sew.
        last: path of the last spiking layer of its branch: A^l in sew, O^l in spiking.
    """

    name: str
    index: int
    stage: int | None
    kind: Literal["identity", "downsample"]
    area: int
    area_out: int
    residual: Literal["sew", "spiking"] | None
    connect: str | None
    last: str | None

    def sites(self) -> list[Site]:
        """S^l, A^l and O^l; A^l only of sew, where a spiking layer puts it out."""
        counts, known = self.connect == "add", self.residual is not None
        between: Signal = "counts" if counts else "spikes" if known else "activation"
        sites = [self._site("input", self.name, "block_input", between, self.area)]
        if self.residual == "sew" and self.last is not None:
            at = self.last, "block_residual"
            sites.append(self._site("residual", *at, "spikes", self.area_out))  # type: ignore[arg-type]
        return [*sites, self._site("output", self.name, "block_output", between, self.area_out)]

    def _site(self, label: str, module: str, role: Role, signal: Signal, area: int) -> Site:
        return Site(
            f"{self.name}.{label}", module, "input" if role == "block_input" else "output", role,
            signal, block=self.index, stage=self.stage, area=area, block_kind=self.kind,
        )  # fmt: skip


def block_sites(
    model: nn.Module, spiking: Spiking, classes: Sequence[type[nn.Module]] = ()
) -> list[Site]:
    """The sites of every residual block: input, residual (of sew) and output, in order.

    Names, roles and areas are those of `ResNet.sites`; the neurons in the blocks are not listed.

    >>> block_sites(nn.Sequential(nn.Linear(2, 2)), lambda module: False)
    []
    """
    return [site for block in residual_blocks(model, spiking, classes) for site in block.sites()]


def residual_blocks(
    model: nn.Module, spiking: Spiking, classes: Sequence[type[nn.Module]] = ()
) -> list[Block]:
    """The residual blocks of a model, see above; `spiking` tells a spiking layer.

    Two blocks with a layer between them (a pooling, a convolution) do not share an area.
    """
    blocks: list[Block] = []
    area, gap = 0, False
    for name, module in _parts(model, spiking, tuple(classes)):
        if not isinstance(module, _Found):
            gap = True
            continue
        area += gap and bool(blocks)
        kind = _kind(module.block)
        block = _described(name, module, len(blocks), kind, area)
        blocks.append(block)
        area, gap = block.area_out, False
    return blocks


@dataclass(frozen=True)
class _Found:
    """A block's module, and the paths of the spiking layers in it."""

    block: nn.Module
    neurons: tuple[str, ...]


def _parts(
    model: nn.Module, spiking: Spiking, classes: tuple[type[nn.Module], ...]
) -> Iterator[tuple[str, nn.Module | _Found]]:
    """Blocks, and the layers that lie outside of them, in the order of registration."""
    found: dict[str, _Found] = {}
    for name, module in model.named_modules():
        if _looks(module, classes):
            neurons = tuple(_neurons(module, spiking))
            inner = any(m is not module and _looks(m, classes) and any(_neurons(m, spiking))
                        for m in module.modules())  # fmt: skip
            if neurons and not inner:
                found[name] = _Found(module, neurons)
    for name, module in model.named_modules():
        if name in found:
            yield name, found[name]
        elif not _inside(name, found) and not any(module.children()) and _acts(module):
            yield name, module


def _inside(name: str, found: dict[str, _Found]) -> bool:
    return any(name.startswith(f"{block}.") for block in found)


def _acts(module: nn.Module) -> bool:
    """Whether a layer changes what passes, as far as its class says."""
    return not isinstance(module, nn.Identity | nn.Sequential | nn.ModuleList | nn.Dropout)


def _looks(module: nn.Module, classes: tuple[type[nn.Module], ...]) -> bool:
    """Whether a class is one of a residual block."""
    name = type(module).__name__
    if isinstance(module, classes):
        return True
    if "Block" not in name and "Bottleneck" not in name:
        return False
    named = "Res" in name or "SEW" in name
    return named or _connect(module) is not None or any(True for _ in _shortcuts(module))


def _neurons(module: nn.Module, spiking: Spiking) -> Iterator[str]:
    """Paths of the spiking layers below a module; what lies inside one is its own affair."""
    inside: list[str] = []
    for name, part in module.named_modules():
        if name and not any(name.startswith(outer) for outer in inside) and spiking(part):
            inside.append(f"{name}.")
            yield name


def _shortcuts(module: nn.Module) -> Iterator[Any]:
    """Attributes that are named like a shortcut, None among them."""
    own = {**vars(module), **dict(module.named_children()), **module._modules}
    return (value for name, value in own.items() if name.startswith(SHORTCUTS))


def _kind(module: nn.Module) -> Literal["identity", "downsample"]:
    shaped = any(isinstance(s, nn.Module) and _holds(s) for s in _shortcuts(module))
    stride = getattr(module, "stride", 1)
    strided = any(s != 1 for s in (stride if isinstance(stride, tuple | list) else (stride,)))
    return "downsample" if shaped or strided else "identity"


def _holds(shortcut: nn.Module) -> bool:
    """Whether a shortcut is more than an empty Sequential or an Identity."""
    return any(_acts(m) for m in shortcut.modules() if not any(m.children()))


def _connect(module: nn.Module) -> str | None:
    """SpikingJelly's `cnf`, or the official code's `connect_f`: ADD, AND or IAND."""
    said = [getattr(module, name, None) for name in ("cnf", "connect_f")]
    lower = [s.lower() for s in said if isinstance(s, str)]
    return next((s for s in lower if s in CONNECTS), None)


def _residual(module: nn.Module) -> Literal["sew", "spiking"] | None:
    if _connect(module) is not None:
        return "sew"
    return "spiking" if type(module).__module__ == SPIKING_RESNET else None


def _described(
    name: str, found: _Found, index: int, kind: Literal["identity", "downsample"], area: int
) -> Block:
    stage = re.search(r"(?:^|\.)layer(\d+)(?:\.|$)", name)
    branch = [n for n in found.neurons if not n.startswith(SHORTCUTS)]
    return Block(
        name, index, int(stage[1]) if stage else None, kind, area, area + (kind == "downsample"),
        _residual(found.block), _connect(found.block), f"{name}.{branch[-1]}" if branch else None,
    )  # fmt: skip
