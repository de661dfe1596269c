"""Runs in a folder: what belongs together, merging, what is skipped, and the real logs."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from snnlens.data.logs import runs
from snnlens.errors import InputError
from snnlens.experiments._published import record
from snnlens.recording import store
from tests.unit.data.logfiles import log, percent, write

SEW18 = "sew_resnet18_b32_lr0.1_T4_coslr320_sgd_cnf_ADD_logs"
SPIKING18 = "spiking_resnet18_b32_lr0.1_T4_zi_coslr320_sgd_logs"
OWN = r"(?P<residual>[a-z]+)-(?P<depth>\d+)"


def test_train_and_te_are_one_run(tmp_path: Path) -> None:
    log(tmp_path / "logs" / SEW18, 100, percent(range(2)))
    log(tmp_path / "logs" / SPIKING18, 100, percent(range(3), loss=2.0))
    sew, spiking = runs.read(tmp_path / "logs")
    assert (sew.name, spiking.name) == (SEW18, SPIKING18)
    assert (sew.files, sew.facts["residual"], spiking.facts["residual"]) == (2, "sew", "spiking")
    assert list(spiking.curves["train_loss"]) == pytest.approx([2.0, 2.01, 2.02], rel=1e-7)
    assert list(sew.curves["test_top5"]) == pytest.approx([60.0, 60.01], rel=1e-7)  # float32
    assert sorted(set(sew.scalars["tag"])) == [
        "te/test_acc1", "te/test_acc5", "te/test_loss",
        "train/train_acc1", "train/train_acc5", "train/train_loss",
    ]  # fmt: skip


@pytest.mark.parametrize("split", ["te", "test", "val", "validation", "eval"])
def test_subfolders_of_one_run(tmp_path: Path, split: str) -> None:
    for name, tag in (("train", "train_loss"), (split, "test_loss")):
        write(tmp_path / SEW18 / name / "events.out.tfevents.1.host", [(tag, 0, 1.0)])
    (found,) = runs.find(tmp_path)
    assert found.name == SEW18
    assert [file.parent.name for file in found.files] == sorted(["train", split])


def test_runs_in_folders_of_other_names_are_their_own(tmp_path: Path) -> None:
    for name in ("sew-8/a", "sew-8/b"):
        write(tmp_path / name / "events.out.tfevents.1.host", [("train_loss", 0, 1.0)])
    assert [run.name for run in runs.find(tmp_path)] == ["sew-8/a", "sew-8/b"]


@pytest.mark.parametrize("inside", ["", "train"])
def test_a_run_itself_may_be_given(tmp_path: Path, inside: str) -> None:
    """Then it is named by its folder, and that by the one above it where it must be."""
    log(tmp_path / SEW18, 100, percent([0]))
    (run,) = runs.read(tmp_path / SEW18 / inside)
    assert run.facts["depth"] == 18
    assert run.name == (inside or SEW18)
    assert run.files == (1 if inside else 2)


def test_no_folder_above_the_given_one_tells_what_a_run_is(tmp_path: Path) -> None:
    write(tmp_path / "sew-8" / "logs" / "base" / "events.out.tfevents.1.host", [("a", 0, 1.0)])
    with pytest.raises(InputError, match=r"^at least one run's name must be one that --pattern "):
        runs.read(tmp_path / "sew-8" / "logs", pattern=OWN)


# --- merging -----------------------------------------------------------------------------------


def test_a_resumed_run_later_file_wins(tmp_path: Path) -> None:
    """By the number in the name: 1000 comes after 999. Epoch 3 was trained twice."""
    run = tmp_path / SEW18
    log(run, 999, percent(range(4), loss=1.0))
    log(run, 1000, percent(range(3, 6), loss=2.0), start=3)
    (found,) = runs.read(tmp_path)
    assert list(found.curves["epoch"]) == [0, 1, 2, 3, 4, 5]
    losses = [1.0, 1.01, 1.02, 2.03, 2.04, 2.05]
    assert list(found.curves["train_loss"]) == pytest.approx(losses, rel=1e-7)  # float32
    assert found.files == 4
    assert not found.scalars.duplicated(["tag", "step"]).any()


def test_only_the_tags_that_were_logged_again_are_replaced(tmp_path: Path) -> None:
    folder = tmp_path / SEW18 / "train"
    write(folder / "events.out.tfevents.1.host", [("train_loss", 0, 1.0), ("train_acc1", 0, 8.0)])
    write(folder / "events.out.tfevents.2.host", [("train_loss", 0, 3.0)])
    (found,) = runs.read(tmp_path)
    assert found.curves[["train_loss", "train_top1"]].iloc[0].tolist() == [3.0, 8.0]


def test_a_file_without_a_time_stamp_comes_first(tmp_path: Path) -> None:
    write(tmp_path / SEW18 / "zz.tfevents", [("train_loss", 0, 1.0)])
    write(tmp_path / SEW18 / "events.out.tfevents.5.host", [("train_loss", 0, 2.0)])
    assert runs.read(tmp_path)[0].curves["train_loss"].tolist() == [2.0]


def test_empty_and_cut_files_are_said(tmp_path: Path) -> None:
    log(tmp_path / SEW18, 100, percent(range(2)))
    log(tmp_path / SEW18, 200, [], start=2)  # a crash before the first epoch ended
    cut = tmp_path / SEW18 / "train" / "events.out.tfevents.100.host.1.0"
    cut.write_bytes(cut.read_bytes()[:-1])
    (found,) = runs.read(tmp_path)
    assert found.empty_files == (
        "te/events.out.tfevents.200.host.1.1", "train/events.out.tfevents.200.host.1.0",
    )  # fmt: skip
    (said,) = found.cut_files
    assert said.startswith("train/events.out.tfevents.100.host.1.0: record 8, at byte ")
    assert said.endswith(" is cut; what is whole before it (7) was used")
    assert found.curves["train_top5"].isna().tolist() == [False, True]  # the record that was cut
    assert found.curves["train_top1"].notna().all()


def test_epochs_that_args_txt_planned(tmp_path: Path) -> None:
    folder = tmp_path / "SEWResNet_b16_T16_Ttrain12_steplr64_0.1_sgd_cnf_ADD" / "lr0.001_logs"
    log(folder, 100, percent([0]))
    assert runs.read(tmp_path)[0].facts["epochs"] is None
    (folder / "args.txt").write_text("Namespace(T=16, epochs=192, print_freq=64)")
    assert runs.read(tmp_path)[0].facts["epochs"] == 192
    log(tmp_path / SEW18, 100, percent([0]))
    (tmp_path / SEW18 / "args.txt").write_text("Namespace(epochs=7)")
    assert runs.read(tmp_path)[0].facts["epochs"] == 320  # its name says it


# --- what is left out --------------------------------------------------------------------------


def test_runs_that_are_left_out_are_listed(tmp_path: Path) -> None:
    log(tmp_path / "sew-8", 1, percent([0]))
    log(tmp_path / "baseline", 1, percent([0]))
    log(tmp_path / "sew-20", 1, [])
    found, skipped = runs.survey(tmp_path, pattern=OWN)
    assert [run.name for run in found] == ["sew-8"]
    assert skipped == {
        "baseline": "its name fits no rule", "sew-20": "no scalar in its event files",
    }  # fmt: skip


def test_names_that_fit_no_rule(tmp_path: Path) -> None:
    for i in range(12):
        write(tmp_path / f"run{i:02d}" / "events.out.tfevents.1.host", [("a", 0, 1.0)])
    listed = ", ".join(f"run{i:02d}" for i in range(10)) + " and 2 more"
    do = "give --pattern, a regular expression with (?P<residual>...) and (?P<depth>...)"
    with pytest.raises(InputError) as error:
        runs.read(tmp_path)
    assert str(error.value) == (
        f"at least one run's name must be as in the SEW repository's logs; got '{listed}'; {do}"
    )
    with pytest.raises(InputError) as error:
        runs.read(tmp_path, pattern=OWN)
    assert str(error.value) == (
        f"at least one run's name must be one that --pattern fits; got '{listed}'; {do}"
    )


def test_folders_that_are_none(tmp_path: Path) -> None:
    for folder, wanted in (
        (tmp_path / "none", "a folder"),
        (tmp_path, "one with event files (*tfevents*) in it"),
    ):
        with pytest.raises(InputError) as error:
            runs.read(folder)
        assert str(error.value) == f"a folder of logs must be {wanted}; got '{folder}'"


def test_nothing_but_empty_files(tmp_path: Path) -> None:
    log(tmp_path / "sew-8", 1, [])
    with pytest.raises(InputError) as error:
        runs.read(tmp_path, pattern=OWN)
    assert str(error.value) == (
        "at least one run must be one with a scalar in its event files; got 'sew-8'"
    )


def test_a_wrong_option_answers_before_the_folder_is_looked_at(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^--pattern must be a regular expression; "):
        runs.read(tmp_path, pattern="(")
    with pytest.raises(InputError, match=r"^a curve of --tags must be one of "):
        runs.read(tmp_path, tags={"x": "y"})


# --- as a Record -------------------------------------------------------------------------------


def test_the_record_of_a_folder(tmp_path: Path) -> None:
    log(tmp_path / "sew-20", 1, percent(range(2), loss=0.5))
    log(tmp_path / "sew-8", 1, percent(range(2)))
    log(tmp_path / "old" / "sew-8", 1, percent([0]))
    log(tmp_path / "other", 1, percent([0]))
    made = record(tmp_path, pattern=OWN)
    # by depth; two runs that their names do not tell apart are numbered
    assert list(made.networks) == ["sew-8", "sew-8-2", "sew-20"]
    assert [f["folder"] for f in made.networks.values()] == ["old/sew-8", "sew-8", "sew-20"]
    assert {f["origin"] for f in made.networks.values()} == {"published logs"}
    assert list(made.tables["curves"]["network"]) == ["sew-8", *["sew-8-2"] * 2, *["sew-20"] * 2]
    assert made.tables["skipped"].values.tolist() == [["other", "its name fits no rule"]]
    assert made.provenance["question"] == "degradation"
    assert made.provenance["data"] == f"training logs in {tmp_path.name}"
    assert made.frame().empty
    assert made.frame(per_step=True).empty
    json.dumps(made.networks)


def test_the_fingerprint_is_of_what_was_read(tmp_path: Path) -> None:
    for folder, loss in (("a", 1.0), ("b", 1.0), ("c", 1.5)):
        log(tmp_path / folder / "sew-8", 1, percent([0], loss=loss))
    one, same, other = (
        record(tmp_path / name, pattern=OWN).provenance["data_fingerprint"] for name in "abc"
    )
    assert one == same != other


def test_a_record_comes_back_from_its_folder(tmp_path: Path) -> None:
    log(tmp_path / "logs" / "sew-8", 1, percent(range(3)))
    log(tmp_path / "logs" / "x", 1, percent([0]))
    made = record(tmp_path / "logs", pattern=OWN)
    read = store.load(made.save(tmp_path / "run"))
    assert read.networks == made.networks
    assert read.schemas == made.schemas
    for name, table in made.tables.items():
        pd.testing.assert_frame_equal(read.tables[name], table)


# --- the published logs ------------------------------------------------------------------------

MODELS = {("ResNet", "sew"): "SEW-ResNet", ("ResNet", "spiking"): "Spiking-ResNet",
          ("7B-Net", "sew"): "7B-Net_SEW", ("Wide-7B-Net", "sew"): "Wide-7B-Net_SEW"}  # fmt: skip


@pytest.mark.data
def test_every_row_of_the_published_logs(data_root: Path) -> None:
    """20,608 scalars, once extracted by others: every value exactly, times as far as printed."""
    found = Counter(
        (MODELS[run.facts["model"], run.facts["residual"]], run.facts["depth"], tag, step,
         value, f"{time:.3f}")
        for run in runs.read(data_root / "logs" / "sew_resnet")
        for tag, step, value, time in run.scalars.itertuples(index=False)
        for tag in [tag.rpartition("/")[2]]
    )  # fmt: skip
    with gzip.open(data_root / "logs" / "sew_resnet.csv.gz", "rt", newline="") as file:
        wanted = Counter(
            (row["model"], int(row["depth"]) if row["depth"].isdecimal() else None, row["tag"],
             int(row["step"]), float(row["value"]), f"{float(row['wall_time']):.3f}")
            for row in csv.DictReader(file)
        )  # fmt: skip
    assert wanted.total() == 20_608
    assert found == wanted


@pytest.mark.data
def test_the_published_folder(data_root: Path) -> None:
    made = record(data_root / "logs" / "sew_resnet")
    assert list(made.networks) == [
        *(f"sew-add-{depth}" for depth in (18, 34, 50, 101, 152)),
        *(f"spiking-{depth}-zero" for depth in (18, 34, 50, 101, 152)),
        "7b-net-sew-add", "wide-7b-net-sew-add",
    ]  # fmt: skip
    facts = list(made.networks.values())
    assert sum(f["files"] for f in facts) == 45
    assert sum(len(f["empty_files"]) for f in facts) == 4
    assert [f["epochs"] for f in facts] == [*[320] * 10, 192, 64]
    assert all(f["cut_files"] == [] for f in facts)
    assert "skipped" not in made.tables
    lengths = made.tables["curves"].groupby("network")["epoch"].agg(["min", "max", "size"])
    assert lengths["min"].eq(0).all()
    assert lengths["max"].add(1).eq(lengths["size"]).all()  # no gap
    assert lengths["size"].sum() == 10 * 320 + 192 + 64
