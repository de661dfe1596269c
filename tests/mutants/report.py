"""Writes reports/mutants.md: the numbers of mutants/, and each survivor with its reason."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import platform
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPORT = Path("reports/mutants.md")
REASONS = Path(__file__).with_name("reasons.toml")
LIVES = ("survived", "no tests")
NOTICED = ("killed", "timeout", "segfault")  # a mutant that hangs or crashes the tests is noticed
HEAD = """# Mutation testing

By `make mutants` ({date}, mutmut {mutmut}, Python {python}). A mutant is the source with one
small change. It is killed where a test of `[tool.mutmut]` in pyproject.toml fails with it; one that
hangs or crashes the tests is killed too, and counted apart. Score: killed / tried; where fewer were
tried than there are, they are each so many in the order of the file, chosen before they were tried.

Left out, and counted: mutants that change nothing but the wording of a string with a space in it
(evidence, messages, what to try). They ask whether a sentence is tested word by word, not whether
the numbers in it are right. Strings without a space are in: columns, codes, sites, units. mutmut
makes none of module constants, class attributes, annotations and docstrings; doctests kill none.

"""
COLUMNS = ("file", "mutants", "tried", "killed", "by time or crash", "survived", "without a test",
           "left out", "score")  # fmt: skip


@dataclass
class Survivor:
    """A mutant that no test noticed."""

    path: Path
    function: str
    was: str
    now: str
    why: str = ""


def write(folder: Path) -> None:
    """The report, and its table on the screen."""
    table, survivors = _collect(folder)
    text = HEAD.format(
        date=dt.date.today().isoformat(),
        mutmut=importlib.metadata.version("mutmut"),
        python=platform.python_version(),
    )
    reasons = tomllib.loads(REASONS.read_text(encoding="utf-8"))
    text += table + reasons.get("note", "") + "\n" + _listed(survivors, reasons.get("reason", []))
    REPORT.write_text(text, encoding="utf-8")
    print(table)
    unreasoned = sum(not s.why for s in survivors)
    print(f"{REPORT}; {unreasoned} of {len(survivors)} survivors have no reason in {REASONS.name}")


def _collect(folder: Path) -> tuple[str, list[Survivor]]:
    from mutmut.mutation.data import SourceFileMutationData
    from mutmut.stats import status_by_exit_code
    from mutmut.utils.file_utils import walk_mutatable_files

    rows, survivors = [], []
    for path in sorted(walk_mutatable_files()):
        data = SourceFileMutationData(path=path)
        data.load()
        if not data.exit_code_by_key:
            continue
        codes = {n: status_by_exit_code[c] for n, c in data.exit_code_by_key.items()}
        rows.append((f"`{path}`", Counter(codes.values()), _left_out(path, folder)))
        survivors += [_survivor(n, path) for n, s in codes.items() if s in LIVES]
    return _table(rows), survivors


def _left_out(path: Path, folder: Path) -> int:
    """How many mutants of strings with a space mutmut would make; counted once a version."""
    import libcst as cst
    from mutmut.mutation import file_mutation, mutators

    kept, version = folder / f"{path}.left", str(path.stat().st_mtime)
    if kept.exists() and kept.read_text(encoding="utf-8").startswith(version):
        return int(kept.read_text(encoding="utf-8").split()[1])
    ours, file_mutation.mutation_operators = file_mutation.mutation_operators, [
        (cst.BaseString, mutators.operator_string)
    ]  # fmt: skip
    made = file_mutation.create_mutations(str(path), path.read_text(encoding="utf-8"))[1]
    file_mutation.mutation_operators = ours
    inside = [m.original_node for m in made if m.contained_by_top_level_function is not None]
    count = sum(isinstance(node, cst.SimpleString) and " " in node.value for node in inside)
    kept.write_text(f"{version} {count}", encoding="utf-8")
    return count


def _table(rows: list[tuple[str, Counter[str], int]]) -> str:
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---" + "|--:" * (len(COLUMNS) - 1) + "|"]
    sums = Counter[str]()
    for _, counts, _ in rows:
        sums += counts
    for name, counts, left in [*rows, ("all", sums, sum(r[2] for r in rows))]:
        killed = sum(counts[word] for word in NOTICED)
        judged = counts.total() - counts["not checked"]
        score = f"{killed / judged:.1%}" if judged else "not run"
        odd, alone = killed - counts["killed"], counts["no tests"]
        cells = [
            name,
            counts.total(),
            judged,
            killed,
            odd,
            judged - killed - alone,
            alone,
            left,
            score,
        ]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def _survivor(name: str, path: Path) -> Survivor:
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    lines = get_diff_for_mutant(name, path=path).splitlines()
    was = [line[1:].strip() for line in lines if line[:1] == "-" and line[:3] != "---"]
    now = [line[1:].strip() for line in lines if line[:1] == "+" and line[:3] != "+++"]
    mangled = name.partition("__mutmut_")[0].rpartition(".")[2]  # x_function, xǁClassǁmethod
    function = mangled[2:].replace("ǁ", ".")
    return Survivor(path, function, " ".join(was), " ".join(now))


def _listed(survivors: list[Survivor], reasons: list[dict[str, Any]]) -> str:
    """Survivors by reason; those without one first."""
    groups: dict[str, list[Survivor]] = {}
    for one in survivors:
        one.why = next((r["why"] for r in reasons if _fits(r, one)), "")
        groups.setdefault(one.why, []).append(one)
    lines = ["## Survivors", ""]
    for why in sorted(groups):
        lines += [f"### {why or 'Not looked at yet'}", ""]
        for s in groups[why]:
            lines += [f"- `{s.path}`, `{s.function}`", f"  - `{s.was}`", f"  - `{s.now}`"]
        lines.append("")
    return "\n".join(lines)


def _fits(reason: dict[str, Any], one: Survivor) -> bool:
    """Whether a reason speaks of this survivor: texts in its file, function, old and new line."""
    parts = {"file": str(one.path), "function": one.function, "was": one.was, "now": one.now}
    return all(reason.get(key, "") in text for key, text in parts.items())
