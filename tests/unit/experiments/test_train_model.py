"""What a training asks of a user's model: that it stays the same one, and which axis is time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snnlens import api
from snnlens.adapters._survey import survey
from snnlens.errors import InputError
from snnlens.experiments import _collect, _point
from snnlens.experiments._params import command
from snnlens.experiments.train import Params
from snnlens.neuron.layers import LIF
from snnlens.training import folder
from tests.unit.experiments.test_train import NET, SMALL

T = 4


class Layout(nn.Module):
    """Puts out [T, B, 2] or [B, T, 2]: the sample's own number at every step."""

    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.batch_first, self.spikes = batch_first, LIF()

    def forward(self, x: Tensor) -> Tensor:
        out = x.flatten(1)[:, :2].expand(T, -1, -1)
        return out.transpose(0, 1) if self.batch_first else out


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("sizes", [(8, 4, 3), (3, 8, 4, 4)])
def test_the_mean_is_over_time_even_where_the_batch_is_as_large(
    batch_first: bool, sizes: tuple[int, ...]
) -> None:
    model = Layout(batch_first)
    learner = _point.Learner(model, survey(model), Params(model="my.net:build"))
    for size in sizes:
        x = torch.arange(size * 4.0).view(size, 1, 2, 2)
        assert torch.equal(learner.logits(model, x), x.flatten(1)[:, :2])


def test_an_output_of_other_axes_is_refused() -> None:
    model = Layout(batch_first=False)
    learner = _point.Learner(nn.Identity(), survey(model), Params(model="my.net:build"))
    with pytest.raises(InputError) as error:
        learner.logits(nn.Identity(), torch.zeros(3, 1, 2, 2))
    assert str(error.value) == (
        "what the model returns must be [B, classes], or [T, B, classes] or [B, T, classes]; got "
        "[3, 1, 2, 2]"
    )


def options(**more: Any) -> dict[str, Any]:
    small = {name: value for name, value in SMALL.items() if name != "time_steps"}
    return {**small, "model": "trainee.py:build", "points": "points", "record_every": 0} | more


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's file in the current folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "trainee.py"
    path.write_text(NET)
    return path


def test_the_name_of_the_users_folder_hides_no_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clone of this repository is called snnlens, too: only the package itself is left out."""
    place = tmp_path / "snnlens"
    place.mkdir()
    (place / "trainee.py").write_text(NET)
    monkeypatch.chdir(place)
    params = Params(**options())
    assert _point._sources(params.model, _point.build(params, 10)) == {place / "trainee.py"}


def test_an_edited_model_is_not_gone_on_with(net: Path) -> None:
    """Same parameters, same shapes, another function: once begun, once finished."""
    api.run("train", **options())
    net.write_text(NET.replace("return self.out(", "return 0 * self.out("))
    with pytest.raises(InputError) as error:
        api.run("train", **options(resume=True))
    where = Params(**options()).folder
    assert str(error.value) == (
        f"the model of {where} must be what the training began with; got 'changed since'; put it "
        "back, or begin again in another folder: --points"
    )
    net.write_text(NET)
    api.run("train", **options(resume=True))


def test_a_training_that_cannot_begin_leaves_nothing(net: Path) -> None:
    for model in ("trainee.py:nope", "nothing.py:build", "no_such_module:build"):
        with pytest.raises(InputError):
            api.run("train", **options(model=model))
    assert [p.name for p in net.parent.iterdir() if p.name != "__pycache__"] == ["trainee.py"]


def test_trainings_on_different_data_make_no_record(tmp_path: Path) -> None:
    both = [Params(**SMALL | {"points": str(tmp_path), "seed": s, "epochs": 1}) for s in (0, 1)]
    for one in both:
        _point.work(str(one.folder), one.model_dump(mode="json"))
    _collect.collect(both, "degradation", both[0])
    said = both[1].folder / folder.DESCRIPTION
    text = said.read_text()
    own = folder.description(both[1].folder)["data_fingerprint"]
    said.write_text(text.replace(own, "0" * 64))
    with pytest.raises(InputError) as error:
        _collect.collect(both, "degradation", both[0])
    assert str(error.value) == (
        "the data of sew-add-8-s1 must be that of sew-add-8-s0; got 'other bytes'; train both "
        "again in another folder: --points"
    )


def test_a_record_newer_than_the_last_whole_epoch_does_not_count(tmp_path: Path) -> None:
    one = Params(**SMALL | {"points": str(tmp_path)})
    _point.work(str(one.folder), one.model_dump(mode="json"))
    folder.cut_metrics(one.folder, 1)
    rows = _collect.collect([one], "train", one).tables["by_epoch"]
    assert sorted(set(rows["epoch"])) == [0, 1]


def test_the_threads_are_those_that_it_began_with(tmp_path: Path) -> None:
    given = SMALL | {"points": str(tmp_path), "record_every": 0}
    one = Params(**given | {"threads": 1, "epochs": 1})
    _point.work(str(one.folder), one.model_dump(mode="json"))
    again = Params(**given | {"threads": None, "epochs": 1})
    assert again.folder == one.folder
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert _point._threads(again, again.folder) == 1
        assert _point._threads(again, tmp_path / "new") == 2
        assert _point._threads(again.model_copy(update={"threads": 3}), again.folder) == 3
    finally:
        torch.set_num_threads(before)


def test_a_7b_net_says_its_neuron() -> None:
    """The class' default is IF, that of a 7B-Net PLIF: a command that left it out would differ."""
    plain, chosen = Params(model="sew_7b_net"), Params(model="sew_7b_net", neuron="if")
    assert plain.neuron == "plif"
    assert command("train", plain) == "snnlens train sew_7b_net --neuron plif"
    assert command("train", chosen) == "snnlens train sew_7b_net --neuron if"


def test_steps_are_left_out_of_frames_alone() -> None:
    with pytest.raises(InputError) as error:
        Params(model="sew_resnet8", train_steps=2)
    assert str(error.value) == "train_steps must be left out: digits has no frames; got 2"


def test_a_command_on_several_processes() -> None:
    said = _collect.launched(command("train", Params(model="sew_resnet8")), 8)
    assert said == "torchrun --nproc-per-node 8 -m snnlens train sew_resnet8"


def test_the_recorded_batch_is_of_all_classes(tmp_path: Path) -> None:
    """Data may lie in the order of their classes."""
    one = Params(**SMALL | {"points": str(tmp_path), "batch": 100})
    train_set, _ = _point.load_sets(one)
    order = train_set.labels.argsort(stable=True).numpy()
    by_class = type(train_set)(
        train_set.source, train_set.indices[order], 8, train_set.description, "train"
    )
    model = _point.build(one, 10)
    watch = _point.Observer(
        _point.Learner(model, survey(model), one), by_class, tmp_path, _point.ALONE
    )
    assert len(set(watch.y.tolist())) == 10
