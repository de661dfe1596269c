"""Recordings of any known format, in one subfolder per class."""

from __future__ import annotations

from pathlib import Path

from snnlens.data import recordings
from snnlens.data.events import Events, check_inside, from_start
from snnlens.data.readers import _classes
from snnlens.data.readers._frames import Recorded, Size
from snnlens.data.source import Request, Source

PATH = "a folder with one subfolder of recordings per class"
FRAMES = True


def check(path: Path | None) -> None:
    """Check that there are recordings, and none of no bytes; no file is opened.

    >>> check(Path(__file__).parent)
    Traceback (most recent call last):
    snnlens.errors.InputError: events must be a folder with one subfolder of recordings ...
    """
    assert path is not None  # specs.parse
    _classes.check_bytes(_classes.numbered(_listed(path))[0])


def read(path: Path | None, request: Request) -> Source:
    """List the recordings, by class and name; each is decoded when its frames are asked for.

    The label is the rank of the subfolder's name. The sensor is the largest that a recording's
    format states; where one does not, that recording is decoded once to see how far its events
    reach. Frames and their number: `Recorded.source`; time begins at a recording's first event.

    Raises InputError as `check` does, for a file of no known format, an image smaller than the
    sensor, and for a file that is damaged.

    >>> PATH.startswith("a folder with one subfolder of recordings")
    True
    """
    assert path is not None  # specs.parse
    classes = _listed(path)
    files, labels = _classes.numbered(classes)
    sensors = [_sensor(file) for file in files]
    sensor = max(height for height, _ in sensors), max(width for _, width in sensors)
    recorded = Recorded(
        *(f"recordings ({path.resolve().name})", labels, len(classes), sensor),
        *(lambda i: _decode(files[i], sensor), f"{path}"),
    )
    return recorded.source(request)


def _decode(file: Path, sensor: Size) -> Events:
    found = from_start(recordings.decode(file))
    check_inside(found, sensor, f"events in {file}")  # the file may have changed since
    return found


def _sensor(file: Path) -> Size:
    """Height and width: of the format, or of what the events reach."""
    stated = recordings.format_of(file).SENSOR
    if stated is not None:
        return stated
    found = recordings.decode(file)
    return int(found.y.max()) + 1, int(found.x.max()) + 1


def _listed(path: Path) -> list[list[Path]]:
    return _classes.recordings(path, "events", recordings.suffixes(), PATH)
