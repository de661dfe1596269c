"""Max-pools: where they are exact, where they can be made so, and their average instead.

Behind an activation, with nothing but per-channel layers between, a max-pool sees sorted trains of
parallel neurons, and the maximum at each step is that of the counts. Before an activation it is
the same as behind it, where it is moved to: an activation rises with its input, so that
act(max z) = max act(z).
Anywhere else it takes the maximum of currents, which is no maximum of means.
"""

from __future__ import annotations

from typing import Any

from torch import fx, nn
from torch.nn import functional

from snnlens.conversion.activations import QCFS
from snnlens.conversion.layers import Stepped
from snnlens.errors import InputError

MAX_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
FUNCTIONS = {functional.max_pool1d, functional.max_pool2d, functional.max_pool3d}
NAMES = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
THROUGH = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, *MAX_POOLS)


def is_max_pool(gm: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a node takes maxima over windows."""
    if node.op == "call_module":
        return isinstance(gm.get_submodule(str(node.target)), MAX_POOLS)
    return node.op == "call_function" and node.target in FUNCTIONS


def is_exact(gm: fx.GraphModule, node: fx.Node, activations: set[fx.Node]) -> bool:
    """Whether a pool sees the output of an activation, channel by channel."""
    before = node.args[0]
    while isinstance(before, fx.Node) and before not in activations:
        module = gm.get_submodule(str(before.target)) if before.op == "call_module" else None
        if not isinstance(module, THROUGH) and not is_max_pool(gm, before):
            return False
        before = before.args[0]
    return isinstance(before, fx.Node)


def is_first(gm: fx.GraphModule, node: fx.Node, activations: set[fx.Node]) -> bool:
    """Whether no activation lies before a node: what it sees is the same at every step."""
    seen, waiting = set(), [node]
    while waiting:
        found = waiting.pop()
        if found in activations or _spikes(gm, found):
            return False
        if found not in seen:
            seen.add(found)
            waiting += found.all_input_nodes
    return True


def move_behind(gm: fx.GraphModule, activations: set[fx.Node]) -> None:
    """Move each pool that only an activation follows behind it: the same numbers, more neurons."""
    for pool in list(gm.graph.nodes):
        follower = next(iter(pool.users), None)
        if not (is_max_pool(gm, pool) and len(pool.users) == 1 and follower in activations):
            continue
        assert follower is not None
        if is_exact(gm, pool, activations) or not _per_channel(gm, follower):
            continue
        follower.replace_all_uses_with(pool, lambda user, pool=pool: user is not pool)
        follower.replace_input_with(pool, pool.args[0])
        follower.append(pool)
        pool.replace_input_with(pool.args[0], follower)
    gm.graph.lint()


def average_pool(gm: fx.GraphModule, node: fx.Node) -> nn.Module:
    """The average pool over the windows of a max-pool."""
    if node.op == "call_module":
        return averaged(gm.get_submodule(str(node.target)))
    given = dict(zip(NAMES, node.args[1:], strict=False)) | dict(node.kwargs)
    given.pop("return_indices", None)
    kind = MAX_POOLS[int(str(node.target.__name__)[8]) - 1]  # type: ignore[union-attr]
    return averaged(kind(**given))  # type: ignore[arg-type]


def averaged(pool: nn.Module) -> nn.Module:
    """The average pool over a max-pool's windows; padding is not counted, as a maximum ignores it.

    Raises InputError for dilated windows, which no average pool has.

    >>> averaged(nn.MaxPool2d(3, 2, 1))
    AvgPool2d(kernel_size=3, stride=2, padding=1)
    """
    kinds: dict[Any, Any] = {
        nn.MaxPool1d: nn.AvgPool1d, nn.MaxPool2d: nn.AvgPool2d, nn.MaxPool3d: nn.AvgPool3d,
    }  # fmt: skip
    p: Any = pool
    if p.dilation not in (1, (1,), (1, 1), (1, 1, 1)):
        raise InputError("pool", got=f"average of {pool}", wanted="of windows without dilation")
    return kinds[type(pool)](  # type: ignore[no-any-return]
        p.kernel_size, p.stride, p.padding, ceil_mode=p.ceil_mode, count_include_pad=False
    )


def _spikes(gm: fx.GraphModule, node: fx.Node) -> bool:
    return node.op == "call_module" and isinstance(gm.get_submodule(str(node.target)), Stepped)


def _per_channel(gm: fx.GraphModule, node: fx.Node) -> bool:
    """Whether an activation has one threshold per channel, or one."""
    module = gm.get_submodule(str(node.target)) if node.op == "call_module" else None
    if not isinstance(module, QCFS):
        return True
    theta = module.threshold
    return theta.numel() == 1 or theta.numel() == theta.shape[0]
