"""`pytest --snnlens`: the fixture in somebody's repository, each run in a process of its own."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from snnlens import pytest_plugin
from snnlens.report.gate import Rules, judge, of_result, reasons
from tests.unit.report.gate_runs import finding
from tests.unit.runs import answered

SAMPLE = Path(__file__).parents[1] / "gate_sample"
ALONE = {
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "OMP_NUM_THREADS": "1",
}  # no other plug-in's imports
PLUGIN = ("-p", "snnlens.pytest_plugin", "-p", "no:cacheprovider", "-W", "error")
HEAVY = ("torch", "numpy", "pandas", "matplotlib", "scipy", "pydantic", "typer", "jinja2",
         "snnlens.api", "snnlens.report")  # fmt: skip


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("plugin") / "repository"
    shutil.copytree(SAMPLE, here, ignore=shutil.ignore_patterns("conftest.py", "__pycache__"))
    return here


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """pytest in a folder; every warning is an error."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *PLUGIN, *arguments], env=os.environ | ALONE,
        cwd=folder, capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_it_is_found_by_pytest() -> None:
    """Only what is installed is: pyproject.toml names it, `pip install` writes that down."""
    found = importlib.metadata.entry_points(group="pytest11", name="snnlens")
    assert [entry.value for entry in found] == ["snnlens.pytest_plugin"]


# --- in a repository -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def said(repository: Path) -> str:
    """What the sample's tests print."""
    code, text = run(repository, "--snnlens", "-rA")
    assert code == 1
    return text


def test_what_passes_and_what_fails(said: str) -> None:
    found = re.findall(r"^(PASSED|FAILED) \S+::(\w+)", said, re.MULTILINE)
    assert {name: word for word, name in found} == {
        "test_the_mended_network": "PASSED",
        "test_the_rules_of_the_file": "PASSED",
        "test_without_a_gate": "PASSED",
        "test_the_faulty_network": "FAILED",
        "test_no_spiking_network": "FAILED",
        "test_a_typo": "FAILED",
        "test_a_quantity_that_is_not_there": "FAILED",
    }


def test_a_failure_names_site_number_bound_and_mend(said: str) -> None:
    assert "  error silent_share [max 0.25]: sn2 is 1, above max 0.25; 1 of 2 sites\n" in said
    assert "    try: snnlens explain SNL203: " in said
    assert "  error firing_rate [min 0.01]: sn2 is 0, below min 0.01; 1 of 2 sites\n" in said
    assert "  error SNL202 at sn2: " in said
    assert "Traceback" not in said
    assert "pytest_plugin.py" not in said  # no frames of snnlens


def test_wrong_use_is_one_line(said: str) -> None:
    assert (
        "snnlens_gate: a keyword of snnlens_gate must be an option or QUANTITY_min, QUANTITY_max; "
        "got 'silent_mx'; did you mean silent_max or silent_min?\n"
    ) in said
    assert (
        "snnlens_gate: firing_rte_max of snnlens_gate must be about a quantity that Net holds; got "
        "'firing_rte'; did you mean firing_rate?\n"
    ) in said
    assert "snnlens_gate: the model must have a spiking site; got Sequential without one" in said


def test_without_the_option_they_are_skipped_and_counted(repository: Path) -> None:
    code, text = run(repository, "-rs")
    assert code == 0
    assert "1 passed, 6 skipped" in text
    assert "a gate of snnlens: give --snnlens" in text
    assert "snnlens_gate: 6 skipped; run them with --snnlens\n" in text


def test_nothing_heavy_before_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(
        "import sys\n\n\ndef test_other():\n"
        f"    assert [n for n in {HEAVY!r} if n in sys.modules] == []\n"
        "    assert 'snnlens.pytest_plugin' in sys.modules\n",
        encoding="utf-8",
    )  # fmt: skip
    code, text = run(tmp_path, "--snnlens")
    assert code == 0, text
    assert "snnlens" not in text.splitlines()[-1]


def test_its_help() -> None:
    code, text = run(SAMPLE.parent, "--help", "-c", "/dev/null", "--rootdir", "/")
    assert code == 0
    assert "spiking networks:" in text
    assert "--snnlens" in text
    code, text = run(SAMPLE.parent, "--fixtures", "-c", "/dev/null", str(SAMPLE / "model.py"))
    assert "snnlens_gate" in text


def test_the_entry_point_that_pyproject_names(repository: Path, tmp_path: Path) -> None:
    """As pip writes it down, beside whatever else is installed; and switched off by its name."""
    info = tmp_path / "named-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: named\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pytest11]\nsnnlens = snnlens.pytest_plugin\n")
    where = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(SAMPLE.parents[1])])}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", "--snnlens",
               "-k", "mended"]  # fmt: skip
    for more, code, word in (([], 0, "1 passed"), (["-p", "no:snnlens"], 4, "unrecognized")):
        done = subprocess.run([*command, *more], cwd=repository, env=os.environ | where,
                              capture_output=True, text=True, check=False, timeout=280)  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        assert word in done.stdout + done.stderr


# --- the function behind the fixture -------------------------------------------------------------


@pytest.fixture
def net() -> Any:
    import torch

    import snnlens

    torch.manual_seed(0)
    made = torch.nn.Sequential(torch.nn.Linear(4, 3), snnlens.IF())
    torch.nn.init.constant_(made[0].weight, 0.5)  # it spikes
    return made


@pytest.fixture
def x() -> Any:
    import torch

    return torch.rand(4, 2, 4, generator=torch.Generator().manual_seed(0))


def failed(*arguments: Any, **more: Any) -> str:
    with pytest.raises(pytest.fail.Exception) as raised:
        pytest_plugin.judged(*arguments, **more)
    assert raised.value.pytrace is False
    return str(raised.value)


def test_it_returns_the_result(net: Any, x: Any) -> None:
    result = pytest_plugin.judged(net, x, fail_on="never", rate_max=0.0)
    assert result.question == "checkup"
    rate = result.table["firing_rate"].max()
    assert pytest_plugin.judged(net, x, rate_max=float(rate)).table.equals(result.table)
    assert f"1 is {rate:.6g}, above max " in failed(net, x, firing_rate_max=rate * 0.99)


def test_it_judges_as_the_gate_does(net: Any, x: Any) -> None:
    import snnlens

    net[1].threshold = 1e6
    made = of_result(snnlens.checkup(net, x), "Sequential")
    for fail_on in ("note", "warning", "error"):
        verdict = judge([made], Rules(fail_on=fail_on))
        if verdict.green:
            pytest_plugin.judged(net, x, fail_on=fail_on)
        else:
            assert failed(net, x, fail_on=fail_on) == f"snnlens_gate: {reasons(verdict)}"
    codes = [f.code for f in made.findings]
    pytest_plugin.judged(net, x, fail_on="note", ignore=codes)


def test_where(net: Any, x: Any) -> None:
    assert "above max 0" in failed(net, x, gradient_max=0, where={"role": "neuron"})
    assert failed(net, x, rate_max=0, except_={"site": "1"}) == (
        "snnlens_gate: rate_max of snnlens_gate must be about a quantity with a number; got 'no "
        "number of firing_rate in Sequential'; `where` and `except` leave none"
    )
    assert "site in where of rate_max of snnlens_gate must be a value of Sequential" in failed(
        net, x, rate_max=0, where={"site": "sn9"}
    )


WRONG = {
    "no threshold": (
        {"where": {"site": "1"}},
        "where of snnlens_gate must be with one, such as silent_max=0.1; got 'no threshold'",
    ),
    "text": ({"silent_max": "0.1"}, "silent_max of snnlens_gate must be a number; got '0.1'"),
    "a flag": ({"silent_max": True}, "silent_max of snnlens_gate must be a number; got True"),
    "none": ({"silent_max": None}, "silent_max of snnlens_gate must be a number; got None"),
    "nan": (
        {"silent_max": float("nan")},
        "max of [gate.sites] silent_share of snnlens_gate must be a finite number; got nan",
    ),
    "fail_on": (
        {"fail_on": "eror"},
        ("fail_on of snnlens_gate must be one of never, note, warning, error; got 'eror'; did you "
        "mean error?"),
    ),
    "a string": (
        {"ignore": "SNL205"}, "ignore of snnlens_gate must be a list of codes; got 'SNL205'",
    ),
    "a file": (
        {"config": "none.toml"}, "--config must be a TOML file that is there; got 'none.toml'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_typo_is_never_green(case: str, net: Any, x: Any) -> None:
    given, wanted = WRONG[case]
    assert failed(net, x, **given) == f"snnlens_gate: {wanted}"
    assert failed(net, x, ignore=["SNL999"]).startswith(
        "snnlens_gate: ignore of snnlens_gate must be a code of a finding"
    )


def test_a_mistake_of_the_model_s_own_is_told(net: Any) -> None:
    import torch

    said = failed(net, torch.rand(4, 2, 5))
    assert said.startswith("snnlens_gate: ")
    assert "shape" in said


def test_numbers_of_numpy(net: Any, x: Any) -> None:
    import numpy as np

    pytest_plugin.judged(net, x, rate_max=np.float32(1), silent_max=np.int64(1))


def test_a_hostile_name_is_one_line() -> None:
    result = answered("checkup")
    made = of_result(result, "Net")
    made.findings.append(finding(site="a\n::error::b"))
    said = reasons(judge([made], Rules()))
    assert r"SNL202 at a\n::error::b: " in said
    made.findings.pop()
