"""Output digest: a checksum of the bits at a site, so that two networks can be called equal."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from snnlens.recording.probe import Probe, Sums
from snnlens.recording.record import Column
from snnlens.sites import Site

CHUNK = 1 << 16
INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class OutputDigest(Probe):
    """sum_i w_i b_i mod 2^64 per step, b_i the bits of element i, w_i fixed odd random weights.

    Two tensors that differ have the same digest with a probability below 2^-50 (a multilinear
    hash; Carter and Wegman 1979). Zero and minus zero count as equal. Equal digests: 0 differing
    elements. Digests of one batch add up over batches.
    """

    name = "output_digest"
    roles = frozenset({"block_output"})
    columns = {"digest": Column(), "digested": Column()}

    def value(self, site: Site, x: Tensor) -> Sums:
        """The digest of each step, over the elements in their logical order."""
        bits = _bits(x + 0.0).flatten(1)
        digest = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        for n, part in enumerate(bits.split(CHUNK, dim=1)):
            digest += (part * _weights(n, part.shape[1], x.device)).sum(1)
        return {"digest": digest, "digested": torch.full_like(digest, bits.shape[1])}


def _bits(x: Tensor) -> Tensor:
    """The bits of each element, its exponent folded onto the end of the mantissa.

    A float 1 ends in zero bits (23 in float32, 52 in float64): a sum of such numbers would have
    as many zero bits, and the digest of float64 spikes only 12 bits that tell anything.
    """
    bits = x.contiguous().view(INTEGERS[x.element_size()])
    mantissa = round(-math.log2(torch.finfo(x.dtype).eps))
    exponent = (bits >> mantissa) & (2 ** (8 * x.element_size() - mantissa) - 1)
    return torch.bitwise_xor(bits, exponent)


def _weights(chunk: int, length: int, device: torch.device) -> Tensor:
    """Odd 64-bit weights of one chunk, equal wherever they are made (splitmix64)."""
    z = torch.arange(chunk * CHUNK, chunk * CHUNK + length, dtype=torch.int64, device=device)
    z = z * -7046029254386353131 + 1
    z = _mixed(z, 30, 0x3FFFFFFFF) * -4658895280553007687
    z = _mixed(z, 27, 0x1FFFFFFFFF) * -7723592293110705685
    return torch.bitwise_or(_mixed(z, 31, 0x1FFFFFFFF), torch.ones_like(z))


def _mixed(z: Tensor, shift: int, mask: int) -> Tensor:
    """z xor (z >> shift), the shift filled with zeros: int64 has no unsigned shift."""
    return torch.bitwise_xor(z, (z >> shift) & mask)
