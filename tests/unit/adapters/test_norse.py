"""Norse: what the adapter says of real modules, against hand-written loops and plain hooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import snnlens
from snnlens.adapters._base import Layout
from snnlens.adapters.norse import Norse, _surrogate
from snnlens.neuron import equations, kernels
from snnlens.neuron.surrogate import ByAutograd, SuperSpike, Triangular

norse = pytest.importorskip("norse.torch")
box = pytest.importorskip("norse.torch.functional.lif_box")
reset = pytest.importorskip("norse.torch.functional.reset")
more = pytest.importorskip("norse.torch.module.lif_mc")
correlation = pytest.importorskip("norse.torch.module.lif_correlation")
coba = pytest.importorskip("norse.torch.module.coba_lif")
thresholds = pytest.importorskip("norse.torch.functional.threshold")

DTYPES = [torch.float32, torch.float64]
SHAPES = [(1, 1, 5), (4, 3, 5), (7, 2, 2, 4, 3)]


def params(**given: float) -> Any:
    return norse.LIFParameters(**{name: torch.tensor(x) for name, x in given.items()})


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "LIF": norse.LIF,
    "LIF, other constants": lambda: norse.LIF(
        params(tau_mem_inv=333.0, tau_syn_inv=77.0, v_th=0.3)
    ),
    "LIF, rests below 0": lambda: norse.LIF(params(v_leak=-0.3, v_reset=-0.3)),
    "IAF": norse.IAF,
}
CELLS: dict[str, Callable[[], nn.Module]] = {
    "LIFCell": norse.LIFCell,
    "IAFCell": norse.IAFCell,
    "LIFBoxCell": norse.LIFBoxCell,
    "LIFBoxCell, subtracts": lambda: norse.LIFBoxCell(
        box.LIFBoxParameters(reset_method=reset.reset_subtract)
    ),
}
OTHERS: dict[str, Callable[[], nn.Module]] = {
    "LIFAdEx": norse.LIFAdEx,
    "LIFAdExCell": norse.LIFAdExCell,
    "LIFEx": norse.LIFEx,
    "LSNN": norse.LSNN,
    "LSNNCell": norse.LSNNCell,
    "LIFRefracCell": norse.LIFRefracCell,
    "LSNNRecurrent": lambda: norse.LSNNRecurrent(5, 5),
    "LIFMCRecurrentCell": lambda: more.LIFMCRecurrentCell(5, 5),
    "CobaLIFCell": lambda: coba.CobaLIFCell(5, 5),
    "LIF, leaks elsewhere": lambda: norse.LIF(params(v_leak=-0.1)),
    "LIF, threshold per neuron": lambda: norse.LIF(norse.LIFParameters(v_th=torch.ones(5))),
    "LIF, tau per neuron": lambda: norse.LIF(
        norse.LIFParameters(tau_mem_inv=torch.full((5,), 9.0))
    ),
    "LIF, millivolts": lambda: norse.LIF(params(v_leak=-65.0, v_th=-50.0, v_reset=-65.0)),
    "LIF, threshold learnt": lambda: norse.LIF(
        norse.LIFParameters(v_th=torch.tensor(1.0, requires_grad=True))
    ),
}


def currents(shape: tuple[int, ...], dtype: torch.dtype, seed: int = 0) -> Tensor:
    """Halves, which meet the thresholds 1 and 1/2 exactly, and one sample of anything."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(-2, 9, shape, generator=generator).to(dtype) / 2
    x[:, 0] = torch.rand(shape[0], *shape[2:], generator=generator, dtype=dtype) * 4
    return x


def by_hand(module: Any, x: Tensor, state: Any = None) -> tuple[Tensor, Tensor]:
    """I and H of LIF [T, B, ...] in numpy, of the spikes that a strict comparison gives."""
    p, dt = module.p, np.float32(module.dt)
    real = np.float32 if x.dtype == torch.float32 else np.float64
    mem, syn = real(dt * p.tau_mem_inv.numpy()), real(dt * p.tau_syn_inv.numpy())
    leak, v_reset, v_th = (real(n.detach().numpy()) for n in (p.v_leak, p.v_reset, p.v_th))
    v = np.full(x.shape[1:], leak) if state is None else state.v.detach().numpy()
    i = np.zeros(x.shape[1:], real) if state is None else state.i.detach().numpy()
    all_i, all_h = [], []
    for given in x.numpy():
        jumped = i + given
        h = v + mem * ((leak - v) + jumped)
        i = jumped - syn * jumped
        v = np.where(h > v_th, v_reset, h)
        all_i.append(jumped)
        all_h.append(h)
    return torch.from_numpy(np.stack(all_i)), torch.from_numpy(np.stack(all_h))


def replayed(adapter: Norse, module: nn.Module, x: Tensor, *state: Any) -> tuple[Tensor, Tensor]:
    """Spikes of the kernel and H of the equations, time first."""
    layout, current = adapter.layout(module, x), adapter.current(module, (x, *state), {})
    rule, rate = adapter.rule(module), adapter.rate(module)
    assert current is not None
    assert rule is not None
    assert adapter.replays(module)
    charged = layout.time_first(current)
    start = adapter.start(module, (x, *state), {})
    v = equations.start(charged, rule) if start is None else start.contiguous()
    spikes, _, _ = kernels.multi_step(charged.contiguous(), v, rule, rate)
    return spikes, torch.stack([s.membrane for s in equations.steps(charged, v, rule, rate)])


@pytest.mark.parametrize("make", [*LAYERS.values(), *CELLS.values(), *OTHERS.values()],
                         ids=[*LAYERS, *CELLS, *OTHERS])  # fmt: skip
def test_spiking_layers_are_claimed_and_their_spikes_are_zeros_and_ones(
    make: Callable[[], nn.Module],
) -> None:
    torch.manual_seed(0)
    module, adapter = make(), Norse()
    x = torch.rand(4, 3, 5) * 5
    per_step = "Cell" in type(module).__name__
    output = module(x[0] if per_step else x)
    spikes = adapter.spikes(module, output)
    layout = adapter.layout(module, spikes)
    assert adapter.claims(module)
    assert not adapter.graded(module)
    assert layout == Layout("one step" if per_step else "time first")
    assert layout.time_first(spikes).shape == ((1 if per_step else 4), 3, 5)
    assert set(spikes.unique().tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize("make", [
    norse.LI, norse.LICell, norse.LIBoxCell, lambda: norse.LILinearCell(2, 2),
    lambda: norse.Lift(norse.LIFCell()), lambda: norse.SequentialState(norse.LIF()),
    lambda: norse.PoissonEncoder(4), lambda: nn.Linear(2, 2), snnlens.IF,
])  # fmt: skip
def test_what_does_not_spike_is_not_claimed(make: Callable[[], nn.Module]) -> None:
    assert not Norse().claims(make())


def test_correlation_cell_finds_its_state_in_the_fourth_place() -> None:
    module, adapter, weights = correlation.LIFCorrelation(2, 2), Norse(), torch.ones(2, 2)
    args = (torch.ones(2, 2), weights, weights, None)
    spikes, state = module(*args)
    assert adapter.claims(module)
    assert adapter.at_rest(module, args, {})
    assert not adapter.at_rest(module, (*args[:3], state), {})
    assert adapter.spikes(module, (spikes, state)) is spikes


def test_the_adjoint_method_has_no_rule() -> None:
    """Norse 1.1 raises when it is called: its threshold function knows no such name."""
    module = norse.LIF(norse.LIFParameters(method="adjoint"))
    assert Norse().claims(module)
    assert Norse().rule(module) is None


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_other_laws_have_no_rule(make: Callable[[], nn.Module]) -> None:
    module, adapter = make(), Norse()
    x = torch.rand(3, 5) if "Cell" in type(module).__name__ else torch.rand(4, 3, 5)
    output = module(x)
    again = (x, output[1])
    assert adapter.rule(module) is None
    assert not adapter.replays(module)
    assert adapter.current(module, again, {}) is None
    assert adapter.start(module, again, {}) is None
    assert adapter.membrane(module, again, {}, output, None) is None


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_the_rule_replays_a_layer_to_the_bit(
    make: Callable[[], nn.Module], shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    module, adapter = make(), Norse()
    x = currents(shape, dtype)
    with torch.no_grad():
        first, state = module(x)
        second, _ = module(x.flip(0), state)
    assert len(x) == 1 or 0 < first.mean() + second.mean() < 2
    assert torch.equal(replayed(adapter, module, x)[0], first)
    assert torch.equal(replayed(adapter, module, x.flip(0), state)[0], second)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", [n for n in LAYERS if n.startswith("LIF")])
def test_current_and_membrane_are_those_of_a_hand_written_loop(
    name: str, shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    module, adapter = LAYERS[name](), Norse()
    x = currents(shape, dtype)
    output, state = module(x)
    for given in ((x,), (x.flip(0), state)):
        i, h = by_hand(module, *given)
        current = adapter.current(module, given, {})
        # numpy rounds as torch does, but torch may fuse a product and a sum
        torch.testing.assert_close(current, i, rtol=4e-6, atol=1e-6)
        torch.testing.assert_close(replayed(adapter, module, *given)[1], h, rtol=4e-6, atol=1e-6)
    assert torch.equal(by_hand(module, x)[1] > module.p.v_th, output > 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("make", CELLS.values(), ids=CELLS)
def test_the_rule_replays_a_cell_step_by_step(
    make: Callable[[], nn.Module], dtype: torch.dtype
) -> None:
    module, adapter, state, fired = make(), Norse(), None, 0.0
    for x in currents((7, 3, 2, 4), dtype) * 5:  # 10 is the threshold of LIFBox: r X = 1
        assert adapter.at_rest(module, (x, state), {}) == (state is None)
        spikes, h = replayed(adapter, module, x, state)
        with torch.no_grad():
            found, after = module(x, state)
        assert torch.equal(spikes[0], found)
        v = after.v.expand_as(found)
        assert torch.equal(h[0][found == 0], v[found == 0])
        state, fired = after, fired + float(found.sum())
    assert 0 < fired < 7 * 24


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("make", "x"), [(norse.IAF, 1.0), (norse.IAF, 1.5)])
def test_no_spike_at_the_threshold_itself(
    make: Callable[[], nn.Module], x: float, dtype: torch.dtype
) -> None:
    module, adapter, given = make(), Norse(), torch.full((1, 1, 1), x, dtype=dtype)
    found = module(given)[0]
    assert found.item() == (x > 1)
    assert torch.equal(replayed(adapter, module, given)[0], found)
    just = torch.nextafter(torch.ones(1, 1, 1, dtype=dtype), torch.full((1,), 2.0, dtype=dtype))
    assert replayed(adapter, module, just)[0].item() == module(just)[0].item() == 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_recurrent_cell_and_layer(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    cell, layer, adapter = norse.LIFRecurrentCell(5, 4), norse.LIFRecurrent(5, 4), Norse()
    layer.load_state_dict(cell.state_dict())
    cell, layer = cell.to(dtype), layer.to(dtype)
    layer.record_states = True
    x, state, membranes, fired = currents((7, 3, 5), dtype) * 4, None, [], []
    for given in x:
        spikes, h = replayed(adapter, cell, given, state)
        found, state = cell(given, state)
        assert torch.equal(spikes[0], found)
        membranes.append(h[0])
        fired.append(found)
    output = layer(x)
    assert torch.equal(output[0], torch.stack(fired))
    assert 0 < output[0].sum() < output[0].numel()
    assert not adapter.replays(layer)
    assert adapter.current(layer, (x,), {}) is None
    seen = adapter.membrane(layer, (x,), {}, output, None)
    assert seen is not None
    assert not seen.requires_grad
    assert torch.equal(seen, torch.stack(membranes))
    silent = output[0] == 0
    assert torch.equal(seen[silent], output[1].v[silent])  # what Norse recorded, behind the reset
    assert bool((seen[~silent] > 1).all())


def test_recurrent_layer_goes_on_from_the_state_it_is_given() -> None:
    torch.manual_seed(0)
    layer, adapter, x = norse.LIFRecurrent(5, 4), Norse(), currents((6, 3, 5), torch.float32) * 4
    whole = layer(x)
    _, state = layer(x[:2])
    args = (x[2:], state)
    start = adapter.start(layer, args, {})
    assert start is not None
    assert start.shape == (3, 4)
    rest = adapter.membrane(layer, args, {}, layer(*args), start)
    everything = adapter.membrane(layer, (x,), {}, whole, None)
    assert rest is not None
    assert everything is not None
    assert torch.equal(rest, everything[2:])


def test_state_is_found_by_place_and_by_name() -> None:
    module, adapter, x = norse.LIFCell(), Norse(), torch.ones(2, 3)
    state = module(x)[1]
    assert adapter.at_rest(module, (x,), {})
    assert adapter.at_rest(module, (x, None), {})
    assert adapter.at_rest(module, (x,), {"state": None})
    for args, named in (((x, state), {}), ((x,), {"state": state})):
        assert not adapter.at_rest(module, args, named)
        start = adapter.start(module, args, named)
        assert start is not None
        assert torch.equal(start, state.v)
        assert not start.requires_grad
    scalar = state._replace(v=torch.tensor(0.5))
    start = adapter.start(module, (x.double(), scalar), {})
    assert start is not None
    assert start.shape == (2, 3)
    assert start.dtype == torch.float64


def test_sparse_spikes_are_made_dense() -> None:
    module, adapter = norse.LIF(), Norse()
    x = torch.full((4, 2, 3), 5.0)
    dense = module(x)[0]
    sparse = module(x.to_sparse())
    assert sparse[0].is_sparse
    assert torch.equal(adapter.spikes(module, sparse), dense)
    assert torch.equal(
        adapter.current(module, (x.to_sparse(),), {}), adapter.current(module, (x,), {})
    )


def test_a_learnt_tau_keeps_the_rule_and_moves_the_rate() -> None:
    tau = nn.Parameter(torch.tensor(100.0))
    module, adapter = norse.LIF(norse.LIFParameters(tau_mem_inv=tau)), Norse()
    before, rate = adapter.rule(module), adapter.rate(module)
    with torch.no_grad():
        tau.mul_(3)
    assert adapter.rule(module) is before
    assert rate is not None
    assert not rate.requires_grad
    assert rate.item() == pytest.approx(0.1)
    assert adapter.rate(module).item() == pytest.approx(0.3)
    x = currents((4, 3, 5), torch.float32)
    assert torch.equal(replayed(adapter, module, x)[0], module(x)[0])


@pytest.mark.parametrize("alpha", [0.5, 1.0, 100.0])
@pytest.mark.parametrize("method", ["super", "triangle", "tanh", "circ", "heavi_erfc", "heaviside"])
def test_surrogates_have_norses_own_derivative(method: str, alpha: float) -> None:
    x = torch.linspace(-3, 3, 601, dtype=torch.float64).requires_grad_()
    found = _surrogate(method, alpha)
    assert found is not None
    assert found is _surrogate(method, alpha)
    spikes = thresholds.threshold(x, method, torch.tensor(alpha))
    wanted = torch.zeros_like(x)
    if spikes.requires_grad:
        (wanted,) = torch.autograd.grad(spikes.sum(), x)
    # equal formulas; the triangle is multiplied in another order
    torch.testing.assert_close(found.derivative(x.detach()), wanted, rtol=1e-12, atol=1e-15)
    assert type(found) is {("super", alpha): SuperSpike, ("triangle", 1.0): Triangular}.get(
        (method, alpha), ByAutograd
    )


def test_gradients_of_the_rule_are_norses_own() -> None:
    x = currents((5, 3, 4), torch.float64).requires_grad_()
    weight = torch.rand(5, 3, 4, dtype=torch.float64)
    for make in (norse.IAF, *CELLS.values()):
        module, adapter = make(), Norse()
        given = x if make is norse.IAF else x[0]
        spikes = module(given * 5)[0]
        (wanted,) = torch.autograd.grad((spikes * weight[: len(spikes)]).sum(), x)
        layout, rule = adapter.layout(module, given), adapter.rule(module)
        assert rule is not None
        current = layout.time_first(given * 5)
        replay, _ = equations.loop(
            current, equations.start(current, rule), rule, adapter.rate(module)
        )
        lost = weight[: len(spikes)] if make is norse.IAF else weight[: len(spikes)].unsqueeze(0)
        (found,) = torch.autograd.grad((replay * lost).sum(), x)
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-15)


# --- recorded by the recorder ---------------------------------------------------------------------


class PerStep(nn.Module):
    """A loop over time in the user's own forward: cells are called T times."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.first = nn.Conv2d(2, 3, 3), norse.LIFCell()
        self.second = norse.LIFRecurrentCell(3 * 4, 5)
        self.out = norse.LICell()

    def forward(self, x: Tensor) -> Tensor:
        states: list[Any] = [None, None, None]
        for step in x:
            z, states[0] = self.first(self.conv(step), states[0])
            z, states[1] = self.second(z.flatten(1), states[1])
            v, states[2] = self.out(z, states[2])
        return v + z  # what LICell integrates it shows one step later


class OverTime(nn.Module):
    """Layers of Norse over the whole sequence, and a lifted cell."""

    def __init__(self) -> None:
        super().__init__()
        self.body = norse.SequentialState(
            norse.Lift(nn.Conv2d(2, 3, 3)), norse.LIF(), nn.Flatten(2),
            norse.LIFRecurrent(12, 5), norse.LIFEx(),
        )  # fmt: skip
        self.leaky = norse.LI()
        self.lifted = norse.Lift(norse.LIFBoxCell())

    def forward(self, x: Tensor) -> Tensor:
        spikes = self.body(x)[0]
        return self.lifted(spikes * 30)[0] + self.leaky(spikes)[0]


class Kept:
    """The second way: every spike tensor and its gradient, kept by plain hooks."""

    def __init__(self, model: nn.Module, names: dict[str, bool]) -> None:
        self.seen: dict[str, list[Tensor]] = {name: [] for name in names}
        self.per_step = names
        for name in names:
            model.get_submodule(name).register_forward_hook(self._keeping(name))

    def _keeping(self, name: str) -> Callable[..., None]:
        def keep(_module: nn.Module, _args: Any, output: Any) -> None:
            output[0].retain_grad()
            self.seen[name].append(output[0])

        return keep

    def take(self, name: str) -> tuple[Any, Any]:
        """Spikes and gradients [T, B, ...] of the last pass, in float64."""
        kept, self.seen[name] = self.seen[name], []
        assert self.per_step[name] or len(kept) == 1
        spikes, grads = [k.detach() for k in kept], [k.grad for k in kept]
        if self.per_step[name]:
            spikes, grads = [torch.stack(spikes)], [torch.stack(grads)]
        return spikes[0].double().numpy(), grads[0].double().numpy()


SITES = {
    PerStep: {"first": True, "second": True},
    OverTime: {"body.1": False, "body.3": False, "body.4": False, "lifted.lifted_module": True},
}


@pytest.mark.parametrize("time_steps", [1, 4, 7])
@pytest.mark.parametrize("kind", SITES)
def test_streamed_numbers_are_those_of_brute_force(kind: type[nn.Module], time_steps: int) -> None:
    torch.manual_seed(0)
    model = kind().double()
    sites = SITES[kind]
    kept = Kept(model, sites)
    totals = {name: np.zeros(time_steps) for name in sites}
    squares = {name: np.zeros(time_steps) for name in sites}
    with snnlens.record(model, probes=["firing_rate", "gradient_norm"]) as rec:
        for size in (1, 3, 2):
            x = torch.rand(time_steps, size, 2, 4, 4, dtype=torch.float64) * 60
            (model(x) + 1).square().sum().backward()
            for name in sites:
                spikes, grad = kept.take(name)
                axes = tuple(range(1, spikes.ndim))
                totals[name] += spikes.sum(axes)
                squares[name] += (grad**2).sum(axes)
    record = rec.record()
    assert set(record.sites["site"]) == set(sites)
    assert (record.sites["time_steps"] == time_steps).all()
    rates, norms = record.tables["firing_rate"], record.tables["gradient_norm"]
    for name in sites:
        assert rates.loc[rates["site"] == name, "total"].tolist() == totals[name].tolist()
        # the order of a float64 sum
        np.testing.assert_allclose(
            norms.loc[norms["site"] == name, "squares"], squares[name], 1e-12
        )
    assert sum(t.sum() for t in totals.values()) > 0
    assert sum(s.sum() for s in squares.values()) > 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_recorded_replays_have_no_mismatch(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = PerStep().to(dtype)
    x = torch.rand(5, 3, 2, 4, 4, dtype=dtype) * 20
    with snnlens.record(model, probes=["firing_rate", "surrogate_active"]) as rec:
        model(x).sum().backward()
    sites = rec.record().sites.set_index("site")
    assert sites["replayed"].tolist() == [5 * 3 * 12, 5 * 3 * 5]
    assert sites["replay_mismatches"].tolist() == [0, 0]


def test_a_loop_over_time_outside_of_the_model_is_one_sequence() -> None:
    torch.manual_seed(0)
    model = norse.SequentialState(nn.Linear(6, 4), norse.LIFCell()).double()
    kept: list[list[Tensor]] = []
    with snnlens.record(model, probes=["firing_rate", "gradient_norm"]) as rec:
        for size in (1, 3):
            state, spikes = None, []
            for x in torch.rand(5, size, 6, dtype=torch.float64) * 40:
                z, state = model(x, state)
                z.retain_grad()
                spikes.append(z)
            (torch.stack(spikes) + 1).square().sum().backward()
            kept.append(spikes)
    tables = rec.record().tables
    totals = [float(sum(run[t].detach().sum() for run in kept)) for t in range(5)]
    squares = [float(sum((run[t].grad ** 2).sum() for run in kept)) for t in range(5)]
    assert tables["firing_rate"]["total"].tolist() == totals
    assert sum(totals) > 0
    # the order of a float64 sum
    np.testing.assert_allclose(tables["gradient_norm"]["squares"], squares, rtol=1e-12)
