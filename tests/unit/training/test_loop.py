"""The loop: equal to one written out here, and to itself however often it was stopped."""

from __future__ import annotations

import errno
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from snnlens import atomic
from snnlens.data import sets
from snnlens.data.sets import Set
from snnlens.errors import InputError, SnnlensError
from snnlens.models.resnet import ResNet, resnet
from snnlens.neuron.layers import PLIF
from snnlens.training import augment, checkpoint, folder, loop
from snnlens.training.ranks import Rank
from snnlens.training.recipe import Recipe

EPOCHS, BATCH = 3, 16
OPTIONS: dict[str, dict[str, Any]] = {
    "as published": {},
    "adam": {"optimiser": "adam", "lr": 0.01},
    "clipped": {"clip": 0.5, "weight_decay": 1e-4},
    "augmented": {"augment": "crop,flip"},
    "bfloat16": {"precision": "bfloat16"},
    "float16": {"precision": "float16"},
    "checkpointed": {"checkpointing": True},
}


def parts() -> tuple[Set, Set]:
    """52 digits to train on, 20 to test on."""
    train, test = sets.load("digits", image_size=8)
    small = [Set(s.source, s.indices[:n], 8, s.description, s.part) for s, n in
             ((train, 52), (test, 20))]  # fmt: skip
    return small[0], small[1]


def model_of(seed: int = 0) -> ResNet:
    """The smallest SEW network, with neurons that learn."""
    return resnet(8, layout="cifar", classes=10, time_steps=2, neuron=PLIF(), seed=seed)


def job(where: Path, recipe: Recipe, **more: Any) -> loop.Job:
    where.mkdir(exist_ok=True)
    train, test = parts()
    return loop.Job(model_of(), train, test, recipe, where, seed=5, **more)


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in model.state_dict().items()}


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


class Stop:
    """Ctrl-C at the n-th step."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_it_is_the_loop_that_one_writes(tmp_path: Path) -> None:
    """The same in plain PyTorch: its scheduler, its own loader of the same order."""
    recipe = Recipe(epochs=EPOCHS, batch=BATCH)
    mine = job(tmp_path / "mine", recipe)
    loop.train(mine)

    model, (train, test) = model_of(), parts()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    rows = []
    for epoch in range(EPOCHS):
        optimiser.param_groups[0]["lr"] = 0.1 * (1 + math.cos(math.pi * epoch / EPOCHS)) / 2
        order = torch.randperm(52, generator=loop._generator(mine, epoch, loop.ORDER))
        model.train()
        seen, right, five, losses = 0, 0, 0, []
        for begin in range(0, 48, BATCH):  # the last four wait for another epoch
            x, y = train.batch(order[begin : begin + BATCH])
            logits = model(x)
            loss = functional.cross_entropy(logits, y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses += [loss.item()] * len(y)
            places = (logits > logits.gather(1, y[:, None])).sum(1)  # how many are above the right
            seen, right, five = seen + len(y), right + int((places == 0).sum()), five + int(
                (places < 5).sum())  # fmt: skip
        model.eval()
        x, y = test.batch(torch.arange(20))
        with torch.no_grad():
            tested = model(x)
        rows.append({
            "train_loss": float(np.mean(losses)), "train_top1": 100 * right / seen,
            "train_top5": 100 * five / seen,
            "test_loss": functional.cross_entropy(tested, y).item(),
            "test_top1": 100 * float((tested.argmax(1) == y).float().mean()),
        })  # fmt: skip
    assert equal(weights(mine.model), weights(model))
    table = folder.metrics(mine.folder)
    for epoch, row in enumerate(rows):
        for name, value in row.items():
            # a mean of 20 float32 losses against a sum in float64
            assert table[name][epoch] == pytest.approx(value, rel=2e-6), (epoch, name)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("stops", [(2,), (5, 1, 4)], ids=str)
def test_stopped_anywhere_it_ends_with_the_same_bits(
    options: str, stops: tuple[int, ...], tmp_path: Path
) -> None:
    recipe = Recipe(epochs=EPOCHS, batch=BATCH, **OPTIONS[options])
    whole = job(tmp_path / "whole", recipe)
    loop.train(whole)
    for at in stops:
        with pytest.raises(KeyboardInterrupt):
            loop.train(job(tmp_path / "stopped", recipe, tick=Stop(at)))
        torch.manual_seed(at)  # whatever another process drew
    last = job(tmp_path / "stopped", recipe)
    loop.train(last)
    assert equal(weights(whole.model), weights(last.model))
    one, other = (folder.metrics(j.folder).drop(columns="seconds") for j in (whole, last))
    assert one.equals(other)
    assert one["epoch"].tolist() == list(range(EPOCHS))


@pytest.mark.parametrize("moment", ["observe", "metrics", "checkpoint"])
def test_stopped_between_an_epoch_and_its_checkpoint(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(epochs=EPOCHS, batch=BATCH, record_every=1)
    whole = job(tmp_path / "whole", recipe)
    loop.train(whole)
    seen: list[int] = []

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    def observe(done: int) -> None:
        seen.append(done)
        if done == 2 and moment == "observe":
            stop()

    with monkeypatch.context() as patch:
        if moment == "checkpoint":
            patch.setattr(checkpoint, "save", stop)
        elif moment == "metrics":
            patch.setattr(folder, "add_metrics", stop)
        with pytest.raises(KeyboardInterrupt):
            loop.train(job(tmp_path / "stopped", recipe, observe=observe))
    again: list[int] = []
    last = job(tmp_path / "stopped", recipe, observe=again.append)
    loop.train(last)
    assert equal(weights(whole.model), weights(last.model))
    assert folder.metrics(last.folder)["epoch"].tolist() == list(range(EPOCHS))
    assert seen == ([0, 1, 2] if moment == "observe" else [0, 1])
    assert again == ([2, 3] if moment == "observe" else [0, 1, 2, 3])


def test_a_finished_training_does_nothing_more(tmp_path: Path) -> None:
    recipe = Recipe(epochs=1, batch=BATCH)
    done = job(tmp_path / "a", recipe)
    loop.train(done)
    before = (tmp_path / "a" / "metrics.csv").read_bytes()
    steps: list[int] = []
    again = job(tmp_path / "a", recipe, tick=lambda: steps.append(1))
    loop.train(again)
    assert steps == []
    assert equal(weights(done.model), weights(again.model))
    assert (tmp_path / "a" / "metrics.csv").read_bytes() == before


def test_checkpointing_changes_no_bit(tmp_path: Path) -> None:
    plain, kept = (
        job(tmp_path / str(on), Recipe(epochs=2, batch=BATCH, checkpointing=on))
        for on in (False, True)
    )
    loop.train(plain)
    loop.train(kept)
    assert equal(weights(plain.model), weights(kept.model))


def test_seeds_change_the_order(tmp_path: Path) -> None:
    train, test = parts()
    made = []
    for seed in (0, 1):
        where = tmp_path / str(seed)
        where.mkdir()
        one = loop.Job(model_of(), train, test, Recipe(epochs=1, batch=BATCH), where, seed=seed)
        loop.train(one)
        made.append(weights(one.model))
    assert not equal(*made)


def test_every_sample_is_shown_at_most_once_an_epoch_over_all_processes() -> None:
    order = torch.randperm(103)
    shown = torch.cat([Rank(r, 3).share(order, 4).flatten() for r in range(3)])
    assert len(shown) == 96
    assert sorted(shown.tolist()) == sorted(order[:96].tolist())
    together = torch.stack([Rank(r, 3).share(order, 4) for r in range(3)], dim=1)
    assert torch.equal(together.flatten(), order[:96])  # one step: 12 in a row of the order


def test_too_few_samples(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        loop.train(job(tmp_path / "a", Recipe(batch=53)))
    assert str(error.value) == (
        "the training set must be at least 53; got '52 samples'; give --batch 52 or fewer"
    )


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    with pytest.raises(SnnlensError) as error:
        loop.train(job(tmp_path / "a", Recipe(batch=BATCH), logits=lambda m, x: m(x) * math.nan))
    assert str(error.value) == (
        "the training loss must be finite; got nan in epoch 0; lower --lr or --clip the gradient"
    )
    assert folder.metrics(tmp_path / "a").empty


def test_a_full_disk_leaves_a_training_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(epochs=EPOCHS, batch=BATCH)
    whole = job(tmp_path / "whole", recipe)
    loop.train(whole)
    write = atomic._synced

    def full(path: Path, data: bytes) -> None:
        if "epoch-0002" in str(path):
            write(path, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "full")
        write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "_synced", full)
        with pytest.raises(InputError, match="the disk of the checkpoint must be with room"):
            loop.train(job(tmp_path / "full", recipe))
    kept = checkpoint.load(tmp_path / "full")
    assert kept is not None
    assert kept.epoch == 1
    last = job(tmp_path / "full", recipe)
    loop.train(last)
    assert equal(weights(whole.model), weights(last.model))


def test_frames_are_left_out_in_training_alone(tmp_path: Path) -> None:
    x = torch.arange(6.0).view(6, 1, 1, 1, 1)
    recipe = Recipe(train_steps=4)
    kept = augment.changed(x, recipe, torch.Generator().manual_seed(0)).flatten().tolist()
    assert len(kept) == 4
    assert kept == sorted(set(kept))
