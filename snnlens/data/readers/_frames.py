"""Recordings as frames of event counts: how many, of what duration, where in the image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from snnlens.data import events
from snnlens.data.events import Events
from snnlens.data.source import Floats, Integers, Request, Source
from snnlens.errors import InputError

DEFAULT_STEPS = 4
Size = tuple[int, int]  # height, width in pixels


@dataclass(frozen=True)
class Recorded:
    """Recordings of one sensor, as a reader lists them.

    `decode(i)` gives the events of recording i, from 0 on its clock; neighbours are asked for one
    after the other, as they may lie in one file.
    """

    title: str  # opens the caption: "N-MNIST (Test)"
    labels: Sequence[int]
    classes: int
    sensor: Size
    decode: Callable[[int], Events]
    name: str  # in errors: "N-MNIST"
    duration_ms: float | None = None  # None where recordings differ in length

    def source(self, request: Request) -> Source:
        """The frames that a request asks for, decoded when their pixels are.

        With `bin_ms`, frame t counts the events of [t bin_ms, (t + 1) bin_ms), and T is
        `time_steps` or what covers the duration; else each recording is split into `time_steps`
        frames of equally many events (4 where nothing is said). Frames smaller than the image
        size are centred in it.

        Raises InputError for an image smaller than the sensor, no frames, no number of frames
        where recordings differ in length.
        """
        steps, size = self._steps(request), self._size(request.image_size)

        def pixels(indices: Integers) -> Floats:
            chosen = np.asarray(indices)
            out = np.empty((steps, len(chosen), events.POLARITIES, *size), np.float32)
            for place in np.argsort(chosen, kind="stable"):
                counts = _counts(self.decode(int(chosen[place])), request, steps, self.sensor)
                out[:, place] = events.centred(counts, size)
            return out

        return Source(
            *(self.title, np.asarray(self.labels, np.int64), self.classes),
            *((0.0, 0.0), (1.0, 1.0), pixels),
            note=_note(request, steps, self.sensor, size),
            noun="recording",
            frames=True,
        )

    def _steps(self, request: Request) -> int:
        steps = request.time_steps
        if steps is None and request.bin_ms is None:
            steps = DEFAULT_STEPS
        if steps is None and self.duration_ms is not None:
            steps = -(-round(self.duration_ms * 1000) // events.bin_us(request.bin_ms or 0))
        if steps is None:
            wanted = f"given with bin_ms: recordings of {self.name} differ in length"
            raise InputError("time_steps", got=None, wanted=wanted)
        events.check_steps(steps)
        return steps

    def _size(self, side: int | None) -> Size:
        if side is None:
            return self.sensor
        if side < max(self.sensor):
            wanted = f"at least {_pixels(self.sensor)} for {self.name}: frames are not resized"
            raise InputError("image size", got=side, wanted=wanted)
        return side, side


def _counts(found: Events, request: Request, steps: int, sensor: Size) -> Integers:
    if request.bin_ms is None:
        return events.frames_by_number(found, steps, sensor, request.remainder)
    return events.frames_by_time(found, request.bin_ms, steps, sensor)


def _note(request: Request, steps: int, sensor: Size, size: Size) -> str:
    frames = f"{steps} frame{'s' if steps > 1 else ''}"
    each = "equally many events" if request.bin_ms is None else f"{request.bin_ms:g} ms"
    rest = request.remainder == "last" and request.bin_ms is None
    moved = f"{_pixels(sensor, 'px')} centred in {_pixels(size, 'px')}, " if size != sensor else ""
    return f"{moved}{frames} of {each}" + (" (the rest in the last)" if rest else "")


def _pixels(size: Size, unit: str = "pixels") -> str:
    height, width = size
    return f"{width} {unit}" if height == width else f"{height} x {width} {unit}"
