"""The network of a training folder, as its last whole epoch left it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from snnlens.data.readers._labels import MAX_CLASSES
from snnlens.errors import InputError
from snnlens.experiments._point import build
from snnlens.experiments.train import Params
from snnlens.training import checkpoint
from snnlens.training import folder as folders


def load(folder: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """The model with its trained weights, and what a Record says of it.

    The fact `options` holds the data and the image size that it was trained on.

    Raises InputError for a folder that is none of a training, one without a whole epoch, and one
    whose files were cut or changed.
    """
    folder = Path(folder)
    said = folders.description(folder)
    params = Params.kept(folder)
    kept = checkpoint.load(folder)
    if kept is None:
        raise InputError(
            str(folder), got="no whole epoch yet", wanted="a training with one",
            do="let it go on: `snnlens train ... --resume`",
        )  # fmt: skip
    model = build(params, _classes(folder, said["facts"].get("classes")))
    try:
        model.load_state_dict(kept.weights)
    except RuntimeError as error:
        raise InputError(
            f"the weights in {kept.folder}", got="others", wanted=f"those of {params.model}",
            do="the file was changed, or the model was",
        ) from error  # fmt: skip
    facts = {
        "checkpoint": folder.resolve().name,
        "epoch": kept.epoch,
        "options": {"data": params.data, "image_size": params.pixels},
    }
    return model, facts


def _classes(folder: Path, said: Any) -> int:
    """As many as data can have: each one more makes the last layer larger."""
    if not (isinstance(said, int) and 1 <= said <= MAX_CLASSES):
        raise InputError(f"classes in {folder / folders.DESCRIPTION}", got=said,
                         wanted=f"from 1 to {MAX_CLASSES}")  # fmt: skip
    return said
