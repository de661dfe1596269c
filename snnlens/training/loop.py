"""The training loop: whole epochs, each with its metrics and its checkpoint; it goes on anywhere.

An epoch is decided by the state after the last one, the seed and its number alone, so that a
training that was stopped at any moment ends with the weights of one that never was: bit for bit on
a CPU.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from snnlens.adapters._survey import method
from snnlens.data.sets import Set
from snnlens.errors import InputError, SnnlensError
from snnlens.neuron import memory
from snnlens.training import augment, checkpoint, folder
from snnlens.training.ranks import ALONE, Rank
from snnlens.training.recipe import Recipe

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
ORDER, CHANGES = 1, 2  # what the random numbers of an epoch are for


@dataclass(frozen=True)
class Job:
    """One training: a model, its data, a recipe, the folder that keeps it.

    Attributes:
        model: on its device.
        train: what it is trained on.
        test: what it is tested on after each epoch, in evaluation mode.
        recipe: how.
        folder: of this training, see folder.py.
        seed: of the order of the samples and of their augmentation.
        logits: what the model says of x: [B, classes], the mean over T.
        observe: called with the number of whole epochs done, where a Record is due.
        tick: called after each step.
        rank: this process among several.
    """

    model: nn.Module
    train: Set
    test: Set
    recipe: Recipe
    folder: Path
    seed: int = 0
    logits: Callable[[nn.Module, Tensor], Tensor] = lambda model, x: model(x)
    observe: Callable[[int], None] = lambda _: None
    tick: Callable[[], None] = lambda: None
    rank: Rank = ALONE


def train(job: Job) -> None:
    """Train to the last epoch, from the last whole one.

    Raises:
        InputError: fewer samples than one step takes; a full disk (the last checkpoint stays).
        SnnlensError: the loss is not finite any more.
    """
    _Loop(job).run()


class _Loop:
    def __init__(self, job: Job) -> None:
        self.job, self.recipe = job, job.recipe
        self.device = next(job.model.parameters()).device
        self.optimiser = _optimiser(job.model, job.recipe)
        half = job.recipe.precision == "float16"
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=half)
        needed = job.recipe.batch * job.rank.size
        if len(job.train) < needed:
            raise InputError(
                "the training set", got=f"{len(job.train)} samples", wanted=f"at least {needed}",
                do=f"give --batch {max(1, len(job.train) // job.rank.size)} or fewer",
            )  # fmt: skip

    def run(self) -> None:
        done = self._restore()
        wrapped = self.job.rank.wrapped(self.job.model)
        if done == 0 and self.recipe.records_after(0):
            self.job.observe(0)
        for epoch in range(done, self.recipe.epochs):
            begin = time.perf_counter()
            row = self._epoch(wrapped, epoch) | self._test()
            row |= {"epoch": epoch, "learning_rate": self.recipe.learning_rate(epoch)}
            if self.recipe.records_after(epoch + 1):
                self.job.observe(epoch + 1)
            if self.job.rank.first:
                folder.add_metrics(self.job.folder, row | {"seconds": time.perf_counter() - begin})
                checkpoint.save(
                    self.job.folder, epoch + 1, self.job.model, self.optimiser, self.scaler
                )
            self.job.rank.wait()

    def _restore(self) -> int:
        """Go back to the last whole epoch; 0 where there is none."""
        kept = checkpoint.load(self.job.folder)
        done = 0 if kept is None else kept.epoch
        if kept is not None:
            kept.restore(self.job.model, self.optimiser, self.scaler)
        if self.job.rank.first:
            folder.clear(self.job.folder)
            folder.cut_metrics(self.job.folder, done)
        self.job.rank.wait()
        return done

    def _epoch(self, wrapped: nn.Module, epoch: int) -> dict[str, float]:
        """One pass over the training set."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.learning_rate(epoch)
        _seed_all(_mixed(self.job.seed, epoch, self.job.rank.number))  # dropout, a user's own noise
        order = torch.randperm(len(self.job.train), generator=_generator(self.job, epoch, ORDER))
        changes = _generator(self.job, epoch, CHANGES, self.job.rank.number)
        self.job.model.train()
        sums = torch.zeros(4, dtype=torch.float64, device=self.device)
        for numbers in self.job.rank.share(order, self.recipe.batch):
            x, y = self.job.train.batch(numbers)
            x = augment.changed(x, self.recipe, changes)
            sums += self._step(wrapped, x.to(self.device), y.to(self.device))
            self.job.tick()
        return _means("train", self.job.rank.total(sums), epoch)

    def _step(self, wrapped: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        self.optimiser.zero_grad(set_to_none=True)
        with (
            autocast(self.device, self.recipe),
            saving(self.job.model, on=self.recipe.checkpointing),
        ):
            logits = self.job.logits(wrapped, x)
            loss = functional.cross_entropy(logits, y)
        self.scaler.scale(loss).backward()
        if self.recipe.clip is not None:
            self.scaler.unscale_(self.optimiser)
            nn.utils.clip_grad_norm_(self.job.model.parameters(), self.recipe.clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        return _scores(loss.detach(), logits.detach(), y)

    @torch.no_grad()
    def _test(self) -> dict[str, float]:
        """The test set in evaluation mode; every process tests all of it."""
        self.job.model.eval()
        sums = torch.zeros(4, dtype=torch.float64, device=self.device)
        for x, y in self.job.test.in_order(max(self.recipe.batch, 64)):
            target = y.to(self.device)
            with autocast(self.device, self.recipe):
                logits = self.job.logits(self.job.model, x.to(self.device))
                loss = functional.cross_entropy(logits, target)
            sums += _scores(loss, logits, target)
        return _means("test", sums, None)


def autocast(device: torch.device, recipe: Recipe) -> AbstractContextManager[Any]:
    """Within it, operations run in the recipe's precision."""
    dtype = DTYPES.get(recipe.precision)
    return torch.autocast(device.type, dtype, enabled=dtype is not None)


def saving(model: nn.Module, *, on: bool) -> AbstractContextManager[None]:
    """Within it, a forward pass keeps the inputs of the blocks alone, if that is `on`.

    Raises InputError for a model that lists no blocks.
    """
    if not on:
        return nullcontext()
    listing = method(model, "blocks")
    if listing is None:
        raise InputError("checkpointing", got=type(model).__name__,
                         wanted="left out: this model lists no residual blocks")  # fmt: skip
    return memory.checkpointed(block for _, block in listing())


def _optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    weights = [p for p in model.parameters() if p.requires_grad]
    lr, decay = recipe.lr, recipe.weight_decay
    if recipe.optimiser == "adam":
        return torch.optim.Adam(weights, lr=lr, weight_decay=decay)
    return torch.optim.SGD(weights, lr=lr, momentum=recipe.momentum, weight_decay=decay)


def _scores(loss: Tensor, logits: Tensor, y: Tensor) -> Tensor:
    """Summed loss, samples with the right class first, among the first five, samples."""
    samples = len(y)
    ranks = logits.topk(min(5, logits.shape[1]), dim=1).indices == y[:, None]
    counts = torch.stack([ranks[:, 0].sum(), ranks.sum()]).double()
    total = torch.full((1,), float(samples), dtype=torch.float64, device=logits.device)
    return torch.cat([(loss.double() * samples)[None], counts, total])


def _means(part: str, sums: Tensor, epoch: int | None) -> dict[str, float]:
    """Loss per sample, and accuracies in percent."""
    loss, top1, top5, samples = sums.tolist()
    if epoch is not None and not math.isfinite(loss):
        raise SnnlensError(
            f"the training loss must be finite; got {loss} in epoch {epoch}; lower --lr or --clip "
            "the gradient"
        )
    return {
        f"{part}_loss": loss / samples,
        f"{part}_top1": 100 * top1 / samples,
        f"{part}_top5": 100 * top5 / samples,
    }


def _seed_all(seed: int) -> None:
    """Every source of randomness that a model may draw from."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - the global state is what a model may draw from


def _generator(job: Job, epoch: int, purpose: int, rank: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(_mixed(job.seed, epoch, rank, purpose))


def _mixed(seed: int, epoch: int, rank: int, purpose: int = 0) -> int:
    """One seed of several numbers, so that neighbouring epochs share nothing.

    >>> len({_mixed(s, e, r) for s in range(9) for e in range(9) for r in range(9)})
    729
    """
    mixed = 0
    for number in (seed, epoch, rank, purpose):
        mixed = (mixed + number + 1) * 0x9E3779B97F4A7C15 % 2**64
        mixed ^= mixed >> 29
    return mixed % 2**63
