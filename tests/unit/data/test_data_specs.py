"""`--data`: its spelling, and what is refused before anything heavy is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import snnlens
from snnlens.data import readers, specs
from snnlens.errors import InputError

CIFAR10 = "give a folder of the binary version (data_batch_1.bin ...), one .bin, or an .npz"
FOLDER = "a folder of photographs, or of one subfolder of photographs per class"


def refusal(spec: str) -> str:
    with pytest.raises(InputError) as caught:
        specs.check(spec, 8)
    return str(caught.value)


def test_kinds_are_the_files_of_the_folder() -> None:
    files = Path(readers.__path__[0]).glob("*.py")
    assert specs.kinds() == sorted(file.stem for file in files if not file.name.startswith("_"))


@pytest.mark.parametrize("kind", specs.kinds())
def test_each_reader_has_the_parts_of_a_reader(kind: str) -> None:
    reader = specs.reader(kind)
    assert isinstance(reader.PATH, str)
    assert callable(reader.check)
    assert callable(reader.read)
    assert (reader.__doc__ or "").strip()
    assert callable(getattr(reader, "parts", None)) == getattr(reader, "PARTS", False)


def test_parse_takes_all_after_the_first_colon_as_the_path(tmp_path: Path) -> None:
    folder = tmp_path / "a:b"
    folder.mkdir()
    assert specs.parse(f"imagefolder:{folder}") == ("imagefolder", folder)


def test_parse_expands_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "photos").mkdir()
    assert specs.parse("imagefolder:~/photos") == ("imagefolder", tmp_path / "photos")


@pytest.mark.parametrize(
    ("spec", "kind"),
    [("svhn", "svhn"), ("", ""), ("Digits", "Digits"), ("svhn:/x", "svhn"), ("_npz", "_npz")],
)
def test_unknown_kind(spec: str, kind: str) -> None:
    assert refusal(spec) == (
        "data must be cifar10:PATH, digits, imagefolder:PATH, mnist:PATH or random; "
        f"got {kind!r}; give --data digits"
    )


@pytest.mark.parametrize("spec", ["cifar10", "cifar10:"])
def test_no_path(spec: str) -> None:
    assert refusal(spec) == f"data must be cifar10:PATH; got {spec!r}; {CIFAR10}"


@pytest.mark.parametrize("spec", ["digits:", "digits:/tmp"])
def test_a_path_too_many(spec: str) -> None:
    assert refusal(spec) == f"data must be digits; got {spec!r}; digits takes no path"


@pytest.mark.parametrize("path", ["/no/such/place", "~no-such-user/x", "a\0b", "x" * 300])
def test_missing_path(path: str) -> None:
    assert refusal(f"cifar10:{path}") == (
        f"cifar10 path must be a file or folder that exists; got {path!r}; {CIFAR10}"
    )
    assert refusal(f"imagefolder:{path}") == (
        f"imagefolder path must be a file or folder that exists; got {path!r}; give {FOLDER}"
    )


def test_a_folder_that_can_not_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(_folder: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", locked)
    assert refusal(f"imagefolder:{tmp_path}") == (
        f"folder must be one that can be listed; got '{tmp_path}: Permission denied'"
    )


def test_check_needs_neither_torch_nor_scikit_learn(tmp_path: Path) -> None:
    code = f"""
import sys
sys.modules["torch"] = sys.modules["sklearn"] = None
from snnlens.data import specs
from snnlens.errors import InputError
specs.check("digits", 64)
specs.check("random", 64)
for spec in ("imagefolder:{tmp_path}", "cifar10:{tmp_path}"):
    try:
        specs.check(spec, 64)
    except InputError as error:
        print(error)
"""
    root = Path(snnlens.__path__[0]).parent
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert [line.split(" must be ")[0] for line in done.stdout.splitlines()] == [
        "imagefolder",
        "cifar10 folder",
    ]
