"""One network on two processes: the weights are those of averaged gradients, computed by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from snnlens.data import sets
from snnlens.models.resnet import resnet
from snnlens.recording import store
from snnlens.training import checkpoint, folder, loop
from snnlens.training.ranks import Rank
from snnlens.training.recipe import Recipe

BATCH, RANKS = 64, 2
COMMAND = (
    f"-m snnlens train sew_resnet8 --image-size 8 --batch {BATCH} --time-steps 2 --epochs 2 "
    "--record-every 2 --threads 1 -o out --quiet"
)


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the training that torchrun made, in an empty folder."""
    place = tmp_path_factory.mktemp("torchrun")
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node",
         str(RANKS), *COMMAND.split()],
        cwd=place, capture_output=True, text=True, check=False, timeout=280,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (place / "out" / "result.csv").is_file()
    (found,) = (place / "runs" / "points").iterdir()
    return found


def by_hand() -> nn.Module:
    """Two networks in one process, each with its half of every step; gradients averaged."""
    recipe = Recipe(epochs=2, batch=BATCH)
    train, _ = sets.load("digits", image_size=8)
    models = [resnet(8, layout="cifar", classes=10, time_steps=2, seed=0) for _ in range(RANKS)]
    steps = [torch.optim.SGD(m.parameters(), lr=0.1, momentum=0.9) for m in models]
    job = loop.Job(models[0], train, train, recipe, Path())
    for epoch in range(2):
        order = torch.randperm(len(train), generator=loop._generator(job, epoch, loop.ORDER))
        shares = [Rank(r, RANKS).share(order, BATCH) for r in range(RANKS)]
        for numbers in zip(*shares, strict=True):
            for model, optimiser, chosen in zip(models, steps, numbers, strict=True):
                optimiser.param_groups[0]["lr"] = recipe.learning_rate(epoch)
                optimiser.zero_grad()
                x, y = train.batch(chosen)
                functional.cross_entropy(model(x), y).backward()
            for pair in zip(*(m.parameters() for m in models), strict=True):
                mean = (pair[0].grad + pair[1].grad) / 2  # type: ignore[operator]
                for p in pair:
                    p.grad = mean.clone()
            for optimiser in steps:
                optimiser.step()
            for ours, other in zip(*(m.buffers() for m in models), strict=True):
                other.copy_(ours)  # the first process' statistics go to the others
    return models[0]


def test_the_weights_are_those_of_averaged_gradients(where: Path) -> None:
    kept = checkpoint.load(where)
    assert kept is not None
    wanted = by_hand().state_dict()
    for name, value in kept.weights.items():
        # float32; gloo may add in another order: one rounding a step, over 22 steps
        torch.testing.assert_close(value, wanted[name], rtol=2e-4, atol=2e-5, msg=name)


def test_the_record_is_merged_and_says_so(where: Path) -> None:
    said = folder.description(where)["facts"]
    assert said["processes"] == RANKS
    for done in (0, 2):
        record = store.load(folder.recorded(where)[done])
        (facts,) = record.networks.values()
        assert (facts["ranks"], facts["batch_norm"], facts["missing_ranks"]) == (2, "per rank", 0)
        rows = record.table("gradient_norm")
        assert (rows["batches"] == RANKS).all()
        assert (rows["samples"] == RANKS * BATCH).all()


def test_one_epoch_is_one_row(where: Path) -> None:
    assert folder.metrics(where)["epoch"].tolist() == [0, 1]
    assert (where / "done.json").is_file()
