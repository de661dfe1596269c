"""Spike trains: interspike intervals and how the spike counts vary."""

from __future__ import annotations

import torch
from torch import Tensor

from snnlens.recording.probe import NEURONS, Probe, Sums, Train
from snnlens.recording.record import Column, Quantity
from snnlens.sites import Site

EXACT_STEPS = 2**12  # T^2 is an integer of float32


class SpikeTrains(Probe):
    """Mean and CV of the interspike intervals, and the Fano factor, of a layer's spike trains.

    A train is one neuron in one sample over T steps, a spike an element that is not 0. Intervals d
    (steps between successive spikes of one train) and spike counts n are pooled over neurons and
    samples:

        isi_mean = sum d / intervals, in steps
        isi_cv   = sqrt(sum d^2 / intervals - isi_mean^2) / isi_mean
        fano     = (sum n^2 / trains - (sum n / trains)^2) / (sum n / trains), in spikes

    So CV and Fano factor hold how neurons and samples differ, too. No interval is longer than
    T - 1 and a train with fewer than two spikes has none: in short sequences the mean is too small.

    Source: Dayan and Abbott 2001, Theoretical Neuroscience, section 1.4.
    """

    name = "spike_trains"
    roles = NEURONS
    axes = ()
    columns = {
        "intervals": Column(),
        "interval_steps": Column(),
        "interval_squares": Column(),
        "trains": Column(),
        "spikes": Column(),
        "spikes_squared": Column(),
    }
    quantities = {
        "isi_mean": Quantity("ratio", ("interval_steps", "intervals"), "steps"),
        "isi_cv": Quantity(
            "coefficient_of_variation", ("interval_steps", "interval_squares", "intervals"), "1"
        ),
        "fano": Quantity("fano", ("spikes", "spikes_squared", "trains"), "spikes"),
    }

    def train(self, site: Site, train: Train) -> Sums:
        """Sums over a sequence [T, B, ...], all int64."""
        spikes = train.spikes.reshape(len(train.spikes), -1)
        found = _per_train(spikes)
        counts = found.pop("counts")
        per_train = found | {
            "intervals": (counts - 1).clamp(min=0), "trains": torch.ones_like(counts),
            "spikes": counts, "spikes_squared": counts * counts,
        }  # fmt: skip
        return summed(per_train)


def summed(per_train: Sums) -> Sums:
    """Whole numbers added up as int64: a float64 leaves ones out from 2^53 on.

    >>> summed({"spikes": torch.tensor([2.0**53, 1.0], dtype=torch.float64)})["spikes"].item()
    9007199254740993
    """
    return {name: x.to(torch.int64).sum() for name, x in per_train.items()}


def _per_train(spikes: Tensor) -> Sums:
    """Spikes, and the intervals' sum and sum of squares, of each train of [T, N].

    All of it are integers of at most T^2, which floats add several times as fast as integers.
    """
    dtype = torch.float32 if len(spikes) <= EXACT_STEPS else torch.float64
    kept = torch.zeros(6, spikes.shape[1], dtype=dtype, device=spikes.device)
    now, seen, last, counts, steps, squares = kept
    for t, row in enumerate(spikes):
        torch.ne(row, 0, out=now)
        gap = (t - last).mul_(now)
        last += gap  # t where there is a spike now
        gap *= seen  # the way to the first spike is no interval
        torch.maximum(seen, now, out=seen)
        counts += now
        steps += gap
        squares.addcmul_(gap, gap)
    return {"counts": counts, "interval_steps": steps, "interval_squares": squares}
