"""`train` and `degradation` on the command line: mistakes in one line, and what they leave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from snnlens.cli import main
from snnlens.experiments import degradation, train
from snnlens.experiments._params import command

IMAGENET = "18, 34, 50, 101 or 152 in the imagenet layout"
CIFAR = "6n + 2 from 8 to 1202 in the cifar layout"
TINY = "--image-size 8 --batch 128 --time-steps 2 --threads 1 --record-every 0".split()  # noqa: SIM905


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("train", "Missing argument 'MODEL'; see `snnlens train --help`"),
        ("train sew_resnet9", f"depth must be {CIFAR}; got 9"),
        ("train sew_resnet20 --layout imagenet",
         f"depth must be {IMAGENET}; got 20; the cifar layout has it: --layout cifar"),
        ("train sew_resnet20 --epochs 0", "epochs must be at least 1; got 0"),
        ("train sew_resnet20 --epochs many", "epochs must be an integer; got 'many'"),
        ("train sew_resnet20 --lr 0", "lr must be a finite number above 0; got 0.0"),
        ("train sew_resnet20 --schedule linear",
         "schedule must be cosine, constant or step:N; got 'linear'"),
        ("train sew_resnet20 --test-share 1",
         "test_share must be above 0 and below 1; got 1.0"),
        ("train sew_resnet20 --seed -1",
         "seed must be a whole number from 0 to 2^63 - 1; got -1"),
        ("train sew_resnet20 --threshold 0", "threshold must be in (0, 1e6]; got 0.0"),
        ("train mine.py:net --threshold 0.5",
         "threshold must be left out: mine.py:net builds its own network; got 0.5"),
        ("train mine.py:net --neuron plif --tau 7",
         "neuron must be left out: mine.py:net builds its own network; got 'plif'"),
        ("train mine.py:net --zero-init yes",
         "zero_init must be left out: mine.py:net builds its own network; got 'yes'"),
        ("train mine.py:net --time-steps 8",
         "time_steps must be left out: mine.py:net builds its own network; got 8"),
        ("train nowhere.py:build --epochs 1 --quiet",
         "the file of MODEL must be one that exists; got 'nowhere.py'"),
        ("degradation --depth 8,9", f"depth must be {CIFAR}; got 9"),
        ("degradation --depth 8,8", "depth must be at least one, each at most once; got (8, 8)"),
        ("degradation --residual sew,dense",
         "residual must be spiking, sew, plain or ms; got 'dense'"),
        ("degradation --connect plus", "connect must be add, and or iand; got 'plus'"),
        ("degradation --residual plain --connect add",
         "connect must be left out: only the blocks of sew have one; got 'add'"),
        ("degradation --seeds 0", "seeds must be at least 1; got 0"),
        ("degradation --workers 0", "workers must be at least 1; got 0"),
        ("degradation --pattern x", "pattern must be given with --logs; got 'x'"),
        ("degradation --logs here --epochs 3",
         "epochs must be left out with --logs: nothing is trained; got 3"),
    ],
)  # fmt: skip
def test_mistakes(argv: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv.split()) == 2
    said = capsys.readouterr()
    assert (said.err, said.out) == (f"snnlens: {message}\n", "")
    assert list(Path().iterdir()) == []


def test_a_scheduler_that_does_not_answer(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("distributed")
    argv = ["degradation", "--depth", "8", "--quiet", "--scheduler", "tcp://127.0.0.1:9", *TINY]
    assert main(argv) == 2
    said = capsys.readouterr().err
    assert said.startswith("snnlens: ")
    assert said.count("\n") == 1
    assert "tcp://127.0.0.1:9" in said
    assert not list(Path().rglob("train.json"))


def test_a_sweep_from_nothing_to_its_answer(capsys: pytest.CaptureFixture[str]) -> None:
    sweep = ["degradation", "--depth", "8", "--seeds", "1", "--epochs", "1", "--quiet", *TINY]
    assert main([*sweep, "-o", "one", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [row["network"] for row in answer["result"]] == ["spiking-8-s0", "sew-add-8-s0"]
    assert [row["state"] for row in answer["points"]] == ["done", "done"]
    assert main([*sweep, "-o", "two"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("snnlens: the trainings must be new; got 'runs/points/spiking-8-s0-")
    assert said.endswith(
        " and 1 more, begun before'; add --resume to go on, or choose another folder with "
        "--points\n"
    )
    assert main([*sweep, "-o", "two", "--resume"]) == 0
    one, two = (Path(f"{name}/result.parquet").read_bytes() for name in ("one", "two"))
    assert one == two  # nothing was trained again
    capsys.readouterr()
    deeper = ["14" if word == "8" else word for word in sweep]
    deeper[deeper.index("14")] = "8,14"
    deeper[deeper.index("--image-size") + 1] = "8"
    assert main([*deeper, "-o", "three", "--resume", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["result"]) == 4


def test_a_failing_point_is_told_and_the_others_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    """A finished point whose data has changed since, say: here its description was spoilt."""
    sweep = ["degradation", "--depth", "8", "--seeds", "1", "--epochs", "1", "--quiet", *TINY]
    points = degradation.Params(
        depth="8", seeds=1, epochs=1, image_size=8, batch=128, time_steps=2, threads=1,
        record_every=0,
    ).trainings()  # fmt: skip
    spoilt = points[0].folder
    spoilt.mkdir(parents=True)
    (spoilt / "train.json").write_text("no JSON")
    assert main([*sweep, "-o", "out", "--resume", "--fail-on", "warning"]) == 1
    said = capsys.readouterr().out
    assert "SNL903: 1 of 2 trainings are not done: spiking-8-s0 (" in said
    assert "must be JSON" in said


def test_ctrl_c_ends_a_training_with_one_line() -> None:
    argv = ["train", "sew_resnet8", "--epochs", "500", *TINY, "--quiet"]
    code = (
        "import signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from snnlens.cli import main\nsys.exit(main(sys.argv[1:]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, *argv], stderr=subprocess.PIPE, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        rows = [p.read_text().count("\n") for p in Path().rglob("metrics.csv")]
        if rows and rows[0] > 2:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert said.startswith("snnlens: interrupted; ")
    assert said.endswith("; go on with --resume\n")
    assert said.count("\n") == 1
    assert not list(Path("runs").glob("train-*"))


def test_the_command_repeats_the_run() -> None:
    params = train.Params(model="sew_resnet20", augment="crop,flip", resume=True, lr=0.05)
    assert command("train", params) == (
        "snnlens train sew_resnet20 --resume --lr 0.05 --augment crop,flip"
    )
    sweep = degradation.Params(depth="8,20", residual="sew", workers=2, checkpointing=True)
    assert command("degradation", sweep) == (
        "snnlens degradation --depth 8,20 --residual sew --workers 2 --checkpointing"
    )


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["degradation", "--help"]) == 0
    said = capsys.readouterr().out
    for name in degradation.Params.model_fields:
        assert f"--{name.replace('_', '-')}" in said
    assert "--resume" in said
    assert "--no-resume" not in said
