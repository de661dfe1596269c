"""SNL601: a map of zeros, which says nothing and looks like an answer."""

from __future__ import annotations

import math
from typing import Any

import pytest

from snnlens.checks.zero_map import ZeroMap
from snnlens.recording.record import Record
from tests.unit.attribution_record import Net, change, record, without
from tests.unit.checks.converted import OTHER
from tests.unit.checks.handmade import only, passes, reason

CHECK = ZeroMap()


def zeroed(made: Record, *maps: dict[str, Any]) -> Record:
    """The same Record whose maps of these are zero."""
    for where in maps:
        change(made, "attribution_maps", where, absolute=0.0, total=0.0)
    return made


def test_maps_that_are_not_zero() -> None:
    assert passes(CHECK, record(Net(), Net("image", static=True)))


def test_every_map_is_an_error() -> None:
    finding = only(CHECK, zeroed(record(), {}))
    assert (finding.severity, finding.site) == ("error", None)
    assert finding.evidence == (
        "net: all 12 maps are zero (ig, saliency, gradcam and 1 more; N = 3 samples, T = 4); "
        "largest |f(x) - f(baseline)| of these 3.5"
    )


def test_a_silent_layer_is_named() -> None:
    made = zeroed(record(), {})
    change(made, "attribution_maps", {}, score=0.5)
    finding = only(CHECK, change(made, "attribution_layers", {"site": "layer2"}, spikes=0))
    assert finding.site == "layer2"
    assert finding.evidence.endswith("|f(x) - f(baseline)| of these 0; 0 spikes in layer2")
    both = change(made, "attribution_layers", {}, spikes=0)
    assert only(CHECK, both).evidence.endswith("; 0 spikes in layer1, layer2")
    assert only(CHECK, both).site == "layer1"


def test_methods_that_are_zero_everywhere() -> None:
    finding = only(CHECK, zeroed(record(), {"method": "ig"}, {"method": "saliency"}))
    assert finding.severity == "warning"
    assert finding.evidence == (
        "net: in all 3 samples zero: the maps of ig, saliency; largest |f(x) - f(baseline)| of "
        "these 3.5"
    )


def test_samples_that_are_zero_everywhere() -> None:
    finding = only(CHECK, zeroed(record(), {"sample": 1}))
    assert finding.severity == "warning"
    assert finding.evidence == (
        "net: of all 4 methods zero: the maps of 1 sample of 3 (1); largest |f(x) - f(baseline)| "
        "of these 2.5"
    )


def test_single_maps() -> None:
    of_sam = ({"method": "sam", "sample": sample} for sample in (0, 2))
    finding = only(CHECK, zeroed(record(), *of_sam, {"method": "ig", "sample": 2}))
    assert finding.severity == "warning"
    assert finding.evidence == (
        "net: zero: the maps of ig of 1 sample (2), sam of 2 samples (0, 2); largest |f(x) - "
        "f(baseline)| of these 3.5"
    )


def test_one_finding_per_kind() -> None:
    """A whole method, a whole sample, and one map beside them; each map in one of them alone."""
    made = zeroed(record(), {"method": "ig"}, {"sample": 1}, {"method": "sam", "sample": 0})
    evidence = [f.evidence.partition("; largest")[0] for f in CHECK.findings(made)]
    assert evidence == [
        "net: in all 3 samples zero: the maps of ig",
        "net: of all 4 methods zero: the maps of 1 sample of 3 (1)",
        "net: zero: the maps of sam of 1 sample (0)",
    ]


def test_of_a_static_image_both_places_count() -> None:
    """Each by itself, with its place where a method has two."""
    made = zeroed(record(Net(static=True)), {"method": "ig", "place": "input"})
    assert only(CHECK, made).evidence.startswith(
        "net: in all 3 samples zero: the maps of ig over input;"
    )
    both = zeroed(made, {"method": "ig"}, {"method": "sam"})
    assert only(CHECK, both).evidence.startswith(
        "net: in all 3 samples zero: the maps of ig over layer1, ig over input, sam;"
    )


def test_one_sample() -> None:
    made = zeroed(record(Net(samples=1)), {"method": "ig"})
    found = [f.evidence for f in CHECK.findings(made)]
    assert found == [
        "net: in the one sample zero: the maps of ig; largest |f(x) - f(baseline)| of these 1.5"
    ]


@pytest.mark.parametrize("absolute", [1e-300, math.nan])
def test_small_is_not_zero(absolute: float) -> None:
    assert passes(CHECK, change(record(), "attribution_maps", {}, absolute=absolute))


def test_without_layers() -> None:
    made = without(zeroed(record(), {}), "attribution_layers")
    assert only(CHECK, made).evidence.endswith("of these 3.5")


def test_each_network_by_itself() -> None:
    made = zeroed(record(Net("a"), Net("b")), {"network": "b"})
    assert only(CHECK, made).evidence.startswith("b: all 12 maps are zero")


def test_another_question() -> None:
    assert reason(CHECK, OTHER) == (
        "the record holds no attribution_maps; `snnlens attribution` makes one that does"
    )


def test_methods_in_the_order_of_the_run() -> None:
    made = record(Net(methods=("saliency", "ig", "gradcam")))
    zeroed(made, {"method": "saliency", "sample": 0}, {"method": "ig", "sample": 1})
    assert only(CHECK, made).evidence.startswith(
        "net: zero: the maps of saliency of 1 sample (0), ig of 1 sample (1); largest"
    )
