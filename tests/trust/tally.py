"""What the promises were tried with: each test counts, the end of a run shows the sums.

A test of a promise of docs/promises.md is marked `@pytest.mark.promise("name")`, asks for the
fixture `tally` and says `tally("files refused")` for every single thing that it tried.
`make soak TIMES=10` runs these tests ten times as long.
"""

from __future__ import annotations

import json
import os
import platform
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

TIMES = float(os.environ.get("SNNLENS_SOAK", "1"))
OUT = os.environ.get("SNNLENS_SOAK_OUT", "")
COLUMNS = ("promise", "tests", "failed", "tried")
Count = Callable[..., None]


def times(n: int) -> int:
    """How often this time, where n is how often in CI."""
    return max(1, round(n * TIMES))


def fuzz(examples: int) -> settings:
    """Decorate a hypothesis test: so many examples in CI, always the same; others in a soak."""
    return settings(
        max_examples=times(examples), deadline=None, derandomize=TIMES == 1, database=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large,
        ],
    )  # fmt: skip


@pytest.fixture(name="tally")
def tally_of_a_test(request: pytest.FixtureRequest) -> Count:
    """Count something that was tried: `tally("kills")`, `tally("steps", 10_000)`."""
    marker = request.node.get_closest_marker("promise")
    if marker is None:
        raise pytest.UsageError("a test that counts keeps a promise: @pytest.mark.promise(NAME)")
    name = marker.args[0]

    def count(what: str, n: int = 1) -> None:
        properties = request.node.user_properties
        for i, (key, value) in enumerate(properties):
            if key == "tally" and value[:2] == [name, what]:
                properties[i] = (key, [name, what, value[2] + n])
                return
        properties.append(("tally", [name, what, n]))

    return count


def rows(reports: Iterable[Any]) -> list[dict[str, Any]]:
    """One row per promise: tests, failed tests, and what was tried how often."""
    tests: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    tried: dict[str, Counter[str]] = {}
    for report in reports:
        counted = [value for key, value in report.user_properties if key == "tally"]
        for name in {c[0] for c in counted}:
            tests[name] += 1
            failed[name] += report.outcome == "failed"
        for name, what, n in counted:
            tried.setdefault(name, Counter())[what] += n
    return [
        {"promise": name, "tests": tests[name], "failed": failed[name], "tried": dict(tried[name])}
        for name in sorted(tests)
    ]


def markdown(found: list[dict[str, Any]], head: str) -> str:
    """The table as a page."""
    lines = [head, "", "| promise | tests | failed | tried |", "|---|---|---|---|"]
    for row in found:
        what = ", ".join(f"{n:,} {name}" for name, n in sorted(row["tried"].items()))
        lines.append(f"| {row['promise']} | {row['tests']} | {row['failed']} | {what} |")
    return "\n".join(lines) + "\n"


def show(reporter: pytest.TerminalReporter) -> None:
    """Print the table; write it where SNNLENS_SOAK_OUT says."""
    done = [
        r
        for kind in ("passed", "failed")
        for r in reporter.stats.get(kind, [])
        if getattr(r, "when", "") == "call"
    ]
    found = rows(done)
    if not OUT or not found:
        return
    head = f"Tried {TIMES:g} times as often as in CI, {datetime.now(UTC):%Y-%m-%d}, "
    head += (
        f"Python {platform.python_version()}, {platform.machine()}, `make soak TIMES={TIMES:g}`."
    )
    Path(OUT).mkdir(parents=True, exist_ok=True)
    page = markdown(found, head)
    (Path(OUT) / "soak.md").write_text(page, encoding="utf-8")
    (Path(OUT) / "soak.json").write_text(
        json.dumps({"head": head, "times": TIMES, "rows": found}, indent=1) + "\n", "utf-8"
    )
    reporter.write_line(page)
