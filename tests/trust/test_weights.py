"""Weights and training folders that are not what they say."""

from __future__ import annotations

import io
import json
import pickle  # noqa: TID251 - what a file may be
import struct
import zipfile
from argparse import Namespace
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from snnlens import atomic
from snnlens.cli import main
from snnlens.models import ann_weights, checkpoints
from snnlens.models.resnet import resnet
from snnlens.training import checkpoint, folder, points
from tests.trust.hostile_files import (
    bounded,
    command_refuses,
    damaged,
    fresh,
    impostors,
    in_little_memory,
    out_of_memory,
    refuses,
    replaced,
)
from tests.trust.tally import Count, fuzz

pytestmark = pytest.mark.promise("one-line")
RATES = ["rates", "--batch", "2", "--image-size", "8", "--quiet"]


@cache
def state() -> dict[str, Tensor]:
    return dict(resnet(8, layout="cifar", classes=2, residual="spiking").state_dict())


def torch_file(value: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


SMALL = {"model": {"a.weight": torch.ones(2, 2)}, "epoch": 3, "args": Namespace(T=4)}
FILES = (torch_file(SMALL), torch_file(SMALL, _use_new_zipfile_serialization=False))


def reads(path: Path) -> None:
    """Everything that is done with a file of weights."""
    checkpoints.read(path)
    for build in (lambda: checkpoints.build(path, residual="spiking"), lambda: loaded(path)):
        refuses(build)


def loaded(path: Path) -> None:
    ann_weights.load_weights(torch.nn.Linear(2, 2), path)


@pytest.mark.parametrize("legacy", [False, True])
@fuzz(120)
@given(data=st.data())
def test_damaged_torch_files(
    legacy: bool, data: st.DataObject, tmp_path: Path, tally: Count
) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(data.draw(damaged(FILES[legacy])))
    refuses(reads, path)
    tally("damaged weights")


@fuzz(120)
@given(data=damaged(safetensors.torch.save({"a.weight": torch.ones(2, 2)}, {"epoch": "3"})))
def test_damaged_safetensors(data: bytes, tmp_path: Path, tally: Count) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(data)
    refuses(reads, path)
    tally("damaged weights")


def without_numbers(*shape: int) -> Tensor:
    """A shape of terabytes over one number."""
    return torch.zeros(()).expand(*shape)


TENSORS: dict[str, Callable[[], Any]] = {
    "over one number": lambda: without_numbers(10**9, 64),
    "without numbers": lambda: torch.zeros(2, 64, device="meta"),
    "of 2^80 and no numbers": lambda: torch.zeros(2**40, 0, 2**20),
    "nested": lambda: torch.nested.nested_tensor([torch.zeros(2)], layout=torch.strided),
    "complex": lambda: torch.zeros(2, 64, dtype=torch.complex64),
    "of 8 bits": lambda: torch.zeros(2, 64, dtype=torch.float8_e4m3fn),
    "of 4 bits": lambda: torch.zeros(2, 32, dtype=torch.uint8).view(torch.float4_e2m1fn_x2),
    "without rows": lambda: torch.zeros(0, 64),
    "without columns": lambda: torch.zeros(10**9, 0),
    "one number": lambda: torch.zeros(()),
    "a list": lambda: [1, 2],
    "a text": lambda: "x" * 10**6,
}


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
@pytest.mark.parametrize("name", TENSORS)
def test_tensors_that_promise_more_than_they_hold(name: str, tmp_path: Path, tally: Count) -> None:
    """A network is built as large as the shapes say: they may say no more than is there."""
    path = tmp_path / "a.pth"
    path.write_bytes(torch_file(state() | {"fc.weight": TENSORS[name]()}))
    with bounded(path):
        assert refuses(checkpoints.build, path, residual="spiking")
        assert refuses(ann_weights.load_weights, resnet(8, layout="cifar", classes=2), path)
    tally("weights")


FACTS: dict[str, Any] = {
    "T of 10^30": {"args": Namespace(T=10**30)},
    "T of 2^63": {"args": Namespace(T=2**63)},
    "T of less than nothing": {"args": Namespace(T=-1)},
    "a connect of 10^5000": {"args": Namespace(connect_f=10**5000)},
    "a connect of megabytes": {"args": Namespace(connect_f="x" * 10**6)},
    "an epoch of 2^64": {"epoch": 2**64},
    "not a number": {"max_test_acc1": float("nan"), "epoch": float("inf")},
    "args of another kind": {"args": [1]},
}


@pytest.mark.parametrize("name", FACTS)
def test_facts_that_no_training_has(name: str, tmp_path: Path, tally: Count) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(torch_file({"model": state()} | FACTS[name]))
    if not refuses(checkpoints.build, path, residual="spiking"):
        model, said = checkpoints.build(path, residual="spiking")
        assert model.time_steps == checkpoints.DEFAULT_STEPS
        json.dumps(said)
    tally("weights")


KEYS: dict[str, Any] = {
    "a number": {3: torch.ones(1)},
    "a pair": {(3, "x"): torch.ones(1)},
    "long": {"a" * 10**6: torch.ones(1)},
    "of lines": {"a\n\x1b[31m": torch.ones(1)},
    "a stage of 5000 digits": {f"layer{'9' * 5000}.0.conv1.weight": torch.ones(1)},
    "a row of 5000 digits": {
        f"conv.{'9' * 5000}.conv.0.0.0.weight": torch.ones(1), "conv.0.0.0.weight": torch.ones(1),
    },
    "many blocks": {f"layer{s}.{i}.conv1.weight": torch.ones(1) for s in (1, 2, 3)
                    for i in range(1, 900)},
    "named alike": {"module.a": torch.ones(1), "a": torch.ones(1)},
}  # fmt: skip


@pytest.mark.parametrize("name", KEYS)
def test_keys_that_no_network_has(name: str, tmp_path: Path, tally: Count) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(torch_file(state() | KEYS[name]))
    model = resnet(8, layout="cifar", classes=2)
    assert refuses(checkpoints.build, path, residual="spiking")
    assert refuses(lambda: checkpoints.load_into(model, checkpoints.read(path)))
    assert refuses(ann_weights.load_weights, model, path)
    tally("weights")


def test_a_zip_bomb(tmp_path: Path, tally: Count) -> None:
    """What torch writes is not packed; 200 MB in 200 kB are not unpacked."""
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        with zipfile.ZipFile(io.BytesIO(FILES[0])) as whole:
            for entry in whole.infolist():
                file.writestr(entry.filename, whole.read(entry))
        file.writestr("archive/data/1", bytes(200 * 10**6))
    with bounded(path):
        assert refuses(checkpoints.read, path)
    tally("zip bombs")


PICKLES = {
    "a text of 4 GB": b"\x80\x02X" + struct.pack("<I", 2**32 - 1) + b"abc.",
    "bytes of 2^62": b"\x80\x05\x8e" + struct.pack("<Q", 2**62) + b"abc.",
    "a number of 2^31 bytes": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"abc.",
    "lists in lists": b"\x80\x02" + b"(" * 10**5 + b"l" * 10**5 + b".",
    "a stack of nothing": b"\x80\x02" + b"0" * 100 + b".",
    "a memo of 2^32": b"\x80\x02]r" + struct.pack("<I", 2**32 - 1) + b".",
    "bytearray(10^12)": b"\x80\x02c__builtin__\nbytearray\nL1000000000000L\n\x85R.",
    "no end": b"\x80\x02}",
    "nothing": b"",
}


@pytest.mark.parametrize("name", PICKLES)
def test_pickles_of_another_kind(name: str, tmp_path: Path, tally: Count) -> None:
    """In torch's zip, and alone, as old files are."""
    path = tmp_path / "a.pth"
    path.write_bytes(PICKLES[name])
    assert refuses(checkpoints.read, path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a/data.pkl", PICKLES[name])
        file.writestr("a/version", "3\n")
    assert refuses(checkpoints.read, path)
    tally("weights", 2)


@impostors
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors", "a"])
def test_something_else_in_the_place_of_weights(
    name: str, impostor: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], tally: Count
) -> None:
    path = tmp_path / name
    impostor(path)
    command_refuses([*RATES, str(path)], capsys, path)
    command_refuses(["checkup", str(path), "--data", "digits"], capsys, path)
    argv = ["conversion", "--ann", "resnet20", "--weights", str(path)]
    command_refuses(argv, capsys, path if not path.is_file() else path.name)
    tally("commands", 3)


def test_weights_larger_than_the_memory(tmp_path: Path, tally: Count) -> None:
    """A file with a hole of 5 GB, read in 2 GB: one line, and exit code 2."""
    header = b'{"fc.weight":{"dtype":"F32","shape":[20000000,64],"data_offsets":[0,5120000000]}}'
    path = tmp_path / "a.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + 5_120_000_000)
    imports = (
        "import sys; from snnlens.experiments import _networks, rates; from snnlens import cli"
    )
    code = f"sys.exit(cli.main([*{RATES}, sys.argv[1]]))"
    assert out_of_memory(in_little_memory(imports, code, path, megabytes=2048))
    tally("files that promise gigabytes")


# --- training folders ----------------------------------------------------------------------------

TRAIN = ["train", "spiking_resnet8", "--epochs", "1", "--batch", "600", "--image-size", "8",
         "--time-steps", "1", "--record-every", "0", "--quiet"]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training of one epoch."""
    place = tmp_path_factory.mktemp("trained")
    assert main([*TRAIN, "--points", str(place / "points"), "-o", str(place / "run")]) == 0
    return next((place / "points").iterdir())


def copied(trained: Path, place: Path) -> Path:
    """A copy that `--resume` finds again: the same options, the same name."""
    target = place / "points" / trained.name
    for file in trained.rglob("*"):
        if file.is_file() and file.name != ".lock":
            (target / file.relative_to(trained)).parent.mkdir(parents=True, exist_ok=True)
            (target / file.relative_to(trained)).write_bytes(file.read_bytes())
    return target


def uses(place: Path) -> list[list[str]]:
    """Every command that reads a training folder."""
    return [
        [*RATES, str(place)],
        ["export", str(place), "--to", "tensorboard", "-o", str(place.parent.parent / "export")],
        [*TRAIN, "--points", str(place.parent), "--resume", "-o", str(place.parent.parent / "run")],
    ]


def code_of(argv: list[str], capsys: pytest.CaptureFixture[str]) -> int:
    """The exit code of a command that may go well; what it says is at most one line."""
    capsys.readouterr()
    code = main(argv)
    said = capsys.readouterr().err
    assert code in (0, 1, 2, 5), said
    assert not code or (said.startswith("snnlens: ") and said.count("\n") == 1), said
    return code


DEEP = b"[" * 100_000
TEXTS = {
    "deep": DEEP,
    "deeper": b'{"schema": 1, "parameters": ' + DEEP,
    "a list": b"[]",
    "a number": b"1e400",
    "not UTF-8": b"\xff\xfe",
    "NaN": b'{"schema": NaN}',
    "a number of 5000 digits": b'{"schema": 1, "epoch": ' + b"9" * 5000 + b"}",
    "nothing": b"",
    "empty": b"{}",
    "a pickle": pickle.dumps({"schema": 1}),
    "of another kind": b'{"schema": 1, "parameters": 3, "facts": [], "sha256": "x", "epoch": "x"}',
    "kinds within": b'{"schema": 1, "parameters": {"model": 3}, "facts": {"classes": "x"},'
    b' "data_fingerprint": "0", "provenance": {}, "epoch": 1, "sha256": {"weights": 3}}',
    "large": b'{"schema": 1, "parameters": {"model": "spiking_resnet8"}, "facts": {"classes":'
    b' 1000000000000}, "data_fingerprint": "0", "provenance": {"started": 3}}',
}


@pytest.mark.parametrize("name", ["train.json", "state.json"])
@pytest.mark.parametrize("text", TEXTS)
def test_what_a_training_says_of_itself(
    name: str, text: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    tally: Count,
) -> None:  # fmt: skip
    place = copied(trained, tmp_path)
    next(place.rglob(name)).write_bytes(TEXTS[text])
    for argv in uses(place):
        if name == "state.json" and argv[0] == "export":
            continue  # which does not read it
        code = code_of(argv, capsys)
        assert code == 2 or argv[0] == "export"  # which runs no network, whatever its size
        tally("commands")


METRICS = {
    "letters": "a,b,c\n" * 3,
    "no numbers": ",".join(folder.COLUMNS) + "\n" + ",".join("x" * 9) + "\n",
    "an epoch of 10^300": ",".join(folder.COLUMNS) + "\n1e300" + ",1" * 8 + "\n",
    "an epoch that is none": ",".join(folder.COLUMNS) + "\nnan" + ",1" * 8 + "\n",
    "half an epoch": ",".join(folder.COLUMNS) + "\n0.5" + ",1" * 8 + "\n",
    "infinite": ",".join(folder.COLUMNS) + "\n0" + ",inf" * 8 + "\n",
    "NUL": "\0" * 100 + "\n",
    "commas": ("," * 8 + "\n") * 99,
}


@pytest.mark.parametrize("text", METRICS)
def test_metrics_of_another_kind(
    text: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], tally: Count
) -> None:
    place = copied(trained, tmp_path)
    (place / folder.METRICS).write_text(METRICS[text])
    for argv in uses(place)[1:]:
        code_of(argv, capsys)
        tally("commands")


@fuzz(80)
@given(data=damaged((",".join(folder.COLUMNS) + "\n0" + ",1.5" * 8 + "\n").encode()))
def test_damaged_metrics(data: bytes, tmp_path: Path, tally: Count) -> None:
    (tmp_path / folder.METRICS).write_bytes(data)
    refuses(folder.metrics, tmp_path)
    refuses(points.whole_epochs, tmp_path)
    tally("damaged tables")


READ_BY = {"train.json": 0, "state.json": 0, "weights.safetensors": 0, "random.safetensors": 0,
           "optimiser.safetensors": 0, "metrics.csv": 1}  # fmt: skip


@impostors
@pytest.mark.parametrize("name", READ_BY)
def test_something_else_in_a_training_folder(
    name: str, impostor: Any, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    tally: Count,
) -> None:  # fmt: skip
    place = copied(trained, tmp_path)
    replaced(next(place.rglob(name)), impostor)
    code = code_of(uses(place)[READ_BY[name]], capsys)
    assert code == 2 or name == "metrics.csv"
    refuses(checkpoint.load, place)
    tally("commands")


@impostors
@pytest.mark.parametrize("name", [points.DONE, points.FAILED, points.METRICS])
def test_something_else_in_the_folder_of_a_point(
    name: str, impostor: Any, tmp_path: Path, tally: Count
) -> None:
    impostor(tmp_path / name)
    points.table([points.Point("a", tmp_path, {"epochs": 1})])
    tally("files")


@pytest.mark.parametrize("name", ["epoch-0001x", "epoch-99999999999", "epoch-²", "epoch-1"])
def test_names_of_epochs(name: str, trained: Path, tmp_path: Path, tally: Count) -> None:
    place = copied(trained, tmp_path)
    for part in ("checkpoints", "recorded"):
        (place / part / name).mkdir(parents=True)
    kept = checkpoint.load(place)
    assert kept is not None
    assert kept.epoch == 1
    assert folder.recorded(place) == {}
    tally("names of folders")


STATES: dict[str, dict[str, Tensor]] = {
    "no tensor": {},
    "a letter for a number": {"x.momentum_buffer": torch.ones(1), "torch": torch.ones(1)},
    "of another shape": {"0.momentum_buffer": torch.ones(7), "torch": torch.zeros(7)},
    "of no parameter": {"99999.momentum_buffer": torch.ones(1), "torch": torch.ones(1).byte()},
    "random numbers of another size": {"torch": torch.zeros(9, dtype=torch.uint8)},
}


@pytest.mark.parametrize("part", checkpoint.PARTS)
@pytest.mark.parametrize("name", STATES)
def test_states_with_right_checksums(
    name: str, part: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    tally: Count,
) -> None:  # fmt: skip
    """Whoever changes a file on purpose makes its checksum anew."""
    place = copied(trained, tmp_path)
    path = next(place.rglob(f"{part}.safetensors"))
    path.write_bytes(safetensors.torch.save(STATES[name]))
    said = json.loads((path.parent / "state.json").read_text())
    said["sha256"][part] = atomic.sha256(path.read_bytes())
    (path.parent / "state.json").write_text(json.dumps(said))
    code = code_of(uses(place)[2], capsys)
    assert code == 2 or (part, name) == ("optimiser", "no tensor")  # one without momentum, say
    if part == "weights":
        assert code_of(uses(place)[0], capsys) == 2
    tally("commands")


def test_a_failure_of_another_kind(tmp_path: Path, tally: Count) -> None:
    for text in TEXTS.values():
        place = fresh(tmp_path)
        (place / points.FAILED).write_bytes(text)
        found = points.table([points.Point("a", place, {"epochs": 1})])
        assert found["why"].tolist() == ["failed.json was changed"]
        tally("files")
