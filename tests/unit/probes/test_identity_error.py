"""identity_error against O - S of kept tensors; the capability against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from snnlens.models.resnet import resnet
from snnlens.neuron.layers import IF, LIF, PLIF, Neuron
from snnlens.probes.identity_error import IdentityError
from snnlens.recording.recorder import Recorder
from snnlens.sites import Site
from tests.unit.recording import brute

KINDS = [("spiking", None), ("sew", "add"), ("sew", "and"), ("sew", "iand"), ("plain", None),
         ("ms", None), ("ann", None)]  # fmt: skip


@pytest.mark.parametrize(("residual", "connect"), KINDS)
def test_against_brute_force(residual: str, connect: str | None) -> None:
    model, x = brute.small(residual, connect, depth=14), brute.batch()
    kept = brute.keep_all(model, x)
    with Recorder(model, [IdentityError()]) as recorder:
        model(x)
    frame = recorder.frame().set_index("site")
    steps = recorder.frame(per_step=True).set_index(["site", "step"])
    seen = 0
    for block in model.plan.blocks:
        row = frame.loc[f"{block.name}.output"]
        if block.kind == "downsample":
            assert math.isnan(row["identity_error"])
            continue
        seen += 1
        s, o = kept[f"{block.name}.input"].value, kept[f"{block.name}.output"].value
        # O - S is taken in float32
        error = np.linalg.norm(o - s) / np.linalg.norm(s)
        assert row["identity_error"] == pytest.approx(error, rel=1e-6)
        assert row["mismatch_share"] == np.mean(o != s)
        error = np.linalg.norm(o[-1] - s[-1]) / np.linalg.norm(s[-1])
        at = steps.loc[(f"{block.name}.output", len(s) - 1)]
        assert at["identity_error"] == pytest.approx(error, rel=1e-6)
        if residual == "plain":
            assert math.isnan(row["capability_error"])  # never 0: it has no identity value
            assert math.isnan(row["capability_mismatch_share"])
        elif connect != "add" or block.position == 0:
            assert row["capability_error"] == 0
            assert row["capability_mismatch_share"] == 0
    assert seen == 4
    neurons = frame[frame["role"] == "neuron"]
    assert neurons["identity_error"].isna().all()


def test_capability_is_the_block_at_its_identity_value() -> None:
    """By hand for Spiking: SN(0 + S) of a fresh neuron, whatever the weights are."""
    for neuron in (
        IF(1.5),
        LIF(2.0, threshold=0.6),
        IF(0.5, reset="soft"),
        LIF(2.0, threshold=0.5),
    ):
        model = brute.small("spiking", neuron=neuron, depth=14)
        # a high threshold needs large currents, or nothing fires at all
        with torch.no_grad():
            model.bn1.weight.fill_(3)
        x = brute.batch()
        kept = brute.keep_all(model, x)
        with Recorder(model, [IdentityError()]) as recorder:
            model(x)
        frame = recorder.frame().set_index("site")
        for block in (b for b in model.plan.blocks if b.kind == "identity"):
            s = kept[f"{block.name}.input"].value
            at_identity = neuron.twin()(torch.tensor(s)).numpy()
            row = frame.loc[f"{block.name}.output"]
            if not s.any():
                assert math.isnan(row["capability_error"])
                continue
            error = np.linalg.norm(at_identity - s) / np.linalg.norm(s)
            assert row["capability_error"] == pytest.approx(error, abs=1e-12)
            assert row["capability_mismatch_share"] == np.mean(at_identity != s)
        possible = neuron.is_identity(3)
        first = frame.loc["layer1.0.output"]
        assert (first["capability_mismatch_share"] == 0) == possible


@pytest.mark.parametrize("neuron", [IF(), LIF(2.0), PLIF(3.3, threshold=0.7)], ids=str)
def test_capability_of_sew_and_is_its_firing_bias(neuron: Neuron) -> None:
    """Not zero-initialised, yet every AND block could be the identity: A = 1 by a bias."""
    model = brute.small("sew", "and", neuron=neuron, depth=14)
    with torch.no_grad():
        model.bn1.weight.fill_(5)
    with Recorder(model, [IdentityError()]) as recorder:
        model(brute.batch())
    row = recorder.frame().set_index("site").loc["layer1.0.output"]
    assert row["capability_mismatch_share"] == 0
    assert row["mismatch_share"] > 0


def test_zero_init_has_no_error() -> None:
    for residual, connect in KINDS[:4]:
        model = brute.small(residual, connect, zero_init=True, depth=14)
        with Recorder(model, [IdentityError()]) as recorder:
            model(brute.batch())
        frame = recorder.frame().dropna(subset="mismatch_share")
        assert len(frame) == 4
        assert (frame[["identity_error", "mismatch_share", "capability_error"]] == 0).all(axis=None)


class Lone(nn.Module):
    """One block whose input is chosen."""

    def __init__(self) -> None:
        super().__init__()
        self.block = resnet(8, residual="spiking", layout="cifar", seed=0).get_submodule("layer1.0")

    def sites(self) -> list[Site]:
        return [Site("o", "block", "output", "block_output", block_kind="identity")]

    def forward(self, s: Tensor) -> Tensor:
        return self.block(s)


def test_a_silent_input_gives_null_and_never_zero() -> None:
    model = Lone()
    with Recorder(model, [IdentityError()]) as recorder:
        model(torch.zeros(2, 1, 16, 4, 4))
    row = recorder.frame().iloc[0]
    assert math.isnan(row["identity_error"])
    assert math.isnan(row["capability_error"])
    assert row["capability_mismatch_share"] == 0  # nothing differs, over a stated count
    assert row["mismatch_share"] >= 0


def test_batches_add_up() -> None:
    model = Lone()
    trains = [(torch.rand(3, b, 16, 4, 4, generator=torch.Generator().manual_seed(b)) > 0.5).float()
              for b in (2, 5)]  # fmt: skip
    with Recorder(model, [IdentityError()]) as recorder:
        outputs = [model(s).detach() for s in trains]
    errors = sum(float((o - s).square().sum()) for o, s in zip(outputs, trains, strict=True))
    wrong = sum(int((o != s).sum()) for o, s in zip(outputs, trains, strict=True))
    row = recorder.frame().iloc[0]
    squares = sum(float(s.sum()) for s in trains)
    assert row["identity_error"] == pytest.approx(math.sqrt(errors / squares), rel=1e-12)
    assert row["mismatch_share"] == wrong / sum(s.numel() for s in trains)
