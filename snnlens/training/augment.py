"""Changes of a training batch: crops, mirror images, time steps left out."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from snnlens.errors import InputError
from snnlens.training.recipe import Recipe

PAD = 4  # pixels around an image before it is cropped (He et al. 2016, CIFAR-10)


def changed(x: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """A batch as the recipe wants it: images [B, C, H, W] or frames [T, B, C, H, W]."""
    if "crop" in recipe.augment:
        x = cropped(x, generator)
    if "flip" in recipe.augment:
        x = flipped(x, generator)
    if recipe.train_steps is not None and x.dim() == 5:
        x = random_temporal_delete(x, recipe.train_steps, generator)
    return x


def cropped(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each sample moved by up to 4 pixels in both directions, zeros where nothing was.

    Source: He et al. 2016, Section 4.2.

    >>> x = torch.arange(16.0).view(1, 1, 4, 4)
    >>> cropped(x, torch.Generator().manual_seed(0)).shape
    torch.Size([1, 1, 4, 4])
    """
    height, width = x.shape[-2:]
    padded = functional.pad(x, (PAD,) * 4)
    moves = torch.randint(2 * PAD + 1, (x.shape[-4], 2), generator=generator).tolist()
    parts = [
        padded[..., i, :, top : top + height, left : left + width]
        for i, (top, left) in enumerate(moves)
    ]
    return torch.stack(parts, dim=-4)


def flipped(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each sample mirrored left to right with probability 1/2."""
    mirrored = torch.rand(x.shape[-4], generator=generator) < 0.5
    return torch.where(mirrored.view(-1, 1, 1, 1), x.flip(-1), x)


def random_temporal_delete(x: Tensor, keep: int, generator: torch.Generator) -> Tensor:
    """A random subset of the time steps of x [T, B, ...], in their order, one for the whole batch.

    Every subset of `keep` steps is as likely. Raises InputError for a number below 1 or above T.

    Source: Fang et al. 2021 (SEW ResNet), appendix A.2; in training alone, all of T in a test.

    >>> x = torch.arange(4.0).view(4, 1)
    >>> random_temporal_delete(x, 2, torch.Generator().manual_seed(0)).flatten().tolist()
    [0.0, 1.0]
    """
    if not 1 <= keep <= len(x):
        raise InputError("train_steps", got=keep, wanted=f"from 1 to the {len(x)} steps there are")
    chosen = torch.randperm(len(x), generator=generator)[:keep].sort().values
    return x[chosen.to(x.device)]
