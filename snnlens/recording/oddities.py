"""What of a recorded model was not as it should be: numbers that are not finite, replaced parts."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from snnlens.sites import Site


class Oddities:
    """Of one model while it is recorded; they end as facts of its network."""

    def __init__(self) -> None:
        self.attached: dict[str, nn.Module] = {}  # by path; a model may replace its parts
        self._replaced: set[str] = set()
        self._broken: list[str] = []  # weights, buffers, numbers of a neuron
        self._inputs: Tensor | int = 0  # numbers in the inputs of the model

    def given(self, inputs: Iterable[Tensor]) -> None:
        """What the model is called with."""
        for x in inputs:
            self._inputs = self._inputs + non_finite(x)

    def look(self, model: nn.Module, spiking: Container[str]) -> None:
        """Which modules have gone from their place, and which weights are not finite now."""
        now = dict(model.named_modules(remove_duplicate=False))
        self._replaced |= {n for n, m in self.attached.items() if now.get(n) is not m}
        held = chain(model.named_parameters(), model.named_buffers())
        self._broken = [name for name, x in held if int(non_finite(x))]
        self._broken += [
            f"{name}.{key}"
            for name, module in self.attached.items()
            if name in spiking
            for key, x in vars(module).items()
            if isinstance(x, float) and math.isnan(x)
        ]

    def facts(self, sites: Iterable[Site]) -> dict[str, Any]:
        """As the Record names them."""
        replaced = [s.name for s in sites if s.module in self._replaced]
        return {"non_finite_inputs": int(self._inputs), "non_finite_state": self._broken,
                "replaced": replaced}  # fmt: skip


def non_finite(x: Tensor) -> Tensor | int:
    """How many numbers of a tensor are NaN or infinite; it stays on its device.

    >>> int(non_finite(torch.tensor([1.0, torch.nan, torch.inf])))
    2
    """
    plain = type(x) in (Tensor, nn.Parameter) and x.layout is torch.strided and not x.is_nested
    if not plain or x.is_meta or not (x.is_floating_point() or x.is_complex()):
        return 0
    return x.numel() - torch.isfinite(x.detach()).sum()
