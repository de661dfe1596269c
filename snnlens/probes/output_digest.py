"""Output digest: a checksum of the bits at a site, so that two networks can be called equal."""

from __future__ import annotations

import torch
from torch import Tensor

from snnlens.recording.probe import Probe, Sums
from snnlens.recording.record import Column
from snnlens.sites import Site

CHUNK = 1 << 16
INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class OutputDigest(Probe):
    """sum_i w_i b_i mod 2^64 per step, b_i the bits of element i, w_i fixed odd random weights.

    Two tensors that differ have the same digest with a probability of about 2^-62 (a multilinear
    hash; Carter and Wegman 1979). Zero and minus zero count as equal. Equal digests: 0 differing
    elements. Digests of one batch add up over batches.
    """

    name = "output_digest"
    roles = frozenset({"block_output"})
    columns = {"digest": Column(), "digested": Column()}

    def value(self, site: Site, x: Tensor) -> Sums:
        """The digest of each step, over the elements in their logical order."""
        bits = (x + 0.0).contiguous().view(INTEGERS[x.element_size()]).flatten(1)
        digest = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        for n, part in enumerate(bits.split(CHUNK, dim=1)):
            digest += (part * _weights(n, part.shape[1], x.device)).sum(1)
        return {"digest": digest, "digested": torch.full_like(digest, bits.shape[1])}


def _weights(chunk: int, length: int, device: torch.device) -> Tensor:
    """Odd 64-bit weights of one chunk, equal wherever they are made (splitmix64)."""
    z = torch.arange(chunk * CHUNK, chunk * CHUNK + length, dtype=torch.int64, device=device)
    z = z * -7046029254386353131 + 1
    z = (z ^ ((z >> 30) & 0x3FFFFFFFF)) * -4658895280553007687
    z = (z ^ ((z >> 27) & 0x1FFFFFFFFF)) * -7723592293110705685
    return (z ^ ((z >> 31) & 0x1FFFFFFFF)) | 1
