"""An ANN converted: its activations replaced by spiking layers, the rest as it was."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import pandas as pd
import torch
from torch import Tensor, nn

from snnlens.conversion import clipping, known
from snnlens.conversion.activations import LEAST, QCFS
from snnlens.conversion.layers import LAYERS, ParallelLayer, Spiking, Stepped
from snnlens.conversion.prepare import Prepared, prepare, refuse
from snnlens.conversion.unseen import Watch
from snnlens.errors import InputError

Method = Literal["parallel", "sequential"]


class Converted(nn.Module):
    """A spiking network on the neuron core: an input [B, ...] in, the logits' mean over T out.

    The input is shown at every step, and time is folded into the batch, steps outermost, as in the
    core. It stays in evaluation mode: a BatchNorm must not count steps as samples.

    Its weights are frozen. Gradients pass sequential layers by the surrogate of IF; parallel ones
    give none.

    Attributes:
        network: the layers, with the names of the ANN; a `Spiking` where an activation was.
        layers: the spiking layers by name, in the order of the forward pass.
        adds: of each sum of two paths, which input is the shortcut.
        coverage: what became of each layer: module, type, outcome, by, why.
        method: parallel or sequential.

    >>> import torch
    >>> ann = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    >>> net = convert(ann, time_steps=4, data=[torch.rand(8, 4)])
    >>> net(torch.rand(2, 4)).shape, net.time_steps
    (torch.Size([2, 3]), 4)
    """

    static = True  # its input has no axis of time

    def __init__(
        self, prepared: Prepared, network: nn.Module, method: Method, coverage: pd.DataFrame
    ) -> None:
        super().__init__()
        self.network, self.method = network, method
        self.names, self.adds, self.coverage = prepared.activations, prepared.adds, coverage
        self._options: dict[str, Any] = {"pool": prepared.pool, "folded": prepared.folded}
        left = set(coverage["outcome"]) & {"analog", "spiking"}
        self._watched = prepared.traced or bool(left)  # what was left analog calls what it likes
        super().train(False)

    @property
    def layers(self) -> dict[str, Spiking]:
        """The spiking layers by name."""
        found = {name: self.network.get_submodule(name) for name in self.names}
        return {name: layer for name, layer in found.items() if isinstance(layer, Spiking)}

    @property
    def time_steps(self) -> int:
        """T; set it to run other steps. A parallel network's T is its number of levels."""
        return next(iter(self.layers.values())).time_steps

    @time_steps.setter
    def time_steps(self, steps: int) -> None:
        check_steps(steps)
        for layer in self.network.modules():
            if isinstance(layer, Spiking | Stepped):
                layer.time_steps = steps

    @property
    def sum_first(self) -> bool:
        """Whether the mean over time passes the linear layers, once instead of T times."""
        first = next(iter(self.layers.values()))
        return isinstance(first, ParallelLayer) and first.sum_first

    @sum_first.setter
    def sum_first(self, on: bool) -> None:
        if on:
            self._check_sum_first()
        for layer in self.layers.values():
            if isinstance(layer, ParallelLayer):
                layer.sum_first = on

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes], the mean over T of what the last layer gives."""
        if self.sum_first:
            return self._run(x)
        return self.steps(x).mean(0)

    def steps(self, x: Tensor) -> Tensor:
        """What the last layer gives at each step, [T, B, classes].

        The mean of the first t of a sequential network is what it says after t steps; a parallel
        network says something at t = T only.
        """
        if self.sum_first:
            raise InputError("sum_first", got=True, wanted="False: no single step is run with it")
        folded = x.expand(self.time_steps, *x.shape).flatten(0, 1)
        out: Tensor = self._run(folded).unflatten(0, (self.time_steps, len(x)))
        return out

    def prepared_like(self, ann: nn.Module | Prepared, x: Tensor) -> Prepared:
        """The ANN made ready as it was for this network.

        Raises InputError for one of other activations, or whose copy differs from it on x.
        """
        made = ann if isinstance(ann, Prepared) else prepare(ann, **self._options)
        if made.activations != self.names:
            wanted = f"with the activations of the network: {', '.join(self.names[:3])}, ..."
            raise InputError("the ANN", got=", ".join(made.activations[:3]), wanted=wanted)
        own = dict(self.network.named_parameters())
        for name, weight in made.network.named_parameters():
            if name in own and not torch.equal(own[name].to(weight), weight):
                wanted = "the one that the network was converted from"
                raise InputError("the ANN", got=f"other weights in {name}", wanted=wanted)
        if not isinstance(ann, Prepared) and self._options["pool"] == "as given":
            made.check(ann, x)
        return made

    def facts(self) -> dict[str, Any]:
        """What a Record says of this network."""
        return {"neuron": "converted", "method": self.method, "time_steps": self.time_steps,
                "amplitudes": "theta"}  # fmt: skip

    def train(self, mode: bool = True) -> Converted:
        """It stays in evaluation mode."""
        return self

    def _run(self, x: Tensor) -> Tensor:
        if self._watched:
            return self._checked(self.network(x))
        with Watch() as watch:
            found = self._checked(self.network(x))
        if watch.seen:
            raise InputError(
                "the forward function of the network", got=", ".join(sorted(watch.seen)),
                wanted="activations that are modules, as torch.fx cannot trace it",
                do="make each one an nn.ReLU() of its own",
            )  # fmt: skip
        self._watched = True
        return found

    @staticmethod
    def _checked(out: object) -> Tensor:
        if not isinstance(out, Tensor):
            wanted = "logits [B, classes]"
            raise InputError("what the ANN returns", got=type(out).__name__, wanted=wanted)
        return out

    def _check_sum_first(self) -> None:
        if self.method != "parallel":
            wanted = "left off: a sequential neuron needs its currents step by step"
            raise InputError("sum_first", got=True, wanted=wanted)
        odd = self.coverage[self.coverage["outcome"].isin(["analog", "spiking"])]
        odd = odd[odd["why"] != known.MAX.why]
        if len(odd):
            wanted = f"left off: {odd['module'].iloc[0]} is not linear, and no parallel neuron"
            raise InputError("sum_first", got=True, wanted=wanted)


def convert(
    ann: nn.Module | Prepared,
    method: Method = "parallel",
    time_steps: int = 8,
    *,
    data: Iterable[Any] | None = None,
    quantile: float | None = None,
    thresholds: dict[str, Tensor] | None = None,
    pool: str = "as given",
    folded: bool = True,
    partial: bool = False,
) -> Converted:
    """A spiking network of an ANN: each ReLU or QCFS becomes a layer of spiking neurons.

    Args:
        ann: [B, ...] to logits, [C, ...] the channels of one sample. Its QCFS activations bring
            their thresholds; a ReLU has none and needs `data` or `thresholds`.
        method: parallel (sorted spikes, lossless at T = levels) or sequential (IF, soft reset,
            V(0) = theta / 2).
        time_steps: T, at least 1.
        data: batches x or (x, y) that show what the ReLUs give: the calibration set.
        quantile: of each channel, instead of its maximum.
        thresholds: by name of the activation, instead of data.
        pool: "average" turns each max-pool into an average pool, as `prepare`.
        folded: fold BatchNorms into the layers before them, as `prepare`.
        partial: leave analog what spikes cannot stand for; the coverage says so.

    Raises:
        InputError: T below 1, layers that cannot be converted (all of them by name), a threshold
            that is not above 0, a ReLU without data, an empty calibration set.

    Source: Bu et al. 2022 (QCFS); Hao et al. 2025 (ICML), Section 4.

    >>> ann = nn.Sequential(nn.Linear(4, 3), QCFS(levels=4), nn.Linear(3, 2))
    >>> net, x = convert(ann, time_steps=4), torch.rand(5, 4)
    >>> torch.allclose(net(x), ann(x), atol=1e-6)
    True
    """
    check_steps(time_steps)
    if method not in LAYERS:
        raise InputError("method", got=method, wanted="parallel or sequential")
    prepared = ann if isinstance(ann, Prepared) else prepare(ann, pool=pool, folded=folded)
    if not partial:
        refuse(prepared)
    if not prepared.activations:
        wanted = "with at least one ReLU or QCFS"
        raise InputError("the network", got="none that spikes can stand for", wanted=wanted)
    chosen = thresholds_of(prepared, data=data, quantile=quantile, given=thresholds)
    network, coverage = prepared.copy(), prepared.coverage.copy()
    for name in prepared.activations:
        shift = getattr(prepared.activation(name), "shift", 0.5)
        network.set_submodule(name, LAYERS[method](chosen[name], time_steps, shift))
        coverage.loc[coverage["module"] == name, "by"] = LAYERS[method].__name__
    made = Converted(prepared, network, method, coverage)
    made.time_steps = time_steps
    return made


def requantised(prepared: Prepared, thresholds: dict[str, Tensor], levels: int) -> nn.Module:
    """The ANN with QCFS of so many levels at every activation: what a parallel network equals."""
    network = prepared.copy()
    for name in prepared.activations:
        activation = prepared.activation(name)
        shift = activation.shift if isinstance(activation, QCFS) else 0.5
        network.set_submodule(name, QCFS(levels, 1.0, shift=shift, learned=False))
        made = network.get_submodule(name)
        made.raw = nn.Parameter(thresholds[name].clone(), requires_grad=False)
    return network


def check_converted(net: object, call: str) -> None:
    """Raise InputError for a network that was not converted: arguments are easily swapped."""
    if not isinstance(net, Converted):
        wanted = f"a converted one: {call}"
        raise InputError("the network", got=type(net).__name__, wanted=wanted)


def check_steps(steps: object) -> None:
    """Raise InputError for a T that is no whole number from 1 on."""
    if not isinstance(steps, int) or isinstance(steps, bool):
        raise InputError("time_steps", got=steps, wanted="a whole number")
    if steps < 1:
        raise InputError("time_steps", got=steps, wanted="at least 1")


def thresholds_of(
    prepared: Prepared,
    *,
    data: Iterable[Any] | None = None,
    quantile: float | None = None,
    given: dict[str, Tensor] | None = None,
    guessed: dict[str, int] | None = None,
) -> dict[str, Tensor]:
    """theta of each activation by name: learned, given, or seen in the data; as `convert`.

    `guessed` is given, by name, how many channels had no threshold of their own in the data.
    """
    found = dict(given or {})
    if unknown := sorted(set(found) - set(prepared.activations)):
        wanted = f"one of the activations: {', '.join(prepared.activations)}"
        raise InputError("a name in thresholds", got=unknown[0], wanted=wanted)
    for name in prepared.activations:
        activation = prepared.activation(name)
        if isinstance(activation, QCFS) and name not in found:
            found[name] = _learned(name, activation)
    missing = [name for name in prepared.activations if name not in found]
    if missing and data is None:
        raise InputError(
            "thresholds", got=f"none for {missing[0]} and {len(missing) - 1} others"
            if len(missing) > 1 else f"none for {missing[0]}",
            wanted="one per activation: a ReLU has none of its own",
            do="give data=batches (the training set), or train with QCFS",
        )  # fmt: skip
    if missing and data is not None:
        found |= clipping.thresholds(prepared, missing, data, quantile=quantile, guessed=guessed)
    return found


def _learned(name: str, activation: QCFS) -> Tensor:
    theta = activation.threshold.detach()
    raw = activation.raw.detach()
    if not bool((torch.isfinite(raw) & (raw.abs() > LEAST)).all()):
        raise InputError(
            f"the threshold of {name}", got=float(raw.flatten()[raw.abs().argmin()]),
            wanted="above 0 after training",
            do="train it again with a smaller learning rate or no weight decay on thresholds",
        )  # fmt: skip
    return theta
