"""Parameters of the questions that run networks. No torch: wrong options answer at once."""

from __future__ import annotations

import shlex
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.fields import FieldInfo

from snnlens.data import specs
from snnlens.errors import InputError
from snnlens.experiments._neuron import NeuronParams
from snnlens.experiments._source import Kind, kind_of
from snnlens.models.plan import CONNECTS, LAYOUTS, RESIDUALS, SIZES, Plan, plan, usual_size

ENOUGH_SAMPLES = 128  # n in the last stage from which the shapes of Figs. 6 to 8 are stable
DEFAULT_BATCH = 32
KEEP_MEMORY = "keep freed memory in the process (Linux): faster; the numbers stay"


class NetworkParams(NeuronParams):
    """Which networks run, with which neuron, on which images."""

    source: str | None = Field(
        None,
        description="a run folder: its record answers, nothing is run; a training folder or a file "
        "of weights (.pth, .safetensors): that network is run; nothing: networks at initialisation",
        json_schema_extra={"argument": True, "metavar": "RUN|CHECKPOINT"},
    )
    depth: int = Field(152, description="18, 34, 50, 101, 152 (imagenet) or 6n + 2 (cifar)")
    layout: str = Field("imagenet", description="imagenet | cifar")
    residual: tuple[str, ...] = Field(
        ("spiking", "sew"), description="spiking, sew, plain, ms, ann; several with commas"
    )
    connect: tuple[str, ...] = Field(CONNECTS, description="of sew: add, and, iand")
    zero_init: Literal["yes", "no", "both"] = Field(
        "both", description="residual branches at their identity value: yes | no | both"
    )
    time_steps: int = Field(4, description="T")
    batch: int = Field(DEFAULT_BATCH, description="images in the one batch")
    image_size: int | None = Field(
        None,
        description="pixels (64 in the imagenet layout, 224 with a CHECKPOINT; 32 in cifar)",
    )
    data: str = Field("digits", description="digits | random | cifar10:PATH | imagefolder:PATH")
    seed: int = Field(0, description="of weights and of the choice of images")
    mode: Literal["train", "eval"] | None = Field(
        None, description="of BatchNorm: train | eval (train; with a CHECKPOINT eval)"
    )
    device: str = Field("cpu", description="cpu | cuda")
    threads: int | None = Field(None, description="CPU threads (torch's choice)")
    backend: Literal["auto", "reference", "cpu", "cuda"] = Field(
        "auto", description="what runs the neurons: auto | reference | cpu | cuda"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="bfloat16: autocast and channels-last, up to 3 times as fast; a fifth of the "
        "spikes of a deep network flip, rates and norms agree to a few percent",
    )
    memory: Literal["plain", "lean", "checkpoint"] = Field(
        "plain",
        description="lean computes BatchNorms again, checkpoint whole blocks; the numbers stay",
    )
    keep_memory: bool = Field(False, description=KEEP_MEMORY)

    @field_validator("residual", "connect", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(value.split(",")) if isinstance(value, str) else value

    @field_validator("zero_init", mode="before")
    @classmethod
    def _yes_or_no(cls, value: Any) -> Any:
        return {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value

    @model_validator(mode="after")
    def _check(self) -> NetworkParams:
        check_names("residual", self.residual, RESIDUALS)
        check_names("connect", self.connect, CONNECTS)
        _at_least("time_steps", self.time_steps, 1)
        _at_least("batch", self.batch, 1)
        if self.threads is not None:
            _at_least("threads", self.threads, 1)
        if self.source is None:
            self._check_initial()
        else:
            self._check_source(kind_of(self.source))
        specs.check(self.data, self.size)
        return self

    def _check_initial(self) -> None:
        check_connect(self, self.residual, self.connect)
        self.check_size()
        if self.mode == "eval":
            raise InputError(
                "mode", got="eval", wanted="train at initialisation",
                do="fresh running statistics silence the network; give a CHECKPOINT",
            )  # fmt: skip

    def _check_source(self, kind: Kind) -> None:
        """What is given beside RUN|CHECKPOINT has to have a meaning there."""
        check_names("layout", (self.layout,), LAYOUTS)
        idle = {"run": [n for n in type(self).model_fields if n != "source"],
                "training": ["zero_init", *NeuronParams.model_fields],
                "checkpoint": ["zero_init"]}[kind]  # fmt: skip
        for name in idle:
            if name in self.model_fields_set:
                wanted = f"left out: {self.source} is a {kind} and says it"
                raise InputError(name, got=getattr(self, name), wanted=wanted)
        for name in ("residual", "connect"):
            value = getattr(self, name)
            if name in self.model_fields_set and len(value) > 1:
                wanted = f"one word: {self.source} holds one network"
                raise InputError(name, got=",".join(value), wanted=wanted)

    def check_size(self) -> None:
        """Image size and batch against the blocks; BatchNorm in training mode needs two samples."""
        least = self.plan.total_stride
        if not least <= self.size <= 4096:
            raise InputError(
                "image_size", got=self.size,
                wanted=f"from {least} to 4096 pixels in the {self.layout} layout",
            )  # fmt: skip
        if self.training and self.last_stage_samples < 2:
            raise InputError(
                "batch", got=self.batch, wanted=f"at least 2 at {self.size} px",
                do="BatchNorm in the last stage needs more than one sample per channel",
            )  # fmt: skip

    @property
    def training(self) -> bool:
        """Whether BatchNorm is in training mode: at initialisation it has no other statistics."""
        return self.source is None if self.mode is None else self.mode == "train"

    @property
    def plan(self) -> Plan:
        """The blocks of these networks."""
        return plan(self.depth, self.layout)

    @property
    def size(self) -> int:
        """Image size in pixels."""
        return SIZES[self.layout] if self.image_size is None else self.image_size

    @property
    def last_stage_samples(self) -> int:
        """n = batch x H x W in the last stage."""
        return self.plan.last_stage_samples(self.batch, self.size)


class ModelParams(BaseModel):
    """A model of anybody's, and what it is shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(
        description="sew_resnet50, package.module:factory, file.py:factory, a .nir file, a "
        "training folder or a file of weights",
        json_schema_extra={"argument": True},
    )
    input: str | None = Field(
        None, description="a safetensors file: x (exactly what forward takes), y (targets)"
    )
    data: str | None = Field(
        None, description="digits | random | planted | mnist:PATH | cifar10:PATH | "
        "imagefolder:PATH | nmnist:PATH | ncaltech101:PATH | cifar10dvs:PATH | dvsgesture:PATH | "
        "events:PATH"
    )  # fmt: skip
    output: int | None = Field(None, description="which of several outputs (the first)")
    spiking: tuple[str, ...] = Field(
        (), description="your own neuron classes, my.module:MyLIF, with commas"
    )
    time_axis: int | None = Field(None, description="of x, 0 or 1, where it is not as detected")
    per_step: bool = Field(
        False, description="the model takes one time step: it is called once for each x[t]"
    )
    time_steps: int = Field(4, description="T of a built-in model, of frames and of images shown")
    bin_ms: float | None = Field(
        None, description="duration of a frame of events (as many events in each)"
    )
    image_size: int | None = Field(None, description="pixels (as the data is)")
    seed: int = Field(0, description="of weights, of the choice of samples, of what is drawn")
    device: str = Field("cpu", description="cpu | cuda")
    threads: int | None = Field(None, description="CPU threads (torch's choice)")

    @field_validator("spiking", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(value.split(",")) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check(self) -> ModelParams:
        _at_least("time_steps", self.time_steps, 1)
        if self.bin_ms is not None and not self.bin_ms > 0:
            raise InputError("bin_ms", got=self.bin_ms, wanted="above 0")
        if self.threads is not None:
            _at_least("threads", self.threads, 1)
        if self.image_size is not None:
            _at_least("image_size", self.image_size, 1)
        if self.output is not None:
            _at_least("output", self.output, 0)
        return self

    @property
    def unused(self) -> set[str]:
        """Parameters without effect: a batch that is given is whole, a model of one's own knows T.

        >>> sorted(ModelParams(model="my.net:build", input="batch.safetensors").unused)
        ['batch', 'bin_ms', 'image_size', 'time_steps']
        >>> sorted(ModelParams(model="my.net:build", data="digits").unused)
        ['bin_ms', 'time_steps']
        >>> ModelParams(model="graph.nir", data="nmnist:PATH").unused
        set()
        """
        built_in = usual_size(self.model) is not None
        drawn = self.input is None and (self.data is not None or built_in)
        frames = drawn and specs.has_frames((self.data or "digits").partition(":")[0])
        unused = set() if drawn else {"batch", "image_size"}
        if not frames:
            unused.add("bin_ms")
        if not (frames or built_in or (drawn and self.per_step)):
            unused.add("time_steps")
        return unused


class SubjectParams(ModelParams):
    """A model of anybody's with a loss: one batch forwards and backwards."""

    batch: int = Field(64, description="samples from --data")
    loss: str | None = Field(
        None, description="a factory of a function (output, y); else cross-entropy, or without y "
        "the sum of squares of the output"
    )  # fmt: skip

    @model_validator(mode="after")
    def _check_batch(self) -> SubjectParams:
        _at_least("batch", self.batch, 1)
        return self


def command(question: str, params: BaseModel) -> str:
    """The command line that repeats this run: every option that is not its default.

    >>> command("gradients", NetworkParams(depth=50, connect="add,iand", threshold=0.5))
    'snnlens gradients --depth 50 --connect add,iand --threshold 0.5'
    """
    words = ["snnlens", question]
    fields = ordered(type(params))
    for name, field in sorted(fields.items(), key=lambda f: not by_place(f[1])):  # MODEL first
        value = getattr(params, name)
        if by_place(field):
            words += [] if value is None else [shlex.quote(str(value))]
        elif value == field.default and name not in getattr(params, "said", ()):
            continue
        elif (field.json_schema_extra or {}).get("flag"):  # type: ignore[union-attr]
            words.append("--" + name.replace("_", "-"))
        else:
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            words += ["--" + name.replace("_", "-"), shlex.quote(text)]
    return " ".join(words)


def ordered(params: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of parameters, a class' own before those that it inherits.

    >>> list(ordered(NetworkParams))[:2], list(ordered(NetworkParams))[-1]
    (['source', 'depth'], 'alpha')
    """
    homes = [c for c in params.__mro__ if issubclass(c, BaseModel)]
    names = [name for home in homes for name in home.__annotations__ if name in params.model_fields]
    return {name: params.model_fields[name] for name in dict.fromkeys(names)}


def by_place(field: FieldInfo) -> bool:
    """Whether a parameter has no --name: MODEL, RUN|CHECKPOINT.

    >>> by_place(NetworkParams.model_fields["source"])
    True
    """
    extra = field.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("argument"))


class Network(BaseModel):
    """One network of a run."""

    model_config = ConfigDict(frozen=True)

    residual: str
    connect: str | None
    zero_init: bool
    time_steps: int
    auxiliary: bool = False  # run for a claim, not for its own sake: no check judges it

    @property
    def name(self) -> str:
        """Stable and readable: `sew-add`, `spiking-zero`."""
        kind = self.residual if self.connect is None else f"{self.residual}-{self.connect}"
        return kind + ("-zero" if self.zero_init else "")


def networks(params: NetworkParams) -> list[Network]:
    """The networks that the options choose, each without and with zero-init.

    >>> [n.name for n in networks(NetworkParams(residual="spiking", depth=50))]
    ['spiking', 'spiking-zero']
    """
    chosen = []
    for residual in params.residual:
        for connect in params.connect if residual == "sew" else (None,):
            for zero in {"yes": (True,), "no": (False,), "both": (False, True)}[params.zero_init]:
                steps = 1 if residual == "ann" else params.time_steps
                chosen.append(
                    Network(residual=residual, connect=connect, zero_init=zero, time_steps=steps)
                )
    return chosen


def listed(value: Any) -> Any:
    """`4,8,16`, one number, or a list of them, as a tuple for pydantic to judge.

    >>> listed("4,8"), listed(4), listed([4, 8])
    (('4', '8'), (4,), [4, 8])
    """
    if isinstance(value, str):
        return tuple(value.split(","))
    return (value,) if isinstance(value, int) else value


def check_names(what: str, got: tuple[str, ...], known: tuple[str, ...]) -> None:
    """Raise InputError for a name that is not known, twice there, or for none at all."""
    wanted = ", ".join(known[:-1]) + f" or {known[-1]}"
    for name in got:
        if name not in known:
            raise InputError(what, got=name, wanted=wanted)
    if not got or len(set(got)) != len(got):
        raise InputError(what, got=",".join(got), wanted=f"{wanted}, each at most once")


def check_connect(params: BaseModel, residual: tuple[str, ...], connect: tuple[str, ...]) -> None:
    """Raise InputError for a connect that a user gives to networks without one."""
    if "connect" in params.model_fields_set and "sew" not in residual:
        wanted = "left out: only the blocks of sew have one"
        raise InputError("connect", got=",".join(connect), wanted=wanted)


def _at_least(what: str, got: int, least: int) -> None:
    if got < least:
        raise InputError(what, got=got, wanted=f"at least {least}")
