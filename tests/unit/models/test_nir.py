"""read_nir: each node against NIR's own equations in numpy; graphs; what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
import torch
from torch.nn import functional

from snnlens.errors import InputError
from snnlens.models.nir import read_nir
from snnlens.neuron.layers import IF, LIF, Neuron

STEPS, BATCH, UNITS, DT = 60, 3, 4, 1e-4
RNG = np.random.default_rng(0)
VARIED = np.linspace(0.5, 1.25, UNITS)


def written(path: Path, *nodes: Any, **graph: Any) -> Path:
    nir.write(path / "graph.nir", nir.NIRGraph.from_list(*nodes, **graph))
    return path / "graph.nir"


def full(value: float | np.ndarray) -> np.ndarray:
    return np.broadcast_to(np.asarray(value, np.float64), UNITS).copy()


# --- neurons -----------------------------------------------------------------------------------


def by_hand(node: Any, x: np.ndarray, dt: float = DT, reset: str = "hard") -> np.ndarray:
    """Forward Euler of the node's differential equations in float64, one neuron at a time."""
    out = np.zeros_like(x)
    for b, n in np.ndindex(BATCH, UNITS):
        p = {k: a[n] for k, a in vars(node).items() if isinstance(a, np.ndarray)}
        leak, tau = p.get("v_leak", 0.0), p.get("tau", p.get("tau_mem"))
        v, i = p.get("v_reset", leak), 0.0
        v = leak if reset == "soft" else v
        for t in range(STEPS):
            s = x[t, b, n]
            if "tau_syn" in p:
                s = i = i + dt / p["tau_syn"] * (p["w_in"] * s - i)
            v += p["r"] * s if tau is None else dt / tau * (leak - v + p["r"] * s)
            if "v_threshold" not in p:
                out[t, b, n] = v
                continue
            spike = v >= p["v_threshold"]
            out[t, b, n] = spike
            if spike:
                v = p["v_reset"] if reset == "hard" else v - p["v_threshold"]
    return out


NEURONS: dict[str, Any] = {
    "IF": nir.IF(full(1), full(1)),
    "IF with r": nir.IF(full(0.7), full(0.8), full(-0.25)),
    "IF per neuron": nir.IF(VARIED, VARIED[::-1].copy(), VARIED / 4),
    "IF below zero": nir.IF(full(1), full(-55), full(-56)),
    "LIF": nir.LIF(full(5e-4), full(1), full(0), full(0.3)),
    "LIF input whole": nir.LIF(full(5e-4), full(5), full(0), full(1)),
    "LIF with leak": nir.LIF(full(7e-4), full(1.5), full(0.1), full(0.6), full(-0.1)),
    "LIF per neuron": nir.LIF(full(3e-4), VARIED, VARIED / 9, VARIED[::-1].copy(), VARIED / 5),
    "CubaLIF": nir.CubaLIF(full(2e-4), full(9e-4), full(9), full(0), full(1.5), w_in=full(2)),
    "CubaLIF varied": nir.CubaLIF(
        full(3e-4), full(5e-4), VARIED, full(0.2), full(0.7), full(0.1), w_in=2 * VARIED
    ),
    "LI": nir.LI(full(8e-4), full(1.5), full(0.25)),
    "LI per neuron": nir.LI(full(8e-4), VARIED, VARIED),
    "I": nir.I(full(0.5)),
}


@pytest.mark.parametrize("name", NEURONS)
def test_a_neuron_follows_its_equation(name: str, tmp_path: Path) -> None:
    node, x = NEURONS[name], RNG.normal(0.5, 0.8, (STEPS, BATCH, UNITS))
    path = written(tmp_path, nir.Scale(np.ones(UNITS)), node)
    expected = by_hand(node, x)
    found = read_nir(path)(torch.from_numpy(x).float()).numpy()
    if not isinstance(node, nir.IF | nir.LIF | nir.CubaLIF):
        assert found == pytest.approx(expected, abs=1e-5)  # float32 sums over 60 steps
    else:
        assert 0.02 < expected.mean() < 0.98
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("name", ["IF", "IF with r", "LIF", "LIF input whole", "CubaLIF"])
def test_reset_by_subtraction(name: str, tmp_path: Path) -> None:
    node, x = NEURONS[name], RNG.normal(0.7, 0.8, (STEPS, BATCH, UNITS))
    path = written(tmp_path, node)
    soft = read_nir(path, reset="soft")(torch.from_numpy(x).float()).numpy()
    assert np.array_equal(soft, by_hand(node, x, reset="soft"))
    assert not np.array_equal(soft, by_hand(node, x))


def test_soft_with_a_leak_and_with_thresholds_per_neuron(tmp_path: Path) -> None:
    x = RNG.normal(0.7, 0.8, (STEPS, BATCH, UNITS))
    leaky, varied = nir.LIF(full(4e-4), full(1), full(0.1), full(0.5)), NEURONS["IF per neuron"]
    for node in (leaky, varied):
        found = read_nir(written(tmp_path, node), reset="soft")(torch.from_numpy(x).float())
        assert np.array_equal(found.numpy(), by_hand(node, x, reset="soft"))


def test_dt_is_the_unit_of_the_time_constants(tmp_path: Path) -> None:
    node, x = nir.LIF(full(0.02), full(1), full(0), full(0.3)), RNG.random((STEPS, BATCH, UNITS))
    path = written(tmp_path, node)
    outputs = [read_nir(path, dt=dt)(torch.from_numpy(x).float()).numpy() for dt in (1e-3, 5e-3)]
    for found, dt in zip(outputs, (1e-3, 5e-3), strict=True):
        assert np.array_equal(found, by_hand(node, x, dt=dt))
    assert not np.array_equal(*outputs)


def test_uniform_parameters_make_a_plain_neuron(tmp_path: Path) -> None:
    graph = read_nir(written(tmp_path, NEURONS["LIF input whole"], nir.IF(full(1), full(0.5))))
    lif, neuron = graph.get_submodule("lif"), graph.get_submodule("if")
    assert isinstance(lif, LIF)
    assert isinstance(neuron, IF)
    assert (lif.tau(), lif.rule.decay_input, neuron.rule.threshold) == (5.0, False, 0.5)
    assert [name for name, _ in graph.named_children()] == ["lif", "if"]


def test_a_gain_stands_beside_its_neuron(tmp_path: Path) -> None:
    graph = read_nir(written(tmp_path, NEURONS["LIF with leak"]))
    assert [name for name, _ in graph.named_children()] == ["lif_current", "lif"]
    assert isinstance(graph.get_submodule("lif"), Neuron)


# --- layers without time -----------------------------------------------------------------------


def test_stateless_nodes_are_torch_functions(tmp_path: Path) -> None:
    x = torch.rand(2, 3, 4, 9, 8)
    conv, bias = (RNG.normal(size=s).astype(np.float32) for s in ((6, 4, 3, 3), (6,)))
    scale = RNG.normal(size=(4, 9, 8)).astype(np.float32)
    affine, shift = (RNG.normal(size=s).astype(np.float32) for s in ((5, 24), (5,)))
    linear = RNG.normal(size=(7, 5)).astype(np.float32)
    path = written(
        tmp_path,
        nir.Input(np.array([4, 9, 8])), nir.Scale(scale),
        nir.Conv2d((9, 8), conv, (2, 1), (1, 2), (1, 1), 1, bias),
        nir.AvgPool2d(np.array([3, 2]), np.array([1, 2]), np.array([1, 1])),
        nir.SumPool2d(np.array([2, 2]), np.array([2, 3]), np.array([0, 0])),
        nir.Flatten(None, 0, -1), nir.Affine(affine, shift), nir.Linear(linear),
    )  # fmt: skip
    y = x.flatten(0, 1) * torch.from_numpy(scale)
    y = functional.conv2d(y, torch.from_numpy(conv), torch.from_numpy(bias), (2, 1), (1, 2))
    y = functional.avg_pool2d(y, (3, 2), (1, 2), (1, 1))
    y = y.unfold(2, 2, 2).unfold(3, 2, 3).sum(dim=(-1, -2))
    y = functional.linear(y.flatten(1), torch.from_numpy(affine), torch.from_numpy(shift))
    y = y @ torch.from_numpy(linear).T
    assert torch.allclose(read_nir(path)(x), y.unflatten(0, (2, 3)), atol=1e-5)


def test_conv1d_and_a_flatten_of_some_axes(tmp_path: Path) -> None:
    weight, bias = (RNG.normal(size=s).astype(np.float32) for s in ((6, 4, 3), (6,)))
    conv = nir.Conv1d(10, weight, 2, "valid", 1, 1, bias)
    path = written(tmp_path, conv, nir.Flatten(np.array([6, 4]), 0, 1))
    x = torch.rand(2, 3, 4, 10)
    y = functional.conv1d(x.flatten(0, 1), torch.from_numpy(weight), torch.from_numpy(bias), 2)
    assert torch.allclose(read_nir(path)(x).flatten(0, 1), y.flatten(1), atol=1e-6)


# --- graphs ------------------------------------------------------------------------------------


def test_nested_graphs_are_dissolved_under_their_name(tmp_path: Path) -> None:
    inner = nir.NIRGraph.from_list(nir.Linear(np.eye(UNITS) * 0.6), nir.IF(full(1), full(1)))
    outer = nir.NIRGraph(
        {"input": nir.Input(np.array([UNITS])), "block.a": inner,
         "output": nir.Output(np.array([UNITS]))},
        [("input", "block.a"), ("block.a", "output"), ("input", "output")],
    )  # fmt: skip
    nir.write(tmp_path / "a.nir", outer)
    graph, x = read_nir(tmp_path / "a.nir"), torch.full((4, 1, UNITS), 1.0)
    names = [name for name, module in graph.named_modules() if isinstance(module, Neuron)]
    assert names == ["block.a.if"]
    assert graph(x)[..., 0].flatten().tolist() == [1, 2, 1, 2]  # 0.6, 1.2, and the shortcut


def test_a_file_says_what_nobody_else_does(tmp_path: Path) -> None:
    """dt and a soft reset, as write_nir notes them; what is asked for comes first."""
    node = nir.LIF(full(0.02), full(1), full(0), full(0.3), metadata={"reset": "soft"})
    graph = nir.NIRGraph.from_list(node)
    graph.metadata = {"dt": 4e-3}
    nir.write(tmp_path / "a.nir", graph)
    lif, asked = (
        read_nir(tmp_path / "a.nir", **options).get_submodule("lif")
        for options in ({}, {"dt": 2e-3, "reset": "hard"})
    )
    assert isinstance(lif, LIF)
    assert isinstance(asked, LIF)
    assert (lif.tau(), lif.rule.reset, asked.tau(), asked.rule.reset) == (5, "soft", 10, "hard")


# --- what is refused ---------------------------------------------------------------------------


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        read_nir(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_type_that_has_no_layer_here(tmp_path: Path) -> None:
    known = "Affine, AvgPool2d, Conv1d, Conv2d, CubaLIF, Flatten, I, IF, Input, LI, LIF, Linear, "
    path = written(tmp_path, nir.Delay(full(1e-3)))
    assert refusal(path) == (
        f"node delay must be one of {known}Output, Scale, SumPool2d; got 'Delay'"
    )


def test_a_type_that_nir_does_not_know(tmp_path: Path) -> None:
    path = written(tmp_path, NEURONS["IF"])
    with h5py.File(path, "a") as file:
        del file["node/nodes/if/type"]
        file["node/nodes/if/type"] = "Izhikevich"
    assert refusal(path).startswith("node if must be one of Affine, ")
    assert refusal(path).endswith("; got 'Izhikevich'")


@pytest.mark.parametrize(
    ("node", "options", "message"),
    [
        (
            nir.LIF(VARIED / 1e3, full(1), full(0), full(1)), {},
            "tau of node lif must be the same for all neurons of the node; got '0.0005 to 0.00125'",
        ),
        (
            nir.LIF(full(5e-5), full(1), full(0), full(1)), {},
            ("tau of node lif must be at least one time step of 0.0001; got 5e-05; "
             "give a smaller dt"),
        ),
        (
            nir.LIF(full(10), full(1), full(0), full(1)), {},
            ("tau of node lif must be below 1 second, or the file's unit of time given; got 10.0; "
             "pass dt, the duration of a time step in that unit"),
        ),
        (
            nir.CubaLIF(VARIED / 1e3, full(1e-3), full(1), full(0), full(1)), {},
            ("tau_syn of node cubalif must be the same for all neurons of the node; "
             "got '0.0005 to 0.00125'"),
        ),
        (
            nir.IF(full(1), full(1), full(1.5)), {},
            "v_threshold minus the potential after a spike of node if must be above 0; got -0.5",
        ),
        (
            nir.LIF(full(1e-3), full(1), full(0.1), VARIED), {"reset": "soft"},
            ("v_leak of node lif must be 0, as its v_threshold or v_leak differs between neurons "
             "or is not above 0; got 0.1; read it with reset='hard'"),
        ),
        (NEURONS["IF"], {"reset": "both"}, "reset must be hard, soft or None; got 'both'"),
        (NEURONS["IF"], {"dt": 0}, "dt must be a duration above 0; got 0"),
        (NEURONS["IF"], {"time_steps": 0}, "time_steps must be at least 1; got 0"),
    ],
)  # fmt: skip
def test_parameters_that_a_layer_can_not_have(
    node: Any, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    assert refusal(written(tmp_path, node), **options) == message


def test_ten_steps_of_one(tmp_path: Path) -> None:
    """What sinabs writes: tau in time steps."""
    node = nir.LIF(full(10), full(1), full(0), full(0.1))
    lif = read_nir(written(tmp_path, node), dt=1).get_submodule("lif")
    assert isinstance(lif, LIF)
    assert lif.tau() == 10


def test_two_inputs(tmp_path: Path) -> None:
    nodes = {"a": nir.Input(np.array([2])), "b": nir.Input(np.array([2])),
             "output": nir.Output(np.array([2]))}  # fmt: skip
    nir.write(tmp_path / "a.nir", nir.NIRGraph(nodes, [("a", "output"), ("b", "output")]))
    message = "Input nodes of the graph must be exactly one; got 'a, b'"
    assert refusal(tmp_path / "a.nir") == message


def test_files_that_are_none(tmp_path: Path) -> None:
    good = written(tmp_path, NEURONS["IF"]).read_bytes()
    start = f"NIR file must be one that nir {nir.version} can read; got "
    for size in (0, 8, 500, len(good) // 2, len(good) - 1):
        cut = tmp_path / "cut.nir"
        cut.write_bytes(good[:size])
        assert refusal(cut).startswith(f"{start}{str(cut)!r}; write it again with this version (")
    assert refusal(tmp_path / "no.nir") == (
        f"NIR file must be a file that exists; got {str(tmp_path / 'no.nir')!r}"
    )


def test_a_single_node_is_no_graph(tmp_path: Path) -> None:
    nir.write(tmp_path / "a.nir", NEURONS["IF"])
    assert refusal(tmp_path / "a.nir").startswith("NIR file must be ")


@pytest.mark.parametrize("package", ["nir", "h5py"])
def test_a_missing_package(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, NEURONS["IF"])
    monkeypatch.setitem(sys.modules, package, None)
    assert refusal(path) == (
        f"NIR needs packages that must be installed; got {package!r}; "
        "pip install 'snnlens[adapters]'"
    )


# --- real files --------------------------------------------------------------------------------


@pytest.mark.data
def test_an_old_file_gives_one_line(data_root: Path) -> None:
    message = refusal(data_root / "nir" / "lif_rockpool.nir")
    assert message.startswith(f"NIR file must be one that nir {nir.version} can read; got ")
    assert "type mismatch" in message


@pytest.mark.data
def test_the_recurrent_network_step_by_step(data_root: Path) -> None:
    """The whole network in numpy, float64, from the arrays of the file."""
    path = data_root / "nir" / "braille_noDelay_bias_zero.nir"
    nodes = nir.read(path).nodes
    x = (RNG.random((100, 2, 12)) < 0.3).astype(np.float64)
    out, back = [], np.zeros((2, 38))
    states = {name: np.zeros((2, 2, n)) for name, n in (("lif1.lif", 38), ("lif2", 7))}

    def affine(name: str, value: np.ndarray) -> np.ndarray:
        return value @ nodes[name].weight.T.astype(np.float64) + nodes[name].bias

    def fire(name: str, value: np.ndarray) -> np.ndarray:
        p, (i, v) = nodes[name], states[name]
        i += DT / p.tau_syn * (p.w_in * value - i)
        v += DT / p.tau_mem * (p.v_leak - v + p.r * i)
        spikes = v >= p.v_threshold
        v[spikes] = 0
        return spikes.astype(np.float64)

    for step in x:
        hidden = fire("lif1.lif", affine("fc1", step) + back)
        back = affine("lif1.w_rec", hidden)
        out.append(fire("lif2", affine("fc2", hidden)))
    found = read_nir(path)(torch.from_numpy(x).float()).detach().numpy()
    assert np.stack(out).mean() > 0.1
    assert np.array_equal(found, np.stack(out))
