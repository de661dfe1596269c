"""Commands where packages are not installed: `test_absent_packages.py` runs this in a process.

python absent.py NAME,NAME,...      prints one JSON object per command
"""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

SMALL = ["--image-size", "8", "--batch", "2", "--time-steps", "1", "--threads", "1", "--quiet"]
WORKS = [
    ["--help"],
    ["--version"],
    ["list"],
    ["doctor"],
    ["explain", "SNL302"],
    ["checkup", "mine.py:build", "--input", "batch.safetensors", "--quiet", "-o", "mine"],
    ["report", "mine", "-o", "report.html"],
    ["gate", "mine"],
    ["export", "mine", "--to", "latex", "-o", "latex"],
]
TRAIN = ["--depth", "8", "--epochs", "1", "--image-size", "8", "--quiet"]
NEEDS = {  # the extra, and what must say so
    "logs": [
        ["degradation", "--logs", "logs", "-o", "no"],
        ["export", "mine", "--to", "tensorboard", "-o", "no"],
    ],
    "scale": [
        ["degradation", *TRAIN, "--workers", "2", "--points", "points", "-o", "no"],
        ["degradation", *TRAIN, "--scheduler", "tcp://127.0.0.1:9", "--points", "p", "-o", "no"],
    ],
    "adapters": [
        ["checkup", "graph.nir", "-o", "no"],
        ["export", "sew_resnet8", "--to", "nir", "--input-shape", "3,8,8", "-o", "no"],
    ],
    "": [
        ["attribution", "planted.py:network", "--data", "planted", "--time-steps", "6", "--samples",
         "2", "--steps", "2", "--threads", "1", "--method", "ig", "--quiet", "-o", "no"],
    ],
}  # fmt: skip


OPENS = [  # without torch
    ["--help"],
    ["list"],
    ["report", "old", "-o", "report.html"],
    ["gate", "old"],
    ["compare", "old", "old", "-o", "compare.html"],
    ["rates", "old", "-o", "rates"],
]
RUNS = [
    ["doctor"],
    ["checkup", "sew_resnet8", *SMALL, "-o", "no"],
    ["gradients", "--depth", "8", "--layout", "cifar", *SMALL, "-o", "no"],
]


class Without:
    """A finder of modules to which some packages are not there."""

    def __init__(self, finder: Any, names: frozenset[str]) -> None:
        self._finder, self._names = finder, names

    def find_spec(self, name: str, *args: Any) -> Any:
        if name.partition(".")[0] in self._names:
            return None
        return self._finder.find_spec(name, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)


def main(names: frozenset[str]) -> None:
    """Run everything and print how each ended."""
    sys.meta_path[:] = [Without(finder, names) for finder in sys.meta_path]
    from snnlens.cli import main as command

    several = WORKS + [argv for lines in NEEDS.values() for argv in lines]
    for argv in OPENS + RUNS if "torch" in names else several:
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in "oe")
        with redirect_stdout(out), redirect_stderr(err):
            code = command(argv)
        said = {"out": text(out), "err": text(err)}
        sys.stdout.write(json.dumps({"argv": argv, "code": code} | said) + "\n")


def text(stream: io.TextIOWrapper) -> str:
    """What was written."""
    return stream.buffer.getvalue().decode()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main(frozenset(sys.argv[1].split(",")))
