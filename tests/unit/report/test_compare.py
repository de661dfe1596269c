"""Comparing runs: each number a second way, seeds, verdicts, findings, settings."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from snnlens import api
from snnlens.commands.compare import command
from snnlens.errors import InputError
from snnlens.recording import store
from snnlens.recording.record import empty
from snnlens.recording.result import Claim, Finding, Result
from snnlens.report.compare import Comparison, compare, compare_results, curves, write
from snnlens.report.compare.overview import changed
from tests.unit.report import compare_runs as runs
from tests.unit.report import sample

A_18 = [0, 1, 2, 3, 4, 5, 6, 7]
IN_34 = [0, 2, 3, 6, 7, 12, 13, 15]  # by hand, see test_compare_align


def both(a: Result, b: Result) -> Comparison:
    return compare_results({"a": a, "b": b})


def of(found: Comparison, quantity: str) -> pd.DataFrame:
    return found.numbers[found.numbers["quantity"] == quantity].reset_index(drop=True)


def plain(frame: pd.DataFrame) -> list[list[object]]:
    """Rows with None where pandas has NaN."""
    return [[None if pd.isna(v) else v for v in row] for row in frame.to_numpy().tolist()]


# --- numbers ----------------------------------------------------------------------------------


def test_every_number_of_two_runs_by_a_merge() -> None:
    a, b = sample.result(), sample.result()
    b.table["gradient_norm"] *= np.linspace(0.5, 2, len(b.table))
    b.table["firing_rate_input"] += 0.01
    found = both(a, b)
    merged = a.table.merge(b.table, on=["network", "block"])
    for quantity in ("gradient_norm", "firing_rate_input", "factor"):
        x, y = merged[f"{quantity}_x"], merged[f"{quantity}_y"]
        rows = of(found, quantity)
        there = (x.notna() | y.notna()).to_numpy()
        np.testing.assert_array_equal(rows["differs"], ((x != y) & (x.notna() | y.notna()))[there])
        np.testing.assert_allclose(rows["a"], x[there], rtol=1e-12)
        np.testing.assert_allclose(rows["b"], y[there], rtol=1e-12)
    rates = of(found, "firing_rate_input")
    np.testing.assert_allclose(rates["change"], 0.01, rtol=1e-9)
    norms = of(found, "gradient_norm")
    positive = norms["a"] > 0
    wanted = norms["b"][positive] / norms["a"][positive]
    np.testing.assert_allclose(norms["change"][positive], wanted, rtol=1e-12)
    assert (norms["change"][~positive] == 1.0).all()  # 0 and 0


def test_18_layers_against_34() -> None:
    a, b = runs.gradients(18, seed=1), runs.gradients(34, seed=2)
    rows = of(both(a, b), "gradient_norm")
    np.testing.assert_array_equal(rows["a"], a.table["gradient_norm"][A_18])
    np.testing.assert_array_equal(rows["b"], b.table["gradient_norm"][IN_34])
    assert rows["a_at"].tolist() == [f"block {n}" for n in A_18]
    assert rows["b_at"].tolist() == [f"block {n}" for n in IN_34]


def test_real_networks_of_18_and_34_layers(tmp_path: Path) -> None:
    small = {"residual": ("sew",), "connect": ("add",), "zero_init": "no", "image_size": 32,
             "batch": 2, "time_steps": 1, "threads": 1}  # fmt: skip
    for depth in (18, 34):
        api.answer("gradients", tmp_path / str(depth), depth=depth, **small)
    found = compare([tmp_path / "18", tmp_path / "34"])
    tables = [store.load_result(tmp_path / str(d)).table for d in (18, 34)]  # type: ignore[union-attr]
    rows = of(found, "firing_rate_output")
    first = [t[t["network"] == t["network"].iloc[0]].set_index("block") for t in tables]
    rows = rows[rows["network"] == tables[0]["network"].iloc[0]]
    assert rows["a"].tolist() == first[0].loc[A_18, "firing_rate_output"].tolist()
    assert rows["b"].tolist() == first[1].loc[IN_34, "firing_rate_output"].tolist()
    assert "block 1, 4-5, 8-11, 14" in found.unaligned["what"].tolist()


def test_means_over_places() -> None:
    a, b = runs.gradients(18, seed=1), runs.gradients(18, seed=2)
    found = both(a, b).summary.set_index("quantity")
    norms = [stats.gmean(r.table["gradient_norm"]) for r in (a, b)]
    assert found.loc["gradient_norm", "change"] == pytest.approx(norms[1] / norms[0], rel=1e-12)
    rates = [r.table["firing_rate_input"].mean() for r in (a, b)]
    assert found.loc["firing_rate_input", "change"] == pytest.approx(rates[1] - rates[0], rel=1e-9)


def test_a_value_in_one_run_alone_is_a_difference_without_a_change() -> None:
    a, b = runs.gradients(18), runs.gradients(18)
    b.table.loc[2, "firing_rate_input"] = math.nan
    rows = of(both(a, b), "firing_rate_input")
    assert rows["differs"].tolist() == [False, False, True, *[False] * 5]
    assert math.isnan(rows["change"][2])


def test_a_norm_that_became_0() -> None:
    a, b = runs.gradients(18), runs.gradients(18)
    b.table.loc[0, "gradient_norm"] = 0.0
    rows = of(both(a, b), "gradient_norm")
    assert rows["change"][0] == 0.0
    back = of(both(b, a), "gradient_norm")
    assert back["change"][0] == math.inf


# --- seeds ------------------------------------------------------------------------------------


def test_seeds_that_both_have_are_paired() -> None:
    a, b = [80.0, 82.0, 81.5], [83.0, 84.5, 85.0]
    found = both(runs.trainings({"sew-8": a}), runs.trainings({"sew-8": b})).numbers
    wanted = stats.ttest_rel(b, a).confidence_interval()
    row = found.iloc[0]
    assert row["interval"] == "t of 3 paired seeds"
    assert [row["low"], row["high"]] == pytest.approx(list(wanted), rel=1e-9)
    assert row["change"] == pytest.approx(np.mean(b) - np.mean(a))
    assert (row["seeds_a"], row["seeds_b"]) == (3, 3)


def test_other_seeds_are_not() -> None:
    a, b = [80.0, 82.0, 81.5], [83.0, 84.5, 85.0]
    later = runs.trainings({"sew-8": b}, first_seed=10)
    row = both(runs.trainings({"sew-8": a}), later).numbers.iloc[0]
    wanted = stats.ttest_ind(b, a, equal_var=False).confidence_interval()
    assert row["interval"] == "Welch's t of 3 and 3 seeds"
    assert [row["low"], row["high"]] == pytest.approx(list(wanted), rel=1e-9)


def test_the_mean_over_places_has_the_interval_of_the_seeds_means() -> None:
    rng = np.random.default_rng(3)
    rates = rng.random((2, 4, 8))  # run, seed, block

    def run(of_run: np.ndarray) -> Result:
        rows = [
            {"network": f"sew-18-s{s}", "block": b, "stage": b // 2 + 1, "firing_rate": x}
            for s, found in enumerate(of_run)
            for b, x in enumerate(found)
        ]
        return runs.result(pd.DataFrame(rows), {}, runs.sites(18, "none").iloc[:0])

    row = both(run(rates[0]), run(rates[1])).summary.iloc[0]
    wanted = stats.ttest_rel(rates[1].mean(1), rates[0].mean(1)).confidence_interval()
    assert [row["low"], row["high"]] == pytest.approx(list(wanted), rel=1e-9)


def test_one_seed_or_none_says_so() -> None:
    one = both(runs.trainings({"x": [1.0]}), runs.trainings({"x": [2.0]})).numbers.iloc[0]
    none = both(runs.gradients(18), runs.gradients(18, seed=1)).numbers.iloc[0]
    assert one["interval"] == "one seed: no interval"
    assert none["interval"] == "no seeds: no interval"
    assert math.isnan(one["low"])


# --- verdicts and findings --------------------------------------------------------------------


def claim(verdict: str, measured: float | None = 0.5, name: str = "c") -> Claim:
    return Claim(name, "it holds", "a source", measured, "<= 1", verdict)  # type: ignore[arg-type]


def test_claims() -> None:
    a = [claim("holds"), claim("holds", name="d"), claim("fails", name="e"), claim("holds", 1, "g")]
    b = [claim("fails"), claim("holds", name="d"), claim("holds", name="f"), claim("holds", 2, "g")]
    found = both(runs.gradients(18, claims=a), runs.gradients(18, claims=b)).claims
    assert found[["id", "what"]].to_numpy().tolist() == [
        ["c", "verdict"], ["f", "new"], ["e", "gone"], ["g", "number"], ["d", "same"]
    ]  # fmt: skip


def finding(code: str, site: str | None, evidence: str = "e", severity: str = "note") -> Finding:
    return Finding(code, severity, site, evidence, "why", "next", "")  # type: ignore[arg-type]


def test_findings_by_code_and_site() -> None:
    a = [finding("SNL201", "x"), finding("SNL202", "x", "a"), finding("SNL203", None)]
    b = [finding("SNL201", "x"), finding("SNL202", "x", "b"), finding("SNL201", "y"),
         finding("SNL301", "z", severity="error")]  # fmt: skip
    found = both(runs.gradients(18, findings=a), runs.gradients(18, findings=b)).findings
    assert plain(found[["what", "code", "site"]]) == [
        ["new", "SNL301", "z"], ["new", "SNL201", "y"], ["gone", "SNL203", None],
        ["changed", "SNL202", "x"], ["same", "SNL201", "x"],
    ]  # fmt: skip


def test_two_findings_of_one_site_are_told_apart_by_their_evidence() -> None:
    a = [finding("SNL201", "x", "sew"), finding("SNL201", "x", "ms")]
    b = [finding("SNL201", "x", "ms"), finding("SNL201", "x", "iand")]
    found = both(runs.gradients(18, findings=a), runs.gradients(18, findings=b)).findings
    assert found[["what", "evidence_a", "evidence_b"]].to_numpy().tolist() == [
        ["changed", "sew", "iand"], ["same", "ms", "ms"]
    ]  # fmt: skip


def test_words_that_changed() -> None:
    a, b = sample.result(), sample.result()
    b.table.loc[3, "why_small"] = "underflow"
    found = both(a, b).words
    assert plain(found[["network", "a_at", "column", "a", "b"]]) == [
        ["spiking", "block 3", "why_small", None, "underflow"]
    ]


# --- settings ---------------------------------------------------------------------------------


def test_parameters_and_origin_that_differ() -> None:
    other = {"parameters": sample.PARAMETERS | {"threshold": 0.5}, "git_commit": "b" * 40,
             "packages": {"torch": "2.12.0", "numpy": "2.4.6"}, "data_fingerprint": "cd" * 32,
             "command": "snnlens gradients --data imagefolder:/elsewhere/photos"}  # fmt: skip
    found = both(sample.result(), sample.result(provenance=other)).settings
    values = {name: tuple(row) for name, *row in plain(found[["name", "kind", "A", "B"]])}
    assert values == {
        "threshold": ("parameter", "1.0", "0.5"),
        "packages.torch": ("provenance", "2.13.0", "2.12.0"),
        "packages.matplotlib": ("provenance", "3.11.2", None),
        "git_commit": ("provenance", sample.PROVENANCE["git_commit"], "b" * 40),
        "data_fingerprint": ("provenance", "ab" * 32, "cd" * 32),
        "command": ("provenance", "snnlens gradients --depth 152 -o runs/gradients",
                    "snnlens gradients --data imagefolder:…/photos"),
    }  # fmt: skip


def test_facts_that_were_measured_are_numbers() -> None:
    a, b = runs.gradients(18), runs.gradients(18)
    for made, loss in ((a, 2.0), (b, 1.5)):
        made.record.networks["spiking"] |= {"loss": loss, "tests": {"output": {"accuracy": 0.1}}}
    found = both(a, b)
    rows = found.numbers[found.numbers["table"] == "facts"].set_index("quantity")
    assert rows["change"].to_dict() == {"loss": -0.5, "tests.output.accuracy": 0.0}
    assert found.settings.empty


# --- the same, and what is refused ------------------------------------------------------------


@pytest.mark.parametrize("question", ["gradients", "checkup", "conversion", "degradation"])
def test_a_run_and_itself_have_no_difference(question: str) -> None:
    from tests.unit.runs import saved

    found = compare([saved(question), saved(question)])
    assert found.equal
    assert not found.numbers["differs"].any()
    assert found.words.empty
    assert found.unaligned.empty
    assert found.settings.empty


def test_the_time_of_a_run_is_no_difference() -> None:
    later = sample.result(provenance={"started": "2027-01-01T00:00:00+00:00"})
    found = both(sample.result(), later)
    assert found.settings["kind"].tolist() == ["time"]
    assert found.equal


def test_three_runs_are_each_compared_with_the_first() -> None:
    made = {name: runs.gradients(18, seed=i) for i, name in enumerate("xyz")}
    found = compare_results(made).numbers
    assert found["run"].unique().tolist() == ["B", "C"]
    third = found[(found["run"] == "C") & (found["quantity"] == "gradient_norm")]
    np.testing.assert_array_equal(third["b"], made["z"].table["gradient_norm"])


def test_records_are_compared_by_their_frames(tmp_path: Path) -> None:
    from tests.unit.runs import made

    record = made("gradients")
    folders = [store.save(record, tmp_path / name) for name in "ab"]
    found = compare(folders)
    assert found.question == "record"
    assert found.equal
    frame = record.frame()
    rates = of(found, "firing_rate")
    assert sorted(rates["a"]) == sorted(frame["firing_rate"].dropna())


def test_a_record_and_a_result_are_compared_as_records(tmp_path: Path) -> None:
    from tests.unit.runs import made, saved

    found = compare([store.save(made("gradients"), tmp_path / "r"), saved("gradients")])
    assert found.question == "record"
    assert not found.numbers["differs"].any()


def test_empty_records() -> None:
    found = compare_results({"a": empty(), "b": empty()})
    assert found.equal
    assert found.numbers.empty


def test_tables_without_rows_or_with_other_columns() -> None:
    a = runs.gradients(18)
    none = replace(a, table=a.table.iloc[:0])
    assert both(none, none).equal
    assert "the whole network" in both(a, none).unaligned["what"].tolist()
    text = replace(a, table=a.table.assign(firing_rate_input="high", row=1.0))
    found = compare_results({"a": a, "b": a, "c": text})
    assert found.numbers.groupby("run")["quantity"].unique().map(list).to_dict() == {
        "B": ["gradient_norm", "firing_rate_input"], "C": ["gradient_norm"],
    }  # fmt: skip


def test_other_questions_are_refused() -> None:
    with pytest.raises(InputError) as error:
        both(runs.gradients(18), replace(runs.gradients(18), question="rates"))
    assert str(error.value) == (
        "the runs must be answers to one question; got 'gradients and rates'; compare gradients "
        "with gradients, rates with rates"
    )


@pytest.mark.parametrize("count", [0, 1, 8])
def test_how_many_runs(count: int) -> None:
    with pytest.raises(InputError) as error:
        compare([Path("x")] * count)
    assert str(error.value) == (
        f"RUN must be 2 to 7 run folders; got {count}; snnlens compare RUN_A RUN_B"
    )


# --- the command ------------------------------------------------------------------------------


def test_the_command_prints_all_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [runs.saved(tmp_path / n, runs.gradients(d)) for n, d in (("a", 18), ("b", 34))]
    command(folders, tmp_path / "c.html", as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert list(said) == [
        "page", "question", "runs", "equal", "claims", "findings", "summary", "numbers", "words",
        "settings", "alignment", "unaligned",
    ]  # fmt: skip
    assert said["runs"] == [{"letter": "A", "name": "a"}, {"letter": "B", "name": "b"}]
    assert len(said["numbers"]) == 2 * 8
    assert said["numbers"][0]["low"] is None
    assert "NaN" not in json.dumps(said)


def test_the_command_says_where_the_page_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [runs.saved(tmp_path / n, runs.gradients(18)) for n in "ab"]
    command(folders, tmp_path / "c.html")
    assert capsys.readouterr().out == f"{tmp_path / 'c.html'}\n"
    with pytest.raises(InputError, match="add --force to replace it"):
        write(folders, tmp_path / "c.html")
    write(folders, tmp_path / "c.html", force=True)


def test_nothing_is_written_where_a_run_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="RUN must be a run folder"):
        write([tmp_path / "none"] * 2, tmp_path / "c.html")
    assert list(tmp_path.iterdir()) == []


# --- what was said wrongly ---------------------------------------------------------------------


def seeds(norms: Sequence[Sequence[float]], first: int = 0, name: str = "sew-18") -> Result:
    """A row per seed and block: the gradient norms of each seed."""
    rows = [
        {"network": f"{name}-s{first + s}", "block": b, "stage": b + 1, "gradient_norm": x}
        for s, found in enumerate(norms)
        for b, x in enumerate(found)
    ]
    return runs.result(pd.DataFrame(rows), {}, runs.sites(18, "none").iloc[:0])


def test_the_table_and_the_figure_have_the_same_mean_over_seeds() -> None:
    a, b = [[1e-6, 1.0], [1e-2, 2.0]], [[2e-6, 0.0], [2e-2, 2.0]]
    found = both(seeds(a), seeds(b))
    rows = of(found, "gradient_norm")
    mine = [one for one in found.aligned if one.table == "result"]
    (panel,) = curves.drawing(mine, "gradient_norm", "", []).panels
    assert [list(c.y) for c in panel.curves] == [rows["a"].tolist(), rows["b"].tolist()]
    assert rows["a"][0] == pytest.approx(stats.gmean([1e-6, 1e-2]))
    assert rows["b"].tolist() == pytest.approx([2e-4, 1.0])  # with a 0 in it: arithmetic


def test_a_norm_that_became_infinite_did_not_come_from_0() -> None:
    a, b = seeds([[1.0, 1.0], [1.0, 1.0]]), seeds([[math.inf, 1.0], [math.inf, 1.0]])
    row, back = (of(both(*two), "gradient_norm").iloc[0] for two in ((a, b), (b, a)))
    assert changed("ratio", row["change"], row["a"]) == "to ∞"
    assert changed("ratio", back["change"], back["a"]) == "from ∞"
    assert row["interval"] == "a value is infinite: no interval"


def test_runs_of_other_seeds_differ_by_their_mean() -> None:
    a = runs.trainings({"sew-8": [0.1, 0.2]})
    b = runs.trainings({"sew-8": [0.2, 0.1]}, first_seed=2)
    assert not both(a, b).numbers["differs"].any()
    assert both(a, runs.trainings({"sew-8": [0.2, 0.1]})).numbers["differs"].all()


def test_findings_of_networks_that_are_called_otherwise_are_the_same() -> None:
    def run(name: str, share: str) -> Result:
        said = Finding("SNL202", "error", "sn1", f"{name}: {share}", "why", "next", "reference")
        return runs.gradients(18, network=name, findings=[said])

    assert both(run("a.py:net", "silent"), run("b.nir", "silent")).findings["what"].tolist() == [
        "same"
    ]
    assert both(run("a.py:net", "silent"), run("b.nir", "other")).findings["what"].tolist() == [
        "changed"
    ]
