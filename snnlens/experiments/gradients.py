"""Do gradients vanish or explode across depth? (Figs. 6, 7 and 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snnlens.experiments._params import Network, NetworkParams, command, networks
from snnlens.experiments._source import recorded
from snnlens.registry import plugin

if TYPE_CHECKING:
    from snnlens.experiments._networks import Progress
    from snnlens.recording.probe import Probe
    from snnlens.recording.record import Record


class Params(NetworkParams):
    """Spiking and SEW networks at initialisation, or a trained one: one pass forward and back."""


SAME_STEP = Network(residual="spiking", connect=None, zero_init=True, time_steps=1, auxiliary=True)
SAME_STEP_NAME = "spiking-zero-t1"  # Eq. 8 is a same-step statement: each run adds it at T = 1


def passes(params: NetworkParams) -> list[tuple[str, Network]]:
    """Every pass of a run, with its name in the Record.

    >>> [name for name, _ in passes(Params(residual="sew", connect="add", depth=50))]
    ['sew-add', 'sew-add-zero', 'spiking-zero-t1']
    """
    same_step = [] if params.source else [(SAME_STEP_NAME, SAME_STEP)]
    return [*((n.name, n) for n in networks(params)), *same_step]


def run(params: Params, progress: Progress | None = None) -> Record:
    """Run the networks one after another on equal images; a run folder is its own answer."""
    saved = recorded(params.source, "gradients", command("gradients", params))
    if saved is not None:
        return saved
    # torch is imported when a run starts, so that --help and a wrong option answer at once
    from snnlens.experiments._networks import Runner, quiet
    from snnlens.recording.record import join

    runner = Runner(params, progress or quiet)
    bounded = runner.neuron.rule.surrogate.support < float("inf")
    chosen = runner.params
    runner.announce([network for _, network in passes(chosen)], backward=True)
    records = [
        runner.gradients(network, name, _probes(network, chosen, bounded=bounded))
        for name, network in passes(chosen)
    ]
    return join(records, runner.provenance("gradients"))


def _probes(network: Network, params: NetworkParams, *, bounded: bool) -> list[Probe]:
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
