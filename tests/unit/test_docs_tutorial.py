"""The tutorial: each command is run, and says what the page shows."""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from snnlens.cli import main
from tests.unit.pages import DOCS, WRITTEN


def typed(text: str) -> list[tuple[str, list[str]]]:
    """The commands of a page's console blocks, each with what the page shows of its output."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def unseen(shown: list[str], output: str) -> str:
    """The first piece of what is shown that the output lacks; `...` stands for anything.

    Numbers with a point may differ by 5 %, as machines round; counts of checks are not compared.
    """
    rest = " ".join(output.split())
    for piece in filter(None, (p.strip() for line in shown for p in line.split("..."))):
        parts = re.split(r"((?<![\w.])\d+(?:\.\d+)?)", " ".join(piece.split()))
        numbers = parts[1::2]
        match = re.search(
            "".join(r"([\d.]+)" if i % 2 else re.escape(p) for i, p in enumerate(parts)), rest
        )
        if not match:
            return piece
        if not re.search(r"passed|checks:", piece) and not all(map(alike, numbers, match.groups())):
            return f"{piece}: got {match[0]}"
        rest = rest[match.end() :]
    return ""


def alike(shown: str, got: str) -> bool:
    if "." not in shown:
        return shown == got
    return float(got.rstrip(".")) == pytest.approx(float(shown), rel=0.05, abs=0.011)


def test_unseen_compares() -> None:
    assert unseen(["a  2.00 ... 4 b"], "x a 2.01 y z 4 b") == ""
    assert unseen(["loss 2.0"], "loss 2.3") == "loss 2.0: got loss 2.3"
    assert unseen(["4 b"], "5 b") == "4 b: got 5 b"
    assert unseen(["SNL202"], "SNL203") == "SNL202"
    assert unseen(["9 passed"], "10 passed") == ""


def test_the_tutorial_says_what_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("net.py", "train.py"):
        shutil.copy(DOCS / "tutorial" / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "net", raising=False)  # another test's network of that name
    code, ran = 0, []
    for command, shown in typed(WRITTEN["tutorial.md"]):
        program, *rest = shlex.split(command)
        if program == "echo":
            assert shown == [str(code)]
            continue
        if program == "snnlens":
            code = main(rest)
        else:
            monkeypatch.setattr(sys, "argv", rest)
            runpy.run_path(rest[0], run_name="__main__")
        assert unseen(shown, capsys.readouterr().out) == "", command
        ran.append(program)
    assert ran.count("snnlens") >= 9
    python = re.search(r"^```python\n(.*?)^```$", WRITTEN["tutorial.md"], re.MULTILINE | re.DOTALL)
    assert python
    exec(python[1], {})
    assert capsys.readouterr().out.startswith("SNL307 lif3 ")
    sys.modules.pop("net", None)
