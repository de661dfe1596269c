"""Which networks and time steps of `conversion` are shown, and which published accuracies."""

from __future__ import annotations

import pytest

from snnlens.analysis import _conversion_choice as choice
from snnlens.analysis import conversion
from snnlens.analysis._conversion_published import CELLS, table
from tests.unit.conversion_record import Net, record, three_depths

# --- which of many -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "level", "two", "four"),
    [
        ([1, 2, 4, 8, 16, 32, 64], 4, [4, 32], [2, 4, 16, 64]),
        ([1, 2, 4, 8, 16, 32, 64], None, [4, 32], [2, 4, 16, 64]),  # 16 first, then 4
        ([64, 2, 4], 4, [4, 64], [2, 4, 64]),
        ([4, 8, 16, 32], 8, [8, 32], [4, 8, 16, 32]),
        ([1, 2], 4, [2], [1, 2]),
        ([3], None, [3], [3]),
        ([1, 2, 3, 4, 5, 6, 7, 8], 7, [7, 8], [2, 4, 7, 8]),
    ],
)
def test_the_steps_that_are_shown(
    steps: list[int], level: int | None, two: list[int], four: list[int]
) -> None:
    assert choice.pair(steps, level) == two
    assert choice.curves(steps, level) == four


def test_the_deepest_kind_is_shown_in_detail() -> None:
    assert choice.detailed(conversion.compute(three_depths()).table) == "mlp 16 x 10, L = 4"
    unknown = record(Net(facts={"depth": None, "width": None}))
    assert choice.detailed(conversion.compute(unknown).table) == "mlp, L = 4"


# --- published ---------------------------------------------------------------------------------


def test_published_cells_have_a_source_and_are_told_apart() -> None:
    found = table()
    assert len(found) == len(CELLS) == 60
    assert found["source"].str.len().min() > 10
    assert found["top1"].between(0, 100).all()
    assert not found.duplicated(["dataset", "network", "method", "time_steps", "source"]).any()


@pytest.mark.parametrize(
    ("dataset", "network", "method", "steps", "top1"),
    [
        ("CIFAR-10", "VGG-16", "parallel (Hao et al.)", 4, 95.50),
        ("CIFAR-100", "ResNet-20", "QCFS", 8, 55.37),
        ("ImageNet", "ResNet-101", "parallel (Hao et al.), training-free", 64, 77.01),
        ("ImageNet", "ResNet-34", "TBC, training-free", 32, 59.03),
        ("CIFAR-100", "VGG-16", "COS", 1, 74.24),
        ("CIFAR-100", "VGG-16", "no calibration", 16, 2.69),
    ],
)
def test_published_cells(dataset: str, network: str, method: str, steps: int, top1: float) -> None:
    cells = table()
    keys = ["dataset", "network", "method", "time_steps"]
    found = cells[(cells[keys] == [dataset, network, method, steps]).all(axis=1)]
    assert found["top1"].tolist() == [top1]


def test_pre_simulation_is_counted_apart() -> None:
    found = table()
    assert (found.loc[found["method"] == "COS", "steps_before"] > 0).all()
    assert (found.loc[found["method"] != "COS", "steps_before"] == 0).all()


def test_cells_that_are_known_from_memory_alone_are_not_printed() -> None:
    """T-sweeps of the QCFS paper that no source at hand quotes."""
    memory = {19.96, 34.14, 67.33, 69.82, 70.49, 91.18, 94.95, 59.35, 69.37, 73.15, 68.47}
    assert not memory & set(table()["top1"])
