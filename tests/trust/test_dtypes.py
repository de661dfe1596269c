"""Half, double and mixed precision, autocast; complex numbers, integers and booleans."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnlens
from snnlens.errors import InputError
from tests.trust import stress
from tests.trust.stress import KINDS, Kind
from tests.trust.tally import Count

pytestmark = pytest.mark.promise("right-under-stress")
OWN = KINDS["snnlens"]
FLOATS = [torch.float16, torch.bfloat16, torch.float64]


def as_(dtype: torch.dtype) -> Callable[[nn.Module], Any]:
    """A change of a model."""
    return lambda model: model.to(dtype)


# snnTorch puts out float32 whatever it gets, and its own linear layers refuse that
@pytest.mark.parametrize("name", [name for name in KINDS if name != "snntorch"])
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_whole_models(name: str, dtype: torch.dtype, tally: Count) -> None:
    kind = KINDS[name]
    count = stress.right(kind, kind.x().to(dtype), as_(dtype))
    tally("dtypes")
    tally("numbers equal to brute force", count)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_a_check_up_and_an_audit_of_them(dtype: torch.dtype, tally: Count) -> None:
    count, _ = stress.right_everywhere(OWN, OWN.x().to(dtype), as_(dtype))
    maps = snnlens.attribute(OWN.make(as_(dtype)), OWN.x().to(dtype), 0, method="saliency")
    assert maps.values.isfinite().all()
    assert maps.values.any()
    tally("dtypes", 2)
    tally("numbers equal to brute force", count)


class Mixed(nn.Module):
    """Each layer in a precision of its own, as where the first and the last are kept whole."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = OWN.build()
        for layer, dtype in zip(self.inside, (torch.float64, None, torch.bfloat16, None, None),
                                strict=True):  # fmt: skip
            layer.to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.inside:
            weight = next(layer.parameters(), x)
            x = layer(x.to(weight.dtype))
        return x


MIXED = Kind(Mixed, ("inside.1", "inside.3"))


@pytest.mark.parametrize("dtype", [torch.float32, *FLOATS], ids=str)
def test_mixed_models_with_any_input(dtype: torch.dtype, tally: Count) -> None:
    count = stress.right(MIXED, MIXED.x().to(dtype))
    tally("dtypes")
    tally("numbers equal to brute force", count)


@pytest.mark.parametrize("name", ["snnlens", "own", "sew"])
def test_autocast(name: str, tally: Count) -> None:
    kind = KINDS[name]
    count = stress.right(kind, kind.x(), around=lambda: torch.autocast("cpu", torch.bfloat16))
    tally("dtypes")
    tally("numbers equal to brute force", count)


def test_the_dtype_of_the_spikes_is_the_models_own(tally: Count) -> None:
    """Observing changes no dtype: neither under autocast nor in half."""
    for change, around in ((as_(torch.float16), torch.no_grad),
                           (None, lambda: torch.autocast("cpu", torch.bfloat16))):  # fmt: skip
        outputs = []
        for observe in (False, True):
            model = OWN.make(change)
            x = OWN.x().to(next(model.parameters()).dtype)
            with around():
                if observe:
                    with snnlens.record(model, stress.PROBES):
                        outputs.append(model(x))
                else:
                    outputs.append(model(x))
        assert outputs[0].dtype == outputs[1].dtype != torch.float32
        assert torch.equal(*outputs)
        tally("dtypes")


# --- what is no floating number -------------------------------------------------------------------


class Taking(nn.Module):
    """A model that makes floating numbers of what it gets: of a complex one its size."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = OWN.build()

    def forward(self, x: Tensor) -> Tensor:
        return self.inside(x.abs() if x.is_complex() else x.float())


TAKING = Kind(Taking, ("inside.1", "inside.3"))
OTHERS = [torch.complex64, torch.bool, torch.uint8, torch.int8, torch.int32, torch.int64]


@pytest.mark.parametrize("dtype", OTHERS, ids=str)
def test_a_model_that_takes_other_numbers(dtype: torch.dtype, tally: Count) -> None:
    """Complex and boolean inputs were a traceback of the check-up, which changes the input."""
    count = stress.right(TAKING, TAKING.x().to(dtype))
    result = stress.checked(TAKING, TAKING.make(), TAKING.x().to(dtype))
    assert "SNL103" not in stress.codes(result)
    (row,) = [r for r in result.extra["checks"].to_dict("records") if r["code"] == "SNL103"]
    assert row["outcome"] == "passed"  # it was tried, not left out
    tally("dtypes")
    tally("numbers equal to brute force", count)


@pytest.mark.parametrize("dtype", OTHERS, ids=str)
def test_a_neuron_refuses_them(dtype: torch.dtype, tally: Count) -> None:
    message = f"the input of a neuron must be of a floating dtype; got {dtype}"
    x = OWN.x().to(dtype)
    for ask in (lambda: snnlens.checkup(snnlens.IF(), x), lambda: snnlens.audit(snnlens.IF(), x),
                lambda: snnlens.record(snnlens.IF()).__enter__().model(x)):  # fmt: skip
        with pytest.raises(InputError) as error:
            ask()
        assert str(error.value) == message
        tally("refused in one line")


@pytest.mark.parametrize("dtype", OTHERS, ids=str)
def test_there_is_no_map_over_them(dtype: torch.dtype, tally: Count) -> None:
    with pytest.raises(InputError, match=r"^the input must be of a floating dtype; got 'torch"):
        snnlens.attribute(Taking(), TAKING.x().to(dtype), 0, method="saliency")
    tally("refused in one line")


def test_infinity_of_a_complex_input_is_named(tally: Count) -> None:
    x = TAKING.x().to(torch.complex64)
    x[0, 0, 0] = complex(0, float("inf"))
    (finding,) = [f for f in snnlens.checkup(Taking(), x).findings if f.code == "SNL301"]
    assert "NaN or infinite numbers in the input of the model: 1;" in finding.evidence
    tally("dtypes")
