"""Texts and files of the repository that the site shows elsewhere: links are bent to fit."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path, PurePosixPath

LINK = re.compile(r"(\]\()([^)\s]+)(\))")
ELSEWHERE = re.compile(r"[a-z]+:|#|/")
PLACES = {  # of the repository: where the site shows it
    "README.md": "docs/index.md",
    "CONTRIBUTING.md": "docs/howto/contribute.md",
    "CHANGELOG.md": "docs/project/changelog.md",
    "examples": "docs/project/examples.md",
    "examples/README.md": "docs/project/examples.md",
    "notebooks": "docs/notebooks/index.md",
    "reports/reference": "docs/project/reference-results.md",
    "reports/reference/README.md": "docs/project/reference-results.md",
    "reports/benchmarks": "docs/benchmarks/index.md",
    "reports/mutants.md": "docs/project/mutation-testing.md",
}


def place(path: str) -> str:
    """Where the site shows a file of the repository; the file itself where it does not.

    >>> place("reports/benchmarks/logs.md"), place("LICENSE")
    ('docs/benchmarks/logs.md', 'LICENSE')
    """
    if match := re.fullmatch(r"reports/(benchmarks/.+\.md)", path):
        return f"docs/{match[1]}"
    if re.fullmatch(r"notebooks/.+\.ipynb", path):
        return f"docs/{path}"
    return PLACES.get(path, path)


def moved(text: str, home: str, at: str) -> str:
    """Markdown of one folder of the repository, as it has to read in another.

    Args:
        text: the Markdown.
        home: the folder that its links are relative to.
        at: the folder in which it is shown.

    >>> moved("[all](reports/benchmarks) [more](docs/contract.md#json)", ".", "docs/howto")
    '[all](../benchmarks/index.md) [more](../contract.md#json)'
    """

    def bent(match: re.Match[str]) -> str:
        target, hash_, anchor = match[2].partition("#")
        if ELSEWHERE.match(match[2]):
            return match[0]
        whole = os.path.normpath(PurePosixPath(home, target))
        return match[1] + os.path.relpath(place(whole), at) + hash_ + anchor + match[3]

    return LINK.sub(bent, text)


def section(text: str, heading: str) -> str:
    r"""What stands below a heading of a Markdown text, up to the next one; KeyError without it.

    >>> section("# A\n\none\n\n## B\n\ntwo\n\n## C\n\nthree", "B")
    'two'
    """
    code, parts = False, {"": [""]}
    for line in text.splitlines():
        code ^= line.startswith("```")
        head = None if code else re.fullmatch(r"#+ (.*)", line)
        if head:
            parts[head[1]] = []
        else:
            list(parts.values())[-1].append(line)
    return "\n".join(parts[heading]).strip("\n")


def pages(root: Path) -> dict[str, str]:
    """Path below docs/ and text of the pages that are files of the repository."""
    made = {}
    for source in sources(root):
        at = place(source).removeprefix("docs/")
        text = (root / source).read_text(encoding="utf-8")
        made[at] = _notebook(text, at) if at.endswith(".ipynb") else _page(text, source, at, root)
    made["notebooks/index.md"] = _index("Notebooks", NOTEBOOKS, made, "notebooks/")
    made["benchmarks/index.md"] = _index("Benchmarks", BENCHMARKS, made, "benchmarks/")
    return made


def sources(root: Path) -> list[str]:
    """Files of the repository that are pages of the site."""
    globs = ("notebooks/*.ipynb", "reports/benchmarks/*.md")
    found = [p.relative_to(root).as_posix() for glob in globs for p in root.glob(glob)]
    others = (
        "CHANGELOG.md",
        "examples/README.md",
        "reports/mutants.md",
        "reports/reference/README.md",
    )
    return [*sorted(found), *others]


NOTEBOOKS = """
Each runs from the first cell to the last in the tests. `make lab` opens them in JupyterLab. They
are saved, and shown here, without what they print;
`make docs ARGS="-D nb_execution_mode=cache"` runs them first.
""".strip()
BENCHMARKS = """
`make bench` measures these again. What they mean for a user: [performance](../performance.md).
""".strip()


def _page(text: str, source: str, at: str, root: Path) -> str:
    """A file as a page; a bare table gets the figure that lies beside it, and its name."""
    path = PurePosixPath(source)
    if not text.startswith("# "):
        drawn = (root / path.with_suffix(".svg")).is_file()
        figure = f"![{path.stem}, drawn]({path.stem}.svg)\n\n" if drawn else ""
        text = f"# {path.stem.capitalize()}\n\n{figure}{text}"
    return moved(text, str(path.parent), f"docs/{PurePosixPath(at).parent}")


def _notebook(text: str, at: str) -> str:
    """A notebook with the links of its Markdown bent."""
    whole = json.loads(text)
    for cell in whole["cells"]:
        if cell["cell_type"] == "markdown":
            said = "".join(cell["source"])
            cell["source"] = moved(said, "notebooks", f"docs/{PurePosixPath(at).parent}")
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _index(title: str, text: str, made: dict[str, str], under: str) -> str:
    names = sorted(at.removeprefix(under) for at in made if at.startswith(under))
    tree = ["```{toctree}", ":maxdepth: 1", *(PurePosixPath(n).stem for n in names), "```"]
    return "\n\n".join([f"# {title}", text, "\n".join(tree)]) + "\n"
