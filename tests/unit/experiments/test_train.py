"""One training through the public functions: its folder, its Record, what goes on and what not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import snnlens
from snnlens import api
from snnlens.data import sets
from snnlens.errors import InputError, SnnlensError
from snnlens.experiments import _collect, _point, _trained
from snnlens.experiments.train import WITHOUT_EFFECT, Params
from snnlens.models.resnet import resnet
from snnlens.recording import blocks, store
from snnlens.training import checkpoint, folder, sweep

SMALL: dict[str, Any] = {
    "model": "sew_resnet8", "image_size": 8, "batch": 128, "time_steps": 2, "epochs": 2,
    "record_every": 1, "threads": 1,
}  # fmt: skip


def params(tmp_path: Path, **more: Any) -> Params:
    return Params(**SMALL | {"points": str(tmp_path / "points")} | more)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Params:
    """A finished training, to read."""
    made = params(tmp_path_factory.mktemp("trained"))
    _point.work(str(made.folder), made.model_dump(mode="json"))
    return made


def test_the_folder_holds_what_the_contract_says(trained: Params) -> None:
    where = trained.folder
    assert {p.name for p in where.iterdir() if p.name != ".lock"} == {
        "train.json", "metrics.csv", "checkpoints", "recorded", "done.json",
    }  # fmt: skip
    assert list(folder.recorded(where)) == [0, 1, 2]
    assert folder.metrics(where)["epoch"].tolist() == [0, 1]
    said = folder.description(where)
    assert said["parameters"] == trained.model_dump(mode="json")
    assert said["facts"]["depth"] == 8
    assert said["facts"]["classes"] == 10


def test_observing_changes_no_weight(trained: Params, tmp_path: Path) -> None:
    blind = params(tmp_path, record_every=0)
    _point.work(str(blind.folder), blind.model_dump(mode="json"))
    one, other = checkpoint.load(trained.folder), checkpoint.load(blind.folder)
    assert one is not None
    assert other is not None
    assert all(torch.equal(one.weights[k], other.weights[k]) for k in one.weights)
    assert folder.recorded(blind.folder) == {}


def test_the_record_is_that_of_the_weights_of_its_epoch(trained: Params) -> None:
    """Recorded once more by hand: the network at initialisation, and after the last epoch."""
    train_set, _ = _point.load_sets(trained)
    mixed = torch.randperm(len(train_set), generator=torch.Generator().manual_seed(0))
    x, y = train_set.batch(mixed[:128])
    kept = checkpoint.load(trained.folder)
    assert kept is not None
    for done in (0, 2):
        model = resnet(8, layout="cifar", classes=10, time_steps=2, seed=0)
        if done:
            model.load_state_dict(kept.weights)
        with snnlens.record(model, list(_point.PROBES)) as recorder:
            nn.functional.cross_entropy(model(x), y).backward()
        mine = recorder.record()
        found = store.load(folder.recorded(trained.folder)[done])
        for name, table in mine.tables.items():
            numbers = table.drop(columns="network")
            again = found.tables[name].drop(columns="network")
            pd.testing.assert_frame_equal(numbers, again, check_exact=True)
        assert found.networks["sew-add-8-s0"]["training_mode"]


def test_the_collected_record(trained: Params) -> None:
    record = _collect.collect([trained], "train", trained)
    metrics = folder.metrics(trained.folder).drop(columns="seconds")
    assert record.tables["curves"].drop(columns="network").equals(metrics)
    rows = record.tables["by_epoch"]
    assert sorted(set(rows["epoch"])) == [0, 1, 2]
    for done, path in folder.recorded(trained.folder).items():
        frame = blocks.networks(store.load(path))[0].blocks
        mine = rows[rows["epoch"] == done]
        for column in _collect.OF_BLOCKS:
            np.testing.assert_array_equal(mine[column], frame[column].to_numpy(float))
    facts = record.networks["sew-add-8-s0"]
    assert (facts["origin"], facts["epochs"], facts["epoch"]) == ("trained", 2, 2)


def test_the_trained_network_comes_back(trained: Params) -> None:
    """Loaded from its folder it tests as its last row says."""
    model, facts = _trained.load(trained.folder)
    _, test_set = sets.load("digits", image_size=8)
    x, y = test_set.batch(torch.arange(len(test_set)))
    model.eval()
    with torch.no_grad():
        right = (model(x).argmax(1) == y).double().mean().item()
    last = folder.metrics(trained.folder).iloc[-1]
    # batches of 128 and one of 359 may round differently: not more than one sample flips here
    assert 100 * right == pytest.approx(last["test_top1"], abs=100 / 359 + 1e-9)
    assert facts["epoch"] == 2
    assert facts["options"] == {"data": "digits", "image_size": 8}


def test_other_questions_take_the_folder(trained: Params) -> None:
    result = api.analyse("rates", api.run("rates", source=str(trained.folder), batch=16))
    assert "epoch 2" in result.caption
    assert "evaluation mode" in result.caption
    assert result.table["network"].nunique() == 1


def test_names_and_folders(tmp_path: Path) -> None:
    one = params(tmp_path)
    for field, value in {"points": "elsewhere", "resume": True, "device": "cuda", "threads": 3,
                         "checkpointing": True, "keep_memory": True}.items():  # fmt: skip
        assert field in WITHOUT_EFFECT
        assert one.model_copy(update={field: value}).folder.name == one.folder.name
    changed = {"epochs": 3, "lr": 0.2, "threshold": 0.5, "seed": 1, "data": "random",
               "record_every": 2, "precision": "bfloat16"}  # fmt: skip
    names = {one.model_copy(update={f: v}).folder.name for f, v in changed.items()}
    assert len(names | {one.folder.name}) == len(changed) + 1
    assert set(Params.model_fields) >= WITHOUT_EFFECT


def test_freed_memory_is_kept_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr("snnlens.neuron.memory.keep_freed", lambda: asked.append(True))
    for keep in (False, True):
        made = params(tmp_path / str(keep), epochs=1, record_every=0, keep_memory=keep)
        _point.work(str(made.folder), made.model_dump(mode="json"))
        assert asked == [True] * keep


def test_a_begun_training_is_not_begun_again_unasked(trained: Params) -> None:
    with pytest.raises(InputError) as error:
        api.run("train", **SMALL | {"points": trained.points})
    assert str(error.value) == (
        f"the trainings must be new; got '{trained.folder}, begun before'; add --resume to go on, "
        "or choose another folder with --points"
    )


def test_resuming_a_finished_one_only_reads_it(trained: Params) -> None:
    before = (trained.folder / "metrics.csv").stat().st_mtime_ns
    weights = sorted((trained.folder / "checkpoints").rglob("*"))
    record = api.run("train", **SMALL | {"points": trained.points, "resume": True})
    assert record.provenance["question"] == "train"
    assert sorted((trained.folder / "checkpoints").rglob("*")) == weights
    assert (trained.folder / "metrics.csv").stat().st_mtime_ns >= before


def test_other_data_is_not_gone_on_with(trained: Params, tmp_path: Path) -> None:
    made = params(tmp_path)
    where = Path(made.folder)
    where.mkdir(parents=True)
    said = json.loads((trained.folder / "train.json").read_text())
    (where / "train.json").write_text(json.dumps(said | {"data_fingerprint": "another"}))
    with pytest.raises(InputError, match=r"^the data of .* must be what the training began with; "):
        _point.work(str(where), made.model_dump(mode="json"))


def test_other_processes_are_not_gone_on_with(trained: Params, tmp_path: Path) -> None:
    made = params(tmp_path)
    where = Path(made.folder)
    where.mkdir(parents=True)
    said = json.loads((trained.folder / "train.json").read_text())
    said["facts"]["processes"] = 2
    (where / "train.json").write_text(json.dumps(said))
    with pytest.raises(InputError) as error:
        _point.work(str(where), made.model_dump(mode="json"))
    assert str(error.value) == (
        "the processes of this training must be 2, as it began; got 1; torchrun --nproc-per-node 2"
    )


def test_two_do_not_train_one_network(tmp_path: Path) -> None:
    made = params(tmp_path)
    with sweep.claimed(made.folder), pytest.raises(sweep.Busy) as error:
        api.run("train", **SMALL | {"points": made.points})
    assert str(error.value) == (
        f"{made.folder} must be free; got one that another process works on; wait until it ends"
    )


def test_ctrl_c_says_what_stays(tmp_path: Path) -> None:
    made = params(tmp_path)

    def progress(_name: str, _total: int) -> Any:
        steps = iter(range(100))

        def tick() -> None:
            if next(steps) == 14:  # 11 steps an epoch: in the second one
                raise KeyboardInterrupt

        return tick

    with pytest.raises(SnnlensError) as error:
        api.run("train", progress=progress, **SMALL | {"points": made.points})
    assert error.value.exit_code == 130
    assert str(error.value) == (
        f"interrupted; 1 of 2 epochs are whole and stay in {made.folder}; go on with --resume"
    )
    assert not sweep.is_claimed(made.folder)


NET = '''
import torch, snnlens
from torch import nn

class Net(nn.Module):
    """[B, 3, 8, 8] in, [T, B, 10] out."""
    def __init__(self):
        super().__init__()
        self.up, self.spikes, self.out = nn.Linear(192, 24), snnlens.LIF(), nn.Linear(24, 10)
    def forward(self, x):
        return self.out(self.spikes(self.up(x.flatten(1)).expand(4, -1, -1)))

def build():
    return Net()
'''


def test_a_model_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trainee.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    options = {**SMALL, "model": "trainee.py:build", "points": "points", "epochs": 3, "lr": 0.5}
    del options["time_steps"]  # it says T itself
    result = api.analyse("train", api.run("train", **options))
    assert result.table["train_loss"].iloc[-1] < 0.8 * result.table["train_loss"].iloc[0]
    layers = result.extra["layers_by_epoch"]
    assert set(layers["site"]) == {"spikes"}
    assert sorted(set(layers["epoch"])) == [0, 1, 2, 3]
    assert "by_epoch" not in result.extra  # it has no residual blocks
    assert len(result.plot().axes) >= 4


def test_the_weights_of_a_training_are_asked_for_by_its_folder(trained: Params) -> None:
    """A file of weights alone does not say T, neuron or connect."""
    (weights,) = trained.folder.glob("checkpoints/*/weights.safetensors")
    with pytest.raises(InputError) as error:
        api.run("rates", source=str(weights))
    assert str(error.value) == (
        "RUN|CHECKPOINT must be the folder of its training, which says what network it is; got "
        f"{str(weights)!r}; give {trained.folder}"
    )


def test_a_training_says_its_end(trained: Params) -> None:
    result = api.analyse("train", _collect.collect([trained], "train", trained))
    last = folder.metrics(trained.folder).iloc[-1]
    best = folder.metrics(trained.folder)["test_top1"]
    at = int(best.argmax()) + 1
    assert result.caption.startswith(
        f"sew-add-8-s0: after 2 epochs training loss {last['train_loss']:.4g}, test accuracy "
        f"{last['test_top1']:.2f} % (best {best.max():.2f} %, after {at}); digits"
    )
    assert "chance" not in result.caption
    record = _collect.collect([trained], "train", trained)
    record.tables["curves"]["train_loss"] = 2.27  # within 2 % of ln 10
    told = api.analyse("train", record).caption
    assert ", no better than chance (ln 10 = 2.303); digits" in told
