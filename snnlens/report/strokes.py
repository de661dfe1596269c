"""Paths of a small drawing: few bytes, whole numbers, two units wide for each place."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

Point = tuple[int, int]


def runs(values: Iterable[tuple[int, float | None]]) -> list[list[Point]]:
    """Points of the drawing, two units wide for each place and 200 high; cut where one has none.

    >>> runs([(0, 10.0), (1, None), (2, 20.0), (3, 30.0)])
    [[(1, 180)], [(5, 160), (7, 140)]]
    """
    made: list[list[Point]] = []
    for x, height in values:
        if height is None:
            continue
        if not made or made[-1][-1][0] != 2 * x - 1:
            made.append([])
        made[-1].append((2 * x + 1, round(200 - 2 * height)))
    return made


def line(parts: list[list[Point]]) -> str:
    """A path from point to point of each run; a point alone is a dot.

    >>> line([[(1, 180)], [(5, 160), (7, 140)]])
    'M1 180h0M5 160l2-20'
    """
    return "".join(f"M{run[0][0]} {run[0][1]}" + (_steps(run) or "h0") for run in parts)


def _steps(run: list[Point]) -> str:
    pairs = [_pair(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(run)]
    return "l" + " ".join(pairs) if pairs else ""


def dots(parts: list[list[Point]]) -> str:
    """Strokes without a length: round ends make dots of them at any size of the drawing.

    >>> dots([[(1, 180)], [(5, 160)]])
    'M1 180h0m4-20h0'
    """
    points = [point for run in parts for point in run]
    moves = [f"m{_pair(b[0] - a[0], b[1] - a[1])}h0" for a, b in pairwise(points)]
    return f"M{points[0][0]} {points[0][1]}h0" + "".join(moves) if points else ""


def _pair(x: int, y: int) -> str:
    return f"{x}{y}" if y < 0 else f"{x} {y}"
