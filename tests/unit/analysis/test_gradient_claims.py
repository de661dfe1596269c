"""Every claim of the gradients question: holds, fails, not testable; at and around its bound."""

from __future__ import annotations

import math
from typing import Any
from unittest import mock

import numpy as np
import pytest

from snnlens.analysis import _gradient_claims, gradients
from snnlens.measures.chain import chain_norms, same_step_ratio
from snnlens.models.plan import plan
from snnlens.neuron.layers import IF, LIF, PLIF, Neuron
from snnlens.neuron.surrogate import ATan, Constant, Rectangular, Sigmoid
from snnlens.recording.record import Record
from snnlens.recording.result import Claim
from tests.unit.analysis.handmade import (
    FIG6,
    FIG7,
    FIG8,
    Net,
    chain_neuron,
    geometric,
    only,
    record,
    same_step_net,
)

ALWAYS = ["eq11-flat", "eq8-exact", "eq8-rate", "eq8-plateau", "eq8-chain", "fig5-zero-init-equal"]
FIG6_CLAIMS = ["fig6-spiking-decays", "fig6-and-vanishes", "fig6-add-iand-do-not-vanish"]
AREAS = plan(152).areas()
L = 50


def claim_of(name: str, *nets: Net, **options: Any) -> Claim:
    """One claim through `compute`; the others are not measured, which saves half of the time."""
    rows = [row for row in _gradient_claims.CLAIMS if row[0] == name]
    with mock.patch.object(_gradient_claims, "CLAIMS", rows):
        return only(gradients.compute(record(*nets, **options)).claims, name)


def triple(made: Claim) -> tuple[float | None, str, str]:
    return made.measured, made.verdict, made.reason


# --- which claims appear -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("neuron", "shapes"),
    [
        (FIG6, FIG6_CLAIMS),
        (FIG7, ["fig7-spiking-vanishes"]),
        (FIG8, ["fig8-spiking-explodes"]),
        (IF(0.5, surrogate=ATan(3.0)), []),
        (IF(1.0, surrogate=ATan(2.5)), []),
        (IF(0.3), []),
        (IF(1.0, surrogate=Sigmoid(2.0)), []),
        (IF(1.0, surrogate=Constant()), []),
        (LIF(2.0, threshold=1.0), []),
        (PLIF(2.0, threshold=1.0), []),
    ],
    ids=str,
)
def test_a_claim_appears_only_with_the_parameters_it_speaks_of(
    neuron: Neuron, shapes: list[str]
) -> None:
    claims = gradients.compute(record(Net(neuron=neuron))).claims
    assert [c.id for c in claims] == ALWAYS + shapes


def test_an_ann_beside_it_takes_no_claim_away() -> None:
    """An ANN has no neuron: the claims speak of the networks that have one."""
    ann = Net("ann", time_steps=1, neuron=None)
    result = gradients.compute(record(ann, Net()))
    assert [c.id for c in result.claims] == ALWAYS + FIG6_CLAIMS
    assert "V_th = 1, atan, alpha = 2; T = 4" in result.caption


def test_the_bounds_are_those_of_the_issue() -> None:
    bounds = {}
    for neuron in (FIG6, FIG7, FIG8):
        claims = gradients.compute(record(Net(neuron=neuron))).claims
        bounds |= {c.id: c.bound for c in claims}
    assert bounds == {
        "eq11-flat": "max / min - 1 <= 1e-6 in each area",
        "eq8-exact": "relative error <= 1e-5 at every block",
        "eq8-rate": "within 1e-3 once settled, areas of at least six blocks",
        "eq8-plateau": "abs(factor - 1) <= 1e-3 for k >= 4",
        "eq8-chain": "relative error <= 1e-5 at every block",
        "fig5-zero-init-equal": "0 differing elements",
        "fig6-spiking-decays": "factor <= .98, shallow end below half the deep end",
        "fig6-and-vanishes": "exactly 0 at every block input, and O is silent there",
        "fig6-add-iand-do-not-vanish": (
            "no norm 0, factor >= .98 in long areas, norm(first) / norm(last) >= 1"
        ),
        "fig7-spiking-vanishes": "factor <= .9",
        "fig8-spiking-explodes": "factor >= 1.3",
    }


def test_a_run_without_the_networks_tests_nothing() -> None:
    """Only a plain network: each claim says which network is missing."""
    claims = gradients.compute(record(Net("plain"))).claims
    assert {c.id: (c.measured, c.verdict, c.reason) for c in claims} == {
        "eq11-flat": (None, "not-testable", ("sew add with zero-init was not run; sew and with "
                      "zero-init was not run; sew iand with zero-init was not run")),
        "eq8-exact": (None, "not-testable", NO_T1),
        "eq8-rate": (None, "not-testable", NO_T1),
        "eq8-plateau": (None, "not-testable", NO_T1),
        "eq8-chain": (None, "not-testable", "spiking with zero-init was not run"),
        "fig5-zero-init-equal": (None, "not-testable", "spiking with zero-init was not run"),
        "fig6-spiking-decays": (None, "not-testable", "spiking without zero-init was not run"),
        "fig6-and-vanishes": (None, "not-testable", "sew and without zero-init was not run"),
        "fig6-add-iand-do-not-vanish": (
            None, "not-testable", "sew add without zero-init was not run"
        ),
    }  # fmt: skip


NO_T1 = "the zero-init Spiking network was not run at T = 1"
NO_IDENTITY = (
    "this neuron is not the identity on spikes: LIF with V_th = 1.0, dH/dX = 0.5, hard reset to 0.0"
)


@pytest.mark.parametrize("name", ["eq8-exact", "eq8-rate", "eq8-plateau"])
def test_a_neuron_that_is_no_identity_is_said(name: str) -> None:
    net = same_step_net(neuron=LIF(2.0, threshold=1.0), norms=1.0)
    assert triple(claim_of(name, net)) == (None, "not-testable", NO_IDENTITY)


def test_a_resting_potential_breaks_the_law() -> None:
    """The membrane is then not at 0 between the steps: the law is not tested, whatever it gives."""
    neuron = IF(0.4, reset_potential=-0.5)
    assert neuron.is_identity(4)  # it passes spikes on: H = 1 - 0.5 is above 0.4
    net = same_step_net(neuron=neuron)
    assert claim_of("eq8-exact", net).verdict == "not-testable"
    assert claim_of("eq8-exact", net).reason.endswith("hard reset to -0.5")


# --- eq11-flat ---------------------------------------------------------------------------------


def sew(connect: str, norms: Any = 1.0, **more: Any) -> Net:
    return Net("sew", connect, True, norms=norms, **more)


def levels(**changes: float) -> np.ndarray:
    """A level per area, and one norm changed by a relative amount: `s20=1e-6`."""
    norms = np.zeros(L + 1)
    for area, members in AREAS.items():
        norms[members] = 10.0**-area
    for name, by in changes.items():
        norms[int(name[1:])] *= 1 + by
    return norms


@pytest.mark.parametrize(
    ("by", "verdict"), [(0.0, "holds"), (0.99e-6, "holds"), (1.01e-6, "fails"), (-0.3, "fails")]
)
@pytest.mark.parametrize("connect", ["add", "and", "iand"])
def test_eq11_at_its_bound(connect: str, by: float, verdict: str) -> None:
    nets = [sew(c, levels(s20=by) if c == connect else levels()) for c in ("add", "and", "iand")]
    made = claim_of("eq11-flat", *nets)
    spread = max(1 + by, 1) / min(1 + by, 1) - 1
    assert made.verdict == verdict
    assert made.measured == pytest.approx(spread, rel=1e-6, abs=1e-15)  # float64 rounding of 1 + by
    texts = {c: f"{c} {spread if c == connect else 0:.1e}" for c in ("add", "and", "iand")}
    assert made.reason == ", ".join(texts.values())


@pytest.mark.parametrize("block", [0, 1, 3, 4, 11, 12, 47, 48, 50])
def test_eq11_looks_at_every_input_of_every_area(block: int) -> None:
    made = claim_of("eq11-flat", sew("add", levels(**{f"s{block}": 1e-3})))
    lone = block == 0  # area {0} has one member, so nothing to be unequal to
    assert made.verdict == ("holds" if lone else "fails")


def test_eq11_says_which_networks_are_missing() -> None:
    made = claim_of("eq11-flat", sew("add", levels()))
    assert triple(made) == (0.0, "holds", ("add 0.0e+00; sew and with zero-init was not run; "
                            "sew iand with zero-init was not run"))  # fmt: skip


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0])
def test_eq11_of_a_number_that_is_none_fails(bad: float) -> None:
    norms = levels()
    norms[20] = bad
    made = claim_of("eq11-flat", sew("add", norms))
    assert (made.measured, made.verdict) == (None, "fails")
    assert made.reason.startswith("the measured number is inf; add inf; sew and with")


# --- eq8-exact ---------------------------------------------------------------------------------

EQ8_NEURONS = [FIG6, FIG7, FIG8, IF(0.3), LIF(2.0, threshold=0.5),
               LIF(3.0, threshold=0.7, decay_input=False)]  # fmt: skip


@pytest.mark.parametrize("neuron", EQ8_NEURONS, ids=str)
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_eq8_exact_holds_for_every_neuron_and_share(neuron: Neuron, share: float) -> None:
    made = claim_of("eq8-exact", same_step_net(neuron, share=share))
    facts = neuron.facts(1)
    s1, s0 = (facts["gain"] * facts[f"surrogate_at_{at}"] for at in ("spike", "silence"))
    assert made.verdict == "holds"
    assert made.measured == pytest.approx(0, abs=1e-14)  # the same formula, other order of products
    # 152 layers: 2 + 7 + 35 + 2 inputs lie above the deepest of their area
    assert made.reason == f"largest relative error of 46 blocks; s1 {s1:.4g}, s0 {s0:.4g}"


@pytest.mark.parametrize(("by", "verdict"), [(0.99e-5, "holds"), (1.01e-5, "fails")])
@pytest.mark.parametrize("block", [1, 12, 48])
def test_eq8_exact_at_its_bound(block: int, by: float, verdict: str) -> None:
    net = same_step_net()
    net.norms[block] *= 1 + by  # type: ignore[index]
    made = claim_of("eq8-exact", net)
    assert made.verdict == verdict
    assert made.measured == pytest.approx(by, rel=1e-6)  # 1 + by is rounded at 1e-16


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_eq8_exact_of_a_norm_that_is_no_number_fails(bad: float) -> None:
    net = same_step_net()
    net.norms[12] = bad  # type: ignore[index]
    made = claim_of("eq8-exact", net)
    assert (made.measured, made.verdict) == (None, "fails")
    assert made.reason.startswith(f"the measured number is {bad}; largest relative error of 46")


def test_eq8_exact_where_the_law_says_zero() -> None:
    """Rectangular at V_th = 1/2: s1 = s0 = 0. A norm of exactly 0 is as predicted, no other is."""
    net = same_step_net(IF(0.5, surrogate=Rectangular()))
    made = claim_of("eq8-exact", net)
    assert (made.measured, made.verdict) == (0.0, "holds")
    net.norms[12] = 1e-12  # type: ignore[index]
    made = claim_of("eq8-exact", net)
    assert (made.measured, made.verdict) == (None, "fails")


@pytest.mark.parametrize("name", ["eq8-exact", "eq8-rate", "eq8-plateau"])
def test_eq8_without_a_gradient_at_the_end_is_not_testable(name: str) -> None:
    net = same_step_net()
    net.grams = {m: 0 * g for m, g in net.grams.items()}
    first = {"eq8-exact": 3, "eq8-rate": 11, "eq8-plateau": 11}[name]  # the first area looked at
    reason = f"the gradient at S^{first} is 0, not finite or not recorded"
    assert triple(claim_of(name, net)) == (None, "not-testable", reason)


def test_eq8_exact_without_two_inputs_in_one_area() -> None:
    net = same_step_net(depth=8, layout="cifar", grams={})
    made = claim_of("eq8-exact", net, depth=8, layout="cifar")
    # cifar-8: one block per stage; area 0 is S^0 and S^1, so one identity block is there
    assert made.reason == "the gradient at S^1 is 0, not finite or not recorded"


# --- eq8-rate ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("neuron", "limit"), [(FIG6, 1.0), (FIG7, 0.2884), (FIG8, 1.5), (IF(0.3), 0.5296)], ids=str
)
def test_eq8_rate_tends_to_the_larger_factor(neuron: Neuron, limit: float) -> None:
    """facts/gradients-measured.md: .2884 at V_th .5, 1.5 at alpha 3, .5296 at V_th .3."""
    made = claim_of("eq8-rate", same_step_net(neuron))
    assert made.verdict == "holds"
    assert made.measured == pytest.approx(limit, abs=1e-3)
    assert made.reason.startswith(f"max(s1, s0) = {limit:.4f}; the farthest of ")


@pytest.mark.parametrize(("by", "verdict"), [(0.99e-3, "holds"), (1.01e-3, "fails")])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("block", [12, 4])
def test_eq8_rate_at_its_bound(block: int, sign: int, by: float, verdict: str) -> None:
    """S^12 and S^4 begin the two long areas: their norm is in one counted factor only."""
    net = same_step_net(FIG8)
    net.norms[block] *= 1 + sign * by / 1.5  # type: ignore[index]
    made = claim_of("eq8-rate", net)
    assert made.verdict == verdict
    assert made.measured == pytest.approx(1.5 + sign * by, abs=2e-6)  # what is left to settle


def test_eq8_rate_counts_from_the_first_settled_block() -> None:
    """alpha 3, q = .25: (s0/s1)^(2k-2) 3 < 1e-3 first at k = 3; k = 2 may be off, k = 3 not."""
    neuron = chain_neuron(FIG8)
    s1, s0 = neuron.factors
    assert (s0 / s1) ** 2 * 3 > 1e-3 > (s0 / s1) ** 4 * 3
    for k, verdict in ((2, "holds"), (3, "fails")):
        net = same_step_net(FIG8)
        for members in (AREAS[2], AREAS[3]):
            shallow = [m for m in members if members[-1] - m >= k]
            net.norms[shallow] *= 1.01  # type: ignore[index]  # the factor of block k alone
        assert claim_of("eq8-rate", net).verdict == verdict


def test_eq8_rate_reads_long_areas_only() -> None:
    net = same_step_net(FIG7)
    net.norms[1] *= 1.5  # type: ignore[index]  # 1-3 has two identity blocks
    net.norms[48] *= 1.5  # type: ignore[index]
    made = claim_of("eq8-rate", net)
    assert made.verdict == "holds"
    assert made.reason == "max(s1, s0) = 0.2884; the farthest of 42 blocks"  # 7 + 35


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"depth": 38, "layout": "cifar"}, 6),   # 6 blocks a stage: area 0 has six identity blocks
        ({"depth": 32, "layout": "cifar"}, 0),   # five
        ({"depth": 34}, 0),
        ({"depth": 101}, 22),
    ],
)  # fmt: skip
def test_eq8_rate_needs_six_identity_blocks(options: dict[str, Any], count: int) -> None:
    made = claim_of("eq8-rate", same_step_net(FIG7, **options), **options)
    if count:
        assert made.verdict == "holds"
        assert made.reason == f"max(s1, s0) = 0.2884; the farthest of {count} blocks"
    else:
        reason = "no area of at least 6 blocks is long enough to settle"
        assert triple(made) == (None, "not-testable", reason)


def test_eq8_rate_where_no_block_settles() -> None:
    """V_th = .49: s0 is 3 % above s1, so the smaller factor is still felt after 35 blocks."""
    made = claim_of("eq8-rate", same_step_net(IF(0.49)))
    reason = "no area of at least 6 blocks is long enough to settle"
    assert triple(made) == (None, "not-testable", reason)


@pytest.mark.parametrize("name", ["eq8-rate", "eq8-plateau"])
@pytest.mark.parametrize("block", [12, 43])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_eq8_factors_that_are_no_number_fail(name: str, block: int, bad: float) -> None:
    net = same_step_net()
    net.norms[block] = bad  # type: ignore[index]
    made = claim_of(name, net)
    assert (made.measured, made.verdict) == (None, "fails")
    assert made.reason.startswith("the measured number is ")


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize("neuron", [FIG6, FIG8, IF(0.3)], ids=str)
def test_eq8_rate_with_all_gradient_on_one_kind_of_element(neuron: Neuron, share: float) -> None:
    """Then one factor alone is there. Where it is the larger, it is the limit from k = 1 on; where
    it is the smaller, the larger has no weight and no k reaches the limit."""
    made = claim_of("eq8-rate", same_step_net(neuron, share=share))
    s1, s0 = chain_neuron(neuron).factors
    larger = share == (1.0 if s1 > s0 else 0.0)
    assert made.verdict == ("holds" if larger else "not-testable")


# --- eq8-plateau -------------------------------------------------------------------------------


def test_eq8_plateau_holds_and_prints_its_levels() -> None:
    made = claim_of("eq8-plateau", same_step_net(share=0.16, rates=0.25))
    assert made.verdict == "holds"
    # k = 4 is still sqrt(1 + (1 - q)/q s0^6 (1 - s0^2)) off, 1.6e-6
    assert made.measured == pytest.approx(1, abs=2e-6)
    # areas 4-11 and 12-47 reach k = 4: 4 and 32 blocks; sqrt(.16) = .4, sqrt(.25) = .5
    assert made.reason == (
        "the farthest of 36 blocks; l 4-11: level 0.4000, sqrt(q) 0.4000, sqrt(Phi) 0.5000; "
        "l 12-47: level 0.4000, sqrt(q) 0.4000, sqrt(Phi) 0.5000"
    )


@pytest.mark.parametrize(("by", "verdict"), [(0.99e-3, "holds"), (1.01e-3, "fails")])
@pytest.mark.parametrize("sign", [1, -1])
def test_eq8_plateau_at_its_bound(sign: int, by: float, verdict: str) -> None:
    net = same_step_net()
    net.norms[12] *= 1 + sign * by  # type: ignore[index]
    made = claim_of("eq8-plateau", net)
    assert made.verdict == verdict
    assert made.measured == pytest.approx(1 + sign * by, abs=1e-9)


@pytest.mark.parametrize(("k", "verdict"), [(3, "holds"), (4, "fails")])
def test_eq8_plateau_counts_from_k_4(k: int, verdict: str) -> None:
    net = same_step_net()
    for members in (AREAS[2], AREAS[3]):
        shallow = [m for m in members if members[-1] - m >= k]
        net.norms[shallow] *= 1.01  # type: ignore[index]
    assert claim_of("eq8-plateau", net).verdict == verdict


@pytest.mark.parametrize(("neuron", "s1"), [(FIG7, "0.2884"), (FIG8, "1.5")])
def test_eq8_plateau_speaks_of_s1_1_only(neuron: Neuron, s1: str) -> None:
    reason = f"s1 = sigma'(1 - V_th) is {s1}, not 1"
    assert triple(claim_of("eq8-plateau", same_step_net(neuron))) == (None, "not-testable", reason)


def test_eq8_plateau_needs_four_blocks() -> None:
    made = claim_of("eq8-plateau", same_step_net(depth=18), depth=18)
    assert triple(made) == (None, "not-testable", "no area reaches k = 4")


# --- eq8-chain ---------------------------------------------------------------------------------


def chain_net(time_steps: int = 3, neuron: Neuron = FIG6) -> Net:
    """Random gradients at the end of each area, and the norms that the law gives from them."""
    rng = np.random.default_rng(0)
    norms, grams = np.zeros(L + 1), {}
    for members in AREAS.values():
        g = rng.normal(size=(2**time_steps, time_steps, 20))
        grams[members[-1]] = g @ g.transpose(0, 2, 1)
        chain = chain_norms(grams[members[-1]], chain_neuron(neuron), len(members) - 1)
        norms[members] = chain[::-1]
    return Net(zero_init=True, time_steps=time_steps, neuron=neuron, norms=norms, grams=grams)


@pytest.mark.parametrize("neuron", [FIG6, FIG7, IF(1.0, reset="soft")], ids=str)
def test_eq8_chain_holds(neuron: Neuron) -> None:
    made = claim_of("eq8-chain", chain_net(neuron=neuron))
    assert made.verdict == "holds"
    assert made.measured == pytest.approx(0, abs=1e-12)
    assert made.reason == "largest relative error of 46 blocks, T = 3"


@pytest.mark.parametrize(("by", "verdict"), [(0.99e-5, "holds"), (1.01e-5, "fails")])
@pytest.mark.parametrize("block", [1, 12, 49])
def test_eq8_chain_at_its_bound(block: int, by: float, verdict: str) -> None:
    net = chain_net()
    net.norms[block] *= 1 - by  # type: ignore[index]
    made = claim_of("eq8-chain", net)
    assert made.verdict == verdict
    assert made.measured == pytest.approx(by, rel=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_eq8_chain_of_a_norm_that_is_no_number_fails(bad: float) -> None:
    net = chain_net()
    net.norms[12] = bad  # type: ignore[index]
    made = claim_of("eq8-chain", net)
    assert (made.measured, made.verdict) == (None, "fails")


def test_eq8_chain_takes_the_run_with_the_most_steps() -> None:
    """The extra pass at T = 1 is no stand-in for the run itself."""
    made = claim_of("eq8-chain", same_step_net(), chain_net())
    assert made.reason.endswith("T = 3")
    made = claim_of("eq8-chain", chain_net(), same_step_net())
    assert made.reason.endswith("T = 3")


def test_eq8_chain_beyond_eight_steps() -> None:
    net = Net(zero_init=True, time_steps=9)
    reason = "T = 9: the law is computed up to T = 8"
    assert triple(claim_of("eq8-chain", net)) == (None, "not-testable", reason)


def test_eq8_chain_without_a_gradient() -> None:
    net = chain_net()
    net.norms, net.grams = 0.0, {m: 0 * g for m, g in net.grams.items()}
    reason = "the gradient is 0 at the end of an area, or no area has two inputs"
    assert triple(claim_of("eq8-chain", net)) == (None, "not-testable", reason)


# --- fig5-zero-init-equal ----------------------------------------------------------------------


def four(digests: Any = 5, **changed: Any) -> list[Net]:
    """The four zero-init networks; one of them with other digests: `add=...`."""
    nets = [Net(zero_init=True, digests=digests)]
    nets += [sew(c, digests=changed.get(c, digests)) for c in ("add", "and", "iand")]
    return nets


def test_fig5_equal() -> None:
    made = claim_of("fig5-zero-init-equal", *four())
    reason = "digests of the bits of 4 networks at 50 block outputs"
    assert triple(made) == (0.0, "holds", reason)


@pytest.mark.parametrize("connect", ["add", "and", "iand"])
def test_fig5_one_difference_fails(connect: str) -> None:
    other = np.full(L, 5)
    other[[17, 30]] = 6
    made = claim_of("fig5-zero-init-equal", *four(**{connect: other}))
    # block 17 is layer3.6: the first in depth, which is not the first in the alphabet
    assert triple(made) == (2.0, "fails", ("digests of the bits of 4 networks at 50 block outputs; "
                            "2 differ, the first layer3.6.output"))  # fmt: skip


def test_fig5_not_testable() -> None:
    made = claim_of("fig5-zero-init-equal", *four()[:3])
    assert triple(made) == (None, "not-testable", "sew iand with zero-init was not run")
    nets = four()
    nets[0].neuron = LIF(2.0, threshold=1.0)
    assert triple(claim_of("fig5-zero-init-equal", *nets)) == (None, "not-testable", NO_IDENTITY)


def test_fig5_without_digests_is_not_testable() -> None:
    made = claim_of("fig5-zero-init-equal", *four(None))
    assert triple(made) == (None, "not-testable", "the record holds no output_digest")


# --- the shapes of Figs. 6 to 8 ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "neuron", "factor", "verdict"),
    [
        ("fig6-spiking-decays", FIG6, 0.9799, "holds"),
        ("fig6-spiking-decays", FIG6, 0.9801, "fails"),
        ("fig7-spiking-vanishes", FIG7, 0.8999, "holds"),
        ("fig7-spiking-vanishes", FIG7, 0.9001, "fails"),
        ("fig8-spiking-explodes", FIG8, 1.3001, "holds"),
        ("fig8-spiking-explodes", FIG8, 1.2999, "fails"),
    ],
)
def test_shape_at_its_bound(name: str, neuron: Neuron, factor: float, verdict: str) -> None:
    made = claim_of(name, Net(neuron=neuron, norms=geometric(factor)))
    assert made.verdict == verdict
    assert made.measured == pytest.approx(factor, rel=1e-12)
    assert made.reason.startswith("l = 13..46, R^2 = 1.000, seed 7, n = 128")


def test_shape_is_fitted_without_the_two_ends() -> None:
    norms = geometric(0.8)
    norms[[12, 47]] *= 100.0  # both ends, so that the ends' quotient stays
    made = claim_of("fig6-spiking-decays", Net(norms=norms))
    assert made.measured == pytest.approx(0.8, rel=1e-12)
    norms[13] *= 100
    assert claim_of("fig6-spiking-decays", Net(norms=norms)).measured > 0.8


@pytest.mark.parametrize(("ends", "verdict"), [(0.499, "holds"), (0.501, "fails")])
def test_fig6_needs_the_shallow_end_below_half(ends: float, verdict: str) -> None:
    norms = geometric(0.9)
    norms[12] = ends * norms[47]
    made = claim_of("fig6-spiking-decays", Net(norms=norms))
    assert made.verdict == verdict
    assert made.measured == pytest.approx(0.9, rel=1e-12)
    assert f"norm(12) / norm(47) = {ends:.3g} (bound < .5)" in made.reason


@pytest.mark.parametrize(
    ("name", "net"),
    [
        ("fig6-spiking-decays", Net()),
        ("fig6-and-vanishes", Net("sew", "and")),
        ("fig6-add-iand-do-not-vanish", Net("sew", "add")),
        ("fig7-spiking-vanishes", Net(neuron=FIG7)),
        ("fig8-spiking-explodes", Net(neuron=FIG8)),
    ],
)
def test_shape_needs_128_samples(name: str, net: Net) -> None:
    made = claim_of(name, net, batch=127, positions=1)
    reason = "n = 127 samples in the last stage; the shape needs 128"
    assert triple(made) == (None, "not-testable", reason)
    enough = claim_of(name, net, batch=128, positions=1)
    assert "the shape needs" not in enough.reason


def test_shape_at_another_depth_says_so() -> None:
    made = claim_of("fig7-spiking-vanishes", Net(neuron=FIG7, norms=geometric(0.5, depth=101)),
                    depth=101)  # fmt: skip
    assert made.verdict == "holds"
    assert made.reason == ("l = 9..29, R^2 = 1.000, seed 7, n = 128; the paper shows 152 layers, "
                           "not 101")  # fmt: skip
    made = claim_of("fig7-spiking-vanishes", Net(neuron=FIG7), depth=34)
    assert triple(made) == (None, "not-testable", ("no area has 6 identity blocks at this depth; "
                            "the paper shows 152 layers, not 34"))  # fmt: skip


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0])
@pytest.mark.parametrize("name", ["fig6-spiking-decays", "fig7-spiking-vanishes"])
def test_shape_of_numbers_that_give_no_line_fails(name: str, bad: float) -> None:
    norms = geometric(0.5)
    norms[30] = bad
    made = claim_of(name, Net(neuron=FIG6 if "fig6" in name else FIG7, norms=norms))
    assert (made.measured, made.verdict) == (None, "fails")
    assert made.reason.startswith("the measured number is nan; l = 13..46")


def test_a_dead_spiking_network_fails_without_a_warning() -> None:
    """0 / 0 at the two ends is no number; it is no warning on the user's terminal either."""
    made = claim_of("fig6-spiking-decays", Net(norms=0.0))
    assert (made.measured, made.verdict) == (None, "fails")


# --- fig6-and-vanishes -------------------------------------------------------------------------

SILENT_FROM_30 = np.where(np.arange(L) >= 30, 0.0, 0.2)


def test_fig6_and_is_dead() -> None:
    made = claim_of("fig6-and-vanishes", Net("sew", "and", norms=0.0, nonzero=SILENT_FROM_30))
    assert triple(made) == (0.0, "holds", ("largest norm of 50 block inputs; O^l is silent in 20 "
                            "blocks, first O^30: dead, not vanishing"))  # fmt: skip


@pytest.mark.parametrize("block", [0, 12, 49])
def test_fig6_and_one_norm_that_is_tiny_but_not_0_fails(block: int) -> None:
    norms = np.zeros(L + 1)
    norms[block] = 1e-150
    made = claim_of("fig6-and-vanishes", Net("sew", "and", norms=norms, nonzero=SILENT_FROM_30))
    assert (made.measured, made.verdict) == (1e-150, "fails")


def test_fig6_and_needs_no_zero_after_the_last_block() -> None:
    """S^50 is no block's input: the last layer's gradient may be there."""
    norms = np.zeros(L + 1)
    norms[L] = 1.0
    made = claim_of("fig6-and-vanishes", Net("sew", "and", norms=norms, nonzero=SILENT_FROM_30))
    assert made.verdict == "holds"


def test_fig6_and_zero_without_silence_fails() -> None:
    """Zero for another reason is not what the claim says."""
    made = claim_of("fig6-and-vanishes", Net("sew", "and", norms=0.0, nonzero=0.2))
    reason = "largest norm of 50 block inputs; no block output is silent"
    assert triple(made) == (0.0, "fails", reason)
    middle = np.where(np.arange(L) == 20, 0.0, 0.2)
    made = claim_of("fig6-and-vanishes", Net("sew", "and", norms=0.0, nonzero=middle))
    assert made.verdict == "fails"


def test_fig6_and_of_nan_fails() -> None:
    norms = np.zeros(L + 1)
    norms[3] = math.nan
    made = claim_of("fig6-and-vanishes", Net("sew", "and", norms=norms, nonzero=SILENT_FROM_30))
    assert (made.measured, made.verdict) == (None, "fails")


def test_fig6_and_without_rates_is_not_testable() -> None:
    made = claim_of("fig6-and-vanishes", Net("sew", "and", norms=0.0, rates=None))
    assert triple(made) == (None, "not-testable", "the record holds no firing_rate")


# --- fig6-add-iand-do-not-vanish ---------------------------------------------------------------

BOTH = "fig6-add-iand-do-not-vanish"


def add_iand(add: Any = 1.0, iand: Any = 1.0) -> list[Net]:
    return [Net("sew", "add", norms=add), Net("sew", "iand", norms=iand)]


def test_add_iand_hold() -> None:
    made = claim_of(BOTH, *add_iand(geometric(1.04), geometric(1.003)))
    assert made.verdict == "holds"
    assert made.measured == pytest.approx(1.003, rel=1e-12)
    first_last = f"{1.04**49:.3g}", f"{1.003**49:.3g}"
    assert made.reason == (
        f"add: factors 1.0400, 1.0400, norm(first) / norm(last) = {first_last[0]}; "
        f"iand: factors 1.0030, 1.0030, norm(first) / norm(last) = {first_last[1]}; n = 128"
    )


def in_area(factor: float, area: int) -> np.ndarray:
    """Level, but for one area; the first norm is large enough."""
    norms = np.ones(L + 1)
    members = AREAS[area]
    norms[members] = factor ** (members[-1] - np.array(members, float))
    norms[0] = 2.0
    return norms


@pytest.mark.parametrize("which", ["add", "iand"])
@pytest.mark.parametrize("area", [2, 3])
@pytest.mark.parametrize(("factor", "verdict"), [(0.9801, "holds"), (0.9799, "fails")])
def test_add_iand_factor_at_its_bound_in_each_long_area(
    factor: float, verdict: str, area: int, which: str
) -> None:
    made = claim_of(BOTH, *add_iand(**{which: in_area(factor, area)}))
    assert made.verdict == verdict
    assert made.measured == pytest.approx(factor, rel=1e-12)


def test_add_iand_short_areas_do_not_count() -> None:
    norms = np.ones(L + 1)
    norms[[1, 2, 48]] = 0.1
    assert claim_of(BOTH, *add_iand(norms)).verdict == "holds"


@pytest.mark.parametrize("which", ["add", "iand"])
@pytest.mark.parametrize(("first", "verdict"), [(1.0, "holds"), (0.999, "fails")])
def test_add_iand_first_over_last(which: str, first: float, verdict: str) -> None:
    norms = np.ones(L + 1)
    norms[0], norms[L] = first, 5.0  # S^50 is not the last block's input
    assert claim_of(BOTH, *add_iand(**{which: norms})).verdict == verdict


@pytest.mark.parametrize("which", ["add", "iand"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0])
@pytest.mark.parametrize("block", [0, 2, 30])
def test_add_iand_zero_or_no_number_fails(which: str, bad: float, block: int) -> None:
    norms = np.ones(L + 1)
    norms[block] = bad
    made = claim_of(BOTH, *add_iand(**{which: norms}))
    assert made.verdict == "fails"
    if block == 30:  # in the fit: then the smallest factor is no number, whichever came first
        assert made.measured is None
        assert made.reason.startswith("the measured number is nan; add: factors 1.0000, ")


def test_add_iand_one_missing() -> None:
    made = claim_of(BOTH, Net("sew", "add"))
    assert triple(made) == (None, "not-testable", "sew iand without zero-init was not run")


# --- the same from a record without what is asked -----------------------------------------------


def test_a_record_of_gradients_alone_is_analysed() -> None:
    """No rates, no digests, no Gram matrices: what can be said is said, and nothing raises."""
    nets = [same_step_net(rates=None, grams={}), Net(rates=None), *add_iand()]
    for net in nets:
        net.rates = None
    made = gradients.compute(record(*nets))
    assert made.table["firing_rate_input"].isna().all()
    assert {c.verdict for c in made.claims} <= {"holds", "fails", "not-testable"}


def test_an_empty_record_of_gradients_is_one_line() -> None:
    from snnlens.errors import InputError

    with pytest.raises(InputError) as error:
        gradients.compute(record(Net(norms=None)))
    assert str(error.value) == (
        "this record must be one that holds gradient_norm; got 'without gradient_norm'; record "
        'it with probes=[..., "gradient_norm"]'
    )


def test_same_step_net_is_what_it_says() -> None:
    """The helper itself: ||dL/dS^12|| / ||dL/dS^47|| by the paper's formula, written out."""
    made: Record = record(same_step_net(FIG7, share=0.25))
    table = gradients.compute(made).table
    at = table.set_index("block")["gradient_norm"]
    s = 1 / (1 + (math.pi / 2) ** 2)  # atan, alpha 2, at 1/2
    assert at[12] / at[47] == pytest.approx(s**35, rel=1e-6)  # sigma' is float32 in the facts
    assert same_step_ratio(0.25, chain_neuron(FIG7), np.array([35.0]))[0] == pytest.approx(
        s**35, rel=1e-5
    )
