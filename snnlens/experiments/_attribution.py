"""The run of `attribution`: maps by every method, judged, into one Record."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch import Tensor

from snnlens.adapters._survey import Survey
from snnlens.attribution import attribute, fitted, method_named, options_of, traces
from snnlens.attribution.bridge import Bridge
from snnlens.attribution.maps import Maps
from snnlens.attribution.methods._base import Method, Options
from snnlens.experiments import _attribution_belief as belief
from snnlens.experiments import _attribution_tables as tables
from snnlens.experiments import _attribution_variants as variants
from snnlens.experiments._attribution_bridge import bridged, targets
from snnlens.experiments._blame import user_code
from snnlens.experiments._networks import Progress, quiet
from snnlens.experiments._subject import Subject, load, network_name, with_provenance
from snnlens.recording import record
from snnlens.recording.record import Schema

if TYPE_CHECKING:
    from snnlens.experiments.attribution import Params
    from snnlens.recording.record import Record

PLAIN = Schema(axes=(), adds=False)  # tables that are kept as they are
FROM_PARAMS = ("steps", "internal_batch", "at", "seed", "noise", "draws", "smooths", "over",
               "gamma", "decay", "absent", "neuron", "window")  # fmt: skip
RASTERED = 1  # samples whose spikes are kept
Tables = dict[str, pd.DataFrame]


def run(params: Params, progress: Progress | None = None) -> Record:
    """Maps, curves, trust and traces of one batch."""
    if params.threads is not None:
        torch.set_num_threads(params.threads)
    methods = [method_named(name) for name in dict.fromkeys(params.method)]
    made = Run(params, methods, load(params, params.samples), progress or quiet)
    with user_code("the model"):
        return made.record()


class Run:
    """One model, one batch, several methods."""

    def __init__(
        self, params: Params, methods: list[Method], subject: Subject, progress: Progress
    ) -> None:
        self.params, self.methods, self.subject = params, methods, subject
        chosen = {name: getattr(params, name) for name in FROM_PARAMS}
        self.options: Options = options_of(chosen)
        self.network = network_name(params.model)
        self.tick = progress(self.network, len(methods) + (params.belief != "none"))

    def record(self) -> Record:
        """The Record of the run."""
        with bridged(self.subject, seed=self.params.seed) as bridge:
            self.options = fitted(self.options, bridge)
            target = targets(bridge, self._asked())
            found = [m for method in self.methods for m in self._maps(bridge, target, method)]
            made = self._tables(bridge, found)
            facts = self._facts(bridge, target)
        if self.params.belief == "all":
            pairs = [made["attribution_pairs"], variants.compared_with(self, target, found)]
            made["attribution_pairs"] = pd.concat(pairs, ignore_index=True)
        return self._as_record(made, facts)

    def _asked(self) -> Any:
        """The class that is asked about: labels, a class, or None for what is predicted."""
        if self.params.target == "label":
            return self.subject.batch.y
        return int(self.params.target) if self.params.target.isdecimal() else None

    def _maps(self, bridge: Bridge, target: Tensor, method: Method) -> list[Maps]:
        """Of one method: over the input or a layer, and over the pixels of a static image."""
        maps = attribute(bridge, bridge.x, target, method, self.options)
        self.tick()
        return [maps] if maps.image is None else [maps, maps.image]

    def _tables(self, bridge: Bridge, found: list[Maps]) -> Tables:
        y = self.subject.batch.y
        made = {
            "attribution_maps": tables.numbers(found, y),
            "attribution_time": tables.over_time(found),
            **tables.framed(found, bridge.x, self.params.frames),
        }
        ground = belief.Ground.of(bridge)
        made["attribution_pairs"] = belief.agreement(ground, found)
        if self.params.belief != "none":
            made["attribution_curves"] = belief.all_curves(
                ground, found, self.params, self.options.batch
            )
            self.tick()
        if self.params.belief == "all":
            made["attribution_trust"] = belief.trust(ground, found, self.methods, self.options)
        return made | self._traces(bridge)

    def _traces(self, bridge: Bridge) -> Tables:
        """Spikes of a few layers, and membranes of a few neurons, of the first sample."""
        sites = [bridge.check_site(name) for name in self.params.layers] or few(bridge.sites)
        x = bridge.x[:RASTERED]
        spikes, layers = traces.rasters(bridge, x, sites)
        return {
            "attribution_rasters": spikes,
            "attribution_layers": layers,
            "attribution_membranes": traces.membranes(bridge, x, sites[-1]),
        }

    def _facts(self, bridge: Bridge, target: Tensor) -> dict[str, Any]:
        p, named = self.params, {m.name: m for m in self.methods}
        return {
            "model": p.model, "network": self.network, "time_steps": bridge.steps,
            "samples": len(bridge.x), "static": bridge.static, "classes": bridge.classes,
            "entering": bridge.entering, "leaving": bridge.leaving,
            "score": "the output" + (" averaged over its time axis" if bridge.has_time else ""),
            "baseline": "zeros", "encoder": bridge.encoder, "target": p.target,
            "dtype": str(bridge.x.dtype).removeprefix("torch."),
            "alone_difference": bridge.alone_difference, "methods": list(named),
            "data": self.subject.batch.description, "seed": p.seed, "steps": p.steps,
            "draws": p.draws, "internal_batch": self.options.internal_batch, "belief": p.belief,
            "random_orders": p.random_orders, "input_shape": list(bridge.x.shape[1:]),
            "names": {n: m.title for n, m in named.items()},
            "claims_relevance": {n: m.relevance for n, m in named.items()},
            "complete": {n: m.complete for n, m in named.items()},
            "adapters": sorted({a.name for a in self.subject.survey.adapters.values()}),
            "device": p.device, "auxiliary": False,
        }  # fmt: skip

    def _as_record(self, made: Tables, facts: dict[str, Any]) -> Record:
        named = {name: _named(table, self.network) for name, table in made.items() if len(table)}
        whole = replace(
            record.empty(),
            sites=_sites(self.subject.survey, self.network),
            tables=named,
            schemas=dict.fromkeys(named, PLAIN),
            networks={self.network: facts},
        )
        return with_provenance(whole, "attribution", self.subject, self.params)


def few(sites: list[str]) -> list[str]:
    """The first, the middle and the last.

    >>> few(list("abcde")), few(["a"])
    (['a', 'c', 'e'], ['a'])
    """
    return list(dict.fromkeys([sites[0], sites[len(sites) // 2], sites[-1]]))


def _named(table: pd.DataFrame, network: str) -> pd.DataFrame:
    made = table.copy()
    made.insert(0, "network", network)
    return made


def _sites(survey: Survey, network: str) -> pd.DataFrame:
    """The spiking layers, as every Record lists them."""
    rows = pd.DataFrame(
        [{"network": network, "site": s.name, "module": s.module, "reads": s.reads, "role": s.role,
          "signal": s.signal, "block_kind": "", "order": i, "forward_calls": 1,
          "gradient_calls": 0, "threshold": s.threshold, "leak": s.leak}
         for i, s in enumerate(survey.neurons())]
    )  # fmt: skip
    whole = record.empty().sites
    return rows.reindex(columns=whole.columns).astype(whole.dtypes).reset_index(drop=True)
