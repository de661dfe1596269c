"""7B-Net and Wide-7B-Net: sizes, weights, the forward pass by hand, sites, records, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from snnlens import registry
from snnlens.analysis import identity, rates
from snnlens.errors import InputError
from snnlens.experiments._model import DVS_NAMES, load_model
from snnlens.models.dvs import DVSNet, blocks_of, dvs_net
from snnlens.models.plan import usual_size
from snnlens.neuron.layers import IF, PLIF
from snnlens.neuron.memory import checkpointed
from snnlens.recording import blocks
from snnlens.recording.record import Record
from snnlens.recording.recorder import Recorder

KINDS = [("sew", "add"), ("sew", "and"), ("sew", "iand"), ("spiking", None), ("plain", None)]
PAPER = {"7B-Net": (130_426, 11), "Wide-7B-Net": (1_192_218, 10)}  # Tables 5 and 6, with k1


def frames(steps: int = 2, batch: int = 2, side: int = 128, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.poisson(torch.full((steps, batch, 2, side, side), 0.4), generator=generator)


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


# --- sizes, weights ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAPER)
@pytest.mark.parametrize(("residual", "connect"), KINDS)
def test_parameter_counts(name: str, residual: str, connect: str | None) -> None:
    count, classes = PAPER[name]
    model = dvs_net(name, residual=residual, connect=connect, seed=0)
    assert (parameters(model), model.classes) == (count, classes)


def test_parameter_counts_by_hand() -> None:
    """c_in c + 2 c + 1 of a 1x1 Conv-BN-PLIF, 9 c^2 + 2 c + 1 of a 3x3 one, 14 of these."""

    def wide(channels_in: int, c: int, kernel: int) -> int:
        return kernel**2 * channels_in * c + 2 * c + 1

    small = wide(2, 32, 1) + 14 * wide(32, 32, 3) + 32 * 11 + 11
    large = wide(2, 64, 1) + 8 * wide(64, 64, 3) + wide(64, 128, 1) + 6 * wide(128, 128, 3)
    assert small == PAPER["7B-Net"][0]
    assert large + 128 * 10 + 10 == PAPER["Wide-7B-Net"][0]
    with_k3 = large + 8 * (2 * 64 + 64 * 128) + 128 * 10 + 10  # the string in the paper: 1.26 M
    assert round(with_k3 / 1e6, 2) == 1.26


def test_the_weights_are_torchs_defaults() -> None:
    """The same layers, built in the same order after torch.manual_seed."""
    state = torch.get_rng_state()
    model = dvs_net(seed=7)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(7)
    plain = [nn.Conv2d(2, 32, 1, bias=False)]
    plain += [nn.Conv2d(32, 32, 3, padding=1, bias=False) for _ in range(14)]
    last = nn.Linear(32, 11)
    torch.set_rng_state(state)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 15
    for mine, other in zip(convolutions, plain, strict=True):
        assert torch.equal(mine.weight, other.weight)
    assert torch.equal(model.fc.weight, last.weight)
    assert torch.equal(model.fc.bias, last.bias)


def test_one_seed_gives_one_set_of_weights() -> None:
    first = dvs_net(residual="sew", connect="add", seed=3).state_dict()
    for residual, connect in KINDS:
        other = dvs_net(residual=residual, connect=connect, seed=3).state_dict()
        assert list(other) == list(first)
        assert all(torch.equal(other[key], first[key]) for key in first)
    different = dvs_net(seed=4).state_dict()
    assert not torch.equal(different["conv1.weight"], first["conv1.weight"])


def test_no_seed_takes_the_global_state() -> None:
    state = torch.get_rng_state()
    torch.manual_seed(5)
    one = dvs_net().conv1.weight  # type: ignore[union-attr]
    torch.set_rng_state(state)
    assert torch.equal(one, dvs_net(seed=5).conv1.weight)  # type: ignore[arg-type,union-attr]


def test_neurons() -> None:
    """PLIF with tau = 2 everywhere, each with its own w; another template is copied."""
    model = dvs_net(seed=0)
    neurons = [n for _, n in model.neurons()]
    assert len(neurons) == 15
    assert all(isinstance(n, PLIF) and n.tau() == 2 and n.rule.detach_reset for n in neurons)
    assert len({n.w.data_ptr() for n in neurons if isinstance(n, PLIF)}) == 15
    assert len(dvs_net("Wide-7B-Net", seed=0).neurons()) == 16
    other = dvs_net(neuron=IF(0.5), seed=0)
    assert all(isinstance(n, IF) and n.rule.threshold == 0.5 for _, n in other.neurons())
    assert parameters(other) == PAPER["7B-Net"][0] - 15


# --- the forward pass ----------------------------------------------------------------------------


def spikes_of(current: Tensor) -> Tensor:
    """PLIF of tau 2, V_th 1, hard reset, by a loop over time."""
    v, out = torch.zeros_like(current[0]), []
    for x in current:
        v = v + (x - v) / 2
        spike = (v >= 1).to(v.dtype)
        v = v * (1 - spike)
        out.append(spike)
    return torch.stack(out)


def normed(current: Tensor) -> Tensor:
    """BatchNorm in training mode over time, batch and place."""
    mean = current.mean(dim=(0, 1, 3, 4), keepdim=True)
    var = current.var(dim=(0, 1, 3, 4), keepdim=True, unbiased=False)
    return (current - mean) / (var + 1e-5).sqrt()


def convolved(x: Tensor, weight: Tensor) -> Tensor:
    padding = weight.shape[-1] // 2
    return torch.stack([functional.conv2d(step, weight, padding=padding) for step in x])


@pytest.mark.parametrize("name", PAPER)
@pytest.mark.parametrize(("residual", "connect"), KINDS)
def test_forward_by_hand(name: str, residual: str, connect: str | None) -> None:
    """In float64, from the weights alone: no layer of ours."""
    model = dvs_net(name, residual=residual, connect=connect, seed=1).double()
    w = model.state_dict()
    x = frames(2, 1).double()
    logits = model(x)
    y = x
    for stage, count in {"7B-Net": ((1, 7),), "Wide-7B-Net": ((1, 4), (2, 3))}[name]:
        y = spikes_of(normed(convolved(y, w[f"conv{stage}.weight"])))
        for position in range(count):
            block = f"layer{stage}.{position}"
            a = spikes_of(normed(convolved(y, w[f"{block}.conv1.weight"])))
            f = normed(convolved(a, w[f"{block}.conv2.weight"]))
            y = {
                "add": lambda f=f, s=y: spikes_of(f) + s,
                "and": lambda f=f, s=y: spikes_of(f) * s,
                "iand": lambda f=f, s=y: (1 - spikes_of(f)) * s,
                "spiking": lambda f=f, s=y: spikes_of(f + s),
                "plain": lambda f=f: spikes_of(f),
            }[connect or residual]()
            y = torch.stack([functional.max_pool2d(step, 2) for step in y])
    assert y.shape[-2:] == (1, 1)
    expected = y.mean(0).flatten(1) @ w["fc.weight"].T + w["fc.bias"]
    assert logits.shape == (1, PAPER[name][1])
    # float64 rounding of sums over up to 65,536 elements; a spike that flips would move 1e-2
    assert torch.allclose(logits, expected, rtol=0, atol=1e-12)


def test_an_input_of_twice_the_size_is_averaged_over_what_is_left() -> None:
    model = dvs_net(seed=0).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.fill_(0.01)  # type: ignore[union-attr]
    whole = frames(steps=3, side=256)
    seen: list[Tensor] = []
    handle = model.get_submodule("layer1.6").register_forward_hook(
        lambda module, args, out: seen.append(out)
    )
    logits = model(whole)
    handle.remove()
    assert seen[0].shape[-2:] == (4, 4)
    pooled = functional.max_pool2d(seen[0].flatten(0, 1), 2).unflatten(0, (3, 2))
    assert pooled.any()
    assert torch.equal(logits, model.fc(pooled.mean(dim=(3, 4)).mean(0)))


@pytest.mark.parametrize("connect", ["add", "and", "iand"])
def test_zero_init_makes_every_block_the_identity(connect: str) -> None:
    """The network is then Conv1x1-BN-PLIF, seven pools, FC."""
    model = dvs_net(residual="sew", connect=connect, zero_init=True, time_steps=4, seed=0)
    x = frames(4)
    logits = model(x)
    y = model.get_submodule("sn1")(_stem(model, x))
    for _ in range(7):
        y = functional.max_pool2d(y.flatten(0, 1), 2).unflatten(0, (4, 2))
    assert y.any()
    assert torch.equal(logits, model.fc(y.mean(0).flatten(1)))
    assert model.facts()["zero_init"]


def _stem(model: DVSNet, x: Tensor) -> Tensor:
    conv, bn = model.get_submodule("conv1"), model.get_submodule("bn1")
    return torch.unflatten(bn(conv(x.flatten(0, 1))), 0, x.shape[:2])


def test_checkpointed_blocks_give_the_same_bits() -> None:
    gradients = []
    for again in (False, True):
        model = dvs_net(seed=0)
        with checkpointed([block for _, block in model.blocks()] if again else []):
            model(frames()).logsumexp(1).sum().backward()
        gradients.append([p.grad for p in model.parameters()])
    for a, b in zip(*gradients, strict=True):
        assert a is not None
        assert b is not None
        assert torch.equal(a, b)


# --- sites and records ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAPER)
@pytest.mark.parametrize(("residual", "connect"), KINDS)
def test_sites_come_in_the_order_of_the_forward_pass(
    name: str, residual: str, connect: str | None
) -> None:
    model = dvs_net(name, residual=residual, connect=connect, seed=0)
    sites = model.sites()
    order: list[str] = []
    for site in sites:
        module = model.get_submodule(site.module)
        if site.reads == "input":
            module.register_forward_pre_hook(lambda *args, n=site.name: order.append(n))
        else:
            module.register_forward_hook(lambda *args, n=site.name: order.append(n))
    model(frames(1))
    assert order == [s.name for s in sites]
    neurons = {s.name for s in sites if s.role == "neuron"}
    assert neurons == {n for n, _ in model.neurons()}
    signal = "counts" if connect == "add" else "spikes"
    assert {s.signal for s in sites if s.role in ("block_input", "block_output")} == {signal}
    assert {s.block_kind for s in sites if s.block is not None} == {"identity"}


def test_a_block_is_an_area_and_a_width_is_a_stage() -> None:
    plans = blocks_of("Wide-7B-Net")
    assert [p.area for p in plans] == [p.area_out for p in plans] == list(range(7))
    assert [p.stage for p in plans] == [1, 1, 1, 1, 2, 2, 2]
    assert [p.channels for p in plans] == [64] * 4 + [128] * 3


def recorded(model: DVSNet, x: Tensor) -> Record:
    names = ("firing_rate", "gradient_norm", "identity_error")
    recorder = Recorder(model, [registry.plugin("probes", n)() for n in names], network="net")
    with recorder:
        model(x).logsumexp(1).sum().backward()
    recorder.note(**model.facts())
    return recorder.record()


@pytest.mark.parametrize(("residual", "connect"), KINDS)
def test_a_record_against_plain_hooks(residual: str, connect: str | None) -> None:
    model = dvs_net(residual=residual, connect=connect, seed=0)
    x = frames(3)
    frame = recorded(model, x).frame().set_index("site")
    assert frame.loc["layer1.6.output", "batch"] == 2
    kept: dict[str, tuple[Tensor, Tensor, Tensor]] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
            args[0].retain_grad()
            kept[name] = args[0], taps[name], out

        return hook

    taps: dict[str, Tensor] = {}
    for name, block in model.blocks():
        block.residual.register_forward_hook(lambda m, a, out, n=name: taps.__setitem__(n, out))
        block.register_forward_hook(keep(name))
    model.zero_grad()
    model(x).logsumexp(1).sum().backward()
    pooled = None
    for name, (s, a, o) in kept.items():
        rates_of = [frame.loc[f"{name}.{part}", "firing_rate"] for part in
                    ("input", "residual", "output")]  # fmt: skip
        assert rates_of == [t.double().mean().item() for t in (s, a, o)]  # whole numbers: exact
        assert s.grad is not None
        norm = frame.loc[f"{name}.input", "gradient_norm"]
        assert norm == pytest.approx(s.grad.double().norm().item(), rel=1e-12)
        if s.any():
            error = ((o - s).double().norm() / s.double().norm()).item()
            assert frame.loc[f"{name}.output", "identity_error"] == pytest.approx(error, rel=1e-12)
        if pooled is not None:
            assert torch.equal(s, pooled)  # S^(l+1) is the pooled O^l
        pooled = functional.max_pool2d(o.flatten(0, 1), 2).unflatten(0, (3, 2))


def test_areas_of_a_record_end_at_each_pool() -> None:
    (network,) = blocks.networks(recorded(dvs_net(seed=0), frames(2)))
    assert network.areas == {**{i: [i] for i in range(6)}, 6: [6, 7]}
    assert network.sites[7] == "layer1.6.output"
    assert len(network.inputs("firing_rate")) == 8


@pytest.mark.parametrize("zero_init", [False, True])
def test_rates_and_identity_read_its_record(zero_init: bool) -> None:
    """Integers up to n + 1 after n blocks of ADD; a pool makes none larger."""
    record = recorded(dvs_net(residual="sew", zero_init=zero_init, seed=0), frames(4))
    table = rates.compute(record).table
    assert table["block"].tolist() == list(range(7))
    assert (table["largest_output"] <= np.arange(2, 9)).all()
    assert table["largest_output"].iloc[-1] > 2 or zero_init
    errors = identity.compute(record).table["identity_error"].to_numpy()
    assert len(errors) == 7
    assert (errors == 0).all() if zero_init else (errors > 0).all()


def test_facts() -> None:
    facts = dvs_net("Wide-7B-Net", connect="iand", time_steps=8, seed=0).facts()
    expected = {"model": "Wide-7B-Net", "residual": "sew", "connect": "iand", "zero_init": False,
                "time_steps": 8, "blocks": 7, "neuron": "PLIF", "tau_steps": 2.0}  # fmt: skip
    assert {k: facts[k] for k in expected} == expected
    assert not {"depth", "layout"} & set(facts)  # it has none


def test_it_learns_a_batch() -> None:
    """Two classes that differ in polarity; Adam, eight steps."""
    x, y = frames(2, 4), torch.arange(4) % 2
    x[:, y == 0, 0], x[:, y == 1, 1] = 0, 0
    model = dvs_net(seed=0, classes=2)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(8):
        loss = functional.cross_entropy(model(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


# --- MODEL by name -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "name", "residual", "connect"),
    [
        ("sew_7b_net", "7B-Net", "sew", "add"),
        ("sew_7b_net_add", "7B-Net", "sew", "add"),
        ("sew_7b_net_iand", "7B-Net", "sew", "iand"),
        ("spiking_7b_net", "7B-Net", "spiking", None),
        ("plain_7b_net", "7B-Net", "plain", None),
        ("sew_wide_7b_net", "Wide-7B-Net", "sew", "add"),
        ("sew_wide_7b_net_and", "Wide-7B-Net", "sew", "and"),
        ("plain_wide_7b_net", "Wide-7B-Net", "plain", None),
    ],
)
def test_by_name(spec: str, name: str, residual: str, connect: str | None) -> None:
    model = load_model(spec, seed=3, classes=5, time_steps=2)
    same = dvs_net(name, residual=residual, connect=connect, seed=3, classes=5, time_steps=2)
    assert model.facts() == same.facts()  # type: ignore[operator]
    for key, value in same.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key
    assert usual_size(spec) == 128


def test_every_name_that_is_offered_is_a_model() -> None:
    assert len(DVS_NAMES) == 6
    for spec in DVS_NAMES:
        model = load_model(spec)
        assert parameters(model) == PAPER[model.name][0]  # type: ignore[index]


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        ("plain_7b_net_and", {}, ("MODEL must be plain_7b_net; got 'plain_7b_net_and'; only sew "
         "has add, and, iand: sew_7b_net_and")),
        ("sew_7b_net", {"layout": "cifar"},
         "layout must be left out: sew_7b_net has none; got 'cifar'"),
        ("ms_7b_net", {}, ("MODEL must be a built-in name (sew_resnet18, sew_7b_net), "
         "package.module:factory, file.py:factory or a .nir file; got 'ms_7b_net'; near names: "
         "sew_7b_net, spiking_7b_net, sew_wide_7b_net")),
    ],
)  # fmt: skip
def test_no_such_name(spec: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        load_model(spec, **options)
    assert str(error.value) == message


# --- wrong use -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("8B-Net", {}, "the name of a DVS network must be 7B-Net or Wide-7B-Net; got '8B-Net'"),
        ("7B-Net", {"residual": "ms"}, "residual must be plain, spiking or sew; got 'ms'"),
        ("7B-Net", {"connect": "or"}, "connect must be add, and or iand; got 'or'"),
        ("7B-Net", {"residual": "plain", "connect": "add"},
         "connect must be left out: plain has none; got 'add'"),
        ("7B-Net", {"time_steps": 0}, "time_steps must be at least 1; got 0"),
    ],
)  # fmt: skip
def test_wrong_options(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        dvs_net(name, **options)
    assert str(error.value) == message


FRAMES = "frames of events [T, B, 2, H, W]"
POOLS = "it pools seven times; centre smaller frames in more: --image-size 128"


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 2, 128, 128), f"{FRAMES}; got (2, 2, 128, 128); give event data: --data nmnist:PATH"),
        ((1, 2, 3, 128, 128),
         f"{FRAMES}; got (1, 2, 3, 128, 128); give event data: --data nmnist:PATH"),
        ((1, 2, 2, 127, 128), f"at least 128 x 128 pixels; got '127 x 128'; {POOLS}"),
        ((1, 2, 2, 34, 34), f"at least 128 x 128 pixels; got '34 x 34'; {POOLS}"),
    ],
)  # fmt: skip
def test_wrong_input(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError) as error:
        dvs_net("Wide-7B-Net", seed=0)(torch.zeros(shape))
    assert str(error.value) == f"the input of a Wide-7B-Net must be {message}"
