"""Do deeper networks train worse? Published logs, or a sweep over depth (Figs. 3 and 9)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator

from snnlens.errors import InputError, Interrupted
from snnlens.experiments import train
from snnlens.experiments._params import check_connect, check_names, command, listed
from snnlens.experiments._training import TrainingParams
from snnlens.models.plan import CONNECTS, plan

if TYPE_CHECKING:
    from snnlens.experiments._networks import Progress
    from snnlens.recording.record import Record

KINDS = ("spiking", "sew", "plain", "ms")
OF_LOGS = {"logs", "pattern", "tags"}
# Of the point that repeats them one by one; the sweep has lists of these.
LISTS = {"depth", "residual", "connect", "seeds", "workers", "scheduler"} | OF_LOGS
HELP = "several with commas"


class Params(TrainingParams):
    """Train every depth of every kind with several seeds, or read the logs of trainings."""

    logs: str | None = Field(
        None, description="a folder of TensorBoard logs: nothing is trained then"
    )
    pattern: str | None = Field(
        None, description="of --logs: a regular expression for the folder of a run, with groups "
        "residual and depth, and perhaps connect, seed (the official repository's names)"
    )  # fmt: skip
    tags: str | None = Field(
        None, description="of --logs: which tag is which curve, train_loss=Loss/train,"
        "test_top1=acc/val:fraction (those of the official code)",
    )  # fmt: skip
    depth: tuple[int, ...] = Field((8, 20, 32, 56), description=f"depths; {HELP}")
    layout: Literal["imagenet", "cifar"] = Field("cifar", description="imagenet | cifar")
    residual: tuple[str, ...] = Field(
        ("spiking", "sew"), description=f"spiking, sew, plain, ms; {HELP}"
    )
    connect: tuple[str, ...] = Field(("add",), description=f"of sew: add, and, iand; {HELP}")
    seeds: int = Field(3, description="trainings of each network, seeds from --seed on")
    workers: int = Field(1, description="processes on this machine that train side by side")
    scheduler: str | None = Field(
        None, description="tcp://host:8786, of a Dask cluster that trains"
    )

    @field_validator("depth", "residual", "connect", mode="before")
    @classmethod
    def _split_lists(cls, value: Any) -> Any:
        return listed(value)

    @model_validator(mode="after")
    def _check(self) -> Params:
        for name in ("pattern", "tags"):
            if getattr(self, name) is not None and self.logs is None:
                raise InputError(name, got=getattr(self, name), wanted="given with --logs")
        if self.logs is not None and (more := sorted(self.model_fields_set - OF_LOGS)):
            raise InputError(more[0], got=getattr(self, more[0]),
                             wanted="left out with --logs: nothing is trained")  # fmt: skip
        for name, least in (("seeds", 1), ("workers", 1)):
            if getattr(self, name) < least:
                raise InputError(name, got=getattr(self, name), wanted=f"at least {least}")
        check_names("residual", self.residual, KINDS)
        check_names("connect", self.connect, CONNECTS)
        check_connect(self, self.residual, self.connect)
        if not self.depth or len(set(self.depth)) != len(self.depth):
            raise InputError("depth", got=self.depth, wanted="at least one, each at most once")
        for depth in self.depth:
            plan(depth, self.layout)
        return self

    def trainings(self) -> list[train.Params]:
        """Every point of the sweep, the cheapest first.

        >>> [p.name for p in Params(depth="8,20", residual="sew", seeds=2).trainings()]
        ['sew-add-8-s0', 'sew-add-8-s1', 'sew-add-20-s0', 'sew-add-20-s1']
        """
        shared = {name: getattr(self, name) for name in type(self).model_fields
                  if name not in LISTS}  # fmt: skip
        return [
            train.Params(**shared | {"model": model, "seed": self.seed + number})
            for depth in sorted(self.depth)
            for model in self._models(depth)
            for number in range(self.seeds)
        ]

    def _models(self, depth: int) -> list[str]:
        names = []
        for residual in self.residual:
            connects = self.connect if residual == "sew" else (None,)
            names += [f"{residual}_resnet{depth}" + (f"_{c}" if c else "") for c in connects]
        return names


def run(params: Params, progress: Progress | None = None) -> Record:
    """Read the logs, or train what is not trained yet; a failed point does not stop the others."""
    if params.logs is not None:
        return _logged(params, params.logs)
    from snnlens.experiments import _collect, _sweep

    points = params.trainings()
    _collect.check_new(points)
    try:
        states = _sweep.run(points, params, progress)
    except KeyboardInterrupt:
        raise Interrupted(_collect.kept(points)) from None
    return _collect.collect(points, "degradation", params, states)


def _logged(params: Params, logs: str) -> Record:
    """The Record of published logs, with the command that reads them."""
    from snnlens.data.logs import curves
    from snnlens.experiments import _published

    tags = None if params.tags is None else curves.parse(params.tags)
    made = _published.record(Path(logs), pattern=params.pattern, tags=tags)
    said = {
        "command": command("degradation", params),
        "parameters": params.model_dump(mode="json", include=OF_LOGS),
    }
    return replace(made, provenance=made.provenance | said)
