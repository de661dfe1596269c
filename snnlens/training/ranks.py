"""One training on several processes (torchrun): who this one is, and sums over all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Rank:
    """This process among `size`; the first one writes.

    >>> Rank().share(torch.arange(6), 3).tolist()
    [[0, 1, 2], [3, 4, 5]]
    >>> Rank(1, 2).share(torch.arange(9), 2).tolist()
    [[2, 3], [6, 7]]
    """

    number: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes."""
        return self.number == 0

    def share(self, order: Tensor, batch: int) -> Tensor:
        """The steps of an epoch: of every size x batch samples in a row, this process' batch.

        What is left over at the end is not shown in this epoch: all steps are equally large.
        """
        steps = len(order) // (batch * self.size)
        whole = order[: steps * batch * self.size].view(steps, self.size, batch)
        return whole[:, self.number]

    def total(self, sums: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.size > 1:
            dist.all_reduce(sums)
        return sums

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            dist.barrier()

    def wrapped(self, model: nn.Module) -> nn.Module:
        """The model, with gradients averaged over processes; BatchNorm stays each process' own."""
        return DistributedDataParallel(model) if self.size > 1 else model


ALONE = Rank()


def launched() -> bool:
    """Whether torchrun started this process among several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def joined(device: str) -> Iterator[Rank]:
    """This process' rank: torchrun's, or alone."""
    if not launched():
        yield ALONE
        return
    cuda = torch.device(device).type == "cuda"
    if cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Rank(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
