"""Layouts, first tensors, and numbers of tensors: what every adapter uses."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from snnlens.adapters._base import KNOWN, Layout, number, remembered, tensors
from snnlens.errors import InputError


def test_a_number_on_a_device_is_asked_for_once_per_change() -> None:
    """`remembered` is for tensors on a device; what it does is the same on the CPU."""
    x = nn.Parameter(torch.tensor(0.5))
    assert remembered(x) == 0.5
    x.data = torch.tensor(7.0)  # this is no change that a tensor counts: it is not asked again
    assert remembered(x) == 0.5
    with torch.no_grad():
        x.add_(0.25)
    assert remembered(x) == 7.25
    assert number(torch.ones(3)) is None
    assert number(torch.full((1,), 0.5)) == 0.5
    assert number(2) == 2.0
    kept = len(KNOWN)
    del x
    assert len(KNOWN) == kept - 1  # and it is forgotten with its tensor


@pytest.mark.parametrize(("layout", "build"), [
    (Layout("time first"), lambda x: x),
    (Layout("batch first"), lambda x: x.transpose(0, 1)),
    (Layout("folded", 3), lambda x: x.transpose(0, 1).flatten(0, 1)),
], ids=["time first", "batch first", "folded"])  # fmt: skip
def test_every_layout_becomes_time_first(layout: Layout, build) -> None:
    x = torch.rand(3, 2, 4, 5)
    laid = build(x)
    assert torch.equal(layout.time_first(laid), x)
    assert torch.equal(layout.time_first(laid)[1, 0], x[1, 0])


def test_one_step_is_a_sequence_of_one() -> None:
    x = torch.rand(2, 4)
    assert torch.equal(Layout("one step").time_first(x)[0], x)


def test_a_folded_tensor_of_another_length_is_an_error() -> None:
    with pytest.raises(InputError) as error:
        Layout("folded", 3).time_first(torch.rand(7, 2))
    assert str(error.value) == (
        "the first axis of a folded tensor must be a multiple of T = 3; got 7"
    )


def test_tensors_are_found_in_order_whatever_holds_them() -> None:
    a, b, c = torch.rand(3, 1)
    assert [t.item() for t in tensors((None, [a, {"x": (b,)}], c, 3))] == [a, b, c]
