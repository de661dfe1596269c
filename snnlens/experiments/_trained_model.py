"""MODEL as something trained: a training folder, or a file of a residual network's weights."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from torch import nn

from snnlens.errors import InputError
from snnlens.models import checkpoints

WEIGHTS = (".pth", ".pt", ".safetensors")
WANTED = "a training folder (train.json), a file of weights, or what names a model"


def load_trained(spec: str) -> nn.Module | None:
    """The trained network that MODEL names; None where it names none.

    Raises InputError for another folder and for a file that is no whole file of weights.

    >>> load_trained("sew_resnet18") is None
    True
    """
    path = Path(spec)
    if path.is_dir():
        return _of_training(path)
    if path.suffix.lower() in WEIGHTS and path.is_file():
        return checkpoints.build(spec)[0]
    return None


def _of_training(folder: Path) -> nn.Module:
    if not (folder / "train.json").is_file():
        raise InputError("MODEL", got=f"the folder {folder}", wanted=WANTED)
    model: nn.Module = import_module("snnlens.experiments._trained").load(folder)[0]
    return model
