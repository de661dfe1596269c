"""What is measured, part by part: each gives rows; run.py calls it in a process of its own."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial

import peers
import torch
from timing import in_turn, quartiles, ratio
from torch import Tensor, nn
from torch.nn import functional

import snnlens
from snnlens.neuron import kernels, memory
from snnlens.neuron.layers import IF
from snnlens.probes.firing_rate import FiringRate
from snnlens.probes.gradient_norm import GradientNorm
from snnlens.recording.probe import NEURONS
from snnlens.recording.recorder import Recorder

Row = dict[str, object]
Around = Callable[[], AbstractContextManager[object]]
SIZES = {4: (1 << 16, 1 << 20, 1 << 22), 16: (1 << 16, 1 << 18), 64: (1 << 16,)}
FRESH_SIZES = {4: (1 << 20, 1 << 22)}  # where glibc gives memory back: stated beside, no target
QUICK_SIZES = {4: (1 << 12,)}


def neurons(rounds: int, *, quick: bool, fresh: bool = False) -> list[Row]:
    """One layer, forward and forward with backward, with the graph and its memory."""
    rows = []
    chosen = QUICK_SIZES if quick else FRESH_SIZES if fresh else SIZES
    for steps, sizes in chosen.items():
        for size in sizes:
            for kind, detach in (("lif", False), ("lif", True), ("if", False)):
                rows += _layer(kind, steps, size, rounds, detach=detach)
    return rows


def _layer(kind: str, steps: int, size: int, rounds: int, *, detach: bool) -> list[Row]:
    x, grad = torch.randn(steps, size), torch.randn(steps, size)
    x.requires_grad_()
    layer = peers.ours(kind, detach=detach)
    made: dict[str, peers.Layer | None] = {"snnlens": layer}
    made |= {name: make(kind, detach=detach) for name, make in peers.PEERS.items()}
    runs: dict[str, Callable[[], object]] = {}
    for name, run in made.items():
        if run is not None:
            runs[f"{name} forward"] = _forward(run, x)
            runs[f"{name} both"] = _both(run, x, grad)
    runs |= {"reference both": _under_reference(layer, x, grad), "statistics both":
             _with_statistics(layer, x, grad)}  # fmt: skip
    out = torch.empty_like(grad)
    runs |= {"copy": lambda: out.copy_(grad), "add": lambda: torch.add(grad, x.detach(), out=out)}
    seconds = in_turn(runs, rounds)
    seconds["limit both"] = [a + b for a, b in zip(seconds["copy"], seconds["add"], strict=True)]
    seconds["limit forward"] = seconds["copy"]
    shared = {"kind": kind, "detach_reset": detach, "T": steps, "N": size,
              "megabytes": 4 * steps * size / 2**20}  # fmt: skip
    rows = []
    for which in ("forward", "both"):
        for name in [*made, "reference", "statistics", "limit"]:
            key = f"{name} {which}"
            if key in seconds:
                per = [1e9 * s / steps / size for s in seconds[key]]
                rows.append({**shared, "pass": which, "what": name, "ns": quartiles(per),
                             "over_snnlens": ratio(seconds, key, f"snnlens {which}")})  # fmt: skip
    return rows


def _forward(layer: peers.Layer, x: Tensor) -> Callable[[], object]:
    def run() -> None:
        with torch.no_grad():
            layer(x)

    return run


def _both(layer: peers.Layer, x: Tensor, grad: Tensor) -> Callable[[], object]:
    def run() -> None:
        spikes = layer(x)
        torch.autograd.grad(spikes, x, grad.reshape(spikes.shape))

    return run


def _under_reference(layer: peers.Layer, x: Tensor, grad: Tensor) -> Callable[[], object]:
    def run() -> None:
        with kernels.backend("reference"):
            _both(layer, x, grad)()

    return run


def _with_statistics(layer: nn.Module, x: Tensor, grad: Tensor) -> Callable[[], object]:
    def run() -> None:
        with layer.statistics({"spikes", "grad_spike_squared"}, lambda _: None):  # type: ignore[operator]
            _both(layer, x, grad)()

    return run


def calls(rounds: int, *, quick: bool) -> list[Row]:
    """A layer so small that only the call counts: 256 neurons, T = 4, forward and backward."""
    x, grad = torch.randn(4, 256, requires_grad=True), torch.randn(4, 256)
    many = 20 if quick else 200

    def often(layer: peers.Layer) -> Callable[[], object]:
        one = _both(layer, x, grad)
        return lambda: [one() for _ in range(many)]

    class Nothing(torch.autograd.Function):
        """What an autograd.Function costs by itself."""

        @staticmethod
        def forward(ctx: object, x: Tensor) -> Tensor:
            return torch.empty_like(x)

        @staticmethod
        def backward(ctx: object, grad: Tensor) -> Tensor:
            return torch.empty_like(grad)

    made = {"snnlens": peers.ours("lif", detach=False), "an empty Function": Nothing.apply}
    made |= {name: make("lif", detach=False) for name, make in peers.PEERS.items()}
    seconds = in_turn({n: often(layer) for n, layer in made.items()}, rounds)
    return [{"what": n, "microseconds": quartiles([1e6 * s / many for s in seconds[n]]),
             "over_snnlens": ratio(seconds, n, "snnlens")} for n in made]  # fmt: skip


class NeuronRate(FiringRate):
    """At neurons only: all of it comes from the kernel."""

    roles = NEURONS


class NeuronGradient(GradientNorm):
    """At neurons only."""

    roles = NEURONS


NETWORKS = {"SEW-18 64 px B 4": (18, 64, 4), "SEW-152 32 px B 2": (152, 32, 2)}
QUICK_NETWORKS = {"SEW-18 32 px B 2": (18, 32, 2)}


def recording(rounds: int, *, quick: bool) -> list[Row]:
    """Forward and backward of a network, bare and recorded; hooks are put on before the clock."""
    rows = []
    for name, (depth, size, batch) in (QUICK_NETWORKS if quick else NETWORKS).items():
        model = snnlens.resnet(depth, classes=10, seed=0)
        x, y = _images(batch, size)
        recorders: dict[str, Around] = {
            "bare": nullcontext,
            "statistics inside": partial(Recorder, model, [NeuronRate(), NeuronGradient()]),
            "all sites": partial(Recorder, model, [FiringRate(), GradientNorm()]),
        }
        runs = {n: _pass(model, x, y, around) for n, around in recorders.items()}
        seconds = in_turn(runs, rounds)
        rows += [{"network": name, "what": n, "over_bare": ratio(seconds, n, "bare"),
                  "seconds": quartiles(seconds[n])} for n in runs]  # fmt: skip
    return rows


def _images(batch: int, size: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, 3, size, size, generator=generator).requires_grad_()
    return x, torch.randint(10, (batch,), generator=generator)


def _pass(model: nn.Module, x: Tensor, y: Tensor, around: Around) -> Callable[[], float]:
    def run() -> float:
        model.zero_grad(set_to_none=True)
        with around():
            begin = time.perf_counter()
            functional.cross_entropy(model(x), y).backward()
            return time.perf_counter() - begin

    return run


def networks(rounds: int, *, quick: bool) -> list[Row]:
    """SEW-18 at 224 px against SpikingJelly's, on equal weights; exact, frozen, short."""
    from tests.parity.jelly import load, twin_of

    library = load()
    depth, size, batch = (18, 32, 2) if quick else (18, 224, 2)
    model = snnlens.resnet(depth, classes=10, seed=0, neuron=IF())
    short = snnlens.resnet(depth, classes=10, seed=0, neuron=IF())
    short.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    twin = twin_of(library, model)
    x, y = _images(batch, size)

    def jelly() -> None:
        library.functional.reset_net(twin)
        twin.requires_grad_(True).zero_grad(set_to_none=True)
        # its forward repeats a static image by itself
        functional.cross_entropy(twin(x.unsqueeze(0).expand(4, *x.shape)).mean(0), y).backward()

    def mine(net: nn.Module, *, weights: bool, half: bool) -> Callable[[], None]:
        def run() -> None:
            net.requires_grad_(weights).zero_grad(set_to_none=True)
            given = x.contiguous(memory_format=torch.channels_last) if half else x
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                loss = functional.cross_entropy(net(given), y)
            loss.backward()

        return run

    runs = {
        "SpikingJelly": jelly,
        "exact": mine(model, weights=True, half=False),
        "exact, no weight gradients": mine(model, weights=False, half=False),
        "channels-last, bfloat16": mine(short, weights=True, half=True),
        "channels-last, bfloat16, no weight gradients": mine(short, weights=False, half=True),
    }
    seconds = in_turn(runs, rounds)
    name = f"SEW-{depth} {size} px B {batch}"
    return [{"network": name, "what": n, "jelly_over_it": ratio(seconds, "SpikingJelly", n),
             "seconds": quartiles(seconds[n])} for n in runs]  # fmt: skip


def peak(what: str, *, quick: bool) -> list[Row]:
    """Peak of resident memory over what lies there before the pass; one network in a process."""
    depth, size, batch = (18, 32, 2) if quick else (152, 224, 4)
    model: nn.Module = snnlens.resnet(depth, classes=10, seed=0, neuron=IF())
    x, y = _images(batch, size)
    library = None
    if what == "SpikingJelly":
        from tests.parity.jelly import load, twin_of

        library = load()
        model = twin_of(library, model)  # type: ignore[arg-type]
        x = x.detach().unsqueeze(0).expand(4, *x.shape)
    with ExitStack() as stack:
        if what == "bfloat16":
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            stack.enter_context(torch.autocast("cpu", torch.bfloat16))
        if what == "lean":
            stack.enter_context(memory.lean(model))
        if what == "checkpoint":
            blocks = [b for _, b in model.blocks()]  # type: ignore[operator]
            stack.enter_context(memory.checkpointed(blocks))
        for p in model.parameters():
            p.grad = torch.zeros_like(p)  # weights and their gradients lie there before
        before = _resident()
        out = model(x)
        loss = functional.cross_entropy(out.mean(0) if library else out, y)
    loss.backward()
    network = f"SEW-{depth} {size} px B {batch}"
    megabytes = {"megabytes": (_peak() - before) / 2**20, "before_megabytes": before / 2**20}
    return [{"network": network, "what": what} | megabytes]


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * resource.getpagesize()


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
