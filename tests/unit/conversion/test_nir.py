"""A converted network written as NIR and read back: the same steps; what others do is noted."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from snnlens.conversion.activations import QCFS
from snnlens.conversion.convert import convert
from snnlens.conversion.nir import export_nir
from snnlens.data.sets import load
from snnlens.errors import InputError
from snnlens.models.ann import build
from snnlens.models.ann_weights import load_weights
from snnlens.models.nir import read_nir
from snnlens.neuron.layers import IF

nir = pytest.importorskip("nir")


def test_a_chain_has_the_same_bits(tmp_path: Path) -> None:
    torch.manual_seed(0)
    ann = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), QCFS(4, 0.7), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(36, 8), QCFS(4, 0.9), nn.Linear(8, 3),
    ).eval()  # fmt: skip
    x = torch.rand(6, 2, 8, 8)
    net = convert(ann, "sequential", 8)
    read = read_nir(export_nir(net, tmp_path / "a.nir", (2, 8, 8)))
    found = read(x.expand(8, *x.shape))
    assert torch.equal(found, net.steps(x))
    assert found.std() > 0
    neurons = [m for m in read.modules() if isinstance(m, IF)]
    assert [(n.rule.reset, n.rule.initial_potential) for n in neurons] == [("soft", 0.5)] * 2


def test_a_residual_network(tmp_path: Path) -> None:
    """Thresholds per channel, sums, a global pool: counts equal, outputs to a pool's rounding."""
    torch.manual_seed(0)
    ann, x = build("resnet20", shape=(3, 16, 16), seed=0, shortcut="B"), torch.rand(3, 3, 16, 16)
    ann(x)
    net = convert(ann.eval(), "sequential", 6, data=[x])
    read = read_nir(export_nir(net, tmp_path / "a.nir", (3, 16, 16)))
    found, wanted = read(x.expand(6, *x.shape)), net.steps(x)
    # the global pool divides by 16 in one and adapts in the other: float32
    assert torch.allclose(found, wanted, rtol=0, atol=1e-5)
    assert wanted.std() > 1e-3


def test_what_nir_cannot_say_is_noted(tmp_path: Path) -> None:
    ann = nn.Sequential(nn.Linear(4, 3), QCFS(4, 0.5), nn.Linear(3, 2))
    said = nir.read(export_nir(convert(ann, "sequential"), tmp_path / "a.nir", (4,)))
    node = said.nodes["1"]
    assert node.metadata == {"fires": "v >= v_threshold", "reset": "soft", "v0": "0.5"}
    assert node.v_threshold.tolist() == [1.0] * 3
    assert node.r.tolist() == [2.0] * 3
    for word in ("subtraction", "begin at v0", "v >= v_threshold", "mean over time"):
        assert word in said.metadata["note"]


def test_another_reader_loses_spikes(tmp_path: Path) -> None:
    """What the note warns of: reset to v_reset, from rest, gives other counts."""
    torch.manual_seed(0)
    ann, x = nn.Sequential(nn.Linear(4, 30), QCFS(8, 0.5), nn.Linear(30, 2)), torch.rand(50, 4)
    net = convert(ann, "sequential", 8)
    path = export_nir(net, tmp_path / "a.nir", (4,))
    hard = read_nir(path, reset="hard")
    assert not torch.equal(hard(x.expand(8, *x.shape)), net.steps(x))


@pytest.mark.parametrize(("make", "message"), [
    (lambda a: convert(a, "parallel"), (
        "the neurons of a NIR graph must be sequential: a parallel neuron is no differential "
        "equation; got 'parallel'; convert with method=\"sequential\""
    )),
    (lambda a: convert(a, "sequential", folded=False),
     "layer 1 must be one that NIR has; got 'BatchNorm1d'; convert with BatchNorms folded"),
])  # fmt: skip
def test_refused(make, message: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    ann = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), QCFS(4, 0.5), nn.Linear(3, 2)).eval()
    with pytest.raises(InputError) as error:
        export_nir(make(ann), tmp_path / "a.nir", (4,))
    assert str(error.value) == message
    assert not list(tmp_path.iterdir())


@pytest.mark.data
def test_a_published_network(tmp_path: Path, data_root: Path) -> None:
    """sinabs' MNIST network, converted with its own thresholds: the same spikes after a file."""
    ann = nn.Sequential(
        nn.Conv2d(1, 20, 5, bias=False), nn.ReLU(), nn.AvgPool2d(2),
        nn.Conv2d(20, 32, 5, bias=False), nn.ReLU(), nn.AvgPool2d(2),
        nn.Conv2d(32, 128, 3, bias=False), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(128, 500, bias=False), nn.ReLU(), nn.Linear(500, 10, bias=False),
    )  # fmt: skip
    load_weights(ann, data_root / "weights/sinabs_mnist_params.pt")
    x, y = load("mnist:" + str(data_root / "mnist"))[1].batch(torch.arange(32))
    net = convert(ann, "sequential", 16, data=[x])
    read = read_nir(export_nir(net, tmp_path / "a.nir", (1, 28, 28)))
    assert torch.equal(read(x.expand(16, *x.shape)), net.steps(x))
    assert (net(x).argmax(1) == y).float().mean() > 0.9
