"""What runs the neurons, and what is kept in memory: the numbers stay, or the caption says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from snnlens import api
from snnlens.neuron import kernels
from snnlens.neuron.equations import Rule
from snnlens.recording.record import Record
from snnlens.recording.result import Result

SMALL: dict[str, Any] = {
    "depth": 20, "layout": "cifar", "residual": "sew,spiking", "connect": "add", "batch": 4,
    "time_steps": 2, "data": "random",
}  # fmt: skip


def answer(**options: Any) -> tuple[Record, Result]:
    record = api.run("gradients", **SMALL, **options)
    return record, api.analyse("gradients", record)


@pytest.mark.parametrize(
    "options",
    [{"memory": "lean"}, {"memory": "checkpoint"}, {"backend": "cpu"}, {"keep_memory": True}],
    ids=str,
)
def test_the_numbers_stay(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snnlens.neuron.memory.keep_freed", lambda: True)
    plain, changed = answer(), answer(**options)
    for name, table in plain[0].tables.items():
        pd.testing.assert_frame_equal(table, changed[0].tables[name])
    pd.testing.assert_frame_equal(plain[1].table, changed[1].table)
    assert plain[1].caption == changed[1].caption


def test_the_reference_gives_the_numbers_of_the_kernel() -> None:
    fast, slow = answer()[1].table, answer(backend="reference")[1].table
    assert kernels.which(torch.zeros(1), Rule())[0] == "cpu"  # as before the run
    for column in fast.columns:
        if fast[column].dtype == np.float64:
            # float64 sums of equal numbers in another order
            np.testing.assert_allclose(fast[column], slow[column], rtol=1e-12)
        else:
            assert fast[column].equals(slow[column])


def test_bfloat16_is_near_and_says_so() -> None:
    (exact_record, exact), (short_record, short) = answer(), answer(precision="bfloat16")
    assert "bfloat16" not in exact.caption
    assert "channels-last and bfloat16, only statistically equal to float32" in short.caption
    verdicts = {c.id: c.verdict for c in short.claims}
    assert verdicts["eq8-exact"] == verdicts["eq8-chain"] == "not-testable"
    near, far = short_record.frame(), exact_record.frame()
    for column in ("firing_rate", "gradient_norm"):
        ratio = (near[column] / far[column])[far[column] > 0]
        # measured .983 to 1.027 for rates, .943 to 1.104 for norms: four small images
        assert ratio.between(0.8, 1.25).all()
        assert not near[column].equals(far[column])
