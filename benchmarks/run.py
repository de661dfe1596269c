"""What recording costs, paired: the same model bare and recorded in turn, in one process.

Writes reports/benchmarks/recording.json and a Markdown table. `--quick` proves that it runs.
Times on a shared machine drift: only the ratio within a pair is reported.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

import snnlens
from snnlens.models.resnet import ResNet
from snnlens.provenance import provenance

CASES = {"sew18-64px": (18, 64, 4), "sew152-32px": (152, 32, 2), "sew152-64px": (152, 64, 8)}


def one_pass(model: ResNet, x: Tensor, y: Tensor, *, recorded: bool) -> float:
    """Seconds of one forward and backward pass."""
    begin = time.perf_counter()
    if recorded:
        with snnlens.record(model):
            functional.cross_entropy(model(x), y).backward()
    else:
        functional.cross_entropy(model(x), y).backward()
    return time.perf_counter() - begin


def compare(depth: int, size: int, batch: int, pairs: int, *, frozen: bool) -> dict[str, object]:
    """Ratios recorded / bare, the order swapped from pair to pair."""
    model = snnlens.resnet(depth, classes=10, seed=0).requires_grad_(not frozen)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, 3, size, size, generator=generator).requires_grad_()
    y = torch.randint(10, (batch,), generator=generator)
    one_pass(model, x, y, recorded=False)
    one_pass(model, x, y, recorded=True)
    ratios, bare = [], []
    for pair in range(pairs):
        gc.collect()
        seconds = {r: one_pass(model, x, y, recorded=r) for r in (pair % 2 == 0, pair % 2 == 1)}
        ratios.append(seconds[True] / seconds[False])
        bare.append(seconds[False])
    low, middle, high = statistics.quantiles(ratios, n=4)
    return {
        "depth": depth, "image_size": size, "batch": batch, "time_steps": 4, "pairs": pairs,
        "weights_frozen": frozen, "threads": torch.get_num_threads(),
        "ratio_median": middle, "ratio_quartiles": [low, high],
        "bare_seconds_median": statistics.median(bare),
    }  # fmt: skip


def main() -> None:
    """Every case, with and without weight gradients."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one small case, two pairs")
    parser.add_argument("--pairs", type=int, default=11)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, default=Path("reports/benchmarks"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cases = {"sew18-32px": (18, 32, 2)} if options.quick else CASES
    pairs = 2 if options.quick else options.pairs
    results = [
        {"case": name} | compare(*case, pairs, frozen=frozen)
        for name, case in cases.items()
        for frozen in (True, False)
    ]
    machine = {"processor": platform.processor() or platform.machine(), **provenance()}
    options.output.mkdir(parents=True, exist_ok=True)
    document = {
        "what": "time with firing_rate and gradient_norm recorded / bare, forward and backward",
        "command": f"python benchmarks/run.py --threads {options.threads} --pairs {pairs}",
        "date": datetime.now(UTC).date().isoformat(), "machine": machine, "results": results,
    }  # fmt: skip
    text = json.dumps(document, indent=1) + "\n"
    (options.output / "recording.json").write_text(text, encoding="utf-8")
    (options.output / "recording.md").write_text(table(results), encoding="utf-8")
    print(table(results))


def table(results: list[dict[str, object]]) -> str:
    """Markdown."""
    head = "| case | weight gradients | recorded / bare, median | quartiles |\n|---|---|---|---|\n"
    rows = []
    for r in results:
        low, high = r["ratio_quartiles"]  # type: ignore[misc]
        weights = "no" if r["weights_frozen"] else "yes"
        rows.append(
            f"| {r['case']} | {weights} | {r['ratio_median']:.3f} | {low:.3f} to {high:.3f} |"
        )
    return head + "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
