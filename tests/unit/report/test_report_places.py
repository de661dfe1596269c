"""Which rows lie along the depth, and where a finding lies among them."""

from __future__ import annotations

import pandas as pd
import pytest

from snnlens.recording.record import Record, empty
from snnlens.recording.result import Finding, Result
from snnlens.report import places
from tests.unit import runs

SITES = pd.DataFrame(
    [
        ("a", "stem", "stem", "neuron", 0, None, None),
        ("a", "l1.0.input", "l1.0", "block_input", 1, 0, "downsample"),
        ("a", "l1.0.sn1", "l1.0.sn1", "neuron", 2, 0, "downsample"),
        ("a", "l1.0.conv", "l1.0.conv", "synapse", 3, 0, "downsample"),
        ("a", "l1.0.sn2", "l1.0.sn2", "neuron", 4, 0, "downsample"),
        ("a", "l1.0.output", "l1.0", "block_output", 5, 0, "downsample"),
        ("a", "l1.1.input", "l1.1", "block_input", 6, 1, "identity"),
        ("a", "l1.1.sn1", "l1.1.sn1", "neuron", 7, 1, "identity"),
        ("a-b", "l1.0.input", "l1.0", "block_input", 0, 0, "identity"),
    ],
    columns=["network", "site", "module", "role", "order", "block", "block_kind"],
).astype({"block": "Int64"})
RECORD = Record(SITES, {}, {}, {"a": {}, "a-b": {}}, {})
BLOCKS = pd.DataFrame({"network": ["a", "a", "a-b"], "block": [0, 1, 0]})
LAYERS = pd.DataFrame(
    {
        "network": "a",
        "site": ["stem", "l1.0.sn1", "l1.0.sn2", "l1.1.sn1"],
        "block": pd.array([None, 0, 0, 1], dtype="Int64"),
    }
)


def found(site: str | None, evidence: str = "a: silent") -> Finding:
    return Finding("SNL201", "error", site, evidence, "", "", "")


@pytest.mark.parametrize(
    ("site", "block", "layer"),
    [
        ("l1.0.input", 0, None),
        ("l1.0.sn1", 0, 1),  # its own row
        ("l1.0.conv", 0, 1),  # the last layer up to it, in its block
        ("l1.0.output", 0, 2),
        ("l1.1.sn1", 1, 3),
        ("l1.1", 1, None),  # a module is where its first site is: before every layer of its block
        ("stem", None, 0),
        ("unknown", None, None),
        ("<script>alert(1)</script>", None, None),
        (None, None, None),
    ],
)
def test_the_row_of_a_site(site: str | None, block: int | None, layer: int | None) -> None:
    assert places.row_of(found(site), BLOCKS, RECORD) == block
    assert places.row_of(found(site), LAYERS, RECORD) == layer


def test_the_evidence_names_the_network() -> None:
    assert places.row_of(found("l1.0.input", "a-b: silent"), BLOCKS, RECORD) == 2
    assert places.row_of(found("l1.0.input", "b: silent"), BLOCKS, RECORD) is None
    assert places.network_of(found(None, "no name"), ["x" * 300]) == "x" * 300


def test_every_finding_of_a_real_run_lies_in_the_block_that_its_name_says() -> None:
    result = runs.answered("gradients")
    frame = result.table.reset_index(drop=True)
    for network in result.record.networks:
        for site in ("layer2.0.output", "layer2.0.sn2", "layer2.0.input"):
            row = places.row_of(found(site, f"{network}: x"), frame, result.record)
            assert frame.loc[row, ["network", "block"]].tolist() == [network, 1]


def test_the_places_of_each_kind_of_run() -> None:
    kinds = {"gradients": ("block", True), "rates": ("block", True), "checkup": ("site", True),
             "audit": ("block", False)}  # fmt: skip
    for question, wanted in kinds.items():
        result = runs.answered(question)
        made = places.places(result.table, result, result.record)
        assert made is not None
        assert (made.kind, made.own) == wanted
        assert not made.frame.duplicated(["network", made.kind]).any()


def test_a_block_of_the_record_has_the_record_s_numbers() -> None:
    """Of `audit`, whose table is one of site and quantity."""
    result = runs.answered("audit")
    made = places.places(result.table, result, result.record)
    sites = result.record.frame().set_index("site")
    assert made is not None
    for row in made.frame.itertuples():
        name = f"layer{row.stage}.0"
        assert row.firing_rate_output == sites.loc[f"{name}.output", "firing_rate"]
        assert row.gradient_norm == sites.loc[f"{name}.input", "gradient_norm"]


def test_the_layers_of_a_conversion_are_those_of_one_neuron_at_the_largest_t() -> None:
    rows = [
        {"network": "m", "layer": layer, "neuron": neuron, "view": view, "time_steps": t,
         "rms_total": t}
        for neuron in ("parallel", "sequential") for view in ("accumulated", "local")
        for t in (1, 4) for layer in ("relu1", "relu2")
    ]  # fmt: skip
    table = pd.DataFrame({"network": ["m", "m"], "time_steps": [1, 4]})
    result = Result(
        "conversion", "", table, "", [], [], empty(), extra={"layers": pd.DataFrame(rows)}
    )
    made = places.places(table, result, empty())
    assert made is not None
    assert made.said == "sequential neurons as they ran, T = 4"
    assert made.frame["site"].tolist() == ["relu1", "relu2"]
    assert set(made.frame["view"]) == {"accumulated"}


def test_one_place_alone_has_no_depth() -> None:
    table = pd.DataFrame({"network": ["a", "b"], "block": [0, 0], "firing_rate": [0.1, 0.2]})
    assert places.places(table, None, empty()) is None
    assert places.places(pd.DataFrame({"epoch": [0, 1]}), None, empty()) is None


def test_a_record_of_sites_alone() -> None:
    """A saved Record's own table: its neurons lie along the depth, its weights do not."""
    frame = runs.made("checkup").frame()
    made = places.places(frame, None, runs.made("checkup"))
    assert made is not None
    assert made.own
    assert made.kind == "site"
    assert frame.loc[made.frame.index, "role"].eq("neuron").all()
