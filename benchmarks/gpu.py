"""The benchmark on a CUDA GPU: right or wrong first, then the speed beside SpikingJelly's.

    python benchmarks/gpu.py                         all parts, about 10 minutes
    python benchmarks/gpu.py --device cpu --quick    one small case of each, to prove that it runs

Everything goes to gpu.json and gpu.md of the output folder, which are whole after each row. A part
that fails is a row with its error; one whose time is up says so. Times are CUDA events around many
calls, in rounds that take all cases in turn.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
sys.path.insert(0, str(Path(__file__).parents[1]))  # tests, and snnlens where it is not installed

import gpu_parts
import torch
from gpu_parts import Row, Setting
from run import table

from snnlens.provenance import provenance

SECONDS = {  # of each part at most, in the order of importance
    "correct": 100, "kernels": 80, "gradients": 70, "networks": 70, "conversion": 75, "sweep": 90,
    "probes": 60, "commands": 120,
}  # fmt: skip

STOPPED = ("correct", "kernels", "networks", "conversion", "probes")  # after any row


def main() -> None:
    """The parts that were asked for, until the time is up."""
    options = _options()
    if options.warm:
        gpu_parts.warm(Setting(options.device, options.quick, time.monotonic() + 60), options.warm)
        return
    options.output.mkdir(parents=True, exist_ok=True)
    gc.freeze()  # a collection in each round looks at what the rounds made, not at all of torch
    end, document = time.monotonic() + options.seconds, _head(options)
    for part in options.parts:
        left = end - time.monotonic()
        budget = min(left, SECONDS[part])
        setting = Setting(options.device, options.quick, time.monotonic() + budget)
        begin = time.monotonic()
        found = _safely(part, setting) if left > 5 else iter([{"stopped": "no time left"}])
        rows: list[Row] = []
        for row in found:  # written row by row: who is stopped from outside loses nothing
            rows.append(row)
            document["parts"][part] = {"seconds": round(time.monotonic() - begin, 1), "rows": rows}
            _write(document, options.output)
        print(f"{part}: {len(rows)} rows in {time.monotonic() - begin:.1f} s\n{table(rows)}")
        sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="one small case of each part")
    parser.add_argument("--seconds", type=float, default=420.0, help="of all parts together")
    parser.add_argument("--parts", nargs="+", choices=list(SECONDS), default=list(SECONDS))
    parser.add_argument("--warm", help=argparse.SUPPRESS)
    parser.add_argument("-o", "--output", type=Path, default=Path("reports/benchmarks"))
    return parser.parse_args()


def _safely(part: str, setting: Setting) -> Iterator[Row]:
    """The rows of a part, and what ended it before its end."""
    try:
        for row in gpu_parts.PARTS[part](setting):
            yield row
            if part in STOPPED and setting.is_over():
                yield {"stopped": "the time of this part is up"}
                return
    except Exception as error:  # noqa: BLE001 - a benchmark: the other parts go on
        traceback.print_exc()
        yield {"failed": f"{type(error).__name__}: {error}"[:300]}
    finally:
        gpu_parts.free(setting)


def _head(options: argparse.Namespace) -> dict[str, Any]:
    words = ["python", "benchmarks/gpu.py", *sys.argv[1:]]
    return {"command": " ".join(words), "date": datetime.now(UTC).date().isoformat(),
            "machine": provenance() | gpu_parts.machine(options.device), "parts": {}}  # fmt: skip


def _write(document: dict[str, Any], folder: Path) -> None:
    text = json.dumps(document, indent=1, default=str) + "\n"
    (folder / "gpu.json").write_text(text, encoding="utf-8")
    machine = document["machine"]
    where = f"{machine['device']}, driver {machine['driver']}, torch {torch.__version__}"
    what = f"CUDA {torch.version.cuda}, Triton {machine['triton']}"
    lines = [f"`{document['command']}`, {document['date']}, {where}, {what}\n"]
    for part, found in document["parts"].items():
        notes = gpu_parts.NOTES[part]
        lines.append(f"## {part}\n\n{notes}\n\n{table(found['rows'])}")
    (folder / "gpu.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
