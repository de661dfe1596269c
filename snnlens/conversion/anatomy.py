"""Where a converted network loses: every layer, every T, both ways of feeding it.

Accumulated: each layer gets what the spiking network gives it. Local: each layer gets the ANN's own
activations, encoded anew by a constant current, so that what it inherits is the encoding alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from snnlens.conversion import split
from snnlens.conversion.convert import Converted, requantised
from snnlens.conversion.layers import Spiking
from snnlens.conversion.prepare import Prepared
from snnlens.errors import InputError
from snnlens.neuron.parallel import added

PAIRS = 400  # points of a scatter of activation against rate
KEYS = ["layer", "order", "neuron", "time_steps", "view"]
Sums = dict[str, float]
See = Callable[[str, Spiking, Tensor, Tensor], None]


@dataclass
class Pass:
    """What one pass of an ANN gave: z and a of each activation, both inputs of each sum."""

    inputs: dict[str, Tensor] = field(default_factory=dict)
    outputs: dict[str, Tensor] = field(default_factory=dict)
    sums: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    logits: Tensor = field(default_factory=lambda: torch.empty(0))


@dataclass(frozen=True)
class Run:
    """A converted network under a name, and the T at which it is looked at.

    A sequential network is run once, at the largest T: its first steps are those of a shorter run.
    """

    neuron: str
    net: Converted
    times: tuple[int, ...]
    local: bool = True

    def lengths(self) -> list[tuple[int, tuple[int, ...]]]:
        """The runs that are needed: T, and the T that each one shows."""
        if self.net.method == "sequential":
            return [(max(self.times), self.times)]
        return [(t, (t,)) for t in self.times]


class Anatomy:
    """Sums over batches; `add` a batch, then read `tables`.

    Args:
        prepared: the ANN.
        runs: converted networks of it.
        scattered: of which layers and T pairs of activation and rate are kept.
    """

    def __init__(
        self, prepared: Prepared, runs: Sequence[Run], *, scattered: Sequence[int] = ()
    ) -> None:
        self.prepared, self.runs, self.scattered = prepared, runs, scattered
        self.order = {name: i for i, name in enumerate(prepared.activations)}
        self._layers: dict[tuple[Any, ...], Sums] = defaultdict(lambda: defaultdict(float))
        self._paths: dict[tuple[Any, ...], Sums] = defaultdict(lambda: defaultdict(float))
        self._right: dict[tuple[str, int], Sums] = defaultdict(lambda: defaultdict(float))
        self._active: dict[str, Tensor] = {}
        self._pairs: list[pd.DataFrame] = []
        theta = {name: layer.theta for name, layer in runs[0].net.layers.items()}
        times = sorted({t for run in runs for t in run.times})
        self._quantised = {t: requantised(prepared, theta, t) for t in times}

    @torch.no_grad()
    def add(self, x: Tensor, y: Tensor | None = None) -> None:
        """One batch through the ANN, the requantised ANN at each T, and every run."""
        ann = passed(self.prepared.network, self.prepared, x)
        self._score("ann", 0, ann.logits, y)
        for name, a in ann.outputs.items():
            active = (a.transpose(0, 1).flatten(1) > 0).any(1)
            self._active[name] = self._active.get(name, active) | active
        wanted: dict[int, dict[str, Tensor]] = {}
        for t, network in self._quantised.items():
            found = passed(network, self.prepared, x)
            self._score("requantised", t, found.logits, y)
            wanted[t] = found.outputs
        for run in self.runs:
            for length, shown in run.lengths():
                run.net.time_steps = length
                self._run(run, x, y, ann, wanted, shown)

    def _run(
        self, run: Run, x: Tensor, y: Tensor | None, ann: Pass,
        wanted: Mapping[int, Mapping[str, Tensor]], shown: Sequence[int],
    ) -> None:  # fmt: skip
        def see(view: str) -> See:
            def seen(name: str, layer: Spiking, steps: Tensor, spikes: Tensor) -> None:
                membranes = _membranes(layer, steps, spikes, shown) if _integrates(run) else {}
                for t in shown:
                    key = (name, self.order[name], run.neuron, t, view)
                    part = Steps(steps[:t], spikes[:t], membranes.get(t))
                    self._layer(key, layer, ann, part, wanted[t][name])

            return seen

        with watched(run.net, see("accumulated")), sums_of(run.net.network, run.net.adds) as added_:
            logits = run.net.steps(x)
        for t in shown:
            self._score(run.neuron, t, logits[:t].mean(0), y)
            self._path(run, t, ann, added_, len(x))
        if run.local:
            with watched(run.net, see("local"), ann.outputs):
                run.net.steps(x)

    def _layer(
        self, key: tuple[Any, ...], layer: Spiking, ann: Pass, part: Steps, wanted: Tensor
    ) -> None:
        name, _, _, t, view = key
        z, counts = added(part.steps) / t, added(part.spikes)
        a, r = ann.outputs[name], layer.mean_of(counts, t)
        parts = split.split(self.prepared.activation(name), layer, ann.inputs[name], z, counts, t)
        found = split.sums(parts, a, r, z > layer.theta, layer.theta)
        found |= split.offsets(counts, layer, z, t)
        found["spikes"] = float(counts.sum(dtype=torch.float64))
        if view == "accumulated":
            found["differs"] = float((counts != torch.round(wanted / layer.theta * t)).sum())
        if part.membrane is not None:
            found |= split.residual(counts, layer, z, part.membrane, t)
        else:
            found["unsorted"] = float((part.spikes[1:] < part.spikes[:-1]).sum())
        first = key not in self._layers
        for column, number in found.items():
            self._layers[key][column] += number
        if first and view == "accumulated" and t in self.scattered and self._is_shown(name):
            self._scatter(key, a / layer.theta, r / layer.theta)

    def _path(
        self, run: Run, t: int, ann: Pass, found: dict[str, tuple[Tensor, Tensor]], samples: int
    ) -> None:
        """The error of both inputs of each sum, averaged over T."""
        for order, (name, both) in enumerate(found.items()):
            shortcut = run.net.adds[name]
            for index, x in enumerate(both):
                mean = added(x.unflatten(0, (-1, samples))[:t]) / t
                reference = ann.sums[name][index]
                path = "shortcut" if index == shortcut else "main"
                sums = self._paths[name, order, run.neuron, t, path]
                sums["values"] += reference.numel()
                sums["error_squares"] += float((mean - reference).double().square().sum())
                sums["signal_squares"] += float(reference.double().square().sum())

    def _score(self, neuron: str, t: int, logits: Tensor, y: Tensor | None) -> None:
        if y is None:
            return
        sums = self._right[neuron, t]
        sums["samples"] += len(y)
        sums["correct"] += float((logits.argmax(1) == y).sum())

    def _is_shown(self, name: str) -> bool:
        last = len(self.order) - 1
        return self.order[name] in (0, last // 2, last)

    def _scatter(self, key: tuple[Any, ...], a: Tensor, r: Tensor) -> None:
        chosen = torch.randperm(a.numel(), generator=torch.Generator().manual_seed(0))[:PAIRS]
        a, r = (v.flatten()[chosen.to(v.device)].double().cpu() for v in (a, r))
        named = dict(zip(KEYS[:4], key[:4], strict=True))
        self._pairs.append(pd.DataFrame({**named, "activation": a.numpy(), "rate": r.numpy()}))

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables of a Record, without the column `network`; none that is empty."""
        made = {
            "conversion_accuracy": self._accuracies(),
            "conversion_layers": self._layer_rows(),
            "conversion_paths": _frame(self._paths, ["site", "order", "neuron", "time_steps", "path"]),
            "conversion_pairs": pd.concat(self._pairs, ignore_index=True) if self._pairs else None,
        }  # fmt: skip
        return {name: table for name, table in made.items() if table is not None and len(table)}

    def _layer_rows(self) -> pd.DataFrame:
        rows = _frame(self._layers, KEYS)
        for column in ("differs", "unsorted", "residual_more", "residual_less", "residual_wrong"):
            if column not in rows:
                rows[column] = float("nan")
        facts = pd.DataFrame([self._facts(name) for name in self.order]).set_index("layer")
        return rows.join(facts, on="layer")

    def _facts(self, name: str) -> dict[str, Any]:
        theta = self.runs[0].net.layers[name].theta.double()
        active = self._active[name]
        return {
            "layer": name, "threshold": float(theta.mean()), "threshold_min": float(theta.min()),
            "threshold_max": float(theta.max()), "channels": len(active),
            "dead_channels": int((~active).sum()),
        }  # fmt: skip

    def _accuracies(self) -> pd.DataFrame:
        rows = self._layer_rows()
        rows = rows[rows["view"] == "accumulated"]
        fired = rows.groupby(["neuron", "time_steps"])[["spikes", "values"]].sum()
        made = []
        for (neuron, t), sums in self._right.items():
            spikes, values = fired.loc[(neuron, t)] if (neuron, t) in fired.index else (0.0, 0.0)
            samples = int(sums["samples"])
            made.append({
                "neuron": neuron, "time_steps": t, "samples": samples,
                "correct": int(sums["correct"]), "spikes": spikes,
                "neurons": int(values / samples) if samples else 0,
            })  # fmt: skip
        return pd.DataFrame(made)


@dataclass(frozen=True)
class Steps:
    """Currents and spikes [T, B, ...] of a layer, and V(T) / theta where it integrates."""

    steps: Tensor
    spikes: Tensor
    membrane: Tensor | None


def decompose(
    ann: nn.Module | Prepared, net: Converted, loader: Iterable[Any],
    *, time_steps: Sequence[int] | None = None, local: bool = True,
) -> pd.DataFrame:  # fmt: skip
    """Where the error of a converted network comes from: layer x source x T.

    Args:
        ann: the network that `net` was converted from, with the same options.
        net: from `convert`.
        loader: batches x or (x, y).
        time_steps: the T to look at; those of `net` if None.
        local: look at each layer with the ANN's own activations too.

    Returns:
        layer, order, neuron, time_steps, view (accumulated, local), source (inherited, clip,
        quantisation, unevenness, total), rms, mean (both in units of theta), values.

    Raises:
        InputError: an empty loader, a network of other layers.

    >>> from snnlens.conversion.activations import QCFS
    >>> from snnlens.conversion.convert import convert
    >>> ann = nn.Sequential(nn.Linear(4, 3), QCFS(levels=4), nn.Linear(3, 2))
    >>> found = decompose(ann, convert(ann, time_steps=4), [torch.rand(5, 4)], local=False)
    >>> found.loc[found["source"] == "total", "rms"].tolist()
    [0.0]
    """
    from snnlens.conversion.prepare import prepare
    from snnlens.measures.conversion import rms

    folded = "folded" in set(net.coverage["outcome"])
    averaged = net.coverage["why"].str.startswith("as an average pool").any()
    prepared = ann if isinstance(ann, Prepared) else prepare(
        ann, folded=folded, pool="average" if averaged else "as given"
    )  # fmt: skip
    if prepared.activations != net.names:
        wanted = f"with the activations of the network: {', '.join(net.names[:3])}, ..."
        raise InputError("the ANN", got=", ".join(prepared.activations[:3]), wanted=wanted)
    steps = net.time_steps
    run = Run(net.method, net, tuple(sorted(set(time_steps or [steps]))), local=local)
    anatomy = Anatomy(prepared, [run])
    from snnlens.conversion.clipping import inputs_of

    try:
        for x in inputs_of(loader):
            anatomy.add(x)
    finally:
        net.time_steps = steps
    rows = anatomy.tables()["conversion_layers"]
    made = [
        rows[[*KEYS, "values"]].assign(
            source=source, rms=rms(rows[f"{source}_squares"], rows["values"]),
            mean=rows[f"{source}_sum"] / rows["values"],
        )
        for source in (*split.SOURCES, "total")
    ]  # fmt: skip
    columns = [*KEYS, "source", "rms", "mean", "values"]
    found = pd.concat(made)[columns].sort_values(["view", "time_steps", "order"], kind="stable")
    return found.reset_index(drop=True)


def passed(network: nn.Module, prepared: Prepared, x: Tensor) -> Pass:
    """One pass of an ANN, with what went into and came out of each activation."""
    found, handles = Pass(), []
    for name in prepared.activations:

        def hook(_: Any, given: tuple[Tensor, ...], out: Tensor, name: str = name) -> None:
            found.inputs[name], found.outputs[name] = given[0], out

        handles.append(network.get_submodule(name).register_forward_hook(hook))
    try:
        with sums_of(network, prepared.adds) as sums:
            found.logits = network(x)
    finally:
        for handle in handles:
            handle.remove()
    found.sums = sums
    return found


@contextmanager
def sums_of(
    network: nn.Module, names: Iterable[str]
) -> Iterator[dict[str, tuple[Tensor, Tensor]]]:
    """Within it, both inputs of each sum are kept."""
    found: dict[str, tuple[Tensor, Tensor]] = {}
    handles = []
    for name in names:

        def hook(_: Any, given: tuple[Tensor, Tensor], name: str = name) -> None:
            found[name] = (given[0], given[1])

        handles.append(network.get_submodule(name).register_forward_pre_hook(hook))
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def watched(
    net: Converted, see: See, instead: Mapping[str, Tensor] | None = None
) -> Iterator[None]:
    """Within it, `see` gets each layer's currents and spikes [T, B, ...] as they pass.

    With `instead` a layer hands on those activations, encoded by itself from a constant current.
    """
    handles = []
    for name, layer in net.layers.items():
        spikes: list[Tensor] = []

        def keep(_: Any, __: Any, out: Tensor, spikes: list[Tensor] = spikes) -> None:
            spikes[:] = [out]

        def show(
            layer: Any, given: tuple[Tensor, ...], _: Tensor, name: str = name,
            spikes: list[Tensor] = spikes,
        ) -> Tensor | None:  # fmt: skip
            steps = given[0].unflatten(0, (layer.time_steps, -1))
            see(name, layer, steps, spikes.pop())
            return None if instead is None else layer.encode(instead[name])

        handles += [layer.neuron.register_forward_hook(keep), layer.register_forward_hook(show)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _integrates(run: Run) -> bool:
    return run.net.method == "sequential"


def _membranes(
    layer: Spiking, steps: Tensor, spikes: Tensor, times: Sequence[int]
) -> dict[int, Tensor]:
    """V(t) / theta at the end of step t, as the neuron reckons it: V + X - S."""
    v = torch.full_like(spikes[0], 0.5)
    found = {}
    for t, (current, fired) in enumerate(zip(steps / layer.theta, spikes, strict=True), 1):
        v = v + current - fired
        if t in times:
            found[t] = v
    return found


def _frame(sums: Mapping[tuple[Any, ...], Sums], keys: list[str]) -> pd.DataFrame:
    return pd.DataFrame([dict(zip(keys, key, strict=True)) | dict(row) for key, row in sums.items()])
