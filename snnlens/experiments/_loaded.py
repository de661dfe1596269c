"""The one network of RUN|CHECKPOINT, and the options that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from torch import nn

from snnlens.data.images import Images
from snnlens.errors import InputError
from snnlens.experiments._neuron import NeuronParams
from snnlens.experiments._params import NetworkParams
from snnlens.experiments._source import WHAT, kind_of
from snnlens.models import checkpoints
from snnlens.models.architecture import Architecture
from snnlens.models.resnet import ResNet
from snnlens.neuron.layers import Neuron

SIZES = {"imagenet": 224, "cifar": 32}  # pixels that such networks are trained on
KIND = ("residual", "connect", "depth", "layout", "time_steps")


@dataclass(frozen=True)
class Loaded:
    """A trained network, what a Record says of it, and the parameters of its run."""

    model: ResNet
    facts: dict[str, Any]
    params: NetworkParams

    @property
    def neuron(self) -> Neuron | None:
        """The neuron of its first layer; None of an ANN."""
        return next((neuron for _, neuron in self.model.neurons()), None)

    def check(self, images: Images) -> None:
        """Raise InputError for targets that the network has no output for."""
        highest = int(images.y.max())
        if highest >= self.model.classes:
            raise InputError(
                "the targets of --data", got=highest,
                wanted=f"below {self.model.classes}, the classes of {self.facts['checkpoint']}",
            )  # fmt: skip


def load(params: NetworkParams, neuron: Neuron) -> Loaded | None:
    """The network that the parameters name; None at initialisation.

    `neuron` is what the options describe, and counts where one of them is given. A training folder
    says `options`, too: the data and image_size that count where the user gives none.

    Raises InputError for a file or folder that cannot be read, and for options that contradict it.
    """
    if params.source is None:
        return None
    given = {name: _one(params, name) for name in KIND if name in params.model_fields_set}
    if kind_of(params.source) == "training":
        model, facts = _of_training(params.source, given)
    else:
        chosen = bool(params.model_fields_set & set(NeuronParams.model_fields))
        made = checkpoints.build(params.source, neuron=neuron if chosen else None, **given)
        model, facts = made
    resolved = params.model_copy(update=_options(params, model, facts.pop("options", {})))
    resolved.check_size()
    return Loaded(model, facts, resolved)


def _one(params: NetworkParams, name: str) -> Any:
    value = getattr(params, name)
    return value[0] if isinstance(value, tuple) else value


def _of_training(folder: str, given: dict[str, Any]) -> tuple[ResNet, dict[str, Any]]:
    made: tuple[nn.Module, dict[str, Any]]
    made = import_module("snnlens.experiments._trained").load(folder)
    model, facts = made
    if not isinstance(model, ResNet):
        raise InputError(
            WHAT, got=f"{folder} ({type(model).__name__})",
            wanted="of a residual network of snnlens", do="`snnlens checkup` takes any model",
        )  # fmt: skip
    plan = model.plan
    Architecture(
        plan.depth, plan.layout, model.classes, model.residual, model.connect, model.time_steps
    ).agreed(**given)
    model.zero_init = False  # no branch is at its identity value any more
    return model, {"checkpoint": folder, "classes": model.classes} | facts


def _options(params: NetworkParams, model: ResNet, said: dict[str, Any]) -> dict[str, Any]:
    """What the run does, where the user did not say it."""
    free = {"image_size": SIZES[model.plan.layout]} | said
    kept = {name: value for name, value in free.items() if name not in params.model_fields_set}
    return kept | {
        "depth": model.plan.depth,
        "layout": model.plan.layout,
        "residual": (model.residual,),
        "connect": (model.connect or "add",),
        "zero_init": "no",
        "time_steps": model.time_steps,
    }
