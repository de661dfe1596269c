"""Ties, silence, firing bias, identity, state, the tap, copies, and wrong input."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from snnlens.errors import InputError
from snnlens.neuron.equations import Step
from snnlens.neuron.layers import IF, LIF, PLIF, Neuron
from snnlens.neuron.surrogate import ATan, Rectangular

FLOATS = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
KINDS: list[Callable[..., Neuron]] = [IF, LIF, PLIF]


def _rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2


# --- ties and silence --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("threshold", [1.0, 0.5, 0.75])
def test_a_membrane_at_the_threshold_fires(dtype: torch.dtype, threshold: float) -> None:
    below = torch.nextafter(torch.tensor(threshold, dtype=dtype), torch.tensor(0.0, dtype=dtype))
    x = torch.stack([torch.tensor(threshold, dtype=dtype), below])[None]
    assert IF(threshold)(x).tolist() == [[1, 0]]
    assert LIF(2.0, threshold=threshold)(2 * x).tolist() == [[1, 0]]
    assert PLIF(2.0, threshold=threshold).to(dtype)(2 * x).tolist() == [[1, 0]]


def test_a_sum_that_ties_fires() -> None:
    assert IF()(torch.tensor([0.25, 0.25, 0.5, 1.0])).tolist() == [0, 0, 1, 1]
    # ten times 0.1: rounding leaves the sum below 1 in float64 and above 1 in float32
    assert IF()(torch.full((10,), 0.1)).sum() == 1
    assert IF()(torch.full((10,), 0.1, dtype=torch.float64)).sum() == 0


def test_the_gradient_at_a_tie_is_that_of_a_spike() -> None:
    x = torch.tensor([1.0, 0.5], requires_grad=True)
    spikes = IF()(x)
    (grad,) = torch.autograd.grad(spikes[1], x)
    assert grad[0] == 0  # the reset passes nothing: S[0] = 1
    assert grad[1] == pytest.approx(0.2884, abs=5e-5)


def test_lif_at_the_threshold_current_is_silent_for_24_steps() -> None:
    """H_t = 1 - 2^-t < 1; in float32 it rounds to 1 at step 25."""
    assert LIF(tau=2.0)(torch.ones(30, 1)).flatten().tolist() == [0] * 24 + [1] + [0] * 5
    assert not LIF(tau=2.0)(torch.ones(50, 1, dtype=torch.float64)).any()
    assert not PLIF(init_tau=2.0)(torch.ones(24, 1)).any()


def test_nothing_in_nothing_out() -> None:
    for neuron in (IF(), LIF(), PLIF(), IF(reset="soft"), LIF(3.0, decay_input=False)):
        assert not neuron(torch.zeros(9, 4)).any()


# --- firing bias, identity, facts --------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("kind", ["lif", "lif whole", "plif", "if"])
def test_firing_bias_fires_at_every_step(kind: str, dtype: torch.dtype) -> None:
    make: Callable[[float, float], Neuron] = {
        "if": lambda tau, threshold: IF(threshold),
        "lif": lambda tau, threshold: LIF(tau, threshold=threshold),
        "lif whole": lambda tau, threshold: LIF(tau, threshold=threshold, decay_input=False),
        "plif": lambda tau, threshold: PLIF(tau, threshold=threshold),
    }[kind]
    taus = (1.01, 1.1, 1.7, 2.0, 3.0, 3.3, 5.3, 7.0, 9.7, 17.3)
    for tau, threshold in itertools.product(taus, (0.1, 0.3, 0.5, 1.0, 1.3)):
        neuron = make(tau, threshold)
        bias = neuron.firing_bias(dtype, time_steps=6)
        current = torch.full((6, 1), bias, dtype=dtype)
        assert current[0, 0].item() == bias  # a number of that dtype
        assert bool(neuron.twin().to(dtype)(current).all())
        exact = threshold * (1 if kind in ("if", "lif whole") else neuron.tau() or 1)
        # rounded up by a few numbers of dtype at most; PLIF's 1 / tau is itself rounded to dtype
        assert bias == pytest.approx(exact, rel=4 * torch.finfo(dtype).eps)


def test_firing_bias_where_the_product_rounds_below() -> None:
    """float32(tau V_th) / tau < V_th: the plain product would leave the block silent."""
    taus = [1 + i / 64 for i in range(1, 640)]
    broken = []
    for tau in taus:
        product = torch.tensor(tau * 0.3)
        if not LIF(tau, threshold=0.3)(product.reshape(1, 1)).item():
            broken.append(tau)
    assert broken  # there are such time constants
    for tau in broken:
        neuron = LIF(tau, threshold=0.3)
        bias = torch.tensor(neuron.firing_bias())
        assert bias > torch.tensor(tau * 0.3)
        assert neuron(bias.expand(8, 1)).all()
        before = torch.nextafter(bias, torch.tensor(0.0))
        assert not neuron(before.expand(8, 1)).all()  # the smallest that does


def test_firing_bias_at_another_rest_and_soft_reset() -> None:
    assert IF(reset_potential=-0.5).firing_bias() == 1.5
    assert LIF(2.0, reset_potential=-0.5).firing_bias() == 3.0
    assert IF(0.75, reset="soft").firing_bias() == 0.75
    assert PLIF(2.0).firing_bias() == 2.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_firing_bias_near_the_threshold(dtype: torch.dtype) -> None:
    """The step from rest to threshold is small, its own rounding finer than the membrane's."""
    for rest in (0.9, 0.97, 0.99, 0.999):
        neuron = IF(reset_potential=rest)
        bias = torch.tensor(neuron.firing_bias(dtype), dtype=dtype)
        assert neuron(bias.expand(8, 1)).all()


def test_is_identity_closed_form() -> None:
    """Spiking block: IF, hard reset, 0 < V_th <= 1; LIF iff V_th <= 1 / tau, whole input 1."""
    for threshold in (0.1, 0.5, 1.0):
        assert IF(threshold).is_identity(4)
    for threshold in (1.0001, 1.5, 2.0):
        assert not IF(threshold).is_identity(4)
    for tau, threshold in itertools.product((1.0, 2.0, 4.0), (0.2, 0.25, 0.5, 0.6, 1.0, 1.1)):
        assert LIF(tau, threshold=threshold).is_identity(4) == (threshold <= 1 / tau)
        assert LIF(tau, threshold=threshold, decay_input=False).is_identity(4) == (threshold <= 1)
    assert PLIF(2.0, threshold=0.5).is_identity(4)
    assert not PLIF(2.0, threshold=0.51).is_identity(4)


def test_is_identity_soft_reset() -> None:
    """1 - V_th stays behind: at V_th = .5 one spike is followed by another."""
    assert IF(reset="soft").is_identity(8)
    assert not IF(0.5, reset="soft").is_identity(8)
    assert IF(0.5, reset="soft").is_identity(1)
    # 1 - 0.9 = .1 adds up to a false spike after ten steps, beyond the trains of eight steps
    assert not IF(0.9, reset="soft").is_identity(24)


def test_is_identity_needs_every_train() -> None:
    """Soft, V_th = .7: (1, 0) is kept, (1, 1, 1, 0) is not: .3 three times is above .7."""
    assert IF(0.7, reset="soft").is_identity(3)
    assert not IF(0.7, reset="soft").is_identity(4)


def test_facts() -> None:
    facts = IF().facts(4)
    assert facts | {"surrogate_at_silence": 0} == {
        "neuron": "IF", "threshold": 1.0, "reset": "hard", "reset_potential": 0.0,
        "initial_potential": None,
        "detach_reset": True, "decay_input": None, "tau_steps": None, "surrogate": "atan",
        "alpha": 2.0, "surrogate_at_spike": 1.0, "surrogate_at_silence": 0, "gain": 1.0,
        "leak": 1.0, "is_identity": True,
    }  # fmt: skip
    assert facts["surrogate_at_silence"] == pytest.approx(0.0920, abs=5e-5)
    half, steep = IF(0.5).facts(4), IF(surrogate=ATan(3.0)).facts(4)
    assert half["surrogate_at_spike"] == half["surrogate_at_silence"]
    assert half["surrogate_at_spike"] == pytest.approx(0.2884, abs=5e-5)
    assert steep["surrogate_at_spike"] == 1.5
    assert steep["surrogate_at_silence"] == pytest.approx(0.0646, abs=5e-5)


def test_facts_of_leaky_neurons() -> None:
    facts = LIF(4.0, threshold=0.2).facts(4)
    assert (facts["gain"], facts["leak"], facts["tau_steps"]) == (0.25, 0.75, 4.0)
    assert facts["surrogate_at_spike"] == pytest.approx(1 / (1 + (math.pi * 0.05) ** 2), rel=1e-6)
    assert facts["decay_input"] is True
    whole = LIF(4.0, decay_input=False).facts(4)
    assert (whole["gain"], whole["leak"], whole["decay_input"]) == (1.0, 0.75, False)
    learned = PLIF(3.0).facts(4)
    assert learned["tau_steps"] == pytest.approx(3.0, rel=1e-6)
    assert learned["neuron"] == "PLIF"


def test_plif_starts_at_its_tau() -> None:
    for tau in (1.01, 2.0, 3.3, 100.0):
        neuron = PLIF(tau)
        assert neuron.w.shape == ()
        assert neuron.rate.item() == pytest.approx(1 / tau, rel=1e-6)
        assert neuron.tau() == pytest.approx(tau, rel=1e-6)


# --- state -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_each_call_starts_from_rest(kind: Callable[..., Neuron]) -> None:
    neuron, x = kind(), _rand(5, 3, 2)
    first = neuron(x)
    assert torch.equal(neuron(x), first)
    assert neuron.membrane is None
    assert torch.equal(neuron(x[:, :1]), first[:, :1])  # another batch size is no trouble


@pytest.mark.parametrize("kind", KINDS)
def test_kept_state_continues(kind: Callable[..., Neuron]) -> None:
    x = _rand(8, 3, 2)
    whole, kept = kind()(x), kind(keep_state=True)
    assert torch.equal(torch.cat([kept(x[:3]), kept(x[3:])]), whole)
    kept.reset_state()
    assert kept.membrane is None
    assert torch.equal(kept(x), whole)


def test_kept_state_is_detached_and_not_saved() -> None:
    neuron = IF(keep_state=True)
    x = torch.full((2, 3), 0.4, requires_grad=True)
    neuron(x).sum().backward()
    assert neuron.membrane is not None
    assert not neuron.membrane.requires_grad
    assert neuron.membrane.tolist() == pytest.approx([0.8] * 3)
    assert not neuron.state_dict()
    second = neuron(x)
    second.sum().backward()  # no graph of the first call is asked for
    assert neuron.membrane.tolist() == pytest.approx([0.4] * 3)  # 1.2 fired, then .4


def test_kept_state_of_another_shape_is_refused() -> None:
    neuron = IF(keep_state=True)
    neuron(torch.zeros(2, 3, 4))
    with pytest.raises(InputError) as error:
        neuron(torch.zeros(2, 5, 4))
    assert str(error.value) == (
        "the input of a neuron that keeps its state must be of the kept shape (3, 4);"
        " got (5, 4); call reset_state() between unlike batches"
    )
    neuron.reset_state()
    assert neuron(torch.zeros(2, 5, 4)).shape == (2, 5, 4)


# --- the tap -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_tap_shows_each_step(kind: Callable[..., Neuron]) -> None:
    neuron, x, shown = kind(threshold=0.6), _rand(5, 4), []
    with neuron.tap(shown.append):
        spikes = neuron(x)
    neuron(x)  # nobody listens any more
    assert [s.t for s in shown] == [0, 1, 2, 3, 4]
    assert torch.equal(torch.stack([s.spike for s in shown]), spikes)
    assert torch.equal(torch.stack([s.current for s in shown]), x)
    for before, after in itertools.pairwise(shown):
        rest = before.membrane_after
        charged = rest + x[after.t] if kind is IF else rest + (x[after.t] - rest) / 2
        assert torch.allclose(after.membrane, charged, atol=1e-7)
        expected = torch.where(after.spike == 1, 0.0, after.membrane)
        assert torch.equal(after.membrane_after, expected)
    assert not any(tensor.requires_grad for step in shown for tensor in step[1:])


@pytest.mark.parametrize("kind", KINDS)
def test_tap_changes_no_bit(kind: Callable[..., Neuron]) -> None:
    def run(*, listen: bool) -> list[Tensor]:
        neuron, x = kind(keep_state=True), _rand(6, 5).requires_grad_()
        heard: list[Step] = []
        if listen:
            with neuron.tap(heard.append), neuron.tap(heard.append):
                out = neuron(x)
            assert len(heard) == 12
        else:
            out = neuron(x)
        (out * _rand(6, 5, seed=1)).sum().backward()
        assert x.grad is not None
        assert neuron.membrane is not None
        return [
            out,
            x.grad,
            neuron.membrane,
            *(p.grad for p in neuron.parameters() if p.grad is not None),
        ]

    for with_tap, without in zip(run(listen=True), run(listen=False), strict=True):
        assert torch.equal(with_tap, without)


def test_tap_ends_after_an_error() -> None:
    neuron = IF()

    def listener(step: Step) -> None:
        raise ValueError("a listener's own fault")

    with pytest.raises(ValueError, match="own fault"), neuron.tap(listener):
        neuron(torch.zeros(1, 1))
    assert not neuron._listeners
    neuron(torch.zeros(1, 1))


def test_tap_sees_the_surrogate() -> None:
    shown: list[Step] = []
    neuron = IF(surrogate=Rectangular())
    with neuron.tap(shown.append):
        neuron(torch.tensor([[0.5, 0.51, 1.49, 1.5, 3.0]]))
    assert shown[0].surrogate.tolist() == [0, 1, 1, 0, 0]


# --- copies ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_is_copied_whole_and_apart(kind: Callable[..., Neuron]) -> None:
    template = kind(0.7, reset="soft", detach_reset=False, keep_state=True) if kind is IF else kind(
        3.0, threshold=0.7, reset="soft", detach_reset=False, keep_state=True
    )  # fmt: skip
    template.eval()
    template(_rand(2, 3))
    heard: list[Step] = []
    with template.tap(heard.append):
        copied = copy.deepcopy(template)
    assert type(copied) is type(template)
    assert copied.rule == template.rule
    assert (copied.keep_state, copied.training) == (True, False)
    assert copied.membrane is None  # a copy is at rest
    copied(_rand(2, 3))
    assert not heard
    for mine, its in zip(copied.parameters(), template.parameters(), strict=True):
        assert mine is not its
        assert torch.equal(mine, its)
        with torch.no_grad():
            mine.add_(1)
        assert not torch.equal(mine, its)


def test_a_copied_network_shares_no_neuron() -> None:
    net = nn.Sequential(nn.Linear(3, 3), PLIF(3.0))
    net[1].w.requires_grad_(False)
    twin = copy.deepcopy(net)
    assert twin[1] is not net[1]
    assert twin[1].w is not net[1].w
    assert not twin[1].w.requires_grad
    assert torch.equal(twin[1].w, net[1].w)


def test_one_neuron_twice_in_a_network_stays_one() -> None:
    shared = IF()
    twin = copy.deepcopy(nn.Sequential(shared, nn.Linear(2, 2), shared))
    assert twin[0] is twin[2]


def test_dtype_moves_with_the_input() -> None:
    for dtype in FLOATS:
        spikes = LIF(3.0)(_rand(4, 3).to(dtype))
        assert spikes.dtype == dtype
        assert set(spikes.unique().tolist()) <= {0.0, 1.0}


# --- wrong use ---------------------------------------------------------------------------------

WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: IF(0.0), "threshold must be in (0, 1e6]; got 0.0"),
    (lambda: IF(-1.0), "threshold must be in (0, 1e6]; got -1.0"),
    (lambda: IF(math.nan), "threshold must be in (0, 1e6]; got nan"),
    (lambda: LIF(threshold=1.1e6), "threshold must be in (0, 1e6]; got 1100000.0"),
    (lambda: IF(reset="none"), "reset must be hard or soft; got 'none'"),  # type: ignore[arg-type]
    (
        lambda: IF(reset_potential=1.0),
        "reset_potential must be in [-1e6, threshold); got 1.0",
    ),
    (
        lambda: PLIF(reset_potential=math.nan),
        "reset_potential must be in [-1e6, threshold); got nan",
    ),
    (lambda: LIF(0.5), "tau must be a finite number of time steps, at least 1; got 0.5"),
    (lambda: LIF(math.nan), "tau must be a finite number of time steps, at least 1; got nan"),
    (lambda: LIF(math.inf), "tau must be a finite number of time steps, at least 1; got inf"),
    (lambda: PLIF(1.0), "init_tau must be a finite number of time steps, above 1; got 1.0"),
    (
        lambda: IF()(torch.ones(2, 2, dtype=torch.int64)),
        "the input of a neuron must be of a floating dtype; got torch.int64",
    ),
    (
        lambda: IF()(torch.tensor(1.0)),
        "the input of a neuron must be [T, ...] with T of at least 1; got ()",
    ),
    (
        lambda: IF()(torch.zeros(0, 3)),
        "the input of a neuron must be [T, ...] with T of at least 1; got (0, 3)",
    ),
]


@pytest.mark.parametrize(("call", "message"), WRONG, ids=[m for _, m in WRONG])
def test_wrong_use_has_one_line(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value) == message
    assert error.value.exit_code == 2


def test_no_firing_bias_is_an_error_of_one_line() -> None:
    """Soft reset to below the rest: the current that fires at once does not fire twice."""
    neuron = IF(reset="soft", reset_potential=0.25)
    with pytest.raises(InputError) as error:
        neuron.firing_bias()
    assert str(error.value) == (
        "the neuron of a zero-initialised AND block must be one that a constant current can make"
        f" spike at every step; got '{neuron}'; use connect add or iand, or a hard reset"
    )
