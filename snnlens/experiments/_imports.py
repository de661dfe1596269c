"""What stands behind `package.module:name` or `file.py:name`; a pickle is never read."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import struct
import sys
import zipfile
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from snnlens.errors import InputError
from snnlens.experiments import _blame
from snnlens.experiments._blame import UserCodeError, user_code

PICKLES = {".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".joblib"}


def named(spec: str, what: str, wanted: str, names: Iterable[str] = ()) -> Any:
    """The value behind `package.module:name` or `file.py:name`."""
    source, _, name = spec.rpartition(":")
    _refuse_files(source or spec, spec, what, wanted)
    if not (source and name):
        raise InputError(what, got=spec, wanted=wanted, do="" if ":" in spec else near(spec, names))
    module = _file(source, what) if source.endswith(".py") else _module(source, what)
    return _attribute(module, name, source, what)


def _refuse_files(source: str, spec: str, what: str, wanted: str) -> None:
    """Weights are no model, and a pickle is never read."""
    path = Path(source)
    if path.suffix.lower() in PICKLES or (path.is_file() and is_pickle(path)):
        do = ("a pickle is never read; load its weights in a factory, from safetensors or with "
              "torch.load(..., weights_only=True)")  # fmt: skip
        raise InputError(what, got=spec, wanted=wanted, do=do)
    if path.suffix.lower() == ".safetensors":
        do = "weights alone are no model: load them in a factory"
        raise InputError(what, got=spec, wanted=wanted, do=do)
    if source == spec and path.suffix == ".py":
        raise InputError(what, got=spec, wanted=wanted, do=f"name its factory: {spec}:build")


def _module(name: str, what: str) -> ModuleType:
    """Import a module of the user; the current folder comes first."""
    if not all(part.isidentifier() for part in name.split(".")):
        do = f"a file is written {Path(name).with_suffix('.py')}:factory"
        raise InputError(what, got=name, wanted="package.module:factory", do=do)
    here = str(Path.cwd())
    _put_first(here)
    try:
        with user_code(name):
            return importlib.import_module(name)
    except UserCodeError as error:
        if not _is_missing(error.__cause__, name):
            raise
    parent, _, last = name.rpartition(".")
    places = getattr(sys.modules.get(parent), "__path__", [] if parent else [here])
    do = near(last, [m.name for m in pkgutil.iter_modules(places)])
    raise InputError(f"the module of {what}", got=name, wanted="one that exists", do=do)


def _is_missing(error: BaseException | None, name: str) -> bool:
    """Whether it is `name` itself that was not found, not something that its code imports."""
    return (
        isinstance(error, ModuleNotFoundError)
        and f"{name}.".startswith(f"{error.name}.")
        and not _blame.foreign_frames(error)
    )


def _file(source: str, what: str) -> ModuleType:
    """Run a file of the user as a module, once; its folder comes first, as with `python FILE`."""
    path = Path(source).resolve()
    if not path.is_file():
        raise InputError(f"the file of {what}", got=source, wanted="one that exists")
    _put_first(str(path.parent))
    name = path.stem
    while name in sys.modules:
        if getattr(sys.modules[name], "__file__", None) == str(path):
            return sys.modules[name]
        name += "_"  # another module's name
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up here
    try:
        with user_code(source):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _put_first(folder: str) -> None:
    if sys.path[0] != folder:
        sys.path.insert(0, folder)
    importlib.invalidate_caches()


def _attribute(module: ModuleType, name: str, source: str, what: str) -> Any:
    value: Any = module
    for part in name.split("."):
        if not hasattr(value, part):
            do = near(part, [n for n in dir(value) if not n.startswith("_")])
            raise InputError(
                f"the name in {what}", got=name, wanted=f"one that {source} has", do=do
            )
        value = getattr(value, part)
    return value


def is_pickle(path: Path) -> bool:
    """Whether a file is a pickle, by its first bytes, or a zip with one in it (`torch.save`).

    >>> is_pickle(Path(__file__))
    False
    """
    with path.open("rb") as file:
        head = file.read(9)
    # safetensors begins with the length of its JSON header, which may look like a pickle's head
    is_safetensors = head[4:] == b"\0\0\0\0{"
    if head[:1] == b"\x80" and b"\2" <= head[1:2] <= b"\5" and not is_safetensors:  # its protocol
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(".pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error):  # no zip, or cut
        return False


def near(name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name, list(names), n=3)
    return f"near names: {', '.join(near)}" if near else ""
