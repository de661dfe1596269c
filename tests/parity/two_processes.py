"""What each process of torchrun does: record its half batch under DDP, merge on rank 0, save."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

import snnlens
from snnlens import registry
from snnlens.models.resnet import ResNet
from snnlens.recording.ranks import gather
from tests.unit.recording import brute

PROBES = tuple(n for n in registry.listing("probes") if n not in {"isometry", "update_ratio"})
HALVES = 2


def made() -> ResNet:
    return brute.small("sew", "add")


def half(rank: int) -> Tensor:
    return brute.batch(seed=rank + 1)


def main(folder: Path) -> None:
    dist.init_process_group("gloo")
    rank, model = dist.get_rank(), made()
    wrapped = DistributedDataParallel(model)
    with snnlens.record(wrapped, PROBES) as recorder:
        loss = brute.loss(wrapped, half(rank))
        loss.backward()
    recorder.note(loss=loss.item(), rank=rank)
    for name, own in (("merged", recorder.record()),
                      ("missing", None if rank else recorder.record())):  # fmt: skip
        merged = gather(own)
        assert (merged is None) == (rank > 0)
        if merged is not None:
            merged.save(folder / name)
    torch.save(model.conv1.weight.grad, folder / f"grad-{rank}.pt")  # averaged by DDP
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
