"""How a check ends: issue, passed or not applicable, of each network by itself."""

from __future__ import annotations

from collections.abc import Iterator

from snnlens.checks._base import Check, Outcome
from snnlens.checks._seen import Seen
from snnlens.recording.record import Record
from snnlens.recording.result import Finding
from tests.unit.analysis.handmade import Net, record
from tests.unit.checks.handmade import layers, made


class Says(Check):
    """Finds what the facts of a network say, where its firing rates and norms are known."""

    name, code, title, why, next, reference = "says", "SNL999", "t", "why", "next", "ref"
    needs = ("firing_rate", "gradient_norm")

    def judge(self, seen: Seen) -> Iterator[Finding]:
        for site in seen.facts.get("said", ()):
            yield self.finding("note", site, f"{seen.name}: {site}")


def only(names: set[str], *tables: str) -> Record:
    """A Record of two networks; of each table only the rows of some."""
    whole = record(Net(name="a", facts={"said": ("x", "y")}), Net(name="b"), depth=18)
    for table in tables:
        rows = whole.tables[table]
        whole.tables[table] = rows[rows["network"].isin(list(names))]
    return whole


def test_a_finding_carries_what_the_check_says() -> None:
    outcome = Says().outcome(made(layers(0.2), said=("x",)))
    finding = Finding("SNL999", "note", "x", "net: x", "why", "next", "ref")
    assert outcome == Outcome("SNL999", "says", "t", "issue", "", (finding,))


def test_nothing_found() -> None:
    assert Says().outcome(made(layers(0.2))) == Outcome("SNL999", "says", "t", "passed", "", ())


def test_what_is_missing_and_what_would_give_it() -> None:
    bare = made([{"site": "0"}])
    assert Says().outcome(bare) == Outcome(
        "SNL999", "says", "t", "not applicable",
        "the record holds no firing_rate, gradient_norm; record with probes=[..., "
        '"firing_rate", "gradient_norm"]',
    )  # fmt: skip
    assert Says().applies(made([{"site": "0", "rate": 0.2}])) == (
        'the record holds no gradient_norm; record with probes=[..., "gradient_norm"]'
    )


def test_of_which_networks_it_is_not() -> None:
    lacks = 'the record holds no gradient_norm; record with probes=[..., "gradient_norm"]'
    outcome = Says().outcome(only({"a"}, "gradient_norm"))
    assert (outcome.outcome, outcome.reason) == ("issue", f"b: {lacks}")
    assert [f.evidence for f in outcome.findings] == ["a: x", "a: y"]
    outcome = Says().outcome(only({"b"}, "gradient_norm"))
    assert (outcome.outcome, outcome.reason) == ("passed", f"a: {lacks}")
    none = only(set(), "gradient_norm")
    assert Says().applies(none) == lacks  # said once, for both


def test_two_reasons_are_both_said() -> None:
    whole = only({"a"}, "gradient_norm")
    rates = whole.tables["firing_rate"]
    whole.tables["firing_rate"] = rates[rates["network"] == "b"]
    assert Says().applies(whole) == (
        'the record holds no firing_rate; record with probes=[..., "firing_rate"]; '
        'the record holds no gradient_norm; record with probes=[..., "gradient_norm"]'
    )
    assert Says().findings(whole) == []


def test_auxiliary_networks_are_judged_by_none() -> None:
    assert Says().applies(made(layers(0.2), auxiliary=True)) == (
        "the record holds auxiliary networks only, which no check judges"
    )
