"""Graph and Current: order, sums, cycles, names; values and gradients against plain loops."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import snnlens
from snnlens.errors import InputError
from snnlens.models.graph import Current, Graph, chain
from snnlens.models.order import ordered
from snnlens.neuron import equations
from snnlens.neuron.layers import IF, LIF, Neuron

RING = [("in", "fc"), ("fc", "sn"), ("sn", "rec"), ("rec", "sn"), ("sn", "out")]


def ring(neuron: Neuron, *, seed: int = 0) -> Graph:
    """in -> fc -> sn -> out, and sn -> rec -> sn."""
    torch.manual_seed(seed)
    layers: dict[str, list[nn.Module]] = {
        "in": [], "out": [], "sn": [neuron], "fc": [nn.Linear(3, 5)], "rec": [nn.Linear(5, 5)],
    }  # fmt: skip
    return Graph(layers, RING, ("in", "out"))


@pytest.mark.parametrize("tau", [None, 1.0, 2.5, math.inf])
def test_current_is_the_filter_written_as_a_sum(tau: float | None) -> None:
    """y[t] = gain sum_s (1 - 1/tau)^(t - s) x[s] + offset, over all s up to t."""
    x = torch.rand(7, 2, 3, dtype=torch.float64)
    gain, offset = torch.rand(3, dtype=torch.float64), 0.25
    decay = 0.0 if tau is None else 1 - 1 / tau
    powers = np.array([[decay ** (t - s) if s <= t else 0.0 for s in range(7)] for t in range(7)])
    expected = np.einsum("ts,sbn,n->tbn", powers, x.numpy(), gain.numpy()) + offset
    found = Current(gain, offset, tau_steps=tau)(x)
    assert found.numpy() == pytest.approx(expected, rel=1e-14)  # seven float64 products


def test_current_moves_with_its_model() -> None:
    current = Current(torch.ones(3), 0.5).double()
    assert current(torch.zeros(1, 1, 3, dtype=torch.float64)).dtype == torch.float64
    assert not current.state_dict()["gain"].requires_grad


def test_edges_that_meet_are_a_sum() -> None:
    """in -> a, b -> sum -> out, and in -> out past all of them."""
    layers: dict[str, list[nn.Module]] = {
        "in": [], "a": [nn.Linear(3, 3)], "b": [nn.Linear(3, 3)], "sum": [], "out": [],
    }  # fmt: skip
    edges = [("in", "a"), ("in", "b"), ("a", "sum"), ("b", "sum"), ("sum", "out"), ("in", "out")]
    graph, x = Graph(layers, edges, ("in", "out")), torch.rand(4, 2, 3)
    (a,), (b,) = layers["a"], layers["b"]
    expected = torch.stack([step + (a(step) + b(step)) for step in x])
    assert torch.allclose(graph(x), expected, rtol=1e-6)  # two float32 matrix shapes


def test_layers_without_time_see_all_steps_at_once() -> None:
    seen = []
    conv = nn.Conv2d(2, 3, 3)
    conv.register_forward_hook(lambda _m, given, _o: seen.append(tuple(given[0].shape)))
    assert chain({"conv": conv, "sn": IF()})(torch.rand(4, 5, 2, 6, 6)).shape == (4, 5, 3, 4, 4)
    assert seen == [(20, 2, 6, 6)]


def test_time_steps_repeat_a_static_input() -> None:
    x = torch.rand(2, 3)
    still, shown = (chain({"sn": IF()}, time_steps=t) for t in (5, None))
    assert torch.equal(still(x), shown(x.expand(5, 2, 3)))
    with pytest.raises(InputError, match="time_steps must be at least 1; got 0"):
        chain({"sn": IF()}, time_steps=0)


@pytest.mark.parametrize("neuron", [IF(), LIF(tau=3.0, decay_input=False), IF(reset="soft")])
def test_a_cycle_is_a_loop_over_time(neuron: Neuron) -> None:
    graph, x = ring(neuron), torch.randn(9, 4, 3) * 2
    spikes, grads = _loop(graph, x)
    found = graph(x)
    assert found.detach().mean() > 0.05
    assert torch.equal(found, spikes)
    (found * torch.arange(9.0).view(9, 1, 1)).sum().backward()
    for name, parameter in graph.named_parameters():
        # one matrix product per step in both; only the order of their sum differs
        assert torch.allclose(parameter.grad, grads[name], rtol=1e-5, atol=1e-6)  # type: ignore[arg-type]


def _loop(graph: Graph, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    twin = copy.deepcopy(graph)
    fc, rec, sn = (twin.get_submodule(name) for name in ("fc", "rec", "sn"))
    assert isinstance(sn, Neuron)
    v, back, out = equations.start(torch.zeros(1, 4, 5), sn.rule), torch.zeros(4, 5), []
    current = torch.unflatten(fc(x.flatten(0, 1)), 0, x.shape[:2])
    for t in range(len(x)):
        spike, v = equations.loop((current[t] + back)[None], v, sn.rule)
        out.append(spike[0])
        back = rec(spike[0])
    stacked = torch.stack(out)
    (stacked * torch.arange(9.0).view(9, 1, 1)).sum().backward()
    return stacked.detach(), {n: p.grad for n, p in twin.named_parameters() if p.grad is not None}


def test_each_module_of_a_cycle_is_heard_once_with_all_steps() -> None:
    graph, seen = ring(IF()), []
    for name in ("sn", "rec"):
        graph.get_submodule(name).register_forward_hook(
            lambda _m, given, out, name=name: seen.append((name, given[0].shape, out.shape))
        )
    graph(torch.rand(6, 2, 3))
    assert seen == [("sn", (6, 2, 5), (6, 2, 5)), ("rec", (12, 5), (12, 5))]


def test_a_neuron_that_feeds_itself() -> None:
    """X = 0.6 at each step, plus the last spike: 0.6, 1.2, then 0.6 + 1, ..."""
    layers: dict[str, list[nn.Module]] = {"in": [], "sn": [IF()], "out": []}
    graph = Graph(layers, [("in", "sn"), ("sn", "sn"), ("sn", "out")], ("in", "out"))
    spikes = graph(torch.full((5, 1, 1), 0.6)).flatten().tolist()
    assert spikes == [0, 1, 1, 1, 1]
    assert IF()(torch.full((5, 1, 1), 0.6)).flatten().tolist() == [0, 1, 0, 1, 0]


def test_a_neuron_of_a_cycle_starts_from_rest() -> None:
    with pytest.raises(InputError, match="must be one without keep_state"):
        ring(IF(keep_state=True))(torch.rand(2, 1, 3))


def test_the_order_depends_on_names_and_edges_alone() -> None:
    names = ["in", "fc", "sn", "rec", "out"]
    plans = {ordered(n, e, "in") for n in (names, names[::-1]) for e in (RING, RING[::-1])}
    assert len(plans) == 1
    (plan,) = plans
    assert [[node.name for node in group] for group in plan] == [
        ["in"], ["fc"], ["sn", "rec"], ["out"]
    ]  # fmt: skip
    assert [node.delayed for node in plan[2]] == [("rec",), ()]
    assert [node.sources for node in plan[2]] == [("fc",), ("sn",)]


def test_a_long_cycle_has_one_late_edge() -> None:
    names = [f"n{i:03d}" for i in range(300)]
    edges = [("in", names[0]), *zip(names, names[1:] + names[:1], strict=True), (names[9], "out")]
    plan = ordered(["in", "out", *names], edges, "in")
    late = [(node.name, node.delayed) for group in plan for node in group if node.delayed]
    assert late == [("n000", ("n299",))]


def test_two_cycles_run_one_after_the_other() -> None:
    edges = [("in", "a"), ("a", "b"), ("b", "a"), ("b", "c"), ("c", "d"), ("d", "c"), ("d", "out")]
    plan = ordered(["in", "a", "b", "c", "d", "out"], edges, "in")
    assert [[node.name for node in group] for group in plan] == [
        ["in"], ["a", "b"], ["c", "d"], ["out"]
    ]  # fmt: skip


def test_sites_have_the_names_of_the_nodes_in_the_order_they_run() -> None:
    names = [str(i) for i in range(12)]
    graph = chain({name: IF() for name in names})
    with snnlens.record(graph, probes=["firing_rate"]) as rec:
        graph(torch.ones(2, 1, 3))
    assert rec.frame()["site"].tolist() == names


def test_names_that_a_module_can_not_have() -> None:
    names = ["forward", "plan", "lif.a", "lif", "lif.b", "training", "x..y"]
    graph = chain({name: nn.Identity() for name in names})
    paths = [graph.parts[name] for name in names]
    assert paths == [
        ("forward_",), ("plan_",), ("lif.a",), ("lif_",), ("lif.b",), ("training_",), ("x._.y",)
    ]  # fmt: skip
    assert torch.equal(graph(torch.ones(1, 1, 1)), torch.ones(1, 1, 1))


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([("in", "sn"), ("sn", "no")], "an end of an edge must be a node of the graph; got 'no'"),
        ([("in", "out")], "a node must be joined to the input by edges; got 'sn'"),
        ([("in", "out"), ("sn", "sn")], "a node must be joined to the input by edges; got 'sn'"),
        (
            [("in", "sn"), ("sn", "in"), ("sn", "out")],
            "the input node in must be without an edge to it; got ['sn']",
        ),
    ],
)
def test_edges_that_make_no_graph(edges: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(InputError) as caught:
        Graph({"in": [], "sn": [IF()], "out": []}, edges, ("in", "out"))
    assert str(caught.value) == message
