"""Where a number comes from: versions, commit, machine, time. Needs no torch."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "numpy", "pandas", "pyarrow", "scikit-learn", "matplotlib")


def provenance() -> dict[str, Any]:
    """Versions, git commit, machine and the time now (UTC)."""
    return {
        "snnlens": snnlens_version(),
        "python": platform.python_version(),
        "packages": dict(_versions()),
        "git_commit": _git_commit(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def snnlens_version() -> str:
    """The installed version."""
    try:
        return version("snnlens")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "0+unknown"


@cache
def _versions() -> tuple[tuple[str, str], ...]:
    found = []
    for package in PACKAGES:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            found.append((package, "not installed"))
    return tuple(found)


@cache
def _git_commit() -> str | None:
    """The commit of the source tree that snnlens runs from, if it is one."""
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
