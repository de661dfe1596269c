"""What single neurons did: their spikes, and the membranes that made them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from snnlens.adapters._base import Adapter, first_tensor
from snnlens.attribution.bridge import Bridge
from snnlens.neuron import equations
from snnlens.recording.foreign import Call

MEMBRANE_COLUMNS = {"sample": "int64", "site": "object", "neuron": "int64", "step": "int64",
                    "membrane": "float64", "threshold": "float64", "spike": "bool"}  # fmt: skip


def rasters(
    bridge: Bridge, x: Tensor, sites: Sequence[str], most: int = 200
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The spikes of a few layers, of at most `most` evenly chosen neurons of each.

    Args:
        bridge: the model.
        x: [N, T, ...].
        sites: names of spiking layers.
        most: neurons shown of a layer; its index is that in the layer's flattened output.

    Returns:
        Spikes, one row each (of an integer of spikes one too): sample, site, step, neuron; and the
        layers: site, neurons, shown, spikes (the sum over all neurons, steps and samples of x) and
        threshold (NaN where it is no single number).

    Raises:
        InputError: a layer that there is not.

    >>> from snnlens.adapters._survey import survey
    >>> from snnlens.neuron.layers import IF
    >>> net, x = nn.Sequential(IF()), torch.tensor([0.5, 0.5]).reshape(2, 1, 1)
    >>> bridge = Bridge(net, survey(net), x, "time first")
    >>> spikes, layers = rasters(bridge, x.transpose(0, 1), ["0"])
    >>> spikes.to_dict("list"), int(layers["spikes"][0])
    ({'sample': [0], 'site': ['0'], 'step': [1], 'neuron': [0]}, 1)
    """
    fired = bridge.spikes(x)
    seen = {site: fired[bridge.check_site(site)].flatten(2) for site in sites}
    tables = [_spikes_of(site, spikes, most) for site, spikes in seen.items()]
    thresholds = {s.name: s.threshold for s in bridge.survey.neurons()}
    layers = pd.DataFrame(
        {"site": site, "neurons": spikes.shape[2], "shown": min(most, spikes.shape[2]),
         "spikes": float(spikes.sum(dtype=torch.float64)), "threshold": thresholds[site]}
        for site, spikes in seen.items()
    )  # fmt: skip
    return pd.concat(tables, ignore_index=True), layers.astype({"threshold": "float64"})


def membranes(bridge: Bridge, x: Tensor, site: str, neurons: int = 3) -> pd.DataFrame:
    """H, the membrane before the reset, of the neurons of a layer that fired most often.

    H comes from the equations of snnlens with the rule and the first membrane that the layer's
    adapter says, or from the framework itself; the spikes are the layer's own.

    Args:
        bridge: the model.
        x: [N, T, ...].
        site: a spiking layer.
        neurons: how many; those with the most spikes in x, of equal ones the first.

    Returns:
        One row per sample, neuron and step: sample, site, neuron, step, membrane, threshold (in the
        unit of the membrane), spike. No row where the adapter knows no membrane.

    Raises:
        InputError: a layer that there is not.

    >>> from snnlens.adapters._survey import survey
    >>> from snnlens.neuron.layers import IF
    >>> net, x = nn.Sequential(IF()), torch.tensor([0.75, 0.5, 0.75]).reshape(3, 1, 1)
    >>> bridge = Bridge(net, survey(net), x, "time first")
    >>> found = membranes(bridge, x.transpose(0, 1), "0")
    >>> found[["membrane", "spike"]].to_dict("list")
    {'membrane': [0.75, 1.25, 0.75], 'spike': [False, True, False]}
    """
    spikes = bridge.spikes(x)[bridge.check_site(site)].flatten(2)
    chosen = spikes.sum((0, 1)).sort(descending=True, stable=True).indices[:neurons].sort().values
    with _watched(bridge, site, chosen) as found, torch.no_grad():
        bridge(x)
    threshold = next(s.threshold for s in bridge.survey.neurons() if s.name == site)
    if threshold is None or not found:
        return pd.DataFrame({n: pd.Series(dtype=t) for n, t in MEMBRANE_COLUMNS.items()})
    return _table(site, torch.cat(found), spikes[..., chosen].transpose(0, 1), chosen, threshold)


def _spikes_of(site: str, spikes: Tensor, most: int) -> pd.DataFrame:
    """Rows of a layer's spikes [N, T, neurons]."""
    count = spikes.shape[2]
    shown = np.linspace(0, count - 1, min(most, count)).round().astype(np.int64)
    kept = spikes[..., torch.from_numpy(shown).to(spikes.device)]
    sample, step, neuron = (kept != 0).nonzero().cpu().numpy().T
    return pd.DataFrame({"sample": sample, "site": site, "step": step, "neuron": shown[neuron]})


def _table(site: str, h: Tensor, spikes: Tensor, chosen: Tensor, threshold: float) -> pd.DataFrame:
    """Rows of H and spikes [T, N, neurons]."""
    step, sample, neuron = (a.ravel() for a in np.indices(h.shape))
    frame = pd.DataFrame(
        {"sample": sample, "site": site, "neuron": chosen.cpu().numpy()[neuron], "step": step,
         "membrane": h.double().cpu().numpy().ravel(), "threshold": threshold,
         "spike": (spikes != 0).cpu().numpy().ravel()}
    )  # fmt: skip
    return frame.sort_values(["sample", "neuron", "step"], ignore_index=True)


@contextmanager
def _watched(bridge: Bridge, site: str, chosen: Tensor) -> Iterator[list[Tensor]]:
    """Inside, each call of a layer adds its H [T', N, chosen], if there is one."""
    place = next(s.module for s in bridge.survey.neurons() if s.name == site)
    module, adapter = bridge.survey.model.get_submodule(place), bridge.survey.adapters[place]
    found: list[Tensor] = []
    begun: list[Tensor | None] = []  # V that the call begins with

    def before(module: nn.Module, args: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        adapter.layout(module, first_tensor((args, named)))
        begun.append(adapter.start(module, args, named))

    def after(module: nn.Module, args: tuple[Any, ...], named: Mapping[str, Any], out: Any) -> None:
        h = _membrane(_call(adapter, module, args, named, out, begun.pop()))
        if h is not None:
            found.append(h.flatten(2)[..., chosen])

    handles = (
        module.register_forward_pre_hook(before, with_kwargs=True),
        module.register_forward_hook(after, with_kwargs=True),
    )
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _call(  # noqa: PLR0917 - what a hook is given
    adapter: Adapter, module: nn.Module, args: tuple[Any, ...], named: Mapping[str, Any], out: Any,
    start: Tensor | None,
) -> Call:  # fmt: skip
    raw = adapter.spikes(module, out)
    layout = adapter.layout(module, raw)
    spikes = layout.time_first(raw.detach())
    return Call(adapter, module, args, named, layout, start, spikes, out)


def _membrane(call: Call) -> Tensor | None:
    """H [T', N, ...] of one call."""
    train = call.train()
    if train.rule is None:
        raw = call.adapter.membrane(call.module, call.args, call.named, call.output, call.start)
        return None if raw is None else call.layout.time_first(raw.detach())
    if train.current is None:
        return None
    v = equations.start(train.current, train.rule) if train.start is None else train.start
    steps = equations.steps(train.current, v, train.rule, train.rate)
    return torch.stack([step.membrane for step in steps])
