"""How a network is trained: the paper's recipe as defaults. No torch."""

from __future__ import annotations

import math
import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from snnlens.errors import InputError

AUGMENTS = ("none", "crop", "flip")
STEP = re.compile(r"step:([1-9]\d*)")
STEP_FACTOR = 0.1  # of the learning rate, as in the runs on DVS Gesture


class Recipe(BaseModel):
    """Optimiser, schedule, precision: everything of a training but its model and its data.

    Source: the official SEW ResNet code and its args.txt (SGD with momentum .9, cosine to 0 over
    all epochs, no weight decay, no warm-up, cross-entropy of the mean over T).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(20, description="passes over the training set")
    batch: int = Field(32, description="samples per step and process")
    optimiser: Literal["sgd", "adam"] = Field("sgd", description="sgd | adam")
    lr: float = Field(0.1, description="learning rate at the start")
    momentum: float = Field(0.9, description="of sgd")
    weight_decay: float = Field(0.0, description="L2")
    schedule: str = Field(
        "cosine", description="cosine (to 0) | constant | step:N (a tenth every N epochs)"
    )
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="float32, or autocast to bfloat16 | float16 (with loss scaling)"
    )
    clip: float | None = Field(None, description="largest norm of the gradient (not clipped)")
    augment: tuple[str, ...] = Field(("none",), description="none, or crop, flip with commas")
    train_steps: int | None = Field(
        None, description="frames kept of T in training, chosen anew per batch (all)"
    )
    checkpointing: bool = Field(
        False, description="keep only block inputs and compute the rest twice: less memory",
        json_schema_extra={"flag": True},
    )  # fmt: skip
    record_every: int = Field(
        5, description="epochs between records of rates, gradients, identity error; 0: none"
    )

    @field_validator("augment", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(value.split(",")) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check_recipe(self) -> Recipe:
        for name, least in (("epochs", 1), ("batch", 1), ("record_every", 0)):
            if getattr(self, name) < least:
                raise InputError(name, got=getattr(self, name), wanted=f"at least {least}")
        if self.train_steps is not None and self.train_steps < 1:
            raise InputError("train_steps", got=self.train_steps, wanted="at least 1")
        _positive("lr", self.lr)
        if self.clip is not None:
            _positive("clip", self.clip)
        for name in ("momentum", "weight_decay"):
            if not 0 <= getattr(self, name) < 1:  # NaN fails too
                raise InputError(name, got=getattr(self, name), wanted="at least 0 and below 1")
        if self.schedule not in ("cosine", "constant") and not STEP.fullmatch(self.schedule):
            raise InputError("schedule", got=self.schedule, wanted="cosine, constant or step:N")
        self._check_augment()
        return self

    def _check_augment(self) -> None:
        given = self.augment
        alone = given == ("none",) or "none" not in given
        if not (given and alone and len(set(given)) == len(given) and set(given) <= set(AUGMENTS)):
            wanted = "none, crop, flip or crop,flip"
            raise InputError("augment", got=",".join(given), wanted=wanted)

    def learning_rate(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 0.

        cosine: lr (1 + cos(pi epoch / epochs)) / 2; step:N: lr .1^floor(epoch / N).

        Source: Loshchilov and Hutter 2017 (SGDR), Eq. 5 without restarts.

        >>> [round(Recipe(epochs=4).learning_rate(e), 6) for e in range(4)]
        [0.1, 0.085355, 0.05, 0.014645]
        >>> Recipe(schedule="step:2", lr=1.0).learning_rate(4)
        0.010000000000000002
        """
        if self.schedule == "cosine":
            return self.lr * (1 + math.cos(math.pi * epoch / self.epochs)) / 2
        step = STEP.fullmatch(self.schedule)
        return self.lr if step is None else float(self.lr * STEP_FACTOR ** (epoch // int(step[1])))

    def records_after(self, done: int) -> bool:
        """Whether a Record is made when so many whole epochs are done: 0, every n, the last.

        >>> [e for e in range(21) if Recipe(epochs=20, record_every=8).records_after(e)]
        [0, 8, 16, 20]
        """
        every = self.record_every
        return every > 0 and (done % every == 0 or done == self.epochs)


def _positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:  # NaN fails too
        raise InputError(name, got=value, wanted="a finite number above 0")
