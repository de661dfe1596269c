"""One TensorBoard event file: every scalar in it, up to where it is cut or damaged. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from snnlens.errors import InputError, one_line, shortened

MARK = "tfevents"  # in the name of every event file, and the rule of TensorBoard itself
COLUMNS = ["tag", "step", "value", "wall_time"]
FRAME_BYTES = 16  # around a record: its length (8), and a checksum (4) of that and of the record


@dataclass(frozen=True, eq=False)
class EventFile:
    """What one event file holds."""

    path: Path
    scalars: pd.DataFrame  # tag, step, value, wall_time (seconds, Unix), in the order of writing
    fault: str = ""  # where reading ended before the end, and why; empty for a whole file


def read(path: Path) -> EventFile:
    """Read all scalars of an event file; no step is left out, none is rounded.

    What stands before a cut or damaged record is used, and `fault` says which record it is.
    TensorBoard's own record reader checks both checksums of each record. Its EventAccumulator is
    not used: it samples long curves and does not say where a file ends early.

    Args:
        path: an event file of TensorBoard, PyTorch or Keras.

    Returns:
        The scalars, `value` in the unit that was logged.

    Raises:
        InputError: tensorboard is not installed, or the file cannot be read.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "events.out.tfevents.1.host"
    >>> _ = path.write_bytes(b"cut")
    >>> found = read(path)
    >>> len(found.scalars), found.fault
    (0, 'record 1, at byte 0 of 3, is cut; nothing was used')
    """
    rows: list[tuple[str, int, float, float]] = []
    fault, plugins = "", _Plugins()
    try:
        for event in _events(path):
            rows += [
                (tag, event.step, value, event.wall_time) for tag, value in plugins.scalars(event)
            ]
    except _Fault as found:
        fault = str(found)
    except OSError as error:
        got = f"{path}: {error.strerror}"
        raise InputError("event file", got=got, wanted="one that can be read") from error
    types = {"step": "int64", "value": "float64", "wall_time": "float64"}
    return EventFile(path, pd.DataFrame(rows, columns=COLUMNS).astype(types), fault)


class _Fault(Exception):
    """Where a file is cut or damaged."""


def _events(path: Path) -> Iterator[Any]:
    """The events of a file, one by one; _Fault at the first that is not whole."""
    stub = tensorboard("compat.tensorflow_stub.pywrap_tensorflow")
    faults = tensorboard("compat.tensorflow_stub.errors")
    event = tensorboard("compat.proto.event_pb2").Event
    broken = import_module("google.protobuf.message").DecodeError
    size, at, count = path.stat().st_size, 0, 0
    # The stub's reader, and not a loader: with TensorFlow beside it a loader would import that.
    reader = stub.PyRecordReader_New(str(path))
    while True:
        try:
            reader.GetNext()
            record = reader.record()
            yield event.FromString(record)
        except faults.OutOfRangeError:
            return
        except (faults.DataLossError, broken, OverflowError, MemoryError) as error:
            too_long = isinstance(error, OverflowError | MemoryError)  # a length of up to 2^64
            what = "cut" if too_long or "has truncated record" in str(error) else "damaged"
            used = f"what is whole before it ({count}) was used" if count else "nothing was used"
            where = f"record {count + 1}, at byte {at} of {size}, is {what}"
            raise _Fault(f"{where}; {used}") from error
        at, count = at + len(record) + FRAME_BYTES, count + 1


def tensorboard(module: str, what: str = "published logs need a package that") -> Any:
    """A module of tensorboard; a broken installation is no missing one and raises as it is."""
    try:
        return import_module(f"tensorboard.{module}")
    except ModuleNotFoundError as error:
        if error.name != "tensorboard":
            raise
        do = "pip install 'snnlens[logs]'"
        raise InputError(what, got="tensorboard", wanted="installed", do=do) from error


class _Plugins:
    """Which tags are scalars: a writer may say it with a tag's first value only."""

    def __init__(self) -> None:
        self.of: dict[str, str] = {}

    def scalars(self, event: Any) -> Iterator[tuple[str, float]]:
        """Tag and number of each scalar of an event: a plain number, or a tensor of one element."""
        for value in event.summary.value:
            kind = value.WhichOneof("value")
            if kind == "simple_value":
                yield value.tag, value.simple_value
            elif kind == "tensor" and self._plugin(value) == "scalars":
                named = one_line(shortened(value.tag, 100))
                yield value.tag, _number(value.tensor, f"{named} of step {event.step}")

    def _plugin(self, value: Any) -> str:
        named = value.metadata.plugin_data.plugin_name
        return self.of.setdefault(value.tag, named)


def _number(tensor: Any, what: str) -> float:
    """The one element of a tensor; a few bytes may say that they are to be repeated 2^40 times."""
    try:
        if math.prod(dim.size for dim in tensor.tensor_shape.dim) == 1:
            array = tensorboard("util.tensor_util").make_ndarray(tensor)
            if array.dtype.kind in "biuf":
                return float(array.item())
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise _Fault(f"{what} is no number; what is before it was used") from error
    raise _Fault(f"{what} is no number; what is before it was used")
