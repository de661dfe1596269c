"""Figures of questions without a reference result, drawn while the pages are made."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

TUTORIAL = "docs/tutorial"
IN_THE_TUTORIAL = {"checkup"}  # drawn whether there is a reference result or not


@dataclass(frozen=True)
class Drawing:
    """A figure: what it shows, and what makes the Result that draws it."""

    said: str
    result: Callable[[Path], Any]


def checkup(root: Path, *, build: str) -> Any:
    """The check-up of a network of the tutorial."""
    import snnlens

    return snnlens.checkup(getattr(_module(root / TUTORIAL / "net.py"), build)(), *_batch(64))


def audit(root: Path) -> Any:
    """The audit of the mended network of the tutorial."""
    import snnlens

    return snnlens.audit(_module(root / TUTORIAL / "net.py").wider(), *_batch(4))


def attribution(root: Path) -> Any:
    """Maps of a network that is set by hand."""
    from snnlens import api

    methods = ["ig", "smoothgrad", "occlusion", "sam"]
    with chdir(root / "examples"):  # the caption names the model as it is given
        return api.analyse("attribution", api.run(
            "attribution", model="planted.py:network", data="planted", time_steps=8, samples=8,
            steps=16, method=methods, threads=1,
        ))  # fmt: skip


def train(_: Path) -> Any:
    """A short training on digits."""
    from snnlens import api

    with TemporaryDirectory() as folder:
        return api.analyse("train", api.run(
            "train", model="sew_resnet8", data="digits", image_size=8, epochs=3, record_every=1,
            threads=1, points=folder,
        ))  # fmt: skip


DRAWINGS = {
    "attribution": [Drawing(
        "A network set by hand, which answers to one corner at one step (`examples/planted.py`).",
        attribution,
    )],
    "audit": [Drawing("The mended network of the [tutorial](../tutorial.md).", audit)],
    "checkup": [
        Drawing("The network of the [tutorial](../tutorial.md) as it was first written.",
                partial(checkup, build="first")),
        Drawing("The same network, mended.", partial(checkup, build="wider")),
    ],
    "train": [Drawing("SEW ResNet of 8 layers, three epochs of digits (scikit-learn).", train)],
}  # fmt: skip


def draw(root: Path, name: str) -> None:
    """Draw the figures of a question into docs/figures, unless newer than the sources."""
    from snnlens.figures import style

    folder = root / "docs" / "figures"
    folder.mkdir(exist_ok=True)
    for number, drawing in enumerate(DRAWINGS.get(name, ())):
        target = folder / f"{name}-{number}.svg"
        if target.is_file() and target.stat().st_mtime > _newest(root):
            continue
        with TemporaryDirectory(dir=folder) as place:
            style.save(drawing.result(root).plot(), Path(place))
            (Path(place) / "figure.svg").replace(target)


def _newest(root: Path) -> float:
    """When a source was changed last."""
    package = importlib.util.find_spec("snnlens")
    assert package is not None
    folders = [*(package.submodule_search_locations or ()), root / TUTORIAL, root / "examples"]
    return max(p.stat().st_mtime for f in folders for p in Path(f).rglob("*.py"))


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _batch(samples: int) -> tuple[Any, Any]:
    from snnlens.data import images

    batch = images.load("digits", samples=samples)
    return batch.x, batch.y
