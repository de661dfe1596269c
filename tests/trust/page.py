"""The generated parts of docs/promises.md: which tests hold each promise, and what a soak tried.

python -m tests.trust.page     writes them anew, when tests/contract/test_promises.py says so
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "promises.md"
SOAK = ROOT / "reports" / "reference" / "soak" / "soak.md"
BLOCK = re.compile(r"(<!-- (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
Held = dict[str, dict[str, list[str]]]


def held() -> Held:
    """The marked tests: promise, file, names."""
    found: Held = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        file = path.relative_to(ROOT).as_posix()
        for promise, test in marked(ast.parse(path.read_text(encoding="utf-8"))):
            found.setdefault(promise, {}).setdefault(file, []).append(test)
    return found


def marked(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each test of a file with the promise that it, its class or the file is marked with."""
    named = {
        ast.unparse(node.targets[0]): list(promises(node.value))
        for node in tree.body
        if isinstance(node, ast.Assign)
    }
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            own = [
                name
                for mark in node.decorator_list
                for name in named.get(ast.unparse(mark)) or promises(mark)
            ]
            yield from ((promise, node.name) for promise in own or named.get("pytestmark", []))


def promises(node: ast.expr) -> Iterator[str]:
    """The names in each `pytest.mark.promise(NAME)` of an expression."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.promise":
            (name,) = call.args
            assert isinstance(name, ast.Constant)
            yield str(name.value)


def written(page: str) -> str:
    """The page with its generated parts as they should be."""
    tests = held()

    def fill(match: re.Match[str]) -> str:
        start, name, end = match.groups()
        if name == "soak":
            return f"{start}{SOAK.read_text(encoding='utf-8')}{end}"
        return start + "".join(_line(*item) for item in tests.get(name, {}).items()) + end

    return BLOCK.sub(fill, page)


def _line(file: str, names: list[str]) -> str:
    return f"- [{file}](../{file}): {', '.join(f'`{name}`' for name in names)}\n"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
