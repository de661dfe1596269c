"""The notebooks: saved without outputs, run as in Jupyter, and what their text says comes out."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
import typer

import snnlens
from snnlens import cli
from tests.unit.notebooks_said import SAID

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "notebooks"
REFERENCE = ROOT / "reports" / "reference"
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
LONGEST = 900  # characters of a text cell that is no table
STRICT = """import warnings
warnings.simplefilter("error")
warnings.filterwarnings("ignore", category=PendingDeprecationWarning, module="ipykernel")
"""
RUN = """import sys
import nbformat
from nbclient import NotebookClient
asked, made, folder = sys.argv[1:]
whole = nbformat.read(asked, as_version=4)
where = {"metadata": {"path": folder}}
NotebookClient(whole, kernel_name="python3", timeout=600, resources=where).execute()
nbformat.write(whole, made)
"""
each = pytest.mark.parametrize("name", NOTEBOOKS)


# --- as they are saved ------------------------------------------------------------------------


@cache
def saved(name: str) -> Any:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def cells(name: str, kind: str) -> list[Any]:
    """Of a notebook, in order: code or markdown."""
    return [cell for cell in saved(name).cells if cell.cell_type == kind]


def code(cell: Any) -> str:
    """What Python sees of a cell: without magics."""
    return "\n".join(line for line in cell.source.split("\n") if not line.startswith("%"))


def text(name: str) -> str:
    """All that a notebook says, on one line: where a line ends means nothing."""
    return " ".join(" ".join(cell.source for cell in cells(name, "markdown")).split())


def test_every_notebook_is_tested() -> None:
    assert sorted(SAID) == NOTEBOOKS
    assert [name[:2] for name in NOTEBOOKS] == ["01", "02", "03", "04", "05", "06"]


@each
def test_it_is_saved_without_outputs(name: str) -> None:
    nbformat.validate(saved(name))
    assert all(c.outputs == [] and c.execution_count is None for c in cells(name, "code"))
    assert all(c.metadata == {} for c in saved(name).cells)  # no state of some editor
    ids = [c.id for c in saved(name).cells]
    assert len(set(ids)) == len(ids)


@each
def test_its_text_is_short(name: str) -> None:
    """A cell of text says one thing; a story has more text cells than chapters of code."""
    long = [
        c.id for c in cells(name, "markdown") if "|" not in c.source and len(c.source) > LONGEST
    ]
    assert long == []
    assert cells(name, "markdown")[0].source.startswith("# ")


# --- what they name ---------------------------------------------------------------------------


def public(thing: Any) -> list[str]:
    """The names of a module or an object that a user may write."""
    return getattr(thing, "__all__", None) or [n for n in dir(thing) if not n.startswith("_")]


@each
def test_it_names_public_names_only(name: str) -> None:
    whole = "\n".join(c.source for c in saved(name).cells)
    for dotted in sorted(set(re.findall(r"\bsnnlens((?:\.[A-Za-z_]\w*)+)", whole))):
        thing: Any = snnlens
        for part in dotted.split(".")[1:]:
            assert part in public(thing), f"snnlens{dotted} is not public"
            thing = getattr(thing, part)


@each
def test_it_imports_the_package_alone(name: str) -> None:
    """`import snnlens`: no module inside it has to be known."""
    for cell in cells(name, "code"):
        for node in ast.walk(ast.parse(code(cell))):
            if isinstance(node, ast.Import):
                assert all(not a.name.startswith("snnlens.") for a in node.names), cell.id
            if isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith("snnlens"), cell.id


COMMAND = re.compile(r"(?m)(?:^    |`)snnlens (\w+)([^`\n#]*)")


@cache
def options(command: str) -> set[str]:
    """Of a command of snnlens; one that there is not is an InputError."""
    group: Any = typer.main.get_command(cli.app)
    found = group.resolve_command(typer.Context(group), [command])[1]
    return {option for parameter in found.params for option in parameter.opts}


@each
def test_its_commands_exist(name: str) -> None:
    """Each command in its text, and each option of it."""
    said = "\n".join(c.source for c in cells(name, "markdown"))
    assert COMMAND.search(said)
    for command, rest in COMMAND.findall(said):
        used = set(re.findall(r"(?<= )--?[a-z][\w-]*", rest))
        assert used <= options(command), f"snnlens {command}{rest}"


@each
def test_its_links_lead_somewhere(name: str) -> None:
    said = "\n".join(c.source for c in cells(name, "markdown"))
    links = re.findall(r"\]\(([^)]+)\)", said)
    paths = [ROOT / p.rstrip("/") for p in re.findall(r"`(reports/[\w/-]+|examples)`", said)]
    assert [link for link in links if not (FOLDER / link).is_file()] == []
    assert [path for path in paths if not path.is_dir()] == []


def test_numbers_of_the_reference_results_are_theirs() -> None:
    """What a text quotes from reports/reference is in the tables there."""
    rows = pd.read_csv(REFERENCE / "degradation-digits" / "statistic.csv").set_index("kind")
    said = text("04_degradation")
    assert f"| +{rows.loc['spiking', 'slope']:.2f} ".replace("+0", "+") in said
    assert f"| +{rows.loc['sew-add', 'slope']:.3f} ".replace("+0", "+") in said
    for kind in ("spiking", "sew-add"):
        assert f"{rows.loc[kind, 'at_chance']} of {rows.loc[kind, 'runs']} |" in said
    table = pd.read_csv(REFERENCE / "conversion-resnet20" / "summary.csv")
    top1 = table.pivot_table(index="time_steps", columns="neuron", values="top1_mean")
    gained = (top1["calibrated"] - top1["parallel"]).round(1)
    assert (gained[4], gained[32]) == (8.4, 0.0)
    assert "8.4 points at T = 4 and none at T = 32" in text("05_conversion_error")


# --- as they run ------------------------------------------------------------------------------


@cache
def executed(name: str) -> tuple[list[Any], list[str]]:
    """The code cells with their outputs, and what is left in the folder that they ran in.

    As in Jupyter: a kernel in an empty folder, without the settings of the user who tests. A
    warning is an error.
    """
    with tempfile.TemporaryDirectory(prefix="notebook-") as home:
        folder, own = Path(home) / "empty", Path(home) / "own"
        folder.mkdir()
        own.mkdir()
        whole = saved(name).copy()
        whole.cells = [nbformat.v4.new_code_cell(STRICT), *whole.cells]
        nbformat.write(whole, own / "asked.ipynb")
        _run(own, folder)
        made = nbformat.read(own / "made.ipynb", as_version=4).cells[1:]
        left = sorted(path.name for path in folder.iterdir())
    return [cell for cell in made if cell.cell_type == "code"], left


def _run(own: Path, folder: Path) -> None:
    """In a process of its own: the client leaves sockets to the garbage collector."""
    places = ("CONFIG", "DATA", "RUNTIME")
    settings = {f"JUPYTER_{place}_DIR": str(own) for place in places} | {"IPYTHONDIR": str(own)}
    kept = {key: value for key, value in os.environ.items() if key != "MPLBACKEND"}
    done = subprocess.run(
        [sys.executable, "-c", RUN, "asked.ipynb", "made.ipynb", str(folder)], cwd=own,
        env=kept | settings, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]


def put_out(cell: Any) -> str:
    """The text that a cell printed or returned."""
    parts = [o.get("text") or o.get("data", {}).get("text/plain", "") for o in cell.outputs]
    return "".join(part.rstrip("\n") + "\n" for part in parts)


def draws(cell: Any) -> bool:
    """Whether the last line of a cell is a figure."""
    last = ast.parse(code(cell)).body[-1]
    if not isinstance(last, ast.Expr):
        return False
    value = last.value
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Attribute) and value.func.attr == "plot"
    return isinstance(value, ast.Name) and value.id == "figure"


@each
@pytest.mark.timeout(600)  # half a minute each; the rest is for a machine that does other work
def test_it_runs_from_an_empty_folder_and_leaves_it_empty(name: str) -> None:
    made, left = executed(name)
    assert left == []
    faults = [o for c in made for o in c.outputs if o.output_type == "error"]
    warned = [o.text for c in made for o in c.outputs if o.get("name") == "stderr"]
    assert faults == []
    assert warned == []


@each
@pytest.mark.timeout(600)
def test_what_its_text_says_comes_out(name: str) -> None:
    out = "\n".join(put_out(cell) for cell in executed(name)[0])
    said = text(name)
    assert [a for a, _ in SAID[name] if a not in said] == []
    assert [b for _, b in SAID[name] if not re.search(b, out)] == []


@each
@pytest.mark.timeout(600)
def test_every_figure_is_an_image_once(name: str) -> None:
    made = executed(name)[0]
    images = {c.id: sum("image/png" in o.get("data", {}) for o in c.outputs) for c in made}
    assert any(map(draws, made))
    assert images == {c.id: int(draws(c)) for c in made}


@pytest.mark.timeout(600)
def test_a_result_shows_itself() -> None:
    """As the last line of a cell: with its findings, and without a script."""
    (cell,) = [c for c in executed("01_quickstart")[0] if c.id == "mend"]
    (shown,) = [o["data"]["text/html"] for o in cell.outputs if "data" in o]
    assert "What is wrong with this network, and where?" in shown
    assert "SNL207" in shown
    assert "<script" not in shown
