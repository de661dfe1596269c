"""The loss of a user's model: which one it was is said beside every number that depends on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.nn import functional

from snnlens.errors import InputError
from snnlens.experiments._batch import described, shape_of
from snnlens.experiments._blame import user_code
from snnlens.experiments._model import call_factory

LossFunction = Callable[[Tensor, Tensor | None], Any]  # one number, which is checked
NO_TARGETS = "no targets were given: a gradient says how the signal passes, not what is learned"


def load_loss(spec: str) -> LossFunction:
    """The function `(output, y) -> one number` that the factory of `--loss` returns.

    >>> load_loss("torch.nn:MSELoss")
    MSELoss()
    """
    wanted = "package.module:factory or file.py:factory"
    made = call_factory(spec, what="--loss", wanted=wanted)
    if not callable(made):
        what = f"what {spec} returns"
        raise InputError(what, got=type(made).__name__, wanted="a function of (output, y)")
    return made  # type: ignore[no-any-return]


def loss_of(
    output: Tensor,
    y: Tensor | None,
    time_axis: int | None,
    function: LossFunction | None = None,
    name: str = "the loss",
) -> tuple[Tensor, str]:
    """The loss, and in words which one it was.

    With y, -1/B sum over b of ln softmax(o[b])[y[b]] where o is the output's mean over time: if
    the output has one axis more than [B, classes] it is that of time. Without y, the sum of
    squares of the output. A function is called with the output as it is.

    Args:
        output: [B, classes, ...], or with the axis of time.
        y: integers [B, ...] in [0, classes), or None.
        time_axis: of an output that has one.
        function: `(output, y) -> one number`, instead.
        name: of the function, for what is said.

    Raises:
        InputError: shapes that do not fit, a class that is not there, a loss that is not one
            number.
        UserCodeError: the function raised.

    >>> import torch
    >>> loss, text = loss_of(torch.zeros(4, 2, 10), torch.tensor([3, 7]), time_axis=0)
    >>> f"{loss:.4f}", text
    ('2.3026', 'cross-entropy of the output averaged over its time axis')
    """
    if function is not None:
        return _users_loss(output, y, function, name), name
    if not output.is_floating_point():
        raise InputError("the output", got=shape_of(output), wanted="of a floating dtype")
    if y is None:
        return output.square().sum(), f"sum of squares of the output ({NO_TARGETS})"
    averaged = time_axis is not None and output.dim() == y.dim() + 2
    logits = output.mean(time_axis) if averaged else output
    what = "the output" + (" averaged over its time axis" if averaged else "")
    _check_logits(logits, y, what)
    return functional.cross_entropy(logits, y.long()), f"cross-entropy of {what}"


def _users_loss(output: Tensor, y: Tensor | None, function: LossFunction, name: str) -> Tensor:
    given = described([output], y).replace("x ", "output ", 1)
    with user_code(name, f"it was given {given}"):
        loss = function(output, y)
    if not (isinstance(loss, Tensor) and loss.numel() == 1 and loss.is_floating_point()):
        got = shape_of(loss) if isinstance(loss, Tensor) else type(loss).__name__
        raise InputError(f"what {name} returns", got=got, wanted="a tensor of one floating number")
    return loss.reshape(())


def _check_logits(logits: Tensor, y: Tensor, what: str) -> None:
    fits = logits.dim() == y.dim() + 1 and logits.shape[:1] + logits.shape[2:] == y.shape
    if not fits:
        rest = "".join(f", {size}" for size in y.shape[1:])
        raise InputError(
            what, got=list(logits.shape),
            wanted=f"[{len(y)}, classes{rest}], as y is {list(y.shape)}",
            do="choose another output or give --loss",
        )  # fmt: skip
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= logits.shape[1]:
        wanted = f"from 0 to {logits.shape[1] - 1}, as the output has {logits.shape[1]} classes"
        raise InputError("y", got=low if low < 0 else high, wanted=wanted)
