"""Watch: one of every so many training steps is recorded, and between them nothing is attached."""

from __future__ import annotations

import copy
import gc
import io
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import snnlens
from snnlens import registry
from snnlens.errors import InputError, NothingToRecord
from snnlens.recording.record import Record
from snnlens.recording.recorder import Recorder
from snnlens.recording.watch import Watch
from tests.trust.tally import Count

FRAME = ["site", "firing_rate", "gradient_norm"]


def model(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 6), snnlens.LIF(), nn.Linear(6, 3), snnlens.IF())


def batch(seed: int) -> Tensor:
    return 3 * torch.rand(4, 2, 5, generator=torch.Generator().manual_seed(seed))


def hooks(net: nn.Module) -> int:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(m, kind)) for m in net.modules() for kind in kinds)


def train(net: nn.Module, steps: int, begin: int = 0) -> list[Tensor]:
    """Plain SGD; the losses."""
    optimiser = torch.optim.SGD(net.parameters(), 0.1)
    losses = []
    for step in range(begin, begin + steps):
        optimiser.zero_grad()
        loss = net(batch(step)).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.detach())
    return losses


def probes() -> list[Any]:
    return [registry.plugin("probes", name)() for name in ("firing_rate", "gradient_norm")]


def test_it_records_every_nth_step_and_the_same_numbers_as_a_recorder() -> None:
    net, twin = model(), model()
    with Watch(net, probes(), every=3) as seen:
        train(net, 7)
    frame = seen.frame()
    assert seen.steps == 7
    assert frame["training_step"].unique().tolist() == [1, 4, 7]
    train(twin, 3)
    with snnlens.record(twin) as rec:  # the fourth step, by the plain recorder
        train(twin, 1, begin=3)
    fourth = frame[frame["training_step"] == 4].reset_index(drop=True)
    assert fourth[FRAME].equals(rec.frame()[FRAME])
    assert fourth["firing_rate"].min() > 0


@pytest.mark.promise("leaves-no-trace")
def test_watching_changes_no_bit_of_a_training(tally: Count) -> None:
    net, twin = model(), model()
    with Watch(net, probes(), every=2):
        watched = train(net, 6)
    assert all(map(torch.equal, watched, train(twin, 6)))
    assert all(map(torch.equal, net.state_dict().values(), twin.state_dict().values()))
    tally("trainings watched")


def test_no_hook_between_the_steps_nor_after_a_sampled_backward() -> None:
    net = model()
    with Watch(net, probes(), every=2):
        for step in range(4):
            assert hooks(net) == 0
            loss = net(batch(step)).sum()
            assert hooks(net) == 0  # what a sampled step still hears are its tensors' gradients
            loss.backward()
            assert hooks(net) == 0


def test_evaluation_and_passes_without_gradients_are_no_steps() -> None:
    net = model()
    with Watch(net, probes(), every=1) as seen:
        net.eval()
        net(batch(0))
        net.train()
        with torch.no_grad():
            net(batch(0))
        assert seen.steps == 0
        with pytest.raises(NothingToRecord) as error:
            seen.frame()
    assert str(error.value) == (
        "the watch must see a training step; got none; call the model in training mode (and watch "
        "the compiled model, not the one inside of it)"
    )


def test_a_sampled_pass_without_its_backward_is_kept_when_the_next_begins() -> None:
    net = model()
    with Watch(net, probes(), every=1) as seen:
        net(batch(0))
        assert seen.record is None
        net(batch(1)).sum().backward()
    frame = seen.frame()
    assert frame["training_step"].tolist() == [1, 1, 2, 2]
    assert frame["gradient_norm"].isna().tolist() == [True, True, False, False]


def test_closing_leaves_the_object_as_it_was() -> None:
    net = model()
    before = set(vars(net))
    seen = Watch(net, probes())
    train(net, 2)
    seen.close()
    seen.close()
    assert set(vars(net)) == before
    assert hooks(net) == 0
    assert net.state_dict().keys() == model().state_dict().keys()


def test_a_forward_of_the_objects_own_comes_back() -> None:
    net = model()
    own = net.forward
    net.forward = own
    with Watch(net, probes()):
        assert net.forward is not own
    assert vars(net)["forward"] is own


def test_an_error_in_the_model_goes_through_and_leaves_nothing() -> None:
    net = model()
    net[3].register_forward_hook(lambda *_: 1 / 0)
    with Watch(net, probes(), every=1) as seen, pytest.raises(ZeroDivisionError):
        net(batch(0))
    assert hooks(net) == 1
    assert seen.record is None


def test_a_copy_and_a_pickle_are_not_watched() -> None:
    net = model()
    with Watch(net, probes(), every=1) as seen:
        twin = copy.deepcopy(net)
        twin(batch(0)).sum().backward()
        file = io.BytesIO()
        torch.save(net, file)
        file.seek(0)
        read = torch.load(file, weights_only=False)  # the test's own object
        assert torch.equal(read(batch(0)), net(batch(0)))
        assert seen.steps == 1
        twin[0].weight.data.zero_()
        assert not torch.equal(twin(batch(0)), net(batch(0)))


def _alive() -> tuple[int, ...]:
    """Records, frames, recorders and tensors that the process holds."""
    for _ in range(3):  # what others left may need more than one round
        gc.collect()
    kinds = (Record, pd.DataFrame, Recorder, Tensor)
    return tuple(sum(issubclass(type(o), kind) for o in gc.get_objects()) for kind in kinds)


def test_nothing_more_is_held_after_a_hundred_steps_than_after_forty() -> None:
    net, held = model(), []
    with Watch(net, probes(), every=2, keep=3) as seen:
        for steps in (40, 60):
            train(net, steps)
            held.append(_alive())
    # other tests' tensors may still go, so fewer is no fault; a leak is at least one per record
    assert all(later <= earlier for earlier, later in zip(*held, strict=True)), held
    assert len(seen.frame()) == 3 * 2


def test_every_record_is_handed_over() -> None:
    net, told = model(), []
    with snnlens.watch(net, every=2, on_record=lambda step, rec: told.append((step, rec))):
        train(net, 4)
    assert [step for step, _ in told] == [1, 3]
    assert all(rec.frame()["gradient_norm"].notna().all() for _, rec in told)


@pytest.mark.parametrize("name", ["every", "keep"])
def test_a_number_below_1_is_an_error(name: str) -> None:
    with pytest.raises(InputError, match=rf"^{name} must be a whole number of at least 1; got 0$"):
        Watch(model(), probes(), **{name: 0})


def test_a_model_without_spikes_is_an_error_at_once() -> None:
    with pytest.raises(NothingToRecord):
        snnlens.watch(nn.Linear(2, 2))


@pytest.mark.parametrize("every", [0, 2.5, "5", None])
def test_every_is_a_whole_number(every: Any) -> None:
    with pytest.raises(InputError, match="every must be a whole number of at least 1; got"):
        Watch(model(), probes(), every=every)


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(InputError, match=r"the model must be a torch.nn.Module; got 'list'"):
        Watch([model()], probes())  # type: ignore[arg-type]
