"""The check-up's own tests of a model: state, modes, axes; and that it leaves the model alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnlens
from snnlens import api
from snnlens.errors import InputError, NothingToRecord
from snnlens.experiments import checkup


def net() -> nn.Sequential:
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(6, 16), snnlens.LIF(), nn.Linear(16, 3), snnlens.LIF())
    return loud(made)


def loud(model: nn.Module) -> Any:
    """Weights large enough for spikes everywhere."""
    for weight in model.parameters():
        weight.data.mul_(4)
    return model


def data(steps: int = 4, samples: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return 4 * torch.rand(steps, samples, 6, generator=generator), torch.arange(samples) % 3


def tried(model: nn.Module, x: Tensor, y: Tensor | None = None, **options: Any) -> dict[str, Any]:
    record = checkup.of(model, x, y, checkup.Params(model="net", **options))
    return record.networks["net"]["tests"]


def test_a_clean_network() -> None:
    found = tried(net(), *data())
    assert found["repeat"] == {"difference": 0.0, "after_reset": 0.0, "samples": 4}
    assert (found["time"]["before"], found["time"]["step"]) == (0.0, 2)
    assert (found["samples"]["others"], found["samples"]["sample"]) == (0.0, 2)
    assert found["modes"]["difference"] in (0.0, None)
    assert found["modes"]["batches_tracked"] is None


def test_state_that_is_kept_is_found_and_the_adapters_reset_helps() -> None:
    class Kept(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.sn = nn.Linear(6, 4), snnlens.LIF(keep_state=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.sn(self.fc(x))

    torch.manual_seed(0)
    found = tried(loud(Kept()), *data(samples=3))["repeat"]
    assert found["difference"] > 0
    assert found["after_reset"] == 0


def test_dropout_is_no_forgotten_reset() -> None:
    model = nn.Sequential(*net(), nn.Dropout(0.5)).train()
    found = tried(model, *data())["repeat"]
    assert (found["difference"], found["after_reset"]) == (0.0, 0.0)


def test_silence_proves_nothing_of_a_reset() -> None:
    silent = nn.Sequential(nn.Linear(6, 4), snnlens.IF(threshold=1e3))
    assert "no layer fired" in tried(silent, *data())["repeat"]["not_applicable"]


def test_state_that_no_adapter_resets_is_found_all_the_same() -> None:
    """Of 5 samples, while the test takes 4: the state of the recorded pass must not meet it."""

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.v: Any = 0.0

        def forward(self, x: Tensor) -> Tensor:
            self.v = 0.9 * self.v + x
            return (self.v > 1).float()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.sn = nn.Linear(6, 4), Own()

        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([self.sn(self.fc(step)) for step in x])

    torch.manual_seed(0)
    x, y = data()
    result = snnlens.checkup(loud(Net()), x, y % 3, spiking=[Own])
    assert result.caption.startswith("Net: T = 4 one call per step, binary, 1 spiking layer")
    assert "SNL101" in [f.code for f in result.findings]


def test_a_step_that_looks_ahead_is_found() -> None:
    class Ahead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = net()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x.flip(0))

    found = tried(Ahead(), *data())["time"]
    assert found["before"] > 0


def test_samples_that_mix_are_found() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = net()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x.roll(1, dims=1))

    assert tried(Mixed(), *data())["samples"]["others"] > 0


def test_a_batch_taken_for_time_is_found() -> None:
    """x is [B, T, ...] and y says so: the network carries state from sample to sample."""
    x, y = data(samples=7)
    torch.manual_seed(0)
    carries = nn.Sequential(nn.Linear(6, 16), snnlens.IF(), nn.Linear(16, 3), snnlens.IF())
    found = tried(carries, x.transpose(0, 1).contiguous(), y)
    assert found["samples"]["others"] > 0


def test_running_statistics_that_do_not_fit() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(0, 1), nn.BatchNorm1d(6), nn.Unflatten(0, (4, -1)), *net())
    x, y = data()
    assert tried(model, x, y)["modes"]["batches_tracked"] == 0
    model(x)
    model[1].running_mean.fill_(100.0)
    found = tried(model, x, y)["modes"]
    assert found["batches_tracked"] == 1
    train, evaluated = found["rates"]["4"]
    assert abs(train - evaluated) > 0.2


def test_accuracy_after_each_step() -> None:
    """The mean so far, by hand."""
    x, y = data()
    model = net()
    found = tried(model, x, y)["output"]
    out = model(x).detach()
    right = [float((out[: t + 1].mean(0).argmax(1) == y).double().mean()) for t in range(4)]
    assert found["accuracy_after"] == right
    assert found["accuracy"] == right[-1]


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was(*, training: bool) -> None:
    model = net().train(training)
    model[0].weight.grad = torch.ones_like(model[0].weight)
    twin, state = copy.deepcopy(model), torch.get_rng_state()
    snnlens.checkup(model, *data(), full=True)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(map(torch.equal, model.state_dict().values(), twin.state_dict().values()))
    assert torch.equal(model[0].weight.grad, torch.ones_like(model[0].weight))
    assert all(m.training is training for m in model.modules())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_without_targets_the_loss_is_said() -> None:
    result = snnlens.checkup(net(), data()[0])
    assert "sum of squares of the output" in result.caption


def test_full_adds_what_needs_whole_sequences() -> None:
    frame = snnlens.checkup(net(), *data(), full=True).table
    for name in ("isi_mean", "fano", "spatial_norm", "path_cosine", "detach_ratio"):
        assert frame[name].notna().any(), name


def test_a_model_called_once_per_step() -> None:
    class Step(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.sn = nn.Linear(6, 3), snnlens.LIF(keep_state=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.sn(self.fc(x)[None])[0]

    torch.manual_seed(0)
    x, y = data()
    model = loud(Step())
    table = snnlens.checkup(model, x, y, per_step=True).table
    spikes = torch.stack([model(step) for step in x])
    assert spikes.sum() > 0
    assert table["firing_rate"].tolist() == [float(spikes.detach().double().mean())]
    assert table["time_steps"].tolist() == [4]


def test_mistakes_are_one_line() -> None:
    with pytest.raises(NothingToRecord):
        snnlens.checkup(nn.Linear(2, 2), torch.rand(3, 2))
    with pytest.raises(InputError, match=r"^time_axis must be 0 or 1; got 2$"):
        snnlens.checkup(net(), *data(), time_axis=2)
    with pytest.raises(InputError, match=r"^a parameter must be one of "):
        snnlens.checkup(net(), *data(), fool=True)


def test_a_built_in_model_by_its_name() -> None:
    record = api.run("checkup", model="sew_resnet8", image_size=8, batch=4, time_steps=2, threads=1)
    facts = record.networks["sew_resnet8"]
    assert (facts["time_steps"], facts["samples"], facts["backward"]) == (2, 4, True)
    assert record.provenance["command"].startswith("snnlens checkup sew_resnet8 ")


def test_the_provenance_names_what_played_a_part() -> None:
    """T and the samples of a batch that is given are facts of the network, not options."""
    record = snnlens.checkup(net(), *data()).record
    said, facts = record.provenance["parameters"], record.networks["Sequential"]
    assert not {"batch", "image_size", "bin_ms", "time_steps"} & set(said)
    assert {"mode", "seed", "loss"} <= set(said)
    assert (facts["time_steps"], facts["samples"]) == (4, 5)
    built_in = api.run("checkup", model="sew_resnet8", image_size=8, batch=4, time_steps=2)
    assert {"batch": 4, "image_size": 8, "time_steps": 2}.items() <= dict(
        built_in.provenance["parameters"]
    ).items()
