"""The blocks of a Record: one row per network and residual block, S^l, A^l and O^l side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from snnlens.errors import NothingToRecord
from snnlens.recording.extent import samples
from snnlens.recording.record import Record

ROLES = {"block_input": "input", "block_residual": "residual", "block_output": "output"}
FACTS = ("residual", "connect", "layout", "depth", "zero_init")


@dataclass(frozen=True)
class Network:
    """One network of a Record, seen along its depth."""

    name: str
    facts: dict[str, Any]
    blocks: pd.DataFrame  # one row per block, index l
    sites: dict[int, str]  # the site name of S^l, l = 0 .. L

    @property
    def areas(self) -> dict[int, list[int]]:
        """Block inputs by area; S^L = O^(L-1) is input L."""
        members: dict[int, list[int]] = {}
        for block, area in self.blocks["area"].items():
            members.setdefault(int(area), []).append(int(str(block)))
        last = self.blocks.iloc[-1]
        members.setdefault(int(last["area_output"]), []).append(len(self.blocks))
        return members

    @property
    def trained(self) -> str | None:
        """Whose trained weights these are, `FILE, epoch N`; None at initialisation."""
        return trained(self.facts)

    def long_areas(self, identity_blocks: int) -> dict[int, list[int]]:
        """The areas with at least so many identity blocks."""
        return {a: m for a, m in self.areas.items() if len(m) > identity_blocks}

    def inputs(self, quantity: str) -> NDArray[np.float64]:
        """A quantity at S^0 .. S^L, as recorded at the block inputs and the last block output."""
        at_inputs = self.blocks[f"{quantity}_input"].to_numpy(float)
        return np.append(at_inputs, float(self.blocks[f"{quantity}_output"].iloc[-1]))


def networks(record: Record) -> list[Network]:
    """Every network of the record that has residual blocks, in the order of the run."""
    frame = record.frame()
    found = []
    for name, sites in frame.groupby("network", sort=False):
        blocks = sites[sites["role"].isin(list(ROLES))]
        if len(blocks):
            found.append(_network(str(name), record.networks[str(name)], blocks))
    if not found:
        raise NothingToRecord(
            "the record must hold residual blocks; got none; record a model whose sites() "
            "list block inputs and outputs"
        )
    return found


def _network(name: str, facts: dict[str, Any], sites: pd.DataFrame) -> Network:
    seen = [samples(row) for _, row in sites.iterrows()]
    sites = sites.assign(part=sites["role"].map(ROLES), samples=seen)
    wide = sites.pivot(index="block", columns="part")
    wide.columns = pd.Index(["_".join(map(str, pair)) for pair in wide.columns])
    wide = wide.sort_index().copy()
    wide.index = pd.Index([int(i) for i in wide.index], name="block")
    for column in ("stage", "area", "block_kind"):
        wide[column] = wide[f"{column}_input"]
    named = {int(i): str(s) for i, s in zip(wide.index, wide["site_input"], strict=True)}
    named[len(wide)] = str(wide["site_output"].iloc[-1])
    return Network(name, facts, wide, named)


def trained(facts: dict[str, Any]) -> str | None:
    """Whose trained weights a network has, by its facts `checkpoint` and `epoch`; None of none.

    >>> trained({"checkpoint": "sew18.pth", "epoch": 319}), trained({"epoch": 0}), trained({})
    ('sew18.pth, epoch 319', None, None)
    """
    checkpoint, epoch = facts.get("checkpoint"), facts.get("epoch")
    if checkpoint is None and not epoch:
        return None
    parts = (checkpoint, None if epoch is None else f"epoch {epoch}")
    return ", ".join(str(part) for part in parts if part is not None)


def spiking_first(found: list[Network]) -> Network:
    """The first network with a neuron, whose facts speak for the run; an ANN has none."""
    return next((n for n in found if "neuron" in n.facts), found[0])


def describe(network: Network, rows: pd.DataFrame) -> dict[str, Any]:
    """What a result table says first of each block: its network's facts, and where it lies."""
    return (
        {"network": network.name}
        | {fact: network.facts.get(fact) for fact in FACTS}
        | {
            "block": rows.index.to_numpy(),
            "stage": rows["stage"].to_numpy(int),
            "area": rows["area"].to_numpy(int),
            "block_kind": rows["block_kind"].to_numpy(str),
        }
    )


def last_stage_samples(network: Network) -> int | None:
    """n = batch x H x W at the last block output, where BatchNorm sees the fewest samples."""
    last = network.blocks.iloc[-1]
    batch, positions = last["batch_output"], last["positions_output"]
    return None if pd.isna(batch) else int(batch) * int(positions)
