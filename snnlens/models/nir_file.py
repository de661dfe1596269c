"""A .nir file, looked at before nir reads it: what its nodes are, and that they can be read.

HDF5 lets a group lie in itself, data lie in other files, and a few bytes stand for gigabytes; and
nir infers the types of a nested graph once for each edge that leads to it, at every level.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from snnlens.data.arrays import check_unpacked
from snnlens.models.nir_nodes import check_kind

MOST_DEPTH = 32  # of groups, and of dots in a name, each of which is a module in a module
MOST_TEXTS, MOST_TEXT_BYTES = 2**17, 2**24  # names and edges
MOST_WORK = 10**8  # steps that nir takes: a graph of 7,000 nodes and edges


def check(path: Path) -> None:
    """Look at every object of a file.

    Raises InputError for a type of node that has no layer here, and for more bytes than the file
    can hold; ValueError and its like for what is no NIR graph, with the reason.
    """
    with import_module("h5py").File(path, "r") as file:
        _check_objects(path, file["node"])
        if _work("", file["node"]) > MOST_WORK:
            raise ValueError("more nodes and edges than can be read")


def under(outer: str, inner: str) -> str:
    """The name of a node in a nested graph.

    >>> under("", "a"), under("a", "b")
    ('a', 'a.b')
    """
    return f"{outer}.{inner}" if outer else inner


def _check_objects(path: Path, top: Any) -> None:
    """Each group is there once, not too deep; all data lie in this file, and fit."""
    h5py: Any = import_module("h5py")
    seen, promised = set(), 0
    waiting = [(top, 0)]
    while waiting:
        group, depth = waiting.pop()
        place = h5py.h5o.get_info(group.id).addr
        if place in seen or depth > MOST_DEPTH:
            raise ValueError(f"{group.name} lies in itself, or too deep")
        seen.add(place)
        for name in group:
            _check_link(group, name)
            if isinstance(group[name], h5py.Dataset):
                promised += _bytes(group[name])
                check_unpacked(path, promised)
            elif isinstance(group[name], h5py.Group):
                waiting.append((group[name], depth + 1))


def _check_link(group: Any, name: str) -> None:
    kind = group.get(name, getlink=True, getclass=True)
    if kind is not import_module("h5py").HardLink:
        raise ValueError(f"{name} is a link to elsewhere")
    if not name.isprintable() or name.count(".") > MOST_DEPTH:
        raise ValueError(f"a node cannot be called {name!r}")


def _bytes(data: Any) -> int:
    """How many bytes reading them would take."""
    if data.is_virtual or data.external:
        raise ValueError(f"{data.name} lies in another file")
    if not data.dtype.hasobject:
        return int((data.size or 0) * data.dtype.itemsize)
    if import_module("h5py").check_string_dtype(data.dtype) is None or data.size > MOST_TEXTS:
        raise ValueError(f"{data.name} holds no numbers and no names")
    total = 0
    for index in np.ndindex(data.shape):  # many of them may be one and the same megabyte
        total += len(data[index])
        if total > MOST_TEXT_BYTES:
            raise ValueError(f"{data.name} holds more than names")
    return total


def _work(name: str, node: Any) -> int:
    """About how many steps nir takes to read a node; its kind is one that we know."""
    kind = node["type"][()].decode()
    if kind != "NIRGraph":
        check_kind(name, kind)
        return 0
    inside = {inner: _work(under(name, inner), n) for inner, n in node["nodes"].items()}
    ends = [end.decode() for _, end in node["edges"][()]]
    own = (len(ends) + 1) * (len(ends) + len(inside))
    return own + sum(inside.values()) + 2 * sum(inside.get(end, 0) for end in ends)
