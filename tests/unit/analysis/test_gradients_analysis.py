"""The gradients question on real runs: the table against hand-made numbers and against the "
"model."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from torch import Tensor
from torch.nn import functional

from snnlens.analysis import gradients
from snnlens.experiments._networks import Runner
from snnlens.experiments._params import networks
from snnlens.experiments.gradients import Params
from snnlens.recording.result import Result
from tests.unit.analysis.handmade import Net, geometric, only, record
from tests.unit.runs import DEPTH_18, answered

COLUMNS = [
    "network", "residual", "connect", "layout", "depth", "zero_init", "block", "stage", "area",
    "block_kind", "gradient_norm", "gradient_norm_output", "predicted_norm", "factor", "k",
    "firing_rate_input", "firing_rate_output", "firing_rate_residual",
    "nonzero_share_input", "nonzero_share_output", "nonzero_share_residual",
    "time_steps", "samples", "seed", "predicted_norm_rate_only", "why_small",
]  # fmt: skip
NAMES = [
    "spiking", "spiking-zero", "sew-add", "sew-add-zero", "sew-and", "sew-and-zero",
    "sew-iand", "sew-iand-zero", "spiking-zero-t1",
]  # fmt: skip


@pytest.fixture(scope="module")
def result() -> Result:
    return answered("gradients", base="DEPTH_18")


def rows(result: Result, network: str) -> pd.DataFrame:
    return result.table[result.table["network"] == network].set_index("block")


# --- the contract ------------------------------------------------------------------------------


def test_columns_are_those_of_the_contract_in_its_order(result: Result) -> None:
    assert list(result.table.columns) == COLUMNS == _documented()


def _documented() -> list[str]:
    """The first cells of the table in docs/contract.md; `_output` stands for the first's stem."""
    text = (Path(__file__).parents[3] / "docs" / "contract.md").read_text(encoding="utf-8")
    section = text.partition("## result.csv of `gradients`")[2].partition("\n## ")[0]
    names: list[str] = []
    for cell in re.findall(r"^\| ([a-z_, ]+) \|", section, re.MULTILINE):
        if cell == "column":
            continue
        first, *others = cell.split(", ")
        stem = first.removesuffix("_input")
        names += [first, *(stem + o if o.startswith("_") else o for o in others)]
    return names


def test_one_row_per_network_and_block(result: Result) -> None:
    table = result.table
    assert list(dict.fromkeys(table["network"])) == NAMES
    assert len(table) == 9 * 8
    for name in NAMES:
        assert rows(result, name).index.tolist() == list(range(8))


def test_depth_18_by_hand(result: Result) -> None:
    """Two blocks a stage. S^2 is the input of a downsample block: it belongs to area 0. S^7's
    area ends at the last output S^8, so k = 1 there."""
    for name in NAMES:
        table = rows(result, name)
        assert table["stage"].tolist() == [1, 1, 2, 2, 3, 3, 4, 4]
        assert table["area"].tolist() == [0, 0, 0, 1, 1, 2, 2, 3]
        assert table["k"].tolist() == [2, 1, 0, 1, 0, 1, 0, 1]
        assert table["block_kind"].tolist() == ["identity"] * 2 + ["downsample", "identity"] * 3


def test_what_the_rows_say_of_their_network(result: Result) -> None:
    for name in NAMES:
        table = rows(result, name)
        residual, _, rest = name.partition("-")
        connect = rest.partition("-")[0] if residual == "sew" else None
        assert set(table["residual"]) == {residual}
        assert table["connect"].tolist() == [connect] * 8 or table["connect"].isna().all()
        assert table["connect"].isna().all() == (connect is None)
        assert set(table["zero_init"]) == {"zero" in name}
        assert set(table["time_steps"]) == {1 if name.endswith("-t1") else 2}
        for column, value in (("layout", "imagenet"), ("depth", 18), ("samples", 4), ("seed", 3)):
            assert set(table[column]) == {value}


def test_output_of_one_block_is_the_input_of_the_next(result: Result) -> None:
    for name in NAMES:
        table = rows(result, name)
        for part in ("firing_rate", "nonzero_share"):
            after, before = table[f"{part}_output"][:-1], table[f"{part}_input"][1:]
            np.testing.assert_array_equal(after, before)
        norms = table["gradient_norm"].to_numpy(), table["gradient_norm_output"].to_numpy()
        np.testing.assert_array_equal(norms[1][:-1], norms[0][1:])
        with np.errstate(invalid="ignore"):  # 0 / 0 where SEW and is dead
            np.testing.assert_array_equal(table["factor"], norms[0] / norms[1])


# --- the numbers, a second way -----------------------------------------------------------------


@pytest.mark.parametrize("index", [0, 2, 5], ids=["spiking", "sew-add", "sew-and-zero"])
def test_norms_and_rates_by_hooks_of_our_own(result: Result, index: int) -> None:
    """The same network, built again; gradients kept by torch, norms by numpy in float64."""
    params = Params(**DEPTH_18)
    runner, network = Runner(params), networks(params)[index]
    model, seen = runner.build(network), []

    def keep(_module: object, args: tuple[Tensor]) -> None:
        args[0].retain_grad()
        seen.append(args[0])

    hooks = [block.register_forward_pre_hook(keep) for _, block in model.blocks()]
    x = runner.images.x.requires_grad_()
    functional.cross_entropy(model(x), runner.images.y).backward()
    for hook in hooks:
        hook.remove()
    table = rows(result, network.name)
    norms = [np.linalg.norm(s.grad.double().numpy()) for s in seen]
    np.testing.assert_allclose(table["gradient_norm"], norms, rtol=1e-12)  # both in float64
    means = [s.detach().double().mean().item() for s in seen]
    np.testing.assert_allclose(table["firing_rate_input"], means, rtol=1e-12)
    shares = [(s.detach() != 0).double().mean().item() for s in seen]
    np.testing.assert_allclose(table["nonzero_share_input"], shares, rtol=1e-12)


def test_the_chain_law_predicts_what_is_measured(result: Result) -> None:
    for name in ("spiking-zero", "spiking-zero-t1"):
        table = rows(result, name)
        # 1e-5 is the claim's bound; float32 gradients give about 1e-8 here
        np.testing.assert_allclose(table["predicted_norm"], table["gradient_norm"], rtol=1e-5)
        assert (table["gradient_norm"] > 0).all()


def test_the_rate_only_curve_is_another_one(result: Result) -> None:
    """It meets the measurement at the end of each area and nowhere else."""
    table = rows(result, "spiking-zero")
    error = (table["predicted_norm_rate_only"] / table["gradient_norm"] - 1).abs()
    at_end = (table["k"] == 0).to_numpy()
    assert (error[at_end] < 1e-12).all()
    assert (error[~at_end] > 1e-3).all()


@pytest.mark.parametrize("connect", ["add", "and", "iand"])
def test_eq11_is_exact(result: Result, connect: str) -> None:
    table = rows(result, f"sew-{connect}-zero")
    np.testing.assert_array_equal(table["predicted_norm"], table["gradient_norm"])
    assert table["predicted_norm_rate_only"].isna().all()


def test_no_law_without_zero_init(result: Result) -> None:
    for name in ("spiking", "sew-add", "sew-and", "sew-iand"):
        table = rows(result, name)
        assert table["predicted_norm"].isna().all()
        assert table["predicted_norm_rate_only"].isna().all()


def test_verdicts_at_18_layers(result: Result) -> None:
    """Five blocks are joined by identity blocks; n = 4; no area has six identity blocks."""
    verdicts = {c.id: c.verdict for c in result.claims}
    assert verdicts == {
        "eq11-flat": "holds", "eq8-exact": "holds", "eq8-rate": "not-testable",
        "eq8-plateau": "not-testable", "eq8-chain": "holds", "fig5-zero-init-equal": "holds",
        "fig6-spiking-decays": "not-testable", "fig6-and-vanishes": "not-testable",
        "fig6-add-iand-do-not-vanish": "not-testable",
    }  # fmt: skip
    assert only(result.claims, "eq11-flat").measured == 0
    assert only(result.claims, "fig5-zero-init-equal").measured == 0
    for name in ("eq8-exact", "eq8-chain"):
        assert 0 < only(result.claims, name).measured < 1e-6
    assert only(result.claims, "eq8-exact").reason == (
        "largest relative error of 5 blocks; s1 1, s0 0.092"
    )
    assert only(result.claims, "fig6-spiking-decays").reason == (
        "n = 4 samples in the last stage; the shape needs 128; the paper shows 152 layers, not 18"
    )


def test_rate_and_plateau_at_38_layers() -> None:
    """Six identity blocks in a row, at T = 1, measured: 1 for ATan(2), 1.5 for ATan(3)."""
    result = answered("gradients", base="DEPTH_38")
    for name in ("eq8-exact", "eq8-rate", "eq8-plateau", "eq8-chain"):
        assert only(result.claims, name).verdict == "holds"
    assert only(result.claims, "eq8-plateau").measured == pytest.approx(1, abs=1e-3)
    steeper = answered("gradients", ("alpha", 3.0), base="DEPTH_38")
    rate = only(steeper.claims, "eq8-rate")
    assert (rate.verdict, round(rate.measured or 0, 3)) == ("holds", 1.5)


def test_caption(result: Result) -> None:
    assert result.caption == (
        "ResNet-18 (imagenet layout); IF, V_th = 1, atan, alpha = 2; T = 2; batch 4; n = 4 samples "
        "per channel and step in the last stage; digits (scikit-learn), 4 images at 32 px; seed 3; "
        "cpu; at initialisation, BatchNorm in training mode."
    )


def test_caption_of_a_leaky_neuron() -> None:
    caption = answered("gradients", ("neuron", "lif"), ("tau", 2.5)).caption
    assert "; LIF, tau = 2.5 steps, V_th = 1, atan, alpha = 2; T = 2; " in caption


# --- other neurons and residuals ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "reason", "evidence"),
    [
        ((("neuron", "lif"),),
         ("this neuron is not the identity on spikes: LIF with V_th = 1.0, dH/dX = 0.5, hard reset "
         "to 0.0"),
         "spiking, spiking-zero: LIF with V_th = 1, dH/dX = 0.5, hard reset"),
        ((("threshold", 1.5),),
         ("this neuron is not the identity on spikes: IF with V_th = 1.5, dH/dX = 1.0, hard reset "
         "to 0.0"),
         "spiking, spiking-zero: IF with V_th = 1.5, dH/dX = 1, hard reset"),
    ],
    ids=["LIF", "V_th 1.5"],
)  # fmt: skip
def test_a_neuron_that_cannot_be_the_identity(
    options: tuple[tuple[str, object], ...], reason: str, evidence: str
) -> None:
    result = answered("gradients", *options)
    for name in ("eq8-exact", "eq8-rate", "eq8-plateau", "eq8-chain", "fig5-zero-init-equal"):
        made = only(result.claims, name)
        assert (made.verdict, made.reason) == ("not-testable", reason)
    assert only(result.claims, "eq11-flat").verdict == "holds"  # SEW is, with any neuron
    (finding,) = [f for f in result.findings if f.code == "SNL401"]
    assert (finding.severity, finding.evidence) == ("warning", evidence)
    for name in ("spiking-zero", "spiking-zero-t1"):
        assert rows(result, name)["predicted_norm"].isna().all()


def test_lif_that_can_follows_the_chain() -> None:
    """tau = 2, V_th = 1/2: the leak and the gain are in the law."""
    result = answered("gradients", ("neuron", "lif"), ("threshold", 0.5))
    assert only(result.claims, "eq8-exact").verdict == "holds"
    assert only(result.claims, "eq8-chain").verdict == "holds"
    assert not [f for f in result.findings if f.code == "SNL401"]


def test_ms_plain_and_ann_run_together() -> None:
    result = answered("gradients", ("residual", "ann,ms,plain"))
    table = result.table
    assert list(dict.fromkeys(table["network"])) == [
        "ann", "ann-zero", "ms", "ms-zero", "plain", "plain-zero", "spiking-zero-t1",
    ]  # fmt: skip
    assert set(rows(result, "ann")["time_steps"]) == {1}
    ms = rows(result, "ms-zero")
    np.testing.assert_array_equal(ms["predicted_norm"], ms["gradient_norm"])  # Eq. 11 for MS
    assert "V_th = 1, atan, alpha = 2; T = 2" in result.caption  # not the ANN's T = 1
    titles = [a.get_title(loc="left") for a in result.plot().axes if a.get_visible()]
    assert titles == ["ANN ResNet", "MS-ResNet", "Plain spiking"]


def test_the_extra_pass_is_there_at_t_1_too() -> None:
    result = answered("gradients", ("time_steps", 1), ("residual", "sew"), ("connect", "add"))
    assert list(dict.fromkeys(result.table["network"])) == [
        "sew-add", "sew-add-zero", "spiking-zero-t1",
    ]  # fmt: skip


# --- the factor of analyses/gradients.py -------------------------------------------------------


def test_spiking_factor() -> None:
    result = gradients.compute(record(Net(norms=geometric(0.93)), batch=16, positions=4))
    fit, n = gradients.spiking_factor(result)
    assert fit.factor == pytest.approx(0.93, rel=1e-12)
    assert (n, fit.points) == (64, 34)  # l = 13..46
