"""One photograph: decode, convert to RGB, resize the short side, crop the centre."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from snnlens.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")  # not EPS: that starts a program
BOMB = (Image.DecompressionBombError, Image.DecompressionBombWarning)
# what Pillow's decoders raise on broken files
BROKEN: tuple[type[Exception], ...] = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, MemoryError),
    *(struct.error, zlib.error),
)


def is_photograph(path: Path) -> bool:
    """Tell by its suffix, in any case, whether a file is a photograph.

    >>> is_photograph(Path("n01440764_tench.JPEG"))
    False
    """
    return path.suffix.lower() in SUFFIXES and path.is_file()


def read(path: Path, size: int) -> NDArray[np.uint8]:
    """Read one photograph as uint8 [size, size, 3]: short side to `size` pixels, centre crop.

    Grey, palette and CMYK images become RGB, 16-bit grey keeps its high byte, what is transparent
    is laid on white, of an animation the first frame is taken. The orientation in the EXIF data
    is ignored, as in most training pipelines.

    Raises InputError, with the file's name, for an image that is broken, of an unknown format,
    or larger than Pillow's guard against decompression bombs allows (89 million pixels).

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "red.png"
    >>> Image.new("RGB", (4, 2), "red").save(path)
    >>> read(path, 2)[0].tolist()
    [[255, 0, 0], [255, 0, 0]]
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of metadata; broken pixels raise
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                return np.asarray(_cropped(_rgb(image), size))
    except BOMB as error:
        wanted = f"at most {Image.MAX_IMAGE_PIXELS} pixels"
        raise InputError("photograph", got=str(path), wanted=wanted, do="shrink it") from error
    except BROKEN as error:
        wanted = "an image that Pillow can decode"
        do = "remove it or save it again"
        raise InputError("photograph", got=str(path), wanted=wanted, do=do) from error


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError("32 bits per channel have no stated white")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, layer).convert("RGB")


def _cropped(image: Image.Image, size: int) -> Image.Image:
    """Resize the short side to `size` and crop the centre, in one step.

    The same pixels as resizing the whole (long side rounded down) and then cropping, without the
    whole: a strip of 1 x 100,000 pixels would become huge first.
    """
    short = min(image.size)
    whole = [size * side // short for side in image.size]
    left, top = (round((side - size) / 2) for side in whole)
    x, y = image.width / whole[0], image.height / whole[1]  # source pixels per pixel
    box = (left * x, top * y, (left + size) * x, (top + size) * y)
    return image.resize((size, size), Image.Resampling.BILINEAR, box=box)
