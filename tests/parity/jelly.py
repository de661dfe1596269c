"""SpikingJelly's residual networks, importable without torchvision, with our weights in them."""

from __future__ import annotations

import sys
import types
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from snnlens.models.resnet import ResNet

STUBS = ("torchvision", "torchvision._internally_replaced_utils")


def load() -> Any:
    """SpikingJelly's modules. Its models want torchvision for one download helper only: a stub."""
    kept = {name: sys.modules.get(name) for name in STUBS}
    sys.modules.update({name: types.ModuleType(name) for name in STUBS})
    sys.modules[STUBS[1]].load_state_dict_from_url = None  # type: ignore[attr-defined]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from spikingjelly.activation_based import functional, layer, neuron, surrogate
            from spikingjelly.activation_based.model import sew_resnet, spiking_resnet
    finally:
        for name, module in kept.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module
    return types.SimpleNamespace(
        functional=functional, layer=layer, neuron=neuron, surrogate=surrogate,
        sew=sew_resnet, spiking=spiking_resnet,
    )  # fmt: skip


def twin_of(jelly: Any, model: ResNet) -> nn.Module:
    """SpikingJelly's network with the structure, neurons and weights of ours."""
    rule = model.neurons()[0][1].rule
    kwargs: dict[str, Any] = {"v_threshold": rule.threshold,"spiking_neuron": jelly.neuron.IFNode,
                              "surrogate_function": jelly.surrogate.ATan(),
                              "detach_reset": True, "num_classes": model.classes}  # fmt: skip
    if model.residual == "sew":
        make = getattr(jelly.sew, f"sew_resnet{model.plan.depth}")
        kwargs["cnf"] = str(model.connect).upper()
    else:
        make = getattr(jelly.spiking, f"spiking_resnet{model.plan.depth}")
    twin: nn.Module = make(**kwargs)
    twin.load_state_dict(model.state_dict())  # the names are equal: torchvision's
    jelly.functional.set_step_mode(twin, "m")
    return twin


HEAD_RTOL = 2e-6  # a dot product of 10 float32 terms in another order, of the largest gradient


def watched(
    model: nn.Module, x: Tensor, per_step: bool, head_grad: Tensor | None = None
) -> dict[str, Tensor]:
    """Each block's input and output with their gradients, the logits, the gradient of the image.

    The loss is one number of the time-averaged logits; SpikingJelly gives logits at each step.
    With `head_grad`, the gradient at the last block's output has to be that up to rounding, and is
    put in its place: a matrix product of [B, 10] and one of [T B, 10] add in an order that differs
    between processors, and everything before the last layer is compared to the bit.
    """
    names = [n for n, _ in model.named_modules() if n.startswith("layer") and n.count(".") == 1]
    kept: dict[str, Tensor] = {}

    def hook(name: str) -> Any:
        def keep(module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
            kept[f"{name}.input"], kept[f"{name}.output"] = args[0], out
            args[0].retain_grad()
            out.retain_grad()
            if name == names[-1] and head_grad is not None:
                out.register_hook(lambda grad: _the_same(grad, head_grad))

        return keep

    handles = [model.get_submodule(name).register_forward_hook(hook(name)) for name in names]
    x = x.clone().requires_grad_()
    out = model(x)
    logits = out.mean(0) if per_step else out
    weights = torch.linspace(-1, 1, logits.numel()).reshape(logits.shape)
    (logits * weights).sum().backward()
    for handle in handles:
        handle.remove()
    assert x.grad is not None
    return {
        **{n: t.detach() for n, t in kept.items()},
        **{f"{n} grad": t.grad for n, t in kept.items() if t.grad is not None},
        "logits": logits.detach(), "image grad": x.grad,
    }  # fmt: skip


def _the_same(grad: Tensor, wanted: Tensor) -> Tensor:
    assert (grad - wanted).abs().max() <= HEAD_RTOL * wanted.abs().max()
    return wanted
