"""No sample, one step, ten thousand, one neuron, no position, tensors that lie oddly in memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import snnlens
from snnlens.errors import InputError, NothingToRecord, SnnlensError
from tests.trust import stress
from tests.trust.stress import KINDS, Kind, every_kind
from tests.trust.tally import Count, times

pytestmark = pytest.mark.promise("right-under-stress")
OWN, SEW = KINDS["snnlens"], KINDS["sew"]
LONG = 10_000
LAYERS = [kind for kind in KINDS if kind != "sew"]  # without a BatchNorm, which wants samples


# --- how many -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("steps", [1, 5])
def test_a_batch_of_no_samples_counts_nothing(kind: str, steps: int, tally: Count) -> None:
    """Sums of nothing are 0, a rate does not exist, and the batches beside it are not touched."""
    chosen = KINDS[kind]
    count = stress.right(chosen, chosen.x(batch=0, steps=steps))
    with snnlens.record(chosen.make(), spiking=chosen.spiking) as recorder:
        for batch in (0, 3, 0):
            stress.train(recorder.model, chosen.x(batch=batch, steps=steps))
    found = stress.kept(chosen, chosen.make(), lambda m: [
        stress.train(m, chosen.x(batch=batch, steps=steps)) for batch in (0, 3, 0)
    ])  # fmt: skip
    count += stress.compare(recorder.record(), found, replace(chosen, steps=steps))
    frame = recorder.frame()
    assert (frame["batch"] == 3).all()  # of the first batch that holds something
    assert (frame["samples"] == 3).all()
    snnlens.analyse("checkup", recorder)
    tally("shapes")
    tally("numbers equal to brute force", count)


@pytest.mark.parametrize("kind", LAYERS)
def test_batches_of_unlike_size(kind: str, tally: Count) -> None:
    """The last batch of a loader is smaller: N in every finding is what was seen."""
    chosen, sizes = KINDS[kind], (4, 4, 1)

    def run(model: nn.Module) -> None:
        for size in sizes:
            stress.train(model, chosen.x(batch=size))

    record = stress.recorded(chosen, chosen.make(), run, [*stress.PROBES, "synaptic_operations"])
    count = stress.compare(record, stress.kept(chosen, chosen.make(), run), chosen)
    spiking = record.sites[record.sites["role"] == "neuron"]
    assert spiking["samples"].tolist() == [9, 9]
    silent = chosen.make(lambda m: [p.data.fill_(-1) for p in m.parameters()] and None)
    with snnlens.record(silent, spiking=chosen.spiking) as recorder:
        run(silent)
    (finding,) = [f for f in snnlens.analyse("checkup", recorder).findings if f.code == "SNL202"]
    assert "(N = 9 samples, T = 5)" in finding.evidence
    tally("shapes")
    tally("numbers equal to brute force", count)


def test_a_batch_of_no_samples_has_no_rate(tally: Count) -> None:
    with snnlens.record(OWN.make()) as recorder:
        stress.train(recorder.model, OWN.x(batch=0))
    frame = recorder.frame()
    assert frame["firing_rate"].isna().all()
    assert (frame["gradient_norm"] == 0).all()
    assert "SNL202" not in stress.codes(snnlens.analyse("checkup", recorder))  # silent of nothing
    tally("shapes")


@pytest.mark.parametrize("ask", ["checkup", "audit", "attribute"])
@pytest.mark.parametrize("shape", [(5, 0, 4), (0, 3, 4), (0,)])
def test_what_cannot_be_asked_of_no_numbers(ask: str, shape: tuple[int, ...], tally: Count) -> None:
    with pytest.raises(InputError) as error:
        getattr(snnlens, ask)(OWN.make(), torch.zeros(shape))
    assert str(error.value) == f"x must be a tensor with elements; got {list(shape)}"
    tally("refused in one line")


@every_kind
def test_one_step(kind: Kind, tally: Count) -> None:
    if kind.images:
        kind = replace(kind, build=lambda: stress.brute.small("sew", "add", time_steps=1), steps=1)
    count = stress.right(kind, kind.x(steps=1))
    if kind is OWN:
        count += stress.right_everywhere(kind, kind.x(steps=1))[0]
    tally("shapes")
    tally("numbers equal to brute force", count)


def test_ten_thousand_steps_number_by_number(tally: Count) -> None:
    """Against the equations in loops over steps, samples, neurons; the sums grow with T alone."""
    x = OWN.x(batch=1, steps=LONG) - 0.3
    with snnlens.record(OWN.make(), stress.PROBES) as recorder:
        stress.train(recorder.model, x)
    model = OWN.make()
    with torch.no_grad():
        current = model[0](x)  # type: ignore[index]
        fired = stress.fired_by_hand(current.numpy(), tau=2.0, threshold=0.2)
        further = model[2](torch.from_numpy(fired))  # type: ignore[index]
    again = stress.fired_by_hand(further.numpy(), tau=None, threshold=0.2)
    table = recorder.record().tables["firing_rate"]
    for site, spikes in (("1", fired), ("3", again)):
        rows = table[table["site"] == site].sort_values("step")
        assert rows["total"].tolist() == spikes.sum((1, 2)).tolist()
        assert 0 < spikes.mean() < 1
        tally("numbers equal to brute force", LONG)
    count = stress.right(OWN, x)
    held = sum(t.numel() for sums in recorder.ledger.sums.values() for t in sums.values())
    assert held <= 2 * LONG * 16
    tally("shapes")
    tally("numbers equal to brute force", count)


class Lone(nn.Module):
    """One neuron layer, called once per step."""

    def __init__(self) -> None:
        super().__init__()
        self.sn = stress.Cell(0.7)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.sn(now) for now in x])


def test_ten_thousand_calls_of_one_step(tally: Count) -> None:
    """The columns grow with room for as many steps again: no step copies those before it."""
    kind = Kind(Lone, ("sn",), per_step=True, spiking=(stress.Cell,), steps=LONG)
    x = kind.x(batch=1)
    with torch.no_grad(), snnlens.record(kind.make(), ["firing_rate"],
                                         spiking=kind.spiking) as recorder:  # fmt: skip
        found = stress.kept(kind, recorder.model, lambda m: m(x))
    record = recorder.record()
    count = stress.compare(record, found, kind)
    assert (record.sites["time_steps"] == LONG).all()
    for sums in recorder.ledger.sums.values():
        for column in sums.values():
            assert LONG * 8 <= column.untyped_storage().nbytes() <= 2 * LONG * 8
    tally("shapes")
    tally("numbers equal to brute force", count)


def test_one_neuron_one_sample_one_step(tally: Count) -> None:
    kind = replace(OWN, layers=("1",), build=lambda: nn.Sequential(
        nn.Linear(4, 1), snnlens.LIF(threshold=0.01), nn.Linear(1, 2)))  # fmt: skip
    for batch, steps in ((1, 1), (1, 7), (2, 1))[: times(1)]:
        count, _ = stress.right_everywhere(kind, kind.x(batch, steps))
        tally("shapes")
        tally("numbers equal to brute force", count)


def test_no_positions(tally: Count) -> None:
    """A map of 4 x 0 positions, as a convolution of too small an image may give."""
    with snnlens.record(snnlens.IF(), ["firing_rate", "silence", "channel_rate"]) as recorder:
        recorder.model(torch.rand(3, 2, 4, 0, 5))
    (row,) = recorder.frame().to_dict("records")
    assert (row["neurons"], row["time_steps"], row["batch"]) == (0, 3, 2)
    assert math.isnan(row["firing_rate"])
    tally("shapes")


def test_a_watch_of_an_empty_loader_says_so(tally: Count) -> None:
    loader: list[Tensor] = []
    with snnlens.watch(OWN.make(), every=1) as seen:
        for x in loader:
            stress.train(seen.model, x)
    with pytest.raises(NothingToRecord, match=r"^the watch must see a training step; got none;"):
        seen.frame()
    assert NothingToRecord.exit_code == 5
    tally("refused in one line")


# --- one sample and BatchNorm ---------------------------------------------------------------------


class Normed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(4, 6), nn.BatchNorm1d(6)
        self.neuron = snnlens.LIF(threshold=0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.neuron(self.norm(self.first(x).flatten(0, 1)).unflatten(0, x.shape[:2]))


NORMED = Kind(Normed, ("neuron",))


def test_one_sample_and_batch_norm(tally: Count) -> None:
    count, _ = stress.right_everywhere(NORMED, NORMED.x(batch=1))
    tally("shapes")
    tally("numbers equal to brute force", count)


def test_one_number_per_channel_is_the_models_own_error(tally: Count) -> None:
    """Of torch, as it stands, where the user's code runs it; of a check-up in one line."""
    model = NORMED.make()
    with pytest.raises(ValueError, match=r"^Expected more than 1 value per channel"), \
            snnlens.record(model, stress.PROBES):  # fmt: skip
        model(NORMED.x(batch=1, steps=1))
    assert not stress.hooks_of(model)
    before = stress.everything_of(model)
    for ask in (snnlens.checkup, snnlens.audit):  # a map is of evaluation mode
        with pytest.raises(SnnlensError) as error:
            ask(model, NORMED.x(batch=1, steps=1))
        assert "\n" not in str(error.value)
        assert error.value.exit_code == 2
        stress.assert_as_before(model, before)
        tally("refused in one line")


# --- how it lies in memory ------------------------------------------------------------------------

LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "batch first in memory": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    "features first in memory": lambda x: x.permute(2, 0, 1).contiguous().permute(1, 2, 0),
    "every second": lambda x: torch.repeat_interleave(x, 2, 2)[..., ::2],
    "a step repeated": lambda x: x[:1].expand(5, -1, -1),
    "a sample repeated": lambda x: x[:, :1].expand(-1, 3, -1),
    "one number": lambda x: x[:1, :1, :1].expand(5, 3, 4),
    "backwards": lambda x: x.flip(0),
    "behind others": lambda x: torch.cat([x, x])[5:],
    "a view of more": lambda x: x.repeat(1, 2, 2)[:, 1:4, 2:6],
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str, tally: Count) -> None:
    for name in ["snnlens", "spikingjelly m", *LAYERS][: times(2)]:
        kind = KINDS[name]
        x = LAYOUTS[layout](kind.x())
        tally("numbers equal to brute force", stress.right(kind, x))
        tally("shapes")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("neuron", [snnlens.IF(0.4), snnlens.LIF(1.5, threshold=0.4)], ids=str)
def test_a_neuron_that_gets_it_at_once(layout: str, neuron: nn.Module, tally: Count) -> None:
    """Without a layer before it, which would put it in order; against the same numbers in order."""
    x = LAYOUTS[layout](OWN.x())
    tables = []
    for given in (x, x.clone(memory_format=torch.contiguous_format)):
        with snnlens.record(neuron, ["firing_rate", "input_current", "membrane"]) as recorder:
            neuron(given)
        tables.append(recorder.record().tables)
    for probe in tables[0]:
        pd.testing.assert_frame_equal(tables[0][probe], tables[1][probe], rtol=1e-13)
    currents = x.double().numpy()
    np.testing.assert_allclose(
        tables[0]["input_current"]["current"], currents.sum((1, 2)), rtol=1e-13
    )
    tally("shapes")


def _channels_last(model: nn.Module) -> None:
    model.to(memory_format=torch.channels_last)


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("change", [None, _channels_last], ids=["as made", "model channels-last"])
def test_channels_last(order: Any, change: Any, tally: Count) -> None:
    x = SEW.x().to(memory_format=order)
    tally("numbers equal to brute force", stress.right(SEW, x, change))
    tally("shapes")
