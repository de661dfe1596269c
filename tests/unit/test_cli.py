"""The command line, through `main`: exit codes, JSON, folders, interruption, what is printed."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from snnlens import api, registry
from snnlens.cli import FAIL_ON, QUESTIONS, YOUR_MODEL, _at_or_above, _panel, main
from snnlens.data import specs
from snnlens.experiments import _machine, _networks
from snnlens.recording.result import Claim, Finding, Result
from snnlens.recording.store import load, load_result
from tests.unit.runs import answered, saved

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs" / "schema" / "v1.json").read_text(encoding="utf-8"))
TINY = ["--depth", "8", "--layout", "cifar", "--image-size", "8", "--batch", "4",
        "--time-steps", "2", "--threads", "1"]  # fmt: skip
ONE = [*TINY, "--residual", "spiking", "--zero-init", "yes", "--quiet"]  # one network
CAPTION = (
    "ResNet-8 (cifar layout); IF, V_th = 1, atan, alpha = 2; T = 2; batch 4; n = 16 samples per "
    "channel and step in the last stage; digits (scikit-learn), 4 images at 8 px; seed 0; cpu; at "
    "initialisation, BatchNorm in training mode."
)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def left() -> list[str]:
    """Every file and folder below the working directory, hidden ones too."""
    return sorted(str(p) for p in Path().rglob("*"))


# --- what a run leaves and prints --------------------------------------------------------------


def test_a_question_end_to_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gradients", *TINY, "-o", "mine", "--residual", "spiking"]) == 0
    said = capsys.readouterr()
    assert sorted(p.name for p in Path("mine").iterdir()) == [
        "claims.json", "figure.png", "figure.svg", "findings.json", "record", "result.csv",
        "result.parquet", "run.json",
    ]  # fmt: skip
    assert left()[0] == "mine"  # nothing beside it
    result = load_result("mine")
    assert result is not None
    text = pd.read_csv("mine/result.csv", dtype=str, keep_default_na=False)
    assert list(text) == list(result.table.columns)
    for column, wanted in result.table.items():
        if wanted.dtype.kind == "f":  # every digit of a float64 is in the text
            np.testing.assert_array_equal(pd.to_numeric(text[column]), wanted)
        else:
            as_text = ["" if pd.isna(value) else str(value) for value in wanted]
            assert text[column].tolist() == as_text
    lines = said.out.splitlines()
    assert lines[0] == CAPTION
    assert lines[-1] == "Figure and numbers: mine"
    for claim in result.claims:
        assert any(f"  {claim.id}" in line and f"(bound: {claim.bound})" in line for line in lines)
        assert f"                {claim.reason}" in lines
    assert "spiking-zero-t1" in said.err  # a bar per network
    assert re.search(r"^3 passes; .* on this machine \(an estimate\)$", said.err, re.MULTILINE)


def test_quiet_says_nothing_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rates", *ONE, "-o", "mine"]) == 0
    assert capsys.readouterr().err == ""


def test_default_folder_is_command_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    before = time.strftime("%Y%m%d-%H%M%S")
    assert main(["rates", *ONE, "--json"]) == 0
    folder = json.loads(capsys.readouterr().out)["run"]
    stamp = re.fullmatch(r"runs/rates-(\d{8}-\d{6})", folder)
    assert stamp
    assert before <= stamp[1] <= time.strftime("%Y%m%d-%H%M%S")
    assert load(folder).provenance["question"] == "rates"
    assert main(["list"]) == 0
    assert f"Runs in ./runs\n  {folder}\n" in capsys.readouterr().out


def test_force_replaces_an_older_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rates", *ONE, "-o", "mine"]) == 0
    assert main(["rates", *ONE, "-o", "mine", "--seed", "5", "--force"]) == 0
    assert load("mine").provenance["parameters"]["seed"] == 5
    assert {p.name for p in Path().iterdir()} == {"mine"}


# --- JSON --------------------------------------------------------------------------------------


def conforms(value: Any, schema: dict[str, Any], at: str = "$") -> None:
    """The part of JSON Schema that docs/schema/v1.json uses; an unknown keyword is an error."""
    known = {"$schema", "title", "description", "type", "required", "properties", "items", "enum",
             "additionalProperties", "pattern"}  # fmt: skip
    assert set(schema) <= known, at
    kinds = {"string": str, "number": (int, float), "null": type(None), "array": list,
             "object": dict}  # fmt: skip
    if "type" in schema:
        names = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        assert any(isinstance(value, kinds[n]) for n in names), (at, value)  # type: ignore[arg-type]
    if "enum" in schema:
        assert value in schema["enum"], at
    if "pattern" in schema:
        assert re.search(schema["pattern"], value), at
    for name in schema.get("required", []):
        assert name in value, (at, name)
    for i, item in enumerate(value if "items" in schema else []):
        conforms(item, schema["items"], f"{at}[{i}]")
    if "properties" in schema:
        for name, item in value.items():
            extra = schema.get("additionalProperties", {})
            assert name in schema["properties"] or extra is not False, (at, name)
            conforms(item, schema["properties"].get(name, extra), f"{at}.{name}")


def strict(text: str) -> Any:
    """One JSON object and nothing else; NaN and Infinity are no JSON."""

    def no(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=no)


@pytest.mark.parametrize("question", ["gradients", "rates", "identity"])
def test_json_is_one_object_of_the_schema(
    question: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([question, *TINY, "-o", "mine", "--json"]) == 0
    printed = strict(capsys.readouterr().out)
    conforms(printed, SCHEMA)
    assert list(printed)[:4] == ["run", "result", "claims", "findings"]
    assert printed["run"] == "mine"
    assert printed["claims"] == strict(Path("mine/claims.json").read_text(encoding="utf-8"))
    assert printed["findings"] == strict(Path("mine/findings.json").read_text(encoding="utf-8"))
    table = answered(question).table
    assert [list(row) for row in printed["result"]] == [list(table.columns)] * len(table)
    for row, (_, expected) in zip(printed["result"], table.iterrows(), strict=True):
        for column, value in row.items():
            assert value == expected[column] or (value is None and pd.isna(expected[column]))
    assert ("identity_trials" in printed) == (question == "identity")


def test_the_schema_is_not_passed_by_everything() -> None:
    good: dict[str, Any] = {"run": "x", "result": [], "claims": [], "findings": []}
    conforms(good, SCHEMA)
    claim = {"id": "a", "statement": "", "source": "", "measured": None, "bound": "",
             "verdict": "holds", "reason": ""}  # fmt: skip
    conforms(good | {"claims": [claim]}, SCHEMA)
    for bad in ({"run": 3}, {"claims": [claim | {"verdict": "maybe"}]}, {"claims": [{}]},
                {"claims": [claim | {"more": 1}]}, {"result": {}}):  # fmt: skip
        with pytest.raises(AssertionError):
            conforms(good | bad, SCHEMA)
    with pytest.raises(AssertionError):
        conforms({"run": "x"}, SCHEMA)


OVERFLOW = ["gradients", "--depth", "20", "--layout", "cifar", "--image-size", "8", "--batch", "4",
            "--time-steps", "1", "--residual", "spiking", "--zero-init", "yes", "--alpha", "1e30",
            "--quiet", "--threads", "1"]  # fmt: skip


def test_a_gradient_that_overflows_is_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    """Not a crash: exit 0, the first site, and null where the number is no number."""
    assert main([*OVERFLOW, "-o", "mine", "--json"]) == 0
    text = capsys.readouterr().out
    printed = strict(text)
    conforms(printed, SCHEMA)
    found = [f for f in printed["findings"] if f["code"] == "SNL301"]
    assert [(f["severity"], f["site"]) for f in found] == [("error", "layer3.1.sn1")]
    assert found[0]["evidence"] == (
        "spiking-zero: the gradient here is not finite, the first in the order of computation"
    )
    assert printed["findings"][0]["code"] == "SNL301"
    norms = {row["block"]: row["gradient_norm"] for row in printed["result"]}
    assert norms[7] is None
    assert norms[8] is not None
    verdicts = {c["id"]: c["verdict"] for c in printed["claims"]}
    assert verdicts["eq8-exact"] != "holds"
    assert verdicts["eq8-chain"] != "holds"
    for name in ("run.json", "claims.json", "findings.json"):
        strict((Path("mine") / name).read_text(encoding="utf-8"))
    assert main([*OVERFLOW, "-o", "other", "--fail-on", "error"]) == 1
    assert load("other").networks  # the run is written all the same


# --- --fail-on ---------------------------------------------------------------------------------


def fake(severities: tuple[str, ...] = (), *, verdict: str = "holds") -> Result:
    findings = [Finding("SNL201", s, None, "", "", "", "") for s in severities]  # type: ignore[arg-type]
    claims = [Claim("x", "", "", 1.0, "", verdict)]  # type: ignore[arg-type]
    record: Any = None
    return Result("rates", "", pd.DataFrame(), "", claims, findings, record)


@pytest.mark.parametrize(
    ("result", "failing"),
    [
        (fake(), set()),
        (fake(("note",)), {"note"}),
        (fake(("warning",)), {"note", "warning"}),
        (fake(("note", "error")), {"note", "warning", "error"}),
        (fake(verdict="fails"), {"note", "warning"}),  # a failing claim counts as a warning
        (fake(verdict="not-testable"), set()),
    ],
)
def test_fail_on(result: Result, failing: set[str]) -> None:
    assert {level for level in FAIL_ON if _at_or_above(result, level)} == failing


@pytest.mark.parametrize(("level", "code"), [("never", 0), ("warning", 1), ("error", 0)])
def test_fail_on_is_the_exit_code(
    level: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(api, "answer", lambda *_a, **_k: fake(("warning",)))
    assert main(["rates", "--quiet", "--fail-on", level]) == code


# --- other exits -------------------------------------------------------------------------------


def test_interrupted_in_a_pass(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The third network is interrupted: exit 130, nothing written, no folder made on the way."""
    passes = []

    def forward(self: Any, network: Any, name: str, probes: Any) -> Any:
        passes.append(name)
        if len(passes) == 3:
            raise KeyboardInterrupt
        return original(self, network, name, probes)

    original = _networks.Runner.forward
    monkeypatch.setattr(_networks.Runner, "forward", forward)
    assert main(["rates", *TINY, "-o", "deep/er/mine"]) == 130
    said = capsys.readouterr()
    assert said.err.splitlines()[-1] == "snnlens: interrupted; nothing was written"
    assert "Traceback" not in said.err
    assert said.out == ""
    assert len(passes) == 3
    assert left() == []


def test_interrupted_while_it_writes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def save(*_args: object, **_kw: object) -> None:
        assert [p for p in left() if p.endswith(".parquet")]  # it had begun
        raise KeyboardInterrupt

    monkeypatch.setattr("snnlens.figures.style.save", save)
    assert main(["rates", *ONE, "-o", "deep/mine"]) == 130
    assert capsys.readouterr().err == "snnlens: interrupted; nothing was written\n"
    assert left() == []


def test_a_signal_from_the_keyboard(tmp_path: Path) -> None:
    """A real process at depth 152, stopped in its first pass."""
    process = subprocess.Popen(
        [sys.executable, "-m", "snnlens", "gradients", "--depth", "152", "-o", "runs/mine"],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path,
        # a shell's background job ignores the signal, and its children inherit that
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )  # fmt: skip
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith("9 passes; about ")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "snnlens: interrupted; nothing was written"
    assert "Traceback" not in err
    assert out == ""
    assert list(tmp_path.rglob("*")) == []


def test_a_bug_is_called_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(*_args: object, **_kw: object) -> None:
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr(api, "answer", answer)
    assert main(["rates", *TINY]) == 3
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == "snnlens: this is a bug in snnlens: ZeroDivisionError: of ours"
    assert lines[0] == "Traceback (most recent call last):"


def test_a_reader_that_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """`snnlens list | head -1` is no error."""
    code = "from snnlens.cli import main; import sys; sys.exit(main(['list']))"
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -c \"{code}\" | true; exit ${{PIPESTATUS[0]}}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


# --- help, list, doctor, report ----------------------------------------------------------------


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in [*registry.listing("experiments"), "report", "list", "explain", "doctor"]:
        assert re.search(rf"^│ {name} ", text, re.MULTILINE), name


@pytest.mark.parametrize("question", list(registry.listing("experiments")))
def test_help_of_a_question_has_every_parameter(
    question: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([question, "--help"]) == 0
    text = capsys.readouterr().out
    fields = registry.module("experiments", question).Params.model_fields
    for name, field in fields.items():
        extra = field.json_schema_extra or {}
        by_place = extra.get("metavar", name.upper()) if extra.get("argument") else None
        assert (by_place or f"--{name.replace('_', '-')}") in text
    for option in ("-o", "--output", "--force", "--json", "--fail-on", "--quiet"):
        assert option in text
    if "depth" in fields:
        default = fields["depth"].default
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
        assert f"[default:{shown}]" in "".join(text.replace("│", "").split())  # it may be wrapped


def test_a_question_that_takes_a_model_says_its_panel() -> None:
    """Its file has a line PANEL = "Your model": --help reads it and imports nothing."""
    for question in registry.listing("experiments"):
        fields = registry.module("experiments", question).Params.model_fields.values()
        takes = any(field.is_required() for field in fields)  # RUN|CHECKPOINT may be left out
        assert _panel(question) == (YOUR_MODEL if takes else QUESTIONS), question


def test_light_commands_import_no_torch() -> None:
    """In one process: help, list, a wrong option; then what was imported."""
    code = """
import sys
from snnlens.cli import main
codes = [main(argv.split()) for argv in ("--help", "--version", "gradients --help", "list",
                                         "gradients --depth 51", "report nowhere")]
heavy = {"torch", "matplotlib", "sklearn", "snnlens.neuron", "snnlens.models.resnet"}
print(codes, sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[0, 0, 0, 0, 2, 2] []", done.stderr
    assert done.stderr == (
        "snnlens: depth must be 18, 34, 50, 101 or 152 in the imagenet layout; got 51\n"
        "snnlens: RUN must be a run folder; got 'nowhere'; see `snnlens list`\n"
    )


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"snnlens {version('snnlens')}\n"


def test_list_shows_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    text = capsys.readouterr().out
    for kind in ("experiments", "analysis", "probes", "checks", "adapters"):
        for name, line in registry.listing(kind).items():
            assert f"  {name:20} {line}\n" in text
    assert f"Data\n  {', '.join(specs.kinds())}\n" in text
    assert text.endswith("Runs in ./runs\n  none\n")


def test_doctor_prints_the_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert [line[:13] for line in text.splitlines()] == [line[:13] for line in _machine.lines()]


def test_report_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(saved("rates"), "runs/mine")
    assert main(["report", "runs/mine", "-o", "page.html"]) == 0
    said = capsys.readouterr()
    assert said.out == "page.html\n"
    assert re.search(r"^ +[\d.]+ kB  claims$", said.err, re.MULTILINE)
    page = Path("page.html").read_text(encoding="utf-8")
    for claim in answered("rates").claims:
        assert claim.id in page
    assert {p.name for p in Path().iterdir()} == {"page.html", "page.json", "page.md", "runs"}
    assert main(["report", "runs/mine", "-o", "page.html"]) == 2
    assert main(["report", "runs/mine", "-o", "page.html", "--force"]) == 0


def test_report_of_a_preset(capsys: pytest.CaptureFixture[str]) -> None:
    Path("ci.toml").write_text(
        '[[run]]\nname = "small"\nquestion = "rates"\ndepth = 8\nlayout = "cifar"\n'
        "image_size = 8\nbatch = 4\ntime_steps = 2\nthreads = 1\nresidual = ['spiking']\n",
        encoding="utf-8",
    )
    assert main(["report", "--preset", "ci.toml", "-o", "out/page.html", "--quiet"]) == 0
    assert load("out/runs/small").provenance["question"] == "rates"
    assert Path("out/page.html").is_file()
