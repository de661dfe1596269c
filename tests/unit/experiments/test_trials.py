"""The table of neurons and blocks: the closed form by hand, the run by a loop of our own."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from snnlens.experiments._trials import trials

KEYS = ["neuron", "decay_input", "reset", "threshold"]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return trials(4)


def spiking(table: pd.DataFrame) -> dict[tuple[object, ...], bool]:
    rows = table[table["block"] == "spiking"]
    return {tuple(row[k] for k in KEYS): bool(row["measured"]) for _, row in rows.iterrows()}


def test_every_block_with_every_neuron(table: pd.DataFrame) -> None:
    assert len(table) == 14 * 6
    assert not table.duplicated([*KEYS, "block"]).any()
    assert (table["measured"] == table["closed_form"]).all()


def test_the_issues_sentence_on_spiking_blocks(table: pd.DataFrame) -> None:
    """IF with hard reset and V_th in (0, 1] can; LIF with decay_input iff V_th <= 1/tau (tau is
    2), without it iff V_th <= 1; IF with V_th > 1 cannot."""
    assert spiking(table) == {
        ("IF", None, "hard", 0.5): True, ("IF", None, "hard", 1.0): True,
        ("IF", None, "hard", 1.5): False,
        ("LIF", True, "hard", 0.5): True, ("LIF", True, "hard", 1.0): False,
        ("LIF", True, "hard", 1.5): False,
        ("LIF", False, "hard", 0.5): True, ("LIF", False, "hard", 1.0): True,
        ("LIF", False, "hard", 1.5): False,
        ("PLIF", True, "hard", 0.5): True, ("PLIF", True, "hard", 1.0): False,
        ("PLIF", True, "hard", 1.5): False,
        ("IF", None, "soft", 0.5): False, ("IF", None, "soft", 1.0): True,
    }  # fmt: skip


def test_sew_and_ms_with_any_neuron(table: pd.DataFrame) -> None:
    for block in ("sew-add", "sew-and", "sew-iand", "ms"):
        assert table.loc[table["block"] == block, "measured"].all()


def test_the_bias_v_th_is_not_enough_where_the_input_decays(table: pd.DataFrame) -> None:
    rows = table[table["block"] == "sew-and, bias V_th"]
    pairs = zip(rows["neuron"], rows["decay_input"], strict=True)
    enough = [name == "IF" or decays is False for name, decays in pairs]
    assert rows["measured"].tolist() == enough


def test_measured_by_a_loop_of_our_own(table: pd.DataFrame) -> None:
    """Every spike train of four steps through charge, fire, reset written out in numpy."""
    for key, able in spiking(table).items():
        name, decays, reset, threshold = key
        trains = np.array(list(itertools.product((0.0, 1.0), repeat=4)))
        v, out = np.zeros(16), []
        for x in trains.T:
            leak = 0.5 if name != "IF" else 0.0
            h = v * (1 - leak) + x * (0.5 if name != "IF" and decays else 1.0)
            s = (h >= threshold).astype(float)
            v = h - threshold * s if reset == "soft" else h * (1 - s)
            out.append(s)
        assert bool((trains == np.array(out).T).all()) == able, key


@pytest.mark.parametrize(("given", "tried"), [(1, 1), (8, 8), (20, 8)])
def test_steps_are_bounded(given: int, tried: int) -> None:
    assert set(trials(given)["time_steps"]) == {tried}


def test_one_step_hides_what_remains_after_a_spike() -> None:
    """IF, soft reset, V_th = 1/2: at T = 1 it is the identity, from T = 2 on it is not."""
    rows = trials(1).set_index(["block", "neuron", "reset", "threshold"])
    assert rows.loc[("spiking", "IF", "soft", 0.5), "measured"].all()
