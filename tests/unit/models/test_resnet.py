"""The builder: sizes, names, weights, connections, zero-init, stem, errors."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snnlens.errors import InputError
from snnlens.models.plan import CONNECTS, IMAGENET, RESIDUALS, BlockPlan, plan
from snnlens.models.resnet import CONNECT, Block, PlainBlock, ResNet, SEWBlock, SpikingBlock, resnet
from snnlens.neuron.layers import IF, LIF, PLIF, Neuron

# torchvision's documentation of resnet18 ... resnet152
PARAMETERS = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808}
KINDS = [(r, c) for r in RESIDUALS for c in (CONNECTS if r == "sew" else (None,))]
SPEC = BlockPlan(0, 1, 1, "identity", 2, 2, 1, 0, 0)


def _images(batch: int = 2, size: int = 32, seed: int = 0) -> Tensor:
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(seed))


def _meta(depth: int, residual: str, connect: str | None, layout: str = "imagenet") -> ResNet:
    with torch.device("meta"):  # sizes and names only: no memory
        return ResNet(plan(depth, layout), residual, connect, IF(), time_steps=4, classes=1000)


def _watch(model: nn.Module, names: dict[str, str]) -> tuple[dict[str, Tensor], list[Any]]:
    """Outputs of modules by label, by plain hooks."""
    seen: dict[str, Tensor] = {}

    def keep(label: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, output: Tensor) -> None:
            seen[label] = output.detach().clone()

        return hook

    return seen, [
        model.get_submodule(path).register_forward_hook(keep(label))
        for label, path in names.items()
    ]


def _block_outputs(model: ResNet, x: Tensor) -> list[Tensor]:
    seen, handles = _watch(model, {b.name: b.name for b in model.plan.blocks})
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    return list(seen.values())


def _all_equal(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


# --- sizes and names ---------------------------------------------------------------------------


@pytest.mark.parametrize("depth", PARAMETERS)
def test_parameter_counts_are_the_published_ones(depth: int) -> None:
    for residual, connect in KINDS:
        if residual != "plain":
            model = _meta(depth, residual, connect)
            assert sum(p.numel() for p in model.parameters()) == PARAMETERS[depth]


def test_plain_has_no_shortcut() -> None:
    """ResNet-50 without its four 1x1 shortcuts and their BatchNorms."""
    shortcuts = sum(i * o + 2 * o for i, o in ((64, 256), (256, 512), (512, 1024), (1024, 2048)))
    model = _meta(50, "plain", None)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[50] - shortcuts


def test_plif_adds_one_scalar_a_layer() -> None:
    model = resnet(18, neuron=PLIF(), seed=0)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[18] + 1 + 2 * 8 + 3


def test_cifar_parameter_count() -> None:
    """ResNet-20 of He et al. 2016 (0.27 M) with ten classes, with projection shortcuts."""
    with torch.device("meta"):
        model = ResNet(plan(20, "cifar"), "ann", None, IF(), time_steps=1, classes=10)
    without = sum(p.numel() for n, p in model.named_parameters() if "downsample" not in n)
    assert without == 269_722  # He et al.'s option A has no parameters in its shortcuts
    shortcuts = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    assert sum(p.numel() for p in model.parameters()) == without + shortcuts


def _torchvision_keys(depth: int) -> list[str]:
    """torchvision's rule, written out: conv, bn (5 entries), downsample.0 and .1, fc."""
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    block, counts = IMAGENET[depth]
    keys = ["conv1.weight", *(f"bn1.{n}" for n in norm)]
    for stage, count in enumerate(counts, start=1):
        for position in range(count):
            path = f"layer{stage}.{position}"
            for i in range(1, (2 if block == "basic" else 3) + 1):
                keys += [f"{path}.conv{i}.weight", *(f"{path}.bn{i}.{n}" for n in norm)]
            if position == 0 and (stage > 1 or block == "bottleneck"):
                keys += [f"{path}.downsample.0.weight"]
                keys += [f"{path}.downsample.1.{n}" for n in norm]
    return [*keys, "fc.weight", "fc.bias"]


@pytest.mark.parametrize("depth", PARAMETERS)
def test_state_dict_keys_are_torchvisions(depth: int) -> None:
    for residual, connect in KINDS:
        if residual != "plain":
            keys = list(_meta(depth, residual, connect).state_dict())
            assert sorted(keys) == sorted(_torchvision_keys(depth))


@pytest.mark.parametrize(("residual", "connect"), KINDS)
def test_where_the_neurons_are(residual: str, connect: str | None) -> None:
    """SEW: a neuron ends the shortcut of a downsample block; Spiking: none does."""
    model = resnet(50, residual=residual, connect=connect, seed=0)
    names = [n for n, _ in model.neurons()]
    per_block = [f"{b.name}.sn{i}" for b in model.plan.blocks for i in (1, 2, 3)]
    shortcuts = [f"{b.name}.downsample.2" for b in model.plan.blocks if b.kind == "downsample"]
    expected = {
        "ann": [],
        "plain": ["sn1", *per_block],
        "spiking": ["sn1", *per_block],
        "sew": ["sn1", *per_block, *shortcuts],
        "ms": [*per_block, "sn_out"],
    }[residual]
    assert sorted(names) == sorted(expected)
    assert len(shortcuts) == 4
    for path in shortcuts:
        downsample = model.get_submodule(path.removesuffix(".downsample.2")).downsample
        assert (downsample is None) == (residual == "plain")
        if downsample is not None:
            assert len(downsample) == (3 if residual == "sew" else 2)


def test_stride_is_on_the_3x3() -> None:
    block = _meta(50, "sew", "add").get_submodule("layer2.0")
    strides = [block.get_submodule(f"conv{i}").stride for i in (1, 2, 3)]
    assert strides == [(1, 1), (2, 2), (1, 1)]
    assert block.get_submodule("conv2").kernel_size == (3, 3)


def test_every_layer_gets_its_own_copy_of_the_template() -> None:
    template = PLIF(3.0, threshold=0.7, reset="soft", detach_reset=False)
    model = resnet(18, neuron=template, seed=0)
    neurons = [n for _, n in model.neurons()]
    assert len({id(n) for n in [template, *neurons]}) == len(neurons) + 1
    assert all(n.rule == template.rule for n in neurons)
    assert all(isinstance(n, PLIF) and n.w.item() == template.w.item() for n in neurons)
    assert len({n.w.data_ptr() for n in neurons if isinstance(n, PLIF)}) == len(neurons)


# --- weights -----------------------------------------------------------------------------------


def test_one_seed_gives_one_set_of_weights() -> None:
    reference = resnet(18, residual="ann", seed=3).state_dict()
    for residual, connect in KINDS:
        state = resnet(18, residual=residual, connect=connect, seed=3).state_dict()
        shared = [k for k in reference if k in state]
        assert len(shared) == len(reference) or residual == "plain"
        if residual != "plain":  # without shortcuts later weights are drawn from another place
            assert all(torch.equal(state[k], reference[k]) for k in shared)
    other = resnet(18, residual="ann", seed=4).state_dict()
    assert not torch.equal(other["conv1.weight"], reference["conv1.weight"])


def test_a_seed_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    first = resnet(18, seed=0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(7)
    drawn = resnet(18)
    assert not torch.equal(drawn.conv1.weight, first.conv1.weight)
    torch.manual_seed(7)
    assert torch.equal(resnet(18).conv1.weight, drawn.conv1.weight)


def test_shared_weights_are_the_same_memory() -> None:
    donor = resnet(18, residual="spiking", seed=5)
    weights = donor.state_dict()
    for residual, connect in KINDS:
        model = resnet(18, residual=residual, connect=connect, weights=weights, zero_init=True)
        for name, module in model.named_modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                assert module.weight.data_ptr() == weights[f"{name}.weight"].data_ptr()
    # zero-init touched no weight of the donor
    assert all((b.last_norm.weight == 1).all() for _, b in donor.blocks())
    assert all((b.last_norm.bias == 0).all() for _, b in donor.blocks())


def test_shared_weights_equal_drawn_ones() -> None:
    drawn = resnet(18, residual="sew", connect="iand", seed=5, zero_init=True)
    shared = resnet(18, residual="sew", connect="iand", zero_init=True,
                    weights=resnet(18, residual="spiking", seed=5).state_dict())  # fmt: skip
    for key, value in drawn.state_dict().items():
        assert torch.equal(value, shared.state_dict()[key]), key


def test_initialisation_is_kaiming_fan_out() -> None:
    model = resnet(18, seed=0)
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * module.kernel_size[0] * module.kernel_size[1]
            spread = module.weight.std().item() / (2 / fan_out) ** 0.5
            assert spread == pytest.approx(1, abs=4 / module.weight.numel() ** 0.5), name
        elif isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all()
            assert (module.bias == 0).all()
            assert (module.running_mean == 0).all()
            assert (module.running_var == 1).all()
            assert module.num_batches_tracked == 0
    bound = 512**-0.5
    assert bound * 0.99 < model.fc.weight.abs().max() <= bound


# --- connections -------------------------------------------------------------------------------


def test_table_1() -> None:
    """A and S over all four pairs: ADD A + S, AND A S, IAND (1 - A) S."""
    a, s = torch.tensor([0.0, 0.0, 1.0, 1.0]), torch.tensor([0.0, 1.0, 0.0, 1.0])
    assert CONNECT["add"](a, s).tolist() == [0, 1, 1, 2]
    assert CONNECT["and"](a, s).tolist() == [0, 0, 0, 1]
    assert CONNECT["iand"](a, s).tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize("connect", CONNECTS)
def test_sew_block_against_its_formula(connect: str) -> None:
    """O = g(SN(F(S)), S) with F by hand from the block's own layers, time step by time step."""
    block = SEWBlock("bottleneck", BlockPlan(0, 1, 1, "identity", 8, 2, 1, 0, 0), "sew",
                     LIF(1.5, threshold=0.4), connect).eval()  # fmt: skip
    s = (torch.rand(3, 2, 8, 5, 5, generator=torch.Generator().manual_seed(1)) > 0.6).float()
    with torch.no_grad():
        f = s
        for i in (1, 2, 3):
            conv, norm = block.get_submodule(f"conv{i}"), block.get_submodule(f"bn{i}")
            conv.weight.mul_(3)  # enough for spikes everywhere
            f = torch.stack([norm(conv(step)) for step in f])
            f = _loop_lif(f, 1.5, 0.4)
        assert f.any(0).any()
        by_hand = {"add": f + s, "and": f * s, "iand": s - f * s}[connect]
        assert torch.equal(block(s), by_hand)


def _loop_lif(x: Tensor, tau: float, threshold: float) -> Tensor:
    v, out = torch.zeros_like(x[0]), []
    for current in x:
        v = v + (current - v) / tau
        spike = v >= threshold
        out.append(spike.float())
        v = torch.where(spike, 0.0, v)
    return torch.stack(out)


def test_spiking_plain_and_ms_blocks_against_their_formulas() -> None:
    s = (torch.rand(4, 2, 2, 5, 5, generator=torch.Generator().manual_seed(1)) > 0.5).float()
    for kind in (SpikingBlock, PlainBlock):
        block = kind("basic", SPEC, "spiking", IF()).eval()
        with torch.no_grad():
            f = block.branch(s)
            total = f + s if kind is SpikingBlock else f
            assert torch.equal(block(s), IF()(total))
    ms = resnet(18, residual="ms", seed=0).get_submodule("layer1.0").eval()
    current = torch.randn(4, 1, 64, 4, 4, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        y = current
        for i in (1, 2):
            spikes = IF()(y)
            conv, norm = ms.get_submodule(f"conv{i}"), ms.get_submodule(f"bn{i}")
            y = torch.stack([norm(conv(step)) for step in spikes])
        assert torch.allclose(ms(current), y + current, atol=1e-5)


@pytest.mark.parametrize("depth", [18, 50])
def test_sew_add_outputs_are_integers_up_to_n_plus_1(depth: int) -> None:
    """Section 3.3: a downsample block regulates the output to at most 2; then one more a block."""
    model = resnet(depth, residual="sew", connect="add", neuron=IF(0.3), seed=0)
    outputs = _block_outputs(model, _images(4))
    largest = 0.0
    for block, output in zip(model.plan.blocks, outputs, strict=True):
        assert torch.equal(output, output.round())
        assert output.min() >= 0
        # in 18 layers the first stage has no downsample block: its input is binary
        assert output.max() <= block.position + 2
        largest = max(largest, output.max().item())
    assert largest > 2  # the bound was not met for want of spikes


@pytest.mark.parametrize("connect", ["and", "iand"])
def test_and_and_iand_stay_binary(connect: str) -> None:
    model = resnet(18, residual="sew", connect=connect, neuron=IF(0.3), seed=0)
    for output in _block_outputs(model, _images(4)):
        assert set(output.unique().tolist()) <= {0.0, 1.0}


# --- zero-init ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("depth", "threshold"), [(18, 1.0), (18, 0.5), (50, 1.0), (50, 0.5)])
def test_zero_init_networks_are_equal(depth: int, threshold: float) -> None:
    """O^l of Spiking, add, and, iand bit-equal at every block, downsample blocks included."""
    weights = resnet(depth, residual="spiking", seed=1).state_dict()
    runs = {}
    for residual, connect in [("spiking", None), *(("sew", c) for c in CONNECTS)]:
        model = resnet(depth, residual=residual, connect=connect, neuron=IF(threshold),
                       zero_init=True, weights=weights)  # fmt: skip
        runs[connect] = _block_outputs(model, _images(2))
    for connect in CONNECTS:
        assert _all_equal(runs[connect], runs[None])
    assert all(0.01 < o.mean() < 0.99 for o in runs[None])


@pytest.mark.parametrize(
    ("residual", "connect"), [("spiking", None), ("ms", None), *(("sew", c) for c in CONNECTS)]
)
def test_identity_blocks_are_exact(residual: str, connect: str | None) -> None:
    model = resnet(20, layout="cifar", residual=residual, connect=connect, zero_init=True, seed=1)
    pairs = _pairs(model, _images(2, 16))
    for block, (s, o) in zip(model.plan.blocks, pairs, strict=True):
        if block.kind == "identity":
            assert torch.equal(s, o)
            assert s.any()


def _pairs(model: ResNet, x: Tensor) -> list[tuple[Tensor, Tensor]]:
    pairs: list[tuple[Tensor, Tensor]] = []
    handles = [
        block.register_forward_hook(lambda m, args, out: pairs.append((args[0], out)))
        for _, block in model.blocks()
    ]
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    return pairs


def test_without_zero_init_no_block_is_the_identity() -> None:
    for residual, connect in [("spiking", None), *(("sew", c) for c in CONNECTS), ("ms", None)]:
        model = resnet(20, layout="cifar", residual=residual, connect=connect, seed=1)
        s, o = _pairs(model, _images(2, 16))[0]
        assert not torch.equal(s, o)
        assert not model.zero_init


def test_a_threshold_above_one_is_no_identity() -> None:
    model = resnet(20, layout="cifar", residual="spiking", neuron=IF(1.5), zero_init=True, seed=1)
    s, o = _pairs(model, _images(2, 16))[0]
    assert s.any()
    assert not torch.equal(s, o)


NEURONS: list[Neuron] = [
    IF(), IF(0.5), LIF(2.0), LIF(3.3, threshold=0.3), LIF(3.3, threshold=0.3, decay_input=False),
    PLIF(2.0), PLIF(3.3, threshold=0.7),
]  # fmt: skip


@pytest.mark.parametrize("neuron", NEURONS, ids=str)
def test_zero_init_of_and_makes_a_one_at_every_step(neuron: Neuron) -> None:
    model = resnet(
        20, layout="cifar", connect="and", neuron=neuron, zero_init=True, time_steps=6, seed=0
    )
    for _, block in model.blocks():
        assert not block.last_norm.weight.any()
        assert len(block.last_norm.bias.unique()) == 1
        bias = block.last_norm.bias[0].item()
        rule = neuron.rule
        gained = rule.threshold * (neuron.tau() or 1) if rule.decay_input else rule.threshold
        assert bias == pytest.approx(gained, rel=1e-6)
    seen, _ = _watch(model, {b.name: f"{b.name}.residual" for b in model.plan.blocks})
    model(_images(2, 16))
    assert all((a == 1).all() for a in seen.values())


def test_and_bias_in_another_dtype() -> None:
    """tau V_th in the tensor's own dtype: a bfloat16 network fires too."""
    for dtype in (torch.bfloat16, torch.float64):
        block = SEWBlock("basic", SPEC, "sew", LIF(3.3, threshold=0.3), "and").to(dtype)
        s = (torch.rand(5, 2, 2, 3, 3) > 0.5).to(dtype)
        assert torch.equal(block.identity_output(s), s)


@pytest.mark.parametrize("connect", ["add", "iand"])
@pytest.mark.parametrize("neuron", NEURONS, ids=str)
def test_zero_init_of_add_and_iand_makes_a_zero(neuron: Neuron, connect: str) -> None:
    model = resnet(20, layout="cifar", connect=connect, neuron=neuron, zero_init=True, seed=0)
    assert not any(b.last_norm.weight.any() or b.last_norm.bias.any() for _, b in model.blocks())
    seen, _ = _watch(model, {b.name: f"{b.name}.residual" for b in model.plan.blocks})
    model(_images(2, 16))
    assert not any(a.any() for a in seen.values())


def test_zero_init_gradient_is_one_in_sew_and_ms() -> None:
    """Eq. 11: dO/dS = 1 in every identity block, exactly; in Spiking it is diag(sigma')."""
    for residual, connect in [("ms", None), *(("sew", c) for c in CONNECTS), ("spiking", None)]:
        model = resnet(18, residual=residual, connect=connect, zero_init=True, time_steps=1, seed=0)
        block = model.get_submodule("layer1.1")
        s = (torch.rand(1, 2, 64, 8, 8) > 0.5).float().requires_grad_()
        upstream = torch.randn(1, 2, 64, 8, 8)
        (grad,) = torch.autograd.grad(block(s), s, upstream)
        if residual == "spiking":
            slope = torch.where(s == 1, 1.0, IF().rule.surrogate.at(-1.0, torch.float32))
            assert torch.allclose(grad, upstream * slope, rtol=1e-6)
        else:
            assert torch.equal(grad, upstream)


def test_ms_gradient_is_constant_through_a_stage() -> None:
    model = resnet(50, residual="ms", zero_init=True, seed=0)
    inputs: list[Tensor] = []

    def keep(module: nn.Module, args: tuple[Tensor]) -> None:
        args[0].retain_grad()
        inputs.append(args[0])

    for _, block in model.blocks():
        block.register_forward_pre_hook(keep)
    model(_images(2).requires_grad_()).sum().backward()
    assert all(x.grad is not None and x.grad.any() for x in inputs)
    for area in model.plan.areas().values():
        grads = [inputs[i].grad for i in area if i < len(inputs)]
        assert all(torch.equal(g, grads[0]) for g in grads)  # type: ignore[arg-type]


# --- running -----------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["imagenet", "cifar"])
@pytest.mark.parametrize(("residual", "connect"), KINDS)
def test_every_kind_runs_and_trains(residual: str, connect: str | None, layout: str) -> None:
    depth = 18 if layout == "imagenet" else 8
    model = resnet(depth, residual=residual, connect=connect, layout=layout, neuron=IF(0.4),
                   time_steps=3, classes=7, seed=0)  # fmt: skip
    out = model(_images(4))
    assert out.shape == (4, 7)
    out.logsumexp(1).sum().backward()
    grads = {n: p.grad for n, p in model.named_parameters()}
    missing = [n for n, g in grads.items() if g is None or not torch.isfinite(g).all()]
    assert not missing
    assert grads["conv1.weight"].any() or connect == "and"  # and: the silence of Section 3.3


@pytest.mark.parametrize(("residual", "connect"), [k for k in KINDS if k[0] != "ann"])
def test_a_static_image_is_the_image_shown_at_every_step(
    residual: str, connect: str | None
) -> None:
    """In eval mode: logits and every block output of [B, ...] equal those of its T copies.

    In training mode the stem too, up to the rounding of the batch's mean: its BatchNorm sees each
    image T times, with the same mean and the same biased variance.
    """
    model = resnet(8, residual=residual, connect=connect, neuron=IF(0.4), layout="cifar",
                   time_steps=3, seed=0)  # fmt: skip
    x = _images(2, 16)
    _settle(model, x)
    once = _block_outputs(model.eval(), x)
    copies = _block_outputs(model, x.expand(3, *x.shape))
    assert _all_equal(once, copies)
    assert len(once[0]) == 3
    with torch.no_grad():
        assert torch.equal(model(x), model(x.expand(3, *x.shape)))
        model.train()
        seen, _ = _watch(model, {"stem": "bn1"})
        model(x)
        single = seen["stem"]
        model(x.expand(3, *x.shape))
        assert torch.allclose(seen["stem"].unflatten(0, (3, 2)), single, atol=1e-5)


def _settle(model: ResNet, x: Tensor) -> None:
    """Running statistics of this batch: with fresh ones an eval network is silent."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model(x)


def test_a_sequence_has_its_own_length() -> None:
    model = resnet(18, time_steps=4, seed=0)
    frames = torch.randn(6, 2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert len(_block_outputs(model, frames)[0]) == 6
    assert model(frames).shape == (2, 1000)


def test_output_is_the_mean_over_time_of_the_last_layer() -> None:
    model = resnet(18, neuron=IF(0.3), time_steps=3, classes=5, seed=0).eval()
    x = _images(2)
    _settle(model.train(), x)
    last = _block_outputs(model.eval(), x)[-1]
    with torch.no_grad():
        per_step = torch.stack([model.fc(step.mean((2, 3))) for step in last])
        assert torch.allclose(model(x), per_step.mean(0), atol=1e-5)


def test_ann_is_torchvisions_forward() -> None:
    """ReLU(F(X) + X) by hand over the whole network, one step of time."""
    model = resnet(18, residual="ann", classes=5, seed=0)
    x = _images(2)
    with torch.no_grad():
        out = model(x)
        y = model.maxpool(torch.relu(model.bn1(model.conv1(x))))
        for _, b in model.blocks():
            f = b.bn2(b.conv2(torch.relu(b.bn1(b.conv1(y)))))  # type: ignore[operator]
            y = torch.relu(f + (b.downsample(y) if b.downsample is not None else y))
        assert torch.allclose(out, model.fc(y.mean((2, 3))), atol=1e-4)
    assert model.time_steps == 1
    assert not model.neurons()


def test_reset_between_calls() -> None:
    """The second call of a model in eval mode gives the first one's bits."""
    model = resnet(18, neuron=LIF(2.0, threshold=0.3), seed=0).eval()
    x = _images(2)
    with torch.no_grad():
        assert torch.equal(model(x), model(x))


# --- sites -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("residual", "connect"), KINDS)
@pytest.mark.parametrize("depth", [18, 50])
def test_sites(residual: str, connect: str | None, depth: int) -> None:
    model = resnet(depth, residual=residual, connect=connect, seed=0)
    sites = model.sites()
    names = [s.name for s in sites]
    assert len(set(names)) == len(names)
    for block in model.plan.blocks:
        own = {s.name.removeprefix(block.name + "."): s for s in sites if s.block == block.index}
        assert {"input", "residual", "output"} < set(own)
        assert {s.block_kind for s in own.values()} == {block.kind}
        assert {s.stage for s in own.values()} == {block.stage}
        assert own["input"].area == block.area
        assert own["output"].area == own["residual"].area == block.area_out
        signal = {"ann": "activation", "ms": "current"}.get(residual, "spikes")
        signal = "counts" if connect == "add" else signal
        assert own["input"].signal == own["output"].signal == signal
    neurons = {s.name for s in sites if s.role == "neuron"}
    if residual != "ann":
        assert neurons == {n for n, _ in model.neurons()}
    for site in sites:
        model.get_submodule(site.module)  # is there


def test_sites_come_in_the_order_of_the_forward_pass() -> None:
    for residual, connect in KINDS:
        model = resnet(18, residual=residual, connect=connect, seed=0)
        order: list[str] = []

        def note(label: str, order: list[str] = order) -> Callable[..., None]:
            return lambda *args: order.append(label)

        for site in model.sites():
            module = model.get_submodule(site.module)
            if site.reads == "input":
                module.register_forward_pre_hook(note(site.name))
            else:
                module.register_forward_hook(note(site.name))
        model(_images(2))
        in_order = [s.name for s in model.sites()]
        # each fires once; a shortcut's neuron and a branch's last one are two parallel paths
        assert sorted(order) == sorted(in_order)
        blocks = [n for n in order if n.endswith(("input", "output"))]
        assert blocks == [n for n in in_order if n.endswith(("input", "output"))]


def test_facts() -> None:
    facts = resnet(18, connect="iand", neuron=IF(0.5), zero_init=True, seed=0).facts()
    expected = {"residual": "sew", "connect": "iand", "layout": "imagenet", "depth": 18,
                "zero_init": True, "time_steps": 4, "blocks": 8, "threshold": 0.5,
                "is_identity": True, "neuron": "IF"}  # fmt: skip
    assert {k: facts[k] for k in expected} == expected
    assert "neuron" not in resnet(18, residual="ann", seed=0).facts()


# --- wrong use ---------------------------------------------------------------------------------

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"residual": "resnet"}, "residual must be ann, plain, spiking, sew or ms; got 'resnet'"),
    ({"connect": "plus"}, "connect must be add, and or iand; got 'plus'"),
    (
        {"residual": "spiking", "connect": "add"},
        "connect must be left out: spiking has none; got 'add'",
    ),
    ({"time_steps": 0}, "time_steps must be at least 1; got 0"),
    (
        {"layout": "cifar"},
        (
            "depth must be 6n + 2 from 8 to 1202 in the cifar layout; got 18;"
            " the imagenet layout has it: --layout imagenet"
        ),
    ),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=[m for _, m in WRONG])
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        resnet(18, **options)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("residual", "shape", "message"),
    [
        ("sew", (2, 1, 32, 32), ("the input of a ResNet must be [B, 3, H, W] or [T, B, 3, H, W];"
         " got (2, 1, 32, 32)")),
        ("sew", (3, 32, 32), ("the input of a ResNet must be [B, 3, H, W] or [T, B, 3, H, W];"
         " got (3, 32, 32)")),
        ("ann", (4, 2, 3, 32, 32), ("the input of a ResNet must be [B, 3, H, W];"
         " got (4, 2, 3, 32, 32)")),
    ],
)  # fmt: skip
def test_wrong_images(residual: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError) as error:
        resnet(18, residual=residual, seed=0)(torch.zeros(shape))
    assert str(error.value) == message


def test_and_of_a_neuron_without_a_firing_bias() -> None:
    """Soft, rest above 0: the first spike leaves V at 0, below the rest: silent next."""
    neuron = IF(reset="soft", reset_potential=0.25)
    assert neuron(torch.full((2, 1), 0.75)).flatten().tolist() == [1, 0]
    with pytest.raises(InputError) as error:
        resnet(8, connect="and", layout="cifar", neuron=neuron, zero_init=True, seed=0)
    assert str(error.value) == (
        "the neuron of a zero-initialised AND block must be one that a constant current can make"
        f" spike at every step; got '{neuron}'; use connect add or iand, or a hard reset"
    )


def test_blocks_are_the_kind_they_say() -> None:
    kinds = {"ann": SpikingBlock, "plain": PlainBlock, "spiking": SpikingBlock, "sew": SEWBlock}
    for residual, kind in kinds.items():
        blocks: list[Block] = [b for _, b in _meta(18, residual, "add").blocks()]
        assert all(type(b) is kind for b in blocks)


def test_all_kinds_are_here() -> None:
    assert len(KINDS) == 7
    assert set(itertools.chain(*KINDS)) == {*RESIDUALS, *CONNECTS, None}
