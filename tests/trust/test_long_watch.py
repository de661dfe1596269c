"""Watching and recording for long: memory, hooks, work per step and files do not grow."""

from __future__ import annotations

import gc
import itertools
import math
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnlens
from snnlens import registry
from snnlens.recording.record import Record
from tests.trust.tally import Count, times

PYTHON_BYTES = 48 * 2**10  # less than one kept frame (about 50 kB): one of them too many is seen
RESIDENT_BYTES = 8 * 2**20  # the allocator's own ups and downs, measured below 1 MiB
OWN_CALLS = 20  # the watch's, in a step that it does not record; one that it does makes 40,000
CALLS = 0.02  # a garbage collection may call back within a step; measured 0


@dataclass(frozen=True)
class Held:
    """What the process holds at one moment."""

    python: int
    resident: int
    tensors: int
    hooks: int
    seconds: float = 0.0  # of the quarter before it


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 64), snnlens.LIF(), nn.Linear(64, 3), snnlens.IF())


def batch(samples: int = 64) -> Tensor:
    return 3 * torch.rand(4, samples, 5, generator=torch.Generator().manual_seed(0))


def step(net: nn.Module, x: Tensor) -> None:
    net.zero_grad()
    net(x).square().mean().backward()


def hooks(net: nn.Module) -> int:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(m, kind)) for m in net.modules() for kind in kinds)


def resident() -> int:
    """Bytes of memory that are this process's own; 0 where the system does not say."""
    path = Path("/proc/self/statm")
    return int(path.read_text().split()[1]) * 4096 if path.is_file() else 0


def held(net: nn.Module) -> Held:
    gc.collect()
    tensors = sum(issubclass(type(found), Tensor) for found in gc.get_objects())
    return Held(tracemalloc.get_traced_memory()[0], resident(), tensors, hooks(net))


@contextmanager
def traced() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


def by_quarters(net: nn.Module, steps: int, one: Callable[[], None]) -> list[Held]:
    """What is held after each quarter of the steps."""
    found = []
    for _ in range(4):
        begun = time.process_time()
        for _ in range(steps // 4):
            one()
        found.append(replace(held(net), seconds=time.process_time() - begun))
    return found


def assert_flat(found: list[Held]) -> None:
    """The second half holds what the first quarter did."""
    first = found[0]
    for late in found[2:]:
        assert late.python - first.python <= PYTHON_BYTES
        assert late.resident - first.resident <= RESIDENT_BYTES
        assert (late.tensors, late.hooks) == (first.tensors, first.hooks)


@pytest.mark.promise("flat")
@pytest.mark.parametrize(("every", "steps", "keep"), [(1, 40, 5), (50, 1000, 3)])
def test_what_a_watch_holds_does_not_grow(
    every: int, steps: int, keep: int, tally: Count, capsys: pytest.CaptureFixture[str]
) -> None:
    net, x = network(), batch()
    with traced(), snnlens.watch(net, every=every, keep=keep) as seen:
        found = by_quarters(net, times(steps), lambda: step(net, x))
    assert_flat(found)
    assert found[0].hooks == 0
    assert seen.steps == times(steps) // 4 * 4
    assert len(seen.frame()) == 2 * keep  # two sites
    with capsys.disabled():  # said, not judged: a machine has other work
        ratio = found[3].seconds / found[0].seconds
        sys.stdout.write(f" CPU time of the last quarter to the first: {ratio:.2f} ")
    tally("watched training steps", seen.steps)
    tally("recorded training steps", math.ceil(seen.steps / every))


@pytest.mark.promise("flat")
def test_what_a_recorder_holds_does_not_grow_with_every_probe_there_is(tally: Count) -> None:
    net, x = network(), batch(8)
    names = list(registry.listing("probes"))
    with traced(), snnlens.record(net, names) as rec:
        found = by_quarters(net, times(60), lambda: step(net, x))
    assert_flat(found)
    assert found[0].hooks > 0
    assert rec.record().networks["model"]["forward_passes"] == times(60)
    tally("recorded passes, all probes", times(60))


@pytest.mark.promise("flat")
@pytest.mark.parametrize("every", [1, 3])
def test_a_step_does_as_much_at_the_end_as_at_the_beginning(every: int, tally: Count) -> None:
    net, x = network(), batch(2)
    with snnlens.watch(net, every=every, keep=3) as seen:
        for _ in range(5 * every):
            step(net, x)
        early = [calls(lambda: step(net, x)) for _ in range(2 * every)]
        for _ in range(times(5 * every)):
            step(net, x)
        while seen.steps % every:
            step(net, x)
        late = [calls(lambda: step(net, x)) for _ in range(2 * every)]
    assert late == pytest.approx(early, rel=CALLS)
    if every > 1:  # a step that is not recorded is the model's own, and a counter
        assert late[1] <= calls(lambda: step(net, x)) + OWN_CALLS
    tally("steps whose calls were counted", len(early) + len(late))


def calls(one: Callable[[], None]) -> int:
    """How many Python functions are called: the work of a step, on any machine."""
    count = itertools.count()

    def profile(frame: Any, event: str, arg: Any) -> None:
        if event == "call":
            next(count)

    gc.collect()
    gc.disable()
    sys.setprofile(profile)
    try:
        one()
    finally:
        sys.setprofile(None)
        gc.enable()
    return next(count)


@pytest.mark.promise("flat")
def test_what_is_saved_of_each_recorded_step_is_of_one_size(
    tmp_path: Path, tally: Count, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes, net, x = [], network(), batch(2)

    def save(at: int, record: Record) -> None:
        sizes.append(size(record.save(tmp_path / f"step-{at}")))

    with snnlens.watch(net, every=100, on_record=save) as seen:
        for _ in range(times(1000)):
            step(net, x)
    assert len(sizes) == math.ceil(seen.steps / 100)
    # run.json holds the time and counts, Parquet its numbers compressed: a few bytes more or less
    assert max(sizes) - min(sizes) <= 256
    with capsys.disabled():
        sys.stdout.write(f" {sum(sizes) / len(sizes):,.0f} bytes per saved step of two sites ")
    tally("saved records", len(sizes))


def size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
