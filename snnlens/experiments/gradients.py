"""Do gradients vanish or explode across depth? (Figs. 6, 7 and 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snnlens.experiments._params import Network, NetworkParams, networks
from snnlens.registry import plugin

if TYPE_CHECKING:
    from snnlens.experiments._networks import Progress
    from snnlens.recording.probe import Probe
    from snnlens.recording.record import Record


class Params(NetworkParams):
    """Spiking and SEW networks at initialisation, one forward and backward pass of one batch."""


SAME_STEP = Network(residual="spiking", connect=None, zero_init=True, time_steps=1, auxiliary=True)
SAME_STEP_NAME = "spiking-zero-t1"  # Eq. 8 is a same-step statement: each run adds it at T = 1


def passes(params: Params) -> list[tuple[str, Network]]:
    """Every pass of a run, with its name in the Record.

    >>> [name for name, _ in passes(Params(residual="sew", connect="add", depth=50))]
    ['sew-add', 'sew-add-zero', 'spiking-zero-t1']
    """
    return [*((n.name, n) for n in networks(params)), (SAME_STEP_NAME, SAME_STEP)]


def run(params: Params, progress: Progress | None = None) -> Record:
    """Run the networks one after another, in training mode, on equal weights and images."""
    # torch is imported when a run starts, so that --help and a wrong option answer at once
    from snnlens.experiments._networks import Runner, quiet
    from snnlens.recording.record import join

    runner = Runner(params, progress or quiet)
    bounded = runner.neuron.rule.surrogate.support < float("inf")
    runner.announce([network for _, network in passes(params)], backward=True)
    records = [
        runner.gradients(network, name, _probes(network, params, bounded=bounded))
        for name, network in passes(params)
    ]
    return join(records, runner.provenance("gradients"))


def _probes(network: Network, params: Params, *, bounded: bool) -> list[Probe]:
    """Rates and gradients of all; what the zero-init laws need of the zero-init networks."""
    names = ["firing_rate", "gradient_norm"]
    if network.zero_init:
        names.append("output_digest")
    if bounded:  # only then can a surrogate gradient be exactly 0
        names.append("surrogate_active")
    probes: list[Probe] = [plugin("probes", name)() for name in names]
    if network.zero_init and network.residual == "spiking":
        probes.append(plugin("probes", "pattern_gram")(params.plan.area_ends()))
    return probes
