"""Maps: what a method found, [N, T, ...], with what is needed to judge it."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch import Tensor

from snnlens import atomic
from snnlens.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AXES = {1: ("feature",), 2: ("row", "column"), 3: ("channel", "row", "column")}
MOST_ROWS = 10_000_000


@dataclass(frozen=True)
class Maps:
    """One method's maps of a batch: always batch first, whatever the layout of the model.

    Attributes:
        values: [N, T, ...]: over the input, or over the output of the layer `place`.
        delta: [N], sum of the map - (f(x) - f(baseline)); NaN where the method claims no such sum.
        method: its name.
        place: "input" or a spiking layer.
        target: [N], the class that was asked about.
        predicted: [N], the class of the highest score.
        score: [N], f(x) of the target.
        baseline_score: [N], f(baseline) of the target.
        shown: [N, T, ...], what the map lies over: the input, or the layer's spikes.
        signed: whether negative values speak against the class.
        title: what a figure calls the method.
        relevance: whether the method claims relevance for the class.
        image: of a static image, the same method's maps over the pixels, T = 1.

    >>> import snnlens
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 2), snnlens.IF())
    >>> maps = snnlens.attribute(net, torch.ones(5, 4, 3), target=1, method="input_x_gradient")
    >>> maps.values.shape, maps.marginal().shape, list(maps.frame())
    (torch.Size([4, 5, 3]), torch.Size([4, 5]), ['sample', 'step', 'feature', 'value'])
    """

    values: Tensor = field(repr=False)
    delta: Tensor
    method: str
    place: str
    target: Tensor
    predicted: Tensor
    score: Tensor
    baseline_score: Tensor
    shown: Tensor = field(repr=False)
    signed: bool = True
    title: str = ""
    relevance: bool = True
    image: Maps | None = field(default=None, repr=False)

    def marginal(self) -> Tensor:
        """The sum over all but sample and time [N, T]: when."""
        return self.values.flatten(2).sum(2)

    def frame(self) -> pd.DataFrame:
        """One row per value: sample, step, channel, row, column (or feature), value.

        Raises InputError above ten million values; `save` writes them all.
        """
        if self.values.numel() > MOST_ROWS:
            raise InputError(
                "the values of a table", got=self.values.numel(), wanted=f"at most {MOST_ROWS}",
                do="take maps.values, or maps.save(file)",
            )  # fmt: skip
        shape = self.values.shape
        rest = AXES.get(len(shape) - 2, tuple(f"axis_{i}" for i in range(len(shape) - 2)))
        grid = torch.cartesian_prod(*(torch.arange(n) for n in shape)).reshape(-1, len(shape))
        columns = dict(zip(("sample", "step", *rest), grid.T.numpy(), strict=True))
        return pd.DataFrame({**columns, "value": self.values.reshape(-1).cpu().numpy()})

    def plot(self, sample: int = 0) -> Figure:
        """One sample: frames of the map over what it lies over, and its marginal over time."""
        drawn: Figure = import_module("snnlens.figures.attribution").map_figure(
            self.as_arrays(sample)
        )
        return drawn

    def as_arrays(self, sample: int = 0) -> dict[str, Any]:
        """What a drawing of one sample needs, as numpy arrays and plain values."""
        count = len(self.values)
        if not -count <= sample < count:
            raise InputError("sample", got=sample, wanted=f"from 0 to {count - 1}")
        return {
            "values": self.values[sample].cpu().numpy(),
            "shown": self.shown[sample].cpu().numpy(),
            "method": self.method, "place": self.place, "signed": self.signed,
            "title": self.title or self.method, "relevance": self.relevance,
            "target": int(self.target[sample]), "predicted": int(self.predicted[sample]),
            "score": float(self.score[sample]), "delta": float(self.delta[sample]),
            "baseline_score": float(self.baseline_score[sample]),
        }  # fmt: skip

    def save(self, path: str | Path) -> Path:
        """Write values, shown, classes, scores and delta as safetensors."""
        names = ("values", "shown", "target", "predicted", "score", "baseline_score", "delta")
        tensors = {name: getattr(self, name).contiguous() for name in names}
        said = {"method": self.method, "place": self.place, "signed": str(self.signed)}
        path = Path(path)
        try:
            atomic.write_file(path, import_module("safetensors.torch").save(tensors, said))
        except OSError as error:
            raise atomic.said(error, "the file of maps", path, "it") from error
        return path
