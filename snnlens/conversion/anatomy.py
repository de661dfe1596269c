"""Where a converted network loses: every layer, every T, both ways of feeding it.

Accumulated: each layer gets what the spiking network gives it. Local: each layer gets the ANN's own
activations, encoded anew by a constant current, so that what it inherits is the encoding alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from snnlens.conversion import split
from snnlens.conversion.clipping import inputs_of
from snnlens.conversion.convert import Converted, check_converted, check_steps, requantised
from snnlens.conversion.layers import Spiking
from snnlens.conversion.looks import Look, Run, Steps
from snnlens.conversion.prepare import Prepared
from snnlens.conversion.watching import Pass, passed, sums_of, watched
from snnlens.measures.conversion import rms
from snnlens.neuron.parallel import added

PAIRS = 400  # points of a scatter of activation against rate
KEYS = ["layer", "order", "neuron", "time_steps", "view"]
PATHS = ["site", "order", "neuron", "time_steps", "path"]
Sums = dict[str, float]


class Anatomy:
    """Sums over batches; `add` a batch, then read `tables`.

    Args:
        prepared: the ANN.
        runs: converted networks of it.
        scattered: at which T pairs of activation and rate are kept.
        guessed: by name, how many channels had no threshold of their own where it was read; None:
            thresholds were learned, and channels that are 0 on all samples shown are counted.
    """

    def __init__(
        self, prepared: Prepared, runs: Sequence[Run], *, scattered: Sequence[int] = (),
        guessed: Mapping[str, int] | None = None,
    ) -> None:  # fmt: skip
        self.prepared, self.runs, self.scattered = prepared, runs, scattered
        self.guessed = guessed or {}
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
                look = Look(run, shown, ann, wanted)
                logits = self._passed(look, x)
                for t in shown:
                    self._score(run.neuron, t, logits[:t].mean(0), y)

    def _passed(self, look: Look, x: Tensor) -> Tensor:
        """One pass of a run as it is, and one on the ANN's activations; logits of each step."""
        net = look.run.net
        with (
            watched(net, partial(self._see, look, "accumulated")),
            sums_of(net.network, net.adds) as found,
        ):
            logits = net.steps(x)
        for t in look.shown:
            self._path(look, t, found, len(x))
        if look.run.local:
            with watched(net, partial(self._see, look, "local"), look.ann.outputs):
                net.steps(x)
        return logits

    def _see(self, look: Look, view: str, name: str, layer: Spiking, *both: Tensor) -> None:
        """One layer's currents and spikes as they pass, at each T that is shown."""
        steps, spikes = both
        integrates = look.run.net.method == "sequential"
        membranes = _membranes(layer, steps, spikes, look.shown) if integrates else {}
        for t in look.shown:
            key = (name, self.order[name], look.run.neuron, t, view)
            part = Steps(steps[:t], spikes[:t], membranes.get(t))
            self._layer(key, layer, look.ann, part, look.wanted[t][name])

    def _layer(
        self, key: tuple[Any, ...], layer: Spiking, ann: Pass, part: Steps, wanted: Tensor
    ) -> None:
        name, _, _, t, view = key
        z, counts = added(part.steps) / t, added(part.spikes)
        a, r = ann.outputs[name], layer.mean_of(counts, t)
        parts = split.split(
            self.prepared.activation(name), layer, ann=ann.inputs[name], z=z, counts=counts,
            time_steps=t,
        )  # fmt: skip
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
        self, look: Look, t: int, found: dict[str, tuple[Tensor, Tensor]], samples: int
    ) -> None:
        """The error of both inputs of each sum, averaged over T."""
        for order, (name, both) in enumerate(found.items()):
            shortcut = look.run.net.adds[name]
            for index, x in enumerate(both):
                mean = added(x.unflatten(0, (-1, samples))[:t]) / t
                reference = look.ann.sums[name][index]
                path = "shortcut" if index == shortcut else "main"
                sums = self._paths[name, order, look.run.neuron, t, path]
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
            "conversion_paths": _frame(self._paths, PATHS),
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
            "dead_channels": self.guessed.get(name, int((~active).sum())),
        }  # fmt: skip

    def _accuracies(self) -> pd.DataFrame:
        rows = self._layer_rows()
        rows = rows[rows["view"] == "accumulated"]
        sums_by = rows.groupby(["neuron", "time_steps"])[["spikes", "values"]].sum()
        fired: dict[Any, dict[Any, float]] = sums_by.to_dict("index")
        made = []
        for (neuron, t), sums in self._right.items():
            seen = fired.get((neuron, t), {"spikes": 0.0, "values": 0.0})
            samples = int(sums["samples"])
            made.append({
                "neuron": neuron, "time_steps": t, "samples": samples,
                "correct": int(sums["correct"]), "spikes": seen["spikes"],
                "neurons": round(seen["values"] / samples),
            })  # fmt: skip
        return pd.DataFrame(made)


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
    check_converted(net, "decompose(ann, net, loader)")
    for t in time_steps or ():
        check_steps(t)
    shown, steps = inputs_of(loader), net.time_steps
    prepared = net.prepared_like(ann, shown[0])
    run = Run(net.method, net, tuple(sorted(set(time_steps or [steps]))), local=local)
    anatomy = Anatomy(prepared, [run])
    try:
        for x in shown:
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


def _membranes(
    layer: Spiking, steps: Tensor, spikes: Tensor, times: Sequence[int]
) -> dict[int, Tensor]:
    """V(t) / theta at the end of step t, as the neuron reckons it: V + X - S."""
    v = torch.full_like(spikes[0], layer.shift)
    found = {}
    for t, (current, fired) in enumerate(zip(steps * (1 / layer.theta), spikes, strict=True), 1):
        v = v + current - fired
        if t in times:
            found[t] = v
    return found


def _frame(sums: Mapping[tuple[Any, ...], Sums], keys: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        [dict(zip(keys, key, strict=True)) | dict(row) for key, row in sums.items()]
    )
