"""Calls of spiking layers: laid out in time, counted, replaced; the hooks go on any exit."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from snnlens import IF
from snnlens.adapters._base import Layout, Lies
from snnlens.adapters._survey import survey
from snnlens.attribution.calls import _laid, changing, exchanged
from tests.unit.attribution import nets


class Out(NamedTuple):
    spikes: Tensor
    state: Tensor


A, B, NEW = torch.zeros(2), torch.ones(3), torch.full((2,), 5.0)


@pytest.mark.parametrize(
    ("out", "wanted"),
    [
        (A, NEW),
        ((A, B), (NEW, B)),
        ([A, B], [NEW, B]),
        (Out(A, B), Out(NEW, B)),
        ({"spk": A, "mem": B}, {"spk": NEW, "mem": B}),
        ((None, {"deep": [A]}, B), (None, {"deep": [NEW]}, B)),
        ((), ()),
    ],
)
def test_the_first_tensor_is_exchanged(out: Any, wanted: Any) -> None:
    found = exchanged(out, NEW)
    assert type(found) is type(wanted)
    assert repr(found) == repr(wanted)


@pytest.mark.parametrize(
    ("lies", "shape"),
    [("time first", (4, 3, 2)), ("batch first", (3, 4, 2)), ("folded", (12, 2))],
)
def test_laid_is_the_inverse_of_time_first(lies: Lies, shape: tuple[int, ...]) -> None:
    layout = Layout(lies, 4)
    given = torch.arange(24.0).reshape(shape)
    assert torch.equal(_laid(layout, layout.time_first(given)), given)


def test_one_step_has_no_axis_of_time() -> None:
    layout, given = Layout("one step"), torch.arange(6.0).reshape(3, 2)
    assert torch.equal(_laid(layout, layout.time_first(given)), given)


@pytest.mark.parametrize("framework", nets.CASES)
def test_each_call_is_told_and_none_changes_nothing(framework: str) -> None:
    case = nets.CASES[framework]()
    told: list[tuple[str, int, tuple[int, ...], tuple[int, ...]]] = []

    def look(site: str, step: int, current: Tensor | None, spikes: Tensor) -> None:
        assert current is not None
        told.append((site, step, tuple(current.shape), tuple(spikes.shape)))

    plain = case.score(case.x)
    case.reset(case.net)
    with changing(survey(case.net), look, {}):
        found = case.net.back(case.net.front(case.x))
    assert torch.equal(found, plain)
    steps = nets.T // case.calls
    shape = (steps, nets.N, 3, 4, 4)
    assert [t for t in told if t[0] == "a"] == [
        ("a", i * steps, shape, shape) for i in range(case.calls)
    ]


def test_steps_are_counted_until_they_are_cleared() -> None:
    net, steps, told = nn.Sequential(IF()), {}, []
    with changing(survey(net), lambda site, step, *_: told.append(step), steps):
        net(torch.ones(3, 2))
        net(torch.ones(4, 2))
        steps.clear()
        net(torch.ones(1, 2))
    assert told == [0, 3, 0]


@pytest.mark.parametrize("fails", [False, True])
def test_no_hook_is_left(fails: bool) -> None:
    net = nn.Sequential(nn.Linear(2, 2), IF())

    def change(*_: Any) -> None:
        if fails:
            raise KeyError

    try:
        with changing(survey(net), change, {}):
            net(torch.ones(3, 1, 2))
    except KeyError:
        assert fails
    assert not any(m._forward_hooks for m in net.modules())
