"""Parameters that every training has, of one network or of a sweep. No torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from snnlens.data import specs
from snnlens.errors import InputError
from snnlens.experiments._neuron import NeuronParams
from snnlens.experiments._params import KEEP_MEMORY
from snnlens.training.recipe import Recipe

POINTS = "runs/points"


class TrainingParams(Recipe, NeuronParams):
    """Recipe, neuron, data, and where trainings are kept."""

    zero_init: Literal["yes", "no"] = Field(
        "no", description="residual branches at their identity value"
    )
    data: str = Field(
        "digits", description="digits | random | planted | cifar10:PATH | nmnist:PATH | ..."
    )
    test_share: float = Field(0.2, description="of data that has no test part of its own")
    image_size: int | None = Field(None, description="pixels (64 in the imagenet layout, else 32)")
    time_steps: int = Field(4, description="T of a built-in model, of frames")
    seed: int = Field(0, description="of the weights, the order of samples, their augmentation")
    device: str = Field("cpu", description="cpu | cuda")
    threads: int | None = Field(None, description="CPU threads (torch's choice)")
    keep_memory: bool = Field(False, description=KEEP_MEMORY)
    points: str = Field(POINTS, description="the folder that keeps trainings")
    resume: bool = Field(
        False, description="go on with trainings that have begun", json_schema_extra={"flag": True}
    )

    @model_validator(mode="after")
    def _check_training(self) -> TrainingParams:
        if self.time_steps < 1:
            raise InputError("time_steps", got=self.time_steps, wanted="at least 1")
        if self.threads is not None and self.threads < 1:
            raise InputError("threads", got=self.threads, wanted="at least 1")
        if not 0 <= self.seed < 2**63:
            raise InputError("seed", got=self.seed, wanted="a whole number from 0 to 2^63 - 1")
        if not 0 < self.test_share < 1:
            raise InputError("test_share", got=self.test_share, wanted="above 0 and below 1")
        specs.check(self.data, self.image_size, frames=True)
        return self
