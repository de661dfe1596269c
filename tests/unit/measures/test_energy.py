"""Energy of small layers against loops that add and multiply one by one."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from snnlens.errors import InputError
from snnlens.measures.energy import (
    Energies,
    Energy,
    FirstLayer,
    IntegerSpikes,
    Layer,
    ann,
    by_rate,
    counted,
)

UNIT = Energies(mac_pj=1000.0, add_pj=1.0)  # MACs and additions stay apart in one number
IMAGE = Layer(events=400, macs=400, counts=0, bits=0, integer=False)


def convolved(x: np.ndarray) -> list[float]:
    """Every (input, output) pair of a 3 x 3 convolution with padding 1 over x [T, H, W]."""
    pairs = []
    for frame in x:
        for i, j in np.ndindex(frame.shape):
            for k, m in np.ndindex(frame.shape):
                if abs(i - k) <= 1 and abs(j - m) <= 1:
                    pairs.append(float(frame[i, j]))
    return pairs


def connected(x: np.ndarray, outputs: int) -> list[float]:
    """Every (input, weight) pair of a linear layer over x [T, inputs]."""
    return [float(value) for row in x for value in row for _ in range(outputs)]


def layer_of(pairs: list[float]) -> Layer:
    return Layer(
        events=sum(value != 0 for value in pairs),
        macs=len(pairs),
        counts=sum(abs(value) for value in pairs),
        bits=sum(int(abs(value)).bit_count() for value in pairs),
        integer=all(value == int(value) for value in pairs),
    )


def additions(value: float, choice: str) -> int:
    """What one weight costs for one integer input."""
    if value == 0:
        return 0
    n = int(abs(value))
    return {"binary": 1, "count": n, "bit_serial": n.bit_count()}[choice]


def spikes(rate: float, largest: int, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.random(shape) < rate) * rng.integers(1, largest + 1, shape)


@pytest.mark.parametrize("choice", ["binary", "count", "bit_serial"])
@pytest.mark.parametrize("largest", [1, 7])
def test_integer_spikes_against_a_loop(choice: IntegerSpikes, largest: int) -> None:
    layers = [
        convolved(spikes(0.3, largest, (4, 5, 6))),
        connected(spikes(0.2, largest, (4, 9)), 3),
    ]
    wanted = sum(additions(value, choice) for pairs in layers for value in pairs)
    got = counted(map(layer_of, layers), integer_spikes=choice, energies=UNIT)
    assert (got.additions, got.macs, got.picojoules) == (wanted, 0, wanted)


def test_dense_turns_integer_layers_into_macs_and_binary_ones_not() -> None:
    binary = layer_of(connected(spikes(0.3, 1, (4, 20)), 5))
    integer = layer_of(connected(spikes(0.3, 3, (4, 20)), 5))
    assert (binary.binary, integer.binary) == (True, False)
    got = counted([binary, integer], integer_spikes="dense")
    assert (got.additions, got.macs) == (binary.events, 4 * 20 * 5)


def test_spikes_of_minus_one_only_subtract() -> None:
    ternary = layer_of(connected(np.array([[1, 0, -1]]), 2))
    assert ternary.binary
    assert counted([ternary], integer_spikes="dense").additions == 4


def test_binary_spikes_cost_the_same_under_every_choice() -> None:
    layer = layer_of(convolved(spikes(0.4, 1, (2, 6, 6))))
    energies = {counted([layer], integer_spikes=c).picojoules for c in get_args(IntegerSpikes)}
    assert energies == {0.9 * layer.events}


@pytest.mark.parametrize("choice", get_args(IntegerSpikes))
def test_graded_input_is_macs_under_every_choice(choice: IntegerSpikes) -> None:
    pairs = connected(np.random.default_rng(1).normal(size=(2, 7)), 3)
    got = counted([layer_of(pairs)], integer_spikes=choice)
    assert (got.additions, got.macs) == (0, 2 * 7 * 3)
    assert got.picojoules == pytest.approx(4.6 * 42, rel=1e-15)


def test_spikes_asked_of_a_graded_first_layer() -> None:
    line = r"^the first layer's input must be whole numbers; got 'graded values'"
    with pytest.raises(InputError, match=line):
        counted([IMAGE], first_layer="spikes")


def test_first_layer_of_what_was_counted() -> None:
    """Only the first layer, and only its MACs."""
    later, tail = Layer(events=80, macs=800, counts=80, bits=80), IMAGE
    layers = [IMAGE, later, tail]
    assert counted(layers, time_steps=4) == Energy(80, 800)
    assert counted(layers, time_steps=4, first_layer="once") == Energy(80, 500)
    assert counted([later], time_steps=4, first_layer="once") == Energy(80, 0)
    assert counted([later], first_layer="spikes") == Energy(80, 0)
    assert counted(layers, samples=10) == Energy(8, 80)
    assert counted([]) == Energy(0, 0)


def test_rate_formula_is_the_count_where_all_inputs_reach_equally_many_outputs() -> None:
    steps, sizes = 4, [(30, 20), (20, 15), (15, 10)]
    x = [
        spikes(rate, 1, (steps, n), seed=n)
        for rate, (n, _) in zip((1, 0.3, 0.1), sizes, strict=True)
    ]
    x[0] = np.tile(np.random.default_rng(2).normal(size=30), (steps, 1))  # an image at each step
    layers = [layer_of(connected(inputs, n)) for inputs, (_, n) in zip(x, sizes, strict=True)]
    rates = [float(np.mean(inputs != 0)) for inputs in x]
    macs = [n * m for n, m in sizes]
    for first in ("once", "per_step"):
        count = counted(layers, first_layer=first, time_steps=steps, energies=UNIT)
        rate = by_rate(rates, macs, time_steps=steps, first_layer=first, energies=UNIT)
        assert rate.picojoules == pytest.approx(count.picojoules, rel=1e-13)
        assert rate.macs == count.macs == 600 * (steps if first == "per_step" else 1)


def test_rate_formula_of_events() -> None:
    x = spikes(0.2, 1, (5, 40))
    layer = layer_of(connected(x, 6))
    got = by_rate([float(x.mean())], [240], time_steps=5, first_layer="spikes")
    count = counted([layer], first_layer="spikes")
    assert (got.additions, got.macs) == (pytest.approx(count.additions, rel=1e-13), 0)


def test_rate_formula_is_wrong_at_the_borders_of_a_convolution() -> None:
    """Spikes in the corners reach 4 outputs, not the 9 x 16/36 of the mean: the count knows."""
    x = np.zeros((1, 4, 4))
    x[0, [0, 0, 3, 3], [0, 3, 0, 3]] = 1
    layer = layer_of(convolved(x))
    rate = by_rate([0, 4 / 16], [0, layer.macs], time_steps=1)
    assert layer.events == 16
    assert rate.additions == layer.macs / 4 == 25


def test_published_numbers() -> None:
    """Spikformer on ImageNet prices in mJ: 1 G additions are 0.9 mJ, 1 G MACs 4.6 mJ."""
    assert Energy(1e9, 0).millijoules == pytest.approx(0.9, rel=1e-12)
    assert ann([5e8, 5e8]).millijoules == pytest.approx(4.6, rel=1e-12)


def test_a_network_that_spikes_at_each_step_costs_more_than_its_ann_from_t_6_on() -> None:
    """T x 0.9 against 4.6: the bound on T x rate is 5.11."""
    for rate, steps, dearer in [(1.0, 5, False), (1.0, 6, True), (0.5, 10, False), (0.5, 11, True)]:
        snn = by_rate([0, rate], [0, 100], time_steps=steps).picojoules
        assert (snn > ann([100]).picojoules) == dearer


def test_own_prices() -> None:
    int8 = Energies(mac_pj=0.23, add_pj=0.03)
    assert by_rate([1, 0.5], [10, 100], time_steps=2, energies=int8).picojoules == pytest.approx(
        5.3
    )
    assert ann([10], energies=int8).picojoules == pytest.approx(2.3)


def test_wrong_input() -> None:
    wanted = "integer_spikes must be binary, bit_serial, count or dense; got 'many'"
    with pytest.raises(InputError) as error:
        counted([], integer_spikes="many")  # type: ignore[arg-type]
    assert str(error.value) == wanted
    for call in (
        lambda first: counted([], first_layer=first),
        lambda first: by_rate([], [], time_steps=1, first_layer=first),
    ):
        with pytest.raises(InputError, match=r"^first_layer must be once, per_step or spikes; got"):
            call("twice")
    with pytest.raises(InputError, match=r"^rates must be one a layer, 2; got 1$"):
        by_rate([0.1], [1, 2], time_steps=1)
    with pytest.raises(InputError, match=r"^time_steps must be at least 1; got 0$"):
        by_rate([0.1], [1], time_steps=0)
    with pytest.raises(InputError, match=r"^samples must be at least 1; got 0$"):
        counted([IMAGE], samples=0)
    with pytest.raises(InputError, match=r"^the first layer's input must be whole numbers; got"):
        counted([IMAGE], first_layer="spikes")
    assert set(get_args(FirstLayer)) == {"once", "per_step", "spikes"}
