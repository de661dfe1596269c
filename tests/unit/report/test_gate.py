"""The gate as a whole: findings, claims, what is nothing, and the command with its exit codes."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from snnlens import api
from snnlens.cli import _at_or_above, main
from snnlens.errors import InputError, NothingToRecord
from snnlens.recording.record import empty
from snnlens.report import gate
from snnlens.report.gate import Rules, judge, of_record, of_result, read, rules
from tests.unit.report.gate_runs import claim, finding, outcome, subject
from tests.unit.runs import answered, made, saved

SEVERITIES = ("error", "warning", "note")


@pytest.fixture(autouse=True)
def _in_an_empty_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)


# --- findings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("fail_on", gate.FAIL_ON)
@pytest.mark.parametrize("severity", [*SEVERITIES, "claim", "nothing"])
def test_the_gate_and_the_questions_agree_on_fail_on(fail_on: str, severity: str) -> None:
    """As --fail-on of a question does, which was written apart."""
    result = replace(
        answered("checkup"),
        findings=[finding(severity=severity)] if severity in SEVERITIES else [],
        claims=[claim(verdict="fails" if severity == "claim" else "holds")],
    )
    verdict = judge([of_result(result, "runs/mine")], Rules(fail_on=fail_on))
    assert verdict.green == (not _at_or_above(result, fail_on))


def test_ignored_findings() -> None:
    run = subject(findings=[finding("SNL202"), finding("SNL305")], outcomes=[outcome()])
    made = judge([run], rules({"findings": {"ignore": ["SNL202", "SNL305"]}}, "snnlens.toml"))
    assert made.green
    assert [c.says for c in made.cases if c.kind == "finding"] == [
        f"ignored by snnlens.toml: evidence of {code} at sn1" for code in ("SNL202", "SNL305")
    ]
    assert not judge([run], rules({"findings": {"ignore": ["SNL202"]}})).green


def test_checks_are_cases_too() -> None:
    run = subject(outcomes=[outcome("SNL101"), outcome("SNL102", "not applicable", "no BatchNorm"),
                            outcome("SNL202", "issue")], findings=[finding()])  # fmt: skip
    cases = judge([run], Rules()).cases
    assert [(c.kind, c.name, c.ended, c.says) for c in cases] == [
        ("finding", "SNL202", "failed", "evidence of SNL202 at sn1"),
        ("check", "SNL101", "passed", "title of SNL101: not found"),
        ("check", "SNL102", "skipped", "no BatchNorm"),
    ]


def test_a_real_checkup_has_a_case_for_each_check() -> None:
    result = answered("checkup")
    cases = judge([of_result(result, "runs/real")], Rules()).cases
    ended = {c.name: c.ended for c in cases if c.kind == "check"}
    words = {"passed": "passed", "not applicable": "skipped"}
    checks = result.extra["checks"]
    assert ended == {
        row.code: words[row.outcome] for row in checks.itertuples() if row.outcome in words
    }
    assert len(ended) + len({f.code for f in result.findings}) == len(checks)


# --- claims --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "told", "ended", "severity"),
    [
        ("holds", "", "passed", "warning"),
        ("fails", "", "failed", "warning"),
        ("not-testable", "", "skipped", "warning"),
        ("holds", "required", "passed", "warning"),
        ("fails", "required", "failed", "error"),
        ("not-testable", "required", "failed", "error"),
        ("holds", "ignore", "skipped", "warning"),
        ("fails", "ignore", "skipped", "warning"),
    ],
)
def test_claims(verdict: str, told: str, ended: str, severity: str) -> None:
    run = subject(claims=[claim("eq8", verdict, "a reason")], outcomes=[outcome()])
    made = judge([run], rules({"claims": {told: ["eq8"]}}) if told else Rules())
    case = next(c for c in made.cases if c.kind == "claim")
    assert (case.name, case.ended, case.severity) == ("eq8", ended, severity)
    assert "measured 0.25, a reason" in case.says


def test_a_claim_that_is_not_there() -> None:
    told = rules({"claims": {"required": ["eq8-exat"]}}, "snnlens.toml")
    with pytest.raises(InputError) as raised:
        judge([subject(claims=[claim("eq8-exact"), claim("eq11-flat")], name="runs/a")], told)
    assert str(raised.value) == (
        "required of [gate.claims] of snnlens.toml must be a claim of runs/a: eq8-exact, "
        "eq11-flat; got 'eq8-exat'; did you mean eq8-exact?"
    )
    with pytest.raises(InputError) as raised:
        judge([subject(name="runs/a")], told)
    assert str(raised.value) == (
        "required of [gate.claims] of snnlens.toml must be a claim of runs/a; got 'eq8-exat'; it "
        "has none"
    )


def test_of_several_runs_the_question_that_has_the_claim_is_asked() -> None:
    told = rules({"claims": {"required": ["eq8"]}})
    checkup = subject(outcomes=[outcome()], name="a")
    holds = subject(claims=[claim("eq8")], name="b", question="gradients")
    lacks = subject(claims=[claim("eq11")], name="c", question="gradients")
    assert judge([checkup, holds], told).green
    with pytest.raises(InputError, match="must be a claim of c: eq11; got 'eq8'"):
        judge([checkup, holds, lacks], told)


# --- nothing -------------------------------------------------------------------------------------


def test_no_runs() -> None:
    with pytest.raises(InputError, match="RUN must be at least one run folder; got 'nothing'"):
        judge([], Rules())


def test_nothing_to_judge() -> None:
    with pytest.raises(NothingToRecord) as raised:
        judge([of_record(empty(), "runs/none")], Rules())
    assert str(raised.value) == (
        "RUN must hold something to judge; got 'runs/none': the record holds auxiliary networks "
        "only, which no check judges"
    )
    with pytest.raises(NothingToRecord):  # everything was ignored
        judge([subject(findings=[finding()])], rules({"findings": {"ignore": ["SNL202"]}}))
    with pytest.raises(NothingToRecord, match=r"'runs/mine'$"):
        judge([subject()], Rules())


def test_one_empty_run_of_several() -> None:
    with pytest.raises(NothingToRecord, match="'runs/none'"):
        judge([subject(outcomes=[outcome()]), subject(name="runs/none")], Rules())


def test_a_record_alone_is_judged_by_every_check(tmp_path: Path) -> None:
    record = made("checkup")
    record.save(tmp_path / "alone")
    run = read(tmp_path / "alone")
    assert run.question is None
    whole = answered("checkup")
    assert [(f.code, f.site) for f in run.findings] == [(f.code, f.site) for f in whole.findings]
    assert judge([run], rules({"sites": {"firing_rate": {"max": 1}}})).green


@pytest.mark.parametrize(
    ("field", "changed", "said"),
    [
        ("findings", [finding(severity="fatal")],
         "a severity in findings.json of runs/a must be error, warning or note; got 'fatal'"),
        ("claims", [claim(verdict="maybe")],
         "a verdict in claims.json of runs/a must be holds, fails or not-testable; got 'maybe'"),
    ],
)  # fmt: skip
def test_a_word_that_nobody_knows_does_not_pass(field: str, changed: list, said: str) -> None:
    with pytest.raises(InputError) as raised:
        of_result(replace(answered("checkup"), **{field: changed}), "runs/a")
    assert str(raised.value) == said


# --- the command ---------------------------------------------------------------------------------

CHECKUP = "[gate.sites]\nfiring_rate = {{ max = {} }}\n"


def write(text: str) -> None:
    Path("snnlens.toml").write_text(text, encoding="utf-8")


def test_green_and_red(capsys: pytest.CaptureFixture[str]) -> None:
    run = str(saved("checkup"))
    assert main(["gate", run]) == 0
    assert "(no thresholds)" in capsys.readouterr().out
    write(CHECKUP.format(1))
    assert main(["gate", run]) == 0
    write(CHECKUP.format(0.01))
    assert main(["gate", run]) == 1
    said = capsys.readouterr()
    assert "above max 0.01" in said.out
    assert said.err == ""
    assert main(["gate", run, "--fail-on", "never"]) == 0
    Path("snnlens.toml").rename("other.toml")
    assert main(["gate", run]) == 0
    assert main(["gate", run, "--config", "other.toml"]) == 1


def test_rules_of_pyproject() -> None:
    Path("pyproject.toml").write_text(
        "[tool.snnlens.gate.sites]\nfiring_rate = { max = 0.01 }\n", encoding="utf-8"
    )
    assert main(["gate", str(saved("checkup"))]) == 1


def test_fail_on_of_the_file_and_of_the_call(capsys: pytest.CaptureFixture[str]) -> None:
    run = str(saved("checkup"))
    write(
        '[gate]\nfail_on = "error"\n[gate.sites]\nfiring_rate = { max = 0, severity = "warning" }\n'
    )
    assert main(["gate", run]) == 0
    assert main(["gate", run, "--fail-on", "warning"]) == 1
    assert main(["gate", run, "--fail-on", "eror"]) == 2
    assert capsys.readouterr().err == (
        "snnlens: --fail-on must be one of never, note, warning, error; got 'eror'; did you mean "
        "error?\n"
    )


USES = {
    "no run": ([], "RUN must be at least one run folder; got 'nothing'"),
    "no folder": (["none"], "RUN must be a run folder; got 'none'; see `snnlens list`"),
    "format": (
        ["none", "--format", "jason"],
        "--format must be one of text, json, github, junit; got 'jason'; did you mean json?",
    ),
    "tolerance alone": (
        ["none", "--tolerance", "0.1"],
        "--tolerance must be with --baseline RUN0; got 0.1",
    ),
    "tolerance": (
        ["none", "--baseline", "none", "--tolerance", "-1"],
        "--tolerance must be at least 0; got -1.0",
    ),
    "no number": (
        ["none", "--baseline", "none", "--tolerance", "nan"],
        "--tolerance must be at least 0; got nan",
    ),
    "a folder": (["none", "-o", "."], "--output must be a file and no folder; got '.'"),
    "no file": (
        ["none", "--config", "none.toml"],
        "--config must be a TOML file that is there; got 'none.toml'",
    ),
}


@pytest.mark.parametrize("case", USES)
def test_wrong_use_is_one_line_and_2(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, wanted = USES[case]
    assert main(["gate", *arguments]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"snnlens: {wanted}\n")


TYPOS = {
    "a key": "[gate]\nfail_onn = 'error'",
    "a table": "[gates.sites]\nfiring_rate = { max = 1 }",
    "a quantity": "[gate.sites]\nfiring_rte = { max = 1 }",
    "a quantity of other runs": "[gate.sites]\nidentity_error = { max = 1 }",
    "a limit": "[gate.sites]\nfiring_rate = { maxx = 1 }",
    "a site": "[gate.sites]\nfiring_rate = { max = 1, where = { site = 'layer9.*' } }",
    "a file of the run": "[gate.tables.enrgy]\nmacs = { max = 1 }",
    "a code": "[gate.findings]\nignore = ['SNL999']",
    "a claim": "[gate.claims]\nrequired = ['eq11-flat']",
    "a change": "[gate.sites]\nfiring_rate = { drop = 0.1 }",
}


@pytest.mark.parametrize("typo", TYPOS)
def test_a_typo_is_never_green(typo: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a run that is green without it."""
    write(TYPOS[typo])
    assert main(["gate", str(saved("checkup"))]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith("snnlens: ")


def test_nothing_is_5(capsys: pytest.CaptureFixture[str]) -> None:
    Path("hollow").mkdir()
    assert main(["gate", "hollow"]) == 5
    assert capsys.readouterr().err == (
        "snnlens: RUN must hold something to judge; got 'hollow', an empty folder; run a question "
        "with -o first\n"
    )
    empty().save("bare")
    assert main(["gate", "bare"]) == 5
    assert main(["gate", "bare", str(saved("checkup"))]) == 5


def test_a_cut_run_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(saved("checkup"), "mine")
    file = Path("mine/findings.json")
    file.write_text(file.read_text(encoding="utf-8") + " ", encoding="utf-8")
    assert main(["gate", "mine"]) == 2
    assert "the file was cut" in capsys.readouterr().err


def test_a_file_is_written_whole_or_not(capsys: pytest.CaptureFixture[str]) -> None:
    run = str(saved("checkup"))
    write(CHECKUP.format(0.01))
    arguments = ["gate", run, "--format", "junit", "-o", "out/gate.xml"]
    assert main(arguments) == 1
    said = capsys.readouterr()
    assert said.out == "out/gate.xml\n"
    assert "above max 0.01" in said.err  # the text, for the log of CI
    assert ET.parse("out/gate.xml").getroot().get("failures") == "1"
    assert [p.name for p in Path("out").iterdir()] == ["gate.xml"]
    assert main(arguments) == 2
    assert "add --force to replace it" in capsys.readouterr().err
    assert main([*arguments, "--force", "--quiet"]) == 1
    assert capsys.readouterr().err == ""
    write(TYPOS["a quantity"])
    before = Path("out/gate.xml").read_bytes()
    assert main([*arguments, "--force"]) == 2
    assert Path("out/gate.xml").read_bytes() == before
    Path("file").touch()
    assert main(["gate", run, "-o", "file/gate.xml", "--config", "none.toml"]) == 2


def test_a_folder_that_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").touch()
    assert main(["gate", str(saved("checkup")), "-o", "file/gate.txt"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(
        "snnlens: --output must be in a writable folder; got 'file/gate.txt'"
    )
    assert said.err.count("\n") == 1


def test_beside_a_baseline(capsys: pytest.CaptureFixture[str]) -> None:
    run = str(saved("checkup"))
    assert main(["gate", run, "--baseline", run, "--tolerance", "0"]) == 0
    assert f"0 new findings against {run}" in capsys.readouterr().out
    api.answer("checkup", Path("other"), model="sew_resnet8", image_size=8, batch=4, time_steps=2,
               threads=1, seed=1)  # fmt: skip
    assert main(["gate", "other", "--baseline", run, "--format", "json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["baseline"] == run
    off = [c["name"] for c in printed["runs"][0]["cases"] if c["stops"]]
    assert "firing_rate" in off
    assert main(["gate", str(saved("rates")), "--baseline", run]) == 2


def test_several_runs_and_formats_are_stable(capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(saved("checkup")), str(saved("rates")), str(saved("checkup"))]  # one twice
    assert main(["gate", *runs, "--format", "json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [r["run"] for r in printed["runs"]] == runs[:2]
    for name in gate.FORMATS:
        printed = []
        for _ in range(2):
            assert main(["gate", runs[0], "--format", name]) == 0
            printed.append(capsys.readouterr().out)
        assert printed[0] == printed[1]
        assert printed[0].endswith("\n")


def test_help_names_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gate", "--help"]) == 0
    said = capsys.readouterr().out
    for option in ("--fail-on", "--format", "--baseline", "--tolerance", "--config", "--output"):
        assert option in said
