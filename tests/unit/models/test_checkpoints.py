"""Checkpoints: what is read and what is refused, whose weights they are, where each one goes."""

from __future__ import annotations

import hashlib
import os
import re
import types
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path, PosixPath
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from snnlens.errors import InputError
from snnlens.models import checkpoints
from snnlens.models.architecture import Architecture, describe
from snnlens.models.checkpoints import Checkpoint, build, load_into, read
from snnlens.models.dvs import dvs_net
from snnlens.models.foreign_keys import our_names, residual_of
from snnlens.models.plan import plan
from snnlens.models.resnet import ResNet, resnet
from snnlens.neuron.layers import IF, LIF, PLIF
from tests.unit.models import official

KINDS: dict[str | None, tuple[str, str | None]] = {
    "ADD": ("sew", "add"), "AND": ("sew", "and"), "IAND": ("sew", "iand"), None: ("spiking", None),
}  # fmt: skip
WHOLE = "a whole file of weights (torch.save of a state dict, or .safetensors)"
PLAIN = "made of tensors, numbers, texts and one argparse.Namespace"
HOLDS = "a state dict, or a dictionary with one as model, net or state_dict"


def refused(run: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        run()
    assert str(error.value) == message


def small(**options: Any) -> Any:
    return resnet(8, layout="cifar", classes=3, seed=0, **options)


# --- reading -----------------------------------------------------------------------------------


def test_the_official_dictionary(tmp_path: Path) -> None:
    model = small()
    args = {"connect_f": "ADD", "data_path": "/imagenet", "sizes": [1, 2], "adam": False}
    path = official.save(tmp_path / "sew.pth", model, args=args)
    found = read(path)
    assert found.facts == {
        "epoch": 319, "max_test_acc1": 63.182, "test_acc5_at_max_test_acc1": 84.37,
        "args": {"T": 4, "connect_f": "ADD", "lr": 0.1, "model": "x", "data_path": "/imagenet",
                 "adam": False},  # a list is no plain value
        "file": "sew.pth",
    }  # fmt: skip
    assert list(found.weights) == list(model.state_dict())
    assert all(torch.equal(found.weights[k], v) for k, v in model.state_dict().items())


@pytest.mark.parametrize("holder", ["model", "net", "state_dict", None])
@pytest.mark.parametrize("zipped", [True, False])
def test_every_holder_in_both_formats_of_torch(
    holder: str | None, zipped: bool, tmp_path: Path
) -> None:
    state = small().state_dict()
    said = state if holder is None else {holder: state, "max_test_acc": 0.7}
    torch.save(said, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    found = read(tmp_path / "a.pt")
    assert found.facts == {"file": "a.pt"} | ({"max_test_acc": 0.7} if holder else {})
    assert all(torch.equal(found.weights[k], v) for k, v in state.items())


def test_parameters_lose_their_graph(tmp_path: Path) -> None:
    torch.save(dict(small().named_parameters()), tmp_path / "a.pt")
    assert not any(w.requires_grad for w in read(tmp_path / "a.pt").weights.values())


def test_safetensors_with_metadata(tmp_path: Path) -> None:
    state = dict(small().state_dict())
    save_file(state, tmp_path / "a.safetensors", metadata={"epoch": "7", "file": "other"})
    found = read(tmp_path / "a.safetensors")
    assert found.facts == {"epoch": 7, "file": "a.safetensors"}
    assert set(found.weights) == set(state)
    assert all(torch.equal(found.weights[k], v) for k, v in state.items())
    save_file(state, tmp_path / "b.SAFETENSORS")
    assert read(tmp_path / "b.SAFETENSORS").facts == {"file": "b.SAFETENSORS"}


class Call:
    """Unpickled, it calls what it was given."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return self.function, self.arguments


def touch(path: str) -> None:
    Path(path).touch()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("where", ["alone", "among the weights", "in args", "as optimizer"])
@pytest.mark.parametrize(
    ("function", "argument", "name"),
    [
        (os.system, "touch {}", "posix.system"),
        (eval, "open({!r}, 'w')", "eval"),
        (exec, "open({!r}, 'w')", "exec"),
        (touch, "{}", f"{touch.__module__}.touch"),
    ],
)
def test_nothing_of_a_malicious_file_runs(
    function: Any, argument: str, name: str, where: str, zipped: bool, tmp_path: Path
) -> None:
    trace = tmp_path / "it ran"
    call = Call(function, argument.format(str(trace)))
    said: Any = {
        "alone": call,
        "among the weights": {"model": small().state_dict() | {"fc.bias": call}},
        "in args": {"model": small().state_dict(), "args": Namespace(T=4, more=call)},
        "as optimizer": {"model": small().state_dict(), "optimizer": call},
    }[where]
    path = tmp_path / "bad.pth"
    torch.save(said, path, _use_new_zipfile_serialization=zipped)
    refused(
        lambda: read(path),
        f"a checkpoint must be {PLAIN}; got '{path} with {name}'; nothing of the file was run; "
        "save its state_dict() alone, or as safetensors",
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.pth"]
    assert Namespace not in torch.serialization.get_safe_globals()


def test_the_malicious_file_would_have_run(tmp_path: Path) -> None:
    """The test above can fail: without the protection the same file runs."""
    trace = tmp_path / "it ran"
    torch.save(Call(touch, str(trace)), tmp_path / "bad.pth")
    torch.load(tmp_path / "bad.pth", weights_only=False)
    assert trace.exists()


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (types.SimpleNamespace(T=4), "types.SimpleNamespace"),
        (PosixPath("/data"), "pathlib.PosixPath"),
        (np.float64(63.1), "numpy._core.multiarray.scalar"),
    ],
)
def test_namespace_is_the_only_class(value: Any, name: str, tmp_path: Path) -> None:
    path = official.save(tmp_path / "a.pth", small(), args={"more": value})
    refused(
        lambda: read(path),
        f"a checkpoint must be {PLAIN}; got '{path} with {name}'; nothing of the file was run; "
        "save its state_dict() alone, or as safetensors",
    )


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_a_cut_file(share: float, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".pth":
        official.save(path, small())
    else:
        save_file(dict(small().state_dict()), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    refused(lambda: read(path), f"a checkpoint must be {WHOLE}; got '{path}'")


def test_files_of_other_kinds(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros(3))
    (tmp_path / "a.txt").write_text("no weights", encoding="utf-8")
    (tmp_path / "a.bin").write_bytes(bytes(range(256)) * 8)
    (tmp_path / "b.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    script: Any = torch.jit
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        script.save(script.trace(torch.nn.Linear(2, 2), torch.zeros(2)), tmp_path / "jit.pt")
    for name in ("a.npz", "a.txt", "a.bin", "jit.pt"):
        path = tmp_path / name
        refused(lambda path=path: read(path), f"a checkpoint must be {WHOLE}; got '{path}'")
    path = tmp_path / "b.safetensors"
    got = f"{path} (no tensor at all)"
    refused(lambda: read(path), f"a checkpoint must be {HOLDS}; got {got!r}")


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "no.pth"
    refused(lambda: read(path), f"a checkpoint must be a file that exists; got '{path}'")
    refused(
        lambda: read(tmp_path),
        "a checkpoint must be a file of weights (.safetensors, .pth, .pt); got "
        f"'{tmp_path} (a folder)'",
    )


@pytest.mark.parametrize(
    ("said", "holds"),
    [
        (3, "a int"),
        ([torch.zeros(2)], "a list"),
        (torch.zeros(2), "a Tensor"),
        ({}, "no tensor at all"),
        ({"model": {}}, "no tensor at all"),
        ({"epoch": 3}, "a dictionary whose 'epoch' is a int"),
        ({"net": {"a": torch.zeros(1), "b": "text"}}, "a dictionary whose 'b' is a str"),
        ({"model": torch.zeros(1), "lr": 0.1}, "a dictionary whose 'lr' is a float"),
    ],
)
def test_what_holds_no_weights(said: Any, holds: str, tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    torch.save(said, path)
    refused(lambda: read(path), f"a checkpoint must be {HOLDS}; got {f'{path} ({holds})'!r}")


# --- key rules ---------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("connect_f", list(KINDS))
@pytest.mark.parametrize("box", [official.Container, official.TodaysContainer])
def test_official_keys_are_our_keys(depth: int, connect_f: str | None, box: Any) -> None:
    """One to one, with equal shapes, for networks built by the official structure."""
    theirs = official.Net(depth, connect_f, box=box).state_dict()
    residual, connect = KINDS[connect_f]
    ours = resnet(depth, residual=residual, connect=connect, classes=10, seed=0).state_dict()
    names = our_names(theirs)
    assert sorted(names.values()) == sorted(ours)
    assert all(theirs[key].shape == ours[name].shape for key, name in names.items())
    assert residual_of(theirs) == residual


def test_the_examples_of_the_official_repository() -> None:
    examples = {
        "conv1.weight": "conv1.weight",
        "bn1.running_mean": "bn1.running_mean",
        "fc.bias": "fc.bias",
        "layer3.1.conv2.module.0.weight": "layer3.1.conv2.weight",
        "layer3.1.conv2.module.1.num_batches_tracked": "layer3.1.bn2.num_batches_tracked",
        "layer2.0.downsample.0.module.0.weight": "layer2.0.downsample.0.weight",
        "layer2.0.downsample.0.module.1.running_var": "layer2.0.downsample.1.running_var",
        "layer3.0.downsample.module.0.weight": "layer3.0.downsample.0.weight",
        "layer3.0.downsample.module.1.bias": "layer3.0.downsample.1.bias",
        "layer4.0.conv1.0.weight": "layer4.0.conv1.weight",
        "layer4.0.conv1.1.weight": "layer4.0.bn1.weight",
        "layer4.0.downsample.0.0.weight": "layer4.0.downsample.0.weight",
        "layer2.0.downsample_sn.w": "layer2.0.downsample.2.w",
        "layer3.0.downsample.1.w": "layer3.0.downsample.2.w",
    }
    assert our_names(examples) == examples


@pytest.mark.parametrize("residual", ["ann", "plain", "spiking", "sew", "ms"])
@pytest.mark.parametrize("neuron", [IF(), PLIF()])
def test_our_own_keys_stay(residual: str, neuron: Any) -> None:
    """Torchvision's, and those of SpikingJelly's models: none of the rules touches them."""
    keys = list(small(residual=residual, neuron=neuron).state_dict())
    assert our_names(keys) == dict(zip(keys, keys, strict=True))
    told = residual == "sew" and isinstance(neuron, PLIF)  # the time constant of its shortcut
    assert residual_of(keys) == ("sew" if told else None)


def test_the_prefix_of_distributed_training() -> None:
    keys = list(official.Net(18, None).state_dict())
    wrapped = {f"module.{key}": name for key, name in our_names(keys).items()}
    assert our_names(wrapped) == wrapped
    assert residual_of(wrapped) == "spiking"


def test_two_keys_of_one_name() -> None:
    refused(
        lambda: our_names(["layer1.0.conv1.weight", "layer1.0.conv1.module.0.weight"]),
        "the keys of a checkpoint must be different: both are layer1.0.conv1.weight; got "
        "'layer1.0.conv1.weight beside layer1.0.conv1.module.0.weight'",
    )


def test_the_keys_of_the_networks_for_events() -> None:
    """Of a Wide-7B-Net: the second width is conv.9, the pools take every second index."""
    examples = {
        "conv.0.0.module.0.weight": "conv1.weight",
        "conv.0.0.module.1.bias": "bn1.bias",
        "conv.0.1.w": "sn1.w",
        "conv.1.conv.0.0.module.0.weight": "layer1.0.conv1.weight",
        "conv.1.conv.0.0.module.1.running_var": "layer1.0.bn1.running_var",
        "conv.1.conv.0.1.w": "layer1.0.sn1.w",
        "conv.1.conv.1.0.module.0.weight": "layer1.0.conv2.weight",
        "conv.1.conv.1.1.w": "layer1.0.sn2.w",
        "conv.7.conv.1.module.0.weight": "layer1.1.conv2.weight",
        "conv.7.conv.1.module.1.weight": "layer1.1.bn2.weight",
        "conv.7.sn.w": "layer1.1.sn2.w",
        "conv.9.0.module.0.weight": "conv2.weight",
        "conv.9.0.module.1.num_batches_tracked": "bn2.num_batches_tracked",
        "conv.9.1.w": "sn2.w",
        "conv.12.conv.0.0.0.weight": "layer2.0.conv1.weight",
        "conv.12.conv.1.1.weight": "layer2.0.bn2.weight",
        "out.weight": "fc.weight",
        "out.bias": "fc.bias",
    }
    assert our_names(examples) == examples


WIDTHS = {"7B-Net": (32,) * 7, "Wide-7B-Net": (64,) * 4 + (128,) * 3}


@pytest.mark.parametrize("name", list(WIDTHS))
@pytest.mark.parametrize("kind", ["sew", "plain", "basic"])
def test_a_network_for_events_loaded_into_ours(name: str, kind: str, tmp_path: Path) -> None:
    """Each weight at its place: the logits are equal to the bit; w of shape [1] as well."""
    frames = torch.rand(2, 1, 2, 128, 128, generator=torch.Generator().manual_seed(0)).round() * 2
    theirs = official.settled(official.DVSNet(kind, WIDTHS[name]), frames)
    for at, (_, neuron) in enumerate(_neurons(theirs)):
        with torch.no_grad():
            neuron.w += 0.01 * at  # no two alike
    state = {k: v.reshape(1) if k.endswith(".w") else v for k, v in theirs.state_dict().items()}
    torch.save({"net": state, "max_test_acc": 0.744}, tmp_path / "net.pth")
    residual = {"basic": "spiking"}.get(kind, kind)
    ours = dvs_net(name, residual=residual, classes=11, seed=1).eval()
    load_into(ours, read(tmp_path / "net.pth"))
    with torch.no_grad():
        expected, logits = theirs(frames), ours(frames)
    assert torch.equal(logits, expected)
    assert logits.std() > 0.01  # alive to the last layer
    refused(
        lambda: build(tmp_path / "net.pth"),
        "the weights of a checkpoint must be those of a residual network (conv1, layer1.0.conv1, "
        "..., fc); got 'a 7B-Net or Wide-7B-Net'; load them into snnlens.models.dvs.dvs_net(...)",
    )


def _neurons(model: torch.nn.Module) -> list[tuple[str, Any]]:
    return [(n, m) for n, m in model.named_modules() if isinstance(m, PLIF)]


# --- describe ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("depth", "layout"),
    [(18, "imagenet"), (34, "imagenet"), (50, "imagenet"), (101, "imagenet"), (152, "imagenet"),
     (8, "cifar"), (20, "cifar"), (56, "cifar"), (110, "cifar")],
)  # fmt: skip
def test_depth_layout_and_classes_by_shapes(depth: int, layout: str) -> None:
    with torch.device("meta"):  # shapes without numbers
        model = ResNet(plan(depth, layout), "ann", None, IF(), time_steps=1, classes=17)
    assert describe(model.state_dict(), {}) == Architecture(depth, layout, 17)


def test_what_the_file_says_besides() -> None:
    theirs = official.Net(18, "IAND").state_dict()
    said = {"args": {"connect_f": "IAND", "T": 6}}
    assert describe(theirs, said) == Architecture(18, "imagenet", 10, "sew", "iand", 6)
    assert describe(theirs, {"args": {"T": 0}}).time_steps is None
    assert describe(theirs, {"args": "text"}).connect is None
    spiking = official.Net(18, None, neuron=PLIF).state_dict()
    assert describe(spiking, {"args": {"connect_f": None, "T": 4}}) == Architecture(
        18, "imagenet", 10, "spiking", None, 4, "plif"
    )
    refused(
        lambda: describe(theirs, {"args": {"connect_f": "OR"}}),
        "connect_f of a checkpoint must be ADD, AND or IAND; got 'OR'",
    )


def shapes(**named: tuple[int, ...]) -> dict[str, Tensor]:
    return {k.replace("__", "."): torch.empty(v, device="meta") for k, v in named.items()}


RESNET = "those of a residual network (conv1, layer1.0.conv1, ..., fc)"
BLOCKS = "those of a depth 18, 34, 50, 101, 152 (imagenet) or 6n + 2 (cifar)"


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (shapes(a__weight=(2, 2)), f"the weights of a checkpoint must be {RESNET}; got 'a.weight'"),
        (shapes(a=(1,), b=(1,), c=(1,), d=(1,)),
         f"the weights of a checkpoint must be {RESNET}; got 'a, b, c, ...'"),
        (shapes(conv1__weight=(64, 3, 7, 7)),
         f"the weights of a checkpoint must be {RESNET}; got 'conv1.weight'"),
        (shapes(conv1__weight=(64, 3, 3, 3)), ("conv1.weight of a checkpoint must be "
         "[64, 3, 7, 7] (imagenet) or [16, 3, 3, 3] (cifar); got [64, 3, 3, 3]")),
        (shapes(conv1__weight=(64, 3, 7, 7), layer1__0__conv1__weight=(64, 64, 3, 3)),
         f"the blocks of a checkpoint must be {BLOCKS}; got 'basic, 1 per stage'"),
        (shapes(conv1__weight=(16, 3, 3, 3), layer1__0__conv1__weight=(1,),
                layer2__0__conv3__weight=(1,), layer2__1__conv1__weight=(1,)),
         f"the blocks of a checkpoint must be {BLOCKS}; got 'bottleneck, 1, 2 per stage'"),
        ({k: v for k, v in small().state_dict().items() if not k.startswith("fc")},
         (f"the weights of a checkpoint must be {RESNET}; got "
          "'conv1.weight, bn1.weight, bn1.bias, ...'")),
    ],
)  # fmt: skip
def test_weights_of_something_else(weights: dict[str, Tensor], message: str) -> None:
    refused(lambda: describe(weights, {}), message)


def test_what_a_user_adds() -> None:
    free = Architecture(18, "imagenet", 10)
    assert free.agreed(residual="spiking", time_steps=8) == Architecture(
        18, "imagenet", 10, "spiking", None, 8
    )
    assert free.agreed(residual="ms", depth=18, layout="imagenet").residual == "ms"
    known = Architecture(18, "imagenet", 10, "sew", "add", 4)
    assert known.agreed() == known
    assert known.agreed(residual="sew", connect="add", time_steps=4, depth=None) == known


@pytest.mark.parametrize(
    ("known", "given", "message"),
    [
        ({}, {}, ("residual must be given: the weights of ann, plain, spiking, sew and ms are "
                  "named alike; got 'nothing'; give --residual sew --connect add, or --residual "
                  "spiking, ...")),
        ({}, {"residual": "sew"}, ("connect must be given: the checkpoint does not say it; got "
                                   "'nothing'; give --connect add, and or iand")),
        ({"residual": "sew"}, {}, ("connect must be given: the checkpoint does not say it; got "
                                   "'nothing'; give --connect add, and or iand")),
        ({"residual": "spiking"}, {"connect": "add"},
         "connect must be left out: spiking has none; got 'add'"),
        ({"residual": "sew", "connect": "add"}, {"connect": "and"},
         "connect must be add, as the checkpoint says; got 'and'; leave it out"),
        ({"residual": "sew", "connect": "add"}, {"residual": "spiking"},
         "residual must be sew, as the checkpoint says; got 'spiking'; leave it out"),
        ({"time_steps": 4}, {"residual": "ms", "time_steps": 8},
         "time_steps must be 4, as the checkpoint says; got 8; leave it out"),
        ({}, {"depth": 34}, "depth must be 18, as the checkpoint says; got 34; leave it out"),
        ({}, {"layout": "cifar"},
         "layout must be imagenet, as the checkpoint says; got 'cifar'; leave it out"),
    ],
)  # fmt: skip
def test_what_a_user_may_not_say(
    known: dict[str, Any], given: dict[str, Any], message: str
) -> None:
    refused(lambda: Architecture(18, "imagenet", 10, **known).agreed(**given), message)


# --- loading -----------------------------------------------------------------------------------


def test_loading_is_whole() -> None:
    one, other = small(), resnet(8, layout="cifar", classes=3, seed=1)
    official.settled(one, official.images(8))
    load_into(other, Checkpoint(dict(one.state_dict()), {}))
    for name, tensor in one.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name
    assert other.fc.weight.data_ptr() != one.fc.weight.data_ptr()


def test_the_counter_of_old_torch_may_be_missing() -> None:
    model = small()
    state = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    other = resnet(8, layout="cifar", classes=3, seed=1)
    load_into(other, Checkpoint(state, {}))
    assert torch.equal(other.conv1.weight, model.conv1.weight)


def cut(state: dict[str, Tensor], *names: str) -> dict[str, Tensor]:
    return {k: v for k, v in state.items() if k not in names}


CIFAR = "a sew add ResNet-8 (cifar layout, 3 classes)"
LOOKS = "they look like a ResNet-8 (cifar layout, 3 classes)"


@pytest.mark.parametrize(
    ("change", "got", "do"),
    [
        (lambda s: cut(s, "bn1.weight"), "1 missing (bn1.weight)", LOOKS),
        (lambda s: cut(s, *[f"layer1.0.bn1.{n}" for n in ("weight", "bias", "running_mean",
                                                           "running_var")]),
         ("4 missing (layer1.0.bn1.weight, layer1.0.bn1.bias, layer1.0.bn1.running_mean, ...)"),
         LOOKS),
        (lambda s: s | {"extra": torch.zeros(1)}, "1 unexpected (extra)", LOOKS),
        (lambda s: s | {"fc.weight": torch.zeros(5, 64), "fc.bias": torch.zeros(5)},
         "2 of another shape (fc.weight [5, 64] for [3, 64], fc.bias [5] for [3])",
         "they look like a ResNet-8 (cifar layout, 5 classes)"),
        (lambda s: cut(s, "fc.bias") | {"head.bias": torch.zeros(3), "bn1.bias": torch.zeros(2)},
         ("1 missing (fc.bias); 1 unexpected (head.bias); 1 of another shape (bn1.bias [2] for "
          "[16])"), LOOKS),
        (lambda s: {"a.weight": torch.zeros(1)},
         ("47 missing (conv1.weight, bn1.weight, bn1.bias, ...); 1 unexpected (a.weight)"),
         "a checkpoint of another architecture"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit(change: Any, got: str, do: str) -> None:
    model = small()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    weights = change({k: v + 1 for k, v in before.items()})
    refused(
        lambda: load_into(model, Checkpoint(weights, {"file": "a.pth"})),
        f"the weights in a.pth must be those of this {CIFAR[2:]}; got {got!r}; {do}",
    )
    assert all(torch.equal(model.state_dict()[k], v) for k, v in before.items())  # as it was


def test_another_depth_is_named() -> None:
    model = resnet(34, residual="spiking", classes=10, seed=0)
    given = Checkpoint(dict(official.Net(18, "ADD").state_dict()), {"file": "a.pth"})
    with pytest.raises(InputError) as error:
        load_into(model, given)
    text = str(error.value)
    assert text.startswith(
        "the weights in a.pth must be those of this spiking ResNet-34 (imagenet layout, 10 "
        "classes); got '80 missing (layer1.2.conv1.weight, layer1.2.bn1.weight, "
        "layer1.2.bn1.bias, ...)"
    )
    assert text.endswith("they look like a sew ResNet-18 (imagenet layout, 10 classes)")


def test_a_model_that_is_no_resnet() -> None:
    refused(
        lambda: load_into(torch.nn.Linear(2, 2), Checkpoint(dict(small().state_dict()), {})),
        "the weights in the checkpoint must be those of this network; got '2 missing (weight, "
        "bias); 56 unexpected (conv1.weight, bn1.weight, bn1.bias, ...)'; " + LOOKS,
    )


# --- build -------------------------------------------------------------------------------------


@pytest.mark.parametrize("connect_f", ["ADD", "IAND", None])
def test_build_from_an_official_file(connect_f: str | None, tmp_path: Path) -> None:
    """The file of an official network: kind, g, T and classes from it, outputs equal to the bit."""
    images = official.images()
    theirs = official.settled(official.Net(18, connect_f, T=3, classes=7), images)
    args = {"connect_f": connect_f, "T": 3}
    path = official.save(tmp_path / "net_319.pth", theirs, args=args)
    model, facts = build(path)
    assert (model.residual, model.connect) == KINDS[connect_f]
    assert (model.time_steps, model.classes, model.plan.depth) == (3, 7, 18)
    assert not model.training
    with torch.no_grad():
        expected, logits = theirs(images), model(images)
    assert torch.equal(logits, expected)
    assert logits.std() > 0.1  # alive to the last layer
    assert facts == {
        "checkpoint": "net_319.pth",
        "checkpoint_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "classes": 7, "epoch": 319, "max_test_acc1": 63.182, "test_acc5_at_max_test_acc1": 84.37,
    }  # fmt: skip


def test_another_g_gives_other_outputs(tmp_path: Path) -> None:
    """The test above can fail: the same weights under another g are another network."""
    images = official.images()
    theirs = official.settled(official.Net(18, "ADD", T=3), images)
    path = official.save(tmp_path / "a.pth", theirs, args={"connect_f": "IAND", "T": 3})
    with torch.no_grad():
        assert not torch.allclose(theirs(images), build(path)[0](images), atol=0.1)


def test_build_from_bare_weights_needs_words(tmp_path: Path) -> None:
    model = small(residual="sew", connect="and", time_steps=5)
    torch.save(model.state_dict(), tmp_path / "a.pt")
    made, facts = build(tmp_path / "a.pt", residual="sew", connect="and", time_steps=5)
    assert made.facts() == model.facts()
    assert sorted(facts) == ["checkpoint", "checkpoint_sha256", "classes"]
    assert build(tmp_path / "a.pt", residual="ms")[0].time_steps == 4
    refused(
        lambda: build(tmp_path / "a.pt", residual="sew"),
        "connect must be given: the checkpoint does not say it; got 'nothing'; give --connect add, "
        "and or iand",
    )


def test_the_neuron_of_a_file_with_time_constants(tmp_path: Path) -> None:
    """PLIF is recognised, and each layer's time constant arrives, of shape [1] too."""
    images = official.images()
    theirs = official.settled(official.Net(18, "ADD", neuron=PLIF), images)
    for at, (_, neuron) in enumerate(_neurons(theirs)):
        with torch.no_grad():
            neuron.w -= 0.05 * at
    state = {k: v.reshape(1) if k.endswith(".w") else v for k, v in theirs.state_dict().items()}
    args = Namespace(connect_f="ADD", T=4)
    torch.save(OrderedDict(model=state, args=args), tmp_path / "a.pth")
    model, _ = build(tmp_path / "a.pth")
    with torch.no_grad():
        assert torch.equal(model(images), theirs(images))
    refused(
        lambda: build(tmp_path / "a.pth", neuron=IF(0.5)),
        "neuron must be plif: the checkpoint has time constants; got 'if'",
    )


def test_the_neuron_of_a_file_without(tmp_path: Path) -> None:
    torch.save(small().state_dict(), tmp_path / "a.pt")
    model, _ = build(tmp_path / "a.pt", residual="spiking", neuron=LIF(3.0, threshold=0.5))
    assert {str(n) for _, n in model.neurons()} == {str(LIF(3.0, threshold=0.5))}
    refused(
        lambda: build(tmp_path / "a.pt", residual="spiking", neuron=PLIF()),
        "neuron must be if or lif: the checkpoint has no time constants; got 'plif'",
    )


def test_wide_networks_are_another_architecture(tmp_path: Path) -> None:
    """wide_resnet50_2 has the keys of ResNet-50, and other shapes."""
    state = resnet(50, residual="ann", classes=10, seed=0).state_dict()
    name = "layer1.0.conv1.weight"
    torch.save(dict(state) | {name: torch.zeros(128, 64, 1, 1)}, tmp_path / "wide.pt")
    refused(
        lambda: build(tmp_path / "wide.pt", residual="ann"),
        "the weights in wide.pt must be those of this ann ResNet-50 (imagenet layout, 10 classes); "
        f"got '1 of another shape ({name} [128, 64, 1, 1] for [64, 64, 1, 1])'; they look like a "
        "ResNet-50 (imagenet layout, 10 classes)",
    )


def test_no_file_is_unpickled_here() -> None:
    """Every torch.load of the module says weights_only=True."""
    source = Path(checkpoints.__file__).read_text(encoding="utf-8")
    loads = re.findall(r"torch\.load\(.*\)", source)
    assert len(loads) == 1
    assert "weights_only=True" in loads[0]
