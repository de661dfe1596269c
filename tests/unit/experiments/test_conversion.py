"""The run of `conversion`: what it holds, that it repeats, and every mistake in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import safetensors.torch
import torch
from torch import nn

import snnlens
from snnlens import api
from snnlens.cli import main
from snnlens.conversion import convert
from snnlens.errors import InputError, Interrupted
from snnlens.experiments import _ann
from snnlens.experiments._ann import Point
from snnlens.experiments.conversion import Params
from snnlens.models import ann
from snnlens.recording import store
from tests.unit.runs import made

TINY: dict[str, Any] = {
    "depth": 2, "width": 8, "seeds": 1, "epochs": 1, "time_steps": (1, 4), "samples": 20,
    "threads": 1,
}  # fmt: skip


def test_what_the_record_holds() -> None:
    record = made("conversion")
    assert list(record.networks) == ["mlp-2x16-s0", "mlp-2x16-s1", "mlp-3x16-s0", "mlp-3x16-s1"]
    rows = record.tables["conversion_layers"]
    # layers x neurons x T x views
    assert len(rows) == (2 + 2 + 3 + 3) * 2 * 3 * 2
    assert (rows["values"] == 60 * 16).all()
    parts = sum(rows[f"{s}_sum"] for s in ("inherited", "clip", "quantisation", "unevenness"))
    assert (parts - rows["total_sum"]).abs().max() < 1e-9
    assert set(record.tables["conversion_accuracy"]["neuron"]) == {
        "ann", "requantised", "parallel", "sequential",
    }  # fmt: skip


def test_accuracies_by_hand(tmp_path: Path) -> None:
    """The kept weights, built, converted and counted outside of the experiment."""
    params = Params(**TINY, points=str(tmp_path / "points"))
    record = snnlens.run("conversion", **TINY, points=str(tmp_path / "points"))
    (point,) = _ann.points(params)
    both = _ann.load_sets(params)
    model = point.build((3, 8, 8), 10)
    kept = safetensors.torch.load_file(
        next((point.folder / "checkpoints").glob("*/weights.safetensors"))
    )
    model.load_state_dict(kept)
    model.eval().double()
    shown = next(iter(_ann.shown(both[1], 20, 20)))
    x, y = shown[0].double(), shown[1]
    table = record.tables["conversion_accuracy"].set_index(["neuron", "time_steps"])["correct"]
    assert table["ann", 0] == int((model(x).argmax(1) == y).sum())
    for method in ("parallel", "sequential"):
        for steps in (1, 4):
            net = convert(model, method, steps)  # type: ignore[arg-type]
            assert table[method, steps] == int((net(x).argmax(1) == y).sum())


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        api.answer("conversion", tmp_path / name, **TINY, points=str(tmp_path / "points"))
    for name in ("result.parquet", "figure.svg", "layers.parquet"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_kept_training_is_not_trained_again(tmp_path: Path) -> None:
    params = Params(**TINY, points=str(tmp_path))
    (point,) = _ann.points(params)
    both = _ann.load_sets(params)
    told: list[str] = []

    def progress(name: str, total: int) -> Any:
        told.append(f"{name} {total}")
        return lambda: None

    first, _ = _ann.load(point, both, progress)
    again, _ = _ann.load(point, both, progress)
    assert [t.split()[-1] for t in told] == ["22"]  # 1,438 images in steps of 64, then none
    assert all(
        torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True)
    )


def test_what_decides_the_folder() -> None:
    base = Point(Params(), 4, 0).folder
    for option in ({"lr": 0.02}, {"levels": 8}, {"epochs": 3}, {"training_free": True}):
        assert Point(Params(**option), 4, 0).folder != base
    for option in ({"time_steps": 3}, {"samples": 5}, {"precision": "float32"}, {"seeds": 2}):
        assert Point(Params(**option), 4, 0).folder == base


@pytest.mark.parametrize("residual", ["no", "yes"])
def test_training_free_and_calibrated(tmp_path: Path, residual: str) -> None:
    record = snnlens.run(
        "conversion", **TINY | {"depth": 3}, residual=residual, training_free=True, calibrate=True,
        calibration_samples=200, quantile=0.99, batch_norm="eval", points=str(tmp_path),
    )  # fmt: skip
    (facts,) = record.networks.values()
    assert (facts["activation"], facts["levels"], facts["thresholds"]) == (
        "relu",
        None,
        "quantile 0.99",
    )
    rows = record.tables["conversion_layers"]
    assert set(rows["neuron"]) == {"parallel", "sequential", "calibrated", "calibrated-zero-mean"}
    assert rows["clip_squares"].sum() > 0  # a quantile clips
    assert ("conversion_paths" in record.tables) == (residual == "yes")


def test_float32_and_steps_out_of_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["conversion", "--depth", "2", "--width", "8", "--seeds", "1", "--epochs", "1",
            "--samples", "20", "--time-steps", "4,1,4", "--precision", "float32",
            "--points", str(tmp_path / "points"), "-o", str(tmp_path / "run")]  # fmt: skip
    assert main(argv) == 0
    said = capsys.readouterr()
    assert "time steps in order: 1, 4" in " ".join(said.err.split())
    record = store.load(tmp_path / "run")
    assert record.tables["conversion_layers"]["time_steps"].unique().tolist() == [1, 4]


def test_own_networks_and_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file's factory with weights of a file; a layer that cannot be converted is named."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(OWN, encoding="utf-8")
    weights = {k: torch.rand_like(v) - 0.5 for k, v in _own().state_dict().items()}
    safetensors.torch.save_file(weights, tmp_path / "w.safetensors")
    options = {"time_steps": (2, 8), "samples": 20, "calibration_samples": 50}
    record = snnlens.run("conversion", ann="mine.py:build", weights="w.safetensors", **options)
    (name,) = record.networks
    assert name == "mine-build"
    assert record.networks[name]["weights"] == "w.safetensors"
    with pytest.raises(InputError) as error:
        snnlens.run("conversion", ann="mine.py:odd", **options)
    assert str(error.value).startswith(
        "the layers of the network must be linear, pooling, ReLU or QCFS; got '2 (GELU)'"
    )
    partial = snnlens.run("conversion", ann="mine.py:odd", partial=True, **options)
    coverage = partial.tables["conversion_coverage"].set_index("module")
    assert coverage.loc["2", "outcome"] == "analog"
    findings = snnlens.analyse("conversion", partial).findings
    assert "SNL504" in {f.code for f in findings}


OWN = """
from torch import nn
def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 12), nn.ReLU(), nn.Linear(12, 10))
def odd():
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 12), nn.GELU(), nn.ReLU(), nn.Linear(12, 10))
def flat():
    return nn.Sequential(nn.Linear(8, 12), nn.ReLU())
"""


def _own() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 12), nn.ReLU(), nn.Linear(12, 10))


def test_files_that_do_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plain = ann.build("mlp", shape=(3, 8, 8), depth=2, width=8, seed=0)
    safetensors.torch.save_file(plain.state_dict(), tmp_path / "relu.safetensors")
    given = {"depth": 2, "width": 8, "weights": "relu.safetensors", "samples": 20, "time_steps": 2}
    with pytest.raises(InputError) as error:
        snnlens.run("conversion", **given)
    assert str(error.value) == (
        "weights must be with the thresholds of QCFS; got 'relu.safetensors'; of a ReLU network: "
        "add --training-free"
    )
    assert snnlens.run("conversion", training_free=True, **given).networks
    with pytest.raises(InputError, match=r"missing|another shape"):
        snnlens.run("conversion", training_free=True, **given | {"width": 9})
    (tmp_path / "mine.py").write_text(OWN, encoding="utf-8")
    with pytest.raises(InputError, match="what the ANN returns must be logits"):
        snnlens.run("conversion", ann="mine.py:flat", samples=20)


@pytest.mark.parametrize(("given", "message"), [
    ({"time_steps": "0,2"}, "time_steps must be at least 1, each of them; got 0"),
    ({"depth": ()}, "depth must be at least 1, each of them; got 'nothing'"),
    ({"levels": 0}, "levels must be at least 1; got 0"),
    ({"seeds": 0}, "seeds must be at least 1; got 0"),
    ({"samples": 0}, "samples must be at least 1; got 0"),
    ({"calibration_samples": 0}, "calibration_samples must be at least 1; got 0"),
    ({"threshold": 0.0}, "threshold must be above 0; got 0.0"),
    ({"quantile": 1.5}, "quantile must be above 0 and at most 1; got 1.5"),
    ({"quantile": 0.9}, ("quantile must be left out: these thresholds are learned; got 0.9; add "
                        "--training-free")),
    ({"weights": "/nowhere"}, "weights must be a file that exists; got '/nowhere'"),
    ({"ann": "resnet19"}, ("ann must be mlp, vgg16, resnet20, resnet32, resnet44, resnet56, "
                          "resnet110, resnet18, resnet34, resnet50, resnet101, resnet152; got "
                          "'resnet19'; or package.module:factory, file.py:factory")),
    ({"ann": "vgg16", "depth": 3}, "depth must be left out: vgg16 is no mlp; got (3,)"),
    ({"ann": "a:b", "epochs": 3}, "epochs must be left out: nothing is trained; got 3"),
    ({"data": "digits:x"}, "data must be digits; got 'digits:x'; digits takes no path"),
    ({"test_share": 1.0}, "test_share must be above 0 and below 1; got 1.0"),
    ({"lr": 0.0}, "lr must be a finite number above 0; got 0.0"),
])  # fmt: skip
def test_bad_options(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        api.parameters("conversion", given)
    assert str(error.value) == message


@pytest.mark.data
def test_resnet20_of_published_weights(data_root: Path) -> None:
    """91.49 % on the 870 images is the ANN's; here 40 of them: 0 counts differ in float64."""
    record = snnlens.run(
        "conversion", ann="resnet20", training_free=True, time_steps=4, samples=40,
        weights=str(data_root / "weights/cifar10_resnet20.safetensors"),
        data=f"cifar10:{data_root / 'cifar10/cifar10_balanced.npz'}", calibration_samples=64,
    )  # fmt: skip
    rows = record.tables["conversion_layers"]
    parallel = rows[(rows["neuron"] == "parallel") & (rows["view"] == "accumulated")]
    assert parallel["differs"].sum() == 0
    assert parallel["uneven"].sum() == 0
    assert len(record.tables["conversion_paths"]["site"].unique()) == 9
    table = record.tables["conversion_accuracy"].set_index("neuron")["correct"]
    assert table["ann"] >= 34
    assert table["sequential"] < table["parallel"] <= table["ann"]


def test_points_are_a_frame_of_their_own() -> None:
    pairs = made("conversion").tables["conversion_pairs"]
    assert isinstance(pairs, pd.DataFrame)
    assert pairs.groupby(["network", "layer", "neuron", "time_steps"]).size().max() <= 400


def test_an_interruption_keeps_the_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the second network: the first one's training is there, and the line says so."""
    names: list[str] = []

    def progress(name: str, _total: int) -> Any:
        names.append(name)
        if name.startswith("training mlp-3x8"):
            raise KeyboardInterrupt
        return lambda: None

    options = TINY | {"depth": (2, 3), "points": str(tmp_path)}
    with pytest.raises(Interrupted) as error:
        snnlens.run("conversion", progress=progress, **options)
    assert str(error.value) == (
        f"interrupted; 1 of 2 epochs are whole and stay in {tmp_path}; the same command goes on"
    )
    assert error.value.exit_code == 130
    assert list(snnlens.run("conversion", **options).networks) == ["mlp-2x8-s0", "mlp-3x8-s0"]


def test_the_provenance_names_what_played_a_part(tmp_path: Path) -> None:
    said = made("conversion").provenance["parameters"]
    assert {"depth", "width", "levels", "epochs", "seeds"} <= set(said)
    (tmp_path / "mine.py").write_text(OWN, encoding="utf-8")
    own = snnlens.run("conversion", ann=f"{tmp_path / 'mine.py'}:build", time_steps=2, samples=20,
                      calibration_samples=20)  # fmt: skip
    assert not {"depth", "width", "levels", "epochs", "seeds"} & set(own.provenance["parameters"])


def test_fewer_outputs_than_classes(tmp_path: Path) -> None:
    text = OWN.replace("nn.Linear(12, 10))\ndef odd", "nn.Linear(12, 7))\ndef odd")
    (tmp_path / "mine.py").write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        snnlens.run("conversion", ann=f"{tmp_path / 'mine.py'}:build", samples=20)
    assert str(error.value) == (
        "the logits of the ANN must be one for each of the 10 classes of the data; got 7"
    )


def test_mixed_activations(tmp_path: Path) -> None:
    """QCFS and ReLU: neither is called the other, and thresholds are said to be both."""
    (tmp_path / "mine.py").write_text(
        "from torch import nn\nimport snnlens\ndef build():\n    return nn.Sequential("
        "nn.Flatten(), nn.Linear(192, 9), snnlens.QCFS(4, 2.0), nn.Linear(9, 8), nn.ReLU(), "
        "nn.Linear(8, 10))\n",
        encoding="utf-8",
    )
    record = snnlens.run("conversion", ann=f"{tmp_path / 'mine.py'}:build", time_steps=2,
                         samples=20, calibration_samples=20)  # fmt: skip
    (facts,) = record.networks.values()
    assert (facts["activation"], facts["levels"]) == ("mixed", None)
    assert facts["thresholds"] == "learned and max"
    assert "; QCFS and ReLU;" in snnlens.analyse("conversion", record).caption
