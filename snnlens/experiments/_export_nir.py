"""MODEL as a .nir file, for `snnlens export`: a training folder, weights, or what names a model."""

from __future__ import annotations

import math
import re
import tempfile
from pathlib import Path
from typing import Any

from torch import nn

from snnlens.errors import InputError
from snnlens.experiments._export_nir_graph import graph_of
from snnlens.experiments._model import load_model
from snnlens.experiments._trained_model import load_trained
from snnlens.models.dvs import DVSNet
from snnlens.models.graph import Graph
from snnlens.models.nir import write_nir
from snnlens.models.plan import DVS_SIDE, SIZES
from snnlens.models.resnet import ResNet
from snnlens.neuron.layers import Neuron
from snnlens.training import folder as folders

Shape = tuple[int, ...]
MEAN = "the file gives scores per time step; the network's are their mean over time"
FOLDED = "BatchNorm was folded into the convolutions, with the statistics of training"


def files(
    source: str, input_shape: Shape | None, *, soft_reset: bool
) -> tuple[dict[str, bytes], dict[str, Any], list[str]]:
    """The .nir file by its name, facts of the model, and what a person should know.

    Raises:
        InputError: what holds no model, a model that NIR cannot say, an input shape that is
            missing or does not fit.
    """
    model = _loaded(source).eval()
    shape = input_shape or _usual_shape(source, model)
    own = isinstance(model, ResNet | DVSNet)
    graph = graph_of(model, shape) if isinstance(model, ResNet | DVSNet) else model
    neurons = [m for m in graph.modules() if isinstance(m, Neuron)]
    facts = {
        "model": type(model).__name__, "input_shape": list(shape), "neuron_layers": len(neurons),
        "parameters": sum(p.numel() for p in graph.parameters()),
    }  # fmt: skip
    data = _written(graph, shape, soft_reset=soft_reset)
    return {f"{_name(source)}.nir": data}, facts, [FOLDED, MEAN] if own else []


def _loaded(source: str) -> nn.Module:
    if Path(source).is_dir() and folders.is_training(Path(source)):
        _check_spiking(Path(source))
    try:
        return load_trained(source) or load_model(source)
    except InputError as error:
        raise _for_the_command(error) from error


def _check_spiking(folder: Path) -> None:
    """The ANNs of `snnlens conversion` are kept in folders like those of `train`."""
    said = folders.description(folder)
    if "model" not in said.get("parameters", {}):
        raise InputError(
            "MODEL", got=f"{folder} (an ANN, trained to be converted)",
            wanted="a spiking network",
            do="convert it in Python: snnlens.conversion.nir.export_nir(snnlens.convert(ann, "
            '"sequential", 4), path, shape)',
        )  # fmt: skip


def _usual_shape(source: str, model: nn.Module) -> Shape:
    """What a training was done on, or what a network of snnlens is made for."""
    side = _trained_side(Path(source))
    if isinstance(model, ResNet):
        return (3, side or SIZES[model.plan.layout], side or SIZES[model.plan.layout])
    if isinstance(model, DVSNet):
        return (2, side or DVS_SIDE, side or DVS_SIDE)
    raise InputError(
        "--input-shape", got="nothing", wanted="the shape of one sample of one time step",
        do="give it, e.g. --input-shape 2,34,34",
    )  # fmt: skip


def _trained_side(folder: Path) -> int | None:
    if not (folder.is_dir() and folders.is_training(folder)):
        return None
    from snnlens.experiments.train import Params

    return Params.kept(folder).pixels


def _written(model: nn.Module | Graph, shape: Shape, *, soft_reset: bool) -> bytes:
    with tempfile.TemporaryDirectory(prefix="snnlens-nir-") as folder:
        try:
            path = write_nir(model, f"{folder}/model.nir", shape, soft_reset=soft_reset)
        except InputError as error:
            raise _for_the_command(error, shape) from error
        return path.read_bytes()


def _for_the_command(error: InputError, shape: Shape = ()) -> InputError:
    """The same in the words of this command."""
    what, do = error.what, error.do
    if "soft_reset=True" in do:
        do = "add --soft-reset for a note that only snnlens heeds"
    elif do.startswith("give --"):
        do = (
            "give file.py:build, whose build() returns snnlens.models.checkpoints.build(path, "
            'residual="sew", connect="add")[0]'
        )
    elif what == "input_shape":
        what, do = "--input-shape", f"one sample has {math.prod(shape)} numbers here"
    return InputError(what, got=error.got, wanted=error.wanted, do=do)


def _name(source: str) -> str:
    """What the file is called: the training, the weights or the model.

    >>> _name("runs/points/sew-add-20-s0-1f"), _name("net.py:build"), _name("a/b.safetensors")
    ('sew-add-20-s0-1f', 'net-build', 'b')
    """
    plain = Path(source.replace(".py:", ":")).name
    plain = re.sub(r"\.(pth|pt|safetensors|nir)$", "", plain)
    plain = re.sub(r"[^\w.-]+", "-", plain).strip("-.")
    return plain.encode()[:80].decode(errors="ignore") or "model"
