"""Seeds of one network that have the same finding are one; other networks have their own."""

from __future__ import annotations

from snnlens.checks.uneven_layer import UnevenLayer
from tests.unit.conversion_record import Net, record


def test_seeds_are_one_finding() -> None:
    nets = [Net(depth=d, seed=s, time_steps=(1, 2)) for d in (4, 6) for s in range(3)]
    alone = {f.evidence for net in nets for f in UnevenLayer().findings(record(net))}
    found = UnevenLayer().findings(record(*nets))
    assert len(alone) == 6
    assert [f.evidence.rpartition("; also ")[2] for f in found] == [
        "mlp-4x10-s1, mlp-4x10-s2", "mlp-6x10-s1, mlp-6x10-s2",
    ]  # fmt: skip
    assert all(f.evidence.rpartition("; also ")[0] in alone for f in found)
