"""labels.csv: one row per photograph, with the columns file and class_id."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np

from snnlens.data.source import Integers
from snnlens.errors import InputError

COLUMNS = "columns file and class_id"
MAX_CLASSES = 1_000_000  # a larger class_id would ask for a classifier of gigabytes


def read(path: Path, names: list[str]) -> tuple[Integers, int]:
    r"""Read the class_id of each file name, int64 [names], and the number of classes.

    The number of classes is the largest class_id of all rows plus 1; other columns are ignored,
    and so are rows of files that are not in `names`.

    Raises InputError for a missing column, a class_id that is no whole number in [0, 1,000,000),
    a file without a row or with two.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "labels.csv"
    >>> _ = path.write_text("file,class_id\na.jpg,3\nb.jpg,1\n")
    >>> read(path, ["b.jpg"])
    (array([1]), 4)
    """
    classes = _table(path)
    if missing := [name for name in names if name not in classes]:
        wanted = "one that has a row for each photograph"
        do = f"add a row for {missing[0]}"
        raise InputError("labels.csv", got=str(path), wanted=wanted, do=do)
    return np.array([classes[name] for name in names], np.int64), max(classes.values()) + 1


def _table(path: Path) -> dict[str, int]:
    table: dict[str, int] = {}
    for name, text in _rows(path):
        if name in table:
            raise InputError(f"rows in {path}", got=name, wanted="one per file", do="remove one")
        table[name] = _class_id(path, name, text)
    return table


def _rows(path: Path) -> list[tuple[str, str]]:
    try:
        if not path.is_file():  # a pipe would be waited for
            raise OSError
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            whole = {"file", "class_id"} <= set(rows.fieldnames or ())
            found = [(row["file"] or "", row["class_id"] or "") for row in rows if whole]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        wanted = "a CSV file in UTF-8"
        raise InputError("labels.csv", got=str(path), wanted=wanted) from error
    if not found:
        raise InputError("labels.csv", got=str(path), wanted=f"a CSV file with the {COLUMNS}")
    return found


def _class_id(path: Path, name: str, text: str) -> int:
    digits = text.strip()
    if not re.fullmatch("0*[0-9]{1,6}", digits):  # below MAX_CLASSES
        wanted = f"a whole number from 0 to {MAX_CLASSES - 1}"
        raise InputError(f"class_id of {name} in {path}", got=text, wanted=wanted)
    return int(digits[-6:])
