"""What the converter sees of a network, and what it does to it."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from snnlens.conversion.prepare import prepare, refuse
from snnlens.conversion.watching import passed
from snnlens.errors import InputError
from tests.unit.conversion.nets import Branches, Functional, Untraceable, branches, relus


def test_the_ann_stays_as_it_was() -> None:
    ann, _ = branches()
    ann.train()
    before = copy.deepcopy(ann.state_dict())
    prepare(ann)
    assert ann.training
    assert all(torch.equal(v, before[k]) for k, v in ann.state_dict().items())


@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize("make", [branches, relus])
def test_folded_and_eval_are_equal(make, folded: bool) -> None:  # type: ignore[no-untyped-def]
    ann, x = make()
    made = prepare(ann, folded=folded)
    # sums of up to 54 products in float64, in another order
    assert torch.allclose(made.network(x), ann(x), rtol=0, atol=1e-12)
    outcomes = dict(zip(made.coverage["module"], made.coverage["outcome"], strict=True))
    assert outcomes["b1"] == outcomes["b2"] == ("folded" if folded else "kept")
    assert any(isinstance(m, nn.BatchNorm2d) for m in made.network.modules()) is not folded


def test_every_activation_is_a_module() -> None:
    made = prepare(Functional())
    assert made.activations == ("relu_1", "relu_2", "clamp", "relu", "relu_3")
    assert len({id(made.activation(n)) for n in made.activations}) == 5
    x = torch.randn(4, 6)
    ann = Functional().eval()
    assert torch.equal(prepare(ann).network(x), ann(x))


def test_sums_and_their_shortcuts() -> None:
    assert prepare(Branches()).adds == {"add": 1}  # b += a: a is the shortcut

    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.r, self.b = nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.r(self.a(x))
            return x + self.b(x)

    assert prepare(Turned()).adds == {"add": 0}


def test_max_pools() -> None:
    ann = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    kept = prepare(ann)
    assert list(kept.coverage["outcome"]) == ["kept", "replaced", "analog", "kept"]
    assert not kept.refused
    averaged = prepare(ann, pool="average")
    x = torch.rand(2, 3, 6, 6)
    pooled = nn.functional.avg_pool2d(torch.relu(ann[0](x)), 2).flatten(1)
    assert torch.equal(averaged.network(x), pooled)
    assert averaged.coverage["outcome"].tolist()[2] == "kept"


def test_untraceable() -> None:
    made = prepare(Untraceable())
    assert not made.traced
    assert made.activations == ("act",)
    assert made.coverage["module"].tolist()[-1] == "(forward)"
    assert "torch.fx cannot trace it" in made.coverage["why"].iloc[-1]


def test_all_that_is_refused_is_named_at_once() -> None:
    ann = nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.LayerNorm(4), nn.ReLU(), nn.Softmax(1))
    with pytest.raises(InputError) as error:
        refuse(prepare(ann))
    assert str(error.value) == (
        "the layers of the network must be linear, pooling, ReLU or QCFS; got "
        "'1 (GELU), 2 (LayerNorm), 4 (Softmax)'; replace them and train again, or leave them "
        "analog with partial=True (--partial)"
    )


def test_functions_that_are_refused() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.relu = nn.Linear(4, 4), nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.relu(self.fc(x))
            return torch.sigmoid(x) * x + 2 * x

    assert [kind for _, kind in prepare(Odd()).refused] == ["sigmoid", "mul"]


def test_without_activations() -> None:
    with pytest.raises(InputError, match="with activations that spikes can stand for"):
        prepare(nn.Linear(3, 2))


def test_a_convolution_whose_output_goes_two_ways_is_not_folded() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.bn, self.relu = nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.fc(x)
            return self.relu(self.bn(x)) + x

    ann = Twice().eval()
    ann.bn.running_mean.uniform_(-1, 1)
    x = torch.rand(3, 4)
    assert torch.allclose(prepare(ann).network(x), ann(x))


class InPlace(nn.Module):
    """`relu` works in place; where `again` its input is used once more, changed by then."""

    def __init__(self, *, again: bool) -> None:
        super().__init__()
        self.a, self.relu, self.b, self.again = (
            nn.Linear(5, 5),
            nn.ReLU(inplace=True),
            nn.Linear(5, 5),
            again,
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.a(x)
        y = self.b(self.relu(z))
        return y + z if self.again else y


def test_activations_in_place() -> None:
    """What an activation was given is seen as it was; a network that relies on it is told."""
    torch.manual_seed(0)
    x, ann = torch.randn(20, 5), InPlace(again=False)
    made = prepare(ann)
    made.check(ann, x)
    seen = passed(made.network, made, x)
    assert (seen.inputs["relu"] < 0).any()
    assert ann.relu.inplace
    assert ann.training
    other = InPlace(again=True)
    with pytest.raises(InputError, match="the same by both; got 'one whose logits change by"):
        prepare(other).check(other, x)
