"""The claims of the gradient figures. The bounds were fixed before anything was measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from snnlens.analysis import _chain
from snnlens.analysis._verdicts import NotTestable, claim, equal_outputs, of_initialisation
from snnlens.measures.chain import same_step_ratio, spiking_share
from snnlens.measures.depth import Fit, factor_per_block, without_ends
from snnlens.measures.quotients import ratio
from snnlens.recording.blocks import Network, last_stage_samples, spiking_first
from snnlens.recording.record import Record
from snnlens.recording.result import Claim

PAPER = "Fang et al. 2021 (SEW ResNet)"
LONG = 6  # identity blocks that an area must have for a rate or a fit
ENOUGH = 128  # n in the last stage from which the shapes are stable (measured; see docs)
MAX_CHAIN_STEPS = 8
PAPER_DEPTH = 152
Measure = Callable[["Networks"], tuple[float, bool, str]]
Floats = NDArray[np.float64]


class Networks:
    """The networks of a record, found by what they are."""

    def __init__(self, record: Record, found: list[Network], table: pd.DataFrame) -> None:
        self.record, self.all, self.table = record, found, table

    def find(self, residual: str, connect: str | None = None, *, zero_init: bool) -> Network:
        """The network with the most time steps of that kind."""
        wanted = {"residual": residual, "connect": connect, "zero_init": zero_init}
        initial = [n for n in self.all if not n.trained]
        fitting = [n for n in initial if all(n.facts.get(k) == v for k, v in wanted.items())]
        if not fitting:
            of_initialisation(self.all)
            name = residual + (f" {connect}" if connect else "")
            raise NotTestable(f"{name} {'with' if zero_init else 'without'} zero-init was not run")
        return max(fitting, key=lambda n: int(n.facts.get("time_steps", 0)))

    def same_step(self) -> Network:
        """The zero-init Spiking network at T = 1."""
        for network in self.all:
            facts = network.facts
            kind = facts.get("residual"), facts.get("zero_init"), facts.get("time_steps")
            if kind == ("spiking", True, 1) and not network.trained:
                return network
        of_initialisation(self.all)
        raise NotTestable("the zero-init Spiking network was not run at T = 1")

    def rows(self, network: Network) -> pd.DataFrame:
        """The result's rows of one network."""
        return self.table[self.table["network"] == network.name]


def claims(record: Record, found: list[Network], table: pd.DataFrame) -> list[Claim]:
    """Every claim that speaks of these parameters, with its verdict."""
    networks, facts = Networks(record, found, table), spiking_first(found).facts
    made = [
        claim(name, statement, source, bound, partial(measure, networks))
        for name, statement, source, bound, measure in _applicable(facts)
    ]
    return [_with_depth(c, facts.get("depth")) for c in made]


def _with_depth(made: Claim, depth: int | None) -> Claim:
    """The paper's figures show 152 layers: a shape at another depth says so."""
    if depth == PAPER_DEPTH or not made.id.startswith(("fig6-", "fig7-", "fig8-")):
        return made
    return replace(made, reason=f"{made.reason}; the paper shows {PAPER_DEPTH} layers, not {depth}")


def _applicable(facts: dict[str, Any]) -> list[tuple[str, str, str, str, Measure]]:
    figure = _figure_of(facts)
    return [row for row in CLAIMS if not row[0].startswith("fig") or row[0].startswith(figure)]


def _figure_of(facts: dict[str, Any]) -> tuple[str, ...]:
    """Which shape claims speak of this neuron: Figs. 6 to 8 differ in V_th and alpha."""
    by = {(1.0, 2.0): "fig6-", (0.5, 2.0): "fig7-", (1.0, 3.0): "fig8-"}
    if facts.get("neuron") != "IF" or facts.get("surrogate") != "atan":
        return ("fig5-",)
    return ("fig5-", by.get((facts["threshold"], facts["alpha"]), "fig5-"))


# --- Eq. 11 and Eq. 8 ------------------------------------------------------------------------


def _eq11_flat(networks: Networks) -> tuple[float, bool, str]:
    spreads, missing = {}, []
    for connect in ("add", "and", "iand"):
        try:
            network = networks.find("sew", connect, zero_init=True)
        except NotTestable as why:
            missing += [str(why)] * (str(why) not in missing)
            continue
        norms = network.inputs("gradient_norm")
        spreads[connect] = max(_spread(norms[members]) for members in network.areas.values())
    if not spreads:
        raise NotTestable("; ".join(missing))
    worst = max(spreads.values())
    reason = ", ".join(f"{c} {s:.1e}" for c, s in spreads.items()) + "; " * bool(missing)
    return worst, worst <= 1e-6, reason + "; ".join(missing)


def _spread(norms: Floats) -> float:
    low, high = norms.min(), norms.max()
    if low == high and math.isfinite(low):
        return 0.0
    return float(high / low - 1) if low > 0 and math.isfinite(high) else math.inf


def _eq8_exact(networks: Networks) -> tuple[float, bool, str]:
    network, neuron = _chain_of(networks.same_step())
    norms, errors = network.inputs("gradient_norm"), []
    for members in network.areas.values():
        if len(members) > 1:
            k = members[-1] - np.array(members[:-1], float)
            predicted = same_step_ratio(_share(networks, network, members[-1]), neuron, k)
            errors += _errors(norms[members[:-1]] / norms[members[-1]], predicted)
    if not errors:
        raise NotTestable("no two block inputs are joined by an identity block")
    s1, s0 = neuron.factors
    reason = f"largest relative error of {len(errors)} blocks; s1 {s1:.4g}, s0 {s0:.4g}"
    return _largest(errors), _largest(errors) <= 1e-5, reason


def _errors(measured: Floats, predicted: Floats) -> list[float]:
    """abs(measured / predicted - 1); where 0 is predicted, 0 is right and nothing else."""
    of_zero = np.where(measured == 0, 0.0, math.inf)
    errors = np.where(predicted == 0, of_zero, np.abs(ratio(measured, predicted) - 1))
    return [float(e) for e in errors]


def _largest(numbers: list[float]) -> float:
    """The largest; NaN if one is: Python's max would pass over it."""
    return float(np.max(numbers))


def _farthest(factors: list[float], limit: float) -> float:
    """The factor farthest from the limit; NaN if one is."""
    return factors[int(np.argmax(np.abs(np.array(factors) - limit)))]


def _eq8_rate(networks: Networks) -> tuple[float, bool, str]:
    network, neuron = _chain_of(networks.same_step())
    s1, s0 = neuron.factors
    limit, factors = max(s1, s0), []
    for members in network.long_areas(LONG).values():
        share = _share(networks, network, members[-1])
        first = _settled(s1, s0, share)
        factors += [f for k, f in _factors(networks, network, members) if k >= first]
    if not factors:
        raise NotTestable(f"no area of at least {LONG} blocks is long enough to settle")
    worst = _farthest(factors, limit)
    reason = f"max(s1, s0) = {limit:.4f}; the farthest of {len(factors)} blocks"
    return worst, abs(worst - limit) <= 1e-3, reason


def _settled(s1: float, s0: float, share: float) -> float:
    """The first k with (s_min / s_max)^(2k - 2) w < 1e-3, w the weight of the smaller factor over
    that of the larger; 1 where s1 = s0, as there is nothing to settle.
    """
    if s1 == s0:
        return 1
    larger = share if s1 > s0 else 1 - share
    if larger == 0:
        return math.inf  # nothing has the larger factor
    weight = (1 - larger) / larger
    r = min(s1, s0) / max(s1, s0)
    if weight < 1e-3:
        return 1
    if r == 0:
        return 2
    return math.floor(1 + math.log(1e-3 / weight) / (2 * math.log(r))) + 1


def _eq8_plateau(networks: Networks) -> tuple[float, bool, str]:
    network, neuron = _chain_of(networks.same_step())
    if neuron.factors[0] != 1:
        raise NotTestable(f"s1 = sigma'(1 - V_th) is {neuron.factors[0]:.4g}, not 1")
    factors, levels = [], []
    norms, rates = network.inputs("gradient_norm"), _chain.rates(network)
    for members in network.areas.values():
        late = [f for k, f in _factors(networks, network, members) if k >= 4]
        if late:
            deepest = members[-1]
            q = _share(networks, network, deepest)
            level = norms[members[0]] / norms[deepest]
            levels.append(
                f"l {members[0]}-{deepest}: level {level:.4f}, sqrt(q) {math.sqrt(q):.4f}, "
                f"sqrt(Phi) {math.sqrt(rates[deepest]):.4f}"
            )
            factors += late
    if not factors:
        raise NotTestable("no area reaches k = 4")
    worst = _farthest(factors, 1.0)
    reason = f"the farthest of {len(factors)} blocks; " + "; ".join(levels)
    return worst, abs(worst - 1) <= 1e-3, reason


def _eq8_chain(networks: Networks) -> tuple[float, bool, str]:
    network, _ = _chain_of(networks.find("spiking", zero_init=True))
    steps = int(network.facts["time_steps"])
    if steps > MAX_CHAIN_STEPS:
        raise NotTestable(f"T = {steps}: the law is computed up to T = {MAX_CHAIN_STEPS}")
    rows = networks.rows(network)
    rows = rows[rows["k"] > 0]
    if rows.empty or not rows["predicted_norm"].gt(0).all():
        raise NotTestable("the gradient is 0 at the end of an area, or no area has two inputs")
    worst = _largest(_errors(*(rows[c].to_numpy() for c in ("gradient_norm", "predicted_norm"))))
    return worst, worst <= 1e-5, f"largest relative error of {len(rows)} blocks, T = {steps}"


def _chain_of(network: Network) -> tuple[Network, Any]:
    if network.facts.get("precision") == "bfloat16":
        raise NotTestable("bfloat16 rounds each gradient to 3 digits; run it in float32")
    neuron = _chain.chain_neuron(network)
    if neuron is None:
        raise NotTestable(_no_identity(network))
    return network, neuron


def _no_identity(network: Network) -> str:
    facts = network.facts
    return (
        f"this neuron is not the identity on spikes: {facts.get('neuron')} with V_th = "
        f"{facts.get('threshold')}, dH/dX = {facts.get('gain')}, {facts.get('reset')} reset to "
        f"{facts.get('reset_potential')}"
    )


def _share(networks: Networks, network: Network, deepest: int) -> float:
    gram = _chain.gram_at(networks.record, network, deepest)
    share = math.nan if gram is None else spiking_share(gram)
    if not math.isfinite(share):
        raise NotTestable(f"the gradient at S^{deepest} is 0, not finite or not recorded")
    return share


def _factors(networks: Networks, network: Network, members: list[int]) -> list[tuple[int, float]]:
    """k and factor of each block; between two exact zeros there is none."""
    rows = networks.rows(network)
    rows = rows[rows["block"].isin(members) & (rows["k"] > 0)]
    rows = rows[(rows["gradient_norm"] != 0) | (rows["gradient_norm_output"] != 0)]
    return [(int(k), float(f)) for k, f in zip(rows["k"], rows["factor"], strict=True)]


# --- the shapes of Figs. 6 to 8 ---------------------------------------------------------------


def _shape(networks: Networks, residual: str, connect: str | None = None) -> Network:
    network = networks.find(residual, connect, zero_init=False)
    n = last_stage_samples(network)
    if n is None or n < ENOUGH:
        raise NotTestable(f"n = {n} samples in the last stage; the shape needs {ENOUGH}")
    return network


def fit_of(network: Network, members: list[int]) -> Fit:
    """The factor per block over an area without its two ends."""
    inner = without_ends(members)
    return factor_per_block(inner, network.inputs("gradient_norm")[inner])


def longest_area(network: Network) -> list[int]:
    """The members of the area with the most identity blocks, at least six."""
    areas = network.long_areas(LONG)
    if not areas:
        raise NotTestable(f"no area has {LONG} identity blocks at this depth")
    return max(areas.values(), key=len)


def _spiking_decays(networks: Networks) -> tuple[float, bool, str]:
    network = _shape(networks, "spiking")
    members = longest_area(network)
    fit, norms = fit_of(network, members), network.inputs("gradient_norm")
    ends = ratio(norms[members[0]], norms[members[-1]])
    reason = _fit_text(network, members, fit)
    reason += f"; norm({members[0]}) / norm({members[-1]}) = {ends:.3g} (bound < .5)"
    return fit.factor, bool(fit.factor <= 0.98 and ends < 0.5), reason


def _spiking_factor(holds: Callable[[float], bool]) -> Measure:
    def measure(networks: Networks) -> tuple[float, bool, str]:
        network = _shape(networks, "spiking")
        members = longest_area(network)
        fit = fit_of(network, members)
        return fit.factor, holds(fit.factor), _fit_text(network, members, fit)

    return measure


def _fit_text(network: Network, members: list[int], fit: Fit) -> str:
    inner = without_ends(members)
    return (
        f"l = {inner[0]}..{inner[-1]}, R^2 = {fit.r_squared:.3f}, seed {network.facts.get('seed')}, "
        f"n = {last_stage_samples(network)}"
    )


def _and_vanishes(networks: Networks) -> tuple[float, bool, str]:
    network = _shape(networks, "sew", "and")
    norms = network.inputs("gradient_norm")[:-1]
    if "nonzero_share_output" not in network.blocks:
        raise NotTestable("the record holds no firing_rate")
    silent = network.blocks["nonzero_share_output"].to_numpy(float) == 0
    where = "no block output is silent"
    if silent.any():
        first = int(np.argmax(silent))
        where = f"O^l is silent in {int(silent.sum())} blocks, first O^{first}"
    reason = f"largest norm of {len(norms)} block inputs; {where}: dead, not vanishing"
    if not silent.any():
        reason = f"largest norm of {len(norms)} block inputs; {where}"
    return float(norms.max()), bool((norms == 0).all() and silent[-1]), reason


def _add_iand(networks: Networks) -> tuple[float, bool, str]:
    factors, holds, texts = [], True, []
    for connect in ("add", "iand"):
        network = _shape(networks, "sew", connect)
        norms = network.inputs("gradient_norm")
        fits = [fit_of(network, m).factor for m in network.long_areas(LONG).values()]
        if not fits:
            raise NotTestable(f"no area has {LONG} identity blocks at this depth")
        ends = ratio(norms[0], norms[len(norms) - 2])
        holds = holds and bool((norms > 0).all() and min(fits) >= 0.98 and ends >= 1)
        holds = holds and bool(np.isfinite(norms).all())
        listed = ", ".join(f"{f:.4f}" for f in fits)
        texts.append(f"{connect}: factors {listed}, norm(first) / norm(last) = {ends:.3g}")
        factors += fits
    n = last_stage_samples(networks.all[0])
    return float(np.min(factors)), holds, "; ".join(texts) + f"; n = {n}"


def _fig5(networks: Networks) -> tuple[float, bool, str]:
    found = [networks.find("spiking", zero_init=True)]
    found += [networks.find("sew", c, zero_init=True) for c in ("add", "and", "iand")]
    if not found[0].facts.get("is_identity"):
        raise NotTestable(_no_identity(found[0]))
    return equal_outputs(networks.record, [n.name for n in found])


EQ8 = f"{PAPER}, Eq. 8"
NOTE8 = "Eq. 8 per element, as in the text on Fig. 6"
CLAIMS: list[tuple[str, str, str, str, Measure]] = [
    ("eq11-flat", "Zero-init SEW add, and, iand: the norm is the same at all inputs of one area.",
     f"{PAPER}, Eq. 11", "max / min - 1 <= 1e-6 in each area", _eq11_flat),
    ("eq8-exact", "Zero-init Spiking, T = 1: norm(l) / norm(m) = sqrt(q s1^2k + (1 - q) s0^2k).",
     f"{EQ8}; {NOTE8}", "relative error <= 1e-5 at every block", _eq8_exact),
    ("eq8-rate", "Zero-init Spiking, T = 1: the factor per block tends to max(s1, s0).",
     f"{EQ8}; Figs. 7 and 8", "within 1e-3 once settled, areas of at least six blocks", _eq8_rate),
    ("eq8-plateau", "Where s1 = 1 the norm does not go to 0: it keeps the level sqrt(q).",
     f"{EQ8}; Fig. 6", "abs(factor - 1) <= 1e-3 for k >= 4", _eq8_plateau),
    ("eq8-chain", "Zero-init Spiking, T <= 8: the exact law of the identity chain over all paths.",
     f"{EQ8}, with the paths across time steps", "relative error <= 1e-5 at every block",
     _eq8_chain),
    ("fig5-zero-init-equal", "O^l of all four zero-init networks are equal.",
     f"{PAPER}, Fig. 5", "0 differing elements", _fig5),
    ("fig6-spiking-decays",
     "V_th 1, alpha 2, no zero-init: the Spiking norm falls toward the shallow blocks.",
     f"{PAPER}, Fig. 6", "factor <= .98, shallow end below half the deep end", _spiking_decays),
    ("fig6-and-vanishes", "SEW and, no zero-init: the gradient is 0, from silence.",
     f"{PAPER}, Fig. 6", "exactly 0 at every block input, and O is silent there", _and_vanishes),
    ("fig6-add-iand-do-not-vanish", "SEW add and iand, no zero-init: the gradient does not vanish.",
     f"{PAPER}, Fig. 6", "no norm 0, factor >= .98 in long areas, norm(first) / norm(last) >= 1",
     _add_iand),
    ("fig7-spiking-vanishes", "V_th .5, alpha 2, no zero-init: the Spiking gradient vanishes.",
     f"{PAPER}, Fig. 7", "factor <= .9", _spiking_factor(lambda f: f <= 0.9)),
    ("fig8-spiking-explodes", "V_th 1, alpha 3, no zero-init: the Spiking gradient explodes.",
     f"{PAPER}, Fig. 8", "factor >= 1.3", _spiking_factor(lambda f: f >= 1.3)),
]  # fmt: skip
