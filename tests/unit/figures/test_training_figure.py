"""The figure of one training: its curves, and a line per recorded epoch."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from snnlens.figures.training import training_figure

EPOCHS = 3
CURVES = pd.DataFrame({
    "network": "net", "epoch": range(EPOCHS), "train_loss": [2.0, 1.0, 0.5],
    "test_loss": [2.1, 1.2, 0.9], "train_top1": [20.0, 60.0, 90.0], "test_top1": [15.0, 50.0, 80.0],
})  # fmt: skip


def blocks(silent: bool = False) -> pd.DataFrame:
    rows = [
        {"network": "net", "epoch": e, "block": b, "stage": 1 + b // 2,
         "block_kind": "downsample" if b == 2 else "identity",
         "firing_rate_output": 0.1 * b + e, "firing_rate_residual": 0.1,
         "gradient_norm_input": 0.0 if silent and b == 0 else 10.0 ** (b - e),
         "identity_error_output": np.nan if b == 2 else 0.5}
        for e in (0, 2, 3) for b in range(4)
    ]  # fmt: skip
    return pd.DataFrame(rows)


LAYERS = pd.DataFrame({
    "network": "net", "epoch": [0, 0, 3, 3], "layer": [0, 1, 0, 1], "site": ["a", "b", "a", "b"],
    "firing_rate": [0.1, 0.2, 0.3, 0.4], "gradient_norm": [1.0, 2.0, 3.0, 4.0],
})  # fmt: skip


def titled(figure: Figure) -> dict[str, Axes]:
    return {a.get_title(loc="left"): a for a in figure.axes if a.get_visible()}


def test_curves_are_the_table() -> None:
    panels = titled(training_figure(CURVES, blocks(), LAYERS, "caption."))
    for title, what in (("Loss", "loss"), ("Accuracy", "top1")):
        lines = {line.get_label(): line for line in panels[title].get_lines()}
        for part, label in (("train", "training"), ("test", "test")):
            assert list(lines[label].get_xdata()) == [1, 2, 3]
            assert list(lines[label].get_ydata()) == CURVES[f"{part}_{what}"].tolist()
    assert panels["Accuracy"].get_ylim() == (0, 102)


def test_a_line_per_recorded_epoch_from_light_to_dark() -> None:
    table = blocks()
    panels = titled(training_figure(CURVES, table, LAYERS, "caption."))
    for title, column in (("Firing rate of O", "firing_rate_output"),
                          ("Gradient norm at S", "gradient_norm_input"),
                          ("Identity error of O", "identity_error_output")):  # fmt: skip
        lines = [x for x in panels[title].get_lines() if str(x.get_label()).startswith("epoch")]
        assert [x.get_label() for x in lines] == ["epoch 0", "epoch 2", "epoch 3"]
        for line, epoch in zip(lines, (0, 2, 3), strict=True):
            np.testing.assert_array_equal(
                line.get_ydata(), table.loc[table["epoch"] == epoch, column]
            )
        shades = [sum(to_rgb(line.get_color())) for line in lines]
        assert shades == sorted(shades, reverse=True)


def test_exact_zeros_lie_on_a_floor_and_not_at_a_number() -> None:
    axes = titled(training_figure(CURVES, blocks(silent=True), LAYERS, "c."))["Gradient norm at S"]
    assert "exactly 0" in {t.get_text() for t in axes.texts}
    smallest = blocks(silent=True).query("gradient_norm_input > 0")["gradient_norm_input"].min()
    line = next(x for x in axes.get_lines() if x.get_label() == "epoch 0")
    assert line.get_ydata()[0] < smallest


def test_without_blocks_it_shows_layers() -> None:
    panels = titled(training_figure(CURVES, None, LAYERS, "caption."))
    assert set(panels) >= {"Loss", "Accuracy", "Firing rate", "Gradient norm"}
    lines = [x for x in panels["Firing rate"].get_lines() if x.get_label() == "epoch 3"]
    assert list(lines[0].get_ydata()) == [0.3, 0.4]


def test_without_records_it_shows_curves_alone() -> None:
    panels = titled(training_figure(CURVES, None, None, "caption."))
    assert set(panels) == {"Loss", "Accuracy"}
