"""NIR (neuromorphic intermediate representation): a trained network as one .nir file.

Of a training folder, a file of weights, or what names a model; a run folder holds no model.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from snnlens.errors import InputError
from snnlens.recording import checked, store
from snnlens.report.export import Exported, Options

TAKES = ("input_shape", "soft_reset")
WANTED = "a training folder (train.json), a file of weights, or what names a model"


def export(source: str, options: Options) -> Exported:
    """The .nir file of a model; what needs torch is found by name, and only here."""
    _check_holds_a_model(Path(source))
    made: tuple[dict[str, bytes], dict[str, Any], list[str]]
    made = import_module("snnlens.experiments._export_nir").files(
        source, options.input_shape, soft_reset=options.soft_reset
    )
    return Exported(*made)


def _check_holds_a_model(folder: Path) -> None:
    if not (folder / "run.json").is_file():
        return
    record = store.load(folder)
    with checked.reading(folder):
        points = (record.provenance.get("parameters") or {}).get("points")
        kept = [f["folder"] for f in record.networks.values() if f.get("folder")]
    where = f"{points}/{kept[0]}" if points and kept else "the folder of its training"
    raise InputError(
        "MODEL", got=f"{folder} (a run folder, which holds numbers and no model)", wanted=WANTED,
        do=f"give {where}",
    )  # fmt: skip
