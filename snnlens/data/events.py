"""Events of an event camera, and the two ways to make frames of them. No torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from snnlens.data.source import Integers
from snnlens.errors import InputError

POLARITIES = 2
FIELDS = ("x", "y", "polarity", "t_us")


@dataclass(frozen=True, eq=False)
class Events:
    """A recording: one entry per event, int64 [events] each; the order does not matter.

    Raises InputError where the four are not whole numbers of one length.

    >>> len(Events(x=[3, 4], y=[0, 0], polarity=[1, 0], t_us=[10, 25]))
    2
    """

    x: Integers  # column, in pixels from the left
    y: Integers  # row, in pixels from the top
    polarity: Integers  # 0 or 1
    t_us: Integers  # microseconds on the recording's own clock

    def __post_init__(self) -> None:
        for name in FIELDS:
            object.__setattr__(self, name, _whole(name, getattr(self, name)))
        lengths = {len(getattr(self, name)) for name in FIELDS}
        if len(lengths) > 1:
            wanted = "of one length"
            raise InputError("x, y, polarity and t_us", got=sorted(lengths), wanted=wanted)

    def __len__(self) -> int:
        return len(self.x)


def frames_by_time(events: Events, bin_ms: float, steps: int, size: tuple[int, int]) -> Integers:
    """Count events in bins of equal duration: frame t holds t bin <= time < (t + 1) bin.

    Time begins at 0 of the recording's clock; events before it and after the last bin are left
    out.

    Args:
        events: the recording.
        bin_ms: duration of a frame in milliseconds; a whole number of microseconds.
        steps: number of frames T.
        size: (height, width) of the sensor in pixels.

    Returns:
        Counts int64 [T, 2, height, width], channel = polarity; unit: events.

    Raises:
        InputError: a bin or a number of frames below 1, an event outside the sensor.

    >>> events = Events(x=[0, 1, 1], y=[0, 0, 0], polarity=[0, 1, 1], t_us=[999, 1000, 2000])
    >>> frames_by_time(events, bin_ms=1, steps=2, size=(1, 2)).tolist()
    [[[[1, 0]], [[0, 0]]], [[[0, 0]], [[0, 1]]]]
    """
    frame = events.t_us // bin_us(bin_ms)
    return _counted(events, frame, (frame >= 0) & (frame < steps), steps, size)


def frames_by_number(
    events: Events,
    steps: int,
    size: tuple[int, int],
    remainder: Literal["spread", "last"] = "spread",
) -> Integers:
    """Count events in frames that hold equally many: of n events in time order, frame t holds
    those from floor(t n / T) up to, not including, floor((t + 1) n / T).

    Events of one time keep their order. SpikingJelly's split_by="number" has other bounds: there
    each frame holds floor(n / T) events, and the last one all that is left too.

    Args:
        events: the recording.
        steps: number of frames T.
        size: (height, width) of the sensor in pixels.
        remainder: "last" has SpikingJelly's bounds.

    Returns:
        Counts int64 [T, 2, height, width], channel = polarity; unit: events.

    Raises:
        InputError: a number of frames below 1, an event outside the sensor.

    >>> events = Events(x=[0, 1, 1], y=[0, 0, 0], polarity=[0, 0, 0], t_us=[1, 2, 900])
    >>> frames_by_number(events, steps=2, size=(1, 2)).tolist()
    [[[[1, 0]], [[0, 0]]], [[[0, 2]], [[0, 0]]]]
    """
    check_steps(steps)
    bounds = np.arange(steps + 1) * len(events) // steps
    if remainder == "last":
        bounds[:-1] = np.arange(steps) * (len(events) // steps)
    frame = np.empty(len(events), np.int64)
    frame[np.argsort(events.t_us, kind="stable")] = np.repeat(np.arange(steps), np.diff(bounds))
    return _counted(events, frame, np.ones(len(events), np.bool_), steps, size)


def centred(frames: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Put frames [..., height, width] in the middle of larger ones, zeros around.

    Where a margin is odd, its larger half is below or on the right.

    Raises InputError for a size (height, width) in pixels below that of the frames.

    >>> centred(np.ones((1, 1, 2), int), (3, 4)).tolist()
    [[[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]]
    """
    height, width = frames.shape[-2:]
    if size[0] < height or size[1] < width:
        wanted = f"at least {height} x {width}: frames are centred, not resized"
        raise InputError("the size of frames", got=f"{size[0]} x {size[1]}", wanted=wanted)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    out = np.zeros((*frames.shape[:-2], *size), frames.dtype)
    out[..., top : top + height, left : left + width] = frames
    return out


def from_start(events: Events, start_us: int | None = None) -> Events:
    """The same events on a clock that is 0 at `start_us`, or else at the first event.

    >>> from_start(Events(x=[3, 4], y=[0, 0], polarity=[1, 0], t_us=[90, 70])).t_us
    array([20,  0])
    """
    if start_us is None:
        start_us = int(events.t_us.min()) if len(events) else 0
    return replace(events, t_us=events.t_us - start_us)


def bin_us(bin_ms: float) -> int:
    """Return a duration as a whole number of microseconds.

    Raises InputError where it is none, or below 1.

    >>> bin_us(0.5)
    500
    """
    whole = round(bin_ms * 1000) if np.isfinite(bin_ms) else 0
    if whole < 1 or abs(whole - bin_ms * 1000) > 1e-6:  # 0.3 * 1000 is 299.99999999999994
        wanted = "a whole number of microseconds, at least 0.001"
        raise InputError("bin_ms", got=bin_ms, wanted=wanted, do="give bin_ms=1")
    return whole


def check_steps(steps: int) -> None:
    """Raise InputError for a number of frames below 1.

    >>> check_steps(0)
    Traceback (most recent call last):
    snnlens.errors.InputError: time_steps must be at least 1; got 0
    """
    if steps < 1:
        raise InputError("time_steps", got=steps, wanted="at least 1")


def check_inside(events: Events, size: tuple[int, int], of: str = "events") -> None:
    """Raise InputError for an event outside (height, width) or with another polarity than 0, 1.

    >>> check_inside(Events(x=[34], y=[0], polarity=[0], t_us=[0]), (34, 34), "events in 7.bin")
    Traceback (most recent call last):
    snnlens.errors.InputError: x of the events in 7.bin must be from 0 to 33; got 34
    """
    for name, count in zip(FIELDS, (size[1], size[0], POLARITIES), strict=False):
        values = getattr(events, name)
        outside = values[(values < 0) | (values >= count)]
        if len(outside):
            got, wanted = int(outside[0]), f"from 0 to {count - 1}"
            raise InputError(f"{name} of the {of}", got=got, wanted=wanted)


def _counted(
    events: Events, frame: Integers, kept: NDArray[np.bool_], steps: int, size: tuple[int, int]
) -> Integers:
    """How many of the kept events fall on each frame, polarity and pixel."""
    check_steps(steps)
    check_inside(events, size)
    shape = (steps, POLARITIES, *size)
    where = tuple(a[kept] for a in (frame, events.polarity, events.y, events.x))
    places = np.ravel_multi_index(where, shape)
    return np.bincount(places, minlength=int(np.prod(shape))).reshape(shape).astype(np.int64)


def _whole(name: str, values: Any) -> Integers:
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        got = f"{array.dtype} {list(array.shape)}"
        raise InputError(f"{name} of events", got=got, wanted="whole numbers [events]")
    return array.astype(np.int64)
