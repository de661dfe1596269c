"""The run of `attribution`: its tables against the maps themselves; mistakes in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

import snnlens
from snnlens import api
from snnlens.attribution import attribute, method_named, options_of
from snnlens.attribution.maps import Maps
from snnlens.cli import main
from snnlens.data import images
from snnlens.errors import InputError
from snnlens.experiments import _attribution_tables as tables
from snnlens.experiments._attribution import few
from snnlens.experiments.attribution import Params
from snnlens.recording.record import Record
from tests.unit.runs import ATTRIBUTES, made

PLANTED: dict[str, Any] = ATTRIBUTES["attribution"]
MODEL = PLANTED["model"]


@pytest.fixture(scope="module")
def record() -> Record:
    return made("attribution")


@pytest.fixture(scope="module")
def found() -> dict[str, Maps]:
    """The same maps, made by hand."""
    batch = images.load("planted", samples=4, seed=0, time_steps=6)
    model = _planted()
    with snnlens.bridge(model, batch.x, batch.y) as bridge:
        options = options_of({"steps": 4, "draws": 16})
        return {
            name: attribute(bridge, bridge.x, batch.y, name, options) for name in PLANTED["method"]
        }


def _planted() -> nn.Module:
    from snnlens.experiments._model import load_model

    return load_model(MODEL)


def test_numbers_are_those_of_the_maps(record: Record, found: dict[str, Maps]) -> None:
    rows = record.tables["attribution_maps"].set_index(["method", "sample"])
    assert len(rows) == 4 * len(found)
    for name, maps in found.items():
        flat = maps.values.flatten(1).double()
        mine = rows.loc[name]
        np.testing.assert_array_equal(mine["total"], flat.sum(1))
        np.testing.assert_array_equal(mine["absolute"], flat.abs().sum(1))
        np.testing.assert_array_equal(mine["score"], maps.score.double())
        np.testing.assert_array_equal(mine["delta"], maps.delta)
        assert mine["predicted"].tolist() == maps.target.tolist()  # every answer is right
        assert mine["label"].tolist() == maps.target.tolist()
    assert rows.loc["ig", "delta"].notna().all()
    assert rows.loc["sam", "delta"].isna().all()  # no claim of completeness


def test_time_and_frames_add_up_to_the_map(record: Record, found: dict[str, Maps]) -> None:
    """float64 sums of the same float32 values in another order: 1e-12 of the largest."""
    time = record.tables["attribution_time"].groupby(["method", "sample"])["value"].sum()
    frames = record.tables["attribution_frames"].groupby(["method", "sample"])["value"].sum()
    for name, maps in found.items():
        for sample, total in enumerate(maps.values.flatten(1).double().sum(1).tolist()):
            scale = float(maps.values[sample].abs().sum()) or 1.0
            assert abs(time[name, sample] - total) <= 1e-12 * scale
            assert abs(frames.get((name, sample), 0.0) - total) <= 1e-12 * scale


def test_frames_lie_where_the_values_do(record: Record, found: dict[str, Maps]) -> None:
    rows = record.tables["attribution_frames"].query("method == 'ig' and sample == 1")
    drawn = torch.zeros(6, 12, 12, dtype=torch.float64)
    for row in rows.itertuples():
        drawn[int(row.frame), int(row.y), int(row.x)] += row.value
    wanted = found["ig"].values[1].double().sum(1)  # six frames of one step, channels summed
    torch.testing.assert_close(drawn, wanted, rtol=1e-12, atol=0.0)
    shapes = record.tables["attribution_shapes"].set_index("method")
    assert shapes.loc["", ["steps", "channels", "height", "width", "frames"]].tolist() == [
        6, 2, 12, 12, 6,
    ]  # fmt: skip


def test_the_input_is_kept_the_same_way(record: Record) -> None:
    x = images.load("planted", samples=4, seed=0, time_steps=6).x
    rows = record.tables["attribution_inputs"]
    assert rows["value"].sum() == float(x.sum())
    assert (rows["value"] > 0).all()


def test_agreement_is_spearmans(record: Record, found: dict[str, Maps]) -> None:
    rows = record.tables["attribution_pairs"].query("kind == 'method'")
    one, two = found["ig"].values[2].sum(1), found["smoothgrad"].values[2].sum(1)
    wanted = spearmanr(one.flatten(), two.flatten()).statistic
    mine = rows.query("method == 'ig' and other == 'smoothgrad' and sample == 2")
    assert len(mine) == 1
    # channels are summed in float32 here and in float64 there: a few ties may fall otherwise
    assert mine["rank_correlation"].item() == pytest.approx(wanted, abs=1e-3)


def test_curves_begin_and_end_where_they_must(record: Record) -> None:
    """Nothing deleted is f(x), all deleted is f(baseline), and insertion the other way."""
    maps = record.tables["attribution_maps"].query("method == 'ig'").set_index("sample")
    rows = record.tables["attribution_curves"]
    assert set(rows["method"]) == {*PLANTED["method"], "random"}
    assert set(rows.query("method == 'random'")["draw"]) == {0, 1, 2}
    for kind, whole, none in (("deletion", 0, 1), ("insertion", 1, 0)):
        ends = rows[rows["kind"] == kind]
        for share, column in ((whole, "score"), (none, "baseline")):
            at = ends[ends["share"] == share]
            wanted = at["sample"].map(maps[column])
            np.testing.assert_array_equal(at["score"], wanted)


def test_variants_are_named(record: Record) -> None:
    rows = record.tables["attribution_pairs"]
    assert set(rows["kind"]) == {"method", "seed", "weights", "surrogate"}
    assert set(rows.query("kind == 'seed'")["method"]) == {"smoothgrad"}  # what draws
    gradient = {n for n in PLANTED["method"] if method_named(n).gradient}
    assert set(rows.query("kind == 'surrogate'")["method"]) == gradient
    assert set(rows.query("kind == 'surrogate'")["other"]) == {"sigmoid(alpha=4)"}


def test_facts_and_provenance(record: Record) -> None:
    (facts,) = record.networks.values()
    assert facts["input_shape"] == [6, 2, 12, 12]
    assert (facts["entering"], facts["leaving"]) == ("time first", "time first")
    assert facts["alone_difference"] == 0.0
    assert facts["encoder"] == "lif"
    assert record.provenance["command"].startswith(f"snnlens attribution {MODEL}")
    assert record.sites["site"].tolist() == ["lif"]


def test_the_same_run_gives_the_same_record(record: Record) -> None:
    again = snnlens.run("attribution", **PLANTED)
    assert list(again.tables) == list(record.tables)
    for name, table in again.tables.items():
        pd.testing.assert_frame_equal(table, record.tables[name])


def test_a_static_image_has_maps_of_its_encoder_and_of_its_pixels(tmp_path: Path) -> None:
    """A residual network repeats the image: when is told by the encoder's spikes."""
    factory = tmp_path / "settled.py"
    factory.write_text(
        "import torch, snnlens\n"
        "def build():\n"
        "    net = snnlens.resnet(8, layout='cifar', classes=10, time_steps=2, seed=0)\n"
        "    with torch.no_grad():\n"
        "        for _ in range(3): net(torch.rand(8, 3, 8, 8))\n"
        "    return net\n"
    )
    whole = snnlens.run(
        "attribution", model=f"{factory}:build", data="digits", image_size=8, samples=2, steps=2,
        method="ig,sam", points=2, random_orders=2, belief="all", threads=1,
    )  # fmt: skip
    maps = whole.tables["attribution_maps"]
    places = maps.groupby("method", sort=False)["place"].unique().apply(list).to_dict()
    assert places["ig"] == ["sn1", "input"]
    assert places["sam"][0] in whole.sites["site"].tolist()
    shapes = whole.tables["attribution_shapes"].set_index(["method", "place"])
    assert shapes.loc[("ig", "sn1"), "steps"] == 2
    assert shapes.loc[("ig", "input"), "steps"] == 1
    curves = whole.tables["attribution_curves"]
    over = curves.query("method == 'ig'").groupby("place")["over"].unique().apply(set).to_dict()
    assert over == {"sn1": {"pixels", "steps", "events"}, "input": {"pixels", "events"}}


def test_a_training_is_a_model(tmp_path: Path) -> None:
    """What `train` kept can be asked about; the scores are those of its own forward pass."""
    options = {"model": "sew_resnet8", "image_size": 8, "time_steps": 2, "epochs": 1, "batch": 256,
               "record_every": 0, "threads": 1, "points": str(tmp_path)}  # fmt: skip
    snnlens.run("train", **options)
    (folder,) = (p.parent for p in tmp_path.glob("*/train.json"))
    whole = snnlens.run(
        "attribution", model=str(folder), data="digits", image_size=8, samples=2, steps=2,
        method="ig", belief="none", threads=1,
    )  # fmt: skip
    from snnlens.experiments._trained import load

    model = load(folder)[0].eval()
    batch = images.load("digits", samples=2, image_size=8, seed=0)
    with torch.no_grad():
        wanted = model(batch.x).gather(1, batch.y[:, None]).squeeze(1)
    mine = whole.tables["attribution_maps"].query("place == 'input'")["score"]
    np.testing.assert_allclose(mine, wanted.numpy(), rtol=1e-5)  # float32, another batch size


def test_spans_and_planes() -> None:
    assert tables.spans(7, 3) == [(0, 2), (3, 4), (5, 6)]
    x = torch.arange(2 * 3 * 2 * 2 * 2.0).reshape(2, 3, 2, 2, 2)
    assert torch.equal(tables.plane(x), x.sum(2))
    assert tables.plane(x[..., 0, 0]).shape == (2, 3, 1, 2)  # features lie in one row
    assert few(["a", "b"]) == ["a", "b"]


# --- mistakes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "samples must be at least 1; got 0"),
        ({"steps": 0}, "steps must be at least 1; got 0"),
        ({"window": "1,3"}, "window must be three numbers of at least 1: 1,3,3; got '1,3'"),
        ({"target": "best"}, "target must be label, predicted or a class; got 'best'"),
        ({"bin_ms": 0.0}, "bin_ms must be above 0; got 0.0"),
    ],
)
def test_wrong_parameters(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        Params(model="x", **options)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("--target 7", "target must be from 0 to 3, as the output has 4 classes; got 7"),
        ("--method deep_lift",
         "a method must be one that means something on spikes; got 'deep_lift'; "),
        ("--method igg", "a method must be one of feature_ablation, "),
        ("--method gradcam --at lift",
         "a spiking layer must be one of lif; got 'lift'; did you mean lif?"),
        ("--method neuron_conductance", "neuron must be "),
        ("--layers sn1", "a spiking layer must be one of lif; got 'sn1'"),
    ],
)  # fmt: skip
def test_mistakes_on_the_command_line(
    argv: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["attribution", MODEL, "--data", "planted", "--samples", "2", "--steps", "2", "--quiet",
             "--belief", "none", "-o", str(tmp_path / "run"), *argv.split()]  # fmt: skip
    assert main(given) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith(f"snnlens: {message}")
    assert not (tmp_path / "run").exists()


def test_fresh_statistics_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["attribution", "sew_resnet8", "--data", "digits", "--image-size", "8", "--samples",
             "2", "--quiet", "-o", str(tmp_path / "run")]  # fmt: skip
    assert main(given) == 2
    assert capsys.readouterr().err == (
        "snnlens: the running statistics of bn1 must be of the training data; got 'of no batch'; "
        "train it or load weights: as it is it may be silent, and every map zero\n"
    )


def test_a_run_is_written_drawn_and_read(tmp_path: Path) -> None:
    result = api.answer("attribution", tmp_path / "run", **PLANTED)
    assert (tmp_path / "run" / "figure.svg").is_file()
    again = snnlens.analyse("attribution", snnlens.load(tmp_path / "run"))
    pd.testing.assert_frame_equal(again.table, result.table)
    assert again.claims == result.claims


def test_maps_are_saved_whole(found: dict[str, Maps], tmp_path: Path) -> None:
    path = found["ig"].save(tmp_path / "maps.safetensors")
    kept: dict[str, Tensor] = safetensors.torch.load_file(path)
    assert torch.equal(kept["values"], found["ig"].values)
    assert torch.equal(kept["shown"], found["ig"].shown)
