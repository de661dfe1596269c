"""Rasters and membranes: against scalar loops, for several frameworks and both ways of calling."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sinabs.activation
import sinabs.layers
import snntorch
import torch
from spikingjelly.activation_based import neuron as jelly
from torch import Tensor, nn

from snnlens.adapters._survey import survey
from snnlens.attribution.bridge import Bridge
from snnlens.attribution.traces import membranes, rasters
from snnlens.errors import InputError
from snnlens.neuron.layers import IF, LIF
from snnlens.neuron.parallel import ParallelIF

STEPS, SAMPLES, INPUTS, HIDDEN = 9, 3, 5, 12
COLUMNS = ["sample", "site", "neuron", "step", "membrane", "threshold", "spike"]
Loop = Callable[[list[float]], list[float]]  # H from the currents of one neuron


def leaky(currents: list[float], threshold: float = 0.25) -> list[float]:
    """LIF with tau 2 and a hard reset to 0."""
    v, found = 0.0, []
    for x in currents:
        h = v + (x - v) / 2
        found.append(h)
        v = 0.0 if h >= threshold else h
    return found


def late(currents: list[float], beta: float = 0.8, threshold: float = 0.25) -> list[float]:
    """snnTorch's Leaky: the spike of a step is subtracted in the next."""
    h, found = 0.0, []
    for x in currents:
        h = beta * h + x - (threshold if h > threshold else 0.0)
        found.append(h)
    return found


def subtracted(currents: list[float], threshold: float = 0.25) -> list[float]:
    """sinabs' LIF with tau_mem 3 and norm_input."""
    v, found, a = 0.0, [], math.exp(-1 / 3)
    for x in currents:
        h = a * v + (1 - a) * x
        found.append(h)
        v = h - threshold if h >= threshold else h
    return found


@dataclass(frozen=True)
class Kind:
    """A framework's neuron, how its model takes x, and its membrane in plain Python."""

    make: Callable[[], nn.Module]
    entering: Any
    loop: Loop
    dtype: torch.dtype = torch.float64


def _sinabs() -> nn.Module:
    return sinabs.layers.LIF(
        tau_mem=3.0, spike_threshold=0.25, spike_fn=sinabs.activation.SingleSpike
    )


KINDS = {
    "snnlens": Kind(lambda: LIF(threshold=0.25), "time first", leaky),
    "spikingjelly": Kind(lambda: jelly.LIFNode(2.0, v_threshold=0.25, step_mode="m"), "time first",
                         leaky),
    "spikingjelly, per step": Kind(lambda: jelly.LIFNode(2.0, v_threshold=0.25), "one step", leaky),
    # the spikes of snnTorch and the states of sinabs are float32 whatever their input is
    "snntorch": Kind(lambda: snntorch.Leaky(0.8, threshold=0.25, init_hidden=True), "one step",
                     late, torch.float32),
    "sinabs": Kind(_sinabs, "batch first", subtracted, torch.float32),
}  # fmt: skip
each = pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))


def net(make: Callable[[], nn.Module]) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(INPUTS, HIDDEN), make(), nn.Linear(HIDDEN, 4), make())


def bridged(kind: Kind) -> tuple[Bridge, Tensor]:
    x = 3 * torch.rand(STEPS, SAMPLES, INPUTS, generator=torch.Generator().manual_seed(0)).double()
    x = x.to(kind.dtype)
    model = net(kind.make).to(kind.dtype)
    given = x.transpose(0, 1) if kind.entering == "batch first" else x
    bridge = Bridge(model, survey(model), given, kind.entering)
    return bridge, x.transpose(0, 1)


def currents_of(bridge: Bridge, x: Tensor, site: str) -> np.ndarray:
    """[T, N, neurons], what the layer was given."""
    kept: list[Tensor] = []

    def keep(name: str, step: int, current: Tensor | None, spikes: Tensor) -> None:
        if name == site and current is not None:
            kept.append(current)

    with torch.no_grad(), bridge.around(keep):
        bridge(x)
    return torch.cat(kept).double().numpy()


@each
@pytest.mark.parametrize("site", ["1", "3"])
def test_membranes_against_a_scalar_loop(kind: Kind, site: str) -> None:
    bridge, x = bridged(kind)
    found = membranes(bridge, x, site, neurons=HIDDEN)
    given, spikes = currents_of(bridge, x, site), bridge.spikes(x)[site]
    # 9 steps of 3 operations on values below 8, half a unit in the last place each
    atol = 27 * 8 * (2.0**-53 if kind.dtype == torch.float64 else 2.0**-24)
    assert list(found) == COLUMNS
    assert len(found) == given.size
    for (n, i), part in found.groupby(["sample", "neuron"]):
        assert part["step"].tolist() == list(range(STEPS))
        expected = kind.loop(given[:, n, i].tolist())
        np.testing.assert_allclose(part["membrane"], expected, rtol=0, atol=atol)
        assert part["spike"].tolist() == (spikes[n, :, i] == 1).tolist()
    assert (found["spike"] == (found["membrane"] >= found["threshold"])).all()
    assert set(found["threshold"]) == {0.25}
    assert found["spike"].any()
    assert not found["spike"].all()


@each
def test_the_most_active_neurons_are_taken(kind: Kind) -> None:
    bridge, x = bridged(kind)
    counts = bridge.spikes(x)["1"].sum((0, 1)).tolist()
    best = sorted(sorted(range(HIDDEN), key=lambda i: (-counts[i], i))[:3])
    found = membranes(bridge, x, "1")
    assert sorted(set(found["neuron"])) == best
    assert found["spike"].sum() == sum(counts[i] for i in best)


@each
def test_looking_leaves_no_hook_and_no_state(kind: Kind) -> None:
    bridge, x = bridged(kind)
    before = bridge(x)
    first = membranes(bridge, x, "1")
    pd.testing.assert_frame_equal(first, membranes(bridge, x, "1"))
    assert torch.equal(bridge(x), before)
    for module in bridge.model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_a_layer_of_which_nobody_knows_a_membrane_has_no_row() -> None:
    bridge, x = bridged(Kind(lambda: ParallelIF(0.25), "time first", leaky))
    found = membranes(bridge, x, "1")
    assert (list(found), len(found)) == (COLUMNS, 0)
    assert found.dtypes["spike"] == "bool"
    assert found.dtypes["step"] == "int64"
    assert rasters(bridge, x, ["1"])[1]["threshold"].isna().all()


def test_many_spikes_at_once_are_one_row() -> None:
    """sinabs without SingleSpike gives integers; its H comes from a loop with its own spikes."""
    make = lambda: sinabs.layers.IAF(spike_threshold=0.25)  # noqa: E731
    bridge, x = bridged(Kind(make, "batch first", leaky, torch.float32))
    spikes = bridge.spikes(x)["1"]
    assert spikes.max() > 1
    table, layers = rasters(bridge, x, ["1"])
    assert len(table) == int((spikes > 0).sum())
    assert layers["spikes"].tolist() == [float(spikes.sum())]
    found = membranes(bridge, x, "1", neurons=1)
    neuron = int(found["neuron"].iloc[0])
    v, given = 0.0, currents_of(bridge, x, "1")[:, 0, neuron]
    for h, current, count in zip(
        found["membrane"], given, spikes[0, :, neuron].tolist(), strict=False
    ):
        assert h == pytest.approx(v + current, abs=1e-5)  # float32, as above
        assert count == max(math.floor(h / 0.25), 0)
        v = h - 0.25 * count


@each
@pytest.mark.parametrize("most", [3, 12, 200])
def test_rasters_are_the_spikes(kind: Kind, most: int) -> None:
    bridge, x = bridged(kind)
    table, layers = rasters(bridge, x, ["3", "1"], most)
    assert list(table) == ["sample", "site", "step", "neuron"]
    assert layers["site"].tolist() == ["3", "1"]
    assert layers["neurons"].tolist() == [4, HIDDEN]
    assert layers["shown"].tolist() == [min(most, 4), min(most, HIDDEN)]
    assert layers["threshold"].tolist() == [0.25, 0.25]
    for row in layers.itertuples():
        spikes = bridge.spikes(x)[row.site]
        assert row.spikes == spikes.sum()
        found = set(
            table[table["site"] == row.site][["sample", "step", "neuron"]].itertuples(index=False)
        )
        shown = (
            range(row.neurons)
            if most >= row.neurons
            else {4: (0, 2, 3), 12: (0, 6, 11)}[row.neurons]
        )
        expected = {
            (n, t, i) for n, t, i in np.ndindex(*spikes.shape) if i in shown and spikes[n, t, i]
        }
        assert found == expected


def test_a_neuron_has_the_number_of_its_place_in_the_flattened_output() -> None:
    torch.manual_seed(0)

    class Conv(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.sn, self.fc = nn.Conv2d(1, 2, 2, bias=False), IF(1.0), nn.Linear(8, 3)
            nn.init.ones_(self.conv.weight)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.sn(self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2])).flatten(2))

    x = torch.zeros(2, 1, 1, 3, 3)
    x[1, 0, 0, 2, 0] = 1  # seen by row 1, column 0 of both channels: 2 and 4 + 2
    model = Conv()
    bridge = Bridge(model, survey(model), x, "time first")
    table, _ = rasters(bridge, x.transpose(0, 1), ["sn"])
    assert table[["step", "neuron"]].to_numpy().tolist() == [[1, 2], [1, 6]]
    found = membranes(bridge, x.transpose(0, 1), "sn", neurons=2)
    assert found[found["spike"]][["step", "neuron"]].to_numpy().tolist() == [[1, 2], [1, 6]]


def test_an_unknown_layer() -> None:
    bridge, x = bridged(KINDS["snnlens"])
    for look in (lambda: membranes(bridge, x, "9"), lambda: rasters(bridge, x, ["1", "9"])):
        with pytest.raises(InputError, match="a spiking layer must be one of 1, 3; got '9'"):
            look()
