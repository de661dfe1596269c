"""The methods paragraph of a run, made from what its Record says of the networks."""

from __future__ import annotations

from typing import Any

from snnlens.recording.blocks import trained
from snnlens.report.numbers import number
from snnlens.report.text import without_paths

Facts = dict[str, Any]
STANDS_FOR = {
    "parallel": "parallel neurons",
    "sequential": "sequential IF neurons with soft reset, V(0) = theta / 2 and a spike at "
    "V >= theta",
}
RESIDUALS = {
    "spiking": "Spiking ResNet", "sew": "SEW ResNet", "plain": "plain network",
    "ms": "MS-ResNet", "ann": "ResNet with ReLU",
}  # fmt: skip


def methods(networks: dict[str, Facts], provenance: Facts) -> str:
    """Sentences on the networks, the neuron, the input and the machine, as far as known.

    >>> methods({"mine": {"time_steps": 4, "batch": 8}}, {"snnlens": "0.1.0", "python": "3.11.2"})
    'The network mine was measured. The input: T = 4; batch 8. Computed with snnlens 0.1.0,
    Python 3.11.2.'
    """
    facts = list(networks.values())
    parts = [_networks(networks), _neuron(facts), _attribution(facts), _input(facts),
             _machine(provenance)]  # fmt: skip
    return " ".join(part for part in parts if part)


def _networks(networks: dict[str, Facts]) -> str:
    built = [f for f in networks.values() if f.get("residual") in RESIDUALS and "depth" in f]
    if not built or len(built) < len(networks):
        what = "network" if len(networks) == 1 else "networks"
        was = "was" if len(networks) == 1 else "were"
        return f"The {what} {', '.join(networks)} {was} measured."
    sizes = _several(built, "depth", "{} layers")
    kinds = ", ".join(dict.fromkeys(map(_kind, built)))
    layout = _several(built, "layout", "{} layout")
    start = _weights(built) or {
        frozenset([True]): "with zero-init",
        frozenset([False]): "without zero-init",
    }.get(frozenset(bool(f.get("zero_init")) for f in built), "with and without zero-init")
    mode = _mode(built)
    return f"Residual networks of {sizes} ({layout}), {start}: {kinds}.{mode}"


def _weights(networks: list[Facts]) -> str:
    """Whose trained weights they are; empty at initialisation."""
    whose = list(dict.fromkeys(text for f in networks if (text := trained(f))))
    return f"with trained weights ({', '.join(whose)})" if whose else ""


def _mode(networks: list[Facts]) -> str:
    modes = {f.get("training_mode") for f in networks}
    word = "training" if modes == {True} else "evaluation"
    known = modes == {True} or (modes == {False} and any(trained(f) for f in networks))
    return f" BatchNorm was in {word} mode." if known else ""


def _kind(facts: Facts) -> str:
    name = RESIDUALS[facts["residual"]]
    return f"{name} ({facts['connect']})" if facts.get("connect") else name


def _neuron(networks: list[Facts]) -> str:
    facts = next((f for f in networks if f.get("neuron")), None)
    if facts is None:
        return ""
    if facts["neuron"] == "converted":
        return _converted(networks)
    tau, reset, slope = facts.get("tau_steps"), facts.get("reset"), facts.get("alpha")
    parts = [
        f"V_th = {_number(facts.get('threshold'))}",
        f"tau = {_number(tau)} steps" if tau else "",
        f"reset {reset}" + (f" to {_number(facts['reset_potential'])}" if reset == "hard" else ""),
        "reset detached from the gradient" if facts.get("detach_reset") else "",
        f"surrogate {facts.get('surrogate')}"
        + (f" with alpha = {_number(slope)}" if slope else ""),
    ]
    return f"Neurons: {facts['neuron']}, {_joined(parts)}."


def _converted(networks: list[Facts]) -> str:
    """What stood for the activations of ANNs, and how its thresholds were found."""
    steps = _several(networks, "time_steps", "T = {}").replace("[", "").replace("]", "")
    known = [
        _several(networks, "levels", "QCFS with L = {} levels"),
        _several(networks, "thresholds", "thresholds {}"),
        _several(networks, "calibration", "calibration {}"),
        _several(networks, "batch_norm", "BatchNorm {}"),
        _several(networks, "precision", "{}"),
    ]
    ran = {f.get("method") for f in networks}  # of a network by itself: the one that it is
    kinds = " and by ".join(words for m, words in STANDS_FOR.items() if ran & {m, None})
    how = f" ({_joined(known)})" if any(known) else ""
    whose = "Its" if len(networks) == 1 else "Their"
    return f"{whose} activations were replaced by {kinds}{how}, and run at {steps}."


def _attribution(networks: list[Facts]) -> str:
    """Which maps were made of an explained network, of what, and how they were judged."""
    facts = next((f for f in networks if f.get("claims_relevance")), None)
    if facts is None:
        return ""
    names = facts.get("names") or {}
    made = [names.get(m, m) for m in facts.get("methods") or facts["claims_relevance"]]
    paths = f" ({facts['steps']} points a path)" if any(facts.get("complete", {}).values()) else ""
    over = f"; maps with time lie over the spikes of {facts.get('encoder')}" * bool(
        facts.get("static")
    )
    return (
        f"Attribution by {', '.join(made)}{paths}, of {_number(facts.get('samples'))} samples, "
        f"each from rest, BatchNorm in evaluation mode; score: {facts.get('score')}; baseline: "
        f"{facts.get('baseline')}{over}. Gradients are those of the surrogate.{_judged(facts)}"
    )


def _judged(facts: Facts) -> str:
    belief, orders = facts.get("belief", "curves"), facts.get("random_orders")
    if belief == "none":
        return ""
    against = f"{orders} random orders" if orders else "random orders"
    more = "; by infidelity, sensitivity, and the maps of variants" * (belief == "all")
    return f" Maps were judged by deletion and insertion against {against}{more}."


def _input(networks: list[Facts]) -> str:
    parts = [
        without_paths(str(networks[0]["data"])) if networks and networks[0].get("data") else "",
        "" if _is_converted(networks) else _several(networks, "time_steps", "T = {}"),
        _several(networks, "batch", "batch {}"),
        _several(networks, "last_stage_samples", "n = {} samples per channel in the last stage"),
        _several(networks, "seed", "seed {}"),
    ]
    return f"The input: {'; '.join(p for p in parts if p)}." if any(parts) else ""


def _is_converted(networks: list[Facts]) -> bool:
    return any(f.get("neuron") == "converted" for f in networks)


def _machine(provenance: Facts) -> str:
    packages = provenance.get("packages") or {}
    parts = [
        f"snnlens {provenance['snnlens']}" if provenance.get("snnlens") else "",
        f"PyTorch {packages['torch']}" if packages.get("torch") else "",
        f"Python {provenance['python']}" if provenance.get("python") else "",
    ]
    device, threads = provenance.get("device"), provenance.get("threads")
    on = f" on {device}" if device else ""
    by = f" with {threads} threads" if threads else ""
    return f"Computed with {_joined(parts)}{on}{by}." if any(parts) else ""


def _several(networks: list[Facts], key: str, text: str) -> str:
    values = list(dict.fromkeys(str(f[key]) for f in networks if f.get(key) is not None))
    return text.format(" and ".join(values)) if values else ""


def _joined(parts: list[str]) -> str:
    return ", ".join(p for p in parts if p)


def _number(value: Any) -> str:
    return number(float(value)) if isinstance(value, int | float) else str(value)
