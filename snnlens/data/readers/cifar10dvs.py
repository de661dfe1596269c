"""CIFAR10-DVS: recordings of CIFAR-10 images that move on a screen, one .aedat file each."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from snnlens.data import events
from snnlens.data.events import Events
from snnlens.data.formats import aedat2
from snnlens.data.readers import _classes
from snnlens.data.readers._frames import Recorded
from snnlens.data.source import Request, Source, check_part

PATH = "a folder with one subfolder of .aedat files per class (airplane to truck)"
FRAMES = True
PARTS = True
TRAIN_SHARE = 0.9
# Source: Li et al., CIFAR10-DVS: An Event-Stream Dataset for Object Classification, Frontiers in
# Neuroscience 11:309, 2017; the parts and which way round: the official SEW ResNet code
# (cifar10dvs/train.py) and SpikingJelly's datasets/cifar10_dvs.py.


def check(path: Path | None) -> None:
    """Check that there are recordings, and none of no bytes; no file is opened.

    >>> check(Path(__file__).parent)
    Traceback (most recent call last):
    snnlens.errors.InputError: cifar10dvs must be a folder with one subfolder of .aedat files ...
    """
    assert path is not None  # specs.parse
    _classes.check_bytes(_classes.numbered(_listed(path))[0])


def parts(path: Path | None) -> tuple[str, ...]:
    """Both parts, or "train" alone where no class has a recording to spare for the other.

    >>> parts(Path(__file__).parent)
    Traceback (most recent call last):
    snnlens.errors.InputError: cifar10dvs must be a folder with one subfolder of .aedat files ...
    """
    assert path is not None  # specs.parse
    classes = _listed(path)
    return tuple(part for part in ("train", "test") if any(_part(classes, part)))


def read(path: Path | None, request: Request) -> Source:
    """List the recordings of a part, by class and name; each is decoded when asked for.

    Of the n recordings of a class, in the order of their names, the first ceil(.9 n) are for
    training, the rest for the test; train is read where no part is asked for. The label is the
    rank of the subfolder's name. Frames and their number: `Recorded.source`; time begins at a
    recording's first event.

    Raises InputError as `check` does, for a part that is not there, an image smaller than 128
    pixels, and later for a file that is damaged.

    >>> PATH.startswith("a folder with one subfolder of .aedat files")
    True
    """
    assert path is not None  # specs.parse
    classes = _listed(path)
    if request.part is not None:
        check_part(request.part, parts(path), path)
    part = request.part or "train"
    files, labels = _classes.numbered(_part(classes, part))
    recorded = Recorded(
        *(f"CIFAR10-DVS ({part} part)", labels, len(classes), aedat2.SENSOR),
        *(lambda i: decode(files[i]), "CIFAR10-DVS"),
    )
    return recorded.source(request)


def decode(path: Path) -> Events:
    """Read one .aedat file, see `snnlens.data.formats.aedat2`; time is 0 at the first event.

    x and y change places, as SpikingJelly and Tonic have it for this data set: x is 127 minus
    bits 14 to 8 of the address, y is 127 minus bits 7 to 1.

    Raises InputError as that does.
    """
    found = events.from_start(aedat2.decode(path))
    return replace(found, x=found.y, y=found.x)


def _listed(path: Path) -> list[list[Path]]:
    return _classes.recordings(path, "cifar10dvs", aedat2.SUFFIXES, PATH)


def _part(classes: list[list[Path]], part: str) -> list[list[Path]]:
    firsts = [math.ceil(TRAIN_SHARE * len(files)) for files in classes]
    cut = zip(classes, firsts, strict=True)
    return [files[:first] if part == "train" else files[first:] for files, first in cut]
