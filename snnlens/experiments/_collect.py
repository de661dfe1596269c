"""The Record of trainings: what each epoch gave, what was recorded inside, how far each one is.

Reads folders only and needs no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel

from snnlens.errors import InputError, NothingToRecord
from snnlens.experiments._params import command
from snnlens.experiments.train import Params
from snnlens.provenance import provenance
from snnlens.recording import blocks, record, store
from snnlens.recording.record import Record, Schema
from snnlens.training import folder as folders

PLAIN = Schema(axes=())
OF_BLOCKS = ("firing_rate_output", "firing_rate_residual", "gradient_norm_input",
             "identity_error_output")  # fmt: skip
OF_LAYERS = ("firing_rate", "gradient_norm")


def check_new(points: Sequence[Params]) -> None:
    """Refuse trainings that have begun, unless they are to go on.

    Raises InputError with the first of them, and how many more.
    """
    begun = [p.folder for p in points if folders.is_training(p.folder) and not p.resume]
    if begun:
        more = f" and {len(begun) - 1} more" if len(begun) > 1 else ""
        raise InputError(
            "the trainings", got=f"{begun[0]}{more}, begun before", wanted="new",
            do="add --resume to go on, or choose another folder with --points",
        )  # fmt: skip


def kept(points: Sequence[Params]) -> str:
    """What stays after an interruption, and how to go on."""
    done = sum(len(folders.metrics(p.folder)) for p in points)
    total = sum(p.epochs for p in points)
    where = points[0].folder if len(points) == 1 else points[0].points
    return (
        f"interrupted; {done} of {total} epochs are whole and stay in {where}; go on with --resume"
    )


def collect(
    points: Sequence[Params], question: str, params: BaseModel, states: pd.DataFrame | None = None
) -> Record:
    """One Record of all trainings that have a whole epoch; `states` is a sweep's table.

    Raises NothingToRecord where none has.
    """
    begun = [p for p in points if len(folders.metrics(p.folder))]
    if not begun:
        why = "" if states is None else f"; the first one failed: {states['why'].iloc[0]}"
        raise NothingToRecord(f"a training must have a whole epoch; got none{why}")
    said = {p.name: folders.description(p.folder) for p in begun}
    _check_alike(said)
    tables = {
        "curves": pd.concat([_curves(p) for p in begun], ignore_index=True),
        "by_epoch": _joined([_by_epoch(p) for p in begun]),
        "layers_by_epoch": _joined([_layers_by_epoch(p) for p in begun]),
        "points": states,
    }
    kept = {name: table for name, table in tables.items() if table is not None and len(table)}
    whole = _last(begun)
    return replace(
        whole,
        tables=whole.tables | kept,
        schemas=whole.schemas | dict.fromkeys(kept, PLAIN),
        networks={
            p.name: whole.networks.get(p.name, {}) | said[p.name]["facts"]
            | {"folder": p.folder.name, "training_mode": True}  # the mode of its Records
            for p in begun
        },
        provenance=_provenance(question, params, said),
    )  # fmt: skip


def launched(command: str, processes: int) -> str:
    """The command line on so many processes.

    >>> launched("snnlens train sew_resnet20", 2)
    'torchrun --nproc-per-node 2 -m snnlens train sew_resnet20'
    """
    return command if processes == 1 else f"torchrun --nproc-per-node {processes} -m {command}"


def _check_alike(said: dict[str, dict[str, Any]]) -> None:
    """Refuse trainings on different data: they were begun before the data changed."""
    first = next(iter(said))
    for name, of in said.items():
        if of["data_fingerprint"] != said[first]["data_fingerprint"]:
            raise InputError(
                f"the data of {name}", got="other bytes", wanted=f"that of {first}",
                do="train both again in another folder: --points",
            )  # fmt: skip


def _recorded(params: Params) -> dict[int, Path]:
    """Records by whole epochs done; one that is newer than the last whole epoch does not count."""
    done = len(folders.metrics(params.folder))
    return {e: path for e, path in folders.recorded(params.folder).items() if e <= done}


def _curves(params: Params) -> pd.DataFrame:
    """What the metrics say, without the seconds: the same training gives the same bytes."""
    table = folders.metrics(params.folder).drop(columns="seconds")
    table.insert(0, "network", params.name)
    return table


def _last(begun: Sequence[Params]) -> Record:
    """The newest Record of each training; an empty one where nothing was recorded."""
    newest = [found[max(found)] for p in begun if (found := _recorded(p))]
    return record.join([store.load(path) for path in newest]) if newest else record.empty()


def _by_epoch(params: Params) -> pd.DataFrame:
    """Per recorded epoch and residual block: rates, gradient norm, identity error."""
    rows = []
    for epoch, path in _recorded(params).items():
        try:
            found = blocks.networks(store.load(path))[0].blocks
        except NothingToRecord:  # a network without residual blocks
            continue
        columns = {c: found[c].to_numpy(float) for c in OF_BLOCKS if c in found}
        place = {"block": found.index.to_numpy(), "stage": found["stage"].to_numpy(int),
                 "block_kind": found["block_kind"].to_numpy(str)}  # fmt: skip
        rows.append(pd.DataFrame({"network": params.name, "epoch": epoch} | place | columns))
    return _joined(rows)


def _layers_by_epoch(params: Params) -> pd.DataFrame:
    """Per recorded epoch and spiking layer: rate and gradient norm."""
    rows = []
    for epoch, path in _recorded(params).items():
        frame = store.load(path).frame()
        layers = frame[frame["role"] == "neuron"].reset_index(drop=True)
        columns = {c: layers[c].to_numpy(float) for c in OF_LAYERS if c in layers}
        place = {"layer": layers.index.to_numpy(), "site": layers["site"].to_numpy(str)}
        rows.append(pd.DataFrame({"network": params.name, "epoch": epoch} | place | columns))
    return _joined(rows)


def _joined(rows: list[pd.DataFrame]) -> pd.DataFrame:
    rows = [r for r in rows if len(r)]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()


def _provenance(
    question: str, params: BaseModel, said: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    first = next(iter(said.values()))
    return provenance() | {
        "question": question,
        "command": launched(command(question, params), first["facts"].get("processes", 1)),
        "parameters": params.model_dump(mode="json", exclude=getattr(params, "unused", None)),
        "device": getattr(params, "device", "cpu"),
        "data": first["facts"].get("data"),
        "data_fingerprint": first["data_fingerprint"],
    }
