"""N-MNIST: recordings of handwritten digits by an event camera, one .bin file each."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snnlens.data import events
from snnlens.data.events import Events
from snnlens.data.source import Floats, Integers, Request, Source, visible_entries
from snnlens.errors import InputError

PATH = "a folder with the digit folders 0 to 9 of .bin files, or one with Train or Test in it"
FRAMES = True
CLASSES = 10
SIDE = 34  # pixels
EVENT_BYTES = 5
DURATION_MS = 300.0  # three saccades of 100 ms
DEFAULT_STEPS = 4
UNPACK = "unpack Train.zip or Test.zip of N-MNIST again"
# Source: Orchard et al., Converting Static Image Datasets to Spiking Neuromorphic Datasets Using
# Saccades, Frontiers in Neuroscience 9:437, 2015.


def check(path: Path | None) -> None:
    """Check folders and file sizes; no file is opened.

    Raises InputError for a folder without recordings, and for a file that is empty or cut.

    >>> check(Path(__file__).parent)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    snnlens.errors.InputError: nmnist must be a folder with the digit folders 0 to 9 ...
    """
    assert path is not None  # specs.parse
    for file in _files(path)[0]:
        _check_size(file)


def read(path: Path | None, request: Request) -> Source:
    """List the recordings, by digit and name; each is decoded when its frames are asked for.

    Where the folder holds Train and Test, Train is read, as with CIFAR-10; give Test itself for
    the other. The label is the folder's digit. With `bin_ms`, frame t counts the events of
    [t bin_ms, (t + 1) bin_ms), and T is `time_steps` or what covers 300 ms; else each recording
    is split into `time_steps` frames of equally many events (4 where nothing is said).

    Raises InputError as `check` does, for an image size other than 34, and later for events
    outside 34 x 34.

    >>> PATH.startswith("a folder with the digit folders")
    True
    """
    assert path is not None  # specs.parse
    _check_side(request.image_size)
    files, part = _files(path)
    steps = _steps(request)

    def pixels(indices: Integers) -> Floats:
        return np.stack([_frames(files[i], request, steps) for i in indices], axis=1)

    labels = np.array([int(file.parent.name) for file in files], np.int64)
    frames = f"{steps} frame{'s' if steps > 1 else ''}"
    each = "equally many events" if request.bin_ms is None else f"{request.bin_ms:g} ms"
    return Source(
        *(f"N-MNIST{part}", labels, CLASSES, (0.0, 0.0), (1.0, 1.0), pixels),
        note=f"{frames} of {each}",
        noun="recording",
        frames=True,
    )


def decode(path: Path) -> Events:
    """Read one .bin file: 5 bytes an event, x, y, then polarity (1 bit) and time (23 bits, us).

    Raises InputError for a file that is empty, cut or can not be read, events outside 34 x 34.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "0.bin"
    >>> _ = path.write_bytes(bytes([33, 7, 0b1000_0001, 0, 2]))
    >>> event = decode(path)
    >>> event.x, event.y, event.polarity, event.t_us
    (array([33]), array([7]), array([1]), array([65538]))
    """
    _check_size(path)
    try:
        raw = np.fromfile(path, np.uint8).reshape(-1, EVENT_BYTES).astype(np.int64)
    except OSError as error:
        got = f"{path}: {error.strerror}"
        raise InputError("nmnist file", got=got, wanted="one that can be read") from error
    time = (raw[:, 2] & 0x7F) << 16 | raw[:, 3] << 8 | raw[:, 4]
    found = Events(raw[:, 0], raw[:, 1], raw[:, 2] >> 7, time)
    events.check_inside(found, (SIDE, SIDE), f"events in {path}")
    return found


def _frames(file: Path, request: Request, steps: int) -> Floats:
    found, size = decode(file), (SIDE, SIDE)
    if request.bin_ms is None:
        return events.frames_by_number(found, steps, size).astype(np.float32)
    return events.frames_by_time(found, request.bin_ms, steps, size).astype(np.float32)


def _steps(request: Request) -> int:
    if request.bin_ms is None:
        steps = DEFAULT_STEPS if request.time_steps is None else request.time_steps
    else:
        covering = -(-round(DURATION_MS * 1000) // events.bin_us(request.bin_ms))
        steps = covering if request.time_steps is None else request.time_steps
    events.check_steps(steps)
    return steps


def _files(path: Path) -> tuple[list[Path], str]:
    """All recordings, and the part for the caption."""
    inside = {entry.name: entry for entry in visible_entries(path) if entry.is_dir()}
    for part in ("Train", "Test"):
        if part in inside and not any(name in inside for name in _digits()):
            return _recordings(inside[part]), f" ({part})"
    part = path.resolve().name
    return _recordings(path), f" ({part})" if part in ("Train", "Test") else ""


def _recordings(folder: Path) -> list[Path]:
    entries = visible_entries(folder)
    digits = [entry for entry in entries if entry.name in _digits() and entry.is_dir()]
    files = [file for digit in digits for file in visible_entries(digit)]
    found = [file for file in files if file.suffix == ".bin" and file.is_file()]
    if not found:
        raise InputError("nmnist", got=f"{folder} (no .bin there)", wanted=PATH)
    return found


def _digits() -> list[str]:
    return [str(digit) for digit in range(CLASSES)]


def _check_size(file: Path) -> None:
    size = file.stat().st_size
    if size == 0 or size % EVENT_BYTES:
        wanted = f"a whole number of events of {EVENT_BYTES} bytes"
        raise InputError(f"size of {file}", got=size, wanted=wanted, do=UNPACK)


def _check_side(side: int | None) -> None:
    if side not in (None, SIDE):
        wanted = f"{SIDE} pixels for N-MNIST: frames are not resized"
        raise InputError("image size", got=side, wanted=wanted)
