"""How does this network learn, and what happens inside while it does?"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError, model_validator

from snnlens.data import specs
from snnlens.errors import InputError, Interrupted
from snnlens.experiments._neuron import NeuronParams
from snnlens.experiments._training import TrainingParams
from snnlens.models.plan import BUILT_IN, DVS_NET, IMAGENET, SIZES, plan, usual_size

if TYPE_CHECKING:
    from snnlens.experiments._networks import Progress
    from snnlens.recording.record import Record

PANEL = "Your model"
# What changes no number of a training: where it lies, what runs it, how much it keeps in memory.
WITHOUT_EFFECT = {"points", "resume", "device", "threads", "checkpointing", "keep_memory"}
DIGITS = 8  # of the digest in a folder's name
MOST_NAME = 150  # bytes; a folder may have 255


class Params(TrainingParams):
    """Train one network; whole epochs are kept, and --resume goes on from the last one."""

    model: str = Field(
        description="sew_resnet20, spiking_resnet18, sew_7b_net, package.module:factory or "
        "file.py:factory",
        json_schema_extra={"argument": True},
    )
    layout: Literal["imagenet", "cifar"] | None = Field(
        None, description="of a built-in ResNet: imagenet | cifar (as its depth says)"
    )

    @model_validator(mode="before")
    @classmethod
    def _usual_neuron(cls, given: Any) -> Any:
        """A 7B-Net is of PLIF, where nobody says otherwise."""
        if isinstance(given, dict) and DVS_NET.fullmatch(str(given.get("model"))):
            return {"neuron": "plif"} | given
        return given

    @model_validator(mode="after")
    def _check_depth(self) -> Params:
        if found := BUILT_IN.fullmatch(self.model):
            plan(int(found[2]), self.depth_layout)
        if self.train_steps is not None and not self.has_frames:
            raise InputError("train_steps", got=self.train_steps,
                             wanted=f"left out: {self.data} has no frames")  # fmt: skip
        for name in sorted(self.unused):
            got = getattr(self, name)
            if got != type(self).model_fields[name].default:
                wanted = f"left out: {self.model} builds its own network"
                raise InputError(name, got=got, wanted=wanted)
        return self

    @classmethod
    def kept(cls, folder: Path) -> Params:
        """The parameters that a training folder was made with."""
        from snnlens.training import folder as folders

        try:
            return cls(**folders.description(folder)["parameters"])
        except ValidationError as error:
            raise InputError(
                f"the parameters in {folder / folders.DESCRIPTION}", wanted="as they were written",
                got=error.errors()[0]["msg"], do="the file was changed",
            ) from error  # fmt: skip

    @property
    def built_in(self) -> bool:
        """Whether snnlens builds the model."""
        return any(names.fullmatch(self.model) for names in (BUILT_IN, DVS_NET))

    @property
    def unused(self) -> set[str]:
        """Parameters without effect: those of networks that snnlens builds, for another.

        >>> sorted(Params(model="my.net:build").unused)[:3], Params(model="sew_resnet20").unused
        (['alpha', 'decay_input', 'layout'], set())
        """
        if self.built_in:
            return set()
        steps = set() if self.has_frames else {"time_steps"}
        return {*NeuronParams.model_fields, "zero_init", "layout"} | steps

    @property
    def name(self) -> str:
        """A readable name: kind, depth, seed.

        >>> Params(model="sew_resnet20", seed=3).name
        'sew-add-20-s3'
        >>> Params(model="spiking_resnet20", zero_init="yes").name
        'spiking-20-zero-s0'
        >>> Params(model="my.net:build").name, Params(model="sew_7b_net_iand").name
        ('my-net-build-s0', '7b-net-sew-iand-s0')
        """
        zero = "-zero" if self.zero_init == "yes" else ""
        return f"{_short(self.model)}{zero}-s{self.seed}"

    @property
    def folder(self) -> Path:
        """Where this training is kept: its name, and a digest of what decides its numbers."""
        facts = self.model_dump(mode="json", exclude=WITHOUT_EFFECT)
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        return Path(self.points) / f"{self.name}-{digest[:DIGITS]}"

    @property
    def pixels(self) -> int | None:
        """Image size in pixels; None leaves samples as the data has them."""
        if self.image_size is not None:
            return self.image_size
        if BUILT_IN.fullmatch(self.model):
            return None if self.has_frames else SIZES[self.depth_layout]
        return usual_size(self.model)

    @property
    def has_frames(self) -> bool:
        """Whether the data are sequences of frames of events."""
        return specs.has_frames(self.data.partition(":")[0])

    @property
    def said(self) -> set[str]:
        """Options that a command has to name even where they are the default."""
        return {"neuron"} if DVS_NET.fullmatch(self.model) else set()

    @property
    def depth_layout(self) -> str:
        """The layout of a built-in ResNet."""
        found = BUILT_IN.fullmatch(self.model)
        usual = "imagenet" if found is not None and int(found[2]) in IMAGENET else "cifar"
        return self.layout or usual


def run(params: Params, progress: Progress | None = None) -> Record:
    """Train to the last epoch, and put what every epoch gave into one Record."""
    from snnlens.experiments import _collect

    _collect.check_new([params])
    try:
        from snnlens.experiments import _point
        from snnlens.experiments._networks import quiet

        _point.train(params, progress or quiet)
    except KeyboardInterrupt:
        raise Interrupted(_collect.kept([params])) from None
    return _collect.collect([params], "train", params)


def _short(model: str) -> str:
    """What a model is called in names of networks and folders."""
    if found := BUILT_IN.fullmatch(model):
        connect = found[3] or ("add" if found[1] == "sew" else "")
        return "-".join(part for part in (found[1], connect, found[2]) if part)
    if found := DVS_NET.fullmatch(model):
        connect = found[3] or ("add" if found[1] == "sew" else "")
        size = "wide-7b-net" if found[2] else "7b-net"
        return "-".join(part for part in (size, found[1], connect) if part)
    plain = model.rpartition("/")[2].replace(".py:", ":")
    plain = "".join(c if c.isalnum() else "-" for c in plain).strip("-").lower()
    return plain.encode()[:MOST_NAME].decode(errors="ignore")
