"""A spiking network as a product of its weights, step by step, and whether it is one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from snnlens.adapters._base import Adapter, Layout, tensors
from snnlens.attribution.bridge import Bridge
from snnlens.errors import InputError

# of a site: what d output / d current is to be [T', N, ...], from its first step and its spikes
Weigh = Callable[[str, int, Tensor], Tensor]
Calls = list[tuple[Layout, Tensor]]  # what a layer was given, call by call, and how it lies
RTOL = 1e-4  # float32 in another order: 3e-6 of the largest at depth 56; a leak: 1 / T and more
HANDED_ON = {  # operations on spikes that weigh nothing: the output behind them is the spikes' own
    *("Stack", "Cat", "Mean", "Sum", "Div", "Add", "Clone", "Alias", "Expand", "View"),
    *("UnsafeView", "ReshapeAlias", "Transpose", "Permute", "T", "Squeeze", "Unsqueeze", "Select"),
    *("Slice", "Unbind"),
}  # fmt: skip


@contextmanager
def weighed(bridge: Bridge, weigh: Weigh) -> Iterator[None]:
    """Inside, a pass gives its own spikes, and its derivative is a product of weights at each step.

    The derivative of a layer's output by its current is `weigh`; the membrane, its leak and its
    surrogate take no part.

    Raises InputError for a layer that has not one number of its current per spike.
    """

    def change(site: str, step: int, current: Tensor | None, spikes: Tensor) -> Tensor | None:
        if site not in bridge.seen:
            return None
        if current is None or current.shape != spikes.shape:
            got = None if current is None else list(current.shape)
            raise InputError(f"the current of {site}", got=got,
                             wanted=f"one number per spike: {list(spikes.shape)}")  # fmt: skip
        weight = weigh(site, step, spikes.detach())
        out: Tensor = _Weighed.apply(current, spikes.detach(), weight, site)  # type: ignore[no-untyped-call]
        return out

    with bridge.around(change):
        yield


def output_layer(bridge: Bridge, x: Tensor) -> str | None:
    """The spiking layer whose spikes, or their mean over time, are the output; None behind weights.

    The network is first looked at with one sample, its layers' spikes replaced by a pattern that
    is the same at all steps. Raises InputError where it is no product of weights at each step: a
    layer that is charged by something else than its input, step t of the input that reaches another
    step of the output, an output without a time axis that is no mean over time, an input that no
    derivative reaches.
    """
    if bridge.repeated:
        bridge.check_site(next(iter(bridge.repeated)))
    leaf = x[:1].detach().transpose(0, 1).clone().requires_grad_()

    def even(_site: str, _step: int, spikes: Tensor) -> Tensor:
        return torch.ones_like(spikes)

    with torch.enable_grad():
        with _charged(bridge) as currents, _patterned(bridge), weighed(bridge, even):
            out = bridge.stepwise(leaf.transpose(0, 1)).transpose(0, 1)
        _check_way(out, leaf)
        if bridge.steps > 1:
            entry = currents[bridge.encoder] if bridge.static else [(Layout(), leaf)]
            last = currents[bridge.sites[-1]] if bridge.sites else entry
            _check_time(bridge, out, entry, last)
    return _reached(out.grad_fn)


def _check_way(out: Tensor, leaf: Tensor) -> None:
    """Refuse a network whose output does not follow from its input by derivatives."""
    found = out.requires_grad and torch.autograd.grad(
        out.sum(), leaf, retain_graph=True, allow_unused=True
    )
    if not found or found[0] is None:
        raise InputError(
            "the way from the input to the output", got="one that no derivative passes",
            wanted="differentiable", do="give at=LAYER, a spiking layer behind what draws spikes",
        )  # fmt: skip


def _check_time(bridge: Bridge, out: Tensor, entry: Calls, last: Calls) -> None:
    """Refuse a network in which a step of the input reaches another step of the output."""
    if len(out) == 1:
        by_step = _gradient(out.sum(), last)
        if not _near(by_step, by_step[:1].expand_as(by_step)):
            raise InputError(
                "the output, which has no time axis,", got="one that weighs steps unlike",
                wanted="a mean or a sum over all steps", do="return every step of it",
            )  # fmt: skip
    elif len(out) != bridge.steps:
        raise InputError("the output's time steps", got=len(out), wanted=f"{bridge.steps} or none")
    if len(out) == 1 and last is entry:
        return
    series = out if len(out) > 1 else torch.cat([layout.time_first(x) for layout, x in last])
    if _mixes(series, entry):
        raise InputError(
            "the network", got="one that hands a step's values to other steps outside its neurons",
            wanted="feed-forward: no recurrence, no filter over time, no membrane as output",
            do="take ig, saliency or occlusion, which ask for nothing",
        )  # fmt: skip


def _mixes(series: Tensor, entry: Calls) -> bool:
    """Whether weighing the series' steps weighs the gradient at the entry's steps otherwise."""
    pattern = torch.rand(series.shape[1:], generator=torch.Generator().manual_seed(1)).to(series)
    plain = _gradient((series * pattern).sum(), entry)
    by_step = 1 + torch.arange(len(series), device=series.device) / len(series)
    unlike = _gradient((series * pattern * _over(by_step, series)).sum(), entry)
    return not _near(unlike, plain * _over(by_step, plain))


def _near(a: Tensor, b: Tensor) -> bool:
    """Whether two gradients agree; where a deep product overflows, nothing speaks against it."""
    differ, largest = float((a - b).abs().max()), float(a.abs().max())
    return not math.isfinite(differ) or differ <= RTOL * largest


def _over(by_step: Tensor, x: Tensor) -> Tensor:
    """A number per step, to be multiplied with [T, ...]."""
    return by_step.to(x.dtype).reshape(-1, *[1] * (x.dim() - 1))


def _gradient(value: Tensor, calls: Calls) -> Tensor:
    """By what some calls were given, time first; 0 where there is no way."""
    given = [x for _, x in calls]
    found = torch.autograd.grad(
        value, given, retain_graph=True, allow_unused=True, materialize_grads=True
    )
    return torch.cat([layout.time_first(g) for (layout, _), g in zip(calls, found, strict=True)])


def _reached(node: Any) -> str | None:
    """The one layer whose spikes an output is made of, nothing but `HANDED_ON` between them."""
    open_nodes, sites = [node], set()
    while open_nodes:
        node = open_nodes.pop()
        if node is None:
            continue
        if hasattr(node, "site"):  # the backward of `_Weighed`
            sites.add(node.site)
        elif node.name().rstrip("0123456789").removesuffix("Backward") in HANDED_ON:
            open_nodes += [before for before, _ in node.next_functions]
        else:
            return None
    return sites.pop() if len(sites) == 1 else None


@contextmanager
def _patterned(bridge: Bridge) -> Iterator[None]:
    """Every layer's spikes are one random pattern in [0, 1), whatever the step."""
    patterns: dict[str, Tensor] = {}
    generator = torch.Generator().manual_seed(0)

    def change(site: str, _step: int, _current: Any, spikes: Tensor) -> Tensor | None:
        if site not in bridge.seen:
            return None
        if site not in patterns:
            patterns[site] = torch.rand(spikes.shape[1:], generator=generator).to(spikes)
        return patterns[site].expand_as(spikes)

    with bridge.around(change):
        yield


@contextmanager
def _charged(bridge: Bridge) -> Iterator[dict[str, Calls]]:
    """Inside, what charges each layer is kept; refused where it is not the layer's input alone."""
    kept: dict[str, Calls] = {name: [] for name in bridge.sites}
    with ExitStack() as stack:
        for site in bridge.survey.neurons():
            if site.name in kept:
                hook = _keeps(site.name, bridge.survey.adapters[site.module], kept[site.name])
                module = bridge.survey.model.get_submodule(site.module)
                stack.callback(module.register_forward_hook(hook, with_kwargs=True).remove)
        yield kept


def _keeps(site: str, adapter: Adapter, kept: Calls) -> Any:
    def hook(module: nn.Module, args: tuple[Any, ...], named: Mapping[str, Any], _: Any) -> None:
        known, given = adapter.current(module, args, named), next(tensors([*args, named]), None)
        if known is None or given is None or not torch.equal(known, given):
            what = "a synapse or a recurrence of its own" if known is not None else "not known"
            raise InputError(
                f"what charges {site}", got=what, wanted="the layer's input, nothing more",
                do="take ig, saliency or occlusion, which ask for nothing",
            )  # fmt: skip
        kept.append((adapter.layout(module, given), given))

    return hook


class _Weighed(torch.autograd.Function):
    """A layer's spikes forward, its weights times the gradient backward."""

    @staticmethod
    def forward(ctx: Any, _current: Tensor, spikes: Tensor, weight: Tensor, site: str) -> Tensor:
        ctx.weight, ctx.site = weight, site
        return spikes.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        return grad * ctx.weight, None, None, None
