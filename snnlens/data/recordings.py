"""Recorded events of any known format: which there are, which one a file has, its events.

A format is one file in `formats/`, found by its name; no list is kept. No torch.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from snnlens.data import formats
from snnlens.data.events import Events
from snnlens.data.formats._file import contents
from snnlens.errors import InputError

Size = tuple[int, int]  # height, width in pixels


class Format(Protocol):
    """A module in `formats/`."""

    SUFFIXES: tuple[str, ...]  # of file names, in lower case
    MAGIC: bytes  # what every file begins with; empty if nothing is sure
    SENSOR: Size | None  # None where neither the format nor its files say it

    def decode(self, path: Path, /) -> Events:
        """Read one file; InputError names what is wrong with it, and the byte."""


def names() -> list[str]:
    """The formats: the file names in `formats/`, sorted; nothing is imported.

    >>> names()
    ['aedat2', 'aedat3', 'nbin', 'npz']
    """
    found = (module.name for module in pkgutil.iter_modules(formats.__path__))
    return sorted(name for name in found if not name.startswith("_"))


def suffixes() -> tuple[str, ...]:
    """The endings of file names that some format has, sorted.

    >>> suffixes()
    ('.aedat', '.bin', '.npz')
    """
    return tuple(sorted({suffix for name in names() for suffix in _module(name).SUFFIXES}))


def format_of(path: Path) -> Format:
    """The format of a file: by its suffix, and where several have that one, by its first bytes.

    Raises InputError for a suffix or a beginning that no format has.

    >>> format_of(Path("0.bin")).EVENT_BYTES
    5
    >>> format_of(Path("0.mp4"))
    Traceback (most recent call last):
    snnlens.errors.InputError: recording must be a file that ends with .aedat, .bin or .npz; ...
    """
    known = [m for m in map(_module, names()) if path.suffix.lower() in m.SUFFIXES]
    if not known:
        wanted = f"a file that ends with {_either(suffixes())}"
        raise InputError("recording", got=str(path), wanted=wanted)
    if len(known) == 1:
        return known[0]
    head = contents(path, limit=max(len(m.MAGIC) for m in known))
    for module in known:
        if head.startswith(module.MAGIC):
            return module
    wanted = _either([m.MAGIC.decode() for m in known])
    raise InputError(f"the beginning of {path}", got=head.decode("latin-1"), wanted=wanted)


def decode(path: Path) -> Events:
    """The events of a file of any known format.

    Raises InputError as `format_of` and the format's own `decode` do.
    """
    return format_of(path).decode(path)


def _module(name: str) -> Format:
    return cast("Format", import_module(f"{formats.__name__}.{name}"))


def _either(some: tuple[str, ...] | list[str]) -> str:
    return ", ".join(some[:-1]) + f" or {some[-1]}"
