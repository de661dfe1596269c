"""Isometry of the residual blocks: each run alone on the input that it gets in the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from snnlens.adapters._base import Adapter, first_tensor
from snnlens.adapters._survey import Survey, survey
from snnlens.experiments._preserve import preserved
from snnlens.measures.isometry import MINIMUM_PROBES
from snnlens.probes.isometry import Isometry
from snnlens.recording.ledger import Ledger
from snnlens.sites import Site

Call = tuple[tuple[Any, ...], Mapping[str, Any]]  # the arguments of one call, without their graph


def measure(
    model: nn.Module,
    x: Tensor | Sequence[Tensor],
    *,
    vectors: int = MINIMUM_PROBES,
    seed: int = 0,
    network: str = "model",
    adapters: Sequence[Adapter] = (),
    forward: Callable[[], object] | None = None,
) -> pd.DataFrame:
    """The table of the probe `isometry`: the Gram matrices of J^T v_i, J = dO/dS of each block.

    One forward pass from rest without gradients records what goes into every block. Then each block
    runs by itself on that input, with its spiking layers at rest, and `vectors` backward passes
    through it give the products. In the mode that the model is in: a BatchNorm in training mode
    couples the samples, and J is over all of them. Hutchinson's estimate has no bias for any J.

    A block that is called once per time step runs its steps in order, with its state, and J is that
    of the whole sequence; of other blocks that are called several times, the first call counts. A
    state that goes in and out as an argument is held as it was: the path through it is left out.

    The model is left as it was. Memory: the inputs of all blocks, and `vectors` gradients of one.

    Args:
        model: with residual blocks that a survey finds; without any the table is empty.
        x: what forward takes.
        vectors: at least 32.
        seed: of the vectors.
        network: its name in the table.
        adapters: asked before the installed ones.
        forward: what to run instead of model(x), e.g. a loop over time.

    Returns:
        One row per block output and pair of vectors: network, site, probe, other_probe, gram,
        outputs. Its schema is `Isometry.schema()`.

    Raises:
        InputError: fewer than 32 vectors.
        NothingToRecord: the model has no spiking layer.

    >>> from snnlens import resnet
    >>> net = resnet(8, layout="cifar", classes=10, time_steps=1, seed=0).eval()
    >>> len(measure(net, torch.zeros(2, 3, 8, 8))) == 3 * 32 * 32
    True
    """
    seen, ledger = survey(model, adapters), Ledger()
    probe = Isometry(vectors, torch.Generator().manual_seed(seed))
    blocks = _blocks(seen)
    inputs = (x,) if isinstance(x, Tensor) else tuple(x)
    with preserved(model):
        calls = _calls(seen, blocks, forward or (lambda: model(*inputs)))
        for site in blocks:
            for s, o in _alone(seen, site, calls.get(site.name, [])):
                block = seen.model.get_submodule(site.module)
                ledger.add(probe, site, probe.around(site, block, s, o))
    return ledger.table(network, probe, blocks)


def _blocks(seen: Survey) -> list[Site]:
    """The outputs of blocks whose input is known too: S and O of one module."""
    begins = {s.module for s in seen.sites if s.role == "block_input" and s.reads == "input"}
    ends = (s for s in seen.sites if s.role == "block_output" and s.reads == "output")
    return [s for s in ends if s.module in begins]


@torch.no_grad()
def _calls(
    seen: Survey, blocks: Sequence[Site], forward: Callable[[], object]
) -> dict[str, list[Call]]:
    """What goes into every block in one pass from rest."""
    calls: dict[str, list[Call]] = {}
    handles = []
    for site in blocks:
        heard = calls.setdefault(site.name, [])

        def hear(_: nn.Module, args: Any, named: Any, heard: list[Call] = heard) -> None:
            heard.append((_held(args), _held(named)))

        block = seen.model.get_submodule(site.module)
        handles.append(block.register_forward_pre_hook(hear, with_kwargs=True))
    seen.reset()
    try:
        forward()
    finally:
        for handle in handles:
            handle.remove()
    return calls


def _alone(seen: Survey, site: Site, calls: Sequence[Call]) -> Iterator[tuple[Tensor, Tensor]]:
    """S and O of a block on one graph, nothing else of the network on it; none if it never ran."""
    block = seen.model.get_submodule(site.module)
    calls = [
        c for c in calls if c[0] and isinstance(c[0][0], Tensor) and c[0][0].is_floating_point()
    ]
    if not calls:
        return
    if not _per_step(seen, site, calls[0][0][0]):
        calls = calls[:1]
    seen.reset()
    with torch.enable_grad():
        s = torch.stack([args[0] for args, _ in calls]).requires_grad_()
        # a copy of each: a block may write into its input
        parts = [block(s[i].clone(), *args[1:], **named) for i, (args, named) in enumerate(calls)]
        o = torch.stack([first_tensor(part) for part in parts])
    yield s, o


def _per_step(seen: Survey, site: Site, x: Tensor) -> bool:
    """Whether the spiking layers of a block are called once per time step."""
    inside = (n for n in seen.adapters if n.startswith(f"{site.module}."))
    return any(
        seen.adapters[n].layout(seen.model.get_submodule(n), x).lies == "one step" for n in inside
    )


def _held(value: Any) -> Any:
    """Copies of the tensors in arguments: what comes later may write into them."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, tuple | list):
        items = [_held(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, Mapping):
        return {key: _held(item) for key, item in value.items()}
    return value
