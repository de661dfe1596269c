"""The documentation: its links, the pages that are made from the package, the docstrings."""

from __future__ import annotations

import doctest
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from snnlens import registry
from tests.unit.pages import (
    CODES,
    DOCS,
    MADE,
    PARTS,
    PUBLIC,
    ROOT,
    WRITTEN,
    broken,
    links,
    plain,
    said,
    snnlens_docs,
)  # fmt: skip

figures, findings, repository, words = (
    PARTS[name] for name in ("figures", "findings", "repository", "words")
)
# May only shrink: public names whose docstring has no example yet.
NO_EXAMPLE: set[str] = set()  # may only shrink


# --- links -------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", WRITTEN)
def test_the_links_of_a_page_lead_somewhere(page: str) -> None:
    folder = str(Path(page).parent)
    bent = repository.moved(WRITTEN[page], f"docs/{folder}", f"docs/{folder}")
    assert broken(bent, folder) == []
    assert [t for t in links(WRITTEN[page]) if "://" not in t and t.startswith("/")] == []


def test_the_links_of_the_made_pages_lead_somewhere() -> None:
    pages = {page: text for page, text in MADE.items() if page.endswith(".md")}
    drawn = re.compile(r"^(\w+-\d|.*/figures/\w+-\d)\.svg$")  # drawn when the site is built
    wrong = {p: [t for t in broken(text, str(Path(p).parent)) if not drawn.match(t)]
             for p, text in pages.items()}  # fmt: skip
    assert {p: found for p, found in wrong.items() if found} == {}


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "examples/README.md"])
def test_the_links_of_the_repositorys_own_texts_lead_to_files(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    paths = [t.partition("#")[0] for t in links(text) if not re.match("https?:|#", t)]
    assert [p for p in paths if not (ROOT / name).parent.joinpath(p).exists()] == []


def test_links_see_what_is_wrong() -> None:
    assert broken("[a](no.md) [b](contract.md#no) [c](contract.md#a-run-folder)", ".") == [
        "no.md", "contract.md#no",
    ]  # fmt: skip


def test_every_part_of_another_file_is_there() -> None:
    """The directive `section`: a heading that is renamed there has to be renamed here."""
    asked = [
        line
        for text in WRITTEN.values()
        for line in re.findall(r"^```\{section\} (.+)$", text, re.MULTILINE)
    ]
    assert len(asked) > 10
    for name, heading in (line.split(" ", 1) for line in asked):
        assert repository.section((ROOT / name).read_text(encoding="utf-8"), heading), heading


def test_every_recipe_of_contributing_is_shown() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    shown = "\n".join(WRITTEN.values())
    for heading in re.findall(r"^## (Add .+)$", text, re.MULTILINE):
        assert f"{{section}} CONTRIBUTING.md {heading}\n" in shown


# --- made pages --------------------------------------------------------------------------------


def test_each_code_has_its_page_and_no_page_is_left_over() -> None:
    pages = {p for p in MADE if p.startswith("findings/")}
    assert pages == {f"findings/{code}.md" for code in CODES} | {"findings/index.md"}
    assert len(CODES) == len(set(CODES)) == len(registry.listing("checks"))
    assert [c for c in CODES if f"[{c}]({c}.md)" not in MADE["findings/index.md"]] == []


@pytest.mark.parametrize("check", findings.checks(), ids=lambda c: c.code)
def test_a_finding_is_explained_in_the_words_of_its_check(check: Any) -> None:
    shown = plain(MADE[f"findings/{check.code}.md"])
    doc = [said(p) for p in inspect.cleandoc(check.__doc__).split("\n\n")]
    facts = (check.title, check.why, check.formula, check.next, check.reference)
    for text in (*map(said, facts), *doc, *map(said, check.thresholds.values())):
        assert text in shown
    assert [name for name in check.thresholds if name not in shown] == []


@pytest.mark.parametrize("name", registry.listing("analysis"))
def test_each_figure_is_explained(name: str) -> None:
    page = MADE[f"figures/{name}.md"]
    assert list(figures.how_to_read(registry.module("analysis", name))) == list(figures.PARTS)
    pictures = re.findall(r"^:::\{figure\} (.+)$", page, re.MULTILINE)
    made = {f"{name}-{i}.svg" for i in range(len(PARTS["drawings"].DRAWINGS.get(name, ())))}
    assert pictures
    assert [
        p for p in pictures if p not in made and not (DOCS / "figures" / p).resolve().exists()
    ] == []
    assert f"[{name.capitalize()}]({name}.md)" in MADE["figures/index.md"]


def test_every_reference_result_is_shown_with_its_command() -> None:
    folders = {p.parent.name for p in (ROOT / figures.RESULTS).glob("*/figure.svg")}
    shown = [f for name in figures.names() for f in figures.results(ROOT, name)]
    assert sorted(shown) == sorted(folders)
    assert set(figures.commands(ROOT)) >= folders


def test_every_command_and_every_plug_in_is_listed() -> None:
    commands, plugins = MADE["reference/commands.md"], MADE["reference/plugins.md"]
    names = [*registry.listing("experiments"), *registry.listing("commands"), "list", "explain"]
    assert [n for n in names if f"\n## {n}\n" not in commands] == []
    assert "`--depth N`" in commands
    assert "\\[default: 152\\]" in commands
    kinds = PARTS["reference"].PLUGINS
    assert [n for k in kinds for n in registry.listing(k) if f"| `{n}` |" not in plugins] == []


def test_the_same_pages_twice() -> None:
    assert snnlens_docs.pages(ROOT) == MADE


def test_no_page_names_this_machine() -> None:
    found = [page for page, text in {**MADE, **WRITTEN}.items() if str(ROOT) in text]
    assert found == []


def test_pages_are_written_once_and_old_ones_go(tmp_path: Path) -> None:
    for name in snnlens_docs.MADE:
        (tmp_path / name).mkdir()
    old, kept = tmp_path / "findings/SNL000.md", tmp_path / "figures/checkup-0.svg"
    old.write_text("old")
    kept.write_text("drawn")
    snnlens_docs.write(tmp_path, {"findings/SNL101.md": "a"})
    stamp = (tmp_path / "findings/SNL101.md").stat().st_mtime_ns
    snnlens_docs.write(tmp_path, {"findings/SNL101.md": "a"})
    assert (tmp_path / "findings/SNL101.md").stat().st_mtime_ns == stamp
    assert kept.exists()
    assert not old.exists()


HOSTILE = [
    "<script>alert(1)</script>", "a|b", "*x* __y__ `z`", "[l](http://x)", "$m$ {role}`x` ~~s~~",
    "x" * 300, "a\nb", "]]>", "%0A::error", "# h", "&amp; &lt;", "\\* \\", "1 < 2 > 0",
    "1. one", "- one", "+ one", "a ` b", "a ``` b", "`a|b`", "=", "2) `c`", "-1 is less",
    "with a --window, or --fail-on x",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_prose_is_shown_as_it_is_written(text: str) -> None:
    shown = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(words.prose(text))
    assert plain(words.prose(text)) == said(text)
    assert "<script" not in shown
    assert "<h1" not in shown
    assert "href" not in shown
    row = words.table(["a", "b"], [[words.prose(text), "end"]])
    assert MarkdownIt("commonmark").enable("table").render(row).count("<td>") == 2


@pytest.mark.parametrize("name", PARTS)
def test_the_examples_of_the_sites_own_code_run(name: str) -> None:
    assert doctest.testmod(PARTS[name]).failed == 0


# --- docstrings --------------------------------------------------------------------------------


def test_every_public_name_is_in_the_reference() -> None:
    text = "\n".join(t for page, t in WRITTEN.items() if page.startswith("reference/"))
    found, module = set(), ""
    for line in text.splitlines():
        if match := re.match(r"\.\. currentmodule:: (.+)", line):
            module = match[1]
        if match := re.match(r"\.\. auto(?:function|class|exception):: (.+)", line):
            found.add(match[1] if "." in match[1] else f"{module}.{match[1]}")
    things = {id(thing) for name, thing in PUBLIC.items() if name in found}
    assert [name for name, thing in PUBLIC.items() if id(thing) not in things] == []


def test_every_public_name_has_a_docstring_with_an_example() -> None:
    docs = {name: inspect.getdoc(thing) or "" for name, thing in PUBLIC.items()}
    assert [name for name, doc in docs.items() if not doc] == []
    assert {name for name, doc in docs.items() if ">>> " not in doc} == NO_EXAMPLE
