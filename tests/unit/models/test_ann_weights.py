"""Weights of ANNs from a file: which names are allowed for, what is refused, real accuracies."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from snnlens.data import sets
from snnlens.data.readers import mnist
from snnlens.data.source import Request
from snnlens.errors import InputError
from snnlens.models.ann import cifar_resnet, mlp, resnet
from snnlens.models.ann_weights import load_weights

ROOT = Path(__file__).parents[3]
DO = "give the file of this very network, or build the network as the file's was"
PUBLISHED = {20: ("91.49", 796), 56: ("93.10", 810)}  # percent, of 870 images


def small(seed: int = 0) -> nn.Module:
    return cifar_resnet(8, 3, seed=seed)


def saved(path: Path, state: dict[str, Tensor]) -> Path:
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(name == n and torch.equal(x, y) for (name, x), (n, y) in pairs)


def renamed(state: dict[str, Tensor], change: Callable[[str], str]) -> dict[str, Tensor]:
    return {change(name): tensor for name, tensor in state.items()}


def refusal(model: nn.Module, path: Path) -> str:
    """The error's line; the model is as it was."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(InputError) as caught:
        load_weights(model, path)
    assert all(torch.equal(before[n], t) for n, t in model.state_dict().items())
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- what fits -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.pt", "a.pth", "a.safetensors"])
def test_a_state_dict(tmp_path: Path, name: str) -> None:
    theirs, own = small(0), small(1)
    assert not same(theirs, own)
    path = saved(tmp_path / name, theirs.state_dict())
    facts = load_weights(own, str(path))
    assert same(theirs, own)
    assert facts == {"weights": name,
                     "weights_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}  # fmt: skip


@pytest.mark.parametrize("holder", ["state_dict", "model", "net"])
def test_a_holder_and_the_prefix_of_data_parallel(tmp_path: Path, holder: str) -> None:
    theirs, own = small(0), small(1)
    state = renamed(theirs.state_dict(), lambda name: f"module.{name}")
    torch.save({holder: state, "epoch": 3}, tmp_path / "a.pt")
    load_weights(own, tmp_path / "a.pt")
    assert same(theirs, own)


def test_a_module_that_is_called_module(tmp_path: Path) -> None:
    """A prefix stands before all names; else it is a name."""
    net = nn.Sequential()
    net.add_module("module", nn.Linear(2, 2))
    net.add_module("fc", nn.Linear(2, 2))
    other = nn.Sequential()
    other.add_module("module", nn.Linear(2, 2))
    other.add_module("fc", nn.Linear(2, 2))
    load_weights(other, saved(tmp_path / "a.pt", net.state_dict()))
    assert same(net, other)


@pytest.mark.parametrize(("here", "there"), [("fc.", "linear."), ("linear.", "fc.")])
def test_the_read_out_by_its_other_name(tmp_path: Path, here: str, there: str) -> None:
    own, theirs = nn.Sequential(), nn.Sequential()
    for net, name in ((own, here), (theirs, there)):
        net.add_module("conv1", nn.Conv2d(1, 2, 3))
        net.add_module(name[:-1], nn.Linear(2, 2))
    load_weights(own, saved(tmp_path / "a.pt", theirs.state_dict()))
    for one, other in zip(own.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_network_with_both_names_has_both(tmp_path: Path) -> None:
    own, theirs = nn.ModuleDict(), nn.ModuleDict()
    for net in (own, theirs):
        net["fc"], net["linear"] = nn.Linear(2, 2), nn.Linear(2, 2)
    load_weights(own, saved(tmp_path / "a.pt", theirs.state_dict()))
    assert same(own, theirs)
    del theirs["fc"]
    message = refusal(own, saved(tmp_path / "b.pt", theirs.state_dict()))
    assert "'2 missing (fc.weight, fc.bias)'" in message


def test_counters_of_batch_norm(tmp_path: Path) -> None:
    """Missing they are 0; where the network counts nothing they are left out."""
    theirs, own = small(0), small(1)
    for module in (*theirs.modules(), *own.modules()):
        if isinstance(module, nn.BatchNorm2d):
            assert module.num_batches_tracked is not None
            module.num_batches_tracked += 7
    state = theirs.state_dict()
    without = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    load_weights(own, saved(tmp_path / "a.pt", without))
    found = own.state_dict()
    assert all(torch.equal(found[k], without[k]) for k in without)
    assert all(found[k] == 0 for k in set(found) - set(without))
    load_weights(own, saved(tmp_path / "b.pt", state))
    assert same(theirs, own)
    frozen = nn.Module()  # as torchvision's FrozenBatchNorm2d
    for name in ("weight", "bias", "running_mean", "running_var"):
        frozen.register_buffer(name, torch.full((2,), 5.0))
    load_weights(frozen, saved(tmp_path / "c.pt", nn.BatchNorm2d(2).state_dict()))
    assert frozen.state_dict()["running_mean"].tolist() == [0, 0]


def test_the_network_keeps_its_dtype_and_its_mode(tmp_path: Path) -> None:
    theirs, own = small(0), small(1).double().eval()
    load_weights(own, saved(tmp_path / "a.pt", theirs.half().state_dict()))
    assert not own.training
    weight = own.get_submodule("fc").weight
    assert isinstance(weight, Tensor)
    assert weight.dtype == torch.float64
    assert torch.equal(weight, small(0).get_submodule("fc").weight.half().double())


def test_torchvisions_names_fit(tmp_path: Path) -> None:
    theirs, own = (resnet(18, 2, stem="cifar", seed=seed) for seed in (0, 1))
    load_weights(own, saved(tmp_path / "a.safetensors", theirs.state_dict()))
    assert same(theirs, own)


# --- what does not -------------------------------------------------------------------------------


def test_names_and_shapes_that_do_not_fit(tmp_path: Path) -> None:
    own, state = mlp(5, 4, features=4, classes=2), mlp(5, 4, features=4, classes=2).state_dict()
    for i in range(1, 6):
        del state[f"fc{i}.weight"]
    state["extra.bias"] = torch.zeros(2)
    state["bn1.bias"], state["bn2.bias"] = torch.zeros(5), torch.zeros(4, dtype=torch.int8)
    assert refusal(own, saved(tmp_path / "a.pt", state)) == (
        "the weights in a.pt must be those of this network; got "
        "'5 missing (fc1.weight, fc2.weight, fc3.weight, ...); 1 unexpected (extra.bias); "
        f"2 of another shape (bn1.bias [5] for [4], bn2.bias [4] int8 for [4])'; {DO}"
    )


def test_another_network(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.safetensors", cifar_resnet(14, 3).state_dict())
    # one block more in each stage: two convolutions and two BatchNorms of four tensors
    assert f"'{3 * (2 + 2 * 4)} unexpected (layer1.1.bn1.bias, " in refusal(small(), path)
    wider = saved(tmp_path / "b.pt", cifar_resnet(8, 4).state_dict())
    assert "'2 of another shape (fc.weight [4, 64] for [3, 64], fc.bias [4] for [3])'" in refusal(
        small(), wider
    )


def test_no_other_name_is_guessed(tmp_path: Path) -> None:
    """Names of containers, which checkpoints of spiking networks have, stay as they are."""
    state = {f"conv1.0.{k}": v for k, v in nn.Linear(2, 2).state_dict().items()}
    own = nn.ModuleDict({"conv1": nn.ModuleList([nn.Linear(2, 2)])})
    load_weights(own, saved(tmp_path / "a.pt", state))
    message = refusal(nn.ModuleDict({"conv1": nn.Linear(2, 2)}), tmp_path / "a.pt")
    assert "2 missing (conv1.weight, conv1.bias); 2 unexpected (conv1.0.weight" in message


class Call:
    """Unpickled, it calls what it was given."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return self.function, self.arguments


def test_nothing_of_a_file_is_run(tmp_path: Path) -> None:
    trace = tmp_path / "it ran"
    path = saved(tmp_path / "a.pt", small().state_dict() | {"x": Call(Path.touch, trace)})
    assert "nothing of the file was run" in refusal(small(), path)
    assert not trace.exists()


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_a_file_that_is_missing_cut_or_of_another_kind(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    exists = f"a checkpoint must be a file that exists; got '{path}'"
    assert refusal(small(), path) == exists
    whole = saved(path, small().state_dict()).read_bytes()
    for broken in (whole[: len(whole) // 2], b"", b"no weights"):
        path.write_bytes(broken)
        wanted = "a whole file of weights (torch.save of a state dict, or .safetensors)"
        assert refusal(small(), path) == f"a checkpoint must be {wanted}; got '{path}'"


# --- real weights --------------------------------------------------------------------------------


def right(model: nn.Module, batches: Any) -> int:
    """How many images are classified right."""
    model.eval()
    with torch.no_grad():
        return sum(int((model(x).argmax(1) == y).sum()) for x, y in batches)


@pytest.mark.data
@pytest.mark.parametrize("depth", PUBLISHED)
def test_cifar10_resnets(data_root: Path, depth: int) -> None:
    """Akamaster's networks, with their published accuracy on the 870 images."""
    percent, wanted = PUBLISHED[depth]
    _, test = sets.load(f"cifar10:{data_root / 'cifar10' / 'cifar10_balanced.npz'}")
    model = cifar_resnet(depth)
    load_weights(model, data_root / "weights" / f"cifar10_resnet{depth}.safetensors")
    assert right(model, test.in_order(145)) == wanted
    assert f"{100 * wanted / len(test):.2f}" == percent


@pytest.mark.data
@pytest.mark.parametrize("scale", [1, 255])
def test_the_example_for_mnist(data_root: Path, scale: int) -> None:
    """97.88 %; without biases the unit of the pixels changes no decision."""
    file = ROOT / "examples" / "mnist_ann.py"
    spec = importlib.util.spec_from_file_location("mnist_ann", file)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    model = example.build()
    load_weights(model, data_root / "weights" / "sinabs_mnist_params.pt")
    source = mnist.read(data_root / "mnist", Request(samples=1, image_size=None, seed=0))
    pixels = torch.from_numpy(source.pixels(np.arange(10_000))) * scale
    labels = torch.from_numpy(source.labels)
    assert right(model, zip(pixels.split(500), labels.split(500), strict=True)) == 9788
