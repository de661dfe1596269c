"""Infidelity and sensitivity of maps through captum: perturbed spikes are spikes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from snnlens.attribution.bridge import Bridge
from snnlens.attribution.faithfulness import BATCH, Scores
from snnlens.attribution.methods._base import Method, Options
from snnlens.attribution.methods._captum import installed
from snnlens.attribution.units import nothing, over_input, own
from snnlens.errors import InputError

DRAWS = 10  # captum's default
RADIUS = 0.02  # captum's default


def infidelity(
    bridge: Scores, x: Tensor, target: Tensor, values: Tensor,
    *, seed: int = 0, draws: int = DRAWS, baseline: Tensor | None = None, local: bool = False,
    normalise: bool = True, internal_batch: int = BATCH,
) -> Tensor:  # fmt: skip
    """How badly a map foretells what the score loses when random events are deleted.

        infidelity = 1 / K sum over k of (b I_k . map - (f(x) - f(x_k)))^2

    x_k is x with some of its events (elements that are not equal to the baseline) set to the
    baseline: for each k one probability, uniform in [0, 1], and each event deleted with it. So
    what is shown to the network is an input of spikes, whose values were all there, and few events
    as well as nearly all of them go; small real noise, which is usual for images, would be none.

    I_k is 1 where an event was deleted, and of a map that is `local` (a gradient, without a factor
    of the input) x - x_k; both are one and the same where events are 1 and the baseline is 0. b is
    the factor that makes the sum smallest, since a saliency has no unit; 1 without `normalise`.

    The draws of a sample are of (seed, its `own` constant): the same alone and in any batch.

    Args:
        bridge: `score` is called without a graph.
        x: [N, T, ...].
        target: [N], a class each.
        values: the maps [N, T, ...]; one over a layer is brought to the input by `over_input`.
        seed: of the perturbations.
        draws: K.
        baseline: what counts as nothing, [T, ...] or [N, T, ...]; None: zeros.
        local: whether the map is in score per unit of input.
        normalise: whether to scale each map by b.
        internal_batch: samples in one pass of the network.

    Returns:
        [N], in squares of the score; the mean square of the score's losses for a map of zeros.

    Raises:
        InputError: a map over a layer that has no positions in space, no draw.

    Source: Yeh et al. 2019 (On the (in)fidelity and sensitivity of explanations), infidelity;
    the deletion of random events is ours.

    >>> class Sum:
    ...     def score(self, x, target):
    ...         return x.flatten(1).sum(1)
    >>> x, target = torch.ones(2, 3, 4), torch.tensor([0, 0])
    >>> infidelity(Sum(), x, target, 4 * x).tolist()                      # it adds up: none
    [0.0, 0.0]
    """
    with installed():
        from captum.metrics import infidelity as of

    _check(draws, internal_batch)
    maps, none = over_input(values, x.shape[1:]), nothing(x, baseline)
    found = [
        of(_Precise(bridge), _Deletion(one, base, seed, local), one, map_,
           additional_forward_args=cls, n_perturb_samples=draws, normalize=normalise,
           max_examples_per_batch=min(internal_batch, draws))
        for one, base, map_, cls in _alone(x, none, maps, target)
    ]  # fmt: skip
    return torch.cat(found).clamp_(min=0)  # captum multiplies the square out, which rounds


def sensitivity(
    bridge: Bridge, x: Tensor, target: Tensor, method: Method, options: Options | None = None,
    *, seed: int = 0, draws: int = DRAWS, radius: float = RADIUS,
) -> Tensor:  # fmt: skip
    """How far a map moves when its input is perturbed a little, at most over some draws.

        sensitivity = max over k of ||map(x_k) - map(x)|| / ||map(x)||

    A little is, for an input that changes over its steps, a jitter in time: steps are paired (the
    first with the second or the second with the third ..., by a coin), and where the two differ
    they are swapped with probability `radius`, at least once. Events move by one step, none comes
    or goes, and an input of spikes stays one. An input that does not change over its steps (a
    static image) gets noise, uniform within `radius` times its range (largest less smallest value).

    The draws of a sample are of (seed, its `own` constant): the same alone and in any batch.

    Args:
        bridge: the model, batch first.
        x: [N, T, ...].
        target: [N], a class each.
        method: whose maps.
        options: of the method; `internal_batch` is of the perturbed copies too.
        seed: of the perturbations.
        draws: how many perturbed copies of each sample.
        radius: share of events that move, or of the range, in (0, 1].

    Returns:
        [N], a share of the map's norm; NaN where the map is zero.

    Raises:
        InputError: a radius out of (0, 1], no draw.

    Source: Yeh et al. 2019, max-sensitivity; the jitter in time is ours.

    >>> import snnlens
    >>> from snnlens.attribution import method_named
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 2), snnlens.IF())
    >>> x = torch.rand(5, 2, 3, generator=torch.Generator().manual_seed(0))
    >>> with snnlens.bridge(net, x) as bridge:
    ...     sensitivity(bridge, bridge.x, torch.tensor([0, 1]), method_named("ig")).shape
    torch.Size([2])
    """
    with installed():
        from captum.metrics import sensitivity_max

    options = options or Options()
    _check(draws, options.batch)
    if not 0 < radius <= 1:
        raise InputError("radius", got=radius, wanted="above 0, at most 1")
    found = []
    for one, cls in _alone(x, target):
        explain = _Explained(bridge, method, options)
        moved = sensitivity_max(explain, one, _Little(one, seed), radius, draws, target=cls,
                                max_examples_per_batch=min(options.batch, draws))  # fmt: skip
        found.append(moved.detach() if explain.norm > 0 else torch.full_like(moved, torch.nan))
    return torch.cat(found)


# --- perturbations -----------------------------------------------------------------------------


class _Precise:
    """The score in float64: squares of small differences are taken of it."""

    def __init__(self, bridge: Scores) -> None:
        self.bridge = bridge

    def __call__(self, x: Tensor, target: Tensor) -> Tensor:
        return self.bridge.score(x, target).double()


class _Deletion:
    """Copies of one sample without some of its events, one draw after the other."""

    def __init__(self, x: Tensor, none: Tensor, seed: int, local: bool) -> None:
        self.none, self.local = none, local
        self.events = (x != none).cpu().numpy()
        self.generator = np.random.default_rng([seed, own(x[0])])

    def __call__(self, copies: Tensor) -> tuple[Tensor, Tensor]:
        """I and the perturbed copies, as captum asks for them."""
        gone = torch.from_numpy(np.concatenate([self._draw() for _ in copies])).to(copies.device)
        left = torch.where(gone, self.none, copies)
        return (copies - left if self.local else gone).double(), left

    def _draw(self) -> np.ndarray:
        """Which elements go, [1, T, ...]."""
        probability = self.generator.uniform()
        return self.events & (self.generator.random(self.events.shape) < probability)


class _Little:
    """Copies of one sample that are a little different, one draw after the other."""

    def __init__(self, x: Tensor, seed: int) -> None:
        self.generator = np.random.default_rng([seed, own(x[0])])
        self.draw: Callable[[np.ndarray, float], np.ndarray] = self._jitter
        if bool((x == x[:, :1]).all()):
            self.draw = self._noise

    def __call__(self, copies: Tensor, radius: float) -> Tensor:
        """The perturbed copies, as captum asks for them."""
        drawn = [self.draw(one.cpu().numpy(), radius) for one in copies]
        return torch.from_numpy(np.stack(drawn)).to(copies)

    def _noise(self, x: np.ndarray, radius: float) -> np.ndarray:
        half = radius * float(np.ptp(x))
        return x + self.generator.uniform(-half, half, x.shape)

    def _jitter(self, x: np.ndarray, radius: float) -> np.ndarray:
        """[T, ...] with some neighbouring steps swapped, where they differ."""
        pairs = self._pairs(x)
        first, second = x[pairs], x[pairs + 1]
        differs = first != second
        swap = differs & (self.generator.random(first.shape) < radius)
        if not swap.any():
            places = np.flatnonzero(differs)
            swap.flat[self.generator.choice(places)] = True
        moved = x.copy()
        moved[pairs], moved[pairs + 1] = (
            np.where(swap, second, first),
            np.where(swap, first, second),
        )
        return moved

    def _pairs(self, x: np.ndarray) -> np.ndarray:
        """The first steps of the pairs: even or odd ones, by a coin; the others if none differs."""
        coin = int(self.generator.integers(2))
        ways = [np.arange(start, len(x) - 1, 2) for start in (coin, 1 - coin)]
        return next(way for way in ways if (x[way] != x[way + 1]).any())


class _Explained:
    """A method as captum takes it, and the norm of its first map, that of the sample itself."""

    def __init__(self, bridge: Bridge, method: Method, options: Options) -> None:
        self.bridge, self.method, self.options = bridge, method, options
        self.norm = -1.0

    def __call__(self, x: Tensor | tuple[Tensor, ...], target: Tensor) -> tuple[Tensor]:
        given = x[0] if isinstance(x, tuple) else x
        with torch.enable_grad():
            classes = target.expand(len(given))  # captum does not repeat a single one
            values = self.method.values(self.bridge, given, classes, self.options)
        values = values.detach().double().contiguous()
        if self.norm < 0:
            self.norm = float(values.norm())
        return (values,)  # a tensor would be taken for a tuple of its samples


def _alone(*tensors: Tensor) -> list[tuple[Tensor, ...]]:
    """Each sample as a batch of one."""
    return list(zip(*(t.split(1) for t in tensors), strict=True))


def _check(draws: int, internal_batch: int) -> None:
    for name, value in (("draws", draws), ("internal_batch", internal_batch)):
        if value < 1:
            raise InputError(name, got=value, wanted="at least 1")
