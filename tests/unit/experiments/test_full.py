"""Full float32: set while a network is recorded, put back after it, whatever happened."""

from __future__ import annotations

import pytest
import torch

from snnlens import api
from snnlens.experiments._full import full_float32
from snnlens.models.resnet import ResNet

TINY = {"depth": 18, "batch": 2, "image_size": 32, "data": "random"}


def setting() -> tuple[bool, bool]:
    return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32


@full_float32()
def broken() -> None:
    assert setting() == (False, False)
    raise ZeroDivisionError


@pytest.mark.parametrize("before", [(True, False), (False, True)])
def test_what_was_set_comes_back_after_an_error(before: tuple[bool, bool]) -> None:
    kept = setting()
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
    try:
        with pytest.raises(ZeroDivisionError):
            broken()
        assert setting() == before
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = kept


@pytest.mark.parametrize("question", ["gradients", "rates", "identity"])
def test_a_question_is_measured_in_it(question: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    forward = ResNet.forward
    monkeypatch.setattr(
        ResNet,
        "forward",
        lambda *given, **named: (seen.append(setting()), forward(*given, **named))[1],
    )
    before = setting()
    api.run(question, **TINY)
    assert set(seen) == {(False, False)}
    assert setting() == before != (False, False)
