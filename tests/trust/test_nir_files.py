"""NIR files that are not what they say: HDF5 of anybody, graphs that are none."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnlens.models.nir import read_nir
from snnlens.models.order import ordered
from tests.trust.hostile_files import (
    bounded,
    command_refuses,
    damaged,
    impostors,
    in_little_memory,
    out_of_memory,
    refuses,
)
from tests.trust.tally import Count, fuzz

pytestmark = pytest.mark.promise("one-line")
UNITS = np.ones(3)
SPECIAL = [0.0, -1.0, 1e-320, 1e308, np.inf, -np.inf, np.nan]


def graph() -> Any:
    """One of each kind of node."""
    return nir.NIRGraph.from_list(
        nir.Conv2d((6, 6), np.ones((2, 1, 3, 3)), 1, 0, 1, 1, np.zeros(2)),
        nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        nir.Flatten({"input": np.array([2, 2, 2])}, 0, 2),
        nir.Affine(np.ones((3, 8)), np.zeros(3)),
        nir.LIF(tau=UNITS * 1e-3, r=UNITS, v_leak=UNITS * 0, v_threshold=UNITS, v_reset=UNITS * 0),
        nir.Linear(np.eye(3)),
        nir.IF(r=UNITS, v_threshold=UNITS, v_reset=UNITS * 0),
    )


@cache
def bytes_of_a_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        nir.write(Path(folder) / "a.nir", graph())
        return (Path(folder) / "a.nir").read_bytes()


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    (tmp_path / "a.nir").write_bytes(bytes_of_a_file())
    return tmp_path / "a.nir"


def test_the_file_itself_is_whole(whole: Path) -> None:
    assert not refuses(read_nir, whole)


@fuzz(100)
@given(data=st.data())
def test_damaged_files(data: st.DataObject, tmp_path: Path, tally: Count) -> None:
    path = tmp_path / "a.nir"
    path.write_bytes(data.draw(damaged(bytes_of_a_file())))
    refuses(read_nir, path)
    tally("damaged graphs")


FIELDS = [
    ("lif", "tau"), ("lif", "r"), ("lif", "v_leak"), ("lif", "v_threshold"), ("lif", "v_reset"),
    ("if", "r"), ("if", "v_threshold"), ("if", "v_reset"), ("affine", "weight"),
    ("affine", "bias"), ("linear", "weight"), ("conv2d", "weight"), ("conv2d", "bias"),
    ("conv2d", "stride"), ("conv2d", "padding"), ("conv2d", "dilation"), ("conv2d", "groups"),
    ("avgpool2d", "kernel_size"), ("avgpool2d", "stride"), ("flatten", "start_dim"),
    ("flatten", "end_dim"), ("input", "shape"), ("output", "shape"),
]  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(SPECIAL).map(lambda v: UNITS * v),
    st.sampled_from(SPECIAL).map(np.float64),
    st.sampled_from([0, -1, 2**31, 2**62, -(2**63)]).map(np.int64),
    st.sampled_from([0, -1, 2**31, 2**62]).map(lambda v: np.array([v, v])),
    st.sampled_from([(0,), (0, 5), (2**40, 0), (1, 1, 1, 1, 1), (7,)]).map(np.zeros),
    st.sampled_from([b"valid", b"", "text", np.array([1j]), np.array([True]), np.array([b"a"])]),
)


@fuzz(80)
@given(field=st.sampled_from(FIELDS), value=VALUES)
def test_parameters_of_nodes(
    field: tuple[str, str], value: Any, tmp_path: Path, tally: Count
) -> None:
    """A number of another size, shape or kind in one field of one node."""
    path = tmp_path / "a.nir"
    path.write_bytes(bytes_of_a_file())
    with h5py.File(path, "r+") as file:
        node = file["node/nodes"][field[0]]
        node.pop(field[1], None)
        node[field[1]] = value
    with bounded(path):
        refuses(read_nir, path)
    tally("parameters of nodes")


def changed(path: Path, change: Callable[[Any], None]) -> Path:
    with h5py.File(path, "r+") as file:
        change(file["node"])
    return path


def deep(node: Any) -> None:
    inside = node["nodes"]["lif"].create_group("metadata")
    for _ in range(2000):
        inside = inside.create_group("a")


def into_itself(node: Any) -> None:
    node["nodes/again"] = node


def virtual(node: Any) -> None:
    layout = h5py.VirtualLayout((3, 3), "f8")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (3, 3))
    del node["nodes/linear/weight"]
    node["nodes/linear"].create_virtual_dataset("weight", layout)


def elsewhere(node: Any) -> None:
    """The numbers of a weight are those of another file, or of a device without an end."""
    del node["nodes/linear/weight"]
    node["nodes/linear"].create_dataset(
        "weight", (3, 3), "f8", external=[("/dev/zero", 0, h5py.h5f.UNLIMITED)]
    )


def renamed(name: str) -> Callable[[Any], None]:
    def change(node: Any) -> None:
        node.move("nodes/linear", f"nodes/{name}")
        edges = [[name if end == b"linear" else end.decode() for end in edge]
                 for edge in node["edges"][()]]  # fmt: skip
        del node["edges"]
        node.create_dataset("edges", data=edges, dtype=h5py.string_dtype())

    return change


def texts(node: Any) -> None:
    """Names of 4 MB each."""
    node["nodes/linear/note"] = ["x" * 2**22] * 8


def set_to(name: str, value: Any) -> Callable[[Any], None]:
    def change(node: Any) -> None:
        node.pop(name, None)
        if value is not None:
            node[name] = value

    return change


CHANGES: dict[str, Callable[[Any], None]] = {
    "a group in itself": into_itself,
    "a group in a group, 2000 times": deep,
    "a link in itself": lambda n: n["nodes"].update({"a": h5py.SoftLink("/node/nodes/a")}),
    "a link to elsewhere": lambda n: n["nodes"].update({"a": h5py.ExternalLink("/dev/zero", "/")}),
    "a link that hangs": lambda n: n["nodes"].update({"a": h5py.SoftLink("/nowhere")}),
    "numbers of another file": elsewhere,
    "numbers of other files": virtual,
    "texts of 32 MB": texts,
    "no type": set_to("type", None),
    "another type": set_to("type", "Threshold"),
    "a type of numbers": set_to("type", np.arange(3)),
    "a type of a node": set_to("nodes/lif/type", "os.system"),
    "a type that is a group": lambda n: (
        n.pop("nodes/lif/type") and n.create_group("nodes/lif/type")
    ),
    "no nodes": set_to("nodes", None),
    "nodes that are numbers": set_to("nodes", np.arange(3)),
    "a node that is a number": set_to("nodes/lif", 3),
    "no edges": set_to("edges", None),
    "edges of numbers": set_to("edges", np.arange(6).reshape(3, 2)),
    "edges of three": set_to("edges", [["lif", "if", "lif"]]),
    "edges to nowhere": set_to("edges", [["lif", "nowhere"]]),
    "edges not in pairs": set_to("edges", ["lif", "if"]),
    "an edge of a text": set_to("edges", "lif"),
    "a time step that is a text": lambda n: n.create_group("metadata").update({"dt": "x"}),
    "a time step below 0": lambda n: n.create_group("metadata").update({"dt": -1.0}),
    "time steps": lambda n: n.create_group("metadata").update({"dt": np.ones(3)}),
    "a check switched off": set_to("type_check", False),
    "a name of lines": renamed("a\n\x1b[31mb"),
    "a name of 5000 modules": renamed(".".join("a" * 5000)),
    "a reference": set_to("nodes/linear/note", np.array([None], h5py.ref_dtype)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_graphs_that_are_none(
    name: str, whole: Path, capsys: pytest.CaptureFixture[str], tally: Count
) -> None:
    changed(whole, CHANGES[name])
    with bounded(whole):
        assert refuses(read_nir, whole)
    command_refuses(["checkup", str(whole), "--data", "digits", "--batch", "1"], capsys)
    tally("graphs")


@pytest.mark.parametrize("name", ["forward", "training", "__class__", "a.b", "..", "", "é", "0"])
def test_names_of_nodes(name: str, whole: Path, tally: Count) -> None:
    """A name may be that of anything that a module has."""
    if not name:
        return
    changed(whole, renamed(name))
    found = read_nir(whole)
    assert len(list(found.modules())) > 7
    tally("names of nodes")


@pytest.mark.parametrize("shape", [(2**40,), (2**31, 2**31), (10**9,)])
def test_numbers_that_are_not_there(shape: tuple[int, ...], whole: Path, tally: Count) -> None:
    """Terabytes of fill value in a few bytes, in a node or beside it."""
    for name in ("nodes/lif/tau", "nodes/extra"):
        changed(whole, lambda node, name=name: node.pop(name, None) and None)
        changed(whole, lambda node, name=name: node.create_dataset(name, shape, "f8", chunks=True))
        with bounded(whole):
            assert refuses(read_nir, whole)
        changed(whole, lambda node, name=name: node.pop(name) and None)
        tally("files that promise gigabytes")


def test_a_bomb(whole: Path, tally: Count) -> None:
    """400 MB of zeros in 400 kB."""
    changed(whole, lambda node: node.create_dataset(
        "nodes/linear/note", data=np.zeros(50 * 10**6), compression="gzip", compression_opts=9,
    ))  # fmt: skip
    assert whole.stat().st_size < 10**6
    with bounded(whole):
        assert refuses(read_nir, whole)
    tally("zip bombs")


def nested(levels: int, ways: int) -> Any:
    """A graph in a graph in ...; several edges lead into each."""
    inside = nir.NIRGraph.from_list(nir.Linear(np.eye(1)))
    for _ in range(levels):
        nodes = {"input": nir.Input({"input": np.array([1])}), "g": inside,
                 "output": nir.Output({"output": np.array([1])})}  # fmt: skip
        nodes |= {f"l{i}": nir.Linear(np.eye(1)) for i in range(ways)}
        edges = [("input", f"l{i}") for i in range(ways)] + [(f"l{i}", "g") for i in range(ways)]
        inside = nir.NIRGraph(nodes, [*edges, ("g", "output")], type_check=False)
    return inside


@pytest.mark.timeout(60)
def test_graphs_in_graphs(tmp_path: Path, tally: Count) -> None:
    """nir looks at an inner graph for each edge that leads to it, at every level: ways^levels."""
    nir.write(tmp_path / "a.nir", nested(3, 2))
    assert not refuses(read_nir, tmp_path / "a.nir")
    nir.write(tmp_path / "b.nir", nested(9, 6))
    assert refuses(read_nir, tmp_path / "b.nir")
    tally("graphs", 2)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("cyclic", [False, True])
def test_many_nodes_in_order(cyclic: bool, tally: Count) -> None:
    """Linear in nodes and edges: all pairs of 20,000 nodes would be 400 million."""
    names = [f"{i:05}" for i in range(20_000)]
    edges = list(pairwise(names))
    edges += [(names[-1], names[1])] if cyclic else []
    groups = ordered(names, edges, names[0])
    assert [node.name for group in groups for node in group] == names
    assert len(groups) == (2 if cyclic else len(names))
    tally("graphs")


@impostors
def test_something_else_in_the_place_of_a_graph(
    impostor: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], tally: Count
) -> None:
    impostor(tmp_path / "a.nir")
    argv = ["checkup", str(tmp_path / "a.nir"), "--data", "digits", "--batch", "1"]
    command_refuses(argv, capsys, tmp_path)
    tally("commands")


def test_weights_larger_than_the_memory(whole: Path, tally: Count) -> None:
    """5 GB of random numbers would be real; in 1 GB they are one line, and exit code 2."""
    imports = "import sys, h5py, nir; from snnlens.experiments import _subject, checkup\n"
    imports += "from snnlens import cli; from snnlens.data import arrays"
    code = "arrays.MOST = 10**9\n"
    code += "sys.exit(cli.main(['checkup', sys.argv[1], '--data', 'digits', '--batch', '1']))"
    changed(whole, lambda node: node.create_dataset("nodes/extra", (5 * 10**9,), "u1", chunks=True))
    assert out_of_memory(in_little_memory(imports, code, whole, megabytes=1024))
    tally("files that promise gigabytes")
