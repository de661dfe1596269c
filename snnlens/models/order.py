"""The order in which the nodes of a graph run, and which edges of a cycle are one step late.

A cycle is a set of nodes that all reach each other. It is entered at the nodes that something
outside feeds, and ordered from there depth first; an edge against this order is one step late, as
in nirtorch: in lif -> w -> lif, entered at lif, what w gives at step t reaches lif at step t + 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from snnlens.errors import InputError

Edge = tuple[str, str]


@dataclass(frozen=True)
class Node:
    """One node of a graph, and where its input comes from."""

    name: str
    sources: tuple[str, ...] = ()
    delayed: tuple[str, ...] = ()  # sources seen one step late


def ordered(
    names: Iterable[str], edges: Sequence[Edge], start: str
) -> tuple[tuple[Node, ...], ...]:
    """Group the nodes by cycle, the groups in the order in which they can run.

    `start` is the node that takes the input. The order depends on
    names and edges alone, not on the order in which they are given.

    Raises InputError for an edge from or to a node that is not there, one to `start`, and for a
    node that no path from `start` leads to.

    >>> edges = [("in", "lif"), ("lif", "w"), ("w", "lif"), ("lif", "out")]
    >>> plan = ordered(["in", "lif", "out", "w"], edges, "in")
    >>> [[node.name for node in group] for group in plan], plan[1][0].delayed
    ([['in'], ['lif', 'w'], ['out']], ('w',))
    """
    names = sorted(names)
    after = _neighbours(names, edges)
    before = _neighbours(names, [(b, a) for a, b in edges])
    _check_inputs(names, before, _reached(start, after), start)
    group_of = _cycles(names, edges)
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(group_of[name], []).append(name)
    needs = {g: sorted({group_of[b] for n in groups[g] for b in before[n]} - {g}) for g in groups}
    orders = [_order(groups[g], after, before) for g in TopologicalSorter(needs).static_order()]
    places = [{name: place for place, name in enumerate(order)} for order in orders]
    return tuple(tuple(_node(n, place, before[n]) for n in place) for place in places)


def _cycles(names: Sequence[str], edges: Sequence[Edge]) -> dict[str, str]:
    """The first name of the cycle that each node lies in, its own where it lies in none."""
    number = {name: i for i, name in enumerate(names)}
    ends = np.array([(number[a], number[b]) for a, b in edges], int).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends)), ends.T), shape=(len(names), len(names)))
    _, labels = connected_components(graph, connection="strong")
    first: dict[int, str] = {}
    return {name: first.setdefault(int(n), name) for name, n in zip(names, labels, strict=True)}


def _node(name: str, place: Mapping[str, int], before: Sequence[str]) -> Node:
    """A node whose sources that run after it, or are itself, are seen one step late."""
    late = tuple(s for s in before if place.get(s, -1) >= place[name])
    return Node(name, tuple(s for s in before if s not in late), late)


def _order(
    group: Sequence[str], after: Mapping[str, list[str]], before: Mapping[str, list[str]]
) -> list[str]:
    """The nodes of one cycle from where it is entered on: depth first, last finished first."""
    members = set(group)
    entries = [n for n in group if any(b not in members for b in before[n])] or list(group)
    finished: list[str] = []
    for entry in reversed(entries):
        stack = [(entry, False)]
        seen = set(finished)
        while stack:
            name, done = stack.pop()
            if done:
                finished.append(name)
            elif name not in seen:
                seen.add(name)
                stack.append((name, True))
                stack += [(n, False) for n in after[name] if n in members]
    return finished[::-1]


def _neighbours(names: Iterable[str], edges: Sequence[Edge]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {name: [] for name in names}
    for a, b in sorted(set(edges)):
        for name in (a, b):
            if name not in found:
                raise InputError("an end of an edge", got=name, wanted="a node of the graph")
        found[a].append(b)
    return found


def _reached(start: str, after: Mapping[str, list[str]]) -> set[str]:
    """All nodes that a path of at least one edge leads to."""
    found: set[str] = set()
    waiting = list(after[start])
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += after[name]
    return found


def _check_inputs(
    names: Iterable[str], before: Mapping[str, list[str]], fed: set[str], start: str
) -> None:
    if before[start]:
        raise InputError(
            f"the input node {start}", got=before[start], wanted="without an edge to it"
        )
    lonely = sorted(set(names) - fed - {start})
    if lonely:
        raise InputError("a node", got=lonely[0], wanted="joined to the input by edges")
