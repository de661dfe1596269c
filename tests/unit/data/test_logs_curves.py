"""From tags to curves: which tag, which unit, and what is not there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from snnlens.data.logs.curves import CURVES, curves, parse
from snnlens.errors import InputError

Row = tuple[str, int, float]


def scalars(rows: Sequence[Row]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["tag", "step", "value"])


def test_the_imagenet_tags_are_percent() -> None:
    table, said = curves(scalars([
        ("te/test_acc1", 1, 0.5), ("te/test_acc1", 0, 0.25), ("te/test_acc5", 0, 1.0),
        ("te/test_loss", 0, 6.5), ("train/train_acc1", 0, 0.75), ("train/train_acc5", 0, 2.0),
        ("train/train_loss", 0, 6.0), ("train/lr", 0, 0.1),
    ]))  # fmt: skip
    assert list(table.columns) == ["epoch", *CURVES]
    np.testing.assert_array_equal(table.to_numpy(float), [
        [0, 6.0, 0.75, 2.0, 6.5, 0.25, 1.0],
        [1, *[np.nan] * 4, 0.5, np.nan],
    ])  # fmt: skip
    assert said == {
        "train_loss": "train/train_loss", "train_top1": "train/train_acc1, percent",
        "train_top5": "train/train_acc5, percent", "test_loss": "te/test_loss",
        "test_top1": "te/test_acc1, percent", "test_top5": "te/test_acc5, percent",
    }  # fmt: skip
    assert str(table["epoch"].dtype) == "int64"


def test_the_cifar10_dvs_tags_are_fractions() -> None:
    table, said = curves(scalars([("train_acc", 0, 0.5), ("test_acc", 0, 0.744)]))
    assert table[["train_top1", "test_top1"]].iloc[0].tolist() == [50.0, 74.4]
    assert table["train_loss"].isna().all()
    assert said == {
        "train_top1": "train_acc, a fraction: times 100",
        "test_top1": "test_acc, a fraction: times 100",
    }


def test_a_fraction_above_1_is_percent_and_is_said() -> None:
    table, said = curves(scalars([("test_acc", 0, 0.9), ("test_acc", 1, 93.25)]))
    assert list(table["test_top1"]) == [0.9, 93.25]
    assert said == {"test_top1": "test_acc, percent (the largest is 93.25)"}


OWN = scalars([("Loss/train", 0, 2.0), ("train/loss", 0, 1.0), ("val/loss", 0, 3.0),
               ("val/accuracy", 0, 0.5), ("val/accuracy", 3, 0.75)])  # fmt: skip


@pytest.mark.parametrize(
    ("tag", "values", "said"),
    [
        ("val/accuracy", [50.0, 75.0], "a fraction: times 100 (the largest is 0.75)"),
        ("accuracy", [50.0, 75.0], "a fraction: times 100 (the largest is 0.75)"),
        ("val/accuracy:fraction", [50.0, 75.0], "a fraction: times 100"),
        ("val/accuracy:percent", [0.5, 0.75], "percent"),
    ],
)
def test_own_tags(tag: str, values: list[float], said: str) -> None:
    table, told = curves(OWN, {"train_loss": "Loss/train", "test_top1": tag})
    assert list(table["test_top1"]) == values
    assert list(table["epoch"]) == [0, 3]  # as logged
    assert table["train_loss"].iloc[0] == 2.0
    assert told == {"train_loss": "Loss/train", "test_top1": f"val/accuracy, {said}"}


def test_an_own_tag_wins_over_the_usual_one() -> None:
    rows = scalars([("train_loss", 0, 1.0), ("smooth", 0, 2.0), ("test_loss", 0, 3.0)])
    table, _ = curves(rows, {"train_loss": "smooth"})
    assert table[["train_loss", "test_loss"]].iloc[0].tolist() == [2.0, 3.0]


def test_a_tag_with_a_colon_that_is_no_unit() -> None:
    table, said = curves(scalars([("acc:top1", 0, 40.0)]), {"test_top1": "acc:top1"})
    assert table["test_top1"].tolist() == [40.0]
    assert said == {"test_top1": "acc:top1, percent (the largest is 40)"}


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"train_loss": "nothing"}, ("the tag for train_loss in run 7 must be one of Loss/train, "
         "train/loss, val/accuracy, val/loss; got 'nothing'")),
        ({"train_loss": "loss"}, ("the tag for train_loss in run 7 must be one of train/loss, "
         "val/loss; got 'loss'")),
        ({"loss": "val/loss"}, ("a curve of --tags must be one of train_loss, train_top1, "
         "train_top5, test_loss, test_top1, test_top5; got 'loss'")),
        (None, ("the tags of run 7 must be among train_loss, train_acc1, train_acc, train_acc5, "
         "test_loss, test_acc1, test_acc, test_acc5; got 'Loss/train, train/loss, val/accuracy, "
         "val/loss'; say which is which with --tags")),
    ],
)  # fmt: skip
def test_tags_that_do_not_exist(tags: dict[str, str] | None, message: str) -> None:
    with pytest.raises(InputError) as error:
        curves(OWN, tags, run="run 7")
    assert str(error.value) == message


def test_of_many_tags_twenty_are_listed() -> None:
    rows = scalars([(f"grad/{i:03d}", 0, 0.0) for i in range(150)])
    listed = ", ".join(f"grad/{i:03d}" for i in range(20)) + " and 130 more"
    with pytest.raises(InputError) as error:
        curves(rows, {"test_loss": "x"})
    assert str(error.value) == f"the tag for test_loss in the run must be one of {listed}; got 'x'"


@pytest.mark.parametrize("text", ["train_loss", "train_loss=", "test_loss=x,train_loss", ""])
def test_tags_of_a_command_line_that_are_none(text: str) -> None:
    part = text.rpartition(",")[2].partition("=")[0]
    with pytest.raises(InputError) as error:
        parse(text)
    assert str(error.value) == (
        f"--tags must be curve=tag, e.g. train_loss=Loss/train; got {part!r}"
    )


def test_a_tag_may_hold_an_equals_sign() -> None:
    assert parse("test_loss=loss/lr=0.1") == {"test_loss": "loss/lr=0.1"}
