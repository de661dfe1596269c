"""Are the recorder's numbers right on this very model? Every one against a brute-force count."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from snnlens.experiments._params import SubjectParams
from snnlens.registry import plugin

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from snnlens.adapters._survey import Survey
    from snnlens.experiments._brute import Kept
    from snnlens.experiments._networks import Progress
    from snnlens.experiments._subject import Subject
    from snnlens.recording.probe import Probe
    from snnlens.recording.record import Record

PANEL = "Your model"
PROBES = ("firing_rate", "gradient_norm", "silence", "gradient_histogram", "synaptic_operations")


class Params(SubjectParams):
    """A pass of a few samples, recorded as ever, and kept whole and counted in plain numpy."""


def run(params: Params, progress: Progress | None = None) -> Record:
    """Load the model and its batch, and audit."""
    import torch

    from snnlens.experiments._networks import quiet
    from snnlens.experiments._subject import load

    if params.threads is not None:
        torch.set_num_threads(params.threads)
    return examine(load(params, params.batch, params.loss), params, progress or quiet)


def of(
    model: Any, x: Any, y: Any, params: Params, probes: Sequence[Probe] | None = None, **more: Any
) -> Record:
    """The audit of a model and a batch that are there already; `more` as in `subject_of`."""
    from snnlens.experiments._networks import quiet
    from snnlens.experiments._subject import subject_of

    return examine(subject_of(model, x, y, params, **more), params, quiet, probes)


def examine(
    subject: Subject, params: Params, progress: Progress, probes: Sequence[Probe] | None = None
) -> Record:
    """The Record of an audit: a table `audit` with both numbers; the model is left as it was."""
    from dataclasses import replace

    from snnlens.experiments import _brute
    from snnlens.experiments._preserve import preserved
    from snnlens.experiments._subject import few_of, network_name, size, with_provenance
    from snnlens.recording.record import Schema
    from snnlens.recording.recorder import Recorder

    made = list(probes) if probes is not None else [plugin("probes", name)() for name in PROBES]
    with preserved(subject.model):
        few = few_of(subject)
        tick = progress(params.model, 2 * len(subject.survey.sites))
        recorder = Recorder(few.model, made, network=network_name(params.model),
                            adapters=few.adapters, per_step=few.per_step,
                            on_site=tick)  # fmt: skip
        with recorder, _brute.keeping(few.survey) as kept:
            few.backward(recorder)
        table = _side_by_side(recorder.record(), _brute.counted(few.survey, kept))
    recorder.note(
        seed=params.seed, data=subject.batch.description, samples=size(recorder)[1],
        special=_special(few.survey, kept),
    )  # fmt: skip
    record = recorder.record()
    both = table.assign(network=network_name(params.model))
    record = replace(record, tables=record.tables | {"audit": both},
                     schemas=record.schemas | {"audit": Schema(axes=())})  # fmt: skip
    return with_provenance(record, "audit", subject, params)


def _side_by_side(record: Record, brute: pd.DataFrame) -> pd.DataFrame:
    """The streamed number beside each brute-force one, and whether they are equal.

    Where an audited probe said nothing there is no number, and that is not equal; NaN equals NaN.
    """
    import pandas as pd

    audited = brute["quantity"].str.partition(".")[0].isin(list(record.tables))
    table = brute[audited]
    pairs = zip(table["site"], table["quantity"], strict=True)
    found = [_streamed(record, site, of) for site, of in pairs]
    given = pd.Series([math.nan if n is None else n for n in found], table.index, float)
    wanted, said = table["brute"], pd.Series([n is not None for n in found], table.index, bool)
    near = (given - wanted).abs() <= table["tolerance"] * wanted.abs()
    alike = (given == wanted) | (given.isna() & wanted.isna())  # there is no distance from infinity
    return table.assign(streamed=given, equal=said & (near | alike))[
        ["site", "quantity", "streamed", "brute", "tolerance", "equal"]
    ].reset_index(drop=True)


def _streamed(record: Record, site: str, quantity: str) -> float | None:
    """The recorder's number: a column summed over its rows, or a count of bits; or none."""
    probe, _, column = quantity.partition(".")
    table = record.tables[probe]
    rows = table[table["site"] == site]
    if not len(rows):
        return None
    if probe == "silence":
        return _bits(record, site, rows, column)
    numbers = rows[column].to_numpy()  # pandas would leave NaN out
    return float(numbers.max() if column == "largest" else numbers.sum())


def _bits(record: Record, site: str, rows: pd.DataFrame, column: str) -> float:
    from snnlens.measures import whole

    neurons = int(record.sites.set_index("site")["neurons"].loc[site])
    packed = rows.sort_values("byte")["spiked" if column == "silent" else "missed"].to_numpy()
    return float((~whole.bits(packed, neurons)).sum())


def _special(survey: Survey, kept: Kept) -> list[dict[str, str]]:
    """What could make a count wrong, and how it was treated."""
    found = [{"what": f"wrapped in {w}", "where": "", "treated": TREATED.get(w, "taken out of it")}
             for w in survey.wrapped]  # fmt: skip
    for site in survey.neurons():
        if kept.recomputed[site.name]:
            found.append({"what": "computed again in the backward pass (checkpointing)",
                          "where": site.name, "treated": "counted once"})  # fmt: skip
        elif site.name not in kept.outputs:
            found.append({"what": "never called through its hooks (compiled, or called directly)",
                          "where": site.name, "treated": "not counted: SNL901"})  # fmt: skip
    return found + _shared(survey)


def _shared(survey: Survey) -> list[dict[str, str]]:
    """Spiking layers that have several names: one module, several places."""
    names: dict[int, list[str]] = {}
    for name, module in survey.model.named_modules(remove_duplicate=False):
        names.setdefault(id(module), []).append(name)
    return [
        {"what": f"one module under {len(all_)} names", "where": ", ".join(all_),
         "treated": "one site, its calls together"}
        for all_ in names.values() if len(all_) > 1 and all_[0] in survey.adapters
    ]  # fmt: skip


TREATED = {
    "DistributedDataParallel": "each rank records its own samples; join the records",
    "FullyShardedDataParallel": "not guessed: parameters are sharded, their gradients are not read",
    "OptimizedModule": "the module inside is recorded, and runs as it was written",
}
