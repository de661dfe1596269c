"""Nothing is written outside of the output folder, whatever anything is called, and by no link."""

from __future__ import annotations

import json
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import nn

import snnlens
from snnlens import api, atomic
from snnlens.commands import gate
from snnlens.errors import InputError, SnnlensError
from snnlens.experiments import _export_nir, train
from snnlens.recording import store
from snnlens.recording.record import Record
from snnlens.recording.result import Result
from snnlens.report import build, companions, compare, export
from snnlens.report.export import _folder, latex, tensorboard
from snnlens.training import loop
from tests.trust.hostile_files import is_one_line
from tests.trust.tally import Count
from tests.unit.recording.test_store import draw, make_record, make_result
from tests.unit.runs import FOLDERS as FOLDERS_OF_RUNS

pytestmark = pytest.mark.promise("inside-the-folder")
NAMES = [
    "../../x", "..", ".", "/etc/snnlens-x", "//x", "a/../../../x", "~/x", "a/b", "a\\b", "C:\\x",
    "\0", "a\0b", "two\nlines", "con", "nul.txt", "x" * 300, "é" * 200, "漢" * 120, "-rf", "--help",
    "$(touch x)", "`touch x`", "; touch x", "|", "*", "?", "a b", "", " ", ".hidden", "run.json",
    "sites", "result", "claims.json", "%2e%2e%2fx", "..%2fx", "\u202egnp.x", "a\r", "\x1b[31m",
    "file:///etc/x", "CON", "aux.parquet", "a" * 255,
]  # fmt: skip
named = pytest.mark.parametrize("name", NAMES, ids=lambda n: repr(n)[:24])


@contextmanager
def nothing_beside(root: Path) -> Iterator[Path]:
    """A folder `root/out` to write into: everything else below the root stays as it is."""
    out = root / "in" / "deeper" / "out"
    out.mkdir(parents=True)
    (root / "precious").mkdir()
    (root / "precious" / "thesis.tex").write_text("precious")
    before = everything(root, out)
    yield out
    assert everything(root, out) == before
    for path in out.rglob("*"):
        assert not path.is_symlink()


def everything(root: Path, without: Path) -> dict[str, Any]:
    """Each path below a folder, hidden ones too, with what it is and holds."""
    return {
        str(path): path.readlink() if path.is_symlink() else path.is_file() and path.read_bytes()
        for path in sorted(root.rglob("*")) if without != path and without not in path.parents
    }  # fmt: skip


def tries(work: Callable[..., object], *given: Any, **options: Any) -> bool:
    """Whether it was done; else it was refused in one line."""
    try:
        work(*given, **options)
    except SnnlensError as error:
        assert is_one_line(str(error))  # noqa: PT017 - to be refused is as good
        assert error.exit_code in (2, 5)  # noqa: PT017
        return False
    return True


def renamed(record: Record, names: Sequence[str]) -> Record:
    """A Record with a network of each name, whose sites are called so, too."""

    def called(frame: pd.DataFrame) -> pd.DataFrame:
        return pd.concat(
            [frame.assign(network=n, site=[f"{n}.{s}" for s in frame["site"]]) for n in names],
            ignore_index=True,
        )

    (facts,) = record.networks.values()
    tables = {n: called(t) for n, t in record.tables.items()}
    return replace(
        record, sites=called(record.sites), tables=tables, networks=dict.fromkeys(names, facts)
    )


def answer(names: Sequence[str]) -> Result:
    """A Result of such a Record, and that says so in each of its texts."""
    made, (finding,) = make_result(), make_result().findings
    return replace(
        made, title=" ".join(names), caption=" ".join(names), notes=list(names),
        record=renamed(made.record, names), findings=[replace(finding, site=n) for n in names],
        table=pd.concat([made.table.assign(network=n) for n in names], ignore_index=True),
    )  # fmt: skip


# --- names ---------------------------------------------------------------------------------------


def test_networks_and_sites(tmp_path: Path, tally: Count) -> None:
    """They are text in files whose names they do not make; of an export they make some."""
    with nothing_beside(tmp_path) as out:
        run = store.save_run(answer(NAMES), out / "run", draw)
        assert list(store.load(run).networks) == NAMES
        other = store.save_run(answer(NAMES), out / "other", draw)
        assert tries(build.write, [run], out / "page.html")
        assert tries(companions.write, [run], out / "page.html")
        assert tries(compare.write, [run, other], out / "compare.html")
        assert tries(export.write, run, "tensorboard", out / "events")
        assert len(list((out / "events").iterdir())) == len(NAMES) + 1
    tally("names tried", 5 * len(NAMES))


@named
def test_tables(tmp_path: Path, tally: Count, name: str) -> None:
    """Their files are called as they are, or they are refused."""
    made = make_result()
    extra = replace(made, extra={name: made.table})
    with nothing_beside(tmp_path) as out:
        for result in (extra, replace(made, record=with_table(made.record, name))):
            if tries(store.save_run, result, out / "run", draw, force=True):
                assert tries(store.load_both, out / "run")
        for file, _ in latex._tables(extra, made.record, set()):
            assert re.fullmatch(r"[A-Za-z0-9-]{1,64}\.tex", file)
    tally("names tried", 3)


def with_table(record: Record, name: str) -> Record:
    """A Record whose probe is called so."""
    (old, *_) = record.tables
    return replace(record, tables={name: record.tables[old]}, schemas={name: record.schemas[old]})


@named
def test_names_that_become_folders(tmp_path: Path, tally: Count, name: str) -> None:
    """Of trainings, event files, graphs: one part of a path, which a file system takes."""
    parts = [
        train.Params(model=f"net.py:{name}", points=str(tmp_path)).folder.relative_to(tmp_path),
        Path(tensorboard._folders([name])[name]), Path(f"{_export_nir._name(name)}.nir"),
    ]  # fmt: skip
    for part in parts:
        (tmp_path / part).mkdir()
        assert part.name == str(part)
        assert (tmp_path / part).parent.resolve() == tmp_path.resolve()
        tally("names tried")
    assert len(list(tmp_path.iterdir())) == len(parts)


@named
def test_names_of_presets(tmp_path: Path, tally: Count, name: str) -> None:
    path = tmp_path / "preset.toml"
    path.write_text(f'[[run]]\nquestion = "rates"\nname = {json.dumps(name)}\n', encoding="utf-8")
    with nothing_beside(tmp_path) as out:
        for entry in _entries(path):
            if tries(store.save, make_record(), out / entry["name"]):
                assert len(list(out.iterdir())) == 1
    tally("names tried")


def _entries(path: Path) -> list[dict[str, Any]]:
    try:
        return api._preset(path)
    except InputError as error:
        assert is_one_line(str(error))  # noqa: PT017 - either is right, a line of two is not
        return []


@cache
def run() -> Path:
    """A Record alone: its page is made in no time."""
    return store.save(make_record(), Path(tempfile.mkdtemp(dir=FOLDERS_OF_RUNS.name)) / "run")


LAST = [n for n in NAMES if n not in {"", ".", ".."} and not set(n) & {"/", "\0"}][::2]
WRITERS: dict[str, Callable[[Path], object]] = {
    "run": lambda path: store.save(make_record(), path),
    "export": lambda path: _folder.write(path, {"a.txt": b"a"}, {"target": "latex"}),
    "page": lambda path: build.write([run()], path),
    "page and companions": lambda path: companions.write_with_page([run()], path),
    "comparison": lambda path: compare.write([run(), run()], path),
}


@pytest.mark.parametrize("what", WRITERS)
@pytest.mark.parametrize("name", LAST, ids=lambda n: repr(n)[:24])
def test_what_the_output_itself_is_called(
    tmp_path: Path, tally: Count, name: str, what: str
) -> None:
    """There, whole, or refused in one line; nothing else is left either way."""
    if what.startswith("page") or what == "comparison":
        name = f"{name}.html"
    with nothing_beside(tmp_path) as out:
        done = tries(WRITERS[what], out / name)
        assert {p.name for p in out.iterdir()} <= {name, *_beside(name)}
        assert (out / name).exists() == done if len(os.fsencode(name)) < 255 else not done
    tally("names tried")


def _beside(name: str) -> set[str]:
    return {f"{Path(name).stem}.json", f"{Path(name).stem}.md"}


LAYERS = [n for n in NAMES if n and "." not in n][::6]  # a module's name has no dot


@pytest.mark.filterwarnings("ignore::UserWarning")  # of signs without a glyph, of no room
def test_a_model_whose_layers_are_called_so(tmp_path: Path, tally: Count) -> None:
    """From the recorder to the last export."""
    model = nn.Sequential()
    for name in LAYERS:
        model.add_module(f"linear {name}", nn.Linear(4, 4))
        model.add_module(name, snnlens.IF(threshold=0.2))
    result = snnlens.checkup(model, torch.rand(4, 2, 4))
    assert set(LAYERS) <= set(result.record.sites["site"])
    with nothing_beside(tmp_path) as out:
        run = api.save(result, out / "run")
        companions.write_with_page([run], out / "page.html")
        compare.write([run, run], out / "compare.html")
        for target in ("latex", "tensorboard"):
            export.write(run, target, out / target)
        assert sorted(p.name for p in out.iterdir()) == [
            "compare.html", "latex", "page.html", "page.json", "page.md", "run", "tensorboard",
        ]  # fmt: skip
    tally("names tried", len(LAYERS))


def test_a_layer_may_be_called_as_a_method_of_ours_is(tally: Count) -> None:
    model = nn.Sequential()
    for name in ("sites", "facts", "blocks"):
        model.add_module(name, snnlens.IF(threshold=0.2))
        tally("names tried")
    assert len(snnlens.checkup(model, torch.rand(4, 2, 4)).table) == 3
    with pytest.raises(InputError, match="this model lists no residual blocks"):
        loop.saving(model, on=True)


# --- links ---------------------------------------------------------------------------------------

FOLDERS: dict[str, Callable[[Path], object]] = {
    "run": lambda path: store.save(make_record(), path, force=True),
    "export": lambda path: export.write(run(), "tensorboard", path, force=True),
}
FILES: dict[str, Callable[[Path], object]] = {
    "page": lambda path: build.write([run()], path, force=True),
    "page and companions": lambda path: companions.write_with_page([run()], path, force=True),
    "comparison": lambda path: compare.write([run(), run()], path, force=True),
    "verdict": lambda path: gate._write(path, "green", force=True),
}
TARGETS = ["precious", "empty", "run", "gone", "link"]  # of a link called `link`


def targets(root: Path) -> None:
    (root / "empty").mkdir()
    store.save(make_record(), root / "run")


@pytest.mark.parametrize("what", FOLDERS)
@pytest.mark.parametrize("to", TARGETS)
def test_an_output_folder_that_is_a_link_is_refused(
    tmp_path: Path, tally: Count, to: str, what: str
) -> None:
    targets(tmp_path)
    with nothing_beside(tmp_path) as out:
        (out / "link").symlink_to(out / to if to == "link" else tmp_path / to)
        with pytest.raises(InputError, match=r"must be an older (run|export) or an empty folder"):
            FOLDERS[what](out / "link")
        (out / "link").unlink()
    tally("links refused")


@pytest.mark.parametrize("what", FILES)
@pytest.mark.parametrize("to", ["precious/thesis.tex", "gone", "link.html"])
def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(
    tmp_path: Path, tally: Count, to: str, what: str
) -> None:
    with nothing_beside(tmp_path) as out:
        for name in ("link.html", "link.json", "link.md"):
            (out / name).symlink_to(out / name if to == "link.html" else tmp_path / to)
        FILES[what](out / "link.html")
        assert (out / "link.html").stat().st_size > 0
        for name in ("link.html", "link.json", "link.md"):
            (out / name).unlink()
    tally("links not followed")


@pytest.mark.parametrize("what", [*FOLDERS, *FILES])
def test_a_folder_above_may_be_a_link(tmp_path: Path, tally: Count, what: str) -> None:
    """As people keep `runs` on another disk: what is written lies where the link leads."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "runs").symlink_to(tmp_path / "disk")
    (FOLDERS | FILES)[what](tmp_path / "runs" / "mine.html")
    assert (tmp_path / "disk" / "mine.html").exists()
    assert (tmp_path / "runs").is_symlink()
    tally("links followed, as asked")


@pytest.mark.parametrize("what", [*FOLDERS, *FILES])
@pytest.mark.parametrize("kind", ["new", "old", "lock"])
@pytest.mark.parametrize("to", ["precious", "precious/thesis.tex", "gone"])
def test_a_link_that_waits_under_a_hidden_name_is_not_followed(
    tmp_path: Path, tally: Count, monkeypatch: pytest.MonkeyPatch, kind: str, what: str, to: str
) -> None:
    """Even if somebody knows the name, which is random except for that of the lock."""
    monkeypatch.setattr(secrets, "token_hex", lambda n: "0" * 2 * n)
    with nothing_beside(tmp_path) as out:
        for name in ("mine.html", "mine.json", "mine.md"):
            atomic.hidden(out / name, kind).symlink_to(tmp_path / to)
        tries((FOLDERS | FILES)[what], out / "mine.html")
        for path in [p for p in out.iterdir() if p.is_symlink()]:
            assert path.name.startswith(".")
            path.unlink()
    tally("links not followed")
