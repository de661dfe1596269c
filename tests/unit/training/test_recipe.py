"""Recipe: the paper's defaults, learning rates against torch's schedulers, wrong options."""

from __future__ import annotations

import pytest
import torch

from snnlens.errors import InputError
from snnlens.training.recipe import Recipe


def test_defaults_are_the_papers() -> None:
    recipe = Recipe()
    assert (recipe.optimiser, recipe.lr, recipe.momentum, recipe.weight_decay) == (
        "sgd",
        0.1,
        0.9,
        0,
    )
    assert (recipe.schedule, recipe.batch, recipe.clip, recipe.augment) == (
        "cosine", 32, None, ("none",),
    )  # fmt: skip


@pytest.mark.parametrize("schedule", ["cosine", "constant", "step:1", "step:7", "step:64"])
def test_learning_rates_are_those_of_torch(schedule: str) -> None:
    recipe = Recipe(epochs=30, lr=0.3, schedule=schedule)
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    kinds = torch.optim.lr_scheduler
    if schedule == "cosine":
        scheduler: kinds.LRScheduler = kinds.CosineAnnealingLR(optimiser, 30)
    elif schedule == "constant":
        scheduler = kinds.ConstantLR(optimiser, 1.0)
    else:
        scheduler = kinds.StepLR(optimiser, int(schedule[5:]), 0.1)
    for epoch in range(30):
        # torch's cosine is a recursion: its rounding adds up to a few eps over 30 epochs
        assert recipe.learning_rate(epoch) == pytest.approx(
            optimiser.param_groups[0]["lr"], rel=1e-12
        )
        optimiser.step()
        scheduler.step()


def test_records_are_due_at_the_start_every_n_epochs_and_at_the_end() -> None:
    assert [e for e in range(8) if Recipe(epochs=7, record_every=3).records_after(e)] == [
        0,
        3,
        6,
        7,
    ]
    assert not any(Recipe(epochs=7, record_every=0).records_after(e) for e in range(8))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1; got 0"),
        ({"batch": 0}, "batch must be at least 1; got 0"),
        ({"record_every": -1}, "record_every must be at least 0; got -1"),
        ({"train_steps": 0}, "train_steps must be at least 1; got 0"),
        ({"lr": 0.0}, "lr must be a finite number above 0; got 0.0"),
        ({"lr": float("nan")}, "lr must be a finite number above 0; got nan"),
        ({"clip": -1.0}, "clip must be a finite number above 0; got -1.0"),
        ({"momentum": 1.0}, "momentum must be at least 0 and below 1; got 1.0"),
        ({"weight_decay": -0.1}, "weight_decay must be at least 0 and below 1; got -0.1"),
        ({"schedule": "step:0"}, "schedule must be cosine, constant or step:N; got 'step:0'"),
        ({"schedule": "linear"}, "schedule must be cosine, constant or step:N; got 'linear'"),
        ({"augment": "rotate"}, "augment must be none, crop, flip or crop,flip; got 'rotate'"),
        (
            {"augment": "none,flip"},
            "augment must be none, crop, flip or crop,flip; got 'none,flip'",
        ),
        (
            {"augment": "flip,flip"},
            "augment must be none, crop, flip or crop,flip; got 'flip,flip'",
        ),
    ],
)
def test_wrong_options(given: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as error:
        Recipe(**given)  # type: ignore[arg-type]
    assert str(error.value) == message
