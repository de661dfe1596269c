"""Folders of photographs: which files, in which order, with which labels; and each refusal."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from snnlens.data import specs
from snnlens.data.images import Images, load
from snnlens.errors import InputError

FOLDER = "a folder of photographs, or of one subfolder of photographs per class"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def photo(path: Path, level: int) -> None:
    """Write a 6 x 4 image whose red is `level`, green 2 level, blue 3 level."""
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (6, 4), (level, 2 * level, 3 * level)).save(path)


def levels(batch: Images) -> list[int]:
    """Return the level of each image, the same from all its pixels and channels."""
    found = []
    for image in batch.x.double():
        pixels = [(image[c] * STD[c] + MEAN[c]) * 255 / (c + 1) for c in range(3)]
        level = round(pixels[0][0, 0].item())
        assert torch.stack(pixels).numpy() == pytest.approx(level, abs=1e-4)  # float32 of 255
        found.append(level)
    return found


def test_flat_folder_without_labels(tmp_path: Path) -> None:
    for level, name in ((30, "c.PNG"), (10, "a.png"), (20, "b.bmp"), (40, ".hidden.png")):
        photo(tmp_path / name, level)
    (tmp_path / "notes.txt").write_text("no photograph")
    batch = load(f"imagefolder:{tmp_path}", samples=3, image_size=4, seed=1)
    order = torch.randperm(3, generator=torch.Generator().manual_seed(1)).tolist()
    assert levels(batch) == [[10, 20, 30][index] for index in order]
    assert batch.y.tolist() == order
    assert (batch.classes, batch.dataset_size) == (3, 3)
    assert batch.description == (
        f"photographs ({tmp_path.name}), 3 images at 4 px, labels in file order"
    )


def test_class_subfolders(tmp_path: Path) -> None:
    for level, name in ((1, "cat/b.png"), (2, "cat/a.png"), (3, "bird/z.png"), (4, "dog/m.png")):
        photo(tmp_path / name, level)
    (tmp_path / "empty").mkdir()
    (tmp_path / ".cache").mkdir()
    (tmp_path / "readme.md").write_text("not read")
    batch = load(f"imagefolder:{tmp_path}", samples=4, image_size=2)
    assert dict(zip(levels(batch), batch.y.tolist(), strict=True)) == {3: 0, 1: 1, 2: 1, 4: 2}
    assert batch.classes == 3
    assert batch.description == f"photographs ({tmp_path.name}), 4 images at 2 px"


def test_listing_order_of_the_file_system_is_of_no_effect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for level in range(1, 9):
        photo(tmp_path / f"{level}.png", level)
    forward = load(f"imagefolder:{tmp_path}", samples=5, image_size=4)
    listed = sorted(tmp_path.iterdir(), reverse=True)
    monkeypatch.setattr(Path, "iterdir", lambda _folder: iter(listed))
    assert load(f"imagefolder:{tmp_path}", samples=5, image_size=4).fingerprint == (
        forward.fingerprint
    )


def test_only_the_chosen_photographs_are_decoded(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        photo(tmp_path / name, 5)
    spoilt = torch.randperm(2, generator=torch.Generator().manual_seed(0)).tolist()[1]
    (tmp_path / ("a.png", "b.png")[spoilt]).write_text("broken")
    assert levels(load(f"imagefolder:{tmp_path}", samples=1, image_size=4)) == [5]


def labelled(folder: Path, table: str | bytes) -> str:
    photo(folder / "a.png", 1)
    photo(folder / "b.png", 2)
    (folder / "labels.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    return f"imagefolder:{folder}"


@pytest.mark.parametrize(
    "table",
    [
        "file,class_id\na.png,7\nb.png,2\n",
        "wnid,class_id,file\nn2, 2,b.png\nn9,9,gone.png\nn7,7 ,a.png\n",
        "\ufefffile,class_id\r\na.png,7\r\nb.png,2\r\n",
    ],
)
def test_labels_csv(tmp_path: Path, table: str) -> None:
    batch = load(labelled(tmp_path, table), samples=2, image_size=4)
    assert dict(zip(levels(batch), batch.y.tolist(), strict=True)) == {1: 7, 2: 2}
    assert batch.classes == (10 if "gone" in table else 8)
    assert batch.description == f"photographs ({tmp_path.name}), 2 images at 4 px"


def refusal(spec: str, *, samples: int = 1) -> str:
    opened = len(list(Path("/dev/fd").iterdir()))
    with pytest.raises(InputError) as caught:
        load(spec, samples=samples, image_size=4)
    assert len(list(Path("/dev/fd").iterdir())) == opened
    return str(caught.value)


@pytest.mark.parametrize(
    "table", ["", "file,class_id\n", "name,class_id\na.png,1\n", "file\na.png"]
)
def test_labels_csv_without_its_columns(tmp_path: Path, table: str) -> None:
    assert refusal(labelled(tmp_path, table)) == (
        "labels.csv must be a CSV file with the columns file and class_id; "
        f"got '{tmp_path / 'labels.csv'}'"
    )


def test_labels_csv_is_checked_before_anything_heavy(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^labels\.csv must be a CSV file in UTF-8; got '.*'$"):
        specs.check(labelled(tmp_path, b"file,class_id\n\xff\xfe.png,1\n"), 4)


def test_labels_csv_with_a_photograph_missing(tmp_path: Path) -> None:
    assert refusal(labelled(tmp_path, "file,class_id\na.png,1\n")) == (
        "labels.csv must be one that has a row for each photograph; "
        f"got '{tmp_path / 'labels.csv'}'; add a row for b.png"
    )


def test_labels_csv_with_a_file_twice(tmp_path: Path) -> None:
    assert refusal(labelled(tmp_path, "file,class_id\na.png,1\na.png,2\nb.png,3\n")) == (
        f"rows in {tmp_path / 'labels.csv'} must be one per file; got 'a.png'; remove one"
    )


@pytest.mark.parametrize("text", ["", "-1", "1.5", "cat", "1000000", "9" * 500, "²"])
def test_labels_csv_with_a_bad_class_id(tmp_path: Path, text: str) -> None:
    assert refusal(labelled(tmp_path, f"file,class_id\na.png,{text}\nb.png,1\n")) == (
        f"class_id of a.png in {tmp_path / 'labels.csv'} must be a whole number "
        f"from 0 to 999999; got '{text}'"
    )


def test_empty_folder(tmp_path: Path) -> None:
    assert refusal(f"imagefolder:{tmp_path}") == (
        f"imagefolder must be {FOLDER}; got '{tmp_path} (nothing in it)'; give a folder with "
        ".jpg, .jpeg, .png, .bmp, .gif, .tif, .tiff, .webp, .ppm, .pgm"
    )


@pytest.mark.parametrize("name", ["notes.txt", "train/cat/a.png", "a.png/b.txt"])
def test_folder_without_photographs(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("")
    assert refusal(f"imagefolder:{tmp_path}") == (
        f"imagefolder must be {FOLDER}; got '{tmp_path} (no photograph in it or one folder "
        "below)'; give a folder with .jpg, .jpeg, .png, .bmp, .gif, .tif, .tiff, .webp, .ppm, .pgm"
    )


def test_photographs_both_in_it_and_below(tmp_path: Path) -> None:
    photo(tmp_path / "a.png", 1)
    photo(tmp_path / "cat" / "b.png", 1)
    assert refusal(f"imagefolder:{tmp_path}") == (
        f"imagefolder must be {FOLDER}; got '{tmp_path / 'a.png'} beside "
        f"{tmp_path / 'cat' / 'b.png'}'; move one of the two away"
    )


def test_a_file_for_a_folder(tmp_path: Path) -> None:
    photo(tmp_path / "a.png", 1)
    assert refusal(f"imagefolder:{tmp_path / 'a.png'}") == (
        f"imagefolder must be {FOLDER}; got '{tmp_path / 'a.png'}'"
    )


def test_fewer_photographs_than_asked(tmp_path: Path) -> None:
    photo(tmp_path / "a.png", 1)
    spec = f"imagefolder:{tmp_path}"
    assert refusal(spec, samples=3) == (
        f"number of images in {spec} must be at least 3; got 1; give --batch 1 or fewer"
    )


def test_a_broken_photograph_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    assert refusal(f"imagefolder:{tmp_path}") == (
        f"photograph must be an image that Pillow can decode; got '{tmp_path / 'bad.jpg'}'; "
        "remove it or save it again"
    )
