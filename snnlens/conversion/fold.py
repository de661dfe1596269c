r"""BatchNorm in evaluation mode is linear: it folds into the layer before it.

W' = W g / sqrt(var + eps),     b' = (b - mean) g / sqrt(var + eps) + beta
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, fx, nn
from torch.nn.utils import fusion

from snnlens.errors import InputError

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def fold(gm: fx.GraphModule) -> dict[str, str]:
    """Fold each BatchNorm that follows a layer used once; the nodes that went, and their modules.

    A BatchNorm that follows something else (a sum, an activation), or whose layer feeds others too,
    stays: in evaluation mode it is the same.
    """
    gone = {}
    for node in list(gm.graph.nodes):
        before = _layer_before(gm, node)
        if before is None:
            continue
        layer, norm = (gm.get_submodule(str(n.target)) for n in (before, node))
        _set(gm, str(before.target), _fused(layer, norm))
        gone[node.name] = str(node.target)
        node.replace_all_uses_with(before)
    return gone


def _layer_before(gm: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """The node of the layer that a BatchNorm's node folds into, if it does."""
    if not (_is(gm, node, NORMS) and len(node.args) == 1 and isinstance(node.args[0], fx.Node)):
        return None
    norm, before = gm.get_submodule(str(node.target)), node.args[0]
    known = getattr(norm, "running_mean", None) is not None and norm.weight is not None
    if not known or not _is(gm, before, (*CONVOLUTIONS, nn.Linear)):
        return None
    calls = [n.target for n in gm.graph.nodes if n.op == "call_module"]
    once = calls.count(before.target) == 1 and calls.count(node.target) == 1
    return before if once and len(before.users) == 1 else None


def _is(gm: fx.GraphModule, node: fx.Node, kinds: tuple[type[nn.Module], ...]) -> bool:
    return node.op == "call_module" and isinstance(gm.get_submodule(str(node.target)), kinds)


def _fused(layer: nn.Module, norm: Any) -> nn.Module:
    if isinstance(layer, nn.Linear):
        made = fusion.fuse_linear_bn_eval(layer, norm)
        made.register_forward_pre_hook(_two_axes)
        return made
    fused: nn.Module = fusion.fuse_conv_bn_eval(layer, norm)  # type: ignore[type-var]
    return fused


def _two_axes(_: nn.Module, given: tuple[Tensor, ...]) -> None:
    """Behind a linear layer on [B, C, L] BatchNorm1d scales C, and not its outputs."""
    if given[0].dim() != 2:
        raise InputError(
            "the input of a linear layer whose BatchNorm was folded", got=list(given[0].shape),
            wanted="[B, features]", do="give folded=False (--batch-norm eval)",
        )  # fmt: skip


def _set(gm: fx.GraphModule, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(gm.get_submodule(parent), last, module)
