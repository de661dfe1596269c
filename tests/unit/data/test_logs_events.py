"""One event file: all scalars, and where it is cut or damaged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto import event_pb2
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import SummaryWriter

from snnlens.data.logs import events
from snnlens.errors import InputError
from tests.unit.data.logfiles import bounds, write

NAME = "events.out.tfevents.1620043254.host.1.0"
ROWS = [("train_loss", epoch, 1.5 - epoch / 8) for epoch in range(6)]  # exact in float32


def listed(table: pd.DataFrame) -> list[tuple[str, int, float]]:
    return list(zip(table["tag"], table["step"], table["value"], strict=True))


def test_every_scalar_in_its_order(tmp_path: Path) -> None:
    found = events.read(write(tmp_path / NAME, ROWS))
    assert listed(found.scalars) == ROWS
    assert list(found.scalars["wall_time"]) == [2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    assert found.fault == ""
    assert found.path == tmp_path / NAME


def test_no_step_of_a_long_curve_is_left_out(tmp_path: Path) -> None:
    """TensorBoard's accumulator keeps 10,000 of a tag by default."""
    rows = [("loss", step, float(step)) for step in range(10_500)]
    found = events.read(write(tmp_path / NAME, rows)).scalars
    assert listed(found) == rows


@pytest.mark.parametrize("new_style", [False, True])
def test_what_pytorch_writes(tmp_path: Path, new_style: bool) -> None:
    """Both ways to write a scalar, beside a histogram and a text that are none."""
    with SummaryWriter(str(tmp_path)) as writer:
        for step in range(3):
            writer.add_scalar("acc", 0.25 * step, step, new_style=new_style, walltime=step + 0.5)
            writer.add_histogram("weights", np.arange(4.0), step)
            writer.add_text("note", "words", step)
    (path,) = tmp_path.glob("*tfevents*")
    found = events.read(path).scalars
    assert listed(found) == [("acc", 0, 0.0), ("acc", 1, 0.25), ("acc", 2, 0.5)]
    assert list(found["wall_time"]) == [0.5, 1.5, 2.5]


def test_a_plugin_that_only_the_first_value_names(tmp_path: Path) -> None:
    """So does TensorFlow 1; a tensor of another plugin is no scalar, whatever its shape."""
    with (tmp_path / NAME).open("wb") as file:
        writer = RecordWriter(file)
        for step in range(2):
            event = event_pb2.Event(step=step)
            for tag, plugin in (("loss", "scalars"), ("curve", "pr_curves")):
                value = event.summary.value.add(tag=tag)
                if step == 0:
                    value.metadata.plugin_data.plugin_name = plugin
                value.tensor.dtype = 1  # float
                value.tensor.float_val.append(step + 0.5)
            writer.write(event.SerializeToString())
        writer.flush()
    assert listed(events.read(tmp_path / NAME).scalars) == [("loss", 0, 0.5), ("loss", 1, 1.5)]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_diverged_loss_is_kept(tmp_path: Path, value: float) -> None:
    found = events.read(write(tmp_path / NAME, [("loss", 0, value)])).scalars
    np.testing.assert_array_equal(found["value"], [value])


# --- cut and damaged ---------------------------------------------------------------------------


def test_cut_at_every_byte(tmp_path: Path) -> None:
    """What is whole is used, and the record that is not is named with its byte."""
    whole = write(tmp_path / NAME, ROWS)
    data, places = whole.read_bytes(), bounds(whole)
    cut = tmp_path / f"{NAME}.cut"
    for size in range(len(data)):
        cut.write_bytes(data[:size])
        found = events.read(cut)
        records = sum(place <= size for place in places) - 1
        assert listed(found.scalars) == ROWS[: max(records - 2, 0)]  # two records hold no scalar
        used = f"what is whole before it ({records}) was used" if records else "nothing was used"
        where = f"record {records + 1}, at byte {places[records]} of {size}, is cut; {used}"
        assert found.fault == ("" if size == places[records] else where)


@pytest.mark.parametrize("record", [0, 1, 4])
@pytest.mark.parametrize("offset", [0, 8, 12, 15, -1])  # length, its checksum, data, checksum
def test_damaged_in_each_part_of_a_record(tmp_path: Path, record: int, offset: int) -> None:
    whole = write(tmp_path / NAME, ROWS)
    data, places = bytearray(whole.read_bytes()), bounds(whole)
    data[places[record] + offset if offset >= 0 else places[record + 1] - 1] ^= 0x40
    whole.write_bytes(data)
    found = events.read(whole)
    assert listed(found.scalars) == ROWS[: max(record - 2, 0)]
    used = f"what is whole before it ({record}) was used" if record else "nothing was used"
    assert found.fault == (
        f"record {record + 1}, at byte {places[record]} of {len(data)}, is damaged; {used}"
    )


def test_a_record_that_is_no_event(tmp_path: Path) -> None:
    path = write(tmp_path / NAME, ROWS[:1])
    size = path.stat().st_size
    with path.open("ab") as file:
        writer = RecordWriter(file)
        writer.write(b"\xff" * 9)
        writer.flush()
    assert events.read(path).fault == (
        f"record 4, at byte {size} of {size + 25}, is damaged; what is whole before it (3) was used"
    )


def test_a_file_without_a_byte(tmp_path: Path) -> None:
    (tmp_path / NAME).touch()
    found = events.read(tmp_path / NAME)
    assert (len(found.scalars), found.fault) == (0, "")
    assert list(found.scalars.dtypes.astype(str)[1:]) == ["int64", "float64", "float64"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        events.read(tmp_path / NAME)
    assert str(error.value) == (
        f"event file must be one that can be read; got '{tmp_path / NAME}: No such file or "
        "directory'"
    )


# --- the package -------------------------------------------------------------------------------

BLOCK = """
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

class Without(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if name.partition(".")[0] in {"torch", "tensorflow", "grpc"}:
            raise AssertionError(f"{name} is not needed")
        return None

sys.meta_path.insert(0, Without())
from snnlens.data.logs import events
from snnlens.errors import InputError
try:
    print(len(events.read(Path(sys.argv[2])).scalars))
except (InputError, ModuleNotFoundError) as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("nothing", "6\n"),
        ("tensorboard", ("InputError published logs need a package that must be installed; got "
         "'tensorboard'; pip install 'snnlens[logs]'\n")),
        ("google.protobuf", "ModuleNotFoundError No module named 'google.protobuf'\n"),
    ],
)  # fmt: skip
def test_quiet_and_without_tensorflow(tmp_path: Path, missing: str, said: str) -> None:
    """Nothing on stderr, no torch, no TensorFlow; a broken installation is not called missing."""
    path = write(tmp_path / NAME, ROWS)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BLOCK, missing, str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == (said, "")


@pytest.mark.data
def test_the_published_files_as_tensorboard_reads_them(data_root: Path) -> None:
    """All 45 against the accumulator with nothing sampled."""
    files = sorted((data_root / "logs" / "sew_resnet").rglob("*tfevents*"))
    assert len(files) == 45
    empty = 0
    for file in files:
        accumulator = EventAccumulator(str(file), size_guidance={"scalars": 0})
        accumulator.Reload()
        wanted = [
            (tag, one.step, one.value, one.wall_time)
            for tag in accumulator.Tags()["scalars"]
            for one in accumulator.Scalars(tag)
        ]
        found = events.read(file)
        assert found.fault == ""
        assert sorted(found.scalars.itertuples(index=False, name=None)) == sorted(wanted)
        empty += found.scalars.empty
    assert empty == 4
