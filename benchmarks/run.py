"""The benchmark: the neuron core and recording against the peers, paired, each in its process.

    python benchmarks/run.py            everything, about 20 minutes; writes reports/benchmarks/
    python benchmarks/run.py --quick    one small case of each, to prove that it runs

Times on a shared machine drift: each number is a ratio of two times in one round, with the median
and the quartiles over the rounds. Bandwidth is that of torch's copy and add in the same rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PEAKS = ("SpikingJelly", "exact", "lean", "checkpoint", "bfloat16")
ROUNDS = {
    "neurons": 5, "calls": 9, "recording": 9, "foreign": 5, "networks": 7, "training": 5,
    "logs": 3, "sweep": 3, "memory": 1, "conversion": 11, "attribution": 5,
}  # fmt: skip
FILES = {name: name for name in ("foreign", "conversion", "attribution")} | dict.fromkeys(
    ("training", "logs", "sweep", "memory"), "training"
)
SINGLE = ("conversion", "attribution")  # with one thread
ALONE = ("sweep", "logs", "memory")  # whole processes with threads of their own


def main() -> None:
    """All parts, or one of them in this process."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one small case of each part")
    parser.add_argument("--part", help=f"only one: {', '.join([*ROUNDS, 'peak'])}")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("-o", "--output", type=Path, default=Path("reports/benchmarks"))
    options = parser.parse_args()
    if options.worker:
        part, threads, allocator = options.worker
        print(json.dumps(work(part, int(threads), allocator, quick=options.quick)))
        return
    for part in [options.part] if options.part else [*ROUNDS, "peak"]:
        write(part, collect(part, options), options)


def collect(part: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows of one part under each number of threads and each allocator setting."""
    both = part in ("neurons", "attribution")
    allocators = ["keep", "default"] if both else ["keep"]
    if part == "peak":
        return [r for what in PEAKS for r in _worker(f"peak:{what}", 2, "default", options)]
    if part in ALONE:
        return _worker(part, 1, "default", options)
    return [
        {"threads": threads, "allocator": allocator} | row
        for threads in ([1] if part in SINGLE else options.threads)
        for allocator in allocators
        for row in _worker(part, threads, allocator, options)
    ]


def _worker(
    part: str, threads: int, allocator: str, options: argparse.Namespace
) -> list[dict[str, Any]]:
    command = [sys.executable, __file__, "--worker", part, str(threads), allocator]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(
        command + ["--quick"] * options.quick, check=True, stdout=subprocess.PIPE, text=True,
        env=environment,
    )  # fmt: skip
    rows: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return rows


def work(part: str, threads: int, allocator: str, *, quick: bool) -> list[dict[str, Any]]:
    """One part in this process."""
    import importlib

    import parts
    import torch

    from snnlens.neuron import memory

    torch.set_num_threads(threads)
    if allocator == "keep":
        memory.keep_freed()
    name, _, what = part.partition(":")
    if name == "peak":
        return parts.peak(what, quick=quick)
    options = {"fresh": allocator == "default"} if name == "neurons" else {}
    rounds = 2 if quick else ROUNDS[name]
    file = importlib.import_module(FILES.get(name, "parts"))
    rows: list[dict[str, Any]] = getattr(file, name)(rounds, quick=quick, **options)
    return rows


def write(part: str, rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """The JSON of a part and its table."""
    from snnlens.provenance import provenance

    words = ["python", "benchmarks/run.py", "--part", part] + ["--quick"] * options.quick
    document = {
        "part": part, "command": " ".join(words), "date": datetime.now(UTC).date().isoformat(),
        "machine": provenance() | {"processor": _processor()}, "rows": rows,
    }  # fmt: skip
    options.output.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=1) + "\n"
    (options.output / f"{part}.json").write_text(text, encoding="utf-8")
    shown = table(rows)
    (options.output / f"{part}.md").write_text(shown, encoding="utf-8")
    print(f"{part}\n{shown}")


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: quartiles as median [low to high]."""
    names = list(dict.fromkeys(key for row in rows for key in row))
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(_cell(row.get(n, "")) for n in names) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value['median']:.3g} [{value['low']:.3g} to {value['high']:.3g}]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")


if __name__ == "__main__":
    main()
