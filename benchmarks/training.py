"""Training: an epoch beside ReLU, published logs to a figure, a sweep on two workers, memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from timing import in_turn, quartiles, ratio
from torch import nn

from snnlens.data import sets
from snnlens.models.resnet import resnet
from snnlens.neuron.layers import Neuron
from snnlens.training import loop
from snnlens.training.recipe import Recipe

Row = dict[str, object]
STEPS = 12  # of batch 32, of one timed epoch
LOGS = "logs/sew_resnet"  # below SNNLENS_DATA
SWEEP = (
    "degradation --data digits --image-size 8 --depth 8 --residual sew,spiking --seeds 2 "
    "--record-every 0 --threads 1 --quiet --epochs"
)  # fmt: skip


def training(rounds: int, *, quick: bool) -> list[Row]:
    """An epoch of a SEW network, T = 4, beside the same network with ReLU instead of neurons."""
    rows: list[Row] = []
    for size in (8,) if quick else (8, 16, 32):
        depth = 8 if quick else 20
        cases = {
            "spiking": _epoch(depth, size, relu=False),
            "ReLU": _epoch(depth, size, relu=True),
        }
        seconds = in_turn(cases, rounds)
        network = f"SEW-{depth}, digits at {size} px"
        rows.append({"network": network, "over_relu": ratio(seconds, "spiking", "ReLU"),
                     "seconds": quartiles(seconds["spiking"]),
                     "relu_seconds": quartiles(seconds["ReLU"])})  # fmt: skip
    return rows


def _epoch(depth: int, size: int, *, relu: bool) -> Callable[[], float]:
    """One epoch of the loop, from a new folder each time."""
    train, test = sets.load("digits", image_size=size)
    few = sets.Set(train.source, train.indices[: STEPS * 32], size, train.description, "train")
    little = sets.Set(test.source, test.indices[:64], size, test.description, "test")
    for one in (few, little):
        one.hold()
    model: nn.Module = resnet(depth, layout="cifar", classes=10, time_steps=4, seed=0)
    if relu:
        _replace(model)
    recipe = Recipe(epochs=1, record_every=0)

    def run() -> float:
        with tempfile.TemporaryDirectory() as folder:
            job = loop.Job(model, few, little, recipe, Path(folder))
            begin = time.perf_counter()
            loop.train(job)
            return time.perf_counter() - begin

    return run


def _replace(model: nn.Module) -> None:
    """ReLU for every neuron, at the same T."""
    for name, child in model.named_children():
        if isinstance(child, Neuron):
            setattr(model, name, nn.ReLU())
        else:
            _replace(child)


def logs(rounds: int, *, quick: bool) -> list[Row]:
    """The published logs, 45 files, to a run folder with its figure: a whole process each time."""
    folder = Path(os.environ.get("SNNLENS_DATA", "")) / LOGS
    if not folder.is_dir():
        return [{"what": "published logs", "seconds": "not measured: SNNLENS_DATA is not set"}]
    taken = [_command(f"degradation --quiet --logs {folder}")[0] for _ in range(min(rounds, 3))]
    return [{"what": "published logs to a figure", "files": len([*folder.rglob("events.*")]),
             "seconds": quartiles(taken)}]  # fmt: skip


def sweep(rounds: int, *, quick: bool) -> list[Row]:
    """Four trainings on one and on two workers of one thread each."""
    epochs = 1 if quick else 12
    seconds: dict[str, list[float]] = {"1": [], "2": []}
    for turn in range(1 if quick else rounds):
        for workers in ("1", "2") if turn % 2 else ("2", "1"):
            seconds[workers].append(_command(f"{SWEEP} {epochs} --workers {workers}")[0])
    return [{"what": f"4 trainings of {epochs} epochs", "speedup": ratio(seconds, "1", "2"),
             "one_worker_seconds": quartiles(seconds["1"]),
             "two_workers_seconds": quartiles(seconds["2"])}]  # fmt: skip


def memory(rounds: int, *, quick: bool) -> list[Row]:
    """Peak of resident memory of a whole training process, with and without checkpointing."""
    network, size, batch = ("sew_resnet18", 32, 4) if quick else ("sew_resnet152", 224, 8)
    rows: list[Row] = []
    for option in ("--checkpointing", ""):
        words = (
            f"train {network} --data random --image-size {size} --batch {batch} --epochs 1 --quiet "
            f"--record-every 1 --test-share .5 {option}"
        )
        taken, peak = _command(words)
        case = {
            "network": f"{network}, T = 4, {size} px, batch {batch}",
            "option": option or "none",
        }
        rows.append(case | {"peak_gib": peak / 2**20, "seconds": taken})
    return rows


def _command(words: str) -> tuple[float, float]:
    """Seconds and peak kB of one call of the command line, in a folder of its own."""
    code = (
        "import resource, sys\nfrom snnlens.cli import main\nassert main(sys.argv[1:]) == 0\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code, *words.split(), "-o", "out"], cwd=folder, check=True,
            capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    return time.perf_counter() - begin, float(done.stderr.split()[-1])
