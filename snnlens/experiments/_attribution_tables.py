"""Maps as tables of a Record: numbers per sample, sums over time, frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from snnlens.attribution.maps import Maps


def numbers(found: Sequence[Maps], y: Tensor | None) -> pd.DataFrame:
    """One row per method and sample: scores, the map's sum and what it lacks."""
    return pd.concat([_numbers(maps, y) for maps in found], ignore_index=True)


def _numbers(maps: Maps, y: Tensor | None) -> pd.DataFrame:
    flat = maps.values.flatten(1).double()
    count = len(flat)
    label: Any = [None] * count if y is None or y.dim() != 1 else y.tolist()
    return pd.DataFrame({
        "method": maps.method, "place": maps.place, "sample": range(count),
        "label": pd.array(label, dtype="Int64"), "target": maps.target.tolist(),
        "predicted": maps.predicted.tolist(), "score": _floats(maps.score),
        "baseline": _floats(maps.baseline_score), "total": _floats(flat.sum(1)),
        "delta": _floats(maps.delta), "absolute": _floats(flat.abs().sum(1)),
        "nonzero_share": _floats((flat != 0).double().mean(1)), "signed": maps.signed,
    })  # fmt: skip


def over_time(found: Sequence[Maps]) -> pd.DataFrame:
    """One row per method, sample and step: when."""
    return pd.concat([_over_time(maps) for maps in found], ignore_index=True)


def _over_time(maps: Maps) -> pd.DataFrame:
    values, shown = maps.values.flatten(2).double(), maps.shown.flatten(2).double()
    samples, steps = values.shape[:2]
    return pd.DataFrame({
        "method": maps.method, "place": maps.place,
        "sample": np.repeat(np.arange(samples), steps), "step": np.tile(np.arange(steps), samples),
        "value": _floats(values.sum(2)), "absolute": _floats(values.abs().sum(2)),
        "shown": _floats(shown.sum(2)),
    })  # fmt: skip


def framed(found: Sequence[Maps], x: Tensor, frames: int) -> dict[str, pd.DataFrame]:
    """Maps and the input, summed over channels and the steps of at most so many frames."""
    parts = [_frames(m.values, frames).assign(method=m.method, place=m.place) for m in found]
    shapes = [_shape("", "input", x, frames)]
    shapes += [_shape(m.method, m.place, m.values, frames) for m in found]
    keys = ["method", "place"]
    maps = pd.concat(parts, ignore_index=True)
    return {
        "attribution_frames": maps[keys + [c for c in maps if c not in keys]],
        "attribution_inputs": _frames(x, frames),
        "attribution_shapes": pd.DataFrame(shapes),
    }


def spans(steps: int, frames: int) -> list[tuple[int, int]]:
    """First and last step of each frame, as equal as they can be.

    >>> spans(10, 4), spans(2, 8)
    ([(0, 2), (3, 5), (6, 7), (8, 9)], [(0, 0), (1, 1)])
    """
    parts = np.array_split(np.arange(steps), min(frames, steps))
    return [(int(p[0]), int(p[-1])) for p in parts]


def plane(x: Tensor) -> Tensor:
    """[N, T, ...] as [N, T, H, W], channels summed; features lie in one row.

    >>> import torch
    >>> plane(torch.ones(2, 3, 4)).shape, plane(torch.ones(2, 3, 2, 5, 5)).shape
    (torch.Size([2, 3, 1, 4]), torch.Size([2, 3, 5, 5]))
    """
    if x.dim() <= 3:
        return x.reshape(*x.shape[:2], 1, -1)
    return x.flatten(2, -3).sum(2) if x.dim() > 4 else x


def _frames(x: Tensor, frames: int) -> pd.DataFrame:
    """The values that are not zero, one row each."""
    flat = plane(x.double())
    return pd.concat(list(_each_frame(flat, spans(x.shape[1], frames))), ignore_index=True)


def _each_frame(flat: Tensor, parts: list[tuple[int, int]]) -> Iterator[pd.DataFrame]:
    for frame, (first, last) in enumerate(parts):
        summed = flat[:, first : last + 1].sum(1)
        sample, row, column = summed.nonzero(as_tuple=True)
        yield pd.DataFrame({
            "sample": sample.cpu().numpy(), "frame": frame, "first_step": first, "last_step": last,
            "y": row.cpu().numpy(), "x": column.cpu().numpy(),
            "value": summed[sample, row, column].cpu().numpy(),
        })  # fmt: skip


def _shape(method: str, place: str, x: Tensor, frames: int) -> dict[str, Any]:
    height, width = plane(x[:1]).shape[2:]
    channels = x.shape[2] if x.dim() > 4 else 1
    return {
        "method": method, "place": place, "steps": x.shape[1], "channels": channels,
        "height": height, "width": width, "frames": min(frames, x.shape[1]),
    }  # fmt: skip


def _floats(x: Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
    made: np.ndarray[Any, np.dtype[np.float64]] = x.detach().double().cpu().numpy().reshape(-1)
    return made
