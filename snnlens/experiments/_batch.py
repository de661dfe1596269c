"""What a user's model is shown and what it returns: inputs, targets, one of its outputs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from snnlens.data import images
from snnlens.errors import InputError
from snnlens.experiments._blame import user_code
from snnlens.experiments._imports import PICKLES, is_pickle

INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
MADE_WITH = 'safetensors.torch.save_file({"x": x, "y": y}, "batch.safetensors")'


@dataclass(frozen=True, eq=False)
class Batch:
    """The arguments of one forward pass, and the targets if there are any.

    >>> Batch.of(torch.zeros(4, 3, 8, 8), torch.tensor([0, 1, 2, 3])).description
    'x float32 [4, 3, 8, 8], y int64 [4]'
    """

    inputs: tuple[Tensor, ...] = field(repr=False)  # exactly what forward takes
    y: Tensor | None = field(repr=False)  # integers [samples, ...]
    description: str  # one phrase for a caption
    fingerprint: str  # sha256 (hex) of the bytes of the inputs, then of y
    samples: int | None  # None: nothing says which axis of the inputs is the batch
    classes: int | None = None  # of a data set
    time_first: bool = False  # known: x is [T, samples, ...]; else that is to be detected

    @classmethod
    def of(cls, x: Tensor | Sequence[Tensor], y: Tensor | None = None, name: str = "") -> Batch:
        """A batch of tensors; `name` (a file, a data set) begins its description.

        Raises InputError for y of another dtype or length, and for an input without elements.
        """
        inputs = (x,) if isinstance(x, Tensor) else tuple(x)
        within = f" of {name}" if name else ""
        for key, value in _named(inputs, None):
            _check_tensor(key + within, value)
            if not value.numel():
                what = key + within
                raise InputError(what, got=list(value.shape), wanted="a tensor with elements")
        if y is not None:
            _check_tensor("y" + within, y)
            _check_targets("y" + within, y, inputs)
        text = ": ".join(part for part in (name, described(inputs, y)) if part)
        return cls(inputs, y, text, _fingerprint(inputs, y), None if y is None else len(y))

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on a device."""
        moved = tuple(x.to(device) for x in self.inputs)
        y = None if self.y is None else self.y.to(device)
        return replace(self, inputs=moved, y=y)


def _check_tensor(what: str, value: object) -> None:
    if not isinstance(value, Tensor):
        raise InputError(what, got=type(value).__name__, wanted="a torch tensor",
                         do="torch.from_numpy makes one of an array")  # fmt: skip


def load_batch(
    input: str | None,  # noqa: A002 - the option's name
    data: str | None,
    *,
    samples: int = 32,
    image_size: int | None = None,
    seed: int = 0,
    **options: Any,
) -> Batch:
    """The batch that `--input` or `--data` names; digits if neither does.

    Args:
        input: a safetensors file with `x` (exactly what forward takes), or `x0`, `x1`, ... for
            several inputs, and optionally integer targets `y`.
        data: a data set as in `snnlens.data.images.load`.
        samples: of `data`; a file has what it has.
        image_size: of `data`, pixels; None leaves images as they are.
        seed: of the choice from `data`.
        options: further ones of `snnlens.data.images.load`.

    Raises:
        InputError: both, a file that is no whole safetensors file, other tensors in it, y of
            another dtype or length; a pickle is refused.
    """
    if input is not None and data is not None:
        raise InputError("the batch", got="both", wanted="given by --input or by --data")
    if input is not None:
        tensors = _tensors(Path(input))
        return Batch.of(_inputs(tensors, input), tensors.get("y"), Path(input).name)
    spec = "digits" if data is None else data
    made = images.load(spec, samples=samples, image_size=image_size, seed=seed, **options)
    return Batch((made.x,), made.y, made.description, made.fingerprint, len(made.y),
                 made.classes, made.frames)  # fmt: skip


def one_device(model: nn.Module, batch: Batch) -> torch.device:
    """The device that the model and its batch lie on.

    Raises InputError where there are two.

    >>> one_device(nn.Linear(2, 2), Batch.of(torch.zeros(1, 2)))
    device(type='cpu')
    """
    found = {"the model": {t.device for t in chain(model.parameters(), model.buffers())}}
    for key, value in _named(batch.inputs, batch.y):
        found[key] = {value.device}
    devices = set().union(*found.values())
    if len(devices) > 1:
        said = [f"{', '.join(sorted(map(str, on)))} ({key})" for key, on in found.items() if on]
        raise InputError("the model and its batch", got="; ".join(said), wanted="on one device")
    return next(iter(devices))


def forward(model: nn.Module, batch: Batch) -> Any:
    """What the model returns for the batch.

    Raises UserCodeError, whose line names the shapes, where its forward raises.
    """
    do = f"it was given {described(batch.inputs, None)}; give it what its forward takes"
    with user_code("the model's forward", do):
        return model(*batch.inputs)


def outputs(result: Any, index: int | None = None) -> Tensor:
    """One tensor of what forward returned: the first, or that of `--output-index`.

    Tensors in tuples, lists and dictionaries are counted from 0, depth first.

    Raises InputError where there is none, or none of that index.

    >>> spikes, membrane = torch.ones(3), torch.zeros(2)
    >>> outputs((spikes, membrane)).shape, outputs({"a": (spikes, [membrane])}, 1).shape
    (torch.Size([3]), torch.Size([2]))
    """
    found = list(_flat(result))
    if not found:
        wanted = "a tensor, or a tuple, list or dictionary of tensors"
        raise InputError("what forward returns", got=type(result).__name__, wanted=wanted)
    chosen = 0 if index is None else index
    if not 0 <= chosen < len(found):
        there = "; ".join(shape_of(x) for x in found)
        wanted = f"from 0 to {len(found) - 1}" if len(found) > 1 else "0"
        raise InputError(
            "the index of the output", got=chosen, wanted=wanted, do=f"there are {there}"
        )
    return found[chosen]


def which_output(result: Any, index: int | None = None) -> str:
    """Which tensor `outputs` took, where there was a choice.

    >>> which_output((torch.ones(3), torch.zeros(2)))
    'output 0 of 2 (float32 [3])'
    """
    found = list(_flat(result))
    chosen = 0 if index is None else index
    return f"output {chosen} of {len(found)} ({shape_of(found[chosen])})" if len(found) > 1 else ""


def described(inputs: Sequence[Tensor], y: Tensor | None) -> str:
    """Names, dtypes and shapes in one phrase."""
    return ", ".join(f"{key} {shape_of(value)}" for key, value in _named(inputs, y))


def _tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a safetensors file."""
    if not path.is_file():
        raise InputError("--input", got=str(path), wanted="a file that exists")
    try:
        if path.suffix.lower() in PICKLES or is_pickle(path):
            do = f"a pickle is never read; write it with {MADE_WITH}"
            raise InputError("--input", got=str(path), wanted="a safetensors file", do=do)
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        do = f"{str(error).splitlines()[0]}; write it with {MADE_WITH}"
        raise InputError(
            "--input", got=str(path), wanted="a whole safetensors file", do=do
        ) from None


def _inputs(tensors: Mapping[str, Tensor], source: str) -> list[Tensor]:
    """x, or x0, x1, ... in order."""
    keys = set(tensors) - {"y"}
    names = ["x"] if keys == {"x"} else [f"x{i}" for i in range(len(keys))]
    if not keys or keys != set(names):
        got = ", ".join(sorted(tensors)) or "none"
        wanted = "x, or x0, x1, ... for several inputs, and optionally y"
        raise InputError(f"the tensors in {Path(source).name}", got=got, wanted=wanted)
    return [tensors[name] for name in names]


def _check_targets(what: str, y: Tensor, inputs: Sequence[Tensor]) -> None:
    if y.dtype not in INTEGERS or not y.dim():
        raise InputError(what, got=shape_of(y), wanted="integers [samples]")
    first = inputs[0]
    # the batch is the first or second axis, or folded into the first with time
    fits = len(y) in first.shape[:2] or (len(y) > 0 and first.dim() and len(first) % len(y) == 0)
    if not fits:
        wanted = f"as long as x has samples: x is {list(first.shape)}"
        raise InputError(what, got=len(y), wanted=wanted)


def _named(inputs: Sequence[Tensor], y: Tensor | None) -> Iterator[tuple[str, Tensor]]:
    for i, x in enumerate(inputs):
        yield "x" if len(inputs) == 1 else f"x{i}", x
    if y is not None:
        yield "y", y


def _flat(result: Any) -> Iterator[Tensor]:
    if isinstance(result, Tensor):
        yield result
    elif isinstance(result, Mapping):
        yield from chain.from_iterable(map(_flat, result.values()))
    elif isinstance(result, tuple | list):
        yield from chain.from_iterable(map(_flat, result))


def shape_of(x: Tensor) -> str:
    """Its dtype and shape: float32 [4, 3, 8, 8]."""
    return f"{str(x.dtype).removeprefix('torch.')} {list(x.shape)}"


def _fingerprint(inputs: Sequence[Tensor], y: Tensor | None) -> str:
    digest = hashlib.sha256()
    for _, value in _named(inputs, y):
        flat = value.detach().cpu().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()
