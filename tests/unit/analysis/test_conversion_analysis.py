"""The tables of `conversion`: hand-made Records whose answers are on paper, and raw values."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from snnlens import api
from snnlens.analysis import _conversion_tables as tables
from snnlens.analysis import conversion
from snnlens.errors import InputError
from snnlens.recording import store
from snnlens.recording.record import Record
from tests.unit.conversion_record import (
    OFFSETS,
    SOURCES,
    Net,
    change,
    plausible,
    record,
    three_depths,
)

COLUMNS = [
    "network", "kind", "family", "depth", "width", "levels", "seed", "neuron", "time_steps", "top1",
    "points_below_ann", "spikes_per_neuron", "latency_steps", "right", "samples",
]  # fmt: skip


def row(rows: pd.DataFrame, **wanted: object) -> pd.Series:
    """The one row with these values."""
    chosen = np.logical_and.reduce([rows[c] == v for c, v in wanted.items()])
    (found,) = [r for _, r in rows[chosen].iterrows()]
    return found


# --- one row per network, neuron and T ---------------------------------------------------------


def test_columns_and_types() -> None:
    rows = conversion.compute(three_depths()).table
    assert list(rows.columns) == COLUMNS
    assert len(rows) == 9 * (1 + 3 * 4)
    whole = ["depth", "width", "levels", "seed", "time_steps", "latency_steps", "right", "samples"]
    assert set(rows[whole].dtypes.astype(str)) == {"Int64"}


@pytest.mark.parametrize(
    ("neuron", "steps", "top1", "below", "spikes", "latency"),
    [
        ("parallel", 2, 90.0, 5.0, 0.5, 32),  # 16 layers
        ("parallel", 4, 95.0, 0.0, 1.0, 64),
        ("parallel", 8, 96.0, -1.0, 2.0, 128),
        ("calibrated", 4, 94.5, 0.5, 1.0, 64),
        ("sequential", 4, 63.0, 32.0, 1.0, 4),  # (190 - 16 x 16 / 4) / 2
        ("sequential", 8, 79.0, 16.0, 2.0, 8),
    ],
)
def test_numbers_on_paper(
    neuron: str, steps: int, top1: float, below: float, spikes: float, latency: int
) -> None:
    made = record(Net(16, neurons=("parallel", "sequential", "calibrated")))
    found = row(conversion.compute(made).table, neuron=neuron, time_steps=steps)
    numbers = ["top1", "points_below_ann", "spikes_per_neuron", "latency_steps"]
    assert found[numbers].tolist() == [top1, below, spikes, latency]


def test_an_ann_has_no_spikes_and_no_latency() -> None:
    made = change(record(Net()), "conversion_accuracy", {"neuron": "ann"}, spikes=0.0)
    rows = conversion.compute(made).table
    still = rows[rows["neuron"].isin(["ann", "requantised"])]
    assert len(still) == 5
    assert still[["spikes_per_neuron", "latency_steps"]].isna().all(axis=None)
    assert row(rows, neuron="ann")["time_steps"] == 0


def test_without_a_row_of_the_ann_its_accuracy_is_a_fact() -> None:
    made = record(Net())
    accuracy = made.tables["conversion_accuracy"]
    made.tables["conversion_accuracy"] = accuracy[accuracy["neuron"] != "ann"]
    assert row(conversion.compute(made).table, neuron="sequential", time_steps=4)[
        "points_below_ann"
    ] == pytest.approx(8.0, abs=1e-12)


def test_auxiliary_networks_are_not_rows() -> None:
    made = record(Net(4), Net(8, facts={"auxiliary": True}))
    result = conversion.compute(made)
    names = {"mlp-4x10-s0"}
    assert set(result.table["network"]) == names
    assert set(result.extra["layers"]["network"]) == names


def test_a_record_without_accuracies() -> None:
    made = record(Net())
    del made.tables["conversion_accuracy"]
    with pytest.raises(InputError, match=r"^this record must be one that holds conversion_accura"):
        conversion.compute(made)


# --- layers ------------------------------------------------------------------------------------


def test_the_layers_on_paper() -> None:
    layers = conversion.compute(record(Net())).extra["layers"]
    assert len(layers) == 2 * 4 * 2 * 4
    found = row(layers, neuron="sequential", time_steps=4, view="accumulated", order=1)
    sizes = [f"rms_{s}" for s in (*SOURCES, "total")]
    assert found[sizes].tolist() == pytest.approx([0.03, 0, 0, 0.04, 0.05], rel=1e-12)
    shares = ["differs_share", "uneven_share", "saturated_share", "residual_more_share",
              "residual_less_share"]  # fmt: skip
    assert found[shares].tolist() == [0.06, 0.06, 0.02, 0.05, 0.01]
    assert found[[f"offset_{o}" for o in OFFSETS]].tolist() == [0, 0, 0.01, 0.94, 0.04, 0.01, 0]
    assert found["mean_error"] == pytest.approx(0.002, rel=1e-12)
    assert found["correlation"] == pytest.approx(0.9, rel=1e-12)
    assert found[["dead_channels", "channels", "threshold"]].tolist() == [1, 10, 1.1]


def test_a_layer_of_parallel_neurons_at_its_level_has_no_error() -> None:
    layers = conversion.compute(record(Net())).extra["layers"]
    at = layers[(layers["neuron"] == "parallel") & (layers["time_steps"] == 4)]
    assert (at[[f"rms_{s}" for s in (*SOURCES, "total")]] == 0).all(axis=None)
    assert at["correlation"].tolist() == pytest.approx([1.0] * 8, abs=1e-12)


def raw(seed: int, values: int = 500) -> dict[str, np.ndarray]:
    """One layer's values: activations, rates, the four errors between them, counts, offsets."""
    generator = np.random.default_rng(seed)
    errors = {s: generator.normal(0.01 * i, 0.05, values) for i, s in enumerate(SOURCES)}
    activation = np.maximum(generator.normal(0.1, 0.4, values), 0)
    offset = generator.choice(np.arange(-5, 6), values, p=[0.02] * 5 + [0.8] + [0.02] * 5)
    return errors | {"total": sum(errors.values()), "activation": activation,
                     "rate": activation + sum(errors.values()), "offset": offset}  # fmt: skip


def of_raw(values: dict[str, np.ndarray]) -> Record:
    """The Record of one layer with these values."""
    made = record(Net(1, neurons=("sequential",), time_steps=(4,)))
    sums: dict[str, float] = {"values": len(values["rate"])}
    for name in (*SOURCES, "total", "activation", "rate"):
        sums |= {f"{name}_sum": values[name].sum(), f"{name}_squares": (values[name] ** 2).sum()}
    sums["activation_rate"] = float(values["activation"] @ values["rate"])
    beyond = np.clip(values["offset"], -3, 3)
    sums |= {f"offset_{o}": int((beyond == int(o.replace("m", "-"))).sum()) for o in OFFSETS}
    return change(made, "conversion_layers", {"view": "accumulated"}, **sums)


@pytest.mark.parametrize("seed", range(3))
def test_layers_of_raw_values(seed: int) -> None:
    """The second way: numpy and scipy on the values themselves."""
    values = raw(seed)
    found = row(conversion.compute(of_raw(values)).extra["layers"], view="accumulated")
    for name in (*SOURCES, "total"):
        wanted = math.sqrt(np.mean(values[name] ** 2))
        assert found[f"rms_{name}"] == pytest.approx(wanted, rel=1e-12)
    assert found["mean_error"] == pytest.approx(np.mean(values["rate"] - values["activation"]))
    pearson = stats.pearsonr(values["activation"], values["rate"]).statistic
    assert found["correlation"] == pytest.approx(pearson, rel=1e-10)  # sums cancel two digits
    assert found["offset_m3"] == np.mean(values["offset"] <= -3)
    assert found["offset_1"] == np.mean(values["offset"] == 1)


def test_seeds_of_a_kind_are_pooled_by_their_values() -> None:
    """Two networks with 200 and 600 values: as one with 800."""
    made = record(Net(1, time_steps=(4,)), Net(1, seed=1, time_steps=(4,)))
    for seed, (n, size) in enumerate(((200, 0.3), (600, 0.1))):
        change(made, "conversion_layers", {"network": f"mlp-1x10-s{seed}"}, values=n,
               total_squares=n * size**2, saturated=n // 10 * (seed + 1), offset_1=20 + seed,
               offset_0=n - 20 - seed)  # fmt: skip
    extra = conversion.compute(made).extra
    found = row(extra["layers_by_kind"], neuron="sequential", view="accumulated")
    assert found["rms_total"] == pytest.approx(math.sqrt((200 * 0.09 + 600 * 0.01) / 800))
    assert found["saturated_share"] == pytest.approx((20 + 120) / 800)
    assert (found["networks"], found["values"]) == (2, 800)
    one = row(extra["offsets"], neuron="sequential", view="accumulated", offset=1)
    assert one["share"] == pytest.approx(41 / 800)


def test_offsets_are_shares_of_all_layers() -> None:
    offsets = conversion.compute(record(Net(4))).extra["offsets"]
    keys = ["kind", "neuron", "time_steps", "view"]
    assert offsets.groupby(keys)["share"].sum().tolist() == pytest.approx([1.0] * 16)
    own = offsets[(offsets["neuron"] == "sequential") & (offsets["time_steps"] == 8)
                  & (offsets["view"] == "local")].set_index("offset")["share"]  # fmt: skip
    wanted = {-3: 0, -2: 0, -1: 0.01, 0: 0.94, 1: 0.04, 2: 0.01, 3: 0}  # of 3 layers of 4
    for offset, share in wanted.items():
        exact = 0.25 if offset == 0 else 0
        assert own[offset] == pytest.approx(0.75 * share + exact, abs=1e-12)


# --- kinds and their summary -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("net", "kind"),
    [
        (Net(16), "mlp 16 x 10, L = 4"),
        (Net(16, residual=True), "mlp 16 x 10 residual, L = 4"),
        (Net(8, levels=None), "mlp 8 x 10, ReLU"),
        (Net(20, family="resnet20", residual=True, facts={"width": None}), "resnet20, L = 4"),
        (Net(16, family="vgg", facts={"width": None}), "vgg, 16 layers, L = 4"),
        (Net(family="mypackage.model:build", facts={"width": None, "depth": None}),
         "mypackage.model:build, L = 4"),
    ],
)  # fmt: skip
def test_the_name_of_a_kind(net: Net, kind: str) -> None:
    assert conversion.compute(record(net)).table["kind"].unique().tolist() == [kind]


def test_what_kinds_differ_in_is_in_their_names() -> None:
    facts = [{}, {"thresholds": "quantile 0.999"}, {"dataset": "mnist"}]
    made = record(*(Net(levels=None, facts=f, name=f"n{i}") for i, f in enumerate(facts)))
    kinds = conversion.compute(made).table["kind"].unique().tolist()
    assert kinds == [
        "mlp 4 x 10, ReLU, thresholds max, digits",
        "mlp 4 x 10, ReLU, thresholds quantile 0.999, digits",
        "mlp 4 x 10, ReLU, thresholds max, mnist",
    ]


def test_summary_over_seeds() -> None:
    summary = conversion.compute(three_depths()).extra["summary"]
    assert len(summary) == 3 * (1 + 3 * 4)
    found = row(summary, kind="mlp 8 x 10, L = 4", neuron="sequential", time_steps=4)
    numbers = ["seeds", "top1_mean", "top1_min", "top1_max", "points_below_ann"]
    assert found[numbers].tolist() == [3, 77.0, 75.0, 79.0, 17.0]  # 79, 77, 75 of 95, 94, 93


def test_the_smallest_steps_within_a_point() -> None:
    """Parallel 5 points below at T = 2 and 0 at T = 4; sequential 8 layers never, ReLU never."""
    made = record(Net(8, time_steps=(1, 2, 4, 8, 16, 32, 64)), Net(8, levels=None, name="relu"))
    near = conversion.compute(made).extra["summary"].drop_duplicates(["kind", "neuron"])
    near = near.set_index(["kind", "neuron"])["smallest_steps_within_1_point"]
    assert near["mlp 8 x 10, L = 4", "parallel"] == 4
    assert near["mlp 8 x 10, L = 4", "sequential"] == 64  # 128 / 64 right ones: 1 point
    assert pd.isna(near["mlp 8 x 10, L = 4", "ann"])
    assert pd.isna(near["mlp 8 x 10, ReLU", "sequential"])


# --- further tables ----------------------------------------------------------------------------


def test_further_tables() -> None:
    made = record(Net(residual=True))
    result = conversion.compute(made)
    assert list(result.extra) == [
        "summary", "layers", "layers_by_kind", "offsets", "paths", "coverage", "pairs",
        "expectation", "unevenness", "unevenness_slopes", "published",
    ]  # fmt: skip
    coverage = made.tables["conversion_coverage"]
    pd.testing.assert_frame_equal(result.extra["coverage"], coverage)


def test_tables_that_a_record_lacks_are_left_out() -> None:
    made = record(Net(), trials=False)
    for name in ("conversion_layers", "conversion_pairs", "conversion_coverage"):
        del made.tables[name]
    result = conversion.compute(made)
    assert list(result.extra) == ["summary", "published"]
    assert [c.verdict for c in result.claims] == ["not-testable"] * 7


def test_an_empty_table_is_left_out() -> None:
    made = record(Net())
    made.tables["conversion_coverage"] = made.tables["conversion_coverage"].iloc[:0]
    assert "coverage" not in conversion.compute(made).extra


def test_paths() -> None:
    paths = conversion.compute(record(Net(residual=True))).extra["paths"]
    assert len(paths) == 2 * 4 * 2
    main, short = (row(paths, neuron="parallel", time_steps=2, path=p)
                   for p in ("main", "shortcut"))  # fmt: skip
    assert main[["rms_error", "rms_signal", "relative_error"]].tolist() == pytest.approx(
        [0.4, 2.0, 0.2]
    )
    assert short["relative_error"] == pytest.approx(0.1)


def test_expectation_has_its_closed_form() -> None:
    found = conversion.compute(record(Net())).extra["expectation"]
    uniform = found[found["inputs"] == "uniform"]
    assert (uniform["error"] - uniform["closed_form"]).abs().max() == 0
    assert found.loc[found["inputs"] != "uniform", "closed_form"].isna().all()


def test_slopes_use_T_from_8_on() -> None:
    trials = record(Net()).tables["conversion_unevenness"]
    trials.loc[trials["time_steps"] < 8, "rmse"] = 7.0
    found = tables.slopes(trials).set_index("inputs")
    assert found["exponent"].tolist() == pytest.approx([-1, -0.7, 0, 0], abs=1e-12)
    assert found["expected"].tolist() == [-1, -0.7, 0, 0]
    assert set(found["points"]) == {6}
    assert found.loc["late", ["from_steps", "to_steps"]].tolist() == [8, 256]


def test_pairs_of_one_network_at_two_steps_once_each() -> None:
    """The deepest kind's first network; 25 values of three layers, by two neurons."""
    result = conversion.compute(three_depths(time_steps=(1, 2, 4, 8, 16, 32, 64)))
    pairs = result.extra["pairs"]
    assert set(pairs["network"]) == {"mlp-16x10-s0"}
    assert sorted(pairs["time_steps"].unique()) == [4, 32]
    groups = pairs.groupby(["order", "neuron", "time_steps"])["pairs"].sum()
    assert groups.to_dict() == {
        (o, n, t): 25 for o in (0, 8, 15) for n in ("parallel", "sequential") for t in (4, 32)
    }  # fmt: skip
    raised = row(pairs, order=8, neuron="sequential", time_steps=4, activation=0.25, rate=0.5)
    assert raised["pairs"] == 3
    assert not pairs.drop(columns="pairs").duplicated().any()


def test_activations_of_relu_are_rounded_to_a_hundredth() -> None:
    made = record(Net(levels=None))  # sixteenths: .0625 is .06
    pairs = conversion.compute(made).extra["pairs"]
    recorded = made.tables["conversion_pairs"]["activation"]
    assert pairs["activation"].isin(np.round(recorded, 2)).all()
    exact = conversion.compute(record(Net(levels=8))).extra["pairs"]
    assert (exact["activation"] * 8 % 1 == 0).all()


# --- the whole result --------------------------------------------------------------------------


def test_caption() -> None:
    assert conversion.compute(three_depths()).caption == (
        "digits (scikit-learn), 200 test images; mlp, 4, 8, 16 layers of 10; QCFS with L = 4 "
        "levels; T = 1, 2, 4, 8; 3 seeds; n = 200 samples; float64; thresholds: learned; "
        "calibration: none; BatchNorm folded."
    )


def test_caption_of_a_network_that_was_not_trained_for_it() -> None:
    facts = {"family": "resnet20", "depth": 20, "width": None, "pool": "average", "seed": None}
    net = Net(levels=None, residual=True, neurons=("parallel", "calibrated"), facts=facts)
    assert conversion.compute(record(net)).caption == (
        "digits (scikit-learn), 200 test images; resnet20 with residual adds, 20 layers; ReLU; T = "
        "1, 2, 4, 8; n = 200 samples; float64; thresholds: max; calibration: published; BatchNorm "
        "folded; pooling: average."
    )


def test_notes_say_what_is_honest_about_latency() -> None:
    notes = conversion.compute(record(Net())).notes
    assert [n.partition(":")[0] for n in notes] == ["Shown", "Good", "Bad", "What to do"]
    assert "read out at t = T only" in notes[0]
    assert "layers x T steps" in notes[1]
    assert "T = 1" in notes[2]


def test_saved_and_answered_again(tmp_path: Path) -> None:
    made = record(Net(residual=True), Net(2, levels=None))
    result = api.analyse("conversion", plausible(made, np.random.default_rng(0)))
    api.save(result, tmp_path / "run")
    again = api.analyse("conversion", api.load(tmp_path / "run"))
    pd.testing.assert_frame_equal(again.table, result.table)
    assert again.claims == result.claims
    for name, extra in result.extra.items():
        pd.testing.assert_frame_equal(again.extra[name], extra)
        assert (tmp_path / "run" / f"{name}.csv").is_file()
    json.dumps(store.plain(result.as_json()), allow_nan=False)


def test_computing_changes_no_record() -> None:
    made, same = record(Net()), record(Net())
    conversion.compute(made).plot()
    for name, wanted in same.tables.items():
        pd.testing.assert_frame_equal(made.tables[name], wanted)


def test_no_torch_is_loaded() -> None:
    code = (
        "import sys\nfrom snnlens.analysis import conversion\n"
        "from tests.unit.conversion_record import Net, record\n"
        "result = conversion.compute(record(Net()))\n"
        "assert 'matplotlib' not in sys.modules\nresult.plot()\n"
        "assert 'torch' not in sys.modules\n"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root,
                          check=False, timeout=120)  # fmt: skip
    assert done.returncode == 0, done.stderr
