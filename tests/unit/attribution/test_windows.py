"""What is hidden at once: windows that slide, windows side by side, at the border, of features."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from captum import attr

import snnlens
from snnlens.attribution import Maps, Options, attribute
from snnlens.attribution.methods import _window
from snnlens.errors import InputError
from tests.unit.attribution import by_hand, nets
from tests.unit.attribution.nets import Case, N, T, Y

EXACT = 1e-14  # float64 sums of O(0.1)
FLOAT32 = 2e-7  # captum takes means over windows in float32


def maps(case: Case, method: str, **options: Any) -> Maps:
    with snnlens.bridge(case.net, case.given, **case.told) as bridge:
        return attribute(bridge, bridge.x, Y, method, Options(**options))


def test_windows_slide_by_half_and_are_cut_at_the_border() -> None:
    case = nets.own()
    found = maps(case, "occlusion", window=(3, 4, 5), internal_batch=7)
    wanted = [
        by_hand.occlusion(case.score, x, int(t), (3, 2, 4, 5), (2, 2, 2, 3))
        for x, t in zip(case.x.split(1), Y, strict=True)
    ]
    torch.testing.assert_close(found.values, torch.cat(wanted), rtol=0, atol=FLOAT32)


def test_windows_that_do_not_overlap_would_be_feature_ablation() -> None:
    """Why occlusion does not move by its whole window."""
    case = nets.own()
    with snnlens.bridge(case.net, case.given) as bridge:
        apart = attr.Occlusion(bridge).attribute(
            bridge.x, (1, 2, 3, 3), strides=(1, 2, 3, 3), target=Y
        )
    same = maps(case, "feature_ablation", window=(1, 3, 3)).values
    torch.testing.assert_close(apart.double(), same, rtol=FLOAT32, atol=0)
    assert not torch.allclose(maps(case, "occlusion", window=(1, 3, 3)).values, same)


@pytest.mark.parametrize(
    ("over", "window"),
    [("space", (T, 2, 4, 3)), ("time", (2, 2, 6, 6)), ("space-time", (2, 2, 4, 3))],
)
def test_what_is_taken_away_at_once(over: str, window: tuple[int, ...]) -> None:
    case = nets.own()
    found = maps(case, "feature_ablation", over=over, window=(2, 4, 3), internal_batch=5)
    wanted = [
        by_hand.feature_ablation(case.score, x, int(t), window)
        for x, t in zip(case.x.split(1), Y, strict=True)
    ]
    torch.testing.assert_close(found.values, torch.cat(wanted), rtol=0, atol=EXACT)


@pytest.mark.parametrize("method", ["occlusion", "feature_ablation"])
def test_a_window_larger_than_the_sample_hides_it_whole(method: str) -> None:
    found = maps(nets.own(), method, window=(99, 99, 99))
    rise = found.score - found.baseline_score
    wanted = rise.reshape(N, 1, 1, 1, 1).expand_as(found.values)
    torch.testing.assert_close(found.values, wanted, rtol=FLOAT32, atol=0)


@pytest.mark.parametrize("method", ["occlusion", "feature_ablation"])
def test_the_columns_of_features_are_features(method: str) -> None:
    generator = torch.Generator().manual_seed(3)
    case = nets.features(3 * torch.rand(T, N, 7, dtype=torch.float64, generator=generator))
    found = maps(case, method, window=(2, 5, 3))
    parts = []
    for x, target in zip(case.given.transpose(0, 1).split(1), Y.tolist(), strict=True):
        score = lambda s: case.net(s.transpose(0, 1)).mean(0)  # noqa: E731
        parts.append(
            by_hand.occlusion(score, x, target, (2, 3), (1, 2))
            if method == "occlusion"
            else by_hand.feature_ablation(score, x, target, (2, 3))
        )
    assert found.values.any()
    torch.testing.assert_close(found.values, torch.cat(parts), rtol=0, atol=FLOAT32)


def test_a_sample_with_three_axes_of_space_is_refused() -> None:
    with pytest.raises(InputError) as error:
        _window.window(torch.zeros(2, 5, 3, 4, 4, 4), Options())
    assert str(error.value) == (
        "a sample that windows are laid over must be [T, C, H, W], [T, C, L] or [T, F]; "
        "got [5, 3, 4, 4, 4]"
    )


def test_signals_have_columns_alone() -> None:
    assert _window.window(torch.zeros(2, 5, 3, 9), Options(window=(2, 4, 3))) == (2, 3, 3)
