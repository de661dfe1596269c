"""Attribution through time: what a spiking network looks at, and when."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor

from snnlens import registry
from snnlens.attribution.bridge import Bridge
from snnlens.attribution.looks import said_memory
from snnlens.attribution.maps import Maps
from snnlens.attribution.methods._base import Method, Options, option_names
from snnlens.attribution.methods._captum import installed
from snnlens.attribution.refused import ELSEWHERE, REFUSED
from snnlens.errors import InputError

__all__ = [
    "Bridge", "Maps", "Method", "Options", "attribute", "fitted", "method_named", "options_of",
]  # fmt: skip

FOLDER = "attribution/methods"


def attribute(
    bridge: Bridge, x: Tensor, target: Tensor, method: str | Method = "ig",
    options: Options | None = None,
) -> Maps:  # fmt: skip
    """The maps of one method, `internal_batch` samples at a time.

    A method of the input lies over the input; with `at`, and of a static image over its encoder,
    over the spikes of that layer. The same method over the image's pixels is then `image`.

    Args:
        bridge: the model, batch first.
        x: [N, T, ...], of a static image T = 1.
        target: [N], a class each.
        method: a name, or a Method of your own.
        options: of methods.

    Raises:
        InputError: an unknown or refused method, a target that is no class, no sample, an input
            that is not floating, a model without a gradient for a method that needs one.

    >>> import snnlens
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 2), snnlens.IF())
    >>> with snnlens.bridge(net, torch.ones(5, 4, 3)) as bridge:
    ...     attribute(bridge, bridge.x, torch.tensor([0, 1, 0, 1]), "saliency").place
    'input'
    """
    chosen = method_named(method) if isinstance(method, str) else method
    asked = Asked(bridge, x, target, chosen, fitted(options or Options(), bridge))
    asked.check()
    if chosen.place == "layer":
        return asked.maps(chosen.site(bridge, asked.options))
    over = asked.over()
    if over == "input":
        return asked.maps(over)
    image = asked.maps("input") if bridge.static else None
    return asked.behind(over).maps(over, image)


def fitted(options: Options, bridge: Bridge) -> Options:
    """The options with so many samples in a pass as fit the model, where nothing is said.

    >>> import snnlens
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 2), snnlens.IF())
    >>> with snnlens.bridge(net, torch.ones(5, 4, 3)) as bridge:
    ...     fitted(Options(), bridge).internal_batch == bridge.fitting
    True
    """
    if options.internal_batch is not None:
        return options
    return replace(options, internal_batch=bridge.fitting)


def method_named(name: str) -> Method:
    """The method of that name; one that means nothing on spikes is refused with the reason.

    >>> method_named("deep_lift")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    snnlens.errors.InputError: a method must be one that means something on spikes; \
got 'deep_lift'; ...
    """
    known, asked = list(registry.listing(FOLDER)), _bare(name)
    found = next((k for k in (*known, *REFUSED, *ELSEWHERE) if _bare(k) == asked), "")
    if found in REFUSED:
        wanted = "one that means something on spikes"
        raise InputError("a method", got=name, wanted=wanted, do=REFUSED[found])
    if found not in known:
        near = get_close_matches(name.lower(), known)
        do = ELSEWHERE.get(found) or (f"did you mean {', '.join(near)}?" if near else "")
        raise InputError("a method", got=name, wanted="one of " + ", ".join(known), do=do)
    made: Method = registry.plugin(FOLDER, found)()
    return made


def _bare(name: str) -> str:
    """A name as people write it: GradCAM, grad-cam and grad_cam are one."""
    return name.lower().replace("_", "").replace("-", "")


def options_of(given: dict[str, Any]) -> Options:
    """Options by name; InputError for one that there is not.

    >>> options_of({"step": 3})
    Traceback (most recent call last):
    snnlens.errors.InputError: an option must be one of steps, internal_batch, baseline, at, seed, \
noise, draws, smooths, window, over, gamma, decay, absent, neuron; got 'step'; did you mean steps?
    """
    for name in given:
        if name not in option_names():
            near = get_close_matches(name, option_names())
            do = f"did you mean {', '.join(near)}?" if near else ""
            raise InputError(
                "an option", got=name, wanted="one of " + ", ".join(option_names()), do=do
            )
    return Options(**given)


@dataclass(frozen=True)
class Asked:
    """One method, asked about each sample's class."""

    bridge: Bridge
    x: Tensor  # as the whole model takes it
    target: Tensor
    method: Method
    options: Options

    def over(self) -> str:
        """What a method of the input lies over: the input, or the layer that stands for it."""
        if not self.method.within:
            return self.options.at or (self.bridge.encoder if self.bridge.static else "input")
        # `at` is then the layer it looks into, and before the encoder there are pixels alone
        inside = self.method.site(self.bridge, self.options)
        later = self.bridge.static and inside != self.bridge.encoder
        return self.bridge.encoder if later else "input"

    def behind(self, site: str) -> Asked:
        """The same about the part of the model behind a layer; a baseline's spikes are its own."""
        options = self.options
        if options.baseline is not None:
            nothing = self.bridge.spikes(options.nothing(self.x[:1]))
            options = replace(options, baseline=nothing[self.bridge.check_site(site)][0])
        return replace(self, bridge=self.bridge.behind(site, self.x), options=options)

    def maps(self, place: str, image: Maps | None = None) -> Maps:
        """The maps, and what is needed to judge them, in groups of samples."""
        self._check_gradient(place)
        size = self.options.batch
        groups = zip(self.x.split(size), self.target.split(size), strict=True)
        parts = [self._group(x, target, place) for x, target in groups]
        values, shown, scores, nothing = map(torch.cat, zip(*parts, strict=True))
        score, baseline = (s.gather(1, self.target[:, None]).squeeze(1) for s in (scores, nothing))
        delta = values.flatten(1).double().sum(1) - (score.double() - baseline.double())
        unclaimed = torch.full_like(delta, torch.nan)
        return Maps(
            values=values,
            delta=delta if self.method.complete else unclaimed,
            method=self.method.name,
            place=place,
            target=self.target,
            predicted=scores.argmax(1),
            score=score,
            baseline_score=baseline,
            shown=shown,
            signed=self.method.signed,
            title=self.method.title,
            relevance=self.method.relevance,
            image=image,
        )

    def _group(self, x: Tensor, target: Tensor, place: str) -> tuple[Tensor, ...]:
        """Values, what they lie over, scores, and scores of the baseline, of a few samples."""
        entering, spikes = self._entering(x, place)
        with installed(), said_memory(len(entering)):  # a backward pass too
            values = self.method.values(self.bridge, entering, target, self.options)
        with torch.no_grad():
            scores, nothing = (self.bridge(e) for e in (entering, self.options.nothing(entering)))
        do = "`snnlens checkup` says where they begin (SNL301)"
        _check_finite("the scores of the model", scores, do)
        _check_finite(f"a map of {self.method.name}", values, do)
        return values.detach().contiguous(), x if spikes is None else spikes, scores, nothing

    def _entering(self, x: Tensor, place: str) -> tuple[Tensor, Tensor | None]:
        """What enters the bridge, and the spikes that the map lies over, if it does over spikes."""
        whole = getattr(self.bridge, "outer", self.bridge)
        if place == "input":
            return x, None
        spikes: Tensor = whole.spikes(x)[place]
        return x if whole is self.bridge else spikes, spikes

    def check(self) -> None:
        """InputError for an input or a target that no method has a map of."""
        _check_input(self.x)
        _check_target(self.target, len(self.x), self.bridge.classes)

    def _check_gradient(self, place: str) -> None:
        """A model that takes no gradient from there on has no map; saying so beats zeros."""
        if not self.method.gradient:
            return
        x, _ = self._entering(self.x[:1], place)
        of_layer = self.method.place == "layer"
        tap = self.bridge.tap(place) if of_layer else nullcontext()
        with torch.enable_grad(), tap:  # a tap asks for the gradient at the layer's spikes
            out = self.bridge(x.detach().clone().requires_grad_(not of_layer))
        if not out.requires_grad:
            raise InputError(
                f"the model of {self.method.name}", got="without a gradient",
                wanted="one with surrogate gradients",
                do="take sam, occlusion or feature_ablation, or give its neurons a surrogate",
            )  # fmt: skip


def _check_input(x: Tensor) -> None:
    if not x.is_floating_point():
        do = "give x.float()"
        raise InputError("the input", got=str(x.dtype), wanted="of a floating dtype", do=do)
    if not len(x):
        raise InputError("samples", got=0, wanted="at least 1")
    _check_finite("the input", x)


def _check_finite(what: str, x: Tensor, do: str = "") -> None:
    broken = x.numel() - int(torch.isfinite(x).sum())
    if broken:
        got = f"{broken} of {x.numel()} numbers that are NaN or infinite"
        raise InputError(what, got=got, wanted="finite", do=do)


def _check_target(target: Tensor, samples: int, classes: int) -> None:
    if target.shape != (samples,):
        raise InputError(
            "target", got=list(target.shape), wanted=f"a class per sample: [{samples}]"
        )
    low, high = int(target.min()), int(target.max())
    if low < 0 or high >= classes:
        wanted = f"from 0 to {classes - 1}, as the output has {classes} classes"
        raise InputError("target", got=low if low < 0 else high, wanted=wanted)
