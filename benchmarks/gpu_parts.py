"""What gpu.py measures: each part yields its rows as it finds them, and stops where it is told."""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from timing import Seconds, in_turn, quartiles, ratio
from torch import Tensor, nn
from torch.nn import functional

import snnlens
from snnlens.api import DEFAULT_PROBES
from snnlens.neuron import kernels, statistics
from snnlens.neuron.kernels import reference
from snnlens.neuron.layers import IF, LIF, PLIF, Neuron

Row = dict[str, Any]
Case = Callable[[], object]
ROOT = Path(__file__).parents[1]
WINDOW = 0.004  # seconds of each case in each round, at least one call
NOTES = {
    "correct": "Our CUDA kernel against the reference on the CPU, currents on a lattice that meets "
    "the threshold (`ties`) or not. Columns: how many numbers differ in any bit.",
    "probes": "Every probe on a SEW-18, recorded on the device and on the CPU: the largest "
    "difference of any number of its table, relative to the column's largest. In float32 spikes "
    "flip where convolutions add in another order.",
    "kernels": "One layer, forward and backward. `x_slower`: time over snnlens' of one round. "
    "`of_copy`: the least traffic (X, S; X, dL/dS, dL/dX) per second, over that of `copy_`.",
    "gradients": "`snnlens gradients --depth 152 --device cuda` and the committed run on a CPU: "
    "the largest relative difference of each column over all blocks.",
    "networks": "SEW ResNets, T = 4, forward and backward, equal weights; `x_slower` than snnlens.",
    "conversion": "One pass of a converted network without gradients. `speed`: how many times as "
    "fast as the eager loop over steps (the authors' way). `launches`: GPU kernels of a call, "
    "`busy`: the share of its time in which the GPU computes (measured with the profiler on).",
    "commands": "Each command once with `--device`; its exit code, and the last line where it is "
    "not 0 or 1.",
    "sweep": "`snnlens degradation` on digits: seconds an epoch, and the losses of the last one.",
}


@dataclass(frozen=True)
class Setting:
    """Where, how much, and until when."""

    device: str
    quick: bool
    end: float  # time.monotonic()

    def is_over(self) -> bool:
        """Whether the time of the part is up."""
        return time.monotonic() > self.end

    @property
    def cuda(self) -> bool:
        """Whether it is the real thing."""
        return self.device.startswith("cuda")

    @property
    def rounds(self) -> int:
        """Of each measurement."""
        return 2 if self.quick else 9


def machine(device: str) -> Row:
    """The device, its driver, and Triton."""
    try:
        triton = importlib.import_module("triton").__version__
    except ImportError:
        triton = "not installed"
    if not device.startswith("cuda"):
        return {"device": device, "driver": "none", "triton": triton}
    asked = [
        "nvidia-smi",
        "--query-gpu=driver_version,clocks.sm,clocks.mem",
        "--format=csv,noheader",
    ]
    try:
        driver = subprocess.run(
            asked, capture_output=True, text=True, check=True, timeout=20
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        driver = str(error)
    return {"device": torch.cuda.get_device_name(), "driver": driver.strip(), "triton": triton,
            "tf32": torch.backends.cudnn.allow_tf32}  # fmt: skip


def free(setting: Setting) -> None:
    """Give back what a part held."""
    gc.collect()
    if setting.cuda:
        torch.cuda.empty_cache()


# --- measuring ------------------------------------------------------------------------------------


def seconds_of(cases: Mapping[str, Case], setting: Setting) -> tuple[Seconds, dict[str, str]]:
    """Seconds a call of each case in each round, and why some cases cannot run."""
    runs, failed = {}, {}
    for name, case in cases.items():
        try:
            runs[name] = _often(case, setting)
        except Exception as error:  # noqa: BLE001 - a row that says why
            failed[name] = f"{type(error).__name__}: {error}".replace("\n", " ")[:200]
    return in_turn(runs, setting.rounds), failed


def _often(case: Case, setting: Setting) -> Callable[[], float]:
    """The case, so often that a window is filled; it gives the seconds of one call."""
    for _ in range(3):
        taken = _timed(case, 1, setting)
    calls = max(1, min(200, int(WINDOW / max(taken, 1e-6))))
    return lambda: _timed(case, calls, setting)


def _timed(case: Case, calls: int, setting: Setting) -> float:
    if isinstance(case, Jelly):
        case.ready()
    if not setting.cuda:
        begin = time.perf_counter()
        for _ in range(calls):
            case()
        return (time.perf_counter() - begin) / calls
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    begin.record()  # type: ignore[no-untyped-call]
    for _ in range(calls):
        case()
    end.record()  # type: ignore[no-untyped-call]
    end.synchronize()
    return float(begin.elapsed_time(end)) / 1e3 / calls


def times(seconds: Seconds, what: str, base: str) -> Row:
    """Milliseconds, and how much slower than the base: one where it is the base."""
    return {"ms": quartiles([1e3 * s for s in seconds[what]]),
            "x_slower": ratio(seconds, what, base)}  # fmt: skip


# --- SpikingJelly ---------------------------------------------------------------------------------


@cache
def jelly() -> Any:
    """SpikingJelly's modules."""
    from tests.parity.jelly import load

    return load()


def jelly_runs(implementation: str, device: str) -> str:
    """Make SpikingJelly's neurons run in `triton` or `torch`; what they really take."""
    taken = ""
    for kind in ("if_", "lif", "plif"):
        selection = importlib.import_module(f"spikingjelly._ops.{kind}")._selection
        selection._requested = implementation
        selection._selections.clear()
        if device.startswith("cuda"):
            taken = selection.diagnostics(torch.device(device))["implementation"]
    return str(taken)


@dataclass(frozen=True)
class Jelly:
    """A case under one of SpikingJelly's implementations, chosen before the clock runs."""

    implementation: str
    device: str
    case: Case

    def ready(self) -> None:
        """Choose it."""
        jelly_runs(self.implementation, self.device)

    def __call__(self) -> object:
        return self.case()


def jelly_layer(kind: str, reset: str) -> nn.Module:
    """SpikingJelly's layer of that rule, multi-step."""
    library = jelly()
    common = {"v_reset": 0.0 if reset == "hard" else None, "detach_reset": False, "step_mode": "m",
              "surrogate_function": library.surrogate.ATan()}  # fmt: skip
    made: nn.Module
    if kind == "if":
        made = library.neuron.IFNode(**common)
    elif kind == "lif":
        made = library.neuron.LIFNode(tau=2.0, **common)
    else:
        made = library.neuron.ParametricLIFNode(init_tau=2.0, **common)
    return made


def our_layer(kind: str, reset: Any) -> Neuron:
    """Ours of that rule."""
    if kind == "if":
        return IF(reset=reset, detach_reset=False)
    if kind == "lif":
        return LIF(2.0, reset=reset, detach_reset=False)
    return PLIF(2.0, reset=reset, detach_reset=False)


# --- right or wrong -------------------------------------------------------------------------------


def correct(setting: Setting) -> Iterator[Row]:
    """Bits of the kernel against the reference on the CPU, for every kind of neuron."""
    neurons = 1000 if setting.quick else 1_000_000
    if setting.cuda:
        yield {"neuron": "compiled side by side", "seconds": compiled(setting)}
    for steps, dtype, rule, ties in _rules()[:: 12 if setting.quick else 1]:
        said = {"neuron": rule.charge, "tau": rule.tau_steps, "reset": rule.reset,
                "decay_input": rule.decay_input if rule.leaks() else "",
                "detach": rule.detach_reset, "T": steps, "dtype": _short(dtype),
                "neurons": neurons}  # fmt: skip
        yield said | _differing(rule, steps, neurons, dtype, ties=ties, setting=setting)


def _rules() -> list[tuple[int, torch.dtype, kernels.Rule, bool]]:
    """T, dtype, rule, and whether currents meet the threshold."""
    from tests.unit.neuron.kernels.rules import CHARGES

    dtypes = (torch.float32, torch.bfloat16)
    places = itertools.product((4, 16), dtypes, ("hard", "soft"), enumerate(CHARGES))
    return [
        (steps, dtype,
         kernels.Rule(**charge, reset=reset, detach_reset=bool((k + steps // 16) % 2)), k % 2 == 0)
        for steps, dtype, reset, (k, charge) in places
    ]  # fmt: skip


def _differing(
    rule: kernels.Rule,
    steps: int,
    neurons: int,
    dtype: torch.dtype,
    *,
    ties: bool,
    setting: Setting,
) -> Row:
    from tests.unit.neuron.kernels.rules import BACKWARD, FORWARD, numbers, rate_of

    x, grad, v = numbers((steps, neurons), steps, dtype, ties=ties)
    rate, bins = rate_of(rule), statistics.Bins(lowest=-1.1, width=0.15, count=24)
    ours: Any = _our_backend(setting)
    there = [None if y is None else y.to(setting.device) for y in (x, v, rate, grad)]
    asked: Any = {"wanted": FORWARD, "bins": bins, "last": True}
    got = ours.forward(there[0], there[1], rule, there[2], **asked)
    got_back = ours.backward(there[3], there[0], there[1], rule, there[2], wanted=BACKWARD)
    want = reference.forward(x, v, rule, rate, **asked)
    want_back = reference.backward(grad, x, v, rule, rate, wanted=BACKWARD)
    names = ("spikes", "last_v", "counts")
    found: Row = {n: _unlike(g, w) for n, g, w in zip(names, got, want, strict=False)}
    found["grad_x"] = _unlike(got_back[0], want_back[0])
    found["sums_off"] = max(_off(got[3], want[3]), _off(got_back[2], want_back[2]))
    found["grad_rate_off"] = _off(got_back[1], want_back[1]) if rate is not None else ""
    return {"ties": ties} | found


def _our_backend(setting: Setting) -> Any:
    return kernels._fast("cuda" if setting.cuda else "cpu")


def _unlike(got: Tensor, want: Tensor) -> int:
    """How many numbers differ; -0 is 0, and NaN is itself."""
    got = got.cpu()
    if got.dtype != want.dtype or got.shape != want.shape:
        return -1
    return int(((got != want) & ~((got != got) & (want != want))).sum())  # noqa: PLR0124


def _off(got: Tensor, want: Tensor) -> float:
    """The largest difference, relative to the largest number."""
    if not want.numel():
        return 0.0
    got, want = got.detach().cpu().double(), want.detach().double()
    return float((got - want).abs().max() / want.abs().max().clamp(min=1e-300))


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def probes(setting: Setting) -> Iterator[Row]:
    """Each probe's table of one pass, from the device and from the CPU."""
    names = sorted(p.stem for p in (ROOT / "snnlens/probes").glob("[a-z]*.py"))
    names = names[:4] if setting.quick else names
    kept = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        here = {d: _tables(names, "cpu", d) for d in (torch.float64, torch.float32)}
        for name in names:
            row: Row = {"probe": name}
            for dtype, tables in here.items():
                try:
                    row |= _compared(name, tables.get(name), dtype, setting)
                except Exception as error:  # noqa: BLE001 - a row that says why
                    row[f"{_short(dtype)} failed"] = f"{type(error).__name__}: {error}"[:200]
            yield row
    finally:
        torch.backends.cudnn.allow_tf32 = kept


def _compared(name: str, here: pd.DataFrame | None, dtype: torch.dtype, setting: Setting) -> Row:
    begin, kind = time.perf_counter(), _short(dtype)
    there = _tables([name], setting.device, dtype).get(name)
    taken = {f"{kind} s": time.perf_counter() - begin}
    if here is None or there is None:
        return taken | {kind: f"table on the CPU: {here is not None}, there: {there is not None}"}
    off = {c: _relative(there[c], here[c]) for c in here.select_dtypes("number").columns}
    worst = max(off, key=lambda c: off[c])
    return taken | {"rows": len(here), kind: off[worst], f"{kind} in": worst}


def _tables(names: list[str], device: str, dtype: torch.dtype) -> Mapping[str, pd.DataFrame]:
    """What the probes keep of a forward and backward pass of a SEW-18."""
    from snnlens.recording.recorder import Recorder
    from snnlens.registry import plugin

    model = snnlens.resnet(18, classes=10, seed=0, time_steps=4)
    ends = model.plan.area_ends()
    made = [plugin("probes", n)(*[ends] * (n == "pattern_gram")) for n in names]
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 32, 32, generator=generator, dtype=torch.float64).to(dtype)
    model, x = model.to(dtype).to(device), x.to(device).requires_grad_()
    y = torch.arange(2, device=device)
    with Recorder(model, made) as recorder:
        functional.cross_entropy(model(x), y).backward()
    return recorder.record().tables


def _relative(got: pd.Series, want: pd.Series) -> float:
    """The largest difference, relative to the largest number; as it is where all are 0."""
    if len(got) != len(want):
        return float("inf")
    got, want = got.astype(float), want.astype(float)
    scale = float(want.abs().max())
    difference = (got - want).abs().where(~(got.isna() & want.isna()), 0.0)
    return float(difference.max()) / (scale if scale > 0 else 1.0)


# --- one layer ------------------------------------------------------------------------------------


def _layers(setting: Setting) -> list[tuple[str, str, int, str, int]]:
    """Kind, reset, T, dtype, megabytes of X: what is compiled is small, what is timed is large."""
    if setting.quick:
        return [("lif", "hard", 4, "float32", 1), ("plif", "soft", 16, "bfloat16", 1)]
    kinds = list(itertools.product(("if", "lif", "plif"), ("hard", "soft")))
    first = [(*kind, 4, "float32", mb) for mb in (256, 64, 16) for kind in kinds]
    longer = [("lif", "hard", t, d, mb) for t in (16, 64) for d in ("float32", "bfloat16")
              for mb in (256, 64, 16)]  # fmt: skip
    short = [(*kind, 4, "bfloat16", mb) for mb in (256, 64, 16) for kind in kinds]
    soft = [("if", "soft", t, "float32", mb) for t in (16, 64) for mb in (256, 64, 16)]
    return [*first, *longer, *short, *soft]


def warm(setting: Setting, share: str) -> None:
    """Compile a share of what is measured: Triton keeps it on disk for all processes."""
    number, of = map(int, share.split("/"))
    for steps, dtype, rule, ties in _rules()[number::of]:
        with contextlib.suppress(Exception):
            _differing(rule, steps, 1 << 10, dtype, ties=ties, setting=setting)
    wanted = list(dict.fromkeys(layer[:4] for layer in _layers(setting)))
    for kind, reset, steps, dtype in wanted[number::of]:
        cases, _ = _cases(kind, reset, (steps, 1 << 12), getattr(torch, dtype), setting)
        for name, case in cases.items():
            if name not in ("copy", "reference", "SpikingJelly, torch"):
                with contextlib.suppress(Exception):
                    _timed(case, 1, setting)


def compiled(setting: Setting) -> float:
    """Seconds in which other processes compiled all layers, side by side."""
    begin, many = time.monotonic(), min(12, os.cpu_count() or 1)
    command = [sys.executable, __file__.replace("gpu_parts", "gpu"), "--device", setting.device]
    running = [
        subprocess.Popen([*command, "--warm", f"{k}/{many}"], stderr=subprocess.DEVNULL)
        for k in range(many)
    ]
    for process in running:
        try:
            process.wait(max(1.0, 45.0 - (time.monotonic() - begin)))
        except subprocess.TimeoutExpired:
            process.kill()
    return time.monotonic() - begin


def _cases(
    kind: str, reset: str, shape: tuple[int, int], dtype: torch.dtype, setting: Setting
) -> tuple[dict[str, Case], Tensor]:
    """Forward and backward of each, with the gradient of PLIF's tau."""
    x = torch.randn(shape, device=setting.device).to(dtype).requires_grad_()
    grad = torch.randn(shape, device=setting.device).to(dtype)
    out = torch.empty_like(grad)
    ours, theirs = our_layer(kind, reset), jelly_layer(kind, reset)
    ours, theirs = ours.to(setting.device), theirs.to(setting.device)

    def both(layer: Any) -> Case:
        wanted = [x, *layer.parameters()]

        def run() -> object:
            if layer is theirs:
                layer.reset()
            return torch.autograd.grad(layer(x), wanted, grad)

        return run

    def slow() -> object:
        with kernels.backend("reference"):
            return both(ours)()

    device, their = setting.device, both(theirs)
    return {"snnlens": both(ours), "SpikingJelly, triton": Jelly("triton", device, their),
            "SpikingJelly, torch": Jelly("torch", device, their), "reference": slow,
            "copy": lambda: out.copy_(grad)}, x  # fmt: skip


def layer_rows(layer: tuple[str, str, int, str, int], setting: Setting) -> Iterator[Row]:
    """The rows of one layer."""
    kind, reset, steps, name, megabytes = layer
    dtype = getattr(torch, name)
    size = dtype.itemsize * steps
    cases, x = _cases(kind, reset, (steps, megabytes * 2**20 // size), dtype, setting)
    seconds, failed = seconds_of(cases, setting)
    said = {"neuron": kind, "reset": reset, "T": steps, "dtype": name, "megabytes": megabytes}
    moved = [5 * x.nbytes, 2 * x.nbytes]
    for what in cases:
        if what in failed:
            yield said | {"what": what, "failed": failed[what]}
            continue
        row = said | {"what": what} | times(seconds, what, "snnlens")
        if what == "copy":
            row["gb_per_s"] = quartiles([moved[1] / s / 1e9 for s in seconds[what]])
        else:
            pairs = zip(seconds[what], seconds["copy"], strict=True)
            row["of_copy"] = quartiles([moved[0] / s / (moved[1] / c) for s, c in pairs])
        yield row


def layers(setting: Setting) -> Iterator[Row]:
    """Every layer, the large ones first."""
    for layer in _layers(setting):
        yield from layer_rows(layer, setting)


# --- networks -------------------------------------------------------------------------------------


def networks(setting: Setting) -> Iterator[Row]:
    """SEW ResNets: ours bare, recorded and short; SpikingJelly's in Triton and in PyTorch."""
    sizes = [(18, 32, 2)] if setting.quick else [(18, 224, 8), (50, 224, 8), (152, 224, 4)]
    for depth, size, batch in sizes:
        try:
            yield from _network(depth, size, batch, setting)
        except Exception as error:  # noqa: BLE001 - the next one may fit
            yield {"network": f"SEW-{depth}", "failed": f"{type(error).__name__}: {error}"[:300]}
        free(setting)


def _network(depth: int, size: int, batch: int, setting: Setting) -> Iterator[Row]:
    from tests.parity.jelly import twin_of

    model = snnlens.resnet(depth, classes=1000, seed=0, neuron=IF())
    twin, device = twin_of(jelly(), model).to(setting.device), setting.device
    model = model.to(device)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, 3, size, size, generator=generator).to(device)
    y = torch.randint(1000, (batch,), generator=generator).to(device)
    cases = _passes(model, twin, x, y, setting)
    seconds, failed = seconds_of(cases, setting)
    for what, case in cases.items():
        said = {"network": f"SEW-{depth} {size} px B {batch}", "what": what}
        if what in failed:
            yield said | {"failed": failed[what]}
        else:
            yield said | times(seconds, what, "snnlens") | _peak(case, model, twin, setting)


def _passes(
    model: nn.Module, twin: nn.Module, x: Tensor, y: Tensor, setting: Setting
) -> dict[str, Case]:
    from parts import NeuronGradient, NeuronRate

    from snnlens.recording.recorder import Recorder

    device = x.device.type

    def ours(probes: list[Any] | None = None, *, half: bool = False) -> Case:
        def run() -> object:
            model.zero_grad(set_to_none=True)
            watching: Any = Recorder(model, probes) if probes else contextlib.nullcontext()
            with watching:
                with torch.autocast(device, torch.bfloat16, enabled=half):
                    loss = functional.cross_entropy(model(x), y)
                loss.backward()
            return None

        return run

    def theirs() -> object:
        jelly().functional.reset_net(twin)
        twin.zero_grad(set_to_none=True)
        out = twin(x.unsqueeze(0).expand(4, *x.shape))
        return functional.cross_entropy(out.mean(0), y).backward()

    return {
        "snnlens": ours(),
        "snnlens, recorded (neurons)": ours([NeuronRate(), NeuronGradient()]),
        "snnlens, recorded (all sites)": ours(list(map(_probe, DEFAULT_PROBES))),
        "snnlens, bfloat16": ours(half=True),
        "SpikingJelly, triton": Jelly("triton", setting.device, theirs),
        "SpikingJelly, torch": Jelly("torch", setting.device, theirs),
    }


def _probe(name: str) -> Any:
    from snnlens.registry import plugin

    return plugin("probes", name)()


def _peak(case: Case, model: nn.Module, twin: nn.Module, setting: Setting) -> Row:
    """The most memory of a pass, over what lies there before: weights, and images."""
    if not setting.cuda:
        return {}
    for net in (model, twin):
        net.zero_grad(set_to_none=True)
    jelly().functional.reset_net(twin)
    free(setting)
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    _timed(case, 1, setting)
    return {"peak_mb": (torch.cuda.max_memory_allocated() - before) / 2**20}


# --- conversion -----------------------------------------------------------------------------------


class Stepwise(nn.Module):
    """An IF layer in plain PyTorch, called once per step, as the authors' code has it."""

    def __init__(self, theta: Tensor) -> None:
        super().__init__()
        self.register_buffer("theta", theta)
        self.v: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """One step: currents [B, ...] to spikes times theta."""
        v = (self.theta * 0.5).expand_as(x) if self.v is None else self.v
        v = v + x
        spike = (v >= self.theta).to(x.dtype) * self.theta
        self.v = v - spike
        return spike


def conversion(setting: Setting) -> Iterator[Row]:
    """Whole networks at each T, the batch of the authors first."""
    nets = {"vgg16": (32, {"pool": "average"}), "resnet20": (32, {}), "resnet18": (224, {}),
            "resnet34": (224, {})}  # fmt: skip
    steps, batches = (32, 8, 16, 4), (1, 64)
    if setting.quick:
        nets, steps, batches = {"resnet20": (32, {})}, (4,), (1,)
    for batch, (name, (pixels, options)) in itertools.product(batches, nets.items()):
        for t in steps:
            try:
                yield from _converted(name, pixels, options, batch, t, setting)
            except Exception as error:  # noqa: BLE001 - memory, say: the next one may fit
                yield {"network": name, "batch": batch, "T": t,
                       "failed": f"{type(error).__name__}: {error}"[:200]}  # fmt: skip
            free(setting)


@torch.no_grad()
def _made(name: str, pixels: int, options: Row, steps: int, setting: Setting) -> dict[str, Any]:
    """The ANN, converted both ways, and the sequential one as a loop over steps."""
    from snnlens.conversion import convert
    from snnlens.conversion.activations import QCFS
    from snnlens.models import ann

    made = ann.build(name, shape=(3, pixels, pixels), classes=10 if pixels == 32 else 1000,
                     activation=lambda: QCFS(8, 1.0), seed=0, **options).eval()  # fmt: skip
    parallel = convert(made, "parallel", steps)
    sequential = convert(made, "sequential", steps)
    eager = convert(made, "sequential", 1).network
    for layer, spiking in parallel.layers.items():
        eager.set_submodule(layer, Stepwise(spiking.theta.clone()))
    found = {"ann": made, "parallel": parallel, "sequential": sequential, "eager": eager}
    return {what: net.to(setting.device) for what, net in found.items()}


def _converted(  # noqa: PLR0917 - one case
    name: str, pixels: int, options: Row, batch: int, steps: int, setting: Setting
) -> Iterator[Row]:
    nets = _made(name, pixels, options, steps, setting)
    x = torch.randn(batch, 3, pixels, pixels, device=setting.device)
    layers = [m for m in nets["eager"].modules() if isinstance(m, Stepwise)]

    @torch.no_grad()
    def eager() -> object:
        for layer in layers:
            layer.v = None
        return torch.stack([nets["eager"](x) for _ in range(steps)]).mean(0)

    @torch.no_grad()
    def folded(what: str, *, first: bool = False) -> object:
        if what == "parallel":
            nets[what].sum_first = first
        return nets[what](x)

    cases: dict[str, Case] = {
        "sequential, a step at a time": eager,
        "sequential, folded": lambda: folded("sequential"),
        "parallel, folded": lambda: folded("parallel"),
        "parallel, sum first": lambda: folded("parallel", first=True),
        "the ANN": lambda: folded("ann"),
    }
    base = "sequential, a step at a time"
    short = Setting(setting.device, True, setting.end) if batch > 1 else setting
    seconds, failed = seconds_of(cases, short)
    looked = [w for w in cases if w not in failed] if steps in (4, 32) else []
    looks = {what: _launches(cases[what], setting) for what in looked}
    for what in cases:
        said = {"network": name, "pixels": pixels, "batch": batch, "T": steps, "what": what}
        if what in failed or base in failed:
            yield said | {"failed": failed.get(what, "")}
            continue
        yield said | {"ms": quartiles([1e3 * s for s in seconds[what]]),
                      "speed": ratio(seconds, base, what), **looks.get(what, {}),
                      "why": _why(what, looks, base)}  # fmt: skip


def _launches(case: Case, setting: Setting) -> Row:
    """GPU kernels of one call, and the share of its time in which one runs."""
    if not setting.cuda:
        return {}
    from torch.profiler import ProfilerActivity, profile

    case()
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as found:
        begin = time.perf_counter()
        case()
        torch.cuda.synchronize()
        taken = time.perf_counter() - begin
    device = torch.autograd.DeviceType.CUDA
    ran = [e for e in found.events() if e.device_type == device]
    busy = sum(e.time_range.elapsed_us() for e in ran) / 1e6
    return {"launches": len(ran), "busy_ms": 1e3 * busy, "busy": busy / taken}


def _why(what: str, looks: Mapping[str, Row], base: str) -> str:
    """What the numbers say of a difference: fewer launches, or less work on the GPU."""
    mine, theirs = looks.get(what, {}), looks.get(base, {})
    if what == base or "launches" not in mine or "launches" not in theirs:
        return ""
    fewer = theirs["launches"] / max(1, mine["launches"])
    less = theirs["busy_ms"] / max(1e-9, mine["busy_ms"])
    waits = f"the loop keeps the GPU busy {100 * theirs['busy']:.0f} % of the time"
    return f"{fewer:.1f} times fewer launches, {less:.1f} times less GPU time; {waits}"


# --- commands -------------------------------------------------------------------------------------


def gradients(setting: Setting) -> Iterator[Row]:
    """The demonstration, as users get it; with TF32 (PyTorch's choice for convolutions) and not."""
    kept = torch.backends.cudnn.allow_tf32
    try:
        for tf32 in (False, True):
            if tf32 and setting.is_over():
                return
            torch.backends.cudnn.allow_tf32 = tf32
            yield from _gradients(setting, tf32=tf32)
            free(setting)
    finally:
        torch.backends.cudnn.allow_tf32 = kept


def _gradients(setting: Setting, *, tf32: bool) -> Iterator[Row]:
    from snnlens.cli import main

    few = ["--depth", "18", "--batch", "4"] if setting.quick else ["--depth", "152"]
    said = {"tf32": tf32}
    with tempfile.TemporaryDirectory() as folder:
        if setting.cuda:
            torch.cuda.reset_peak_memory_stats()
        begin = time.perf_counter()
        told = io.StringIO()
        with contextlib.redirect_stdout(told):
            code = main(["gradients", *few, "--device", setting.device, "--quiet", "-o",
                         f"{folder}/run"])  # fmt: skip
        seconds = time.perf_counter() - begin
        peak = torch.cuda.max_memory_allocated() / 2**20 if setting.cuda else 0.0
        yield said | {"what": "the run", "exit": code, "seconds": seconds, "peak_mb": peak}
        run = Path(folder) / "run"
        claims = json.loads((run / "claims.json").read_text(encoding="utf-8"))
        for claim in claims:
            keys = ("id", "verdict", "measured", "bound", "reason")
            yield said | {"what": "claim"} | {k: claim[k] for k in keys}
        yield from (said | row for row in _beside(run / "result.csv"))


def _beside(result: Path) -> Iterator[Row]:
    """Each column of the result beside the committed run's."""
    committed = ROOT / "reports/reference/gradients-152-digits/result.csv"
    got, want = pd.read_csv(result), pd.read_csv(committed)
    if len(got) != len(want):
        yield {"what": "column", "reason": f"{len(got)} rows, committed {len(want)}"}
        return
    for column in want.select_dtypes("number").columns:
        a, b = got[column].astype(float), want[column].astype(float)
        off = ((a - b).abs() / b.abs().where(b != 0)).dropna()
        zeros = int(((a == 0) != (b == 0)).sum())
        largest, median = (off.max(), off.median()) if len(off) else (0.0, 0.0)
        yield {"what": "column", "id": column, "largest_relative": float(largest),
               "median_relative": float(median), "zero_in_one_only": zeros}  # fmt: skip


def commands(setting: Setting) -> Iterator[Row]:
    """Every command that takes a device, each a process: a training, then the others at once."""
    methods = (
        "--steps 8 --draws 4 --method ig,gradcam,sam,tsa,occlusion,smoothgrad,gradient_shap,"
        "layer_conductance,layer_ig,saliency"
    )
    few = "--epochs 1 --seeds 1 --depth 4 --time-steps 2,4 --samples 64"
    others = [
        "checkup sew_resnet18 --full yes --batch 8 --image-size 32",
        "audit sew_resnet18 --batch 4 --image-size 32",
        "rates --depth 18 --batch 8",
        "identity --depth 18 --batch 8",
        f"attribution TRAINED --data digits --image-size 16 --samples 2 --belief all {methods}",
        f"conversion {few} --calibrate",
        f"conversion {few} --precision float32",
        "train sew_resnet8 --epochs 1 --precision float16 --record-every 1",
        "train plain_resnet8 --epochs 1 --neuron plif --precision bfloat16 --checkpointing",
        "gradients --depth 18 --batch 8 --precision bfloat16",
        "gradients --depth 18 --batch 8 --memory lean --neuron plif",
    ]
    with tempfile.TemporaryDirectory() as folder:
        first = "train sew_resnet8 --epochs 1 --image-size 16"
        yield _ended(_started(first, f"{folder}/first", setting), setting)
        trained = next(iter(Path(folder).rglob("train.json"))).parent
        chosen = others[2:5:2] if setting.quick else others
        running = [_started(words.replace("TRAINED", str(trained)), f"{folder}/{k}", setting)
                   for k, words in enumerate(chosen)]  # fmt: skip
        for process in running:
            yield _ended(process, setting)


def _started(words: str, folder: str, setting: Setting) -> subprocess.Popen[str]:
    name = words.partition(" ")[0]
    more = ["--points", f"{folder}-points"] if name in ("train", "conversion") else []
    where = "--folder" if name in ("checkup", "audit", "attribution") else "--output"
    return subprocess.Popen(
        [sys.executable, "-m", "snnlens", *words.split(), "--device", setting.device, "--quiet",
         where, folder, *more],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def _ended(process: subprocess.Popen[str], setting: Setting) -> Row:
    words: Any = process.args
    row = {"command": " ".join(["snnlens", *words[3 : words.index("--device")]])}
    try:
        out, _ = process.communicate(timeout=max(1.0, setting.end - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        return row | {"exit": "no time left"}
    lines = out.splitlines()
    said = lines[-4:] if process.returncode not in (0, 1) else [w for w in lines if "arning" in w]
    return row | {"exit": process.returncode, "said": " / ".join(said)[-600:]}


def sweep(setting: Setting) -> Iterator[Row]:
    """Trainings of several depths, one after another."""
    from snnlens.cli import main

    depths, epochs = ("8", "1") if setting.quick else ("8,20,32,56", "3")
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        told = io.StringIO()
        with contextlib.redirect_stdout(told):
            code = main(["degradation", "--device", setting.device, "--depth", depths, "--seeds",
                         "1", "--epochs", epochs, "--points", f"{folder}/points", "--record-every",
                         "0", "--quiet", "-o", f"{folder}/run"])  # fmt: skip
        yield {"network": "all", "exit": code, "seconds": time.perf_counter() - begin}
        for path in sorted(Path(folder, "points").rglob("metrics.csv")):
            found = pd.read_csv(path)
            last = found.iloc[-1]
            yield {"network": path.parent.name, "epochs": len(found),
                   "seconds_an_epoch": float(found["seconds"].iloc[1:].median())
                   if len(found) > 1 else float(last["seconds"]),
                   "train_loss": float(last["train_loss"]), "test_loss": float(last["test_loss"]),
                   "test_top1": float(last["test_top1"])}  # fmt: skip


PARTS: dict[str, Callable[[Setting], Iterator[Row]]] = {
    "correct": correct, "probes": probes, "kernels": layers, "gradients": gradients,
    "networks": networks, "conversion": conversion, "commands": commands, "sweep": sweep,
}  # fmt: skip
