"""Progress of a run on stderr: a bar per network."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from snnlens.errors import one_line


@contextlib.contextmanager
def shown(quiet: bool) -> Iterator[Any]:
    """What a run is given as `progress`; None with --quiet."""
    if quiet:
        yield None
        return
    from rich.console import Console

    with _bars(Console(stderr=True)) as network:
        yield network


@contextlib.contextmanager
def _bars(console: Any) -> Iterator[Any]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    what = TextColumn("{task.description:>18}", markup=False)
    columns = (what, BarColumn(), TimeElapsedColumn())
    bars = Progress(*columns, console=console, refresh_per_second=4)

    def network(name: str, sites: int) -> Callable[[], None]:
        bars.start()  # not before: an error without a run is one line and no empty one
        task = bars.add_task(one_line(name), total=sites)
        return lambda: bars.advance(task)

    def announce(text: str) -> None:
        for line in text.splitlines():
            console.print(one_line(line), markup=False, emoji=False)

    network.announce = announce  # type: ignore[attr-defined]
    try:
        yield network
    finally:
        if bars.live.is_started:
            bars.stop()
