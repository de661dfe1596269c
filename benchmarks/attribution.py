"""Attribution: what the bridge costs, and integrated gradients in parts or all points at once.

Seconds are the processor's, of one thread: a pass of 512 samples takes so long that another program
would have the core for a part of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import torch
from captum.attr import IntegratedGradients
from timing import in_turn, ratio
from torch import Tensor, nn

import snnlens
from snnlens.attribution import Bridge, Options, method_named

Row = dict[str, object]
STEPS, SIDE, SAMPLES, POINTS, BATCH = 4, 64, 8, 64, 32
BARE, BRIDGED = "the model alone", "through the bridge"
AT_ONCE, IN_PARTS = "captum, all points at once", "ig, 32 samples a pass"
TARGETS = {BRIDGED: 1.05, IN_PARTS: 1.0}  # at most, of the time of the other


def attribution(rounds: int, *, quick: bool) -> list[Row]:
    """A SEW ResNet-18 on frames [T, N, 3, 64, 64]: one gradient, then a map."""
    side, samples, points = (32, 2, 4) if quick else (SIDE, SAMPLES, POINTS)
    net, x = _settled(side, samples)
    with snnlens.bridge(net, x) as bridge:
        return [*_bridge(bridge, net, x, rounds), *_ig(bridge, points, rounds)]


def _settled(side: int, samples: int) -> tuple[nn.Module, Tensor]:
    """The network, its BatchNorms with statistics, and a batch of frames."""
    torch.manual_seed(0)
    net = snnlens.resnet(18, time_steps=STEPS, classes=10, seed=0)
    x = torch.rand(STEPS, samples, 3, side, side)
    with torch.no_grad():
        for _ in range(3):
            net(x)
    return net, x


def _bridge(bridge: Bridge, net: nn.Module, x: Tensor, rounds: int) -> Iterator[Row]:
    """Forward and backward to the input; inside the bridge no weight asks for a gradient."""
    target = torch.zeros(x.shape[1], dtype=torch.long)

    def alone() -> None:
        leaf = x.detach().requires_grad_()
        score = net(leaf).gather(1, target[:, None]).sum()
        torch.autograd.grad(score, leaf)

    def bridged() -> None:
        leaf = bridge.x.detach().requires_grad_()
        torch.autograd.grad(bridge.score(leaf, target).sum(), leaf)

    # one pass is short: as many rounds as make the quartiles tell something
    seconds = in_turn({BARE: _timed(alone), BRIDGED: _timed(bridged)}, 5 * rounds)
    yield _row("gradient", x, BRIDGED, BARE) | {"over_other": ratio(seconds, BRIDGED, BARE)}


def _ig(bridge: Bridge, points: int, rounds: int) -> Iterator[Row]:
    """The whole map, by the method and by captum's class on the same bridge."""
    x, target = bridge.x, torch.zeros(len(bridge.x), dtype=torch.long)
    method, options = method_named("ig"), Options(steps=points, internal_batch=BATCH)

    def at_once() -> None:
        IntegratedGradients(bridge).attribute(x, target=target, n_steps=points)

    def in_parts() -> None:
        method.values(bridge, x, target, options)

    seconds = in_turn({AT_ONCE: _timed(at_once), IN_PARTS: _timed(in_parts)}, rounds)
    yield _row("ig", x.transpose(0, 1), IN_PARTS, AT_ONCE) | {
        "over_other": ratio(seconds, IN_PARTS, AT_ONCE), "points": points,
    }  # fmt: skip


def _timed(call: Callable[[], None]) -> Callable[[], float]:
    def run() -> float:
        begin = time.process_time()
        call()
        return time.process_time() - begin

    return run


def _row(what: str, x: Tensor, way: str, other: str) -> Row:
    return {
        "what": what, "network": "sew_resnet18", "T": x.shape[0], "samples": x.shape[1],
        "side": x.shape[-1], "way": way, "other": other, "target": TARGETS[way],
    }  # fmt: skip
