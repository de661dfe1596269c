"""Find the sites of any model: what its adapters claim, or what it lists itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from snnlens import registry
from snnlens.adapters._base import Adapter
from snnlens.adapters._blocks import Block, residual_blocks
from snnlens.errors import InputError, NothingToRecord
from snnlens.neuron.equations import Rule
from snnlens.sites import Signal, Site

WRAPPERS = {  # class name -> the attribute that holds the user's model
    "DistributedDataParallel": "module",
    "DataParallel": "module",
    "FullyShardedDataParallel": "module",
    "OptimizedModule": "_orig_mod",
}
REACH = torch.arange(-300, 301, dtype=torch.float64) / 100  # thresholds around V_th: for the slope


@dataclass(frozen=True)
class Survey:
    """Where a model can be recorded.

    Attributes:
        model: the model itself, taken out of DDP or torch.compile.
        sites: its places; of a model that lists them itself in its order.
        adapters: who speaks for a spiking layer, by the module's path.
        wrapped: the class names of what it was taken out of.
        listed: whether the model has a method `sites()`.
        facts: residual and connect of its blocks, where they are known.
    """

    model: nn.Module
    sites: list[Site]
    adapters: dict[str, Adapter]
    wrapped: list[str] = field(default_factory=list)
    listed: bool = False
    facts: dict[str, str | None] = field(default_factory=dict)

    def neurons(self) -> list[Site]:
        """The sites of spiking layers."""
        return [s for s in self.sites if s.module in self.adapters and s.role == "neuron"]

    def reset(self) -> None:
        """Put every spiking layer to rest."""
        for adapter in {id(a): a for a in self.adapters.values()}.values():
            adapter.reset(self.model)


def survey(model: nn.Module, more: Sequence[Adapter] = ()) -> Survey:
    """The sites of a model and the adapters of its spiking layers.

    `more` are adapters asked before the installed ones, e.g. `Plain` with a user's own classes.

    Raises:
        InputError: no torch module.
        NothingToRecord: the model has no spiking layer that any adapter knows.

    >>> from snnlens import IF
    >>> [s.name for s in survey(nn.Sequential(nn.Linear(3, 2), IF())).sites]
    ['1']
    """
    if not isinstance(model, nn.Module):
        raise InputError("the model", got=type(model).__name__, wanted="a torch.nn.Module")
    *around, inner = unwrapping(model)
    wrapped = [type(outer).__name__ for outer in around]
    adapters = [*more, *_installed()]
    claimed = dict(_claimed(inner, adapters))
    listing = method(inner, "sites")
    if listing is not None:
        sites = [_told(s, inner, claimed) for s in listing()]
        return Survey(inner, sites, claimed, wrapped, listed=True)
    if not claimed:
        raise NothingToRecord(
            f"the model must have a spiking site; got {type(inner).__name__} without one; "
            "use neurons of snnlens, SpikingJelly, snnTorch, Norse or sinabs, name your own neuron "
            "class (spiking=[MyNeuron], --spiking my.module:MyNeuron), or give the model a method "
            "sites()"
        )
    neurons = [_told(Site(n, n, "output", "neuron", _signal(inner, n, a)), inner, claimed)
               for n, a in claimed.items()]  # fmt: skip

    def spikes(module: nn.Module) -> bool:
        return any(a.claims(module) for a in adapters)

    blocks = residual_blocks(inner, spikes)
    found = _with_blocks(neurons, blocks)
    return Survey(inner, found, claimed, wrapped, facts=_block_facts(blocks))


def method(model: nn.Module, name: str) -> Callable[[], Any] | None:
    """What a model has to say by `sites()`, `facts()` or `blocks()`; a layer may be called so, too.

    >>> method(nn.ModuleDict({"sites": nn.ReLU()}), "sites") is None
    True
    """
    found = getattr(model, name, None)
    return found if callable(found) and not isinstance(found, nn.Module) else None


def unwrapping(model: nn.Module) -> Iterator[nn.Module]:
    """The model as given, then what lies inside of DDP or torch.compile; the last one is bare."""
    yield model
    while type(model).__name__ in WRAPPERS:
        model = getattr(model, WRAPPERS[type(model).__name__])
        yield model


def _installed() -> Iterator[Adapter]:
    """Every adapter that needs no argument; the core first, the user's own classes are given."""
    for name in ["core", *(n for n in registry.listing("adapters") if n not in ("core", "plain"))]:
        yield registry.plugin("adapters", name)()


def _claimed(model: nn.Module, adapters: Sequence[Adapter]) -> Iterator[tuple[str, Adapter]]:
    """Spiking layers in the order of the modules; what lies inside one is its own affair."""
    inside: list[str] = []
    for name, module in model.named_modules():
        if any(name.startswith(outer) for outer in inside):
            continue
        adapter = next((a for a in adapters if a.claims(module)), None)
        if adapter is not None:
            inside.append(name + ".")
            yield name, adapter


def _signal(model: nn.Module, name: str, adapter: Adapter) -> Signal:
    return "counts" if adapter.graded(model.get_submodule(name)) else "spikes"


def _told(site: Site, model: nn.Module, adapters: dict[str, Adapter]) -> Site:
    """The site with what its adapter says of the neuron."""
    adapter = adapters.get(site.module)
    if adapter is None or site.role != "neuron" or site.threshold is not None:
        return site
    module = model.get_submodule(site.module)
    rule = adapter.rule(module)
    if rule is None:
        return site
    tau = _tau(rule, adapter.rate(module))
    return replace(
        site, threshold=rule.threshold, leak=1.0 if tau is None else 1 - 1 / tau,
        gain=1 / tau if tau is not None and rule.decay_input else 1.0,
        slope=_slope(rule), support=rule.surrogate.support,
    )  # fmt: skip


def _tau(rule: Rule, rate: Tensor | None) -> float | None:
    if rate is not None:
        return float(1 / rate.detach().double())
    return rule.tau_steps if rule.leaks() else None


def _slope(rule: Rule) -> float:
    return float(rule.surrogate.derivative(REACH * rule.threshold).max())


def _with_blocks(neurons: list[Site], blocks: list[Block]) -> list[Site]:
    """Block sites around their neurons, which learn the block that they lie in."""
    sites: list[Site] = []
    ends: dict[str, Site] = {}  # the first site behind the neurons of an opened block
    for neuron in neurons:
        block = next((b for b in blocks if neuron.name.startswith(b.name + ".")), None)
        if block is None:
            sites.append(neuron)
            continue
        if block.name not in ends:
            before, *after = block.sites()
            sites += [before, *after]
            ends[block.name] = after[0]
        area = block.area_out if neuron.name == block.last else block.area
        inside = replace(neuron, block=block.index, stage=block.stage, area=area,
                         block_kind=block.kind)  # fmt: skip
        sites.insert(sites.index(ends[block.name]), inside)
    return sites


def _block_facts(blocks: list[Block]) -> dict[str, str | None]:
    """How all blocks join, where they agree."""
    kinds = {(b.residual, b.connect) for b in blocks}
    if len(kinds) != 1:
        return {}
    residual, connect = kinds.pop()
    return {"residual": residual, "connect": connect} if residual else {}
