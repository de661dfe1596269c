"""The table of a result: order, groups, units, exact sort keys, missing numbers."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from snnlens.report import citations, methods, numbers, tables
from tests.unit.report import sample


def cells(made: tables.Table, row: int = 0) -> str:
    return str(made.parts[0].rows[row])


def test_every_row_of_every_network_is_there() -> None:
    made = tables.table(sample.table())
    assert [p.name for p in made.parts] == [name for name, _, _ in sample.NETWORKS]
    assert [len(p.rows) for p in made.parts] == [50] * 8


def test_what_holds_for_the_network_is_said_once() -> None:
    part = tables.table(sample.table()).parts[3]
    assert part.facts == [
        ("residual", "sew"), ("connect", "add"), ("layout", "imagenet"), ("depth", "152"),
        ("zero-init", "yes"), ("T =", "4"), ("samples", "32"), ("seed", "0"),
    ]  # fmt: skip
    assert not {"residual", "depth"} & {h.title for h in [*part.top, *part.sub]}


def test_a_column_without_a_value_is_named_and_left_out() -> None:
    made = tables.table(sample.table())
    spiking, zero = made.parts[0], made.parts[1]
    assert spiking.empty == ["gradient norm (predicted)", "why small"]
    assert zero.empty == ["why small"]
    assert "predicted_norm" in {h.title for h in zero.sub}
    assert "predicted_norm" in {name for name, _ in made.guide}


def test_headings_say_units_and_index_the_cells() -> None:
    part = tables.table(sample.table()).parts[1]
    groups = {h.label: (h.unit, h.span) for h in part.top if h.index is None}
    assert groups == {
        "Gradient norm": ("loss per spike", 3),
        "Firing rate": ("spikes per neuron and step", 3),
        "Nonzero share": ("share of elements", 3),
    }
    indices = sorted(h.index for h in [*part.top, *part.sub] if h.index is not None)
    assert indices == list(range(str(part.rows[0]).count("<td") + 1))


def test_a_unit_of_the_record_serves_an_unknown_column() -> None:
    made = tables.table(pd.DataFrame({"odd_number": [1.5]}), {"odd_number": "widgets"})
    assert (made.parts[0].top[0].label, made.parts[0].top[0].unit) == ("Odd number", "widgets")


def test_cells_show_four_digits_and_sort_by_all() -> None:
    frame = pd.DataFrame({"block": [0, 1], "gradient_norm": [1.23456789e-26, 0.5]})
    assert cells(tables.table(frame)) == (
        "<tr><th scope=row>0</th>"
        "<td class=s data-v=1.23456789e-26>1.235\u202f×\u202f10⁻²⁶</td></tr>"
    )


def test_cells_without_a_finite_number() -> None:
    frame = pd.DataFrame({"block": [0, 1, 2, 3], "factor": [np.nan, np.inf, -np.inf, 0.0]})
    frame["why_small"] = ""
    made = tables.table(frame)
    shown = [cells(made, row).partition("</th>")[2].removesuffix("</tr>") for row in range(4)]
    assert made.parts[0].empty == ["why small"]
    assert shown == [
        '<td data-v=""><i role="img" aria-label="no value">–</i></td>',
        "<td data-v=Infinity>∞</td>",
        "<td data-v=-Infinity>−∞</td>",
        "<td>0</td>",
    ]


def test_texts_are_escaped_and_truths_are_words() -> None:
    frame = pd.DataFrame({"site": ["<b>"], "why": ["a&b"], "is_identity": [True], "no": [None]})
    assert cells(tables.table(frame)) == (
        "<tr><th scope=row class=t>&lt;b&gt;</th><td class=t>a&amp;b</td><td>yes</td></tr>"
    )


def test_an_integer_column_with_gaps() -> None:
    frame = pd.DataFrame({"block": pd.array([3, None], dtype="Int64"), "k": [1, 2]})
    assert cells(tables.table(frame), 0).startswith("<tr><th scope=row>3</th>")
    assert 'aria-label="no value"' in cells(tables.table(frame), 1)


def test_an_empty_table() -> None:
    assert tables.table(pd.DataFrame({"network": [], "block": []})).parts == []


def test_negative_numbers_have_a_minus() -> None:
    show, powers = numbers.column([-0.25, 3.0])
    assert (show(-0.25), powers) == ("−0.2500", False)
    assert numbers.number(-1.5e-9) == "−1.5\u202f×\u202f10⁻⁹"


def test_the_works_that_are_cited() -> None:
    sew = citations.bibtex([])
    assert "{2102.04159}" in sew
    assert sew.count("@") == 1
    assert citations.bibtex([{"neuron": "PLIF"}, {"residual": "ms"}]).count("@") == 3
    assert citations.bibtex([{"neuron": "IF", "residual": "sew"}]) == sew


def test_methods_come_from_the_record() -> None:
    made = sample.result()
    assert methods.methods(made.record.networks, made.record.provenance) == (
        "Residual networks of 152 layers (imagenet layout), with and without zero-init: Spiking "
        "ResNet, SEW ResNet (add), SEW ResNet (and), SEW ResNet (iand). BatchNorm was in training "
        "mode. Neurons: IF, V_th = 1, reset hard to 0, reset detached from the gradient, surrogate "
        "atan with alpha = 2. The input: digits (scikit-learn), 32 images at 64 px; T = 4; batch "
        "32; n = 128 samples per channel in the last stage; seed 0. Computed with snnlens 0.1.0, "
        "PyTorch 2.13.0, Python 3.11.2 on cpu with 2 threads."
    )


def test_methods_of_a_record_that_says_nothing() -> None:
    assert methods.methods({"a": {}, "b": {}}, {}) == "The networks a, b were measured."


def test_columns_of_one_group_show_numbers_one_way() -> None:
    frame = pd.DataFrame(
        {
            "network": ["a", "b"],
            "block": [0, 0],
            "firing_rate_input": [0.5, 0.5],
            "firing_rate_output": [0.25, 1e-7],
        }
    )
    plain, tiny = (str(p.rows[0]) for p in tables.table(frame).parts)
    assert plain.endswith("<td>0.5000</td><td>0.2500</td></tr>")
    assert tiny.count("<td class=s") == 2


def test_a_row_per_network_is_one_table() -> None:
    """Of a sweep: 24 tables of one row each would be none."""
    frame = pd.DataFrame({
        "network": ["a-8", "a-20"], "depth": [8, 20], "top1_max": [91.25, 88.5],
        "top1_max_epoch": [11, 9], "at_chance": [False, True],
    })  # fmt: skip
    made = tables.table(frame)
    assert not made.grouped
    (part,) = made.parts
    assert (part.name, len(part.rows), part.facts) == ("all networks", 2, [])
    text = [re.sub(r"<[^>]+>", " ", str(row)).split() for row in part.rows]
    assert text[0][0] == "a-8"
    assert "11" in text[0]  # an epoch is a whole number, and no percentage
    units = {head.label: head.unit for head in [*part.top, *part.sub]}
    assert units["Test top 1"] == "%"
    assert units["Epoch of best top 1"] == ""
    assert tables.table(frame.assign(block=[0, 1])).grouped  # a row is a place then
    assert tables.table(frame.head(1)).grouped
