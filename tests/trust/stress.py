"""Small networks of several kinds, and the second way to their numbers: hooks, loops, float64.

Nothing here is shared with the probes. A network is made twice with equal weights: one is recorded,
of the other every spike and its gradient is kept by a hook of this file and counted by a loop.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import snnlens
from snnlens.recording.record import Record
from tests.parity import jelly
from tests.trust.tally import TIMES
from tests.unit.recording import brute

PROBES = ("firing_rate", "gradient_norm", "silence", "gradient_histogram")
RTOL = 1e-12  # float64 squares of float32 numbers, added in another order
Array = np.ndarray


# --- networks ------------------------------------------------------------------------------------


class Fire(torch.autograd.Function):
    """A spike at the threshold 0, with a triangle for its derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad * (1 - x.abs()).clamp(min=0)


class Cell(nn.Module):
    """A user's own neuron, called once per step; the network around it resets it."""

    def __init__(self, threshold: float = 0.3) -> None:
        super().__init__()
        self.threshold, self.v = threshold, None

    def forward(self, x: Tensor) -> Tensor:
        v = x if self.v is None else 0.5 * self.v + x
        spikes = Fire.apply(v - self.threshold)
        self.v = v * (1 - spikes.detach())
        return spikes

    def reset(self) -> None:
        self.v = None


class Steps(nn.Module):
    """Linear, neuron, linear, neuron, linear; each neuron is called once per step."""

    def __init__(self, make: Callable[[], nn.Module], reset: Callable[[nn.Module], None]) -> None:
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(4, 6), nn.Linear(6, 5), nn.Linear(5, 3)
        self.sn1, self.sn2, self.reset = make(), make(), reset
        nn.init.uniform_(self.middle.weight, 0, 1)

    def forward(self, x: Tensor) -> Tensor:
        for layer in (self.sn1, self.sn2):
            self.reset(layer)
        return torch.stack([self.step(now) for now in x])

    def step(self, now: Tensor) -> Tensor:
        return self.last(self.sn2(self.middle(self.sn1(self.first(now)))))


class Whole(nn.Sequential):
    """The same of neurons that get a whole sequence at once."""

    def __init__(self, make: Callable[[], nn.Module], reset: Callable[[nn.Module], None]) -> None:
        super().__init__(nn.Linear(4, 6), make(), nn.Linear(6, 5), make(), nn.Linear(5, 3))
        self.put_to_rest = reset
        nn.init.uniform_(self[2].weight, 0, 1)

    def forward(self, x: Tensor) -> Tensor:
        for layer in (self[1], self[3]):
            self.put_to_rest(layer)
        return super().forward(x)


@dataclass(frozen=True)
class Kind:
    """A kind of network: how it is made, its spiking layers, whether they take one step a call."""

    build: Callable[[], nn.Module]
    layers: tuple[str, ...]
    per_step: bool = False
    spiking: tuple[type, ...] = ()
    needs: str = ""  # the package, if it is another framework
    images: bool = False  # input [B, 3, 8, 8], repeated over T
    steps: int = 5

    def make(self, change: Callable[[nn.Module], Any] | None = None) -> nn.Module:
        """A network with the same weights each time; spikes pass all of its layers."""
        if self.needs:
            pytest.importorskip(self.needs)
        with torch.random.fork_rng():
            torch.manual_seed(3)
            model = self.build()
        made = None if change is None else change(model)
        return model if made is None else made

    def x(self, batch: int = 3, steps: int | None = None) -> Tensor:
        """An input that makes it fire now and then."""
        generator = torch.Generator().manual_seed(1)
        if self.images:
            return torch.randn(batch, 3, 8, 8, generator=generator)
        shape = (self.steps if steps is None else steps, batch, 4)
        return 2 * torch.rand(shape, generator=generator)


def _snnlens() -> nn.Module:
    made = nn.Sequential(nn.Linear(4, 6), snnlens.LIF(threshold=0.2), nn.Linear(6, 5),
                         snnlens.IF(threshold=0.2), nn.Linear(5, 3))  # fmt: skip
    nn.init.uniform_(made[2].bias, 0, 0.1)
    return made


def _reset(layer: Any) -> None:
    layer.reset()


def _reset_memory(layer: Any) -> None:
    layer.reset_mem()


def _own() -> nn.Module:
    return Steps(Cell, _reset)


def _snntorch() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import snntorch

    return Steps(lambda: snntorch.Leaky(beta=0.5, threshold=0.3, init_hidden=True), _reset_memory)


def _jelly(step_mode: str) -> nn.Module:
    found = jelly.load()

    def make() -> nn.Module:
        node: nn.Module = found.neuron.LIFNode(v_threshold=0.3, step_mode=step_mode)
        return node

    return (Steps if step_mode == "s" else Whole)(make, _reset)


def _sew() -> nn.Module:
    return brute.small("sew", "add", neuron=snnlens.LIF(1.5, threshold=0.3))


STEPS = ("sn1", "sn2")
KINDS = {
    "snnlens": Kind(_snnlens, ("1", "3")),
    "own": Kind(_own, STEPS, per_step=True, spiking=(Cell,)),
    "snntorch": Kind(_snntorch, STEPS, per_step=True, needs="snntorch"),
    "spikingjelly": Kind(lambda: _jelly("s"), STEPS, per_step=True, needs="spikingjelly"),
    "spikingjelly m": Kind(lambda: _jelly("m"), ("1", "3"), needs="spikingjelly"),
    "sew": Kind(_sew, tuple(n for n, m in _sew().named_modules() if isinstance(m, snnlens.LIF)),
                images=True, steps=3),
}  # fmt: skip
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
FEW = ["snnlens", "own", "snntorch"]  # a check-up takes half a second: the others in a soak
few_kinds = pytest.mark.parametrize("kind", [KINDS[n] for n in (FEW if TIMES <= 1 else KINDS)],
                                    ids=FEW if TIMES <= 1 else KINDS)  # fmt: skip


def loss(model: nn.Module, x: Tensor) -> Tensor:
    """The sum of squares of the output, which is what a check-up takes too; without backward."""
    out: Tensor = model(x)
    return out.square().sum()


def train(model: nn.Module, x: Tensor) -> None:
    """One forward and backward pass."""
    value = loss(model, x)
    if value.requires_grad:
        value.backward()


# --- the second way ------------------------------------------------------------------------------


@dataclass
class Kept:
    """Every output of one layer in order, [T, B, ...] or [B, ...] each."""

    outputs: list[Tensor] = field(default_factory=list)

    def passes(self, calls: int, *, per_step: bool) -> list[tuple[Array, Array | None]]:
        """Spikes and gradients [T, B, ...] of each pass; so many calls a pass."""
        parts = [o.unsqueeze(0) if per_step else o for o in self.outputs]
        grads = [None if o.grad is None else o.grad.unsqueeze(0) if per_step else o.grad
                 for o in self.outputs]  # fmt: skip
        found = []
        for at in range(0, len(parts), calls):
            here = grads[at : at + calls]
            reached = any(g is not None for g in here)
            whole = [torch.zeros_like(p) if g is None else g
                     for p, g in zip(parts[at : at + calls], here, strict=True)]  # fmt: skip
            spikes = torch.cat(parts[at : at + calls])
            found.append((_wide(spikes), _wide(torch.cat(whole)) if reached else None))
        return found


def _wide(x: Tensor) -> Array:
    return x.detach().double().numpy()


def kept(
    kind: Kind, model: nn.Module, run: Callable[[nn.Module], Any], names: Sequence[str] = ()
) -> dict[str, Kept]:
    """Run with plain hooks that keep what each spiking layer gives."""
    found = {name: Kept() for name in names or kind.layers}
    handles = []
    for name, to in found.items():

        def hook(_m: nn.Module, _a: Any, out: Any, to: Kept = to) -> None:
            spikes = out[0] if isinstance(out, tuple) else out
            if spikes.requires_grad:
                spikes.retain_grad()
            to.outputs.append(spikes)

        handles.append(model.get_submodule(name).register_forward_hook(hook))
    try:
        run(model)
    finally:
        for handle in handles:
            handle.remove()
    return found


def compare(
    record: Record, found: Mapping[str, Kept], kind: Kind, *, calls: int | None = None,
    prefix: str = "",
) -> int:  # fmt: skip
    """The record's numbers are those of the kept tensors, step by step; how many were compared."""
    count, frame = 0, record.frame().set_index("site")
    for name, layer in found.items():
        per_pass = calls or (kind.steps if kind.per_step else 1)
        passes = layer.passes(per_pass, per_step=kind.per_step)
        spikes = [s for s, _ in passes]
        count += _compare_spikes(record, prefix + name, spikes)
        if "silence" in record.tables and spikes[0].size:
            _compare_silence(frame.loc[prefix + name], spikes)
        if "gradient_norm" in record.tables:
            count += _compare_gradients(record, prefix + name, [g for _, g in passes])
    return count


def _rows(record: Record, probe: str, site: str) -> Any:
    table = record.tables[probe]
    return table[table["site"] == site].reset_index(drop=True)


def _compare_spikes(record: Record, site: str, passes: Sequence[Array]) -> int:
    rows = _rows(record, "firing_rate", site).sort_values("step")
    steps = max(len(s) for s in passes)
    assert list(rows["step"]) == list(range(steps))
    for t, row in zip(range(steps), rows.itertuples(), strict=True):
        here = [s[t] for s in passes if t < len(s)]
        assert row.total == math.fsum(float(x) for s in here for x in s.ravel())
        assert row.elements == sum(s.size for s in here)
        assert row.nonzero == sum(1 for s in here for x in s.ravel() if x != 0)
    return 3 * steps


def _compare_silence(row: Any, passes: Sequence[Array]) -> None:
    fired = np.concatenate([s.reshape(s.shape[0] * s.shape[1], -1) != 0 for s in passes])
    assert row["silent_share"] == sum(not any(n) for n in fired.T) / fired.shape[1]
    assert row["saturated_share"] == sum(all(n) for n in fired.T) / fired.shape[1]


def _compare_gradients(record: Record, site: str, passes: Sequence[Array | None]) -> int:
    grads = [g for g in passes if g is not None]
    rows = _rows(record, "gradient_norm", site).sort_values("step")
    if not grads:
        assert not len(rows)  # nothing was heard, and nothing is said
        return 1
    steps = max(len(g) for g in grads)
    wanted = [_squares([g[t] for g in grads if t < len(g)]) for t in range(steps)]
    np.testing.assert_allclose(rows["squares"].to_numpy(), wanted, rtol=RTOL, atol=0)
    assert list(rows["batches"]) == [sum(t < len(g) for g in grads) for t in range(steps)]
    if "gradient_histogram" in record.tables:
        counts = _rows(record, "gradient_histogram", site)
        everything = np.concatenate([g.ravel() for g in grads])
        assert counts["gradients"].sum() == everything.size
        assert counts["zeros"].sum() == sum(1 for g in everything if g == 0)
        assert counts["non_finite"].sum() == sum(1 for g in everything if not math.isfinite(g))
    return 2 * steps


def _squares(parts: Sequence[Array]) -> float:
    """By a loop over numbers; where one is not finite the sum is what IEEE makes of it."""
    numbers = [float(x) * float(x) for p in parts for x in p.ravel()]
    return math.fsum(numbers) if all(map(math.isfinite, numbers)) else sum(numbers)


def fired_by_hand(currents: Array, tau: float | None, threshold: float) -> Array:
    """Spikes [T, B, N] of LIF (input decayed) or IF, hard reset, number by number in float32."""
    spikes = np.zeros_like(currents)
    v = np.zeros_like(currents[0])
    for t, now in enumerate(currents):
        for place in np.ndindex(*now.shape):
            h = v[place] + now[place] if tau is None else (
                v[place] + (now[place] - v[place]) / np.float32(tau))  # fmt: skip
            spikes[t][place] = 1.0 if h >= np.float32(threshold) else 0.0
            v[place] = 0.0 if spikes[t][place] else h
    return spikes


# --- all ways of looking -------------------------------------------------------------------------


def recorded(
    kind: Kind, model: nn.Module, run: Callable[[nn.Module], Any],
    probes: Sequence[str] = PROBES,
) -> Record:  # fmt: skip
    """What `snnlens.record` says of a run."""
    with snnlens.record(model, probes, spiking=kind.spiking) as recorder:
        run(model)
    return recorder.record()


def watched(kind: Kind, model: nn.Module, run: Callable[[nn.Module], Any]) -> Record:
    """What `snnlens.watch` says of the one step of a run."""
    with snnlens.watch(model, PROBES, every=1, spiking=kind.spiking) as seen:
        run(model)
    assert seen.steps == 1
    assert seen.record is not None
    return seen.record


def checked(kind: Kind, model: nn.Module, x: Tensor) -> snnlens.Result:
    """What `snnlens.checkup` says."""
    return snnlens.checkup(model, x, spiking=kind.spiking)


def right(
    kind: Kind, x: Tensor, change: Callable[[nn.Module], Any] | None = None,
    *, wrap: Callable[[nn.Module], nn.Module] | None = None,
    around: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> int:  # fmt: skip
    """record and watch against the second way; how many numbers were compared.

    `change` is made to both networks; `wrap` only to the one that is looked at.
    """
    kind = kind if kind.images else replace(kind, steps=len(x))
    with around():
        found = kept(kind, kind.make(change), lambda model: train(model, x))
        change = change if wrap is None else wrap
        count = compare(recorded(kind, kind.make(change), lambda m: train(m, x)), found, kind)
        record = watched(kind, kind.make(change), lambda m: train(m, x))
    return count + compare(record, found, kind)


def right_everywhere(
    kind: Kind, x: Tensor, change: Callable[[nn.Module], Any] | None = None,
    *, wrap: Callable[[nn.Module], nn.Module] | None = None,
    around: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> tuple[int, snnlens.Result]:  # fmt: skip
    """record, watch, checkup and audit against the second way; and what the check-up said."""
    count = right(kind, x, change, wrap=wrap, around=around)
    kind = kind if kind.images else replace(kind, steps=len(x))
    with around():
        found = kept(kind, kind.make(change), lambda model: train(model, x))
        change = change if wrap is None else wrap
        result = checked(kind, kind.make(change), x)
        count += compare(result.record, found, kind)
        audit = snnlens.audit(kind.make(change), x, spiking=kind.spiking).table
    assert audit["equal"].all(), audit[~audit["equal"]]
    return count + len(audit), result


def codes(result: snnlens.Result) -> list[str]:
    """The codes of its findings."""
    return [f.code for f in result.findings]


# --- what a model was ----------------------------------------------------------------------------


def hooks_of(model: nn.Module) -> dict[str, list[Any]]:
    """Every hook on every module and tensor of a model, and who listens to its neurons."""
    found: dict[str, list[Any]] = {}
    for path, module in model.named_modules():
        for kind, value in vars(module).items():
            if kind.endswith("hooks") and value:
                found[f"{path} {kind}"] = [*value.values()]
        if isinstance(module, snnlens.IF | snnlens.LIF):
            found[f"{path} heard"] = [*module._counting, *module._listeners]
    for name, x in [*model.named_parameters(), *model.named_buffers()]:
        found[name] = [*(x._backward_hooks or {}).values()]
    return {name: value for name, value in found.items() if value}


def everything_of(model: nn.Module) -> dict[str, Any]:
    """What must be as before: bits, gradients, modes, hooks, attributes, random state."""
    state = {f"state {k}": v.detach().clone() for k, v in model.state_dict().items()}
    grads = {f"grad {n}": p.grad for n, p in model.named_parameters()}
    asks = {f"asks {n}": p.requires_grad for n, p in model.named_parameters()}
    modes = {f"mode {n}": m.training for n, m in model.named_modules()}
    names = {f"names {n}": sorted(vars(m)) for n, m in model.named_modules()}
    kinds = {f"class {n}": type(m) for n, m in model.named_modules()}
    return {**state, **grads, **asks, **modes, **names, **kinds, "hooks": hooks_of(model),
            "random": torch.get_rng_state(), "numpy": np.random.get_state()[1].copy(),  # type: ignore[index] # noqa: NPY002
            "threads": torch.get_num_threads()}  # fmt: skip


def assert_as_before(model: nn.Module, before: Mapping[str, Any]) -> None:
    """Everything is what it was, to the bit."""
    after = everything_of(model)
    assert list(after) == list(before)
    for name, value in before.items():
        now = after[name]
        if isinstance(value, Tensor):
            assert torch.equal(_bits(now), _bits(value)), name
        elif isinstance(value, np.ndarray):
            assert (now == value).all(), name
        else:
            assert now == value, name


def _bits(x: Tensor) -> Tensor:
    """NaN equals itself, and -0 is not 0."""
    return x.contiguous().reshape(-1).view(torch.uint8)
