"""`snnlens export`: what it takes, where it writes, what it refuses."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from snnlens import atomic, registry
from snnlens.cli import main
from snnlens.errors import InputError
from snnlens.recording.store import save
from snnlens.report import export
from snnlens.report.export import _folder
from tests.unit.runs import answered, saved

FILES = {"a.txt": b"one", "deep/b.bin": b"\x00two"}


def test_the_targets_are_files() -> None:
    assert list(registry.listing(export.KIND)) == ["latex", "nir", "tensorboard"]
    for name, line in registry.listing(export.KIND).items():
        module = registry.module(export.KIND, name)
        assert line == (module.__doc__ or "").splitlines()[0]
        assert callable(module.export)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["RUN", "--to", "word", "-o", "x"],
         "target must be one of latex, nir, tensorboard; got 'word'"),
        (["nowhere", "--to", "latex", "-o", "x"],
         "RUN must be a run folder; got 'nowhere'; see `snnlens list`"),
        (["RUN", "--to", "latex", "-o", "x", "--soft-reset"],
         "--soft-reset must be left out: latex does not take it; got 'given'"),
        (["RUN", "--to", "tensorboard", "-o", "x", "--input-shape", "3,8,8"],
         "--input-shape must be left out: tensorboard does not take it; got '3,8,8'"),
        (["RUN", "--to", "nir", "-o", "x", "--input-shape", "3,x"],
         "--input-shape must be whole numbers above 0, e.g. 3,32,32; got '3,x'"),
        (["RUN", "--to", "latex", "-o", "full"],
         ("the output folder must be new; got 'full'; add --force to replace it, or choose another "
          "with -o")),
        (["RUN", "--to", "latex", "-o", "full", "--force"],
         ("the output folder must be an older export or an empty folder; got 'full'; --force "
          "replaces nothing else; choose another with -o")),
        (["RUN", "-o", "x"], "Missing option '--to'; see `snnlens export --help`"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(
    argv: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = str(saved("rates"))
    monkeypatch.chdir(tmp_path)
    Path("full").mkdir()
    Path("full/mine.txt").write_text("mine", encoding="utf-8")
    assert main(["export", *(run if a == "RUN" else a for a in argv)]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"snnlens: {said}\n")
    assert {p.name for p in Path().iterdir()} == {"full"}
    assert Path("full/mine.txt").read_text(encoding="utf-8") == "mine"


def test_the_command_prints_the_folder_and_names_the_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "made"
    assert main(["export", str(saved("rates")), "--to", "tensorboard", "-o", str(target)]) == 0
    out, err = capsys.readouterr()
    assert out == f"{target}\n"
    files = {p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file()}
    assert {line.split()[-1] for line in err.splitlines()} == files - {"export.json"}


def test_help_lists_it_among_the_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    runs = capsys.readouterr().out.partition("Runs")[2].partition("About")[0]
    assert " export " in runs


# --- the folder --------------------------------------------------------------------------------


def test_a_folder_says_what_it_holds(tmp_path: Path) -> None:
    _folder.write(tmp_path / "new" / "made", FILES, {"target": "x"})
    said = json.loads((tmp_path / "new" / "made" / "export.json").read_text(encoding="utf-8"))
    assert (said["schema"], said["target"]) == (1, "x")
    for name, data in FILES.items():
        assert (tmp_path / "new" / "made" / name).read_bytes() == data
        assert said["files"][name] == {"bytes": len(data), "sha256": atomic.sha256(data)}
    assert {p.name for p in (tmp_path / "new").iterdir()} == {"made"}


def test_force_replaces_an_export_and_an_empty_folder(tmp_path: Path) -> None:
    for made in (tmp_path / "old", tmp_path / "empty"):
        made.mkdir()
    _folder.check(tmp_path / "empty", force=True)
    _folder.write(tmp_path / "empty", FILES, {"target": "x"})
    _folder.check(tmp_path / "empty", force=True)
    _folder.write(tmp_path / "empty", {"c": b"3"}, {"target": "x"})
    assert {p.name for p in (tmp_path / "empty").iterdir()} == {"c", "export.json"}


def test_a_link_is_not_replaced(tmp_path: Path) -> None:
    _folder.write(tmp_path / "made", FILES, {"target": "x"})
    (tmp_path / "link").symlink_to(tmp_path / "made")
    with pytest.raises(InputError, match="an older export or an empty folder"):
        _folder.check(tmp_path / "link", force=True)


@pytest.mark.parametrize("fails_at", ["first", "swap"])
def test_a_failure_leaves_the_old_folder(
    fails_at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _folder.write(tmp_path / "made", FILES, {"target": "x"})
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "no room")

    if fails_at == "first":
        monkeypatch.setattr(atomic, "write_file", full)
    else:
        real = Path.rename
        monkeypatch.setattr(
            Path, "rename", lambda a, b: full() if a.name.endswith(".new") else real(a, b)
        )
    with pytest.raises(InputError, match="the disk of the output folder must be with room"):
        _folder.write(tmp_path / "made", {"d": b"4"}, {"target": "x"})
    monkeypatch.undo()
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_no_folder_inside_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="the output folder must be inside a folder"):
        _folder.check(tmp_path / "file" / "made", force=False)


# --- without torch -----------------------------------------------------------------------------

NO_TORCH = """
import sys
sys.modules["torch"] = sys.modules["captum"] = None
from snnlens.cli import main
*runs, made = sys.argv[1:]
for run in runs:
    for target in ("latex", "tensorboard"):
        name = made + "/" + run.rpartition("/")[2] + "-" + target
        assert main(["export", run, "--to", target, "-o", name]) == 0
"""


def test_a_run_is_exported_without_torch_and_gives_the_same_bytes_twice(tmp_path: Path) -> None:
    """Two processes, whose sets and dictionaries hash differently."""
    runs = [str(saved("rates")), str(save(answered("rates").record, tmp_path / "record"))]
    one, other = (tmp_path / name for name in ("one", "other"))
    for seed, made in enumerate((one, other)):
        subprocess.run(
            [sys.executable, "-W", "error", "-c", NO_TORCH, *runs, str(made)],
            check=True, capture_output=True, env=os.environ | {"PYTHONHASHSEED": str(seed)},
        )  # fmt: skip
    files = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(other) for p in other.rglob("*") if p.is_file())
    for file in files:
        assert (one / file).read_bytes() == (other / file).read_bytes(), file
    assert (one / "rates-latex" / "figure.pdf").is_file()
    assert not (one / "record-latex" / "figure.pdf").exists()
    assert (one / "record-latex" / "record.tex").is_file()
