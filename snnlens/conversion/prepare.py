"""An ANN made ready: every activation a module of its own, every sum an `Add`, everything named.

torch.fx walks the forward function, so that `F.relu` and a ReLU that is called twice are found; a
module that it cannot trace is taken as it is, and only its modules are seen.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import pandas as pd
import torch
from torch import Tensor, fx, nn

from snnlens.conversion import fold, known, pools
from snnlens.conversion.activations import QCFS
from snnlens.conversion.known import Verdict
from snnlens.conversion.layers import Stepped
from snnlens.conversion.rewrite import name_of, own_module, path_of, put, shortcut_of
from snnlens.errors import InputError
from snnlens.neuron.layers import Neuron
from snnlens.neuron.parallel import ParallelIF

LISTED = 8  # unsupported layers that an error names
CLOSE = (1e-3, 1e-9)  # relative, in float32 and in float64: folding adds in another order
AVERAGED = Verdict("kept", "as an average pool, as was asked")
COLUMNS = ["module", "type", "outcome", "by", "why"]


class Add(nn.Module):
    """a + b, as a module, so that both paths can be looked at."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """The sum."""
        return a + b


@dataclass(frozen=True)
class Prepared:
    """An ANN in eval mode whose activations can be replaced by name.

    Attributes:
        network: [B, ...] to logits.
        activations: their names in the order of the forward pass.
        adds: name of each sum of two tensors, and which of its two inputs is the shortcut (0, 1).
        coverage: module, type, outcome (replaced, kept, analog, folded, spiking), by, why.
        refused: what cannot be converted: name and type.
        traced: whether torch.fx saw the forward function.
        pool, folded: as it was asked for.
    """

    network: nn.Module
    activations: tuple[str, ...]
    adds: dict[str, int]
    coverage: pd.DataFrame
    refused: tuple[tuple[str, str], ...]
    traced: bool
    pool: str = "as given"
    folded: bool = True

    def copy(self) -> nn.Module:
        """A network of its own, with the same names."""
        return copy.deepcopy(self.network)

    @property
    def depth(self) -> int:
        """The most activations that lie one behind the other; all, where it is not traced."""
        if not isinstance(self.network, fx.GraphModule):
            return len(self.activations)
        longest: dict[fx.Node, int] = {}
        for node in self.network.graph.nodes:
            before = max((longest[n] for n in node.all_input_nodes), default=0)
            longest[node] = before + (node.target in self.activations)
        return max(longest.values())

    @torch.no_grad()
    def check(self, ann: nn.Module, x: Tensor) -> None:
        """Raise InputError where the prepared copy does not say what the ANN in eval mode says.

        An activation that works in place on a tensor that is used again is such a case: the copy
        leaves the tensor as it was.
        """
        if any(isinstance(m, Stepped) for m in self.network.modules()):
            return  # a spiking layer by itself takes samples for steps
        before = ann.training
        wanted, found = ann.eval()(x), self.network(x)
        ann.train(before)
        check_logits(wanted, x)
        scale = float(wanted.abs().max()) or 1.0
        off = float((wanted - found).abs().max()) / scale
        if not off <= CLOSE[wanted.dtype == torch.float64]:  # NaN fails too
            raise InputError(
                "the network", got=f"one whose logits change by {off:.1g} when its activations no "
                "longer work in place and BatchNorms are folded", wanted="the same by both",
                do="write y = relu(x) where x is used again, not relu_(x) or inplace=True; or give "
                "folded=False (--batch-norm eval)",
            )  # fmt: skip

    def activation(self, name: str) -> nn.Module:
        """The activation of that name."""
        return self.network.get_submodule(name)


def prepare(ann: nn.Module, *, pool: str = "as given", folded: bool = True) -> Prepared:
    """Copy an ANN into one whose activations, sums and pools are modules; the ANN stays as it is.

    Args:
        ann: [B, ...] to logits; its BatchNorms are used as in evaluation.
        pool: "average" turns each max-pool into an average pool of the same windows.
        folded: fold each BatchNorm into the layer before it; else it stays, in evaluation mode.

    Raises:
        InputError: pool, or a network without activations that spikes could stand for.

    >>> ann = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2))
    >>> made = prepare(ann)
    >>> made.activations, made.coverage["outcome"].tolist()
    (('2',), ['kept', 'folded', 'replaced', 'kept'])
    """
    if pool not in ("as given", "average"):
        raise InputError("pool", got=pool, wanted="as given or average")
    network = _copied(ann)
    traced, reason = _traced(network)
    rows = _Rows()
    if traced is None:
        prepared = _plain(network, rows, reason, pool)
    else:
        prepared = _of_graph(traced, rows, pool, folded=folded)
    if not prepared.activations and not prepared.refused:
        wanted = "with activations that spikes can stand for: ReLU or QCFS"
        if traced is None:
            wanted += f", as modules where torch.fx cannot trace it ({reason})"
        raise InputError("the network", got=type(ann).__name__, wanted=wanted)
    return replace(prepared, pool=pool, folded=folded)


def _copied(ann: object) -> nn.Module:
    """A frozen copy in evaluation mode, in which nothing works in place."""
    if not isinstance(ann, nn.Module) or isinstance(ann, torch.jit.ScriptModule):
        got = ann.__name__ if isinstance(ann, type) else type(ann).__name__
        raise InputError("the ANN", got=got, wanted="an nn.Module that was built, not scripted")
    network = copy.deepcopy(ann).eval().requires_grad_(False)
    for name, module in list(network.named_modules()):
        if getattr(module, "inplace", False):
            module.inplace = False  # what an activation is given is looked at after it ran
        if isinstance(module, Neuron | ParallelIF):
            network.set_submodule(name, Stepped(module))
    return network


class _Rows:
    """What became of each layer."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str, str, str]] = []
        self.refused: list[tuple[str, str]] = []

    def add(self, name: str, kind: str, verdict: Verdict, by: str = "") -> None:
        self.rows.append((name, kind, verdict.outcome, by, verdict.why))
        if verdict.refused:
            self.refused.append((name, kind))

    def frame(self) -> pd.DataFrame:
        return pd.DataFrame(self.rows, columns=COLUMNS)


class _Tracer(fx.Tracer):
    """Spiking layers and QCFS stay whole, as the layers of torch do."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        own = isinstance(m, QCFS | Stepped)
        return own or super().is_leaf_module(m, module_qualified_name)


def _traced(network: nn.Module) -> tuple[fx.GraphModule | None, str]:
    """The traced network, or why it cannot be traced."""
    tracer = _Tracer()
    try:
        graph = tracer.trace(network)
        return fx.GraphModule(tracer.root, graph), ""
    except Exception as error:  # noqa: BLE001 - whatever the user's forward raises when it is shown a proxy
        return None, f"{type(error).__name__}: {' '.join(str(error).split())}"


def _of_graph(gm: fx.GraphModule, rows: _Rows, pool: str, *, folded: bool) -> Prepared:
    gone = fold.fold(gm) if folded else {}
    places = {n for n in gm.graph.nodes if known.judge(gm, n) == known.REPLACED}
    pools.move_behind(gm, places)
    exact = _exact_pools(gm, places)
    activations, adds = [], {}
    for node in list(gm.graph.nodes):
        if node.name in gone:
            rows.add(gone[node.name], "BatchNorm", Verdict("folded", "into the layer before it"))
            continue
        verdict = known.judge(gm, node)
        if verdict is None:
            continue
        name, kind = name_of(gm, node), known.type_of(gm, node)
        if verdict.outcome == "replaced":
            _check_used(node, name)
            name = own_module(gm, node, name)
            activations.append(name)
        elif known.is_sum(node):
            shortcut = shortcut_of(node)
            name = put(gm, node, path_of(node, "add"), Add())
            adds[name] = shortcut
        elif pools.is_max_pool(gm, node):
            if pool == "average":
                put(gm, node, name, pools.average_pool(gm, node))
            verdict = AVERAGED if pool == "average" else exact.get(node, verdict)
        rows.add(name, kind, verdict)
    gm.graph.eliminate_dead_code()
    gm.delete_all_unused_submodules()
    gm.recompile()
    return Prepared(gm, tuple(activations), adds, rows.frame(), tuple(rows.refused), traced=True)


def _check_used(node: fx.Node, name: str) -> None:
    """Refuse an activation that is called for what it does to its input."""
    if not node.users:
        raise InputError(
            "the output of an activation", got=f"{name}, whose output nothing uses",
            wanted="used", do="write x = relu(x), not relu(x) with inplace=True",
        )  # fmt: skip


def _exact_pools(gm: fx.GraphModule, places: set[fx.Node]) -> dict[fx.Node, Verdict]:
    """The max-pools whose mean over time is the maximum of means, and why."""
    found = {}
    for node in gm.graph.nodes:
        if pools.is_max_pool(gm, node):
            if pools.is_first(gm, node, places):
                found[node] = known.MAX_OF_INPUT
            elif pools.is_exact(gm, node, places):
                found[node] = known.MAX
    return found


def _plain(network: nn.Module, rows: _Rows, reason: str, pool: str) -> Prepared:
    """A network that torch.fx cannot trace: its modules alone are seen."""
    activations = []
    for name, module in list(network.named_modules()):
        if not known.is_leaf(module):
            continue
        verdict = known.judge_module(module)
        if isinstance(module, pools.MAX_POOLS) and pool == "average":
            network.set_submodule(name, pools.averaged(module))
            verdict = AVERAGED
        if verdict.outcome == "replaced":
            activations.append(name)
        rows.add(name, type(module).__name__, verdict)
    unseen = f"torch.fx cannot trace it ({reason}): what its forward calls is watched, not read"
    rows.add("(forward)", type(network).__name__, Verdict("kept", unseen))
    return Prepared(
        network, tuple(activations), {}, rows.frame(), tuple(rows.refused), traced=False
    )


def check_logits(out: object, x: Tensor) -> None:
    """Raise InputError for what is no finite [B, classes]."""
    if not (isinstance(out, Tensor) and out.dim() == 2 and len(out) == len(x)):
        got = list(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise InputError("what the ANN returns", got=got, wanted="logits [B, classes]")
    if not bool(torch.isfinite(out).all()):
        wanted = "finite: neither its weights nor its input may hold NaN or infinity"
        raise InputError("the logits of the ANN", got="NaN or infinity", wanted=wanted)


def refuse(prepared: Prepared) -> None:
    """Raise InputError that names every layer that spikes cannot stand for."""
    if not prepared.refused:
        return
    named = [f"{name} ({kind})" for name, kind in prepared.refused]
    more = f" and {len(named) - LISTED} more" if len(named) > LISTED else ""
    do = "replace them and train again, or leave them analog with partial=True (--partial)"
    if {kind.lower().replace("_", "") for _, kind in prepared.refused} <= {"softmax", "logsoftmax"}:
        do = "leave a softmax at the end out: the largest logit stays the largest"
    raise InputError("the layers of the network", got=", ".join(named[:LISTED]) + more,
                     wanted="linear, pooling, ReLU or QCFS", do=do)  # fmt: skip
