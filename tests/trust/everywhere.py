"""Some commands in the folder that one is in: `test_same_everywhere.py` runs this as if elsewhere.

python everywhere.py sorted|reversed|shuffled      (how the system lists folders)
"""

from __future__ import annotations

import locale
import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

NET = ["--image-size", "8", "--batch", "4", "--time-steps", "2", "--threads", "1", "--quiet"]
GRADIENTS = [
    "gradients",
    "--depth",
    "8",
    "--layout",
    "cifar",
    "--residual",
    "sew",
    "--connect",
    "add,iand",
    "--zero-init",
    "no",
    "--data",
    "imagefolder:images",
    *NET,
]
COMMANDS = [
    [*GRADIENTS, "-o", "gradients"],
    [*GRADIENTS, "--seed", "1", "-o", "other"],
    ["checkup", "sew_resnet8", "--data", "imagefolder:images", *NET, "-o", "checkup"],
    ["degradation", "--logs", "logs", "--quiet", "-o", "degradation"],
    ["report", "gradients", "checkup", "degradation", "-o", "report.html"],
    ["compare", "gradients", "other", "-o", "compare.html", "--json"],
    ["gate", "gradients", "checkup", "--format", "json"],
    ["list"],
    # the user's mistakes
    ["gradients", "--connect", "plus", "-o", "nothing"],
    ["checkup", "nosuch:thing", "-o", "nothing"],
    ["degradation", "--logs", "images", "-o", "nothing"],
    ["report", "images", "-o", "nothing.html"],
    ["gate", "nowhere"],
    ["gradients", "--depht", "8"],
]
ORDERS: dict[str, Callable[[list[Any]], list[Any]]] = {
    "sorted": lambda names: names,
    "reversed": lambda names: names[::-1],
    "shuffled": lambda names: random.Random(len(names)).sample(names, len(names)),
}


class Scanned:
    """What `os.scandir` gives, in another order."""

    def __init__(self, entries: list[Any]) -> None:
        self._entries = iter(entries)

    def __iter__(self) -> Iterator[Any]:
        return self._entries

    def __next__(self) -> Any:
        return next(self._entries)

    def __enter__(self) -> Scanned:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is open."""


def list_folders(order: str) -> None:
    """Have this process see every folder in that order."""
    arrange, listdir, scandir = ORDERS[order], os.listdir, os.scandir

    def scanned(*args: Any) -> Scanned:
        with scandir(*args) as entries:
            return Scanned(arrange(sorted(entries, key=lambda entry: os.fspath(entry.name))))

    os.listdir = lambda *args: arrange(sorted(listdir(*args)))  # type: ignore[assignment]
    os.scandir = scanned  # type: ignore[assignment]


def main(order: str) -> None:
    """Each command, what it said on stdout, and its exit code."""
    from snnlens.cli import main as command

    list_folders(order)
    with suppress(locale.Error):
        locale.setlocale(locale.LC_ALL, "")  # as a program that embeds snnlens may
    for line in COMMANDS:
        sys.stdout.write(f"$ {' '.join(line)}\n")
        sys.stderr.write(f"$ {' '.join(line)}\n")
        code = command(line)
        sys.stdout.write(f"exit code {code}\n")
    sys.stdout.flush()
    decimal = locale.localeconv()["decimal_point"]
    Path("place.txt").write_text(
        f"{decimal} {[p.name for p in Path('images').iterdir()]}\n", "utf-8"
    )


if __name__ == "__main__":
    main(sys.argv[1])
