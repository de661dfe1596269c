"""The machine-readable contract of docs/contract.md: same command, same bytes; the run folder."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from snnlens.recording import store

DOCS = Path(__file__).parents[2] / "docs"
TINY = (
    "--depth 8 --layout cifar --image-size 8 --batch 4 --time-steps 2 --threads 1 --quiet "
    "--residual spiking,sew --connect and"
)
QUESTIONS = ("gradients", "rates", "identity")
CODE = f"""
import sys
from snnlens.cli import main
for question in {QUESTIONS!r}:
    assert main([question, *{TINY.split()!r}, "-o", sys.argv[1] + "/" + question]) == 0
"""


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same commands in two processes, whose sets and dictionaries hash differently."""
    folders = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other")
    processes = [
        subprocess.Popen([sys.executable, "-c", CODE, str(folder)], stdout=subprocess.DEVNULL,
                         env=os.environ | {"PYTHONHASHSEED": str(seed)})
        for seed, folder in enumerate(folders, start=1)
    ]  # fmt: skip
    assert [process.wait(timeout=200) for process in processes] == [0, 0]
    return folders


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_same_command_gives_the_same_bytes(question: str, twice: tuple[Path, Path]) -> None:
    one, other = (folder / question for folder in twice)
    files = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(other) for p in other.rglob("*") if p.is_file())
    for file in files:  # result.parquet and figure.svg are promised; the record is equal too
        if file.name != "run.json":  # it holds the time
            assert (one / file).read_bytes() == (other / file).read_bytes(), file


@pytest.mark.parametrize("question", QUESTIONS)
def test_run_json_differs_in_its_time_alone(question: str, twice: tuple[Path, Path]) -> None:
    runs = [json.loads((f / question / "run.json").read_text(encoding="utf-8")) for f in twice]
    for run in runs:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*", run["provenance"].pop("started"))
    assert runs[0] == runs[1]


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_folder_is_what_the_contract_lists(question: str, twice: tuple[Path, Path]) -> None:
    folder = twice[0] / question
    text = (DOCS / "contract.md").read_text(encoding="utf-8")
    section = text.partition("## A run folder")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| ([a-z][^|]+) \|", section, re.MULTILINE)
    promised = {name for cell in cells for name in cell.split(", ") if name != "file"}
    assert promised == {
        "run.json", "record/sites.parquet", "record/PROBE.parquet", "result.parquet", "result.csv",
        "claims.json", "findings.json", "figure.svg", "figure.png",
    }  # fmt: skip
    for name in promised - {"record/PROBE.parquet"}:
        assert (folder / name).is_file()
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    further = {n for n in there - promised if not re.fullmatch(r"record/[a-z_]+\.parquet", n)}
    trials = {"identity_trials.csv", "identity_trials.parquet"}
    assert further == (trials if question == "identity" else set())


@pytest.mark.parametrize("question", QUESTIONS)
def test_run_json_names_every_file_with_its_checksum(
    question: str, twice: tuple[Path, Path]
) -> None:
    folder = twice[0] / question
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert set(run["files"]) == there - {"run.json"}
    for name, facts in run["files"].items():
        data = (folder / name).read_bytes()
        assert facts == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert run["schema"] == store.SCHEMA_VERSION == 1
    assert run["question"] == question
    assert run["caption"]
    said = run["provenance"]
    for key in ("parameters", "command", "packages", "git_commit", "device", "data_fingerprint"):
        assert key in said
    assert said["parameters"]["seed"] == 0


def test_exit_codes_are_documented() -> None:
    text = (DOCS / "contract.md").read_text(encoding="utf-8")
    section = text.partition("| exit code | meaning |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| (\d+) \|", section, re.MULTILINE) == ["0", "1", "2", "3", "5", "130"]
