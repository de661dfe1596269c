"""NIR graphs (neuromorphic intermediate representation): read, run on our neurons, written."""

from __future__ import annotations

import warnings
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, cast

import numpy as np
from torch import nn

from snnlens import atomic
from snnlens.errors import InputError
from snnlens.models import nir_file, nir_write
from snnlens.models.graph import Graph
from snnlens.models.nir_file import under
from snnlens.models.nir_nodes import DT, Reader, Reset
from snnlens.models.order import Edge

# what h5py and nir raise on files that are broken, old or not NIR
BROKEN: tuple[type[Exception], ...] = (
    *(OSError, ValueError, TypeError, LookupError, AttributeError, AssertionError),
    *(RuntimeError, NotImplementedError, ArithmeticError, MemoryError),
)


def read_nir(
    path: str | Path,
    *,
    time_steps: int | None = None,
    reset: Reset | None = None,
    dt: float | None = None,
) -> Graph:
    """Read a .nir file as a network of our neurons: [T, B, ...] in, [T, B, ...] out, float32.

    Each node's module has the node's name, dots included; nested graphs put theirs before it.
    Edges that meet are a sum; a cycle runs step by step, its closing edge one step late. The
    equations and their discretisation are in `nir_nodes`.

    Args:
        path: the file.
        time_steps: how often an input [B, ...] is shown; None: the input has its own time axis.
        reset: "hard" to v_reset, or "soft", by subtraction of the threshold; None as the file
            says, which is hard but where `write_nir` noted a soft one.
        dt: duration of a time step in the unit of the file's time constants; None: what
            `write_nir` noted, or else 1e-4 (seconds).

    Raises:
        InputError: packages that are missing, a file that is cut, old or no NIR graph, a node
            of a type that has no layer here, or with parameters that a layer can not have.

    >>> import tempfile
    >>> from snnlens.neuron.layers import IF
    >>> path = write_nir(nn.Sequential(nn.Linear(3, 2), IF()), tempfile.mkdtemp() + "/a.nir", (3,))
    >>> [name for name, _ in read_nir(path).named_children()]
    ['0', '1']
    """
    path = Path(path)
    if reset not in (None, "hard", "soft"):
        raise InputError("reset", got=reset, wanted="hard, soft or None")
    with warnings.catch_warnings(), np.errstate(all="ignore"):  # infinite parameters are refused
        warnings.simplefilter("ignore")
        graph = _read(path)
        dt = _noted(graph) if dt is None else dt
        _check_dt(dt)
        nodes, edges, ends = _inlined(graph)
        reader = Reader(None if dt is None else float(dt), reset)
        layers = {name: _layers(reader, name, node) for name, node in nodes.items()}
    return Graph(layers, edges, ends, time_steps=time_steps, dt=reader.dt)


def write_nir(
    model: nn.Module,
    path: str | Path,
    input_shape: tuple[int, ...],
    *,
    dt: float | None = None,
    soft_reset: bool = False,
) -> Path:
    """Write a network as a .nir file, whole or not at all; a file that is there is replaced.

    `read_nir` makes of it a network with the same outputs, bit for bit in float32 (time constants
    to 15 digits). PLIF is written as LIF with the time constant that it has now, which is the
    same to rounding. How a network is trained (surrogate, detached reset) and called (keep_state,
    time_steps) is no part of NIR.

    Args:
        model: an nn.Sequential, nested or not, of Conv1d, Conv2d, Linear, AvgPool2d, Flatten, IF,
            LIF and PLIF, or a Graph; what `read_nir` returned is one.
        path: the file.
        input_shape: of one sample of one time step, without T and B.
        dt: duration of a time step in seconds; None: what the Graph was read with, or 1e-4.
        soft_reset: write neurons that reset by subtraction too. NIR has no such reset: the file
            then says v_reset = 0, and a note in the node's metadata that only `read_nir` heeds.

    Returns:
        The path.

    Raises:
        InputError: packages that are missing, a layer or an option of one that NIR can not say
            (a BatchNorm, a SEW block with `and` or `iand`, a soft reset), an input of another
            shape.

    >>> from snnlens.neuron.layers import IF
    >>> write_nir(nn.Sequential(nn.BatchNorm2d(3), IF()), "a.nir", (3, 8, 8))
    Traceback (most recent call last):
    snnlens.errors.InputError: layer 0 must be one that NIR has; got 'BatchNorm2d'; \
fold it into the layer before it
    """
    nir, path = _package(), Path(path)
    _check_dt(dt)
    graph = nir_write.as_graph(model)
    chosen = dt or graph.dt or DT
    writer = nir_write.Writer(nir, chosen, soft_reset=soft_reset)
    said = writer.graph(graph, input_shape)
    part = atomic.hidden(path, "new")
    try:
        nir.write(part, said)
        nir.read(part)
        atomic.sync(part)
        part.replace(path)
        atomic.sync(path.parent)
    except OSError as error:
        wanted = "one that can be written"
        raise InputError("NIR file", got=str(path), wanted=wanted, do=_reason(error)) from error
    except BROKEN as error:
        wanted = f"a graph that nir {metadata.version('nir')} can write and read back"
        raise InputError("the model", got=str(path), wanted=wanted, do=_reason(error)) from error
    finally:
        atomic.remove(part)
    return path


def _package() -> Any:
    try:
        import_module("h5py")
        return import_module("nir")
    except ImportError as error:
        do = "pip install 'snnlens[adapters]'"
        got = str(error.name or error)
        raise InputError("NIR needs packages that", got=got, wanted="installed", do=do) from error


def _read(path: Path) -> Any:
    nir = _package()
    if not path.is_file():
        raise InputError("NIR file", got=str(path), wanted="a file that exists")
    try:
        nir_file.check(path)
        graph = nir.read(path)
    except BROKEN as error:
        wanted = f"one that nir {metadata.version('nir')} can read"
        do = f"write it again with this version ({_reason(error)})"
        raise InputError("NIR file", got=str(path), wanted=wanted, do=do) from error
    if not isinstance(graph, nir.NIRGraph):
        raise InputError("NIR file", got=str(path), wanted="a graph, not a single node")
    return graph


def _inlined(graph: Any, name: str = "") -> tuple[dict[str, Any], list[Edge], Edge]:
    """All nodes, edges, and the names of Input and Output; nested graphs are dissolved.

    The Input and Output of a nested graph stay, as nodes that only hand on.
    """
    nodes: dict[str, Any] = {}
    edges: list[Edge] = []
    ends: dict[str, Edge] = {}
    for inner, node in graph.nodes.items():
        full = under(name, inner)
        if type(node).__name__ == "NIRGraph":
            below, joined, ends[inner] = _inlined(node, full)
            nodes |= below
            edges += joined
        else:
            nodes[full], ends[inner] = node, (full, full)
    edges += [(ends[a][1], ends[b][0]) for a, b in graph.edges]
    first, last = (_only(graph, kind, name) for kind in ("Input", "Output"))
    return nodes, edges, (under(name, first), under(name, last))


def _only(graph: Any, kind: str, name: str) -> str:
    found = [str(inner) for inner, node in graph.nodes.items() if type(node).__name__ == kind]
    if len(found) != 1:
        what = f"{kind} nodes of {f'graph {name}' if name else 'the graph'}"
        raise InputError(what, got=", ".join(found), wanted="exactly one")
    return found[0]


def _layers(reader: Reader, name: str, node: Any) -> list[nn.Module]:
    try:
        return reader.layers(name, node)
    except BROKEN as error:
        got, do = type(node).__name__, _reason(error)
        raise InputError(f"node {name}", got=got, wanted="whole", do=do) from error


def _noted(graph: Any) -> float | None:
    """The time step that `write_nir` noted."""
    noted = (graph.metadata or {}).get("dt")
    return None if noted is None else cast("float", noted)


def _check_dt(dt: float | None) -> None:
    try:
        fits = dt is None or 0 < float(dt) < float("inf")
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise InputError("dt", got=dt, wanted="a duration above 0")


def _reason(error: Exception) -> str:
    """What a package says of a fault, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
