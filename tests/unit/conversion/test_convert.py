"""Converted networks: lossless where they must be, and the same by every way of running them."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor, nn

from snnlens.conversion.activations import QCFS
from snnlens.conversion.anatomy import passed
from snnlens.conversion.convert import convert, requantised, thresholds_of
from snnlens.conversion.prepare import prepare
from snnlens.errors import InputError
from snnlens.neuron.layers import IF
from tests.unit.conversion.nets import Functional, Untraceable, branches, relus

STEPS = (1, 2, 3, 4, 8, 16)


def test_parallel_is_the_ann_at_t_equal_levels() -> None:
    for levels, seed in product((2, 4, 8), range(3)):
        ann, x = branches(levels, seed)
        net = convert(ann, "parallel", levels)
        assert torch.allclose(net(x), ann(x), rtol=0, atol=1e-12)  # float64, another order of sums


@pytest.mark.parametrize("steps", STEPS)
def test_every_layer_is_that_of_the_requantised_ann(steps: int) -> None:
    """All layers, all neurons, counts: 0 differ, whichever way the network is run."""
    ann, x = branches()
    prepared = prepare(ann)
    reference = passed(requantised(prepared, thresholds_of(prepared), steps), prepared, x)
    net = convert(prepared, "parallel", steps)
    for sum_first in (False, True):
        net.sum_first = sum_first
        for name, found in _means(net, x).items():
            theta = net.layers[name].theta
            counts = torch.round(reference.outputs[name] / theta * steps)
            assert torch.equal(torch.round(found / theta * steps), counts), (name, sum_first)


def test_sum_first_has_the_bits_of_the_ann() -> None:
    """Where both take their sums from one matrix product: also on ties, also in float32."""
    for dtype in (torch.float32, torch.float64):
        ann, x = branches()
        ann, x = ann.to(dtype), x.to(dtype)
        prepared = prepare(ann)
        net = convert(prepared, "parallel", 4)
        net.sum_first = True
        assert torch.equal(net(x), prepared.network(x))


class Lattice(nn.Module):
    """An average pool and an identity shortcut straight before neurons of one theta."""

    def __init__(self, theta: float, levels: int) -> None:
        super().__init__()
        self.acts = nn.ModuleList(QCFS(levels, theta, learned=False) for _ in range(3))
        self.pool = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        a = self.acts[0](x)
        b = self.acts[1](self.pool(a))
        return self.acts[2](b + b).flatten(1)


@pytest.mark.parametrize("theta", [0.3, 0.7, 1.0, 1.2345678])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ties(theta: float, dtype: torch.dtype) -> None:
    """ANN == parallel, each step and sum first, == integer arithmetic: 0 neurons differ."""
    for levels in (4, 16, 64):
        torch.manual_seed(levels)  # the input is a lattice too
        x = torch.randint(4 * levels, (20, 8, 16, 16)).to(dtype) * (theta / (4 * levels))
        prepared = prepare(Lattice(theta, levels).to(dtype))
        reference = passed(prepared.network, prepared, x)
        net = convert(prepared, "parallel", levels)
        for sum_first in (False, True):
            net.sum_first = sum_first
            for name, mean in _means(net, x).items():
                unit = net.layers[name].theta / levels
                found = torch.round(mean / unit)
                assert torch.equal(found, torch.round(reference.outputs[name] / unit))
        a, b, _ = (torch.round(v / unit).long() for v in reference.outputs.values())
        four = a[..., ::2, ::2] + a[..., 1::2, ::2] + a[..., ::2, 1::2] + a[..., 1::2, 1::2]
        assert torch.equal(b, (four * 2 + 4) // 8)  # floor(k / 4 + 1/2)
        assert ((four % 4) == 2).float().mean() > 0.2  # so many sit exactly on a tie


def test_sequential_is_not_lossless() -> None:
    ann, x = branches()
    prepared, net = prepare(ann), convert(ann, "sequential", 4)
    reference = passed(prepared.network, prepared, x)
    differs = [
        (torch.round((mean - reference.outputs[name]) / net.layers[name].theta * 4) != 0)
        for name, mean in _means(net, x).items()
    ]
    assert not differs[0].any()  # a constant current
    assert all(d.any() for d in differs[1:])


def test_sequential_prefixes_are_shorter_runs() -> None:
    ann, x = branches()
    long, short = convert(ann, "sequential", 16), convert(ann, "sequential", 5)
    assert torch.equal(long.steps(x)[:5], short.steps(x))


def test_a_relu_network_needs_data() -> None:
    ann, x = relus()
    with pytest.raises(InputError) as error:
        convert(ann)
    assert str(error.value) == (
        "thresholds must be one per activation: a ReLU has none of its own; got 'none for act and "
        "2 others'; give data=batches (the training set), or train with QCFS"
    )
    assert (convert(ann, time_steps=512, data=[x])(x) - ann(x)).abs().max() < 0.02  # ~ theta / 2T


def test_functional_activations_are_replaced() -> None:
    torch.manual_seed(0)
    ann, x = Functional().double().eval(), torch.randn(50, 6).double()
    net = convert(ann, time_steps=1024, data=[x])
    assert len(net.layers) == 5
    assert (net(x) - ann(x)).abs().max() < 0.02


def test_untraceable_networks() -> None:
    x = torch.randn(50, 6)
    plain = Untraceable().eval()
    assert (convert(plain, time_steps=512, data=[x])(x) - plain(x)).abs().max() < 0.02
    with pytest.raises(InputError) as error:
        convert(Untraceable(hidden=True), data=[x])(x)
    assert str(error.value) == (
        "the forward function of the network must be activations that are modules, as torch.fx "
        "cannot trace it; got 'relu()'; make each one an nn.ReLU() of its own"
    )


def test_partial() -> None:
    ann = nn.Sequential(nn.Linear(4, 4), QCFS(4, 1.0), nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 2))
    with pytest.raises(InputError, match=r"3 \(GELU\)"):
        convert(ann)
    net = convert(ann, partial=True)
    assert net.coverage.set_index("module").loc["3", "outcome"] == "analog"
    with pytest.raises(InputError, match="3 is not linear"):
        net.sum_first = True


def test_it_stays_in_evaluation_mode() -> None:
    ann, x = branches()
    net = convert(ann, folded=False).train()
    assert not any(m.training for m in net.modules())
    before = net(x)
    assert torch.equal(net(x), before)


def test_time_steps_can_be_set() -> None:
    ann, x = branches()
    net = convert(ann, time_steps=2)
    net.time_steps = 8
    assert torch.equal(net(x), convert(ann, time_steps=8)(x))


def test_spiking_layers_that_are_there_are_kept() -> None:
    ann = nn.Sequential(nn.Linear(4, 4), QCFS(4, 1.0), nn.Linear(4, 4), IF(), nn.Linear(4, 2))
    net = convert(ann, partial=True)
    assert net.coverage.set_index("module").loc["3", "outcome"] == "spiking"


@pytest.mark.parametrize(("given", "message"), [
    ({"time_steps": 0}, "time_steps must be at least 1; got 0"),
    ({"method": "rate"}, "method must be parallel or sequential; got 'rate'"),
    ({"pool": "max"}, "pool must be as given or average; got 'max'"),
])  # fmt: skip
def test_bad_options(given: dict[str, object], message: str) -> None:
    ann, _ = branches()
    with pytest.raises(InputError) as error:
        convert(ann, **given)  # type: ignore[arg-type]
    assert str(error.value) == message


@pytest.mark.parametrize("raw", [0.0, float("nan")])
def test_a_threshold_that_training_ruined(raw: float) -> None:
    ann, _ = branches()
    ann.act2.raw.data.fill_(raw)
    with pytest.raises(InputError) as error:
        convert(ann)
    assert str(error.value) == (
        f"the threshold of act2 must be above 0 after training; got {raw}; train it again with a "
        "smaller learning rate or no weight decay on thresholds"
    )


def test_an_empty_calibration_set() -> None:
    ann, x = relus()
    for data in ([], [x[:0]]):
        with pytest.raises(
            InputError, match="the calibration set must be with samples; got 'empty'"
        ):
            convert(ann, data=data)


def test_sum_first_is_for_parallel_networks() -> None:
    ann, x = branches()
    net = convert(ann, "sequential")
    with pytest.raises(InputError, match="a sequential neuron needs its currents step by step"):
        net.sum_first = True
    net = convert(ann)
    net.sum_first = True
    with pytest.raises(InputError, match="no single step is run with it"):
        net.steps(x)


def _means(net, x: Tensor) -> dict[str, Tensor]:  # type: ignore[no-untyped-def]
    """The mean output of each spiking layer."""
    found: dict[str, Tensor] = {}
    handles = []
    for name, layer in net.layers.items():

        def hook(_: object, __: object, out: Tensor, name: str = name) -> None:
            steps = 1 if net.sum_first else net.time_steps
            found[name] = out.unflatten(0, (steps, -1)).mean(0)

        handles.append(layer.register_forward_hook(hook))
    net(x)
    for handle in handles:
        handle.remove()
    return found


def test_a_spiking_layer_that_is_there_sees_steps_not_samples() -> None:
    """Each sample alone gives what it gives in the batch, at every T."""
    torch.manual_seed(0)
    ann = nn.Sequential(nn.Linear(4, 6), QCFS(4, 1.0), nn.Linear(6, 6), IF(0.2), nn.Linear(6, 2))
    x = torch.rand(7, 4)
    for method in ("parallel", "sequential"):
        net = convert(ann, method, 5, partial=True)  # type: ignore[arg-type]
        alone = torch.cat([net(one[None]) for one in x])
        assert torch.allclose(alone, net(x), rtol=0, atol=1e-6)
        assert net(x).std() > 0
