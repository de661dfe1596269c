"""MNIST: idx files written by hand, read back pixel by pixel; and each refusal."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from snnlens.data import images, sets, specs
from snnlens.data.readers import mnist
from snnlens.data.source import Request
from snnlens.errors import InputError

SIZE = 28
WANTED = "a folder with t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, or train-..., .gz or not"
AGAIN = "fetch the file again"
# published with the data; the classes of the test part, 0 to 9
MD5 = {"images-idx3": "9fb629c4189551a2d022fa330f9573f3",
       "labels-idx1": "ec29112dd5afa0611ce80d1b7f02629c"}  # fmt: skip
CLASS_SIZES = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def value(image: int, row: int, column: int) -> int:
    """Return a byte that tells its place."""
    return (image * 41 + row * 7 + column) % 256


def pixels(image: int) -> bytes:
    return bytes(value(image, r, c) for r in range(SIZE) for c in range(SIZE))


def idx(shape: tuple[int, ...], data: bytes, kind: int = 8) -> bytes:
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, kind, len(shape), *shape) + data


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def write(folder: Path, part: str, numbers: range, *, end: str = "", dash: str = "-") -> Path:
    """A part whose image i is `pixels(i)` of class i % 10."""
    all_pixels = b"".join(pixels(i) for i in numbers)
    put(folder / f"{part}-images{dash}idx3-ubyte{end}",
        idx((len(numbers), SIZE, SIZE), all_pixels))  # fmt: skip
    put(folder / f"{part}-labels{dash}idx1-ubyte{end}",
        idx((len(numbers),), bytes(i % 10 for i in numbers)))  # fmt: skip
    return folder


def refusal(path: Path, part: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        mnist.read(path, Request(samples=1, image_size=None, seed=0, part=part))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def expected(numbers: list[int]) -> np.ndarray:
    return np.array([[[[value(i, r, c) / 255 for c in range(SIZE)] for r in range(SIZE)]]
                     for i in numbers])  # fmt: skip


# --- what is read --------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("dash", ["-", "."])
@pytest.mark.parametrize("inner", [".", "raw", "MNIST/raw"])
def test_pixel_by_pixel(tmp_path: Path, inner: str, dash: str, end: str) -> None:
    write(tmp_path / inner, "t10k", range(3, 15), end=end, dash=dash)
    mnist.check(tmp_path)
    source = mnist.read(tmp_path, Request(samples=1, image_size=None, seed=0))
    assert source.labels.tolist() == [i % 10 for i in range(3, 15)]
    assert (source.labels.dtype, source.classes) == (np.int64, 10)
    found = source.pixels(np.array([11, 0]))
    assert found.dtype == np.float32
    assert found == pytest.approx(expected([14, 3]), abs=1e-7)  # float32 of up to 1
    assert source.title == "MNIST (test part)"


def test_a_batch_is_one_channel_as_it_lies(tmp_path: Path) -> None:
    write(tmp_path, "train", range(20))
    batch = images.load(f"mnist:{tmp_path}", samples=5, seed=3)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(3))[:5].tolist()
    assert batch.x.shape == (5, 1, SIZE, SIZE)
    assert batch.x.numpy() == pytest.approx(expected(order), abs=1e-7)  # float32 of up to 1
    assert batch.y.tolist() == [i % 10 for i in order]
    assert batch.description == "MNIST (train part), 5 images at 28 px"
    assert images.load(f"mnist:{tmp_path}", samples=2, image_size=14).x.shape == (2, 1, 14, 14)


def test_its_own_training_and_test_set(tmp_path: Path) -> None:
    write(tmp_path, "train", range(6), end=".gz")
    write(tmp_path, "t10k", range(40, 43))
    assert specs.parts(f"mnist:{tmp_path}") == ("train", "test")
    train, test = sets.load(f"mnist:{tmp_path}")
    assert (train.labels.tolist(), test.labels.tolist()) == ([0, 1, 2, 3, 4, 5], [0, 1, 2])
    x, _ = test.batch(np.array([2]))
    assert x.numpy() == pytest.approx(expected([42]), abs=1e-7)  # float32 of up to 1


def test_only_the_parts_that_are_there(tmp_path: Path) -> None:
    write(tmp_path, "t10k", range(12))
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"")  # without labels it is no part
    assert mnist.parts(tmp_path) == ("test",)
    assert refusal(tmp_path, "train") == f"the part of {tmp_path} must be test; got 'train'"
    train, test = sets.load(f"mnist:{tmp_path}", test_share=0.25)  # so the test part is split
    assert (len(train), len(test)) == (9, 3)


def test_a_plain_file_goes_before_the_packed_one(tmp_path: Path) -> None:
    write(tmp_path, "t10k", range(4))
    write(tmp_path, "t10k", range(5, 7), end=".gz")
    source = mnist.read(tmp_path, Request(samples=1, image_size=None, seed=0))
    assert source.labels.tolist() == [0, 1, 2, 3]


def test_an_empty_part_is_said(tmp_path: Path) -> None:
    write(tmp_path, "t10k", range(0))
    with pytest.raises(InputError, match=r"number of images in .* must be at least 1; got 0"):
        images.load(f"mnist:{tmp_path}", samples=1)


# --- what is refused -----------------------------------------------------------------------------


def test_no_whole_part(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"mnist must be {WANTED}; got '{tmp_path} (no idx file in it)'"
    write(tmp_path, "t10k", range(2))
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(InputError) as caught:
        mnist.check(tmp_path)
    holds = "t10k-images-idx3-ubyte alone"
    assert str(caught.value) == f"mnist must be {WANTED}; got '{tmp_path} ({holds})'"
    file = tmp_path / "t10k-images-idx3-ubyte"
    assert refusal(file) == f"mnist must be {WANTED}; got '{file} (a file)'"


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize(
    ("data", "got"),
    [
        (b"", "nothing"),
        (b"\0\0\x08", "0 0 8"),
        (idx((2, SIZE, SIZE), b"", kind=13), "0 0 13 3"),  # float32
        (idx((2,), b"12"), "0 0 8 1"),  # labels in the place of images
        (idx((2, SIZE, SIZE), b"")[:-1], "0 0 8 3"),
    ],
)
def test_another_file(tmp_path: Path, end: str, data: bytes, got: str) -> None:
    write(tmp_path, "t10k", range(2), end=end)
    file = tmp_path / f"t10k-images-idx3-ubyte{end}"
    put(file, data)
    with pytest.raises(InputError) as caught:
        mnist.check(tmp_path)
    wanted = "an idx file of bytes with 3 axes, which begins with 0 0 8 3"
    assert str(caught.value) == f"{file} must be {wanted}; got '{got}'; {AGAIN}"


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("change", [-1, 1])
def test_bytes_that_are_missing_or_too_many(tmp_path: Path, change: int, end: str) -> None:
    write(tmp_path, "t10k", range(2), end=end)
    file = tmp_path / f"t10k-images-idx3-ubyte{end}"
    put(file, idx((2, SIZE, SIZE), bytes(1568 + change)))
    wanted = f"1568, as its header says [2, {SIZE}, {SIZE}]"
    assert refusal(tmp_path) == f"bytes of {file} must be {wanted}; got {1568 + change}; {AGAIN}"


def test_a_packed_file_that_is_cut_or_damaged(tmp_path: Path) -> None:
    write(tmp_path, "t10k", range(2), end=".gz")
    file = tmp_path / "t10k-images-idx3-ubyte.gz"
    whole = file.read_bytes()
    for data in (whole[:-9], whole[:-6] + b"\0" + whole[-5:], b"no gzip", whole[:40] + bytes(9)):
        file.write_bytes(data)
        message = f"mnist file must be one that can be read; got '{file}: cut or damaged'; {AGAIN}"
        assert refusal(tmp_path) == message


def test_a_header_that_claims_terabytes(tmp_path: Path) -> None:
    write(tmp_path, "t10k", range(2))
    count = 2**32 - 1
    put(tmp_path / "t10k-images-idx3-ubyte", idx((count, SIZE, SIZE), b"12"))
    put(tmp_path / "t10k-labels-idx1-ubyte", idx((count,), b"12"))
    assert f"must be {count * 784}, as its header says" in refusal(tmp_path)


def test_other_sizes_numbers_and_labels(tmp_path: Path) -> None:
    write(tmp_path, "t10k", range(3))
    file = tmp_path / "t10k-images-idx3-ubyte"
    put(file, idx((3, 27, SIZE), bytes(3 * 27 * SIZE)))
    wanted = f"images in {file} must be [images, 28, 28]; got [3, 27, 28]"
    assert refusal(tmp_path) == wanted
    put(file, idx((2, SIZE, SIZE), bytes(2 * SIZE * SIZE)))
    labels = tmp_path / "t10k-labels-idx1-ubyte"
    with pytest.raises(InputError) as caught:
        mnist.check(tmp_path)
    assert str(caught.value) == f"labels in {labels} must be one per image (2); got 3; {AGAIN}"
    put(labels, idx((2,), bytes([3, 10])))
    assert refusal(tmp_path) == f"labels in {labels} must be 0 to 9; got 10"


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "t10k", range(3))

    def locked(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(mnist, "_open", locked)
    file = tmp_path / "t10k-images-idx3-ubyte"
    message = f"mnist file must be one that can be read; got '{file}: Permission denied'; {AGAIN}"
    assert refusal(tmp_path) == message


# --- the real files ------------------------------------------------------------------------------


@pytest.mark.data
def test_the_real_test_part(data_root: Path) -> None:
    folder = data_root / "mnist"
    raw = {}
    for name, digest in MD5.items():
        packed = (folder / f"t10k-{name}-ubyte.gz").read_bytes()
        assert hashlib.md5(packed).hexdigest() == digest
        raw[name] = gzip.decompress(packed)
    assert specs.parts(f"mnist:{folder}") == ("test",)
    source = mnist.read(folder, Request(samples=1, image_size=None, seed=0))
    assert source.labels.tolist() == list(raw["labels-idx1"][8:])
    assert np.bincount(source.labels).tolist() == CLASS_SIZES
    levels = (source.pixels(np.arange(10_000)) * 255).round().astype(np.uint8)
    assert levels.tobytes() == raw["images-idx3"][16:]
