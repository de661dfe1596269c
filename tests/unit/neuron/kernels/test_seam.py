"""The operators as PyTorch sees them: checked, compiled, checkpointed, autocast, copied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from snnlens.errors import InputError, SlowBackend
from snnlens.neuron import equations, kernels, statistics
from snnlens.neuron.equations import Rule
from snnlens.neuron.kernels import cpu
from snnlens.neuron.layers import IF, LIF, PLIF, Neuron
from snnlens.neuron.surrogate import ATan, Surrogate
from tests.unit.neuron.kernels.rules import numbers, rate_of

RULES = [Rule(), Rule("lif", tau_steps=3.3, detach_reset=False), Rule("plif", reset="soft")]
NEURONS = [IF(), LIF(3.3, reset="soft"), PLIF(detach_reset=False)]


def _arguments(rule: Rule, wanted: frozenset[str], dtype: torch.dtype) -> tuple[Any, ...]:
    x, _, v = numbers((3, 2, 5), 1, dtype, ties=False)
    rate = rate_of(rule)
    return (x.requires_grad_(), v, None if rate is None else rate.requires_grad_(), rule.key,
            statistics.bits(wanted) | kernels.LAST, [-1.0, 0.25, 8.0])  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.charge)
@pytest.mark.parametrize("wanted", [frozenset[str](), frozenset(statistics.BIT)], ids=["", "all"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_opcheck_of_the_forward_operator(
    rule: Rule, wanted: frozenset[str], dtype: torch.dtype
) -> None:
    arguments = _arguments(rule, wanted - statistics.BACKWARD, dtype)
    torch.library.opcheck(torch.ops.snnlens.neuron_forward.default, arguments)


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.charge)
@pytest.mark.parametrize("wanted", [0, statistics.bits(statistics.BACKWARD)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_opcheck_of_the_backward_operator(rule: Rule, wanted: int, dtype: torch.dtype) -> None:
    x, grad, v = numbers((3, 2, 5), 1, dtype, ties=False)
    arguments = (grad, x, v, rate_of(rule), rule.key, wanted)
    torch.library.opcheck(torch.ops.snnlens.neuron_backward.default, arguments)


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.charge)
def test_the_operator_and_the_direct_call_are_one(rule: Rule) -> None:
    grads = []
    for direct in (True, False):
        x, grad, v = numbers((4, 3, 7), 2, torch.float32, ties=False)
        x, rate = x.requires_grad_(), rate_of(rule)
        if direct:
            spikes, end, _ = kernels.multi_step(x, v, rule, rate, last=True)
        else:
            spikes, end, *_ = torch.ops.snnlens.neuron_forward(
                x, v, rate, rule.key, kernels.LAST, []
            )
        spikes.backward(grad)
        grads.append((spikes, end, x.grad))
        assert not end.requires_grad
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


class Net(nn.Module):
    """Two neurons between linear layers, time first."""

    def __init__(self, neuron: Neuron, *, checkpointed: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Linear(6, 9), nn.Linear(9, 4)
        self.first, self.second = neuron.twin(), neuron.twin()
        self.checkpointed = checkpointed

    def forward(self, x: Tensor) -> Tensor:
        half = lambda y: self.first(self.a(y) * 2)  # noqa: E731
        x = checkpoint(half, x, use_reentrant=False) if self.checkpointed else half(x)
        out: Tensor = self.second(self.b(x) * 3)
        return out


def _gradients(net: nn.Module, run: Any = None) -> list[Tensor]:
    x = torch.randn(5, 3, 6, generator=torch.Generator().manual_seed(1)).requires_grad_()
    ((net if run is None else run)(x) * torch.arange(1.0, 5)).sum().backward()
    found = [x.grad, *(p.grad for p in net.parameters())]
    assert all(g is not None for g in found)
    assert found[0] is not None
    assert found[0].count_nonzero()
    return [g for g in found if g is not None]


@pytest.mark.parametrize("neuron", NEURONS, ids=lambda n: type(n).__name__)
def test_under_torch_compile(neuron: Neuron) -> None:
    """The neuron is one node of the graph: no graph break, the same bits."""
    plain, compiled = Net(neuron), Net(neuron)
    nodes: list[str] = []

    def backend(graph: torch.fx.GraphModule, _: Any) -> Any:
        nodes.extend(str(n.target) for n in graph.graph.nodes if "snnlens" in str(n.target))
        return graph.forward

    torch._dynamo.reset()
    torch.compile(compiled, backend=backend, fullgraph=True)(torch.randn(5, 3, 6))
    assert nodes == ["snnlens.neuron_forward"] * 2
    torch._dynamo.reset()
    run = torch.compile(compiled, backend="aot_eager", fullgraph=True)
    pairs = zip(_gradients(plain), _gradients(compiled, run), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.slow
def test_under_inductor() -> None:
    plain, compiled = Net(NEURONS[1]), Net(NEURONS[1])
    torch._dynamo.reset()
    found = _gradients(compiled, torch.compile(compiled, fullgraph=True))
    # inductor adds the products of the linear layers in another order
    assert all(
        torch.allclose(a, b, rtol=1e-5) for a, b in zip(_gradients(plain), found, strict=True)
    )


@pytest.mark.parametrize("neuron", NEURONS, ids=lambda n: type(n).__name__)
def test_under_activation_checkpointing(neuron: Neuron) -> None:
    pairs = zip(_gradients(Net(neuron)), _gradients(Net(neuron, checkpointed=True)), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("neuron", NEURONS, ids=lambda n: type(n).__name__)
def test_under_autocast_spikes_have_the_dtype_of_the_currents(neuron: Neuron) -> None:
    net = Net(neuron)
    seen: list[torch.dtype] = []
    net.first.register_forward_hook(lambda _m, args, out: seen.extend((args[0].dtype, out.dtype)))
    with torch.autocast("cpu", torch.bfloat16):
        out = net(torch.randn(5, 3, 6))
    assert seen == [torch.bfloat16] * 2
    out.float().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


def _one_of_two(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    net = DistributedDataParallel(Net(PLIF(detach_reset=False)))
    whole = 9 * torch.randn(5, 4, 6, generator=torch.Generator().manual_seed(3))
    halves = whole.chunk(2, dim=1)
    net(halves[rank]).square().mean().backward()
    if rank == 0:
        torch.save([p.grad for p in net.parameters()], f"{folder}/gradients")
    dist.destroy_process_group()


def test_under_ddp_on_two_processes(tmp_path: Path) -> None:
    mp.spawn(_one_of_two, args=(str(tmp_path),), nprocs=2)  # type: ignore[no-untyped-call]
    got = torch.load(tmp_path / "gradients", weights_only=True)
    net = Net(PLIF(detach_reset=False))
    x = torch.randn(5, 4, 6, generator=torch.Generator().manual_seed(3)) * 9
    net(x).square().mean().backward()
    want = [p.grad for p in net.parameters()]
    assert len(got) == len(want) == 6
    # the mean of two halves against the mean of the whole
    assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-7) for a, b in zip(got, want, strict=True))
    assert any(g.count_nonzero() for g in got)


def test_x_alone_is_saved() -> None:
    """Memory: the graph keeps X itself, not a copy, and no tensor per step."""
    kept: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    x = torch.rand(6, 50, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        kernels.multi_step(x, None, Rule())
    assert [t.data_ptr() for t in kept] == [x.data_ptr()]


def test_no_second_derivative_in_silence() -> None:
    x = torch.full((2, 1), 0.7, requires_grad=True)
    spikes, *_ = kernels.multi_step(x, None, Rule())
    (grad,) = torch.autograd.grad(spikes.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="marked with @once_differentiable"):
        grad.sum().backward()


def test_a_backend_by_name() -> None:
    x, rule = torch.zeros(2, 3), Rule()
    assert kernels.which(x, rule) == ("cpu", "torch.float32 on cpu")
    assert kernels.which(x.double(), rule) == ("reference", "torch.float64 runs in the reference")
    with kernels.backend("reference"):
        assert kernels.which(x, rule) == ("reference", "as was asked")
    with kernels.backend("cpu"):
        assert kernels.which(x, rule) == ("cpu", "as was asked")
        with pytest.raises(InputError) as error:
            kernels.which(x.double(), rule)
    assert str(error.value) == (
        "backend must be one that runs this; got 'cpu'; torch.float64 runs in the reference"
    )
    with pytest.raises(InputError, match=r"^backend must be auto, reference, cpu or cuda; got 'g"):
        kernels.choose("gpu")
    assert kernels.which(x, rule)[0] == "cpu"  # as before


class Ramp(Surrogate):
    """A user's own surrogate."""

    name, source = "ramp", "a test"

    def derivative_(self, x: Tensor) -> Tensor:
        return x.clamp_(0, 1)

    def primitive(self, x: Tensor) -> Tensor:
        return x


def test_a_users_surrogate_runs_in_the_reference_and_says_so_once() -> None:
    neuron = IF(surrogate=Ramp())
    x = torch.full((2, 3), 1.5, requires_grad=True)
    with pytest.warns(SlowBackend, match=r"^neurons run in plain PyTorch, slower: surrogate ramp"):
        neuron(x).sum().backward()
    neuron(x).sum().backward()  # a second warning would be an error here
    assert x.grad is not None
    assert x.grad.tolist() == [[1.0] * 3] * 2


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(2, 3, dtype=torch.int64),
         "the input of a neuron must be of a floating dtype; got torch.int64"),
        (torch.zeros(0, 3),
         "the input of a neuron must be [T, ...] with T of at least 1; got (0, 3)"),
        (torch.tensor(1.0), "the input of a neuron must be [T, ...] with T of at least 1; got ()"),
    ],
)  # fmt: skip
def test_bad_input(x: Tensor, message: str) -> None:
    with pytest.raises(InputError) as error:
        IF()(x)
    assert str(error.value) == message


def test_a_first_membrane_of_another_shape() -> None:
    for name in ("reference", "cpu"):
        with kernels.backend(name), pytest.raises(InputError) as error:
            kernels.multi_step(torch.zeros(3, 4), torch.zeros(5), Rule())
        assert str(error.value) == (
            "the first membrane must be torch.float32 on cpu, shaped [4]; "
            "got 'torch.float32 on cpu, shaped [5]'"
        )


def test_an_empty_batch() -> None:
    x = torch.zeros(4, 0, 7, requires_grad=True)
    spikes = IF()(x)
    spikes.sum().backward()
    assert spikes.shape == (4, 0, 7)
    assert x.grad is not None


def test_ten_thousand_steps() -> None:
    x = torch.full((10_000, 3), 0.3, requires_grad=True)
    spikes = IF()(x)
    spikes.sum().backward()
    assert torch.equal(spikes, equations.forward(x, torch.zeros(3), Rule())[0])
    assert x.grad is not None
    assert torch.equal(x.grad, equations.backward(torch.ones_like(x), x, torch.zeros(3), Rule())[0])


def test_the_bits_of_a_rule_name_it() -> None:
    """Two rules of one key would be one kernel."""
    rules = [*RULES, Rule(surrogate=ATan(3.0)), Rule(threshold=0.1), Rule(threshold=0.1 + 1e-18)]
    assert len({r.key for r in rules}) == len({*rules}) == len(rules) - 1  # 0.1 twice
    assert all(equations.RULES[r.key] == r for r in rules)
    assert cpu.why_not(torch.zeros(1), rules[0]) == ""
