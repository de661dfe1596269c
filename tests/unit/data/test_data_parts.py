"""Training and test part of CIFAR-10 and of folders of photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snnlens.data import images, specs
from snnlens.data.images import Images
from snnlens.errors import InputError


def refusal(spec: str, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        images.load(spec, samples=1, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def load(spec: str, part: str | None = None, samples: int = 1) -> Images:
    return images.load(spec, samples=samples, image_size=32, part=part)


def labelled(labels: list[int]) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((len(labels), 32, 32, 3), np.uint8), np.array(labels)


# --- CIFAR-10 ------------------------------------------------------------------------------------


def test_an_npz_with_both(tmp_path: Path) -> None:
    (x, y), (other_x, other_y) = labelled([1, 1, 1]), labelled([2, 2])
    path = tmp_path / "a.npz"
    np.savez(path, x_train=x, y_train=y, x_test=other_x, y_test=other_y)
    spec = f"cifar10:{path}"
    assert specs.parts(spec) == ("train", "test")
    found = [load(spec, part) for part in ("train", "test", None)]
    assert [batch.dataset_size for batch in found] == [3, 2, 3]
    assert [batch.y.item() for batch in found] == [1, 2, 1]
    assert [batch.description.partition(",")[0] for batch in found] == [
        "CIFAR-10 (train part)", "CIFAR-10 (test part)", "CIFAR-10 (train part)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "there", "wanted"),
    [
        (("x_test", "y_test"), ("test",), "test"),
        (("x_train", "y_train"), ("train",), "train"),
        (("images", "labels"), (), "left out: it has none"),
        (("x", "y"), (), "left out: it has none"),
    ],
)
def test_an_npz_with_one_part_or_none(
    tmp_path: Path, names: tuple[str, str], there: tuple[str, ...], wanted: str
) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **dict(zip(names, labelled([4]), strict=True)))
    spec = f"cifar10:{path}"
    assert specs.parts(spec) == there
    assert load(spec).y.item() == 4
    other = "train" if there == ("test",) else "test"
    assert refusal(spec, part=other) == f"the part of {spec} must be {wanted}; got '{other}'"


def test_an_npz_that_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(b"PK\3\4")
    with pytest.raises(InputError) as caught:
        specs.parts(f"cifar10:{path}")
    assert str(caught.value) == (
        f"cifar10 file must be an .npz (a zip archive of arrays); got '{path}'; "
        "save it with numpy.savez(path, images=..., labels=...)"
    )


def test_the_binary_version(tmp_path: Path) -> None:
    def write(name: str, labels: list[int]) -> None:
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"".join(bytes([y]) + bytes(3072) for y in labels))

    folder = tmp_path / "cifar-10-batches-bin"
    spec = f"cifar10:{tmp_path}"
    write("test_batch.bin", [7])
    assert specs.parts(spec) == ("test",)
    assert load(spec).y.item() == 7
    write("data_batch_1.bin", [3])
    write("data_batch_2.bin", [3, 3])
    assert specs.parts(spec) == ("train", "test")
    found = [load(spec, part) for part in ("train", "test", None)]
    assert [(batch.dataset_size, batch.y.item()) for batch in found] == [(3, 3), (1, 7), (3, 3)]
    assert specs.parts(f"{spec}/cifar-10-batches-bin/test_batch.bin") == ()


@pytest.mark.data
def test_real_cifar10(data_root: Path) -> None:
    spec = f"cifar10:{data_root / 'cifar10' / 'cifar10_balanced.npz'}"
    assert specs.parts(spec) == ("train", "test")
    assert [load(spec, part).dataset_size for part in ("train", "test")] == [4750, 870]


# --- folders of photographs ----------------------------------------------------------------------


def photo(path: Path, level: int = 9) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), (level, level, level)).save(path)


@pytest.mark.parametrize("test", ["val", "test"])
def test_a_folder_with_both(tmp_path: Path, test: str) -> None:
    """One set of classes, also where a part lacks one: cat is 1 of bird, cat, dog in both."""
    for name in ("train/bird/a.png", "train/dog/a.png", "train/dog/b.png", f"{test}/cat/a.png"):
        photo(tmp_path / name)
    spec = f"imagefolder:{tmp_path}"
    assert specs.parts(spec) == ("train", "test")
    trained, tested, default = (load(spec, p, n) for p, n in (("train", 3), ("test", 1), (None, 3)))
    assert sorted(trained.y.tolist()) == [0, 2, 2]
    assert tested.y.tolist() == [1]
    assert (trained.classes, tested.classes) == (3, 3)
    assert default.fingerprint == trained.fingerprint
    assert trained.description.startswith(f"photographs ({tmp_path.name}, train part), 3 images")
    assert tested.description.startswith(f"photographs ({tmp_path.name}, {test} part), 1 image")


def test_val_comes_before_test(tmp_path: Path) -> None:
    """ImageNet's test has no labels."""
    for name in ("train/a/1.png", "val/a/1.png", "val/a/2.png", "test/a/1.png"):
        photo(tmp_path / name)
    assert load(f"imagefolder:{tmp_path}", "test").dataset_size == 2


def test_parts_with_tables(tmp_path: Path) -> None:
    for part, rows in (("train", "a.png,0\nb.png,4\n"), ("val", "a.png,1\n")):
        for row in rows.split():
            photo(tmp_path / part / row.partition(",")[0])
        (tmp_path / part / "labels.csv").write_text("file,class_id\n" + rows)
    spec = f"imagefolder:{tmp_path}"
    assert specs.parts(spec) == ("train", "test")
    tested = load(spec, "test")
    assert (tested.y.item(), tested.classes) == (1, 5)
    assert load(spec).classes == 2  # no part asked for: two classes, train and val, as ever


@pytest.mark.parametrize(
    "names",
    [
        ("train/cat/a.png",),  # no test
        ("val/cat/a.png", "test/cat/a.png"),  # no train
        ("train/a.png", "test/b.png"),  # two classes, by name
        ("a.png",),
    ],
)
def test_a_folder_without_parts(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        photo(tmp_path / name)
    assert specs.parts(f"imagefolder:{tmp_path}") == ()


def test_a_part_of_a_folder_without_parts(tmp_path: Path) -> None:
    photo(tmp_path / "a.png")
    assert refusal(f"imagefolder:{tmp_path}", image_size=4, part="train") == (
        f"the part of imagefolder:{tmp_path} must be left out: it has none; got 'train'"
    )


# --- no parts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["digits", "random"])
def test_kinds_without_parts(kind: str) -> None:
    assert specs.parts(kind) == ()
    assert refusal(kind, image_size=8, part="test") == (
        f"the part of {kind} must be left out: it has none; got 'test'"
    )
