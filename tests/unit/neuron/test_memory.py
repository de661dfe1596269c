"""Lean, checkpointed, kept: less memory, the same bits."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from snnlens.models.resnet import ResNet, resnet
from snnlens.neuron import memory
from snnlens.neuron.layers import IF, PLIF

Saving = Callable[[ResNet], AbstractContextManager[None]]
SAVINGS: dict[str, Saving] = {
    "lean": memory.lean,
    "checkpointed": lambda model: memory.checkpointed(b for _, b in model.blocks()),
}


def _network(residual: str, *, train: bool) -> ResNet:
    neuron = PLIF(detach_reset=False) if residual == "sew" else IF()
    model = resnet(18, residual=residual, neuron=neuron, classes=5, time_steps=3, seed=0)
    return model.train(train)


def _pass(model: ResNet, saving: Saving) -> dict[str, Tensor]:
    """Loss, every gradient and every buffer of one step; the backward pass outside."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 3, 32, 32, generator=generator).requires_grad_()
    with saving(model):
        loss = functional.cross_entropy(model(x), torch.tensor([0, 3]))
    loss.backward()
    assert x.grad is not None
    found = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    return {"loss": loss.detach(), "x": x.grad} | found | dict(model.named_buffers())


@pytest.mark.parametrize("name", sorted(SAVINGS))
@pytest.mark.parametrize("residual", ["sew", "spiking", "ms", "ann"])
@pytest.mark.parametrize("train", [True, False])
def test_no_bit_changes(name: str, residual: str, train: bool) -> None:
    plain = _pass(_network(residual, train=train), lambda _: nullcontext())
    model = _network(residual, train=train)
    saved = _pass(model, SAVINGS[name])
    assert plain.keys() == saved.keys()
    assert plain["x"].count_nonzero()
    assert all(torch.equal(plain[k], saved[k]) for k in plain)
    assert not any(m._forward_hooks or "forward" in vars(m) for m in model.modules())


def _kept(saving: AbstractContextManager[None], run: Callable[[], Tensor],
          monkeypatch: pytest.MonkeyPatch) -> int:  # fmt: skip
    """Bytes of the tensors that the graph keeps, each storage once."""
    sizes: dict[int, int] = {}
    real = torch.autograd.graph.saved_tensors_hooks

    def counting(pack: Callable[[Tensor], object], unpack: Callable[[object], Tensor]) -> object:
        def packed(x: Tensor) -> object:
            kept = pack(x)
            if isinstance(kept, Tensor):
                sizes[kept.data_ptr()] = kept.untyped_storage().nbytes()
            return kept

        return real(packed, unpack)

    with monkeypatch.context() as patch:
        patch.setattr(torch.autograd.graph, "saved_tensors_hooks", counting)
        with counting(lambda x: x, lambda x: x), saving:  # type: ignore[attr-defined]
            run().sum().backward()
    return sum(n for n in sizes.values() if n > 10_000)


def test_lean_keeps_nothing_for_the_neuron(monkeypatch: pytest.MonkeyPatch) -> None:
    """Y, which BatchNorm saves anyway, and not X: 4 bytes per neuron and step, not 8."""
    layer = nn.Sequential(nn.BatchNorm2d(4), IF())
    y = torch.randn(30, 4, 8, 8, requires_grad=True)
    assert _kept(nullcontext(), lambda: layer(y), monkeypatch) == 2 * y.nbytes
    assert _kept(memory.lean(layer), lambda: layer(y), monkeypatch) == y.nbytes


def test_lean_says_when_a_weight_was_changed_before_the_backward_pass() -> None:
    layer = nn.Sequential(nn.BatchNorm1d(3), IF())
    with memory.lean(layer):
        out = layer(torch.randn(4, 3).requires_grad_())
    with torch.no_grad():
        layer[0].weight.mul_(2)
    with pytest.raises(RuntimeError, match=r"^memory='lean' computes a BatchNorm again, but"):
        out.sum().backward()


def test_lean_leaves_an_output_that_was_changed_in_place_alone() -> None:
    layer = nn.Sequential(nn.BatchNorm1d(3), nn.Hardtanh(-0.5, 0.5, inplace=True), IF(0.4))
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    grads = []
    for saving in (nullcontext(), memory.lean(layer)):
        y = x.clone().requires_grad_()
        with saving:
            out = layer(y)
        (out * torch.arange(3)).sum().backward()
        grads.append(y.grad)
    assert torch.equal(*grads)  # type: ignore[arg-type]


def test_checkpointed_gives_a_blocks_own_forward_back() -> None:
    """Somebody had wrapped a block; it may also be named twice."""
    blocks = [nn.Linear(3, 3), nn.Linear(3, 3)]
    calls = []

    def own(x: Tensor) -> Tensor:
        calls.append(x)
        return nn.Linear.forward(blocks[0], x) * 2

    blocks[0].forward = own  # type: ignore[method-assign]
    x = torch.randn(2, 3, requires_grad=True)
    with memory.checkpointed([*blocks, blocks[0]]):
        blocks[1](blocks[0](x)).sum().backward()
    assert len(calls) > 1  # once more in the backward pass
    with pytest.raises(RuntimeError, match="shapes"), memory.checkpointed(blocks):
        blocks[0](torch.zeros(2, 5))
    assert vars(blocks[0])["forward"] is own
    assert "forward" not in vars(blocks[1])
    blocks[0](x)
    assert calls[-1] is x


def test_lean_of_a_view_of_part_of_an_output() -> None:
    norm, neuron = nn.BatchNorm1d(4), IF(0.3)
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    grads = []
    for saving in (nullcontext(), memory.lean(norm)):
        y = x.clone().requires_grad_()
        with saving:
            out = neuron(norm(y)[1:, ::2])
        (out * torch.tensor([1.0, 2.0])).sum().backward()
        grads.append(y.grad)
    assert torch.equal(*grads)  # type: ignore[arg-type]


def test_freed_memory_is_kept_where_there_is_glibc(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    class Library:
        def mallopt(self, what: int, value: int) -> int:
            calls.append((what, value))
            return 1

    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: Library())
    monkeypatch.setattr(sys, "platform", "linux")
    assert memory.keep_freed()
    assert calls == [(-4, 0), (-1, -1)]
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: object())  # musl
    assert not memory.keep_freed()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not memory.keep_freed()
