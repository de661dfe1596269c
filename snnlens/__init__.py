"""snnlens: where a spiking network goes wrong, with numbers that can be trusted.

The public names are shown lazily: `import snnlens` imports neither torch nor matplotlib.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snnlens.api import analyse as analyse
    from snnlens.api import attribute as attribute
    from snnlens.api import audit as audit
    from snnlens.api import bridge as bridge
    from snnlens.api import checkup as checkup
    from snnlens.api import load as load
    from snnlens.api import record as record
    from snnlens.api import run as run
    from snnlens.api import watch as watch
    from snnlens.conversion.activations import QCFS as QCFS
    from snnlens.conversion.convert import convert as convert
    from snnlens.errors import InputError as InputError
    from snnlens.errors import NothingToRecord as NothingToRecord
    from snnlens.errors import SnnlensError as SnnlensError
    from snnlens.models.resnet import resnet as resnet
    from snnlens.neuron.layers import IF as IF
    from snnlens.neuron.layers import LIF as LIF
    from snnlens.neuron.layers import PLIF as PLIF
    from snnlens.neuron.surrogate import ATan as ATan
    from snnlens.neuron.surrogate import Constant as Constant
    from snnlens.neuron.surrogate import Rectangular as Rectangular
    from snnlens.neuron.surrogate import Sigmoid as Sigmoid
    from snnlens.neuron.surrogate import SuperSpike as SuperSpike
    from snnlens.neuron.surrogate import Triangular as Triangular
    from snnlens.sites import Site as Site

_HOME = {
    "snnlens.api": (
        "record", "watch", "checkup", "audit", "attribute", "bridge", "run", "analyse", "load",
    ),
    "snnlens.conversion": ("QCFS", "convert"),
    "snnlens.models.resnet": ("resnet",),
    "snnlens.neuron.layers": ("IF", "LIF", "PLIF"),
    "snnlens.neuron.surrogate": (
        "ATan", "Constant", "Rectangular", "Sigmoid", "SuperSpike", "Triangular",
    ),
    "snnlens.errors": ("InputError", "NothingToRecord", "SnnlensError"),
    "snnlens.sites": ("Site",),
}  # fmt: skip
_FOLDERS = ("attribution", "conversion")  # with more functions than the ones above
_WHERE = {name: home for home, names in _HOME.items() for name in names}
__all__ = sorted([*_WHERE, *_FOLDERS, "__version__"])  # noqa: PLE0605 - a list it is


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("snnlens.provenance").snnlens_version()
    if name in _FOLDERS:
        return import_module(f"snnlens.{name}")
    if name not in _WHERE:
        raise AttributeError(f"module 'snnlens' has no attribute {name!r}")
    value = getattr(import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
