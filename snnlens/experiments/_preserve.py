"""Leave a user's model as it was: whatever a run did to it is taken back, on any exit."""

from __future__ import annotations

import contextlib
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnlens.recording.hooks import uncompiled
from snnlens.recording.watch import unwatched

SAME_SIZE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")
Undo = contextlib.ExitStack


@contextlib.contextmanager
def preserved(model: nn.Module) -> Iterator[nn.Module]:
    """Everything of the model, and the random state, is after the block what it was before.

    Kept are, of every module that the model holds (in `_modules`, an attribute, a list, a tuple or
    a dictionary): its class and attributes (mode, hooks, methods set on the object, step counters),
    what its lists, dictionaries and sets hold, and the bits of its parameters, buffers and
    other tensors with their `.grad`, `requires_grad` and hooks. A state that was set, replaced
    or grown (SpikingJelly's v, snnTorch's mem, sinabs' v_mem) is put back, and so is the
    random state of torch (every CUDA device too), numpy's legacy functions, `random`, and of
    generators and arrays that the model holds.

    Inside the block `.grad` is None, and a state that hangs on the graph of an earlier pass is
    replaced by a detached copy, so that neither is written to. The price is one copy of the
    weights and states. What torch.compile has compiled runs as it was written, and no watch counts
    the passes. Not kept: attributes of objects that are no modules, and what the model's
    code changes elsewhere (files, globals, an optimizer).

    >>> model = nn.BatchNorm1d(2)
    >>> with preserved(model):
    ...     model(torch.rand(4, 2)).sum().backward()
    ...     model.eval().state = "grown"
    >>> model.training, int(model.num_batches_tracked), model.weight.grad, hasattr(model, "state")
    (True, 0, None, False)
    """
    with contextlib.ExitStack() as undo:  # runs backwards, each step whatever the others do
        undo.enter_context(unwatched(model))
        undo.enter_context(uncompiled())
        _keep_random(undo)
        _keep(model, undo)
        yield model


def _keep(root: object, undo: Undo) -> None:
    """Walk through everything the root holds, each object once."""
    detached: dict[int, Any] = {}
    seen: dict[int, object] = {}  # holds what it has seen: an id is used again after a deletion
    found = [root]
    while found:
        value = found.pop()
        if id(value) not in seen:
            seen[id(value)] = value
            found += _keep_one(value, undo, detached)


def _keep_one(value: object, undo: Undo, detached: dict[int, Any]) -> list[object]:
    """Arrange for one object to be put back; what it holds."""
    if isinstance(value, nn.Module):
        undo.callback(_set_class, value, type(value))
        return [vars(value)]
    if isinstance(value, dict | list | deque | set):
        return _keep_container(value, undo, detached)
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Tensor):
        undo.callback(_KeptTensor.of(value).put_back)
    else:
        _keep_other(value, undo)
    return []


def _keep_container(container: Any, undo: Undo, detached: dict[int, Any]) -> list[object]:
    if isinstance(container, set):
        undo.callback(_refill, container, set(container))
        return list(container)
    is_dict = isinstance(container, dict)
    undo.callback(_refill, container, dict(container) if is_dict else list(container))
    items = container.items() if is_dict else enumerate(container)
    return _detach(container, list(items), detached)


def _set_class(module: nn.Module, kind: type[nn.Module]) -> None:
    """A lazy or parametrised layer changes its class."""
    if type(module) is not kind:
        module.__class__ = kind


def _refill(container: Any, kept: Any) -> None:
    """The same object with the same contents in the same order: others hold references to it."""
    if _same(container, kept):
        return
    container.clear()
    if isinstance(container, dict | set):
        container.update(kept)
    else:
        container.extend(kept)


def _same(container: Any, kept: Any) -> bool:
    if isinstance(container, set):
        return bool(container == kept)
    if isinstance(container, dict):
        if list(container) != list(kept):
            return False
        container, kept = container.values(), kept.values()
    return len(container) == len(kept) and all(map(_is, container, kept))


def _is(one: object, other: object) -> bool:
    return one is other


def _detach(container: Any, items: list[tuple[Any, Any]], made: dict[int, Any]) -> list[object]:
    """Put detached copies where the container holds states with a graph; the other values."""
    others = []
    for key, value in items:
        copy = _detached(value, made)
        if copy is value:
            others.append(value)
        else:
            container[key] = copy
    return others


def _detached(value: Any, made: dict[int, Any]) -> Any:
    """The value, or a copy without its graph; one copy for all who share it."""
    if isinstance(value, Tensor):
        # a view of a weight is no state: its gradient belongs to the weight
        if value.grad_fn is None or isinstance(value._base, nn.Parameter):
            return value
        return made.setdefault(id(value), value.detach().clone())
    if isinstance(value, tuple):
        copies = [_detached(item, made) for item in value]
        if not all(map(_is, copies, value)):
            return type(value)(*copies) if hasattr(value, "_fields") else tuple(copies)
    return value


@dataclass(frozen=True, eq=False)
class _KeptTensor:
    """A tensor, where its data lies, a copy of its bits, and what autograd knows of it."""

    tensor: Tensor
    kind: type[Tensor]
    data: Tensor  # shares the storage
    bits: Tensor
    leaf: bool
    requires_grad: bool
    grad: Tensor | None
    hooks: tuple[dict[int, Any] | None, ...]

    @classmethod
    def of(cls, tensor: Tensor) -> _KeptTensor:
        """Keep a tensor, and set its gradient aside."""
        grad = tensor.grad if tensor.is_leaf else None  # asking others warns
        hooks = tuple(h if h is None else dict(h) for h in _hooks(tensor))
        kept = cls(tensor, type(tensor), tensor.data, tensor.data.clone(), tensor.is_leaf,
                   tensor.requires_grad, grad, hooks)  # fmt: skip
        if grad is not None:
            tensor.grad = None
        return kept

    def put_back(self) -> None:
        """Nothing is written where nothing has changed: the memory may be shared or read-only."""
        tensor = self.tensor
        if self.leaf and tensor.grad_fn is not None:  # written to in place, inside a graph
            tensor.detach_()
        if not _same_place(tensor.data, self.data):
            tensor.data = self.data
        if not _same_bits(self.data, self.bits):
            self.data.copy_(self.bits)  # `.data` has no version: a graph of the user's stays valid
        if self.leaf:
            if tensor.requires_grad != self.requires_grad:
                tensor.requires_grad_(self.requires_grad)
            if tensor.grad is not self.grad:
                tensor.grad = self.grad
        _put_hooks_back(tensor, self.hooks)
        if type(tensor) is not self.kind:  # a lazy parameter that has got its shape
            tensor.__class__ = self.kind


def _hooks(tensor: Tensor) -> tuple[dict[int, Any] | None, ...]:
    return tuple(getattr(tensor, name) for name in HOOKS)


def _put_hooks_back(tensor: Tensor, kept: tuple[dict[int, Any] | None, ...]) -> None:
    for name, now, before in zip(HOOKS, _hooks(tensor), kept, strict=True):
        if before is None:
            if now is not None:
                setattr(tensor, name, None)
        else:
            _refill(now, before)


def _same_place(one: Tensor, other: Tensor) -> bool:
    return (
        (one.shape, one.dtype, one.device, one.layout)
        == (other.shape, other.dtype, other.device, other.layout)
        and one.layout is torch.strided
        and one.stride() == other.stride()
        and one.data_ptr() == other.data_ptr()
    )


def _same_bits(one: Tensor, other: Tensor) -> bool:
    """Equal bit for bit, so that NaN equals itself and -0 is not 0."""
    if one.layout is not torch.strided or one.element_size() not in SAME_SIZE:
        return False  # sparse, or complex128: copied back in any case
    integers = SAME_SIZE[one.element_size()]
    return torch.equal(one.view(integers), other.view(integers))


def _keep_random(undo: Undo) -> None:
    undo.callback(torch.set_rng_state, torch.get_rng_state())
    undo.callback(np.random.set_state, np.random.get_state())  # noqa: NPY002
    undo.callback(random.setstate, random.getstate())
    if torch.cuda.is_initialized():
        undo.callback(torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all())
    else:  # asking would start CUDA; if the run does, its generators begin at their seed again
        undo.callback(_rewind_cuda)


def _rewind_cuda() -> None:
    if torch.cuda.is_initialized():
        for generator in torch.cuda.default_generators:
            generator.manual_seed(generator.initial_seed())


def _keep_other(value: object, undo: Undo) -> None:
    """Generators and arrays; everything else is what it is, or no part of the model."""
    if isinstance(value, torch.Generator):
        undo.callback(value.set_state, value.get_state())
    elif isinstance(value, random.Random):
        undo.callback(value.setstate, value.getstate())
    elif isinstance(value, np.random.Generator):
        undo.callback(setattr, value.bit_generator, "state", value.bit_generator.state)
    elif isinstance(value, np.ndarray) and value.flags.writeable:
        undo.callback(np.copyto, value, value.copy())
