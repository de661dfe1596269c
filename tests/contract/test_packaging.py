"""What is installed: the command, its version, its types, and what it does not import."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import snnlens

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
HEAVY = {"torch", "numpy", "pandas", "matplotlib", "seaborn", "scipy", "sklearn", "pyarrow"}
# Names of package registries' hosts, folders of one person's or one company's machine, and the
# place where CI keeps the data, which only .ci/run may know.
HOSTS = re.compile(r"(?:pypi|pythonhosted|debian|npmjs)[.](?:org|com)")
PATHS = re.compile(r"(?<![\w.~-])/(?:work|root|home|Users)/\w")
DATA = re.compile(r"[.][.]/shared")


def test_the_console_script_is_the_command_line() -> None:
    scripts = importlib.metadata.entry_points(group="console_scripts", name="snnlens")
    assert [script.value for script in scripts] == ["snnlens.cli:main"]


def test_one_version_everywhere() -> None:
    assert importlib.metadata.version("snnlens") == PROJECT["version"] == snnlens.__version__


def test_the_package_is_typed() -> None:
    assert importlib.resources.files("snnlens").joinpath("py.typed").is_file()


def test_torch_is_bounded_and_pinned_to_one_build() -> None:
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    assert "torch>=2.6,<2.14" in PROJECT["dependencies"]
    assert [pin for pin in pins if pin.startswith("torch=")] == ["torch==2.13.0"]
    assert not [pin for pin in pins if "+" in pin]


def test_help_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "snnlens", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "snnlens.cli" in imported  # the list was read
    assert not imported & HEAVY


def _texts() -> list[tuple[str, str]]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("no git checkout: which files are the repository's is not known")
    names = [
        name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()
    ]
    return [(name, (ROOT / name).read_text(encoding="utf-8", errors="ignore")) for name in names]


def test_no_file_names_a_registry_or_a_machine() -> None:
    for name, text in _texts():
        found = (
            HOSTS.search(text) or PATHS.search(text) or (name != ".ci/run" and DATA.search(text))
        )
        assert not found, f"{name}: {found}"
