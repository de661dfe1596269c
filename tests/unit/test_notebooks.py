"""The notebooks: saved without outputs, and their code runs from the first cell to the last."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
SAID = {  # what a notebook's text says that its code prints
    "gradients": ["eq11-flat", "eq8-exact"],
    "your_model": [
        "SNL202 (error) at lif2", "SNL206 (error) at lif3", "SNL307 (warning) at lif2",
        "SNL307 (warning) at lif1", "SNL101 (note) at the model",
        "holds Every streamed number equals its brute-force count.",
    ],
}  # fmt: skip
each = pytest.mark.parametrize("name", NOTEBOOKS)


def cells(name: str) -> list[dict[str, Any]]:
    """Of a notebook, in order."""
    whole = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = whole["cells"]
    return found


def test_every_notebook_is_tested() -> None:
    assert sorted(SAID) == NOTEBOOKS


@each
def test_it_is_saved_without_outputs(name: str) -> None:
    code = [c for c in cells(name) if c["cell_type"] == "code"]
    assert code
    assert all(c["outputs"] == [] and c["execution_count"] is None for c in code)
    assert len({c["id"] for c in cells(name)}) == len(cells(name))


@each
def test_its_code_runs(name: str, tmp_path: Path) -> None:
    """As a script, so that `__main__` is the notebook as in Jupyter; a warning is an error."""
    code = ["".join(c["source"]) for c in cells(name) if c["cell_type"] == "code"]
    script = tmp_path / f"{name}.py"
    script.write_text("\n\n".join(code), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", script.name], cwd=tmp_path, capture_output=True, text=True,
        check=False, timeout=240, env=os.environ | {"MPLBACKEND": "agg"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [text for text in SAID[name] if text not in done.stdout] == []
    assert list(tmp_path.iterdir()) == [script]  # nothing is left in the user's folder
