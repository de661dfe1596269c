"""Build the networks of a question and run them one after another under a recorder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from snnlens.data import images
from snnlens.data.images import Images
from snnlens.errors import InputError
from snnlens.experiments import _params
from snnlens.experiments._full import full_float32
from snnlens.experiments._loaded import load
from snnlens.experiments._machine import forecast
from snnlens.experiments._neuron import NeuronParams
from snnlens.experiments._params import Network, NetworkParams, command
from snnlens.models.resnet import ResNet, resnet
from snnlens.neuron import kernels, memory, surrogate
from snnlens.neuron.layers import IF, LIF, PLIF, Neuron
from snnlens.provenance import provenance
from snnlens.recording.probe import Probe
from snnlens.recording.record import Record
from snnlens.recording.recorder import Recorder

Tick = Callable[[], None]
Progress = Callable[[str, int], Tick]  # (network, sites to come) -> called once per site


def quiet(_network: str, _sites: int) -> Tick:
    """Report no progress."""
    return lambda: None


def neuron_of(params: NeuronParams) -> Neuron:
    """The neuron template that the options describe."""
    common: dict[str, Any] = {
        "threshold": params.threshold,
        "reset": params.reset,
        "surrogate": surrogate.by_name(params.surrogate, params.alpha),
    }
    if params.neuron == "if":
        return IF(**common)
    if params.neuron == "lif":
        return LIF(params.tau, decay_input=params.decay_input, **common)
    return PLIF(params.tau, decay_input=params.decay_input, **common)


def load_images(params: NetworkParams) -> Images:
    """The one batch of the run, on its device."""
    return images.load(params.data, samples=params.batch, image_size=params.size, seed=params.seed)


class Runner:
    """Builds networks that share one set of weights, or loads one, and runs them on one batch."""

    def __init__(self, params: NetworkParams, progress: Progress = quiet) -> None:
        self.asked, self.params, self.progress = params, params, progress
        self.device = usable_device(params.device)
        if params.threads is not None:
            torch.set_num_threads(params.threads)
        if params.keep_memory:
            memory.keep_freed()
        self.neuron = neuron_of(params)
        self.loaded = load(params, self.neuron)
        if self.loaded is not None:
            self.params, self.neuron = self.loaded.params, self.loaded.neuron or self.neuron
        self.images = load_images(self.params)
        if self.loaded is not None:
            self.loaded.check(self.images)
        self._weights: dict[str, Tensor] | None = None

    @property
    def networks(self) -> list[Network]:
        """The networks of this run: those of the options, or the one that was loaded."""
        return _params.networks(self.params)

    def build(self, network: Network) -> ResNet:
        """The network with its trained weights or those that all of this run share, frozen."""
        model = self._initial(network) if self.loaded is None else self.loaded.model
        model = model.to(self.device).requires_grad_(False).train(self.params.training)
        if self._short:  # mypy does not know Module.to(memory_format=)
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return model

    def _initial(self, network: Network) -> ResNet:
        return resnet(
            self.params.depth,
            residual=network.residual,
            connect=network.connect,
            layout=self.params.layout,
            neuron=self.neuron,
            zero_init=network.zero_init,
            time_steps=network.time_steps,
            classes=self.images.classes,
            weights=self._shared(),
        )

    def announce(self, passes: Sequence[Network], *, backward: bool) -> None:
        """Tell the progress, if it listens, about how long and how large the run will be."""
        if hasattr(self.progress, "announce"):
            p, steps = self.params, [n.time_steps for n in passes]
            self.progress.announce(str(forecast(p.plan, p.batch, p.size, steps, backward=backward)))

    @full_float32()
    def gradients(self, network: Network, name: str, probes: list[Probe]) -> Record:
        """One forward and backward pass: the mean cross-entropy of the batch."""
        model = self.build(network)
        x = self._batch().requires_grad_()
        recorder = self._recorder(model, name, probes, backward=True)
        with recorder, kernels.backend(self.params.backend):
            with self._autocast(), self._saving(model):
                loss = functional.cross_entropy(model(x), self.images.y.to(self.device))
            loss.backward()
        recorder.note(loss=float(loss.item()), **self._facts(network))
        return recorder.record()

    @full_float32()
    @torch.no_grad()
    def forward(self, network: Network, name: str, probes: list[Probe]) -> Record:
        """One forward pass."""
        model = self.build(network)
        recorder = self._recorder(model, name, probes, backward=False)
        with recorder, kernels.backend(self.params.backend), self._autocast():
            model(self._batch())
        recorder.note(**self._facts(network))
        return recorder.record()

    def provenance(self, question: str) -> dict[str, Any]:
        """Versions, machine, parameters and the fingerprint of the images."""
        return provenance() | {
            "question": question,
            "command": command(question, self.asked),
            "parameters": self.params.model_dump(mode="json"),
            "device": str(self.device),
            "threads": torch.get_num_threads(),
            "data": self.images.description,
            "data_fingerprint": self.images.fingerprint,
        }

    @property
    def _short(self) -> bool:
        return self.params.precision == "bfloat16"

    def _batch(self) -> Tensor:
        x = self.images.x.to(self.device)
        return x.contiguous(memory_format=torch.channels_last) if self._short else x.clone()

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self._short)

    def _saving(self, model: ResNet) -> AbstractContextManager[None]:
        if self.params.memory == "lean":
            return memory.lean(model)
        if self.params.memory == "checkpoint":
            return memory.checkpointed(block for _, block in model.blocks())
        return nullcontext()

    def _recorder(
        self, model: ResNet, name: str, probes: list[Probe], *, backward: bool
    ) -> Recorder:
        sites = model.sites()
        gradients = sum(p.wants(s) for s in sites for p in probes if p.name == "gradient_norm")
        tick = self.progress(name, len(sites) + (gradients if backward else 0))
        return Recorder(model, probes, network=name, on_site=tick)

    def _facts(self, network: Network) -> dict[str, Any]:
        said = {} if self.loaded is None else self.loaded.facts
        return said | {
            "auxiliary": network.auxiliary,
            "batch": self.params.batch,
            "image_size": self.params.size,
            "last_stage_samples": self.params.last_stage_samples,
            "data": self.images.description,
            "data_kind": self.images.source.partition(":")[0],
            "seed": self.params.seed,
            "device": str(self.device),
            "precision": self.params.precision,
        }

    def _shared(self) -> dict[str, Tensor]:
        if self._weights is None:
            drawn = resnet(
                self.params.depth,
                residual="spiking",
                layout=self.params.layout,
                neuron=self.neuron,
                classes=self.images.classes,
                seed=self.params.seed,
            )
            self._weights = dict(drawn.state_dict())
        return self._weights


def usable_device(name: str) -> torch.device:
    """The device of that name; InputError where this machine has none."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # `meta` makes tensors without numbers
    except (RuntimeError, AssertionError):
        raise InputError(
            "device", got=name, wanted="one of this machine's", do="give --device cpu"
        ) from None
    return device
