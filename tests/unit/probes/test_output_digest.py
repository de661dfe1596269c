"""output_digest: equal bits give equal digests, one changed element gives another one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from snnlens.probes.output_digest import CHUNK, OutputDigest
from snnlens.recording.recorder import Recorder
from snnlens.sites import Site
from tests.unit.recording import brute

SITE = Site("o", "", "output", "block_output")
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


def digest(x: Tensor) -> list[int]:
    return OutputDigest().value(SITE, x)["digest"].tolist()


def _spikes(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) > 0.8).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_equal_bits_equal_digests(dtype: torch.dtype) -> None:
    x = _spikes(3, 2, 5, 7, dtype=dtype)
    assert digest(x) == digest(x.clone())
    assert digest(x) == digest(x.to(memory_format=torch.preserve_format).flatten(1))
    assert OutputDigest().value(SITE, x)["digested"].tolist() == [70] * 3


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_flipped_element_shows_at_its_step(dtype: torch.dtype) -> None:
    x = _spikes(2, 3, 40, dtype=dtype)
    reference = digest(x)
    for i in range(120):
        changed = x.clone().flatten(1)
        changed[1, i] = 1 - changed[1, i]
        other = digest(changed)
        assert other[0] == reference[0]
        assert other[1] != reference[1]


def test_the_last_bit_shows() -> None:
    x = torch.randn(1, 100, generator=torch.Generator().manual_seed(0))
    for dtype in DTYPES:
        changed = x.to(dtype)
        reference = digest(changed)
        changed = changed.clone()
        changed[0, 57] = torch.nextafter(changed[0, 57], torch.tensor(9.0, dtype=dtype))
        assert digest(changed) != reference


def test_order_matters_within_and_across_chunks() -> None:
    x = torch.zeros(1, CHUNK + 9)
    places = [0, 1, CHUNK - 1, CHUNK, CHUNK + 8]
    digests = []
    for place in places:
        x.zero_()[0, place] = 1
        digests.append(digest(x)[0])
    assert len(set(digests)) == len(places)


def test_zero_and_minus_zero_are_equal() -> None:
    x = torch.tensor([[0.0, 1.0, 0.0]])
    assert digest(x) == digest(torch.tensor([[-0.0, 1.0, 0.0]]))
    assert digest(torch.tensor([[-1.0]])) != digest(torch.tensor([[1.0]]))


def test_layout_in_memory_does_not_matter() -> None:
    x = _spikes(2, 3, 4, 5, 6)
    last = x.flatten(0, 1).to(memory_format=torch.channels_last).unflatten(0, (2, 3))
    assert not last.is_contiguous()
    assert digest(x) == digest(last)
    assert digest(x) != digest(x.transpose(3, 4).contiguous())
    wide = torch.zeros(2, 3, 4, 5, 12)
    wide[..., ::2] = x
    assert digest(wide[..., ::2]) == digest(x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_two_spike_patterns_collide(dtype: torch.dtype) -> None:
    """A float 1 is an exponent above many zero bits: they must not cost bits of the digest.

    Of 20,000 patterns no two may agree. With b bits left, about 2e8 / 2^b pairs would.
    """
    patterns = _spikes(20_000, 64, dtype=dtype, seed=3)
    distinct = len(torch.unique(patterns, dim=0))
    assert distinct > 19_900
    assert len(set(digest(patterns))) == distinct


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_bit_of_the_digest_is_constant(dtype: torch.dtype) -> None:
    """Bit 0 is the parity of the spikes; all others are to move too, small integers included."""
    values = _spikes(400, 64, dtype=dtype, seed=4) * 3
    for x in (_spikes(400, 64, dtype=dtype, seed=4), values):
        ones, zeros = 0, 0
        for number in digest(x):
            ones |= number & (2**64 - 1)
            zeros |= ~number & (2**64 - 1)
        low = 0 if x is not values else 11  # a 3 in float64 still ends in ten zero bits
        assert ones >> low == zeros >> low == (2**64 - 1) >> low


def test_batches_add_up_and_networks_compare() -> None:
    """The sum over two batches, wrapped at 2^64, is the same for equal networks."""
    digests = {}
    for connect in ("add", "and", "iand"):
        model = brute.small("sew", connect, zero_init=True, depth=14)
        with Recorder(model, [OutputDigest()]) as recorder:
            model(brute.batch(seed=1))
            model(brute.batch(seed=2))
        digests[connect] = recorder.record().table("output_digest")["digest"]
        assert set(recorder.record().table("output_digest")["site"]) == {
            f"{b.name}.output" for b in model.plan.blocks
        }
    assert digests["add"].equals(digests["and"])
    assert digests["add"].equals(digests["iand"])
    other = brute.small("sew", "add", depth=14)
    with Recorder(other, [OutputDigest()]) as recorder:
        other(brute.batch(seed=1))
        other(brute.batch(seed=2))
    mine = recorder.record().table("output_digest")["digest"]
    assert not (mine == digests["add"]).any()
