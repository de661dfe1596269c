"""What a model is shown: files, data sets, tensors; its outputs; the loss. A line per mistake."""

from __future__ import annotations

import hashlib
import textwrap
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from snnlens.data import images
from snnlens.errors import InputError
from snnlens.experiments._batch import (
    MADE_WITH,
    Batch,
    described,
    forward,
    load_batch,
    one_device,
    outputs,
    which_output,
)
from snnlens.experiments._blame import UserCodeError
from snnlens.experiments._loss import NO_TARGETS, load_loss, loss_of
from snnlens.models.resnet import resnet


@pytest.fixture(autouse=True)
def _in_an_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(message: str, call: Any, *args: Any, **more: Any) -> None:
    with pytest.raises(InputError) as error:
        call(*args, **more)
    assert str(error.value) == message
    assert error.value.exit_code == 2
    assert "\n" not in message


X = torch.arange(24.0).reshape(4, 6)
Y = torch.tensor([0, 1, 2, 1])


# --- --input -------------------------------------------------------------------------------------


def test_one_input_with_targets() -> None:
    save_file({"x": X, "y": Y}, "b.safetensors")
    batch = load_batch("b.safetensors", None)
    assert len(batch.inputs) == 1
    assert torch.equal(batch.inputs[0], X)
    assert batch.y is not None
    assert torch.equal(batch.y, Y)
    assert batch.description == "b.safetensors: x float32 [4, 6], y int64 [4]"
    assert (batch.samples, batch.classes, batch.time_first) == (4, None, False)
    # the second way: hashlib over numpy's bytes; the definition of snnlens.data.images
    expected = hashlib.sha256(X.numpy().tobytes() + Y.numpy().tobytes()).hexdigest()
    assert batch.fingerprint == expected == images.fingerprint(X, Y)


def test_several_inputs_in_order_without_targets() -> None:
    """x10 comes after x9: by number, not by name."""
    inputs = {f"x{i}": torch.full((2,), float(i)) for i in range(11)}
    save_file(inputs, "b.safetensors")
    batch = load_batch("b.safetensors", None)
    assert [float(x[0]) for x in batch.inputs] == list(range(11))
    assert (batch.y, batch.samples) == (None, None)
    assert batch.description.endswith("x9 float32 [2], x10 float32 [2]")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.bool, torch.int8])
def test_every_dtype_has_a_fingerprint(dtype: torch.dtype) -> None:
    x = torch.tensor([[0, 1], [1, 0]]).to(dtype)
    one, other = Batch.of(x), Batch.of(1 - x if dtype != torch.bool else ~x)
    assert len(one.fingerprint) == 64
    assert one.fingerprint != other.fingerprint
    assert Batch.of(x.t().contiguous().t()).fingerprint == one.fingerprint  # the values, in C order


@pytest.mark.parametrize(
    ("tensors", "got"),
    [
        ({"inputs": X}, "inputs"),
        ({"x": X, "label": Y}, "label, x"),
        ({"x": X, "x0": X}, "x, x0"),
        ({"x1": X, "x2": X}, "x1, x2"),
        ({"x0": X, "x2": X}, "x0, x2"),
        ({"y": Y}, "y"),
        ({}, "none"),
    ],
)
def test_wrong_names(tensors: dict[str, Tensor], got: str) -> None:
    save_file({key: value.clone() for key, value in tensors.items()}, "b.safetensors")
    refused(
        "the tensors in b.safetensors must be x, or x0, x1, ... for several inputs, and optionally "
        f"y; got {got!r}",
        load_batch, "b.safetensors", None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (Y.float(), "y of b.safetensors must be integers [samples]; got 'float32 [4]'"),
        (Y.bool(), "y of b.safetensors must be integers [samples]; got 'bool [4]'"),
        (torch.tensor(3), "y of b.safetensors must be integers [samples]; got 'int64 []'"),
        (Y[:3], "y of b.safetensors must be as long as x has samples: x is [4, 6]; got 3"),
        (Y[:0], "y of b.safetensors must be as long as x has samples: x is [4, 6]; got 0"),
        (Y.repeat(2), "y of b.safetensors must be as long as x has samples: x is [4, 6]; got 8"),
    ],
)
def test_wrong_targets(y: Tensor, message: str) -> None:
    save_file({"x": X, "y": y.clone()}, "b.safetensors")
    refused(message, load_batch, "b.safetensors", None)


@pytest.mark.parametrize("length", [4, 6, 2])
def test_the_batch_may_be_either_axis_or_folded_into_the_first(length: int) -> None:
    """[B, ...], [T, B, ...] and [B T, ...]."""
    assert Batch.of(X, torch.zeros(length, dtype=torch.int32)).samples == length


def test_no_elements() -> None:
    refused("x1 must be a tensor with elements; got [0, 3]", Batch.of, [X, torch.zeros(0, 3)])


CURE = f"write it with {MADE_WITH}"


@pytest.mark.parametrize("name", ["b.pt", "b.safetensors", "b"])
@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_is_refused(name: str, legacy: bool) -> None:
    torch.save({"x": X}, name, _use_new_zipfile_serialization=not legacy)
    message = f"--input must be a safetensors file; got {name!r}; a pickle is never read; {CURE}"
    refused(message, load_batch, name, None)


@pytest.mark.parametrize("length", [0x80, 0x280, 0x380, 0x480, 0x580])
def test_a_safetensors_file_that_begins_like_a_pickle(length: int) -> None:
    """Its first bytes are the length of its header, and 80 02 begins a pickle of protocol 2."""
    save_file({"x": X}, "b.safetensors", metadata={"a": ""})
    bare = int.from_bytes(Path("b.safetensors").read_bytes()[:8], "little")
    save_file({"x": X}, "b.safetensors", metadata={"a": "b" * (length - bare)})
    head = Path("b.safetensors").read_bytes()[:8]
    assert int.from_bytes(head, "little") == length
    assert torch.equal(load_batch("b.safetensors", None).inputs[0], X)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("size", [0, 1, 200, 5000])
def test_a_pickle_of_any_protocol_is_refused(protocol: int, size: int) -> None:
    import pickle  # noqa: TID251 - to write what must not be read

    Path("b.safetensors").write_bytes(pickle.dumps({"x": [0] * size}, protocol))
    with pytest.raises(InputError, match="a pickle is never read"):
        load_batch("b.safetensors", None)


def test_a_missing_file_and_a_folder() -> None:
    refused("--input must be a file that exists; got 'no'", load_batch, "no", None)
    Path("folder.safetensors").mkdir()
    message = "--input must be a file that exists; got 'folder.safetensors'"
    refused(message, load_batch, "folder.safetensors", None)


def test_every_cut_of_a_file_is_one_line() -> None:
    save_file({"x": X, "y": Y}, "whole.safetensors")
    whole = Path("whole.safetensors").read_bytes()
    start = "--input must be a whole safetensors file; got 'cut.safetensors'; "
    for size in [0, 1, 7, 8, 9, 40, len(whole) // 2, len(whole) - 1]:
        Path("cut.safetensors").write_bytes(whole[:size])
        with pytest.raises(InputError) as error:
            load_batch("cut.safetensors", None)
        assert str(error.value).startswith(start)
        assert str(error.value).endswith(f"; {CURE}")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"text", b"\xff" * 64, b"\x00" * 64])
def test_other_files(content: bytes) -> None:
    Path("b.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"^--input must be a whole safetensors file; got 'b"):
        load_batch("b.safetensors", None)
    np.savez("b.npz", x=X.numpy())  # a zip without a pickle in it
    with pytest.raises(InputError, match=r"^--input must be a whole safetensors file; got 'b.npz'"):
        load_batch("b.npz", None)


# --- --data --------------------------------------------------------------------------------------


def test_a_data_set() -> None:
    batch = load_batch(None, "random", samples=3, image_size=16, seed=7)
    same = images.load("random", samples=3, image_size=16, seed=7)
    assert torch.equal(batch.inputs[0], same.x)
    assert batch.y is not None
    assert torch.equal(batch.y, same.y)
    assert batch.description == same.description
    assert (batch.samples, batch.classes) == (3, same.classes)
    assert batch.fingerprint == same.fingerprint == Batch.of(same.x, same.y).fingerprint
    assert load_batch(None, None, samples=2, image_size=8).description == (
        "digits (scikit-learn), 2 images at 8 px"
    )


def test_both_are_too_many() -> None:
    message = "the batch must be given by --input or by --data; got 'both'"
    refused(message, load_batch, "b.safetensors", "digits")


@pytest.mark.data
def test_events_are_time_first(data_root: Path) -> None:
    batch = load_batch(None, f"nmnist:{data_root}/events/nmnist/Test", samples=3, time_steps=5)
    assert batch.inputs[0].shape == (5, 3, 2, 34, 34)
    assert (batch.time_first, batch.samples, batch.classes) == (True, 3, 10)


# --- devices -------------------------------------------------------------------------------------


def test_two_devices() -> None:
    """The meta device stands for a second one."""
    model, far = nn.Linear(6, 2), Batch.of(X, Y).to("meta")
    assert one_device(model, Batch.of(X, Y)) == torch.device("cpu")
    assert one_device(nn.ReLU(), far) == torch.device("meta")
    what = "the model and its batch must be on one device; got "
    refused(what + "'cpu (the model); meta (x); meta (y)'", one_device, model, far)
    half = nn.Sequential(nn.Linear(6, 2), nn.BatchNorm1d(2, device="meta"))
    refused(what + "'cpu, meta (the model); cpu (x)'", one_device, half, Batch.of(X))
    mixed = Batch((X, X.to("meta")), None, "", "", None)
    refused(what + "'cpu (x0); meta (x1)'", one_device, nn.ReLU(), mixed)


# --- forward -------------------------------------------------------------------------------------


class TwoInputs(nn.Module):
    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        return one @ other


def test_forward_gives_every_input() -> None:
    assert torch.equal(forward(TwoInputs(), Batch.of([X, X.t()])), X @ X.t())


def failed(model: nn.Module, batch: Batch) -> UserCodeError:
    with pytest.raises(UserCodeError) as error:
        forward(model, batch)
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 2
    return error.value


def test_a_model_that_needs_other_inputs() -> None:
    error = failed(TwoInputs(), Batch.of(X, Y))
    assert str(error) == (
        "the model's forward raised TypeError: TwoInputs.forward() missing 1 required positional "
        "argument: 'other'; it was given x float32 [4, 6]; give it what its forward takes"
    )
    assert error.traceback == ""  # no frame of the user's: the line says it all


def test_a_batch_with_the_wrong_number_of_axes() -> None:
    error = failed(nn.Sequential(nn.Conv2d(3, 4, 3)), Batch.of(X))
    assert str(error).startswith("the model's forward raised RuntimeError: Expected 3D")
    assert str(error).endswith("; it was given x float32 [4, 6]; give it what its forward takes")
    error = failed(TwoInputs(), Batch.of([X, X]))
    assert "(4x6 and 4x6); it was given x0 float32 [4, 6], x1 float32 [4, 6]; give" in str(error)
    assert "return one @ other" in error.traceback
    assert "module.py" not in error.traceback


def test_a_built_in_model_says_it_in_its_own_words() -> None:
    model = resnet(8, layout="cifar", classes=2)
    with pytest.raises(InputError, match=r"^the input of a ResNet must be \[B, 3, H, W\]"):
        forward(model, Batch.of(X))


# --- outputs -------------------------------------------------------------------------------------

A, B, C = torch.zeros(1), torch.zeros(2), torch.zeros(3, dtype=torch.int64)
Pair = namedtuple("Pair", "spikes membrane")


@pytest.mark.parametrize(
    ("result", "index", "wanted"),
    [
        (A, None, A), (A, 0, A), ((A, B), None, A), ((A, B), 1, B), ([(B, A), C], 2, C),
        ({"one": B, "other": [A]}, 1, A), (Pair(B, None), None, B), ((None, 3, "x", C), None, C),
        (Pair((A, B), C), 1, B),
    ],
)  # fmt: skip
def test_outputs(result: Any, index: int | None, wanted: Tensor) -> None:
    assert outputs(result, index) is wanted


@pytest.mark.parametrize(
    ("result", "index", "message"),
    [
        (None, None, "what forward returns must be SUCH; got 'NoneType'"),
        ((), 0, "what forward returns must be SUCH; got 'tuple'"),
        ((A, C), 2, ("the index of the output must be from 0 to 1; got 2; there are float32 [1]; "
         "int64 [3]")),
        (A, 1, "the index of the output must be 0; got 1; there are float32 [1]"),
        ((A, B), -1, ("the index of the output must be from 0 to 1; got -1; there are float32 [1]; "
         "float32 [2]")),
    ],
)  # fmt: skip
def test_wrong_outputs(result: Any, index: int | None, message: str) -> None:
    such = "a tensor, or a tuple, list or dictionary of tensors"
    refused(message.replace("SUCH", such), outputs, result, index)


def test_which_output() -> None:
    assert which_output(A) == ""
    assert which_output((A, C), 1) == "output 1 of 2 (int64 [3])"


# --- the loss ------------------------------------------------------------------------------------


def by_hand(logits: Tensor, y: Tensor) -> float:
    """-1/B sum ln softmax(o)[y] with loops over numbers, in float64."""
    total = 0.0
    for row, target in zip(logits.double().tolist(), y.tolist(), strict=True):
        total -= float(np.log(np.exp(row[target]) / np.sum(np.exp(row))))
    return total / len(y)


@pytest.mark.parametrize("axis", [0, 1])
def test_cross_entropy_of_the_mean_over_time(axis: int) -> None:
    generator = torch.Generator().manual_seed(0)
    per_step = torch.randn(5, 4, 3, generator=generator)
    output = per_step if axis == 0 else per_step.transpose(0, 1)
    loss, text = loss_of(output, Y.to(torch.int16), axis)
    # float32 sums of 5 and 3 numbers of size 1: 1e-6 is 8 of their last places
    assert float(loss) == pytest.approx(by_hand(per_step.mean(0), Y), rel=1e-6)
    assert text == "cross-entropy of the output averaged over its time axis"


def test_an_output_without_time_is_taken_as_it_is() -> None:
    output = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    for axis in (None, 0):
        loss, text = loss_of(output, Y, axis)
        assert float(loss) == pytest.approx(by_hand(output, Y), rel=1e-6)  # as above
        assert text == "cross-entropy of the output"


def test_targets_of_more_axes() -> None:
    """A class for each pixel: [T, B, classes, W] and y [B, W]."""
    output = torch.randn(2, 4, 3, 6, generator=torch.Generator().manual_seed(0))
    y = torch.arange(24).reshape(4, 6) % 3
    loss, _ = loss_of(output, y, 0)
    flat = output.mean(0).permute(0, 2, 1).reshape(24, 3)
    assert float(loss) == pytest.approx(by_hand(flat, y.reshape(-1)), rel=1e-6)  # as above


def test_without_targets_it_is_the_sum_of_squares() -> None:
    loss, text = loss_of(X, None, 0)
    assert float(loss) == sum(i * i for i in range(24))
    assert text == f"sum of squares of the output ({NO_TARGETS})"


@pytest.mark.parametrize(
    ("shape", "axis", "got", "what"),
    [
        ((5, 4, 3), 1, [5, 3], " averaged over its time axis"),
        ((5, 4, 3), None, [5, 4, 3], ""),
        ((8, 3), 0, [8, 3], ""),
        ((4,), 0, [4], ""),
        ((5, 4, 3, 2, 2), 0, [5, 4, 3, 2, 2], ""),
    ],
)
def test_an_output_that_does_not_fit(
    shape: tuple[int, ...], axis: int | None, got: list[int], what: str
) -> None:
    message = (
        f"the output{what} must be [4, classes], as y is [4]; got {got}; choose another output or "
        "give --loss"
    )
    refused(message, loss_of, torch.zeros(shape), Y, axis)


def test_classes_that_are_not_there() -> None:
    wanted = "y must be from 0 to 2, as the output has 3 classes; got "
    refused(wanted + "3", loss_of, torch.zeros(2, 3), torch.tensor([0, 3]), None)
    refused(wanted + "-1", loss_of, torch.zeros(2, 3), torch.tensor([-1, 2]), None)


def test_an_output_of_integers() -> None:
    refused("the output must be of a floating dtype; got 'int64 [3]'", loss_of, C, None, None)


def test_the_users_own_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(".")
    Path("losses.py").write_text(
        textwrap.dedent("""
            def count():
                def of_first_step(output, y):
                    assert y is None or y.dtype.is_floating_point is False
                    return output[0].sum()
                return of_first_step
            def wrong(): return 3
            def shape(): return lambda output, y: output
            def number(): return lambda output, y: 1.0
            def raises(): return lambda output, y: output @ y
        """),
        encoding="utf-8",
    )
    function = load_loss("losses.py:count")
    for y in (Y, None):
        loss, text = loss_of(X, y, 0, function, "losses.py:count")
        assert (float(loss), text) == (15.0, "losses.py:count")  # as it is, not averaged
    mean = load_loss("torch.nn:MSELoss")
    assert float(loss_of(A, A, None, mean)[0]) == 0  # type: ignore[arg-type]
    refused("what losses.py:wrong returns must be a function of (output, y); got 'int'", load_loss,
            "losses.py:wrong")  # fmt: skip
    for name, got in (("shape", "float32 [4, 6]"), ("number", "float")):
        refused(
            f"what losses.py:{name} returns must be a tensor of one floating number; got {got!r}",
            loss_of, X, Y, 0, load_loss(f"losses.py:{name}"), f"losses.py:{name}",
        )  # fmt: skip
    with pytest.raises(UserCodeError) as error:
        loss_of(X, Y, 0, load_loss("losses.py:raises"), "losses.py:raises")
    assert str(error.value).startswith("losses.py:raises raised RuntimeError: ")
    assert str(error.value).endswith("; it was given output float32 [4, 6], y int64 [4]")
    assert "lambda output, y: output @ y" in error.value.traceback


def test_described() -> None:
    assert described([X, A], Y) == "x0 float32 [4, 6], x1 float32 [1], y int64 [4]"
