"""write_nir: read back bit for bit, whole or not at all, and what NIR can not say."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from snnlens.errors import InputError
from snnlens.models.graph import Current, Graph, chain
from snnlens.models.nir import read_nir, write_nir
from snnlens.models.resnet import resnet
from snnlens.neuron.layers import IF, LIF, PLIF, Neuron

STEPS, BATCH = 12, 3


def convolutional() -> nn.Sequential:
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(2, 4, 3, padding=1, bias=False), IF(0.3)),
        nn.AvgPool2d(2),
        nn.Identity(),
        nn.Conv2d(4, 6, (3, 3), stride=(2, 1), dilation=(1, 1), padding="valid"),
        LIF(3.7, threshold=0.1, decay_input=False),
        nn.AvgPool2d((1, 2), divisor_override=1),
        nn.Flatten(),
        nn.Linear(12, 5, bias=False),
        LIF(2.0, threshold=0.05, reset_potential=-0.1),
        nn.Linear(5, 3),
        IF(0.1, reset_potential=0.02),
    )


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "convolutional": (convolutional, (2, 10, 8)),
    "irrational tau": (
        lambda: nn.Sequential(LIF(math.pi, threshold=0.4), LIF(math.e, threshold=0.3)), (7,)
    ),
    "conv1d": (lambda: nn.Sequential(nn.Conv1d(2, 3, 3, padding="same"), IF()), (2, 9)),
    "some axes": (lambda: nn.Sequential(nn.Flatten(2, -1), nn.Flatten(-2, -1), IF()), (2, 3, 4)),
    "one layer": (IF, (4,)),
    "twice the same": (lambda: nn.Sequential(*[IF(0.5)] * 2, nn.Linear(4, 2)), (4,)),
    "filters": (
        lambda: chain({"a": Current(1.7, 0.3, tau_steps=2.5), "b": Current(tau_steps=math.inf)}),
        (4,),
    ),
    "gains": (
        lambda: chain({"in": Current(torch.rand(4)), "input": IF(0.2), "output": Current(0.3)}),
        (4,),
    ),
    "a neuron's currents": (
        lambda: Graph(
            {"x": [], "lif": [Current(torch.rand(4), torch.rand(4) / 9), LIF(2.5, threshold=0.2)],
             "cuba": [Current(1.3, tau_steps=4.3), LIF(3.3, threshold=0.4, decay_input=False)],
             "y": []},
            [("x", "lif"), ("lif", "cuba"), ("cuba", "y"), ("x", "y")], ("x", "y"),
        ),
        (4,),
    ),
    "a cycle": (
        lambda: Graph(
            {"x": [], "sn": [LIF(2.0, threshold=0.4)], "sum": [], "w": [nn.Linear(4, 4)], "y": []},
            [("x", "sum"), ("w", "sum"), ("sum", "sn"), ("sn", "w"), ("sn", "y")], ("x", "y"),
        ),
        (4,),
    ),
}  # fmt: skip


def run(model: nn.Module, x: Tensor) -> Tensor:
    """Any Sequential over time, layer by layer; a Graph runs itself."""
    if isinstance(model, Graph | Neuron):
        return model(x)
    if isinstance(model, nn.Sequential):
        for layer in model:
            x = run(layer, x)
        return x
    return torch.unflatten(model(x.flatten(0, 1)), 0, x.shape[:2])


@pytest.mark.parametrize("name", MODELS)
def test_what_is_read_back_gives_the_same_bits(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    make, shape = MODELS[name]
    model = make()
    x = torch.randn(STEPS, BATCH, *shape)
    expected = run(model, x)
    assert expected.abs().sum() > 0
    path = write_nir(model, tmp_path / "a.nir", shape)
    again = read_nir(path)
    assert torch.equal(again(x), expected)
    twice = read_nir(write_nir(again, tmp_path / "b.nir", shape))
    assert torch.equal(twice(x), expected)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.nir", "b.nir"]


def test_nodes_say_the_layers_in_nirs_words(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 2), LIF(4.0, threshold=0.5, reset_potential=-0.25))
    model += nn.Sequential(LIF(4.0, decay_input=False), IF(0.75))
    said = nir.read(write_nir(model, tmp_path / "a.nir", (3,), dt=1e-3))
    assert said.metadata["dt"] == 1e-3
    assert set(said.edges) == {
        ("input", "0"), ("0", "1"), ("1", "2"), ("2", "3"), ("3", "output")
    }  # fmt: skip
    assert np.array_equal(said.nodes["0"].weight, model[0].weight.detach().numpy())
    fields = [
        {k: v.tolist() for k, v in vars(said.nodes[n]).items() if isinstance(v, np.ndarray)}
        for n in "123"
    ]
    common = {"tau": [4e-3] * 2, "v_leak": [-0.25] * 2, "v_reset": [-0.25] * 2}
    assert fields[0] == common | {"r": [1, 1], "v_threshold": [0.5] * 2}
    zeros = {"tau": [4e-3] * 2, "v_leak": [0, 0], "v_reset": [0, 0]}
    assert fields[1] == zeros | {"r": [4, 4], "v_threshold": [1, 1]}
    assert fields[2] == {"r": [1, 1], "v_threshold": [0.75] * 2, "v_reset": [0, 0]}


@pytest.mark.parametrize("dt", [1e-4, 7e-4, 0.7])
def test_time_constants_come_back_exactly(dt: float, tmp_path: Path) -> None:
    """tau dt / dt is not tau for some of these; 15 digits of it are."""
    taus = [round(1 + 0.37 * k, 2) for k in range(40)]
    assert any(tau * dt / dt != tau for tau in taus)
    layers = nn.Sequential(*[LIF(tau, threshold=tau / 10) for tau in taus])
    again = read_nir(write_nir(layers, tmp_path / "a.nir", (2,), dt=dt))
    read = [again.get_submodule(str(i)) for i in range(len(taus))]
    assert [(n.tau(), n.rule.threshold) for n in read if isinstance(n, LIF)] == [
        (tau, tau / 10) for tau in taus
    ]


def test_plif_is_lif_with_its_time_constant_of_now(tmp_path: Path) -> None:
    plif = PLIF(2.0)
    with torch.no_grad():
        plif.w.fill_(-0.3)
    lif = read_nir(write_nir(plif, tmp_path / "a.nir", (4,))).get_submodule("plif")
    assert isinstance(lif, LIF)
    assert lif.tau() == pytest.approx(1 + math.exp(0.3), rel=1e-6)  # w is float32
    x = torch.rand(20, 5, 4) * 2
    assert torch.equal(lif(x), plif(x))  # a product for a quotient: equal but for near ties


def test_a_soft_reset_is_said_only_where_it_is_asked_for(tmp_path: Path) -> None:
    model, x = nn.Sequential(IF(0.6, reset="soft")), torch.rand(20, 2, 3)
    message = (
        "reset of layer 0 must be hard: NIR has no other; got 'soft'; "
        "pass soft_reset=True for a note that only read_nir heeds"
    )
    assert refusal(model, tmp_path, (3,)) == message
    path = write_nir(model, tmp_path / "a.nir", (3,), soft_reset=True)
    assert torch.equal(read_nir(path)(x), model(x))
    assert not torch.equal(read_nir(path, reset="hard")(x), model(x))


def test_writing_changes_nothing_in_the_model(tmp_path: Path) -> None:
    """No hook of the user's runs, no membrane that is kept moves, nothing is added."""
    heard: list[Any] = []
    model = nn.Sequential(nn.Linear(4, 4), LIF(keep_state=True)).eval()
    chained = chain(dict(model.named_children()))
    chained(torch.rand(2, 1, 4))
    kept = model[1].membrane
    model[0].register_forward_hook(lambda *_: heard.append(1))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    write_nir(model, tmp_path / "a.nir", (4,))
    assert (heard, model[1].membrane is kept, model.training) == ([], True, False)
    assert model.state_dict().keys() == before.keys()


def test_weights_of_another_dtype_and_device_layout(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(2, 3, 3), IF()).double().to(memory_format=torch.channels_last)
    again = read_nir(write_nir(model, tmp_path / "a.nir", (2, 5, 5)))
    assert torch.equal(again.get_parameter("0.weight"), model[0].weight.float())


# --- what is refused ---------------------------------------------------------------------------


def refusal(model: nn.Module, folder: Path, shape: tuple[int, ...], **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        write_nir(model, folder / "refused.nir", shape, **options)
    assert list(folder.glob("*refused*")) == []
    assert "\n" not in str(caught.value)
    return str(caught.value)


POOL, CONV = nn.AvgPool2d, nn.Conv2d
REFUSED: list[tuple[nn.Module, str]] = [
    (nn.BatchNorm2d(2), ("layer 0.1 must be one that NIR has; got 'BatchNorm2d'; "
                         "fold it into the layer before it")),
    (nn.MaxPool2d(2), "layer 0.1 must be one that NIR has; got 'MaxPool2d'"),
    (POOL(2, ceil_mode=True), "ceil_mode of layer 0.1 must be False: NIR has no other; got True"),
    (POOL(3, padding=1, count_include_pad=False),
     "count_include_pad of layer 0.1 must be True: NIR has no other; got False"),
    (POOL(2, divisor_override=3),
     "divisor_override of layer 0.1 must be None: NIR has no other; got 3"),
    (CONV(2, 2, 3, padding=1, padding_mode="reflect"),
     "padding_mode of layer 0.1 must be 'zeros': NIR has no other; got 'reflect'"),
    (CONV(2, 2, 3, groups=2), "groups of layer 0.1 must be 1: NIR has no other; got 2"),
    (nn.Flatten(0), "start_dim of layer 0.1 must be at least 1: 0 is the batch; got 0"),
    (nn.Linear(5, 2), "input_shape must be one that fits layer 0.1; got (2, 8, 8)"),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "message"), REFUSED)
def test_a_layer_that_nir_can_not_say(layer: nn.Module, message: str, tmp_path: Path) -> None:
    model = nn.Sequential(nn.Sequential(IF(), layer))
    assert refusal(model, tmp_path, (2, 8, 8)) == message


@pytest.mark.parametrize("connect", ["and", "iand"])
def test_a_sew_block_that_nir_can_not_say(connect: str, tmp_path: Path) -> None:
    model = resnet(18, residual="sew", connect=connect, classes=10)
    assert refusal(model, tmp_path, (3, 32, 32)) == (
        "connect of ResNet must be add: two edges into one node are a sum, and NIR has no node "
        f"for others; got '{connect}'"
    )


def test_a_model_that_is_no_sequence(tmp_path: Path) -> None:
    message = "the model must be an nn.Sequential or a Graph; got 'ResNet'"
    assert refusal(resnet(18, residual="spiking", classes=10), tmp_path, (3, 32, 32)) == message


def test_currents_that_nir_has_no_node_for(tmp_path: Path) -> None:
    layers: dict[str, list[nn.Module]] = {"x": [], "sn": [Current(1.0, 0.5), IF()], "y": []}
    graph = Graph(layers, [("x", "sn"), ("sn", "y")], ("x", "y"))
    message = "layer sn must be LIF; got 'IF with a filter or an offset'"
    assert refusal(graph, tmp_path, (3,)) == message
    message = "layer a must be a gain or a filter alone; got 'an offset'"
    assert refusal(chain({"a": Current(2.0, 1.0)}), tmp_path, (3,)) == message


def test_shapes_that_nir_infers_wrongly(tmp_path: Path) -> None:
    """nir 1.0.8 takes a kernel's height for its width."""
    message = refusal(nn.Sequential(CONV(2, 3, (3, 1)), nn.Flatten(), IF()), tmp_path, (2, 8, 8))
    assert message.startswith("the model must be ")


@pytest.mark.parametrize("dt", [0, -1e-3, float("nan")])
def test_no_time_step(dt: float, tmp_path: Path) -> None:
    message = f"dt must be a duration above 0; got {dt}"
    assert refusal(nn.Sequential(IF()), tmp_path, (3,), dt=dt) == message


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_nir(IF(), tmp_path / "a.nir", (3,))
    before = path.read_bytes()

    def cut(target: Path, _graph: Any) -> None:
        target.write_bytes(before[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nir, "write", cut)
    with pytest.raises(InputError, match="No space left on device"):
        write_nir(IF(0.5), path, (3,))
    monkeypatch.setattr(nir, "write", lambda target, _graph: target.write_bytes(before[:100]))
    with pytest.raises(InputError, match="must be one that can be written"):
        write_nir(IF(0.5), path, (3,))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="NIR file must be one that can be written") as caught:
        write_nir(IF(), tmp_path / "no" / "a.nir", (3,))
    assert "No such file or directory" in str(caught.value)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "shape"),
    [("cnn_sinabs", (2, 34, 34)), ("lif_norse", (1,)), ("braille_noDelay_bias_zero", (12,))],
)
def test_real_files_survive(
    name: str, shape: tuple[int, ...], data_root: Path, tmp_path: Path
) -> None:
    graph, x = read_nir(data_root / "nir" / f"{name}.nir"), torch.rand(30, 2, *shape) * 2
    again = read_nir(write_nir(graph, tmp_path / "a.nir", shape))
    assert torch.equal(again(x), graph(x))
    assert again(x).mean() > 0.01
    assert [n for n, _ in again.named_modules()] == [n for n, _ in graph.named_modules()]
