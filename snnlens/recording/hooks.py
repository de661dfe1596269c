"""The hooks of a recorder: last among a module's, nothing in its copies, blind outside of passes.

Not recorded is what runs in a backward pass (a checkpoint's second forward pass), what torch.jit
or torch.compile trace, and a pass that another thread makes while one is under way.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as everywhere

from snnlens.neuron.kernels import is_traced

Handle = Any  # a torch RemovableHandle; its own type is not public
OURS = __name__.partition(".")[0]
LOCK = threading.Lock()


class Hooks:
    """What one recorder has attached, and whose pass it looks at."""

    def __init__(self) -> None:
        self._handles: list[Handle] = []
        self._owner: int | None = None  # the thread whose pass is under way
        self._others: set[int] = set()
        self.elsewhere = 0  # passes that other threads made at the same time
        self.again: set[str] = set()  # sites that ran again inside a backward pass

    def __bool__(self) -> bool:
        return bool(self._handles)

    def passes(self, model: nn.Module, begun: Callable[..., None]) -> None:
        """Call `begun(module, args, named)` at each pass of the model."""
        first = _Hook(self, "", model, begun, self.begin)
        last = _Hook(self, "", model, begun, self.end)
        self._handles += [
            model.register_forward_pre_hook(first, with_kwargs=True),
            model.register_forward_hook(last, with_kwargs=True, always_call=True),
        ]

    def add(
        self, site: str, module: nn.Module, call: Callable[..., None], *, before: bool = False
    ) -> None:
        """Call `call(module, args, named)` before, or with the output as well after, a module."""
        register: Any = module.register_forward_pre_hook if before else module.register_forward_hook
        hook = _Hook(self, site, module, call, self.looks)
        self._handles.append(register(hook, with_kwargs=True))

    def go_last(self) -> None:
        """Behind the hooks that others have added since: what they change is what passes on."""
        for handle in self._handles:
            hooks = handle.hooks_dict_ref()
            if hooks is not None and not _is_last(hooks, handle.id):
                hooks.move_to_end(handle.id)

    def remove(self) -> None:
        """Take all of them off."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._others.clear()
        self._owner = None

    def begin(self) -> bool:
        """A pass of the model begins in this thread; whether it is recorded."""
        if is_recomputing():
            return False
        me = threading.get_ident()
        with LOCK:
            if self._owner not in (None, me):
                self._others.add(me)
                self.elsewhere += 1
                return False
            self._owner = me
        return True

    def end(self) -> bool:
        """It has ended; there is nothing to call."""
        me = threading.get_ident()
        with LOCK:
            self._others.discard(me)
            if self._owner == me:
                self._owner = None
        return False

    def looks(self) -> bool:
        """Whether what this thread does now is recorded."""
        if is_traced() or is_recomputing():
            return False
        me = threading.get_ident()
        return self._owner in (None, me) and me not in self._others


class _Hook:
    """One hook. A copy or pickle of the model holds one that does nothing and needs no snnlens."""

    def __init__(
        self, hooks: Hooks, site: str, module: nn.Module, call: Callable[..., None],
        asked: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._hooks, self._site, self._module = hooks, site, module
        self._call, self._asked = call, asked

    def __call__(self, module: nn.Module, *given: Any) -> None:
        # a graph that somebody makes must not hold us; a shallow copy shares its original's hooks
        if is_traced() or module is not self._module:
            return
        if self._asked():
            self._call(module, *given)
        elif is_recomputing():
            self._hooks.again.add(self._site)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return contextlib.nullcontext().__exit__

    def __reduce__(self) -> Any:
        return getattr, (contextlib.nullcontext(), "__exit__")


def is_recomputing() -> bool:
    """Whether a backward pass runs: then a forward pass is a checkpoint's second one."""
    return torch._C._current_graph_task_id() != -1


def is_changed_by_others(module: nn.Module) -> bool:
    """Whether a hook of somebody else may change what this module gives."""
    found = (*everywhere._global_forward_hooks.values(), *module._forward_hooks.values())
    return any(str(getattr(h, "__module__", "")).partition(".")[0] != OURS for h in found)


def _is_last(hooks: OrderedDict[int, Any], key: int) -> bool:
    """Whether nobody but recorders comes behind a hook."""
    for other in reversed(hooks):
        if other == key:
            return True
        if not isinstance(hooks[other], _Hook):
            return False
    return False


# --- compiled code -------------------------------------------------------------------------------

_uncompiled: list[Any] = []  # what each open `uncompiled` would put back; the last to end does


@contextlib.contextmanager
def uncompiled() -> Iterator[None]:
    """Within it, what torch.compile has compiled runs as it was written, so that its hooks run.

    It holds for the process, and ends with the last of those that are open.
    """
    entered = _force_eager()
    try:
        yield
    finally:
        if entered:
            with LOCK:
                stance = _uncompiled.pop()
                if not _uncompiled:
                    stance.__exit__(None, None, None)


def _force_eager() -> bool:
    if "torch._dynamo" not in sys.modules:  # nothing is compiled
        return False
    with LOCK:
        try:
            _uncompiled.append(torch.compiler.set_stance("force_eager"))
        except RuntimeError:  # inside a compiled region, where it may not be set: nothing is seen
            return False
    return True
