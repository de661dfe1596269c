"""N-MNIST: recordings of handwritten digits by an event camera, one .bin file each."""

from __future__ import annotations

from pathlib import Path

from snnlens.data import events
from snnlens.data.events import Events
from snnlens.data.formats import nbin
from snnlens.data.readers._frames import Recorded
from snnlens.data.source import Request, Source, check_part, visible_entries
from snnlens.errors import InputError

PATH = "a folder with the digit folders 0 to 9 of .bin files, or one with Train or Test in it"
FRAMES = True
PARTS = True
CLASSES = 10
SIDE = 34  # pixels
DURATION_MS = 300.0  # three saccades of 100 ms
UNPACK = "unpack Train.zip or Test.zip of N-MNIST again"
FOLDERS = {"train": "Train", "test": "Test"}
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
    for file in _files(path, None)[0]:
        _check_size(file)


def parts(path: Path | None) -> tuple[str, ...]:
    """Which of "train" and "test" the folder has: the folders Train and Test.

    >>> parts(Path(__file__).parent)
    ()
    """
    assert path is not None  # specs.parse
    inside = {entry.name for entry in visible_entries(path) if entry.is_dir()}
    if inside & set(_digits()):
        return ()
    return tuple(part for part, folder in FOLDERS.items() if folder in inside)


def read(path: Path | None, request: Request) -> Source:
    """List the recordings, by digit and name; each is decoded when its frames are asked for.

    Where the folder holds Train and Test and no part is asked for, Train is read, as with
    CIFAR-10. The label is the folder's digit. Frames and their number: `Recorded.source`; bins
    cover 300 ms where no number is given.

    Raises InputError as `check` does, for a part that is not there, an image smaller than 34
    pixels, and later for events outside 34 x 34.

    >>> PATH.startswith("a folder with the digit folders")
    True
    """
    assert path is not None  # specs.parse
    check_part(request.part, parts(path), path)
    files, part = _files(path, request.part)
    labels = [int(file.parent.name) for file in files]
    recorded = Recorded(
        *(f"N-MNIST{part}", labels, CLASSES, (SIDE, SIDE)),
        *(lambda i: decode(files[i]), "N-MNIST", DURATION_MS),
    )
    return recorded.source(request)


def decode(path: Path) -> Events:
    """Read one .bin file, see `snnlens.data.formats.nbin`.

    Raises InputError for a file that is empty, cut or can not be read, events outside 34 x 34.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "0.bin"
    >>> _ = path.write_bytes(bytes([33, 7, 0b1000_0001, 0, 2]))
    >>> event = decode(path)
    >>> event.x, event.y, event.polarity, event.t_us
    (array([33]), array([7]), array([1]), array([65538]))
    """
    _check_size(path)
    found = nbin.decode(path)
    events.check_inside(found, (SIDE, SIDE), f"events in {path}")
    return found


def _files(path: Path, part: str | None) -> tuple[list[Path], str]:
    """All recordings of a part, and the part for the caption."""
    there = parts(path)
    if there:
        folder = FOLDERS[part or there[0]]
        return _recordings(path / folder), f" ({folder})"
    name = path.resolve().name
    return _recordings(path), f" ({name})" if name in FOLDERS.values() else ""


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
    if size == 0 or size % nbin.EVENT_BYTES:
        wanted = f"a whole number of events of {nbin.EVENT_BYTES} bytes"
        whole = f"it is whole up to byte {size - size % nbin.EVENT_BYTES}; "
        raise InputError(f"size of {file}", got=size, wanted=wanted, do=whole + UNPACK)
