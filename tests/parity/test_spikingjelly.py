"""SpikingJelly 2.0 and snnlens: the same neurons, the same networks, bit for bit.

Whole networks get a sequence [T, B, 3, H, W], so that both run the stem on all steps; then every
operation is the same one in the same order, and deep networks agree although they are chaotic in
rounding. Only the last layer differs: ours takes the mean over time before it, theirs after, so
that what comes back from it agrees to rounding alone (see `jelly.watched`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snnlens.models.resnet import ResNet, resnet
from snnlens.neuron import surrogate
from snnlens.neuron.layers import IF, LIF, PLIF, Neuron
from tests.parity import jelly

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def sj() -> Any:
    pytest.importorskip("spikingjelly")
    return jelly.load()


# --- neurons -----------------------------------------------------------------------------------


def _theirs(sj: Any, ours: Neuron) -> nn.Module:
    rule = ours.rule
    common = {
        "v_threshold": rule.threshold,
        "v_reset": None if rule.reset == "soft" else rule.reset_potential,
        "surrogate_function": sj.surrogate.ATan(alpha=getattr(rule.surrogate, "alpha", 2.0)),
        "detach_reset": rule.detach_reset,
        "step_mode": "m",
    }
    if isinstance(ours, IF):
        return sj.neuron.IFNode(**common)
    if isinstance(ours, LIF):
        return sj.neuron.LIFNode(tau=ours.tau(), decay_input=rule.decay_input, **common)
    assert isinstance(ours, PLIF)
    node = sj.neuron.ParametricLIFNode(init_tau=ours.tau(), decay_input=rule.decay_input, **common)
    with torch.no_grad():
        node.w.copy_(ours.w)
    return node


def _pass(neuron: nn.Module, x: Tensor, grad: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
    x = x.clone().requires_grad_()
    spikes = neuron(x)
    spikes.backward(grad)
    assert x.grad is not None
    return spikes.detach(), x.grad, [p.grad for p in neuron.parameters() if p.grad is not None]


def _data(scale: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(8, 5, 40, generator=generator, dtype=torch.float64) * 0.8 + 0.5
    return (x * scale).to(dtype), torch.randn(8, 5, 40, generator=generator).to(dtype)


Make = Callable[..., Neuron]
KINDS: dict[str, tuple[Make, float]] = {
    "if": (IF, 1.0),
    "lif 2": (lambda **k: LIF(2.0, **k), 2.0),
    "lif 3.3": (lambda **k: LIF(3.3, **k), 3.3),
    "plif 2": (lambda **k: PLIF(2.0, **k), 2.0),
    "plif 3.3": (lambda **k: PLIF(3.3, **k), 3.3),
    "lif 3.3 whole": (lambda **k: LIF(3.3, decay_input=False, **k), 1.0),
    "plif 3.3 whole": (lambda **k: PLIF(3.3, decay_input=False, **k), 1.0),
}
RESETS = list(itertools.product((("hard", 0.0), ("hard", -0.2), ("soft", 0.0)), (True, False)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("reset", "detach"), RESETS)
def test_neurons(sj: Any, kind: str, reset: tuple[str, float], detach: bool) -> None:
    """float32: equal spikes; gradients equal to the bit where the sums run in one order."""
    make, scale = KINDS[kind]
    ours = make(threshold=0.7, reset=reset[0], reset_potential=reset[1], detach_reset=detach)
    x, grad = _data(scale, torch.float32)
    mine, its = _pass(ours, x, grad), _pass(_theirs(sj, ours), x, grad)
    assert torch.equal(mine[0], its[0])
    assert 0.05 < mine[0].mean() < 0.95
    if kind == "if" and detach:
        assert torch.equal(mine[1], its[1])
    # autograd adds the paths through reset and leak in another order: 8 steps, measured 5e-7
    assert (mine[1] - its[1]).abs().max() <= 2e-6 * its[1].abs().max()
    assert len(mine[2]) == len(its[2]) == int("plif" in kind)
    for a, b in zip(mine[2], its[2], strict=True):
        # 1,600 float32 terms in theirs, float64 in ours
        assert a.item() == pytest.approx(b.item(), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_neurons_in_float64(sj: Any, kind: str) -> None:
    make, scale = KINDS[kind]
    ours = make(threshold=0.7, detach_reset=False).double()
    x, grad = _data(scale, torch.float64)
    mine, its = _pass(ours, x, grad), _pass(_theirs(sj, ours).double(), x, grad)
    assert torch.equal(mine[0], its[0])
    assert (mine[1] - its[1]).abs().max() <= 4e-15 * its[1].abs().max()
    for a, b in zip(mine[2], its[2], strict=True):
        assert a.item() == pytest.approx(b.item(), rel=1e-12)


def test_lif_is_silent_for_24_steps_in_both(sj: Any) -> None:
    x = torch.ones(26, 1, 1)
    for neuron in (LIF(2.0), _theirs(sj, LIF(2.0))):
        assert neuron(x).flatten().nonzero().flatten().tolist() == [24]


SURROGATES = [
    ("atan", 3.0, lambda s: s.ATan(alpha=3.0)),
    ("sigmoid", 4.0, lambda s: s.Sigmoid(alpha=4.0)),
    ("rectangular", 1.0, lambda s: s.Rect(alpha=1.0)),
    ("rectangular", 2.0, lambda s: s.Rect(alpha=2.0)),
    ("constant", None, lambda s: s.DeterministicPass()),
]


@pytest.mark.parametrize(("name", "alpha", "theirs"), SURROGATES)
def test_surrogates(sj: Any, name: str, alpha: float | None, theirs: Any) -> None:
    """Spikes at ties and slopes, the edges of the rectangle |x| = 1/2 included."""
    edges = torch.tensor([-0.5, -0.25, 0.0, 0.25, 0.5, 1.0])
    x = torch.cat([torch.linspace(-3, 3, 101), edges]).requires_grad_()
    out = theirs(sj.surrogate)(x)
    out.sum().backward()
    assert x.grad is not None
    assert torch.equal(out.detach(), (x >= 0).float())
    mine = surrogate.by_name(name, alpha).derivative(x.detach())
    assert torch.allclose(mine, x.grad, rtol=1e-5, atol=1e-6)
    if name in ("rectangular", "constant"):
        assert torch.equal(mine, x.grad)


# --- whole networks ----------------------------------------------------------------------------


def _ours(depth: int, residual: str, connect: str | None, threshold: float) -> ResNet:
    return resnet(depth, residual=residual, connect=connect, neuron=IF(threshold), classes=10,
                  seed=0)  # fmt: skip


def _compare(sj: Any, model: ResNet, pixels: int = 32) -> dict[str, Tensor]:
    """Block inputs and outputs, their gradients, and all weight gradients, to the bit."""
    twin = jelly.twin_of(sj, model)
    x = torch.randn(4, 2, 3, pixels, pixels, generator=torch.Generator().manual_seed(1))
    mine = jelly.watched(model, x, per_step=False)
    last = f"{model.plan.blocks[-1].name}.output grad"
    its = jelly.watched(twin, x, per_step=True, head_grad=mine[last])
    assert list(mine) == list(its)
    assert len(mine) == 4 * len(model.plan.blocks) + 2
    assert torch.allclose(mine.pop("logits"), its.pop("logits"), atol=1e-4)
    assert [k for k in mine if not torch.equal(mine[k], its[k])] == []
    theirs = dict(twin.named_parameters())
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        other = theirs[name].grad
        assert other is not None
        if name.startswith("fc."):
            assert torch.allclose(parameter.grad, other, atol=1e-5)
        else:
            assert torch.equal(parameter.grad, other), name
    return mine


NETS = [
    (18, "sew", "add", 1.0), (50, "sew", "add", 1.0), (18, "sew", "and", 0.25),
    (50, "sew", "and", 0.25), (18, "spiking", None, 1.0), (50, "spiking", None, 1.0),
    (50, "spiking", None, 0.5), (18, "sew", "iand", 1.0),
]  # fmt: skip


@pytest.mark.parametrize(("depth", "residual", "connect", "threshold"), NETS)
def test_networks(
    sj: Any, depth: int, residual: str, connect: str | None, threshold: float
) -> None:
    seen = _compare(sj, _ours(depth, residual, connect, threshold))
    outputs = [t for name, t in seen.items() if name.endswith("output")]
    grads = [t for name, t in seen.items() if name.endswith("grad")]
    assert all(t.any() for t in (*outputs, *grads))  # alive to the last block and back
    largest = max(t.max() for t in outputs)
    assert largest > 1 if connect == "add" else largest == 1


def test_a_silent_and_network_is_silent_in_both(sj: Any) -> None:
    """Fig. 6, AND without zero-init at V_th = 1: dead, and exactly 0 in both libraries."""
    seen = _compare(sj, _ours(50, "sew", "and", 1.0))
    assert not seen["layer4.2.output"].any()
    assert not seen["layer1.0.input grad"].any()


def test_other_batchnorm_statistics_only_in_the_unbiased_factor(sj: Any) -> None:
    """A static image: theirs shows the stem T copies, ours runs it once; the spikes are one."""
    model = _ours(18, "sew", "add", 1.0)
    twin = jelly.twin_of(sj, model)
    image = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        model(image)
        twin(image.expand(4, *image.shape))
    count = 4 * 16 * 16
    ratio = (count / (count - 1)) / (4 * count / (4 * count - 1))
    mine, its = model.bn1.running_var - 0.9, twin.bn1.running_var - 0.9
    assert torch.allclose(model.bn1.running_mean, twin.bn1.running_mean, atol=1e-6)
    assert torch.allclose(mine / its, torch.tensor(ratio), rtol=1e-4)


# --- iand --------------------------------------------------------------------------------------


def _first_block(network: nn.Module, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A^0, the shortcut and O^0 of the first block on spikes x."""
    kept: dict[str, Tensor] = {}
    block = network.get_submodule("layer1.0")
    ours = isinstance(network, ResNet)
    names = {"a": "sn3", "s": "downsample.2" if ours else "downsample_sn"}
    handles = [
        block.get_submodule(path).register_forward_hook(
            lambda module, args, out, label=label: kept.__setitem__(label, out)
        )
        for label, path in names.items()
    ]
    with torch.no_grad():
        out = block(x)
    for handle in handles:
        handle.remove()
    return kept["a"], kept["s"], out


def test_their_bottleneck_iand_has_its_arguments_reversed(sj: Any) -> None:
    """Table 1 of the paper: IAND = (1 - A) S. Ours is; theirs gives A (1 - S) in a bottleneck."""
    model = _ours(50, "sew", "iand", 1.0)
    twin = jelly.twin_of(sj, model)
    x = (torch.rand(4, 2, 64, 8, 8, generator=torch.Generator().manual_seed(3)) > 0.7).float()
    a, s, out = _first_block(model, x)
    theirs_a, theirs_s, theirs_out = _first_block(twin, x)
    assert torch.equal(a, theirs_a)
    assert torch.equal(s, theirs_s)
    assert torch.equal(out, (1 - a) * s)
    assert torch.equal(theirs_out, a * (1 - s))
    assert not torch.equal(out, theirs_out)


def test_their_bottleneck_iand_put_right_is_ours(sj: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the two arguments swapped back, all of ResNet-50 agrees."""
    right = sj.sew.sew_function
    monkeypatch.setattr(sj.sew, "sew_function", lambda x, y, cnf: right(y, x, cnf))
    _compare(sj, _ours(50, "sew", "iand", 1.0))


def test_zero_init_fails_to_be_the_identity_there_and_not_here(sj: Any) -> None:
    """What the reversal costs: an IAND bottleneck with A = 0 gives 0 instead of S."""
    model = resnet(50, residual="sew", connect="iand", zero_init=True, classes=10, seed=0)
    twin = jelly.twin_of(sj, model)
    x = (torch.rand(4, 2, 256, 8, 8, generator=torch.Generator().manual_seed(3)) > 0.7).float()
    with torch.no_grad():
        assert torch.equal(model.get_submodule("layer1.1")(x), x)
        assert not twin.get_submodule("layer1.1")(x).any()
