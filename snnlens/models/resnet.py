"""One builder for residual networks: ANN, plain, Spiking, SEW (add, and, iand) and MS.

    ANN      Y = ReLU(F(X) + X)                               Eq. 6 of Fang et al. 2021
    spiking  O[t] = SN(F(S[t]) + S[t])                        Eq. 7
    sew      O[t] = g(A[t], S[t]),  A[t] = SN(F(S[t]))        Eq. 9
             g: A + S (add), A * S (and), (1 - A) * S (iand)  Table 1
    plain    O[t] = SN(F(S[t]))
    ms       O[t] = F(SN(S[t])) + S[t], S a current           Hu et al. 2024 (MS-ResNet)

Parameter names are torchvision's, so its state dicts fit. Activations are [T, B, C, H, W].
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from snnlens.errors import InputError
from snnlens.models.plan import CONNECTS, EXPANSION, RESIDUALS, BlockPlan, Plan, plan
from snnlens.neuron.layers import IF, Neuron
from snnlens.sites import Role, Signal, Site

Map = Callable[[Tensor], Tensor]

CONNECT: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": lambda a, s: a + s,
    "and": lambda a, s: a * s,
    "iand": lambda a, s: (1 - a) * s,
}


def resnet(
    depth: int,
    *,
    residual: str = "sew",
    connect: str | None = None,
    layout: str = "imagenet",
    neuron: Neuron | None = None,
    zero_init: bool = False,
    time_steps: int = 4,
    classes: int = 1000,
    seed: int | None = None,
    weights: Mapping[str, Tensor] | None = None,
) -> ResNet:
    """Build a residual network with Kaiming-initialised weights.

    Args:
        depth: 18, 34, 50, 101, 152 (imagenet) or 6n + 2 up to 1202 (cifar).
        residual: ann, plain, spiking, sew or ms.
        connect: add (the default), and, or iand; for sew only.
        layout: imagenet (torchvision's, stride on the 3x3) or cifar (He et al. 2016; its
            shortcuts that change the shape are Conv-BN, with a neuron in sew).
        neuron: the template that every layer copies; IF() by default.
        zero_init: the last BatchNorm weight of each block is 0, so that the residual branch
            starts at its identity value (for `and`: its bias is the neuron's firing bias).
        time_steps: T, how often a static image [B, 3, H, W] is shown.
        classes: outputs of the last layer.
        seed: equal seeds give equal weights in all residuals and connects of a depth;
            None takes torch's global random state.
        weights: convolutions and last layer of another network of this depth, shared and not
            copied; then nothing is drawn.

    Returns:
        A module: static images [B, 3, H, W] or sequences [T, B, 3, H, W] in, logits
        [B, classes], averaged over time, out.

    Source: Fang et al. 2021, Sections 3.1 to 3.3 and the official implementation.

    >>> model = resnet(18, residual="sew", connect="add", time_steps=2, classes=10, seed=0)
    >>> model(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    if residual not in RESIDUALS:
        raise InputError("residual", got=residual, wanted="ann, plain, spiking, sew or ms")
    connect = connection(residual, connect)
    if time_steps < 1:
        raise InputError("time_steps", got=time_steps, wanted="at least 1")
    template = IF() if neuron is None else neuron
    with torch.device("meta"):  # nothing is drawn twice: the weights are drawn once, below
        shape = plan(depth, layout)
        model = ResNet(shape, residual, connect, template, time_steps=time_steps, classes=classes)
    if weights is None:
        initialise(model.to_empty(device="cpu"), seed)
    else:
        _share(model, weights)
    _copy_time_constants(model, template)
    if zero_init:
        zero_initialise(model)
    return model


def connection(residual: str, connect: str | None) -> str | None:
    """How the blocks of a residual join: add where sew does not say it, None of any other.

    Raises InputError for a name that is none, and for one that the residual does not have.

    >>> connection("sew", None), connection("plain", None)
    ('add', None)
    """
    if residual == "sew":
        connect = "add" if connect is None else connect
    if connect not in (CONNECTS if residual == "sew" else (None,)):
        wanted = "add, and or iand" if residual == "sew" else f"left out: {residual} has none"
        raise InputError("connect", got=connect, wanted=wanted)
    return connect


class ResNet(nn.Module):
    """The network that `resnet` builds."""

    def __init__(
        self,
        layout_plan: Plan,
        residual: str,
        connect: str | None,
        neuron: Neuron,
        *,
        time_steps: int,
        classes: int,
    ) -> None:
        super().__init__()
        self.plan, self.residual, self.connect = layout_plan, residual, connect
        self.time_steps = 1 if residual == "ann" else time_steps
        self.classes, self.zero_init = classes, False
        width = layout_plan.width
        imagenet = layout_plan.layout == "imagenet"
        self.conv1 = nn.Conv2d(3, width, 7 if imagenet else 3, 2 if imagenet else 1,
                               padding=3 if imagenet else 1, bias=False)  # fmt: skip
        self.bn1 = nn.BatchNorm2d(width)
        first, last = (residual != "ms"), (residual == "ms")  # ms spikes before, not after
        self.sn1 = _activation(residual, neuron) if first else nn.Identity()
        self.maxpool = nn.MaxPool2d(3, 2, padding=1) if imagenet else nn.Identity()
        for stage in range(1, layout_plan.blocks[-1].stage + 1):
            blocks = [b for b in layout_plan.blocks if b.stage == stage]
            made = [make_block(layout_plan.block, b, residual, connect, neuron) for b in blocks]
            self.add_module(f"layer{stage}", nn.Sequential(*made))
        self.sn_out = _activation(residual, neuron) if last else nn.Identity()
        channels = layout_plan.blocks[-1].channels * EXPANSION[layout_plan.block]
        self.fc = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes], the mean over time of the last layer's output."""
        x = self.sn1(self._stem(x))
        x = folded(x, self.maxpool)
        for _, block in self.blocks():
            x = block(x)
        x = self.sn_out(x)
        logits: Tensor = self.fc(x.mean(dim=(3, 4)).mean(dim=0))
        return logits

    def blocks(self) -> Iterator[tuple[str, Block]]:
        """The residual blocks in order, with their dotted names."""
        for block in self.plan.blocks:
            yield block.name, self.get_submodule(block.name)  # type: ignore[misc]

    def sites(self) -> list[Site]:
        """Every site in the order of the forward pass."""
        inner: Signal = "activation" if self.residual == "ann" else "spikes"
        between = signal_between(self.residual, self.connect, inner)
        sites = [Site("sn1", "sn1", "output", "neuron", inner)] if self.residual != "ms" else []
        for name, block in self.blocks():
            sites += block_sites(name, block, inner, between)
        if self.residual == "ms":
            sites.append(Site("sn_out", "sn_out", "output", "neuron", inner))
        return sites

    def neurons(self) -> list[tuple[str, Neuron]]:
        """Every spiking layer with its dotted name."""
        return [(n, m) for n, m in self.named_modules() if isinstance(m, Neuron)]

    def facts(self) -> dict[str, Any]:
        """What a Record says of this network."""
        facts: dict[str, Any] = {
            "residual": self.residual,
            "connect": self.connect,
            "layout": self.plan.layout,
            "depth": self.plan.depth,
            "zero_init": self.zero_init,
            "time_steps": self.time_steps,
            "blocks": len(self.plan.blocks),
        }
        neurons = self.neurons()
        return facts | (neurons[0][1].facts(self.time_steps) if neurons else {})

    def _stem(self, x: Tensor) -> Tensor:
        """Currents [T, B, C, H, W]; a static image passes the stem once and is repeated."""
        _check_images(x, self.residual)
        if x.dim() == 5:
            return folded(x, lambda y: self.bn1(self.conv1(y)))
        current: Tensor = self.bn1(self.conv1(x))
        return current.expand(self.time_steps, *current.shape)


class Block(nn.Module, ABC):
    """One residual block: O = join(F(S), shortcut(S))."""

    identity_value = "0"

    def __init__(self, kind: str, spec: BlockPlan, residual: str, neuron: Neuron) -> None:
        super().__init__()
        self.spec = spec
        out = spec.channels * EXPANSION[kind]
        for i, conv in enumerate(_convolutions(kind, spec, out), start=1):
            self.add_module(f"conv{i}", conv)
            self.add_module(f"bn{i}", nn.BatchNorm2d(conv.out_channels))
            self.add_module(f"sn{i}", _activation(residual, neuron))
        self.count = i
        self.residual = nn.Identity()  # the tap that shows A^l
        self.downsample: nn.Module | None = None
        if spec.kind == "downsample" and residual != "plain":
            self.downsample = nn.Sequential(
                nn.Conv2d(spec.channels_in, out, 1, spec.stride, bias=False),
                nn.BatchNorm2d(out),
            )
            if residual == "sew":
                self.downsample.append(_activation(residual, neuron))

    def forward(self, s: Tensor) -> Tensor:
        """O^l from S^l, both [T, B, C, H, W]."""
        return self.join(self.branch(s), self.shortcut(s), self.last_activation, self.residual)

    def branch(self, s: Tensor) -> Tensor:
        """F(S): the residual branch up to its last BatchNorm."""
        for i in range(1, self.count + 1):
            s = self._conv_bn(s, i)
            if i < self.count:
                s = self.get_submodule(f"sn{i}")(s)
        return s

    def shortcut(self, s: Tensor) -> Tensor:
        """S, or its Conv-BN (-SN in sew) where the shape changes."""
        if self.downsample is None:
            return s
        conv, bn, *spiking = self.downsample.children()
        s = folded(s, lambda y: bn(conv(y)))
        for neuron in spiking:
            s = neuron(s)
        return s

    @abstractmethod
    def join(self, f: Tensor, s: Tensor, activation: Map, tap: Map) -> Tensor:
        """O^l from F(S^l) and the shortcut; `tap` sees A^l."""

    def identity_output(self, s: Tensor) -> Tensor | None:
        """O^l for input s, were the residual branch at its identity value; None if there is none.

        A fresh neuron runs it, so nothing that listens to this block hears it.
        """
        if self.spec.kind == "downsample":
            return None
        neuron = self.last_activation
        fresh = neuron.twin().to(s) if isinstance(neuron, Neuron) else neuron
        f = torch.full_like(s, self.identity_current(s.dtype, len(s)))
        with torch.no_grad():
            return self.join(f, s, fresh.forward, lambda a: a)

    def identity_current(self, dtype: torch.dtype, time_steps: int) -> float:
        """The value of F(S) that makes the block the identity, if any does."""
        return 0.0

    @property
    def last_activation(self) -> nn.Module:
        """The neuron at the end of the branch, after the sum, or at its start (ms)."""
        return self.get_submodule(f"sn{self.count}")

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        """The BatchNorm whose weight is 0 in a zero-initialised network."""
        return self.get_submodule(f"bn{self.count}")  # type: ignore[return-value]

    def _conv_bn(self, x: Tensor, i: int) -> Tensor:
        conv, bn = self.get_submodule(f"conv{i}"), self.get_submodule(f"bn{i}")
        return folded(x, lambda y: bn(conv(y)))


class SpikingBlock(Block):
    """O = SN(F(S) + S); the ANN's ReLU(F(X) + X) has the same shape."""

    def join(self, f: Tensor, s: Tensor, activation: Map, tap: Map) -> Tensor:
        """Activation of the sum; what the paper calls A^l here is O^l."""
        return tap(activation(f + s))


class SEWBlock(Block):
    """O = g(SN(F(S)), S)."""

    def __init__(
        self, kind: str, spec: BlockPlan, residual: str, neuron: Neuron, connect: str = "add"
    ) -> None:
        super().__init__(kind, spec, residual, neuron)
        self.connect = connect

    def join(self, f: Tensor, s: Tensor, activation: Map, tap: Map) -> Tensor:
        """g(A, S) of Table 1."""
        return CONNECT[self.connect](tap(activation(f)), s)

    def identity_current(self, dtype: torch.dtype, time_steps: int) -> float:
        """0, or for AND the current that makes A = 1 at every step."""
        neuron = self.last_activation
        if self.connect != "and" or not isinstance(neuron, Neuron):
            return 0.0
        return neuron.firing_bias(dtype, time_steps)


class PlainBlock(Block):
    """O = SN(F(S)): no shortcut, so it cannot be the identity by its branch's value."""

    def join(self, f: Tensor, s: Tensor, activation: Map, tap: Map) -> Tensor:
        """The branch alone."""
        return tap(activation(f))

    def identity_output(self, s: Tensor) -> None:
        """A plain block has no identity value."""
        return

    def shortcut(self, s: Tensor) -> Tensor:
        """Unused."""
        return s


class MSBlock(Block):
    """O = F(SN(S)) + S on currents: neurons come before the convolutions."""

    def branch(self, s: Tensor) -> Tensor:
        """SN-Conv-BN, two or three times."""
        for i in range(1, self.count + 1):
            s = self._conv_bn(self.get_submodule(f"sn{i}")(s), i)
        return s

    def join(self, f: Tensor, s: Tensor, activation: Map, tap: Map) -> Tensor:
        """The sum of currents; A^l is the branch's current."""
        return tap(f) + s


def folded(x: Tensor, layer: Map) -> Tensor:
    """Run a stateless layer on [T, B, ...] with time folded into the batch."""
    return torch.unflatten(layer(x.flatten(0, 1)), 0, x.shape[:2])


def initialise(model: ResNet, seed: int | None) -> None:
    """Kaiming normal (fan out) for convolutions, 1 and 0 for BatchNorm, torch's for the rest.

    Source: the official SEW ResNet code (torchvision's initialisation).
    """
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", generator=generator)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Linear):
            bound = module.in_features**-0.5
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            nn.init.uniform_(module.bias, -bound, bound, generator=generator)


class Residual(Protocol):
    """A network of residual blocks."""

    time_steps: int
    zero_init: bool

    def blocks(self) -> Iterator[tuple[str, Block]]:
        """The residual blocks in order, with their dotted names."""


@torch.no_grad()
def zero_initialise(model: Residual) -> None:
    """Set each residual branch to its identity value: F(S) = 0, or for AND a firing bias."""
    for _, block in model.blocks():
        norm = block.last_norm
        norm.weight.zero_()
        norm.bias.fill_(block.identity_current(norm.bias.dtype, model.time_steps))
    model.zero_init = True


def _convolutions(kind: str, spec: BlockPlan, out: int) -> list[nn.Conv2d]:
    cin, mid, stride = spec.channels_in, spec.channels, spec.stride
    if kind == "basic":
        return [
            nn.Conv2d(cin, mid, 3, stride, padding=1, bias=False),
            nn.Conv2d(mid, out, 3, padding=1, bias=False),
        ]
    return [
        nn.Conv2d(cin, mid, 1, bias=False),
        nn.Conv2d(mid, mid, 3, stride, padding=1, bias=False),
        nn.Conv2d(mid, out, 1, bias=False),
    ]


def _activation(residual: str, neuron: Neuron) -> nn.Module:
    return nn.ReLU() if residual == "ann" else copy.deepcopy(neuron)


def make_block(
    kind: str, spec: BlockPlan, residual: str, connect: str | None, neuron: Neuron
) -> Block:
    """The block of a residual: `kind` is basic or bottleneck."""
    if residual == "sew":
        return SEWBlock(kind, spec, residual, neuron, connect or "add")
    classes: dict[str, Callable[..., Block]] = {
        "ann": SpikingBlock,
        "spiking": SpikingBlock,
        "plain": PlainBlock,
        "ms": MSBlock,
    }
    return classes[residual](kind, spec, residual, neuron)


def signal_between(residual: str, connect: str | None, inner: Signal) -> Signal:
    """What passes from block to block: integers after an ADD, currents in MS."""
    if connect == "add":
        return "counts"
    return "current" if residual == "ms" else inner


def block_sites(name: str, block: Block, inner: Signal, between: Signal) -> list[Site]:
    """S^l, the neurons, A^l and O^l of the block that lies at `name`, in this order."""
    spec = block.spec

    def site(label: str, role: Role, signal: Signal, area: int) -> Site:
        whole = role in ("block_input", "block_output")
        module, reads = name if whole else f"{name}.{label}", label if whole else "output"
        return Site(f"{name}.{label}", module, reads, role, signal, block=spec.index,  # type: ignore[arg-type]
                    stage=spec.stage, area=area, block_kind=spec.kind)  # fmt: skip

    last = f"sn{block.count}"
    neurons = [f"sn{i}" for i in range(1, block.count + 1)]
    if block.downsample is not None and len(block.downsample) == 3:  # type: ignore[arg-type]
        neurons.append("downsample.2")
    return [
        site("input", "block_input", between, spec.area),
        *(site(n, "neuron", inner, spec.area) for n in neurons if n != last),
        site(last, "neuron", inner, spec.area_out),
        site(
            "residual", "block_residual", inner if between == "counts" else between, spec.area_out
        ),
        site("output", "block_output", between, spec.area_out),
    ]


def _share(model: ResNet, weights: Mapping[str, Tensor]) -> None:
    """Take the convolutions and the last layer from `weights`; BatchNorm stays the model's own."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            own = {key: weights[f"{name}.{key}"] for key in module.state_dict()}
            module.load_state_dict(own, assign=True)
        elif isinstance(module, nn.BatchNorm2d | Neuron):
            module.to_empty(device="cpu")
            if isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()


@torch.no_grad()
def _copy_time_constants(model: ResNet, template: Neuron) -> None:
    """PLIF's w is the template's: building on the meta device lost it."""
    for _, neuron in model.neurons():
        for mine, its in zip(neuron.parameters(), template.parameters(), strict=True):
            mine.copy_(its)


def _check_images(x: Tensor, residual: str) -> None:
    dims = (4,) if residual == "ann" else (4, 5)
    if x.dim() not in dims or x.shape[-3] != 3:
        wanted = "[B, 3, H, W]" + ("" if residual == "ann" else " or [T, B, 3, H, W]")
        raise InputError("the input of a ResNet", got=tuple(x.shape), wanted=wanted)
