"""docs/promises.md: each promise is held by tests, and each test of a promise is named there."""

from __future__ import annotations

import ast
import re

from tests.trust import page, tally

TEXT = page.PAGE.read_text(encoding="utf-8")
PROMISES = re.findall(r"^### (\S+)$", TEXT, re.MULTILINE)


def test_every_promise_has_a_test_and_every_such_test_a_promise() -> None:
    assert len(PROMISES) == len(set(PROMISES)) > 10
    assert sorted(PROMISES) == sorted(page.held())
    assert [name for _, name, _ in page.BLOCK.findall(TEXT)] == [*PROMISES, "soak"]


def test_the_page_is_up_to_date() -> None:
    assert page.written(TEXT) == TEXT, "python -m tests.trust.page"


def test_a_marked_test_is_found_and_an_unmarked_is_not() -> None:
    source = """
pytestmark = pytest.mark.promise("a")
def test_one(): ...
@pytest.mark.promise("b")
@fuzz(3)
def test_two(): ...
def helper(): ...
c = pytest.mark.promise("c")
@c
def test_three(): ...
"""
    found = list(page.marked(ast.parse(source)))
    assert found == [("a", "test_one"), ("b", "test_two"), ("c", "test_three")]
    assert not list(page.marked(ast.parse("def test_three(): ...")))


def test_the_counts_of_a_run_are_added_per_promise() -> None:
    class Report:
        def __init__(self, outcome: str, *counts: list[object]) -> None:
            self.outcome = outcome
            self.user_properties = [("tally", c) for c in counts]

    reports = [
        Report("passed", ["a", "kills", 3], ["a", "files", 1]),
        Report("failed", ["a", "kills", 1]),
        Report("passed"),
    ]
    rows = tally.rows(reports)
    assert rows == [{"promise": "a", "tests": 2, "failed": 1, "tried": {"kills": 4, "files": 1}}]
    assert tally.markdown(rows, "Head").splitlines()[-1] == "| a | 2 | 1 | 1 files, 4 kills |"
