"""Conversion: the parallel neuron beside the sequential one, alone and behind a linear layer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import torch
from timing import Seconds, in_turn, ratio
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from snnlens.neuron import kernels, parallel
from snnlens.neuron.layers import IF
from snnlens.neuron.parallel import ParallelIF, added, count

Row = dict[str, object]
Cases = dict[str, Callable[[], object]]
THETA = 1.0
BASE = "sequential, eager"  # plain PyTorch step by step, as the authors time it
KERNEL, FOLDED = "sequential, C", "sequential, folded, C"
NEURONS, STEPS = (1 << 12, 1 << 18), (4, 16, 32, 64)
WIDTH, BATCHES, LAYER_STEPS = 2048, (1, 16, 32), (2, 4, 8, 16, 32, 64)
WINDOW = 0.1  # seconds of each case in each round
TARGETS = {  # of the speed against BASE: neurons or batch, T, what
    (1 << 18, 4, "count, C"): 5.0,
    (1 << 18, 16, "count, C"): 5.0,
    (1 << 18, 64, "count, C"): 3.0,
    (1, 4, "sum first"): 3.5,
    (1, 16, "sum first"): 10.0,
    (1, 32, "sum first"): 13.0,
    (16, 32, "sum first"): 18.0,
}


def conversion(rounds: int, *, quick: bool) -> list[Row]:
    """One neuron layer by every form; then a linear layer of 2,048 x 2,048 before it."""
    sizes, steps = ((1 << 10,), (4,)) if quick else (NEURONS, STEPS)
    batches, layer_steps = ((1,), (4,)) if quick else (BATCHES, LAYER_STEPS)
    torch.manual_seed(0)
    linear = nn.Linear(WIDTH, WIDTH)
    with torch.no_grad():
        alone = [row for n in sizes for t in steps for row in _neuron(t, n, rounds)]
        behind = [row for b in batches for t in layer_steps for row in _layer(linear, t, b, rounds)]
    return alone + behind


def _neuron(steps: int, neurons: int, rounds: int) -> Iterator[Row]:
    """Currents [T, N] to spikes or counts."""
    x = torch.randn(steps, neurons) + 0.3
    layer, sequential = ParallelIF(THETA), _sequential_layer()
    cases: Cases = {
        BASE: lambda: _sequential(x),
        KERNEL: lambda: sequential(x),
        "matrix": lambda: parallel.matrix(x, THETA),
        "rows": lambda: parallel.rows(added(x), THETA, steps),
        "search": lambda: parallel.search(added(x), THETA, steps),
        "count": _in_pytorch(lambda: layer.counts(x)),
        "count, C": lambda: layer.counts(x),
        "train": _in_pytorch(lambda: layer(x)),
        "train, C": lambda: layer(x),
    }
    seconds = _seconds(cases, rounds)
    for what, case in cases.items():
        yield {"layer": "neuron", "neurons": neurons, "batch": 1, "T": steps, "what": what,
               **_speed(seconds, what, KERNEL), "target": TARGETS.get((neurons, steps, what), ""),
               "bytes_a_neuron": _most_bytes(case) / neurons}  # fmt: skip


def _layer(linear: nn.Linear, steps: int, batch: int, rounds: int) -> Iterator[Row]:
    """Spikes [T, B, 2048] of the layer before to spikes, or to the counts that stand for them."""
    spikes = (torch.rand(steps, batch, WIDTH) < 0.2).float()
    layer, sequential = ParallelIF(THETA), _sequential_layer()

    def sum_first() -> Tensor:
        return count(linear(spikes.mean(0)) * steps, THETA, steps)

    cases: Cases = {
        BASE: lambda: _sequential(spikes, linear),
        FOLDED: lambda: sequential(linear(spikes)),
        "folded": lambda: layer(linear(spikes)),
        "sum first": sum_first,
    }
    seconds = _seconds(cases, rounds)
    for what, case in cases.items():
        yield {"layer": "linear, neuron", "neurons": WIDTH, "batch": batch, "T": steps,
               "what": what, **_speed(seconds, what, FOLDED),
               "target": TARGETS.get((batch, steps, what), ""),
               "bytes_a_neuron": _most_bytes(case) / (batch * WIDTH)}  # fmt: skip


def _sequential(x: Tensor, linear: nn.Linear | None = None) -> list[Tensor]:
    """Each step by itself: the product with the weights, if any, and the IF neuron."""
    v, spikes = torch.full_like(x[0], THETA / 2), []
    for current in x:
        v = v + (current if linear is None else linear(current))
        spike = (v >= THETA).to(v.dtype) * THETA
        v = v - spike
        spikes.append(spike)
    return spikes


def _sequential_layer() -> IF:
    return IF(THETA, reset="soft", initial_potential=THETA / 2)


def _in_pytorch(call: Callable[[], object]) -> Callable[[], object]:
    def run() -> None:
        with kernels.backend("reference"):
            call()

    return run


def _seconds(cases: Cases, rounds: int) -> Seconds:
    """Of one call, each case called for as long as the others: other programs disturb all alike."""

    def often(case: Callable[[], object]) -> Callable[[], float]:
        def run() -> float:
            begin, calls, taken = time.perf_counter(), 0, 0.0
            while taken < WINDOW:
                case()
                calls, taken = calls + 1, time.perf_counter() - begin
            return taken / calls

        return run

    return in_turn({name: often(case) for name, case in cases.items()}, rounds)


def _speed(seconds: Seconds, what: str, kernel: str) -> Row:
    """How many times as fast as the eager loop, and as the IF kernel."""
    return {"speed": ratio(seconds, BASE, what), "over_if_kernel": ratio(seconds, kernel, what)}


def _most_bytes(case: Callable[[], object]) -> int:
    """The most bytes that a call holds at one time, what it gives back included."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        case()
    held = most = 0
    for event in found.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    return most
