"""From the tags of a log to the curves that every question reads: loss, and accuracy in percent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from snnlens.errors import InputError

# Each curve and the tags that it may have, the first that is there. The code of the SEW paper logs
# percent as acc1 and acc5 (ImageNet, DVS Gesture), and a fraction as acc (CIFAR10-DVS).
TAGS: dict[str, tuple[str, ...]] = {
    "train_loss": ("train_loss",),
    "train_top1": ("train_acc1", "train_acc"),
    "train_top5": ("train_acc5",),
    "test_loss": ("test_loss",),
    "test_top1": ("test_acc1", "test_acc"),
    "test_top5": ("test_acc5",),
}
CURVES = tuple(TAGS)
FRACTIONS = ("train_acc", "test_acc")  # of the tags above
UNITS = ("percent", "fraction")


@dataclass(frozen=True)
class Chosen:
    """The tag of a curve, and its unit where that is known beforehand."""

    tag: str
    unit: str | None = None


def parse(text: str) -> dict[str, str]:
    """Read the tags of a command line: curve=tag, with commas between.

    Raises:
        InputError: a part without `=`. What is left of it is checked by `chosen`.

    >>> parse("train_loss=Loss/train, test_top1=acc/val:fraction")
    {'train_loss': 'Loss/train', 'test_top1': 'acc/val:fraction'}
    """
    parts = [part.strip().partition("=") for part in text.split(",")]
    if missing := [curve for curve, equals, tag in parts if not (equals and tag)]:
        wanted = "curve=tag, e.g. train_loss=Loss/train"
        raise InputError("--tags", got=missing[0], wanted=wanted)
    return {curve: tag for curve, _, tag in parts}


def chosen(tags: Mapping[str, str] | None) -> dict[str, Chosen]:
    """Take a user's tags, e.g. {"test_top1": "acc/val:fraction"}: an accuracy may say its unit.

    Raises:
        InputError: a curve that does not exist.

    >>> chosen({"test_top1": "acc/val:fraction"})
    {'test_top1': Chosen(tag='acc/val', unit='fraction')}
    """
    made = {}
    for curve, text in (tags or {}).items():
        if curve not in CURVES:
            raise InputError("a curve of --tags", got=curve, wanted="one of " + ", ".join(CURVES))
        tag, colon, unit = text.rpartition(":")
        made[curve] = Chosen(tag, unit) if colon and unit in UNITS else Chosen(text)
    return made


def curves(
    scalars: pd.DataFrame, tags: Mapping[str, str] | None = None, *, run: str = "the run"
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Make the curves of one run: a row per step, a column per curve, NaN where nothing was logged.

    Args:
        scalars: tag, step and value; a tag of a subfolder begins with its name: train/train_loss.
        tags: a tag for a curve; curves that are not named keep their usual tags. `train_loss`
            also finds train/train_loss where no other tag ends so.
        run: its name, for an error.

    Returns:
        epoch (as logged) and the curves: losses in the unit logged, accuracies in percent. And of
        each curve its tag, and what was done to it.

    Raises:
        InputError: a tag that does not exist, or that two subfolders have; no known tag at all.

    >>> log = pd.DataFrame({"tag": ["loss", "acc"], "step": [0, 0], "value": [1.5, 0.25]})
    >>> table, said = curves(log, {"train_loss": "loss", "test_top1": "acc:fraction"})
    >>> table[["epoch", "train_loss", "test_top1"]].values.tolist(), said["test_top1"]
    ([[0.0, 1.5, 25.0]], 'acc, a fraction: times 100')
    """
    there = list(dict.fromkeys(scalars["tag"]))
    found = _usual(there) | {
        curve: Chosen(_own(curve, one.tag, there, run), one.unit)
        for curve, one in chosen(tags).items()
    }
    if not found:
        raise InputError(
            f"the tags of {run}", got=_listed(there),
            wanted="among " + ", ".join(t for names in TAGS.values() for t in names),
            do="say which is which with --tags",
        )  # fmt: skip
    columns, said = {}, {}
    for curve, one in found.items():
        rows = scalars[scalars["tag"] == one.tag]
        values = pd.Series(rows["value"].to_numpy(float), index=rows["step"].to_numpy("int64"))
        columns[curve], said[curve] = _in_percent(curve, values, one)
    table = pd.DataFrame(columns).reindex(columns=list(CURVES)).sort_index()
    return table.rename_axis("epoch").reset_index().astype(dict.fromkeys(CURVES, "float64")), said


def _usual(there: list[str]) -> dict[str, Chosen]:
    """The tags of the paper's code that this log has."""
    found: dict[str, Chosen] = {}
    for curve, names in TAGS.items():
        for name in names:
            fitting = _fitting(name, there)
            if fitting and curve not in found:
                unit = "fraction" if name in FRACTIONS else "percent"
                found[curve] = Chosen(fitting[0], unit)
    return found


def _own(curve: str, tag: str, there: list[str], run: str) -> str:
    """The tag that a user means."""
    fitting = _fitting(tag, there)
    if not fitting:
        what = f"the tag for {curve} in {run}"
        raise InputError(what, got=tag, wanted="one of " + _listed(there))
    if len(fitting) > 1:
        what = f"the tag for {curve} in {run}"
        raise InputError(what, got=tag, wanted="one of " + _listed(fitting))
    return fitting[0]


def _fitting(tag: str, there: list[str]) -> list[str]:
    """The tag itself; or those of subfolders that end with it."""
    return [tag] if tag in there else [t for t in there if t.endswith(f"/{tag}")]


def _in_percent(curve: str, values: pd.Series[float], one: Chosen) -> tuple[pd.Series[float], str]:
    """An accuracy in percent, and what was done. What the largest contradicts is no fraction."""
    if curve.endswith("loss"):
        return values, one.tag
    unit, largest, told = one.unit, values.max(), ""
    if unit is None or (unit == "fraction" and largest > 1):
        unit = "fraction" if largest <= 1 else "percent"
        told = f" (the largest is {largest:.4g})"
    if unit == "percent":
        return values, f"{one.tag}, percent{told}"
    return values * 100, f"{one.tag}, a fraction: times 100{told}"


def _listed(tags: Iterable[str]) -> str:
    """The first twenty: a log of gradients has hundreds."""
    tags = sorted(tags)
    more = f" and {len(tags) - 20} more" if len(tags) > 20 else ""
    return ", ".join(tags[:20]) + more
