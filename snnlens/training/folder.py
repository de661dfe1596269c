"""The folder of one training: what it is, what each epoch gave, what was recorded. No torch.

train.json            the parameters, versions, the data's fingerprint; written once
metrics.csv           one row per whole epoch
checkpoints/          the state after the last whole epoch (checkpoint.py)
recorded/epoch-0005/  the Record made when five whole epochs were done
done.json             there when the last epoch is
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd

from snnlens import atomic
from snnlens.errors import InputError

SCHEMA_VERSION = 1
CURVES = ("train_loss", "train_top1", "train_top5", "test_loss", "test_top1", "test_top5")
COLUMNS = ("epoch", *CURVES, "learning_rate", "seconds")
DESCRIPTION = "train.json"
METRICS = "metrics.csv"
READ_OF_IT = {"parameters": dict, "facts": dict, "data_fingerprint": str, "provenance": dict}
EPOCH = re.compile("epoch-([0-9]{4,9})")
MOST_EPOCHS = 10**9


def is_training(folder: Path) -> bool:
    """Whether a folder is one of a training.

    >>> is_training(Path("/"))
    False
    """
    return (folder / DESCRIPTION).is_file()


def describe(folder: Path, facts: dict[str, Any]) -> None:
    """Write what is trained, before anything else."""
    text = json.dumps({"schema": SCHEMA_VERSION} | facts, indent=1, allow_nan=False)
    with atomic.room(str(folder), "nothing was written"):
        folder.mkdir(parents=True, exist_ok=True)
        atomic.write_file(folder / DESCRIPTION, text.encode())


def description(folder: Path) -> dict[str, Any]:
    """What train.json says.

    Raises InputError where there is none, one that is no JSON, or of another version.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        raise InputError(str(folder), got="no train.json", wanted="the folder of a training")
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise InputError(
            str(path), got="something else", wanted="JSON", do="the file was changed"
        ) from None
    version = facts.get("schema") if isinstance(facts, dict) else None
    if version != SCHEMA_VERSION:
        raise InputError(
            f"the schema version of {path}", got=version, wanted=str(SCHEMA_VERSION),
            do="read it with the snnlens that wrote it",
        )  # fmt: skip
    for name, kind in READ_OF_IT.items():
        if not isinstance(facts.get(name), kind):
            raise InputError(f"{name} in {path}", got=facts.get(name), wanted="as it was written",
                             do="the file was changed")  # fmt: skip
    return dict(facts)


def metrics(folder: Path) -> pd.DataFrame:
    """One row per whole epoch: the loss, accuracies in percent, learning rate, seconds.

    A line that a kill has cut is not read.

    >>> list(metrics(Path("/nowhere")).columns[:2])
    ['epoch', 'train_loss']
    """
    path = folder / METRICS
    try:
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        whole = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
        rows = [line.rstrip("\n").split(",") for line in whole[1:]]
        numbers = [_numbers(row) for row in rows if len(row) == len(COLUMNS)]
    except (OSError, ValueError) as error:
        raise InputError(
            str(path), got=str(error), wanted="a row of numbers for each epoch",
            do="the file was changed",
        ) from None  # fmt: skip
    table = pd.DataFrame(numbers, columns=list(COLUMNS), dtype="float64")
    return table.astype({"epoch": "int64"})


def cut_metrics(folder: Path, epochs: int) -> None:
    """Keep the rows of the first whole epochs only: what came after is done again."""
    kept = metrics(folder)
    kept = kept[kept["epoch"] < epochs]
    text = kept.to_csv(index=False, lineterminator="\n")
    with atomic.room(str(folder), "every whole epoch stays"):
        atomic.write_file(folder / METRICS, text.encode())


def clear(folder: Path) -> None:
    """Remove what a kill has left half-written, and the locks of Records; nobody else is here."""
    for part in (folder, folder / "checkpoints", folder / "recorded"):
        for left in (*part.glob(".*.new"), *part.glob(".*.lock")):
            atomic.remove(left)


def add_metrics(folder: Path, row: dict[str, float]) -> None:
    """Append the row of a whole epoch."""
    with atomic.room(str(folder), f"the checkpoint of epoch {int(row['epoch'])} stays"):
        atomic.append(folder / METRICS, ",".join(_text(row[name]) for name in COLUMNS))


def recorded(folder: Path) -> dict[int, Path]:
    """The Records by the number of whole epochs done."""
    found = sorted((folder / "recorded").glob("epoch-[0-9]*"))
    named = {p: match for p in found if (match := EPOCH.fullmatch(p.name))}
    return {int(match[1]): p for p, match in named.items() if (p / "run.json").is_file()}


def record_folder(folder: Path, done: int) -> Path:
    """Where the Record made after so many whole epochs lies."""
    return folder / "recorded" / f"epoch-{done:04d}"


def _numbers(row: list[str]) -> list[float]:
    epoch, *others = map(float, row)
    if not (epoch.is_integer() and 0 <= epoch < MOST_EPOCHS):
        raise ValueError(f"epoch {epoch:g}")
    return [epoch, *others]


def _text(value: float) -> str:
    return repr(value) if isinstance(value, int) else repr(float(value))
