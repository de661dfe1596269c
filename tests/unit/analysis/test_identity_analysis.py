"""The identity question: claims by hand-made records, the table by a real run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from snnlens import api
from snnlens.analysis import identity
from snnlens.errors import InputError
from snnlens.neuron.layers import LIF
from snnlens.recording.record import Record, Schema
from snnlens.recording.result import Claim
from tests.unit.analysis.handmade import Net, only, record
from tests.unit.runs import answered, saved

COLUMNS = [
    "network", "residual", "connect", "layout", "depth", "zero_init", "block", "stage", "area",
    "identity_error", "mismatch_share", "capability_error", "capability_mismatch_share",
    "firing_rate_input", "firing_rate_output", "time_steps", "samples", "seed",
]  # fmt: skip


def sums(mismatches: Any = 0, error: Any = 0.0) -> dict[str, Any]:
    return {
        "error_squares": error, "input_squares": 4.0, "mismatches": mismatches,
        "capability_squares": 0.0, "capability_mismatches": 0, "compared": 100,
        "capability_compared": 100,
    }  # fmt: skip


def trials(*rows: tuple[str, bool, bool]) -> pd.DataFrame:
    """Block, measured, closed form."""
    return pd.DataFrame(
        [{"block": b, "neuron": "IF", "threshold": 1.5, "tau_steps": np.nan, "decay_input": None,
          "reset": "hard", "time_steps": 4, "measured": m, "closed_form": c, "condition": "-"}
         for b, m, c in rows]
    )  # fmt: skip


def claim_of(name: str, *nets: Net, table: pd.DataFrame | None = None) -> Claim:
    made: Record = record(*nets, depth=18)
    if table is not None:
        made = replace(
            made,
            tables=made.tables | {"identity_trials": table},
            schemas=made.schemas | {"identity_trials": Schema(axes=())},
        )
    return only(identity.compute(made).claims, name)


def triple(made: Claim) -> tuple[float | None, str, str]:
    return made.measured, made.verdict, made.reason


def test_zero_init_holds_where_nothing_differs() -> None:
    nets = [Net(zero_init=True, identity=sums()), Net("sew", "add", True, identity=sums()),
            Net("ms", None, True, identity=sums())]  # fmt: skip
    made = claim_of("identity-zero-init", *nets)
    assert triple(made) == (0.0, "holds", "spiking-zero, sew-add-zero, ms-zero")
    nets[1].identity = sums(mismatches=np.array([0, 3, 0, 0, 0, 0, 0, 0]))
    made = claim_of("identity-zero-init", *nets)
    assert (made.measured, made.verdict) == (0.03, "fails")


def test_zero_init_speaks_of_networks_that_can() -> None:
    lif = LIF(2.0, threshold=1.0)
    nets = [Net(zero_init=True, neuron=lif, identity=sums(9)), Net("plain", None, True,
            identity=sums(9)), Net("sew", "add", identity=sums(9))]  # fmt: skip
    made = claim_of("identity-zero-init", *nets)
    reason = "no zero-initialised network that could be the identity was run"
    assert triple(made) == (None, "not-testable", reason)


def test_sew_any_neuron() -> None:
    net, name = Net(identity=sums()), "identity-sew-any-neuron"
    good = trials(("sew-add", True, True), ("sew-iand", True, True), ("sew-and", False, False))
    assert triple(claim_of(name, net, table=good)) == (
        0.0, "holds", "2 neurons and blocks were run",
    )  # fmt: skip
    bad = trials(("sew-add", False, True), ("sew-iand", True, True), ("spiking", False, False))
    assert triple(claim_of(name, net, table=bad)) == (
        1.0, "fails", "2 neurons and blocks were run",
    )  # fmt: skip


def test_closed_form() -> None:
    net, name = Net(identity=sums()), "identity-closed-form"
    good = trials(("spiking", False, False), ("ms", True, True))
    assert triple(claim_of(name, net, table=good)) == (
        0.0, "holds", "2 neurons and blocks, 1 can be the identity",
    )  # fmt: skip
    bad = trials(("ms", True, True), ("spiking", True, False), ("sew-and", False, True))
    assert triple(claim_of(name, net, table=bad)) == (
        2.0, "fails",
        "3 neurons and blocks, 2 can be the identity; first: spiking with IF, V_th 1.5",
    )  # fmt: skip


@pytest.mark.parametrize("name", ["identity-sew-any-neuron", "identity-closed-form"])
def test_without_trials(name: str) -> None:
    made = claim_of(name, Net(identity=sums()))
    assert triple(made) == (None, "not-testable", "the record holds no neuron trials")


def test_quotients_by_hand() -> None:
    table = identity.compute(record(Net(identity=sums(25, 9.0)), depth=18)).table
    assert table["block"].tolist() == [0, 1, 3, 5, 7]  # identity blocks only
    assert set(table["identity_error"]) == {1.5}  # sqrt(9 / 4)
    assert set(table["mismatch_share"]) == {0.25}


def test_a_silent_input_has_no_error() -> None:
    silent = sums() | {"input_squares": 0.0}
    table = identity.compute(record(Net(identity=silent), depth=18)).table
    assert table["identity_error"].isna().all()  # null, never 0
    assert (table["mismatch_share"] == 0).all()


@pytest.mark.parametrize(
    ("net", "probe"),
    [(Net(), "identity_error"), (Net(identity=sums(), rates=None), "firing_rate")],
)
def test_a_record_without_what_it_needs(net: Net, probe: str) -> None:
    with pytest.raises(InputError) as error:
        identity.compute(record(net, depth=18))
    assert str(error.value) == (
        f"this record must be one that holds {probe}; got 'without {probe}'; record it with "
        f'probes=[..., "{probe}"]'
    )


# --- a real run --------------------------------------------------------------------------------


def test_a_real_run() -> None:
    result = answered("identity")
    table = result.table
    assert list(table.columns) == COLUMNS
    names = ["spiking", "sew-add", "sew-and", "sew-iand", "ms"]
    assert list(dict.fromkeys(table["network"])) == [n + z for n in names for z in ("", "-zero")]
    assert set(table["block"]) == {0}  # the one identity block of cifar-8
    zero = table["zero_init"].astype(bool)
    assert (table.loc[zero, "mismatch_share"] == 0).all()
    assert (table.loc[zero, "identity_error"] == 0).all()
    assert (table.loc[~zero, "identity_error"] > 0).all()
    assert (table["capability_mismatch_share"] == 0).all()
    assert [c.verdict for c in result.claims] == ["holds"] * 3
    assert len(result.extra["identity_trials"]) == 14 * 6


def test_trials_survive_the_disk() -> None:
    result = answered("identity")
    again = api.analyse("identity", api.load(saved("identity")))
    assert [c.verdict for c in again.claims] == ["holds"] * 3
    pd.testing.assert_frame_equal(again.extra["identity_trials"], result.extra["identity_trials"])
    assert (saved("identity") / "identity_trials.csv").is_file()
