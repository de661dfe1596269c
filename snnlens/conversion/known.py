"""Which layers and functions a converted network may hold, and what becomes of each."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

from snnlens.conversion.activations import QCFS
from snnlens.conversion.layers import Stepped
from snnlens.conversion.pools import FUNCTIONS as POOL_FUNCTIONS
from snnlens.conversion.pools import MAX_POOLS


@dataclass(frozen=True)
class Verdict:
    """What becomes of a layer: replaced, kept, analog, folded or spiking, and why."""

    outcome: str
    why: str = ""
    refused: bool = False


REPLACED = Verdict("replaced", "spikes stand for it")
LINEAR = Verdict("kept", "linear: the mean over time passes through it")
SUM = Verdict("kept", "a sum: the mean over time passes through it")
SPIKING = Verdict("spiking", "it was spiking already")
MAX = Verdict(
    "analog",
    "the maximum at each step is that of the counts for sorted trains with one threshold per "
    "channel (parallel neurons), and not for others",
)
MAX_OF_INPUT = Verdict("kept", "a maximum before all spikes: it is the same at every step")
MAX_OF_CURRENTS = Verdict(
    "analog", "a maximum of currents, which is no maximum of their means", refused=True
)
OWN_STATISTICS = Verdict(
    "analog", "it normalises by the batch at hand, in which steps would count as samples",
    refused=True,
)  # fmt: skip
UNKNOWN = Verdict(
    "analog", "not linear: its mean over time is not its value at the mean", refused=True
)

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
RELUS = (nn.ReLU, nn.ReLU6)
KEPT = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d,
    nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
    *NORMS,
    nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d,
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d,
    nn.Flatten, nn.Unflatten, nn.Identity, nn.ZeroPad1d, nn.ZeroPad2d,
    nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.PixelShuffle,
)  # fmt: skip
FUNCTIONS = {functional.relu, torch.relu, torch.relu_, functional.relu_, functional.relu6}
METHODS = {"relu", "relu_"}
NON_LINEAR = {  # functions that a network calls which torch.fx cannot trace
    "relu", "relu_", "relu6", "leaky_relu", "leaky_relu_", "elu", "selu", "celu", "gelu", "silu",
    "mish", "tanh", "sigmoid", "softplus", "softmax", "log_softmax", "hardtanh", "hardswish",
    "max_pool1d", "max_pool2d", "max_pool3d", "maximum", "minimum", "square", "exp", "abs",
}  # fmt: skip
CLAMPS = {"clamp", "clamp_", "clamp_min", "clamp_min_"}
SUMS = {operator.add, operator.iadd, torch.add}
HARMLESS = {
    *SUMS, torch.flatten, torch.cat, torch.concat, torch.reshape, torch.permute, torch.transpose,
    torch.mean, torch.squeeze, torch.unsqueeze, operator.getitem, getattr, functional.pad,
    functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d,
    functional.adaptive_avg_pool1d, functional.adaptive_avg_pool2d, functional.linear,
    functional.conv1d, functional.conv2d, functional.dropout, functional.batch_norm,
    torch.conv1d, torch.conv2d, torch.adaptive_avg_pool1d, torch.avg_pool1d,
    torch._C._nn.avg_pool2d, torch._C._nn.linear,
}  # fmt: skip
HARMLESS_METHODS = {
    "add", "add_", "flatten", "view", "reshape", "permute", "transpose", "mean", "squeeze", "size",
    "unsqueeze", "contiguous", "unflatten", "dim", "to", "float", "double",
}  # fmt: skip
ARITHMETIC = {operator.mul, operator.truediv, operator.sub, operator.neg, operator.floordiv}


def judge(gm: fx.GraphModule, node: fx.Node) -> Verdict | None:
    """What becomes of a node; None where it computes nothing (inputs, sizes)."""
    if node.op == "call_module":
        return judge_module(gm.get_submodule(str(node.target)))
    if node.op == "call_method":
        return _method(node)
    if node.op == "call_function":
        return _function(node)
    return None


def judge_module(module: nn.Module) -> Verdict:
    """What becomes of a module."""
    if isinstance(module, (*RELUS, QCFS)):
        return REPLACED
    if isinstance(module, Stepped):
        return SPIKING
    if isinstance(module, MAX_POOLS):
        return MAX_OF_CURRENTS  # but where the graph says what it sees, see prepare.py
    if isinstance(module, NORMS) and module.running_mean is None:
        return OWN_STATISTICS
    return LINEAR if isinstance(module, KEPT) else UNKNOWN


def is_leaf(module: nn.Module) -> bool:
    """Whether a module computes by itself."""
    return isinstance(module, QCFS | Stepped) or not any(module.children())


def is_sum(node: fx.Node) -> bool:
    """Whether a node adds two tensors of the network, neither of them a parameter."""
    added = node.op == "call_function" and node.target in SUMS
    method = node.op == "call_method" and node.target in ("add", "add_")
    plain = not node.kwargs and not _is_number(node)
    return (added or method) and plain and len(_values(node)) == 2


def tensors(node: fx.Node) -> tuple[fx.Node, ...]:
    """The nodes that a node takes as its own arguments, in their order."""
    return tuple(a for a in node.args if isinstance(a, fx.Node))


def type_of(gm: fx.GraphModule, node: fx.Node) -> str:
    """What to call a node's kind: the class of its module or the name of its function."""
    if node.op == "call_module":
        module = gm.get_submodule(str(node.target))
        return type(module.layer if isinstance(module, Stepped) else module).__name__
    return str(getattr(node.target, "__name__", node.target)).removeprefix("boolean_dispatch")


def activation_of(node: fx.Node) -> nn.Module:
    """The module of a functional activation."""
    return nn.ReLU6() if node.target is functional.relu6 else nn.ReLU()


def _method(node: fx.Node) -> Verdict | None:
    if node.target in METHODS or (node.target in CLAMPS and _is_relu(node)):
        return REPLACED
    if is_sum(node):
        return SUM
    return None if node.target in HARMLESS_METHODS else UNKNOWN


def _function(node: fx.Node) -> Verdict | None:
    if node.target in FUNCTIONS or (
        node.target in (torch.clamp, torch.clamp_min) and _is_relu(node)
    ):
        return REPLACED
    if is_sum(node):
        return SUM
    if node.target in POOL_FUNCTIONS:
        return MAX_OF_CURRENTS
    if node.target in ARITHMETIC:
        return None if _is_number(node) or _is_linear(node) else UNKNOWN
    return None if node.target in HARMLESS else UNKNOWN


def _is_linear(node: fx.Node) -> bool:
    """Whether arithmetic is linear in what the input decides: h * 2, h - g, not h * h, 2 / h."""
    values = _values(node)
    if node.target in (operator.sub, operator.neg):
        return True
    if node.target is operator.mul:
        return len(values) == 1
    return node.target is operator.truediv and len(values) == 1 and node.args[0] is values[0]


def _values(node: fx.Node) -> list[fx.Node]:
    """The arguments of a node that the input decides, each as often as it stands there."""
    return [n for n in tensors(node) if n.op != "get_attr"]


def _is_relu(node: fx.Node) -> bool:
    """Whether a clamp is max(x, 0)."""
    return is_relu(node.args, node.kwargs)


def is_relu(args: Any, kwargs: Any) -> bool:
    """Whether a clamp with these arguments is max(x, 0)."""
    given = dict(zip(("min", "max"), args[1:], strict=False)) | dict(kwargs)
    return bool(given.get("min") == 0 and given.get("max") is None)


def _is_number(node: fx.Node) -> bool:
    """Whether a node reckons with sizes, not with tensors."""
    before = tensors(node)
    sizes = [n for n in before if n.target == "size" or _of_size(n)]
    return bool(sizes)


def _of_size(node: fx.Node) -> bool:
    if node.target is operator.getitem or node.target in ARITHMETIC:
        return any(n.target in ("size", getattr) or _of_size(n) for n in tensors(node))
    return node.target is getattr
