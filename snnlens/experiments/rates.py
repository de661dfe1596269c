"""How often do the neurons of each block fire, at initialisation or trained? (Figs. 4 and 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snnlens.experiments._params import NetworkParams, command
from snnlens.experiments._source import recorded
from snnlens.registry import plugin

if TYPE_CHECKING:
    from snnlens.experiments._networks import Progress
    from snnlens.recording.record import Record


class Params(NetworkParams):
    """Spiking and SEW networks at initialisation, or a trained one: one forward pass."""


def run(params: Params, progress: Progress | None = None) -> Record:
    """Run the networks one after another on equal images; a run folder is its own answer."""
    saved = recorded(params.source, "rates", command("rates", params))
    if saved is not None:
        return saved
    from snnlens.experiments._networks import Runner, quiet
    from snnlens.recording.record import join

    runner = Runner(params, progress or quiet)
    runner.announce(runner.networks, backward=False)
    probes = [plugin("probes", name)() for name in ("firing_rate", "output_digest")]
    records = [runner.forward(n, n.name, probes) for n in runner.networks]
    return join(records, runner.provenance("rates"))
