"""Identity error: how far a block is from O = S, and whether it could be the identity at all."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from snnlens.recording.probe import Probe, Sums
from snnlens.recording.record import Column, Quantity
from snnlens.recording.reduce import step_elements, step_squares
from snnlens.sites import Site


class IdentityError(Probe):
    """||O - S|| / ||S|| of an identity block, the share of elements that differ, and the same
    with the residual branch set to its identity value (the capability).

    The error is null, never 0, where S is silent. The capability runs the block once more with a
    fresh neuron and F(S) = 0 (for AND: the firing bias): 0 mismatches mean that this block with
    this neuron and this input can be the identity; null where a block has no identity value.

    Source: Fang et al. 2021, Sections 3.2 (Eq. 7) and 3.3 (Eq. 9, Table 1).
    """

    name = "identity_error"
    roles = frozenset({"block_output"})
    columns = {
        "error_squares": Column(),
        "input_squares": Column(),
        "mismatches": Column(),
        "capability_squares": Column(),
        "capability_mismatches": Column(),
        "compared": Column(),
        "capability_compared": Column(),
    }
    quantities = {
        "identity_error": Quantity(
            "relative_norm", ("error_squares", "input_squares"), "relative norm"
        ),
        "mismatch_share": Quantity("ratio", ("mismatches", "compared"), "share of elements"),
        "capability_error": Quantity(
            "relative_norm", ("capability_squares", "input_squares"), "relative norm"
        ),
        "capability_mismatch_share": Quantity(
            "ratio", ("capability_mismatches", "capability_compared"), "share of elements"
        ),
    }

    def wants(self, site: Site) -> bool:
        """Identity blocks only: a downsample block changes the shape."""
        return super().wants(site) and site.block_kind == "identity"

    def around(self, site: Site, module: Any, s: Tensor, o: Tensor) -> Sums:
        """Compare O with S, and the block at its identity value with S."""
        elements = step_elements(s)
        at_identity: Tensor | None = getattr(module, "identity_output", lambda _: None)(s)
        possible = at_identity is not None
        wanted = s if at_identity is None else at_identity
        return {
            "error_squares": step_squares(o - s),
            "input_squares": step_squares(s),
            "mismatches": _mismatches(o, s),
            "compared": elements,
            "capability_squares": step_squares(wanted - s) + (0.0 if possible else torch.nan),
            "capability_mismatches": _mismatches(wanted, s),
            "capability_compared": elements * possible,
        }


def _mismatches(a: Tensor, b: Tensor) -> Tensor:
    return (a != b).flatten(1).sum(1)
