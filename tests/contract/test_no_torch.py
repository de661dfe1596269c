"""A saved run opens where importing torch raises."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from snnlens import registry
from snnlens.recording.recorder import Recorder
from tests.unit.recording import brute
from tests.unit.runs import answered, saved

BLOCK = """
import sys
from importlib.abc import MetaPathFinder

class NoTorch(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "captum"}:
            raise ImportError("torch is blocked in this test: " + name)
        return None

sys.meta_path.insert(0, NoTorch())
"""


def without_torch(code: str, *arguments: str) -> str:
    """Run code in a process that cannot import torch; its output."""
    done = subprocess.run(
        [sys.executable, "-c", BLOCK + code, *arguments],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with every probe in it."""
    model = brute.small("spiking", zero_init=True)
    probes = [registry.plugin("probes", name)() for name in registry.listing("probes")]
    with Recorder(model, probes) as recorder:
        brute.loss(model, brute.batch()).backward()
    return recorder.save(tmp_path_factory.mktemp("runs") / "run")


def test_the_block_blocks() -> None:
    code = "\ntry:\n    import torch\nexcept ImportError as e:\n    print(e)\n"
    assert without_torch(code) == "torch is blocked in this test: torch\n"


def test_a_run_loads_and_gives_its_frame(run: Path) -> None:
    code = """
from snnlens.recording.store import load
record = load(sys.argv[1])
frame, steps = record.frame(), record.frame(per_step=True)
rates = frame.set_index("site")["firing_rate"]
print(len(frame), len(steps), sorted(record.tables), round(rates["sn1"], 6))
assert "torch" not in sys.modules
"""
    from snnlens.recording.store import load

    record = load(run)
    frame, steps = record.frame(), record.frame(per_step=True)
    rate = frame.set_index("site")["firing_rate"]["sn1"]
    # an experiment makes isometry's table, and update_ratio's begins with the second pass
    tables = sorted({*registry.listing("probes")} - {"isometry", "update_ratio"})
    wanted = f"{len(frame)} {len(steps)} {tables} {round(rate, 6)}\n"
    assert without_torch(code, str(run)) == wanted


MODULES = ["sites", "registry", "provenance", "errors", "recording.record", "recording.store",
           "recording.result", "models.plan", "experiments._params"]  # fmt: skip


@pytest.mark.parametrize("package", ["measures", "figures", "analysis", "checks", "report"])
def test_packages_import(package: str) -> None:
    names = [f"snnlens.{package}.{p.stem}" for p in (registry.PACKAGE / package).glob("*.py")]
    _import([n.removesuffix(".__init__") for n in names])


def test_modules_import() -> None:
    _import([f"snnlens.{name}" for name in MODULES])


ANALYSE = """
from pathlib import Path
from snnlens import api
for question in ("gradients", "rates", "identity"):
    folder = Path(sys.argv[1]) / question
    result = api.analyse(question, api.load(folder))
    api.save(result, Path(sys.argv[2]) / question)
    print(question, len(result.table), [c.verdict for c in result.claims], len(result.findings))
page = api.report([Path(sys.argv[2]) / "rates"], Path(sys.argv[2]) / "page.html")
assert "torch" not in sys.modules
"""


def test_a_run_is_analysed_drawn_and_reported(tmp_path: Path) -> None:
    """The three questions on their saved runs: the same bytes as with torch."""
    lines = []
    for question in ("gradients", "rates", "identity"):
        result = answered(question)
        shutil.copytree(saved(question), tmp_path / "with" / question)
        verdicts = [c.verdict for c in result.claims]
        lines.append(f"{question} {len(result.table)} {verdicts} {len(result.findings)}\n")
    said = without_torch(ANALYSE, str(tmp_path / "with"), str(tmp_path / "without"))
    assert said == "".join(lines)
    for question in ("gradients", "rates", "identity"):
        for name in ("result.parquet", "figure.svg", "claims.json", "findings.json"):
            one, other = (tmp_path / side / question / name for side in ("with", "without"))
            assert one.read_bytes() == other.read_bytes()
    assert (tmp_path / "without" / "page.html").is_file()


def _import(names: list[str]) -> None:
    assert names
    code = (
        f"import importlib\nfor name in {names!r}:\n    importlib.import_module(name)\nprint('ok')"
    )
    assert without_torch(code) == "ok\n"
