"""What the converter accepts it converts truly, and what it cannot it refuses: many nets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import snnlens
from snnlens.conversion import QCFS, calibrate, convert, decompose
from snnlens.conversion.prepare import prepare
from snnlens.errors import InputError
from snnlens.neuron.layers import IF
from snnlens.neuron.parallel import ParallelIF

Forward = Callable[[Any, Tensor], Tensor]


class Net(nn.Module):
    """A network of layers a, b, c of six features, two activations, and any forward function."""

    def __init__(self, forward: Forward, act: Callable[[], nn.Module] = nn.ReLU) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.c = (nn.Linear(6, 6) for _ in range(3))
        self.r, self.s = act(), act()
        self.p = nn.Parameter(torch.rand(6))
        self.way = forward

    def forward(self, x: Tensor) -> Tensor:
        return self.way(self, x)


class Images(nn.Module):
    """The same of a convolution and a classifier, behind whatever lies between."""

    def __init__(self, forward: Forward, act: Callable[[], nn.Module] = nn.ReLU) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.c1, self.c2 = nn.Conv2d(3, 5, 3, padding=1), nn.Conv2d(5, 5, 3, padding=1)
        self.r, self.s, self.fc = act(), act(), nn.Linear(5 * 16, 4)
        self.pool, self.mean = nn.MaxPool2d(2), nn.AvgPool2d(2)
        self.way = forward

    def forward(self, x: Tensor) -> Tensor:
        return self.way(self, x)


X = torch.rand(40, 6, generator=torch.Generator().manual_seed(1)).double() * 2 - 1
PICTURES = torch.rand(12, 3, 8, 8, generator=torch.Generator().manual_seed(1)).double()


def four() -> QCFS:
    return QCFS(4, 0.7)


@torch.no_grad()
def off(ann: nn.Module, x: Tensor, steps: int, **options: Any) -> float:
    """How far the logits are from the ANN's, relative to the largest."""
    ann = ann.double().eval()
    net = convert(ann, "parallel", steps, data=[x], **options)
    return float((net(x) - ann(x)).abs().max() / ann(x).abs().max())


@pytest.mark.parametrize("function", [False, True])
def test_relu6(function: bool) -> None:
    """theta is at most 6, whatever the currents are; clipping never adds."""

    def way(net: Net, x: Tensor) -> Tensor:
        x = functional.relu6(40 * net.a(x)) if function else net.r(40 * net.a(x))
        return net.c(x)

    ann = Net(way, nn.ReLU6).double()
    net = convert(ann, time_steps=16, data=[X])
    assert all(layer.theta.max() <= 6 for layer in net.layers.values())
    assert off(ann, X, 4096) < 1e-2
    clip = decompose(ann, net, [X]).query("source == 'clip'")
    assert (clip["mean"] <= 1e-12).all()


WAYS: dict[str, Forward] = {
    "pool behind": lambda n, x: n.fc(n.s(n.c2(n.pool(n.r(n.c1(x))))).flatten(1)),
    "pool before": lambda n, x: n.fc(n.r(n.pool(n.c1(x))).flatten(1)),
    "pool before, second": lambda n, x: n.fc(n.s(n.pool(n.c2(n.r(n.c1(x))))).flatten(1)),
    "functional": lambda n, x: n.fc(n.s(functional.max_pool2d(n.c2(n.r(n.c1(x))), 2)).flatten(1)),
    "of the input": lambda n, x: n.fc(n.r(n.c1(n.pool(x))).flatten(1)),
}


@pytest.mark.parametrize("name", WAYS)
def test_max_pools_are_exact_behind_and_before_an_activation(name: str) -> None:
    ann = Images(WAYS[name], four).double()
    net = convert(ann, "parallel", 4)
    assert torch.allclose(net(PICTURES), ann(PICTURES), rtol=0, atol=1e-12)
    net.sum_first = True
    assert torch.allclose(net(PICTURES), ann(PICTURES), rtol=0, atol=1e-12)


def test_max_pools_elsewhere_are_refused() -> None:
    """Behind an average pool or a convolution without an activation it sees currents."""
    ann = Images(lambda n, x: n.fc(n.c2(n.pool(n.c2(n.r(n.c1(x))))).flatten(1)), four).double()
    with pytest.raises(InputError, match=r"pool \(MaxPool2d\)"):
        convert(ann)
    net = convert(ann, partial=True)
    assert "a maximum of currents" in net.coverage.set_index("module").loc["pool", "why"]
    with pytest.raises(InputError, match="pool is not linear"):
        net.sum_first = True


def test_dilated_pools_have_no_average() -> None:
    ann = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2, dilation=2))
    with pytest.raises(InputError, match="of windows without dilation"):
        prepare(ann, pool="average")


def test_batch_norm_on_the_channels_of_a_linear_layer() -> None:
    """[B, 6, 6]: BatchNorm1d scales axis 1, the linear layer makes axis 2."""
    ann = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Flatten()).double()
    x = torch.rand(9, 6, 6).double()
    ann(x)
    with pytest.raises(InputError, match="give folded=False"):
        convert(ann.eval(), data=[x])
    assert off(ann, x, 2048, folded=False) < 1e-2


def test_batch_norm_of_its_own_kind() -> None:
    """Without weights it stays; without running statistics it is refused."""
    plain = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6, affine=False), nn.ReLU()).double()
    plain(X)
    assert off(plain, X, 2048) < 1e-2
    batch = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6, track_running_stats=False), nn.ReLU())
    with pytest.raises(InputError, match=r"1 \(BatchNorm1d\)"):
        convert(batch, data=[X])


@pytest.mark.parametrize("shift", [0.0, 0.25, 0.5, 0.75])
def test_the_shift_of_qcfs(shift: float) -> None:
    """At T = L nothing is lost; a constant current is exact for the sequential layer too."""
    ann = Net(lambda n, x: n.c(n.s(n.b(n.r(n.a(x))))), lambda: QCFS(4, 0.7, shift=shift)).double()
    net = convert(ann, "parallel", 4)
    assert torch.allclose(net(X), ann(X), rtol=0, atol=1e-12)
    found = decompose(ann, convert(ann, "sequential", 4), [X])
    first = found.query("layer == 'r' and source == 'total'")
    assert (first["rms"] < 1e-12).all()


LINEAR: dict[str, Forward] = {
    "times": lambda n, x: n.c(2 * n.r(n.a(x))),
    "over": lambda n, x: n.c(n.r(n.a(x)) / 3),
    "less": lambda n, x: n.c(n.r(n.a(x)) - n.s(n.b(x))),
    "negative": lambda n, x: n.c(-n.r(n.a(x))),
    "a parameter": lambda n, x: n.c(n.r(n.a(x)) * n.p + n.p),
    "twice": lambda n, x: n.c(n.r(n.a(x)) + n.r(n.a(x))),
}
OTHERS: dict[str, Forward] = {
    "square": lambda n, x: n.c((h := n.r(n.a(x))) * h),
    "one over": lambda n, x: n.c(1 / (n.r(n.a(x)) + 1)),
    "whole": lambda n, x: n.c(n.r(n.a(x)) // 0.3),
    "product": lambda n, x: n.c(n.r(n.a(x)) * n.s(n.b(x))),
    "power": lambda n, x: n.c(n.r(n.a(x)) ** 2),
    "quotient": lambda n, x: n.c(n.r(n.a(x)) / (n.s(n.b(x)) + 1)),
}


@pytest.mark.parametrize("name", LINEAR)
def test_linear_arithmetic(name: str) -> None:
    assert off(Net(LINEAR[name]), X, 2048) < 1e-2
    ann = Net(LINEAR[name], four).double()
    found = decompose(ann, convert(ann, time_steps=4), [X])  # and no path error of a parameter
    assert found.query("source == 'total' and view == 'accumulated'")["rms"].max() < 1e-9


@pytest.mark.parametrize("name", OTHERS)
def test_other_arithmetic_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="the layers of the network must be linear"):
        convert(Net(OTHERS[name]).double(), data=[X])


def test_local_errors_on_ties() -> None:
    """L = 4 at T = 2: activations lie on ties; both neurons' encodings count them up."""
    torch.manual_seed(3)
    for theta in torch.rand(12).double() + 0.3:
        ann = Net(lambda n, x: n.c(n.s(n.b(n.r(n.a(x))))), lambda t=theta: QCFS(4, float(t)))
        ann = ann.double()
        views = [
            decompose(ann, convert(ann, method, 2), [X])  # type: ignore[arg-type]
            .query("view == 'local' and source == 'inherited' and layer == 's'")["mean"].iloc[0]
            for method in ("parallel", "sequential")
        ]  # fmt: skip
        assert views[0] == pytest.approx(views[1], abs=1e-9)


def untraced(way: Forward) -> Forward:
    """The same with a branch that depends on the data."""
    return lambda net, x: way(net, x) if x.sum() > -1e9 else x


@pytest.mark.parametrize(("way", "said"), [
    (lambda n, x: n.c(n.r(n.a(x)).clamp(min=0)), "clamp()"),
    (lambda n, x: n.c(functional.leaky_relu(n.r(n.a(x)))), "leaky_relu()"),
    (lambda n, x: n.c(torch.tanh(n.r(n.a(x)))), "tanh()"),
])  # fmt: skip
def test_what_an_untraced_forward_calls_is_seen(way: Forward, said: str) -> None:
    ann = Net(untraced(way)).double()
    ann.s = nn.Identity()
    with pytest.raises(InputError) as error:
        convert(ann, data=[X])(X)
    assert f"got '{said}'" in str(error.value)


def test_an_untraced_activation_that_is_called_twice() -> None:
    ann = Net(untraced(lambda n, x: n.c(n.r(n.b(n.r(n.a(x))))))).double()
    ann.s = nn.Identity()
    net = convert(ann, time_steps=1024, data=[X])
    assert (net(X) - ann(X)).abs().max() < 0.01  # each call begins from rest
    with pytest.raises(InputError, match="r, called twice"):
        decompose(ann, net, [X])


@pytest.mark.parametrize(("way", "said"), [
    (lambda n, x: n.c(n.r(n.a(x))), "s, which the forward function never calls"),
    (lambda n, x: functional.relu(n.a(x)), "as modules where torch.fx cannot trace it"),
])  # fmt: skip
def test_untraced_networks_without_what_is_needed(way: Forward, said: str) -> None:
    act = nn.ReLU if "never" in said else nn.Identity
    with pytest.raises(InputError, match=said):
        convert(Net(untraced(way), act).double(), data=[X])


def test_an_activation_for_its_effect() -> None:
    def way(net: Net, x: Tensor) -> Tensor:
        h = net.a(x)
        net.r(h)
        return net.c(h)

    with pytest.raises(InputError, match="r, whose output nothing uses"):
        convert(Net(way, lambda: nn.ReLU(inplace=True)), data=[X])


def test_a_softmax_at_the_end() -> None:
    ann = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3), nn.Softmax(1))
    with pytest.raises(InputError, match="leave a softmax at the end out"):
        convert(ann, data=[X])


def test_nothing_to_convert() -> None:
    with pytest.raises(InputError, match="with at least one ReLU or QCFS"):
        convert(nn.Sequential(nn.Linear(6, 4), nn.GELU()), partial=True)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_data_that_is_not_finite(value: float) -> None:
    ann = nn.Sequential(nn.Linear(6, 4), nn.ReLU()).double()
    with pytest.raises(InputError, match="the currents of 1 must be finite"):
        convert(ann, data=[torch.full_like(X, value)])


def test_prefixes_of_a_network_with_a_sorting_layer() -> None:
    """A parallel layer inside a sequential network: T = 4 is no prefix of T = 16."""
    ann = nn.Sequential(nn.Linear(6, 6), QCFS(4, 0.7), nn.Linear(6, 6), ParallelIF(0.5),
                        nn.Linear(6, 6), QCFS(4, 0.7), nn.Linear(6, 3)).double()  # fmt: skip
    net = convert(ann, "sequential", 4, partial=True)
    both = decompose(ann, net, [X], time_steps=[4, 16], local=False)
    alone = decompose(ann, net, [X], time_steps=[4], local=False)
    assert both.query("time_steps == 4")["rms"].tolist() == alone["rms"].tolist()


def test_calibration_begins_anew() -> None:
    ann = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)).double()
    net = calibrate(ann, convert(ann, time_steps=2, data=[X]), [X] * 9)
    calibrate(ann, net, [X], dense=False)
    assert not any(layer.gain.any() for layer in net.layers.values())


def test_the_longest_way_through_branches() -> None:
    def way(net: Net, x: Tensor) -> Tensor:
        left = functional.relu(net.b(net.r(net.a(x))))
        return net.c(left + net.s(net.a(x)))

    made = prepare(Net(way))
    assert (len(made.activations), made.depth) == (3, 2)


def test_decompose_knows_its_ann() -> None:
    ann = Net(LINEAR["times"], four).double()
    net = convert(ann, time_steps=4)
    other = Net(LINEAR["times"], four).double()
    other.a.weight.data += 0.1
    with pytest.raises(InputError, match=r"other weights in a\.weight"):
        decompose(other, net, [X])


def test_a_checkup_of_as_many_samples_as_features() -> None:
    ann = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4))
    x = torch.rand(16, 16)
    result = snnlens.checkup(convert(ann, data=[x]), x, torch.arange(16) % 4)
    assert not [f for f in result.findings if f.severity == "error"]


@pytest.mark.parametrize("data", [X, torch.utils.data.TensorDataset(X, X[:, 0])])
def test_data_as_people_give_it(data: Any) -> None:
    ann = nn.Sequential(nn.Linear(6, 4), nn.ReLU()).double()
    wanted = convert(ann, data=[X]).layers["1"].theta
    assert torch.equal(convert(ann, data=data).layers["1"].theta, wanted)


SLIPS: list[tuple[Callable[[], Any], str]] = [
    (lambda: convert(nn.ReLU, data=[X]), "the ANN must be an nn.Module that was built"),  # type: ignore[arg-type]
    (lambda: convert(_small(), "parallel", 4.5, data=[X]), "time_steps must be a whole number"),  # type: ignore[arg-type]
    (lambda: convert(_small(), "parallel", "8", data=[X]), "time_steps must be a whole number"),  # type: ignore[arg-type]
    (lambda: convert(_small(), data=[{"x": X}]), "a batch of the data must be x or"),
    (lambda: convert(_small(), thresholds={"foo": X}, data=[X]), "a name in thresholds must be"),
    (lambda: decompose(_net(), _small(), [X]), r"decompose\(ann, net, loader\)"),  # type: ignore[arg-type]
    (lambda: calibrate(_net(), _small(), [X]), r"calibrate\(ann, net, data\)"),  # type: ignore[arg-type]
    (lambda: calibrate(_small(), _net(), [X], foo=1), "an option of da_qcfs must be one of alpha"),
    (lambda: decompose(_small(), _net(), [X], time_steps=[0]), "time_steps must be at least 1"),
    (lambda: QCFS(4.5), "levels must be a whole number"),  # type: ignore[arg-type]
    (lambda: snnlens.conversion.export_nir(
        convert(_small(), "sequential", data=[X]), "/nowhere/a.nir", (65,)), "input_shape must be"),
]  # fmt: skip


@pytest.mark.parametrize(("slip", "said"), SLIPS)
def test_slips_are_told_in_one_line(slip: Callable[[], Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        slip()
    assert "\n" not in str(error.value)


def test_an_ann_that_returns_no_tensor() -> None:
    ann = Net(lambda n, x: (n.c(n.r(n.a(x))), x)).double()  # type: ignore[arg-type,return-value]
    ann.s = nn.Identity()
    with pytest.raises(InputError, match="what the ANN returns must be logits"):
        convert(ann, data=[X])(X)


def test_spiking_layers_in_the_ann_do_not_stop_a_look() -> None:
    ann = nn.Sequential(nn.Linear(6, 6), QCFS(4, 0.7), nn.Linear(6, 6), IF(0.2), nn.Linear(6, 3))
    assert len(decompose(ann.double(), convert(ann, partial=True), [X]))


def _small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)).double()


def _net() -> Any:
    return convert(_small(), data=[X])
