"""Whose code raised: the user's, which is shown as the user's, or ours, which is a bug."""

from __future__ import annotations

import contextlib
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path

import torch

from snnlens.errors import SnnlensError

OURS = Path(__file__).resolve().parents[1]
MODELS = (OURS / "models", OURS / "neuron")  # a built-in model is what runs, not who looks on
NEUTRAL = (Path(torch.__file__).resolve().parent, Path(sysconfig.get_path("stdlib")).resolve())


class UserCodeError(SnnlensError):
    """The user's own code raised: its traceback without snnlens' frames, and one line.

    >>> try:
    ...     with user_code("mine:build"):
    ...         1 / 0
    ... except UserCodeError as error:
    ...     print(error)
    mine:build raised ZeroDivisionError: division by zero
    """

    def __init__(self, what: str, error: BaseException, do: str = "") -> None:
        self.traceback = own_traceback(error)  # the command line prints it before the line
        text = next((line for line in str(error).splitlines() if line.strip()), "").strip()
        said = type(error).__name__ + (f": {text}" if text else "")
        super().__init__(f"{what} raised {said}" + (f"; {do}" if do else ""))


@contextlib.contextmanager
def user_code(what: str, do: str = "") -> Iterator[None]:
    """Run code of the user: what it raises is the user's, what it prints goes to stderr.

    An error of a probe inside the user's forward pass stays what it is, a bug of ours; so do
    one-line errors of snnlens and an interrupt.

    Args:
        what: whose code runs, the beginning of the line.
        do: the end of the line, e.g. which shapes it was given.

    Raises:
        UserCodeError: the code raised, or called sys.exit.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout is data: one JSON object
            yield
    except SnnlensError:
        raise
    except (Exception, SystemExit) as error:
        if is_ours(error):
            raise
        raise UserCodeError(what, error, do) from error


def foreign_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """The frames that are neither snnlens' nor torch's nor Python's own.

    >>> foreign_frames(ValueError("never raised"))
    []
    """
    return [f for f in traceback.extract_tb(error.__traceback__) if _whose(f) == "foreign"]


def is_ours(error: BaseException) -> bool:
    """Whether the innermost frame that is anybody's belongs to code of ours that looks on.

    The outermost frames are always ours (they started the user's code) and do not count: an error
    in a probe runs inside the user's forward pass, below frames of the user or of torch.
    """
    owners = [_whose(frame) for frame in traceback.extract_tb(error.__traceback__)]
    while owners and owners[0] == "ours":
        del owners[0]
    somebody = [owner for owner in owners if owner != "neutral"]
    return bool(somebody) and somebody[-1] == "ours"


def own_traceback(error: BaseException) -> str:
    """The traceback of the user's frames; empty where there is no more to say than one line."""
    whole = traceback.TracebackException.from_exception(error)
    _trim(whole)
    text = "".join(whole.format())
    return text if len(text.splitlines()) > 1 else ""


def _trim(shown: traceback.TracebackException | None) -> None:
    """Drop snnlens' frames, importlib's, and torch's between a module and its forward."""
    if shown is None:
        return
    kept = [frame for frame in shown.stack if _is_shown(frame)]
    shown.stack[:] = kept
    if not kept:
        shown.stack = None  # type: ignore[assignment]  # then no headline is written
    _trim(shown.__cause__)
    _trim(shown.__context__)


def _is_shown(frame: traceback.FrameSummary) -> bool:
    hidden = frame.filename.startswith("<frozen importlib") or frame.filename.endswith(
        ("torch/nn/modules/module.py", "importlib/__init__.py")
    )
    return not hidden and _whose(frame) in {"foreign", "neutral"}


def _whose(frame: traceback.FrameSummary) -> str:
    if frame.filename.startswith("<"):  # <frozen importlib>, <string>, <stdin>
        return "neutral" if frame.filename.startswith("<frozen") else "foreign"
    path = Path(frame.filename).resolve()
    if any(path.is_relative_to(folder) for folder in MODELS):
        return "model"
    if path.is_relative_to(OURS):
        return "ours"
    if "captum" in path.parts:  # it runs the model for us
        return "neutral"
    # site-packages lies inside the standard library's folder
    installed = "site-packages" in path.parts and not path.is_relative_to(NEUTRAL[0])
    is_neutral = any(path.is_relative_to(folder) for folder in NEUTRAL)
    return "neutral" if is_neutral and not installed else "foreign"
