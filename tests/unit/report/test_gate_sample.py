"""The sample repository: red on its faulty network, green on its mended one, 5 on an empty run."""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from snnlens.cli import main
from snnlens.recording.store import load_result

SAMPLE = Path(__file__).parents[2] / "gate_sample"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample as somebody checks it out, with the run of each of its networks."""
    here = tmp_path_factory.mktemp("gate") / "repository"
    shutil.copytree(SAMPLE, here, ignore=shutil.ignore_patterns("conftest.py", "__pycache__"))
    (here / ".git").mkdir()
    for network, code in (("faulty", 0), ("mended", 0), ("empty", 5)):
        model = f"{here / 'model.py'}:{network}"
        folder = str(here / "runs" / network)
        options = ["--data", "digits", "--threads", "1", "-o", folder, "--quiet"]
        assert main(["checkup", model, *options]) == code
    assert not (here / "runs" / "empty").exists()  # nothing to record: nothing was written
    (here / "runs" / "empty").mkdir()
    return here


@pytest.fixture(autouse=True)
def _inside(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)


@pytest.mark.parametrize(("network", "code"), [("faulty", 1), ("mended", 0), ("empty", 5)])
@pytest.mark.parametrize("format_", ["text", "json", "github", "junit"])
def test_red_green_and_nothing(
    network: str, code: int, format_: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gate", f"runs/{network}", "--format", format_]) == code
    said = capsys.readouterr()
    assert (said.out == "") == (code == 5)
    assert said.err.count("\n") == (code == 5)


def test_every_threshold_is_broken_for_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """Beside the numbers of the check-up's own table."""
    main(["gate", "runs/faulty", "--format", "junit"])
    root = ET.fromstring(capsys.readouterr().out)
    broken = {
        case.get("name", "").partition(":")[0]: case[0].get("message", "")
        for case in root.iter("testcase")
        if "threshold" in case.get("classname", "") and len(case)
    }
    assert {name: text.partition(",")[0].split()[0] for name, text in broken.items()} == {
        "firing_rate": "sn2", "silent_share": "sn2", "gradient_norm": "sn1",
    }  # fmt: skip
    result = load_result("runs/faulty")
    assert result is not None
    table = result.table.set_index("site")
    assert (table.loc["sn2", "firing_rate"], table.loc["sn2", "silent_share"]) == (0, 1)
    norm = table.loc["sn1", "gradient_norm"]
    assert norm < 1e-3
    assert f"sn1 is {norm:.6g}, below min 0.001" in broken["gradient_norm"]


def test_without_its_thresholds_the_findings_alone_make_it_red() -> None:
    Path("none.toml").write_text('[gate]\nfail_on = "error"\n', encoding="utf-8")
    assert main(["gate", "runs/faulty", "--config", "none.toml"]) == 1
    assert main(["gate", "runs/mended", "--config", "none.toml"]) == 0


def test_both_at_once_are_red(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gate", "runs/mended", "runs/faulty", "--format", "junit"]) == 1
    root = ET.fromstring(capsys.readouterr().out)
    assert [s.get("name") for s in root] == ["runs/mended", "runs/faulty"]
    assert [int(s.get("failures", "")) > 0 for s in root] == [False, True]


def test_the_mend_beside_the_fault(capsys: pytest.CaptureFixture[str]) -> None:
    """A baseline is two-sided: what became better changed, too. No finding is new."""
    assert main(["gate", "runs/mended", "--baseline", "runs/faulty"]) == 1
    said = capsys.readouterr().out
    assert "firing_rate" in said
    assert "0 new findings against runs/faulty" in said
    assert main(["gate", "runs/faulty", "--baseline", "runs/mended"]) == 1
    assert re.search(r"4 new findings against runs/mended", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("[gate.sites]", "[gate.site]"),
        ("firing_rate", "fireing_rate"),
        ("silent_share = { max", "silent_share = { mx"),
        ('role = "neuron"', 'role = "nueron"'),
        ("gate.tables.energy", "gate.tables.enrgy"),
        ("millijoule_per_sample", "milijoule_per_sample"),
        ("SNL207", "SNL270"),
        ('fail_on = "warning"', 'fail_on = "warn"'),
        ("[gate.findings]", "[gate.finding]"),
        ("severity", "serverity"),
    ],
)
def test_a_typo_in_its_file_is_2(
    right: str, wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (SAMPLE / "snnlens.toml").read_text(encoding="utf-8")
    assert right in text
    Path("typo.toml").write_text(text.replace(right, wrong), encoding="utf-8")
    assert main(["gate", "runs/mended", "--config", "typo.toml"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_sample_is_not_collected_here() -> None:
    assert (SAMPLE / "conftest.py").is_file()
