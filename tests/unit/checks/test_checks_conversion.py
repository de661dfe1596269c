"""What the conversion checks share: layers at each T, accuracies, kinds of neuron, max-pools."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from snnlens.checks import _conversion
from snnlens.checks._conversion import ConversionCheck, Place
from snnlens.checks._seen import Seen, networks
from snnlens.recording.record import Record
from snnlens.recording.result import Finding
from tests.unit.checks.converted import OTHER, covered
from tests.unit.conversion_record import Net, change, record


def the(made: Record) -> Seen:
    return networks(made)[0]


# --- layers ------------------------------------------------------------------------------------


def test_layers_by_rising_t_and_then_depth_of_the_first_neuron_that_was_run() -> None:
    made = record(Net(depth=2, time_steps=(1, 2, 4)))
    table = made.tables["conversion_layers"]
    made.tables["conversion_layers"] = table.iloc[::-1].reset_index(drop=True)
    found = _conversion.layers(the(made))
    assert set(found["view"]) == {"accumulated"}
    assert set(found["neuron"]) == {"parallel"}
    assert found[["time_steps", "order"]].to_numpy().tolist() == [
        [1, 0], [1, 1], [2, 0], [2, 1], [4, 0], [4, 1],
    ]  # fmt: skip
    assert found.index.tolist() == list(range(6))
    assert "index" not in found
    assert set(_conversion.layers(the(made), ["sequential", "parallel"])["neuron"]) == {
        "sequential"
    }
    assert _conversion.layers(the(made), ["calibrated"]).empty
    assert set(_conversion.longest(found)["time_steps"]) == {4}
    assert len(_conversion.longest(found)) == 2


def test_sizes_of_a_layer_in_thresholds() -> None:
    """The table of `tests.unit.conversion_record`: layer 1 of parallel neurons at T = 1."""
    rows = _conversion.layers(the(record(Net(depth=2))))
    first, second = rows.iloc[0], rows.iloc[1]
    assert second["inherited"] == pytest.approx(0.02, rel=1e-12)
    assert (first["inherited"], first["clip"], second["unevenness"]) == (0, 0, 0)
    assert second["quantisation"] == pytest.approx(0.05, rel=1e-12)
    assert second["signal"] == pytest.approx(0.125**0.5, rel=1e-12)
    assert second["saturated_share"] == pytest.approx(0.02, rel=1e-12)


def test_layers_of_a_record_without_any() -> None:
    assert _conversion.layers(the(OTHER)).empty


@pytest.mark.parametrize(
    ("worst", "said"), [(0, "; also b, c, d and 1 more"), (1, "; also a, c, d and 1 more")]
)
def test_also(worst: int, said: str) -> None:
    rows = pd.DataFrame({"layer": list("abcdeab"), "at": list("xxxxxxx")})
    assert _conversion.also(rows, rows.iloc[worst]) == said
    assert _conversion.also(rows, rows.iloc[worst], "at") == ""


# --- accuracy ----------------------------------------------------------------------------------


def test_accuracies_by_rising_t() -> None:
    made = record(Net(time_steps=(4, 1)))
    rows = _conversion.accuracies(the(made))
    assert rows["time_steps"].tolist() == sorted(rows["time_steps"])
    assert (rows["percent"] == 100 * rows["correct"] / rows["samples"]).all()
    made = record(Net(time_steps=(64, 32, 16, 8, 4, 2, 1)))
    table = made.tables["conversion_accuracy"]
    rows = _conversion.accuracies(the(made))
    wanted = sorted(
        zip(table["time_steps"], table["neuron"], strict=True), key=lambda pair: pair[0]
    )
    assert (
        list(zip(rows["time_steps"], rows["neuron"], strict=True)) == wanted
    )  # in the run's order
    assert _conversion.accuracies(the(OTHER)).empty


def test_against_the_ann() -> None:
    seen = the(record(Net()))
    assert _conversion.against_the_ann(seen, "sequential") == (
        "91.0% with sequential neurons at T = 8, the ANN 95.0%"
    )
    assert _conversion.against_the_ann(seen, "calibrated") == ""
    assert _conversion.against_the_ann(the(OTHER), "parallel") == ""
    made = record(Net())
    table = made.tables["conversion_accuracy"]
    made.tables["conversion_accuracy"] = table[table["neuron"] != "ann"]
    assert _conversion.against_the_ann(the(made), "parallel") == ""


@pytest.mark.parametrize(
    ("neurons", "kinds"),
    [(("parallel",), ["parallel"]), (("sequential",), ["sequential"]), ((), []),
     (("sequential", "calibrated"), ["parallel", "sequential"]), (("calibrated",), ["parallel"])],
)  # fmt: skip
def test_the_kinds_that_ran(neurons: tuple[str, ...], kinds: list[str]) -> None:
    assert _conversion.ran(the(record(Net(neurons=neurons)))) == kinds
    assert _conversion.ran(the(OTHER)) == []


def test_extent() -> None:
    assert _conversion.extent(the(record(Net()))) == "N = 200 samples"
    assert _conversion.extent(the(OTHER)) == "N unknown"


# --- coverage ----------------------------------------------------------------------------------


def rows(**columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_max_pools_of_currents() -> None:
    kinds = ["MaxPool2d", "max_pool2d", "AdaptiveMaxPool1d", "adaptive_max_pool2d", "AvgPool2d",
             "FractionalMaxPool2d", "MaxPool2d"]  # fmt: skip
    whys = ["a maximum of currents"] * 6 + ["of spikes, not a maximum of currents"]
    pools = rows(type=kinds, why=whys)
    assert _conversion.is_max_pool(pools).tolist() == [True] * 4 + [False] * 2 + [True]
    assert _conversion.of_currents(pools).tolist() == [True] * 4 + [False] * 3


def test_coverage_is_numbered_anew() -> None:
    made = covered(record(Net(), Net(seed=1)), ("a", "ReLU", "replaced"))
    table = made.tables["conversion_coverage"]
    made.tables["conversion_coverage"] = table.iloc[::-1].reset_index(drop=True)
    found = _conversion.coverage(the(made))
    assert found["module"].tolist() == ["a"]
    assert found.index.tolist() == [0]
    assert "index" not in found


def place(outcome: str, by: str = "", kind: str = "ReLU") -> dict[str, list[str]]:
    return {"module": [f"{outcome}-{kind}"], "type": [kind], "outcome": [outcome], "by": [by]}


def table(*made: dict[str, list[str]]) -> pd.DataFrame:
    return pd.concat([pd.DataFrame(m) for m in made], ignore_index=True)


def test_places_of_one_kind() -> None:
    """One kind is named: the run decides, as the same coverage serves both runs."""
    found = _conversion.places(
        table(place("kept"), place("replaced", "ParallelLayer"), place("folded"),
              place("replaced", "ParallelLayer", "QCFS"), place("analog")), "sequential",
    )  # fmt: skip
    assert found == [
        Place("replaced-ReLU", "ReLU", "sequential", 1),
        Place("replaced-QCFS", "QCFS", "sequential", 3),
    ]
    assert str(found[0]) == "replaced-ReLU (ReLU)"


def test_places_of_two_kinds_are_believed() -> None:
    found = _conversion.places(
        table(place("replaced", "ParallelLayer"), place("replaced", "SequentialLayer"),
              place("replaced", "Other")), "parallel",
    )  # fmt: skip
    assert [p.kind for p in found] == ["parallel", "sequential", "parallel"]
    assert [p.row for p in found] == [0, 1, 2]


def test_a_layer_that_was_spiking_keeps_its_kind() -> None:
    found = _conversion.places(
        table(place("spiking", kind="ParallelLIF"), place("spiking", kind="LIFNode"),
              place("replaced", "ParallelLayer")), "parallel",
    )  # fmt: skip
    assert [p.kind for p in found] == ["parallel", "sequential", "parallel"]


# --- several seeds -----------------------------------------------------------------------------


class Counts(ConversionCheck):
    """Finds what the facts of a network say."""

    name, code, title, why, next, reference = "counts", "SNL999", "t", "w", "n", "r"
    reads = ("conversion_layers", "conversion_coverage")

    def judge(self, seen: Seen) -> Iterator[Finding]:
        for severity in seen.facts.get("said", ()):
            yield self.finding(severity, None, f"{seen.name}: it is so")


def said(*severities: str, **net: Any) -> Net:
    return Net(facts={"said": severities}, **net)


def evidence(made: Record) -> list[str]:
    return [f.evidence for f in Counts().findings(made)]


def test_seeds_that_agree_make_one_finding() -> None:
    made = record(said("note"), said("note", seed=1), said("warning", seed=2), said(seed=3),
                  said("note", seed=4), said("note", depth=2))  # fmt: skip
    assert evidence(made) == [
        "mlp-4x10-s0: it is so; also mlp-4x10-s1, mlp-4x10-s4",
        "mlp-4x10-s2: it is so",
        "mlp-2x10-s0: it is so",
    ]


def test_the_first_and_the_second_finding_are_two_things() -> None:
    made = record(said("note", "note"), said("note", seed=1))
    assert evidence(made) == [
        "mlp-4x10-s0: it is so; also mlp-4x10-s1", "mlp-4x10-s0: it is so",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "other", [{"family": "vgg"}, {"depth": 2}, {"width": 5}, {"residual": True}, {"levels": None}]
)
def test_networks_of_two_kinds_are_two_findings(other: dict[str, Any]) -> None:
    assert len(evidence(record(said("note"), said("note", seed=1, **other)))) == 2


def test_thresholds_make_another_kind() -> None:
    one, two = said("note"), Net(seed=1, facts={"said": ("note",), "thresholds": "other"})
    assert len(evidence(record(one, two))) == 2


def test_networks_to_which_it_does_not_apply_are_left_out() -> None:
    made = record(said("note"), said("note", seed=1))
    whole = made.tables["conversion_coverage"]
    made = replace(made, tables=made.tables | {
        "conversion_coverage": whole[whole["network"] != "mlp-4x10-s0"]})  # fmt: skip
    assert evidence(made) == ["mlp-4x10-s1: it is so"]
    outcome = Counts().outcome(made)
    assert outcome.reason == (
        "mlp-4x10-s0: the record holds no conversion_coverage; `snnlens conversion` makes one that "
        "does"
    )


def test_every_missing_table_is_named() -> None:
    assert Counts().applies(OTHER) == (
        "the record holds no conversion_layers, conversion_coverage; `snnlens conversion` makes "
        "one that does"
    )


def test_a_number_that_is_changed_is_seen() -> None:
    made = change(record(Net(depth=1, time_steps=(1,), neurons=("parallel",))),
                  "conversion_layers", {}, clip_squares=2000 * 0.3**2)  # fmt: skip
    np.testing.assert_allclose(_conversion.layers(the(made))["clip"], [0.3], rtol=1e-12)
