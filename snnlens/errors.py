"""Errors that a user sees: one line that says what was given, what was wanted and what to do."""

from __future__ import annotations

LONGEST = 960  # characters of a message; a file may hold a text of megabytes, a path 4096
PART = 230  # of four parts, where the whole would be longer


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
        parts = [one_line(part) for part in (what, wanted, repr(got), do)]
        if sum(map(len, parts)) > LONGEST:
            parts = [shortened(part, PART) for part in parts]
        what, wanted, shown, do = parts
        super().__init__(f"{what} must be {wanted}; got {shown}" + (f"; {do}" if do else ""))


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


def one_line(text: str) -> str:
    r"""The text without line breaks and without what a terminal would obey instead of show.

    >>> print(one_line("a\nb\x1b[31m\u202ec"))
    a b\x1b[31m\u202ec
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _shown(c) for c in text)


def shortened(text: str, longest: int = LONGEST) -> str:
    """The beginning and the end of a text that is too long.

    >>> shortened("abcdefghijkl", 9)
    'ab ... kl'
    """
    side = (longest - 5) // 2
    return text if len(text) <= longest else f"{text[:side]} ... {text[-side:]}"


def _shown(character: str) -> str:
    return " " if character.isspace() else character.encode("unicode_escape").decode()
