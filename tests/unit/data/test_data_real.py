"""The readers on real files: CIFAR-10 and 80 photographs (SNNLENS_DATA)."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from snnlens.data.images import load

pytestmark = pytest.mark.data
MEAN, STD = np.array((0.485, 0.456, 0.406)), np.array((0.229, 0.224, 0.225))


def test_cifar10_train_part_is_numpys(data_root: Path) -> None:
    path = data_root / "cifar10" / "cifar10_balanced.npz"
    batch = load(f"cifar10:{path}", samples=4750, image_size=32, seed=4)
    order = torch.randperm(4750, generator=torch.Generator().manual_seed(4)).numpy()
    with np.load(path, allow_pickle=False) as file:
        images, labels = file["x_train"][order], file["y_train"][order]
    levels = (batch.x.permute(0, 2, 3, 1).double().numpy() * STD + MEAN) * 255
    assert np.array_equal(levels.round().astype(np.uint8), images)
    assert np.array_equal(batch.y.numpy(), labels)
    assert np.bincount(batch.y.numpy()).tolist() == [475] * 10
    assert batch.description == "CIFAR-10 (train part), 4750 images at 32 px"


def test_cifar10_test_part(data_root: Path, tmp_path: Path) -> None:
    with np.load(data_root / "cifar10" / "cifar10_balanced.npz", allow_pickle=False) as file:
        np.savez(tmp_path / "test.npz", x_test=file["x_test"], y_test=file["y_test"])
    batch = load(f"cifar10:{tmp_path / 'test.npz'}", samples=870, image_size=32)
    assert np.bincount(batch.y.numpy()).tolist() == [87] * 10
    assert batch.classes == 10


def test_the_photographs_have_the_labels_of_their_names(data_root: Path) -> None:
    batch = load(f"imagefolder:{data_root / 'imagenet'}", samples=80, image_size=32, seed=2)
    names = sorted(path.name for path in (data_root / "imagenet").glob("*.jpg"))
    order = torch.randperm(80, generator=torch.Generator().manual_seed(2)).tolist()
    assert batch.y.tolist() == [int(names[index][:4]) for index in order]
    assert len(set(batch.y.tolist())) == batch.dataset_size == 80
    assert batch.classes == 994  # the largest class_id, 993, plus 1
    assert batch.description == "photographs (imagenet), 80 images at 32 px"


def test_a_photograph_at_its_own_size_is_its_centre(data_root: Path) -> None:
    """The short side is 256 already: only the crop is left, exact in every byte."""
    batch = load(f"imagefolder:{data_root / 'imagenet'}", samples=4, image_size=256)
    with (data_root / "imagenet" / "labels.csv").open(newline="") as file:
        rows = {int(row["class_id"]): row for row in csv.DictReader(file)}
    for image, label in zip(batch.x.double().numpy(), batch.y.tolist(), strict=True):
        with Image.open(data_root / "imagenet" / rows[label]["file"]) as photo:
            assert photo.size == (int(rows[label]["w"]), int(rows[label]["h"]))
            left, top = (round((side - 256) / 2) for side in photo.size)
            expected = np.asarray(photo.crop((left, top, left + 256, top + 256)))
        levels = (image.transpose(1, 2, 0) * STD + MEAN) * 255
        assert np.array_equal(levels.round().astype(np.uint8), expected)
