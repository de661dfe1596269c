"""All checks together: which apply, and in which order their findings come."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

import snnlens
from snnlens.checks import run_checks
from snnlens.neuron.layers import LIF
from tests.unit.analysis.handmade import Net, record

LEAKY = LIF(2.0, threshold=1.0)


def test_a_healthy_run_has_no_finding() -> None:
    assert run_checks(record(Net(), Net("sew", "add"), depth=18)) == []


def test_errors_first_then_by_code() -> None:
    norms = np.ones(9)
    norms[0] = 1e-4
    made = record(
        Net(neuron=LEAKY, norms=norms),             # SNL302 warning, SNL401 warning
        Net("sew", "and", nonzero=0.0),             # SNL201 error
        Net("sew", "add", norms=math.nan),          # SNL301 error
        Net("sew", "iand", norms=1 / norms),        # SNL303 warning
        depth=18,
    )  # fmt: skip
    made.sites.loc[0, "forward_calls"] = 0  # SNL901 warning
    found = run_checks(made)
    assert [(f.severity, f.code) for f in found] == [
        ("error", "SNL201"), ("error", "SNL301"), ("warning", "SNL302"), ("warning", "SNL303"),
        ("warning", "SNL401"), ("warning", "SNL901"),
    ]  # fmt: skip
    networks = [f.evidence.split(":")[0] for f in found]
    assert networks == ["sew-and", "sew-add", "spiking", "sew-iand", "spiking", "spiking"]
    assert all(f.why and f.next and f.reference for f in found)


def test_a_model_without_blocks_is_checked_too() -> None:
    """Checks that read blocks do not apply; the others do."""

    class Skips(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self[1](self[0](x))  # type: ignore[no-any-return]

    with snnlens.record(Skips(nn.Linear(3, 3), snnlens.IF(), snnlens.IF())) as recorder:
        (
            Skips.__call__(recorder.model, torch.full((2, 4, 3), math.inf)).sum() * math.nan
        ).backward()
    found = run_checks(recorder.record())
    assert [(f.code, f.site) for f in found] == [("SNL301", "1"), ("SNL901", "2")]


def test_networks_of_which_one_has_no_gradient() -> None:
    made = record(Net(), Net("sew", "add", norms=math.inf), depth=18)
    table = made.tables["gradient_norm"]
    made.tables["gradient_norm"] = table[table["network"] != "spiking"]
    assert [f.code for f in run_checks(made)] == ["SNL301"]
