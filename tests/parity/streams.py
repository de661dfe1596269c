"""What the recorder streams of a foreign network against plain hooks that keep every tensor."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

import snnlens
from snnlens.adapters._base import first_tensor
from snnlens.recording.record import Record

GRADIENT_RTOL = (
    1e-12  # float64 sums over fewer than 1e4 elements in another order; found below 1e-15
)

Runs = Callable[[nn.Module], None]


@dataclass
class Kept:
    """Every output of one layer, call by call, with its gradient."""

    outputs: list[Tensor] = field(default_factory=list)

    def joined(self, calls: list[int], *, steps: bool) -> list[Tensor]:
        """The sequences [T, B, ...]: so many calls each; one step or a whole sequence a call."""
        parts = [o.unsqueeze(0) if steps else o for o in self.outputs]
        cut = np.cumsum([0, *calls])
        return [torch.cat(parts[a:b]) for a, b in itertools.pairwise(cut)]

    def gradients(self, calls: list[int], *, steps: bool) -> list[Tensor]:
        """Their gradients, zero where none came."""
        grads = [torch.zeros_like(o) if o.grad is None else o.grad for o in self.outputs]
        return Kept(grads).joined(calls, steps=steps)


def keep(model: nn.Module, names: list[str], run: Runs) -> dict[str, Kept]:
    """Run with plain hooks only."""
    kept = {name: Kept() for name in names}
    handles = []
    for name in names:

        def hook(_m: nn.Module, _a: object, output: object, to: Kept = kept[name]) -> None:
            spikes = first_tensor(output)
            if spikes.requires_grad:
                spikes.retain_grad()
            to.outputs.append(spikes)

        handles.append(model.get_submodule(name).register_forward_hook(hook))
    run(model)
    for handle in handles:
        handle.remove()
    return kept


def compare(
    make: Callable[[], nn.Module],
    run: Runs,
    calls: list[int],
    *,
    steps: bool,
    rtol: float = GRADIENT_RTOL,
) -> Record:
    """Record one network and keep all of its twin: counts are equal, gradients to 1e-12.

    `calls` are the calls of a layer per sequence.
    """
    model = make()
    with snnlens.record(model, probes=["firing_rate", "gradient_norm"]) as rec:
        run(model)
    record = rec.record()
    twin = make()
    neurons = record.sites[record.sites["role"] == "neuron"]
    kept = keep(twin, list(neurons["module"]), run)
    assert kept
    for site, module in zip(neurons["site"], neurons["module"], strict=True):
        seqs = [s.detach().double().numpy() for s in kept[module].joined(calls, steps=steps)]
        grads = [g.double().numpy() for g in kept[module].gradients(calls, steps=steps)]
        _compare_counts(record, site, seqs)
        _compare_gradients(record, site, grads, rtol)
    return record


def _compare_counts(record: Record, site: str, seqs: list[np.ndarray]) -> None:
    table = record.tables["firing_rate"].query("site == @site").sort_values("step")
    longest = max(len(s) for s in seqs)
    assert list(table["step"]) == list(range(longest))
    for t, row in zip(range(longest), table.itertuples(), strict=True):
        here = [s[t] for s in seqs if t < len(s)]
        assert row.total == sum(float(s.sum()) for s in here)  # small integers: exact in float64
        assert row.elements == sum(s.size for s in here)
        assert row.nonzero == sum(int(np.count_nonzero(s)) for s in here)
        assert row.above_one == sum(int((s > 1).sum()) for s in here)
        assert row.largest == max(float(s.max()) for s in here)


def _compare_gradients(record: Record, site: str, grads: list[np.ndarray], rtol: float) -> None:
    table = record.tables["gradient_norm"].query("site == @site").sort_values("step")
    steps = range(max(len(g) for g in grads))
    wanted = [sum(float((g[t] ** 2).sum()) for g in grads if t < len(g)) for t in steps]
    assert any(wanted)
    np.testing.assert_allclose(table["squares"], wanted, rtol=rtol)
