"""Merged Records are what one Recorder that saw all the passes says; brute sums by dictionaries."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, reduce
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from snnlens import registry
from snnlens.errors import InputError
from snnlens.experiments import _isometry
from snnlens.measures.isometry import MINIMUM_PROBES
from snnlens.neuron.layers import LIF
from snnlens.neuron.surrogate import Rectangular
from snnlens.probes.isometry import Isometry
from snnlens.recording.merge import merge
from snnlens.recording.probe import Probe
from snnlens.recording.record import KEYS, Column, Record, Schema, empty
from snnlens.recording.recorder import Recorder
from tests.unit.recording import brute

RTOL = 1e-12  # float64: the order of adding is free; measured 0, equal to the bit
NETS = {"sew": ("sew", "add", False), "spiking": ("spiking", None, True)}
RECORDED_BY_OTHERS = {"isometry"}  # an experiment runs each block alone
OF_SEVERAL_PASSES = {"update_ratio"}  # says nothing of one pass


def net(kind: str) -> nn.Module:
    residual, connect, zero = NETS[kind]
    neuron = LIF(1.5, threshold=0.3, surrogate=Rectangular())
    return brute.small(residual, connect, neuron=neuron, zero_init=zero)


def probes() -> list[Probe]:
    return [registry.plugin("probes", name)() for name in registry.listing("probes")]


def recorded(kind: str, batches: Sequence[Tensor]) -> Record:
    """One Recorder of the net as it was made, over the batches one after the other."""
    model, losses = net(kind), []
    with Recorder(model, probes()) as recorder:
        for x in batches:
            value = brute.loss(model, x)
            value.backward()
            losses.append(value.item())
    recorder.note(loss=sum(losses) / len(losses))
    return recorder.record()


@cache
def halves(kind: str) -> tuple[Record, Record]:
    return recorded(kind, [brute.batch(seed=1)]), recorded(kind, [brute.batch(seed=2)])


@cache
def one_after_the_other(kind: str) -> Record:
    return recorded(kind, [brute.batch(seed=1), brute.batch(seed=2)])


def assert_same_table(given: pd.DataFrame, wanted: pd.DataFrame) -> None:
    """Integers exactly, and in the same rows; float64 to RTOL."""
    pd.testing.assert_frame_equal(given, wanted, rtol=RTOL, atol=0)
    for column in wanted.select_dtypes("integer"):
        assert (given[column] == wanted[column]).all(), column


# --- the law: as one Recorder over successive passes ---------------------------------------------


@pytest.mark.parametrize("kind", NETS)
def test_the_tables_are_those_of_one_recorder(kind: str) -> None:
    merged, one = merge(halves(kind), how="per rank"), one_after_the_other(kind)
    assert set(one.tables) - OF_SEVERAL_PASSES == set(merged.tables)
    assert len(merged.tables) > 15
    for name, table in merged.tables.items():
        assert_same_table(table, one.tables[name])
        assert merged.schemas[name] == one.schemas[name]


def test_every_probe_was_merged_or_has_a_test_of_its_own() -> None:
    seen = {name for kind in NETS for name in merge(halves(kind), how="per rank").tables}
    assert seen == set(registry.listing("probes")) - OF_SEVERAL_PASSES - RECORDED_BY_OTHERS
    apart = {p.name for p in probes() if not p.adds}
    assert apart == OF_SEVERAL_PASSES | RECORDED_BY_OTHERS


@pytest.mark.parametrize("kind", NETS)
def test_the_sites_and_the_numbers_of_the_frame_are_those_of_one_recorder(kind: str) -> None:
    merged, one = merge(halves(kind), how="per rank"), one_after_the_other(kind)
    pd.testing.assert_frame_equal(merged.sites, one.sites)
    assert set(merged.sites["forward_calls"]) == {0, 2}  # 0 of a parameter
    for per_step in (False, True):
        frames = [r.frame(per_step=per_step) for r in (merged, one)]
        wanted = frames[1].drop(columns="update_ratio", errors="ignore")
        pd.testing.assert_frame_equal(frames[0], wanted, rtol=RTOL, atol=0)


def test_a_norm_is_the_root_mean_square_over_the_parts() -> None:
    """By hand, from the parts' own norms."""
    merged = merge(halves("sew"), how="per rank").frame()["gradient_norm"]
    parts = [r.frame()["gradient_norm"] for r in halves("sew")]
    np.testing.assert_allclose(merged, np.sqrt((parts[0] ** 2 + parts[1] ** 2) / 2), rtol=RTOL)
    assert merged.notna().sum() > 10


@pytest.mark.parametrize("kind", NETS)
def test_one_pass_of_the_whole_batch_is_something_else(kind: str) -> None:
    """BatchNorm: the record may not be taken for that of the large batch.

    A layer may spike equally often by accident.
    """
    both = torch.cat([brute.batch(seed=1), brute.batch(seed=2)]).detach().requires_grad_()
    whole = recorded(kind, [both])
    merged = merge(halves(kind), how="per rank")
    assert merged.networks["model"]["batch_norm"] == "per rank"
    assert "batch_norm" not in whole.networks["model"]
    neurons = merged.sites["role"] == "neuron"
    rates = [r.frame()["firing_rate"][neurons].to_numpy() for r in (merged, whole)]
    assert (rates[0] != rates[1]).mean() > 0.5
    elements = [r.tables["firing_rate"]["elements"] for r in (merged, whole)]
    assert (elements[0] == elements[1]).all()  # of equally many


@pytest.mark.parametrize("kind", NETS)
def test_merging_is_associative(kind: str) -> None:
    a, b = halves(kind)
    c = recorded(kind, [brute.batch(seed=3)])
    flat = merge([a, b, c], how="per rank", expected=4)
    left = merge([merge([a, b], how="per rank"), c], how="per rank", expected=4)
    right = merge([a, merge([b, c], how="per rank")], how="per rank", expected=4)
    for other in (left, right):
        assert other.tables.keys() == flat.tables.keys()
        for name, table in flat.tables.items():
            assert_same_table(other.tables[name], table)
        pd.testing.assert_frame_equal(other.sites, flat.sites)
        facts = [dict(r.networks["model"]) for r in (other, flat)]
        losses = [f.pop("loss") for f in facts]
        assert losses[0] == pytest.approx(losses[1], rel=RTOL)
        assert facts[0] == facts[1]
        assert other.provenance == flat.provenance
    assert flat.networks["model"]["ranks"] == 3
    assert flat.networks["model"]["missing_ranks"] == 1


def test_merging_changes_no_part() -> None:
    parts = halves("sew")
    before = copy.deepcopy(parts)
    merge(parts, how="per rank")
    for part, old in zip(parts, before, strict=True):
        pd.testing.assert_frame_equal(part.sites, old.sites)
        assert part.networks == old.networks
        for name in old.tables:
            pd.testing.assert_frame_equal(part.tables[name], old.tables[name])


# --- tables whose rows do not add up ---------------------------------------------------------


def _trained(steps: int) -> Record:
    model = net("sew")
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    with Recorder(model, [registry.plugin("probes", "update_ratio")()]) as recorder:
        for _ in range(steps):
            optimiser.zero_grad()
            brute.loss(model, brute.batch()).backward()
            optimiser.step()
    return recorder.record()


def test_updates_of_the_same_weights_are_counted_once() -> None:
    ranks = [_trained(3), _trained(3)]
    merged = merge(ranks, how="per rank")
    pd.testing.assert_frame_equal(merged.tables["update_ratio"], ranks[0].tables["update_ratio"])
    assert set(merged.tables["update_ratio"]["updates"]) == {2}
    assert "not_merged" not in merged.networks["model"]


def test_updates_that_differ_between_ranks_are_left_out_and_that_is_said() -> None:
    merged = merge([_trained(3), _trained(2)], how="per rank")
    assert "update_ratio" not in merged.tables
    assert "update_ratio" not in merged.schemas
    why = "it holds for one rank alone, and the ranks differ"
    assert merged.networks["model"]["not_merged"] == {"update_ratio": why}


def test_gram_matrices_of_equal_vectors_are_left_out() -> None:
    """Their sum would have a variance that is too large: the two parts are not independent."""
    records = []
    for seed in (1, 2):
        table = _isometry.measure(net("sew"), brute.batch(seed=seed), vectors=MINIMUM_PROBES)
        part = recorded("sew", [brute.batch(seed=seed)])
        records.append(replace(
            part, tables=part.tables | {"isometry": table},
            schemas=part.schemas | {"isometry": Isometry.schema()},
        ))  # fmt: skip
    merged = merge(records, how="per rank")
    assert "isometry" not in merged.tables
    assert list(merged.networks["model"]["not_merged"]) == ["isometry"]
    alone = merge(records[:1], how="per rank")
    pd.testing.assert_frame_equal(alone.tables["isometry"], records[0].tables["isometry"])


def test_a_table_without_rules_is_kept_where_all_agree() -> None:
    curves = pd.DataFrame({"network": "n", "epoch": [0, 1], "train_loss": [2.0, np.nan]})
    other = curves.assign(train_loss=[2.0, 1.0])

    def part(table: pd.DataFrame) -> Record:
        schemas = {"curves": Schema(axes=())}
        return replace(empty(), tables={"curves": table}, schemas=schemas, networks={"n": {}})

    merged = merge([part(curves), part(curves.copy())], how="per rank")
    pd.testing.assert_frame_equal(merged.tables["curves"], curves)
    merged = merge([part(curves), part(other)], how="per rank")
    assert merged.tables == {}
    why = "nothing says how its rows add up, and the ranks differ"
    assert merged.networks["n"]["not_merged"] == {"curves": why}
    again = merge([merged, part(curves)], how="per rank")
    assert again.networks["n"]["not_merged"] == {"curves": why}


# --- rules, by brute force -----------------------------------------------------------------------


RULES: dict[str, Callable[[Any, Any], Any]] = {
    "sum": lambda a, b: a + b, "max": max, "min": min, "or": lambda a, b: a | b,
}  # fmt: skip


def _random(seed: int, rows: Sequence[int]) -> Record:
    """A site with one column of each rule, over the steps that are named."""
    random = np.random.default_rng(seed)
    numbers = {name: random.integers(0, 256, len(rows)) for name in RULES}
    table = pd.DataFrame({"network": "n", "site": "sn", "step": rows} | numbers)
    columns = {name: Column(name) for name in RULES}  # type: ignore[arg-type]
    return replace(_bare(), tables={"p": table}, schemas={"p": Schema(columns=columns)})


def _bare(**site: Any) -> Record:
    sites = pd.DataFrame([{"network": "n", "site": "sn"} | site])
    return Record(sites, {}, {}, {"n": {}}, {})


def test_each_rule_and_rows_that_only_one_part_has() -> None:
    parts = [_random(1, [0, 1]), _random(2, [0, 1, 2]), _random(3, [4, 1])]
    merged = merge(parts, how="per rank").tables["p"]
    assert list(merged["step"]) == [0, 1, 2, 4]
    for name, rule in RULES.items():
        found: dict[int, list[int]] = {}
        for part in parts:
            rows = part.tables["p"]
            for step, value in zip(rows["step"], rows[name], strict=True):
                found.setdefault(int(step), []).append(int(value))
        assert list(merged[name]) == [reduce(rule, found[step]) for step in (0, 1, 2, 4)]
        assert merged[name].dtype == np.int64


def test_sums_wrap_like_a_digest_and_keep_what_is_no_number() -> None:
    def part(digest: int, squares: float) -> Record:
        table = pd.DataFrame(
            {"network": "n", "site": ["sn"], "step": [0], "d": [digest], "s": [squares]}
        )
        schema = Schema(columns={"d": Column(), "s": Column()})
        return replace(_bare(), tables={"p": table}, schemas={"p": schema})

    high = 2**63 - 1
    merged = merge([part(high, np.inf), part(2, -np.inf)], how="per rank").tables["p"]
    assert int(merged["d"][0]) == (high + 2) - 2**64
    assert np.isnan(merged["s"][0])
    assert np.isnan(merge([part(0, np.nan), part(0, 1.0)], how="per rank").tables["p"]["s"][0])


def test_a_probe_that_one_rank_has_nothing_of() -> None:
    merged = merge([_bare(), _random(1, [0])], how="per rank")
    pd.testing.assert_frame_equal(merged.tables["p"], _random(1, [0]).tables["p"])
    assert list(merged.schemas) == ["p"]


def test_rows_of_the_second_rank_stand_where_their_site_does() -> None:
    def part(*names: str) -> Record:
        sites = pd.DataFrame({"network": "n", "site": ["a", "b", "c"]})
        table = pd.DataFrame({"network": "n", "site": names, "step": 0, "s": 1})
        schema = Schema(columns={"s": Column()})
        return Record(sites, {"p": table}, {"p": schema}, {"n": {}}, {})

    merged = merge([part("c", "a"), part("b", "a")], how="per rank").tables["p"]
    assert list(merged["site"]) == ["a", "b", "c"]
    assert list(merged["s"]) == [2, 1, 1]


# --- facts ---------------------------------------------------------------------------------------


def test_calls_add_up_and_what_one_rank_did_not_see_is_taken_from_the_other() -> None:
    def part(**site: Any) -> Record:
        made = _bare(**site)
        return replace(made, sites=made.sites.astype(dict.fromkeys(site, "Int64")))

    seen = part(batch=4, forward_calls=2, replayed=10, replay_mismatches=1)
    unseen = part(batch=pd.NA, forward_calls=0, replayed=pd.NA, replay_mismatches=pd.NA)
    for order in ([seen, unseen], [unseen, seen]):
        site = merge(order, how="per rank").sites.iloc[0]
        assert site[["batch", "forward_calls", "replayed", "replay_mismatches"]].tolist() == \
            [4, 2, 10, 1]  # fmt: skip
    twice = merge([seen, seen], how="per rank").sites.iloc[0]
    assert twice[["forward_calls", "replayed", "replay_mismatches"]].tolist() == [4, 20, 2]
    never = merge([unseen, unseen], how="per rank").sites
    assert never[["batch", "replayed", "replay_mismatches"]].isna().all(axis=None)


def test_the_loss_is_weighted_by_samples() -> None:
    def part(loss: float, calls: int) -> Record:
        made = _bare(batch=4, forward_calls=calls)
        return replace(made, networks={"n": {"loss": loss}})

    merged = merge([part(1.0, 1), part(2.0, 3)], how="per rank")
    assert merged.networks["n"]["loss"] == (1.0 * 4 + 2.0 * 12) / 16
    unknown = [replace(_bare(), networks={"n": {"loss": loss}}) for loss in (1.0, 2.0)]
    assert merge(unknown, how="per rank").networks["n"]["loss"] == 1.5


def test_facts_of_passes_add_up_and_others_that_differ_are_listed() -> None:
    def part(**facts: Any) -> Record:
        return replace(_bare(), networks={"n": facts}, provenance={"machine": facts["seed"]})

    a = part(seed=0, depth=8, forward_passes=1, samples=4, binary=True, taus=(1, 2), note=None)
    b = part(seed=1, depth=8, forward_passes=2, samples=8, binary=False, taus=[1, 2])
    wanted = {"depth": 8, "taus": (1, 2), "note": None, "forward_passes": 3, "samples": 12,
              "binary": False, "differs": {"seed": [0, 1]}, "ranks": 2,
              "batch_norm": "per rank"}  # fmt: skip
    both = merge([a, b], how="per rank")
    assert both.networks["n"] == wanted
    assert both.provenance == {"machine": 0, "ranks": 2, "differs": {"machine": [0, 1]}}
    more = merge([both, b], how="per rank").networks["n"]
    assert more["differs"] == {"seed": [0, 1, 1]}
    assert more["ranks"] == 3


def test_the_record_says_over_what_batch_norm_averaged() -> None:
    def facts(how: str, **facts: Any) -> dict[str, Any]:
        part = replace(_bare(), networks={"n": facts})
        return merge([part, part], how=how).networks["n"]

    assert facts("per rank") == {"ranks": 2, "batch_norm": "per rank"}
    assert facts("over all ranks") == {"ranks": 2, "batch_norm": "over all ranks"}
    assert facts("per batch") == {"merged_batches": 2, "batch_norm": "per batch"}
    assert facts("per rank", training_mode=False)["batch_norm"] == "running statistics"


def test_the_earliest_start_is_that_of_the_whole() -> None:
    parts = [replace(_bare(), provenance={"started": t}) for t in ("2026-02-01", "2026-01-01")]
    merged = merge(parts, how="per rank")
    assert merged.provenance == {"started": "2026-01-01", "ranks": 2}


def test_a_missing_rank_is_said() -> None:
    assert merge([_bare()] * 2, how="per rank", expected=3).networks["n"]["missing_ranks"] == 1
    assert merge([_bare()] * 2, how="per rank", expected=2).networks["n"]["missing_ranks"] == 0
    unknown = merge([_bare()] * 2, how="per rank")
    assert "missing_ranks" not in unknown.networks["n"]
    fewer = merge([_bare()] * 2, how="per rank", expected=3)
    again = merge([fewer, _bare()], how="per rank")
    assert again.networks["n"]["missing_ranks"] == 1
    assert again.networks["n"]["ranks"] == 3


# --- what cannot be merged -----------------------------------------------------------------------


def _other_schema() -> Record:
    made = _random(1, [0])
    schema = made.schemas["p"]
    return replace(
        made, schemas={"p": replace(schema, columns=schema.columns | {"sum": Column("max")})}
    )


ORDERS = "[['n: a', 'n: b'], ['n: b', 'n: a']]"


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "the records to merge must be at least one; got 'none'"),
        ([_bare(), replace(_bare(), networks={"m": {}})],
         "the networks of merged records must be the same in every record; got ['m', 'n']"),
        ([_bare(), replace(_bare(), sites=pd.DataFrame({"network": "n", "site": ["sn", "s2"]}))],
         "the sites of merged records must be the same in every record; got ['n: s2']"),
        ([replace(_bare(), sites=pd.DataFrame({"network": "n", "site": order}))
          for order in (["a", "b"], ["b", "a"])],
         f"the sites of merged records must be the same in every record; got {ORDERS}"),
        ([_bare(batch=4), _bare(batch=2)],
         "batch of site sn must be the same in every record; got [4, 2]"),
        ([_bare(time_steps=4), _bare(time_steps=8)],
         "time_steps of site sn must be the same in every record; got [4, 8]"),
        ([_random(1, [0]), _other_schema()],
         "the schema of p must be the same in every record; got 'other columns'"),
    ],
    ids=["none", "networks", "sites", "order", "batch", "time steps", "rules"],
)  # fmt: skip
def test_records_that_do_not_belong_together(records: list[Record], message: str) -> None:
    with pytest.raises(InputError) as error:
        merge(records, how="per rank")
    assert str(error.value) == message


def test_a_wrong_how_and_more_ranks_than_there_are() -> None:
    with pytest.raises(InputError) as error:
        merge([_bare()], how="sum")
    assert str(error.value) == (
        "how must be per rank, over all ranks or per batch; got 'sum'"
    )  # fmt: skip
    with pytest.raises(InputError) as error:
        merge([_bare()] * 2, how="per rank", expected=1)
    assert str(error.value) == "the records to merge must be at most 1; got 2"


def test_keys_of_a_table_are_the_places_and_the_axes() -> None:
    """What the merge rests on: no probe writes a row twice, and none has a key of its own."""
    for kind in NETS:
        record = one_after_the_other(kind)
        for name, table in record.tables.items():
            schema = record.schemas[name]
            assert set(table) == {*KEYS, *schema.axes, *schema.columns}
            assert not table.duplicated([*KEYS, *schema.axes]).any()
