"""Text, JSON, annotations and JUnit: what they hold, and that no name breaks out of them."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from snnlens.report.gate import FORMATS, Case, Verdict, judge, reasons, render, rules
from snnlens.report.gate.words import visible
from tests.trust.payloads import PAYLOADS
from tests.trust.tally import Count
from tests.unit.report.gate_runs import HOSTILE, NAN, claim, finding, outcome, record, subject
from tests.unit.test_cli import conforms, strict

SCHEMA = json.loads(
    (Path(__file__).parents[3] / "docs" / "schema" / "gate-v1.json").read_text(encoding="utf-8")
)
COMMAND = re.compile(r"::(error|warning|notice) title=([^:,\r\n]*)::([^\r\n]*)")


def verdict(name: str = "sn2", run: str = "runs/mine", *, fail_on: str = "error") -> Verdict:
    """Everything that can be in one: each kind, each way to end, a name of the user's."""
    told = rules({
        "fail_on": fail_on,
        "sites": {"firing_rate": {"min": 0.1}, "gradient_norm": {"max": 1}, "xi": {"max": 3}},
        "findings": {"ignore": ["SNL205"]},
        "claims": {"required": ["eq8-exact"]},
    }, "snnlens.toml")  # fmt: skip
    numbers = {"firing_rate": {"sn1": 0.5, name: 0.0}, "gradient_norm": {"sn1": 0.5, name: NAN},
               "xi": {"sn1": 1.0}}  # fmt: skip
    mine = subject(
        numbers, name=run,
        findings=[finding(site=name), finding("SNL305", "warning", None), finding("SNL205", "note"),
                  finding("SNL207", "note", name), finding("SNL207", "note", name)],
        claims=[claim(), claim("eq8-exact", "not-testable", name), claim("fig6", "fails"),
                claim("fig7", "not-testable", "too small")],
        outcomes=[outcome("SNL202", "issue"), outcome("SNL101"),
                  outcome("SNL102", "not applicable", f"no BatchNorm in {name}")],
    )  # fmt: skip
    return judge(
        [mine], told, base=subject(numbers, findings=[finding(site=name)], name="runs/old")
    )


# --- what they say -------------------------------------------------------------------------------


def test_text_is_short_and_aligned() -> None:
    said = render(verdict(), "text")
    lines = said.splitlines()
    assert lines[0] == "run runs/mine (checkup): 6 passed"
    assert lines[-1] == (
        "red: 4 at or above error, 4 below, 6 passed, 3 skipped; 4 new findings against runs/old "
        "(rules of snnlens.toml)"
    )
    cases = [line for line in lines[1:-1] if line[:31].strip() or "try: " in line]
    assert {len(line) - len(line.lstrip("* ")) for line in cases if "try: " not in line} == {2}
    starts = {re.search(r"(?:\S+ )?\S+  +\S", line[11:]) is not None for line in cases}
    assert starts == {True, False}  # names, and continued lines
    assert [line.split()[:3] for line in cases if line.startswith("*")] == [
        ["*", "error", "SNL202"], ["*", "error", "firing_rate"], ["*", "error", "gradient_norm"],
        ["*", "error", "eq8-exact"],
    ]  # fmt: skip
    column = cases[0].index("evidence of SNL202")
    for line, begin in zip(cases, ("evidence", "try: do", "sn2 is 0", "try: snn"), strict=False):
        assert line[column:].startswith(begin)
    assert max(map(len, lines)) < 170


def test_text_says_the_same_advice_once() -> None:
    said = render(verdict(fail_on="note"), "text")
    assert said.count("try: do this") == 1
    assert said.count("* note") == 2


def test_text_of_a_green_one() -> None:
    made = judge([subject(outcomes=[outcome()])], rules({"sites": {"firing_rate": {"max": 1}}}))
    assert render(made, "text") == (
        "run runs/mine (checkup): 2 passed\n"
        "  passed   firing_rate  1 site, 0.5 to 0.5 [max 1]\n"
        "green: 0 at or above error, 0 below, 2 passed, 0 skipped (no thresholds)\n"
    )


def test_reasons_are_whole() -> None:
    said = reasons(verdict())
    assert "  error SNL202 at sn2: evidence of SNL202 at sn2\n    try: do this\n" in said
    assert "  error firing_rate [min 0.1]: sn2 is 0, below min 0.1; 1 of 2 sites\n" in said
    assert "SNL305" not in said  # a warning does not stop it


def test_json_is_one_object_of_the_schema() -> None:
    made = verdict()
    printed = strict(render(made, "json"))
    conforms(printed, SCHEMA)
    assert printed["counts"] == {"failed": 4, "minor": 4, "passed": 6, "skipped": 3}
    assert sum(printed["counts"].values()) == len(printed["runs"][0]["cases"])
    stops = [c["name"] for c in printed["runs"][0]["cases"] if c["stops"]]
    assert stops == ["SNL202", "firing_rate", "gradient_norm", "eq8-exact"]
    norm = next(c for c in printed["runs"][0]["cases"]
                if c["kind"] == "threshold" and c["name"] == "gradient_norm")  # fmt: skip
    assert norm["places"] == [{"where": "sn2", "value": None, "before": None}]
    with pytest.raises(AssertionError):
        conforms(printed | {"more": 1}, SCHEMA)


def test_annotations() -> None:
    lines = render(verdict(), "github").splitlines()
    levels = [COMMAND.fullmatch(line)[1] for line in lines]  # type: ignore[index]
    assert levels == ["error", "warning", "notice", "notice", "error", "error", "error", "warning",
                      "error"]  # fmt: skip
    assert lines[0] == (
        "::error title=SNL202 at sn2 (runs/mine)::evidence of SNL202 at sn2%0Atry: do this"
    )
    assert lines[-1] == (
        "::error title=snnlens gate::red: 4 at or above error, 4 below, 6 passed, 3 skipped; 4 new "
        "findings against runs/old"
    )
    assert render(judge([subject(outcomes=[outcome()])], rules(
        {"fail_on": "note"})), "github") == (
        "::notice title=snnlens gate::green: 0 at or above note, 0 below, 1 passed, 0 skipped\n"
    )  # fmt: skip


def test_junit() -> None:
    made = verdict()
    said = render(made, "junit")
    assert said.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites ')
    root = ET.fromstring(said)
    wanted = {"tests": "17", "failures": "4", "errors": "0", "skipped": "3"}
    for element in (root, root[0]):
        assert {k: v for k, v in element.attrib.items() if k != "name"} == wanted
    assert [e.tag for e in root] == ["testsuite"]
    cases = root.findall("testsuite/testcase")
    assert len(cases) == len(made.cases)
    ends = [[child.tag for child in case] for case in cases]
    assert ends.count(["failure"]) == 4
    assert ends.count(["skipped"]) == 3
    assert ends.count(["system-out"]) == 4  # found, but below --fail-on
    assert ends.count([]) == 6
    assert len({(c.get("classname"), c.get("name")) for c in cases}) == len(cases)
    failure = root.find("testsuite/testcase/failure")
    assert failure is not None
    assert (failure.get("type"), failure.get("message")) == ("error", "evidence of SNL202 at sn2")
    assert failure.text == "evidence of SNL202 at sn2\ntry: do this"
    names = [c.get("name") for c in cases]
    assert "firing_rate: min 0.1" in names
    assert "SNL207 at sn2 (2)" in names


def test_never() -> None:
    made = verdict(fail_on="never")
    assert made.green
    assert made.summary.startswith(
        "green: 8 failed, none of which counts (--fail-on never), 6 passed"
    )
    assert ET.fromstring(render(made, "junit")).get("failures") == "0"
    assert "::error title=SNL202" in render(made, "github")  # shown all the same


def test_equal_verdicts_give_equal_bytes() -> None:
    for name in FORMATS:
        assert render(verdict(), name) == render(verdict(), name)


# --- hostile names -------------------------------------------------------------------------------


def every(name: str) -> list[Verdict]:
    """The name as a site, and as a run folder, a network, a quantity and a column."""
    numbers = {"firing_rate": {"sn1": 0.0}}
    net = subject(record(numbers, network=name), tables={"result": pd.DataFrame({name: [1.0]})})
    both = subject({name: {"sn1": 2.0}}, claims=[claim(name, "fails", name)])
    limits = {"min": 3}
    return [
        verdict(name),
        verdict(name, run=visible(name)),
        judge([net], rules({"tables": {"result": {name: limits}}})),
        judge([both], rules({"sites": {name: limits}}, name)),
    ]


@pytest.mark.promise("nothing-runs-in-the-page")
@pytest.mark.parametrize("name", [*HOSTILE, *PAYLOADS])
def test_hostile_names_in_text(name: str, tally: Count) -> None:
    for made in every(name):
        tally("payloads in text")
        said = render(made, "text")
        for line in said.split("\n"):
            assert line.isprintable(), line
        assert "##[" not in said
        assert not re.search(r"(?m)^\s*::", said)


@pytest.mark.promise("nothing-runs-in-the-page")
@pytest.mark.parametrize("name", [*HOSTILE, *PAYLOADS])
def test_hostile_names_in_annotations(name: str, tally: Count) -> None:
    for made in every(name):
        tally("payloads in annotations")
        lines = render(made, "github").split("\n")
        assert lines.pop() == ""
        failed = sum(c.ended == "failed" for c in made.cases)
        assert len(lines) == failed + 1
        for line in lines:
            match = COMMAND.fullmatch(line)
            assert match, line
            assert line.isprintable()
            assert "##[" not in line
            for part in match.groups():
                assert re.search(r"%(?!25|0A|0D|3A|2C)", part) is None
            decoded = _decoded(match[3])
            assert not re.search(r"[\r\n]\s*::", decoded)


@pytest.mark.promise("nothing-runs-in-the-page")
@pytest.mark.parametrize("name", [*HOSTILE, *PAYLOADS])
def test_hostile_names_in_junit(name: str, tally: Count) -> None:
    for made in every(name):
        tally("payloads in JUnit")
        root = ET.fromstring(render(made, "junit"))
        assert {e.tag for e in root.iter()} <= {
            "testsuites", "testsuite", "testcase", "failure", "skipped", "system-out",
        }  # fmt: skip
        assert len(root.findall("testsuite/testcase")) == len(made.cases)


@pytest.mark.promise("nothing-runs-in-the-page")
@pytest.mark.parametrize("name", [*HOSTILE, *PAYLOADS])
def test_hostile_names_in_json(name: str, tally: Count) -> None:
    for made in every(name):
        tally("payloads in JSON")
        printed = strict(render(made, "json"))
        conforms(printed, SCHEMA)
        assert len(printed["runs"][0]["cases"]) == len(made.cases)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_comes_out_whole(name: str) -> None:
    """Machines get the whole name; what is not printable is written as Python would."""
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)
    made = verdict(name)
    case: dict[str, Any] = strict(render(made, "json"))["runs"][0]["cases"][0]
    assert case["site"] == shown
    junit = ET.fromstring(render(made, "junit")).find("testsuite/testcase")
    assert junit is not None
    assert junit.get("name") == f"SNL202 at {shown}"


def test_long_names_are_cut_in_text_alone() -> None:
    made = verdict("x" * 300)
    assert max(map(len, render(made, "text").splitlines())) < 175
    assert "x" * 300 in render(made, "json")
    title = COMMAND.fullmatch(render(made, "github").splitlines()[0])
    assert title
    assert len(title[2]) <= 120


def _decoded(text: str) -> str:
    """As a runner reads the message."""
    return text.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")


def test_a_case_is_what_it_says() -> None:
    case = Case("finding", "SNL202", "failed", "evidence")
    assert (case.severity, case.site, case.places, case.new) == ("error", None, (), None)


@pytest.mark.parametrize("before", range(90, 125))
def test_a_long_text_is_wrapped_and_whole(before: int) -> None:
    """No line of it begins as a command of GitHub does, and none is cut."""
    long = " ".join(["x" * (before - 60), "y" * 59, "::error::no command", "words " * 40]).strip()
    found = replace(finding(site="sn2"), evidence=long, next=long)
    run = subject(findings=[found], outcomes=[outcome("SNL202", "issue")])
    said = render(judge([run], rules({"fail_on": "error"})), "text")
    lines = said.splitlines()
    assert len(lines) > 4
    assert not [line for line in lines if line.lstrip().startswith("::")]
    assert max(len(line) for line in lines) < 200
    plain = " ".join(" ".join(line.split()) for line in lines)
    assert plain.count(long) == 2
