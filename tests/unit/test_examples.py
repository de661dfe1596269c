"""The examples: each fault is found, no finding is left when it is mended, and each runs."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import warnings
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import snnlens
from snnlens.data import images

FOLDER = Path(__file__).parents[2] / "examples"
STAGES = ("faulty", "halfway", "mended")
SILENT = {"SNL202", "SNL206", "SNL305", "SNL307", "SNL207"}
FOUND = {  # example: what the check-up finds in faulty() and in halfway()
    "spikingjelly": (SILENT | {"SNL101"}, {"SNL101", "SNL307"}),
    "snntorch": (SILENT | {"SNL101"}, {"SNL101", "SNL307"}),
    "norse": (SILENT | {"SNL103"}, {"SNL103", "SNL307"}),
    "sinabs": (SILENT | {"SNL101"}, {"SNL101", "SNL307"}),
    "plain_loop": ({"SNL101", "SNL202", "SNL206", "SNL305"}, {"SNL101", "SNL305"}),
}
SITES = {  # the layer whose threshold is out of reach, and the one whose surrogate is too narrow
    "spikingjelly": ("sn2", "sn1"),
    "snntorch": ("lif2", "lif1"),
    "norse": ("layers.1.lif", "layers.0.lif"),
    "sinabs": ("layers.3", "layers.1"),
    "plain_loop": ("layers.1", "layers.0.bn.bias"),
}
each = pytest.mark.parametrize("name", FOUND)


def needed(name: str) -> None:
    """The framework, or the test is skipped."""
    if name != "plain_loop":
        with warnings.catch_warnings():  # norse 1.1 is written for an older torch
            warnings.simplefilter("ignore")
            pytest.importorskip(f"{name}.torch" if name == "norse" else name)


@cache
def example(name: str) -> ModuleType:
    """The file as a module."""
    path = FOLDER / f"{name}_faulty.py"
    spec = importlib.util.spec_from_file_location(f"example_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def found(name: str, stage: str, seed: int = 0) -> dict[str, Any]:
    """Findings by code, as the example's main() has them."""
    module, batch = example(name), images.load("digits", samples=64)
    torch.manual_seed(seed)
    spiking = [module.MyLIF] if name == "plain_loop" else []
    result = snnlens.checkup(getattr(module, stage)(), batch.x, batch.y, spiking=spiking)
    assert len({f.code for f in result.findings}) == len(result.findings)
    return {f.code: f for f in result.findings}


def test_every_example_is_tested() -> None:
    assert {p.stem for p in FOLDER.glob("*_faulty.py")} == {f"{name}_faulty" for name in FOUND}


@each
def test_the_faults_are_found(name: str) -> None:
    needed(name)
    assert tuple(set(found(name, stage)) for stage in STAGES[:2]) == FOUND[name]
    silent, narrow = SITES[name]
    assert found(name, "faulty")["SNL202"].site == silent
    halfway = found(name, "halfway")
    assert halfway["SNL307" if "SNL307" in halfway else "SNL305"].site == narrow


@each
@pytest.mark.parametrize("seed", [0, 1])
def test_nothing_is_found_when_all_is_mended(name: str, seed: int) -> None:
    needed(name)
    assert found(name, "mended", seed) == {}


def test_the_command_takes_an_example_by_its_name() -> None:
    file = FOLDER / "plain_loop_faulty.py"
    record = snnlens.run(
        "checkup", model=f"{file}:faulty", data="digits", spiking=(f"{file}:MyLIF",)
    )
    findings = snnlens.analyse("checkup", record).findings
    assert {f.code for f in findings} == FOUND["plain_loop"][0]


@each
def test_a_mended_network_learns_what_the_faulty_one_does_not(name: str) -> None:
    needed(name)
    losses = {stage: trained(example(name), stage) for stage in ("faulty", "mended")}
    # ln(10) = 2.30 is guessing: a linear readout of a constant stays near it
    assert losses["faulty"] > 2.0
    assert losses["mended"] < 1.0


def trained(module: ModuleType, stage: str, steps: int = 30) -> float:
    """The loss after a few steps of Adam on one batch; the states are put to rest before each."""
    batch = images.load("digits", samples=64)
    torch.manual_seed(0)
    model = getattr(module, stage)()
    model.reset = True
    time = 1 if module.__name__ == "example_sinabs" or getattr(model, "time_axis", 0) else 0
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(steps):
        loss = torch.nn.functional.cross_entropy(model(batch.x).mean(time), batch.y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return float(loss.detach())


@each
def test_runs_as_a_script(name: str) -> None:
    needed(name)
    script = FOLDER / f"{name}_faulty.py"
    command = [sys.executable, script]
    # a minute, on a machine that does three other things
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    counts = dict(re.findall(r"^(\w+): (\d+) findings$", done.stdout, re.MULTILINE))
    assert counts == {stage: str(len(found(name, stage))) for stage in STAGES}
    for finding in found(name, "faulty").values():
        assert finding.evidence in done.stdout
        assert finding.next in done.stdout


def test_the_readme_says_what_is_found() -> None:
    rows = (FOLDER / "README.md").read_text(encoding="utf-8").splitlines()
    said = {}
    for row in rows:
        if row.startswith("| [") and (cells := [c.strip() for c in row.split("|")[1:-1]]):
            codes = [{f"SNL{n}" for n in re.findall(r"\d{3}", cell)} for cell in cells[2:4]]
            said[cells[0][1:].partition("_faulty")[0]] = tuple(codes)
    assert said == FOUND


@each
def test_an_example_is_short(name: str) -> None:
    assert len((FOLDER / f"{name}_faulty.py").read_text(encoding="utf-8").splitlines()) <= 80
