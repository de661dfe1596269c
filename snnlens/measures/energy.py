"""Energy of the arithmetic: counted operations, and the published formula from rates.

Both price additions and multiply-accumulates and nothing else: no memory traffic, no neuron update,
no BatchNorm, no idle chip. They compare networks on paper; they are no measurement.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from snnlens.errors import InputError

IntegerSpikes = Literal["binary", "bit_serial", "count", "dense"]
FirstLayer = Literal["once", "per_step", "spikes"]


@dataclass(frozen=True)
class Energies:
    """Energy per operation in picojoule: 32-bit floating point, 45 nm, 0.9 V.

    add_pj is one addition, mac_pj a multiplication (3.7) and an addition (0.9).

    Source: Horowitz 2014, Computing's energy problem (and what we can do about it), Fig. 1.1.9.

    >>> Energies().mac_pj, Energies().add_pj
    (4.6, 0.9)
    """

    mac_pj: float = 4.6
    add_pj: float = 0.9


@dataclass(frozen=True)
class Layer:
    """What one layer with weights did, summed over steps and samples.

    Attributes:
        events: synaptic operations: for each input that is not 0, the outputs it reaches.
        macs: the same for each input, 0 or not: what the dense layer multiplies.
        counts: the events, each times abs(input): an input of 3 sent as three spikes.
        bits: the events, each times the ones in abs(input) as a binary number: 3 is 11, two ones.
        integer: every input is a whole number.

    counts and bits have no meaning where `integer` is False.
    """

    events: float
    macs: float
    counts: float
    bits: float
    integer: bool = True

    @property
    def binary(self) -> bool:
        """Every input is 0, 1 or -1: whole, and no abs(input) above 1."""
        return self.integer and self.counts == self.events


@dataclass(frozen=True)
class Energy:
    """Operations and what they cost under `energies`."""

    additions: float
    macs: float
    energies: Energies = Energies()

    @property
    def picojoules(self) -> float:
        """E = E_AC x additions + E_MAC x macs.

        >>> Energy(additions=10, macs=1).picojoules
        13.6
        """
        return self.energies.add_pj * self.additions + self.energies.mac_pj * self.macs

    @property
    def millijoules(self) -> float:
        """picojoules x 1e-9, the unit of the papers."""
        return self.picojoules * 1e-9


def shown_once(layers: Sequence[Layer], items: Sequence[float], samples: int) -> list[Layer]:
    """The layers with the first one's MACs counted once a sample, however often it ran.

    An image that is repeated over T steps could be convolved once; `items` says how many inputs
    each layer had, samples x T or samples.

    >>> image = Layer(events=400, macs=400, counts=0, bits=0, integer=False)
    >>> shown_once([image], [8], samples=2)[0].macs
    100.0
    """
    if not layers:
        return []
    return [replace(layers[0], macs=layers[0].macs / items[0] * samples), *layers[1:]]


def counted(
    layers: Iterable[Layer], *, integer_spikes: IntegerSpikes = "binary",
    first_layer: FirstLayer = "per_step", time_steps: int = 1, samples: int = 1,
    energies: Energies = Energies(),
) -> Energy:  # fmt: skip
    """Energy of one sample from counts: E_AC x SynOps + E_MAC x MACs of layers with graded input.

    A layer whose input holds a value that is no whole number (an image, a current) does all its
    MACs; every other layer only adds, at the inputs that are not 0. What an integer spike n > 1
    costs (SEW ADD sends them) is a choice:

        binary      1 addition, whatever n: the multiplication by n is free
        bit_serial  as many additions as n has ones in binary: one of the shifted weight for each
        count       n additions: n spikes after each other
        dense       the whole layer does MACs, as SpikingJelly's and syops' counters have it

    Args:
        layers: in the order of the forward pass.
        integer_spikes: one of the four.
        first_layer: `per_step` prices it as it ran. `once` divides the MACs of the first layer by
            T, for a network that repeats one image over T steps and runs its first layer on each,
            though once would do. `spikes`: as `per_step`, but its input must be whole numbers.
        time_steps: T.
        samples: the counts are sums over so many.
        energies: the price list.

    Returns:
        Additions and MACs per sample.

    Raises:
        InputError: an unknown choice, a T or a number of samples below 1, `spikes` with a graded
            input in the first layer.

    Source: SynOps as in Merolla et al. 2014 (Science 345) and Rueckauer et al. 2017;
    prices as in Rathi and Roy 2021 (DIET-SNN) and Panda et al. 2020.

    >>> image = Layer(events=400, macs=400, counts=0, bits=0, integer=False)
    >>> sew_add = Layer(events=10, macs=100, counts=30, bits=20)     # ten inputs of 3
    >>> [counted([image, sew_add], integer_spikes=i).additions for i in get_args(IntegerSpikes)]
    [10.0, 20.0, 30.0, 0.0]
    >>> counted([image, sew_add], first_layer="once", time_steps=4).macs
    100.0
    """
    _check(integer_spikes, get_args(IntegerSpikes), "integer_spikes")
    _check_run(first_layer, time_steps, samples)
    layers = list(layers)
    if first_layer == "spikes" and layers and not layers[0].integer:
        raise InputError("the first layer's input", got="graded values", wanted="whole numbers")
    split = [_operations(layer, integer_spikes) for layer in layers]
    if first_layer == "once" and split:
        split[0] = split[0][0], split[0][1] / time_steps
    additions, macs = (
        (sum(part) / samples for part in zip(*split, strict=True)) if split else (0, 0)
    )
    return Energy(additions, macs, energies)


def by_rate(
    rates: Sequence[float], macs: Sequence[float], *, time_steps: int,
    first_layer: FirstLayer = "once", energies: Energies = Energies(),
) -> Energy:  # fmt: skip
    """The published formula: E = E_MAC x MACs_1 + E_AC x T x sum over l > 1 of r_l x MACs_l.

    MACs_l (the papers say FLOPs) is what the dense layer l multiplies for one sample at one step,
    r_l the firing rate of its *input*, so T r_l MACs_l are its synaptic operations. That is exact
    where every input reaches equally many outputs (a linear layer; a convolution but for its
    borders and strides); compare with `counted`.

    Args:
        rates: r_l, one a layer; share of inputs that are not 0, or their mean where an integer
            spike n shall count n times. rates[0] is not read unless first_layer is `spikes`.
        macs: MACs_l, one a layer.
        time_steps: T.
        first_layer: `once`: MACs_1 as above, the image is convolved once. `per_step`: T x MACs_1,
            the image comes at every step. `spikes`: event data, r_1 T MACs_1 additions.
        energies: the price list.

    Returns:
        Additions and MACs of one sample.

    Raises:
        InputError: rates and macs differ in length, an unknown choice, a T below 1.

    Source: Zhou et al. 2023 (Spikformer), the energy equation, for `once` and `spikes`;
    the rate times MACs of Panda et al. 2020 and of Rathi and Roy 2021 (DIET-SNN).

    >>> by_rate([1.0, 0.25], [100, 1000], time_steps=4)
    Energy(additions=1000.0, macs=100, energies=Energies(mac_pj=4.6, add_pj=0.9))
    """
    _check_run(first_layer, time_steps)
    if len(rates) != len(macs):
        raise InputError("rates", got=len(rates), wanted=f"one a layer, {len(macs)}")
    graded = 0 if first_layer == "spikes" else 1
    spiking = zip(rates[graded:], macs[graded:], strict=True)
    runs = time_steps if first_layer == "per_step" else 1
    additions = time_steps * sum(rate * mac for rate, mac in spiking)
    return Energy(additions, runs * sum(macs[:graded]), energies)


def ann(macs: Iterable[float], *, energies: Energies = Energies()) -> Energy:
    """The ANN of the same layers: E = E_MAC x sum of MACs_l, one pass over one sample.

    >>> ann([100, 1000]).picojoules
    5060.0
    """
    return Energy(0, sum(macs), energies)


def _operations(layer: Layer, integer_spikes: IntegerSpikes) -> tuple[float, float]:
    """Additions and MACs of one layer."""
    if not layer.integer or (integer_spikes == "dense" and not layer.binary):
        return 0, layer.macs
    chosen = {"bit_serial": layer.bits, "count": layer.counts}
    return chosen.get(integer_spikes, layer.events), 0


def _check(got: str, known: tuple[str, ...], what: str) -> None:
    if got not in known:
        raise InputError(what, got=got, wanted=", ".join(known[:-1]) + " or " + known[-1])


def _check_run(first_layer: str, time_steps: int, samples: int = 1) -> None:
    _check(first_layer, get_args(FirstLayer), "first_layer")
    for what, number in (("time_steps", time_steps), ("samples", samples)):
        if number < 1:
            raise InputError(what, got=number, wanted="at least 1")
