"""What is set against what: networks, blocks, sites, rows."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from snnlens.report.compare import compare_results, names, places
from snnlens.report.compare.align import align
from snnlens.report.compare.keys import ROW, chosen
from snnlens.report.compare.read import sides
from tests.unit.report import compare_runs as runs

# By hand: positions 0 and 1 of two blocks are the first and the last of 3, 4, 6, 3.
OF_18_IN_34 = {0: 0, 1: 2, 2: 3, 3: 6, 4: 7, 5: 12, 6: 13, 7: 15}


def layout(depth: int) -> places.Layout:
    return places.layout(runs.sites(depth, "a"), pd.DataFrame())


def test_18_against_34_layers() -> None:
    found = places.blocks(layout(18), layout(34), range(8), range(16))
    assert dict(found.pairs) == OF_18_IN_34
    assert found.staged
    assert found.how == (
        "by stage, a block's position in its stage scaled to 0 (first) and 1 (last), each block of "
        "the shorter stage against the nearest of the longer (stage 1: 2 against 3, stage 2: 2 "
        "against 4, stage 3: 2 against 6, stage 4: 2 against 3 blocks)"
    )


def test_either_may_be_the_deeper_one() -> None:
    found = places.blocks(layout(34), layout(18), range(16), range(8))
    assert {b: a for a, b in found.pairs} == OF_18_IN_34


def test_50_against_152_layers_takes_the_nearest() -> None:
    """4 of 8 blocks: 0, 1/3, 2/3, 1 against k/7 is 0, 2, 5, 7; 6 of 36: 0, 7, 14, 21, 28, 35."""
    found = dict(places.blocks(layout(50), layout(152), range(16), range(50)).pairs)
    assert [found[b] - 3 for b in range(3, 7)] == [0, 2, 5, 7]
    assert [found[b] - 11 for b in range(7, 13)] == [0, 7, 14, 21, 28, 35]


def test_an_only_block_is_the_first() -> None:
    one = places.Layout({1: [0], 2: [1]}, {})
    three = places.Layout({1: [0, 1, 2], 2: [3, 4, 5]}, {})
    assert places.blocks(one, three, [0, 1], range(6)).pairs == [(0, 0), (1, 3)]


def test_no_block_is_taken_twice_where_rows_are_missing() -> None:
    a, b = places.Layout({1: [0, 1, 2]}, {}), places.Layout({1: [0, 1, 2, 3]}, {})
    found = places.blocks(a, b, [1, 2], [3]).pairs
    assert found == [(2, 3)]


def test_stages_that_one_alone_has_are_left_out() -> None:
    a, b = places.Layout({1: [0, 1]}, {}), places.Layout({1: [0], 2: [1]}, {})
    assert places.blocks(a, b, [0, 1], [0, 1]).pairs == [(0, 0)]


def test_blocks_without_stages_lie_in_the_network() -> None:
    a, b = places.Layout({0: [0, 1]}, {}), places.Layout({0: [0, 1, 2]}, {})
    found = places.blocks(a, b, [0, 1], [0, 1, 2])
    assert found.pairs == [(0, 0), (1, 2)]
    assert found.how == (
        "by position in the network, 0 its first block and 1 its last: it has no stages, and 2 "
        "against 3 blocks"
    )


def test_sites_go_with_their_blocks() -> None:
    found = compare_results({"a": runs.layers(18), "b": runs.layers(34)})
    pairs = dict(zip(found.numbers["a_at"], found.numbers["b_at"], strict=True))
    assert pairs["sn1"] == "sn1"
    assert pairs["layer3.1.sn2"] == "layer3.5.sn2"
    assert len(pairs) == 1 + 2 * 8
    alone = found.unaligned["what"].tolist()
    assert len(alone) == 2 * 8
    assert "layer3.2.sn1" in alone
    assert set(found.unaligned["only_in"]) == {"B"}


def test_foreign_sites_by_name_then_by_order() -> None:
    nothing = places.Layout({}, {})
    by_name = places.sites(nothing, nothing, ["lif1", "lif2"], ["lif2", "lif3"])
    assert by_name.pairs == [("lif2", "lif2")]
    assert by_name.how == "by name"
    by_order = places.sites(
        nothing, nothing, ["lif1", "lif2"], ["0.neuron", "1.neuron", "2.neuron"]
    )
    assert by_order.pairs == [("lif1", "0.neuron"), ("lif2", "1.neuron")]
    assert by_order.how == "by order: no name is shared"


def test_sites_of_blocks_with_other_names_go_in_order() -> None:
    a = places.Layout({1: [0]}, {0: "layer1.0"})
    b = places.Layout({1: [0]}, {0: "stage.first"})
    found = places.sites(
        a, b, ["layer1.0.sn1", "layer1.0.sn2"], ["stage.first.lif", "stage.first.x"]
    )
    assert found.pairs == [("layer1.0.sn1", "stage.first.lif"), ("layer1.0.sn2", "stage.first.x")]


def test_what_could_not_be_aligned_is_listed() -> None:
    a, b = runs.layers(18, network="net"), runs.layers(18, network="net")
    found = compare_results({"a": a, "b": replace(b, table=b.table.drop(index=[3, 4]))})
    assert found.unaligned.to_dict("records") == [
        {"table": "result", "run": "B", "only_in": "A", "what": what, "networks": "net"}
        for what in a.table["site"][3:5]
    ]


# --- networks ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "wanted"),
    [("sew-add-20-s3", ("sew-add-20", 3)), ("spiking", ("spiking", -1)), ("a-s", ("a-s", -1)),
     ("-s1", ("-s1", -1)), ("x-s0-s12", ("x-s0", 12))],
)  # fmt: skip
def test_a_name_without_its_seed(network: str, wanted: tuple[str, int]) -> None:
    assert names.split(network) == wanted


def test_a_column_of_seeds() -> None:
    frame = pd.DataFrame({"network": ["a", "a", "b", "b"], "seed": [0, 1, 0, 1]})
    assert names.labelled(frame)[names.SEED].tolist() == [0, 1, 0, 1]
    one = pd.DataFrame({"network": ["a", "a"], "seed": [7, 7]})
    assert names.labelled(one)[names.SEED].tolist() == [names.NO_SEED] * 2


def test_networks_find_each_other() -> None:
    found = names.match({"a": 18, "b": 18}, {"b": 18, "c": 18})
    assert [m[:2] for m in found.found] == [("b", "b")]
    assert (found.only_a, found.only_b) == (["a"], ["c"])
    deeper = names.match({"ms-18-x": 18, "ms-20-x": 20}, {"ms-18-x": 18, "ms-34-x": 34})
    assert [m[:2] for m in deeper.found] == [("ms-18-x", "ms-18-x"), ("ms-20-x", "ms-34-x")]
    only = names.match({"mine": None}, {"yours": None})
    assert only.found == [names.Match("mine", "yours", "being the only one of each run")]


def test_two_depths_of_one_kind_are_not_guessed() -> None:
    found = names.match({"a-8": 8, "a-20": 20}, {"a-14": 14, "a-32": 32})
    assert found.found == []
    assert found.only_b == ["a-14", "a-32"]


# --- rows -------------------------------------------------------------------------------------


def keyed(frame: pd.DataFrame) -> list[str]:
    return chosen([names.labelled(frame)] * 2)


def test_keys_are_the_fewest_that_tell_rows_apart() -> None:
    frame = pd.DataFrame({"network": "a", "method": ["x", "x", "y", "y"], "place": ["p"] * 4,
                          "sample": [0, 1, 0, 1], "share": [0.1, 0.2, 0.3, 0.4]})  # fmt: skip
    assert keyed(frame) == ["method", "sample"]
    curve = frame.drop(columns="sample")
    assert keyed(curve) == ["method", "share"]
    assert keyed(pd.DataFrame({"network": ["a-s0", "a-s1"], "loss": [1.0, 2.0]})) == []


def test_rows_that_nothing_tells_apart_are_numbered() -> None:
    table = pd.DataFrame({"network": ["a"] * 3, "loss": [1.0, 2.0, 3.0]})
    made = runs.result(table, {"a": 8}, runs.sites(18, "a").iloc[:0])
    both = sides(["x", "y"], [(made, made.record)] * 2)
    found = align("result", *both)
    assert found.keys == [ROW]
    assert [p.a for p in found.pairs] == [(0,), (1,), (2,)]
