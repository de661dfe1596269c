"""DA-QCFS against a plain loop, and its fixed points against the closed form."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from snnlens.conversion.activations import QCFS
from snnlens.conversion.calibration import calibrate
from snnlens.conversion.convert import convert
from snnlens.errors import InputError
from tests.unit.conversion.nets import relus

ALPHA = 0.99


def _chain() -> tuple[nn.Sequential, list[Tensor]]:
    torch.manual_seed(0)
    ann = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    return ann.double(), [torch.randn(40, 6).double() for _ in range(30)]


def test_as_published_by_a_plain_loop() -> None:
    """The procedure written out for two layers of an MLP."""
    ann, data = _chain()
    net, steps = convert(ann, time_steps=3, data=data), 3
    theta = [net.layers[n].theta for n in ("1", "3")]
    psi, phi = ([torch.zeros_like(t) for t in theta] for _ in range(2))
    for x in data:
        a = b = x
        for i, layer in enumerate((ann[0], ann[2])):
            a, b = layer(a).detach(), layer(b).detach()
            psi[i] = ALPHA * psi[i] + (1 - ALPHA) * (b - a).mean(0)
            k = torch.floor(((a + psi[i]) * steps) / theta[i] + 0.5).clamp(0, steps)
            a, b = (theta[i] + phi[i]) * k / steps, b.relu()
            phi[i] = ALPHA * phi[i] + (1 - ALPHA) * (b - a).mean(0)
    calibrate(ann, net, data)
    for i, name in enumerate(("1", "3")):
        assert torch.allclose(net.layers[name].bias, psi[i], rtol=0, atol=1e-12)
        assert torch.allclose(net.layers[name].gain, phi[i], rtol=0, atol=1e-12)
        assert phi[i].abs().max() > 1e-3  # something was there to correct


@pytest.mark.parametrize("variant", ["published", "zero-mean"])
def test_fixed_points(variant: str) -> None:
    """The same batch for ever: phi is e / (1 + E[q]) as published, and e / E[q] in the variant."""
    torch.manual_seed(1)
    ann = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).double()
    x = torch.randn(200, 6).double()
    net = convert(ann, time_steps=2, data=[x])
    calibrate(ann, net, [x] * 1500, variant=variant)
    layer, z = net.layers["1"], ann[0](x).detach()
    q = torch.floor(z * 2 / layer.theta + 0.5).clamp(0, 2) / 2
    error = (z.relu() - layer.theta * q).mean(0)
    wanted = error / (1 + q.mean(0)) if variant == "published" else error / q.mean(0)
    assert torch.allclose(layer.bias, torch.zeros(5).double())  # nothing is before the first layer
    assert torch.allclose(layer.gain, wanted, rtol=1e-4, atol=0)  # .99^1500 = 3e-7 of the start
    left = (z.relu() - (layer.theta + layer.gain) * q).mean(0)
    if variant == "zero-mean":
        assert left.abs().max() < 1e-4 * error.abs().max()
    else:  # it takes away the share E[q] / (1 + E[q])
        assert torch.allclose(left, error / (1 + q.mean(0)), rtol=1e-3)


def test_psi_takes_the_mean_error_of_the_input_away() -> None:
    ann, data = _chain()
    net = convert(ann, time_steps=2, data=data)
    calibrate(ann, net, [data[0]] * 2000)
    found: dict[str, Tensor] = {}
    net.layers["3"].register_forward_pre_hook(lambda _, g: found.update(z=g[0]))
    net.sum_first = True
    net(data[0])
    error = (ann[2](ann[1](ann[0](data[0]))) - found["z"]).mean(0)
    assert error.abs().max() > 1e-3
    assert torch.allclose(net.layers["3"].bias, error.detach(), rtol=1e-3, atol=1e-6)


def test_per_channel_of_images_and_the_train_agrees() -> None:
    """Each step and sum first agree with pre- and post-thresholds that differ."""
    ann, x = relus()
    net = calibrate(ann, convert(ann, time_steps=4, data=[x]), [x] * 20)
    assert net.layers["act2"].gain.shape == (6, 1, 1)
    each = net(x)
    net.sum_first = True
    assert torch.allclose(net(x), each, rtol=0, atol=1e-12)


def test_dense_layers_can_be_left_out() -> None:
    ann, data = _chain()
    net = calibrate(ann, convert(ann, time_steps=3, data=data), data, dense=False)
    assert not any(layer.gain.any() or layer.bias.any() for layer in net.layers.values())


def test_a_qcfs_reference_at_its_own_levels_needs_nothing() -> None:
    torch.manual_seed(0)
    ann = nn.Sequential(nn.Linear(6, 5), QCFS(4, 1.0), nn.Linear(5, 3)).double()
    x = torch.randn(50, 6).double()
    net = calibrate(ann, convert(ann, time_steps=4), [x] * 5)
    assert not net.layers["1"].gain.any()


@pytest.mark.parametrize(("options", "message"), [
    ({"method": "cos"}, "calibration must be one of da_qcfs; got 'cos'"),
    ({"alpha": 1.0}, "alpha must be above 0 and below 1; got 1.0"),
    ({"variant": "best"}, "variant must be published or zero-mean; got 'best'"),
])  # fmt: skip
def test_bad_options(options: dict[str, object], message: str) -> None:
    ann, data = _chain()
    with pytest.raises(InputError) as error:
        calibrate(ann, convert(ann, data=data), data, **options)  # type: ignore[arg-type]
    assert str(error.value) == message


def test_it_is_for_parallel_networks() -> None:
    ann, data = _chain()
    net = convert(ann, "sequential", data=data)
    with pytest.raises(InputError, match="parallel: DA-QCFS is defined for it"):
        calibrate(ann, net, data)
    with pytest.raises(InputError, match="the calibration set must be with samples"):
        calibrate(ann, convert(ann, data=data), [])
