"""Where a number comes from: versions, commit, machine, time."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from snnlens import provenance as module
from snnlens.provenance import PACKAGES, provenance, snnlens_version


def test_it_says_versions_machine_and_time() -> None:
    said = provenance()
    assert list(said) == ["snnlens", "python", "packages", "git_commit", "machine", "started"]
    assert said["packages"] == {name: version(name) for name in PACKAGES}
    started = datetime.fromisoformat(said["started"])
    assert abs(datetime.now(UTC) - started) < timedelta(minutes=1)
    assert json.loads(json.dumps(said)) == said  # run.json holds it


def test_the_commit_is_gits() -> None:
    root = Path(__file__).parents[2]
    head = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    wanted = head.stdout.strip() if (root / ".git").exists() else None
    module._git_commit.cache_clear()
    assert provenance()["git_commit"] == wanted


def test_without_git_there_is_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_args: object, **_kw: object) -> None:
        raise FileNotFoundError("git")

    module._git_commit.cache_clear()
    monkeypatch.setattr(module.subprocess, "run", run)
    assert module._git_commit() is None
    module._git_commit.cache_clear()


def test_packages_that_are_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    module._versions.cache_clear()
    monkeypatch.setattr(module, "version", missing)
    assert snnlens_version() == "0+unknown"
    assert set(provenance()["packages"].values()) == {"not installed"}
    module._versions.cache_clear()
