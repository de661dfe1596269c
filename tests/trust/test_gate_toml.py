"""Thresholds and presets of anybody in TOML: one line if wrong, and no typo is a green gate."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnlens import api, files
from snnlens.errors import InputError
from snnlens.report import gate
from tests.trust import broken_runs as broken
from tests.trust.hostile_files import damaged, fresh, impostors, is_one_line, refuses, replaced
from tests.trust.tally import Count, fuzz

pytestmark = pytest.mark.promise("one-line")
SUBJECT = gate.read(broken.V1)
FULL = """
[gate]
fail_on = "warning"
[gate.sites]
firing_rate = { min = 0.9, where = { site = "*", role = ["neuron"] }, except = { block = [1] } }
nonzero_share = [{ max = 2, missing = "skip", severity = "note" }, { rise = 1, drop = 0.5 }]
[gate.tables.result]
gradient_norm = { min = 1e30, where = { block = "first" } }
[gate.claims]
required = ["eq8-exact"]
[gate.findings]
ignore = ["SNL201"]
judge = "all"
[gate.baseline]
tolerance = 0.1
quantities = ["firing_rate"]
missing = "fail"
"""
PRESET = """
[[run]]
name = "gradients"
question = "gradients"
depth = 18
"""
NAMES = ("snnlens.toml", "pyproject.toml")
KEYS = st.sampled_from([
    "gate", "sites", "tables", "claims", "findings", "baseline", "fail_on", "min", "max", "drop",
    "rise", "where", "except", "missing", "severity", "required", "ignore", "judge", "tolerance",
    "quantities", "firing_rate", "result", "gradient_norm", "tool", "snnlens", "run", "name",
    "question", "depth", "model",
])  # fmt: skip
VALUES = st.recursive(
    broken.LEAVES.filter(lambda v: v is not None) | st.sampled_from(["error", "skip", "all", "*"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS | broken.WORDS, inner, max_size=4)
    ),
    max_leaves=12,
)


def toml(value: Any) -> str:
    """A value as TOML writes it; a dictionary as an inline table."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{text(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return text(value or "") if isinstance(value, str | None) else repr(value)


def text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def judged(path: Path) -> str:
    """What a gate with the rules of a file says of a red run: refused, red or green."""
    try:
        verdict = gate.judge([SUBJECT], gate.read_rules(path), SUBJECT)
    except InputError as error:
        return "refused" if is_one_line(str(error)) else f"more than one line: {error}"
    return "green" if verdict.green else "red"


def put(folder: Path, content: str | bytes, name: str = "snnlens.toml") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def test_the_rules_that_are_spoilt_below_are_red(tmp_path: Path) -> None:
    assert judged(put(tmp_path, FULL)) == "red"
    assert len(api._preset(put(tmp_path, PRESET))) == 1


# --- any text ------------------------------------------------------------------------------------


@fuzz(200)
@given(st.dictionaries(KEYS | broken.WORDS, VALUES, max_size=4), st.sampled_from(NAMES))
def test_any_toml_is_rules_or_one_line(
    tmp_path: Path, tally: Count, value: dict[str, Any], name: str
) -> None:
    lines = [f"{text(key)} = {toml(part)}\n" for key, part in value.items()]
    path = put(fresh(tmp_path), "".join(lines), name)
    judged(path)
    refuses(api._preset, path)
    tally("TOML files")


@fuzz(200)
@given(broken.changed(tomllib.loads(FULL)["gate"]), st.sampled_from(NAMES))
def test_the_right_keys_with_wrong_values(
    tmp_path: Path, tally: Count, value: Any, name: str
) -> None:
    place = "gate" if name == NAMES[0] else "tool.snnlens.gate"
    judged(put(fresh(tmp_path), f"{place} = {toml(value)}\n", name))
    tally("TOML files")


@fuzz(100)
@given(broken.changed(tomllib.loads(PRESET)["run"]))
def test_the_right_keys_of_a_preset(tmp_path: Path, tally: Count, value: Any) -> None:
    refuses(api._preset, put(fresh(tmp_path), f"run = {toml(value)}\n"))
    tally("TOML files")


@fuzz(200)
@given(damaged(FULL.encode(), PRESET.encode()) | st.binary(max_size=300), st.sampled_from(NAMES))
def test_any_bytes_are_rules_or_one_line(
    tmp_path: Path, tally: Count, data: bytes, name: str
) -> None:
    path = put(fresh(tmp_path), data, name)
    judged(path)
    refuses(api._preset, path)
    refuses(gate.find, path.parent)
    tally("TOML files")


# --- typos ---------------------------------------------------------------------------------------

WORDS = [m.span() for m in re.finditer(r"(?<![\w.])[A-Za-z_][\w-]*", FULL)]
TYPOS: dict[str, Callable[[str], str]] = {
    "a letter less": lambda word: word[:1] + word[2:],
    "a letter twice": lambda word: word[:2] + word[1:],
    "two letters swapped": lambda word: word[1] + word[0] + word[2:],
    "a capital": lambda word: word[:-1] + word[-1].swapcase(),
    "one more": lambda word: word + "s",
}


@pytest.mark.parametrize("typo", TYPOS)
def test_a_typo_is_no_green_gate(tmp_path: Path, tally: Count, typo: str) -> None:
    for begin, end in WORDS:
        spoilt = FULL[:begin] + TYPOS[typo](FULL[begin:end]) + FULL[end:]
        said = judged(put(tmp_path, spoilt))
        assert spoilt == FULL or said == "refused", FULL[begin:end]
        tally("typos")


@pytest.mark.parametrize("key", ["runs", "Run", "ru"])
def test_a_typo_in_a_preset_leaves_no_run_out(tmp_path: Path, tally: Count, key: str) -> None:
    path = put(tmp_path, f"{PRESET}\n{PRESET.replace('[run]', f'[{key}]')}")
    with pytest.raises(InputError) as error:
        api._preset(path)
    assert str(error.value) == f"a key of {path} must be run; got {key!r}"
    tally("typos")


# --- files that are none -------------------------------------------------------------------------

COMMANDS = {
    "--config": ["gate", str(broken.V1), "--config", "FILE"],
    "--preset": ["report", "--preset", "FILE", "-o", "page.html"],
}
ENDLESS: dict[str, Callable[[Path], object]] = {
    "a terabyte of nothing": lambda path: (path.touch(), os.truncate(path, 2**40)),
    "a comment without an end": lambda path: path.write_text("# " + "x" * files.MOST_BYTES),
    "lists in lists": lambda path: path.write_text("run = " + "[" * 10**5 + "]" * 10**5),
    "tables in tables": lambda path: path.write_text("run = " + "{a = " * 50 + "1" + "}" * 50),
    "tables by dots": lambda path: path.write_text(f"[{'a.' * 60}b]"),
    "a key of many parts": lambda path: path.write_text("a." * 10**5 + "b = 1"),
    "an integer": lambda path: path.write_text(f"gate = {'9' * 5000}"),
    "a lone surrogate": lambda path: path.write_text('gate = "\\ud800"'),
    "bytes": lambda path: path.write_bytes(bytes(range(256))),
}


@pytest.mark.timeout(60)  # a pipe that is opened never ends
@pytest.mark.parametrize("option", COMMANDS)
@impostors
def test_something_else_in_the_place_of_the_file(
    tmp_path: Path, tally: Count, impostor: Callable[[Path], None], option: str
) -> None:
    _refused(tmp_path, lambda path: replaced(path, impostor), option)
    tally("things in the place of a file")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("option", COMMANDS)
@pytest.mark.parametrize("kind", ENDLESS)
def test_a_file_without_an_end(tmp_path: Path, tally: Count, kind: str, option: str) -> None:
    _refused(tmp_path, ENDLESS[kind], option)
    tally("bombs")


def _refused(folder: Path, make: Callable[[Path], object], option: str) -> None:
    path = folder / "my.toml"
    make(path)
    argv = [str(path) if part == "FILE" else part for part in COMMANDS[option]]
    code, line = broken.call(argv)
    assert code == 2
    assert path.name in line
    assert sorted(folder.iterdir()) == [path]


def test_a_pattern_of_many_stars_is_no_endless_search(tmp_path: Path, tally: Count) -> None:
    stars = FULL.replace('site = "*"', f'site = "{"*l" * 40}"')
    assert judged(put(tmp_path, stars)) == "refused"
    tally("bombs")


def test_a_name_that_is_long_is_looked_up_soon(tmp_path: Path, tally: Count) -> None:
    assert judged(put(tmp_path, f"[gate.{'firing_rate' * 50_000}]\na = 1")) == "refused"
    tally("bombs")
