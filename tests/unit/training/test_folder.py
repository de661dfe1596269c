"""The folder of a training: rows that a kill has cut, descriptions, records."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from snnlens.errors import InputError
from snnlens.training import folder

VERSION = (
    "the schema version of {{folder}}/train.json must be 1; got {}; read it with the snnlens that "
    "wrote it"
)
ROW = dict.fromkeys(folder.COLUMNS, 0.1) | {"epoch": 0}


def test_metrics_come_back_to_the_last_bit(tmp_path: Path) -> None:
    folder.cut_metrics(tmp_path, 0)
    rows = [ROW | {"epoch": e, "train_loss": math.pi / 10**e, "test_loss": 1 / 3} for e in range(3)]
    for row in rows:
        folder.add_metrics(tmp_path, row)
    table = folder.metrics(tmp_path)
    assert table.to_dict(orient="records") == rows
    assert table["epoch"].tolist() == [0, 1, 2]


def test_a_number_that_is_none_stays_one(tmp_path: Path) -> None:
    folder.cut_metrics(tmp_path, 0)
    folder.add_metrics(tmp_path, ROW | {"test_loss": math.nan, "train_loss": math.inf})
    table = folder.metrics(tmp_path)
    assert math.isnan(table["test_loss"][0])
    assert table["train_loss"][0] == math.inf


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_half_written_line_is_not_read(cut: int, tmp_path: Path) -> None:
    folder.cut_metrics(tmp_path, 0)
    folder.add_metrics(tmp_path, ROW)
    path = tmp_path / folder.METRICS
    whole = path.read_bytes()
    folder.add_metrics(tmp_path, ROW | {"epoch": 1})
    both = path.read_bytes()
    path.write_bytes(both[: len(whole) + min(cut, len(both) - len(whole) - 1)])
    assert folder.metrics(tmp_path)["epoch"].tolist() == [0]
    folder.cut_metrics(tmp_path, 5)
    assert path.read_bytes() == whole  # and the next row begins on its own line


def test_rows_after_the_checkpoint_are_cut(tmp_path: Path) -> None:
    folder.cut_metrics(tmp_path, 0)
    for epoch in range(4):
        folder.add_metrics(tmp_path, ROW | {"epoch": epoch})
    folder.cut_metrics(tmp_path, 2)
    assert folder.metrics(tmp_path)["epoch"].tolist() == [0, 1]


def test_a_folder_without_metrics_has_none(tmp_path: Path) -> None:
    assert folder.metrics(tmp_path).empty
    assert list(folder.metrics(tmp_path).columns) == list(folder.COLUMNS)


def test_the_description_comes_back(tmp_path: Path) -> None:
    assert not folder.is_training(tmp_path / "new")
    said = {"name": "x", "facts": {"depth": 8}, "parameters": {}, "provenance": {}}
    folder.describe(tmp_path / "new", said | {"data_fingerprint": "0"})
    assert folder.is_training(tmp_path / "new")
    assert folder.description(tmp_path / "new")["facts"] == {"depth": 8}
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["train.json"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "{folder} must be the folder of a training; got 'no train.json'"),
        ("{", "{folder}/train.json must be JSON; got 'something else'; the file was changed"),
        ("[]", VERSION.format("None")),
        ('{"schema": 2}', VERSION.format(2)),
    ],
)
def test_other_folders(text: str | None, message: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "train.json").write_text(text)
    with pytest.raises(InputError) as error:
        folder.description(tmp_path)
    assert str(error.value) == message.format(folder=tmp_path)


def test_records_by_epoch(tmp_path: Path) -> None:
    for done in (0, 5, 10):
        made = folder.record_folder(tmp_path, done)
        made.mkdir(parents=True)
        if done != 5:  # not whole
            (made / "run.json").write_text("{}")
    assert folder.recorded(tmp_path) == {d: folder.record_folder(tmp_path, d) for d in (0, 10)}
