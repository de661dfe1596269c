"""Counters beyond 2^24, 2^31 and 2^53: of the kernels, the reductions, the merging and the files.

Memory for 2^31 spikes is not needed: one stretch of memory is mapped many times, one after the
other, so that a kernel reads (and writes) a tensor of 2^31 numbers that takes a few megabytes.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import snnlens
from snnlens import registry
from snnlens.neuron import parallel, statistics
from snnlens.neuron.equations import Rule
from snnlens.neuron.kernels import cpu
from snnlens.neuron.statistics import Bins
from snnlens.probes._totals import totals
from snnlens.recording import reduce
from snnlens.recording.ledger import Ledger
from snnlens.recording.merge import merge
from snnlens.recording.record import Record
from snnlens.sites import Site
from tests.trust.tally import Count

pytestmark = pytest.mark.promise("counters-do-not-wrap")
TILE = 1 << 22  # bytes that are mapped again and again
BEYOND = (1 << 31) + 12_345  # numbers: an int32 would have wrapped, a float32 stopped at 2^24
SITE = Site("sn", "sn", "output", "neuron")
MAP_FIXED = 0x10


@contextmanager
def repeated(tile: np.ndarray, numbers: int) -> Iterator[int]:
    """The address of so many numbers, which are the tile over and over; POSIX alone."""
    size = -(-numbers * tile.itemsize // TILE) * TILE
    assert tile.nbytes == TILE
    libc: Any = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_int64]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    protection = mmap.PROT_READ | mmap.PROT_WRITE
    with tempfile.TemporaryFile() as file:
        file.write(tile.tobytes())
        file.flush()
        start = libc.mmap(None, size, protection, mmap.MAP_SHARED, file.fileno(), 0)
        assert start not in (None, ctypes.c_void_p(-1).value), ctypes.get_errno()
        try:
            for at in range(0, size, TILE):
                made = libc.mmap(start + at, TILE, protection, mmap.MAP_SHARED | MAP_FIXED,
                                 file.fileno(), 0)  # fmt: skip
                assert made == start + at, ctypes.get_errno()
            yield start
        finally:
            libc.munmap(start, size)


def as_tensor(address: int, numbers: int, dtype: torch.dtype) -> Tensor:
    """A tensor over that memory, bfloat16 or float32."""
    kind = ctypes.c_int16 if dtype == torch.bfloat16 else ctypes.c_float
    array = np.ctypeslib.as_array((kind * numbers).from_address(address))
    return torch.from_numpy(array).view(dtype)


def ones() -> np.ndarray:
    """A tile of bfloat16."""
    return torch.ones(TILE // 2, dtype=torch.bfloat16).view(torch.int16).numpy()


# --- one step of more than 2^31 -------------------------------------------------------------------


def test_the_reduction_of_one_step(tally: Count) -> None:
    """Sum, not 0, above 1 and squares, beyond 2^31 in one single step."""
    with repeated(ones(), BEYOND) as address:
        x = as_tensor(address, BEYOND, torch.bfloat16)[None]
        assert x.shape == (1, BEYOND)
        found = reduce.step_summary(x)
        squares = reduce.step_squares(x)
    assert found["total"].tolist() == [BEYOND]
    assert found["nonzero"].tolist() == [BEYOND]
    assert found["nonzero"].dtype == torch.int64
    assert found["above_one"].tolist() == [0]
    assert squares.tolist() == [BEYOND]
    assert BEYOND > 2**31
    tally("spikes counted beyond 2^31", 2 * BEYOND)


def test_the_neuron_kernel_of_one_step(tally: Count) -> None:
    """Spikes and current of a layer of more than 2^31 neurons."""
    rule = Rule(threshold=0.5)
    names, bins = frozenset({"spikes", "current"}), Bins()
    with repeated(ones(), BEYOND) as given, repeated(ones(), BEYOND) as written:
        x = as_tensor(given, BEYOND, torch.bfloat16)[None]
        counts, sums = statistics.tables(1, bins, x.device)
        compiled = cpu._get(rule, x.dtype)
        job = cpu._job(compiled, x, None, None)
        job.out, job.wanted, job.stream = written, statistics.bits(names), 0
        job.counts, job.sums = counts.data_ptr(), sums.data_ptr()
        cpu._call(compiled.forward, job)
    found = statistics.unpack(statistics.bits(names), counts, sums)
    assert found["spikes"].tolist() == [BEYOND]
    assert found["spikes"].dtype == torch.int64
    assert found["current"].tolist() == [BEYOND]
    tally("spikes counted beyond 2^31", BEYOND)


def test_a_float32_would_have_stopped(tally: Count) -> None:
    """A plain float32 accumulator stands still at 2^24; ours goes on, in each of its paths."""
    count = 2**24 + 9
    spikes = np.ones(count, np.float32)
    assert np.cumsum(spikes)[-1] == 2**24  # number by number, in float32
    x = torch.from_numpy(spikes)[None]
    assert reduce.step_sums(x).tolist() == [count]
    assert totals(x[:, None], [], ones=True).tolist() == [count]
    summed = snnlens.IF(0.5)
    seen: list[Any] = []
    with summed.statistics(["spikes", "current"], seen.append):
        summed(x)
    assert seen[0].forward["spikes"].tolist() == [count]
    assert seen[0].forward["current"].tolist() == [count]
    tally("paths beyond 2^24", 4)


# --- many steps -----------------------------------------------------------------------------------


def test_steps_that_are_one_step_repeated(tally: Count) -> None:
    """[T, N] with T N beyond 2^31, by a stride of 0: no offset wraps, and no step is copied."""
    neurons, steps = 1 << 20, (1 << 11) + 5
    x = torch.ones(1, neurons, dtype=torch.bfloat16).expand(steps, neurons)
    assert x.numel() > 2**31
    sums = reduce.step_summary(x)["total"]
    assert sums.tolist() == [neurons] * steps
    assert int(sums.sum()) == x.numel()
    tally("spikes counted beyond 2^31", x.numel())


# --- adding up ------------------------------------------------------------------------------------

NEAR = [2**24, 2**31 - 1, 2**31, 2**32 + 1, 2**53 - 3]


@pytest.mark.parametrize("near", NEAR)
def test_calls_add_up_past_it(near: int, tally: Count) -> None:
    """What one kernel counted so often that the sum passes the bound; then as a probe's column."""
    ledger, probe = Ledger(), registry.plugin("probes", "firing_rate")()
    calls = [near, 1, 2] if near == 2**53 - 3 else [near, near, 3]
    shape = torch.Size((1, near, 1))
    for spikes in calls:
        ledger.tally(probe, SITE, shape, {"spikes": torch.tensor([spikes])})
    ledger.settle()
    (row,) = ledger.table("net", probe, [SITE]).to_dict("records")
    assert row["total"] == sum(calls) == int(row["total"])
    assert row["nonzero"] == sum(calls)
    assert row["elements"] == len(calls) * near
    tally("sums past a bound")


@pytest.mark.parametrize("near", NEAR)
def test_ranks_and_files_keep_it(near: int, tally: Count, tmp_path: Path) -> None:
    parts = [_record(near, near), _record(near, 2 * near)]
    merged = merge(parts, how="per rank")
    merged.save(tmp_path / "run")
    for record in (merged, snnlens.load(tmp_path / "run")):
        (row,) = record.tables["firing_rate"].to_dict("records")
        assert int(row["total"]) == 2 * near
        assert row["elements"] == 3 * near
        (frame,) = record.frame().to_dict("records")
        assert frame["firing_rate"] == 2 / 3
    tally("sums past a bound")


def _record(total: int, elements: int) -> Record:
    probe = registry.plugin("probes", "firing_rate")()
    columns = {"total": float(total), "elements": elements, "nonzero": float(total),
               "above_one": 0.0, "largest": 1.0}  # fmt: skip
    assert int(columns["total"]) == total
    table = pd.DataFrame([{"network": "net", "site": "sn", "step": 0} | columns])
    sites = pd.DataFrame([{"network": "net", "site": "sn", "order": 0, "forward_calls": 1}])
    return Record(sites, {"firing_rate": table}, {"firing_rate": probe.schema()}, {"net": {}}, {})


@pytest.mark.parametrize("more", [0, 1, 2, 2**53, 2**60])
def test_beyond_2_to_the_53_it_is_rounded_and_never_wraps(more: int, tally: Count) -> None:
    """`total` is a float64: exact up to 9e15 spikes, which are 1e9 a second for a hundred days."""
    ledger, probe = Ledger(), registry.plugin("probes", "firing_rate")()
    for spikes in (2**53, more):
        ledger.tally(probe, SITE, torch.Size((1, 1, 1)), {"spikes": torch.tensor([spikes])})
    ledger.settle()
    (total,) = ledger.table("net", probe, [SITE])["total"]
    assert abs(int(total) - (2**53 + more)) <= (2**53 + more) >> 53  # half a unit in the last place
    tally("sums past a bound")


def test_squares_of_counts_are_summed_as_integers(tally: Count) -> None:
    """The Fano factor's sum of n^2 may pass 2^53, from where on a float64 leaves ones out."""
    from snnlens.probes.spike_trains import summed

    squares = torch.tensor([2.0**53, 1.0, 1.0, 1.0], dtype=torch.float64)
    found = summed({"spikes_squared": squares})["spikes_squared"]
    assert found.dtype == torch.int64
    assert int(found) == 2**53 + 3
    assert int(squares.sum()) != 2**53 + 3
    tally("sums past a bound")


def test_spikes_per_neuron_beyond_2_to_the_24(tally: Count) -> None:
    """Maps of neurons, channels and silence of so many samples x steps, by a stride of 0."""
    observed = 2**24 + 3
    x = torch.ones(1, 1, 2).expand(observed, 1, 2).clone()
    x[:-1, :, 1] = 0  # the second fires once, at the very end
    site = replace(SITE, signal="spikes")
    maps = registry.plugin("probes", "neuron_map")().value(site, x)
    assert maps["total"].tolist() == [observed, 1]
    assert maps["elements"].tolist() == [observed] * 2
    silence = registry.plugin("probes", "silence")().value(site, x)
    assert silence["spiked"].tolist() == [0b11000000]
    assert silence["missed"].tolist() == [0b01000000]
    tally("paths beyond 2^24", 2)


def test_operations_are_int64(tally: Count) -> None:
    """A layer whose spikes reach more than 2^31 outputs."""
    layer = torch.nn.Linear(3, 1 << 20, bias=False, device="meta")
    x = torch.ones(1 << 10, 3)
    y = torch.empty(1 << 10, 1 << 20, device="meta")
    found = registry.plugin("probes", "synaptic_operations")().around(SITE, layer, x, y)
    assert int(found["events"]) == int(found["macs"]) == 3 * 2**30
    assert int(found["macs_padded"]) == 3 * 2**30
    assert all(found[name].dtype == torch.int64 for name in ("events", "macs", "spikes_as_counts"))
    tally("paths beyond 2^31")


def test_a_count_beyond_float32_is_refused(tally: Count) -> None:
    """The parallel neuron's count k is a float32: beyond 2^24 steps it could not hold every k."""
    assert parallel.count(torch.tensor([1e9]), 1.0, 2**24).tolist() == [2**24]
    with pytest.raises(snnlens.errors.InputError) as error:
        parallel.count(torch.tensor([1e9]), 1.0, 2**24 + 1)
    assert str(error.value) == "time_steps must be at most 16777216; got 16777217"
    tally("refused in one line")


def test_shares_of_large_counts(tally: Count) -> None:
    """The measures of histograms take counts whose sum passes 2^53."""
    from snnlens.measures.whole import quantile, share_between

    counts, edges = np.array([0, 2**62, 2**61, 0]), np.array([0.0, 1.0, 2.0])
    assert share_between(counts, edges=edges, low=0.0, high=1.0) == pytest.approx(2 / 3)
    assert quantile(counts, edges=edges, q=0.5) == pytest.approx(0.75)
    assert math.isfinite(quantile(counts, edges=edges, q=1.0))
    tally("sums past a bound")
