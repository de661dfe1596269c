"""The N-MNIST reader: bytes, folders, frames, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from snnlens.data import images, specs
from snnlens.data.readers import nmnist
from snnlens.errors import InputError

Event = tuple[int, int, int, int]  # x, y, polarity, microseconds


def write(path: Path, recorded: Sequence[Event]) -> Path:
    """Big-endian, 40 bits an event: 8 of x, 8 of y, 1 of polarity, 23 of time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    words = [x << 32 | y << 24 | p << 23 | t for x, y, p, t in recorded]
    path.write_bytes(b"".join(word.to_bytes(5, "big") for word in words))
    return path


def some(count: int, seed: int) -> list[Event]:
    rng = np.random.default_rng(seed)
    times = np.sort(rng.integers(300_000, size=count))
    return [(*map(int, rng.integers(34, size=2)), int(rng.integers(2)), int(t)) for t in times]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for digit in (0, 3, 9):
        for index in range(2):
            write(tmp_path / str(digit) / f"{index}.bin", some(40 + digit, 10 * digit + index))
    return tmp_path


def test_decode_gives_what_was_written(tmp_path: Path) -> None:
    recorded = [(0, 33, 1, 0), (33, 0, 0, 2**23 - 1), (5, 6, 1, 2**16 + 258)]
    found = nmnist.decode(write(tmp_path / "a.bin", recorded))
    assert np.stack([found.x, found.y, found.polarity, found.t_us], 1).tolist() == [
        list(event) for event in recorded
    ]


def test_frames_of_equal_numbers(folder: Path) -> None:
    batch = images.load(f"nmnist:{folder}", samples=6, time_steps=5)
    assert (batch.x.dtype, tuple(batch.x.shape)) == (torch.float32, (5, 6, 2, 34, 34))
    assert batch.frames
    assert sorted(batch.y.tolist()) == [0, 0, 3, 3, 9, 9]
    for sample, label in enumerate(batch.y.tolist()):
        sizes = batch.x[:, sample].sum(dim=(1, 2, 3)).tolist()
        n = 40 + label
        assert sizes == [(t + 1) * n // 5 - t * n // 5 for t in range(5)]
    assert batch.description.endswith("6 recordings at 34 px, 5 frames of equally many events")


def test_frames_of_one_duration(tmp_path: Path) -> None:
    recorded = [(1, 2, 0, 0), (1, 2, 0, 999), (3, 4, 1, 1000), (5, 6, 1, 2999), (7, 8, 0, 3000)]
    write(tmp_path / "4" / "a.bin", recorded)
    batch = images.load(f"nmnist:{tmp_path}", samples=1, time_steps=3, bin_ms=1)
    assert torch.nonzero(batch.x).tolist() == [[0, 0, 0, 2, 1], [1, 0, 1, 4, 3], [2, 0, 1, 6, 5]]
    assert batch.x[0, 0, 0, 2, 1] == 2
    assert batch.description.endswith(", 1 recording at 34 px, 3 frames of 1 ms")


@pytest.mark.parametrize(("bin_ms", "steps"), [(1, 300), (100, 3), (70, 5), (0.5, 600)])
def test_bins_cover_300_ms_where_no_steps_are_given(
    folder: Path, bin_ms: float, steps: int
) -> None:
    batch = images.load(f"nmnist:{folder}", samples=1, bin_ms=bin_ms)
    assert len(batch.x) == steps
    assert batch.x.sum() == 40 + batch.y.item()


def test_four_frames_where_nothing_is_given(folder: Path) -> None:
    assert images.load(f"nmnist:{folder}", samples=1).x.shape == (4, 1, 2, 34, 34)


def test_order_is_the_seeded_permutation_of_digit_and_name(folder: Path) -> None:
    batch = images.load(f"nmnist:{folder}", samples=4, time_steps=1, seed=3)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(3))[:4].tolist()
    files = [folder / str(digit) / f"{index}.bin" for digit in (0, 3, 9) for index in (0, 1)]
    assert batch.y.tolist() == [int(files[i].parent.name) for i in order]
    for sample, i in enumerate(order):
        expected = torch.zeros(2, 34, 34)
        for x, y, p, _ in some(40 + int(files[i].parent.name), 10 * int(batch.y[sample]) + i % 2):
            expected[p, y, x] += 1
        assert torch.equal(batch.x[0, sample], expected)
    again = images.load(f"nmnist:{folder}", samples=4, time_steps=1, seed=3)
    assert again.fingerprint == batch.fingerprint


def test_train_comes_before_test_as_with_cifar10(tmp_path: Path) -> None:
    write(tmp_path / "Test" / "1" / "a.bin", some(5, 0))
    assert images.load(f"nmnist:{tmp_path}", samples=1).description.startswith("N-MNIST (Test), 1")
    write(tmp_path / "Train" / "2" / "a.bin", some(5, 1))
    both = images.load(f"nmnist:{tmp_path}", samples=1)
    assert (both.y.item(), both.dataset_size, both.description[:16]) == (2, 1, "N-MNIST (Train),")
    test = images.load(f"nmnist:{tmp_path / 'Test'}", samples=1)
    assert (test.y.item(), test.description[:15]) == (1, "N-MNIST (Test),")


def test_other_files_and_folders_are_left_out(folder: Path) -> None:
    (folder / "3" / "notes.txt").write_text("x")
    write(folder / "10" / "a.bin", some(5, 0))
    write(folder / "3" / ".hidden.bin", some(5, 0))
    assert images.load(f"nmnist:{folder}", samples=1).dataset_size == 6


def refusal(spec: str, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        images.load(spec, samples=1, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("size", [0, 4, 7])
def test_a_cut_file(folder: Path, size: int) -> None:
    cut = folder / "3" / "1.bin"
    cut.write_bytes(cut.read_bytes()[:size])
    message = (
        f"size of {cut} must be a whole number of events of 5 bytes; got {size}; "
        f"it is whole up to byte {size - size % 5}; unpack Train.zip or Test.zip of N-MNIST again"
    )
    assert refusal(f"nmnist:{folder}") == message
    with pytest.raises(InputError, match="size of"):
        specs.check(f"nmnist:{folder}", None, frames=True)


@pytest.mark.parametrize(("field", "event"), [("x", (34, 0, 0, 0)), ("y", (0, 200, 0, 0))])
def test_an_event_outside_the_sensor(tmp_path: Path, field: str, event: Event) -> None:
    file = write(tmp_path / "0" / "a.bin", [(1, 1, 0, 0), event])
    value = event["xy".index(field)]
    assert refusal(f"nmnist:{tmp_path}") == (
        f"{field} of the events in {file} must be from 0 to 33; got {value}"
    )


def test_a_folder_without_recordings(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    assert refusal(f"nmnist:{tmp_path}") == (
        "nmnist must be a folder with the digit folders 0 to 9 of .bin files, or one with Train "
        f"or Test in it; got '{tmp_path} (no .bin there)'"
    )


def test_a_file_instead_of_a_folder(tmp_path: Path) -> None:
    file = write(tmp_path / "a.bin", some(3, 0))
    assert refusal(f"nmnist:{file}") == (
        f"folder must be one that can be listed; got '{file}: Not a directory'"
    )


def test_frames_are_not_resized(folder: Path) -> None:
    images.load(f"nmnist:{folder}", samples=1, image_size=34)
    assert refusal(f"nmnist:{folder}", image_size=32) == (
        "image size must be at least 34 pixels for N-MNIST: frames are not resized; got 32"
    )


def test_frames_are_centred_in_a_larger_image(folder: Path) -> None:
    small = images.load(f"nmnist:{folder}", samples=6, time_steps=5)
    large = images.load(f"nmnist:{folder}", samples=6, time_steps=5, image_size=128)
    assert large.x.shape == (5, 6, 2, 128, 128)
    assert torch.equal(large.x[..., 47:81, 47:81], small.x)
    assert large.x.sum() == small.x.sum()
    assert large.description.endswith(
        ", 6 recordings at 128 px, 34 px centred in 128 px, 5 frames of equally many events"
    )
    odd = images.load(f"nmnist:{folder}", samples=6, time_steps=5, image_size=37)
    assert torch.equal(odd.x[..., 1:35, 1:35], small.x)


def test_each_part(tmp_path: Path) -> None:
    spec = f"nmnist:{tmp_path}"
    write(tmp_path / "Test" / "1" / "a.bin", some(5, 0))
    assert specs.parts(spec) == ("test",)
    write(tmp_path / "Train" / "2" / "a.bin", some(5, 1))
    assert specs.parts(spec) == ("train", "test")
    labels = [images.load(spec, samples=1, part=part).y.item() for part in ("train", "test", None)]
    assert labels == [2, 1, 2]
    assert specs.parts(f"{spec}/Train") == ()
    assert refusal(f"{spec}/Train", part="test") == (
        f"the part of {spec}/Train must be left out: it has none; got 'test'"
    )
    write(tmp_path / "3" / "a.bin", some(5, 1))  # digits beside: the folder itself is read
    assert specs.parts(spec) == ()
    assert images.load(spec, samples=1).y.item() == 3


@pytest.mark.parametrize("options", [{"time_steps": 0}, {"time_steps": 0, "bin_ms": 1}])
def test_no_time_steps(folder: Path, options: dict[str, object]) -> None:
    message = "time_steps must be at least 1; got 0"
    assert refusal(f"nmnist:{folder}", **options) == message


def test_too_few_recordings(folder: Path) -> None:
    with pytest.raises(InputError) as caught:
        images.load(f"nmnist:{folder}", samples=7)
    assert str(caught.value) == (
        f"number of recordings in nmnist:{folder} must be at least 7; got 6; "
        "give --batch 6 or fewer"
    )


def test_what_wants_images_gets_none_of_events(folder: Path) -> None:
    """The questions of the command line build networks for three channels and no time axis."""
    with pytest.raises(InputError) as caught:
        specs.check(f"nmnist:{folder}", 34)
    assert str(caught.value) == (
        "data must be cifar10:PATH, digits, imagefolder:PATH, mnist:PATH or random; got 'nmnist'; "
        "give --data digits"
    )


def test_images_have_no_bins() -> None:
    message = "bin_ms must be left out: digits holds no events; got 1"
    assert refusal("digits", bin_ms=1) == message


def test_no_image_size_leaves_images_as_they_are(tmp_path: Path) -> None:
    as_is, asked = (images.load("digits", samples=3, image_size=size) for size in (None, 8))
    assert torch.equal(as_is.x, asked.x)
    assert as_is.description == asked.description
    assert refusal("random") == (
        "image size must be given: random images have no size of their own; got None; add "
        "--image-size N"
    )
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    assert refusal(f"imagefolder:{tmp_path}") == (
        "image size must be given: photographs differ in size; got None; add --image-size N"
    )


@pytest.mark.data
def test_the_hundred_recordings(data_root: Path) -> None:
    """Counted from the bytes alone: 5 bytes an event; and in time order."""
    folder = data_root / "events" / "nmnist" / "Test"
    files = sorted(folder.glob("*/*.bin"))
    sizes = [file.stat().st_size // 5 for file in files]
    assert (len(files), min(sizes), max(sizes)) == (100, 1069, 6326)
    for file in files:
        assert (np.diff(nmnist.decode(file).t_us) >= 0).all()
    batch = images.load(f"nmnist:{folder.parent}", samples=100, time_steps=3)
    assert batch.x.sum(dim=(0, 2, 3, 4), dtype=torch.int64).sort()[0].tolist() == sorted(sizes)
    digits = [int(file.parent.name) for file in files]
    assert sorted(batch.y.tolist()) == digits


def test_an_unknown_kind_hears_of_all(tmp_path: Path) -> None:
    assert refusal("svhn") == (
        "data must be cifar10:PATH, cifar10dvs:PATH, digits, dvsgesture:PATH, events:PATH, "
        "imagefolder:PATH, mnist:PATH, ncaltech101:PATH, nmnist:PATH, planted or random; "
        "got 'svhn'; give --data digits"
    )
