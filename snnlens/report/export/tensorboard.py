"""TensorBoard: every quantity of a Record as a curve SITE/QUANTITY, a run per network.

The axis is the time step. Of a training (its run folder, or its own folder with train.json) it is
the epoch: losses and accuracies in the epoch they were made, from 0; what was recorded inside
after so many whole epochs. A quantity without a time step is one point at step 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from snnlens.errors import InputError
from snnlens.recording import checked, store
from snnlens.recording.record import Record
from snnlens.report.columns import column
from snnlens.report.export import Exported, Options
from snnlens.report.export._events import Scalar, file_name, written
from snnlens.report.text import plural, without_paths
from snnlens.training import folder as folders

PLACES = ("network", "epoch", "site", "block", "stage", "layer", "block_kind")  # name a row
SMALLEST = float(np.finfo(np.float32).tiny)
Curves = dict[str, list[Scalar]]  # by network


def export(source: str, _options: Options) -> Exported:
    """One event file per network, of a run folder or a training folder."""
    folder = Path(source)
    with checked.reading(folder):
        return _exported(folder)


def _exported(folder: Path) -> Exported:
    curves, provenance = _training(folder) if folders.is_training(folder) else _run(folder)
    curves = {name: found for name, found in curves.items() if found}
    if not curves:
        raise InputError(
            "RUN", got=f"{folder} (no number of a site)", wanted="one that recorded sites",
            do="see `snnlens list` for the questions that do",
        )  # fmt: skip
    seconds = _seconds(provenance.get("started"))
    places = _folders(curves)
    files = {f"{places[n]}/{file_name(seconds)}": written(c, seconds) for n, c in curves.items()}
    facts = {"command": without_paths(str(provenance.get("command") or "")), "networks": places}
    return Exported(files, facts, _says(curves))


# --- where the numbers come from -------------------------------------------------------------


def _run(folder: Path) -> tuple[Curves, dict[str, Any]]:
    record = store.load(folder)
    by_epoch = [t for t in record.tables.values() if "epoch" in t and "network" in t]
    if by_epoch:
        return _merged(_of_table(t, _units(record)) for t in by_epoch), record.provenance
    steps, units = record.frame(per_step=True), _units(record)
    made = [
        _curves(steps, steps["site"], steps["step"], units),
        _at(record, 0, [q for q in units if q not in steps]),
    ]
    return _merged(made), record.provenance


def _training(folder: Path) -> tuple[Curves, dict[str, Any]]:
    said = folders.description(folder)
    metrics = folders.metrics(folder).drop(columns="seconds")
    name, done = str(said.get("name", folder.name)), len(metrics)
    curves = [_of_table(metrics.assign(network=name), {})]
    for epoch, path in folders.recorded(folder).items():
        if epoch <= done:  # a Record that is newer than the last whole epoch does not count
            record = store.load(path)
            curves.append(_at(record, epoch, list(_units(record))))
    return _merged(curves), said["provenance"] | {"command": said.get("command")}


def _at(record: Record, step: int, quantities: list[str]) -> Curves:
    """Numbers of all time steps together."""
    frame, units = record.frame(), _units(record)
    steps = pd.Series(step, index=frame.index)
    return _curves(frame, frame["site"], steps, {q: units[q] for q in quantities})


def _of_table(table: pd.DataFrame, units: dict[str, str]) -> Curves:
    """A table with a row per epoch, and perhaps per site or block."""
    numbers = [c for c in table if c not in PLACES and pd.api.types.is_numeric_dtype(table[c])]
    place = table["site"] if "site" in table else pd.Series("", index=table.index)
    if "site" not in table and "block" in table:
        place = "block" + table["block"].astype(str)
    return _curves(
        table, place, table["epoch"], {c: column(c, units).unit for c in map(str, numbers)}
    )


def _units(record: Record) -> dict[str, str]:
    return {n: q.unit for s in record.schemas.values() for n, q in s.quantities.items()}


# --- numbers as curves -----------------------------------------------------------------------


def _curves(
    frame: pd.DataFrame, places: pd.Series[Any], steps: pd.Series[Any], units: dict[str, str]
) -> Curves:
    """Every number that exists, by network; NaN is none."""
    made: Curves = {}
    rows = list(zip(frame["network"], places, steps, strict=True))
    for quantity, unit in units.items():
        if quantity not in frame:
            continue
        values = frame[quantity].to_numpy(float, na_value=np.nan)
        for (network, place, step), value in zip(rows, values, strict=True):
            if not np.isnan(value):
                tag = f"{place}/{quantity}" if place else quantity
                made.setdefault(network, []).append(Scalar(tag, int(step), float(value), unit))
    return made


def _merged(parts: Iterable[Curves]) -> Curves:
    whole: Curves = {}
    for part in parts:
        for network, scalars in part.items():
            whole.setdefault(network, []).extend(scalars)
    return whole


def _folders(networks: Iterable[str]) -> dict[str, str]:
    """The folder of each network: its name, without what a folder cannot be called."""
    made: dict[str, str] = {}
    for name in networks:
        plain = re.sub(r"[^\w.+-]+", "_", name).lstrip(".").encode()[:100].decode(errors="ignore")
        plain = plain or "network"
        free = (f"{plain}_{n}" if n > 1 else plain for n in range(1, len(made) + 2))
        made[name] = next(f for f in free if f not in made.values())
    return made


def _seconds(started: Any) -> int:
    """When the run was made, Unix; 0 where it does not say."""
    try:
        time = datetime.fromisoformat(str(started))
    except ValueError:
        return 0
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp())


def _says(curves: Curves) -> list[str]:
    return list(_lost(s.value for scalars in curves.values() for s in scalars))


def _lost(values: Iterable[float]) -> Iterator[str]:
    """What float32 cannot hold."""
    sizes = np.abs(np.fromiter(values, float))
    small = int(((sizes > 0) & (sizes < SMALLEST)).sum())
    large = int((np.isfinite(sizes) & (sizes > np.finfo(np.float32).max)).sum())
    if small:
        yield f"{plural(small, 'number')} below {SMALLEST:.1e}: an event file holds float32"
    if large:
        yield f"{plural(large, 'number')} too large for an event file, shown as infinite"
