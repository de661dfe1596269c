"""The grammar of thresholds: what is read, and that no typo is passed over."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from snnlens.errors import InputError
from snnlens.report.gate import Rules, find, read_rules, rules

WHOLE = """
fail_on = "warning"

[sites]
firing_rate = { min = 0.001, max = 0.9 }
silent_share = [
  { max = 0.1, where = { role = "neuron", stage = [1, 2] } },
  { max = 0.5, except = { site = "layer1.*" }, missing = "skip", severity = "note" },
]

[tables.result]
test_top1 = { min = 90, drop = 1, where = { epoch = "last" } }

[claims]
required = ["eq11-flat"]
ignore = ["fig3-spiking-loss"]

[findings]
ignore = ["SNL205"]
judge = "new"

[baseline]
tolerance = 0.1
quantities = ["firing_rate", "result.test_top1"]
missing = "skip"
"""


def read(text: str) -> Rules:
    return rules(tomllib.loads(text), "snnlens.toml")


def test_all_that_can_be_said() -> None:
    made = read(WHOLE)
    assert [b.name for b in made.bounds] == [
        "firing_rate", "silent_share", "silent_share", "result.test_top1",
    ]  # fmt: skip
    assert [b.text for b in made.bounds] == ["min 0.001, max 0.9", "max 0.1", "max 0.5",
                                            "min 90, drop 1"]  # fmt: skip
    assert [b.compares for b in made.bounds] == [False, False, False, True]
    first, last = made.bounds[1:3]
    assert first.where == (("role", ("neuron",)), ("stage", (1, 2)))
    assert (first.missing, first.severity) == ("fail", "error")
    assert last.but == (("site", ("layer1.*",)),)
    assert (last.missing, last.severity) == ("skip", "note")
    assert made.bounds[0].said_in == "[gate.sites] firing_rate of snnlens.toml"
    assert (made.fail_on, made.required, made.ignored_claims) == (
        "warning", ("eq11-flat",), ("fig3-spiking-loss",),
    )  # fmt: skip
    assert (made.ignored, made.only_new) == (("SNL205",), True)
    assert (made.tolerance, made.missing) == (0.1, "skip")
    assert made.compared == ("firing_rate", "result.test_top1")


def test_what_is_not_said() -> None:
    made = read("[sites]\nxi = { max = 3 }")
    assert made == Rules("snnlens.toml", bounds=made.bounds)
    assert (made.fail_on, made.tolerance, made.only_new, made.missing) == (
        "error", 0.05, False, "fail",
    )  # fmt: skip


KEYS = "min, max, drop, rise, where, except, missing, severity"
XI = "[gate.sites] xi of snnlens.toml"
WRONG = {
    "": "[gate] of snnlens.toml must be a table with at least one key; got 'an empty table'",
    "fail_onn = 'error'": (
        "a key of [gate] of snnlens.toml must be one of fail_on, sites, tables, claims, findings, "
        "baseline; got 'fail_onn'; did you mean fail_on?"
    ),
    "fail_on = 'eror'": (
        "fail_on of [gate] of snnlens.toml must be one of never, note, warning, error; got 'eror'; "
        "did you mean error?"
    ),
    "fail_on = ['error']": (
        "fail_on of [gate] of snnlens.toml must be one of never, note, warning, error; got "
        "['error']; did you mean error?"
    ),
    "sites = 3": "[gate.sites] of snnlens.toml must be a table; got 3",
    "[sites]": (
        "[gate.sites] of snnlens.toml must be a table with at least one key; got 'an empty table'"
    ),
    "[sites]\nxi = 0.9": f"{XI} must be a table, such as {{ max = 0.1 }}; got 0.9",
    "[sites]\nxi = {}": f"{XI} must be a table with at least one key; got 'an empty table'",
    "[sites]\nxi = []": f"{XI} must be a table, such as {{ max = 0.1 }}; got []",
    "[sites]\nxi = { maxx = 1 }": (
        f"a key of {XI} must be one of {KEYS}; got 'maxx'; did you mean max?"
    ),
    "[sites]\nxi = { Max = 1 }": (
        f"a key of {XI} must be one of {KEYS}; got 'Max'; did you mean max?"
    ),
    "[sites]\nxi = { where = { role = 'a' } }": (
        f"{XI} must be with min, max, drop or rise; got ['where']"
    ),
    "[sites]\nxi = { max = '1' }": f"max of {XI} must be a finite number; got '1'",
    "[sites]\nxi = { max = true }": f"max of {XI} must be a finite number; got True",
    "[sites]\nxi = { max = nan }": f"max of {XI} must be a finite number; got nan",
    "[sites]\nxi = { max = inf }": f"max of {XI} must be a finite number; got inf",
    "[sites]\nxi = { min = 2, max = 1 }": f"min of {XI} must be at most its max 1; got 2.0",
    "[sites]\nxi = { drop = -1 }": f"drop of {XI} must be at least 0; got -1.0",
    "[sites]\nxi = { max = 1, missing = 'skp' }": (
        f"missing of {XI} must be one of fail, skip; got 'skp'; did you mean skip?"
    ),
    "[sites]\nxi = { max = 1, severity = 'err' }": (
        f"severity of {XI} must be one of error, warning, note; got 'err'; did you mean error?"
    ),
    "[sites]\nxi = { max = 1, where = 'sn1' }": f"where of {XI} must be a table; got 'sn1'",
    "[sites]\nxi = { max = 1, where = {} }": (
        f"where of {XI} must be a table with at least one key; got 'an empty table'"
    ),
    "[sites]\nxi = { max = 1, where = { site = [] } }": (
        f"site of where of {XI} must be a value or a list; got []"
    ),
    "[tables]\nxi = { max = 1 }": (
        "[gate.tables.xi] max of snnlens.toml must be a table, such as { max = 0.1 }; got 1"
    ),
    "[claims]\nrequred = ['a']": (
        "a key of [gate.claims] of snnlens.toml must be one of required, ignore; got 'requred'; "
        "did you mean required?"
    ),
    "[claims]\nrequired = 'a'": (
        "required of [gate.claims] of snnlens.toml must be a list of at least one name; got 'a'"
    ),
    "[claims]\nrequired = []": (
        "required of [gate.claims] of snnlens.toml must be a list of at least one name; got []"
    ),
    "[claims]\nrequired = ['a']\nignore = ['a']": (
        "ignore of [gate.claims] of snnlens.toml must be without the ids that are required; got 'a'"
    ),
    "[findings]\nignore = ['SNL999']": "SNL999",
    "[findings]\nignore = ['snl205']": "did you mean SNL205",
    "[findings]\nignore = [205]": (
        "ignore of [gate.findings] of snnlens.toml must be a list of at least one name; got [205]"
    ),
    "[findings]\njudge = 'now'": (
        "judge of [gate.findings] of snnlens.toml must be one of all, new; got 'now'; did you mean "
        "new?"
    ),
    "[baseline]\ntolerance = -0.1": (
        "tolerance of [gate.baseline] of snnlens.toml must be at least 0; got -0.1"
    ),
    "[baseline]\ntolerance = nan": (
        "tolerance of [gate.baseline] of snnlens.toml must be a finite number; got nan"
    ),
    "[baseline]\ntolerence = 0.1": (
        "a key of [gate.baseline] of snnlens.toml must be one of tolerance, quantities, missing; "
        "got 'tolerence'; did you mean tolerance?"
    ),
}


@pytest.mark.parametrize("text", WRONG)
def test_a_typo_is_one_line(text: str) -> None:
    with pytest.raises(InputError) as raised:
        read(text)
    said = str(raised.value)
    assert "\n" not in said
    if "SNL" in text.upper():
        assert WRONG[text] in said
        assert said.startswith("ignore of [gate.findings] of snnlens.toml must be a code of a")
    else:
        assert said == WRONG[text]


def test_hostile_names_stay_on_one_line() -> None:
    with pytest.raises(InputError) as raised:
        rules({"sites": {"a\nb\x1b": {"max": "c\nd"}}}, "snnlens.toml")
    assert str(raised.value) == (
        r"max of [gate.sites] a\nb\x1b of snnlens.toml must be a finite number; got 'c\nd'"
    )


# --- where the file is ---------------------------------------------------------------------------


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


OWN = "[gate.sites]\nxi = { max = 1 }\n"
PROJECT = "[tool.snnlens.gate.sites]\nxi = { max = 2 }\n"
OTHERS = "[tool.ruff]\nline-length = 100\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    return tmp_path


def test_no_file_no_thresholds(repository: Path) -> None:
    assert find(repository) == Rules()
    write(repository / "pyproject.toml", OTHERS)
    assert find(repository) == Rules()


@pytest.mark.parametrize("below", [".", "a/b"])
def test_the_nearest_file_counts(repository: Path, below: str) -> None:
    here = repository / below
    here.mkdir(parents=True, exist_ok=True)
    write(repository / "pyproject.toml", OTHERS + PROJECT)
    assert find(here).bounds[0].text == "max 2"
    assert find(here).source == "pyproject.toml"
    write(repository / "pyproject.toml", OTHERS)
    write(repository / "snnlens.toml", OWN)
    assert find(here).bounds[0].text == "max 1"
    assert find(here).source == "snnlens.toml"


def test_a_nearer_file_wins(repository: Path) -> None:
    write(repository / "snnlens.toml", OWN)
    write(repository / "a" / "pyproject.toml", PROJECT)
    assert find(repository / "a").bounds[0].text == "max 2"


def test_nothing_above_the_repository_is_read(tmp_path: Path) -> None:
    write(tmp_path / "snnlens.toml", "this is no TOML")
    (tmp_path / "a" / ".git").mkdir(parents=True)
    assert find(tmp_path / "a") == Rules()


BAD_FILES = {
    "both": (
        {"snnlens.toml": OWN, "pyproject.toml": PROJECT},
        (
            "the thresholds must be in one file; got 'in snnlens.toml and in pyproject.toml'; keep "
            "[gate] of snnlens.toml or [tool.snnlens.gate] of pyproject.toml"
        ),
    ),
    "misnamed": (
        {"snnlen.toml": OWN},
        (
            "a file with thresholds must be one of snnlens.toml; got 'snnlen.toml'; did you mean "
            "snnlens.toml?"
        ),
    ),
    "hidden": (
        {".snnlens.toml": OWN},
        (
            "a file with thresholds must be one of snnlens.toml; got '.snnlens.toml'; did you mean "
            "snnlens.toml?"
        ),
    ),
    "another table": (
        {"snnlens.toml": "[gates.sites]\nxi = { max = 1 }\n"},
        "a key of snnlens.toml must be one of gate; got 'gates'; did you mean gate?",
    ),
    "a table of its own": (
        {"snnlens.toml": OWN + "[sites]\nxi = { max = 1 }\n"},
        "a key of snnlens.toml must be one of gate; got 'sites'",
    ),
    "empty": ({"snnlens.toml": ""}, "snnlens.toml must be with a table `gate`; got 'nothing'"),
    "of pyproject": (
        {"pyproject.toml": "[tool.snnlens.gates.sites]\nxi = { max = 1 }\n"},
        (
            "a key of [tool.snnlens] of pyproject.toml must be one of gate; got 'gates'; did you "
            "mean gate?"
        ),
    ),
    "misspelt": (
        {"pyproject.toml": "[tool.snn-lens.gate.sites]\nxi = { max = 1 }\n"},
        (
            "[tool.snn-lens] of pyproject.toml must be one of snnlens; got 'snn-lens'; did you "
            "mean snnlens?"
        ),
    ),
    "an empty table": (
        {"pyproject.toml": "[tool.snnlens]\n"},
        "[tool.snnlens] of pyproject.toml must be with a table `gate`; got 'nothing'",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_was_meant_is_not_passed_over(repository: Path, case: str) -> None:
    files, wanted = BAD_FILES[case]
    for name, text in files.items():
        write(repository / name, text)
    with pytest.raises(InputError) as raised:
        find(repository)
    assert str(raised.value) == wanted


def test_other_files_are_let_be(repository: Path) -> None:
    for name in ("snnlens-old.toml", "snnlens.toml.bak", "README.md", "snn.toml"):
        write(repository / name, "")
    (repository / "snnlen.toml").mkdir()  # no file
    assert find(repository) == Rules()


def test_a_file_by_its_name(tmp_path: Path) -> None:
    assert read_rules(write(tmp_path / "strict.toml", OWN)).source == "strict.toml"
    for path, wanted in (
        (tmp_path / "none.toml", "--config must be a TOML file that is there; got "),
        (
            write(tmp_path / "broken.toml", "[gate"),
            "broken.toml must be TOML; got 'something else'",
        ),
        (write(tmp_path / "pyproject.toml", OTHERS), "got 'no [tool.snnlens.gate]'; see docs/gate"),
    ):
        with pytest.raises(InputError) as raised:
            read_rules(path)
        assert wanted in str(raised.value)
        assert "\n" not in str(raised.value)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "snnlens.toml").write_bytes(b"\xff\xfe[gate]")
    with pytest.raises(InputError, match=r"snnlens\.toml must be TOML; got 'something else'; "):
        read_rules(tmp_path / "snnlens.toml")


# --- what docs/gate.md shows ---------------------------------------------------------------------

GUIDE = (Path(__file__).parents[3] / "docs" / "gate.md").read_text(encoding="utf-8")


def test_the_guide_s_rules_are_read() -> None:
    block = re.search(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
    assert block
    told = rules(tomllib.loads(block[1])["gate"], "snnlens.toml")
    assert len(told.bounds) == 7
    assert {"where", "except", "missing", "severity"} <= set(re.findall(r"\w+", block[1]))


def test_the_guide_s_action_is_one() -> None:
    block = re.search(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    assert block
    steps = yaml.safe_load(block[1])["jobs"]["gate"]["steps"]
    said = " ".join(step.get("run", "") for step in steps)
    commands = re.findall(r"snnlens gate (.*)", said)
    assert commands[0].startswith("runs/checkup --format github")
    assert "--format junit -o gate.xml" in commands[0] + " ".join(commands)
    for name in re.findall(r"(?<!\w)--[\w-]+", " ".join(commands)):
        assert f'"{name}"' in SOURCE


SOURCE = (Path(__file__).parents[3] / "snnlens" / "commands" / "gate.py").read_text(
    encoding="utf-8"
)
