"""Compiling on first use: the cache, its faults, and what runs where there is no compiler."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from snnlens.neuron.kernels import compiler, cpu

SOURCE = "int answer(void) { return ANSWER; }\n"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder of this test's own."""
    monkeypatch.setenv("SNNLENS_CACHE", str(tmp_path / "cache"))
    yield from _forgetting()
    _forget()


def _forgetting() -> Iterator[Path]:
    _forget()
    yield Path(os.environ["SNNLENS_CACHE"]) / "kernels"


def _forget() -> None:
    for function in (compiler.find, compiler.cache_folder, compiler._temporary, compiler._version):
        function.cache_clear()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "answer.c"
    path.write_text(SOURCE)
    return path


def test_a_library_is_kept_and_taken_again(
    cache: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert compiler.load(source, ["ANSWER=42"]).answer() == 42
    (kept,) = cache.glob("*.so")
    monkeypatch.setattr(compiler, "_compile", lambda *_: pytest.fail("compiled twice"))
    assert compiler.load(source, ["ANSWER=42"]).answer() == 42
    assert sorted(p.suffix for p in cache.iterdir()) == [".lock", ".so"]  # nothing half-made
    assert cache.stat().st_mode & 0o777 == 0o700
    assert kept.name.startswith("answer-")


def test_source_and_constants_make_another_library(cache: Path, source: Path) -> None:
    assert compiler.load(source, ["ANSWER=1"]).answer() == 1
    assert compiler.load(source, ["ANSWER=2"]).answer() == 2
    source.write_text(SOURCE.replace("ANSWER", "ANSWER + 10"))
    assert compiler.load(source, ["ANSWER=1"]).answer() == 11
    assert len(list(cache.glob("*.so"))) == 3


def test_another_processor_makes_another_library(
    cache: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler.load(source, ["ANSWER=1"])
    monkeypatch.setattr(compiler, "_processor", lambda: "another")
    compiler.load(source, ["ANSWER=1"])
    assert len(list(cache.glob("*.so"))) == 2


def test_a_library_that_was_cut_is_made_again(cache: Path, source: Path) -> None:
    compiler.load(source, ["ANSWER=7"])
    (kept,) = cache.glob("*.so")
    whole = kept.read_bytes()
    code = (
        "import pathlib, sys; from snnlens.neuron.kernels import compiler;"
        "print(compiler.load(pathlib.Path(sys.argv[1]), ['ANSWER=7']).answer())"
    )
    for length in (100, 5000):  # the system refuses the first, and dies of the second
        kept.unlink()  # the one in use stays mapped
        kept.write_bytes(whole[:length])
        done = subprocess.run(
            [sys.executable, "-c", code, source], check=False, capture_output=True, text=True
        )
        assert done.stdout == "7\n", done.stderr
        assert [p.read_bytes() for p in cache.glob("*.so")] == [whole]


def test_two_processes_at_once(cache: Path, source: Path) -> None:
    code = (
        "import pathlib, sys; from snnlens.neuron.kernels import compiler;"
        "print(compiler.load(pathlib.Path(sys.argv[1]), ['ANSWER=5']).answer())"
    )
    command = [sys.executable, "-c", code, str(source)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [p.communicate()[0] for p in running] == ["5\n"] * 3
    assert len(list(cache.glob("*.so"))) == 1


def test_a_folder_that_cannot_be_written(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SNNLENS_CACHE", str(tmp_path / "file"))
    _forget()
    try:
        assert compiler.load(source, ["ANSWER=3"]).answer() == 3
        folder, reason = compiler.cache_folder()
        assert reason == f"{tmp_path / 'file' / 'kernels'} cannot be written (Not a directory)"
        assert list(folder.glob("*.so"))
    finally:
        _forget()


def test_a_full_disk(cache: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails in the cache folder is done in a temporary one."""
    real = compiler._compile

    def full(folder: Path, *rest: object) -> None:
        if folder == cache:
            raise OSError(28, "No space left on device")
        real(folder, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(compiler, "_compile", full)
    assert compiler.load(source, ["ANSWER=9"]).answer() == 9
    assert not list(cache.glob("*.so"))


def test_a_compiler_that_fails_keeps_its_message(cache: Path, source: Path) -> None:
    source.write_text("int answer(void) { return nonsense; }\n")
    with pytest.raises(compiler.NotCompiled, match=r"(cc|gcc|clang) failed: .*answer\.c.*"):
        compiler.load(source)
    assert not list(cache.glob("*.so"))


def test_a_compiler_that_is_none(
    cache: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(compiler.NotCompiled, match=r"^no C compiler: no-such-compiler not found$"):
        compiler.load(source)


def test_without_a_compiler_the_reference_runs_and_says_so_once(tmp_path: Path) -> None:
    code = """
import json, warnings, torch
from snnlens.neuron import kernels
from snnlens.neuron.layers import IF
from snnlens.recording.reduce import step_squares, step_summary
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    x = torch.full((3, 4), 0.6, requires_grad=True)
    for _ in range(2):
        IF()(x).sum().backward()
summary = {n: t.tolist() for n, t in step_summary(x).items()}
print(json.dumps([[str(w.message) for w in said], x.grad.count_nonzero().item(),
                  step_squares(x).tolist(), summary, kernels.which(x, IF().rule)]))
"""
    environment = os.environ | {"CC": "no-such-compiler", "SNNLENS_CACHE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, env=environment
    )
    said, nonzero, squares, summary, which = json.loads(done.stdout)
    reason = "no C compiler: no-such-compiler not found"
    assert said == [f"neurons run in plain PyTorch, slower: {reason}"]
    assert nonzero == 12
    assert squares == pytest.approx([1.44] * 3, rel=1e-6)
    assert summary["nonzero"] == [4, 4, 4]
    assert which == ["reference", reason]


def test_the_kernel_compiles_without_a_warning(tmp_path: Path) -> None:
    flags = [*compiler.EXACT, *compiler.TUNING[0], "-Wall", "-Wextra", "-Werror"]
    for storage in ("FLOAT32", "BFLOAT16", "FLOAT16"):
        rule = ["CHARGE=RATE", "DECAY=1", "HARD=1", "DETACH=0", "SURROGATE=SIGMOID"]
        defines = [f"-D{d}" for d in (*rule, f"STORAGE={storage}")]
        command = [compiler.find(), *flags, *defines, str(cpu.SOURCE), "-o", str(tmp_path / "x.so")]
        done = subprocess.run([*command, "-lm"], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
