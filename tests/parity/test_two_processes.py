"""torchrun with two processes: the merged Record is that of one process over the two halves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

import snnlens
from snnlens.recording.record import Record
from tests.parity import two_processes
from tests.trust.tally import Count
from tests.unit.recording import brute

RTOL = 1e-12  # float64: the order of adding is free; measured 0, equal to the bit
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes left; a free port, chosen by torchrun."""
    folder = tmp_path_factory.mktemp("ranks")
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
               "-m", "tests.parity.two_processes", str(folder)]  # fmt: skip
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def _recorded(*batches: torch.Tensor) -> tuple[Record, list[float]]:
    model, losses = two_processes.made(), []
    with snnlens.record(model, two_processes.PROBES) as recorder:
        for x in batches:
            loss = brute.loss(model, x)
            loss.backward()
            losses.append(loss.item())
    return recorder.record(), losses


@pytest.fixture(scope="module")
def one() -> tuple[Record, list[float]]:
    """One process that runs the halves one after the other, from the same weights.

    On one thread, as each of the two: with more of them, torch adds up in another order.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _recorded(*(two_processes.half(rank) for rank in range(two_processes.HALVES)))
    finally:
        torch.set_num_threads(threads)


@pytest.mark.promise("right-under-stress")
def test_every_table_equals_that_of_one_process(
    folder: Path, one: tuple[Record, list[float]], tally: Count
) -> None:
    merged, record = snnlens.load(folder / "merged"), one[0]
    assert merged.tables.keys() == record.tables.keys()
    assert len(merged.tables) > 15
    for name, table in record.tables.items():
        pd.testing.assert_frame_equal(merged.tables[name], table, rtol=RTOL, atol=0)
        for column in table.select_dtypes("integer"):
            assert (merged.tables[name][column] == table[column]).all(), (name, column)
        tally("tables of two processes")
    frames = [r.frame() for r in (merged, record)]
    pd.testing.assert_frame_equal(*frames, rtol=RTOL, atol=0, check_dtype=False)


def test_the_record_says_what_it_is(folder: Path, one: tuple[Record, list[float]]) -> None:
    facts = snnlens.load(folder / "merged").networks["model"]
    assert facts["ranks"] == 2
    assert facts["missing_ranks"] == 0
    assert facts["batch_norm"] == "per rank"
    assert facts["wrapped"] == ["DistributedDataParallel"]
    assert facts["forward_passes"] == 2
    assert facts["differs"] == {"rank": [0, 1]}
    assert facts["loss"] == pytest.approx(sum(one[1]) / 2, rel=RTOL)


def test_one_process_on_the_whole_batch_differs(folder: Path) -> None:
    """BatchNorm averages over a half each; a layer may spike equally often by accident."""
    halves = [two_processes.half(rank).detach() for rank in range(two_processes.HALVES)]
    whole, _ = _recorded(torch.cat(halves).requires_grad_())
    merged = snnlens.load(folder / "merged")
    neurons = (whole.sites["role"] == "neuron").to_numpy()
    for quantity in ("firing_rate", "gradient_norm"):
        a, b = (r.frame()[quantity].to_numpy()[neurons] for r in (merged, whole))
        assert (a != b).mean() > 0.5, quantity
    assert "batch_norm" not in whole.networks["model"]
    assert "ranks" not in whole.networks["model"]


def test_a_rank_without_a_record_is_said(folder: Path) -> None:
    partial = snnlens.load(folder / "missing")
    assert partial.networks["model"]["ranks"] == 1
    assert partial.networks["model"]["missing_ranks"] == 1
    alone, _ = _recorded(two_processes.half(0))
    for name, table in alone.tables.items():
        pd.testing.assert_frame_equal(partial.tables[name], table, rtol=RTOL, atol=0)


def test_the_processes_trained_together(folder: Path) -> None:
    """The parts were recorded under a DDP that averaged the gradients, not beside it."""
    left = [torch.load(folder / f"grad-{rank}.pt", weights_only=True) for rank in range(2)]
    assert torch.equal(*left)
    model = two_processes.made()
    for rank in range(2):
        (brute.loss(model, two_processes.half(rank)) / 2).backward()
    assert model.conv1.weight.grad is not None
    torch.testing.assert_close(left[0], model.conv1.weight.grad, rtol=1e-5, atol=1e-7)
    # float32 sums of a convolution's gradient; measured 0
