"""Trained weights: the claims of Fig. 4, and those of initialisation that no longer apply."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from snnlens.analysis import gradients, identity, rates
from snnlens.checks._seen import networks
from snnlens.recording.blocks import trained
from snnlens.recording.result import Claim, Result
from snnlens.report.methods import methods
from tests.unit.analysis.handmade import Net, only, record

TRAINED: dict[str, Any] = {
    "checkpoint": "sew18_checkpoint_319.pth", "epoch": 319, "classes": 1000, "image_size": 224,
    "training_mode": False, "data_kind": "imagefolder",
}  # fmt: skip
WHOSE = "trained weights (sew18_checkpoint_319.pth, epoch 319)"
NOT_INITIAL = f"{WHOSE}: the claim speaks of initialisation"
# The rates of A^l in Fig. 4, read off the published figure.
PUBLISHED = {
    18: [0.157, 0.079, 0.122, 0.070, 0.078, 0.028, 0.001, 0.0],
    34: [0.221, 0.124, 0.098, 0.203, 0.105, 0.107, 0.114, 0.168, 0.164, 0.050, 0.077, 0.101, 0.048,
         0.001, 0.0, 0.0],
    50: [0.128, 0.081, 0.056, 0.120, 0.076, 0.083, 0.069, 0.097, 0.093, 0.103, 0.197, 0.219, 0.248,
         0.001, 0.0, 0.0],
}  # fmt: skip


def sew(branch_rates: Any, connect: str = "add", **facts: Any) -> Net:
    return Net("sew", connect, branch_rates=branch_rates, facts=TRAINED | facts)


def claim_of(name: str, net: Net, depth: int = 18) -> Claim:
    return only(rates.compute(record(net, depth=depth)).claims, name)


# --- Fig. 4 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", list(PUBLISHED))
def test_the_published_rates_hold(depth: int) -> None:
    net = sew(np.array(PUBLISHED[depth]))
    low, last = (claim_of(name, net, depth) for name in ("fig4-branch-rates", "fig4-last-blocks"))
    largest = max(PUBLISHED[depth])
    assert low.measured == pytest.approx(largest, rel=1e-6)  # sums of whole spikes
    assert (low.verdict, low.reason) == (
        "holds", f"at l = {PUBLISHED[depth].index(largest)}; depth {depth}: 0.25",
    )  # fmt: skip
    a, b = PUBLISHED[depth][-2:]
    assert last.measured == pytest.approx(max(a, b), rel=1e-6)
    count = len(PUBLISHED[depth])
    assert (last.verdict, last.reason) == (
        "holds", f"l = {count - 2} and {count - 1}: {a:.3g} and {b:.3g}",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("depth", "largest", "verdict"),
    [(18, 0.25, "holds"), (18, 0.26, "fails"), (50, 0.26, "fails"), (101, 0.26, "holds"),
     (101, 0.5, "holds"), (152, 0.44, "holds"), (152, 0.51, "fails")],
)  # fmt: skip
def test_the_bound_of_each_depth(depth: int, largest: float, verdict: str) -> None:
    blocks = {18: 8, 50: 16, 101: 33, 152: 50}[depth]
    branch = np.full(blocks, 0.1)
    branch[3] = largest
    made = claim_of("fig4-branch-rates", sew(branch), depth)
    assert (made.measured, made.verdict) == (pytest.approx(largest, rel=1e-6), verdict)


@pytest.mark.parametrize(
    ("last", "verdict"),
    [((0.01, 0.0), "holds"), ((0.0, 0.01), "holds"), ((0.011, 0.0), "fails"),
     ((0.0, 0.011), "fails")],
)  # fmt: skip
def test_the_last_two_blocks(last: tuple[float, float], verdict: str) -> None:
    branch = np.array([0.2] * 6 + list(last))
    assert claim_of("fig4-last-blocks", sew(branch)).verdict == verdict


@pytest.mark.parametrize(
    ("net", "reason"),
    [
        (Net("sew", "add"), "at initialisation: the claim speaks of trained weights"),
        (Net(facts=TRAINED), "residual = spiking: the claim speaks of SEW networks"),
        (sew(0.1, "iand"), "connect = iand: the claim speaks of SEW add"),
        (sew(0.1, classes=10), ("classes = 10: the claim speaks of networks trained on the 1000 "
                                "classes of ImageNet")),
        (sew(0.1, time_steps=8), "time_steps = 8: the claim speaks of T = 4"),
        (sew(0.1, training_mode=True),
         "training_mode = True: the claim speaks of BatchNorm in evaluation mode"),
        (sew(0.1, data_kind="digits"), "data_kind = digits: the claim speaks of photographs"),
        (sew(0.1, image_size=64), "image_size = 64: the claim speaks of 224 px"),
    ],
)  # fmt: skip
def test_where_figure_4_says_nothing(net: Net, reason: str) -> None:
    for name in ("fig4-branch-rates", "fig4-last-blocks"):
        made = claim_of(name, net)
        assert (made.measured, made.verdict, made.reason) == (None, "not-testable", reason)


def test_the_cifar_layout_is_not_that_of_figure_4() -> None:
    made = only(rates.compute(record(sew(0.1), depth=20, layout="cifar")).claims,
                "fig4-branch-rates")  # fmt: skip
    assert made.reason == "layout = cifar: the claim speaks of the imagenet layout"


# --- claims of initialisation ------------------------------------------------------------------


def identity_net() -> Net:
    sums = {"error_squares": 1.0, "input_squares": 4.0, "mismatches": 5, "compared": 10,
            "capability_squares": 0.0, "capability_mismatches": 0,
            "capability_compared": 10}  # fmt: skip
    return Net("sew", "add", identity=sums, facts=TRAINED)


def answers() -> dict[str, Result]:
    return {
        "rates": rates.compute(record(sew(0.1), depth=18)),
        "gradients": gradients.compute(record(sew(0.1), depth=152)),
        "identity": identity.compute(record(identity_net(), depth=18)),
    }


def test_no_claim_of_initialisation_is_judged() -> None:
    for question, result in answers().items():
        judged = {c.id for c in result.claims if c.verdict != "not-testable"}
        about = [c for c in result.claims if c.id not in judged]
        ours = {"add-bound", "fig4-branch-rates", "fig4-last-blocks", "identity-sew-any-neuron",
                "identity-closed-form"}  # fmt: skip
        assert judged <= ours, question
        said = {c.id: c.reason for c in about if c.id not in ours}
        assert said, question
        assert set(said.values()) == {NOT_INITIAL}


def test_beside_a_trained_network_those_at_initialisation_are_judged() -> None:
    """A record of both: the trained one is never taken for one at initialisation."""
    falling = 0.5 * 0.9 ** np.arange(9.0)
    rising = 0.1 * 1.2 ** np.arange(9.0)
    nets = [Net("sew", "and", rates=rising, facts=TRAINED, name="trained"),
            Net("sew", "and", rates=falling)]  # fmt: skip
    made = only(rates.compute(record(*nets, depth=18)).claims, "fig5-and-falls")
    assert made.verdict == "holds"
    made = only(rates.compute(record(nets[0], depth=18)).claims, "fig5-and-falls")
    assert (made.verdict, made.reason) == ("not-testable", NOT_INITIAL)


def test_a_network_that_began_with_zero_init_and_was_trained_since() -> None:
    """Recorded after seven epochs: no exact law is drawn, no claim of zero-init is judged."""
    facts = {"epoch": 7, "training_mode": True}
    reason = "trained weights (epoch 7): the claim speaks of initialisation"
    result = gradients.compute(record(Net("sew", "add", True, facts=facts)))
    assert result.table["predicted_norm"].isna().all()
    assert only(result.claims, "eq11-flat").reason == reason
    result = gradients.compute(record(Net("sew", "add", True, facts={"epoch": 0})))
    assert result.table["predicted_norm"].notna().all()  # at initialisation the law holds
    assert only(result.claims, "eq11-flat").verdict == "holds"
    net = Net(zero_init=True, identity=identity_net().identity, facts=facts)
    made = only(identity.compute(record(net, depth=18)).claims, "identity-zero-init")
    assert (made.verdict, made.reason) == ("not-testable", reason)
    for epoch, blocks in ((7, 0), (0, 8)):
        net = Net("sew", "add", True, facts={"epoch": epoch})
        (seen,) = networks(record(net, depth=18))
        assert len(seen.zeroed) == blocks


def test_the_bound_of_add_holds_for_any_weights() -> None:
    net = sew(0.1)
    net.largest = np.array([2, 3, 2, 3, 2, 3, 2, 3])
    assert only(rates.compute(record(net, depth=18)).claims, "add-bound").verdict == "holds"


# --- what is said ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({}, None),
        ({"epoch": 0}, None),  # recorded before the first step
        ({"epoch": 7}, "epoch 7"),  # recorded while a network trained
        ({"checkpoint": "a.pth"}, "a.pth"),
        ({"checkpoint": "a.pth", "epoch": 0}, "a.pth, epoch 0"),  # the official count is from 0
    ],
)
def test_whose_weights(facts: dict[str, Any], text: str | None) -> None:
    assert trained(facts) == text


def test_captions_notes_and_titles_follow_the_facts() -> None:
    words = {"rates": "Firing rates", "gradients": "Gradient norm", "identity": "Identity error"}
    for question, result in answers().items():
        assert result.caption.endswith(f"; {WHOSE}, BatchNorm in evaluation mode."), question
        assert "initialisation" not in result.caption
        assert not any("at initialisation" in note for note in result.notes)
        figure = result.plot()
        drawn = " ".join(figure.texts[-1].get_text().split())
        assert drawn == f"{words[question]} with trained weights. {result.caption}"
        texts = [t.get_text() for t in figure.findobj(match=lambda a: hasattr(a, "get_text"))]
        assert not any("initialisation" in t or "zero-init" in t for t in texts), question
        assert any(t.endswith("ith trained weights") for t in texts), question


def test_in_training_mode_the_caption_says_so() -> None:
    caption = rates.compute(record(sew(0.1, training_mode=True), depth=18)).caption
    assert caption.endswith(f"; {WHOSE}, BatchNorm in training mode.")


def test_at_initialisation_nothing_changed() -> None:
    result = rates.compute(record(Net(), depth=18))
    assert result.caption.endswith("; at initialisation, BatchNorm in training mode.")
    assert result.notes[0].endswith(
        "branch A^l, at initialisation. O^l of SEW add holds integers, so its mean may exceed 1. "
        "With zero-init all networks have the same O^l, drawn once."
    )


def test_the_methods_paragraph() -> None:
    facts = {"residual": "sew", "connect": "add", "depth": 18, "layout": "imagenet",
             "zero_init": False}  # fmt: skip
    text = methods({"sew-add": facts | TRAINED}, {})
    assert text.startswith(
        f"Residual networks of 18 layers (imagenet layout), with {WHOSE}: SEW ResNet (add). "
        "BatchNorm was in evaluation mode."
    )
    text = methods({"sew-add": facts | {"training_mode": True}}, {})
    assert text.startswith(
        "Residual networks of 18 layers (imagenet layout), without zero-init: SEW ResNet (add). "
        "BatchNorm was in training mode."
    )
