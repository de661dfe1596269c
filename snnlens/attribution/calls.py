"""Every call of every spiking layer, laid out in time, and the right to replace what it returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from snnlens.adapters._base import Adapter, Layout, tensors
from snnlens.adapters._survey import Survey

# site, first step of the call, current and spikes [T', N, ...]; what replaces the spikes, or None
Change = Callable[[str, int, Tensor | None, Tensor], Tensor | None]


@contextmanager
def changing(survey: Survey, change: Change, steps: dict[str, int]) -> Iterator[None]:
    """Call `change` at each call of each spiking layer; the hooks go on any exit.

    `steps` counts the steps that each layer has run: whoever runs the model clears it.
    """
    with ExitStack() as stack:
        for site in survey.neurons():
            module = survey.model.get_submodule(site.module)
            hook = _hook(site.name, survey.adapters[site.module], change, steps)
            stack.callback(module.register_forward_hook(hook, with_kwargs=True).remove)
        yield


def _hook(site: str, adapter: Adapter, change: Change, steps: dict[str, int]) -> Any:
    def hook(module: nn.Module, args: tuple[Any, ...], named: Mapping[str, Any], out: Any) -> Any:
        raw = adapter.spikes(module, out)
        layout = adapter.layout(module, raw)
        spikes = layout.time_first(raw)
        current = next(tensors([*args, named]), None)
        step = steps.get(site, 0)
        steps[site] = step + len(spikes)
        laid = None if current is None else _time_first(layout, current)
        changed = change(site, step, laid, spikes)
        return out if changed is None else exchanged(out, _laid(layout, changed))

    return hook


def _time_first(layout: Layout, x: Tensor) -> Tensor | None:
    return layout.time_first(x) if x.dim() else None


def _laid(layout: Layout, x: Tensor) -> Tensor:
    """[T', N, ...] as the layer lays it: the inverse of `Layout.time_first`.

    >>> import torch
    >>> x = torch.arange(12.0).reshape(2, 3, 2)
    >>> all(torch.equal(way.time_first(_laid(way, x)), x)
    ...     for way in (Layout(), Layout("batch first"), Layout("folded", 2)))
    True
    """
    if layout.lies == "time first":
        return x
    if layout.lies == "one step":
        return x.squeeze(0)
    turned = x.transpose(0, 1)
    return turned if layout.lies == "batch first" else turned.flatten(0, 1)


def exchanged(out: Any, new: Tensor) -> Any:
    """What a layer returned, with another first tensor.

    >>> import torch
    >>> spikes, membrane = torch.zeros(1), torch.ones(2)
    >>> exchanged((spikes, {"mem": membrane}), torch.ones(1))
    (tensor([1.]), {'mem': tensor([1., 1.])})
    """
    return _exchanged(out, new)[0]


def _exchanged(out: Any, new: Tensor) -> tuple[Any, bool]:
    """The same structure, and whether the tensor has been put in."""
    if isinstance(out, Tensor):
        return new, True
    if isinstance(out, Mapping):
        items, done = _first(list(out.values()), new)
        return type(out)(zip(out, items, strict=True)), done  # type: ignore[call-arg]
    if isinstance(out, tuple | list):
        items, done = _first(out, new)
        return (type(out)(*items) if hasattr(out, "_fields") else type(out)(items)), done
    return out, False


def _first(parts: Any, new: Tensor) -> tuple[list[Any], bool]:
    made, done = [], False
    for part in parts:
        item, put = (part, False) if done else _exchanged(part, new)
        made.append(item)
        done = done or put
    return made, done
