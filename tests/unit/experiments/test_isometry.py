"""Block isometry measured in a network, against Jacobians made row by row with autograd."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from spikingjelly.activation_based import surrogate as jelly
from torch import Tensor, nn

from snnlens.errors import NothingToRecord
from snnlens.experiments._isometry import measure
from snnlens.measures.isometry import Moments, eigenvalue_moments
from snnlens.neuron.layers import IF, LIF
from snnlens.sites import Site
from tests.unit.recording import brute


class Block(nn.Module):
    """A residual block in name only: one layer, and a neuron where it is wanted."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, s: Tensor) -> Tensor:
        return self.layers(s)


class Net(nn.Module):
    """A neuron before and behind a chain of blocks; it lists its sites."""

    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__()
        self.first, self.blocks, self.last = IF(0.5), nn.Sequential(*blocks), IF()

    def sites(self) -> list[Site]:
        ends = (("input", "block_input"), ("output", "block_output"))
        return [Site(f"blocks.{i}.{end}", f"blocks.{i}", end, role, block=i)  # type: ignore[arg-type]
                for i in range(len(self.blocks)) for end, role in ends]  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.blocks(self.first(x)))


def gram_of(table: pd.DataFrame, site: str) -> np.ndarray:
    """The Gram matrix at a site; its rows in order."""
    rows = table[table["site"] == site]
    n = int(rows["probe"].max()) + 1
    assert rows["probe"].tolist() == np.repeat(np.arange(n), n).tolist()
    return rows["gram"].to_numpy().reshape(n, n)


def moments_of(table: pd.DataFrame, site: str) -> Moments:
    m = int(table.loc[table["site"] == site, "outputs"].iloc[0])
    return eigenvalue_moments(gram_of(table, site), m)


def jacobian(block: nn.Module, s: Tensor) -> np.ndarray:
    """dO/dS row by row [outputs, inputs]."""
    s = s.detach().clone().requires_grad_()
    o = block(s)
    flat = o.reshape(-1)
    rows = [torch.autograd.grad(flat[i], s, retain_graph=True)[0].flatten()
            for i in range(len(flat))]  # fmt: skip
    return torch.stack(rows).double().numpy()


def drawn(sizes: list[int], vectors: int, seed: int = 0) -> list[np.ndarray]:
    """The v_i of each block in turn, from one generator."""
    generator = torch.Generator().manual_seed(seed)
    return [np.stack([torch.randn(m, generator=generator).double().numpy()
                      for _ in range(vectors)]) for m in sizes]  # fmt: skip


def inputs_of(model: nn.Module, names: list[str], x: Tensor) -> dict[str, list[Tensor]]:
    kept: dict[str, list[Tensor]] = {n: [] for n in names}
    handles = [model.get_submodule(n).register_forward_pre_hook(
        lambda _m, args, n=n: kept[n].append(args[0].detach().clone())) for n in names]  # fmt: skip
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    return kept


def test_of_linear_blocks() -> None:
    """J = M at each step and sample: the spectrum of M M^T; the last block is twice a rotation."""
    torch.manual_seed(0)
    rotation = nn.Linear(6, 6)
    with torch.no_grad():
        rotation.weight.copy_(2 * torch.linalg.qr(torch.randn(6, 6))[0])
    net = Net(Block(nn.Linear(5, 6)), Block(rotation))
    x = torch.randn(3, 40, 5)
    table = measure(net, x, vectors=48, seed=4)
    for site, block in (("blocks.0.output", net.blocks[0]), ("blocks.1.output", net.blocks[1])):
        m = block.layers[0].weight.detach().double().numpy()
        eigenvalues = np.linalg.eigvalsh(m @ m.T)
        found = moments_of(table, site)
        assert found.mean.low < eigenvalues.mean() < found.mean.high
        assert found.variance.low < eigenvalues.var() < found.variance.high
    found = moments_of(table, "blocks.1.output")  # 4 in every direction
    # four standard errors: sqrt(2 x 16 / (48 x 720)) = 0.03, and of G_ij^2 / m, which is 16 times a
    # chi-square of one degree, 16 sqrt(2) / sqrt(48 x 47 / 2) = 0.67
    assert found.mean.value == pytest.approx(4, abs=0.12)
    assert found.variance.value == pytest.approx(0, abs=2.7)


def test_of_a_spiking_block_against_its_jacobian() -> None:
    """LIF over 4 steps: gram = V J J^T V^T with the same v_i, and the moments of J J^T."""
    torch.manual_seed(1)
    block = Block(nn.Linear(5, 4), LIF(2.0, threshold=0.4))
    net = Net(block).double()
    x = torch.randn(4, 3, 5, dtype=torch.float64)
    table = measure(net, x, vectors=64)
    j = jacobian(block, net.first(x))
    v = drawn([48], 64)[0]
    np.testing.assert_allclose(gram_of(table, "blocks.0.output"), v @ j @ j.T @ v.T, rtol=1e-10)
    eigenvalues = np.linalg.eigvalsh(j @ j.T)
    assert np.abs(j[12:, :15]).max() > 0  # a spike of step 0 reaches step 1 through the membrane
    found = moments_of(table, "blocks.0.output")
    assert found.mean.low < eigenvalues.mean() < found.mean.high
    assert found.variance.low < eigenvalues.var() < found.variance.high


@pytest.mark.parametrize("training", [True, False])
def test_blocks_that_are_the_identity(training: bool) -> None:
    """SEW add, zero-init: J is I to the bit, so gram = V V^T; mean 1 and variance 0 inside."""
    model = brute.small("sew", "add", zero_init=True, depth=14).train(training)
    table = measure(model, brute.batch(2).detach())
    sizes = table.groupby("site", sort=False)["outputs"].first()
    vs = drawn(sizes.tolist(), 32)
    identity = [f"{name}.output" for name, b in model.blocks() if b.spec.kind == "identity"]
    assert len(identity) >= 3
    for (site, m), v in zip(sizes.items(), vs, strict=True):
        if site in identity:
            # v is float32, its products are exact in float64; a sum in another order
            np.testing.assert_allclose(gram_of(table, str(site)), v @ v.T, rtol=1e-11, atol=1e-9)
            found = moments_of(table, str(site))
            assert found.mean.value == pytest.approx(np.square(v).sum() / (32 * m))
            assert found.mean.low < 1 < found.mean.high
            assert found.variance.low < 0 < found.variance.high


class BasicBlock(nn.Module):
    """A SEW block of SpikingJelly's layers, which a survey finds by its name."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.cnf = "ADD"
        self.fc, self.bn = layer.Linear(features, features), layer.BatchNorm1d(features)
        self.sn = neuron.LIFNode(2.0, v_threshold=0.5, surrogate_function=jelly.ATan())

    def forward(self, x: Tensor) -> Tensor:
        return self.sn(self.bn(self.fc(x))) + x


def jelly_net(mode: str) -> nn.Sequential:
    torch.manual_seed(2)
    net = nn.Sequential(layer.Linear(5, 6), neuron.IFNode(0.3), BasicBlock(6), BasicBlock(6))
    functional.set_step_mode(net, mode)
    return net.eval()


@pytest.mark.parametrize("mode", ["m", "s"])
def test_of_spikingjelly_whole_and_per_step(mode: str) -> None:
    """A loop over time, inside its own or outside: one J over all steps."""
    x = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(0)) * 2
    whole = jelly_net("m")
    kept = inputs_of(whole, ["2", "3"], x)
    net = jelly_net(mode)

    def loop() -> None:
        for now in x:
            net(now)

    table = measure(net, x, forward=loop if mode == "s" else None)
    assert list(dict.fromkeys(table["site"])) == ["2.output", "3.output"]
    for name, v in zip(("2", "3"), drawn([72, 72], 32), strict=True):
        block = whole.get_submodule(name)
        functional.reset_net(block)
        j = jacobian(block, kept[name][0])
        assert np.abs(j[18:, :18]).max() > 0  # steps are connected
        # float32 gradients of 4 steps, each to some 1e-7 of the largest
        want = v @ j @ j.T @ v.T
        np.testing.assert_allclose(
            gram_of(table, f"{name}.output"), want, rtol=1e-4, atol=1e-5 * np.abs(want).max()
        )


def state(model: nn.Module) -> dict[str, Any]:
    return {k: v.clone() for k, v in model.state_dict().items()}


def test_it_leaves_the_model_as_it_was() -> None:
    """Running statistics, membranes, gradients, hooks, mode, random state."""
    net = jelly_net("m").train()
    x = torch.randn(4, 3, 5)
    net(x).sum().backward()
    before, membrane = state(net), net[1].v
    grads = {n: p.grad.clone() for n, p in net.named_parameters() if p.grad is not None}
    random = torch.get_rng_state()
    first, second = measure(net, x, seed=1), measure(net, x, seed=1)
    pd.testing.assert_frame_equal(first, second)
    assert not first["gram"].equals(measure(net, x, seed=2)["gram"])
    assert net[1].v is membrane
    assert torch.equal(torch.get_rng_state(), random)
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])
    for name, p in net.named_parameters():
        assert torch.equal(p.grad, grads[name])  # type: ignore[arg-type]
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in net.modules())
    assert net.training


class Writing(nn.Module):
    """A block that gives the square of its input, and overwrites it."""

    def forward(self, s: Tensor) -> Tensor:
        kept = s.clone()
        s.mul_(3.0)
        return kept * kept


def test_a_block_that_writes_into_its_input() -> None:
    """J = 2 S, on the diagonal, for the S that came in and not what it left behind."""
    net, x = Net(Writing()), torch.rand(2, 3, 4)
    table = measure(net, x)
    s = net.first(x).double().numpy().ravel()
    assert 0 < s.sum() < 24
    w = drawn([24], 32)[0] * 2 * s  # zeros and ones times float32: exact
    np.testing.assert_allclose(gram_of(table, "blocks.0.output"), w @ w.T, rtol=1e-12, atol=1e-12)


def test_without_blocks_the_table_is_empty() -> None:
    assert measure(nn.Sequential(nn.Linear(3, 2), IF()), torch.rand(2, 4, 3)).empty
    with pytest.raises(NothingToRecord):
        measure(nn.Linear(3, 2), torch.rand(4, 3))
