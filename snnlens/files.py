"""Settings of anybody in a TOML file, read within bounds: no pipe, nothing endless. No torch."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path
from typing import Any

MOST_BYTES = 2**20
MOST_DOTS = 1000  # of a line: a key of 100,000 parts takes the parser minutes
MOST_DEPTH = 32
DEEP = f"more than {MOST_DEPTH} levels deep"


def toml(path: Path) -> dict[str, Any]:
    """What stands in a TOML file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such file, and why.

    >>> toml(Path(__file__))
    Traceback (most recent call last):
    tomllib.TOMLDecodeError: ...
    """
    text = _text(path)
    if any(line.count(".") > MOST_DOTS for line in text.splitlines()):
        raise ValueError(f"a line with more than {MOST_DOTS} dots")
    try:
        found = tomllib.loads(text)
    except RecursionError:
        raise ValueError(DEEP) from None
    if _depth(found) > MOST_DEPTH:
        raise ValueError(DEEP)
    return found


def _text(path: Path) -> str:
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):
        raise ValueError("a folder" if stat.S_ISDIR(about.st_mode) else "no regular file")
    if about.st_size > MOST_BYTES:
        raise ValueError(f"{about.st_size:,} bytes, and at most {MOST_BYTES:,} are read")
    return path.read_text(encoding="utf-8")


def _depth(value: Any) -> int:
    """How many levels of tables and lists, counted without recursion."""
    level, depth = [value], 0
    while level:
        depth += 1
        inside = [v.values() if isinstance(v, dict) else v for v in level]
        level = [v for values in inside for v in values if isinstance(v, dict | list)]
    return depth
