"""The slow second way: keep every tensor of a pass, and count in numpy with float64 and loops.

Nothing here is shared with the probes but the adapter's word on which axis is time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from snnlens.adapters._base import first_tensor
from snnlens.adapters._survey import Survey
from snnlens.recording.hooks import is_recomputing
from snnlens.recording.recorder import LAYERS
from snnlens.sites import Site

Floats = NDArray[np.float64]
Columns = dict[str, Floats]
EXACT = 0.0
RTOL = 1e-12  # float64 sums of squares in another order


@dataclass
class Kept:
    """Everything that passed: outputs per spiking layer, inputs per layer with weights."""

    outputs: dict[str, list[Tensor]] = field(default_factory=dict)
    inputs: dict[str, list[Tensor]] = field(default_factory=dict)
    recomputed: Counter[str] = field(default_factory=Counter)


@contextmanager
def keeping(survey: Survey) -> Iterator[Kept]:
    """Plain hooks that keep tensors, and their gradients with `retain_grad`."""
    kept = Kept()
    handles = []
    for site in survey.neurons():
        module = survey.model.get_submodule(site.module)
        handles.append(module.register_forward_hook(_keep_output(kept, survey, site)))
    for name, module in survey.model.named_modules():
        if isinstance(module, LAYERS["synapse"]) and not getattr(module, "transposed", False):
            hook = _keep_input(kept, name)
            handles.append(module.register_forward_hook(hook, with_kwargs=True))
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()


def _keep_output(kept: Kept, survey: Survey, site: Site) -> Callable[..., None]:
    adapter = survey.adapters[site.module]

    def hook(module: nn.Module, _args: Any, output: Any) -> None:
        if is_recomputing():
            kept.recomputed[site.name] += 1
            return
        spikes = adapter.spikes(module, output)
        if spikes.requires_grad:
            spikes.retain_grad()
        kept.outputs.setdefault(site.name, []).append(spikes)

    return hook


def _keep_input(kept: Kept, name: str) -> Callable[..., None]:
    def hook(_module: nn.Module, args: Any, named: Any, _output: Any) -> None:
        if not is_recomputing():
            x = first_tensor((args, named))
            kept.inputs.setdefault(name, []).append(x.detach().clone())

    return hook


def counted(survey: Survey, kept: Kept) -> pd.DataFrame:
    """Per site and quantity the brute-force number, and the tolerance it has a right to."""
    rows: list[dict[str, Any]] = []
    for site in survey.neurons():
        outputs = kept.outputs.get(site.name, [])
        if not outputs:
            continue
        adapter, module = survey.adapters[site.module], survey.model.get_submodule(site.module)
        steps = [s for o in outputs for s in _steps(adapter.layout(module, o).time_first, o)]
        rows += _rows(site.name, _of_spikes([_array(s) for s in steps]), EXACT)
        grads = [o.grad for o in outputs if o.grad is not None]
        if grads:
            squares = sum(float((_array(g) ** 2).sum()) for g in grads)
            zeros = sum(int((_array(g) == 0).sum()) for g in grads)
            rows += _rows(site.name, {"gradient_norm.squares": squares}, RTOL)
            rows += _rows(site.name, {"gradient_histogram.zeros": zeros}, EXACT)
    for name, inputs in kept.inputs.items():
        module = survey.model.get_submodule(name)
        rows += _rows(name, _operations(module, inputs), EXACT)
    return pd.DataFrame(rows)


def _steps(view: Callable[[Tensor], Tensor], output: Tensor) -> list[Tensor]:
    return list(view(output.detach()))


def _array(x: Tensor) -> Floats:
    return x.detach().to(torch.float64).cpu().numpy()


def _of_spikes(steps: list[Floats]) -> dict[str, float]:
    """Counts over every step, sample and neuron; silence by a loop over neurons."""
    ever = np.zeros(steps[0][0].size, bool)
    always = np.ones(steps[0][0].size, bool)
    for step in steps:
        for sample in step:
            ever |= sample.reshape(-1) != 0
            always &= sample.reshape(-1) != 0
    return {
        "firing_rate.total": float(sum(s.sum() for s in steps)),
        "firing_rate.elements": float(sum(s.size for s in steps)),
        "firing_rate.nonzero": float(sum(np.count_nonzero(s) for s in steps)),
        "firing_rate.above_one": float(sum(np.count_nonzero(s > 1) for s in steps)),
        "firing_rate.largest": float(np.max([s.max() for s in steps])),
        "silence.silent": float(np.count_nonzero(~ever)),
        "silence.saturated": float(np.count_nonzero(always)),
    }


def _operations(module: nn.Module, inputs: list[Tensor]) -> dict[str, float]:
    """Synaptic operations: the inputs' indicator through the layer with every weight 1."""
    found = {"events": 0.0, "macs": 0.0}
    for x in inputs:
        for name, indicator in (("events", (x != 0)), ("macs", torch.ones_like(x))):
            found[name] += float(_ones(module, indicator.to(torch.float64)).sum())
    return {f"synaptic_operations.{name}": number for name, number in found.items()}


def _ones(module: nn.Module, x: Tensor) -> Tensor:
    weight = torch.ones_like(module.weight, dtype=torch.float64)  # type: ignore[arg-type]
    if isinstance(module, nn.Linear):
        return functional.linear(x, weight)
    assert isinstance(module, nn.modules.conv._ConvNd)
    x = x.reshape(-1, *x.shape[1 - weight.dim() :])
    made: Tensor = module._conv_forward(x, weight, None)
    return made


def _rows(site: str, numbers: dict[str, float], tolerance: float) -> list[dict[str, Any]]:
    return [
        {"site": site, "quantity": q, "brute": float(n), "tolerance": tolerance}
        for q, n in numbers.items()
    ]
