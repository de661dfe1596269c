"""Cases that once gave a wrong number, or none: each with its number by a loop of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import snnlens
from snnlens.attribution import Options, attribute, method_named, metrics
from snnlens.attribution.methods.sam import spike_activation_map
from snnlens.errors import InputError

EQUAL = {"rtol": 1e-12, "atol": 1e-14}  # float64, another order of sums


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


class Repeats(nn.Module):
    """A static model: it shows the image T times, and has as many channels as steps if asked."""

    def __init__(self, channels: int, steps: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.steps = nn.Conv2d(channels, 4, 3, padding=1).double(), steps
        self.n, self.fc = snnlens.IF(threshold=0.3), nn.Linear(4, 3).double()

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.fc(self.n(y.expand(self.steps, *y.shape)).mean((0, 3, 4)))  # type: ignore[no-any-return]


SIZES = [(4, 3, 3), (3, 3, 3), (2, 1, 1), (4, 1, 1), (2, 2, 2), (1, 3, 3)]


@pytest.mark.parametrize(("samples", "channels", "steps"), SIZES)
def test_channels_that_are_as_many_as_steps_are_no_steps(
    samples: int, channels: int, steps: int
) -> None:
    x = rand(samples, channels, 6, 6)
    maps = snnlens.attribute(Repeats(channels, steps), x, 1, method="saliency")
    assert maps.place == "n"
    assert maps.values.shape == (samples, steps, 4, 6, 6)
    assert maps.image is not None
    assert maps.image.values.shape == (samples, 1, channels, 6, 6)


@pytest.mark.parametrize(("steps", "samples"), [(3, 5), (3, 3), (1, 5), (5, 1), (1, 1), (2, 1)])
@pytest.mark.parametrize("first", [True, False])
def test_sequences_stay_sequences(steps: int, samples: int, first: bool) -> None:
    """Also where an axis has one entry, and where both are as long."""
    net: nn.Module = nn.Sequential(nn.Linear(4, 3), snnlens.IF()).double()
    if not first:
        net = Turned(net)
    x = rand(*((steps, samples) if first else (samples, steps)), 4)
    with snnlens.bridge(net, x) as bridge:
        assert bridge.x.shape == (samples, steps, 4)
        assert bridge.entering == ("time first" if first else "batch first")
        assert bridge.steps == steps


class Turned(nn.Module):
    """Batch first outside."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.transpose(0, 1)).transpose(0, 1)  # type: ignore[no-any-return]


class Flat(nn.Module):
    """[T, B, ...] in, [T B, classes] out, the steps outermost."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.net = nn.Sequential(
            nn.Linear(4, 6), snnlens.IF(threshold=0.2), nn.Linear(6, 3)
        ).double()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).flatten(0, 1)  # type: ignore[no-any-return]


def test_an_output_that_is_folded_time_first() -> None:
    net, x = Flat(), rand(5, 2, 4)
    with snnlens.bridge(net, x) as bridge:
        torch.testing.assert_close(bridge(bridge.x), net.net(x).mean(0), **EQUAL)
        assert bridge.alone_difference == pytest.approx(0, abs=1e-12)


class Twice(nn.Module):
    """One neuron module in two places."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.a, self.b = nn.Linear(4, 6).double(), nn.Linear(6, 6).double()
        self.n, self.m = snnlens.IF(threshold=0.2), snnlens.IF(threshold=0.2)

    def forward(self, x: Tensor) -> Tensor:
        return self.m(self.b(self.n(self.b(self.n(self.a(x))))))  # type: ignore[no-any-return]


def test_a_layer_that_runs_twice_is_not_twice_as_many_steps() -> None:
    x = rand(5, 2, 4)
    with snnlens.bridge(Twice(), x) as bridge:
        assert (bridge.steps, bridge.sites) == (5, ["m"])
        maps = attribute(bridge, bridge.x, torch.tensor([0, 1]), "saliency")
        assert maps.values.shape == (2, 5, 4)
        with pytest.raises(InputError) as error:
            attribute(bridge, bridge.x, torch.tensor([0, 1]), "sam", Options(at="n"))
    assert str(error.value) == (
        "the layer n must be run once, or once per step; got 'run 2 times in a pass'; "
        "give each place a neuron of its own"
    )


def test_a_gradient_that_is_smoothed_is_still_a_gradient() -> None:
    """For a linear f its infidelity is 0 only where it is multiplied by what was deleted."""

    class Linear(nn.Module):
        def score(self, x: Tensor, target: Tensor) -> Tensor:
            return (x * weights).flatten(1).sum(1)

    weights, x = rand(5, 4, seed=3) - 0.5, rand(3, 5, 4, seed=4)
    maps, target = weights.expand(3, 5, 4), torch.zeros(3, dtype=torch.int64)
    for name, smooths, local in (
        ("smoothgrad", "saliency", True), ("smoothgrad", "ig", False), ("saliency", "", True),
        ("ig", "saliency", False),
    ):  # fmt: skip
        assert method_named(name).local(Options(smooths=smooths or "saliency")) is local
    exact = metrics.infidelity(Linear(), x, target, maps, local=True)
    wrong = metrics.infidelity(Linear(), x, target, maps, local=False)
    assert float(exact.max()) < 1e-12
    assert float(wrong.min()) > 1e-3


# --- whole runs --------------------------------------------------------------------------------


SEQUENCE = """
import torch, snnlens
from torch import nn
def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), snnlens.IF(threshold=.3), nn.Linear(8, 6),
                         snnlens.IF(threshold=.3), nn.Linear(6, 3))
def dead():
    net = build()
    nn.init.zeros_(net[4].weight)
    return net
"""
STATIC = """
import torch, snnlens
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 3, 3, padding=1), nn.Linear(3, 2)
        self.n = snnlens.IF(threshold=.3)
    def forward(self, x):
        y = self.conv(x)
        return self.fc(self.n(y.expand(4, *y.shape)).mean((0, 3, 4)))
def build():
    torch.manual_seed(0)
    return Net()
"""


def ran(tmp_path: Path, code: str, x: Tensor, factory: str = "build", **options: Any) -> Any:
    (tmp_path / "made.py").write_text(code)
    save_file(
        {"x": x.contiguous(), "y": torch.zeros(2, dtype=torch.int64)}, tmp_path / "x.safetensors"
    )
    asked = {"belief": "all", "steps": 4, "points": 2, "random_orders": 3, "threads": 1} | options
    return snnlens.run("attribution", model=f"{tmp_path / 'made.py'}:{factory}",
                       input=str(tmp_path / "x.safetensors"), **asked)  # fmt: skip


def trust(record: Any, method: str) -> pd.Series:
    rows = record.tables["attribution_trust"].query("method == @method")
    return rows.set_index(["place", "sample"])["sensitivity"]


def test_sensitivity_is_of_the_map_of_the_row(tmp_path: Path) -> None:
    """With `at` the layer's spikes are moved, and the map over them is compared."""
    x = (rand(6, 2, 4) > 0.5).float()
    record = ran(tmp_path, SEQUENCE, x, method="input_x_gradient", at="1")
    from snnlens.experiments._model import load_model

    model = load_model(f"{tmp_path / 'made.py'}:build")
    target = torch.zeros(2, dtype=torch.int64)
    with snnlens.bridge(model, x, target) as bridge:
        inner, spikes = bridge.behind("1", bridge.x), bridge.spikes(bridge.x)["1"]
        method = method_named("input_x_gradient")
        wanted = metrics.sensitivity(inner, spikes, target, method, Options(steps=4), draws=4)
        other = metrics.sensitivity(bridge, bridge.x, target, method, Options(steps=4), draws=4)
    mine = trust(record, "input_x_gradient").loc["1"]
    torch.testing.assert_close(torch.tensor(mine.to_numpy()), wanted.double(), rtol=1e-5, atol=1e-7)
    assert not torch.allclose(wanted, other, rtol=1e-2)


def test_a_static_network_with_one_layer(tmp_path: Path) -> None:
    """SAM of the encoder moves with the pixels; nothing lies behind it, and nothing crashes."""
    x = rand(2, 1, 5, 5).float()
    record = ran(tmp_path, STATIC, x, method="sam,gradcam,ig")
    moved = trust(record, "sam")
    assert moved.index.get_level_values("place").unique().tolist() == ["n"]
    assert moved.notna().all()
    result = snnlens.analyse("attribution", record)
    image = result.extra["summary"].query("method == 'ig' and place == 'input'").iloc[0]
    assert pd.isna(image["rank_correlation_weights"])  # no variant of the pixels' map was made
    assert result.plot() is not None


def test_a_network_that_hears_nothing_is_not_judged(tmp_path: Path) -> None:
    x = (rand(6, 2, 4) > 0.5).float()
    result = snnlens.analyse("attribution", ran(tmp_path, SEQUENCE, x, "dead", method="ig,tsa"))
    verdicts = {c.id: c.verdict for c in result.claims}
    assert verdicts["deletion-ig"] == verdicts["deletion-tsa"] == "not-testable"
    assert "SNL603" not in {f.code for f in result.findings}


def test_sam_is_the_double_sum() -> None:
    """M(t) = sum over earlier spikes t' of e^(-gamma (t - t')) where the neuron fires at t."""
    spikes = (rand(2, 7, 3, 2, 2) > 0.4).double()
    wanted = torch.zeros(2, 7, 3, 2, 2, dtype=torch.float64)
    for t in range(7):
        for earlier in range(t):
            wanted[:, t] += (
                spikes[:, t] * spikes[:, earlier] * torch.tensor(-0.5 * (t - earlier)).exp()
            )
    torch.testing.assert_close(spike_activation_map(spikes, 0.5), wanted.sum(2, keepdim=True),
                               rtol=1e-6, atol=1e-9)  # fmt: skip
