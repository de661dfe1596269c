"""The ANNs that snnlens builds to be converted: their names and the options of each. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from snnlens.errors import InputError
from snnlens.models.plan import IMAGENET, SIZES

CIFAR_DEPTHS = (20, 32, 44, 56, 110)  # of He et al. 2016, Section 4.2
FAMILIES = {
    "mlp": "mlp",
    "vgg16": "vgg16",
    **{f"resnet{depth}": "cifar_resnet" for depth in CIFAR_DEPTHS},
    **{f"resnet{depth}": "resnet" for depth in IMAGENET},
}
ANNS = tuple(FAMILIES)
OPTIONS = {  # besides shape, classes, activation and seed, which every family takes
    "mlp": ("depth", "width", "residual", "batch_norm"),
    "vgg16": ("pool", "dropout", "hidden"),
    "cifar_resnet": ("shortcut",),
    "resnet": ("stem", "pool"),
}


def chosen(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, checked against the family of a name.

    None stands for an option that was not given, and so does False where the family has none.

    Raises InputError for a name that is none, and for an option that its family does not have.

    >>> chosen("mlp", {"depth": 16, "width": None, "residual": False})
    {'depth': 16, 'residual': False}
    >>> chosen("resnet20", {"depth": 16})
    Traceback (most recent call last):
    snnlens.errors.InputError: depth must be left out: resnet20 has shortcut alone; got 16
    """
    known = OPTIONS[FAMILIES[checked(name)]]
    given = {key: value for key, value in options.items() if value is not None}
    for key, value in given.items():
        if key not in known and value is not False:
            has = f"{', '.join(known)}{' alone' if len(known) == 1 else ''}"
            raise InputError(key, got=value, wanted=f"left out: {name} has {has}")
    return {key: value for key, value in given.items() if key in known}


def checked(name: str) -> str:
    """The name, if a family has it.

    Raises InputError for one that none has.

    >>> checked("resnet20")
    'resnet20'
    """
    if name not in FAMILIES:
        do = "an ANN of your own is package.module:factory or file.py:factory"
        raise InputError("the name of an ANN", got=name, wanted=", ".join(ANNS), do=do)
    return name


def image_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """[C, H, W] of the input as numbers.

    Raises InputError for another number of axes, and for a size below 1.

    >>> image_shape([3, 32, 32])
    (3, 32, 32)
    """
    if len(shape) != 3 or min(shape) < 1:
        raise InputError("the shape of an input", got=tuple(shape), wanted="[C, H, W], each >= 1")
    channels, height, width = shape
    return channels, height, width


def usual_stem(shape: Sequence[int]) -> str:
    """The stem of an 18, 34, 50, 101 or 152 layer network where nobody says: by the image's size.

    >>> usual_stem((3, 32, 32)), usual_stem((3, 224, 224))
    ('cifar', 'imagenet')
    """
    return "imagenet" if min(shape[1:]) >= SIZES["imagenet"] else "cifar"
