"""This machine: what it has, what runs the neurons, and how long and how large a run will be."""

from __future__ import annotations

import platform
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional

from snnlens.models.plan import EXPANSION, Plan
from snnlens.neuron import kernels
from snnlens.neuron.kernels import compiler
from snnlens.neuron.layers import IF
from snnlens.provenance import provenance

SAVED_BYTES = 12  # per neuron and step: BatchNorm's input, the neuron's input, its spikes
BASE_BYTES = 0.7e9  # interpreter, torch, one set of weights at depth 152
ALLOCATOR = 1.3  # peak resident over live tensors, measured at depth 50 and 152


@dataclass(frozen=True)
class Forecast:
    """An estimate before a run: seconds for all passes, bytes at the peak."""

    passes: int
    seconds: float
    peak_bytes: float

    def __str__(self) -> str:
        duration = f"about {self.seconds:.0f} s" if self.seconds >= 1 else "under a second"
        return (
            f"{self.passes} passes; {duration} and {self.peak_bytes / 1e9:.1f} GB "
            "on this machine (an estimate)"
        )


def forecast(plan: Plan, batch: int, size: int, steps: list[int], *, backward: bool) -> Forecast:
    """Work counted from the plan, speed measured on one convolution and one neuron layer.

    `steps` has the T of each pass. Rough (a factor of 1.5 either way): convolutions of different
    shapes run at different speeds.
    """
    macs, elements = work_per_step(plan, size)
    per_mac, per_element = _speeds(backward=backward)
    seconds = sum(t * batch * (macs * per_mac + elements * per_element) for t in steps)
    saved = SAVED_BYTES if backward else 0
    peak = ALLOCATOR * max(steps) * batch * elements * saved + BASE_BYTES
    return Forecast(len(steps), seconds, peak)


def lines() -> list[str]:
    """What `snnlens doctor` prints."""
    facts = provenance()
    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    return [
        f"snnlens      {facts['snnlens']}" + _commit(facts["git_commit"]),
        f"python       {facts['python']} on {platform.platform(terse=True)}",
        *(f"{name:12} {number}" for name, number in facts["packages"].items()),
        f"CUDA device  {cuda}",
        f"CPU          {facts['machine']}, torch uses {torch.get_num_threads()} threads",
        *_neuron_lines(),
        f"disk         {free:.0f} GB free here",
        f"Chromium     {'found' if chromium else 'not found: browser tests are skipped'}",
        f"terminal     {'interactive' if sys.stderr.isatty() else 'not interactive'}",
    ]


def _neuron_lines() -> list[str]:
    """Which backend runs an IF layer, per device and dtype, and why."""
    devices = ["cpu"] + ["cuda"] * torch.cuda.is_available()
    told = []
    for device in devices:
        for dtype in (torch.float32, torch.bfloat16, torch.float64):
            name, why = kernels.which(torch.zeros(1, 1, dtype=dtype, device=device), IF().rule)
            told.append(f"{device} {str(dtype).removeprefix('torch.')}: {name} ({why})")
    lines = [f"neurons      {told[0]}", *(f"             {line}" for line in told[1:])]
    try:
        folder, why = compiler.cache_folder()
        made = f"kernels      compiled by {compiler.find()}, kept in {folder}"
        made += f": {why}" if why else ""
    except compiler.NotCompiled as fault:
        made = f"kernels      none: {fault}"
    return [*lines, made]


def _commit(commit: str | None) -> str:
    return f" (commit {commit[:12]})" if commit else ""


def work_per_step(plan: Plan, size: int) -> tuple[float, float]:
    """Multiply-accumulates and neuron elements per image and time step."""
    side = size / (4 if plan.layout == "imagenet" else 1)
    macs, elements = 0.0, float(plan.width * side**2)
    for block in plan.blocks:
        before, side = side, side / block.stride
        cin, mid, out = block.channels_in, block.channels, block.channels * EXPANSION[plan.block]
        if plan.block == "basic":
            macs += side**2 * 9 * mid * (cin + mid)
            elements += side**2 * 2 * mid
        else:
            macs += before**2 * cin * mid + side**2 * mid * (9 * mid + out)
            elements += before**2 * mid + side**2 * (mid + out)
        if block.kind == "downsample":
            macs += side**2 * cin * out
            elements += side**2 * out
    return macs, elements


def _speeds(*, backward: bool) -> tuple[float, float]:
    """Seconds per multiply-accumulate and per neuron element (BatchNorm and IF)."""
    x = torch.rand(64, 128, 8, 8, requires_grad=backward)
    weight = torch.rand(128, 128, 3, 3)
    conv = _timed(lambda: functional.conv2d(x, weight, padding=1), backward=backward)
    currents = torch.randn(4, 16, 64, 16, 16, requires_grad=backward)
    neuron, norm = IF(), torch.nn.BatchNorm2d(64).requires_grad_(False)
    layer = _timed(
        lambda: neuron(norm(currents.flatten(0, 1)).unflatten(0, (4, 16))), backward=backward
    )
    return conv / (64 * 64 * 9 * 128 * 128), layer / currents.numel()


def _timed(run: Callable[[], torch.Tensor], *, backward: bool) -> float:
    """The fastest of five calls, in seconds; the first ones warm up."""
    times = []
    with torch.set_grad_enabled(backward):
        for _ in range(5):
            begin = time.perf_counter()
            out = run()
            if backward:
                out.backward(torch.ones_like(out))
            times.append(time.perf_counter() - begin)
    return min(times)
