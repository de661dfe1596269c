"""Record: quotients, time steps, several networks. No model is run here."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from snnlens.errors import InputError
from snnlens.recording.record import Column, Quantity, Record, Schema, join, schema_dict
from snnlens.recording.store import load

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


MAPS = Schema(
    ("byte",),
    {"spiked": Column("or", "or"), "seen": Column()},
    {
        "silent": Quantity("silent_share", ("spiked",), "share of neurons"),
        "silent_channels": Quantity("silent_channel_share", ("spiked",), "share of channels"),
        "seen": Quantity("value", ("seen",), "bytes"),
    },
)
HISTOGRAM = Schema(
    ("bin",),
    {"counts": Column()},
    {
        "low": Quantity(
            "share_between", ("counts",), "share", {"bins": (0.0, 0.5, 2), "high": 0.5}
        ),
        "middle": Quantity(
            "share_between", ("counts",), "share", {"bins": (0.0, 0.5, 2), "low": 0.5, "high": 1.0}
        ),
        "rest": Quantity(
            "share_between", ("counts",), "share", {"bins": (0.0, 0.5, 2), "low": 1.0}
        ),
    },
)


def _with_maps(network: str = "net") -> Record:
    """Site a has 12 neurons of 3 positions, b has 4; c was never seen."""
    record = _record(network)
    facts = {"neurons": [12, 4, None], "positions": [3, 1, None]}
    sites = record.sites.assign(**facts).astype(dict.fromkeys(facts, "Int64"))
    maps = pd.DataFrame(
        {
            "network": network,
            "site": ["a", "a", "b"],
            "byte": [0, 1, 0],
            "spiked": [0b11100000, 0b00010000, 0b11010000],
            "seen": [1, 1, 1],
        }
    )
    bins = pd.DataFrame({"network": network, "site": "b", "bin": range(4), "counts": [3, 5, 2, 6]})
    tables = record.tables | {"maps": maps.astype({"spiked": "uint8"}), "bins": bins}
    schemas = record.schemas | {"maps": MAPS, "bins": HISTOGRAM}
    return Record(sites, tables, schemas, record.networks, record.provenance)  # fmt: skip


def test_measures_of_whole_tables_are_made_per_site() -> None:
    frame = _with_maps().frame().set_index("site")
    assert frame.loc[["a", "b"], "silent"].tolist() == [8 / 12, 1 / 4]
    assert frame.loc[["a", "b"], "silent_channels"].tolist() == [2 / 4, 1 / 4]
    assert frame.loc[["a", "b"], "seen"].tolist() == [2, 1]
    assert frame.loc["b", ["low", "middle", "rest"]].tolist() == [8 / 16, 2 / 16, 6 / 16]
    assert frame.loc["a", ["low", "middle", "rest"]].isna().all()
    assert frame.loc["c", ["silent", "silent_channels", "seen", "low"]].isna().all()
    assert frame["rate"].tolist()[:2] == [3 / 8, 9 / 8]


def test_measures_of_whole_tables_have_no_step() -> None:
    made = _with_maps().frame(per_step=True)
    assert not set(made) & {"silent", "silent_channels", "seen", "low"}
    assert made["rate"].tolist() == _record().frame(per_step=True)["rate"].tolist()


def test_a_record_without_steps_has_no_rows_per_step() -> None:
    record = _with_maps()
    for name in ("rates", "norms"):
        del record.tables[name], record.schemas[name]
    frame = record.frame(per_step=True)
    assert list(frame.columns) == [*record.sites.columns, "step"]
    assert frame.empty
    assert len(record.frame()) == 3


def test_whole_tables_of_several_networks_stay_apart() -> None:
    whole = join([_with_maps("x"), _record("y"), _with_maps("z")])
    whole.sites.loc[whole.sites["network"] == "z", "neurons"] = [11, 4, None]
    silent = whole.frame().set_index(["network", "site"])["silent"]
    assert silent[("x", "a")] == 8 / 12
    assert silent[("z", "a")] == 8 / 11
    assert silent[[("y", "a"), ("y", "b")]].isna().all()


def test_neurons_that_are_not_known_or_not_of_one_number_have_no_share() -> None:
    record = _with_maps()
    record.sites["neurons"] = pd.array([17, None, 3], "Int64")  # two bytes hold 9 to 16 neurons
    assert record.frame()["silent"].isna().all()
    older = Record(
        record.sites.drop(columns=["neurons", "positions"]), record.tables, record.schemas,
        record.networks, record.provenance,
    )  # fmt: skip
    assert older.frame()["silent"].isna().all()
    assert older.frame().set_index("site").loc["b", "low"] == 8 / 16  # needs no fact of the site


def test_whole_tables_survive_a_folder(tmp_path: Path) -> None:
    record = _with_maps()
    again = load(record.save(tmp_path / "run"))
    pd.testing.assert_frame_equal(again.frame(), record.frame())
    assert again.schemas["bins"] == HISTOGRAM
    assert again.schemas["maps"] == MAPS


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
    for schema in (RATES, NORMS, GRAMS, WEIGHTS, MAPS, HISTOGRAM):
        assert Schema.from_dict(schema_dict(schema)) == schema


def test_a_schema_of_an_older_run_has_no_constants() -> None:
    saved = schema_dict(RATES)
    for quantity in saved["quantities"].values():
        del quantity["given"]
    assert Schema.from_dict(saved) == RATES
