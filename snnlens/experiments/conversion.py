"""What does an ANN lose when spikes take its place, where, and over how many steps?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from snnlens.data import specs
from snnlens.errors import InputError
from snnlens.experiments._params import listed
from snnlens.models.ann_plan import ANNS
from snnlens.training.recipe import Recipe

if TYPE_CHECKING:
    from snnlens.experiments._networks import Progress
    from snnlens.recording.record import Record

POINTS = "runs/points"
RECIPE = ("epochs", "batch", "optimiser", "lr")
OF_AN_MLP = ("depth", "width", "residual")
DEPTHS = (4, 8, 16)


class Params(BaseModel):
    """Train or load an ANN, convert it to parallel and to sequential neurons, take it apart."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ann: str = Field(
        "mlp", description="mlp, vgg16, resnet20, ..., package.module:factory or file.py:factory"
    )
    weights: str | None = Field(
        None, description="its weights, .safetensors or .pt; a built-in ANN without is trained"
    )
    data: str = Field("digits", description="digits | cifar10:PATH | mnist:PATH | imagefolder:PATH")
    depth: tuple[int, ...] = Field(
        DEPTHS, description="hidden layers of an mlp; several with commas"
    )
    width: int = Field(32, description="neurons of each hidden layer of an mlp")
    residual: Literal["yes", "no"] = Field("no", description="an mlp with residual connections")
    levels: int = Field(4, description="L of QCFS, the T at which conversion loses nothing")
    time_steps: tuple[int, ...] = Field(
        (1, 2, 4, 8, 16, 32, 64), description="T; several with commas"
    )
    training_free: bool = Field(
        False, description="a ReLU network: thresholds from the training data, not learned",
        json_schema_extra={"flag": True},
    )  # fmt: skip
    calibrate: bool = Field(
        False, description="DA-QCFS too, as published and with zero mean error, at each T",
        json_schema_extra={"flag": True},
    )  # fmt: skip
    quantile: float | None = Field(
        None, description="a threshold is this quantile of a channel's activations (the maximum)"
    )
    pool: Literal["as given", "average"] = Field(
        "as given", description="average: turn max-pools into average pools"
    )
    batch_norm: Literal["folded", "eval"] = Field(
        "folded", description="folded into the layer before it, or kept in evaluation mode"
    )
    partial: bool = Field(
        False, description="leave analog what spikes cannot stand for, and say so",
        json_schema_extra={"flag": True},
    )  # fmt: skip
    threshold: float = Field(2.0, description="where learned thresholds start")
    epochs: int = Field(20, description="passes over the training set")
    batch: int = Field(64, description="samples per step, and of each look")
    optimiser: Literal["sgd", "adam"] = Field("adam", description="sgd | adam")
    lr: float = Field(0.01, description="learning rate at the start; cosine to 0")
    seeds: int = Field(3, description="trainings of each network, seeds from --seed on")
    seed: int = Field(0, description="of the weights and of the order of samples")
    samples: int | None = Field(None, description="test samples that are looked at (all)")
    calibration_samples: int | None = Field(
        None, description="training samples that show thresholds and calibration (all)"
    )
    image_size: int | None = Field(None, description="pixels (as the data has them)")
    test_share: float = Field(0.2, description="of data that has no test part of its own")
    precision: Literal["float64", "float32"] = Field(
        "float64", description="of the conversion; training is float32"
    )
    device: str = Field("cpu", description="cpu | cuda")
    threads: int | None = Field(None, description="CPU threads (torch's choice)")
    points: str = Field(POINTS, description="the folder that keeps trainings")

    @field_validator("depth", "time_steps", mode="before")
    @classmethod
    def _split_lists(cls, value: Any) -> Any:
        return listed(value)

    @model_validator(mode="after")
    def _check(self) -> Params:
        self._check_numbers()
        if self.quantile is not None and not 0 < self.quantile <= 1:
            raise InputError("quantile", got=self.quantile, wanted="above 0 and at most 1")
        if not self.threshold > 0:  # NaN fails too
            raise InputError("threshold", got=self.threshold, wanted="above 0")
        if not 0 < self.test_share < 1:
            raise InputError("test_share", got=self.test_share, wanted="above 0 and below 1")
        if self.weights is not None and not Path(self.weights).is_file():
            raise InputError("weights", got=self.weights, wanted="a file that exists")
        if self.quantile is not None and self.learns_thresholds:
            wanted = "left out: these thresholds are learned"
            raise InputError("quantile", got=self.quantile, wanted=wanted, do="add --training-free")
        _ = self.recipe
        specs.check(self.data, self.image_size)
        return self._check_ann()

    def _check_numbers(self) -> None:
        for name in ("depth", "time_steps"):
            given = getattr(self, name)
            if not given or min(given) < 1:
                got = min(given, default="nothing")
                raise InputError(name, got=got, wanted="at least 1, each of them")
        for name in ("width", "levels", "seeds", "samples", "calibration_samples", "threads"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise InputError(name, got=getattr(self, name), wanted="at least 1")

    def _check_ann(self) -> Params:
        """What one kind of ANN has and another has not."""
        if ":" not in self.ann and self.ann not in ANNS:
            raise InputError("ann", got=self.ann, wanted=", ".join(ANNS),
                             do="or package.module:factory, file.py:factory")  # fmt: skip
        own = f"left out: {self.ann} brings its own"
        without = {
            f"left out: {self.ann} is no mlp": OF_AN_MLP if self.ann != "mlp" else (),
            "left out: nothing is trained": () if self.trains else ("epochs", "lr", "optimiser"),
            own: ("levels", "threshold") if ":" in self.ann else (),
            "1: nothing is trained": () if self.trains or self.seeds == 1 else ("seeds",),
        }
        for wanted, names in without.items():
            for name in names:
                if name in self.model_fields_set:
                    raise InputError(name, got=getattr(self, name), wanted=wanted)
        return self

    @property
    def trains(self) -> bool:
        """Whether the ANN is trained here: a built-in one without weights."""
        return self.weights is None and ":" not in self.ann

    @property
    def learns_thresholds(self) -> bool:
        """Whether a built-in ANN has QCFS activations."""
        return not self.training_free and ":" not in self.ann

    @property
    def unused(self) -> set[str]:
        """Options that played no part."""
        names = set() if self.trains else {"epochs", "optimiser", "lr", "seeds", "seed", "points"}
        names |= set() if self.ann == "mlp" else {"depth", "width", "residual"}
        return names | (set() if self.learns_thresholds else {"levels", "threshold"})

    @property
    def steps(self) -> tuple[int, ...]:
        """T in order, each once."""
        return tuple(sorted(set(self.time_steps)))

    @property
    def recipe(self) -> Recipe:
        """How the ANN is trained."""
        return Recipe(**{name: getattr(self, name) for name in RECIPE}, record_every=0)


def run(params: Params, progress: Progress | None = None) -> Record:
    """Each network: train or load, convert, and look at every layer at every T."""
    from snnlens.experiments import _conversion

    return _conversion.run(params, progress)
