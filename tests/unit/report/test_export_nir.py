"""A trained network as a .nir file: read back, it gives the network's own scores."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from snnlens.cli import main
from snnlens.errors import InputError
from snnlens.experiments import _export_nir, _trained
from snnlens.experiments._export_nir_graph import graph_of
from snnlens.models.dvs import DVSNet, dvs_net
from snnlens.models.nir import read_nir, write_nir
from snnlens.models.resnet import ResNet, resnet
from snnlens.neuron.layers import IF, LIF, PLIF, Neuron
from tests.unit.models import official
from tests.unit.runs import answered, saved

Net = ResNet | DVSNet
IMAGE = (3, 16, 16)


def used(model: Net, seed: int = 0) -> Net:
    """As after a training: BatchNorms with statistics and weights of their own."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for norm in [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]:
            norm.running_mean.normal_(0, 0.3, generator=generator)  # type: ignore[union-attr]
            norm.running_var.uniform_(0.5, 2, generator=generator)  # type: ignore[union-attr]
            norm.weight.uniform_(0.5, 1.5, generator=generator)
            norm.bias.normal_(0, 0.3, generator=generator)
    return model.eval()


def images(size: int = 16, steps: int = 3, channels: int = 3) -> Tensor:
    return 2 * torch.rand(
        steps, 2, channels, size, size, generator=torch.Generator().manual_seed(1)
    )


def training() -> Path:
    """The folder that the small training left."""
    record = answered("train").record
    (facts,) = record.networks.values()
    return Path(record.provenance["parameters"]["points"]) / facts["folder"]


NEURONS: dict[str, Callable[[], Neuron]] = {
    "IF": lambda: IF(0.5),
    "LIF": lambda: LIF(tau=2.0, threshold=0.6, reset_potential=-0.25),
    "PLIF": lambda: PLIF(init_tau=3.0),
}


@pytest.mark.parametrize("residual", ["sew", "spiking", "plain", "ms"])
@pytest.mark.parametrize("neuron", NEURONS)
@torch.no_grad()
def test_the_graph_is_the_network(residual: str, neuron: str) -> None:
    """In float64 folding a BatchNorm moves no spike: the scores agree to rounding."""
    options = {"layout": "cifar", "classes": 5, "seed": 0, "neuron": NEURONS[neuron]()}
    model = used(resnet(8, residual=residual, **options)).double()  # type: ignore[arg-type]
    graph = graph_of(model, IMAGE)
    x = images().double()
    assert float((graph(x).mean(0) - model(x)).abs().max()) < 1e-12
    assert float(model(x).std()) > 1e-3
    named = {name for name, _ in model.neurons()}
    assert named <= {name for name, _ in graph.named_modules()}  # sites keep their names


@pytest.mark.parametrize("residual", ["sew", "spiking", "plain"])
@torch.no_grad()
def test_a_max_pool_of_spikes_is_one(residual: str) -> None:
    model = used(
        resnet(18, residual=residual, classes=5, seed=0, neuron=LIF(threshold=0.5))
    ).double()
    graph = graph_of(model, (3, 32, 32))
    x = images(32).double()
    seen: list[Tensor] = []
    for network in (model, graph):
        module = network.get_submodule("maxpool" if network is model else "maxpool_any")
        hook = module.register_forward_hook(lambda _m, _x, y: seen.append(y))
        network(x)
        hook.remove()
    pooled, counted = seen
    assert torch.equal(pooled, counted.flatten(0, 1))
    assert 0.05 < float(pooled.mean()) < 0.95
    assert float((graph(x).mean(0) - model(x)).abs().max()) < 1e-12


@pytest.mark.parametrize("residual", ["spiking", "plain"])
@torch.no_grad()
def test_a_7b_net(residual: str) -> None:
    model = used(dvs_net(residual=residual, neuron=IF(0.3), seed=0)).double()
    x = (images(128, 2, 2) > 1.2).double()
    graph = graph_of(model, (2, 128, 128))
    assert float((graph(x).mean(0) - model(x)).abs().max()) < 1e-12
    assert float(model(x).std()) > 1e-3


@torch.no_grad()
def test_the_file_gives_the_graph_s_bits(tmp_path: Path) -> None:
    graph = graph_of(used(resnet(8, layout="cifar", classes=5, seed=0, neuron=IF(0.5))), IMAGE)
    path = write_nir(graph, tmp_path / "a.nir", IMAGE)
    x = images()
    assert torch.equal(read_nir(path)(x), graph(x))


def test_a_training_folder_is_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, target = training(), tmp_path / "out"
    assert main(["export", str(folder), "--to", "nir", "-o", str(target)]) == 0
    said = json.loads((target / "export.json").read_text(encoding="utf-8"))
    assert (said["model"], said["input_shape"], said["neuron_layers"]) == ("ResNet", [3, 8, 8], 9)
    model = _trained.load(folder)[0].eval()
    folded = sum(
        p.numel() for n, p in model.named_parameters() if "bn" not in n and "downsample.1" not in n
    )
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert said["parameters"] == folded + sum(n.num_features for n in norms)  # one bias each
    read = read_nir(target / f"{folder.name}.nir")
    x = images(8, 2)
    with torch.no_grad():
        gap = (read(x).mean(0) - model(x)).abs().max()
    assert float(gap) < 1e-4  # float32: no spike flips here, scores are of order 1
    out, err = capsys.readouterr()
    assert out == f"{target}\n"
    assert "BatchNorm was folded" in err
    assert "mean over time" in err


def test_the_same_training_gives_the_same_bytes() -> None:
    one, other = (_export_nir.files(str(training()), None, soft_reset=False)[0] for _ in range(2))
    assert one == other


@pytest.mark.parametrize("connect_f", ["ADD", None])
@torch.no_grad()
def test_a_file_of_weights_is_a_model(connect_f: str | None, tmp_path: Path) -> None:
    """The official network itself is the other way to the scores."""
    x = images(32)[0]
    theirs = official.settled(official.Net(18, connect_f, T=2, classes=5), x)
    path = official.save(tmp_path / "w.pth", theirs, args={"connect_f": connect_f, "T": 2})
    files, facts, _ = _export_nir.files(str(path), (3, 32, 32), soft_reset=False)
    (tmp_path / "w.nir").write_bytes(files["w.nir"])
    gap = (read_nir(tmp_path / "w.nir")(x.expand(2, *x.shape)).mean(0) - theirs(x)).abs().max()
    assert float(gap) < 1e-4  # float32: no spike flips here, scores are of order 1
    assert float(theirs(x).std()) > 0.01
    assert (
        facts["neuron_layers"] == sum(isinstance(m, IF) for m in theirs.modules()) + 1
    )  # the pool


def test_weights_that_do_not_say_the_network(tmp_path: Path) -> None:
    torch.save(resnet(8, layout="cifar", seed=0).state_dict(), tmp_path / "w.pth")
    with pytest.raises(InputError) as caught:
        _export_nir.files(str(tmp_path / "w.pth"), None, soft_reset=False)
    assert str(caught.value) == (
        "residual must be given: the weights of ann, plain, spiking, sew and ms are named alike; "
        "got 'nothing'; give file.py:build, whose build() returns "
        'snnlens.models.checkpoints.build(path, residual="sew", connect="add")[0]'
    )


def test_a_name_is_a_model() -> None:
    files, facts, _ = _export_nir.files("sew_resnet8", (3, 8, 8), soft_reset=False)
    assert list(files) == ["sew_resnet8.nir"]
    assert facts["input_shape"] == [3, 8, 8]


def test_a_model_of_one_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(
        "import snnlens\nfrom torch import nn\n"
        "def build():\n    return nn.Sequential(nn.Linear(4, 3), snnlens.IF(reset='soft'))\n",
        encoding="utf-8",
    )
    argv = ["export", "net.py:build", "--to", "nir", "-o", "out"]
    assert main([*argv, "--input-shape", "4", "--soft-reset"]) == 0
    assert {p.name for p in Path("out").iterdir()} == {"net-build.nir", "export.json"}
    assert read_nir("out/net-build.nir")(torch.ones(2, 1, 4)).shape == (2, 1, 3)


REFUSED = {
    "a run": (
        ["RUN"], ("MODEL must be a training folder (train.json), a file of weights, or what names "
        "a model; got '{run} (a run folder, which holds numbers and no model)'; give the folder of "
        "its training"),
    ),
    "a run of a training": (
        ["TRAIN"], ("MODEL must be a training folder (train.json), a file of weights, or what "
        "names a model; got '{train} (a run folder, which holds numbers and no model)'; give "
        "{folder}"),
    ),
    "no model": (
        ["nowhere"], ("MODEL must be a built-in name (sew_resnet18, sew_7b_net), "
        "package.module:factory, file.py:factory or a .nir file; got 'nowhere'"),
    ),
    "and": (
        ["sew_resnet8_and"], ("connect of the network must be add: two edges into one node are a "
        "sum, and NIR has no node for others; got 'and'"),
    ),
    "a pool of counts": (
        ["sew_7b_net"], ("layer layer1.0.maxpool must be of spikes: NIR has no maximum of counts "
        "or currents; got 'a max-pool of other values'"),
    ),
    "a pool of currents": (
        ["ms_resnet18"], ("layer maxpool must be of spikes: NIR has no maximum of counts "
        "or currents; got 'a max-pool of other values'"),
    ),
    "a shape": (
        ["sew_resnet8", "--input-shape", "2,8,8"], ("the input of a ResNet must be [B, 3, H, W] or "
        "[T, B, 3, H, W]; got (1, 1, 2, 8, 8)"),
    ),
    "no shape": (
        ["net.py:build"], ("--input-shape must be the shape of one sample of one time step; got "
        "'nothing'; give it, e.g. --input-shape 2,34,34"),
    ),
    "another shape": (
        ["net.py:build", "--input-shape", "5"], ("--input-shape must be one that fits layer 0; got "
        "(5,); one sample has 5 numbers here"),
    ),
    "a soft reset": (
        ["net.py:build", "--input-shape", "4"], ("reset of layer 1 must be hard: NIR has no other; "
        "got 'soft'; add --soft-reset for a note that only snnlens heeds"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_said_is_one_line(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    argv, said = REFUSED[case]
    where = {"RUN": str(saved("rates")), "TRAIN": str(saved("train"))}
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(
        "import snnlens\nfrom torch import nn\n"
        "def build():\n    return nn.Sequential(nn.Linear(4, 3), snnlens.IF(reset='soft'))\n",
        encoding="utf-8",
    )
    assert main(["export", *(where.get(a, a) for a in argv), "--to", "nir", "-o", "out"]) == 2
    out, err = capsys.readouterr()
    wanted = said.format(run=where["RUN"], train=where["TRAIN"], folder=training())
    assert (out, err) == ("", f"snnlens: {wanted}\n")
    assert not Path("out").exists()


def test_an_ann_of_a_conversion_is_refused(tmp_path: Path) -> None:
    from snnlens.training import folder as folders

    said = {"parameters": {"ann": "mlp"}, "facts": {}, "data_fingerprint": "", "provenance": {}}
    folders.describe(tmp_path / "ann", {"name": "mlp"} | said)
    with pytest.raises(InputError, match="MODEL must be a spiking network; got"):
        _export_nir.files(str(tmp_path / "ann"), None, soft_reset=False)
    with pytest.raises(InputError, match="MODEL must be a training folder"):
        _export_nir.files(str(tmp_path), None, soft_reset=False)
