"""Trained weights from a file: safetensors, or a torch file that runs nothing when it is read.

The official SEW ResNet repository saves {model, optimizer, lr_scheduler, epoch, args,
max_test_acc1, test_acc5_at_max_test_acc1} (for CIFAR10-DVS `net` instead of `model`), with args an
argparse.Namespace: that one class is admitted by its name, and nothing else is unpickled.
"""

from __future__ import annotations

import hashlib
import re
import struct
import warnings
import zipfile
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError  # noqa: TID251 - what torch raises; nothing here unpickles
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from snnlens.data.arrays import check_unpacked
from snnlens.errors import InputError
from snnlens.models.architecture import Architecture, describe
from snnlens.models.foreign_keys import our_names
from snnlens.models.resnet import ResNet, resnet
from snnlens.neuron.layers import IF, PLIF, Neuron

HOLDERS = ("model", "net", "state_dict")  # where a checkpoint keeps its weights
FACTS = ("epoch", "max_test_acc1", "test_acc5_at_max_test_acc1", "max_test_acc")  # published
NUMBERS = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32,
           torch.int16, torch.int8, torch.uint8, torch.bool)  # fmt: skip
COUNTER = "num_batches_tracked"  # files of old torch lack it, and it changes no output
DEFAULT_STEPS = 4
SHOWN = 3  # keys that an error names
REFUSED = re.compile(r"GLOBAL (\S+) (?:was not an allowed|whose module)")
# what torch raises on files that are cut, empty, or of another kind
BROKEN: tuple[type[Exception], ...] = (
    *(OSError, EOFError, ValueError, TypeError, LookupError, AttributeError, AssertionError),
    *(RuntimeError, MemoryError, OverflowError, NotImplementedError, ImportError),
    *(UnpicklingError, SafetensorError, zipfile.BadZipFile, struct.error),
)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Weights by their keys in the file, and what else the file says.

    `facts` has the file's name (`file`), `args` as a dictionary of plain values, and `epoch`,
    `max_test_acc1`, `test_acc5_at_max_test_acc1` where the file has them; of a safetensors file
    its metadata, which are texts.
    """

    weights: dict[str, Tensor] = field(repr=False)
    facts: dict[str, Any]


def read(path: str | Path) -> Checkpoint:
    """Read a checkpoint; nothing of the file is run.

    Raises InputError for a file that is missing, cut or no checkpoint, for a folder, and for a
    file that asks for anything but tensors, plain values and one argparse.Namespace.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.pth"
    >>> torch.save({"model": {"w": torch.zeros(2)}, "epoch": 3, "args": Namespace(T=4)}, path)
    >>> read(path).facts
    {'epoch': 3, 'args': {'T': 4}, 'file': 'a.pth'}
    """
    path = Path(path)
    _check_file(path)
    reader = _safetensors if path.suffix.lower() == ".safetensors" else _torch_file
    try:
        weights, said = reader(path)
    except BROKEN as error:
        raise _unreadable(path, error) from error
    _check_tensors(path, weights)
    return Checkpoint({k: v.detach() for k, v in weights.items()}, said | {"file": path.name})


def load_into(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Put the weights of a checkpoint into a network of ours: every key, every shape, no other.

    Raises InputError, with the first keys and how many they are, and with what the checkpoint
    looks like, where a key is missing, unexpected or of another shape.

    >>> from snnlens.models.resnet import resnet
    >>> one, other = (resnet(8, layout="cifar", classes=2, seed=s) for s in (0, 1))
    >>> load_into(other, Checkpoint(dict(one.state_dict()), {}))
    >>> bool(torch.equal(one.fc.weight, other.fc.weight))
    True
    """
    names, own = our_names(checkpoint.weights), model.state_dict()
    theirs = {names[key]: tensor for key, tensor in checkpoint.weights.items()}
    for name, tensor in own.items():
        if name.endswith(COUNTER):
            theirs.setdefault(name, torch.zeros_like(tensor))
        elif name in theirs and tensor.dim() == 0 and theirs[name].shape == (1,):
            theirs[name] = theirs[name].reshape(())  # PLIF's w of older SpikingJelly
    faults = [
        _some("missing", [n for n in own if n not in theirs]),
        _some("unexpected", [n for n in theirs if n not in own]),
        _some("of another shape", [
            f"{n} {list(theirs[n].shape)} for {list(t.shape)}"
            for n, t in own.items() if n in theirs and theirs[n].shape != t.shape
        ]),
    ]  # fmt: skip
    if any(faults):
        raise _another(model, checkpoint, "; ".join(filter(None, faults)))
    model.load_state_dict(theirs)


def build(
    path: str | Path,
    *,
    residual: str | None = None,
    connect: str | None = None,
    time_steps: int | None = None,
    neuron: Neuron | None = None,
    depth: int | None = None,
    layout: str | None = None,
) -> tuple[ResNet, dict[str, Any]]:
    """Our ResNet with the weights of a checkpoint, and what a Record says of it.

    Args:
        path: of the file.
        residual: needed where the keys do not tell it (torchvision's, SpikingJelly's).
        connect: of sew, needed where the file does not say it.
        time_steps: T; as the file says, else 4.
        neuron: the template that every layer copies; IF, or PLIF where the file holds time
            constants.
        depth: as the file's, if given.
        layout: as the file's, if given.

    Returns:
        The network, in evaluation mode, and the facts: `checkpoint` (the file's name),
        `checkpoint_sha256`, `classes`, and `epoch`, `max_test_acc1`, `test_acc5_at_max_test_acc1`
        where the file has them.

    Raises:
        InputError: as `read` and `load_into`; options that contradict the file, or that it needs.
    """
    checkpoint = read(path)
    known = describe(checkpoint.weights, checkpoint.facts).agreed(
        residual=residual, connect=connect, time_steps=time_steps, depth=depth, layout=layout
    )
    model = resnet(
        known.depth, residual=str(known.residual), connect=known.connect, layout=known.layout,
        neuron=_neuron(known, neuron), time_steps=known.time_steps or DEFAULT_STEPS,
        classes=known.classes, seed=0,
    )  # fmt: skip
    load_into(model, checkpoint)
    published = {k: checkpoint.facts[k] for k in FACTS if k in checkpoint.facts}
    facts = {"checkpoint": checkpoint.facts["file"], "checkpoint_sha256": _sha256(Path(path))}
    return model.eval(), facts | {"classes": known.classes} | published


def _neuron(known: Architecture, given: Neuron | None) -> Neuron:
    if given is None:
        return PLIF() if known.neuron == "plif" else IF()
    if (known.neuron == "plif") != isinstance(given, PLIF):
        wanted = "plif: the checkpoint has time constants"
        if known.neuron != "plif":
            wanted = "if or lif: the checkpoint has no time constants"
        raise InputError("neuron", got=type(given).__name__.lower(), wanted=wanted)
    return given


# --- files -----------------------------------------------------------------------------------


def _check_file(path: Path) -> None:
    wanted = "a file of weights (.safetensors, .pth, .pt)"
    if path.is_dir():
        raise InputError("a checkpoint", got=f"{path} (a folder)", wanted=wanted)
    if not path.is_file():
        raise InputError("a checkpoint", got=str(path), wanted="a file that exists")


def _safetensors(path: Path) -> tuple[Mapping[str, Any], dict[str, Any]]:
    with safe_open(path, framework="pt") as file:
        said: dict[str, Any] = dict(file.metadata() or {})
        if str(said.get("epoch", "")).isdecimal():
            said["epoch"] = int(said["epoch"])
        return {key: file.get_tensor(key) for key in file.keys()}, said  # noqa: SIM118 - no dict


def _torch_file(path: Path) -> tuple[Mapping[str, Any], dict[str, Any]]:
    if zipfile.is_zipfile(path):  # what torch writes is not packed
        with zipfile.ZipFile(path) as archive:
            check_unpacked(path, sum(entry.file_size for entry in archive.infolist()))
    with warnings.catch_warnings(), torch.serialization.safe_globals([Namespace]):
        warnings.simplefilter("ignore")  # of other kinds of archives; they raise, too
        found = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(found, Mapping):
        raise _no_weights(path, f"a {type(found).__name__}")
    holder = next((h for h in HOLDERS if isinstance(found.get(h), Mapping)), None)
    if holder is None:
        return found, {}
    said = {k: found[k] for k in FACTS if _is_number(found.get(k))}
    args = found.get("args")
    if isinstance(args, Namespace):
        plain = {k: v for k, v in vars(args).items() if isinstance(v, str) or _is_number(v)}
        said["args"] = plain
    return found[holder], said


def _is_number(value: Any) -> bool:
    """One that JSON can hold: Python writes no whole number of more than 4300 digits."""
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**63)


def _check_tensors(path: Path, weights: Mapping[str, Any]) -> None:
    for key, value in weights.items():
        if not isinstance(value, Tensor):
            kind = type(value).__name__
            raise _no_weights(path, f"a dictionary whose {key!r} is a {kind}")
        if not isinstance(key, str):
            raise _no_weights(path, f"a tensor called {key!r}")
        if not _is_whole(value):
            raise _no_weights(path, f"{key!r}, no plain tensor")
    if not weights:
        raise _no_weights(path, "no tensor at all")


def _is_whole(tensor: Tensor) -> bool:
    """Whether a tensor is plain, and its shape no larger than what it holds."""
    if tensor.layout is not torch.strided or tensor.is_nested or tensor.device.type != "cpu":
        return False
    held = tensor.untyped_storage().nbytes()
    return tensor.dtype in NUMBERS and tensor.numel() * tensor.element_size() <= held


def _no_weights(path: Path, holds: str) -> InputError:
    wanted = "a state dict, or a dictionary with one as model, net or state_dict"
    return InputError("a checkpoint", got=f"{path} ({holds})", wanted=wanted)


def _unreadable(path: Path, error: Exception) -> InputError:
    refused = REFUSED.search(str(error))
    if refused:
        wanted = "made of tensors, numbers, texts and one argparse.Namespace"
        return InputError(
            "a checkpoint", got=f"{path} with {refused[1]}", wanted=wanted,
            do="nothing of the file was run; save its state_dict() alone, or as safetensors",
        )  # fmt: skip
    wanted = "a whole file of weights (torch.save of a state dict, or .safetensors)"
    return InputError("a checkpoint", got=str(path), wanted=wanted)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- another architecture --------------------------------------------------------------------


def _some(what: str, names: list[str]) -> str:
    if not names:
        return ""
    more = ", ..." if len(names) > SHOWN else ""
    return f"{len(names)} {what} ({', '.join(names[:SHOWN])}{more})"


def _another(model: nn.Module, checkpoint: Checkpoint, faults: str) -> InputError:
    wanted = "those of this " + (_title(model) if isinstance(model, ResNet) else "network")
    try:
        looks = f"they look like a {describe(checkpoint.weights, checkpoint.facts)}"
    except InputError:
        looks = "a checkpoint of another architecture"
    what = f"the weights in {checkpoint.facts.get('file', 'the checkpoint')}"
    return InputError(what, got=faults, wanted=wanted, do=looks)


def _title(model: ResNet) -> str:
    plan = model.plan
    return str(Architecture(plan.depth, plan.layout, model.classes, model.residual, model.connect))
