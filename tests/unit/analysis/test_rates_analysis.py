"""The rates question: claims by hand-made records, the table by a real run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from snnlens.analysis import rates
from snnlens.neuron.layers import LIF
from snnlens.recording.result import Claim
from tests.unit.analysis.handmade import Net, only, record
from tests.unit.runs import answered, made

COLUMNS = [
    "network", "residual", "connect", "layout", "depth", "zero_init", "block", "stage", "area",
    "block_kind",
    *(f"{q}_{part}" for q in ("firing_rate", "nonzero_share", "above_one_share", "largest")
      for part in ("input", "residual", "output")),
    "time_steps", "samples", "seed",
]  # fmt: skip
L = 50  # blocks of depth 152
DOWNSAMPLE = (0, 3, 11, 47)


def claim_of(name: str, *nets: Net, **options: Any) -> Claim:
    return only(rates.compute(record(*nets, **options)).claims, name)


def triple(made: Claim) -> tuple[float | None, str, str]:
    return made.measured, made.verdict, made.reason


# --- claims ------------------------------------------------------------------------------------


def test_zero_init_equal() -> None:
    nets = [Net(zero_init=True, digests=5)]
    nets += [Net("sew", c, True, digests=5) for c in ("add", "and", "iand")]
    name = "fig5-zero-init-equal"
    assert triple(claim_of(name, *nets)) == (
        0.0, "holds", "digests of the bits of 4 networks at 50 block outputs",
    )  # fmt: skip
    nets[2].digests = np.where(np.arange(L) == 49, 6, 5)
    assert triple(claim_of(name, *nets)) == (
        1.0, "fails", ("digests of the bits of 4 networks at 50 block outputs; 1 differ, the first "
        "layer4.2.output"),
    )  # fmt: skip
    assert triple(claim_of(name, *nets[:3])) == (None, "not-testable", "sew iand was not run")
    nets[0].neuron = LIF(2.0, threshold=1.0)
    assert triple(claim_of(name, *nets)) == (
        None, "not-testable", "this neuron is not the identity on spikes, see `snnlens identity`",
    )  # fmt: skip


def test_and_falls() -> None:
    falling = 0.5 * 0.9 ** np.arange(L + 1.0)
    falling[30:] = 0
    made = claim_of("fig5-and-falls", Net("sew", "and", rates=falling))
    assert made.measured == pytest.approx(0.9, rel=1e-6)  # rates of 9 digits
    assert (made.verdict, made.reason) == ("holds", "20 blocks end silent")  # O^30 .. O^49: 0
    rising = falling.copy()
    rising[20] = 1.2 * rising[19]  # O^19 above S^19, and block 19 is an identity block
    made = claim_of("fig5-and-falls", Net("sew", "and", rates=rising))
    assert (made.verdict, round(made.measured or 0, 6)) == ("fails", 1.2)


def test_and_may_rise_in_a_downsample_block() -> None:
    jump = np.where(np.arange(L + 1) >= 12, 0.3, 0.1)  # O^11 of the downsample block 11
    assert claim_of("fig5-and-falls", Net("sew", "and", rates=jump)).verdict == "holds"


def linear(slope: float = 0.15, bend: float = 0.0) -> np.ndarray:
    at = np.arange(L + 1.0)
    return 0.2 + slope * at + bend * np.where(at > 30, (at - 30) ** 2, 0.0)


def test_add_linear() -> None:
    made = claim_of("fig5-add-linear", Net("sew", "add", rates=linear(), branch_rates=0.15))
    assert made.measured == pytest.approx(1)
    assert made.verdict == "holds"
    assert made.reason == (
        "l 4-11: slope 0.1500, mean A rate 0.1500; l 12-47: slope 0.1500, mean A rate 0.1500"
    )


@pytest.mark.parametrize(("bend", "verdict"), [(0.002, "holds"), (0.1, "fails")])
def test_add_linear_against_numpy(bend: float, verdict: str) -> None:
    values = linear(bend=bend)
    made = claim_of("fig5-add-linear", Net("sew", "add", rates=values))
    inside = np.arange(12, 48)
    r_squared = np.corrcoef(inside, values[inside])[0, 1] ** 2
    assert made.measured == pytest.approx(r_squared, abs=1e-6)
    assert made.verdict == verdict
    assert (r_squared >= 0.99) == (verdict == "holds")


def test_add_that_falls_in_a_straight_line_does_not_grow() -> None:
    made = claim_of("fig5-add-linear", Net("sew", "add", rates=linear(-0.001)))
    assert made.measured == pytest.approx(1)
    assert made.verdict == "fails"


@pytest.mark.parametrize("rate", [0.0, 0.25])
def test_a_flat_line_does_not_grow(rate: float) -> None:
    """A threshold that nobody reaches: no R^2 exists, and nothing is divided by 0."""
    made = claim_of("fig5-add-linear", Net("sew", "add", rates=rate))
    assert (made.measured, made.verdict) == (None, "fails")
    assert made.reason.startswith("the measured number is nan; l 4-11: slope ")


def test_add_linear_needs_a_long_area() -> None:
    made = claim_of("fig5-add-linear", Net("sew", "add"), depth=50)
    reason = "no area has six identity blocks at this depth"
    assert triple(made) == (None, "not-testable", reason)


def bounds() -> np.ndarray:
    """Largest O: S^0 is a spike; a downsample block ends at 2; an identity block adds 1."""
    values, value = [], 1
    for block in range(L):
        value = 2 if block in DOWNSAMPLE else value + 1
        values.append(value)
    return np.array(values)


def test_add_bound() -> None:
    made = claim_of("add-bound", Net("sew", "add", largest=bounds()))
    # 35 blocks after the downsample block 11: 35 + 2
    assert triple(made) == (0.0, "holds", "largest O is 37 at l = 46, its bound 37")
    for block in (0, 10, 46, 49):
        above = bounds()
        above[block] += 1
        made = claim_of("add-bound", Net("sew", "add", largest=above))
        assert (made.measured, made.verdict) == (1.0, "fails")


def test_add_bound_after_the_stem() -> None:
    """Depth 18 begins with identity blocks: n + 1 after n blocks."""
    net = Net("sew", "add", largest=np.array([2, 3, 2, 3, 2, 3, 2, 3]))
    made = claim_of("add-bound", net, depth=18)
    assert (made.measured, made.verdict) == (0.0, "holds")


def test_networks_that_were_not_run() -> None:
    claims = rates.compute(record(Net())).claims
    initial = "at initialisation: the claim speaks of trained weights"
    assert [(c.id, c.verdict, c.reason) for c in claims] == [
        ("fig5-zero-init-equal", "not-testable", "spiking was not run"),
        ("fig5-and-falls", "not-testable", "sew and was not run"),
        ("fig5-add-linear", "not-testable", "sew add was not run"),
        ("add-bound", "not-testable", "sew add was not run"),
        ("fig4-branch-rates", "not-testable", initial),
        ("fig4-last-blocks", "not-testable", initial),
    ]


# --- a real run --------------------------------------------------------------------------------


def test_table() -> None:
    result = answered("rates")
    table = result.table
    assert list(table.columns) == COLUMNS
    assert len(table) == 8 * 3
    assert {c.id: c.verdict for c in result.claims} == {
        "fig5-zero-init-equal": "holds", "fig5-and-falls": "holds",
        "fig5-add-linear": "not-testable", "add-bound": "holds",
        "fig4-branch-rates": "not-testable", "fig4-last-blocks": "not-testable",
    }  # fmt: skip
    assert "; T = 2; batch 4; n = 16 samples" in result.caption  # 8 px / 4, squared, times 4


def test_rates_by_counting() -> None:
    """sum / (neurons x T x samples), from the sums that the record kept."""
    table = answered("rates").table
    sums = made("rates").tables["firing_rate"].groupby(["network", "site"]).sum(numeric_only=True)
    for _, row in table.iterrows():
        name = f"layer{row['stage']}.0"
        for part in ("input", "residual", "output"):
            at = sums.loc[(row["network"], f"{name}.{part}")]
            assert row[f"firing_rate_{part}"] == at["total"] / at["elements"]
            assert row[f"nonzero_share_{part}"] == at["nonzero"] / at["elements"]
            assert row[f"above_one_share_{part}"] == at["above_one"] / at["elements"]
        side, width = 8 >> (row["stage"] - 1), 16 << (row["stage"] - 1)
        at = sums.loc[(row["network"], f"{name}.output")]
        assert at["elements"] == 2 * 4 * width * side**2  # T x samples x neurons


def test_a_network_that_never_fires() -> None:
    """V_th far above any input: no crash, no division by 0, and the silence is found."""
    result = answered("rates", ("threshold", 1e5), ("residual", "spiking,sew"))
    spiking = result.table[result.table["network"] == "spiking"]
    assert (spiking["firing_rate_output"] == 0).all()
    assert "SNL201" in {f.code for f in result.findings}
    assert result.plot() is not None
