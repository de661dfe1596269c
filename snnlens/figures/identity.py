"""Identity error against block, and the table of neurons and blocks that can be the identity."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from snnlens.figures import style
from snnlens.figures.gradients import LABELS, kind_of
from snnlens.figures.rates import COLOURS, MARKERS

YES, NO = style.BLUE, style.VERMILION


def identity_figure(
    table: pd.DataFrame,
    trials: pd.DataFrame | None,
    caption: str,
    *,
    weights: str = "at initialisation",
) -> Figure:
    """Left: ||O - S|| / ||S|| of a run. Right: which pairs can be the identity."""
    with style.styled():
        figure = style.Drawing(figsize=(7.1, 3.6))
        left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
        _errors(left, table, weights)
        if trials is None:
            right.set_visible(False)
        else:
            _matrix(right, trials)
        figure.tight_layout(w_pad=1.4)
        style.caption_below(figure, f"Identity error {weights}. " + caption)
    return figure


def _errors(axes: Axes, table: pd.DataFrame, weights: str) -> None:
    for _, rows in table.groupby("network", sort=False):
        kind = kind_of(rows.iloc[0])
        if rows["zero_init"].iloc[0]:
            continue
        axes.plot(
            rows["block"], rows["identity_error"], color=COLOURS.get(kind, style.INK),
            marker=MARKERS.get(kind, "o"), markersize=style.MEASURED_SIZE, linewidth=0.7,
            markerfacecolor="none", markeredgewidth=0.8, label=LABELS.get(kind, kind),
        )  # fmt: skip
    zero = table[table["zero_init"].astype(bool)]
    for label, rows in _zero_groups(zero):
        axes.plot(rows["block"], rows["identity_error"], color=style.WITH, marker="o",
                  markersize=2.6, linewidth=0.7, label=label)  # fmt: skip
    axes.set_ylim(bottom=-0.04)
    axes.set_xlabel("identity block l (input on the left)")
    axes.set_ylabel("identity error ||O - S|| / ||S||")
    axes.set_title(f"Measured {weights}", pad=7)
    axes.legend(loc="upper left", bbox_to_anchor=(-0.12, -0.17), ncols=2, handlelength=1.6,
                columnspacing=1.0)  # fmt: skip


def _zero_groups(zero: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Zero-init networks without any mismatch are one curve at 0; the others their own."""
    exact, groups = [], []
    for name, rows in zero.groupby("network", sort=False):
        if (rows["mismatch_share"] == 0).all():
            exact.append(rows)
        else:
            groups.append((f"{name}", rows))
    if exact:
        groups.append((f"zero-init, {len(exact)} networks: exactly 0", exact[0]))
    return groups


def _matrix(axes: Axes, trials: pd.DataFrame) -> None:
    rows = trials.assign(label=[_label(r) for _, r in trials.iterrows()])
    blocks, neurons = list(dict.fromkeys(rows["block"])), list(dict.fromkeys(rows["label"]))
    for _, trial in rows.iterrows():
        x, y = blocks.index(trial["block"]), neurons.index(trial["label"])
        able = bool(trial["measured"])
        axes.scatter([x], [y], marker="s", s=62, color=YES if able else "none",
                     edgecolor=YES if able else NO, linewidth=0.9)  # fmt: skip
        axes.text(x, y, "✓" if able else "✗", ha="center", va="center_baseline", fontsize=6.5,
                  color="white" if able else NO)  # fmt: skip
        if able != bool(trial["closed_form"]):
            axes.text(x + 0.3, y, "!", color=style.INK, weight="bold")
    names = [b.replace("sew-", "SEW\n").replace(", bias V_th", "\nbias V_th") for b in blocks]
    axes.set_xticks(range(len(blocks)), names)
    axes.set_yticks(range(len(neurons)), neurons)
    axes.set_xlim(-0.6, len(blocks) - 0.4)
    axes.set_ylim(len(neurons) - 0.4, -0.6)
    axes.tick_params(length=0, labelsize=6.6)
    axes.xaxis.tick_top()
    axes.spines[:].set_visible(False)
    axes.set_title("Can it be the identity? Every spike train run", pad=8, x=-0.62)


def _label(trial: pd.Series) -> str:
    parts = [str(trial["neuron"])]
    if not np.isnan(trial["tau_steps"]):
        parts.append(f"tau {trial['tau_steps']:g}")
        if not trial["decay_input"]:
            parts.append("input whole")
    if trial["reset"] == "soft":
        parts.append("soft")
    return ", ".join(parts) + f", V_th {trial['threshold']:g}"
