"""Weights of other people's ANNs from a file: nothing of it is run, and little is guessed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from snnlens import atomic
from snnlens.errors import InputError
from snnlens.models.checkpoints import COUNTER, SHOWN, read
from snnlens.models.foreign_keys import without_prefix

READ_OUT = ("fc.", "linear.")  # torchvision's and akamaster's name of the last layer
SAME = "give the file of this very network, or build the network as the file's was"


def load_weights(model: nn.Module, path: str | Path) -> dict[str, Any]:
    """Put the weights of a file into a network: every name, every shape, no other.

    Three things are allowed for: `module.` before all names, a read-out that is called `linear`
    in one and `fc` in the other, and a counter of BatchNorm (`num_batches_tracked`, which changes
    no output) that one of them lacks. The network stays as it is where a file does not fit.

    Args:
        model: of any kind; it keeps its dtypes, its device and its mode.
        path: of a .safetensors file, or of a torch file with a state dict, alone or as `model`,
            `net` or `state_dict` of a dictionary (`checkpoints.read`).

    Returns:
        Facts for a Record: `weights` (the file's name) and `weights_sha256`.

    Raises:
        InputError: a file that is missing, cut, or asks for more than tensors; names that are
            missing or unexpected, and tensors of another shape or kind: the first of each.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.pt"
    >>> torch.save({"state_dict": {"module.weight": torch.ones(1, 2)}}, path)
    >>> model = nn.Linear(2, 1, bias=False)
    >>> load_weights(model, path)["weights"], model.weight.tolist()
    ('a.pt', [[1.0, 1.0]])
    """
    path = Path(path)
    own = model.state_dict()
    theirs = _fitted(read(path).weights, own)
    faults = [
        _some("missing", [name for name in own if name not in theirs]),
        _some("unexpected", [name for name in theirs if name not in own]),
        _some("of another shape", [
            f"{name} {_kind(theirs[name])} for {_kind(tensor)}"
            for name, tensor in own.items()
            if name in theirs and _kind(theirs[name]) != _kind(tensor)
        ]),
    ]  # fmt: skip
    if any(faults):
        got = "; ".join(filter(None, faults))
        raise InputError(
            f"the weights in {path.name}", got=got, wanted="those of this network", do=SAME
        )
    model.load_state_dict(theirs)
    return {"weights": path.name, "weights_sha256": atomic.sha256(path.read_bytes())}


def _fitted(weights: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The file's tensors by the network's names, as far as these differ in the known ways."""
    names = _read_out(without_prefix(list(weights)), own)
    theirs = dict(zip(names, weights.values(), strict=True))
    counters = {name: torch.zeros_like(own[name]) for name in own if name.endswith(COUNTER)}
    return counters | {n: t for n, t in theirs.items() if n in own or not n.endswith(COUNTER)}


def _read_out(names: list[str], own: Collection[str]) -> list[str]:
    for here, there in (READ_OUT, READ_OUT[::-1]):
        if _has(own, here) and _has(names, there) and not (_has(own, there) or _has(names, here)):
            return [here + n.removeprefix(there) if n.startswith(there) else n for n in names]
    return names


def _has(names: Collection[str], prefix: str) -> bool:
    return any(name.startswith(prefix) for name in names)


def _kind(tensor: Tensor) -> str:
    """Its shape, and what it is where it is no real number."""
    floats = tensor.is_floating_point()
    return f"{list(tensor.shape)}" + ("" if floats else f" {str(tensor.dtype).split('.')[1]}")


def _some(what: str, names: list[str]) -> str:
    if not names:
        return ""
    more = ", ..." if len(names) > SHOWN else ""
    return f"{len(names)} {what} ({', '.join(names[:SHOWN])}{more})"
