"""TensorBoard's event files that are not what they say, and folders of them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.proto import event_pb2
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

from snnlens.cli import main
from snnlens.data.logs import events, runs
from tests.trust.hostile_files import (
    bounded,
    command_refuses,
    damaged,
    fresh,
    impostors,
    is_one_line,
    refuses,
)
from tests.trust.tally import Count, fuzz
from tests.unit.data.logfiles import percent, write

pytestmark = pytest.mark.promise("one-line")
NAME = "events.out.tfevents.1.host"
RUN = "sew_resnet18_b32_lr0.1_T4_coslr320_sgd_cnf_add"


def framed(data: bytes, length: int | None = None) -> bytes:
    """A record as TensorBoard writes it, both checksums right; its length may be another."""
    head = struct.pack("<Q", len(data) if length is None else length)
    return b"".join([
        head, struct.pack("<I", masked_crc32c(head)), data, struct.pack("<I", masked_crc32c(data)),
    ])  # fmt: skip


def of_tensor(dims: list[int], **fields: Any) -> bytes:
    """An event with one scalar that is a tensor."""
    event = event_pb2.Event(step=1)
    value = event.summary.value.add(tag="train_loss")
    value.metadata.plugin_data.plugin_name = "scalars"
    for size in dims:
        value.tensor.tensor_shape.dim.add(size=size)
    for name, given_value in fields.items():
        if isinstance(given_value, list):
            getattr(value.tensor, name).extend(given_value)
        else:
            setattr(value.tensor, name, given_value)
    return bytes(event.SerializeToString())


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return write(tmp_path / RUN / NAME, percent(range(2)))


@fuzz(120)
@given(data=st.data())
def test_damaged_files(data: st.DataObject, whole: Path, tmp_path: Path, tally: Count) -> None:
    """A file gives the scalars before the damage, and says where that is."""
    folder = fresh(tmp_path)
    path = folder / NAME
    path.write_bytes(data.draw(damaged(whole.read_bytes())))
    found = events.read(path)
    assert not found.fault or is_one_line(found.fault)
    refuses(runs.read, folder, pattern="(?P<residual>.)(?P<depth>)")
    tally("damaged logs")


@fuzz(120)
@given(data=st.data())
def test_damaged_events_with_right_checksums(
    data: st.DataObject, tmp_path: Path, tally: Count
) -> None:
    """Whoever changes a record on purpose makes its checksums anew."""
    path = tmp_path / NAME
    event = of_tensor([], dtype=1, float_val=[1.0])
    record = data.draw(damaged(event, of_tensor([2], dtype=1, tensor_content=bytes(8))))
    path.write_bytes(framed(record))
    found = events.read(path)
    assert not found.fault or is_one_line(found.fault)
    tally("damaged logs")


@pytest.mark.parametrize("length", [2**64 - 1, 2**63, 2**62, 2**40, 2**31, 4])
def test_lengths_of_records(length: int, tmp_path: Path, tally: Count) -> None:
    path = tmp_path / NAME
    path.write_bytes(framed(b"abc", length))
    assert events.read(path).fault.startswith("record 1, at byte 0 of 19, is ")
    tally("files that promise gigabytes")


TENSORS = {
    "repeated 2^31 times": of_tensor([2**31], dtype=1, float_val=[1.0]),
    "repeated 2^62 times": of_tensor([2**31, 2**31], dtype=1, float_val=[1.0]),
    "of a negative size": of_tensor([-5], dtype=1, float_val=[1.0]),
    "of two": of_tensor([2], dtype=1, float_val=[1.0, 2.0]),
    "of none": of_tensor([0], dtype=1),
    "a text": of_tensor([], dtype=7, string_val=[b"\x80\x05cos\nsystem\n."]),
    "of no type": of_tensor([], dtype=0, float_val=[1.0]),
    "of an unknown type": of_tensor([], dtype=99, float_val=[1.0]),
    "a resource": of_tensor([], dtype=20),
    "complex": of_tensor([], dtype=8, scomplex_val=[1.0, 2.0]),
    "cut": of_tensor([], dtype=1, tensor_content=b"ab"),
    "without its bytes": of_tensor([], dtype=1, tensor_content=b""),
    "beyond its type": of_tensor([], dtype=19, half_val=[70000]),
}


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_that_are_no_number(name: str, tmp_path: Path, tally: Count) -> None:
    path = tmp_path / NAME
    path.write_bytes(framed(of_tensor([], dtype=1, float_val=[0.5])) + framed(TENSORS[name]))
    with bounded(path):
        found = events.read(path)
    assert found.scalars["value"].tolist() == [0.5]
    assert found.fault == "train_loss of step 1 is no number; what is before it was used"
    tally("tensors")


# --- folders -------------------------------------------------------------------------------------


@impostors
def test_something_else_in_the_place_of_a_file(
    impostor: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], tally: Count
) -> None:
    (tmp_path / RUN).mkdir()
    impostor(tmp_path / RUN / NAME)
    command_refuses(["degradation", "--logs", str(tmp_path)], capsys, "event files")
    tally("commands")


@impostors
def test_something_else_in_the_place_of_a_folder(
    impostor: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], tally: Count
) -> None:
    impostor(tmp_path / "logs")
    command_refuses(["degradation", "--logs", str(tmp_path / "logs")], capsys, tmp_path)
    tally("commands")


def planned(folder: Path) -> object:
    """The epochs of a run whose name does not tell them."""
    (run,) = runs.read(folder, pattern="(?P<residual>sew)_resnet(?P<depth>18)")
    return run.facts["epochs"]


@impostors
def test_something_else_in_the_place_of_the_options(
    impostor: Any, whole: Path, tmp_path: Path, tally: Count
) -> None:
    """args.txt, which says how many epochs were planned, is read where it is a small text."""
    impostor(whole.parent / "args.txt")
    assert planned(tmp_path) is None
    tally("files")


@pytest.mark.parametrize("text", ["epochs=" + "9" * 5000, "epochs=-1", "epochs=nan", "\0" * 99])
def test_extreme_options(text: str, whole: Path, tmp_path: Path, tally: Count) -> None:
    (whole.parent / "args.txt").write_text("epochs=320")
    assert planned(tmp_path) == 320
    (whole.parent / "args.txt").write_text(text)
    assert planned(tmp_path) is None
    (whole.parent / "args.txt").write_bytes(b"epochs=3 " * 2**21)
    assert planned(tmp_path) is None  # too long for a list of options
    tally("files", 2)


@pytest.mark.parametrize("name", ["sew-" + "9" * 30, "sew-٣", "sew-²"])
def test_depths_in_names(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], tally: Count
) -> None:
    """2^63 and more is no depth: tables count in 64 bits."""
    write(tmp_path / name / NAME, percent([0]))
    pattern = r"(?P<residual>sew)-(?P<depth>.+)"
    argv = ["degradation", "--logs", str(tmp_path), "--pattern", pattern]
    if name.endswith("٣"):
        assert runs.read(tmp_path, pattern=pattern)[0].facts["depth"] == 3
    else:
        command_refuses(argv, capsys, "depth in the name of a run")
    tally("names of folders")


CURVES: dict[str, list[tuple[str, int, float]]] = {
    "not a number": [("train_loss", 0, float("nan")), ("test_acc1", 0, float("nan"))],
    "infinite": [("train_loss", 0, float("inf")), ("test_acc1", 0, -float("inf"))],
    "the last step there is": [("train_loss", 2**63 - 1, 1.0), ("test_acc1", 2**63 - 1, 5.0)],
    "before the first": [("train_loss", -(2**63), 1.0), ("test_acc1", -1, 5.0)],
    "beyond percent": [("train_loss", 0, 1e38), ("test_acc1", 0, 1e38)],
    "a loss alone": [("train_loss", 0, 1.0)],
    "a tag of megabytes": [("train_loss", 0, 1.0), ("x\n\x1b" * 10**5, 0, 1.0)],
}


@pytest.mark.parametrize("name", CURVES)
def test_extreme_curves(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], tally: Count
) -> None:
    """They are drawn as they are, or refused: no traceback, and no warning."""
    write(tmp_path / "logs" / RUN / NAME, CURVES[name])
    argv = ["degradation", "--logs", str(tmp_path / "logs"), "-o", str(tmp_path / "run")]
    code = main(argv)
    said = capsys.readouterr().err
    assert code in (0, 2, 5)
    assert is_one_line(said.rstrip("\n")) or not said
    tally("commands")
