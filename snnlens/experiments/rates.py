"""How often do the neurons of each block fire at initialisation? (Fig. 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snnlens.experiments._params import NetworkParams, networks
from snnlens.registry import plugin

if TYPE_CHECKING:
    from snnlens.experiments._networks import Progress
    from snnlens.recording.record import Record


class Params(NetworkParams):
    """Spiking and SEW networks at initialisation, one forward pass of one batch."""


def run(params: Params, progress: Progress | None = None) -> Record:
    """Run the networks one after another, in training mode, on equal weights and images."""
    from snnlens.experiments._networks import Runner, quiet
    from snnlens.recording.record import join

    runner = Runner(params, progress or quiet)
    runner.announce(networks(params), backward=False)
    probes = [plugin("probes", name)() for name in ("firing_rate", "output_digest")]
    records = [runner.forward(n, n.name, probes) for n in networks(params)]
    return join(records, runner.provenance("rates"))
