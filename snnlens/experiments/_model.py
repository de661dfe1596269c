"""MODEL of a command: a built-in name, the path of a factory or a NIR graph."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from snnlens.errors import InputError
from snnlens.experiments._blame import UserCodeError, user_code
from snnlens.experiments._imports import named
from snnlens.models.dvs import DVSNet, dvs_net
from snnlens.models.plan import BUILT_IN, CIFAR_MAX_DEPTH, DVS_NET, IMAGENET
from snnlens.models.resnet import ResNet, resnet
from snnlens.neuron.layers import Neuron

__all__ = ["UserCodeError", "call_factory", "load_class", "load_model", "user_code"]

NAMES = [
    f"{kind}_resnet{depth}" for kind in ("sew", "spiking", "plain", "ms") for depth in IMAGENET
]
DVS_NAMES = [
    f"{kind}_{size}7b_net" for kind in ("sew", "spiking", "plain") for size in ("", "wide_")
]
WANTED = (
    "a built-in name (sew_resnet18, sew_7b_net), package.module:factory, file.py:factory or a "
    ".nir file"
)


def load_model(
    spec: str,
    *,
    seed: int = 0,
    classes: int | None = None,
    time_steps: int = 4,
    layout: str | None = None,
    neuron: Neuron | None = None,
    zero_init: bool = False,
) -> nn.Module:
    """The model that MODEL names.

    Args:
        spec: a built-in name (`sew_resnet50`, `spiking_resnet18`, `plain_resnet34`, `ms_resnet101`,
            `sew_resnet18_iand`; depths 6n + 2 are the cifar layout), for frames of events
            `sew_7b_net`, `spiking_7b_net`, `plain_7b_net`, `sew_7b_net_iand`, `sew_wide_7b_net`,
            ..., `package.module:factory` (the current folder is first on sys.path, as with
            `python -m`), `file.py:factory`, or a `.nir` file. A factory is called without
            arguments.
        seed: of the weights; torch, numpy and `random` are seeded before a factory is called.
        classes: outputs of a built-in model; 1000 if None (11 of a 7B-Net, 10 of a wide one).
        time_steps: T of a built-in model.
        layout: of a built-in ResNet; None takes that of its depth.
        neuron: of a built-in model; IF() by default, PLIF() of a 7B-Net.
        zero_init: whether the branches of a built-in model begin at their identity value.

    Raises:
        InputError: no such name, module, file or factory, or what it returns is no nn.Module.
        UserCodeError: the user's module or factory raised.

    >>> load_model("sew_resnet20", classes=10).plan.layout
    'cifar'
    >>> load_model("torch.nn:Identity")
    Identity()
    """
    built_in = BUILT_IN.fullmatch(spec)
    if built_in:
        return _built_in(
            spec, *built_in.groups(), seed=seed, classes=classes, time_steps=time_steps,
            layout=layout, neuron=neuron, zero_init=zero_init,
        )  # fmt: skip
    if dvs := DVS_NET.fullmatch(spec):
        return _dvs(
            spec, *dvs.groups(), layout=layout, seed=seed, classes=classes, time_steps=time_steps,
            neuron=neuron, zero_init=zero_init,
        )  # fmt: skip
    if Path(spec).suffix.lower() == ".nir":
        return _nir(spec)
    made = call_factory(spec, seed=seed)
    if not isinstance(made, nn.Module):
        raise InputError(f"what {spec} returns", got=type(made).__name__, wanted="an nn.Module")
    return made


def call_factory(spec: str, *, seed: int = 0, what: str = "MODEL", wanted: str = WANTED) -> Any:
    """What `package.module:factory` or `file.py:factory` returns, called without arguments.

    Raises InputError where there is no such factory, UserCodeError where it raises.

    >>> call_factory("torch.nn:CrossEntropyLoss", what="--loss")
    CrossEntropyLoss()
    """
    factory = named(spec, what, wanted, NAMES + DVS_NAMES if what == "MODEL" else ())
    _check_factory(factory, spec, what)
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - the global state is what a factory may draw from
    with user_code(spec):
        return factory()


def load_class(spec: str, *, what: str = "--spiking") -> type[nn.Module]:
    """The class of layers that `package.module:Class` or `file.py:Class` names.

    Raises InputError where there is none, UserCodeError where its module raises.

    >>> load_class("torch.nn:ReLU")
    <class 'torch.nn.modules.activation.ReLU'>
    """
    found = named(spec, what, "package.module:Class or file.py:Class")
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        got = found.__name__ if isinstance(found, type) else type(found).__name__
        raise InputError(f"what {what} names", got=got, wanted="a subclass of nn.Module")
    return found


def _built_in(
    spec: str, residual: str, digits: str, connect: str | None, /, *, seed: int,
    classes: int | None, time_steps: int, layout: str | None, **options: Any,
) -> ResNet:  # fmt: skip
    depth = int(digits)
    given, layout = layout, layout or ("imagenet" if depth in IMAGENET else "cifar")
    if (
        given is None
        and layout == "cifar"
        and not (8 <= depth <= CIFAR_MAX_DEPTH and depth % 6 == 2)
    ):
        known = ", ".join(map(str, IMAGENET))
        wanted = f"of depth {known}, or 6n + 2 from 8 to {CIFAR_MAX_DEPTH} (the cifar layout)"
        raise InputError("a built-in MODEL", got=spec, wanted=wanted)
    if connect and residual != "sew":
        do = f"only sew has add, and, iand: sew_resnet{depth}_{connect}"
        raise InputError("MODEL", got=spec, wanted=f"{residual}_resnet{depth}", do=do)
    return resnet(
        depth, residual=residual, connect=connect, layout=layout, time_steps=time_steps,
        classes=1000 if classes is None else classes, seed=seed, **options,
    )  # fmt: skip


def _dvs(
    spec: str, residual: str, wide: str | None, connect: str | None, /, *, layout: str | None,
    **options: Any,
) -> DVSNet:  # fmt: skip
    if connect and residual != "sew":
        plain = spec.removesuffix(f"_{connect}")
        do = f"only sew has add, and, iand: {spec.replace(residual, 'sew')}"
        raise InputError("MODEL", got=spec, wanted=plain, do=do)
    if layout is not None:
        raise InputError("layout", got=layout, wanted=f"left out: {spec} has none")
    name = "Wide-7B-Net" if wide else "7B-Net"
    return dvs_net(name, residual=residual, connect=connect, **options)


def _nir(spec: str) -> nn.Module:
    if not Path(spec).is_file():
        raise InputError("MODEL", got=spec, wanted="a file that exists")
    from snnlens.models.nir import read_nir

    return read_nir(Path(spec))


def _check_factory(factory: Any, spec: str, what: str) -> None:
    wanted = "a function or class that is called without arguments"
    if isinstance(factory, nn.Module):
        do = f"write `def build(): return {spec.rpartition(':')[2]}` and name that"
        raise InputError(f"the factory of {what}", got="a model itself", wanted=wanted, do=do)
    if not callable(factory):
        raise InputError(f"the factory of {what}", got=type(factory).__name__, wanted=wanted)
    needed = _needed(factory)
    if needed:
        do = "write one that gives them"
        raise InputError(f"the factory of {what}", got=f"{spec}({needed})", wanted=wanted, do=do)


def _needed(factory: Callable[..., Any]) -> str:
    """The arguments without a default, comma-separated."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # some built-in functions have none
        return ""
    free = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return ", ".join(p.name for p in parameters if p.default is p.empty and p.kind not in free)
