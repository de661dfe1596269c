"""State dicts of SpikingJelly's networks, loaded into ours: equal to the bit in evaluation mode.

SpikingJelly's models give logits at each step, so what is compared is what enters the last layer,
averaged over time, and the logits that this layer makes of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from snnlens.errors import InputError
from snnlens.models.checkpoints import build
from tests.parity import jelly
from tests.unit.models import official

pytestmark = pytest.mark.parity
STEPS = 4


@pytest.fixture(scope="module")
def sj() -> Any:
    pytest.importorskip("spikingjelly")
    return jelly.load()


def theirs(sj: Any, residual: str, connect: str | None, neuron: str) -> nn.Module:
    """Their ResNet-18, seeded, with the BatchNorm statistics of a batch."""
    kwargs: dict[str, Any] = {
        "spiking_neuron": getattr(sj.neuron, neuron), "num_classes": 10, "detach_reset": True,
        "surrogate_function": sj.surrogate.ATan(),
    }  # fmt: skip
    if residual == "sew":
        model = sj.sew.sew_resnet18(cnf=str(connect).upper(), **kwargs)
    else:
        model = sj.spiking.spiking_resnet18(**kwargs)
    sj.functional.set_step_mode(model, "m")
    model = official.settled(model, sequence())
    sj.functional.reset_net(model)
    return model


def sequence() -> Tensor:
    """[T, B, 3, H, W], different at each step, so that both run the stem on all of them."""
    return torch.stack([official.images(seed=seed) for seed in range(STEPS)])


@torch.no_grad()
def seen(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """What enters the last layer, averaged over time, and the logits."""
    kept: list[Tensor] = []
    last = model.get_submodule("fc")
    handle = last.register_forward_pre_hook(lambda _, args: kept.append(args[0]))
    model(x)
    handle.remove()
    mean = kept[0].mean(0) if kept[0].dim() == 3 else kept[0]
    return mean, functional.linear(mean, last.weight, last.bias)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("residual", "connect", "neuron"),
    [
        ("sew", "add", "IFNode"), ("sew", "and", "IFNode"), ("sew", "iand", "IFNode"),
        ("spiking", None, "IFNode"), ("sew", "add", "ParametricLIFNode"),
        ("spiking", None, "ParametricLIFNode"),
    ],
)  # fmt: skip
def test_a_state_dict_of_spikingjelly(
    sj: Any, residual: str, connect: str | None, neuron: str, tmp_path: Path
) -> None:
    model = theirs(sj, residual, connect, neuron)
    torch.save(model.state_dict(), tmp_path / "jelly.pth")
    ours, facts = build(tmp_path / "jelly.pth", residual=residual, connect=connect)
    assert facts["checkpoint"] == "jelly.pth"
    x = sequence()
    its, mine = seen(model, x), seen(ours, x)
    assert torch.equal(mine[0], its[0])
    assert torch.equal(mine[1], its[1])
    assert its[0].gt(0).float().mean() > 0.01  # alive to the last layer


def test_their_keys_do_not_say_what_they_are(sj: Any, tmp_path: Path) -> None:
    torch.save(theirs(sj, "sew", "add", "IFNode").state_dict(), tmp_path / "jelly.pth")
    with pytest.raises(InputError) as error:
        build(tmp_path / "jelly.pth")
    assert str(error.value) == (
        "residual must be given: the weights of ann, plain, spiking, sew and ms are named alike; "
        "got 'nothing'; give --residual sew --connect add, or --residual spiking, ..."
    )


@pytest.mark.parametrize("connect_f", ["ADD", "IAND", None])
def test_official_code_on_todays_spikingjelly(
    sj: Any, connect_f: str | None, tmp_path: Path
) -> None:
    """Their container and their neurons in the official structure, saved as the official file."""

    def neuron() -> nn.Module:
        made: nn.Module = sj.neuron.IFNode(
            surrogate_function=sj.surrogate.ATan(), detach_reset=True, step_mode="m"
        )
        return made

    images = official.images()
    net = official.Net(18, connect_f, T=STEPS, box=sj.layer.SeqToANNContainer, neuron=neuron)
    model = official.settled(net, images)
    sj.functional.reset_net(model)
    path = official.save(tmp_path / "a.pth", model, args={"connect_f": connect_f, "T": STEPS})
    ours, _ = build(path)
    with torch.no_grad():
        its, mine = model(images), ours(images)
    assert torch.equal(mine, its)
    assert its.std() > 0.1
