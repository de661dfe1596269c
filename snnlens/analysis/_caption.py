"""The caption of a figure: T, batch, data, seed, threshold, alpha, device."""

from __future__ import annotations

from snnlens.recording.blocks import Network, last_stage_samples, spiking_first, trained
from snnlens.recording.record import Record

# Measured at depth 50 and 152: rounding decides where a membrane is close to the threshold.
SHORT = (
    "channels-last and bfloat16, only statistically equal to float32: in a deep network about a "
    "fifth of the spikes differ, rates by up to 2.5 % and gradient norms by 3 to 6 %"
)


def caption(networks: list[Network]) -> str:
    """One sentence from the facts of the first spiking network; what is not known is left out."""
    first = spiking_first(networks)
    facts = first.facts
    blocks = first.blocks.iloc[0]
    parts = [
        f"ResNet-{facts['depth']} ({facts['layout']} layout)" if "depth" in facts else first.name,
        _neuron(facts),
        f"T = {blocks['time_steps_input']}",
        f"batch {blocks['batch_input']}",
        f"n = {last_stage_samples(first)} samples per channel and step in the last stage",
        facts.get("data"),
        f"seed {facts['seed']}" if facts.get("seed") is not None else None,
        facts.get("device"),
        SHORT if facts.get("precision") == "bfloat16" else None,
        _weights(first),
    ]
    return "; ".join(str(p) for p in parts if p) + "."


def state(record: Record) -> str:
    """How a figure's title says which weights its numbers are of."""
    loaded = any(trained(facts) for facts in record.networks.values())
    return "with trained weights" if loaded else "at initialisation"


def _weights(network: Network) -> str | None:
    training = bool(network.facts.get("training_mode"))
    if network.trained:
        mode = "training" if training else "evaluation"
        return f"trained weights ({network.trained}), BatchNorm in {mode} mode"
    return "at initialisation, BatchNorm in training mode" if training else None


def _neuron(facts: dict[str, object]) -> str | None:
    if "neuron" not in facts:
        return None
    surrogate = str(facts["surrogate"])
    if facts.get("alpha") is not None:
        surrogate += f", alpha = {facts['alpha']:g}"
    tau = f", tau = {facts['tau_steps']:g} steps" if facts.get("tau_steps") else ""
    return f"{facts['neuron']}{tau}, V_th = {facts['threshold']:g}, {surrogate}"
