"""NIR: a trained network on N-MNIST recordings, and single nodes beside other frameworks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import snnlens
from snnlens.data import images
from snnlens.models.graph import Graph
from snnlens.models.nir import read_nir
from snnlens.models.nir_nodes import DT, Reset
from snnlens.neuron.layers import Neuron

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:nirtorch.load is being deprecated:DeprecationWarning"),
]

RIGHT: dict[Reset, int] = {"soft": 98, "hard": 100}  # of 100, as the file's source says
LAYERS = ["1", "3", "6", "10", "12"]
STEPS, BATCH = 300, 10


@pytest.fixture(scope="module")
def recordings(data_root: Path) -> images.Images:
    """Channel = polarity as in the file, bins of 1 ms; what comes after 300 ms is left out."""
    folder = data_root / "events" / "nmnist" / "Test"
    return images.load(f"nmnist:{folder}", samples=100, time_steps=STEPS, bin_ms=1)


@pytest.mark.data
@pytest.mark.parametrize("reset", RIGHT)
def test_a_trained_network_and_its_rates(
    reset: Reset, recordings: images.Images, data_root: Path
) -> None:
    """Under 20 s on one core each: 100 recordings of 300 steps, every neuron output stored."""
    graph = read_nir(data_root / "nir" / "cnn_sinabs.nir", reset=reset)
    right, spikes, elements = 0, dict.fromkeys(LAYERS, 0), dict.fromkeys(LAYERS, 0)
    per_step = {name: np.zeros(STEPS, np.int64) for name in LAYERS}
    with torch.no_grad(), snnlens.record(graph, probes=["firing_rate"]) as rec:
        for x, y in zip(recordings.x.split(BATCH, 1), recordings.y.split(BATCH), strict=True):
            stored, output = _with_outputs(graph, x)
            right += int((output.sum(0).argmax(1) == y).sum())
            for name, array in stored.items():
                assert ((array == 0) | (array == 1)).all()
                spikes[name] += int(array.sum(dtype=np.float64))
                elements[name] += array.size
                per_step[name] += np.count_nonzero(array.reshape(STEPS, -1), axis=1)
    assert right == RIGHT[reset]
    frame = rec.frame().set_index("site")
    assert list(frame.index) == LAYERS
    for name in LAYERS:
        assert spikes[name] > 0
        assert frame.loc[name, "firing_rate"] == spikes[name] / elements[name]
        table = rec.record().tables["firing_rate"].query("site == @name").sort_values("step")
        assert table["total"].astype(np.int64).tolist() == per_step[name].tolist()


def _with_outputs(graph: Graph, x: Tensor) -> tuple[dict[str, np.ndarray], Tensor]:
    """Every neuron's output [T, B, ...], and the network's."""
    stored: dict[str, np.ndarray] = {}
    handles = []
    for name, module in graph.named_modules():
        if isinstance(module, Neuron):

            def keep(_m: nn.Module, _x: Any, out: Tensor, name: str = name) -> None:
                stored[name] = out.numpy()

            handles.append(module.register_forward_hook(keep))
    output = graph(x)
    for handle in handles:
        handle.remove()
    return stored, output


@pytest.mark.data
def test_the_other_order_of_polarities_is_worse(recordings: images.Images, data_root: Path) -> None:
    """The channel is the polarity bit itself. Swapped: 38 of these 40, 92 of all 100."""
    graph = read_nir(data_root / "nir" / "cnn_sinabs.nir", reset="hard")
    x, y = recordings.x[:, :40], recordings.y[:40]
    with torch.no_grad():
        right = int((graph(x.flip(2)).sum(0).argmax(1) == y).sum())
    assert right == 38


# --- single nodes beside other frameworks ------------------------------------------------------


def _arrays(n: int, *values: float) -> list[np.ndarray]:
    return [np.full(n, value, np.float32) for value in values]


def _ours(path: Path, node: nir.NIRNode, x: Tensor, **options: Any) -> Tensor:
    nir.write(path / "a.nir", nir.NIRGraph.from_list(node))
    return read_nir(path / "a.nir", **options)(x)


def _stepwise(module: nn.Module, x: Tensor) -> Tensor:
    state, out = None, []
    for step in x:
        spike, state = module(step, state)
        out.append(spike)
    return torch.stack(out)


def _spikes_equal(ours: Tensor, theirs: Tensor) -> None:
    assert 0.05 < ours.mean() < 0.95
    assert torch.equal(ours, theirs)


@pytest.fixture
def x() -> Tensor:
    return torch.rand(500, 8, 6, generator=torch.Generator().manual_seed(0))


def test_lif_beside_norse(x: Tensor, tmp_path: Path) -> None:
    norse = pytest.importorskip("norse.torch")
    node = nir.LIF(*_arrays(6, 2.5e-3, 1.0, 0.0, 0.4))
    theirs = norse.from_nir(nir.NIRGraph.from_list(node), dt=1e-3)
    _spikes_equal(_ours(tmp_path, node, x, dt=1e-3), _stepwise(theirs, x))


def test_cubalif_beside_norse(x: Tensor, tmp_path: Path) -> None:
    norse = pytest.importorskip("norse.torch")
    node = nir.CubaLIF(*_arrays(6, 3e-3, 5e-3, 1.5, 0.0, 0.8), w_in=np.float32(1.2))
    theirs = norse.from_nir(nir.NIRGraph.from_list(node), dt=1e-3)
    _spikes_equal(_ours(tmp_path, node, x, dt=1e-3), _stepwise(theirs, x))


@pytest.mark.data
def test_the_lif_that_norse_wrote(x: Tensor, data_root: Path) -> None:
    norse = pytest.importorskip("norse.torch")
    path = data_root / "nir" / "lif_norse.nir"
    x = x[..., :1] * 0.3
    theirs = _stepwise(norse.from_nir(nir.read(path), dt=1e-3), x)
    _spikes_equal(read_nir(path, dt=1e-3)(x), theirs)


@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_if_beside_sinabs(reset: Reset, x: Tensor, tmp_path: Path) -> None:
    """Positive currents: sinabs keeps its membrane above -threshold, which NIR does not say."""
    layers, activation = (
        pytest.importorskip(f"sinabs.{name}") for name in ("layers", "activation")
    )
    resets = {"hard": activation.MembraneReset(), "soft": activation.MembraneSubtract()}
    theirs = layers.IAF(
        0.9, reset_fn=resets[reset], spike_fn=activation.SingleSpike
    )  # a multi-spike says several at once
    ours = _ours(tmp_path, nir.IF(*_arrays(6, 1.0, 0.9)), x, reset=reset)
    with torch.no_grad():
        _spikes_equal(ours, theirs(x.transpose(0, 1)).transpose(0, 1))


def _snntorch(node: nir.NIRNode) -> Any:
    """The layer that snnTorch's own reader makes of a node."""
    pytest.importorskip("snntorch")
    from snntorch.import_nir import _nir_to_snntorch_module

    return _nir_to_snntorch_module(node, init_hidden=True)


def test_lif_beside_snntorch(x: Tensor, tmp_path: Path) -> None:
    node = nir.LIF(*_arrays(6, 4e-4, 4.0, 0.0, 1.2))
    theirs = _snntorch(node)
    ours = _ours(tmp_path, node, x)
    with torch.no_grad():
        _spikes_equal(ours, torch.stack([theirs(step) for step in x]))


def test_cubalif_beside_snntorch(x: Tensor, tmp_path: Path) -> None:
    node = nir.CubaLIF(*_arrays(6, 2e-4, 5e-4, 5.0, 0.0, 2.2), w_in=np.float32(2))
    theirs = _snntorch(node)
    ours = _ours(tmp_path, node, x)
    with torch.no_grad():
        _spikes_equal(ours, torch.stack([theirs(step) for step in x]))


@pytest.mark.data
def test_the_recurrent_network_beside_nirtorch(x: Tensor, data_root: Path) -> None:
    """nirtorch runs the graph and delays the closing edge, snnTorch is its neuron."""
    nirtorch, snn = (pytest.importorskip(name) for name in ("nirtorch", "snntorch"))
    path = data_root / "nir" / "braille_noDelay_bias_zero.nir"

    def neuron(node: Any) -> nn.Module:
        alpha, beta = (float(1 - DT / tau[0]) for tau in (node.tau_syn, node.tau_mem))
        return snn.Synaptic(
            alpha, beta, reset_mechanism="zero", init_hidden=True, reset_delay=False
        )

    def affine(node: Any) -> nn.Module:  # nirtorch's own forgets the bias
        layer = nn.Linear(*node.weight.shape[::-1])
        layer.weight.data, layer.bias.data = map(torch.from_numpy, (node.weight, node.bias))
        return layer

    theirs = nirtorch.nir_to_torch(nir.read(path), {nir.CubaLIF: neuron, nir.Affine: affine})
    x = (torch.cat([x, x.flip(0)], dim=2) < 0.3).float()
    with torch.no_grad():
        _spikes_equal(read_nir(path)(x), _stepwise(theirs, x))
