"""The run of `conversion`: every ANN converted, run at every T and taken apart, into one Record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch import Tensor

from snnlens.conversion import trials
from snnlens.conversion.activations import QCFS
from snnlens.conversion.anatomy import Anatomy
from snnlens.conversion.calibration import calibrate
from snnlens.conversion.convert import Converted, convert, thresholds_of
from snnlens.conversion.looks import Run
from snnlens.conversion.prepare import Prepared, prepare, refuse
from snnlens.conversion.watching import passed
from snnlens.data import sets
from snnlens.data.sets import Set
from snnlens.errors import Interrupted
from snnlens.experiments import _ann
from snnlens.experiments._ann import Point
from snnlens.experiments._full import full_float32
from snnlens.experiments._networks import Progress, quiet, usable_device
from snnlens.experiments._params import command
from snnlens.provenance import provenance
from snnlens.recording import record
from snnlens.recording.record import Schema

if TYPE_CHECKING:
    from snnlens.experiments.conversion import Params
    from snnlens.recording.record import Record

PLAIN = Schema(axes=(), adds=False)  # tables that are kept as they are
HELD = 1 << 22  # numbers of the largest train in memory: beyond 32 MiB each one is mapped anew
KINDS = {
    frozenset([True]): "qcfs", frozenset([False]): "relu", frozenset([True, False]): "mixed",
}  # fmt: skip
LOOKS = 300  # running means with alpha = .99 have then come to 1 - .99^300 = 95 % of their end
VARIANTS = {"calibrated": "published", "calibrated-zero-mean": "zero-mean"}
Tables = dict[str, pd.DataFrame]


@full_float32()
def run(params: Params, progress: Progress | None = None) -> Record:
    """Every ANN of the run, one after the other, and the two trials of the neurons."""
    progress = progress or quiet
    if params.threads is not None:
        torch.set_num_threads(params.threads)
    device = usable_device(params.device)
    both = _ann.load_sets(params)
    if len(params.time_steps) != len(params.steps) or params.time_steps != params.steps:
        _say(progress, f"time steps in order: {', '.join(map(str, params.steps))}")
    networks: dict[str, dict[str, Any]] = {}
    parts: list[Tables] = []
    try:
        for point in _ann.points(params):
            facts, tables = Subject(point, both, device, progress).measured()
            networks[point.name] = facts
            parts.append(tables)
    except KeyboardInterrupt:
        raise Interrupted(_ann.kept(params)) from None
    parts.append({"conversion_expectation": _named(trials.expectation(), ""),
                  "conversion_unevenness": _named(trials.unevenness(), "")})  # fmt: skip
    tables = {
        name: pd.concat([p[name] for p in parts if name in p], ignore_index=True)
        for name in dict.fromkeys(n for p in parts for n in p)
    }
    return replace(
        record.empty(),
        sites=_sites(tables["conversion_layers"]),
        tables=tables,
        schemas=dict.fromkeys(tables, PLAIN),
        networks=networks,
        provenance=_provenance(params, both),
    )


class Subject:
    """One ANN: its activations known, in the precision of the run, on its device."""

    def __init__(
        self, point: Point, both: tuple[Set, Set], device: torch.device, progress: Progress
    ) -> None:
        self.point, self.both, self.device, self.progress = point, both, device, progress
        self.params = point.params
        self.dtype = getattr(torch, self.params.precision)
        ann, self.weights = _ann.load(point, both, progress)
        self.ann = ann.to(device, self.dtype)
        x, _ = self._moved(both[1].batch(torch.arange(min(8, len(both[1])))))
        _ann.logits(self.ann, x, self.params.ann, both[1].source.classes)
        self.prepared: Prepared = prepare(
            self.ann, pool=self.params.pool, folded=self.params.batch_norm == "folded"
        )
        if not self.params.partial:
            refuse(self.prepared)
        if self.params.pool == "as given":
            self.prepared.check(self.ann, x)
        self.guessed: dict[str, int] = {}
        self.thresholds = thresholds_of(
            self.prepared, data=self._calibration(), quantile=self.params.quantile,
            guessed=self.guessed,
        )  # fmt: skip

    def measured(self) -> tuple[dict[str, Any], Tables]:
        """Facts of the network, and its tables."""
        p = self.params
        parallel = self._convert("parallel")
        runs = [Run("parallel", parallel, p.steps),
                Run("sequential", self._convert("sequential"), p.steps)]  # fmt: skip
        runs += self._calibrated() if p.calibrate else []
        anatomy = Anatomy(self.prepared, runs, scattered=self._scattered(), guessed=self.guessed)
        batches = list(_ann.shown(self.both[1], p.samples, self._fitting()))
        tick = self.progress(self.point.name, len(batches))
        for batch in batches:
            anatomy.add(*self._moved(batch))
            tick()
        tables = anatomy.tables() | {"conversion_coverage": parallel.coverage}
        named = {name: _named(table, self.point.name) for name, table in tables.items()}
        return self._facts(parallel, tables["conversion_accuracy"]), named

    def _convert(self, method: Any) -> Converted:
        return convert(
            self.prepared, method, self.params.steps[0], thresholds=self.thresholds, partial=True
        )

    def _calibrated(self) -> list[Run]:
        """Networks of their own for each T: what calibration finds holds for its T alone."""
        made = []
        data = self._calibration()
        for neuron, variant in VARIANTS.items():
            for t in self.params.steps:
                net = self._convert("parallel")
                net.time_steps = t
                calibrate(self.prepared, net, data, variant=variant)
                made.append(Run(neuron, net, (t,), local=False))
        return made

    def _fitting(self) -> int:
        """Samples of a look: at the largest T a layer's train stays within `HELD` numbers."""
        x, _ = self._moved(self.both[1].batch(torch.arange(1)))
        with torch.no_grad():
            seen = passed(self.prepared.network, self.prepared, x)
        largest = max(a.numel() for a in seen.outputs.values())
        return max(1, min(self.params.batch, HELD // (largest * self.params.steps[-1])))

    def _calibration(self) -> list[Tensor]:
        """The training samples that show thresholds and calibration, in `LOOKS` batches or more."""
        size = max(1, min(self.params.batch, self._calibrates() // LOOKS))
        batches = _ann.shown(self.both[0], self.params.calibration_samples, size)
        return [self._moved(batch)[0] for batch in batches]

    def _calibrates(self) -> int:
        """How many training samples there are to show."""
        return min(len(self.both[0]), self.params.calibration_samples or len(self.both[0]))

    def _moved(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        x, y = batch
        return x.to(self.device, self.dtype), y.to(self.device)

    def _scattered(self) -> tuple[int, ...]:
        """T = levels where it is run, else the smallest; and the largest."""
        steps, levels = self.params.steps, self._levels()
        return (levels if levels in steps else steps[0], steps[-1])

    def _levels(self) -> int | None:
        """L of the activations, if all have the same."""
        found = {getattr(self.prepared.activation(n), "levels", None)
                 for n in self.prepared.activations}  # fmt: skip
        return found.pop() if len(found) == 1 else None

    def _facts(self, net: Converted, accuracy: pd.DataFrame) -> dict[str, Any]:
        p, is_mlp = self.params, self.params.ann == "mlp"
        ann = accuracy[accuracy["neuron"] == "ann"].iloc[0]
        learned = {isinstance(self.prepared.activation(n), QCFS) for n in net.names}
        seen = "max" if p.quantile is None else f"quantile {p.quantile:g}"
        found = ["learned"] * (True in learned) + [seen] * (False in learned)
        return self.weights | {
            "family": _family(p.ann), "depth": self.point.depth,
            "width": p.width if is_mlp else None,
            "residual": bool(net.adds), "activation": KINDS[frozenset(learned)],
            "levels": self._levels(), "thresholds": " and ".join(found),
            "calibration": "both" if p.calibrate else "none",
            "seed": self.point.seed if p.trains else None,
            "dataset": self.both[1].source.title, "data": self.both[1].description,
            "samples": int(ann["samples"]), "classes": self.both[1].source.classes,
            "precision": p.precision, "time_steps": list(p.steps), "batch_norm": p.batch_norm,
            "spiking_layers": len(net.names), "spiking_depth": self.prepared.depth,
            "calibration_samples": self._calibrates(), "pool": p.pool,
            "parameters": sum(w.numel() for w in self.ann.parameters()),
            "ann_top1": 100 * float(ann["correct"]) / float(ann["samples"]),
            "origin": "trained" if p.trains else "loaded", "neuron": "converted",
            "auxiliary": False, "device": str(self.device),
        }  # fmt: skip


def _provenance(params: Params, both: tuple[Set, Set]) -> dict[str, Any]:
    return provenance() | {
        "question": "conversion",
        "command": command("conversion", params),
        "parameters": params.model_dump(mode="json", exclude=params.unused),
        "device": params.device,
        "threads": torch.get_num_threads(),
        "data": both[1].description,
        "data_fingerprint": sets.digest(both),
    }


def _sites(layers: pd.DataFrame) -> pd.DataFrame:
    """A site per spiking layer, under the name that its activation has in the ANN."""
    first = layers.drop_duplicates(["network", "layer"])
    rows = first[["network", "order", "threshold"]].assign(
        site=first["layer"], module=first["layer"], reads="output", role="neuron", signal="spikes",
        block_kind="", forward_calls=1, gradient_calls=0, leak=1.0, gain=1.0,
    )  # fmt: skip
    whole = record.empty().sites
    return rows.reindex(columns=whole.columns).astype(whole.dtypes).reset_index(drop=True)


def _family(ann: str) -> str:
    """What an ANN is called in a figure: a built-in name, or the ends of a path.

    >>> _family("a/b/mnist_ann.py:build"), _family("lib.deep.nets:make"), _family("resnet20")
    ('mnist_ann:build', 'nets:make', 'resnet20')
    """
    where, found, factory = ann.rpartition(":")
    place = Path(where).stem if where.endswith(".py") else where.rpartition(".")[2]
    return f"{place}{found}{factory}"


def _named(table: pd.DataFrame, network: str) -> pd.DataFrame:
    """With the name of its network in the first column; the trials of the neurons have none."""
    made = table.copy()
    made.insert(0, "network", network)
    return made


def _say(progress: Any, text: str) -> None:
    if hasattr(progress, "announce"):
        progress.announce(text)
