"""A checkpoint comes back bit for bit, is whole or not there, and says what is wrong with it."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from snnlens import atomic
from snnlens.errors import InputError
from snnlens.training import checkpoint

KINDS = {
    "sgd": lambda w: torch.optim.SGD(w, lr=0.1, momentum=0.9),
    "plain sgd": lambda w: torch.optim.SGD(w, lr=0.1),
    "adam": lambda w: torch.optim.Adam(w, lr=0.01),
}


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 2))


def step(model: nn.Module, optimiser: torch.optim.Optimizer, count: int) -> None:
    for _ in range(count):
        optimiser.zero_grad()
        model(torch.randn(6, 4)).square().sum().backward()  # from the global random state
        optimiser.step()


def scaler() -> Any:
    return torch.amp.GradScaler("cpu", enabled=False)


@pytest.mark.parametrize("kind", KINDS)
def test_training_goes_on_as_if_it_had_not_stopped(kind: str, tmp_path: Path) -> None:
    one = network()
    optimiser = KINDS[kind](one.parameters())
    step(one, optimiser, 3)
    checkpoint.save(tmp_path, 3, one, optimiser, scaler())
    step(one, optimiser, 2)

    other = network()
    restored = KINDS[kind](other.parameters())
    torch.manual_seed(99)
    kept = checkpoint.load(tmp_path)
    assert kept is not None
    assert kept.epoch == 3
    kept.restore(other, restored, scaler())
    step(other, restored, 2)
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_a_loss_scale_comes_back(tmp_path: Path) -> None:
    model, given = network(), torch.amp.GradScaler("cpu", init_scale=512.0, enabled=True)
    optimiser = KINDS["sgd"](model.parameters())
    given.scale(model(torch.randn(6, 4)).sum()).backward()
    given.step(optimiser)
    given.update(256.0)
    checkpoint.save(tmp_path, 1, model, optimiser, given)
    back = torch.amp.GradScaler("cpu", enabled=True)
    kept = checkpoint.load(tmp_path)
    assert kept is not None
    kept.restore(model, optimiser, back)
    assert back.get_scale() == 256.0
    assert back.state_dict() == given.state_dict()


def test_only_the_newest_stays_and_nothing_else_lies_there(tmp_path: Path) -> None:
    model = network()
    optimiser = KINDS["sgd"](model.parameters())
    for epoch in (1, 2, 10, 10):  # the tenth was undone and made again
        checkpoint.save(tmp_path, epoch, model, optimiser, scaler())
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["epoch-0010"]


def test_the_newest_is_read_by_number_not_by_name(tmp_path: Path) -> None:
    model = network()
    optimiser = KINDS["sgd"](model.parameters())
    path = checkpoint.save(tmp_path, 9999, model, optimiser, scaler())
    path.rename(tmp_path / "kept")
    checkpoint.save(tmp_path, 10000, model, optimiser, scaler())
    (tmp_path / "kept").rename(path)
    kept = checkpoint.load(tmp_path)
    assert kept is not None
    assert kept.epoch == 10000


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert checkpoint.load(tmp_path) is None


@pytest.mark.parametrize("part", ["weights", "optimiser", "random"])
@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_damaged_file_is_named(part: str, damage: str, tmp_path: Path) -> None:
    model = network()
    optimiser = KINDS["sgd"](model.parameters())
    step(model, optimiser, 1)
    path = checkpoint.save(tmp_path, 1, model, optimiser, scaler()) / f"{part}.safetensors"
    data = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    else:
        data[-1] ^= 1
        path.write_bytes(data[:-9] if damage == "cut" else data)
    got = "cut or changed" if damage == "gone" else "other bytes"
    with pytest.raises(InputError) as error:
        checkpoint.load(tmp_path)
    assert str(error.value) == (
        f"{path} must be as written; got {got!r}; remove that folder and begin again with --force"
    )


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    model = network()
    path = checkpoint.save(tmp_path, 1, model, KINDS["sgd"](model.parameters()), scaler())
    state = json.loads((path / "state.json").read_text())
    (path / "state.json").write_text(json.dumps(state | {"schema": 2}))
    with pytest.raises(InputError) as error:
        checkpoint.load(tmp_path)
    assert str(error.value) == (
        f"the schema version of {path} must be 1; got 2; read it with the snnlens that wrote it"
    )


@pytest.mark.parametrize("file", [0, 1, 2, 3])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_the_last_whole_one(
    file: int, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills in the middle of each of the four files in turn."""
    model = network()
    optimiser = KINDS["sgd"](model.parameters())
    step(model, optimiser, 1)
    checkpoint.save(tmp_path, 1, model, optimiser, scaler())
    before = {k: v.clone() for k, v in model.state_dict().items()}
    step(model, optimiser, 1)
    written, write = [], atomic._synced

    def full(path: Path, data: bytes) -> None:
        written.append(path)
        if len(written) == file + 1:
            write(path, data[: len(data) // 2])
            raise OSError(number, "full")
        write(path, data)

    monkeypatch.setattr(atomic, "_synced", full)
    with pytest.raises(InputError) as error:
        checkpoint.save(tmp_path, 2, model, optimiser, scaler())
    assert str(error.value) == (
        f"the disk of the checkpoint must be with room; got 'full'; the last whole one stays in "
        f"{tmp_path / 'checkpoints'}; make room and go on with --resume"
    )
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["epoch-0001"]
    kept = checkpoint.load(tmp_path)
    assert kept is not None
    assert kept.weights.keys() == before.keys()
    assert all(torch.equal(kept.weights[k], before[k]) for k in before)


def test_another_error_of_the_disk_is_no_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path, data: bytes) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(atomic, "_synced", broken)
    model = network()
    with pytest.raises(InputError) as error:
        checkpoint.save(tmp_path, 1, model, KINDS["sgd"](model.parameters()), scaler())
    assert str(error.value) == (
        "the checkpoint must be one that can be written; got 'broken'; the last whole one stays in "
        f"{tmp_path}/checkpoints; go on with --resume"
    )
