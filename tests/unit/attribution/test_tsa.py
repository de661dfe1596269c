"""TSA: against explicit matrix products and numbers from paper, and which networks it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import snntorch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from snnlens.adapters._survey import survey
from snnlens.attribution.bridge import Bridge
from snnlens.attribution.methods._base import Options
from snnlens.attribution.methods.tsa import TSA
from snnlens.neuron.layers import IF, LIF, Neuron

Array = NDArray[np.float64]
# float64 products of at most five matrices and a softmax, relative to the largest value of a map
RTOL = 1e-12


def trains(*shape: int, rate: float = 0.5, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=generator) < rate).double()


def tsa(
    model: nn.Module, x: Tensor, target: Tensor, entering: Any = "time first", **options: Any
) -> Tensor:
    """The maps [N, T, ...] of a batch as the model takes it."""
    bridge = Bridge(model, survey(model), x, entering)
    return TSA().values(bridge, bridge.batch_first(x), target, Options(**options))


def close(found: Tensor, expected: Array, rtol: float = RTOL) -> None:
    assert np.abs(expected).max() > 0
    largest = np.abs(expected).max()
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=0, atol=rtol * largest)


# --- the published product, in numpy --------------------------------------------------------------


def simulated(current: Array, leak: float, gain: float, threshold: float) -> Array:
    """Spikes [T, N, n] of a layer with a hard reset to 0."""
    v, spikes = np.zeros_like(current[0]), np.zeros_like(current)
    for t, now in enumerate(current):
        h = leak * v + gain * now
        spikes[t] = h >= threshold
        v = h * (1 - spikes[t])
    return spikes


def contributions(spikes: Array, decay: float, absent: bool) -> Array:
    """n_l(t): loops over steps, samples and neurons."""
    found = np.zeros_like(spikes)
    for t, n, i in np.ndindex(*spikes.shape):
        weight = decay ** (len(spikes) - t)
        silent = -weight / spikes.shape[2] if absent else 0.0
        found[t, n, i] = weight if spikes[t, n, i] else silent
    return found


def product(
    layers: list[Array], weights: list[Array], decays: list[float], scores: Array, absent: bool
) -> Array:
    """[T, N, inputs, classes]: diag(n_0) W_1 diag(n_1) ... W_L diag(P), step by step.

    layers: spikes [T, N, n_l] of the input and of the hidden layers; weights [n_l, n_(l + 1)].
    """
    steps, samples, inputs = layers[0].shape
    found = np.zeros((steps, samples, inputs, weights[-1].shape[1]))
    parts = [contributions(s, d, absent) for s, d in zip(layers, decays, strict=True)]
    for t, n in np.ndindex(steps, samples):
        whole = np.eye(inputs)
        for part, weight in zip(parts, weights, strict=True):
            whole = whole @ np.diag(part[t, n]) @ weight
        powers = np.exp(scores[n] - scores[n].max())
        found[t, n] = whole @ np.diag(powers / powers.sum())
    return found


def of_class(whole: Array, target: Tensor) -> Array:
    """[N, T, inputs]."""
    return np.stack([whole[:, n, :, c] for n, c in enumerate(target.tolist())])


# --- linear networks ------------------------------------------------------------------------------

SIZES = {2: (5, 6, 3), 3: (5, 6, 4, 3)}
TAUS = (2.0, 4.0, 3.0)  # of the spiking layers: leaks 1/2, 3/4, 2/3


def linear_net(
    layers: int, *, output_spikes: bool, bias: bool = True, seed: int = 0
) -> nn.Sequential:
    torch.manual_seed(seed)
    sizes, parts = SIZES[layers], []
    for k in range(layers):
        parts.append(nn.Linear(sizes[k], sizes[k + 1], bias=bias))
        if k + 1 < layers or output_spikes:
            parts.append(LIF(TAUS[k], decay_input=False, threshold=0.3))
    return nn.Sequential(*parts).double()


def reference(
    model: nn.Sequential, x: Tensor, target: Tensor, *, decay: float | None = None,
    absent: bool = False,
) -> Array:  # fmt: skip
    """The product, from spikes that a numpy loop made."""
    spikes, weights, leaks, now = [x.numpy()], [], [], x.numpy()
    for part in model:
        if isinstance(part, Neuron):
            leaks.append(1 - 1 / float(part.tau() or np.inf))
            now = simulated(now, leaks[-1], 1.0, part.rule.threshold)
            spikes.append(now)
        else:
            weight, bias = (p.detach().numpy() for p in (part.weight, part.bias))
            weights.append(weight.T)
            now = now @ weight.T + bias
    layers = spikes[: len(weights)]
    decays = [leaks[0], *leaks][: len(weights)] if decay is None else [decay] * len(weights)
    return of_class(product(layers, weights, decays, now.mean(0), absent), target)


@pytest.mark.parametrize("absent", [False, True], ids=["s", "ns"])
@pytest.mark.parametrize("decay", [None, 0.9, 1.0, 0.0])
@pytest.mark.parametrize("output_spikes", [False, True], ids=["readout", "spikes out"])
@pytest.mark.parametrize("layers", [2, 3])
def test_against_the_matrix_product(
    layers: int, output_spikes: bool, decay: float | None, absent: bool
) -> None:
    model, x = linear_net(layers, output_spikes=output_spikes), trains(6, 4, 5)
    target = torch.tensor([0, 1, 2, 1])
    found = tsa(model, x, target, decay=decay, absent=absent)
    expected = reference(model, x, target, decay=decay, absent=absent)
    if decay == 0:
        assert not found.any()
        assert not expected.any()
    else:
        close(found, expected)


def test_the_samples_of_a_batch_do_not_meet() -> None:
    model, x, target = (
        linear_net(3, output_spikes=False),
        trains(6, 4, 5),
        torch.tensor([0, 1, 2, 1]),
    )
    both = tsa(model, x, target)
    for n in range(4):
        alone = tsa(model, x[:, n : n + 1], target[n : n + 1])
        close(both[n : n + 1], alone.numpy())


def test_biases_weigh_nothing() -> None:
    """Spikes and P come from the biases too; the product itself is of the weights."""
    model, x, target = linear_net(2, output_spikes=False), trains(6, 2, 5), torch.tensor([0, 2])
    before = tsa(model, x, target)
    with torch.no_grad():
        model[-1].bias.add_(7)  # the same for every class: P is as it was
    close(tsa(model, x, target), before.numpy())


# --- on paper -------------------------------------------------------------------------------------


def paper() -> tuple[nn.Sequential, Tensor]:
    """Two inputs, two hidden IF neurons with threshold 1, two classes, three steps."""
    model = nn.Sequential(nn.Linear(2, 2, bias=False), IF(1.0), nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 0.0], [0.5, 1.0]]))  # [to, from]
        model[2].weight.copy_(torch.tensor([[2.0, -1.0], [0.0, 3.0]]))
    return model.double(), torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])[:, None].double()


def test_on_paper() -> None:
    """decay 1/2, T = 3, x_0 = 1, 0, 1 and x_1 = 0, 1, 1.

    Hidden: current a = x_0 and b = x_0 / 2 + x_1; IF with a hard reset at 1:

        t   a    H_a   S_a    b     H_b   S_b    output (2 S_a - S_b, 3 S_b)
        0   1    1     1      1/2   1/2   0      ( 2, 0)
        1   0    0     0      1     3/2   1      (-1, 3)
        2   1    1     1      3/2   3/2   1      ( 1, 3)

    so the scores are (2/3, 2) and P_1 = 1 / (1 + exp(-4/3)), P_0 = 1 - P_1. The weight of a step
    is 1/8, 1/4, 1/2, and enters twice (input, hidden): 1/64, 1/16, 1/4. Class 1 has S_b times 3:

        t = 0: S_b = 0, so nothing
        t = 1: x_1: 1/16 x 1 x 3
        t = 2: x_0: 1/4 x 1/2 x 3 = 3/8,    x_1: 1/4 x 1 x 3 = 3/4

    and class 0 has 2 S_a - S_b:

        t = 0: x_0: 1/64 x 1 x 2 = 1/32
        t = 1: x_1: 1/16 x 1 x -1
        t = 2: x_0: 1/4 (1 x 2 + 1/2 x -1) = 3/8,    x_1: 1/4 x 1 x -1
    """
    model, x = paper()
    probability = 1 / (1 + np.exp(-4 / 3))
    found = tsa(model, x, torch.tensor([1]), decay=0.5)
    close(found, probability * np.array([[[0, 0], [0, 3 / 16], [3 / 8, 3 / 4]]]))
    found = tsa(model, x, torch.tensor([0]), decay=0.5)
    close(found, (1 - probability) * np.array([[[1 / 32, 0], [0, -1 / 16], [3 / 8, -1 / 4]]]))


def test_on_paper_what_did_not_spike() -> None:
    """The same at t = 0, TSA-NS: two neurons a layer, so what is silent weighs -1/2 of 1/8.

    Input (1/8, -1/16), hidden (1/8, -1/16). Of class 1: x_0: 1/8 x (1/2 x -1/16 x 3) = -3/256,
    x_1: -1/16 x (1 x -1/16 x 3) = 3/256.
    """
    model, x = paper()
    found = tsa(model, x, torch.tensor([1]), decay=0.5, absent=True)[:, :1]
    close(found, np.array([[[-3 / 256, 3 / 256]]]) / (1 + np.exp(-4 / 3)))


def test_an_if_neuron_forgets_nothing() -> None:
    """decay None: the leak of IF is 1, and no step weighs more than another."""
    model, x = paper()
    both = [tsa(model, x, torch.tensor([1]), decay=d).numpy() for d in (None, 1.0)]
    np.testing.assert_array_equal(*both)


# --- other networks -------------------------------------------------------------------------------


class Conv(nn.Module):
    """Convolution, BatchNorm, a residual sum, average pool, linear; [T, N, 2, 6, 6] in."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.conv1, self.bn, self.sn1 = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), IF(0.1)
        self.conv2, self.sn2 = nn.Conv2d(3, 3, 3, padding=1), LIF(4.0, threshold=0.02)
        self.pool, self.fc = nn.AvgPool2d(2), nn.Linear(12, 3)
        self.bn.running_mean = torch.tensor([0.1, -0.2, 0.0])
        self.bn.running_var = torch.tensor([0.5, 1.5, 1.0])
        self.bn.num_batches_tracked += 1
        nn.init.constant_(self.bn.bias, 0.3)  # or it is silent
        nn.init.constant_(self.conv2.bias, 0.2)

    def before(self, x: Tensor) -> Tensor:
        return self.bn(self.conv1(x))  # type: ignore[no-any-return]

    def behind(self, a: Tensor, s: Tensor) -> Tensor:
        return self.fc(self.pool(a + s).flatten(1))  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        steps, samples = x.shape[:2]
        a = self.sn1(self.before(x.flatten(0, 1)).unflatten(0, (steps, samples)))
        s = self.sn2(self.conv2(a.flatten(0, 1)).unflatten(0, (steps, samples)))
        return self.behind(a.flatten(0, 1), s.flatten(0, 1)).unflatten(0, (steps, samples))


def matrix(function: Callable[[Tensor], Tensor], *shape: int) -> Array:
    """[inputs, outputs] of an affine function of one sample, column by column."""
    with torch.no_grad():
        units = torch.eye(int(np.prod(shape))).double().reshape(-1, *shape)
        return (function(units) - function(torch.zeros_like(units))).flatten(1).numpy()


@pytest.mark.parametrize("absent", [False, True], ids=["s", "ns"])
def test_a_convolution_as_a_matrix(absent: bool) -> None:
    """diag(n_0) W_1 diag(n_1) (W_a + W_2 diag(n_2) W_s) diag(P), each W unrolled by unit inputs."""
    model, x, target = Conv().double().eval(), trains(5, 2, 2, 6, 6), torch.tensor([2, 0])
    bridge = Bridge(model, survey(model), x, "time first")
    found = TSA().values(bridge, x.transpose(0, 1), target, Options(absent=absent))
    spikes = {
        k: s.transpose(0, 1).flatten(2).numpy() for k, s in bridge.spikes(x.transpose(0, 1)).items()
    }
    first, second = matrix(model.before, 2, 6, 6), matrix(model.conv2, 3, 4, 4)
    blank = torch.zeros(48, 3, 4, 4).double()
    past = matrix(lambda a: model.behind(a, blank), 3, 4, 4)
    through = matrix(lambda s: model.behind(blank, s), 3, 4, 4)
    parts = [
        contributions(s, d, absent)
        for s, d in ((x.flatten(2).numpy(), 1.0), (spikes["sn1"], 1.0), (spikes["sn2"], 0.75))
    ]
    scores = bridge(x.transpose(0, 1)).softmax(1).detach().numpy()
    expected = np.zeros((2, 5, 72))
    for n, t in np.ndindex(2, 5):
        given, a, s = (np.diag(part[t, n]) for part in parts)
        whole = given @ first @ a @ (past + second @ s @ through)
        expected[n, t] = whole[:, target[n]] * scores[n, target[n]]
    assert {k: v.mean() > 0.05 for k, v in spikes.items()} == {"sn1": True, "sn2": True}
    close(found.flatten(2), expected)


class Looped(nn.Module):
    """Its steps one by one: snnTorch's Leaky, called once per step."""

    def __init__(self, make: Callable[[], nn.Module], *, mean: bool) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.fc1, self.sn1 = nn.Linear(5, 6), make()
        self.fc2, self.sn2 = nn.Linear(6, 3), make()
        self.mean = mean

    def forward(self, x: Tensor) -> Tensor:
        found, m1, m2 = [], x.new_zeros(x.shape[1], 6), x.new_zeros(x.shape[1], 3)
        for now in x:
            s1, m1 = self.sn1(self.fc1(now), m1)
            s2, m2 = self.sn2(self.fc2(s1), m2)
            found.append(s2)
        return torch.stack(found).mean(0) if self.mean else torch.stack(found)


@pytest.mark.parametrize("mean", [False, True])
def test_layers_that_are_called_once_per_step(mean: bool) -> None:
    """snnTorch, its last layer's spikes as output, at each step or as their mean."""
    model = Looped(lambda: snntorch.Leaky(beta=0.8, threshold=0.2), mean=mean)
    x, target = trains(6, 3, 5).float(), torch.tensor([0, 1, 2])
    bridge = Bridge(model, survey(model), x, "time first")
    found = TSA().values(bridge, x.transpose(0, 1), target, Options())
    spikes = {k: s.transpose(0, 1).numpy() for k, s in bridge.spikes(x.transpose(0, 1)).items()}
    weights = [model.fc1.weight.detach().numpy().T, model.fc2.weight.detach().numpy().T]
    scores = spikes["sn2"].mean(0)
    whole = product([x.numpy(), spikes["sn1"]], weights, [0.8] * 2, scores, absent=False)
    assert spikes["sn1"].mean() > 0.05
    # float32, which snnTorch's spikes always are: a product of two matrices, measured 2e-7
    close(found, of_class(whole, target), rtol=2e-6)


class Repeated(nn.Module):
    """A static image, shown T times by the model itself."""

    static = True

    def __init__(self, *, mean: bool) -> None:
        super().__init__()
        self.net, self.mean = linear_net(2, output_spikes=False), mean

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x.expand(6, *x.shape))
        return out.mean(0) if self.mean else out


@pytest.mark.parametrize("absent", [False, True], ids=["s", "ns"])
@pytest.mark.parametrize("mean", [False, True])
def test_a_static_image_is_the_sum_over_the_steps(mean: bool, absent: bool) -> None:
    """As if the image was shown T times; over the encoder's spikes W_2 alone is left."""
    x, target = trains(4, 5), torch.tensor([0, 1, 2, 1])
    model = Repeated(mean=mean)
    found = tsa(model, x, target, "static", absent=absent)
    assert found.shape == (4, 1, 5)
    shown = x.expand(6, 4, 5)
    close(found[:, 0], reference(model.net, shown, target, absent=absent).sum(1))

    bridge = Bridge(model, survey(model), x, "static")
    spikes = bridge.spikes(x[:, None])["net.1"]
    behind = bridge.behind("net.1", x[:, None])
    over = TSA().values(behind, spikes, target, Options(absent=absent))
    laid = spikes.transpose(0, 1).numpy()
    weight = model.net[2].weight.detach().numpy().T
    scores = bridge(x[:, None]).detach().numpy()
    close(over, of_class(product([laid], [weight], [0.5], scores, absent), target))


class Pooled(nn.Module):
    """Behind six neurons: the larger of each pair, and a product with three other neurons."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.sn = nn.Linear(5, 6), IF(0.2)
        self.gate, self.sn2 = nn.Linear(5, 3), IF(0.2)
        self.out = nn.Linear(3, 3)
        nn.init.constant_(self.fc.bias, 0.1)
        nn.init.constant_(self.gate.bias, 0.2)

    def forward(self, x: Tensor) -> Tensor:
        pooled = nn.functional.max_pool1d(self.sn(self.fc(x)), 2)
        return self.out(pooled * self.sn2(self.gate(x)))  # type: ignore[no-any-return]


def test_a_max_pool_is_its_choice_and_a_product_the_other_factor() -> None:
    """out = W (p g): W diag(g) C diag(n_a) W_a + W diag(p) diag(n_g) W_g, C the choices."""
    model, x, target = Pooled().double(), trains(6, 2, 5), torch.tensor([0, 2])
    bridge = Bridge(model, survey(model), x, "time first")
    found = TSA().values(bridge, x.transpose(0, 1), target, Options())
    spikes = {k: s.transpose(0, 1).numpy() for k, s in bridge.spikes(x.transpose(0, 1)).items()}
    given, a, g = (contributions(s, 1.0, absent=False) for s in (x.numpy(), *spikes.values()))
    weights = {k: getattr(model, k).weight.detach().numpy().T for k in ("fc", "gate", "out")}
    scores = bridge(x.transpose(0, 1)).softmax(1).detach().numpy()
    expected, chosen_second = np.zeros((2, 6, 5)), 0
    for n, t in np.ndindex(2, 6):
        pairs, other = spikes["sn"][t, n].reshape(3, 2), spikes["sn2"][t, n]
        choice = np.zeros((6, 3))
        for k in range(3):  # of equal ones the first
            choice[2 * k + pairs[k].argmax(), k] = 1
            chosen_second += int(pairs[k].argmax())
        main = weights["fc"] @ np.diag(a[t, n]) @ choice @ np.diag(other)
        side = weights["gate"] @ np.diag(g[t, n]) @ np.diag(pairs.max(1))
        whole = np.diag(given[t, n]) @ (main + side) @ weights["out"]
        expected[n, t] = whole[:, target[n]] * scores[n, target[n]]
    assert chosen_second > 0
    close(found, expected)


def test_an_identity_readout_is_a_layer_of_weights() -> None:
    """The output equals the spikes, but a layer lies between: its spikes take part."""
    x, target = trains(6, 2, 5), torch.tensor([0, 2])
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 3), LIF(threshold=0.1), nn.Linear(3, 3, bias=False)).double()
    nn.init.eye_(model[2].weight)
    model[0].weight.data.abs_()  # or it is silent
    bridge = Bridge(model, survey(model), x, "time first")
    found = TSA().values(bridge, x.transpose(0, 1), target, Options())
    spikes = bridge.spikes(x.transpose(0, 1))["1"].transpose(0, 1).numpy()
    weights = [model[0].weight.detach().numpy().T, np.eye(3)]
    whole = product([x.numpy(), spikes], weights, [0.5, 0.5], spikes.mean(0), absent=False)
    close(found, of_class(whole, target))
