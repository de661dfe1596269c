"""Options of the neuron that a built-in network is made of. No torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from snnlens.errors import InputError


class NeuronParams(BaseModel):
    """Which neuron: IF, LIF or PLIF, its threshold, its reset, its surrogate gradient."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    neuron: Literal["if", "lif", "plif"] = Field("if", description="if | lif | plif")
    threshold: float = Field(1.0, description="V_th, in (0, 1e6]")
    tau: float = Field(2.0, description="time constant of lif and plif, in time steps")
    decay_input: bool = Field(True, description="whether the input of lif and plif decays too")
    reset: Literal["hard", "soft"] = Field("hard", description="hard | soft")
    surrogate: str = Field("atan", description="surrogate gradient by name")
    alpha: float | None = Field(None, description="slope of the surrogate (its own default)")

    @model_validator(mode="after")
    def _check_neuron(self) -> NeuronParams:
        if not 0 < self.threshold <= 1e6:  # NaN fails too
            raise InputError("threshold", got=self.threshold, wanted="in (0, 1e6]")
        return self
