"""N-Caltech101: recordings of photographs of 101 kinds of things, one .bin file each."""

from __future__ import annotations

from pathlib import Path

from snnlens.data import events
from snnlens.data.events import Events
from snnlens.data.formats import nbin
from snnlens.data.readers import _classes
from snnlens.data.readers._frames import Recorded
from snnlens.data.source import Request, Source

PATH = "a folder with one subfolder of .bin files per class (Caltech101 of N-Caltech101)"
FRAMES = True
SENSOR = (180, 240)  # height, width that the largest photographs fill
DURATION_MS = 300.0  # three saccades of 100 ms
# Source: Orchard et al., Converting Static Image Datasets to Spiking Neuromorphic Datasets Using
# Saccades, Frontiers in Neuroscience 9:437, 2015.


def check(path: Path | None) -> None:
    """Check that there are recordings, and none of no bytes; no file is opened.

    >>> check(Path(__file__).parent)
    Traceback (most recent call last):
    snnlens.errors.InputError: ncaltech101 must be a folder with one subfolder of .bin files ...
    """
    assert path is not None  # specs.parse
    _classes.check_bytes(_classes.numbered(_listed(path))[0])


def read(path: Path | None, request: Request) -> Source:
    """List the recordings, by class and name; each is decoded when its frames are asked for.

    The label is the rank of the subfolder's name. Frames and their number: `Recorded.source`;
    bins cover 300 ms where no number is given. There is no part for a test: split it yourself.

    Raises InputError as `check` does, for an image smaller than 240 pixels, and later for a file
    that is cut and for events outside 180 x 240.

    >>> PATH.startswith("a folder with one subfolder of .bin files")
    True
    """
    assert path is not None  # specs.parse
    classes = _listed(path)
    files, labels = _classes.numbered(classes)
    recorded = Recorded(
        *("N-Caltech101", labels, len(classes), SENSOR),
        *(lambda i: decode(files[i]), "N-Caltech101", DURATION_MS),
    )
    return recorded.source(request)


def decode(path: Path) -> Events:
    """Read one .bin file, see `snnlens.data.formats.nbin`.

    Raises InputError as that does, and for events outside 180 x 240.
    """
    found = nbin.decode(path)
    events.check_inside(found, SENSOR, f"events in {path}")
    return found


def _listed(path: Path) -> list[list[Path]]:
    return _classes.recordings(path, "ncaltech101", nbin.SUFFIXES, PATH)
