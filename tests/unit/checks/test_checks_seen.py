"""What the checks share: which rows they see, and the words for N, T and names."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from snnlens.checks import _seen
from snnlens.checks._seen import Seen
from snnlens.measures.silence import MINIMUM_OBSERVATIONS
from snnlens.recording.extent import extent, observations, samples
from snnlens.recording.record import Record
from tests.unit.checks.handmade import layer, layers, made, weight


def the(record: Record) -> Seen:
    (found,) = _seen.networks(record)
    return found


def row(**numbers: Any) -> pd.Series:
    return pd.Series({"batch": 5, "forward_calls": 3, "time_steps": 4, "neurons": 7} | numbers)


# --- which rows --------------------------------------------------------------------------------


def test_spiking_layers_and_no_others() -> None:
    rows = [layer(site="a", signal="spikes"), layer(site="b", signal="counts"),
            layer(site="c", signal="activation"), layer(site="d", role="block_input")]  # fmt: skip
    seen = the(made(rows))
    assert seen.layers()["site"].tolist() == ["a", "b"]
    assert seen.sites("block_input")["site"].tolist() == ["d"]
    assert seen.sites("nothing").empty


def test_rows_with_a_number_in_each_column() -> None:
    rows = [layer(site="a", x=1.0, y=2.0), layer(site="b", x=1.0), layer(site="c", y=2.0)]
    seen = the(made(rows, probes={"p": ["x"], "q": ["y"]}))
    assert seen.layers("x")["site"].tolist() == ["a", "b"]
    assert seen.layers("y")["site"].tolist() == ["a", "c"]
    assert seen.layers("x", "y")["site"].tolist() == ["a"]
    assert seen.layers("x", "z").empty
    assert "site" in seen.layers("z")
    assert seen.layers("x") is seen.layers("x")  # asked for by every check, made once


def test_the_table_of_one_network() -> None:
    record = made(layers(0.2, 0.3))
    other = record.tables["firing_rate"].assign(network="other")
    record.tables["firing_rate"] = pd.concat([record.tables["firing_rate"], other])
    assert set(the(record).table("firing_rate")["network"]) == {"net"}
    assert len(the(record).table("firing_rate")) == len(other)
    assert the(record).table("nothing").empty


def test_a_frame_of_one_network_is_numbered_anew() -> None:
    record = made(layers(0.2, 0.3))
    record.networks["b"] = {}
    sites = pd.concat([record.sites.assign(network="b"), record.sites], ignore_index=True)
    record = replace(record, sites=sites)
    found = {s.name: s.frame for s in _seen.networks(record)}
    assert list(found) == ["net", "b"]
    for name, frame in found.items():
        assert frame.index.tolist() == [0, 1]
        assert set(frame["network"]) == {name}


def test_auxiliary_networks_are_left_out() -> None:
    assert _seen.networks(made(layers(0.2), auxiliary=True)) == []
    assert len(_seen.networks(made(layers(0.2), auxiliary=False))) == 1


def test_what_was_kept_is_not_made_again() -> None:
    record = made(layers(0.2))
    object.__setattr__(record, "seen", [the(record)])
    assert _seen.networks(record)[0] is record.seen[0]  # type: ignore[attr-defined]
    assert _seen.made(record)[0] is not record.seen[0]  # type: ignore[attr-defined]


def test_norms_per_step_are_in_order_and_known() -> None:
    record = made([layer(site="a", norms=[1.0, 2.0, 4.0]), layer(site="b", norms=[8.0, 1.0, 3.0])])
    table = record.tables["gradient_norm"]
    record.tables["gradient_norm"] = table.iloc[::-1].reset_index(drop=True)
    record.tables["gradient_norm"].loc[0, "batches"] = 0  # of b at the last step: no number
    found = the(record).norms_per_step
    assert found["step"].tolist() == [0, 0, 1, 1, 2]
    norms = {(r["site"], r["step"]): r["gradient_norm"] for _, r in found.iterrows()}
    assert norms == {("a", 0): 1.0, ("a", 1): 2.0, ("a", 2): 4.0, ("b", 0): 8.0, ("b", 1): 1.0}
    assert the(made([{"rate": 0.2}])).norms_per_step.empty


def test_norms_per_step_keep_the_order_of_the_sites() -> None:
    names = [f"l{n}" for n in range(30)]
    found = the(made([layer(site=name) for name in names])).norms_per_step
    assert found["step"].tolist() == [step for step in range(4) for _ in names]
    assert found["site"].tolist() == names * 4


def test_norms_per_step_of_one_network() -> None:
    record = made(layers(0.2, 0.3))
    record.networks["b"] = {}
    table = record.tables["gradient_norm"]
    record.tables["gradient_norm"] = pd.concat([table, table.assign(network="b")])
    sites = pd.concat([record.sites, record.sites.assign(network="b")], ignore_index=True)
    for seen in _seen.networks(replace(record, sites=sites)):
        assert len(seen.norms_per_step) == len(table)
        assert set(seen.norms_per_step["network"]) == {seen.name}


def test_sites_whose_sum_is_not_finite() -> None:
    record = made([layer(site=s) for s in "abcd"])
    table = record.tables["firing_rate"]
    for site, value in (("b", math.inf), ("c", math.nan), ("d", -math.inf)):
        table.loc[table["site"] == site, "total"] = [0.0, value, 1.0, value]
    seen = the(record)
    assert seen.broken("firing_rate", "total") == {"b", "c", "d"}
    assert seen.broken("firing_rate", "elements") == set()
    assert seen.broken("firing_rate", "nothing") == seen.broken("nothing", "total") == set()


def test_a_number_that_is_lost() -> None:
    assert [_seen.is_lost(x) for x in (None, math.nan, 0.0, math.inf)] == [True, True, False, False]


def test_a_test_that_nobody_tried_says_so() -> None:
    seen = the(made(layers(0.2), tests={"reset": {"equal": True}, "modes": None}))
    assert seen.test("reset") == {"equal": True}
    nobody = {"not_applicable": "nobody tried it on this model; `snnlens checkup` does"}
    assert seen.test("modes") == seen.test("other") == nobody
    assert the(made(layers(0.2))).test("reset") == nobody
    seen.test("reset")["equal"] = False
    assert seen.test("reset") == {"equal": True}  # a copy


def test_sites_that_the_model_has() -> None:
    seen = the(made(layers(0.2)))
    assert (seen.known("0"), seen.known("output"), seen.known(None)) == ("0", None, None)


def test_without_blocks_there_are_none() -> None:
    assert the(made(layers(0.2))).blocks is None


# --- zero-init ---------------------------------------------------------------------------------


BRANCH = ("sn1", "sn2", "sn3", "downsample.sn")


def blocky(*more: dict[str, Any], **facts: Any) -> Seen:
    """Two blocks, each with three layers in its branch and one in its shortcut."""
    rows = [
        {"site": f"{b}.{end}", "role": f"block_{end}", "block": i}
        for i, b in enumerate(("b1", "b10")) for end in ("input", "output")
    ]  # fmt: skip
    rows += [layer(site=f"{b}.{s}") for b in ("b1", "b10") for s in BRANCH]
    return the(made([*rows, *more], **facts))


def test_zero_init_by_the_models_word_until_it_is_trained() -> None:
    assert blocky(zero_init=True).zeroed == {"b1", "b10"}
    assert blocky(zero_init=False).zeroed == blocky().zeroed == set()
    assert blocky(zero_init=True, epoch=3).zeroed == set()


def test_zero_init_by_weights_of_zero() -> None:
    seen = blocky(weight("b1.bn2.weight", norm=0.0), weight("b10.bn2.weight", norm=1e-30),
                  weight("b10.bn1.bias", norm=0.0), weight("fc.weight", norm=0.0))  # fmt: skip
    assert seen.zero_weights == ["b1.bn2.weight", "fc.weight"]
    assert seen.zeroed == {"b1"}
    assert seen.in_zeroed("b1.sn1")
    assert not seen.in_zeroed("b10.sn1")
    assert not seen.in_zeroed("b1")


def test_without_weights_none_is_zero() -> None:
    assert the(made(layers(0.2))).zero_weights == []
    assert the(made([weight("fc.weight")])).zero_weights == []


def test_the_last_layer_of_a_branch_is_constant() -> None:
    assert blocky(zero_init=True, residual="sew").constant == {"b1.sn3", "b10.sn3"}
    assert blocky(zero_init=True, residual="spiking").constant == set()
    assert blocky(residual="sew").constant == set()


@pytest.mark.parametrize("part", ["downsample", "shortcut", "conv_sc", "skip"])
def test_a_shortcut_lies_beside_the_branch(part: str) -> None:
    assert _seen._beside(f"layer1.0.{part}.sn", "layer1.0")
    assert not _seen._beside(f"layer1.0.branch.{part}", "layer1.0")
    assert not _seen._beside("layer1.0.sn1", "layer1.0")


# --- words -------------------------------------------------------------------------------------


def test_samples_and_observations() -> None:
    assert (samples(row()), observations(row())) == (15, 60)
    assert samples(row(forward_calls=0)) == samples(row(forward_calls=1)) == 5
    assert samples(row(samples=9)) == 9  # counted, where batches differ in size
    assert samples(row(samples=pd.NA)) == 15
    assert samples(row(batch=pd.NA)) == 0


def test_extent() -> None:
    assert extent(row()) == "N = 15 samples, T = 4"
    for unknown in ({"batch": pd.NA}, {"time_steps": math.nan}):
        assert extent(row(**unknown)) == "N and T unknown"


def test_what_silence_proves_in_words() -> None:
    """3 / 60 = 0.05."""
    assert _seen.no_spikes(row()) == (
        "0 spikes of 7 neurons in 420 neuron-steps (N = 15 samples, T = 4); 95 % bound on a "
        "neuron's rate 3/(N T) = 0.05"
    )


def test_how_much_must_be_seen_of_a_silent_layer() -> None:
    at = row(batch=1, forward_calls=1, time_steps=1, neurons=MINIMUM_OBSERVATIONS)
    assert _seen.severity(at) == "error"
    assert _seen.severity(at.replace(MINIMUM_OBSERVATIONS, MINIMUM_OBSERVATIONS - 1)) == "warning"
    assert _seen.severity(row(neurons=1)) == "warning"


def test_others() -> None:
    assert _seen.others(0, "silent") == ""
    assert _seen.others(1, "silent") == "; 1 more layer is silent"
    assert _seen.others(2, "silent") == "; 2 more layers are silent"


def test_most_is_the_first_of_equal_ones() -> None:
    rows = pd.DataFrame({"site": list("abcd"), "x": [1, 3, 3, 2]}, index=[7, 5, 3, 1])
    assert _seen.most(rows, "x")["site"] == "b"


def test_chosen_rows() -> None:
    rows = pd.DataFrame({"x": [1.0, math.nan, math.inf]})
    assert _seen.where(rows, (v == 1 for v in rows["x"]))["x"].tolist() == [1.0]
    assert _seen.where(rows.iloc[:0], []).empty
    assert _seen.finite(rows, "x").tolist() == [True, False, False]
    assert _seen.finite(pd.DataFrame({"x": pd.array([1, None], "Int64")}), "x").tolist() == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, ""), (1, "0"), (3, "0, 1, 2"), (4, "0, 1, 2 and 1 more"), (9, "0, 1, 2 and 6 more")],
)
def test_names(count: int, said: str) -> None:
    assert _seen.names(np.arange(count).tolist()) == said


def test_what_does_not_spike_is_chosen_by_its_role_alone() -> None:
    rows = [layer(site="a"), weight("w"), layer(site="x", role="block_output", signal="currents")]
    seen = the(made(rows))
    assert seen.sites("parameter")["site"].tolist() == ["w"]
    assert seen.sites("block_output")["site"].tolist() == ["x"]
