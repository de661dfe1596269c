"""What the page says of converted networks: methods, works to cite, no neuron that is not there."""

from __future__ import annotations

from snnlens.report.citations import bibtex
from snnlens.report.methods import methods
from tests.unit.runs import made


def test_methods() -> None:
    record = made("conversion")
    text = methods(record.networks, {})
    assert text == (
        "The networks mlp-2x16-s0, mlp-2x16-s1, mlp-3x16-s0, mlp-3x16-s1 were measured. Their "
        "activations were replaced by parallel neurons and by sequential IF neurons with soft "
        "reset, V(0) = theta / 2 and a spike at V >= theta (QCFS with L = 4 levels, thresholds "
        "learned, calibration none, BatchNorm folded, float64), and run at T = 1, 2, 4. The input: "
        "digits (scikit-learn), 359 images for testing at their own size; seed 0 and 1."
    )


def test_methods_of_a_network_by_itself() -> None:
    """A check-up of one converted network names the neurons that it has, and no others."""
    facts = {"neuron": "converted", "time_steps": 4}
    texts = {
        m: methods({"Converted": facts | {"method": m}}, {}) for m in ("parallel", "sequential")
    }
    assert texts["parallel"] == (
        "The network Converted was measured. Its activations were replaced by parallel neurons, "
        "and run at T = 4."
    )
    assert "parallel" not in texts["sequential"]
    assert "sequential IF neurons with soft reset" in texts["sequential"]


def test_works_to_cite() -> None:
    converted = bibtex(list(made("conversion").networks.values()))
    assert "hao2025faster" in converted
    assert "bu2022optimal" in converted
    assert "fang2021deep" not in converted
    both = bibtex([{"neuron": "converted"}, {"neuron": "IF"}])
    assert [key in both for key in ("fang2021deep", "hao2025faster")] == [True, True]
