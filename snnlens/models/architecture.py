"""What a file of weights says of its network: depth, layout, classes; kind and T where it does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from snnlens.errors import InputError
from snnlens.models.foreign_keys import is_dvs, our_names, residual_of
from snnlens.models.plan import CONNECTS, IMAGENET

BLOCK = re.compile(r"layer(\d{1,4})\.(\d{1,4})\.conv([123])\.weight")
RESNET = "those of a residual network (conv1, layer1.0.conv1, ..., fc)"
STEMS = {(64, 3, 7, 7): "imagenet", (16, 3, 3, 3): "cifar"}
FEATURES = 64  # of the smallest residual network; a matrix without columns could name any classes
MOST_STEPS = 100_000
KINDS = "ann, plain, spiking, sew and ms"


@dataclass(frozen=True)
class Architecture:
    """A network as its weights, and what was saved beside them, say; None is not said."""

    depth: int
    layout: str
    classes: int
    residual: str | None = None
    connect: str | None = None
    time_steps: int | None = None
    neuron: str | None = None  # plif, where the weights hold time constants

    def __str__(self) -> str:
        kind = " ".join(word for word in (self.residual, self.connect) if word)
        return (
            f"{kind} ResNet-{self.depth} ({self.layout} layout, {self.classes} classes)"
        ).lstrip()

    def agreed(self, **given: Any) -> Architecture:
        """With what a user adds: it fills what is not said, and may not contradict what is.

        Raises InputError where it does, where the kind of network is still not known, and for a
        connect of a network that has none.

        >>> Architecture(18, "imagenet", 10).agreed(residual="sew", connect="iand").connect
        'iand'
        >>> Architecture(18, "imagenet", 10, residual="spiking").agreed(residual="sew")
        Traceback (most recent call last):
        snnlens.errors.InputError: residual must be spiking, as the checkpoint says; got 'sew';
        leave it out
        """
        told = {name: value for name, value in given.items() if value is not None}
        for name, value in told.items():
            known = getattr(self, name)
            if known is not None and known != value:
                wanted = f"{known}, as the checkpoint says"
                raise InputError(name, got=value, wanted=wanted, do="leave it out")
        whole = replace(self, **told)
        if whole.residual is None:
            raise InputError(
                "residual", got="nothing", wanted=f"given: the weights of {KINDS} are named alike",
                do="give --residual sew --connect add, or --residual spiking, ...",
            )  # fmt: skip
        return whole._connected(told.get("connect"))

    def _connected(self, given: str | None) -> Architecture:
        if self.residual != "sew":
            if given is not None:
                wanted = f"left out: {self.residual} has none"
                raise InputError("connect", got=given, wanted=wanted)
            return replace(self, connect=None)
        if self.connect is None:
            raise InputError(
                "connect", got="nothing", wanted="given: the checkpoint does not say it",
                do="give --connect add, and or iand",
            )  # fmt: skip
        return self


def describe(weights: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Architecture:
    """Recognise a network by its keys (of the file) and shapes, and by what else the file says.

    Depth: convolutions per block and blocks per stage. Layout: the stem. Classes: the last layer.
    The kind: the official repository's keys tell SEW from Spiking; `args.connect_f` says the g,
    `args.T` the number of time steps.

    Raises InputError for weights of anything but a residual network that snnlens can build.

    >>> import torch
    >>> from snnlens.models.resnet import resnet
    >>> str(describe(resnet(20, layout="cifar", classes=10).state_dict(), {}))
    'ResNet-20 (cifar layout, 10 classes)'
    """
    if is_dvs(weights):
        raise InputError(
            "the weights of a checkpoint", got="a 7B-Net or Wide-7B-Net", wanted=RESNET,
            do="load them into snnlens.models.dvs.dvs_net(...)",
        )  # fmt: skip
    names = our_names(weights)
    shapes = {names[key]: tuple(tensor.shape) for key, tensor in weights.items()}
    args = facts["args"] if isinstance(facts.get("args"), Mapping) else {}
    return Architecture(
        depth=_depth(shapes),
        layout=_layout(shapes),
        classes=_classes(shapes),
        residual=residual_of(weights),
        connect=_connect(args.get("connect_f")),
        time_steps=_time_steps(args.get("T")),
        neuron="plif" if "sn1.w" in shapes or "layer1.0.sn1.w" in shapes else None,
    )


Shapes = Mapping[str, tuple[int, ...]]


def _layout(shapes: Shapes) -> str:
    stem = shapes.get("conv1.weight")
    if stem is None:
        raise _not_a_resnet(shapes)
    if stem not in STEMS:
        wanted = " or ".join(f"{list(shape)} ({layout})" for shape, layout in STEMS.items())
        raise InputError("conv1.weight of a checkpoint", got=list(stem), wanted=wanted)
    return STEMS[stem]


def _depth(shapes: Shapes) -> int:
    layout = _layout(shapes)
    found = [(int(m[1]), int(m[2]), int(m[3])) for key in shapes if (m := BLOCK.fullmatch(key))]
    if not found:
        raise _not_a_resnet(shapes)
    block = "bottleneck" if any(conv == 3 for *_, conv in found) else "basic"
    stages = sorted({stage for stage, *_ in found})
    counts = tuple(len({at for s, at, _ in found if s == stage}) for stage in stages)
    if layout == "cifar" and block == "basic" and counts == counts[:1] * 3:
        return 6 * counts[0] + 2
    known: dict[tuple[str, tuple[int, ...]], int] = {v: k for k, v in IMAGENET.items()}
    if layout == "cifar" or (block, counts) not in known:
        raise InputError(
            "the blocks of a checkpoint", got=f"{block}, {', '.join(map(str, counts))} per stage",
            wanted="those of a depth 18, 34, 50, 101, 152 (imagenet) or 6n + 2 (cifar)",
        )  # fmt: skip
    return known[block, counts]


def _classes(shapes: Shapes) -> int:
    shape = shapes.get("fc.weight", ())
    if len(shape) != 2 or shape[0] < 1 or shape[1] < FEATURES:
        raise _not_a_resnet(shapes)
    return shape[0]


def _connect(said: Any) -> str | None:
    """`ADD` of the official code, `add` of its logs; None of a Spiking ResNet."""
    if said is None:
        return None
    if str(said).lower() not in CONNECTS:
        raise InputError("connect_f of a checkpoint", got=said, wanted="ADD, AND or IAND")
    return str(said).lower()


def _time_steps(said: Any) -> int | None:
    return said if isinstance(said, int) and 1 <= said <= MOST_STEPS else None


def _not_a_resnet(shapes: Shapes) -> InputError:
    some = ", ".join(list(shapes)[:3]) + (", ..." if len(shapes) > 3 else "")
    return InputError("the weights of a checkpoint", got=some, wanted=RESNET)
