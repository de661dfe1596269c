"""Which formats there are, and which one a file has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import snnlens
from snnlens.data import formats, recordings
from snnlens.data.formats import aedat2, aedat3, nbin, npz
from snnlens.errors import InputError


def test_formats_are_the_files_of_the_folder() -> None:
    files = Path(formats.__path__[0]).glob("*.py")
    assert recordings.names() == sorted(f.stem for f in files if not f.name.startswith("_"))


@pytest.mark.parametrize("name", recordings.names())
def test_each_format_has_the_parts_of_a_format(name: str) -> None:
    module = recordings._module(name)
    assert module.SUFFIXES
    assert all(s.startswith(".") and s == s.lower() for s in module.SUFFIXES)
    assert isinstance(module.MAGIC, bytes)
    assert module.SENSOR is None or len(module.SENSOR) == 2
    assert callable(module.decode)
    assert (module.__doc__ or "").strip()


@pytest.mark.parametrize(
    ("name", "head", "module"),
    [
        ("a.bin", b"", nbin),
        ("a.BIN", b"", nbin),
        ("a.npz", b"PK", npz),
        ("a.aedat", b"#!AER-DAT2.0\r\n", aedat2),
        ("a.aedat", b"#!AER-DAT3.1\r\n", aedat3),
    ],
)
def test_by_suffix_and_first_bytes(tmp_path: Path, name: str, head: bytes, module: object) -> None:
    (tmp_path / name).write_bytes(head)
    assert recordings.format_of(tmp_path / name) is module


def test_decode_asks_the_format(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=[5], y=[6], t=[7], p=[1])
    assert recordings.decode(tmp_path / "a.npz").y.tolist() == [6]


@pytest.mark.parametrize("name", ["a.mp4", "aedat", "a.bin.gz"])
def test_no_such_suffix(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError) as error:
        recordings.decode(tmp_path / name)
    assert str(error.value) == (
        f"recording must be a file that ends with .aedat, .bin or .npz; got '{tmp_path / name}'"
    )


@pytest.mark.parametrize("head", ["#!AER-DAT4.0", "#!AER-DAT1.0", "x"])
def test_no_such_beginning(tmp_path: Path, head: str) -> None:
    path = tmp_path / "a.aedat"
    path.write_text(head + "\r\n" if len(head) > 1 else head)
    with pytest.raises(InputError) as error:
        recordings.decode(path)
    assert str(error.value) == (
        f"the beginning of {path} must be #!AER-DAT2.0 or #!AER-DAT3.1; got '{head}'"
    )


def test_no_torch(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=[5], y=[6], t=[7], p=[1])
    code = f"""
import sys
from pathlib import Path
sys.modules["torch"] = None
from snnlens.data import recordings
print(len(recordings.decode(Path("{tmp_path}/a.npz"))), *recordings.names())
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(snnlens.__path__[0]).parent,
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout.split() == ["1", *recordings.names()]
