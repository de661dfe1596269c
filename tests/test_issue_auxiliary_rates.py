"""`rates` of a record of `gradients` drew the network that was run at T = 1 for a claim."""

from __future__ import annotations

import snnlens
from tests.unit.runs import made


def test_a_network_that_was_run_for_a_claim_is_not_drawn() -> None:
    record = made("gradients")
    hidden = {name for name, facts in record.networks.items() if facts["auxiliary"]}
    assert hidden
    table = snnlens.analyse("rates", record).table
    assert set(table["network"]) == set(record.networks) - hidden
