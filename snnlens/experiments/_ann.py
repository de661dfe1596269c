"""The ANNs of `conversion`: trained here, and kept, or loaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from snnlens.conversion.activations import QCFS
from snnlens.conversion.prepare import check_logits
from snnlens.data import sets
from snnlens.data.sets import Set
from snnlens.errors import InputError
from snnlens.experiments._blame import user_code
from snnlens.experiments._model import call_factory
from snnlens.experiments._networks import Progress, quiet
from snnlens.experiments.conversion import Params
from snnlens.models import ann, ann_weights
from snnlens.models.checkpoints import read
from snnlens.provenance import provenance
from snnlens.training import folder as folders
from snnlens.training import loop, sweep

# What changes no number of a training: what is done with the network afterwards.
DECIDES = ("ann", "data", "width", "residual", "levels", "training_free", "threshold", "image_size",
           "test_share", "epochs", "batch", "optimiser", "lr")  # fmt: skip
DIGITS = 8  # of the digest in a folder's name
WANTED = "package.module:factory, file.py:factory or a built-in name"


@dataclass(frozen=True)
class Point:
    """One ANN of a run: which depth, which seed.

    >>> Point(Params(), depth=16, seed=2).name
    'mlp-16x32-s2'
    """

    params: Params
    depth: int | None
    seed: int

    @property
    def name(self) -> str:
        """A readable name of the network."""
        p = self.params
        if ":" in p.ann:
            plain = p.ann.rpartition("/")[2].replace(".py:", ":")
            return "".join(c if c.isalnum() else "-" for c in plain).strip("-").lower()
        size = "" if self.depth is None else f"-{self.depth}x{p.width}"
        residual = "-residual" if p.residual == "yes" else ""
        return f"{p.ann}{size}{residual}" + (f"-s{self.seed}" if p.trains else "")

    @property
    def folder(self) -> Path:
        """Where the training is kept: its name, and a digest of what decides its numbers."""
        facts = self.params.model_dump(mode="json", include=set(DECIDES))
        said = json.dumps(facts | {"depth": self.depth, "seed": self.seed}, sort_keys=True)
        digest = hashlib.sha256(said.encode()).hexdigest()[:DIGITS]
        kind = "relu" if self.params.training_free else f"qcfs{self.params.levels}"
        return Path(self.params.points) / f"{self.name}-{kind}-{digest}"

    def build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        """The network, not trained."""
        p = self.params
        if ":" in p.ann:
            return _made(p.ann, p.seed)
        options: dict[str, Any] = {}
        if p.ann == "mlp":
            options = {"depth": self.depth, "width": p.width, "residual": p.residual == "yes"}
        return ann.build(
            p.ann, shape=shape, classes=classes, seed=self.seed, activation=self.activation,
            **options,
        )  # fmt: skip

    def activation(self) -> nn.Module:
        """One activation of a built-in network."""
        p = self.params
        return QCFS(p.levels, p.threshold) if p.learns_thresholds else nn.ReLU()


def points(params: Params) -> Iterator[Point]:
    """Every ANN of the run, the shallowest first."""
    depths = sorted(set(params.depth)) if params.ann == "mlp" else [None]
    for depth in depths:
        for number in range(params.seeds if params.trains else 1):
            yield Point(params, depth, params.seed + number)


def load(
    point: Point, both: tuple[Set, Set], progress: Progress
) -> tuple[nn.Module, dict[str, Any]]:
    """The network with its weights, on the CPU in evaluation mode, and facts of its weights."""
    facts: dict[str, Any] = {}
    x, _ = both[1].batch(torch.arange(1))
    model = point.build(tuple(x.shape[1:]), both[1].source.classes)
    if point.params.trains:
        _train(point, model, both, progress)
    elif point.params.weights is not None:
        facts = _loaded(point.params, model, Path(point.params.weights))
    return model.eval(), facts


def load_sets(params: Params) -> tuple[Set, Set]:
    """Training and test set, decoded once where they fit into memory."""
    both = sets.load(params.data, image_size=params.image_size, test_share=params.test_share)
    for one in both:
        one.hold()
    return both


def shown(one: Set, samples: int | None, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The first samples of a set in a mixed order that is always the same, in batches."""
    order = torch.randperm(len(one), generator=torch.Generator().manual_seed(0))
    for numbers in order[:samples].split(size):
        yield one.batch(numbers)


def _train(point: Point, model: nn.Module, both: tuple[Set, Set], progress: Progress) -> None:
    """Train, or take up a training that was kept: whole epochs are."""
    folder, recipe = point.folder, point.params.recipe
    said = {
        "name": point.name,
        "parameters": point.params.model_dump(mode="json"),
        "facts": {"model": point.params.ann, "seed": point.seed, "epochs": recipe.epochs},
        "data_fingerprint": sets.digest(both),
        "provenance": provenance(),
    }
    with sweep.claimed(folder):
        if not folders.is_training(folder):
            folders.describe(folder, said)
        elif folders.description(folder)["data_fingerprint"] != said["data_fingerprint"]:
            raise InputError(
                f"the data of {folder}", got="other bytes", wanted="what the training began with",
                do="train in another folder: --points",
            )  # fmt: skip
        left = recipe.epochs - len(folders.metrics(folder))
        shown = progress if left else quiet  # a training that was kept is only read
        tick = shown(f"training {point.name}", left * (len(both[0]) // recipe.batch))
        loop.train(loop.Job(model, both[0], both[1], recipe, folder, seed=point.seed, tick=tick))
        sweep.mark_done(folder)


def _loaded(params: Params, model: nn.Module, path: Path) -> dict[str, Any]:
    """Load the weights; a file without thresholds is one of a ReLU network."""
    try:
        return ann_weights.load_weights(model, path)
    except InputError:
        if params.learns_thresholds and not any("raw" in name for name in read(path).weights):
            wanted = "with the thresholds of QCFS"
            do = "of a ReLU network: add --training-free"
            raise InputError("weights", got=str(path), wanted=wanted, do=do) from None
        raise


def _made(spec: str, seed: int) -> nn.Module:
    made = call_factory(spec, seed=seed, what="--ann", wanted=WANTED)
    if not isinstance(made, nn.Module):
        raise InputError(f"what {spec} returns", got=type(made).__name__, wanted="an nn.Module")
    return made


def kept(params: Params) -> str:
    """What stays after an interruption, and how to go on."""
    if not params.trains:
        return "interrupted; nothing was written"
    folders_of = [p.folder for p in points(params)]
    done = sum(len(folders.metrics(f)) for f in folders_of)
    total = len(folders_of) * params.epochs
    return (
        f"interrupted; {done} of {total} epochs are whole and stay in {params.points}; the same "
        "command goes on"
    )


def logits(model: nn.Module, x: Tensor, spec: str, classes: int) -> Tensor:
    """What a user's ANN says of x; its own errors are said to be its own."""
    with user_code(f"the forward of {spec}", f"it was given x {list(x.shape)}"):
        out: Any = model(x)
    check_logits(out, x)
    if out.shape[1] < classes:
        wanted = f"one for each of the {classes} classes of the data"
        raise InputError("the logits of the ANN", got=out.shape[1], wanted=wanted)
    found: Tensor = out
    return found
