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
    ['cifar10', 'digits', 'imagefolder', 'random']
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
        raise InputError("data", got=kind, wanted=_spellings(), do="give --data digits")
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


def check(spec: str, image_size: int) -> None:
    """Check `--data` and `--image-size` in milliseconds: existence, listing, file sizes, no pixels.

    Raises InputError for an unknown kind, a missing path, a folder without images, a file of
    another format, and an image size (pixels) below 1.

    >>> check("digits", 64)
    >>> check("digits", 0)
    Traceback (most recent call last):
    snnlens.errors.InputError: image size must be at least 1 pixel; got 0; give --image-size 64
    """
    if image_size < 1:
        do = "give --image-size 64"
        raise InputError("image size", got=image_size, wanted="at least 1 pixel", do=do)
    kind, path = parse(spec)
    reader(kind).check(path)


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


def _spellings() -> str:
    spelled = [f"{kind}:PATH" if reader(kind).PATH else kind for kind in kinds()]
    return ", ".join(spelled[:-1]) + f" or {spelled[-1]}"
