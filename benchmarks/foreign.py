"""Recording somebody else's model: SpikingJelly's sew_resnet18, beside other recorders of it."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from timing import in_turn, quartiles, ratio
from torch import Tensor, nn
from torch.nn import functional

import snnlens
from snnlens import registry
from snnlens.experiments.checkup import CHEAP
from snnlens.recording.recorder import Recorder

Row = dict[str, object]
Around = Callable[[], AbstractContextManager[object]]
EVERY = 16
RATES = ("firing_rate", "gradient_norm")


def foreign(rounds: int, *, quick: bool) -> list[Row]:
    """Forward and backward, T = 4, 64 px: bare, recorded, watched; other recorders beside."""
    size, batch = (32, 2) if quick else (64, 8)
    jelly, model = _jelly()
    x = torch.randn(4, batch, 3, size, size)
    y = torch.randint(10, (batch,))

    def step() -> None:
        jelly.functional.reset_net(model)
        model.zero_grad(set_to_none=True)
        functional.cross_entropy(model(x).mean(0), y).backward()

    cases: dict[str, Around] = {
        "bare": nullcontext,
        "rates and gradients": lambda: _recorder(model, RATES),
        "all cheap probes": lambda: _recorder(model, CHEAP),
        "SpikingJelly's monitors": lambda: _monitors(jelly, model),
    }
    runs: dict[str, Callable[[], object]] = {n: _under(a, step) for n, a in cases.items()}
    seconds = in_turn(runs | _torchlens(model, x), rounds)
    rows = [{"what": n, "over_bare": ratio(seconds, n, "bare"), "seconds": quartiles(seconds[n])}
            for n in seconds]  # fmt: skip
    return rows + _watched(model, step, 1 if quick else 3) + _memory(model, jelly, quick=quick)


def _jelly() -> tuple[Any, nn.Module]:
    from tests.parity.jelly import load

    jelly = load()
    torch.manual_seed(0)
    model = jelly.sew.sew_resnet18(
        cnf="ADD", spiking_neuron=jelly.neuron.IFNode, num_classes=10,
        surrogate_function=jelly.surrogate.ATan(), detach_reset=True,
    )  # fmt: skip
    jelly.functional.set_step_mode(model, "m")
    return jelly, model


def _recorder(model: nn.Module, names: Sequence[str]) -> Recorder:
    return Recorder(model, [registry.plugin("probes", name)() for name in names])


def _under(around: Around, step: Callable[[], None]) -> Callable[[], float]:
    import time

    def run() -> float:
        with around():  # hooks are put on before the clock, and taken off after it
            begin = time.perf_counter()
            step()
            return time.perf_counter() - begin

    return run


@contextmanager
def _monitors(jelly: Any, model: nn.Module) -> Iterator[None]:
    """Its own way to rates and gradients: every spike and every gradient, reduced in the hook."""
    monitor = _monitor_module()
    kinds = jelly.neuron.BaseNode
    made = [
        monitor.OutputMonitor(model, kinds, lambda s: s.mean()),
        monitor.GradOutputMonitor(model, kinds, lambda g: g.norm()),
    ]
    try:
        yield
    finally:
        for one in made:
            one.remove_hooks()


def _monitor_module() -> Any:
    """It wants TensorBoard for a writer that nothing here uses: a stub where that is missing."""
    stub: Any = types.ModuleType("torch.utils.tensorboard")
    stub.SummaryWriter = None
    sys.modules.setdefault("torch.utils.tensorboard", stub)
    from spikingjelly.activation_based import monitor

    return monitor


def _torchlens(model: nn.Module, x: Tensor) -> dict[str, Callable[[], object]]:
    """A whole trace of the forward pass, if TorchLens is installed (GPL: no dependency)."""
    try:
        import torchlens
    except ImportError:
        return {}
    return {"TorchLens (forward only)": lambda: torchlens.trace(model, x)}


def _watched(model: nn.Module, step: Callable[[], None], rounds: int) -> list[Row]:
    """So many steps with `snnlens.watch`, over as many without."""

    def steps() -> None:
        for _ in range(EVERY):
            step()

    def watching() -> None:
        with snnlens.watch(model, RATES, every=EVERY):
            steps()

    seconds = in_turn({"bare": steps, "watch": watching}, rounds)
    return [{"what": f"watch, every={EVERY}", "over_bare": ratio(seconds, "watch", "bare"),
             "seconds": quartiles([s / EVERY for s in seconds["watch"]])}]  # fmt: skip


def _memory(model: nn.Module, jelly: Any, *, quick: bool) -> list[Row]:
    """Bytes of the recorder's own numbers after 1 and many batches, and at T = 4 and 64."""
    rows = []
    for steps, batches in ((4, 1), (4, 5 if quick else 200), (8 if quick else 64, 1)):
        recorder = _recorder(model, RATES)
        with recorder:
            for _ in range(batches):
                jelly.functional.reset_net(model)
                model(torch.randn(steps, 1, 3, 32, 32)).sum().backward()
        recorder.ledger.settle()
        held = sum(t.numel() * t.element_size() for s in recorder.ledger.sums.values()
                   for t in s.values())  # fmt: skip
        rows.append({"what": f"held: T = {steps}, {batches} batches", "bytes": held})
    return rows
