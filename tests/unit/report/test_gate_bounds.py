"""Thresholds judged: which rows, which numbers, and that nothing is green by accident."""

from __future__ import annotations

import math
import tomllib

import numpy as np
import pandas as pd
import pytest

from snnlens.errors import InputError
from snnlens.report.gate import Subject, of_result, rules
from snnlens.report.gate.advice import ADVICE, BETWEEN, NO_NUMBER, advice
from snnlens.report.gate.bounds import thresholds
from snnlens.report.gate.case import Case
from tests.unit.report.gate_runs import NAN, record, subject
from tests.unit.runs import answered

RATES = {"sn1": 0.2, "sn2": 0.0, "layer1.sn": 0.6, "layer2.sn": 0.95}
EPOCHS = pd.DataFrame(
    {"network": "net", "epoch": [0, 1, 2], "top1": [10.0, 60.0, 80.0], "right": [1, 6, 8],
     "note": ["a", "b", "c"], "done": [False, False, True]}
)  # fmt: skip


def judged(text: str, *subjects: Subject, base: Subject | None = None) -> list[Case]:
    """The one case of each run."""
    made = rules(tomllib.loads(text), "snnlens.toml")
    return [cases[0] for cases in thresholds(subjects, made.bounds, base)]


def one(text: str, run: Subject | None = None, base: Subject | None = None) -> Case:
    run = subject({"firing_rate": RATES}) if run is None else run
    return judged(text, run, base=base)[0]


def refused(text: str, *runs: Subject, base: Subject | None = None) -> str:
    runs = runs or (subject({"firing_rate": RATES}),)
    with pytest.raises(InputError) as raised:
        judged(text, *runs, base=base)
    assert "\n" not in str(raised.value)
    return str(raised.value)


# --- numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (0.001, 0.9), (0.2, 0.2), (0.7, 0.8), (0, 0)]
)
def test_as_a_loop_would_judge(low: float, high: float) -> None:
    case = one(f"[sites]\nfiring_rate = {{ min = {low}, max = {high} }}")
    bad = {site: rate for site, rate in RATES.items() if not low <= rate <= high}
    assert case.ended == ("failed" if bad else "passed")
    assert {p.where: p.value for p in case.places} == bad
    excess = [max(low - p.value, p.value - high) for p in case.places]  # type: ignore[operator]
    assert excess == sorted(excess, reverse=True)


def test_what_is_said() -> None:
    case = one("[sites]\nfiring_rate = { min = 0.001, max = 0.5 }")
    assert case.says == "layer2.sn is 0.95, above max 0.5; 3 of 4 sites, also layer1.sn 0.6, sn2 0"
    assert (case.kind, case.name, case.site, case.bound) == (
        "threshold", "firing_rate", "layer2.sn", "min 0.001, max 0.5",
    )  # fmt: skip
    assert case.try_.startswith("snnlens explain SNL204: ")
    case = one("[sites]\nfiring_rate = { min = 0.1 }")
    assert case.says == "sn2 is 0, below min 0.1; 1 of 4 sites"
    assert case.try_.startswith("snnlens explain SNL202: Look at the first silent layer only.")
    case = one("[sites]\nfiring_rate = { max = 1 }")
    assert (case.ended, case.says, case.places) == ("passed", "4 sites, 0 to 0.95", ())


def test_only_the_worst_are_named() -> None:
    run = subject({"firing_rate": {f"sn{i}": i / 10 for i in range(10)}})
    case = one("[sites]\nfiring_rate = { max = 0.05 }", run)
    assert case.says == (
        "sn9 is 0.9, above max 0.05; 9 of 10 sites, also sn8 0.8, sn7 0.7, sn6 0.6 and 5 more"
    )
    assert len(case.places) == 9


@pytest.mark.parametrize("value", [NAN, math.inf, -math.inf])
def test_what_is_no_number_is_never_green(value: float) -> None:
    run = subject({"gradient_norm": {"sn1": 0.5, "sn2": value}})
    for bound in ("min = 0", "max = 1e9"):
        case = one(f"[sites]\ngradient_norm = {{ {bound} }}", run)
        assert (case.ended, case.site, case.try_) == ("failed", "sn2", NO_NUMBER)
        assert case.says == f"sn2 is no finite number ({case.bound}); 1 of 2 sites"
        assert case.places[0].value is None


def test_a_hole_may_be_meant() -> None:
    run = subject({"xi": {"sn1": 0.5, "sn2": NAN}})
    assert one("[sites]\nxi = { max = 1, missing = 'skip' }", run).ended == "passed"
    run = subject({"xi": {"sn1": 0.5, "sn2": math.inf}})
    assert one("[sites]\nxi = { max = 1, missing = 'skip' }", run).ended == "failed"


def test_a_site_that_was_not_asked_is_no_hole() -> None:
    run = subject({"firing_rate": {"sn1": 0.5, "sn2": 0.5}, "xi": {"sn1": 2.0}})
    assert one("[sites]\nxi = { max = 3 }", run).says == "1 site, 2 to 2"


def test_no_number_anywhere() -> None:
    run = subject({"xi": {"sn1": NAN}, "firing_rate": {"sn1": 0.5}})
    wanted = (
        "[gate.sites] xi of snnlens.toml must be about a quantity with a number; got 'no number of "
        "xi in runs/mine'"
    )
    assert refused("[sites]\nxi = { max = 3 }", run) == wanted
    assert refused("[sites]\nxi = { max = 3, missing = 'skip' }", run) == wanted


# --- names ---------------------------------------------------------------------------------------


def test_an_unknown_quantity() -> None:
    assert refused("[sites]\nfiring_rte = { max = 1 }") == (
        "[gate.sites] firing_rte of snnlens.toml must be about a quantity that runs/mine holds: "
        "firing_rate; got 'firing_rte'; did you mean firing_rate?"
    )


def test_a_quantity_in_the_wrong_table() -> None:
    run = subject({"firing_rate": RATES}, tables={"result": EPOCHS, "energy": EPOCHS})
    assert refused("[sites]\ntop1 = { min = 1 }", run) == (
        "[gate.sites] top1 of snnlens.toml must be in [gate.tables.result]; got 'top1'"
    )
    assert refused("[tables.result]\nfiring_rate = { min = 1 }", run) == (
        "[gate.tables.result] firing_rate of snnlens.toml must be in [gate.sites]; got "
        "'firing_rate'"
    )
    assert refused("[tables.result]\ntop2 = { min = 1 }", run) == (
        "[gate.tables.result] top2 of snnlens.toml must be about a quantity that runs/mine holds: "
        "network, epoch, top1, right, note, done; got 'top2'; did you mean top1?"
    )
    assert refused("[tables.results]\ntop1 = { min = 1 }", run) == (
        "[gate.tables.results] top1 of snnlens.toml must be about a table that runs/mine holds: "
        "result, energy; got 'results'; did you mean result?"
    )
    assert refused("[tables.sites]\ntop1 = { min = 1 }", run).startswith(
        "[gate.tables.sites] top1 of snnlens.toml must be about a table that runs/mine holds"
    )
    assert refused("[tables.result]\nnote = { min = 1 }", run) == (
        "[gate.tables.result] note of snnlens.toml must be about a number; got 'text in note'"
    )


def test_a_record_alone_has_no_table() -> None:
    assert refused("[tables.result]\ntop1 = { min = 1 }", subject(question=None)) == (
        "[gate.tables.result] top1 of snnlens.toml must be about a table that runs/mine holds; got "
        "'result'; there are none"
    )


# --- rows ----------------------------------------------------------------------------------------

ROLES = {"layer2.sn": "block_output"}


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        ("where = { site = 'layer*' }", {"layer1.sn", "layer2.sn"}),
        ("where = { site = 'sn?' }", {"sn1", "sn2"}),
        ("where = { site = ['sn1', 'layer1.*'] }", {"sn1", "layer1.sn"}),
        ("where = { role = 'neuron' }", {"sn1", "sn2", "layer1.sn"}),
        ("where = { role = 'neuron', site = 'l*' }", {"layer1.sn"}),
        ("except = { site = 'sn2' }", {"sn1", "layer1.sn", "layer2.sn"}),
        ("where = { site = 's*' }, except = { site = 'sn2' }", {"sn1"}),
        ("where = { order = [0, 3] }", {"sn1", "layer2.sn"}),
        ("where = { order = 'last' }", {"layer2.sn"}),
        ("where = { order = 'first' }", {"sn1"}),
    ],
)
def test_which_sites(where: str, wanted: set[str]) -> None:
    run = subject(record({"firing_rate": RATES}, roles=ROLES))
    case = one(f"[sites]\nfiring_rate = {{ min = 2, {where} }}", run)
    assert {p.where for p in case.places} == wanted


SITES = "sn1, sn2, layer1.sn, layer2.sn"
COLUMNS = "network, site, role, block, order, firing_rate"
TYPOS = {
    "where = { site = 'sn9' }": (
        f"site in where of {{}} must be a value of runs/mine: {SITES}; got 'sn9'; did you mean "
        "sn1 or sn2?"
    ),
    "except = { site = ['sn1', 'sn9'] }": (
        f"site in except of {{}} must be a value of runs/mine: {SITES}; got 'sn9'; did you mean "
        "sn1 or sn2?"
    ),
    "where = { sit = 'sn1' }": (
        f"where of {{}} must be about a column of runs/mine: {COLUMNS}; got 'sit'; did you "
        "mean site?"
    ),
    "where = { site = 1 }": (
        f"site in where of {{}} must be a value of runs/mine: {SITES}; got 1; did you mean sn1?"
    ),
    "where = { order = 7 }": (
        "order in where of {} must be a value of runs/mine: 0, 1, 2, 3; got 7"
    ),
    "where = { order = '1' }": (
        "order in where of {} must be a value of runs/mine: 0, 1, 2, 3; got '1'; did you mean 1?"
    ),
    "where = { order = true }": (
        "order in where of {} must be a value of runs/mine: 0, 1, 2, 3; got True"
    ),
    "except = { site = '*' }": (
        "{} must be about at least one row of runs/mine; got 'no row of it'"
    ),
    "where = { block = 'last' }": (
        "block in where of {} must be a value of runs/mine; got 'last'; there are none"
    ),
}


@pytest.mark.parametrize("where", TYPOS)
def test_a_pattern_that_meets_nothing_is_a_typo(where: str) -> None:
    said = refused(f"[sites]\nfiring_rate = {{ max = 1, {where} }}")
    assert said == TYPOS[where].format("[gate.sites] firing_rate of snnlens.toml")


def test_brackets_are_no_pattern() -> None:
    run = subject({"firing_rate": {"layer[0].sn": 0.5, "layer0.sn": 0.7}})
    case = one("[sites]\nfiring_rate = { min = 1, where = { site = 'layer[0].*' } }", run)
    assert [p.where for p in case.places] == ["layer[0].sn"]


def test_the_last_row_of_each_network() -> None:
    other = EPOCHS.iloc[:2].assign(network="other", top1=[5.0, 7.0])
    run = subject(tables={"result": pd.concat([EPOCHS, other], ignore_index=True)})
    case = one("[tables.result]\ntop1 = { min = 90, where = { epoch = 'last' } }", run)
    assert [(p.where, p.value) for p in case.places] == [
        ("other epoch 1", 7.0),
        ("net epoch 2", 80),
    ]
    case = one("[tables.result]\ntop1 = { min = 90, where = { done = true } }", run)
    assert [p.where for p in case.places] == ["net epoch 2"]
    assert case.says == "net epoch 2 is 80, below min 90; 1 of 1 row"


def test_whole_numbers_and_flags_are_numbers() -> None:
    run = subject(tables={"result": EPOCHS})
    assert one("[tables.result]\nright = { max = 8 }", run).ended == "passed"
    assert [p.where for p in one("[tables.result]\ndone = { min = 1 }", run).places] == [
        "epoch 0", "epoch 1",
    ]  # fmt: skip


def test_several_bounds_of_one_quantity() -> None:
    text = "[sites]\nfiring_rate = [{ max = 0.5, where = { site = 'sn*' } }, { max = 0.1 }]"
    made = rules(tomllib.loads(text), "snnlens.toml")
    cases = thresholds([subject({"firing_rate": RATES})], made.bounds, None)[0]
    assert [c.ended for c in cases] == ["passed", "failed"]


# --- several runs --------------------------------------------------------------------------------


def test_a_bound_is_about_the_questions_that_have_it() -> None:
    checkup = subject({"firing_rate": RATES}, name="a")
    trained = subject({"xi": {"sn1": 1.0}}, name="b", question="train", tables={"result": EPOCHS})
    cases = judged("[tables.result]\ntop1 = { min = 0 }", checkup, trained)
    assert [c.ended for c in cases] == ["skipped", "passed"]
    assert cases[0].says == "a does not answer a question that has it"


def test_of_one_question_each_run_has_to_hold_it() -> None:
    whole = subject({"firing_rate": RATES}, name="a")
    less = subject({"xi": {"sn1": 1.0}}, name="b")
    for runs in ((whole, less), (less, whole)):
        assert refused("[sites]\nfiring_rate = { max = 1 }", *runs).startswith(
            "[gate.sites] firing_rate of snnlens.toml must be about a quantity that b holds"
        )
    other = subject({"xi": {"sn1": 1.0}}, name="b", question="train")
    assert "that a holds" in refused("[sites]\nrate = { max = 1 }", whole, other)


# --- beside a baseline ---------------------------------------------------------------------------


def at(*top1: float, epochs: int = 3, network: str = "net") -> Subject:
    table = EPOCHS.iloc[:epochs].assign(top1=top1, network=network)
    return subject(name="runs/new", tables={"result": table})


DROP = "[tables.result]\ntop1 = { drop = 1, where = { epoch = 'last' } }"


def test_a_drop_of_accuracy() -> None:
    base = at(10, 60, 80)
    assert one(DROP, at(0, 0, 79), base).ended == "passed"  # only the last epoch is asked
    case = one(DROP, at(10, 60, 78.5), base)
    assert case.says == (
        "epoch 2 is 78.5, was 80 in the baseline: it fell by more than 1; 1 of 1 row"
    )
    assert (case.places[0].value, case.places[0].before, case.try_) == (78.5, 80.0, BETWEEN)
    assert one(DROP, at(10, 60, 99), base).ended == "passed"
    case = one(DROP.replace("drop", "rise"), at(10, 60, 99), base)
    assert "was 80 in the baseline: it rose by more than 1" in case.says


def test_one_network_may_have_another_name() -> None:
    assert one(DROP, at(10, 60, 70), at(10, 60, 80, network="old")).ended == "failed"


def test_a_row_that_the_baseline_has_not() -> None:
    text = DROP.replace(", where = { epoch = 'last' }", "")
    case = one(text, at(10, 60, 80), at(10, 60, epochs=2))
    assert case.says == "epoch 2 is 80, and the baseline has no such number; 1 of 3 rows"
    text = text.replace("drop = 1", "drop = 1, missing = 'skip'")
    case = one(text, at(10, 60, 80), at(10, 60, epochs=2))
    assert (case.ended, case.says) == ("passed", "2 rows, 10 to 60")
    text = text.replace("drop = 1", "drop = 1, min = 90")  # which needs no baseline
    case = one(text, at(10, 60, 80), at(10, 60, epochs=2))
    assert [p.where for p in case.places] == ["epoch 0", "epoch 1", "epoch 2"]
    assert one(text, at(10, 60, math.inf), at(10, 60, epochs=2)).places[0].value is None


def test_nothing_to_compare_with_is_never_green() -> None:
    text = DROP.replace("drop = 1", "drop = 1, missing = 'skip'")
    old = at(10, 60, epochs=2)
    old.tables["result"]["epoch"] = [7, 8]
    both = [at(10, 60, 80, network=n).tables["result"] for n in "ab"]
    run = subject(tables={"result": pd.concat(both, ignore_index=True)})
    assert refused(text, run, base=old) == (
        "[gate.tables.result] top1 of snnlens.toml must be about at least one; got 'no row that "
        "the baseline has, too'"
    )


def test_a_change_needs_a_baseline() -> None:
    assert refused(DROP, at(1, 2, 3)) == (
        "[gate.tables.result] top1 of snnlens.toml must be without drop and rise; got "
        "'no baseline'; give --baseline RUN0"
    )
    bare = subject({"xi": {"sn1": 1.0}}, name="runs/old")
    assert "a table that runs/old holds" in refused(DROP, at(1, 2, 3), base=bare)


# --- real runs -----------------------------------------------------------------------------------


def test_a_real_checkup_by_its_own_table() -> None:
    """The bound on sites beside the table of the result, which the check-up made by itself."""
    result = answered("checkup")
    run = of_result(result, "runs/real")
    for quantity in ("firing_rate", "silent_share", "gradient_norm", "surrogate_mean"):
        values = result.table[quantity]
        middle = float(np.median(values))
        case = one(
            f"[sites]\n{quantity} = {{ max = {middle!r}, where = {{ role = 'neuron' }} }}", run
        )
        bad = result.table[values > middle]
        assert {p.where: p.value for p in case.places} == dict(zip(bad["site"], bad[quantity],
                                                                   strict=True))  # fmt: skip


@pytest.mark.parametrize("question", ["gradients", "audit"])
def test_every_number_of_a_result_can_be_judged(question: str) -> None:
    result = answered(question)
    run = of_result(result, "runs/real")
    looked = 0
    for column in result.table.select_dtypes("number"):
        values = result.table[column].astype(float)
        if values.isna().all():
            continue
        text = f"[tables.result]\n{column} = {{ max = -1e300, missing = 'skip' }}"
        case = one(text, run)
        assert len(case.places) == values.notna().sum()
        assert len({p.where for p in case.places}) == len(case.places)  # each row by its name
        looked += 1
    assert looked


# --- advice --------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantity", ADVICE)
def test_advice_is_a_check_s(quantity: str) -> None:
    given = [advice(quantity, limit) for limit in ("min", "max")]
    assert any(a.startswith("snnlens explain SNL") for a in given)


def test_other_advice() -> None:
    assert advice("top1", "drop") == BETWEEN
    assert advice("silent_share", "missing") == NO_NUMBER
    assert advice("silent_share", "min") == BETWEEN


def test_of_many_names_a_few_are_listed() -> None:
    run = subject({"firing_rate": {f"layer{i}.sn": 0.5 for i in range(600)}})
    said = refused("[sites]\nfiring_rate = { max = 1, where = { site = 'zzz' } }", run)
    assert said.endswith("layer11.sn and 588 more")
    assert len(said) < 350


def test_a_limit_of_a_change_is_not_broken_by_rounding() -> None:
    """.4 to .3 fell by .1, whatever .4 - .3 is in floats."""
    old, new = subject({"firing_rate": {"sn1": 0.4}}), subject({"firing_rate": {"sn1": 0.3}})
    assert one("[sites]\nfiring_rate = { drop = 0.1 }", new, base=old).ended == "passed"
    assert one("[sites]\nfiring_rate = { drop = 0.0999999 }", new, base=old).ended == "failed"
    assert one("[sites]\nfiring_rate = { rise = 0.1 }", old, base=new).ended == "passed"


def test_every_limit_that_is_broken_is_named() -> None:
    old, new = subject({"firing_rate": {"sn1": 0.9}}), subject({"firing_rate": {"sn1": 0.2}})
    case = one("[sites]\nfiring_rate = { min = 0.25, drop = 0.5 }", new, base=old)
    assert case.says.startswith(
        "sn1 is 0.2, was 0.9 in the baseline: it fell by more than 0.5, below min 0.25; 1 of 1 site"
    )
