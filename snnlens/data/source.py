"""What passes between `load` and a reader: the request; labels, and pixels on demand. No torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from snnlens.errors import InputError

Integers = NDArray[np.int64]
Floats = NDArray[np.float32]
Channels = tuple[float, ...]

IMAGENET_MEAN: Channels = (0.485, 0.456, 0.406)
IMAGENET_STD: Channels = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Request:
    """What a run asks of a reader.

    >>> Request(samples=8, image_size=64, seed=0).samples
    8
    """

    samples: int
    image_size: int | None  # pixels, both sides; None: as the data is
    seed: int
    time_steps: int | None = None  # frames of event data
    bin_ms: float | None = None  # duration of such a frame; None: equally many events in each
    part: str | None = None  # "train" or "test", of data that has it (`parts`); None: train if any
    # where n events do not divide by T: "spread" them over all frames, or "last": into the last one
    remainder: Literal["spread", "last"] = "spread"


@dataclass(frozen=True, eq=False)
class Source:
    """A data set as its reader hands it over: all labels now, pixels only for the images asked for.

    `labels` is int64 [images], each in [0, classes). `pixels(indices)` returns float32
    [len(indices), channels, height, width] (3; 1 of mnist), before normalisation; photographs
    are in [0, 1].
    `mean` and `std` are per channel, in the unit of `pixels`. Where `frames` is true, it returns
    counts of events [T, len(indices), 2, height, width], which stay as they are.

    >>> blank = lambda order: np.zeros((len(order), 3, 2, 2), np.float32)
    >>> Source("blank", np.array([0, 1]), 2, (0.0,) * 3, (1.0,) * 3, blank).pixels([1]).shape
    (1, 3, 2, 2)
    """

    title: str  # opens the caption: "digits (scikit-learn)"
    labels: Integers
    classes: int
    mean: Channels
    std: Channels
    pixels: Callable[[Integers], Floats]
    note: str = ""  # ends the caption: "labels in file order"
    shuffle: bool = True  # False: the images are taken in the reader's own order
    noun: str = "image"  # what one sample is called
    frames: bool = False  # sequences of frames of events, time first


class Reader(Protocol):
    """A module in `readers/`: `PATH` says what its path must be, and is empty if it takes none.

    One of event data also says `FRAMES = True`. One that can have a training and a test part says
    `PARTS = True` and has `parts(path)`, which of "train" and "test" a path has; it honours
    `Request.part`.
    """

    PATH: str

    def check(self, path: Path | None, /) -> None:
        """Raise InputError for a path that can not be read; cheap."""

    def read(self, path: Path | None, request: Request, /) -> Source:
        """Open the data set; InputError names what is wrong with it."""


def uint8_pixels(images: NDArray[np.uint8]) -> Floats:
    """Scale bytes to float32 in [0, 1], any shape.

    >>> uint8_pixels(np.array([0, 255], np.uint8))
    array([0., 1.], dtype=float32)
    """
    return images.astype(np.float32) / np.float32(255)


def check_part(part: str | None, there: tuple[str, ...], path: object) -> None:
    """Raise InputError for a part ("train", "test") that data does not have by itself.

    >>> check_part("test", ("train",), "cifar10:PATH")
    Traceback (most recent call last):
    snnlens.errors.InputError: the part of cifar10:PATH must be train; got 'test'
    """
    if part is not None and part not in there:
        wanted = " or ".join(there) or "left out: it has none"
        raise InputError(f"the part of {path}", got=part, wanted=wanted)


def stated_size(request: Request, because: str) -> int:
    """Return the image size (pixels) of a kind of data that has none of its own.

    Raises InputError if it is not given.

    >>> stated_size(Request(samples=1, image_size=None, seed=0), "it has none")
    Traceback (most recent call last):
    snnlens.errors.InputError: image size must be given: it has none; got None; add --image-size N
    """
    if request.image_size is None:
        raise InputError(
            "image size", got=None, wanted=f"given: {because}", do="add --image-size N"
        )
    return request.image_size


def visible_entries(folder: Path) -> list[Path]:
    """List a folder without hidden names, sorted by name.

    Raises InputError where the folder can not be listed.

    >>> [entry.name for entry in visible_entries(Path(__file__).parent / "readers")][0]
    '__init__.py'
    """
    try:
        entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        got = f"{folder}: {error.strerror}"
        raise InputError("folder", got=got, wanted="one that can be listed") from error
    return [entry for entry in entries if not entry.name.startswith(".")]
