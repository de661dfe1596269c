"""The spelling of `--data`, `kind` or `kind:PATH`, checked before the heavy imports. No torch."""

from __future__ import annotations

import os
import pkgutil
from importlib import import_module
from pathlib import Path
from typing import cast

from snnlens.data import readers
from snnlens.data.source import Reader
from snnlens.errors import InputError


def kinds() -> list[str]:
    """Return the kinds of data: the file names in `readers/`, sorted; nothing is imported.

    >>> kinds()
    ['cifar10', 'cifar10dvs', 'digits', 'dvsgesture', 'events', 'imagefolder', 'mnist', ...]
    """
    names = (module.name for module in pkgutil.iter_modules(readers.__path__))
    return sorted(name for name in names if not name.startswith("_"))


def reader(kind: str) -> Reader:
    """Import the reader of one kind.

    Raises InputError for an unknown kind.

    >>> reader("digits").PATH
    ''
    """
    if kind not in kinds():
        raise InputError("data", got=kind, wanted=_spellings(kinds()), do="give --data digits")
    return cast("Reader", import_module(f"{readers.__name__}.{kind}"))


def parse(spec: str) -> tuple[str, Path | None]:
    """Split `kind:PATH` into its kind and its path, which must be there if the kind wants one.

    Raises InputError for an unknown kind, a path that is missing or one too many.

    >>> parse("digits")
    ('digits', None)
    """
    kind, _, text = spec.partition(":")
    if not reader(kind).PATH:
        _check_no_path(spec, kind)
        return kind, None
    if not text:
        raise InputError("data", got=spec, wanted=f"{kind}:PATH", do=_path_help(kind))
    return kind, _existing(text, kind)


def check(spec: str, image_size: int | None, *, frames: bool = False) -> None:
    """Check `--data` and `--image-size` in milliseconds: existence, listing, file sizes, no pixels.

    `frames` says that sequences of frames are welcome; without it event data are refused.

    Raises InputError for an unknown kind, a missing path, a folder without images, a file of
    another format, and an image size (pixels) below 1.

    >>> check("digits", 64)
    >>> check("digits", 0)
    Traceback (most recent call last):
    snnlens.errors.InputError: image size must be at least 1 pixel; got 0; give --image-size 64
    """
    if image_size is not None and image_size < 1:
        do = "give --image-size 64"
        raise InputError("image size", got=image_size, wanted="at least 1 pixel", do=do)
    if not frames:
        _check_still(spec)
    kind, path = parse(spec)
    reader(kind).check(path)


def has_frames(kind: str) -> bool:
    """Tell whether a kind of data is made of events, and loads as sequences of frames.

    >>> has_frames("nmnist"), has_frames("digits")
    (True, False)
    """
    return bool(getattr(reader(kind), "FRAMES", False))


def parts(spec: str) -> tuple[str, ...]:
    """Which of "train" and "test" this data has by itself; () where it has to be split.

    Raises InputError as `parse` does.

    >>> parts("digits")
    ()
    """
    kind, path = parse(spec)
    known = getattr(reader(kind), "parts", None)
    found: tuple[str, ...] = () if known is None else known(path)
    return found


def _check_still(spec: str) -> None:
    kind = spec.partition(":")[0]
    still = [known for known in kinds() if not has_frames(known)]
    if kind not in still:
        raise InputError("data", got=kind, wanted=_spellings(still), do="give --data digits")


def _check_no_path(spec: str, kind: str) -> None:
    if spec != kind:
        raise InputError("data", got=spec, wanted=kind, do=f"{kind} takes no path")


def _existing(text: str, kind: str) -> Path:
    # os.path takes any text; pathlib raises on ~nobody and on names that are too long
    path = os.path.expanduser(text)  # noqa: PTH111
    if not os.path.exists(path):  # noqa: PTH110
        wanted = "a file or folder that exists"
        raise InputError(f"{kind} path", got=text, wanted=wanted, do=_path_help(kind))
    return Path(path)


def _path_help(kind: str) -> str:
    return f"give {reader(kind).PATH}"


def _spellings(some: list[str]) -> str:
    spelled = [f"{kind}:PATH" if reader(kind).PATH else kind for kind in some]
    return ", ".join(spelled[:-1]) + f" or {spelled[-1]}"
