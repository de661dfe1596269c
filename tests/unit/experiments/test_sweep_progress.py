"""What a progress bar hears of a sweep: ticks for whole epochs, a line for each point that ends."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from snnlens.experiments import _sweep
from snnlens.experiments.degradation import Params


class Bar:
    """A progress bar that remembers."""

    def __init__(self) -> None:
        self.made: list[tuple[str, int]] = []
        self.ticks = 0
        self.lines: list[str] = []

    def __call__(self, name: str, total: int) -> Callable[[], None]:
        self.made.append((name, total))

        def tick() -> None:
            self.ticks += 1

        return tick

    def announce(self, line: str) -> None:
        self.lines.append(line)


def table(*states: tuple[str, str]) -> pd.DataFrame:
    rows = [(f"net-s{i}", state, 1, 3, why) for i, (state, why) in enumerate(states)]
    return pd.DataFrame(rows, columns=["network", "state", "epoch", "epochs", "why"])


def test_each_epoch_is_a_tick_and_each_end_one_line() -> None:
    bar = Bar()
    hear = _sweep._telling(bar)
    assert hear is not None
    hear(0, 6, None, table(("running", ""), ("waiting", "")))
    hear(4, 6, 125.0, table(("done", ""), ("running", "")))
    hear(4, 6, 125.0, table(("done", ""), ("running", "")))
    hear(3, 6, 40.0, table(("done", ""), ("failed", "the disk must be with room")))  # one was cut
    hear(6, 6, None, table(("done", ""), ("done", "")))
    assert bar.made == [("sweep", 6)]
    assert bar.ticks == 6
    assert bar.lines == [
        "net-s0 done; 1 of 2 trainings, about 2 min left",
        "net-s1 failed: the disk must be with room; 2 of 2 trainings, about 40 s left",
    ]


def test_nobody_listens() -> None:
    assert _sweep._telling(None) is None


def test_deeper_networks_cost_more() -> None:
    costs = {p.name: _sweep._cost(p) for p in Params(depth="8,20,56", seeds=1).trainings()}
    one, two, three = (costs[f"spiking-{d}-s0"] for d in (8, 20, 56))
    assert one < two < three
    assert costs["sew-add-20-s0"] == two
    # per stage of n blocks: 2 n convolutions, but for the first; 18 n of them at depth 6 n + 2
    assert 2.5 < (three - two) / (two - one) < 3.5
