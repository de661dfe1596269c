"""What the page says of explained networks: methods, works to cite, headings, its figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from snnlens import api
from snnlens.analysis import attribution
from snnlens.report import build, svg
from snnlens.report.citations import OF_METHODS, bibtex
from snnlens.report.columns import COLUMNS, column
from snnlens.report.methods import methods
from tests.unit.attribution_nets import Net
from tests.unit.attribution_record import record


def facts(**more: Any) -> dict[str, Any]:
    return record(Net(facts=more)).networks["net"]


def test_methods() -> None:
    assert methods({"net": facts(random_orders=10, belief="all")}, {}) == (
        "The network net was measured. Attribution by ig, saliency, gradcam, sam (64 points a "
        "path), of 3 samples, each from rest, BatchNorm in evaluation mode; score: the output "
        "averaged over its time axis; baseline: zeros. Gradients are those of the surrogate. Maps "
        "were judged by deletion and insertion against 10 random orders; by infidelity, "
        "sensitivity, and the maps of variants. The input: planted events; T = 4; seed 0."
    )


def test_methods_of_an_image_and_of_maps_that_nobody_judged() -> None:
    text = methods({"net": facts(static=True, belief="none", complete={"sam": False})}, {})
    assert "points a path" not in text
    assert "; maps with time lie over the spikes of layer1. Gradients" in text
    assert "judged" not in text
    assert "judged by deletion and insertion against random orders." in methods(
        {"net": facts()}, {}
    )


def test_other_questions_say_nothing_of_attribution() -> None:
    assert "ttribution" not in methods({"mine": {"time_steps": 4}}, {})
    assert "captum" not in bibtex([{"neuron": "IF"}])


def keys(**more: Any) -> list[str]:
    text = bibtex([facts(**more)])
    return [line.partition("{")[2].strip(",") for line in text.splitlines() if line[:1] == "@"]


def test_works_to_cite() -> None:
    assert keys(belief="all") == [
        "sundararajan2017axiomatic", "selvaraju2017gradcam", "kim2021visual", "petsiuk2018rise",
        "yeh2019infidelity", "adebayo2018sanity", "kokhlikyan2020captum",
    ]  # fmt: skip
    alone = {"claims_relevance": {"tsa": True}}
    assert keys(**alone, belief="curves") == ["nguyen2023feature", "petsiuk2018rise"]
    assert keys(**alone, belief="none") == ["nguyen2023feature"]
    assert "fang2021deep" in keys(model="sew_resnet18")


def test_every_entry_is_whole() -> None:
    for entry in bibtex([facts(belief="all", claims_relevance=dict.fromkeys(
        name for names in OF_METHODS.values() for name in names))]).split("\n\n"):  # fmt: skip
        assert entry.startswith("@")
        assert entry.count("{") == entry.count("}")
        assert all(f"  {field} " in entry for field in ("title", "author", "year", "eprint"))


def test_every_column_of_the_answer_has_its_heading() -> None:
    result = attribution.compute(record())
    assert [c for c in result.table if c not in COLUMNS] == []
    assert column("random_insertion_steps_low", {}).full == "random insertion over (steps, low)"
    assert COLUMNS["deletion_pixels"].unit == COLUMNS["score"].unit == "score"
    for name in ("summary", "areas"):
        assert [c for c in result.extra[name] if c not in COLUMNS and c != "title"] in (
            [],
            ["over"],
        )


@pytest.mark.parametrize("static", [False, True])
def test_the_page(tmp_path: Path, static: bool) -> None:
    """Its pictures are kept, what its caption says is said once, and its notes are there."""
    folder = tmp_path / "run"
    api.save(api.analyse("attribution", record(Net(static=static, samples=1))), folder)
    drawing = str(svg.figure(folder / "figure.svg", "run-", "title"))
    raw = (folder / "figure.svg").read_text(encoding="utf-8")
    assert drawing.count("<image") == raw.count("<image") > 10
    assert "image-rendering:pixelated" in drawing
    page = build.build([folder])
    assert "not the difference of a step function" in page
    assert "Axiomatic Attribution for Deep Networks" in page
    assert "Attribution by ig" in page
