"""TensorBoard's event files, written without TensorFlow and without torch.

The records' framing and checksums are those of TensorBoard's own writer, as reading them
(`snnlens.data.logs.events`) is left to its reader.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from itertools import groupby
from typing import Any, NamedTuple

from snnlens.data.logs.events import MARK, tensorboard

NEEDS = "an export to TensorBoard needs a package that"
VERSION = "brain.Event:2"  # of the format; every event file begins with it


class Scalar(NamedTuple):
    """One number of a curve."""

    tag: str
    step: int
    value: float
    unit: str = ""


def file_name(seconds: int) -> str:
    """The name of an event file: TensorBoard asks for the mark, a reader of ours for a time.

    >>> file_name(1700000000)
    'events.out.tfevents.1700000000.snnlens'
    """
    return f"events.out.{MARK}.{seconds}.snnlens"


def written(scalars: Iterable[Scalar], seconds: int) -> bytes:
    """An event file with one event per step; `value` is stored as float32, as such files have it.

    Args:
        scalars: any order; within a step their order is kept.
        seconds: the time of all events, Unix.

    >>> from snnlens.data.logs import events
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / file_name(7)
    >>> _ = path.write_bytes(written([Scalar("sn1/firing_rate", 0, 0.25)], 7))
    >>> events.read(path).scalars.values.tolist()
    [['sn1/firing_rate', 0, 0.25, 7.0]]
    """
    event = tensorboard("compat.proto.event_pb2", NEEDS).Event
    file = io.BytesIO()
    writer = tensorboard("summary.writer.record_writer", NEEDS).RecordWriter(file)
    writer.write(event(wall_time=seconds, file_version=VERSION).SerializeToString())
    told: set[str] = set()
    for step, values in groupby(sorted(scalars, key=lambda s: s.step), key=lambda s: s.step):
        made = event(wall_time=seconds, step=step)
        for scalar in values:
            _add(made, scalar, first=scalar.tag not in told)
            told.add(scalar.tag)
        writer.write(made.SerializeToString())
    return file.getvalue()


def _add(event: Any, scalar: Scalar, *, first: bool) -> None:
    """A number; what TensorBoard shows as the chart's description comes with the first one."""
    value = event.summary.value.add(tag=scalar.tag, simple_value=scalar.value)
    if first:
        value.metadata.plugin_data.plugin_name = "scalars"
    if first and scalar.unit:
        value.metadata.summary_description = f"unit: {scalar.unit}"
