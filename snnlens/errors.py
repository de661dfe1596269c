"""Errors that a user sees: one line that says what was given, what was wanted and what to do."""

from __future__ import annotations


class SnnlensError(Exception):
    """An error with a message for a person and the exit code of the command line.

    >>> SnnlensError.exit_code
    2
    """

    exit_code = 2


class InputError(SnnlensError):
    """A wrong argument, option, file or folder.

    >>> str(InputError("connect", got="plus", wanted="add, and or iand"))
    "connect must be add, and or iand; got 'plus'"
    >>> str(InputError("batch", got=0, wanted="at least 1", do="give --batch 8"))
    'batch must be at least 1; got 0; give --batch 8'
    """

    def __init__(self, what: str, *, got: object, wanted: str, do: str = "") -> None:
        self.what, self.got, self.wanted, self.do = what, got, wanted, do
        super().__init__(f"{what} must be {wanted}; got {got!r}" + (f"; {do}" if do else ""))


class NothingToRecord(SnnlensError):
    """The model has no place that snnlens can record: never an empty success.

    >>> NothingToRecord.exit_code
    5
    """

    exit_code = 5


class Interrupted(SnnlensError):
    """Ctrl-C in a training or a sweep: what is whole stays, and the message says how to go on."""

    exit_code = 130


class HelpedOnly(SnnlensError):
    """This process of several has done its part; the first one answers."""

    exit_code = 0


class SlowBackend(UserWarning):
    """The neurons run in plain PyTorch where a compiled kernel was expected; said once."""
