"""A slow backend is said in one line on stderr, without a path."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_a_slow_backend_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "snnlens", "rates", "--depth", "8", "--layout", "cifar",
               "--residual", "sew", "--connect", "add", "--data", "random", "--batch", "2",
               "--time-steps", "1", "--quiet", "-o", str(tmp_path / "run")]  # fmt: skip
    environment = os.environ | {"CC": "no-such-compiler", "SNNLENS_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr == (
        "snnlens: neurons run in plain PyTorch, slower: no C compiler: no-such-compiler not found\n"
    )
