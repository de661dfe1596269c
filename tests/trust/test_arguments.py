"""Arguments and environments of anybody: an answer, or one line; never a traceback."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnlens import api, cli, registry
from snnlens.cli import main
from snnlens.errors import InputError, SnnlensError, one_line
from snnlens.experiments._params import by_place, command, ordered
from snnlens.neuron.kernels import compiler
from snnlens.recording.record import empty
from snnlens.recording.result import Result
from tests.trust.hostile_files import command_refuses, is_one_line
from tests.trust.tally import Count, fuzz

pytestmark = pytest.mark.promise("one-line")
QUESTIONS = sorted(registry.listing("experiments"))
ABOUT_RUNS = sorted(registry.listing("commands"))
ANSWERS = {"list", "explain", "doctor", "--help", "--version"}  # may go well without any input
TEXTS = [
    "", " ", "0", "-1", "1", "0.5", "nan", "inf", "-inf", "1e400", "-0", "1_000", "٣", "0x10",
    "99999999999999999999999", "9" * 5000, "-9223372036854775809", "9223372036854775807",
    "1,2,,3", ",", "1,2,3", "yes", "no", "None", "[]", "{}", "digits", "digits:", ":", "a:b",
    "imagefolder:/", "events:.", "/dev/zero", "/dev/null/x", "..", "../..", "~", "~nobody/x", "*",
    "A" * 300, "A" * 5000, "é", "\u202e", "\x1b[31m", "a\nb", "\r\n", "\0", "a\0b", "\ud800",
    "\udcff", "--", "-", "-o", "--help", "--json", "--quiet", "os:getcwd", "a.py:b", "a.nir",
    "(", "(?P<residual>a)(?P<depth>b)", "a=b", "tcp://x", "cuda", "meta", "cuda:99", "%s", "{0}",
]  # fmt: skip
HOSTILE = st.one_of(
    st.sampled_from(TEXTS),
    st.text(max_size=20),
    st.text(st.characters(categories=["Cs", "Cc", "Cf", "Zl"]), max_size=5),
    st.integers().map(str),
    st.floats().map(str),
)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# --- the command line ----------------------------------------------------------------------------


@cache
def options(name: str) -> list[str]:
    """Every option of a command."""
    if name in QUESTIONS:
        made = cli._question(name)
    elif name in ABOUT_RUNS:
        made = cli._single(name, registry.module("commands", name).command)
    else:
        return ["--version"]
    return [option for parameter in made.params for option in parameter.opts]


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    """A command line in which nothing is left out: options twice, without value, in any order."""
    name = draw(st.sampled_from([*QUESTIONS, *ABOUT_RUNS, "explain", "list", "nonsense", ""]))
    known = st.sampled_from([*options(name), "--nonsense", "--help"]) if name else HOSTILE
    words: list[list[str]] = []
    for _ in range(draw(st.integers(0, 6))):
        kind = draw(st.integers(0, 5))
        if kind < 3:
            words.append([draw(known), draw(HOSTILE)])
        elif kind == 3:
            words.append([f"{draw(known)}={draw(HOSTILE)}"])
        else:
            words.append([draw(known if kind == 4 else HOSTILE)])
    rest = [word for pair in draw(st.permutations(words)) for word in pair]
    return [name, *rest] if draw(st.booleans()) else [*rest[:1], name, *rest[1:]]


@fuzz(150)
@given(argv=lines())
def test_command_lines(
    argv: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    tally: Count,
) -> None:  # fmt: skip
    """What is valid would run: there it is stopped, where the command hands its options over."""
    monkeypatch.setattr(api, "answer", stopped)
    capsys.readouterr()
    code = main(argv)
    said = capsys.readouterr()
    if code == 0:
        assert ANSWERS & set(argv)
    else:
        assert code == 2, said.err
        assert said.err.startswith("snnlens: ")
        assert is_one_line(said.err.removesuffix("\n")), said.err
    assert not list(Path().iterdir())
    tally("command lines")


def stopped(question: str, *_: object, force: bool, progress: object, **params: object) -> None:
    api.parameters(question, params)
    raise InputError("the run", got="valid options", wanted="stopped here")


@fuzz(50)
@given(data=st.data())
@pytest.mark.parametrize("question", QUESTIONS)
def test_parameters(question: str, data: st.DataObject, tally: Count) -> None:
    """What is accepted can be written down, and repeated from the command line."""
    fields = ordered(registry.module("experiments", question).Params)
    chosen = data.draw(st.lists(st.sampled_from(sorted(fields)), max_size=3, unique=True))
    params = {name: data.draw(HOSTILE) for name in chosen}
    params |= {name: "sew_resnet8" for name, field in fields.items()
               if field.is_required() and name not in params}  # fmt: skip
    try:
        made = api.parameters(question, params)
    except SnnlensError as error:
        assert is_one_line(str(error))  # noqa: PT017 - most are refused, and some are not
    else:
        json.dumps(made.model_dump(mode="json"), allow_nan=False)
        assert command(question, made).startswith(f"snnlens {question}")
    tally("parameters")


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_number_has_a_bound(question: str, tally: Count) -> None:
    """No number goes on that 64 bits cannot hold, or JSON."""
    for name, field in ordered(registry.module("experiments", question).Params).items():
        if by_place(field) or "str" in str(field.annotation):
            continue
        large = [] if "float" in str(field.annotation) else ["9" * 25, "-" + "9" * 25]
        for text in ("nan", "inf", "-inf", *large):
            given_here = {"model": "sew_resnet8"} if question in _of_a_model() else {}
            with pytest.raises(SnnlensError) as caught:
                api.parameters(question, given_here | {name: text})
            assert is_one_line(str(caught.value))
            tally("extreme numbers")


def _of_a_model() -> set[str]:
    return {
        q for q in QUESTIONS if "model" in registry.module("experiments", q).Params.model_fields
    }


@pytest.mark.parametrize("argv", [
    ["rates", "A" * 5000], ["checkup", "A" * 300], ["checkup", "A" * 5000 + ":build"],
    ["report", "A" * 300], ["gate", "A" * 5000], ["compare", "A" * 300, "B"],
    ["export", "A" * 300, "--to", "nir", "-o", "out"], ["explain", "A" * 5000],
    ["degradation", "--logs", "A" * 300], ["rates", "--data", "imagefolder:" + "A" * 5000],
    ["checkup", "sew_resnet8", "--input", "A" * 300], ["nonsense" * 1000],
    ["checkup", "sew_resnet8", "--loss", "A" * 5000], ["report", "--preset", "A" * 300],
    ["conversion", "--weights", "A" * 300], ["conversion", "--ann", "A" * 5000],
], ids=lambda argv: " ".join(argv)[:30])  # fmt: skip
def test_names_that_no_file_can_have(
    argv: list[str], capsys: pytest.CaptureFixture[str], tally: Count
) -> None:
    command_refuses(argv, capsys)
    tally("command lines")


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800", "\udcff.npz"], ids=ascii)
@pytest.mark.parametrize("argv", [
    ["rates", "-o"], ["rates", "--data"], ["checkup"], ["report"], ["gate", "--config"],
    ["explain"],
], ids=" ".join)  # fmt: skip
def test_texts_that_no_file_can_hold(
    argv: list[str], text: str, capsys: pytest.CaptureFixture[str], tally: Count
) -> None:
    """Names of files in another alphabet than UTF-8 come as such."""
    line = command_refuses([*argv, text], capsys)
    assert line == f"snnlens: an argument must be text in UTF-8; got {text!r}"
    tally("command lines")


@pytest.mark.parametrize("argv", [
    ["rates", "a", "b\n\x1b[31m"], ["rates", "--\u202e\n"], ["explain", "SNL302", "\n" * 5000],
    ["--\r" * 999], ["export", "a", "--to", "\n"], ["gate", "--tolerance", "\x1b[31m\n"],
], ids=ascii)  # fmt: skip
def test_what_the_parser_says_is_one_line(
    argv: list[str], capsys: pytest.CaptureFixture[str], tally: Count
) -> None:
    command_refuses(argv, capsys)
    tally("command lines")


SMALL = ["--layout", "cifar", "--depth", "8", "--image-size", "8", "--residual", "spiking",
         "--zero-init", "no", "--quiet"]  # fmt: skip
MODEL = ["sew_resnet8", "--image-size", "8", "--quiet"]
TRAIN = ["sew_resnet8", "--image-size", "8", "--batch", "600", "--epochs", "1", "--quiet"]
RUNS: dict[str, list[str]] = {
    "a device of no letters": ["checkup", *MODEL, "--device", ""],
    "a device that is a number": ["checkup", *MODEL, "--device", "0"],
    "a device without numbers": ["audit", *MODEL, "--device", "meta"],
    "a device that nobody has": ["attribution", *MODEL, "--device", "cuda:99"],
    "a device of another kind": ["rates", *SMALL, "--device", "nonsense"],
    "a billion time steps": ["rates", *SMALL, "--time-steps", "1000000000"],
    "a billion images": ["rates", *SMALL, "--data", "random", "--batch", "1000000000"],
    "a billion pixels": ["checkup", *MODEL[:1], "--image-size", "1000000000", "--data", "random"],
    "more threads than OpenMP takes": ["rates", *SMALL, "--threads", "40000"],
    "an output that is not there": ["checkup", *MODEL, "--batch", "2", "--output", "1000000"],
    "a layer that is not there": ["attribution", *MODEL, "--samples", "1", "--at", "\x1b[31m"],
    "a class that is not there": ["attribution", *MODEL, "--samples", "1", "--target", "9" * 30],
    "a method that is not there": ["attribution", *MODEL, "--method", ",,"],
    "no folder for trainings": ["train", *TRAIN, "--points", "/dev/null/x"],
    "a file for trainings": ["train", *TRAIN, "--points", sys.executable],
    "a million trainings": ["degradation", "--seeds", "1000000"],
    "a scheduler that is none": ["degradation", "--quiet", "--scheduler", "tcp://\x1b:99999"],
    "a pattern without an end": ["degradation", "--logs", ".", "--pattern", "(?P<residual>"],
    "a batch that no step fills": ["train", *TRAIN[:3], "--batch", "9999", "--quiet"],
}


@pytest.mark.parametrize("name", RUNS)
def test_options_that_only_a_run_can_refuse(
    name: str, capsys: pytest.CaptureFixture[str], tally: Count
) -> None:
    command_refuses(RUNS[name], capsys)
    assert not list(Path().iterdir())
    tally("command lines")


def test_a_run_whose_name_is_no_text(capsys: pytest.CaptureFixture[str], tally: Count) -> None:
    """A folder may be called anything; a terminal is not told to obey it."""
    for name in ("\x1b[31mred", "a\nb", os.fsdecode(b"\xff"), "\u202eabc"):
        (Path("runs") / name).mkdir(parents=True)
        (Path("runs") / name / "run.json").touch()
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    assert all(line.isprintable() for line in said.splitlines())
    assert "\\x1b[31mred" in said
    for name in ("\x1b[31mred", "a\nb", "\u202eabc"):
        assert one_line(name) in command_refuses(["report", f"runs/{name}"], capsys)
        tally("names of folders")


# --- the environment -----------------------------------------------------------------------------

ENVIRONMENTS: dict[str, dict[str, str]] = {
    "a terminal of no width": {"COLUMNS": "0", "LINES": "-1", "TERM": "", "HOME": "/dev/null"},
    "a terminal without an end": {"COLUMNS": "9" * 6, "TERM": "A" * 5000, "FORCE_COLOR": "1"},
    "a terminal of letters, no home": {
        "COLUMNS": "abc", "TERM": "nonsense", "NO_COLOR": "\x1b", "HOME": "",
        "XDG_CACHE_HOME": "", "TMPDIR": "/dev/null",
    },
    "ASCII": {"PYTHONIOENCODING": "ascii", "LANG": "nonsense", "LC_ALL": "xx_YY.ZZ"},
    "another alphabet": {"PYTHONIOENCODING": "cp1253", "PYTHONUTF8": "0", "LC_ALL": "C"},
}  # fmt: skip
SHOWN = {
    ("--help",): 0, ("list",): 0, ("explain", "SNL302"): 0, ("rates", "--depth", "51"): 2,
    ("explain", "\u03c3\u0436"): 2,
}  # fmt: skip
ALL_OF_THEM = """
import io, json, os, sys
from snnlens.cli import main
for argv in json.loads(sys.argv[1]):
    sys.stderr.write(f"{main(argv)}\\n")
"""


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_environments(name: str, tally: Count) -> None:
    """Help, lists and errors come out whatever the terminal, the locale and the home are."""
    done = subprocess.run(
        [sys.executable, "-c", ALL_OF_THEM, json.dumps(list(SHOWN))],
        env=dict(os.environ) | ENVIRONMENTS[name], capture_output=True, check=False, timeout=250,
    )  # fmt: skip
    said = done.stderr.decode("ascii", "replace").splitlines()
    assert done.returncode == 0, said[-5:]
    codes = [line for line in said if line.isdecimal()]
    assert codes == [str(code) for code in SHOWN.values()], said
    assert sum(line.startswith("snnlens: ") for line in said) == 2
    assert len(said) == len(codes) + 2, said
    assert len(done.stdout) < 10**6
    tally("environments", len(SHOWN))


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1253"])
def test_json_is_utf_8_in_every_alphabet(
    encoding: str, monkeypatch: pytest.MonkeyPatch, tally: Count
) -> None:
    """And a person's text has the letters that the terminal cannot show in another form."""
    table = pd.DataFrame({"site": ["\u03c3"]})
    result = Result("rates", "\u03c3", table, "\u03c3", [], [], empty())
    monkeypatch.setattr(api, "answer", lambda *_, **__: result)
    for argv in (["rates", "-o", "\u0436", "--json", "--quiet"], ["rates", "-o", "\u0436"]):
        out = io.BytesIO()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding, write_through=True))
            assert main(argv) == 0
            if "--json" in argv:
                said = json.loads(out.getvalue())
                assert (said["run"], said["result"]) == ("\u0436", [{"site": "\u03c3"}])
            else:
                assert out.getvalue().decode("utf-8" if encoding == "ascii" else encoding)
        tally("alphabets")


CACHES = ["A" * 300, "A" * 5000, "/dev/null", "/dev/zero/a", "relative", ".", "", "\udcff", "é\n",
          "~", "$HOME", "/proc/self/mem"]  # fmt: skip


@pytest.fixture
def forgotten() -> Iterator[Callable[[], None]]:
    """Forgets what the compiler knows of this machine."""

    def forget() -> None:
        for function in (compiler.find, compiler.cache_folder, compiler._temporary):
            function.cache_clear()

    forget()
    yield forget
    forget()


@pytest.mark.parametrize("place", CACHES, ids=ascii)
def test_places_of_the_cache(
    place: str, forgotten: Callable[[], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    tally: Count,
) -> None:  # fmt: skip
    """What cannot keep a library is not used; the kernel is compiled all the same."""
    monkeypatch.setenv("SNNLENS_CACHE", place)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "a.c").write_text("int answer(void) { return 42; }\n")
    assert compiler.load(tmp_path / "a.c").answer() == 42
    folder, why = compiler.cache_folder()
    assert folder.is_dir()
    assert one_line(why) is not None
    tally("environments")


@pytest.mark.parametrize("name", ["nonsense", "/dev/null", "A" * 5000, "cc; touch made", "", "\n"])
def test_compilers(
    name: str, forgotten: Callable[[], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    tally: Count,
) -> None:  # fmt: skip
    """$CC is a program, never a line for a shell."""
    monkeypatch.setenv("CC", name)
    monkeypatch.setenv("SNNLENS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "a.c").write_text("int answer(void) { return 42; }\n")
    with suppress(compiler.NotCompiled):
        assert compiler.load(tmp_path / "a.c").answer() == 42
    assert not Path("made").exists()
    tally("environments")
