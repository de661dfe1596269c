"""What the attribution checks share: names of maps, pairs, medians, and words for many."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from snnlens.checks import _attribution
from snnlens.checks._seen import Seen, networks
from snnlens.recording.record import Record
from tests.unit.attribution_record import Net, change, record


def the(made: Record) -> Seen:
    return networks(made)[0]


def test_maps_are_named_by_method_and_by_place_where_it_has_two() -> None:
    rows = pd.DataFrame({"method": ["b", "a", "b", "a", "c"], "place": ["x", "x", "x", "y", "y"]})
    found = _attribution.named(rows)
    assert found["map"].tolist() == ["b", "a over x", "b", "a over y", "c"]
    assert "map" not in rows


def test_gains() -> None:
    rows = pd.DataFrame({"score": [3.0, 1.0], "baseline": [1.0, 4.0]})
    assert _attribution.gains(rows).tolist() == [2.0, -3.0]


def test_pairs_of_one_kind_that_have_ranks() -> None:
    made = change(record(), "attribution_pairs", {}, rank_correlation=-0.25)
    change(
        made, "attribution_pairs", {"kind": "weights", "method": "ig"}, rank_correlation=math.nan
    )
    found = _attribution.pairs(the(made), "weights")
    assert set(found["kind"]) == {"weights"}
    assert "ig" not in set(found["method"])
    assert set(found["size"]) == {0.25}
    assert _attribution.without_ranks(the(made), "weights", "a net") == ""
    assert _attribution.without_ranks(the(made), "other", "a net") == "no maps of a net were made"
    change(made, "attribution_pairs", {"kind": "weights"}, rank_correlation=math.nan)
    assert _attribution.without_ranks(the(made), "weights", "a net") == (
        "the maps of a net are constant and have no ranks"
    )


def test_medians_in_the_order_of_the_run() -> None:
    rows = pd.DataFrame({"method": list("bbaab"), "map": list("zzyyx"), "x": [5, 1, 2, 4, 3.0]})
    assert list(_attribution.medians(rows, "x").items()) == [("b", 3.0), ("a", 3.0)]
    assert list(_attribution.medians(rows, "x", "map").items()) == [
        ("z", 3.0),
        ("y", 3.0),
        ("x", 3.0),
    ]


def test_also() -> None:
    assert _attribution.also([]) == ""
    assert _attribution.also([("ig", 0.814), ("tsa", 0.7)]) == "; also ig (0.81), tsa (0.70)"
    assert _attribution.also([("ig", 0.814)], ".0%") == "; also ig (81%)"


@pytest.mark.parametrize(("number", "said"), [(0, "0 maps"), (1, "1 map"), (2, "2 maps")])
def test_counted(number: int, said: str) -> None:
    assert _attribution.counted(number, "map") == said


def test_extent() -> None:
    assert _attribution.extent(the(record(Net(samples=1, facts={"time_steps": 4})))) == (
        "N = 1 sample, T = 4"
    )
    assert _attribution.extent(the(record(Net(facts={"time_steps": None})))) == (
        "N = 3 samples, T = unknown"
    )


def test_the_largest_size() -> None:
    assert _attribution.largest(pd.Series([1.0, -3.0, math.nan, 2.0])) == 3
    assert math.isnan(_attribution.largest(pd.Series([math.nan, np.nan])))
    assert math.isnan(_attribution.largest(pd.Series([], dtype=float)))
    assert _attribution.largest(pd.Series([-1], dtype=object)) == 1
