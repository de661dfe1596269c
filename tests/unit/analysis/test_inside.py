"""What was recorded inside trainings: two rows each, by hand, and how they are drawn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from snnlens.analysis import _training_runs, degradation
from snnlens.analysis._inside import COLUMNS, END, START, inside
from tests.unit.analysis import trainings
from tests.unit.analysis.trainings import Run

NORMS = {0: [8.0, 4.0, 2.0], 5: [3.0, 2.0, 1.5]}  # at the blocks' inputs, by recorded epoch
ERRORS = {0: [0.5, np.nan, 0.9], 5: [0.25, np.nan, 0.35]}


def by_epoch(*names: str, epochs: tuple[int, ...] = (0, 5)) -> pd.DataFrame:
    """Three blocks, the second one a downsample block; the rows not in order."""
    rows = [
        {"network": name, "epoch": e, "block": b, "stage": 1, "firing_rate_output": 0.1 * (b + 1),
         "block_kind": "downsample" if b == 1 else "identity", "firing_rate_residual": 0.1,
         "gradient_norm_input": NORMS[e][b], "identity_error_output": ERRORS[e][b]}
        for name in names for e in epochs for b in (2, 0, 1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_two_rows_a_training() -> None:
    runs = [Run(depth=8), Run(depth=20)]
    record = trainings.record(*runs, by_epoch=by_epoch(*(r.name for r in runs)))
    found = inside(record, _training_runs.rows(record))
    assert list(found.columns) == COLUMNS
    assert found["recorded"].tolist() == [START, END] * 2
    assert found["epoch"].tolist() == [0, 5] * 2
    assert found["depth"].tolist() == [8, 8, 20, 20]
    assert found["gradient_ratio"].tolist() == [4.0, 2.0] * 2
    assert found["gradient_first"].tolist() == [8.0, 3.0] * 2
    assert found["gradient_last"].tolist() == [2.0, 1.5] * 2
    assert found["identity_error_mean"].tolist() == pytest.approx([0.7, 0.3] * 2)
    assert found["firing_rate_last"].tolist() == pytest.approx([0.3] * 4)


def test_without_a_record_at_initialisation_there_is_no_start() -> None:
    run = Run(depth=8)
    record = trainings.record(run, by_epoch=by_epoch(run.name, epochs=(5,)))
    assert inside(record, _training_runs.rows(record))["recorded"].tolist() == [END]


def test_a_record_at_initialisation_alone_is_no_end() -> None:
    run = Run(depth=8)
    record = trainings.record(run, by_epoch=by_epoch(run.name, epochs=(0,)))
    assert inside(record, _training_runs.rows(record))["recorded"].tolist() == [START]


def test_a_training_that_did_not_end_is_left_out() -> None:
    run = Run(depth=8, state="failed", logged=6)
    record = trainings.record(run, by_epoch=by_epoch(run.name))
    assert inside(record, _training_runs.rows(record)).empty


def test_nothing_recorded_is_an_empty_table() -> None:
    record = trainings.record(Run(depth=8))
    assert list(inside(record, _training_runs.rows(record)).columns) == COLUMNS
    assert "inside" not in degradation.compute(record).extra


def test_it_is_drawn_against_depth() -> None:
    runs = trainings.sweep({"sew-add": {8: [0.5, 0.4], 20: [0.4, 0.3]},
                            "spiking": {8: [0.5, 0.4], 20: [0.9, 0.8]}})  # fmt: skip
    record = trainings.record(*runs, by_epoch=by_epoch(*(r.name for r in runs)))
    result = degradation.compute(record)
    axes = [a for a in result.plot().axes if a.get_ylabel().startswith("gradient norm")]
    assert len(axes) == 1
    assert axes[0].get_yscale() == "log"
    drawn = {line.get_label(): line for line in axes[0].get_lines()}
    for kind in ("sew-add", "spiking"):
        for words, ratio in ((START, 4.0), (END, 2.0)):
            points = drawn[f"_{words} {kind}"]
            assert list(points.get_xdata()) == [8, 8, 20, 20]
            assert list(points.get_ydata()) == [ratio] * 4
            assert (points.get_markerfacecolor() == "none") == (words == START)
            mean = drawn[f"_mean {words} {kind}"]
            assert list(mean.get_xdata()) == [8, 20]
            assert list(mean.get_ydata()) == [ratio] * 2
