"""Records made by hand: sums chosen so that the quotients are the numbers that a test gives.

One network is a `Net`; `record` makes the sites of a ResNet's plan and the tables of the probes.
Nothing is run here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from snnlens import registry
from snnlens.measures.chain import ChainNeuron, same_step_ratio
from snnlens.models.plan import BlockPlan, Plan, plan
from snnlens.neuron.layers import IF, Neuron
from snnlens.neuron.surrogate import ATan
from snnlens.recording.record import Record

ELEMENTS = 10**9  # per site: fine enough for rates of 9 digits
FIG6 = IF(1.0, surrogate=ATan(2.0))
FIG7 = IF(0.5, surrogate=ATan(2.0))
FIG8 = IF(1.0, surrogate=ATan(3.0))


@dataclass
class Net:
    """One network; arrays are at S^0 .. S^L (norms, rates) or at O^0 .. O^(L-1) (nonzero)."""

    residual: str = "spiking"
    connect: str | None = None
    zero_init: bool = False
    time_steps: int = 4
    neuron: Neuron | None = field(default_factory=lambda: FIG6)
    norms: ArrayLike | None = 1.0
    rates: ArrayLike | None = 0.25
    nonzero: ArrayLike = 0.25
    branch_rates: ArrayLike = 0.1
    largest: ArrayLike = 1.0
    grams: Mapping[int, np.ndarray] = field(default_factory=dict)
    digests: ArrayLike | None = None
    active: ArrayLike | None = None
    identity: Mapping[str, ArrayLike] | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    name: str = ""

    def __post_init__(self) -> None:
        kind = self.residual + (f"-{self.connect}" if self.connect else "")
        self.name = self.name or kind + ("-zero" if self.zero_init else "")


def record(
    *nets: Net, depth: int = 152, layout: str = "imagenet", batch: int = 32, positions: int = 4
) -> Record:
    """The Record of these networks; n in the last stage is batch x positions."""
    shape = plan(depth, layout)
    tables: Tables = {}
    sites = [row for net in nets for row in _sites(net, shape, batch, positions)]
    for net in nets:
        _fill(tables, net, shape)
    frame = pd.DataFrame(sites)
    whole = ["block", "stage", "area", "time_steps", "batch", "neurons", "positions"]
    return Record(
        sites=frame.astype(dict.fromkeys(whole, "Int64")),
        tables={name: pd.DataFrame(rows) for name, rows in tables.items()},
        schemas={name: registry.plugin("probes", name).schema() for name in tables},
        networks={net.name: _facts(net, shape) for net in nets},
        provenance={"question": "by hand"},
    )


def chain_neuron(neuron: Neuron) -> ChainNeuron:
    """What the law needs of a neuron, from the facts that a run writes."""
    facts = neuron.facts(4)
    return ChainNeuron(
        facts["surrogate_at_spike"], facts["surrogate_at_silence"], facts["threshold"],
        facts["gain"], facts["leak"], facts["reset"], facts["detach_reset"],
    )  # fmt: skip


def same_step_net(
    neuron: Neuron = FIG6, *, depth: int = 152, layout: str = "imagenet", share: float = 0.25,
    deep: float = 1e-2, **more: Any
) -> Net:  # fmt: skip
    """The zero-init Spiking network at T = 1 that follows Eq. 8 in every area."""
    areas = plan(depth, layout).areas()
    norms = np.zeros(sum(len(m) for m in areas.values()))
    grams = {}
    for area, members in areas.items():
        end, square = deep * 2.0**-area, (deep * 2.0**-area) ** 2
        k = members[-1] - np.array(members, float)
        norms[members] = end * same_step_ratio(share, chain_neuron(neuron), k)
        grams[members[-1]] = square * np.array([[[1 - share]], [[share]]])
    options: dict[str, Any] = {
        "zero_init": True, "time_steps": 1, "neuron": neuron, "name": "spiking-zero-t1",
        "norms": norms, "grams": grams,
    }  # fmt: skip
    return Net(**(options | more))


def geometric(
    factor: float, *, depth: int = 152, layout: str = "imagenet", deep: float = 1e-2
) -> np.ndarray:
    """Norms at S^0 .. S^L with one factor per block toward the input."""
    count = len(plan(depth, layout).blocks)
    return deep * factor ** np.arange(count, -1.0, -1.0)


# --- how it is made ----------------------------------------------------------------------------


def _facts(net: Net, shape: Plan) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "residual": net.residual, "connect": net.connect, "layout": shape.layout,
        "depth": shape.depth, "zero_init": net.zero_init, "time_steps": net.time_steps,
        "forward_passes": 1, "training_mode": True, "loss": 2.3, "seed": 7, "device": "cpu",
        "data": "digits (by hand)", "auxiliary": net.name.endswith("-t1"),
    }  # fmt: skip
    return facts | (net.neuron.facts(net.time_steps) if net.neuron else {}) | net.facts


def _sites(net: Net, shape: Plan, batch: int, positions: int) -> list[dict[str, Any]]:
    rows = []
    for b in shape.blocks:
        common = {"network": net.name, "block": b.index, "stage": b.stage, "block_kind": b.kind,
                  "signal": "spikes", "module": b.name, "reads": "output",
                  "time_steps": net.time_steps, "batch": batch, "neurons": 1000 * positions,
                  "positions": positions, "forward_calls": 1, "gradient_calls": 1}  # fmt: skip
        for part, area in (("input", b.area), ("residual", b.area_out), ("output", b.area_out)):
            rows.append(common | {"site": f"{b.name}.{part}", "role": f"block_{part}",
                                  "area": area, "order": len(rows)})  # fmt: skip
        if net.active is not None:
            rows.append(common | {"site": f"{b.name}.sn1", "role": "neuron", "area": b.area,
                                  "order": len(rows)})  # fmt: skip
    return rows


Tables = dict[str, list[dict[str, Any]]]


def _fill(tables: Tables, net: Net, shape: Plan) -> None:
    at = _arrays(net, len(shape.blocks))
    for b in shape.blocks:
        if net.rates is not None:
            _rates(tables, net, b, at)
        if net.norms is not None:
            _norms(tables, net, b, at)
        if net.digests is not None:
            digest = int(at["digests"][b.index])
            _add(tables, "output_digest", net, f"{b.name}.output", digest=digest, digested=9)
        if net.active is not None:
            active = at["active"][b.index]
            _add(
                tables,
                "surrogate_active",
                net,
                f"{b.name}.sn1",
                active=active,
                neuron_steps=100,
                slopes=0.5 * active,
            )
        if net.identity is not None and b.kind == "identity":
            count = len(shape.blocks)
            sums = {c: np.broadcast_to(v, count)[b.index] for c, v in net.identity.items()}
            _add(tables, "identity_error", net, f"{b.name}.output", **sums)
    _grams(tables, net, shape)


def _add(tables: Tables, table: str, net: Net, site: str, **numbers: Any) -> None:
    row = {"network": net.name, "site": site, "step": 0} | numbers
    tables.setdefault(table, []).append(row)


def _rates(tables: Tables, net: Net, b: BlockPlan, at: dict[str, np.ndarray]) -> None:
    i, branch = b.index, at["branch_rates"][b.index]
    for part, rate, nonzero in (
        ("input", at["rates"][i], at["nonzero"][max(i - 1, 0)]),
        ("residual", branch, branch),
        ("output", at["rates"][i + 1], at["nonzero"][i]),
    ):
        _add(tables, "firing_rate", net, f"{b.name}.{part}", total=rate * ELEMENTS,
             elements=ELEMENTS, nonzero=nonzero * ELEMENTS, above_one=0,
             largest=at["largest"][i])  # fmt: skip


def _norms(tables: Tables, net: Net, b: BlockPlan, at: dict[str, np.ndarray]) -> None:
    for part, norm in (("input", at["norms"][b.index]), ("output", at["norms"][b.index + 1])):
        square = float(norm) ** 2
        _add(tables, "gradient_norm", net, f"{b.name}.{part}", squares=square, gradients=ELEMENTS,
             batches=1, samples=32, squares_by_samples=32 * square)  # fmt: skip


def _arrays(net: Net, count: int) -> dict[str, np.ndarray]:
    given = {"rates": net.rates, "norms": net.norms, "nonzero": net.nonzero, "active": net.active,
             "branch_rates": net.branch_rates, "largest": net.largest,
             "digests": net.digests}  # fmt: skip
    return {
        name: np.broadcast_to(np.asarray(value), count + (name in ("rates", "norms")))
        for name, value in given.items()
        if value is not None
    }


def _grams(tables: Tables, net: Net, shape: Plan) -> None:
    rows = tables.setdefault("pattern_gram", [])
    for block_input, gram in net.grams.items():
        last = block_input == len(shape.blocks)
        b = shape.blocks[-1] if last else shape.blocks[block_input]
        site = f"{b.name}.output" if last else f"{b.name}.input"
        for (p, s, t), value in np.ndenumerate(gram):
            rows.append({"network": net.name, "site": site, "pattern": p, "step": s,
                         "other_step": t, "gram": value, "elements": 1})  # fmt: skip
    if not rows:
        del tables["pattern_gram"]


def only(claims: Sequence[Any], name: str) -> Any:
    """The claim of that id."""
    (found,) = [c for c in claims if c.id == name]
    return found
