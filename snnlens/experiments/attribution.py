"""What does this network look at, and when? Maps, and how far to believe them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator

from snnlens.errors import InputError
from snnlens.experiments._params import ModelParams

if TYPE_CHECKING:
    from snnlens.experiments._networks import Progress
    from snnlens.recording.record import Record

PANEL = "Your model"
METHODS = ("ig", "input_x_gradient", "gradcam", "sam")
COUNTS = ("samples", "steps", "internal_batch", "draws", "frames", "points", "random_orders")


class Params(ModelParams):
    """Maps of a batch by each method, judged by what the network does without what they name."""

    method: tuple[str, ...] = Field(
        METHODS, description="ig, gradcam, sam, tsa, ...: `snnlens list`; several with commas"
    )
    samples: int = Field(8, description="samples from --data")
    target: str = Field(
        "label", description="label (predicted where there is none) | predicted | a class: 3"
    )
    steps: int = Field(64, description="points of the path of ig and its like")
    internal_batch: int | None = Field(
        None,
        description="samples in one pass (as many as fit the caches): lower it if memory is short",
    )
    at: str | None = Field(
        None, description="a spiking layer: of gradcam, sam, ...; whose spikes stand for the input"
    )
    window: tuple[int, ...] = Field(
        (1, 3, 3), description="of what occlusion and ablation hide: steps, rows, columns"
    )
    over: Literal["space", "time", "space-time"] = Field(
        "space-time", description="what feature_ablation hides: space | time | space-time"
    )
    noise: float = Field(0.1, description="of smoothgrad and its like, share of the range")
    draws: int = Field(16, description="noisy copies of a sample")
    smooths: str = Field("saliency", description="what smoothgrad averages")
    gamma: float = Field(0.5, description="decay of a spike's contribution per step, of sam")
    decay: float | None = Field(None, description="factor per step, of tsa (the layer's leak)")
    absent: bool = Field(
        False, description="tsa counts spikes that did not come", json_schema_extra={"flag": True}
    )
    neuron: tuple[int, ...] | None = Field(
        None, description="of neuron_conductance: its index in the layer, step first: 3,0,5,5"
    )
    belief: Literal["all", "curves", "none"] = Field(
        "curves", description="all (curves, infidelity, sensitivity, variants) | curves | none"
    )
    points: int = Field(10, description="points of a deletion or insertion curve, after the first")
    random_orders: int = Field(10, description="orders that a map has to beat")
    frames: int = Field(8, description="frames of a map that are kept and drawn")
    layers: tuple[str, ...] = Field(
        (), description="layers whose spikes are drawn (the first, the middle, the last)"
    )

    @field_validator("method", "layers", mode="before")
    @classmethod
    def _split_names(cls, value: Any) -> Any:
        return tuple(value.split(",")) if isinstance(value, str) else value

    @field_validator("window", "neuron", mode="before")
    @classmethod
    def _split_window(cls, value: Any) -> Any:
        return tuple(value.split(",")) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check_options(self) -> Params:
        for name in COUNTS:
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise InputError(name, got=getattr(self, name), wanted="at least 1")
        if len(self.window) != 3 or min(self.window) < 1:
            got = ",".join(map(str, self.window))
            raise InputError("window", got=got, wanted="three numbers of at least 1: 1,3,3")
        if not (self.target in ("label", "predicted") or self.target.isdecimal()):
            raise InputError("target", got=self.target, wanted="label, predicted or a class")
        if not self.method:
            raise InputError("method", got="none", wanted="at least one")
        return self


def run(params: Params, progress: Progress | None = None) -> Record:
    """Load the model and its batch, make the maps, and judge them."""
    from snnlens.experiments import _attribution

    return _attribution.run(params, progress)
