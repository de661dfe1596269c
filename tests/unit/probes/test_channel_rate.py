"""channel_rate against kept tensors, channel by channel."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from snnlens.probes.channel_rate import ChannelRate
from snnlens.sites import Site
from tests.unit.probes import foreign
from tests.unit.probes.foreign import KINDS

SPIKES = Site("sn", "sn", "output", "neuron")


@pytest.mark.parametrize("kind", [*KINDS, "graded"])
def test_against_every_channel(kind: str) -> None:
    one = foreign.GRADED if kind == "graded" else KINDS[kind]
    record, kept = foreign.recorded(one, ChannelRate(), foreign.batches())
    for site, channels in {"sn1": 6, "sn2": 7}.items():
        table = foreign.rows(record, "channel_rate", site)
        assert table["channel"].tolist() == list(range(channels))
        for c, row in table.iterrows():
            parts = [q.s[:, :, c] for q in kept[site]]
            assert row["total"] == sum(float(p.astype(float).sum()) for p in parts)
            assert row["elements"] == sum(p.size for p in parts)
    assert not set(record.frame()) & {"total", "elements"}
    assert table["total"].nunique() > 3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.bool])
def test_counts_are_exact_in_every_dtype(dtype: torch.dtype) -> None:
    """Beyond 2048, where float16 holds no odd integers."""
    x = torch.ones(3, 1, 2, 1001).to(dtype)
    x[0, 0, 1] = 0
    found = ChannelRate().value(SPIKES, x)
    assert found["total"].tolist() == [3003, 2002]
    assert found["elements"].tolist() == [3003, 3003]


def test_channels_last_and_one_lone_axis() -> None:
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(4, 5, 3, 3, generator=generator) < 0.4).float()
    last = x.contiguous(memory_format=torch.channels_last).unflatten(0, (2, 2))
    wanted = [float(x[:, c].sum()) for c in range(5)]
    assert ChannelRate().value(SPIKES, last)["total"].tolist() == wanted
    found = ChannelRate().value(SPIKES, x[:, :, 0, 0])  # [T, B] without channels
    assert found["total"].tolist() == [x[:, :, 0, 0].sum()]
    assert found["elements"].tolist() == [20]
    assert ChannelRate().value(SPIKES, torch.zeros(2, 0, 3)) == {}


def test_beyond_what_float32_counts() -> None:
    """2^24 + 1 ones in one channel: float32 would stop at 2^24."""
    x = torch.ones(1, dtype=torch.bfloat16).expand(1, 1, 1, 2**24 + 1)
    assert ChannelRate().value(SPIKES, x)["total"].tolist() == [2**24 + 1]
    assert np.float32(2**24) + np.float32(1) == 2**24
