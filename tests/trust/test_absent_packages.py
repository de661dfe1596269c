"""Without the packages that are not always installed: what needs one says so, the rest works."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.trust import absent
from tests.trust.tally import Count
from tests.unit.data import logfiles

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ABSENT = (
    "tensorboard", "google", "distributed", "dask", "nir", "nirtorch", "h5py", "snntorch",
    "spikingjelly", "norse", "sinabs", "triton", "captum", "duckdb", "polars", "playwright",
    "nbclient", "ipykernel", "IPython", "pytest", "hypothesis",
)  # fmt: skip
MODEL = """
import snnlens
import torch


def build():
    torch.manual_seed(0)
    linear = torch.nn.Linear
    return torch.nn.Sequential(linear(4, 6), snnlens.LIF(), linear(6, 3), snnlens.IF())
"""
LOG = "sew_resnet34_b32_lr0.1_T4_coslr320_sgd_cnf_ADD_logs"


Ended = dict[str, dict[str, Any]]


def ends(folder: Path, absent_ones: tuple[str, ...]) -> Ended:
    """How each command ended, by its words; one process for all."""
    done = subprocess.run(
        [sys.executable, absent.__file__, ",".join(absent_ones)], cwd=folder, capture_output=True,
        text=True, timeout=280, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {" ".join(one["argv"]): one for one in found}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    folder = tmp_path_factory.mktemp("absent")
    shutil.copy(ROOT / "examples" / "planted.py", folder)
    (folder / "mine.py").write_text(MODEL, encoding="utf-8")
    (folder / "graph.nir").touch()
    logfiles.log(folder / "logs" / LOG, 1, logfiles.percent(range(2)))
    x = 3 * torch.rand(4, 2, 4, generator=torch.Generator().manual_seed(0))
    save_file({"x": x, "y": torch.tensor([0, 1])}, folder / "batch.safetensors")
    return ends(folder, ABSENT)


@pytest.fixture(scope="module")
def without_torch(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    folder = tmp_path_factory.mktemp("no-torch")
    shutil.copytree(ROOT / "tests" / "runs" / "v1", folder / "old")
    return ends(folder, ("torch", "captum"))


@pytest.mark.promise("says-what-to-install")
@pytest.mark.parametrize("argv", absent.WORKS, ids=" ".join)
def test_what_needs_no_optional_package_works(argv: list[str], ended: Ended, tally: Count) -> None:
    one = ended[" ".join(argv)]
    assert one["code"] == 0, one["err"]
    tally("commands without any optional package")


@pytest.mark.promise("says-what-to-install")
@pytest.mark.parametrize(
    ("extra", "argv"), [(extra, argv) for extra, lines in absent.NEEDS.items() for argv in lines]
)
def test_what_needs_one_says_what_to_install(
    extra: str, argv: list[str], ended: Ended, tally: Count
) -> None:
    one = ended[" ".join(argv)]
    assert_says(one, f"pip install 'snnlens[{extra}]'" if extra else "pip install captum")
    assert not extra or extra in PROJECT["optional-dependencies"]
    tally("features whose package is absent")


@pytest.mark.promise("says-what-to-install")
@pytest.mark.parametrize("argv", absent.OPENS, ids=" ".join)
def test_a_run_opens_without_torch(argv: list[str], without_torch: Ended, tally: Count) -> None:
    assert without_torch[" ".join(argv)]["code"] == 0, without_torch[" ".join(argv)]["err"]
    tally("commands without torch")


@pytest.mark.promise("says-what-to-install")
@pytest.mark.parametrize("argv", absent.RUNS, ids=lambda argv: argv[0])
def test_a_model_without_torch_says_so(argv: list[str], without_torch: Ended, tally: Count) -> None:
    assert_says(without_torch[" ".join(argv)], "pip install torch")
    tally("features whose package is absent")


def assert_says(one: dict[str, Any], do: str) -> None:
    """Exit code 2, one line, nothing else, and what to install."""
    assert one["code"] == 2, one["err"]
    assert one["out"] == ""
    said = one["err"].removesuffix("\n")
    assert "\n" not in said
    assert said.startswith("snnlens: ")
    assert " must be installed; got '" in said
    assert said.endswith(f"; {do}")


def test_no_optional_package_is_forgotten_here() -> None:
    """Whatever snnlens imports is a dependency, comes with one, or is absent above."""
    named = {"scikit-learn": "sklearn", "pillow": "PIL"}
    always = {re.split(r"[^\w-]", d)[0] for d in PROJECT["dependencies"]}
    always = {named.get(name, name) for name in always} | {"markupsafe"}  # jinja2 brings it
    files = list((ROOT / "snnlens").rglob("*.py"))
    found = {name for f in files for name in imported(ast.parse(f.read_text(encoding="utf-8")))}
    other = found - always - set(sys.stdlib_module_names) - {"snnlens", "__future__"}
    assert {"tensorboard", "nir", "pytest"} <= other
    assert other <= set(ABSENT)


def imported(tree: ast.Module) -> set[str]:
    """The packages whose modules are imported by a statement, or by `import_module`."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            names |= set(re.findall(r"^f?'(\w+)", ast.unparse(node.args[0])))
    return {name.partition(".")[0] for name in names}
