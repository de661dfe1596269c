"""The state of a training after a whole epoch: weights, optimiser, random state. No pickle.

    checkpoints/epoch-0007/weights.safetensors     the model's state dict
                           optimiser.safetensors   the optimiser's tensors, by parameter and name
                           random.safetensors      the random state of torch, and of CUDA
                           state.json              epochs done, the optimiser's numbers, checksums

A folder of that name is whole, because it was renamed when everything in it was synced; the older
one is removed after that.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from snnlens import atomic
from snnlens.errors import InputError

SCHEMA_VERSION = 1
FOLDER = "checkpoints"
PARTS = ("weights", "optimiser", "random")
EPOCH = re.compile("epoch-[0-9]{4,9}")
# what is raised by a file that does not hold what was written, and by a state of another network
CHANGED = (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError)


@dataclass(frozen=True)
class Checkpoint:
    """What was read of one: `epoch` whole epochs are done."""

    epoch: int
    weights: dict[str, Tensor]
    optimiser: dict[str, Tensor]
    random: dict[str, Tensor]
    state: dict[str, Any]
    folder: Path

    def restore(self, model: nn.Module, optimiser: torch.optim.Optimizer, scaler: Any) -> None:
        """Put everything back; the model must be the one that was saved."""
        try:
            model.load_state_dict(self.weights)
            optimiser.load_state_dict(optimiser.state_dict() | {"state": self._of(optimiser)})
            scaler.load_state_dict(self.state["scaler"])
            torch.set_rng_state(self.random["torch"])
            if torch.cuda.is_available() and "cuda" in self.random:
                torch.cuda.set_rng_state(self.random["cuda"])
        except CHANGED as error:
            raise _broken(self.folder, "the state of another training") from error

    def _of(self, optimiser: torch.optim.Optimizer) -> dict[int, dict[str, Any]]:
        """The optimiser's tensors by parameter, each as large as its parameter, or one number."""
        shapes = [p.shape for group in optimiser.param_groups for p in group["params"]]
        kept: dict[int, dict[str, Any]] = {}
        for key, value in self.optimiser.items():
            index, _, name = key.partition(".")
            if value.dim() and value.shape != shapes[int(index)]:
                raise ValueError(f"{key} {list(value.shape)}")
            kept.setdefault(int(index), {})[name] = value
        return kept


def save(
    folder: Path, epoch: int, model: nn.Module, optimiser: torch.optim.Optimizer, scaler: Any
) -> Path:
    """Write the state after `epoch` whole epochs; older ones go when it is whole.

    Raises:
        InputError: the disk is full; the last whole checkpoint stays.
    """
    parts = {
        "weights": safetensors.torch.save(_plain(model.state_dict())),
        "optimiser": safetensors.torch.save(_plain(_tensors(optimiser))),
        "random": safetensors.torch.save(_random()),
    }
    state = {
        "schema": SCHEMA_VERSION,
        "epoch": epoch,
        "optimiser_groups": optimiser.state_dict()["param_groups"],
        "scaler": scaler.state_dict(),
        "sha256": {name: atomic.sha256(data) for name, data in parts.items()},
    }
    files = {f"{name}.safetensors": data for name, data in parts.items()}
    path = folder / FOLDER / f"epoch-{epoch:04d}"
    with atomic.room("the checkpoint", f"the last whole one stays in {folder / FOLDER}"):
        atomic.write_folder(path, files | {"state.json": json.dumps(state, indent=1).encode()})
    for old in _all(folder):
        if old != path:
            shutil.rmtree(old, ignore_errors=True)
    return path


def load(folder: Path) -> Checkpoint | None:
    """The newest checkpoint of a training folder; None where there is none yet.

    Raises:
        InputError: a file of it was cut or changed.
    """
    found = _all(folder)
    while found:
        try:
            return read(found[-1])
        except InputError:
            newer = _all(folder)  # a training that goes on has written one, and removed that one
            if newer[-1:] == found[-1:]:
                raise
            found = newer
    return None


def read(path: Path) -> Checkpoint:
    """One checkpoint, its checksums compared.

    Raises InputError for a file that is missing, cut or changed, and an unknown schema version.
    """
    state = _state(path)
    tensors = {name: _part(path, name, state["sha256"][name]) for name in PARTS}
    return Checkpoint(
        state["epoch"], tensors["weights"], tensors["optimiser"], tensors["random"], state, path
    )


def _all(folder: Path) -> list[Path]:
    found = [p for p in (folder / FOLDER).glob("epoch-[0-9]*") if EPOCH.fullmatch(p.name)]
    return sorted(found, key=lambda p: int(p.name[6:]))


def _state(path: Path) -> dict[str, Any]:
    file = path / "state.json"
    try:
        state = json.loads(_bytes(file))
        version = state["schema"]
    except CHANGED:
        raise _broken(file, "cut or changed") from None
    if version != SCHEMA_VERSION:
        raise InputError(
            f"the schema version of {path}", got=version, wanted=str(SCHEMA_VERSION),
            do="read it with the snnlens that wrote it",
        )  # fmt: skip
    epoch, sums = state.get("epoch"), state.get("sha256")
    if not (isinstance(epoch, int) and isinstance(sums, dict) and sums.keys() >= {*PARTS}):
        raise _broken(file, "cut or changed")
    return dict(state)


def _part(path: Path, name: str, wanted: str) -> dict[str, Tensor]:
    file = path / f"{name}.safetensors"
    try:
        data = _bytes(file)
        if atomic.sha256(data) != wanted:
            raise _broken(file, "other bytes")
        return safetensors.torch.load(data)
    except (*CHANGED, SafetensorError):
        raise _broken(file, "cut or changed") from None


def _bytes(file: Path) -> bytes:
    if not file.is_file():  # a pipe would be waited for
        raise FileNotFoundError(file)
    return file.read_bytes()


def _broken(file: Path, got: str) -> InputError:
    do = "remove that folder and begin again with --force"
    return InputError(str(file), got=got, wanted="as written", do=do)


def _tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state by parameter number and name: `3.momentum_buffer`."""
    state = optimiser.state_dict()["state"]
    return {f"{i}.{key}": value for i, kept in state.items() for key, value in kept.items()
            if isinstance(value, Tensor)}  # fmt: skip


def _random() -> dict[str, Tensor]:
    found = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        found["cuda"] = torch.cuda.get_rng_state()
    return found


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """On the CPU, each with memory of its own: safetensors takes no views."""
    return {k: v.detach().cpu().clone(memory_format=torch.contiguous_format)
            for k, v in tensors.items()}  # fmt: skip
