"""One training from its parameters: built, trained with records on a schedule, read back.

`work` is what a sweep runs, here or on another machine; its folder says all that it needs.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from snnlens.adapters._survey import Survey, method, survey
from snnlens.data import sets
from snnlens.data.sets import Set
from snnlens.errors import HelpedOnly, InputError
from snnlens.experiments._batch import outputs
from snnlens.experiments._blame import user_code
from snnlens.experiments._collect import launched
from snnlens.experiments._model import load_model
from snnlens.experiments._networks import Progress, neuron_of, quiet, usable_device
from snnlens.experiments._params import command
from snnlens.experiments._preserve import preserved
from snnlens.experiments.train import Params
from snnlens.neuron import memory
from snnlens.provenance import provenance
from snnlens.recording import ranks as records_of_ranks
from snnlens.recording import store
from snnlens.recording.recorder import Recorder
from snnlens.registry import PACKAGE, plugin
from snnlens.training import folder as folders
from snnlens.training import loop, points, sweep
from snnlens.training.ranks import ALONE, Rank, joined

MOST_THREADS = 1024  # OpenMP ends the process where the system gives it no more
PROBES = ("firing_rate", "gradient_norm", "identity_error")


def work(folder: str, params: dict[str, Any]) -> None:
    """Train one point of a sweep to its end, from wherever it is."""
    given = {name: value for name, value in params.items() if name in Params.model_fields}
    _train(Params(**given), Path(folder), quiet, ALONE)


def train(params: Params, progress: Progress) -> None:
    """Train one network, on one process or as one of torchrun's.

    Raises:
        HelpedOnly: on every process but the first, when all is done.
    """
    with joined(params.device) as rank:
        if not rank.first:
            _train(params, params.folder, quiet, rank)
        else:
            with sweep.claimed(params.folder), _nothing_empty(params.folder):
                _train(params, params.folder, progress, rank)
    if not rank.first:
        raise HelpedOnly


def build(params: Params, classes: int) -> nn.Module:
    """The network that the parameters describe, at initialisation, on the CPU."""
    if not params.built_in:
        return load_model(params.model, seed=params.seed)
    return load_model(
        params.model, seed=params.seed, classes=classes, time_steps=params.time_steps,
        layout=params.layout, neuron=neuron_of(params), zero_init=params.zero_init == "yes",
    )  # fmt: skip


def load_sets(params: Params) -> tuple[Set, Set]:
    """Training and test set, decoded once where they fit into memory."""
    both = sets.load(
        params.data, image_size=params.pixels, test_share=params.test_share,
        time_steps=params.time_steps,
    )  # fmt: skip
    for one in both:
        one.hold()
    return both


@contextmanager
def _nothing_empty(folder: Path) -> Iterator[None]:
    """A training that never began leaves no folder: nothing was written."""
    try:
        yield
    finally:
        told = {points.LOCK, folders.DESCRIPTION}
        if {p.name for p in folder.iterdir()} <= told:
            for name in told:
                (folder / name).unlink(missing_ok=True)
            with suppress(OSError):  # those that hold something else stay
                for empty in (folder, *folder.parents[:2]):
                    empty.rmdir()


def _train(params: Params, folder: Path, progress: Progress, rank: Rank) -> None:
    torch.set_num_threads(_threads(params, folder))
    if params.keep_memory:
        memory.keep_freed()
    device = usable_device(params.device)
    train_set, test_set = load_sets(params)
    model = build(params, train_set.source.classes)
    seen = survey(model)
    learner = Learner(model.to(device), seen, params)
    steps = len(train_set) // (params.batch * rank.size)
    said = _description(params, model, (train_set, test_set), rank)
    if folders.is_training(folder):
        _check_same(folder, said)
    elif rank.first:
        folders.describe(folder, said)
    rank.wait()
    done = len(folders.metrics(folder))
    tick = progress(params.name, (params.epochs - done) * steps)
    watch = Observer(learner, train_set, folder, rank)
    job = loop.Job(
        model, train_set, test_set, params, folder, seed=params.seed, logits=learner.logits,
        observe=watch.observe, tick=tick, rank=rank,
    )  # fmt: skip
    loop.train(job)
    if rank.first:
        sweep.mark_done(folder)


def _threads(params: Params, folder: Path) -> int:
    """As many as the training began with: another number adds in another order."""
    if params.threads is not None:
        return params.threads
    if folders.is_training(folder):
        said = folders.description(folder)["facts"].get("threads")
        if isinstance(said, int) and 1 <= said <= MOST_THREADS:
            return said
    return torch.get_num_threads()


def _check_same(folder: Path, said: dict[str, Any]) -> None:
    """Refuse to go on with other data, or on another number of processes, than it began with."""
    began = folders.description(folder)
    one, other = (d["facts"].get("processes") for d in (began, said))
    if one != other:
        raise InputError("the processes of this training", got=other, wanted=f"{one}, as it began",
                         do=f"torchrun --nproc-per-node {one}")  # fmt: skip
    if began["data_fingerprint"] != said["data_fingerprint"]:
        raise InputError(
            f"the data of {folder}", got=said["facts"]["data"] + ", other bytes",
            wanted="what the training began with", do="begin again in another folder: --points",
        )  # fmt: skip
    if began.get("model_fingerprint", "") not in ("", said["model_fingerprint"]):
        raise InputError(
            f"the model of {folder}", got="changed since", wanted="what the training began with",
            do="put it back, or begin again in another folder: --points",
        )  # fmt: skip


class Learner:
    """A model of any framework as the loop sees it: x in, logits [B, classes] out."""

    def __init__(self, model: nn.Module, seen: Survey, params: Params) -> None:
        self.model, self.seen, self.params = model, seen, params
        self._own = params.built_in
        batch_first = any(a.name == "sinabs" for a in seen.adapters.values())
        self._axis = 1 if batch_first else 0

    def logits(self, model: nn.Module, x: Tensor) -> Tensor:
        """The mean over T of what the model puts out, from rest."""
        if self._own:
            out: Tensor = model(x)
            return out
        self.seen.reset()
        with user_code("the model's forward", f"it was given x {list(x.shape)}"):
            given = outputs(model(x))
        if given.dim() == 2:
            return given
        samples = x.shape[0 if x.dim() == 4 else 1]
        if given.dim() == 3 and samples in given.shape[:2]:
            return given.mean(self._time_axis(given, samples))
        raise InputError(
            "what the model returns", got=list(given.shape),
            wanted="[B, classes], or [T, B, classes] or [B, T, classes]",
        )  # fmt: skip

    def _time_axis(self, given: Tensor, samples: int) -> int:
        """0 or 1; where T and the batch are equal, as in the batches before, or as is usual."""
        if given.shape[0] != given.shape[1]:
            self._axis = 0 if given.shape[1] == samples else 1
        return self._axis


class Observer:
    """Records rates, gradients and identity errors of one fixed batch, and changes nothing."""

    def __init__(self, learner: Learner, train_set: Set, folder: Path, rank: Rank) -> None:
        self.learner, self.folder, self.rank = learner, folder, rank
        size = learner.params.batch
        mixed = torch.randperm(len(train_set), generator=torch.Generator().manual_seed(0))
        share = torch.arange(rank.number * size, (rank.number + 1) * size) % len(train_set)
        self.x, self.y = train_set.batch(mixed[share])  # data may lie in the order of its classes
        self.data = train_set.description

    def observe(self, done: int) -> None:
        """The Record after so many whole epochs; several processes' are merged."""
        params, model = self.learner.params, self.learner.model
        device = next(model.parameters()).device
        with preserved(model):
            model.train()
            probes = [plugin("probes", name)() for name in PROBES]
            recorder = Recorder(model, probes, network=params.name, surveyed=self.learner.seen)
            with recorder:
                loss = self._loss(model, device)
                loss.backward()
            recorder.note(loss=float(loss.detach()), **self._facts(done))
            record = recorder.record()  # while the mode is the one that was recorded
        whole = records_of_ranks.gather(record)
        if whole is not None:
            target = folders.record_folder(self.folder, done)
            store.save(whole, target, force=target.exists())

    def _loss(self, model: nn.Module, device: torch.device) -> Tensor:
        recipe = self.learner.params
        with loop.autocast(device, recipe), loop.saving(model, on=recipe.checkpointing):
            logits = self.learner.logits(model, self.x.to(device))
            return functional.cross_entropy(logits, self.y.to(device))

    def _facts(self, done: int) -> dict[str, Any]:
        params = self.learner.params
        return {
            "epoch": done,
            "batch": params.batch,
            "data": self.data,
            "seed": params.seed,
            "device": params.device,
        }


def _description(
    params: Params, model: nn.Module, both: tuple[Set, Set], rank: Rank
) -> dict[str, Any]:
    """What train.json says."""
    listing: Callable[[], dict[str, Any]] = method(model, "facts") or dict
    return {
        "name": params.name,
        "command": launched(command("train", params), rank.size),
        "parameters": params.model_dump(mode="json", exclude=params.unused),
        "facts": listing() | {
            "model": type(model).__name__,
            "seed": params.seed,
            "epochs": params.epochs,
            "classes": both[0].source.classes,
            "dataset": both[0].source.title,
            "data": both[0].description,
            "train_samples": len(both[0]),
            "test_samples": len(both[1]),
            "processes": rank.size,
            "threads": torch.get_num_threads(),
            "origin": "trained",
        },
        "data_fingerprint": sets.digest(both),
        "model_fingerprint": _model_fingerprint(params, model),
        "provenance": provenance(),
    }  # fmt: skip


def _model_fingerprint(params: Params, model: nn.Module) -> str:
    """The sha256 (hex) of the initial weights, and of the user's own source files."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        flat = value.detach().cpu().contiguous().reshape(-1)
        digest.update(name.encode())
        digest.update(flat.view(torch.uint8).numpy().data if flat.numel() else b"")
    for path in [] if params.built_in else sorted(_sources(params.model, model)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _sources(spec: str, model: nn.Module) -> set[Path]:
    """The files of the factory and of the classes of the model, but for installed packages."""
    where, _, _ = spec.rpartition(":")
    found = {where if where.endswith(".py") else getattr(sys.modules.get(where), "__file__", None)}
    for module in model.modules():
        found.add(getattr(sys.modules.get(type(module).__module__), "__file__", None))
    paths = {Path(f).resolve() for f in found if f is not None}
    return {
        p for p in paths
        if p.is_file() and "site-packages" not in p.parts and not p.is_relative_to(PACKAGE)
    }  # fmt: skip
