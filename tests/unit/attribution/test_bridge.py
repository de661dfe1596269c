"""The bridge: batch first, from rest, the layers' spikes, the tap, and everything put back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import snnlens
from snnlens.errors import InputError
from tests.unit.attribution import nets
from tests.unit.attribution.nets import CASES, CLASSES, Case, N, T, Y

EXACT = 1e-14  # float64 sums of O(1) in another order
ALL: dict[str, Callable[[], Case]] = CASES | {"smooth": nets.smooth}


@pytest.fixture(params=ALL)
def case(request: pytest.FixtureRequest) -> Case:
    return ALL[request.param]()


def native(case: Case) -> Tensor:
    """The model's own forward on its own batch, [N, T, classes] or [N, 1, classes]."""
    case.reset(case.net)
    if case.told.get("per_step"):
        return torch.stack([case.net(step) for step in case.given], 1)
    out = case.net(case.given)
    if isinstance(case.net, nets.Looping):
        return out.unsqueeze(1)
    if isinstance(case.net, nets.Folded):
        return out.unflatten(0, (N, T))
    return out if isinstance(case.net, nets.BatchFirst) else out.transpose(0, 1)


@torch.no_grad()
def test_scores_are_those_of_the_model_itself(case: Case) -> None:
    wanted = native(case)
    with snnlens.bridge(case.net, case.given, **case.told) as bridge:
        assert torch.equal(bridge.x, case.x)
        steps, scores = bridge.stepwise(bridge.x), bridge(bridge.x)
        asked = bridge.score(bridge.x, Y)
    torch.testing.assert_close(steps, wanted, rtol=0, atol=EXACT)
    torch.testing.assert_close(scores, wanted.mean(1), rtol=0, atol=EXACT)
    assert asked.tolist() == [float(scores[i, y]) for i, y in enumerate(Y)]
    assert bridge.classes == CLASSES
    assert bridge.has_time == (wanted.shape[1] > 1)


@torch.no_grad()
def test_every_call_begins_at_rest(case: Case) -> None:
    with snnlens.bridge(case.net, case.given, **case.told) as bridge:
        first = bridge(bridge.x)
        bridge(5 * bridge.x.flip(1))
        assert torch.equal(bridge(bridge.x), first)


@torch.no_grad()
def test_spikes_are_those_of_the_layers(case: Case) -> None:
    wanted = case.front(case.x)
    with snnlens.bridge(case.net, case.given, **case.told) as bridge:
        spikes = bridge.spikes(bridge.x)
        assert bridge.sites == ["a", "b"]
        assert bridge.shapes == {"a": (3, 4, 4), "b": (8,)}
        assert (bridge.steps, bridge.encoder, bridge.static) == (T, "a", False)
        assert bridge.seen["a"].calls == case.calls
    torch.testing.assert_close(spikes["a"], wanted, rtol=0, atol=EXACT, check_dtype=False)
    assert spikes["b"].shape == (N, T, 8)
    assert 0 < spikes["a"].mean() < 1


@torch.no_grad()
def test_what_replaces_a_layers_spikes_goes_on(case: Case) -> None:
    """Each layer's calls are told their site and step; None leaves them."""
    other = (torch.rand(N, T, 3, 4, 4, generator=torch.Generator().manual_seed(0)) < 0.3).double()
    wanted = case.back(other)
    told = []

    def change(site: str, step: int, current: Tensor | None, spikes: Tensor) -> Tensor | None:
        told.append((site, step, len(spikes)))
        if site != "a":
            return None
        laid = other.transpose(0, 1)[step : step + len(spikes)]
        return laid.to(spikes.dtype)

    with snnlens.bridge(case.net, case.given, **case.told) as bridge:
        with bridge.around(change):
            bridge(bridge.x)
            found = bridge(bridge.x)
        plain = bridge(bridge.x)
    torch.testing.assert_close(found, wanted, rtol=0, atol=EXACT)
    assert not torch.equal(plain, found)
    calls = T if case.calls > 1 else 1
    assert [t for t in told if t[0] == "a"] == 2 * [("a", i, T // calls) for i in range(calls)]


def test_currents_are_laid_as_spikes() -> None:
    case, seen = nets.own(), {}

    def keep(site: str, step: int, current: Tensor | None, spikes: Tensor) -> None:
        seen[site] = current

    with snnlens.bridge(case.net, case.given) as bridge, bridge.around(keep):
        bridge(bridge.x)
    wanted = torch.stack([case.net.conv(step) for step in case.given])
    torch.testing.assert_close(seen["a"], wanted, rtol=0, atol=EXACT)


def test_layers_that_are_folded_tell_how_the_input_is() -> None:
    """Without targets: 15 frames, and the layers see 5 steps of 3 samples."""
    case = nets.sinabs_folded()
    with snnlens.bridge(case.net, case.given) as bridge:
        assert bridge.entering == "folded"
        assert torch.equal(bridge.x, case.x)


# --- the tap ----------------------------------------------------------------------------------


def test_a_tap_changes_nothing_and_shows_the_layer(case: Case) -> None:
    seen = []
    with snnlens.bridge(case.net, case.given, **case.told) as bridge:
        plain = bridge(bridge.x)
        with bridge.tap("a") as tap:
            tap.register_forward_hook(lambda module, args, out: seen.append(out))
            tapped = bridge(bridge.x)
        spikes = bridge.spikes(bridge.x)["a"]
        assert torch.equal(bridge(bridge.x), plain)
    torch.testing.assert_close(tapped, plain, rtol=0, atol=EXACT)
    assert len(seen) == 1
    assert torch.equal(seen[0], spikes.transpose(1, 2))  # [N, C, T, H, W]


def test_a_layer_of_one_step_a_call_is_run_twice_under_a_tap(case: Case) -> None:
    calls = []
    case.net.conv.register_forward_hook(lambda *_: calls.append(1))
    with snnlens.bridge(case.net, case.given, **case.told) as bridge:
        calls.clear()
        bridge(bridge.x)
        once = len(calls)
        with bridge.tap("a"):
            bridge(bridge.x)
    assert len(calls) - once == once * (2 if case.calls > 1 else 1)


def test_the_gradient_at_the_tap_is_that_of_the_part_behind(case: Case) -> None:
    spikes = case.front(case.x).detach().requires_grad_()
    wanted = torch.autograd.grad(case.back(spikes).gather(1, Y[:, None]).sum(), spikes)[0]
    kept = []
    with snnlens.bridge(case.net, case.given, **case.told) as bridge, bridge.tap("a") as tap:
        tap.register_forward_hook(lambda module, args, out: kept.append(out))
        score = bridge.score(bridge.x, Y).sum()
        found = torch.autograd.grad(score, kept[0])[0].transpose(1, 2)
    peak = float(wanted.abs().max())
    rounding = 2e-6 if kept[0].dtype == torch.float32 else 1e-12  # snnTorch and sinabs: float32
    torch.testing.assert_close(found, wanted, rtol=0, atol=rounding * peak, check_dtype=False)
    assert peak > 1e-3


def test_an_input_keeps_its_gradient_under_a_tap(case: Case) -> None:
    found = []
    with snnlens.bridge(case.net, case.given, **case.told) as bridge:
        for tapped in (False, True):
            x = bridge.x.clone().requires_grad_()
            if tapped:
                with bridge.tap("a"):
                    score = bridge.score(x, Y).sum()
            else:
                score = bridge.score(x, Y).sum()
            found.append(torch.autograd.grad(score, x)[0])
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=1e-12)


# --- the part behind a layer ------------------------------------------------------------------


def test_behind_a_layer(case: Case) -> None:
    wanted = case.back(case.front(case.x))
    with snnlens.bridge(case.net, case.given, **case.told) as bridge:
        behind = bridge.behind("a", bridge.x)
        spikes = bridge.spikes(bridge.x)["a"]
        found = behind(spikes)
        assert behind.sites == ["b"]
        assert (behind.steps, behind.classes, behind.static) == (T, CLASSES, False)
        assert torch.equal(behind.spikes(spikes)["b"], bridge.spikes(bridge.x)["b"])
        with behind.tap("b"):
            torch.testing.assert_close(behind(spikes), found, rtol=0, atol=EXACT)
        last = behind.behind("b", bridge.x)
        assert last.steps == T
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-7 if _short(spikes) else EXACT)


def _short(x: Tensor) -> bool:
    return x.dtype == torch.float32


class Around(nn.Module):
    """The input reaches the output past `a` too."""

    def __init__(self) -> None:
        super().__init__()
        self.lin, self.a, self.past = nn.Linear(3, 2), snnlens.IF(), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.a(self.lin(x)) + self.past(x)


def test_no_part_behind_a_layer_that_the_input_goes_around() -> None:
    with snnlens.bridge(Around(), torch.rand(5, 4, 3)) as bridge, pytest.raises(InputError) as e:
        bridge.behind("a", bridge.x)
    assert str(e.value) == (
        "the layer that a map lies over must be one that the whole input passes; got 'a'; the "
        "input reaches the output past it"
    )
