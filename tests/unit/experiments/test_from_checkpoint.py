"""rates, identity and gradients of a trained network: of a file, a training, a run's record."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from snnlens import api
from snnlens.errors import InputError
from snnlens.experiments import _trained, gradients, rates
from snnlens.experiments._networks import Runner
from snnlens.experiments._params import NetworkParams, command
from snnlens.models.checkpoints import read
from snnlens.models.resnet import resnet
from snnlens.neuron.layers import IF, PLIF
from snnlens.recording.record import Record
from snnlens.recording.store import load, load_result
from tests.unit.models import official
from tests.unit.runs import TINY

SMALL: dict[str, Any] = {"image_size": 8, "batch": 4, "threads": 1}
QUESTIONS = ("rates", "identity", "gradients")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An official file of a SEW add ResNet-18, ten classes, T = 3."""
    model = official.settled(official.Net(18, "ADD", T=3), official.images(32, 8))
    path = tmp_path_factory.mktemp("weights") / "sew18_checkpoint_319.pth"
    return official.save(path, model, args={"connect_f": "ADD", "T": 3})


def own(path: Path, **options: Any) -> Path:
    """A bare state dict of a small network of ours, its BatchNorm statistics those of a batch."""
    model = resnet(8, layout="cifar", **({"classes": 10, "seed": 0} | options))
    torch.save(official.settled(model, official.images(8, 16)).state_dict(), path)
    return path


def ask(question: str, source: Path, **options: Any) -> Record:
    return api.run(question, source=str(source), **({"image_size": 32, "batch": 4, "threads": 1}
                                                    | options))  # fmt: skip


# --- one network, in evaluation mode -----------------------------------------------------------


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_network_of_the_file_runs(question: str, checkpoint: Path) -> None:
    record = ask(question, checkpoint)
    assert list(record.networks) == ["sew-add"]  # no other, and no pass at T = 1 beside it
    facts = record.networks["sew-add"]
    for key, value in {
        "residual": "sew", "connect": "add", "zero_init": False, "time_steps": 3, "depth": 18,
        "layout": "imagenet", "classes": 10, "training_mode": False, "auxiliary": False,
        "checkpoint": "sew18_checkpoint_319.pth", "epoch": 319, "max_test_acc1": 63.182,
        "test_acc5_at_max_test_acc1": 84.37, "batch": 4, "image_size": 32, "data_kind": "digits",
        "checkpoint_sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
    }.items():  # fmt: skip
        assert facts[key] == value, key
    said = record.provenance
    assert said["question"] == question
    assert said["command"] == (
        f"snnlens {question} {checkpoint} --batch 4 --image-size 32 --threads 1"
    )
    assert (said["parameters"]["depth"], said["parameters"]["residual"]) == (18, ["sew"])


def test_the_rates_are_those_of_the_official_network(checkpoint: Path) -> None:
    """Counted in the network that wrote the file, on the same images: A^l, O^l to the spike."""
    runner = Runner(NetworkParams(source=str(checkpoint), image_size=32, batch=4))
    theirs = official.Net(18, "ADD", T=3).eval()
    theirs.load_state_dict(read(checkpoint).weights)  # under their own names
    totals: dict[str, float] = {}

    def count(name: str) -> Any:
        def hook(_m: Any, _a: Any, out: Tensor) -> None:
            totals[name] = float(out.sum(dtype=torch.float64))

        return hook

    for stage in range(1, 5):
        for at in range(2):
            block = f"layer{stage}.{at}"
            module = theirs.get_submodule(block)
            module.register_forward_hook(count(f"{block}.output"))
            module.get_submodule("sn2").register_forward_hook(count(f"{block}.residual"))
    with torch.no_grad():
        theirs(runner.images.x)
    table = ask("rates", checkpoint).tables["firing_rate"]
    sums = table.groupby("site")["total"].sum()
    assert len(totals) == 16
    assert {name: sums[name] for name in totals} == totals
    assert min(totals.values()) > 0


def test_the_identity_error_by_hand(checkpoint: Path) -> None:
    """||O - S|| / ||S|| of a block, from its tensors."""
    runner = Runner(NetworkParams(source=str(checkpoint), image_size=32, batch=4))
    kept: dict[str, tuple[Tensor, Tensor]] = {}
    model = runner.build(runner.networks[0])
    model.get_submodule("layer3.1").register_forward_hook(
        lambda _m, args, out: kept.__setitem__("block", (args[0].double(), out.double()))
    )
    with torch.no_grad():
        model(runner.images.x)
    s, o = kept["block"]
    expected = float((o - s).norm() / s.norm())
    table = api.analyse("identity", ask("identity", checkpoint)).table
    (row,) = [r for _, r in table.iterrows() if (r["stage"], r["block"]) == (3, 5)]
    assert row["identity_error"] == pytest.approx(expected, rel=1e-6)  # sums of float32 squares
    assert expected > 0.1


def test_the_gradient_by_autograd(checkpoint: Path) -> None:
    """||dL/dS|| of the third stage, in evaluation mode, by a hook of our own."""
    runner = Runner(NetworkParams(source=str(checkpoint), image_size=32, batch=4))
    model = runner.build(runner.networks[0])
    kept: list[Tensor] = []

    def hook(_m: Any, args: tuple[Tensor, ...]) -> None:
        args[0].retain_grad()
        kept.append(args[0])

    model.get_submodule("layer3.0").register_forward_pre_hook(hook)
    x = runner.images.x.clone().requires_grad_()
    torch.nn.functional.cross_entropy(model(x), runner.images.y).backward()
    grad = kept[0].grad
    assert grad is not None
    table = api.analyse("gradients", ask("gradients", checkpoint)).table
    norm = table.set_index("block")["gradient_norm"][4]
    assert norm == pytest.approx(float(grad.double().norm()), rel=1e-6)
    assert norm > 0


def test_training_mode_if_asked(checkpoint: Path) -> None:
    record = ask("rates", checkpoint, mode="train")
    assert record.networks["sew-add"]["training_mode"] is True
    trained = ask("rates", checkpoint)
    assert not record.tables["firing_rate"]["total"].equals(trained.tables["firing_rate"]["total"])
    caption = api.analyse("rates", record).caption
    assert caption.endswith(
        "trained weights (sew18_checkpoint_319.pth, epoch 319), BatchNorm in training mode."
    )
    with pytest.raises(InputError) as error:
        ask("rates", checkpoint, mode="train", batch=1)
    assert str(error.value) == (
        "batch must be at least 2 at 32 px; got 1; BatchNorm in the last stage needs more than "
        "one sample per channel"
    )
    assert ask("rates", checkpoint, batch=1).networks["sew-add"]["batch"] == 1  # not in evaluation


def test_the_sizes_that_a_file_stands_for(checkpoint: Path, tmp_path: Path) -> None:
    runner = Runner(NetworkParams(source=str(checkpoint), batch=2))
    assert runner.params.size == 224
    cifar = own(tmp_path / "a.pt")
    runner = Runner(NetworkParams(source=str(cifar), residual="spiking", batch=2))
    assert (runner.params.size, runner.params.depth, runner.params.layout) == (32, 8, "cifar")


def test_all_kinds_of_our_own_files(tmp_path: Path) -> None:
    for residual, name in (("spiking", "spiking"), ("ms", "ms"), ("plain", "plain"),
                           ("ann", "ann")):  # fmt: skip
        path = own(tmp_path / f"{residual}.pt", residual=residual)
        record = api.run("rates", source=str(path), residual=residual, **SMALL)
        assert list(record.networks) == [name]
        assert record.networks[name]["time_steps"] == (1 if residual == "ann" else 4)
        assert np.isfinite(api.analyse("rates", record).table["firing_rate_output"]).all()


def test_the_neuron_of_the_options_and_of_the_file(tmp_path: Path) -> None:
    path = own(tmp_path / "if.pt", residual="spiking", neuron=IF())
    options = {"source": str(path), "residual": "spiking", "threshold": 0.5, "surrogate": "sigmoid"}
    facts = api.run("rates", **options, **SMALL).networks["spiking"]
    assert (facts["neuron"], facts["threshold"], facts["surrogate"]) == ("IF", 0.5, "sigmoid")
    path = own(tmp_path / "plif.pt", residual="spiking", neuron=PLIF(3.0))
    facts = api.run("rates", source=str(path), residual="spiking", **SMALL).networks["spiking"]
    assert (facts["neuron"], round(facts["tau_steps"], 5)) == ("PLIF", 3.0)  # of the file


def test_precision_and_memory_take_a_trained_network(checkpoint: Path) -> None:
    """The options of a run hold for a loaded network as for one at initialisation."""
    plain = ask("gradients", checkpoint)
    lean = ask("gradients", checkpoint, memory="checkpoint")
    assert plain.tables["gradient_norm"].equals(lean.tables["gradient_norm"])
    short = ask("gradients", checkpoint, precision="bfloat16")
    assert short.networks["sew-add"]["precision"] == "bfloat16"


# --- what contradicts --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 34}, "depth must be 18, as the checkpoint says; got 34; leave it out"),
        ({"layout": "cifar"},
         "layout must be imagenet, as the checkpoint says; got 'cifar'; leave it out"),
        ({"residual": "spiking"},
         "residual must be sew, as the checkpoint says; got 'spiking'; leave it out"),
        ({"connect": "iand"},
         "connect must be add, as the checkpoint says; got 'iand'; leave it out"),
        ({"time_steps": 4}, "time_steps must be 3, as the checkpoint says; got 4; leave it out"),
        ({"neuron": "plif"},
         "neuron must be if or lif: the checkpoint has no time constants; got 'plif'"),
        ({"image_size": 16},
         "image_size must be from 32 to 4096 pixels in the imagenet layout; got 16"),
    ],
)  # fmt: skip
def test_options_that_contradict_the_file(
    options: dict[str, Any], message: str, checkpoint: Path
) -> None:
    with pytest.raises(InputError) as error:
        ask("rates", checkpoint, **options)
    assert str(error.value) == message


def test_options_that_agree_with_the_file(checkpoint: Path) -> None:
    options = {"depth": 18, "layout": "imagenet", "residual": "sew", "connect": "add",
               "time_steps": 3, "neuron": "if", "threshold": 1.0}  # fmt: skip
    assert (
        ask("rates", checkpoint, **options)
        .tables["firing_rate"]
        .equals(ask("rates", checkpoint).tables["firing_rate"])
    )


def test_targets_beyond_the_classes(checkpoint: Path, tmp_path: Path) -> None:
    path = own(tmp_path / "a.pt", residual="spiking", classes=5)
    with pytest.raises(InputError) as error:
        api.run("rates", source=str(path), residual="spiking", **SMALL | {"batch": 32})
    assert str(error.value) == "the targets of --data must be below 5, the classes of a.pt; got 9"


def test_the_command_repeats_the_run(checkpoint: Path) -> None:
    params = gradients.Params(source=str(checkpoint), connect="add", batch=4)
    line = command("gradients", params)
    assert line == f"snnlens gradients {checkpoint} --connect add --batch 4"
    assert command("rates", rates.Params(source=str(checkpoint))) == f"snnlens rates {checkpoint}"


# --- a run answers another question ------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of `gradients`, at initialisation."""
    folder = tmp_path_factory.mktemp("runs") / "gradients"
    api.answer("gradients", folder, **TINY, residual="spiking", zero_init="no")
    return folder


def test_a_run_answers_from_its_record(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """gradients records firing rates, too: nothing is run, the numbers are those of the run."""
    monkeypatch.setattr(Runner, "__init__", None)
    record = api.run("rates", source=str(run))
    old, first = load(run), load_result(run)
    assert list(record.tables) == list(old.tables)
    for name, table in old.tables.items():
        assert record.tables[name].equals(table)
    assert record.networks == old.networks
    assert record.provenance == old.provenance | {
        "question": "rates", "command": f"snnlens rates {run}",
        "recorded_by": old.provenance["command"],
    }  # fmt: skip
    result = api.analyse("rates", record)
    assert first is not None
    shown = first.table[first.table["network"].isin(result.table["network"])]
    assert 0 < len(shown) < len(first.table)  # the network at T = 1 was run for a claim
    for column in ("firing_rate_output", "firing_rate_residual"):
        assert result.table[column].equals(shown[column])
    assert "at initialisation, BatchNorm in training mode" in result.caption


def test_an_answer_of_an_answer_keeps_who_recorded(run: Path, tmp_path: Path) -> None:
    api.answer("rates", tmp_path / "rates", source=str(run))
    again = api.run("gradients", source=str(tmp_path / "rates"))
    assert again.provenance["recorded_by"] == load(run).provenance["command"]
    assert again.provenance["command"] == f"snnlens gradients {tmp_path / 'rates'}"


def test_a_record_without_what_the_question_needs(run: Path) -> None:
    with pytest.raises(InputError) as error:
        api.analyse("identity", api.run("identity", source=str(run)))
    assert str(error.value) == (
        "this record must be one that holds identity_error; got 'without identity_error'; record "
        'it with probes=[..., "identity_error"]'
    )


# --- a training folder -------------------------------------------------------------------------


@pytest.fixture
def training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with train.json; its network is a small IAND net after seven epochs."""
    folder = tmp_path / "sew-iand-8-s0"
    folder.mkdir()
    (folder / "train.json").write_text("{}", encoding="utf-8")
    model = resnet(8, layout="cifar", connect="iand", classes=10, seed=0, time_steps=2)
    official.settled(model, official.images(8, 16))
    model.zero_init = True  # how its training began

    def load_folder(path: str) -> Any:
        assert path == str(folder)
        return model, {"checkpoint": folder.name, "epoch": 7,
                       "options": {"data": "random", "image_size": 8}}  # fmt: skip

    monkeypatch.setattr(_trained, "load", load_folder)
    return folder


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_training_folder(question: str, training: Path) -> None:
    """The network, and the data and size that it was trained on where the user gives none."""
    record = api.run(question, source=str(training), batch=4)
    facts = record.networks["sew-iand"]
    assert (facts["checkpoint"], facts["epoch"], facts["classes"]) == ("sew-iand-8-s0", 7, 10)
    assert (facts["image_size"], facts["data_kind"], facts["time_steps"]) == (8, "random", 2)
    assert facts["training_mode"] is False
    assert facts["zero_init"] is False
    assert "options" not in facts
    assert api.analyse(question, record).caption.endswith(
        "trained weights (sew-iand-8-s0, epoch 7), BatchNorm in evaluation mode."
    )
    mine = api.run(question, source=str(training), batch=4, data="digits", image_size=12)
    assert mine.networks["sew-iand"]["image_size"] == 12
    assert mine.networks["sew-iand"]["data_kind"] == "digits"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"connect": "add"},
         "connect must be iand, as the checkpoint says; got 'add'; leave it out"),
        ({"depth": 20}, "depth must be 8, as the checkpoint says; got 20; leave it out"),
        ({"threshold": 0.5},
         "threshold must be left out: FOLDER is a training and says it; got 0.5"),
    ],
)  # fmt: skip
def test_options_that_contradict_a_training(
    options: dict[str, Any], message: str, training: Path
) -> None:
    with pytest.raises(InputError) as error:
        api.run("rates", source=str(training), batch=4, **options)
    assert str(error.value) == message.replace("FOLDER", str(training))


def test_a_training_of_another_model(training: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_trained, "load", lambda _: (torch.nn.Linear(2, 2), {}))
    with pytest.raises(InputError) as error:
        api.run("rates", source=str(training))
    assert str(error.value) == (
        f"RUN|CHECKPOINT must be of a residual network of snnlens; got '{training} (Linear)'; "
        "`snnlens checkup` takes any model"
    )


# --- photographs -------------------------------------------------------------------------------


@pytest.mark.data
def test_photographs(data_root: Path, tmp_path: Path) -> None:
    """A thousand classes on the photographs: A^l of the shallow blocks fires, all is said."""
    model = official.settled(official.Net(18, "ADD", classes=1000), official.images(64, 8))
    path = official.save(tmp_path / "sew18.pth", model, args={"connect_f": "ADD"})
    result = api.answer(
        "rates", tmp_path / "run", source=str(path), data=f"imagefolder:{data_root}/imagenet",
        batch=8, image_size=64, threads=1,
    )  # fmt: skip
    assert "photographs (imagenet), 8 images at 64 px" in result.caption
    assert result.caption.endswith(
        "trained weights (sew18.pth, epoch 319), BatchNorm in evaluation mode."
    )
    assert (result.table["firing_rate_residual"] > 0).all()
    verdicts = {c.id: (c.verdict, c.reason) for c in result.claims}
    assert verdicts["fig4-branch-rates"] == (
        "not-testable", "image_size = 64: the claim speaks of 224 px",
    )  # fmt: skip
    assert verdicts["add-bound"][0] == "holds"


@pytest.mark.data
def test_photographs_whose_labels_are_beyond(data_root: Path, tmp_path: Path) -> None:
    path = own(tmp_path / "a.pt", residual="spiking")
    data = f"imagefolder:{data_root}/imagenet"
    with pytest.raises(InputError) as error:
        api.run("gradients", source=str(path), residual="spiking", data=data, **SMALL)
    assert str(error.value) == (
        "the targets of --data must be below 10, the classes of a.pt; got 768"
    )
