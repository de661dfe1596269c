"""The table and the statistic of `degradation`: by hand-made trainings, by the published logs."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from snnlens import api
from snnlens.analysis import degradation
from snnlens.analysis._published import TABLES, printed
from snnlens.checks import examine
from snnlens.errors import InputError
from snnlens.experiments._published import record as of_logs
from snnlens.recording import store
from snnlens.recording.result import Result
from tests.unit.analysis.trainings import Run, curve, papers, record, sweep, three_seeds

FIRST = [
    "network", "residual", "connect", "depth", "epochs", "top1_max", "top1_max_epoch",
    "top1_final", "top5_max", "top5_max_epoch", "top5_final", "published_top1", "published_top5",
]  # fmt: skip


def row(run: Run, changed: pd.DataFrame | None = None) -> pd.Series:
    """The result's row of one run; `changed` instead of its curves."""
    made = record(run)
    if changed is not None:
        made.tables["curves"] = changed
    return degradation.compute(made).table.iloc[0]


# --- one row per run ---------------------------------------------------------------------------


def test_columns_and_types() -> None:
    table = degradation.compute(three_seeds()).table
    assert list(table.columns[:13]) == FIRST
    assert len(table) == 24
    assert list(table["network"].iloc[[0, -1]]) == ["sew-add-8-s0", "spiking-56-s2"]
    whole = ["depth", "epochs", "top1_max_epoch", "top5_max_epoch", "seed", "classes"]
    assert set(table[whole].dtypes.astype(str)) == {"Int64"}


def test_the_last_and_the_best_epoch() -> None:
    run = Run(loss=0.5)
    curves = curve(run).iloc[:4].copy()
    curves["epoch"] = [0, 1, 5, 6]  # as logged, with a gap
    curves["train_loss"] = [2.0, 0.5, 0.5, 1.0]
    curves["test_top1"] = [10.0, 30.0, 30.0, 20.0]
    curves["test_top5"] = [50.0, 60.0, 80.0, np.nan]
    found = row(run, curves.sample(frac=1, random_state=0))  # whatever the order of the rows
    numbers = found[["epochs", "top1_max", "top1_max_epoch", "top1_final", "top5_max",
                     "top5_max_epoch", "top5_final", "top5_at_top1_max"]]  # fmt: skip
    assert list(numbers) == [4, 30.0, 1, 20.0, 80.0, 5, 80.0, 60.0]  # the first of equal maxima
    losses = found[["train_loss_final", "train_loss_min", "train_loss_min_epoch"]]
    assert list(losses) == [1.0, 0.5, 1]
    assert found["train_loss_last20"] == 1.0
    assert found["train_top1_final"] == curves["train_top1"].iloc[3]


def test_the_mean_of_the_last_twenty_epochs() -> None:
    run = Run(epochs=50)
    losses = curve(run)["train_loss"].to_numpy()
    assert row(run)["train_loss_last20"] == pytest.approx(sum(losses[30:]) / 20, rel=1e-14)


def test_curves_that_were_not_logged() -> None:
    run = Run()
    curves = curve(run).assign(test_top5=np.nan, train_loss=np.nan)
    found = row(run, curves)
    assert found[["top5_max", "top5_final", "train_loss_final", "train_loss_min"]].isna().all()
    assert found[["top5_max_epoch", "train_loss_min_epoch"]].isna().all()
    assert not found["at_chance"]


def test_a_training_that_has_not_begun() -> None:
    found = row(Run(logged=0, state="waiting"))
    assert found["epochs"] == 0
    assert not found["complete"]
    assert found[["top1_max", "top1_max_epoch", "train_loss_final"]].isna().all()


@pytest.mark.parametrize(
    ("state", "logged", "planned", "complete"),
    [("done", 20, 20, True), ("running", 20, 20, False), ("failed", 7, 20, False),
     (None, 20, 20, True), (None, 19, 20, False), (None, 3, None, True)],
)  # fmt: skip
def test_complete(state: str | None, logged: int, planned: int | None, complete: bool) -> None:
    """A sweep says it; of a log the epochs that were planned do, where they are known."""
    run = Run(state=state, logged=logged, facts={"epochs": planned})
    assert bool(row(run)["complete"]) is complete


@pytest.mark.parametrize(
    ("loss", "classes", "chance"),
    [(2.29, 10, True), (2.2, 10, False), (6.9, 1000, True), (2.3, 1000, False), (2.3, None, False)],
)
def test_at_chance(loss: float, classes: int | None, chance: bool) -> None:
    assert bool(row(Run(loss=loss, facts={"classes": classes}))["at_chance"]) is chance


# --- what the paper printed --------------------------------------------------------------------

LOG = {"rule": "published logs", "dataset": "ImageNet", "time_steps": 4, "origin": "published logs"}


def test_twenty_two_printed_numbers() -> None:
    numbers = [n for p in TABLES.values() for n in (p.top1, p.top5) if not math.isnan(n)]
    assert len(numbers) == 22
    assert [p.table for p in TABLES.values()] == [*["Table 2"] * 10, "Table 4", "Table 6"]


@pytest.mark.parametrize(
    "changed",
    [{"rule": "released code"}, {"rule": "--pattern"}, {"rule": None}, {"dataset": "digits"},
     {"time_steps": 6}, {"connect": "iand"}, {"depth": 20}],
)  # fmt: skip
def test_other_trainings_are_not_the_papers(changed: dict[str, object]) -> None:
    facts = LOG | {"residual": "sew", "connect": "add", "depth": 34}
    assert (printed(facts).top1, printed(facts).top5) == (67.04, 87.25)
    assert math.isnan(printed(facts | changed).top1)


def test_the_printed_numbers_are_in_the_table() -> None:
    found = row(Run(depth=34, facts=LOG))
    assert (found["published_top1"], found["published_top5"]) == (67.04, 87.25)
    own = row(Run(depth=34, facts={"dataset": "ImageNet", "time_steps": 4}))
    assert own[["published_top1", "published_top5"]].isna().all()


# --- the statistic -----------------------------------------------------------------------------


def test_statistic_of_three_seeds() -> None:
    """Each seed a slope, a t-interval over them: linregress and t.interval of scipy."""
    made = three_seeds()
    result = degradation.compute(made)
    statistic = result.extra["statistic"].set_index("kind")
    assert list(statistic.index) == ["sew-add", "spiking"]
    for kind, found in statistic.iterrows():
        runs = result.table[result.table["kind"] == kind]
        slopes = [
            stats.linregress(np.log2(r["depth"].to_numpy(float)), r["train_loss_final"]).slope
            for _, r in runs.groupby("seed")
        ]
        low, high = stats.t.interval(0.95, 2, loc=np.mean(slopes), scale=stats.sem(slopes))
        assert found[["slope", "low", "high"]].tolist() == pytest.approx(
            [np.mean(slopes), low, high], rel=1e-9
        )  # fmt: skip
    assert list(statistic["seeds"]) == [3, 3]
    assert list(statistic["depths"]) == [4, 4]
    assert list(statistic["runs"]) == [12, 12]
    assert list(statistic["at_chance"]) == [0, 2]


def test_ten_seeds_take_the_bootstrap() -> None:
    losses = {8: list(np.linspace(0.3, 0.5, 10)), 32: list(np.linspace(0.9, 1.0, 10))}
    result = degradation.compute(record(*sweep({"spiking": losses})))
    again = degradation.compute(record(*sweep({"spiking": losses})))
    (found,) = result.extra["statistic"].to_dict("records")
    assert found["method"] == "bootstrap over 10 seeds"
    assert found["low"] < found["slope"] < found["high"]
    pd.testing.assert_frame_equal(result.extra["statistic"], again.extra["statistic"])


def test_runs_that_did_not_end_are_in_no_slope() -> None:
    runs = sweep({"spiking": {8: [0.4, 0.4], 32: [0.8, 0.8]}})
    broken = Run("spiking", None, 32, 1, 99.0, logged=4, state="failed", name=runs[3].name)
    result = degradation.compute(record(*runs[:3], broken))
    (found,) = result.extra["statistic"].to_dict("records")
    assert (found["slope"], found["seeds"]) == (pytest.approx(0.2, rel=1e-12), 1)
    assert (found["runs"], found["left_out"]) == (2, 2)  # its seed has no slope
    assert result.table["complete"].tolist() == [True, True, True, False]
    assert "1 of 4 runs did not end: in no mean and no slope" in result.caption


def test_points_that_have_no_epoch_yet_are_counted() -> None:
    """They are no network of the record, only rows of its table of points."""
    made = three_seeds()
    waiting = pd.DataFrame([{"network": "sew-add-110-s0", "state": "waiting"}])
    made.tables["points"] = pd.concat([made.tables["points"], waiting], ignore_index=True)
    result = degradation.compute(made)
    assert len(result.table) == 24
    assert result.caption.endswith("; 1 of 25 runs did not end: in no mean and no slope.")


@pytest.mark.parametrize(
    ("fact", "values", "names"),
    [
        ("time_steps", (4, 8), ["sew-add, T = 4", "sew-add, T = 8"]),
        ("layout", ("cifar", "imagenet"), ["sew-add, cifar layout", "sew-add, imagenet layout"]),
        ("classes", (10, 11), ["sew-add, 10 classes", "sew-add, 11 classes"]),
    ],
)
def test_runs_that_differ_in_more_than_depth_and_seed_are_two_kinds(
    fact: str, values: tuple[object, object], names: list[str]
) -> None:
    """Flat each, at two levels and other depths: together they would fall."""
    runs = [
        Run(depth=depth, loss=loss, facts={fact: value}, name=f"{value}-{depth}")
        for value, loss, depths in ((values[0], 1.0, (8, 20)), (values[1], 0.2, (32, 56)))
        for depth in depths
    ]
    found = degradation.compute(record(*runs)).extra["statistic"]
    assert found["kind"].tolist() == names
    assert found["slope"].tolist() == pytest.approx([0.0, 0.0], abs=1e-12)


def test_kinds_that_differ_in_zero_init_or_data_are_apart() -> None:
    losses = {"spiking": {8: [0.4], 32: [0.8]}}
    runs = []
    for at, facts in enumerate(({"zero_init": True}, {"zero_init": False}, {"zero_init": None})):
        runs += [
            Run(r.residual, None, r.depth, 0, r.loss + at, facts=facts, name=f"{r.name}-{at}")
            for r in sweep(losses)
        ]
    result = degradation.compute(record(*runs))
    kinds = ["spiking-zero", "spiking", "spiking (zero-init not known)"]
    assert list(result.extra["statistic"]["kind"]) == kinds
    assert list(result.table["kind"]) == [k for k in kinds for _ in range(2)]
    other = [Run(r.residual, None, r.depth, 0, r.loss, facts={"dataset": "noise"},
                 name=r.name + "n")
             for r in sweep(losses)]  # fmt: skip
    result = degradation.compute(record(*sweep(losses), *other))
    kinds = ["spiking, digits (scikit-learn)", "spiking, noise"]
    assert list(result.extra["statistic"]["kind"]) == kinds


def test_one_depth_is_no_kind() -> None:
    result = degradation.compute(record(*sweep({"sew-add": {8: [0.4, 0.5]}})))
    assert result.extra["statistic"].empty
    assert result.table["kind"].isna().all()


# --- the whole result --------------------------------------------------------------------------


def test_caption_of_a_sweep() -> None:
    assert degradation.compute(three_seeds()).caption == (
        "digits (scikit-learn); T = 4; 3 seeds; sew-add: slope -0.039 nats per doubling of the "
        "depth, 95 % -0.043 to -0.036 (t over 3 seeds); spiking: slope +0.572 nats per doubling of "
        "the depth, 95 % +0.346 to +0.797 (t over 3 seeds)."
    )


def test_caption_says_what_was_left_out() -> None:
    facts = {"empty_files": ["a", "b"], "cut_files": ["te/x: record 3, at byte 9 of 12, is cut"]}
    runs = [Run(depth=8, seed=None, state=None, facts=facts), Run(depth=16, seed=None, state=None)]
    skipped = pd.DataFrame({"run": ["base"], "why": ["its name fits no rule"]})
    result = degradation.compute(record(*runs, skipped=skipped))
    assert result.caption.endswith(
        "; one run of each network; sew-add: slope +0.000 nats per doubling of the depth (one "
        "seed: no interval); 2 event files hold no scalar; 1 event file cut or damaged, the first "
        "te/x: record 3, at byte 9 of 12, is cut; 1 run left out."
    )
    pd.testing.assert_frame_equal(result.extra["skipped"], skipped)


def test_further_tables() -> None:
    result = degradation.compute(three_seeds())
    assert list(result.extra) == ["curves", "statistic", "points"]
    pd.testing.assert_frame_equal(result.extra["curves"], three_seeds().tables["curves"])


def test_a_record_without_curves() -> None:
    made = three_seeds()
    del made.tables["curves"]
    with pytest.raises(InputError, match=r"^this record must be one that holds curves; "):
        degradation.compute(made)


def test_every_check_does_not_apply_to_logs() -> None:
    """No network was recorded: no check passes on silence, and none raises."""
    assert {o.outcome for o in examine(record(*papers()))} == {"not applicable"}
    assert not any(o.findings for o in examine(three_seeds()))


def test_saved_and_answered_again(tmp_path: Path) -> None:
    result = api.analyse("degradation", three_seeds())
    api.save(result, tmp_path / "run")
    again = api.analyse("degradation", api.load(tmp_path / "run"))
    pd.testing.assert_frame_equal(again.table, result.table)
    assert again.claims == result.claims
    assert again.caption == result.caption
    for name in ("curves.csv", "statistic.csv", "points.csv", "figure.svg"):
        assert (tmp_path / "run" / name).is_file()
    json.dumps(store.plain(result.as_json()), allow_nan=False)


# --- the published logs ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published(data_root: Path) -> Result:
    return degradation.compute(of_logs(data_root / "logs" / "sew_resnet"))


@pytest.mark.data
def test_table_2_from_the_logs(published: Result) -> None:
    """20 of 20, read off the curves here by max and rounded as printed."""
    curves = published.extra["curves"].groupby("network")
    table = published.table.set_index("network").iloc[:10]
    for column, best in (("published_top1", "test_top1"), ("published_top5", "test_top5")):
        maxima = curves[best].max().loc[list(table.index)]
        assert [f"{v:.2f}" for v in maxima] == [f"{v:.2f}" for v in table[column]]
    assert list(table["published_top1"]) == [
        63.18, 67.04, 67.78, 68.76, 69.26, 62.32, 61.86, 57.66, 31.79, 10.03,
    ]  # fmt: skip
    assert list(table["published_top5"]) == [
        84.53, 87.25, 87.52, 88.25, 88.57, 84.05, 83.69, 80.43, 54.91, 23.57,
    ]  # fmt: skip
    assert list(table["top1_max_epoch"]) == [313, 318, 310, 317, 294, 310, 316, 319, 257, 195]
    assert list(table["top5_max_epoch"]) == [308, 305, 275, 257, 296, 300, 301, 319, 257, 193]


@pytest.mark.data
def test_the_two_event_camera_networks(published: Result) -> None:
    gesture, cifar = (published.table.iloc[i] for i in (10, 11))
    assert gesture["top1_max"] == pytest.approx(100 * 282 / 288, abs=1e-5)  # float32 percent
    assert (gesture["top1_max_epoch"], gesture["published_top1"]) == (89, 97.92)
    assert cifar["top1_max"] == pytest.approx(74.4, abs=1e-5)  # float32 fraction times 100
    assert (cifar["top1_max_epoch"], cifar["published_top1"]) == (41, 74.4)


@pytest.mark.data
def test_the_published_slopes(published: Result) -> None:
    statistic = published.extra["statistic"]
    assert list(statistic["kind"]) == ["sew-add", "spiking"]
    assert list(statistic["method"]) == ["one seed: no interval"] * 2
    x = np.log2([18, 34, 50, 101, 152])
    losses = {"sew-add": [1.6778, 1.3124, 1.1132, 0.9454, 0.8790],
              "spiking": [1.7800, 1.7745, 1.9427, 3.5612, 5.3155]}  # fmt: skip
    for kind, found in zip(statistic["kind"], statistic["slope"], strict=True):
        assert found == pytest.approx(np.polyfit(x, losses[kind], 1)[0], abs=1e-4)  # 4 digits
