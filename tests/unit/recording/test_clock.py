"""Which step a call begins with: loops over time inside and outside of the model."""

from __future__ import annotations

from collections.abc import Sequence

from snnlens.adapters._base import Layout
from snnlens.recording.clock import Clock

STEP, WHOLE = Layout("one step"), Layout("time first")


def run(clock: Clock, calls: Sequence[tuple[str, Layout, bool | None]]) -> list[int]:
    """Call sites one after another, one step each; where each began."""
    begun = []
    for name, layout, rest in calls:
        begun.append(clock.tick(name, layout, lambda rest=rest: rest))
        clock.lasted(name, 1)
    return begun


def test_a_loop_inside_counts_steps_and_begins_again_with_each_pass() -> None:
    clock = Clock()
    for _ in range(2):  # whatever the layer says of its state: the loop lies inside
        clock.new_pass()
        assert run(clock, [("a", STEP, False)] * 3) == [0, 1, 2]


def test_a_loop_outside_goes_on_as_long_as_state_is_carried() -> None:
    clock, begun = Clock(), []
    for rest in (True, False, False, True, False):
        clock.new_pass()
        begun += run(clock, [("a", STEP, rest)])
    assert begun == [0, 1, 2, 0, 1]


def test_what_cannot_tell_begins_again_with_each_pass() -> None:
    clock, begun = Clock(), []
    for _ in range(3):
        clock.new_pass()
        begun += run(clock, [("a", STEP, None)])
    assert begun == [0, 0, 0]


def test_whole_sequences_begin_at_0_even_where_state_was_not_reset() -> None:
    clock = Clock()
    for _ in range(2):
        clock.new_pass()
        assert clock.tick("a", WHOLE, lambda: False) == 0
        clock.lasted("a", 4)


def test_chunks_of_one_pass_go_on_where_state_is_carried() -> None:
    clock = Clock()
    clock.new_pass()
    begun = []
    for rest in (True, False, False, True):
        begun.append(clock.tick("a", WHOLE, lambda rest=rest: rest))
        clock.lasted("a", 2)
    assert begun == [0, 2, 4, 0]


def test_blocks_go_with_the_neuron_before_them() -> None:
    clock, begun = Clock(), []
    for rest in (True, False, False, True):
        clock.new_pass()
        run(clock, [("neuron", STEP, rest)])
        begun.append(clock.tick("block", STEP))
        clock.lasted("block", 1)
    assert begun == [0, 1, 2, 0]


def test_the_first_call_of_a_pass_is_told_once() -> None:
    clock = Clock()
    clock.new_pass()
    assert [clock.is_first("a"), clock.is_first("a"), clock.is_first("b")] == [True, False, True]
    clock.new_pass()
    assert clock.is_first("a")
