"""The Parquet tables of a run folder, checked before a number of them is read. Needs no torch.

A table has at most 1,000 columns, of numbers, flags and text; a result's and that of the sites at
most a million rows. Those that are read together take at most 1 GiB in memory: a file of a few kB
may say that a long text is in a billion rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa

from snnlens.errors import SnnlensError
from snnlens.recording.checked import File, changed, listed

MOST_BYTES = 2**30
MOST_COLUMNS = 1000
MOST_ROWS = 10**6  # of a table that is gone through row by row
CELL_BYTES = 8
PARQUET = "a table in Parquet"
Found = TypeVar("Found")
Test = Callable[[pa.DataType], bool]
NUMBERS: tuple[Test, ...] = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
TEXT: tuple[Test, ...] = (pa.types.is_string, pa.types.is_large_string)


@dataclass(frozen=True)
class Columns:
    """Columns that a table must have, what is in them and in others, how many rows at most."""

    needed: Sequence[str] = ()
    kinds: Mapping[str, tuple[Test, ...]] = field(default_factory=dict)
    most_rows: int = MOST_BYTES


def read(
    folder: Path, files: Mapping[str, File], wanted: Mapping[str, Columns]
) -> list[pd.DataFrame]:
    """Tables of a run folder, `wanted` by file name, with the columns that they must have."""
    found, room = [], 0
    for name, columns in wanted.items():
        path = listed(folder, name, files)
        room += _parsed(_room, path, columns)
        if room > MOST_BYTES:
            got = f"{room:,} bytes with those before it"
            raise changed(path, got, f"a table of at most {MOST_BYTES:,} bytes in memory")
        found.append(_parsed(_frame, path))
    return found


def _parsed(read: Callable[..., Found], path: Path, *given: Any) -> Found:
    """What `read` finds in a file; whatever pyarrow and pandas raise at its bytes is one line."""
    try:
        return read(path, *given)
    except (SnnlensError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - other people's parsers, at the bytes of anybody
        raise changed(path, f"{type(error).__name__}: {error}", PARQUET) from None


def _room(path: Path, columns: Columns) -> int:
    """Bytes in memory, found without making the table; its columns are as they must be."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        schema, told = file.schema_arrow, file.metadata
        rows = sum(int(told.row_group(i).num_rows) for i in range(told.num_row_groups))
    kinds = {field.name: field.type for field in schema}
    if len(kinds) < len(schema) or len(kinds) > MOST_COLUMNS:
        got, most = f"{len(schema):,} columns", f"of at most {MOST_COLUMNS:,} columns"
        raise changed(path, got, f"{most}, each with a name of its own")
    for name, kind in kinds.items():
        if not _any(kind, (*NUMBERS, *TEXT, pa.types.is_null)):
            raise changed(path, f"{name}: {kind}", "of numbers, flags and text")
    _check_columns(path, kinds if rows else dict.fromkeys(kinds, pa.null()), columns)
    if rows > columns.most_rows:
        raise changed(path, f"{rows:,} rows", f"of at most {columns.most_rows:,} rows")
    room = rows * len(kinds) * CELL_BYTES
    text = [name for name, kind in kinds.items() if _any(kind, TEXT)]
    return room if room > MOST_BYTES else room + _text_bytes(path, text)


def _check_columns(path: Path, kinds: dict[str, pa.DataType], columns: Columns) -> None:
    for name in columns.needed:
        if name not in kinds:
            raise changed(path, f"no column {name}")
    for name, kind in kinds.items():
        wanted = columns.kinds.get(name)
        if wanted and not _any(kind, (*wanted, pa.types.is_null)):
            words = "numbers" if wanted is NUMBERS else "text"
            raise changed(path, f"{kind} in {name}", f"with {words} in {name}")


def _text_bytes(path: Path, names: list[str]) -> int:
    """What text takes; a file may say a long one once, and that it is in a million rows."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    total = 0
    with pq.ParquetFile(path, read_dictionary=names) as file:
        for column in file.read(columns=names).columns:
            for chunk in column.chunks:
                chunk.dictionary.validate(full=True)  # UTF-8
                lengths = pc.binary_length(chunk.dictionary)
                total += int(pc.sum(lengths.cast(pa.int64()).take(chunk.indices)).as_py() or 0)
    return total


def _frame(path: Path) -> pd.DataFrame:
    """As pandas reads it, if pandas sees the columns that everybody sees."""
    import pyarrow.parquet as pq

    frame = pd.read_parquet(path)
    if list(frame) != pq.read_schema(path).names or not isinstance(frame.index, pd.RangeIndex):
        raise changed(path, "other columns for pandas than for others", PARQUET)
    return frame


def _any(kind: pa.DataType, tests: Sequence[Test]) -> bool:
    return any(fits(kind) for fits in tests)
