"""What the folder of a sweep's point says, and who may work on it. No torch.

.lock         held while somebody works on the point; who dies lets go of it
metrics.csv   a head, and one line for each whole epoch
done.json     there when the point is done
failed.json   why it failed; gone when it is tried again
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from snnlens import atomic
from snnlens.errors import SnnlensError

LOCK, METRICS, DONE, FAILED = ".lock", "metrics.csv", "done.json", "failed.json"
GRASP_SECONDS = 1.0  # `is_claimed` takes the lock for a moment; a claim outlasts that


class Busy(SnnlensError):
    """Another process works on this point."""


@dataclass(frozen=True)
class Point:
    """One piece of work: its name, its folder, and parameters that JSON can hold.

    `epochs` of the parameters is how many there are to do, `cost` what one of them takes, beside
    those of other points (1 by default).
    """

    name: str
    folder: Path
    params: dict[str, Any] = field(hash=False)


@contextmanager
def claimed(folder: str | Path) -> Iterator[None]:
    """Hold a point's folder for this process; the lock goes with it, even with kill -9.

    Where several machines share the folder, their file system must pass on flock, as NFS 4 does.

    Raises:
        Busy: another process, or another claim of this one, holds it.
        InputError: it cannot be made or locked.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, claimed(folder):
    ...     is_claimed(folder)
    True
    """
    folder = Path(folder)
    lock = FileLock(folder / LOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=GRASP_SECONDS, poll_interval=0.01)
    except Timeout:
        raise Busy(
            f"{folder} must be free; got one that another process works on; wait until it ends"
        ) from None
    except OSError as error:
        raise atomic.said(error, "the folder of a training", folder, "it") from error
    try:
        yield
    finally:
        lock.release()


def is_claimed(folder: str | Path) -> bool:
    """Whether somebody works on this point now.

    >>> is_claimed("/nowhere")
    False
    """
    path = Path(folder) / LOCK
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    except OSError:  # one that cannot be locked is not being written
        return False
    lock.release()
    return False


def mark_done(folder: str | Path) -> None:
    """Say that a point is done."""
    with atomic.room(str(folder), "every whole epoch stays"):
        atomic.write_file(Path(folder) / DONE, b"{}\n")


def fail(folder: str | Path, why: str, run: str = "") -> None:
    """Say why a point failed, and in which run of the sweep, unless there is no room to say it."""
    text = json.dumps({"why": why, "run": run}, ensure_ascii=False) + "\n"
    try:
        atomic.write_file(Path(folder) / FAILED, text.encode())
    except OSError:  # a full disk: `run` still says it
        return


def failure(folder: str | Path) -> dict[str, str] | None:
    """What `fail` said, if it did: why, and in which run.

    >>> failure("/nowhere") is None
    True
    """
    path = Path(folder) / FAILED
    if not path.is_file():
        return None
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return {"why": str(said["why"]), "run": str(said["run"])}
    except FileNotFoundError:  # removed since
        return None
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return {"why": f"{FAILED} was changed", "run": ""}


def reason(error: BaseException) -> str:
    r"""One line of an error: the message if it is for a person, else with its type before.

    >>> from snnlens.errors import InputError
    >>> reason(InputError("depth", got=9, wanted="8 or 20")), reason(ValueError("a\n  b"))
    ('depth must be 8 or 20; got 9', 'ValueError: a b')
    """
    text = " ".join(str(error).split())
    if isinstance(error, SnnlensError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def table(points: Sequence[Point]) -> pd.DataFrame:
    """How far each point is, as its folder says: network (its name), state, epoch, epochs, why.

    State: done, running (somebody holds its lock), failed, or waiting. Epoch: whole epochs done.

    >>> table([Point("a", Path("/nowhere"), {"epochs": 3})]).to_dict("records")
    [{'network': 'a', 'state': 'waiting', 'epoch': 0, 'epochs': 3, 'why': ''}]
    """
    rows = [(p.name, *_state(p.folder), p) for p in points]
    return pd.DataFrame(
        {
            "network": [name for name, *_ in rows],
            "state": [state for _, state, _, _ in rows],
            "epoch": pd.Series([whole_epochs(p.folder) for *_, p in rows], dtype="int64"),
            "epochs": pd.Series([int(p.params["epochs"]) for *_, p in rows], dtype="int64"),
            "why": [why for _, _, why, _ in rows],
        }
    )


def whole_epochs(folder: Path) -> int:
    """The lines of metrics.csv below its head; one that a kill has cut does not count.

    >>> whole_epochs(Path("/nowhere"))
    0
    """
    path = folder / METRICS
    text = path.read_bytes() if path.is_file() else b""
    head, *lines = text.split(b"\n")[:-1] or [b""]  # what stands behind the last newline is cut
    return sum(line.count(b",") == head.count(b",") for line in lines)


def _state(folder: Path) -> tuple[str, str]:
    """The state of a point, and why it failed."""
    if (folder / DONE).exists():
        return "done", ""
    if is_claimed(folder):
        return "running", ""
    said = failure(folder)
    return ("waiting", "") if said is None else ("failed", said["why"])
