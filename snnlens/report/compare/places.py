"""Which block, or site, of one network lies where one of another lies: by stage, name or order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from snnlens.report.text import plural

Place = int | str  # a block's index or a site's name


class Paired(NamedTuple):
    """Places of A and B that were set against each other, and how, in words."""

    pairs: list[tuple[Place, Place]]
    how: str
    staged: bool = False  # not block by block: their positions in the stage were compared


@dataclass(frozen=True)
class Layout:
    """The blocks of one network by stage, and how the names of each block's sites begin."""

    stages: dict[int, list[int]]
    prefix: dict[int, str]

    @property
    def counts(self) -> dict[int, int]:
        """Blocks of each stage."""
        return {stage: len(blocks) for stage, blocks in self.stages.items()}

    @property
    def order(self) -> list[int]:
        """All blocks, from the input on."""
        return [block for blocks in self.stages.values() for block in blocks]

    def position(self, block: int) -> float:
        """Where a block lies in its stage: 0 is the first, 1 the last; 0 of an only one."""
        blocks = self.stages[self.stage(block)]
        return blocks.index(block) / (len(blocks) - 1) if len(blocks) > 1 else 0.0

    def stage(self, block: int) -> int:
        """The stage of a block."""
        return next(s for s, blocks in self.stages.items() if block in blocks)

    def split(self, site: str) -> tuple[int | None, str]:
        """The block that a site lies in, and its name without the block's.

        >>> Layout({1: [0]}, {0: "layer1.0"}).split("layer1.0.sn1")
        (0, 'sn1')
        """
        inside = [b for b, p in self.prefix.items() if site == p or site.startswith(f"{p}.")]
        if not inside:
            return None, site
        block = max(inside, key=lambda b: len(self.prefix[b]))
        return block, site[len(self.prefix[block]) + 1 :]


def layout(sites: pd.DataFrame, rows: pd.DataFrame) -> Layout:
    """The blocks of one network as its Record's sites have them, or else the rows of a table."""
    for frame in (sites, rows):
        if "block" in frame and pd.api.types.is_numeric_dtype(frame["block"]):
            inside = frame[frame["block"].notna()]
            if len(inside):
                return _layout(inside)
    return Layout({}, {})


def _layout(inside: pd.DataFrame) -> Layout:
    stages: dict[int, list[int]] = {}
    names: dict[int, list[str]] = {}
    known = inside["stage"] if "stage" in inside else [None] * len(inside)
    sites = inside["site"] if "site" in inside else [""] * len(inside)
    for block, stage, site in zip(inside["block"], known, sites, strict=True):
        names.setdefault(int(block), []).append(str(site))
        of_stage = stages.setdefault(0 if pd.isna(stage) else int(stage), [])
        if int(block) not in of_stage:
            of_stage.append(int(block))
    ordered = {s: sorted(blocks) for s, blocks in sorted(stages.items())}
    prefixes = {b: _common(found) for b, found in names.items()}
    return Layout(ordered, {b: p for b, p in prefixes.items() if p})


def _common(sites: list[str]) -> str:
    """The dotted beginning that all sites share, without any one's last part.

    >>> _common(["layer1.0.sn1", "layer1.0.downsample.2"])
    'layer1.0'
    """
    split = [s.split(".")[:-1] for s in sites]
    shared = 0
    while all(len(s) > shared and s[shared] == split[0][shared] for s in split):
        shared += 1
    return ".".join(split[0][:shared])


def blocks(a: Layout, b: Layout, have_a: Sequence[int], have_b: Sequence[int]) -> Paired:
    """Block against block; in stages of different length by position, the nearest first.

    Each block of the run with fewer in that stage takes the nearest of the other, of two as near
    the shallower one; no block is taken twice. Stages that only one has are left out.
    """
    if a.counts == b.counts:
        same = dict(zip(a.order, b.order, strict=True))
        pairs = [(x, same[x]) for x in have_a if same.get(x) in have_b]
        return Paired(list(pairs), _by_block(a))
    found: list[tuple[Place, Place]] = []
    for stage in (s for s in a.stages if s in b.stages):
        of_a = [x for x in a.stages[stage] if x in have_a]
        of_b = [x for x in b.stages[stage] if x in have_b]
        if len(of_a) <= len(of_b):
            found += _nearest(a, b, of_a, of_b)
        else:
            found += [(y, x) for x, y in _nearest(b, a, of_b, of_a)]
    return Paired(found, _by_stage(a, b), staged=True)


def _nearest(
    few: Layout, many: Layout, of_few: list[int], of_many: list[int]
) -> list[tuple[int, int]]:
    pairs, free = [], list(of_many)
    for block in of_few:
        if free:
            at = few.position(block)
            nearest = min(free, key=lambda x: (round(abs(many.position(x) - at), 9), x))
            pairs.append((block, nearest))
            free.remove(nearest)
    return pairs


def sites(a: Layout, b: Layout, names_a: Sequence[str], names_b: Sequence[str]) -> Paired:
    """Sites of paired blocks by their name within the block, the others by their whole name.

    Where not one name is shared, by order.
    """
    of_a, of_b = _by_place(a, names_a), _by_place(b, names_b)
    paired = blocks(a, b, [x for x in of_a if x is not None], [x for x in of_b if x is not None])
    found = _named(of_a.get(None, {}), of_b.get(None, {}))
    within = [(of_a[x], of_b[y]) for x, y in paired.pairs]  # type: ignore[index]
    by_name = [pair for p, q in within for pair in _named(p, q)]
    if not by_name:
        by_name = [pair for p, q in within for pair in zip(p.values(), q.values(), strict=False)]
    found += by_name
    if not found:
        return Paired(list(zip(names_a, names_b, strict=False)), "by order: no name is shared")
    rank = {name: i for i, name in enumerate(names_a)}
    how = paired.how if within else "by name"
    return Paired(sorted(found, key=lambda p: rank[str(p[0])]), how, paired.staged and bool(within))


def _by_place(where: Layout, names: Sequence[str]) -> dict[int | None, dict[str, str]]:
    made: dict[int | None, dict[str, str]] = {}
    for name in names:
        block, rest = where.split(name)
        made.setdefault(block, {})[rest] = name
    return made


def _named(a: dict[str, str], b: dict[str, str]) -> list[tuple[Place, Place]]:
    return [(a[rest], b[rest]) for rest in a if rest in b]


def _by_block(where: Layout) -> str:
    total = len(where.order)
    return f"block by block: both have {plural(total, 'block')}" if total else "by name"


def _by_stage(a: Layout, b: Layout) -> str:
    if not a.stages or not b.stages:
        return "by name: only one of them has blocks"
    if {*a.stages, *b.stages} == {0}:
        return (
            f"by position in the network, 0 its first block and 1 its last: it has no stages, and "
            f"{len(a.order)} against {plural(len(b.order), 'block')}"
        )
    shown = [
        f"stage {s}: {a.counts.get(s, 0)} against {b.counts.get(s, 0)}"
        for s in sorted({*a.stages, *b.stages})
    ]
    return (
        "by stage, a block's position in its stage scaled to 0 (first) and 1 (last), each block of "
        f"the shorter stage against the nearest of the longer ({', '.join(shown)} blocks)"
    )
