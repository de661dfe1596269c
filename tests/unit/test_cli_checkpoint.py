"""`snnlens rates | identity | gradients RUN|CHECKPOINT`: what is printed, and bad input."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from snnlens import api
from snnlens.cli import main
from snnlens.models.resnet import resnet
from snnlens.recording.store import load
from tests.unit.models import official
from tests.unit.runs import TINY

QUESTIONS = ("rates", "identity", "gradients")
WANTED = "a run folder (run.json), a training folder (train.json) or a file of weights"
SMALL = ["--image-size", "8", "--batch", "4", "--threads", "1", "--quiet"]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of `rates`, at initialisation."""
    folder = tmp_path_factory.mktemp("runs") / "rates"
    api.answer("rates", folder, **TINY, residual="spiking", zero_init="no")
    return folder


def weights(name: str = "a.pth", **options: Any) -> str:
    model = resnet(8, layout="cifar", **({"classes": 10, "seed": 0} | options))
    torch.save(official.settled(model, official.images(8, 16)).state_dict(), name)
    return name


def refused(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole stderr is the one line; stdout is empty; nothing new lies in the folder."""
    before = sorted(Path().rglob("*"))
    assert main(argv) == 2
    said = capsys.readouterr()
    assert (said.err, said.out) == (f"snnlens: {message}\n", "")
    assert sorted(Path().rglob("*")) == before


# --- what works --------------------------------------------------------------------------------


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_checkpoint_end_to_end(question: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = weights()
    line = [question, name, "--residual", "sew", "--connect", "and", *SMALL, "-o", "mine"]
    assert main([*line, "--json"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    printed = json.loads(said.out)
    assert {row["network"] for row in printed["result"]} == {"sew-and"}
    record = load("mine")
    assert record.networks["sew-and"]["checkpoint"] == "a.pth"
    assert record.provenance["command"] == (
        f"snnlens {question} a.pth --residual sew --connect and --batch 4 --image-size 8 "
        "--threads 1"
    )
    assert Path("mine/figure.svg").is_file()


def test_the_summary_says_whose_weights(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rates", weights(), "--residual", "spiking", *SMALL, "-o", "mine"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first == (
        "ResNet-8 (cifar layout); IF, V_th = 1, atan, alpha = 2; T = 4; batch 4; n = 16 samples "
        "per channel and step in the last stage; digits (scikit-learn), 4 images at 8 px; seed 0; "
        "cpu; trained weights (a.pth), BatchNorm in evaluation mode."
    )


def test_a_run_is_answered_without_torch(run: Path) -> None:
    """Nothing is run: the record is read, analysed and drawn."""
    code = (
        "import sys\nfrom snnlens.cli import main\n"
        f"code = main(['rates', {str(run)!r}, '-o', 'mine', '--quiet'])\n"
        "print(code, 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 False"
    assert done.stderr == ""
    old, new = load(run), load("mine")
    assert new.tables["firing_rate"].equals(old.tables["firing_rate"])
    assert new.provenance["command"] == f"snnlens rates {run}"
    assert new.provenance["recorded_by"] == old.provenance["command"]


# --- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_is_not_there(question: str, capsys: pytest.CaptureFixture[str]) -> None:
    got = "nowhere.pth (not there)"
    refused([question, "nowhere.pth"], f"RUN|CHECKPOINT must be {WANTED}; got {got!r}", capsys)


def test_another_folder_and_an_impossible_name(capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos").mkdir()
    got = "photos (another folder)"
    refused(["rates", "photos"], f"RUN|CHECKPOINT must be {WANTED}; got {got!r}", capsys)
    got = "x" * 600 + " (not there)"
    refused(["rates", "x" * 600], f"RUN|CHECKPOINT must be {WANTED}; got {got!r}", capsys)


def test_a_file_that_is_no_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    Path("notes.txt").write_text("years", encoding="utf-8")
    Path("empty.pth").touch()
    whole = Path(weights()).read_bytes()
    Path("cut.pth").write_bytes(whole[: len(whole) // 2])
    for name in ("notes.txt", "empty.pth", "cut.pth"):
        refused(
            ["rates", name],
            "a checkpoint must be a whole file of weights (torch.save of a state dict, or "
            f".safetensors); got '{name}'",
            capsys,
        )


class Harm:
    """Unpickled, it makes a file."""

    def __reduce__(self) -> Any:
        return os.system, ("touch harm",)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_malicious_file(question: str, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"model": Harm(), "epoch": 3}, "bad.pth")
    refused(
        [question, "bad.pth"],
        "a checkpoint must be made of tensors, numbers, texts and one argparse.Namespace; got "
        "'bad.pth with posix.system'; nothing of the file was run; save its state_dict() alone, or "
        "as safetensors",
        capsys,
    )
    assert not Path("harm").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", ("residual must be given: the weights of ann, plain, spiking, sew and ms are named "
              "alike; got 'nothing'; give --residual sew --connect add, or --residual spiking, "
              "...")),
        ("--residual sew", ("connect must be given: the checkpoint does not say it; got 'nothing'; "
                            "give --connect add, and or iand")),
        ("--residual spiking,sew",
         "residual must be one word: a.pth holds one network; got 'spiking,sew'"),
        ("--residual sew --connect add,iand",
         "connect must be one word: a.pth holds one network; got 'add,iand'"),
        ("--residual spiking --connect add",
         "connect must be left out: spiking has none; got 'add'"),
        ("--residual dense", "residual must be ann, plain, spiking, sew or ms; got 'dense'"),
        ("--residual spiking --depth 20",
         "depth must be 8, as the checkpoint says; got 20; leave it out"),
        ("--residual spiking --layout svhn", "layout must be imagenet or cifar; got 'svhn'"),
        ("--residual spiking --zero-init yes",
         "zero_init must be left out: a.pth is a checkpoint and says it; got 'yes'"),
        ("--residual spiking --mode test", "mode must be 'train' or 'eval'; got 'test'"),
        ("--residual spiking --image-size 3",
         "image_size must be from 4 to 4096 pixels in the cifar layout; got 3"),
        ("--residual plain", ("the weights in a.pth must be those of this plain ResNet-8 (cifar "
                              "layout, 10 classes); got '12 unexpected "
                              "(layer2.0.downsample.0.weight, layer2.0.downsample.1.weight, "
                              "layer2.0.downsample.1.bias, ...)'; they look like a ResNet-8 (cifar "
                              "layout, 10 classes)")),
    ],
)  # fmt: skip
def test_options(options: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused(["rates", weights(), *options.split(), "--quiet"], message, capsys)


def test_a_network_of_five_classes_on_ten_digits(capsys: pytest.CaptureFixture[str]) -> None:
    refused(
        ["gradients", weights(classes=5), "--residual", "ms", "--batch", "32", "--quiet"],
        "the targets of --data must be below 5, the classes of a.pth; got 9",
        capsys,
    )


def test_evaluation_mode_at_initialisation(capsys: pytest.CaptureFixture[str]) -> None:
    refused(
        ["gradients", "--depth", "18", "--mode", "eval"],
        "mode must be train at initialisation; got 'eval'; fresh running statistics silence the "
        "network; give a CHECKPOINT",
        capsys,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--depth 18", "depth must be left out: RUN is a run and says it; got 18"),
        ("--batch 4", "batch must be left out: RUN is a run and says it; got 4"),
        ("--data random", "data must be left out: RUN is a run and says it; got 'random'"),
    ],
)
def test_options_beside_a_run(
    options: str, message: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(["rates", str(run), *options.split()], message.replace("RUN", str(run)), capsys)


def test_a_run_without_what_the_question_needs(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(
        ["identity", str(run)],
        "this record must be one that holds identity_error; got 'without identity_error'; record "
        'it with probes=[..., "identity_error"]',
        capsys,
    )


def test_a_damaged_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(run, "mine")
    Path("mine/record/firing_rate.parquet").unlink()
    assert main(["rates", "mine"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert "firing_rate.parquet" in said.err
