"""Event files made by hand: TensorBoard's own record writer, no thread, any time stamp."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tensorboard.compat.proto import event_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

Row = tuple[str, int, float]


def write(path: Path, rows: Iterable[Row], *, start: int = 0) -> Path:
    """An event file as PyTorch's SummaryWriter leaves it: version, session start, values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        writer = RecordWriter(file)
        for event in _events(rows, start):
            writer.write(event.SerializeToString())
        writer.flush()
    return path


def log(run: Path, stamp: int, rows: Sequence[Row], *, start: int = 0) -> None:
    """The two files of one segment of a run, as the official code writes them: train/ and te/."""
    for number, (split, mark) in enumerate((("train", "train"), ("te", "test"))):
        own = [row for row in rows if row[0].startswith(mark)]
        write(run / split / f"events.out.tfevents.{stamp}.host.1.{number}", own, start=start)


def percent(epochs: Iterable[int], loss: float = 1.0, top1: float = 50.0) -> list[Row]:
    """The six values of each epoch, tags as in the ImageNet logs."""
    return [
        (tag, epoch, value + epoch / 100)
        for epoch in epochs
        for tag, value in (
            ("train_loss", loss), ("train_acc1", top1), ("train_acc5", top1 + 20),
            ("test_loss", loss + 0.5), ("test_acc1", top1 - 5), ("test_acc5", top1 + 10),
        )
    ]  # fmt: skip


def bounds(path: Path) -> list[int]:
    """Where each record begins, and the end: read from the lengths alone."""
    data, at = path.read_bytes(), 0
    places = [0]
    while at < len(data):
        at += struct.unpack_from("<Q", data, at)[0] + 16
        places.append(at)
    return places


def _events(rows: Iterable[Row], start: int) -> Iterable[Any]:
    yield event_pb2.Event(wall_time=1.0, file_version="brain.Event:2")
    session = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    yield event_pb2.Event(wall_time=1.0, step=start, session_log=session)
    for number, (tag, step, value) in enumerate(rows):
        event = event_pb2.Event(wall_time=2.0 + number, step=step)
        event.summary.value.add(tag=tag, simple_value=value)
        yield event
