"""batch_norm against numpy's variance of the kept inputs, channel by channel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

from snnlens.probes.batch_norm import BatchNorm
from snnlens.recording.recorder import Recorder
from tests.unit.recording import brute

EPS = 1e-5


def scaled(shape: tuple[int, ...], axis: int) -> Tensor:
    """Channel c of variance 10^-c about 100: the first five above eps, the others below it."""
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    channels = torch.arange(shape[axis], dtype=torch.float64)
    sizes = [1] * len(shape)
    sizes[axis] = -1
    x = x - x.mean([a for a in range(len(shape)) if a != axis], keepdim=True)
    x = x / x.square().mean([a for a in range(len(shape)) if a != axis], keepdim=True).sqrt()
    return 100 + x * (1.5 * 10**-channels).sqrt().view(sizes)


CASES = {
    "1d, no positions": (nn.BatchNorm1d, (40, 8), 1),
    "1d": (nn.BatchNorm1d, (6, 8, 7), 1),
    "2d": (nn.BatchNorm2d, (3, 8, 4, 5), 1),
    "3d": (nn.BatchNorm3d, (2, 8, 2, 3, 4), 1),
    "jelly 1d, no positions": (lambda c: layer.BatchNorm1d(c, step_mode="m"), (4, 10, 8), 2),
    "jelly 2d": (lambda c: layer.BatchNorm2d(c, step_mode="m"), (4, 3, 8, 4, 5), 2),
    "jelly 2d, one step": (lambda c: layer.BatchNorm2d(c, step_mode="s"), (3, 8, 4, 5), 1),
}


@pytest.mark.parametrize("name", CASES)
def test_by_channels_that_are_known(name: str) -> None:
    make, shape, axis = CASES[name]
    module, x = make(8).double(), scaled(shape, axis)
    found = BatchNorm().around(None, module, x, module(x))  # type: ignore[arg-type]
    rows = np.moveaxis(x.numpy(), axis, 0).reshape(8, -1)
    assert found["samples"] == rows.shape[1]
    assert found["channels"] == 8
    assert found["flat_channels"] == (rows.var(1) < EPS).sum() == 2  # 1.5e-6 and 1.5e-7
    assert all(v.dtype == torch.int64 for v in found.values())


def test_a_float32_variance_beside_a_large_mean() -> None:
    """Variance 1.4e-5 about 300: a one-pass sum of squares in float32 would say 0 or less."""
    step = 2.0**-15  # of float32 there
    x = torch.tensor([300.0, 300 + 240 * step]).repeat(64)[:, None]
    assert x.numpy().astype(np.float64).var() == pytest.approx((120 * step) ** 2)
    module = nn.BatchNorm1d(1)
    found = BatchNorm().around(None, module, x, module(x))  # type: ignore[arg-type]
    assert found["flat_channels"] == 0
    module.eps = 1.5e-5
    found = BatchNorm().around(None, module, x, module(x))  # type: ignore[arg-type]
    assert found["flat_channels"] == 1


def test_the_variance_is_that_of_a_population() -> None:
    """Of -a and a it is a^2, not 2 a^2."""
    a = (0.75 * EPS) ** 0.5
    module, x = nn.BatchNorm1d(1), torch.tensor([[-a], [a]])
    assert BatchNorm().around(None, module, x, module(x))["flat_channels"] == 1  # type: ignore[arg-type]


def test_the_variance_that_normalises() -> None:
    """In evaluation mode running_var; the batch's own where there is none."""
    x = scaled((40, 8), 1).float()
    module = nn.BatchNorm1d(8).eval()
    assert BatchNorm().around(None, module, x, x)["flat_channels"] == 0  # type: ignore[arg-type]
    module.running_var[:3] = 1e-6  # type: ignore[index]
    found = BatchNorm().around(None, module, x, x)  # type: ignore[arg-type]
    assert (found["flat_channels"], found["samples"]) == (3, 40)
    module = nn.BatchNorm1d(8, track_running_stats=False).eval()
    assert BatchNorm().around(None, module, x, x)["flat_channels"] == 2  # type: ignore[arg-type]


def test_of_a_network_with_a_silent_block() -> None:
    """A layer that gets nothing is flat in all channels; T x B x H x W numbers each."""
    model = brute.small("sew", "add", time_steps=3)
    with torch.no_grad():
        model.get_submodule("layer2.0.conv1").weight.zero_()  # type: ignore[operator]
    norms = {n: m for n, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    kept: dict[str, list[np.ndarray]] = {n: [] for n in norms}
    for name, norm in norms.items():
        norm.register_forward_hook(
            lambda _m, args, _o, name=name: kept[name].append(args[0].detach().double().numpy())
        )
    with Recorder(model, [BatchNorm()]) as recorder:
        for size in (4, 2, 6):
            brute.loss(model, brute.batch(size)).backward()
    frame = recorder.frame().dropna(subset="norm_samples").set_index("site")
    assert sorted(frame.index) == sorted(norms)
    for name, arrays in kept.items():
        rows = [np.moveaxis(a, 1, 0).reshape(a.shape[1], -1) for a in arrays]
        flat = np.concatenate([r.var(1) < EPS for r in rows])
        assert frame.loc[name, "norm_samples"] == min(r.shape[1] for r in rows)
        assert frame.loc[name, "flat_channel_share"] == flat.mean()
    assert frame.loc["layer2.0.bn1", "flat_channel_share"] == 1
    assert frame.loc["bn1", "norm_samples"] == 2 * 8 * 8  # a still image passes the stem once
    assert frame.loc["layer1.0.bn1", "norm_samples"] == 3 * 2 * 8 * 8


@pytest.mark.parametrize("mode", ["m", "s"])
def test_of_spikingjelly_whole_and_per_step(mode: str) -> None:
    """Folded over T, a statistic has T times the samples."""
    torch.manual_seed(0)
    net = nn.Sequential(layer.Conv2d(2, 5, 3), layer.BatchNorm2d(5), neuron.IFNode())
    functional.set_step_mode(net, mode)
    x = torch.randn(4, 3, 2, 6, 6)
    with Recorder(net, [BatchNorm()]) as recorder:
        for part in [x] if mode == "m" else x:
            net(part)
    row = recorder.frame().set_index("site").loc["1"]
    assert row["norm_samples"] == (4 if mode == "m" else 1) * 3 * 4 * 4
    assert row["flat_channel_share"] == 0
    table = recorder.record().table("batch_norm")
    assert table["channels"].tolist() == [5 if mode == "m" else 20]
