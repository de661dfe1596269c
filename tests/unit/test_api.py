"""The public functions, as the issue's Python example uses them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional

import snnlens
from snnlens import api
from snnlens.errors import InputError, NothingToRecord
from snnlens.recording.probe import Probe, Sums
from snnlens.recording.record import Column, Quantity
from snnlens.recording.store import load_result
from snnlens.sites import Site
from tests.unit.runs import TINY, answered, made, saved

QUESTIONS = ["gradients", "identity", "rates"]

LISTED = "attribution, audit, checkup, conversion, degradation, gradients, identity, rates, train"


@pytest.fixture(scope="module")
def recorded() -> Any:
    """One SEW network, recorded as in the issue's example."""
    neuron = snnlens.IF(threshold=1.0, surrogate=snnlens.ATan(alpha=2.0))
    model = snnlens.resnet(
        18, residual="sew", connect="add", neuron=neuron, time_steps=2, classes=10, seed=0
    )
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(4, 3, 32, 32, generator=generator), torch.arange(4)
    with snnlens.record(model) as rec:
        functional.cross_entropy(model(x), y).backward()
    return rec


def test_the_example_of_the_issue(recorded: Any, tmp_path: Path) -> None:
    frame = recorded.frame()
    assert frame["site"].is_unique
    assert {"firing_rate", "gradient_norm", "block", "stage", "area", "block_kind"} <= set(frame)
    steps = recorded.frame(per_step=True)
    assert len(steps) == 2 * len(frame)  # T = 2
    recorded.save(tmp_path / "mine")
    loaded = snnlens.load(tmp_path / "mine")
    pd.testing.assert_frame_equal(loaded.frame(), frame)
    result = snnlens.analyse("gradients", loaded)
    inputs = frame[frame["role"] == "block_input"]
    np.testing.assert_array_equal(result.table["gradient_norm"], inputs["gradient_norm"])
    assert set(result.table["network"]) == {"model"}
    with pytest.raises(InputError) as error:
        recorded.save(tmp_path / "mine")
    assert str(error.value) == (
        f"the output folder must be new; got '{tmp_path / 'mine'}'; add --force to replace it, or "
        "choose another with -o"
    )
    recorded.save(tmp_path / "mine", force=True)


def test_a_recorder_is_analysed_as_its_record_is(recorded: Any) -> None:
    one, other = (snnlens.analyse("rates", r) for r in (recorded, recorded.record()))
    pd.testing.assert_frame_equal(one.frame(), other.frame())
    assert one.claims == other.claims


def test_a_recorded_network_is_drawn_and_saved_with_its_result(
    recorded: Any, tmp_path: Path
) -> None:
    for question in ("gradients", "rates"):
        result = snnlens.analyse(question, recorded)
        api.save(result, tmp_path / question)
        again = load_result(tmp_path / question)
        assert again is not None
        pd.testing.assert_frame_equal(again.table, result.table)
        assert (again.claims, again.findings, again.caption) == (
            result.claims, result.findings, result.caption,
        )  # fmt: skip
        assert (tmp_path / question / "figure.svg").stat().st_size > 1000


@pytest.mark.parametrize("question", QUESTIONS)
def test_run_analyse_save_load_analyse(question: str) -> None:
    """The record from the disk gives the same answer, number by number, as the one in memory."""
    result = answered(question)
    again = snnlens.analyse(question, snnlens.load(saved(question)))
    pd.testing.assert_frame_equal(again.table, result.table)
    assert (again.claims, again.findings, again.caption) == (
        result.claims, result.findings, result.caption,
    )  # fmt: skip


def test_answer_is_run_analyse_and_save(tmp_path: Path) -> None:
    options = TINY | {"residual": "spiking"}
    result = api.answer("rates", tmp_path / "run", **options)
    kept = load_result(tmp_path / "run")
    assert kept is not None
    pd.testing.assert_frame_equal(kept.table, result.table)
    with pytest.raises(InputError, match="the output folder must be new"):
        api.answer("rates", tmp_path / "run", **options)


# --- what cannot be answered -------------------------------------------------------------------


@pytest.mark.parametrize("call", [api.run, api.parameters])
def test_an_unknown_question(call: Any) -> None:
    with pytest.raises(InputError) as error:
        call("gradient", *([{}] if call is api.parameters else []))
    assert str(error.value) == f"question must be one of {LISTED}; got 'gradient'"


def test_an_unknown_analysis() -> None:
    with pytest.raises(InputError) as error:
        snnlens.analyse("gradient", made("rates"))
    assert str(error.value) == f"analysis must be one of {LISTED}; got 'gradient'"


def test_an_unknown_parameter_names_the_known_ones() -> None:
    with pytest.raises(InputError) as error:
        snnlens.run("rates", dept=18)
    names = ", ".join(snnlens.api.registry.module("experiments", "rates").Params.model_fields)
    assert str(error.value) == f"a parameter must be one of {names}; got 'dept'"


def test_an_unknown_probe() -> None:
    with pytest.raises(InputError) as error:
        snnlens.record(nn.Sequential(snnlens.IF()), probes=["rate"])
    assert str(error.value).startswith("probe must be one of batch_norm, channel_rate, ")
    assert str(error.value).endswith("; got 'rate'")


def test_a_model_without_a_spiking_site() -> None:
    with pytest.raises(NothingToRecord) as error:
        snnlens.record(nn.Linear(3, 3))
    assert error.value.exit_code == 5


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_record_without_blocks(question: str) -> None:
    model = nn.Sequential(nn.Linear(3, 3), snnlens.IF(), nn.Linear(3, 3), snnlens.IF())
    with snnlens.record(model, ["firing_rate", "gradient_norm"]) as recorder:
        model(torch.rand(2, 4, 3)).sum().backward()
    with pytest.raises((NothingToRecord, InputError)) as error:
        snnlens.analyse(question, recorder)
    wanted = {
        "gradients": "the record must hold residual blocks; got none; record a model whose sites() "
        "list block inputs and outputs",
        "identity": "this record must be one that holds identity_error; got 'without "
        'identity_error\'; record it with probes=[..., "identity_error"]',
    }
    assert str(error.value) == wanted.get(question, wanted["gradients"])


def test_a_record_without_a_backward_pass() -> None:
    model = snnlens.resnet(8, layout="cifar", classes=10, time_steps=1, seed=0)
    with snnlens.record(model) as recorder:
        model(torch.rand(2, 3, 8, 8))
    with pytest.raises(InputError) as error:
        snnlens.analyse("gradients", recorder)
    assert str(error.value).startswith("this record must be one that holds gradient_norm; got ")


def test_a_record_of_gradients_alone() -> None:
    model = snnlens.resnet(8, layout="cifar", classes=10, time_steps=1, seed=0)
    with snnlens.record(model, probes=["gradient_norm"]) as recorder:
        model(torch.rand(2, 3, 8, 8)).sum().backward()
    table = snnlens.analyse("gradients", recorder).table
    assert table["gradient_norm"].notna().all()
    assert table["firing_rate_input"].isna().all()


def test_several_batches(tmp_path: Path) -> None:
    model = snnlens.resnet(8, layout="cifar", classes=10, time_steps=1, seed=0)
    with snnlens.record(model) as recorder:
        for _ in range(2):
            model(torch.rand(2, 3, 8, 8)).sum().backward()
    result = snnlens.analyse("gradients", recorder)
    api.save(result, tmp_path / "run")
    assert [f.code for f in result.findings if f.code == "SNL901"] == []


# --- one's own probe ---------------------------------------------------------------------------


class Mean(Probe):
    """A probe from outside: the mean of each block's output."""

    name = "mean_output"
    roles = frozenset({"block_output"})
    columns = {"all": Column(), "count": Column()}
    quantities = {"mean_output": Quantity("ratio", ("all", "count"), "spikes")}

    def value(self, site: Site, x: torch.Tensor) -> Sums:
        per_step = x.flatten(1)
        return {"all": per_step.sum(1), "count": torch.full((len(x),), per_step.shape[1])}


def test_an_object_is_taken_where_a_name_is(tmp_path: Path) -> None:
    model = snnlens.resnet(8, layout="cifar", classes=10, time_steps=2, seed=0)
    with snnlens.record(model, probes=["firing_rate", Mean()]) as recorder:
        model(torch.rand(2, 3, 8, 8))
    frame = snnlens.load(recorder.save(tmp_path / "run")).frame()
    outputs = frame[frame["role"] == "block_output"]
    # float32 sums of counts are exact
    np.testing.assert_allclose(outputs["mean_output"], outputs["firing_rate"], rtol=1e-7)


# --- the names that the package shows ----------------------------------------------------------


def test_public_names() -> None:
    assert snnlens.__all__ == [
        "ATan", "Constant", "IF", "InputError", "LIF", "NothingToRecord", "PLIF", "QCFS",
        "Rectangular", "Sigmoid", "Site", "SnnlensError", "SuperSpike", "Triangular", "__version__",
        "analyse", "attribute", "attribution", "audit", "bridge", "checkup", "conversion",
        "convert", "load", "record", "resnet", "run", "watch",
    ]  # fmt: skip
    for name in snnlens.__all__:
        assert getattr(snnlens, name)
    assert dir(snnlens) == snnlens.__all__
    assert isinstance(snnlens.__version__, str)
    with pytest.raises(AttributeError) as error:
        snnlens.check  # noqa: B018
    assert str(error.value) == "module 'snnlens' has no attribute 'check'"


def test_report_gives_sizes(tmp_path: Path) -> None:
    sizes = api.report([saved("rates")], tmp_path / "page.html")
    assert sum(sizes.values()) == (tmp_path / "page.html").stat().st_size


def test_a_loaded_result_has_no_drawing() -> None:
    result = load_result(saved("rates"))
    assert result is not None
    with pytest.raises(snnlens.SnnlensError) as error:
        result.plot()
    assert str(error.value) == "this result has no drawing; compute it with snnlens.analyse"
