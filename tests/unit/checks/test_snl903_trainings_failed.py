"""SNL903: trainings of a sweep that failed, or did not come to their end."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from snnlens.checks.trainings_failed import TrainingsFailed
from snnlens.recording.record import Record, Schema, empty


def sweep(*states: tuple[str, str]) -> Record:
    points = pd.DataFrame(
        [(f"net-s{i}", state, 3, 5, why) for i, (state, why) in enumerate(states)],
        columns=["network", "state", "epoch", "epochs", "why"],
    )
    return replace(empty(), tables={"points": points}, schemas={"points": Schema(axes=())})


def test_a_whole_sweep() -> None:
    outcome = TrainingsFailed().outcome(sweep(("done", ""), ("done", "")))
    assert (outcome.outcome, outcome.findings) == ("passed", ())


def test_missing_trainings_are_named_with_the_reason() -> None:
    (finding,) = TrainingsFailed().findings(
        sweep(("done", ""), ("failed", "the loss must be finite"), ("waiting", ""))
    )
    assert (finding.code, finding.severity, finding.site) == ("SNL903", "warning", None)
    assert finding.evidence == (
        "2 of 3 trainings are not done: net-s1 (the loss must be finite); net-s2 (waiting)"
    )


def test_of_many_the_first_three_are_named() -> None:
    (finding,) = TrainingsFailed().findings(sweep(*[("failed", "full")] * 5))
    assert finding.evidence == (
        "5 of 5 trainings are not done: net-s0 (full); net-s1 (full); net-s2 (full) and 2 more"
    )


def test_it_does_not_apply_without_a_sweep() -> None:
    outcome = TrainingsFailed().outcome(empty())
    assert (outcome.outcome, outcome.reason) == ("not applicable", "the record is of no sweep")
