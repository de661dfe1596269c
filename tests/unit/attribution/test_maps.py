"""Maps: sums over time, the table, the file, the drawing, and what they say of themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib import pyplot as plt
from safetensors import safe_open

import snnlens
from snnlens.attribution import Maps
from snnlens.attribution import maps as module
from snnlens.errors import InputError
from tests.unit.attribution import nets
from tests.unit.attribution.nets import N, T, Y


def made(*shape: int) -> Maps:
    """Values 0, 1, 2, ... of a shape [N, T, ...]."""
    values = torch.arange(float(torch.Size(shape).numel())).reshape(shape)
    n = torch.arange(float(shape[0]))
    return Maps(values, n, "ig", "input", n.long(), n.long() + 1, 2 * n, 3 * n, values + 1)


def test_the_marginal_is_the_sum_over_all_but_sample_and_time() -> None:
    maps = made(2, 3, 2, 2, 2)
    wanted = [[float(maps.values[n, t].sum()) for t in range(3)] for n in range(2)]
    assert maps.marginal().tolist() == wanted
    assert made(2, 3, 4).marginal().shape == (2, 3)


@pytest.mark.parametrize(
    ("shape", "names"),
    [
        ((2, 3, 4), ["feature"]),
        ((2, 3, 2, 2), ["row", "column"]),
        ((2, 3, 1, 2, 2), ["channel", "row", "column"]),
        ((1, 2, 2, 1, 2, 2), ["axis_0", "axis_1", "axis_2", "axis_3"]),
    ],
)
def test_the_table_has_a_row_for_each_value(shape: tuple[int, ...], names: list[str]) -> None:
    maps = made(*shape)
    table = maps.frame()
    assert list(table) == ["sample", "step", *names, "value"]
    assert len(table) == maps.values.numel()
    for *index, value in table.itertuples(index=False):
        assert float(maps.values[tuple(map(int, index))]) == value


def test_a_table_of_too_many_rows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 5)
    with pytest.raises(InputError) as error:
        made(1, 2, 3).frame()
    assert str(error.value) == (
        "the values of a table must be at most 5; got 6; take maps.values, or maps.save(file)"
    )


def test_one_sample_as_plain_arrays() -> None:
    maps = made(2, 3, 4)
    found = maps.as_arrays(1)
    assert found["values"].tolist() == maps.values[1].tolist()
    assert found["shown"].tolist() == maps.shown[1].tolist()
    rest = {k: v for k, v in found.items() if k not in ("values", "shown")}
    assert rest == {
        "method": "ig", "place": "input", "signed": True, "title": "ig", "relevance": True,
        "target": 1, "predicted": 2, "score": 2.0, "delta": 1.0, "baseline_score": 3.0,
    }  # fmt: skip
    assert maps.as_arrays(-1)["target"] == 1


@pytest.mark.parametrize("sample", [2, -3])
def test_a_sample_that_there_is_not(sample: int) -> None:
    with pytest.raises(InputError) as error:
        made(2, 3, 4).as_arrays(sample)
    assert str(error.value) == f"sample must be from 0 to 1; got {sample}"


def test_the_file_holds_all_of_it(tmp_path: Path) -> None:
    maps = made(2, 3, 4)
    path = maps.save(tmp_path / "maps.safetensors")
    with safe_open(path, framework="pt") as file:
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        said = file.metadata()
    assert said == {"method": "ig", "place": "input", "signed": "True"}
    names = ("values", "shown", "target", "predicted", "score", "baseline_score", "delta")
    assert set(found) == set(names)
    for name in names:
        assert torch.equal(found[name], getattr(maps, name)), name


@pytest.mark.parametrize("method", ["ig", "gradcam"])
def test_a_sample_is_drawn(method: str) -> None:
    case = nets.own()
    figure = snnlens.attribute(case.net, case.given, Y, method=method, steps=2).plot(1)
    assert figure.axes
    plt.close(figure)


def test_scores_and_classes_are_those_of_the_model() -> None:
    case = nets.own()
    scores, nothing = case.score(case.x), case.score(torch.zeros_like(case.x))
    maps = snnlens.attribute(case.net, case.given, Y, method="ig", steps=3)
    exact: dict[str, Any] = {"rtol": 0, "atol": 1e-14}  # float64 sums in another order
    torch.testing.assert_close(maps.score, scores.gather(1, Y[:, None])[:, 0].detach(), **exact)
    asked = nothing.gather(1, Y[:, None])[:, 0].detach()
    torch.testing.assert_close(maps.baseline_score, asked, **exact)
    assert maps.predicted.tolist() == scores.argmax(1).tolist()
    assert torch.equal(maps.target, Y)
    assert torch.equal(maps.shown, case.x)
    wanted = maps.values.flatten(1).sum(1) - maps.score + maps.baseline_score
    torch.testing.assert_close(maps.delta, wanted, **exact)
    assert maps.values.shape == (N, T, 2, 6, 6)


def test_no_target_is_the_predicted_class_and_one_is_for_all() -> None:
    case = nets.own()
    predicted = snnlens.attribute(case.net, case.given, method="saliency")
    assert torch.equal(predicted.target, predicted.predicted)
    one = snnlens.attribute(case.net, case.given, 2, method="saliency")
    assert one.target.tolist() == [2, 2, 2]
    listed = snnlens.attribute(case.net, case.given, Y.tolist(), method="saliency")
    assert torch.equal(listed.target, Y)
