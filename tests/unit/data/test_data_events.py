"""Frames of events: both ways against a plain loop, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnlens.data.events import (
    Events,
    bin_us,
    centred,
    frames_by_number,
    frames_by_time,
    from_start,
)
from snnlens.errors import InputError

SIZE = (5, 7)  # height and width differ, so that a swap shows


def recording(count: int, seed: int, duration_us: int = 9000) -> Events:
    rng = np.random.default_rng(seed)
    return Events(
        x=rng.integers(SIZE[1], size=count),
        y=rng.integers(SIZE[0], size=count),
        polarity=rng.integers(2, size=count),
        t_us=rng.integers(duration_us, size=count),  # not in order, with ties
    )


def by_time(events: Events, bin_us: int, steps: int) -> np.ndarray:
    frames = np.zeros((steps, 2, *SIZE), np.int64)
    for x, y, p, t in zip(events.x, events.y, events.polarity, events.t_us, strict=True):
        for frame in range(steps):
            if frame * bin_us <= t < (frame + 1) * bin_us:
                frames[frame, p, y, x] += 1
    return frames


def by_number(events: Events, steps: int) -> np.ndarray:
    frames = np.zeros((steps, 2, *SIZE), np.int64)
    n = len(events)
    for rank, i in enumerate(sorted(range(n), key=lambda i: events.t_us[i])):  # sorted is stable
        frame = next(t for t in range(steps) if t * n // steps <= rank < (t + 1) * n // steps)
        frames[frame, events.polarity[i], events.y[i], events.x[i]] += 1
    return frames


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 60), st.integers(0, 99), st.integers(1, 12), st.sampled_from([0.25, 1, 1.5]))
def test_frames_equal_a_loop(count: int, seed: int, steps: int, bin_ms: float) -> None:
    events = recording(count, seed)
    times, numbers = (
        frames_by_time(events, bin_ms, steps, SIZE),
        frames_by_number(events, steps, SIZE),
    )
    assert times.dtype == numbers.dtype == np.int64
    assert np.array_equal(times, by_time(events, round(bin_ms * 1000), steps))
    assert np.array_equal(numbers, by_number(events, steps))
    assert numbers.sum() == count


def test_frames_by_number_differ_by_one_event_at_most() -> None:
    sizes = frames_by_number(recording(103, 0), 8, SIZE).sum(axis=(1, 2, 3))
    assert sorted(set(sizes.tolist())) == [12, 13]


def test_a_bin_is_closed_on_the_left_and_time_begins_at_zero() -> None:
    events = Events(x=[0, 1, 2, 3], y=[0] * 4, polarity=[1] * 4, t_us=[-1, 0, 1000, 2000])
    frames = frames_by_time(events, bin_ms=1, steps=2, size=SIZE)
    assert np.argwhere(frames).tolist() == [[0, 1, 0, 1], [1, 1, 0, 2]]


def test_decimal_bins_are_exact() -> None:
    """0.3 * 1000 is 299.99999999999994 in binary."""
    assert bin_us(0.3) == 300
    events = Events(x=[0], y=[0], polarity=[0], t_us=[300])
    assert frames_by_time(events, 0.3, 3, SIZE).sum(axis=(1, 2, 3)).tolist() == [0, 1, 0]


def test_memory_of_the_caller_is_not_written_to() -> None:
    t = np.array([5, 3, 4], np.uint32)
    events = Events(x=np.zeros(3, np.uint8), y=np.zeros(3, np.uint8), polarity=[1, 0, 1], t_us=t)
    frames_by_number(events, 2, SIZE)
    assert t.tolist() == [5, 3, 4]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 60), st.integers(0, 99), st.integers(1, 12))
def test_the_remainder_in_the_last_frame(count: int, seed: int, steps: int) -> None:
    """SpikingJelly's bounds, j_l = [N / M] j, j_r = [N / M] (j + 1) but N for the last."""
    events = recording(count, seed)
    order = sorted(range(count), key=lambda i: events.t_us[i])
    expected = np.zeros((steps, 2, *SIZE), np.int64)
    for frame in range(steps):
        left = count // steps * frame
        right = count // steps * (frame + 1) if frame < steps - 1 else count
        for i in order[left:right]:
            expected[frame, events.polarity[i], events.y[i], events.x[i]] += 1
    frames = frames_by_number(events, steps, SIZE, "last")
    assert np.array_equal(frames, expected)


@pytest.mark.parametrize(
    ("size", "top", "left"), [((5, 7), 0, 0), ((9, 9), 2, 1), ((6, 10), 0, 1), ((128, 128), 61, 60)]
)
def test_centred_frames(size: tuple[int, int], top: int, left: int) -> None:
    frames = np.arange(1, 2 * 2 * 35 + 1, dtype=np.float32).reshape(2, 2, 5, 7)
    out = centred(frames, size)
    assert (out.shape, out.dtype) == ((2, 2, *size), frames.dtype)
    for (t, p, y, x), value in np.ndenumerate(frames):
        assert out[t, p, top + y, left + x] == value
    assert out.sum() == frames.sum()
    out[...] = 0
    assert frames.min() == 1  # a copy


def test_the_clock_begins_where_it_is_told_to() -> None:
    events = recording(20, 3)
    first = from_start(events)
    assert first.t_us.min() == 0
    assert np.array_equal(first.t_us, events.t_us - events.t_us.min())
    assert np.array_equal(from_start(events, 500).t_us, events.t_us - 500)
    assert np.array_equal(first.x, events.x)
    assert len(from_start(recording(0, 0))) == 0


def refusal(call: object, *args: object) -> str:
    with pytest.raises(InputError) as caught:
        call(*args)  # type: ignore[operator]
    return str(caught.value)


@pytest.mark.parametrize("bin_ms", [0, -1, 0.0004, 0.0015, float("nan"), float("inf")])
def test_no_bin(bin_ms: float) -> None:
    assert refusal(frames_by_time, recording(3, 0), bin_ms, 2, SIZE) == (
        "bin_ms must be a whole number of microseconds, at least 0.001; "
        f"got {bin_ms}; give bin_ms=1"
    )


@pytest.mark.parametrize("steps", [0, -2])
def test_no_frames(steps: int) -> None:
    message = f"time_steps must be at least 1; got {steps}"
    assert refusal(frames_by_number, recording(3, 0), steps, SIZE) == message
    assert refusal(frames_by_time, recording(3, 0), 1, steps, SIZE) == message


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [("x", 7, "0 to 6"), ("x", -1, "0 to 6"), ("y", 5, "0 to 4"), ("polarity", 2, "0 to 1")],
)
def test_an_event_outside(field: str, value: int, wanted: str) -> None:
    fields = {"x": [0], "y": [0], "polarity": [0], "t_us": [0]} | {field: [value]}
    message = f"{field} of the events must be from {wanted}; got {value}"
    assert refusal(frames_by_number, Events(**fields), 1, SIZE) == message  # type: ignore[arg-type]
    assert refusal(frames_by_time, Events(**fields), 1, 1, SIZE) == message  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(4, 7), (5, 6), (1, 1)])
def test_frames_are_never_cut(size: tuple[int, int]) -> None:
    assert refusal(centred, np.zeros((5, 7)), size) == (
        "the size of frames must be at least 5 x 7: frames are centred, not resized; "
        f"got '{size[0]} x {size[1]}'"
    )


def test_fields_that_do_not_fit() -> None:
    assert refusal(Events, [0], [0, 1], [0], [0]) == (
        "x, y, polarity and t_us must be of one length; got [1, 2]"
    )
    assert refusal(Events, [0.5], [0], [0], [0]) == (
        "x of events must be whole numbers [events]; got 'float64 [1]'"
    )
