"""The same numbers, figures and pages, whatever the machine is set to."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import snnlens
from snnlens import api, registry
from snnlens.cli import main
from tests.trust import everywhere
from tests.trust.tally import Count, times
from tests.unit import runs
from tests.unit.data import logfiles

ROOT = Path(__file__).parents[2]
I18N = Path("/usr/share/i18n/locales")
TIME = re.compile(rb"20\d\d-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\+00:00|Z| UTC)")  # of a run, in UTC
MISTAKES = 6  # of the commands of everywhere.py
SETTINGS = (
    "font.size: 20\naxes.formatter.use_locale: True\nsvg.fonttype: path\nlines.linewidth: 9\n"
)


@dataclass(frozen=True)
class Place:
    """How a machine, a shell and a Python are set."""

    environment: Mapping[str, str]
    order: str = "sorted"
    umask: int = 0o022
    folder: str = "here"
    matplotlibrc: str = ""
    locales: tuple[str, ...] = field(default=())


HERE = Place({"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "TZ": "UTC", "COLUMNS": "80"})
ELSEWHERE = {
    "kathmandu": Place(
        {"LC_ALL": "de_DE.UTF-8", "TZ": "Asia/Kathmandu", "COLUMNS": "20",
         "PYTHONWARNINGS": "ignore", "NO_COLOR": "1"},
        order="reversed", umask=0o077, folder="a folder/ünder it",
        matplotlibrc=SETTINGS, locales=("de_DE",),
    ),
    "st-johns": Place(
        {"LC_ALL": "tr_TR.UTF-8", "TZ": "America/St_Johns",
         "COLUMNS": "200", "FORCE_COLOR": "1", "TERM": "dumb"},
        order="shuffled", umask=0o002, folder="there", locales=("tr_TR",),
    ),
}  # fmt: skip


def world(folder: Path) -> None:
    """The files that the commands read."""
    random = np.random.default_rng(0)
    for kind in ("b", "a", "c"):
        (folder / "images" / kind).mkdir(parents=True)
        for number in (2, 10, 1):
            pixels = random.integers(0, 256, (8, 8, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "images" / kind / f"{number}.png")
    for depth in (18, 34):
        for name in (
            "spiking_resnet{}_b32_lr0.1_T4_coslr320_sgd",
            "sew_resnet{}_b32_lr0.1_T4_coslr320_sgd_cnf_ADD",
        ):
            run = folder / "logs" / (name.format(depth) + "_logs")
            logfiles.log(run, 1, logfiles.percent(range(3), top1=depth))
            logfiles.log(run, 2, logfiles.percent(range(3, 5), top1=depth), start=3)


def run(place: Place, where: Path) -> dict[str, bytes]:
    """The commands in that place: every file that they left, and what they said."""
    folder = where / place.folder
    folder.mkdir(parents=True)
    world(folder)
    settings = folder / "matplotlibrc"
    settings.write_text(place.matplotlibrc)
    environment = {
        key: value for key, value in os.environ.items()
        if key in ("PATH", "HOME", "OMP_NUM_THREADS", "XDG_CACHE_HOME")
    }  # fmt: skip
    environment |= {"PYTHONPATH": str(ROOT), "LOCPATH": str(locales(where, place.locales))}
    script = str(ROOT / "tests" / "trust" / "everywhere.py")
    done = subprocess.run(
        [sys.executable, script, place.order], cwd=folder, umask=place.umask,
        env=environment | dict(place.environment), capture_output=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    settings.unlink()
    files = {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }
    return files | {"stdout": done.stdout, "stderr": done.stderr}


def locales(where: Path, names: tuple[str, ...]) -> Path:
    """Make the locales where their sources lie on the machine; Debian installs none."""
    for name in names:
        target = where / "locales" / f"{name}.UTF-8"
        if shutil.which("localedef") and (I18N / name).is_file() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            command = ["localedef", "-i", name, "-f", "UTF-8", str(target)]
            subprocess.run(command, check=False, capture_output=True, timeout=60)
    return where / "locales"


def made_locale(where: Path, place: Place) -> bool:
    """Whether the place's language could be set; else it is run in C."""
    return all((where / "locales" / f"{name}.UTF-8").exists() for name in place.locales)


def without_time(data: bytes) -> bytes:
    """A run says when it began, in UTC; nothing else may differ."""
    return TIME.sub(b"TIME", data)


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return run(HERE, tmp_path_factory.mktemp("here"))


@pytest.mark.promise("same-everywhere")
@pytest.mark.parametrize("name", ELSEWHERE)
def test_files_and_output_are_the_same_bytes_elsewhere(
    name: str, wanted: dict[str, bytes], tmp_path: Path, tally: Count
) -> None:
    for turn in range(times(1)):
        place = seeded(ELSEWHERE[name], turn + 1)
        compare(run(place, tmp_path / str(turn)), wanted, made_locale(tmp_path / str(turn), place))
        tally("places")
        tally("files compared byte by byte", len(wanted) - 1)
    assert wanted["stdout"].count(b"exit code 0") == len(everywhere.COMMANDS) - MISTAKES
    assert wanted["stderr"].count(b"snnlens: ") == MISTAKES


def seeded(place: Place, seed: int) -> Place:
    """Another order of sets in each turn of a soak."""
    return replace(place, environment={**place.environment, "PYTHONHASHSEED": str(seed)})


def compare(found: dict[str, bytes], wanted: dict[str, bytes], comma: bool) -> None:
    """Every file and all that was said is the same but for the time; the places were not."""
    decimal, listed = found["place.txt"].decode().split(" ", 1)
    assert decimal == ("," if comma else ".")
    assert listed != wanted["place.txt"].decode().split(" ", 1)[1]
    assert found.keys() == wanted.keys() >= {"gradients/figure.svg", "degradation/result.parquet"}
    compared = sorted(found.keys() - {"place.txt"})
    different = [f for f in compared if without_time(found[f]) != without_time(wanted[f])]
    assert different == []


@pytest.mark.promise("same-everywhere")
def test_a_report_is_the_same_by_whatever_path_its_runs_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Count
) -> None:
    run = shutil.copytree(ROOT / "tests" / "runs" / "v1", tmp_path / "run")
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "in").mkdir()
    pages = []
    for here, named in ((tmp_path, "run"), (tmp_path / "in", "../run"), (ROOT, run),
                        (tmp_path, "./run/"), (tmp_path, "link/run")):  # fmt: skip
        monkeypatch.chdir(here)
        page = tmp_path / f"page-{len(pages)}" / "report.html"
        page.parent.mkdir()
        assert main(["report", str(named), "-o", str(page)]) == 0
        pages.append([p.read_bytes() for p in sorted(page.parent.iterdir())])
        tally("paths of one run")
    assert all(page == pages[0] for page in pages)
    assert len(pages[0]) == 3


@pytest.mark.promise("same-everywhere")
def test_the_order_of_options_is_of_no_account(tally: Count) -> None:
    options = runs.TINY | {"residual": "sew", "connect": "add", "seed": 2}
    one, other = (
        api.run("rates", **dict(order)) for order in (options.items(), reversed(options.items()))
    )
    assert list(one.networks.items()) == list(other.networks.items())
    assert one.sites.equals(other.sites)
    assert all(one.tables[name].equals(other.tables[name]) for name in one.tables)
    tally("orders of options")


LAYERS = {
    "IF": snnlens.IF,
    "LIF": lambda: snnlens.LIF(tau=3.0, surrogate=snnlens.Sigmoid()),
    "PLIF, soft": lambda: snnlens.PLIF(reset="soft"),
    "LIF, float64": lambda: snnlens.LIF(tau=3.0).double(),
}
# What torch itself adds up, of products in float64 and of layers in float64, may differ in the
# last bit: its order depends on the threads.
ROUNDED = {"detach_reset", "gradient_paths"}


@pytest.mark.promise("same-everywhere")
@pytest.mark.parametrize("layer", LAYERS)
def test_what_the_kernels_give_does_not_depend_on_the_threads(layer: str, tally: Count) -> None:
    """Spikes, gradients and every recorded sum of a neuron, to the bit; in float64 every count."""
    one, *others = (of_threads(layer, threads) for threads in (1, 2, 3))
    for other in others:
        assert all(map(torch.equal, one[0], other[0]))
        assert one[1].keys() == other[1].keys() >= {"firing_rate", "membrane", "gradient_norm"}
        for probe in one[1].keys() - ROUNDED:
            tables = [record[1][probe] for record in (one, other)]
            if "float64" in layer:
                tables = [table.select_dtypes("integer") for table in tables]
            assert tables[0].equals(tables[1]), probe
            tally("tables compared between threads")


def of_threads(layer: str, threads: int) -> tuple[list[Tensor], dict[str, pd.DataFrame]]:
    """What comes out of a layer and back through it, and what was recorded of it."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        net = nn.Sequential(LAYERS[layer]())
        dtype = next(
            (p.dtype for p in net.parameters()), torch.float64 if "float64" in layer else None
        )
        x = 3 * torch.rand(4, 8, 5000, generator=torch.Generator().manual_seed(1))
        x = x.to(dtype or torch.float32).requires_grad_()
        with snnlens.record(net, list(registry.listing("probes"))) as rec:
            out = net(x)
            (out * torch.linspace(-1, 1, 5000)).sum().backward()
    finally:
        torch.set_num_threads(before)
    grads = [p.grad for p in (x, *net.parameters()) if p.grad is not None]
    return [out.detach(), *grads], rec.record().tables


# --- without asserts, without docstrings -------------------------------------------------------

PURE = {"isinstance", "callable", "len"}


def test_no_assert_does_anything() -> None:
    """`python -O` takes them out: they are for the type checker, and call nothing."""
    files = sorted((ROOT / "snnlens").rglob("*.py"))
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assert):
                inside = [n for n in ast.walk(node.test) if isinstance(n, ast.Call | ast.NamedExpr)]
                called = {ast.unparse(n.func) if isinstance(n, ast.Call) else ":=" for n in inside}
                assert called <= PURE, f"{file.name}:{node.lineno}"


@pytest.mark.promise("same-everywhere")
@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["explain", "SNL302"], 0, "the gradient vanishes"),
        (["gradients", "--help"], 0, "--depth"),
        (
            ["gradients", "--connect", "plus"],
            2,
            "snnlens: connect must be add, and or iand; got 'plus'",
        ),
    ],
)
def test_python_without_asserts_and_docstrings(
    argv: list[str], code: int, said: str, tmp_path: Path, tally: Count
) -> None:
    done = subprocess.run(
        [sys.executable, "-OO", "-m", "snnlens", *argv], cwd=tmp_path, capture_output=True,
        text=True, timeout=120, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr
    assert "None" not in done.stdout
    tally("commands of python -OO")
