"""A pickle that would make a folder is planted wherever a file is read; no folder is made."""

from __future__ import annotations

import ast
import ctypes
import gzip
import json
import os
import pickle  # noqa: TID251 - what is planted
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from snnlens import atomic
from snnlens.cli import main
from snnlens.neuron.kernels import compiler
from snnlens.registry import PACKAGE
from snnlens.training import points
from tests.trust import planted_pickle as planted
from tests.trust.hostile_files import REFUSED, is_one_line
from tests.trust.tally import Count
from tests.trust.test_logs import framed, of_tensor

pytestmark = pytest.mark.promise("no-unpickling")
NETWORK = ["--layout", "cifar", "--depth", "8", "--image-size", "8", "--batch", "1"]
FORMS = pytest.mark.parametrize("form", planted.FORMS, ids=lambda f: f.__name__)
FEW = [planted.pickled, planted.as_text, planted.of_arrays]
A_FEW = pytest.mark.parametrize("form", FEW, ids=lambda f: f.__name__)


@pytest.fixture
def marker(tmp_path: Path) -> Iterator[Path]:
    """The folder that a pickle would make."""
    place = tmp_path / "made by a pickle"
    yield place
    assert not place.exists()


def ends(argv: Sequence[object], capsys: pytest.CaptureFixture[str]) -> int:
    """The exit code of a command that goes well, or ends in one line."""
    capsys.readouterr()
    code = main([str(word) for word in argv])
    said = capsys.readouterr().err
    if code:
        assert code in REFUSED, said
        assert said.startswith("snnlens: ")
        assert said.count("\n") == 1
        assert is_one_line(said.removesuffix("\n"))
    return code


def refused(argv: Sequence[object], capsys: pytest.CaptureFixture[str]) -> None:
    """A command ends in one line."""
    assert ends(argv, capsys)


@FORMS
def test_the_pickles_are_live(form: Callable[[Path], bytes], tmp_path: Path) -> None:
    """Read in the ways that snnlens does not take, each of them makes the folder."""
    path, made = tmp_path / "a", tmp_path / "made"
    path.write_bytes(form(made))
    load: dict[str, Callable[[], object]] = {
        "pickled": lambda: pickle.loads(path.read_bytes()),
        "as_text": lambda: pickle.loads(path.read_bytes()),
        "behind_a_header": lambda: pickle.loads(path.read_bytes()[8:]),
        "of_objects": lambda: np.load(path, allow_pickle=True),
        "of_arrays": lambda: np.load(path, allow_pickle=True)["x"],
    }
    load.get(form.__name__, lambda: torch.load(path, weights_only=False))()
    assert made.is_dir()


# --- one file ------------------------------------------------------------------------------------

FILES: dict[str, tuple[str, list[str]]] = {
    "weights .pth": ("a.pth", ["rates", "FILE", "--residual", "spiking"]),
    "weights .pt": ("a.pt", ["rates", "FILE", "--residual", "spiking"]),
    "weights .safetensors": ("a.safetensors", ["rates", "FILE", "--residual", "spiking"]),
    "weights without a suffix": ("a", ["rates", "FILE", "--residual", "spiking"]),
    "weights of a MODEL": ("a.pth", ["checkup", "FILE", "--data", "digits"]),
    "a MODEL": ("a.pkl", ["checkup", "FILE", "--data", "digits"]),
    "the factory of a MODEL": ("a.pkl", ["checkup", "FILE:build", "--data", "digits"]),
    "a graph": ("a.nir", ["checkup", "FILE", "--data", "digits"]),
    "a loss": ("a.pkl", ["checkup", "sew_resnet8", "--batch", "1", "--loss", "FILE:loss"]),
    "a neuron": ("a.bin", ["checkup", "sew_resnet8", "--batch", "1", "--spiking", "FILE:Mine"]),
    "weights of an ANN": ("a.pt", ["conversion", "--ann", "resnet20", "--weights", "FILE"]),
    "an ANN": ("a.pkl", ["conversion", "--ann", "FILE:build"]),
    "an export": ("a.pth", ["export", "FILE", "--to", "nir", "-o", "FILE.out"]),
    "a batch": ("a.safetensors", ["checkup", "sew_resnet8", "--input", "FILE"]),
    "a batch .pt": ("a.pt", ["checkup", "sew_resnet8", "--input", "FILE"]),
    "a batch .npz": ("a.npz", ["checkup", "sew_resnet8", "--input", "FILE"]),
    "arrays of images": ("a.npz", ["rates", *NETWORK, "--data", "cifar10:FILE"]),
    "records of images": ("a.bin", ["rates", *NETWORK, "--data", "cifar10:FILE"]),
    "a preset": ("a.toml", ["report", "--preset", "FILE", "-o", "FILE.html"]),
    "thresholds": ("a.toml", ["gate", "RUN", "--config", "FILE"]),
}


@FORMS
@pytest.mark.parametrize("place", FILES)
def test_a_file(
    place: str, form: Callable[[Path], bytes], marker: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], tally: Count,
) -> None:  # fmt: skip
    name, argv = FILES[place]
    (tmp_path / name).write_bytes(form(marker))
    words = {"FILE": str(tmp_path / name), "RUN": str(planted.RUN)}
    refused(["".join(words.get(w, w) for w in _parts(word)) for word in argv], capsys)
    tally("pickles planted")


def _parts(word: str) -> list[str]:
    """The word, cut where a file's name stands in it."""
    for name in ("FILE", "RUN"):
        before, found, behind = word.partition(name)
        if found:
            return [before, name, behind]
    return [word]


@FORMS
def test_weights_where_torch_is_told_to_unpickle(
    form: Callable[[Path], bytes], marker: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tally: Count,
) -> None:  # fmt: skip
    """A variable of the environment that makes torch.load unpickle where nothing else is said."""
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    (tmp_path / "a.pth").write_bytes(form(marker))
    refused(["rates", tmp_path / "a.pth"], capsys)
    tally("pickles planted")


# --- data sets, logs -----------------------------------------------------------------------------

MODEL = ["checkup", "sew_7b_net", "--batch", "1", "--data"]
SETS: dict[str, list[str]] = {
    "cifar10": ["data_batch_1", "data_batch_2", "batches.meta"],  # the python version
    "cifar10 ": ["data_batch_1.bin"],
    "imagefolder": ["a.png"],
    "imagefolder ": ["a/a.jpg"],
    "events": ["a/0.npz"],
    "events ": ["a/0.aedat"],
    "nmnist": ["0/0.bin"],
    "ncaltech101": ["ant/0.bin"],
    "cifar10dvs": ["cat/0.aedat"],
    "dvsgesture": ["trials_to_train.txt"],
}


@A_FEW
@pytest.mark.parametrize("kind", SETS)
def test_a_data_set(
    kind: str, form: Callable[[Path], bytes], marker: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], tally: Count,
) -> None:  # fmt: skip
    for name in SETS[kind]:
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = form(marker)
        path.write_bytes(data + bytes((1 - len(data)) % 5))  # no whole number of 5 bytes
    refused([*MODEL, f"{kind.strip()}:{tmp_path / 'data'}", "--image-size", "240"], capsys)
    tally("pickles planted")


@pytest.mark.parametrize("end", ["", ".gz"])
@A_FEW
def test_mnist(
    end: str, form: Callable[[Path], bytes], marker: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], tally: Count,
) -> None:  # fmt: skip
    for name in ("images-idx3", "labels-idx1"):
        data = gzip.compress(form(marker)) if end else form(marker)
        (tmp_path / f"train-{name}-ubyte{end}").write_bytes(data)
    refused([*MODEL, f"mnist:{tmp_path}"], capsys)
    tally("pickles planted")


@A_FEW
def test_labels(
    form: Callable[[Path], bytes], marker: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], tally: Count,
) -> None:  # fmt: skip
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_bytes(form(marker))
    refused([*MODEL, f"imagefolder:{tmp_path}"], capsys)
    tally("pickles planted")


@FORMS
def test_logs(
    form: Callable[[Path], bytes], marker: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], tally: Count,
) -> None:  # fmt: skip
    """As the file, and as the bytes of a tensor in a record whose checksums are right."""
    data = form(marker)
    (tmp_path / "events.out.tfevents.1.a").write_bytes(data)
    tensor = of_tensor([], dtype=7, string_val=[data])
    (tmp_path / "events.out.tfevents.2.a").write_bytes(framed(tensor) + framed(data))
    refused(["degradation", "--logs", tmp_path, "--pattern", "(?P<residual>.)(?P<depth>)"], capsys)
    tally("pickles planted", 2)


# --- folders of ours -----------------------------------------------------------------------------


TRAIN = ["train", "spiking_resnet8", "--epochs", "1", "--batch", "600", "--image-size", "8",
         "--time-steps", "1", "--quiet"]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("trained")
    argv = [*TRAIN, "--points", place / "points", "-o", place / "run"]
    assert main([str(word) for word in argv]) == 0
    return next((place / "points").iterdir())


READ_BY: dict[str, tuple[str, ...]] = {
    "train.json": ("rates", "export", "train"), "metrics.csv": ("export", "train"),
    "state.json": ("rates", "train"), "weights.safetensors": ("rates", "train"),
    "optimiser.safetensors": ("rates", "train"), "random.safetensors": ("rates", "train"),
    "run.json": ("export",), "sites.parquet": ("export",), "done.json": (), "failed.json": (),
}  # fmt: skip


@pytest.mark.parametrize("form", [planted.pickled, planted.in_a_zip], ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", READ_BY)
def test_a_training_folder(
    name: str, form: Callable[[Path], bytes], trained: Path, marker: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], tally: Count,
) -> None:  # fmt: skip
    """The checksums of what was planted are right."""
    folder = Path(shutil.copytree(trained, tmp_path / "points" / trained.name))
    path = next(folder.rglob(name), folder / name)
    path.write_bytes(form(marker))
    state = next(folder.rglob("state.json"))
    if path.suffix == ".safetensors":
        said = json.loads(state.read_text())
        said["sha256"][path.stem] = atomic.sha256(path.read_bytes())
        state.write_text(json.dumps(said))
    points.table([points.Point("a", folder, {"epochs": 1})])
    tally("pickles planted")
    resumed = [*TRAIN, "--points", folder.parent, "--resume", "-o", tmp_path / "run"]
    argv = {
        "rates": ["rates", folder, "--batch", "1", "--image-size", "8", "--quiet"],
        "export": ["export", folder, "--to", "tensorboard", "-o", tmp_path / "export"],
        "train": resumed,
    }
    for command in READ_BY[name]:
        ends(argv[command], capsys)
        assert not marker.exists()


@pytest.mark.parametrize("form", [planted.pickled, planted.as_text, planted.of_objects],
                         ids=lambda f: f.__name__)  # fmt: skip
@pytest.mark.parametrize("name", planted.OF_A_RUN)
def test_a_run_folder(
    name: str, form: Callable[[Path], bytes], marker: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], tally: Count,
) -> None:  # fmt: skip
    run = planted.run_folder(tmp_path)
    if name == "run.json":
        (run / name).write_bytes(form(marker))
    else:
        planted.put(run, name, form(marker))
    ends(["report", run, "-o", tmp_path / "report.html", "--quiet"], capsys)
    tally("pickles planted")


@pytest.mark.filterwarnings("ignore:pyarrow.PyExtensionType:RuntimeWarning")
@pytest.mark.parametrize("form", [planted.extension, planted.described], ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", ["result.parquet", "record/sites.parquet"])
def test_a_table(
    name: str, form: Callable[[Path], Any], marker: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], tally: Count,
) -> None:  # fmt: skip
    """A type of column that is a pickle, and a description of columns that names objects."""
    run = planted.run_folder(tmp_path)
    planted.put(run, name, planted.parquet(form(marker)))
    ends(["report", run, "-o", tmp_path / "report.html"], capsys)
    tally("pickles planted")


# --- the kernels' cache: what lies there is run --------------------------------------------------

EVIL = """
#include <sys/stat.h>
__attribute__((constructor)) static void made(void) { mkdir(MARKER, 0700); }
int answer(void) { return 666; }
"""
GOOD = "int answer(void) { return 42; }\n"


@pytest.fixture
def planted_library(
    marker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A library that somebody put where that of good.c would lie, its checksum in its name."""
    monkeypatch.setenv("SNNLENS_CACHE", str(tmp_path / "cache"))
    caches = (compiler.find, compiler.cache_folder, compiler._temporary)
    for function in caches:
        function.cache_clear()
    (tmp_path / "good.c").write_text(GOOD)
    (tmp_path / "evil.c").write_text(EVIL)
    assert compiler.load(tmp_path / "good.c").answer() == 42
    (kept,) = (tmp_path / "cache" / "kernels").glob("*.so")
    command = ["cc", "-shared", "-fPIC", f'-DMARKER="{marker}"', tmp_path / "evil.c", "-o", kept]
    kept.unlink()
    subprocess.run(command, check=True)
    key = kept.name.rpartition("-")[0]
    evil = kept.rename(kept.with_name(compiler._name(key, kept.read_bytes())))
    evil.chmod(0o700)
    compiler.cache_folder.cache_clear()
    yield evil
    for function in caches:
        function.cache_clear()


def test_the_planted_library_is_live(tmp_path: Path) -> None:
    (tmp_path / "evil.c").write_text(EVIL)
    made = tmp_path / "made"
    command = ["cc", "-shared", "-fPIC", f'-DMARKER="{made}"', tmp_path / "evil.c"]
    subprocess.run([*command, "-o", tmp_path / "evil.so"], check=True)
    ctypes.CDLL(str(tmp_path / "evil.so"))
    assert made.is_dir()


def opened(path: Path, mode: int) -> None:
    path.chmod(stat.S_IMODE(path.stat().st_mode) | mode)


OPEN: dict[str, Callable[[Path], None]] = {
    "a library that anybody may write": lambda evil: opened(evil, 0o002),
    "a library that the group may write": lambda evil: opened(evil, 0o020),
    "a folder that anybody may write": lambda evil: opened(evil.parent, 0o002),
    "a folder that the group may write": lambda evil: opened(evil.parent, 0o020),
    "a folder in one that anybody may write": lambda evil: opened(evil.parents[1], 0o002),
}


@pytest.mark.parametrize("how", OPEN)
def test_a_library_that_others_may_have_put_there(
    how: str, planted_library: Path, tmp_path: Path, tally: Count
) -> None:
    """It is compiled anew, and one that others cannot write is kept."""
    OPEN[how](planted_library)
    assert compiler.load(tmp_path / "good.c").answer() == 42
    tally("libraries planted")


def test_a_library_of_another_user(
    planted_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Count
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    real = Path.stat

    def of_somebody(path: Path, **options: Any) -> os.stat_result:
        about = list(real(path, **options))
        if path.is_relative_to(tmp_path / "cache"):
            about[4] = 999  # st_uid
        return os.stat_result(about)

    monkeypatch.setattr(Path, "stat", of_somebody)
    folder, why = compiler.cache_folder()
    assert folder != planted_library.parent
    assert why.endswith("may be written by others: what lies there is run")
    tally("libraries planted")


# --- the source ----------------------------------------------------------------------------------

NAMES = {"eval", "exec", "compile", "__import__"}
METHODS = {"read_pickle", "to_pickle", "add_safe_globals", "unsafe_load"}
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve",
           "yaml", "jsonpickle"}  # fmt: skip
ALLOWED = {("models/checkpoints.py", "from pickle import UnpicklingError")}
SAFE = {"np": ("allow_pickle", False), "numpy": ("allow_pickle", False),
        "torch": ("weights_only", True)}  # fmt: skip


def faults(source: str) -> Iterator[str]:
    """What a source does that may run what a file holds."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import) and any(_is_of(alias.name) for alias in node.names):
            yield ast.unparse(node)
        if isinstance(node, ast.ImportFrom) and _is_of(node.module or ""):
            yield ast.unparse(node)
        if isinstance(node, ast.Call) and _may_run(node):
            yield ast.unparse(node)


def _is_of(module: str) -> bool:
    return module.partition(".")[0] in MODULES


def _may_run(call: ast.Call) -> bool:
    owner, _, name = ast.unparse(call.func).rpartition(".")
    said = {word.arg: getattr(word.value, "value", None) for word in call.keywords}
    if name == "load" and owner in SAFE:
        word, wanted = SAFE[owner]
        return said.get(word) is not wanted
    return (
        (name in NAMES and owner in ("", "builtins"))
        or (name in ("system", "popen") and owner == "os")
        or (name in METHODS and bool(owner))
        or bool(said.get("shell"))
    )


def test_no_source_runs_what_a_file_holds(tally: Count) -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        found = {(name, fault) for fault in faults(path.read_text(encoding="utf-8"))}
        assert found <= ALLOWED
        tally("sources")


@pytest.mark.parametrize("source", [
    "import pickle", "from joblib import load", "import yaml.loader", "eval('1')", "np.load(path)",
    "np.load(path, allow_pickle=True)", "torch.load(path)", "torch.load(path, weights_only=wanted)",
    "os.system('ls')", "run('ls', shell=True)", "pd.read_pickle(path)", "builtins.exec(text)",
])  # fmt: skip
def test_what_no_source_may_do(source: str, tally: Count) -> None:
    assert len(list(faults(source))) == 1
    tally("sources")
