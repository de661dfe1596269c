"""The depth navigator: blocks or layers on one axis, quantities above it, findings beside them.

Everything is laid out when the page is built; the page's script only moves a cursor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from snnlens.recording.result import SEVERITIES
from snnlens.report import numbers, places, scales, strokes
from snnlens.report.columns import Column, column
from snnlens.report.findings import Case, ranked
from snnlens.report.text import shortened

if TYPE_CHECKING:
    from snnlens.recording.record import Record
    from snnlens.report.rows import Rows

# The quantities that it may show and how their axes begin: at zero, anywhere, or with powers of
# ten. It shows the first few that a run has, in the order of the run's own table.
LANES: dict[str, scales.Kind] = {
    "firing_rate": "zero",
    "firing_rate_residual": "zero",
    "firing_rate_output": "zero",
    "silent_share": "zero",
    "gradient_norm": "log",
    "factor": "free",
    "identity_error": "zero",
    "capability_error": "zero",
    "membrane_median": "free",
    "largest_output": "zero",
    "rms_total": "zero",
    "rms_quantisation": "zero",
    "rms_unevenness": "zero",
    "correlation": "free",
    "spikes": "zero",
}
MOST_LANES = 4
CLOSE, NEAR = 2.6, 8.5  # percent that make 24 pixels, wide and on a narrow screen
MOST_DOTS = 80  # more places than this are a line alone
MOST_PLACES = 10_000  # the deepest networks have a tenth of that


@dataclass(frozen=True)
class Lane:
    """One quantity over the depth: the drawing is 200 high, and two wide for each place."""

    title: str
    unit: str
    log: bool
    ticks: list[tuple[float, str]]
    line: str
    dots: str


@dataclass(frozen=True)
class Place:
    """What the navigator says of one place: its name, then its numbers, lane by lane."""

    x: int
    name: str
    values: list[str]
    row: str

    @property
    def said(self) -> str:
        """A line for the name and for each lane."""
        return "\n".join([self.name, *self.values])


@dataclass(frozen=True)
class Flag:
    """Findings at one place."""

    x: float
    severity: str
    target: str
    said: str
    near: bool = False  # too near to the one before to be shown on a narrow screen


@dataclass(frozen=True)
class Navigator:
    """One network of a run along its depth. Positions are percent of the width or height."""

    id: str
    network: str
    noun: str
    axis: str
    width: int
    lanes: list[Lane]
    ticks: list[tuple[float, str]]
    bands: list[tuple[int, int]]
    marks: list[float]
    flags: list[Flag]
    places: list[Place]
    start: int
    said: str

    @property
    def spread(self) -> bool:
        """Whether there is room for a dot at each place."""
        return self.width <= MOST_DOTS


def navigators(run_id: str, rows: Rows, record: Record) -> list[Navigator]:
    """One navigator per network of a run that has places; none for a run without."""
    found = rows.places
    if found is None:
        return []
    names = [c for c in (found.frame if found.own else LANES) if c in LANES and c in found.frame]
    made = []
    for number, (network, part) in enumerate(found.frame.groupby("network", sort=False)):
        lanes = [c for c in names if part[c].notna().sum() > 1][:MOST_LANES]
        if lanes and len(part) >= places.FEWEST:
            drawn = _Drawn(str(network), part, found.kind, lanes, record)
            if drawn.width <= MOST_PLACES:
                made.append(drawn.navigator(f"{run_id}_n{number}", rows))
    return made


@dataclass(frozen=True)
class _Drawn:
    """One network's places, and what is drawn of them."""

    network: str
    frame: pd.DataFrame
    kind: places.Kind
    lanes: list[str]
    record: Record

    def navigator(self, id_: str, rows: Rows) -> Navigator:
        width, bands = self.width, self._bands()
        flags = _apart(sorted(self._flags(rows.cases, width), key=lambda flag: flag.x))
        return Navigator(
            id=id_,
            network=self.network,
            noun="residual block" if self.kind == "block" else "layer",
            axis="residual block l" if self.kind == "block" else "layer, in the order of a pass",
            width=width,
            lanes=[self._lane(name) for name in self.lanes],
            ticks=[(_middle(i, width), str(i)) for i in scales.whole_ticks(0, width - 1)],
            bands=bands,
            marks=[100 * (first + count / 2) / width for first, count in bands],
            flags=flags,
            places=list(self._places(rows, width)),
            start=round(flags[0].x * width / 100 - 0.5) if flags else 0,
            said=rows.places.said if rows.places else "",
        )

    def _at(self) -> list[int]:
        """Where each row lies on the axis."""
        if self.kind == "block":
            return [int(b) for b in self.frame["block"]]
        return list(range(len(self.frame)))

    @property
    def width(self) -> int:
        """The places of its axis."""
        blocks = places.downsamples(self.record, self.network) if self.kind == "block" else set()
        return max([*self._at(), *blocks]) + 1

    def _bands(self) -> list[tuple[int, int]]:
        """The first place and the number of places of each downsample block."""
        if self.kind == "block":
            return [(b, 1) for b in sorted(self._downsamples())]
        if not {"block", "block_kind"} <= set(self.frame):
            return []
        kinds = zip(self.frame["block"], self.frame["block_kind"], strict=True)
        members: dict[int, list[int]] = {}
        for x, (block, kind) in enumerate(kinds):
            if kind == "downsample" and not pd.isna(block):
                members.setdefault(int(block), []).append(x)
        return [(min(xs), max(xs) - min(xs) + 1) for xs in members.values()]

    def _downsamples(self) -> set[int]:
        known = places.downsamples(self.record, self.network)
        if "block_kind" in self.frame:
            rows = self.frame[self.frame["block_kind"] == "downsample"]
            known |= {int(b) for b in rows["block"]}
        return known

    def _lane(self, name: str) -> Lane:
        values = [_number(v) for v in self.frame[name]]
        axis = scales.scale(values, LANES[name])
        parts = strokes.runs(zip(self._at(), map(axis.at, values), strict=True))
        meta = column(name, _units(self.record))
        title, ticks = _title(meta, self.kind), axis.ticks
        return Lane(title, meta.unit, axis.log, ticks, strokes.line(parts), strokes.dots(parts))

    def _places(self, rows: Rows, width: int) -> Iterator[Place]:
        """Every place on the axis, those without a row too."""
        at = dict(zip(self._at(), self.frame.index, strict=True))
        known = places.modules(self.record)
        downsample = self._downsamples() if self.kind == "block" else set()
        for x in range(width):
            if x not in at:
                kind = "downsample block, " if x in downsample else ""
                yield Place(x, f"Block {x}, {kind}no row here", ["–"] * len(self.lanes), "")
                continue
            row = self.frame.loc[at[x]]
            values = [_shown(row[name]) for name in self.lanes]
            name = self._name(x, row, known.get((self.network, x), ""))
            yield Place(x, name, values, rows.led_to.row_id(int(at[x])))

    def _name(self, x: int, row: pd.Series[Any], module: str) -> str:
        """`Block 11: layer3.0, stage 3, downsample`, or `Layer 4: layer1.1.sn2`."""
        said = [module] if self.kind == "block" else [str(row["site"])]
        if "stage" in row and not pd.isna(row["stage"]):
            said.append(f"stage {int(row['stage'])}")
        if "block_kind" in row and isinstance(row["block_kind"], str):
            said.append(row["block_kind"])
        head = f"Block {x}" if self.kind == "block" else f"Layer {x}"
        whole = ", ".join(shortened(s) for s in said if s)
        return " ".join(f"{head}: {whole}".split())  # one line, whatever a site is called

    def _flags(self, cases: list[Case], width: int) -> Iterator[Flag]:
        """One flag per place with findings, the worst in front."""
        at: dict[int, list[Case]] = {}
        for case in ranked(cases):
            x = self._found(case)
            if x is not None:
                at.setdefault(x, []).append(case)
        for x, here in at.items():
            said = ", ".join(f"{c.finding.severity} {c.finding.code}" for c in here)
            yield Flag(_middle(x, width), here[0].finding.severity, here[0].id, said)

    def _found(self, case: Case) -> int | None:
        """Where a finding lies on the axis of this network, with or without a row there."""
        if places.network_of(case.finding, list(self.record.networks)) != self.network:
            return None
        if self.kind == "block":
            return places.block_of(case.finding, self.network, self.record)
        index = places.row_of(case.finding, self.frame, self.record)
        return None if index is None else list(self.frame.index).index(index)


def _apart(flags: list[Flag]) -> list[Flag]:
    """Flags that do not lie on each other: the nearest become one, others wait for more room."""
    made: list[Flag] = []
    wide = -100.0
    for flag in flags:
        if made and flag.x - made[-1].x < CLOSE:
            first = made.pop()
            worse = min(first, flag, key=lambda f: SEVERITIES.index(f.severity))
            made.append(
                replace(worse, x=first.x, said=f"{first.said}, {flag.said}", near=first.near)
            )
            continue
        near = flag.x - wide < NEAR
        made.append(replace(flag, near=near))
        wide = wide if near else flag.x
    return made


def _middle(x: int, width: int) -> float:
    return round(100 * (x + 0.5) / width, 3)


def _number(value: Any) -> float:
    return float("nan") if pd.isna(value) else float(value)


def _shown(value: Any) -> str:
    return "–" if pd.isna(value) else numbers.number(float(value))


def _units(record: Record) -> dict[str, str]:
    return {n: q.unit for s in record.schemas.values() for n, q in s.quantities.items()}


def _title(meta: Column, kind: places.Kind) -> str:
    """The heading of a lane; a layer has no input of its own.

    >>> _title(column("gradient_norm", {}), "block"), _title(column("firing_rate", {}), "site")
    ('Gradient norm, input', 'Firing rate')
    """
    if not meta.group:
        return meta.label
    bare = meta.label == "all" or (kind == "site" and meta.label == "input")
    return meta.group if bare else f"{meta.group}, {meta.label}"
