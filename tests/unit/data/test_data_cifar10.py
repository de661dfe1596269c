"""CIFAR-10: records written by hand, read back pixel by pixel; and each refusal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from snnlens.data.images import Images, load
from snnlens.errors import InputError

WANTED = "a folder of the binary version (data_batch_1.bin ...), one .bin, or an .npz"
USE_BINARY = "unpack cifar-10-binary.tar.gz from cs.toronto.edu/~kriz and give its folder"
SAVE_AGAIN = "save it with numpy.savez(path, images=..., labels=...)"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def value(image: int, channel: int, row: int, column: int) -> int:
    """Return a byte that tells its place."""
    return (image * 41 + channel * 85 + row * 7 + column) % 256


def record(image: int) -> bytes:
    places = [(c, r, k) for c in range(3) for r in range(32) for k in range(32)]
    return bytes([image % 10, *(value(image, *place) for place in places)])


def write_bin(path: Path, images: range) -> Path:
    path.write_bytes(b"".join(record(image) for image in images))
    return path


def assert_images(batch: Images, images: list[int]) -> None:
    for position, image in enumerate(images):
        assert batch.y[position] == image % 10
        for c in range(3):
            pixels = (batch.x[position, c].double() * STD[c] + MEAN[c]) * 255
            wanted = [[value(image, c, r, k) for k in range(32)] for r in range(32)]
            assert pixels.numpy() == pytest.approx(np.array(wanted), abs=1e-4)  # float32 of 255


def permutation(size: int, seed: int) -> list[int]:
    order: list[int] = torch.randperm(size, generator=torch.Generator().manual_seed(seed)).tolist()
    return order


def test_one_bin_pixel_by_pixel(tmp_path: Path) -> None:
    path = write_bin(tmp_path / "data_batch_3.bin", range(12))
    batch = load(f"cifar10:{path}", samples=5, image_size=32, seed=2)
    assert_images(batch, permutation(12, 2)[:5])
    assert batch.description == "CIFAR-10 (data_batch_3.bin), 5 images at 32 px"
    assert (batch.dataset_size, batch.classes) == (12, 10)


@pytest.mark.parametrize("inner", [".", "cifar-10-batches-bin"])
def test_a_folder_is_its_train_batches_in_order(tmp_path: Path, inner: str) -> None:
    folder = tmp_path / inner
    folder.mkdir(exist_ok=True)
    write_bin(folder / "data_batch_2.bin", range(4, 9))
    write_bin(folder / "data_batch_1.bin", range(4))
    write_bin(folder / "test_batch.bin", range(50, 60))
    (folder / "batches.meta.txt").write_text("airplane\n")
    batch = load(f"cifar10:{tmp_path}", samples=9, image_size=32)
    assert_images(batch, permutation(9, 0))
    assert batch.description == "CIFAR-10 (train part), 9 images at 32 px"


def test_a_folder_with_the_test_part_alone(tmp_path: Path) -> None:
    write_bin(tmp_path / "test_batch.bin", range(3))
    batch = load(f"cifar10:{tmp_path}", samples=3, image_size=32)
    assert_images(batch, permutation(3, 0))
    assert batch.description == "CIFAR-10 (test part), 3 images at 32 px"


def test_other_sizes_are_resized(tmp_path: Path) -> None:
    path = tmp_path / "flat.bin"
    path.write_bytes(bytes([7]) + bytes([10]) * 1024 + bytes([20]) * 1024 + bytes([30]) * 1024)
    for size in (5, 64):
        x = load(f"cifar10:{path}", samples=1, image_size=size).x
        expected = [
            (level / 255 - m) / s for level, m, s in zip((10, 20, 30), MEAN, STD, strict=True)
        ]
        assert x.shape == (1, 3, size, size)
        for channel in range(3):
            assert x[0, channel].numpy() == pytest.approx(expected[channel], abs=1e-5)


def npz(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def hand_made(images: range) -> tuple[np.ndarray, np.ndarray]:
    """Return uint8 [n, 32, 32, 3] and labels, by another loop than the reader's."""
    x = np.zeros((len(images), 32, 32, 3), np.uint8)
    for position, image in enumerate(images):
        for place in np.ndindex(32, 32, 3):
            x[(position, *place)] = value(image, place[2], place[0], place[1])
    return x, np.array([image % 10 for image in images])


@pytest.mark.parametrize(
    ("keys", "part"),
    [
        (("x_train", "y_train"), "train part"),
        (("images", "labels"), ".npz"),
        (("x", "y"), ".npz"),
        (("x_test", "y_test"), "test part"),
    ],
)
def test_npz_pixel_by_pixel(tmp_path: Path, keys: tuple[str, str], part: str) -> None:
    x, y = hand_made(range(6))
    path = npz(tmp_path / "c.npz", **{keys[0]: x, keys[1]: y})
    batch = load(f"cifar10:{path}", samples=4, image_size=32, seed=1)
    assert_images(batch, permutation(6, 1)[:4])
    assert batch.description == f"CIFAR-10 ({part}), 4 images at 32 px"


def test_npz_train_comes_before_test(tmp_path: Path) -> None:
    (x, y), (x_test, y_test) = hand_made(range(3)), hand_made(range(30, 32))
    path = npz(tmp_path / "c.npz", x_test=x_test, y_test=y_test, x_train=x, y_train=y)
    assert_images(load(f"cifar10:{path}", samples=3, image_size=32), permutation(3, 0))


@pytest.mark.parametrize("dtype", ["uint8", ">i4", "uint64"])
def test_npz_channels_first_and_labels_as_a_column(tmp_path: Path, dtype: str) -> None:
    x, y = hand_made(range(3))
    labels = y.astype(dtype)[:, None]
    path = npz(tmp_path / "C.NPZ", images=x.transpose(0, 3, 1, 2), labels=labels)
    assert_images(load(f"cifar10:{path}.npz", samples=3, image_size=32), permutation(3, 0))


def test_npz_and_bin_give_the_same_bytes(tmp_path: Path) -> None:
    x, y = hand_made(range(4))
    specs = (npz(tmp_path / "c.npz", x=x, y=y), write_bin(tmp_path / "c.bin", range(4)))
    prints = [load(f"cifar10:{s}", samples=4, image_size=40).fingerprint for s in specs]
    assert prints[0] == prints[1]


def test_class_names_give_the_number_of_classes(tmp_path: Path) -> None:
    x, y = hand_made(range(3))
    path = npz(tmp_path / "c.npz", x=x, y=y, class_names=np.array(["a", "b", "c"]))
    assert load(f"cifar10:{path}", samples=3, image_size=32).classes == 3


def refusal(path: Path) -> str:
    opened = _open_files()
    with pytest.raises(InputError) as caught:
        load(f"cifar10:{path}", samples=1, image_size=32)
    assert _open_files() == opened
    return str(caught.value)


def _open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def test_empty_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path) == (
        "cifar10 folder must be one with data_batch_1.bin ... or test_batch.bin; "
        f"got '{tmp_path}'; {USE_BINARY}"
    )


@pytest.mark.parametrize("name", ["data_batch_1", "test_batch", "cifar-10-batches-py"])
def test_python_version(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04.")
    assert refusal(tmp_path) == (
        "cifar10 folder must be the binary version (the python version is a pickle, which could "
        f"run any code); got '{tmp_path}'; {USE_BINARY}"
    )


@pytest.mark.parametrize("name", ["data_batch_1", "cifar-10-python.tar.gz", "cifar.pkl"])
def test_a_file_of_another_kind(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"\x80\x04.")
    assert refusal(path) == f"cifar10 path must be {WANTED}; got '{path}'; {USE_BINARY}"


@pytest.mark.parametrize("size", [0, 1, 3072, 3074, 2 * 3073 - 1])
def test_cut_bin(tmp_path: Path, size: int) -> None:
    path = tmp_path / "data_batch_1.bin"
    path.write_bytes(bytes(size))
    message = (
        f"size of {path} must be a whole number of records of 3073 bytes; got {size}; {USE_BINARY}"
    )
    assert refusal(path) == message
    assert refusal(tmp_path) == message


def test_label_of_a_bin_out_of_range(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(record(1) + bytes([10]) + bytes(3072))
    assert refusal(path) == f"labels in {path} must be 0 to 9; got 10; {USE_BINARY}"


def test_a_bin_that_can_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fromfile(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = write_bin(tmp_path / "x.bin", range(1))
    monkeypatch.setattr(np, "fromfile", fromfile)
    assert refusal(path) == (
        f"cifar10 file must be one that can be read; got '{path}: Permission denied'"
    )


@pytest.mark.parametrize("content", [b"", b"a text file\n", b"\x93NUMPY\x01\x00"])
def test_no_npz(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "renamed.npz"
    path.write_bytes(content)
    assert refusal(path) == (
        f"cifar10 file must be an .npz (a zip archive of arrays); got '{path}'; {SAVE_AGAIN}"
    )


def test_a_folder_named_npz(tmp_path: Path) -> None:
    path = tmp_path / "folder.npz"
    path.mkdir()
    assert refusal(path) == (
        f"cifar10 file must be an .npz (a zip archive of arrays); got '{path}'; {SAVE_AGAIN}"
    )


@pytest.mark.parametrize("names", [(), ("x_train",), ("x", "labels")])
def test_npz_without_the_arrays(tmp_path: Path, names: tuple[str, ...]) -> None:
    path = npz(tmp_path / "c.npz", **dict.fromkeys(names, np.zeros(1)), other=np.zeros(1))
    assert refusal(path) == (
        f"arrays in {path} must be x_train and y_train, images and labels, x and y, "
        f"or x_test and y_test; got '{', '.join([*names, 'other'])}'; {SAVE_AGAIN}"
    )


@pytest.mark.parametrize("name", ["x", "y", "class_names"])
def test_npz_with_a_pickled_object(tmp_path: Path, name: str) -> None:
    x, y = hand_made(range(2))
    arrays = {"x": x, "y": y, "class_names": np.array(["a", "b"])}
    arrays[name] = np.array([{"a": 1}, None], dtype=object)
    assert refusal(npz(tmp_path / "c.npz", **arrays)) == (
        "cifar10 file must be whole arrays of plain numbers (a pickled object is never read); "
        f"got '{tmp_path / 'c.npz'}'; {SAVE_AGAIN}"
    )


@pytest.mark.parametrize("place", range(5, 95, 10))
def test_npz_with_damaged_bytes(tmp_path: Path, place: int) -> None:
    """Bytes inside the archive are overwritten: refused, in whichever layer it shows."""
    x, y = hand_made(range(2))
    content = bytearray(npz(tmp_path / "c.npz", x=x, y=y).read_bytes())
    start = len(content) * place // 100
    content[start : start + 64] = b"\xa5" * 64
    (tmp_path / "c.npz").write_bytes(content)
    assert refusal(tmp_path / "c.npz") == (
        "cifar10 file must be whole arrays of plain numbers (a pickled object is never read); "
        f"got '{tmp_path / 'c.npz'}'; {SAVE_AGAIN}"
    )


@pytest.mark.parametrize(
    ("x", "got"),
    [
        (np.zeros((2, 32, 32, 3), np.float32), "float32 [2, 32, 32, 3]"),
        (np.zeros((2, 28, 28, 3), np.uint8), "uint8 [2, 28, 28, 3]"),
        (np.zeros((2, 32, 32), np.uint8), "uint8 [2, 32, 32]"),
        (np.zeros((2, 3072), np.uint8), "uint8 [2, 3072]"),
        (np.uint8(3), "uint8 []"),
    ],
)
def test_npz_images_of_another_shape_or_type(tmp_path: Path, x: np.ndarray, got: str) -> None:
    path = npz(tmp_path / "c.npz", x=x, y=np.zeros(2, np.int64))
    assert refusal(path) == (
        f"x in {path} must be uint8 [images, 32, 32, 3]; got '{got}'; {SAVE_AGAIN}"
    )


@pytest.mark.parametrize(
    ("y", "got"),
    [
        (np.zeros(2), "float64 [2]"),
        (np.zeros((2, 10), np.int64), "int64 [2, 10]"),
        (np.int64(1), "int64 []"),
        (np.array(["1", "2"]), "<U1 [2]"),
    ],
)
def test_npz_labels_of_another_shape_or_type(tmp_path: Path, y: np.ndarray, got: str) -> None:
    path = npz(tmp_path / "c.npz", x=np.zeros((2, 32, 32, 3), np.uint8), y=y)
    assert refusal(path) == f"y in {path} must be whole numbers [images]; got '{got}'; {SAVE_AGAIN}"


@pytest.mark.parametrize(
    ("y", "got"),
    [
        (np.array([0, 10]), "0 to 10"),
        (np.array([-1, 3]), "-1 to 3"),
        (np.array([0, 2**64 - 1], np.uint64), f"0 to {2**64 - 1}"),
    ],
)
def test_npz_labels_out_of_range(tmp_path: Path, y: np.ndarray, got: str) -> None:
    path = npz(tmp_path / "c.npz", x=np.zeros((2, 32, 32, 3), np.uint8), y=y)
    assert refusal(path) == f"y in {path} must be 0 to 9; got '{got}'; {SAVE_AGAIN}"


def test_npz_with_more_labels_than_images(tmp_path: Path) -> None:
    path = npz(tmp_path / "c.npz", x=np.zeros((2, 32, 32, 3), np.uint8), y=np.arange(3))
    assert refusal(path) == (f"labels y in {path} must be one per image (2); got 3; {SAVE_AGAIN}")
