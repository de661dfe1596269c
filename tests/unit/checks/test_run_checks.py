"""All checks together: which apply, and in which order their findings come."""

from __future__ import annotations

import math
from dataclasses import fields

import pandas as pd
import pytest
import torch
from torch import nn

import snnlens
from snnlens import checks, registry
from snnlens.checks import examine, run_checks
from snnlens.checks._seen import networks
from snnlens.neuron.layers import LIF
from snnlens.recording.record import Record
from tests.unit.analysis.handmade import Net, geometric, record

LEAKY = LIF(2.0, threshold=1.0)


def test_a_healthy_run_has_no_finding() -> None:
    assert run_checks(record(Net(), Net("sew", "add"), depth=18)) == []


def test_errors_first_then_by_code() -> None:
    made = record(
        Net(neuron=LEAKY, norms=geometric(0.2, depth=18)),  # SNL302 warning, SNL401 warning
        Net("sew", "and", nonzero=0.0),                     # SNL201, 206 error, SNL402 warning
        Net("sew", "add", norms=math.nan),                  # SNL301 error
        Net("sew", "iand", norms=geometric(5.0, depth=18)),  # SNL303 warning
        depth=18,
    )  # fmt: skip
    made.sites.loc[0, "forward_calls"] = 0  # SNL901 warning
    found = run_checks(made)
    assert [(f.severity, f.code) for f in found] == [
        ("error", "SNL201"), ("error", "SNL206"), ("error", "SNL301"), ("warning", "SNL302"),
        ("warning", "SNL303"), ("warning", "SNL401"), ("warning", "SNL402"),
        ("warning", "SNL901"),
    ]  # fmt: skip
    judged = [f.evidence.split(":")[0] for f in found]
    assert judged == [
        "sew-and", "sew-and", "sew-add", "spiking", "sew-iand", "spiking", "sew-and", "spiking",
    ]  # fmt: skip
    assert all(f.why and f.next and f.reference for f in found)


def test_no_check_ends_in_silence() -> None:
    """Each ends as issue, passed or not applicable, and the last says why."""
    outcomes = examine(record(Net("sew", "and", nonzero=0.0), depth=18))
    assert [o.name for o in outcomes] == sorted(
        registry.listing("checks"), key=lambda n: registry.plugin("checks", n).code
    )
    for outcome in outcomes:
        assert outcome.title
        assert (outcome.outcome == "issue") == bool(outcome.findings)
        assert (outcome.outcome == "not applicable") <= bool(outcome.reason)
    ended = {o.code: o.outcome for o in outcomes}
    assert (ended["SNL201"], ended["SNL301"], ended["SNL902"]) == (
        "issue", "passed", "not applicable",
    )  # fmt: skip


def test_what_is_passed_says_of_which_networks_it_is_not() -> None:
    made = record(Net(), Net("sew", "add", norms=math.inf), depth=18)
    (outcome,) = [o for o in examine(made) if o.code == "SNL302"]
    assert outcome.outcome == "passed"
    assert outcome.reason.startswith("sew-add: a gradient norm is not finite")


def test_an_auxiliary_network_alone_is_judged_by_none() -> None:
    made = record(Net(nonzero=0.0, norms=math.nan, name="spiking-zero-t1"), depth=18)
    assert {o.outcome for o in examine(made)} == {"not applicable"}


def test_the_record_is_asked_for_its_frame_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty checks read it, and each merges every table."""
    calls: list[bool] = []
    frame = Record.frame

    def counted(self: Record, **options: bool) -> pd.DataFrame:
        calls.append(options.get("per_step", False))
        return frame(self, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Record, "frame", counted)
    examine(record(Net(), Net("sew", "add"), depth=18))
    assert len(calls) == len(set(calls))


def test_a_model_without_blocks_is_checked_too() -> None:
    """Checks that read blocks do not apply; the others do."""

    class Skips(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self[1](self[0](x))  # type: ignore[no-any-return]

    model = Skips(nn.Linear(3, 3), snnlens.IF(), snnlens.IF())
    nn.init.ones_(model[0].weight)  # inf * 1: it spikes at the first step, and NaN never spikes
    with snnlens.record(model) as recorder:
        (model(torch.full((2, 4, 3), math.inf)).sum() * math.nan).backward()
    found = run_checks(recorder.record())
    assert [(f.code, f.site) for f in found] == [("SNL301", "1"), ("SNL901", "2")]


def test_networks_of_which_one_has_no_gradient() -> None:
    made = record(Net(), Net("sew", "add", norms=math.inf), depth=18)
    table = made.tables["gradient_norm"]
    made.tables["gradient_norm"] = table[table["network"] != "spiking"]
    assert [f.code for f in run_checks(made)] == ["SNL301"]


def test_what_the_checks_share_is_made_once() -> None:
    """The frames and the networks of the record, as the record itself gives them."""
    plain = record(Net(), Net("sew", "add"), depth=18)
    once = checks._Once(**{f.name: getattr(plain, f.name) for f in fields(plain)})
    assert networks(once) is once.seen is once.seen
    assert [s.name for s in once.seen] == ["spiking", "sew-add"]
    for per_step in (True, False):
        assert once.frame(per_step=per_step) is once.frame(per_step=per_step)
        pd.testing.assert_frame_equal(once.frame(per_step=per_step), plain.frame(per_step=per_step))
        for network in ("spiking", "sew-add"):
            pd.testing.assert_frame_equal(
                once.frame(per_step=per_step, network=network),
                plain.frame(per_step=per_step, network=network),
            )
