"""Which blocks are the identity, and which could be at all? (Sections 3.2 and 3.3)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from snnlens.experiments._params import NetworkParams, command
from snnlens.experiments._source import recorded
from snnlens.registry import plugin

if TYPE_CHECKING:
    from snnlens.experiments._networks import Progress
    from snnlens.recording.record import Record


class Params(NetworkParams):
    """Spiking, SEW and MS networks at initialisation, or a trained one: one forward pass."""

    residual: tuple[str, ...] = Field(
        ("spiking", "sew", "ms"), description="spiking, sew, plain, ms, ann; several with commas"
    )


def run(params: Params, progress: Progress | None = None) -> Record:
    """Compare O with S in every identity block, and try neurons in each kind of block."""
    saved = recorded(params.source, "identity", command("identity", params))
    if saved is not None:
        return saved
    from snnlens.experiments._networks import Runner, quiet
    from snnlens.experiments._trials import trials
    from snnlens.recording.record import Schema, join

    runner = Runner(params, progress or quiet)
    runner.announce(runner.networks, backward=False)
    probes = [plugin("probes", name)() for name in ("firing_rate", "identity_error")]
    records = [runner.forward(n, n.name, probes) for n in runner.networks]
    whole = join(records, runner.provenance("identity"))
    return replace(
        whole,
        tables=whole.tables | {"identity_trials": trials(params.time_steps)},
        schemas=whole.schemas | {"identity_trials": Schema(axes=())},
    )
