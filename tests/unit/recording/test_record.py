"""Record: quotients, time steps, several networks. No model is run here."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from snnlens.errors import InputError
from snnlens.recording.record import Column, Quantity, Record, Schema, join, schema_dict

RATES = Schema(
    ("step",),
    {"total": Column(), "elements": Column(), "largest": Column("max", "max")},
    {
        "rate": Quantity("ratio", ("total", "elements"), "spikes"),
        "largest": Quantity("value", ("largest",)),
    },
)
NORMS = Schema(
    ("step",),
    {"squares": Column(), "batches": Column("sum", "max")},
    {"norm": Quantity("root_mean", ("squares", "batches"))},
)
GRAMS = Schema(("pattern", "step"), {"gram": Column()})
WEIGHTS = Schema((), {"w": Column()}, {"weight": Quantity("value", ("w",))})


def _record(network: str = "net", **facts: object) -> Record:
    """Sites a, b and c over two steps; c was never seen."""
    sites = pd.DataFrame({"network": network, "site": ["a", "b", "c"], "order": [0, 1, 2]})
    rows = [("a", 0, 2, 4, 1), ("a", 1, 1, 4, 1), ("b", 0, 9, 6, 3), ("b", 1, 0, 2, 0)]
    rates = pd.DataFrame(rows, columns=["site", "step", "total", "elements", "largest"])
    norms = pd.DataFrame({"site": "b", "step": [0, 1], "squares": [9.0, 16.0], "batches": [1, 1]})
    grams = pd.DataFrame({"site": "a", "pattern": [0, 1], "step": 0, "gram": [1.0, 2.0]})
    weights = pd.DataFrame({"site": ["c"], "w": [5.0]})
    tables = {"rates": rates, "norms": norms, "grams": grams, "weights": weights}
    for table in tables.values():
        table.insert(0, "network", network)
    schemas = {"rates": RATES, "norms": NORMS, "grams": GRAMS, "weights": WEIGHTS}
    return Record(sites, tables, schemas, {network: dict(facts)}, {"seed": 0})


def test_frame_has_one_row_a_site() -> None:
    frame = _record().frame()
    assert frame["site"].tolist() == ["a", "b", "c"]
    assert list(frame.columns) == [
        "network", "site", "order", "rate", "largest", "norm", "weight",
    ]  # fmt: skip
    assert frame["rate"].tolist()[:2] == [3 / 8, 9 / 8]
    assert frame["largest"].tolist()[:2] == [1, 3]
    assert frame["norm"].tolist()[1] == 5.0
    assert frame["weight"].tolist()[2] == 5.0
    missing = frame.set_index("site").isna()
    assert missing.loc["c", ["rate", "largest", "norm"]].all()
    assert missing.loc["a", ["norm", "weight"]].all()
    assert missing.to_numpy().sum() == 3 + 2 + 1


def test_frame_per_step() -> None:
    frame = _record().frame(per_step=True)
    assert list(zip(frame["site"], frame["step"], strict=True)) == [
        ("a", 0), ("a", 1), ("b", 0), ("b", 1),
    ]  # fmt: skip
    assert frame["rate"].tolist() == [0.5, 0.25, 1.5, 0.0]
    assert frame["norm"].tolist()[2:] == [3.0, 4.0]
    assert frame["norm"].isna().tolist() == [True, True, False, False]
    assert "weight" not in frame  # has no steps


def test_a_hole_at_one_step_is_a_hole_in_the_whole() -> None:
    """NaN at a step never counts as nothing: the norm of a NaN gradient is no number."""
    record = _record()
    norms, rates = record.tables["norms"], record.tables["rates"]
    norms.loc[1, "squares"] = math.nan
    rates["largest"] = rates["largest"].astype(float)
    rates.loc[0, "largest"] = math.nan
    frame = record.frame().set_index("site")
    assert math.isnan(frame.loc["b", "norm"])
    assert math.isnan(frame.loc["a", "largest"])
    assert frame.loc["b", "largest"] == 3
    assert frame.loc["a", "rate"] == 3 / 8
    assert record.frame(per_step=True)["norm"].tolist()[2] == 3.0
    norms.loc[1, "squares"] = math.inf
    assert record.frame().set_index("site").loc["b", "norm"] == math.inf


def test_no_denominator_is_nan() -> None:
    record = _record()
    record.tables["rates"]["elements"] = 0
    assert record.frame()["rate"].isna().all()


def test_join_keeps_networks_apart() -> None:
    whole = join([_record("x", depth=1), _record("y", depth=2)])
    frame = whole.frame()
    assert frame["network"].tolist() == ["x"] * 3 + ["y"] * 3
    assert whole.networks == {"x": {"depth": 1}, "y": {"depth": 2}}
    assert whole.frame(network="y").equals(_record("y").frame())
    assert whole.frame(network="y", per_step=True).equals(_record("y").frame(per_step=True))
    assert whole.provenance == {"seed": 0}
    assert join([_record("x")], {"seed": 9}).provenance == {"seed": 9}


def test_join_of_unlike_probes() -> None:
    one, other = _record("x"), _record("y")
    del other.tables["norms"], other.schemas["norms"]
    frame = join([one, other]).frame().set_index(["network", "site"])
    assert frame.loc[("x", "b"), "norm"] == 5.0
    assert math.isnan(frame.loc[("y", "b"), "norm"])
    assert frame.loc[("y", "b"), "rate"] == 9 / 8


def test_join_refuses_equal_names() -> None:
    with pytest.raises(InputError) as error:
        join([_record("x"), _record("x")])
    assert str(error.value) == (
        "the networks of one record must be named differently; got ['x', 'x']"
    )


def test_a_table_that_is_not_there() -> None:
    record = _record()
    assert record.table("grams")["gram"].tolist() == [1.0, 2.0]
    with pytest.raises(InputError) as error:
        record.table("output_digest")
    assert str(error.value) == (
        "this record must be one that holds output_digest; got 'without output_digest';"
        ' record it with probes=[..., "output_digest"]'
    )


def test_schema_round_trip() -> None:
    for schema in (RATES, NORMS, GRAMS, WEIGHTS):
        assert Schema.from_dict(schema_dict(schema)) == schema
