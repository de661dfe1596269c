"""The split of the error: against loops in numpy, and against the neuron's own membrane."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from snnlens.conversion.anatomy import Anatomy, decompose
from snnlens.conversion.convert import Converted, convert
from snnlens.conversion.looks import Run
from snnlens.conversion.prepare import Prepared, prepare
from snnlens.conversion.split import SOURCES
from snnlens.errors import InputError
from snnlens.neuron.equations import Step
from tests.unit.conversion.nets import branches, relus

STEPS = (1, 2, 4, 8)


def _tables(
    prepared: Prepared, nets: dict[str, Converted], x: Tensor, y: Tensor | None = None
) -> dict[str, pd.DataFrame]:
    runs = [Run(name, net, STEPS) for name, net in nets.items()]
    anatomy = Anatomy(prepared, runs, scattered=(4, 8))
    for part in torch.arange(len(x)).split(2):  # several batches, the last one smaller
        anatomy.add(x[part], None if y is None else y[part])
    return anatomy.tables()


@pytest.fixture(scope="module", params=["qcfs", "relu"])
def measured(request: pytest.FixtureRequest):  # type: ignore[no-untyped-def]
    ann, x = branches() if request.param == "qcfs" else relus()
    prepared = prepare(ann)
    nets = {m: convert(prepared, m, 8, data=[x]) for m in ("parallel", "sequential")}  # type: ignore[arg-type]
    return request.param, prepared, nets, x, _tables(prepared, nets, x)


def test_the_parts_by_a_loop(measured) -> None:  # type: ignore[no-untyped-def]
    """Every neuron in numpy from its own simulation: sums, squares, offsets, the total to 1e-9."""
    kind, prepared, nets, x, tables = measured
    net, steps = nets["sequential"], 8
    net.time_steps = steps
    rows = tables["conversion_layers"]
    rows = rows[(rows["view"] == "accumulated") & (rows["neuron"] == "sequential")]
    ann = _captured(prepared.network, prepared.activations, x)
    snn = _captured(net.network, prepared.activations, x.repeat(steps, 1, 1, 1))
    for name in prepared.activations:
        theta = float(net.layers[name].theta.flatten()[0])
        theta_of = np.broadcast_to(net.layers[name].theta.numpy(), ann[name][0].shape)
        current = snn[name][0].reshape(steps, len(x), *ann[name][0].shape[1:])
        made = _simulate(current, theta_of)
        z = current.mean(0)
        parts = _parts(kind, theta_of, ann[name][0], z, made, steps, levels=4)
        row = rows[(rows["layer"] == name) & (rows["time_steps"] == steps)].iloc[0]
        for source, part in parts.items():
            assert row[f"{source}_sum"] == pytest.approx(part.sum(), abs=1e-9)
            assert row[f"{source}_squares"] == pytest.approx((part**2).sum(), abs=1e-9)
        total = made / steps - ann[name][1] / theta_of
        assert row["total_squares"] == pytest.approx((total**2).sum(), abs=1e-9)
        assert np.allclose(sum(parts.values()), total, rtol=0, atol=1e-9)
        offset = made - _ideal(z, theta_of, steps)
        assert [row[f"offset_{o}".replace("-", "m")] for o in (-1, 0, 1)] == [
            (offset == o).sum() for o in (-1, 0, 1)
        ]
        assert row["spikes"] == made.sum()
        assert theta > 0


def test_parallel_has_no_unevenness_and_equals_the_requantised(measured) -> None:  # type: ignore[no-untyped-def]
    rows = measured[-1]["conversion_layers"]
    rows = rows[rows["neuron"] == "parallel"]
    seen = rows[rows["view"] == "accumulated"]
    assert not rows["uneven"].any()
    assert (rows["unevenness_squares"] < 1e-20).all()
    assert not seen["differs"].any()
    assert not rows["unsorted"].any()


def test_the_residual_says_the_same_as_the_count(measured) -> None:  # type: ignore[no-untyped-def]
    rows = measured[-1]["conversion_layers"]
    rows = rows[rows["neuron"] == "sequential"]
    assert not rows["residual_wrong"].any()
    assert rows["uneven"].sum() > 100
    assert (rows["residual_more"] + rows["residual_less"] == rows["uneven"]).all()


def test_local_errors_inherit_the_encoding_alone() -> None:
    """At T = levels the encoding of a QCFS activation is exact: nothing is inherited."""
    ann, x = branches()
    found = decompose(ann, convert(ann, "sequential", 4), [x])
    local = found[found["view"] == "local"].set_index(["layer", "source"])["rms"]
    passed_on = found[found["view"] == "accumulated"].set_index(["layer", "source"])["rms"]
    assert local.xs("inherited", level="source").max() < 1e-9
    assert passed_on["act3", "inherited"] > 0.01
    assert local["act3", "unevenness"] > 0.001


def test_the_residual_is_that_of_the_neurons_own_membrane() -> None:
    ann, x = branches()
    net = convert(ann, "sequential", 8)
    seen: list[Step] = []
    with net.layers["act2"].neuron.tap(seen.append):  # type: ignore[union-attr]
        net(x)
    counts = torch.stack([s.spike for s in seen]).sum(0)
    v = seen[-1].membrane_after
    more, less = (v < -1e-9) & (counts > 0), (v >= 1 - 1e-9) & (counts < 8)
    rows = _tables(prepare(ann), {"sequential": net}, x)["conversion_layers"]
    row = rows[(rows["layer"] == "act2") & (rows["time_steps"] == 8)
               & (rows["view"] == "accumulated")].iloc[0]  # fmt: skip
    assert (row["residual_more"], row["residual_less"]) == (more.sum(), less.sum())


def test_paths_by_hand() -> None:
    ann, x = relus()
    prepared = prepare(ann)
    nets = {"parallel": convert(prepared, "parallel", 8, data=[x])}
    paths = _tables(prepared, nets, x)["conversion_paths"]
    assert list(paths["site"].unique()) == ["add"]
    inputs: dict[str, tuple[Tensor, Tensor]] = {}
    for key, network in (("ann", prepared.network), ("snn", nets["parallel"].network)):
        network.get_submodule("add").register_forward_pre_hook(
            lambda _, given, key=key: inputs.update({key: given})
        )
    prepared.network(x)
    nets["parallel"].time_steps = 4
    nets["parallel"](x)
    for index, path in enumerate(("main", "shortcut")):
        error = inputs["snn"][index].unflatten(0, (4, len(x))).mean(0) - inputs["ann"][index]
        row = paths[(paths["path"] == path) & (paths["time_steps"] == 4)].iloc[0]
        assert row["error_squares"] == pytest.approx(float((error**2).sum()), rel=1e-9)


def test_accuracies_are_those_of_the_networks() -> None:
    ann, x = branches()
    y = torch.arange(5) % 3
    prepared = prepare(ann)
    nets = {m: convert(prepared, m, 8) for m in ("parallel", "sequential")}  # type: ignore[arg-type]
    table = _tables(prepared, nets, x, y)["conversion_accuracy"].set_index(["neuron", "time_steps"])
    assert table.loc[("ann", 0), "correct"] == int((ann(x).argmax(1) == y).sum())
    for (name, net), t in [(n, t) for n in nets.items() for t in STEPS]:
        net.time_steps = t
        assert table.loc[(name, t), "correct"] == int((net(x).argmax(1) == y).sum())


def test_decompose_leaves_the_network_as_it_was() -> None:
    ann, x = branches()
    net = convert(ann, time_steps=4)
    before = net(x)
    found = decompose(ann, net, [x], time_steps=[2, 16])
    assert net.time_steps == 4
    assert torch.equal(net(x), before)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert set(found["time_steps"]) == {2, 16}
    assert set(found["source"]) == {*SOURCES, "total"}


def test_decompose_refuses_another_network() -> None:
    ann, x = branches()
    other = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    with pytest.raises(InputError, match="the ANN must be with the activations of the network"):
        decompose(other, convert(ann), [x])
    with pytest.raises(InputError, match="the calibration set must be with samples"):
        decompose(ann, convert(ann), [])


def _captured(network: nn.Module, names: tuple[str, ...], x: Tensor) -> dict[str, tuple]:  # type: ignore[type-arg]
    found, handles = {}, []
    for name in names:
        handle = network.get_submodule(name).register_forward_hook(
            lambda _, given, out, name=name: found.update(
                {name: (given[0].detach().numpy(), out.detach().numpy())}
            )
        )
        handles.append(handle)
    network(x)
    for handle in handles:
        handle.remove()
    return found


def _simulate(current: np.ndarray, theta: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """IF, soft reset, V(0) = theta / 2: spikes of every neuron."""
    v, counts = theta / 2, np.zeros(current.shape[1:])
    for step in current:
        v = v + step
        spikes = v >= theta * (1 - 1e-12)
        v = v - theta * spikes
        counts = counts + spikes
    return counts


def _ideal(z: np.ndarray, theta: np.ndarray, levels: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.clip(np.floor((z * levels / theta + 0.5) * (1 + 1e-13)), 0, levels)


def _parts(kind, theta, ann, z, counts, steps, levels):  # type: ignore[no-untyped-def]
    """Each part in units of theta, by the formulas of the facts."""
    if kind == "qcfs":
        own, reference = _ideal(z, theta, levels) / levels, _ideal(ann, theta, levels) / levels
        clipped = own
    else:
        own, reference = np.maximum(z, 0) / theta, np.maximum(ann, 0) / theta
        clipped = np.clip(z, 0, theta) / theta
    ideal = _ideal(z, theta, steps) / steps
    return {"inherited": own - reference, "clip": clipped - own, "quantisation": ideal - clipped,
            "unevenness": counts / steps - ideal}  # fmt: skip
