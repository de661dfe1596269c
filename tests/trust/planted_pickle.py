"""Pickles that make a folder when somebody loads them, and the files that they are planted in."""

from __future__ import annotations

import io
import json
import os
import pickle  # noqa: TID251 - what is planted
import shutil
import struct
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from snnlens import atomic

RUN = Path(__file__).parents[1] / "runs" / "v1"
OF_A_RUN = [p.relative_to(RUN).as_posix() for p in sorted(RUN.rglob("*")) if p.is_file()]


class Planted:
    """Whoever unpickles it makes a folder."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., None], tuple[str, int, bool]]:
        return os.makedirs, (str(self.marker), 0o700, True)


def pickled(marker: Path, protocol: int = 5) -> bytes:
    return pickle.dumps({"model": {"w": Planted(marker)}, "x": Planted(marker)}, protocol)


def in_a_zip(marker: Path) -> bytes:
    """As torch.save writes it today."""
    file = io.BytesIO()
    torch.save({"model": {"w": torch.ones(1)}, "args": Planted(marker)}, file)
    return file.getvalue()


def as_torch_wrote(marker: Path) -> bytes:
    """As torch.save wrote it before 1.6: pickles one after another."""
    file = io.BytesIO()
    value = {"model": {"w": torch.ones(1)}, "args": Planted(marker)}
    torch.save(value, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


def in_a_namespace(marker: Path) -> bytes:
    """Inside of the one class that is admitted."""
    file = io.BytesIO()
    torch.save({"model": {"w": torch.ones(1)}, "args": Namespace(T=Planted(marker))}, file)
    return file.getvalue()


def of_objects(marker: Path) -> bytes:
    """An array of objects, as numpy writes it to a .npy file."""
    file = io.BytesIO()
    np.save(file, np.array([Planted(marker)], object), allow_pickle=True)
    return file.getvalue()


def of_arrays(marker: Path) -> bytes:
    """Arrays of objects under every name that a reader looks for."""
    names = ["x", "y", "p", "t", "images", "labels", "x_train", "y_train", "class_names"]
    file = io.BytesIO()
    np.savez(file, allow_pickle=True, **dict.fromkeys(names, np.array([Planted(marker)], object)))
    return file.getvalue()


def behind_a_header(marker: Path) -> bytes:
    """In the place of the header of a safetensors file, whose length comes first."""
    data = pickled(marker)
    return struct.pack("<Q", len(data)) + data


def as_text(marker: Path) -> bytes:
    """In the letters of protocol 0, which pass as UTF-8."""
    return pickled(marker, 0)


FORMS: list[Callable[[Path], bytes]] = [
    pickled, as_text, in_a_zip, as_torch_wrote, in_a_namespace, of_objects, of_arrays,
    behind_a_header,
]  # fmt: skip


def extension(marker: Path) -> pa.Table:
    """A column whose type is a pickle: pyarrow loaded such ones until 2023."""
    said = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickled(marker),
    }
    return pa.table({"a": [1]}, schema=pa.schema([pa.field("a", pa.int64(), metadata=said)]))


def described(marker: Path) -> pa.Table:
    """A table whose description for pandas names objects, and types that are looked up by name."""
    column = {
        "name": "a", "field_name": "a", "pandas_type": "object", "numpy_type": "object",
        "metadata": {"pickle": pickled(marker, 0).decode()},
    }  # fmt: skip
    said = {"index_columns": ["a"], "column_indexes": [column], "columns": [column],
            "pandas_version": "1.0.0"}  # fmt: skip
    table = pa.table({"a": pa.array([pickled(marker)])})
    return table.replace_schema_metadata({"pandas": json.dumps(said)})


def run_folder(place: Path) -> Path:
    return shutil.copytree(RUN, place / "run")


def put(run: Path, name: str, data: bytes) -> None:
    """Change a file of a run folder, and what run.json says of it."""
    (run / name).write_bytes(data)
    said: dict[str, Any] = json.loads((run / "run.json").read_text())
    said["files"][name] = {"bytes": len(data), "sha256": atomic.sha256(data)}
    (run / "run.json").write_text(json.dumps(said))


def parquet(table: pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()
