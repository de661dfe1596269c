"""The claims on degradation, each with trainings for which it holds and for which it fails."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from snnlens.analysis import degradation
from snnlens.experiments._published import record as of_logs
from snnlens.recording.result import Claim
from tests.unit.analysis.handmade import only
from tests.unit.analysis.trainings import LOSSES, Run, papers, record, sweep, three_seeds

PUBLISHED = [
    "table2-maxima", "table2-independent", "table4-sew-add", "table6-sew-add", "fig3-sew-loss",
    "fig3-sew-train", "fig3-sew-test", "fig3-spiking-loss", "fig3-spiking-loss-18-34",
    "fig3-spiking-loss-34-50", "fig3-spiking-loss-50-101", "fig3-spiking-loss-101-152",
    "fig3-spiking-train", "fig3-spiking-test",
]  # fmt: skip
TRAININGS = [
    "degradation-spiking", "degradation-sew-add", "degradation-against-sew-add",
    "degradation-deepest-loss-sew-add", "degradation-deepest-accuracy-sew-add",
]  # fmt: skip


def claims(*runs: Run) -> list[Claim]:
    return degradation.compute(record(*runs)).claims


def claim(name: str, *runs: Run) -> Claim:
    return only(claims(*runs), name)


def said(made: Claim) -> tuple[float | None, str, str]:
    return made.measured, made.verdict, made.reason


# --- the paper's tables ------------------------------------------------------------------------


def test_all_published_claims_hold_of_logs_that_say_what_is_printed() -> None:
    made = claims(*papers())
    assert [c.id for c in made] == PUBLISHED
    assert {c.verdict for c in made} == {"holds"}


@pytest.mark.parametrize(
    ("name", "numbers", "agree"),
    [
        ("sew-add-18", {"top1": 63.1849}, 20),  # rounds to 63.18
        ("sew-add-18", {"top1": 63.186}, 19),
        ("spiking-152-zero", {"top1": 10.024, "top5": 23.56}, 18),
    ],
)
def test_table_2(name: str, numbers: dict[str, float], agree: int) -> None:
    made = claim("table2-maxima", *papers(changed={name: numbers}))
    odd = "" if agree == 20 else f"; not: {name}"
    verdict = "holds" if agree == 20 else "fails"
    assert said(made) == (agree, verdict, f"{agree} of 20 agree{odd}")


def test_table_2_needs_all_ten_logs() -> None:
    made = claim("table2-maxima", *papers()[:4])
    assert said(made) == (
        None, "not-testable", "4 of the 10 logs are there; 8 of 8 agree",
    )  # fmt: skip


def test_independent_maxima() -> None:
    made = claim("table2-independent", *papers()[:2])
    assert said(made) == (
        2.0, "holds", ("2 of 2 printed Acc@5 are the maximum; Acc@5 in the epoch of the best "
        "Acc@1: "
        "sew-add-18 84.03, printed 84.53; sew-add-34 86.75, printed 87.25"),
    )  # fmt: skip
    together = {name: {"drop": 0.0} for name in ("sew-add-18", "sew-add-34")}
    made = claim("table2-independent", *papers(changed=together)[:2])
    assert said(made) == (
        0.0, "fails", ("2 of 2 printed Acc@5 are the maximum; Acc@5 in the epoch of the best "
        "Acc@1: "
        "as printed"),
    )  # fmt: skip
    higher = {"sew-add-18": {"top5": 85.0}}  # another maximum than the printed one
    assert claim("table2-independent", *papers(changed=higher)[:2]).verdict == "fails"


@pytest.mark.parametrize(
    ("name", "network", "good", "bad", "dataset"),
    [("table4-sew-add", "7b-net-sew-add", 97.9167, 97.57, "DVS Gesture"),
     ("table6-sew-add", "wide-7b-net-sew-add", 74.4499, 74.46, "CIFAR10-DVS")],
)  # fmt: skip
def test_one_printed_number(name: str, network: str, good: float, bad: float, dataset: str) -> None:
    printed = {"7b-net-sew-add": "97.92", "wide-7b-net-sew-add": "74.4"}[network]
    for value, verdict in ((good, "holds"), (bad, "fails")):
        made = claim(name, *papers(changed={network: {"top1": value}}))
        assert said(made) == (
            value, verdict, (f"printed {printed}; the maximum over 3 epochs, at epoch 1; "
            f"{value - 0.25:.2f} in the last"),
        )  # fmt: skip
    assert said(claim(name, *papers()[:10])) == (
        None, "not-testable", f"the log of {dataset} is not there",
    )  # fmt: skip


# --- Fig. 3 ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "network", "loss", "measured"),
    [
        ("fig3-sew-loss", "sew-add-50", 1.5, 0.0),  # as 34 layers: no strict fall
        ("fig3-sew-loss", "sew-add-50", 1.625, 0.125),
        ("fig3-sew-train", "sew-add-50", 1.625, -1.25),  # the accuracy is 100 - 10 loss
        ("fig3-spiking-loss", "spiking-34-zero", 1.375, -0.125),
        ("fig3-spiking-train", "spiking-34-zero", 1.375, 1.25),
    ],
)
def test_one_step_against_the_claim(name: str, network: str, loss: float, measured: float) -> None:
    assert claim(name, *papers()).verdict == "holds"
    made = claim(name, *papers(LOSSES | {network: loss}))
    assert (made.measured, made.verdict) == (pytest.approx(measured, abs=1e-12), "fails")


@pytest.mark.parametrize(
    ("name", "network", "top1"),
    [("fig3-sew-test", "sew-add-50", 67.0), ("fig3-spiking-test", "spiking-50-zero", 62.0)],
)
def test_test_accuracy_against_depth(name: str, network: str, top1: float) -> None:
    assert claim(name, *papers(changed={network: {"top1": top1}})).verdict == "fails"


def test_every_step_is_said() -> None:
    made = claim("fig3-spiking-loss", *papers())
    assert said(made) == (
        0.125, "holds",
        "18 to 34: +0.125, 34 to 50: +0.375, 50 to 101: +1.5, 101 to 152: +1.75",
    )  # fmt: skip


def test_one_step_of_the_spiking_loss() -> None:
    made = claim("fig3-spiking-loss-18-34", *papers(LOSSES | {"spiking-34-zero": 1.375}))
    start = math.log(1000)
    means = [np.mean([start * (end / start) ** ((e + 1) / 3) for e in range(3)])
             for end in (1.5, 1.375)]  # fmt: skip
    assert made.measured == pytest.approx(-0.125, abs=1e-12)
    assert made.verdict == "fails"
    assert made.reason == (
        f"final 1.5000 and 1.3750; mean of the last 20 epochs {means[1] - means[0]:+.4f}; final "
        "training accuracy 85.00 and 86.25 %"
    )


def test_fig_3_needs_the_five_depths() -> None:
    runs = [r for r in papers() if r.depth not in {34, 101}]
    made = claims(*runs)
    for c in made:
        if c.id.startswith("fig3-"):
            kind = "sew" if "sew" in c.id else "spiking"
            assert said(c) == (
                None, "not-testable", f"the {kind} logs of these depths are missing: 34, 101",
            )  # fmt: skip


# --- other trainings ---------------------------------------------------------------------------


def test_a_sweep_that_degrades() -> None:
    made = degradation.compute(three_seeds()).claims
    assert [c.id for c in made] == TRAININGS
    assert [c.verdict for c in made] == ["holds"] * 5
    assert all("Fang et al. 2021" in c.source for c in made)


def test_the_reason_has_slope_interval_depths_and_chance() -> None:
    runs = sweep({"spiking": {8: [0.5, 0.5], 32: [0.75, 2.3]}})
    made = claim("degradation-spiking", *runs)
    slopes = [0.125, 0.9]  # two doublings
    low, high = stats.t.interval(0.95, 1, loc=np.mean(slopes), scale=stats.sem(slopes))
    assert made.measured == pytest.approx(0.5125, rel=1e-12)
    assert (made.verdict, low < 0) == ("fails", True)  # two seeds that far apart say nothing
    assert made.reason == (
        f"+0.512 (95 % {low:+.3g} to {high:+.3g}, t over 2 seeds) nats per doubling; depths 8, 32; "
        "1 of 4 runs at chance"
    )


def slopes_of(kind: str, *slopes: float) -> list[Run]:
    """Two doublings; each seed with its slope."""
    return sweep({kind: {8: [0.5] * len(slopes), 32: [0.5 + 2 * s for s in slopes]}})


@pytest.mark.parametrize(
    ("slopes", "spiking", "sew"),
    [
        ((0.25, 0.26, 0.24), "holds", "fails"),
        ((-0.1, -0.11, -0.09), "fails", "holds"),
        ((0.25, -0.25, 0.01), "fails", "not-testable"),  # no trend either way
        ((0.05, 0.06, 0.04), "holds", "holds"),  # a rise, and less than counts as one
        ((0.09, 0.11, 0.10), "holds", "fails"),  # it may be more
        ((0.01, -0.01, 0.0), "fails", "holds"),  # shown to be small
    ],
)
def test_rises(slopes: tuple[float, ...], spiking: str, sew: str) -> None:
    assert claim("degradation-spiking", *slopes_of("spiking", *slopes)).verdict == spiking
    made = claim("degradation-sew-add", *slopes_of("sew-add", *slopes))
    assert made.verdict == sew
    unclear = "; the interval holds 0 and more than 0.1: train more seeds"
    assert made.reason.endswith(unclear) == (sew == "not-testable")


@pytest.mark.parametrize(
    ("spiking", "verdict"), [((0.3, 0.4, 0.5), "holds"), ((0.3, 0.2, 0.1), "fails")]
)
def test_one_slope_against_the_other_by_seed(spiking: tuple[float, ...], verdict: str) -> None:
    """Paired: the seeds' own differences, of which the first is .2 in both cases."""
    sew = (0.1, 0.2, 0.3)
    made = claim(
        "degradation-against-sew-add", *slopes_of("spiking", *spiking), *slopes_of("sew-add", *sew)
    )
    differences = np.array(spiking) - np.array(sew)
    assert made.measured == pytest.approx(differences.mean(), abs=1e-12)
    assert made.verdict == verdict
    assert made.reason.endswith(f"; Spiking {np.mean(spiking):+.3g}, SEW +0.2; depths 8, 32")


def test_the_deepest_of_both() -> None:
    """At 32 layers, the deepest that both have; seeds 0 and 1, which both have."""
    runs = sweep({
        "spiking": {8: [0.5] * 3, 32: [1.0, 1.25, 9.0], 56: [2.0, 2.0, 2.0]},
        "sew-add": {8: [0.5] * 2, 32: [0.5, 0.5]},
    })  # fmt: skip
    made = claim("degradation-deepest-loss-sew-add", *runs)
    differences = [0.5, 0.75]
    low, high = stats.t.interval(0.95, 1, loc=0.625, scale=stats.sem(differences))
    assert made.measured == pytest.approx(0.625, rel=1e-12)
    assert made.verdict == "fails"
    assert made.reason == (
        f"+0.625 (95 % {low:+.3g} to {high:+.3g}, t over 2 seeds) nats at depth 32; mean Spiking "
        "3.75, SEW 0.5"
    )
    made = claim("degradation-deepest-accuracy-sew-add", *runs)
    gaps = [100 * (math.exp(-0.5) - math.exp(-loss)) for loss in (1.0, 1.25)]
    assert made.measured == pytest.approx(np.mean(gaps), rel=1e-9)


def test_no_depth_in_common() -> None:
    runs = sweep(
        {"spiking": {8: [0.5] * 2, 32: [1.0] * 2}, "sew-add": {14: [0.5] * 2, 20: [0.5] * 2}}
    )
    assert said(claim("degradation-deepest-loss-sew-add", *runs)) == (
        None, "not-testable", "Spiking and SEW were trained at no common depth",
    )  # fmt: skip


def test_no_seed_in_common() -> None:
    runs = [Run(r.residual, r.connect, r.depth, (r.seed or 0) + 5, r.loss)
            for r in slopes_of("sew-add", 0.1, 0.1)]  # fmt: skip
    made = claim("degradation-against-sew-add", *slopes_of("spiking", 0.3, 0.3), *runs)
    assert said(made) == (
        None, "not-testable", "no common seed was trained to the end",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("runs", "reason"),
    [
        (slopes_of("sew-add", 0.1, 0.1), "spiking was not trained at two depths"),
        (sweep({"spiking": {8: [0.5, 0.5]}}), "spiking was not trained at two depths"),
        (slopes_of("spiking", 0.25), "one seed: +0.25, without an interval; train at least two"),
        (sweep({"spiking": {8: [0.5, 1.2], 32: [2.0, 2.0]}}),
         ("spiking: the shallowest network (8 layers) is not trained: final training loss 1.2, "
         "half "
         "of ln(10) is 1.15")),
        (sweep({"spiking": {8: [0.5, 2.3], 32: [2.3, 2.3]}}),
         ("spiking: the shallowest network (8 layers) is at chance: final training loss 2.3, "
         "half of "
         "ln(10) is 1.15")),
        (sweep({"spiking": {8: [0.5, 0.5], 32: [0.5, math.nan]}}),
         "no finite final training loss: spiking-32-s1"),
    ],
)  # fmt: skip
def test_not_testable(runs: list[Run], reason: str) -> None:
    assert said(claim("degradation-spiking", *runs)) == (None, "not-testable", reason)


BENT = {8: [0.6] * 3, 20: [0.3] * 3, 32: [0.25] * 3, 56: [0.8] * 3}  # it rises at the end


@pytest.mark.parametrize("kind", ["spiking", "sew-add"])
def test_deepest_networks_that_failed_make_no_kind_look_better(kind: str) -> None:
    """Both kinds are equal; only the deepest of one did not end."""
    runs = sweep({"spiking": BENT, "sew-add": BENT})
    residual, _, connect = kind.partition("-")
    for run in runs:
        if (run.residual, run.depth) == (residual, 56):
            run.state, run.logged = "failed", 3
    lost = f"{residual} {connect}".strip()
    own = "degradation-spiking" if residual == "spiking" else "degradation-sew-add"
    for name in ("degradation-against-sew-add", "degradation-deepest-loss-sew-add", own):
        made = claim(name, *runs)
        assert made.verdict == "not-testable"
        assert made.reason == (
            f"{lost}: no seed was trained to the end at every depth; missing: "
            + ", ".join(f"{kind}-56-s{seed}" for seed in range(3))
        )


def test_a_seed_without_its_deepest_network_has_no_slope() -> None:
    runs = sweep({"sew-add": BENT})
    whole = claim("degradation-sew-add", *runs)
    runs[-1].state, runs[-1].logged = "failed", 3
    assert whole.measured == claim("degradation-sew-add", *runs).measured  # of two equal seeds


def test_kinds_are_compared_over_the_depths_that_both_have() -> None:
    """SEW has one more depth, where it rises: that is no difference at the common ones."""
    flat = {d: [0.3, 0.31] for d in (8, 20)}
    runs = sweep({"spiking": flat, "sew-add": flat | {56: [0.9, 0.8]}})
    made = claim("degradation-against-sew-add", *runs)
    assert made.measured == pytest.approx(0, abs=1e-12)
    assert made.reason.endswith("; depths 8, 20")


def test_a_point_that_failed_is_not_judged() -> None:
    runs = slopes_of("spiking", 0.25, 0.25)
    failed = Run("spiking", None, 32, 1, 99.0, state="failed")
    made = claim("degradation-spiking", *(r for r in runs if r.name != failed.name), failed)
    assert said(made) == (
        None, "not-testable", "one seed: +0.25, without an interval; train at least two",
    )  # fmt: skip


def test_logs_that_do_not_say_their_classes() -> None:
    facts: Mapping[str, Any] = {"classes": None}
    runs = [Run(r.residual, r.connect, r.depth, r.seed, r.loss, facts=facts)
            for r in slopes_of("spiking", 0.25, 0.26, 0.24)]  # fmt: skip
    made = claim("degradation-spiking", *runs)
    assert made.verdict == "holds"
    assert made.reason.endswith(
        "; the number of classes is not known, and so not whether the shallowest learned"
    )


def test_zero_init_as_in_the_paper_where_both_were_trained() -> None:
    """Spiking with it, SEW without: the others rise the other way."""
    runs = []
    for zero_init, sign in ((True, 1), (False, -1)):
        for kind, slope in (("spiking", 0.2), ("sew-add", -0.2)):
            runs += [
                Run(r.residual, r.connect, r.depth, r.seed, r.loss, name=f"{r.name}-{zero_init}",
                    facts={"zero_init": zero_init})
                for r in slopes_of(kind, *(sign * slope + e for e in (-.01, 0, .01)))
            ]  # fmt: skip
    made = claims(*runs)
    assert only(made, "degradation-spiking").measured == pytest.approx(0.2, rel=1e-9)
    assert only(made, "degradation-sew-add").measured == pytest.approx(0.2, rel=1e-9)


def test_each_way_to_connect_has_its_claims() -> None:
    runs = slopes_of("sew-iand", 0.1, 0.11) + slopes_of("sew-and", 0.1, 0.11)
    ids = [c.id for c in claims(*runs)]
    assert ids == [TRAININGS[0]] + [
        c.replace("add", connect) for connect in ("iand", "and") for c in TRAININGS[1:]
    ]


def test_two_data_sets_are_judged_apart() -> None:
    other = [Run(r.residual, r.connect, r.depth, r.seed, r.loss, name=f"{r.name}-n",
                 facts={"dataset": "MNIST"})
             for r in slopes_of("spiking", -0.1, -0.11)]  # fmt: skip
    made = claims(*slopes_of("spiking", 0.1, 0.11), *other)
    by_id = {c.id: c for c in made if c.id.startswith("degradation-spiking")}
    assert {name: c.measured and round(c.measured, 3) for name, c in by_id.items()} == {
        "degradation-spiking-digits-scikit-learn-resnet": 0.105,
        "degradation-spiking-mnist-resnet": -0.105,
    }
    statement = by_id["degradation-spiking-mnist-resnet"].statement
    assert statement.startswith("MNIST, ResNet: Spiking ResNet degrades: ")
    assert len({c.id for c in made}) == len(made) == 10


def test_a_users_runs_beside_the_papers() -> None:
    made = claims(*papers(), *slopes_of("spiking", 0.1, 0.11))
    assert [c.id for c in made] == PUBLISHED + TRAININGS


# --- the published logs ------------------------------------------------------------------------


@pytest.mark.data
def test_verdicts_of_the_published_logs(data_root: Path) -> None:
    """One claim fails, by its first step: the loss of 34 layers is not above that of 18."""
    made = degradation.compute(of_logs(data_root / "logs" / "sew_resnet")).claims
    assert [c.id for c in made] == PUBLISHED
    failing = [c for c in made if c.verdict != "holds"]
    assert [c.id for c in failing] == ["fig3-spiking-loss", "fig3-spiking-loss-18-34"]
    assert failing[0].verdict == failing[1].verdict == "fails"
    assert failing[0].measured == failing[1].measured == pytest.approx(1.7745 - 1.7800, abs=1e-4)
    assert failing[1].reason == (
        "final 1.7800 and 1.7745; mean of the last 20 epochs -0.0035; final training accuracy "
        "59.42 and 59.36 %"
    )
    assert only(made, "table2-maxima").reason == "20 of 20 agree"
    assert only(made, "table2-independent").measured == 8
