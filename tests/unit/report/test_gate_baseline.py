"""A run beside a baseline: what is compared, how, and what is said of what is gone."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from snnlens.errors import InputError
from snnlens.recording.record import join
from snnlens.report.gate import Rules, Subject, judge, of_result
from snnlens.report.gate.baseline import compared
from snnlens.report.gate.case import Case
from tests.unit.report.gate_runs import NAN, finding, outcome, record, subject
from tests.unit.runs import answered

OLD = {"firing_rate": {"sn1": 0.2, "sn2": 0.4}, "gradient_norm": {"sn1": 1e-26, "sn2": 1.0}}


def changed(**numbers: dict[str, float]) -> Subject:
    return subject({q: OLD[q] | numbers.get(q, {}) for q in OLD} | {
        q: v for q, v in numbers.items() if q not in OLD
    }, name="runs/new")  # fmt: skip


def cases(run: Subject, base: Subject | None = None, **told: object) -> dict[str, Case]:
    base = subject(OLD, name="runs/old") if base is None else base
    return {c.name: c for c in compared(run, base, Rules(**told))}  # type: ignore[arg-type]


def test_equal_runs() -> None:
    made = cases(changed(), tolerance=0.0)
    assert {name: c.ended for name, c in made.items()} == {
        "firing_rate": "passed", "gradient_norm": "passed",
    }  # fmt: skip
    assert made["firing_rate"].says == "2 numbers within 0 of the baseline"


@pytest.mark.parametrize("tolerance", [0.0, 0.05, 0.5])
@pytest.mark.parametrize("new", [0.0, 0.195, 0.205, 0.28, 0.31, 1.0])
def test_as_a_person_would_compare(tolerance: float, new: float) -> None:
    case = cases(changed(firing_rate={"sn1": new}), tolerance=tolerance)["firing_rate"]
    assert (case.ended == "passed") == (abs(new - 0.2) <= tolerance * 0.2)
    if case.ended == "failed":
        assert [(p.where, p.value, p.before) for p in case.places] == [("sn1", new, 0.2)]


def test_a_small_norm_is_compared_by_its_own_size() -> None:
    made = cases(changed(gradient_norm={"sn1": 2e-26}))
    assert made["gradient_norm"].ended == "failed"
    assert made["gradient_norm"].says == (
        "sn1 is 2e-26, was 1e-26; 1 of 2 numbers is not within 0.05 of the baseline"
    )


def test_the_largest_relative_change_is_first() -> None:
    made = cases(changed(firing_rate={"sn1": 0.4, "sn2": 0.5}))["firing_rate"]
    assert made.says == (
        "sn1 is 0.4, was 0.2; 2 of 2 numbers are not within 0.05 of the baseline, also sn2"
    )
    assert made.site == "sn1"


def test_a_quantity_with_both_signs_is_compared_by_its_largest() -> None:
    """A mean of a normalised current is 0 but for rounding, which differs between machines."""
    old = {"current_mean": {"sn1": 1e-9, "sn2": -2.0}}
    base = subject(old)
    assert cases(subject({"current_mean": {"sn1": -3e-9, "sn2": -2.0}}), base)[
        "current_mean"
    ].ended == "passed"  # fmt: skip
    moved = subject({"current_mean": {"sn1": 0.11, "sn2": -2.0}})
    assert cases(moved, base)["current_mean"].ended == "failed"


def test_zero_stays_zero() -> None:
    base = subject({"xi": {"sn1": 0.0, "sn2": 1.0}})
    assert cases(subject({"xi": {"sn1": 0.0, "sn2": 1.0}}), base)["xi"].ended == "passed"
    made = cases(subject({"xi": {"sn1": 1e-9, "sn2": 1.0}}), base)["xi"]
    assert (made.ended, made.site) == ("failed", "sn1")


@pytest.mark.parametrize("value", [NAN, math.inf])
def test_a_number_that_is_none_any_more(value: float) -> None:
    made = cases(changed(firing_rate={"sn1": value}))["firing_rate"]
    assert made.says.startswith("sn1 is no finite number, was 0.2; 1 of 2 numbers")
    assert made.places[0].value is None


def test_a_hole_of_the_baseline_is_not_compared() -> None:
    base = subject({"xi": {"sn1": NAN, "sn2": 1.0}})
    made = cases(subject({"xi": {"sn1": 5.0, "sn2": 1.0}}), base)["xi"]
    assert (made.ended, made.says) == ("passed", "1 number within 0.05 of the baseline")


# --- what is gone, what is new -------------------------------------------------------------------


def test_missing_and_new_sites() -> None:
    run = subject({"firing_rate": {"sn2": 0.4, "sn3": 0.1}, "xi": {"sn2": 1.0}})
    made = cases(run)
    assert {n: (c.ended, c.says) for n, c in made.items() if " " in n} == {
        "missing sites": ("failed", "1 site of the baseline missing here: sn1"),
        "new sites": ("skipped", "the baseline has them not: sn3"),
        "missing quantities": (
            "failed", "1 quantity of the baseline missing here: gradient_norm",
        ),
        "new quantities": ("skipped", "the baseline has them not: xi"),
    }  # fmt: skip
    assert made["missing sites"].severity == "error"
    assert cases(run, missing="skip")["missing sites"].ended == "skipped"


def test_many_are_counted() -> None:
    base = subject({"firing_rate": {f"sn{i}": 0.5 for i in range(9)}})
    made = cases(subject({"firing_rate": {"sn0": 0.5}}), base)["missing sites"]
    assert made.says == "8 sites of the baseline missing here: sn1, sn2, sn3 and 5 more"


def test_missing_rows() -> None:
    """A training of fewer epochs is not within the tolerance of a longer one."""
    base, run = subject(tables=table(1.0, 2.0, 3.0)), subject(tables=table(1.0, 2.0))
    made = cases(run, base)
    assert made["result.top1"].ended == "passed"
    assert (made["missing rows"].ended, made["missing rows"].says) == (
        "failed", "1 row of the baseline missing here: epoch 2",
    )  # fmt: skip
    assert cases(base, run)["new rows"].says == "the baseline has them not: epoch 2"
    assert "missing rows" not in cases(run, base, compared=("firing_rate",))


# --- which quantities ----------------------------------------------------------------------------


def table(*top1: float, network: str = "net") -> dict[str, pd.DataFrame]:
    epochs = range(len(top1))
    return {"result": pd.DataFrame({"network": network, "epoch": epochs, "top1": top1, "seed": 0})}


def test_numbers_of_the_result() -> None:
    base = subject(tables=table(50.0, 80.0))
    made = cases(subject(tables=table(50.0, 60.0)), base)
    assert made["result.top1"].says.startswith("epoch 1 is 60, was 80; 1 of 2 numbers is not")
    assert "result.seed" not in made  # a whole number says what was run


def test_of_a_checkup_a_site_s_number_is_compared_once() -> None:
    run = of_result(answered("checkup"), "runs/real")
    made = cases(run, run)
    assert all(c.ended in ("passed", "skipped") for c in made.values())
    assert "firing_rate" in made
    assert "result.firing_rate" not in made
    assert "result.membrane_median" in made


@pytest.mark.parametrize("question", ["gradients", "identity"])
def test_a_real_run_beside_itself(question: str) -> None:
    run = of_result(answered(question), "runs/real")
    made = cases(run, run, tolerance=0.0)
    assert {c.ended for c in made.values()} <= {"passed", "skipped"}
    for name, case in made.items():
        if case.ended == "passed" and name.startswith("result."):
            numbers = run.tables["result"][name.removeprefix("result.")].notna().sum()
            assert case.says.startswith(f"{numbers} number")


def test_chosen_quantities() -> None:
    base = subject(OLD, tables=table(50.0))
    run = subject({"firing_rate": {"sn1": 0.9}}, tables=table(10.0))
    assert list(cases(run, base, compared=("firing_rate",))) == ["missing sites", "firing_rate"]
    assert cases(run, base, compared=("result.top1",))["result.top1"].ended == "failed"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("firing_rte", ("quantities of [gate.baseline] must be quantities of runs/old: "
         "firing_rate, gradient_norm; got 'firing_rte'; did you mean firing_rate?")),
        ("result.top1", ("quantities of [gate.baseline] must be about a table that runs/old holds; "
         "got 'result'; there are none")),
    ],
)  # fmt: skip
def test_a_quantity_that_is_not_there(name: str, wanted: str) -> None:
    with pytest.raises(InputError) as raised:
        cases(changed(), compared=(name,))
    assert str(raised.value) == wanted


def test_another_question() -> None:
    with pytest.raises(InputError) as raised:
        cases(subject(question="train", name="runs/new"))
    assert str(raised.value) == (
        "--baseline must be a run of train, as runs/new is; got 'a run of checkup'"
    )


def test_one_network_may_have_another_name_several_may_not() -> None:
    def run(*names: str, rate: float = 0.5) -> Subject:
        parts = [record({"firing_rate": {"sn1": rate}}, network=n) for n in names]
        whole = parts[0] if len(parts) == 1 else join(parts)
        return subject(whole, name="runs/" + "+".join(names))

    assert cases(run("a"), run("b"))["firing_rate"].ended == "passed"
    made = cases(run("a", "c"), run("a", "b"))
    assert made["missing sites"].says == "1 site of the baseline missing here: b sn1"
    with pytest.raises(InputError) as raised:
        cases(run("a", "b"), run("c", "d"))
    assert str(raised.value) == (
        "--baseline must be a run with numbers of the same sites and quantities in it; got "
        "'runs/c+d'; its networks are c, d, those of runs/a+b a, b"
    )


# --- findings ------------------------------------------------------------------------------------


def test_new_findings_are_counted() -> None:
    base = subject(findings=[finding(site="sn1"), finding("SNL205", "note")], name="runs/old")
    run = subject(findings=[finding(site="sn1"), finding(site="sn1"), finding(site="sn2"),
                            finding("SNL205", "note")])  # fmt: skip
    verdict = judge([run], Rules(), base)
    found = [(c.name, c.site, c.new) for c in verdict.cases if c.kind == "finding"]
    assert found == [
        ("SNL202", "sn1", False), ("SNL202", "sn1", True), ("SNL202", "sn2", True),
        ("SNL205", "sn1", False),
    ]  # fmt: skip
    assert verdict.summary.endswith("; 2 new findings against runs/old")
    assert verdict.counts["failed"] == 3


def test_only_new_findings() -> None:
    base = subject(findings=[finding(site="sn1")], name="runs/old")
    told = Rules(source="snnlens.toml", only_new=True)
    same = judge([subject(findings=[finding(site="sn1")], outcomes=[outcome()])], told, base)
    assert same.green
    assert [c.says for c in same.cases if c.kind == "finding"] == [
        "the baseline has it, too: evidence of SNL202 at sn1"
    ]
    assert not judge([subject(findings=[finding(site="sn2")])], told, base).green
    with pytest.raises(InputError) as raised:
        judge([subject()], told)
    assert str(raised.value) == (
        "judge = \"new\" of [gate.findings] must be with one to compare with; got 'no baseline'; "
        "give --baseline RUN0"
    )
