"""The figures of rates, identity and the factor against n, read back from their artists."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from snnlens.analysis import rates
from snnlens.figures.factor import factor_figure
from snnlens.figures.identity import identity_figure
from snnlens.figures.rates import rate_figure
from tests.unit.analysis.handmade import Net, record
from tests.unit.runs import answered


def curves(axes: Axes) -> dict[str, Line2D]:
    return {str(line.get_label()): line for line in axes.get_lines()
            if not str(line.get_label()).startswith("_")}  # fmt: skip


def same(line: Line2D, rows: pd.DataFrame, column: str) -> None:
    np.testing.assert_array_equal(line.get_xdata(), rows["block"])
    np.testing.assert_array_equal(np.asarray(line.get_ydata(), float), rows[column])


# --- rates -------------------------------------------------------------------------------------

WITHOUT = {"Spiking ResNet": "spiking", "SEW ResNet, ADD": "sew-add",
           "SEW ResNet, AND": "sew-and", "SEW ResNet, IAND": "sew-iand"}  # fmt: skip


@pytest.fixture(scope="module")
def rates_figure() -> Figure:
    drawn: Figure = answered("rates").plot()
    return drawn


def test_rates_are_the_tables(rates_figure: Figure) -> None:
    table = answered("rates").table
    left, right = rates_figure.axes
    assert list(curves(left)) == [*list(WITHOUT)[:1], "zero-init, all 4", *list(WITHOUT)[1:]]
    assert list(curves(right)) == list(WITHOUT)
    for label, name in WITHOUT.items():
        rows = table[table["network"] == name]
        same(curves(left)[label], rows, "firing_rate_output")
        same(curves(right)[label], rows, "firing_rate_residual")
    same(curves(left)["zero-init, all 4"], table[table["network"] == "spiking-zero"],
         "firing_rate_output")  # fmt: skip


def test_rates_titles_units_and_scales(rates_figure: Figure) -> None:
    left, right = rates_figure.axes
    titles = [a.get_title(loc="left") for a in (left, right)]
    assert titles == ["Block output O", "Residual branch A, without zero-init"]
    assert [a.get_yscale() for a in (left, right)] == ["log", "linear"]
    assert {a.get_ylabel() for a in (left, right)} == {"mean value (spikes per neuron and step)"}
    assert {a.get_xlabel() for a in (left, right)} == {"residual block l (input on the left)"}
    assert right.get_ylim()[0] == 0
    caption = " ".join(rates_figure.texts[-1].get_text().split())
    assert caption == "Firing rates at initialisation. " + answered("rates").caption


def drawn_rates(*nets: Net) -> tuple[Axes, Axes]:
    figure = rate_figure(rates.compute(record(*nets, depth=18)).table, "caption")
    left, right = figure.axes
    return left, right


def test_zero_init_networks_that_differ_are_drawn_apart() -> None:
    nets = [Net("sew", c, True, rates=rate) for c, rate in (("add", 0.2), ("and", 0.2))]
    nets.append(Net("sew", "iand", True, rates=0.1))
    left, _ = drawn_rates(*nets)
    assert list(curves(left)) == ["zero-init, all 2", "SEW ResNet, IAND, zero-init"]


def test_silent_outputs_lie_on_the_floor() -> None:
    values = np.where(np.arange(9) >= 6, 0.0, 0.3)
    left, _ = drawn_rates(Net("sew", "and", rates=values))
    y = np.asarray(curves(left)["SEW ResNet, AND"].get_ydata(), float)
    np.testing.assert_allclose(y[5:], 0.1, rtol=1e-12)  # a third of the smallest rate
    np.testing.assert_allclose(y[:5], 0.3, rtol=1e-12)
    assert [t.get_text() for t in left.texts] == ["0", "exactly 0"]
    low, high = left.get_ylim()
    assert low < 0.1 < high


def test_without_silence_no_floor() -> None:
    left, _ = drawn_rates(Net("sew", "and"))
    assert list(left.texts) == []


def test_zero_init_alone_still_shows_its_branches() -> None:
    _, right = drawn_rates(Net("sew", "add", True, branch_rates=0.0))
    (line,) = curves(right).values()
    assert set(np.asarray(line.get_ydata())) == {0.0}


def test_nothing_fires() -> None:
    left, _ = drawn_rates(Net(rates=0.0))
    assert np.isfinite(left.get_ylim()).all()


def test_downsample_blocks_are_marked(rates_figure: Figure) -> None:
    for axes in rates_figure.axes:
        (marks,) = [x for x in axes.get_lines() if x.get_label() == "_downsample"]
        assert list(marks.get_xdata()) == [1, 2]  # cifar-8


# --- identity ----------------------------------------------------------------------------------


def test_identity_errors_are_the_tables() -> None:
    result = answered("identity")
    left, right = result.plot().axes
    table = result.table
    drawn = curves(left)
    for label, name in (WITHOUT | {"MS-ResNet": "ms"}).items():
        same(drawn[label], table[table["network"] == name], "identity_error")
    assert list(drawn)[-1] == "zero-init, 5 networks: exactly 0"
    assert set(np.asarray(drawn["zero-init, 5 networks: exactly 0"].get_ydata())) == {0.0}
    assert left.get_ylabel() == "identity error ||O - S|| / ||S||"
    assert left.get_xlabel() == "identity block l (input on the left)"
    assert right.get_visible()


def test_the_matrix_is_the_trials() -> None:
    result = answered("identity")
    trials = result.extra["identity_trials"]
    right = result.plot().axes[1]
    blocks = [t.get_text() for t in right.get_xticklabels()]
    neurons = [t.get_text() for t in right.get_yticklabels()]
    assert blocks == ["spiking", "SEW\nadd", "SEW\nand", "SEW\niand", "SEW\nand\nbias V_th", "ms"]
    assert neurons[:5] == [
        "IF, V_th 0.5", "LIF, tau 2, V_th 0.5", "LIF, tau 2, input whole, V_th 0.5",
        "PLIF, tau 2, V_th 0.5", "IF, V_th 1",
    ]  # fmt: skip
    assert neurons[-1] == "IF, soft, V_th 1"
    marks = {t.get_position(): t.get_text() for t in right.texts}
    assert len(marks) == len(trials) == len(blocks) * len(neurons)
    kinds = list(dict.fromkeys(trials["block"]))
    for index, trial in trials.iterrows():
        at = (kinds.index(trial["block"]), int(str(index)) // len(kinds))
        assert marks[at] == ("✓" if trial["measured"] else "✗")


def test_a_trial_against_the_closed_form_is_marked() -> None:
    result = answered("identity")
    trials = result.extra["identity_trials"].copy()
    trials.loc[0, "measured"] = not trials.loc[0, "measured"]
    figure = identity_figure(result.table, trials, "caption")
    assert [t.get_text() for t in figure.axes[1].texts].count("!") == 1


def test_without_trials_one_panel() -> None:
    figure = identity_figure(answered("identity").table, None, "caption")
    assert [a.get_visible() for a in figure.axes] == [True, False]


def test_a_zero_init_network_that_differs_is_drawn_by_name() -> None:
    table = answered("identity").table.copy()
    odd = table["network"] == "spiking-zero"
    table.loc[odd, ["mismatch_share", "identity_error"]] = [0.1, 0.4]
    figure = identity_figure(table, None, "caption")
    labels = list(curves(figure.axes[0]))
    assert labels[-2:] == ["spiking-zero", "zero-init, 4 networks: exactly 0"]


# --- the factor against n ----------------------------------------------------------------------


def test_factor() -> None:
    table = pd.DataFrame(
        {"n": [16, 32, 16, 32], "factor": [1.1, 0.95, 1.08, 0.96], "seed": [0, 0, 1, 1]}
    )
    (axes,) = factor_figure(table, "caption").axes
    drawn = curves(axes)
    assert list(drawn) == ["seed 0", "seed 1"]
    for seed, line in enumerate(drawn.values()):
        rows = table[table["seed"] == seed]
        np.testing.assert_array_equal(line.get_xdata(), rows["n"])
        np.testing.assert_array_equal(line.get_ydata(), rows["factor"])
    assert axes.get_xscale() == "log"
    assert [t.get_text() for t in axes.get_xticklabels()] == ["16", "32"]
    assert [t.get_text() for t in axes.texts] == [
        "grows toward the input", "decays toward the input",
    ]  # fmt: skip
    one = axes.get_lines()[0]
    assert list(one.get_ydata()) == [1.0, 1.0]
    assert "n = batch x H x W" in axes.get_xlabel()
    assert axes.get_ylabel() == "factor of ||dL/dS|| per block"


def ms_and(*others: str) -> pd.DataFrame:
    table = answered("rates").table
    first = table[table["network"] == "spiking"]
    signs = np.where(first["block"] % 2, -1e-9, 1e-9)
    ms = first.assign(network="ms", residual="ms", firing_rate_output=signs,
                      firing_rate_residual=-signs)  # fmt: skip
    return pd.concat([ms, table[table["network"].isin(others)]], ignore_index=True)


def test_currents_are_no_spikes() -> None:
    """Blocks of MS-ResNet pass currents: alone on a linear axis, whole; beside others not drawn."""
    alone = rate_figure(ms_and(), "")
    for axes, column in zip(alone.axes, ("output", "residual"), strict=True):
        same(curves(axes)["MS-ResNet"], ms_and(), f"firing_rate_{column}")
        assert axes.get_yscale() == "linear"
        assert axes.get_ylim()[0] < -1e-9
        assert axes.get_ylabel() == "mean value (current per neuron and step)"
    beside = rate_figure(ms_and("spiking"), "The caption.")
    assert set(curves(beside.axes[0])) == {"Spiking ResNet"}
    said = "".join(t.get_text() for t in beside.texts).replace("\n", " ")
    assert "Not drawn: ms, whose blocks pass currents. The caption." in said


def test_few_blocks_have_whole_numbers_on_their_axis() -> None:
    table = answered("rates").table
    few = table[table["block"] < 3]
    for axes in rate_figure(few, "").axes:
        low, high = axes.get_xlim()
        ticks = [t for t in axes.get_xticks() if low <= t <= high]
        assert ticks == [0, 1, 2]
