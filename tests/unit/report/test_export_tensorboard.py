"""A Record as TensorBoard's curves, read back by TensorBoard and by our own reader of logs."""

from __future__ import annotations

import itertools
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from snnlens.data.logs import events
from snnlens.errors import InputError
from snnlens.recording import store
from snnlens.recording.record import Column, Quantity, Record, Schema, empty
from snnlens.report.export import Options, tensorboard
from snnlens.report.export._events import Scalar, file_name, written
from snnlens.report.export._folder import write
from snnlens.training import folder as folders
from tests.unit.data import logfiles
from tests.unit.report import hostile
from tests.unit.runs import made, saved

Curves = dict[str, list[tuple[int, float]]]


def exported(source: Path, folder: Path) -> tuple[dict[str, Path], list[str]]:
    """The event file of each network, written, and what was said."""
    made = tensorboard.export(str(source), Options())
    write(folder, made.files, made.facts)
    where = {n: next((folder / p).iterdir()) for n, p in made.facts["networks"].items()}
    return where, made.says


def test_tensorboard_warns_of_no_tag(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    where, _ = exported(saved("rates"), tmp_path)
    for path in where.values():
        assert accumulated(path)
    assert "not associated with a plugin" not in caplog.text


def accumulated(path: Path) -> Curves:
    """What TensorBoard reads: every point of every curve."""
    found = EventAccumulator(str(path), size_guidance={"scalars": 0}).Reload()
    return {t: [(e.step, e.value) for e in found.Scalars(t)] for t in found.Tags()["scalars"]}


def logged(path: Path) -> Curves:
    """What our own reader reads."""
    file = events.read(path)
    assert file.fault == ""
    rows = file.scalars.groupby("tag", sort=False)
    return {
        str(t): list(zip(g["step"].tolist(), g["value"].tolist(), strict=True)) for t, g in rows
    }


def single(value: float) -> float:
    return float(np.float32(value))


@pytest.mark.parametrize("question", ["gradients", "checkup", "identity"])
def test_every_number_of_every_site_is_a_point(question: str, tmp_path: Path) -> None:
    record = store.load(saved(question))
    where, says = exported(saved(question), tmp_path / "out")
    assert list(where) == list(record.networks)
    assert says == []
    steps, whole = record.frame(per_step=True), record.frame()
    names = [q for s in record.schemas.values() for q in s.quantities]
    assert names
    for network, path in where.items():
        wanted: Curves = {}
        for frame, at in ((steps, [n for n in names if n in steps]), (whole, names)):
            for row in frame[frame["network"] == network].to_dict("records"):
                for name in at:
                    if (name in steps and frame is whole) or pd.isna(row[name]):
                        continue
                    point = (int(row.get("step", 0)), single(row[name]))
                    wanted.setdefault(f"{row['site']}/{name}", []).append(point)
        assert wanted
        assert accumulated(path) == wanted
        assert {t: sorted(p) for t, p in logged(path).items()} == wanted


def test_a_training_s_run_has_epochs(tmp_path: Path) -> None:
    record = store.load(saved("train"))
    (path,) = exported(saved("train"), tmp_path / "out")[0].values()
    found, curves = logged(path), record.table("curves")
    for name in ("train_loss", "test_top1", "learning_rate"):
        points = zip(curves["epoch"], curves[name], strict=True)
        assert found[name] == [(int(e), single(v)) for e, v in points]
    layers = record.table("layers_by_epoch")
    for site, rows in layers.groupby("site"):
        points = zip(rows["epoch"], rows["firing_rate"], strict=True)
        assert found[f"{site}/firing_rate"] == [(int(e), single(v)) for e, v in points]
    blocks = record.table("by_epoch").query("block == 0")
    points = zip(blocks["epoch"], blocks["firing_rate_output"], strict=True)
    assert found["block0/firing_rate_output"] == [(int(e), single(v)) for e, v in points]
    assert not any(name.split("/")[-1] in tensorboard.PLACES for name in found)


def training() -> Path:
    """The folder that the small training left."""
    record = made("train")
    (facts,) = record.networks.values()
    return Path(record.provenance["parameters"]["points"]) / facts["folder"]


def test_a_training_folder_has_every_recorded_epoch(tmp_path: Path) -> None:
    folder = training()
    (path,) = exported(folder, tmp_path / "out")[0].values()
    found = logged(path)
    assert [e for e, _ in found["sn1/firing_rate"]] == [0, 1, 2]
    for epoch, where in folders.recorded(folder).items():
        frame = store.load(where).frame().set_index("site")
        for site in frame.index:
            for name in ("firing_rate", "gradient_norm"):
                points = dict(found.get(f"{site}/{name}", []))
                wanted = frame.loc[site, name]
                assert (pd.isna(wanted) and epoch not in points) or points[epoch] == single(wanted)
    metrics = folders.metrics(folder)
    assert found["test_loss"] == [
        (int(e), single(v)) for e, v in zip(metrics["epoch"], metrics["test_loss"], strict=True)
    ]
    assert "seconds" not in found  # the same training gives the same bytes


# --- one record by hand --------------------------------------------------------------------------


def by_hand(values: dict[str, list[float]], network: str = "net", unit: str = "u") -> Record:
    """A Record whose quantity `q` has these numbers per step at each site."""
    rows = [
        {"network": network, "site": site, "step": step, "total": value, "count": 1.0}
        for site, own in values.items()
        for step, value in enumerate(own)
    ]
    schema = Schema(
        columns={"total": Column(), "count": Column()},
        quantities={"q": Quantity("ratio", ("total", "count"), unit)},
    )
    sites = empty().sites.reindex(range(len(values)))
    sites["network"], sites["site"] = network, list(values)
    return replace(
        empty(), sites=sites, tables={"mine": pd.DataFrame(rows)}, schemas={"mine": schema},
        networks={network: {}}, provenance={"started": "2026-01-02T03:04:05+00:00"},
    )  # fmt: skip


@pytest.mark.parametrize("name", hostile.NAMES)
def test_any_name_is_a_tag_and_no_path(name: str, tmp_path: Path) -> None:
    run = store.save(by_hand({name: [0.5, 0.25]}, network=name), tmp_path / "run")
    (path,) = exported(run, tmp_path / "out")[0].values()
    assert logged(path) == {f"{name}/q": [(0, 0.5), (1, 0.25)]}
    assert accumulated(path) == logged(path)
    assert path.parent.parent == tmp_path / "out"
    assert len(path.parent.name) <= 100


@pytest.mark.parametrize("name", ["..", ".", "a/b", "../../x", ""])
def test_a_network_s_folder_lies_inside(name: str, tmp_path: Path) -> None:
    run = store.save(by_hand({"s": [0.5]}, network=name), tmp_path / "run")
    (path,) = exported(run, tmp_path / "out")[0].values()
    assert path.resolve().parent.parent == (tmp_path / "out").resolve()
    assert not path.parent.name.startswith(".")


def test_names_that_look_alike_keep_apart() -> None:
    assert tensorboard._folders(["a b", "a_b", "a?b", "c"]) == {
        "a b": "a_b", "a_b": "a_b_2", "a?b": "a_b_3", "c": "c"
    }  # fmt: skip


def test_what_float32_cannot_hold_is_said(tmp_path: Path) -> None:
    values = [1e-46, 2e-39, 0.0, 1e39, np.inf, np.nan, 1.0]
    run = store.save(by_hand({"s": values}), tmp_path / "run")
    where, says = exported(run, tmp_path / "out")
    assert says == [
        "2 numbers below 1.2e-38: an event file holds float32",
        "1 number too large for an event file, shown as infinite",
    ]
    points = dict(logged(where["net"])["s/q"])
    assert points == {
        0: 0.0, 1: single(2e-39), 2: 0.0, 3: np.inf, 4: np.inf, 6: 1.0  # NaN at 5 is no number
    }  # fmt: skip


def test_the_file_s_name_and_times_are_those_of_the_run(tmp_path: Path) -> None:
    run = store.save(by_hand({"s": [0.5]}), tmp_path / "run")
    (path,) = exported(run, tmp_path / "out")[0].values()
    assert path.name == "events.out.tfevents.1767323045.snnlens"
    assert set(events.read(path).scalars["wall_time"]) == {1767323045.0}
    assert tensorboard._seconds(None) == tensorboard._seconds("yesterday") == 0
    assert tensorboard._seconds("1970-01-01T00:00:07") == 7


def test_a_unit_is_the_description_of_its_chart() -> None:
    from tensorboard.compat.proto.event_pb2 import Event

    data = written([Scalar("a", 0, 1.0, "spikes"), Scalar("a", 1, 1.0, "spikes")], 0)
    values, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 8], "little")
        values += Event.FromString(data[at + 12 : at + 12 + size]).summary.value
        at += size + 16
    assert [v.metadata.summary_description for v in values] == ["unit: spikes", ""]


def test_the_framing_is_that_of_tensorflow(tmp_path: Path) -> None:
    """Lengths and masked checksums, counted by hand: CRC32C, polynomial 0x82F63B78."""

    def checksum(data: bytes) -> int:
        crc = 0xFFFFFFFF
        for byte in data:
            crc ^= byte
            for _ in range(8):
                crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
        crc ^= 0xFFFFFFFF
        return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF

    path = tmp_path / file_name(0)
    path.write_bytes(written([Scalar("a", i, i / 4) for i in range(3)], 0))
    data, bounds = path.read_bytes(), logfiles.bounds(path)
    assert bounds[-1] == len(data)
    assert len(bounds) == 5  # the version, three steps, the end
    for first, after in itertools.pairwise(bounds):
        frame = data[first:after]
        assert int.from_bytes(frame[8:12], "little") == checksum(frame[:8])
        assert int.from_bytes(frame[-4:], "little") == checksum(frame[12:-4])


# --- what it refuses -------------------------------------------------------------------------


def test_a_run_without_sites_is_one_line(tmp_path: Path) -> None:
    run = store.save(empty(), tmp_path / "run")
    with pytest.raises(InputError, match="RUN must be one that recorded sites; got"):
        tensorboard.export(str(run), Options())


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)

    def gone(name: str, *_: Any) -> Any:
        raise ModuleNotFoundError(name=name.partition(".")[0])

    monkeypatch.setattr("snnlens.data.logs.events.import_module", gone)
    with pytest.raises(InputError) as caught:
        written([], 0)
    assert str(caught.value) == (
        "an export to TensorBoard needs a package that must be installed; got 'tensorboard'; "
        "pip install 'snnlens[logs]'"
    )
