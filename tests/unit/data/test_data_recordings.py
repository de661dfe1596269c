"""N-Caltech101, CIFAR10-DVS and folders of events: labels, parts, frames, refusals."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from snnlens.data import images, specs
from snnlens.data.readers import cifar10dvs
from snnlens.errors import InputError
from tests.unit.data.eventfiles import (
    AEDAT2,
    Event,
    address,
    polarity,
    read_aedat2,
    write_aedat2,
    write_aedat3,
    write_nbin,
)

SAVE_AGAIN = "save it with numpy.savez(path, x=x, y=y, t=t_us, p=p)"


def refusal(spec: str, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        images.load(spec, samples=1, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def nbin(path: Path, *recorded: Event) -> Path:
    return write_nbin(path, list(recorded))


def aedat2(path: Path, *seen: Event) -> Path:
    return write_aedat2(path, [(address(x, y, p), t) for x, y, p, t in seen])


# --- N-Caltech101 --------------------------------------------------------------------------------


@pytest.fixture
def caltech(tmp_path: Path) -> Path:
    nbin(tmp_path / "Motorbikes" / "image_0001.bin", (239, 179, 1, 10))
    nbin(tmp_path / "Faces_easy" / "image_0002.bin", (1, 2, 0, 5), (1, 2, 0, 299_999))
    nbin(tmp_path / "Faces_easy" / "image_0001.bin", (3, 4, 1, 5))
    (tmp_path / "Faces_easy" / "annotation.mat").write_text("x")
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_ncaltech101(caltech: Path) -> None:
    batch = images.load(f"ncaltech101:{caltech}", samples=3, time_steps=2)
    assert batch.x.shape == (2, 3, 2, 180, 240)
    assert (batch.classes, sorted(batch.y.tolist())) == (2, [0, 0, 1])
    assert batch.description == (
        "N-Caltech101, 3 recordings at 180 x 240 px, 2 frames of equally many events"
    )
    last = batch.x[:, batch.y == 1]
    assert torch.nonzero(last).tolist() == [[1, 0, 1, 179, 239]]
    assert specs.parts(f"ncaltech101:{caltech}") == ()


def test_ncaltech101_centred_and_in_bins(caltech: Path) -> None:
    batch = images.load(f"ncaltech101:{caltech}", samples=3, image_size=256, bin_ms=100)
    assert batch.x.shape == (3, 3, 2, 256, 256)
    assert batch.x[:, batch.y == 1, 1, 38 + 179, 8 + 239].sum() == 1
    assert batch.x.sum(dim=(1, 2, 3, 4)).tolist() == [3, 0, 1]
    assert batch.description.endswith(", 180 x 240 px centred in 256 px, 3 frames of 100 ms")
    assert refusal(f"ncaltech101:{caltech}", image_size=239) == (
        "image size must be at least 180 x 240 pixels for N-Caltech101: frames are not resized; "
        "got 239"
    )


def test_ncaltech101_refusals(caltech: Path, tmp_path: Path) -> None:
    spec = f"ncaltech101:{caltech}"
    file = nbin(caltech / "Motorbikes" / "image_0001.bin", (240, 0, 0, 0))
    nbin(caltech / "Faces_easy" / "image_0001.bin", (240, 0, 0, 0))
    shutil.rmtree(caltech / "Faces_easy")
    assert refusal(spec) == f"x of the events in {file} must be from 0 to 239; got 240"
    file.write_bytes(b"123")
    assert refusal(spec) == (
        f"{file} at byte 0 must be a whole event of 5 bytes; got '3 bytes'; "
        "copy or download it again"
    )
    file.write_bytes(b"")
    assert refusal(spec) == f"recording must be a file of events; got '{file} (empty)'"
    file.unlink()
    assert refusal(spec) == (
        "ncaltech101 must be a folder with one subfolder of .bin files per class (Caltech101 of "
        f"N-Caltech101); got '{caltech} (no .bin there)'"
    )


@pytest.mark.data
def test_a_real_ncaltech101_recording(data_root: Path, tmp_path: Path) -> None:
    (tmp_path / "Faces_easy").mkdir()
    source = data_root / "events" / "ncaltech101_faces_easy_0001.bin"
    shutil.copy(source, tmp_path / "Faces_easy")
    batch = images.load(f"ncaltech101:{tmp_path}", samples=1, time_steps=8)
    assert batch.x.sum() == 67_445
    assert batch.x.sum(dim=(1, 2, 3, 4)).max() == 8431  # ceil(67,445 / 8)


# --- CIFAR10-DVS ---------------------------------------------------------------------------------


@pytest.fixture
def cifar(tmp_path: Path) -> Path:
    """11 cats, 1 dog; the time of cat i begins at 1000 i + 2^31."""
    for i in range(11):
        start = 1000 * i + 2**31
        seen = (i, 2 * i, 1, start), (i, 2 * i, 1, start + 1500), (127, 0, 0, start + 3000)
        aedat2(tmp_path / "cat" / f"cifar10_cat_{i}.aedat", *seen)
    aedat2(tmp_path / "dog" / "cifar10_dog_0.aedat", (5, 6, 1, 7))
    return tmp_path


def test_cifar10dvs_parts(cifar: Path) -> None:
    """ceil(.9 x 11) = 10 for training, by the order of the names: 0, 1, 10, 2, ..., 8 | 9."""
    spec = f"cifar10dvs:{cifar}"
    assert specs.parts(spec) == ("train", "test")
    tested = images.load(spec, samples=1, part="test", time_steps=1)
    trained = images.load(spec, samples=11, part="train", time_steps=1)
    assert (tested.dataset_size, trained.dataset_size) == (1, 11)
    assert (tested.classes, trained.classes, sorted(trained.y.tolist())) == (2, 2, [0] * 10 + [1])
    assert images.load(spec, samples=11, time_steps=1).fingerprint == trained.fingerprint
    # x and y change places; two ON events of cat 9 at x = 9, y = 18, and OFF in a corner
    assert torch.nonzero(tested.x).tolist() == [[0, 0, 0, 127, 0], [0, 0, 1, 9, 18]]
    assert tested.x[0, 0, 1, 9, 18] == 2
    assert tested.description.startswith("CIFAR10-DVS (test part), 1 recording at 128 px")
    assert trained.description.startswith("CIFAR10-DVS (train part), 11 recordings at 128 px")


def test_cifar10dvs_is_read_as_spikingjelly_reads_it(cifar: Path) -> None:
    """x = 127 - (bits 14 to 8), y = 127 - (bits 7 to 1), p = 1 - bit 0 of datasets/cifar10_dvs."""
    for file in sorted(cifar.glob("*/*.aedat")):
        raw = file.read_bytes()[len(AEDAT2) :]
        address = np.array([a for a, _ in struct.iter_unpack(">II", raw)])
        found = cifar10dvs.decode(file)
        assert found.x.tolist() == (127 - (address >> 8 & 0x7F)).tolist()
        assert found.y.tolist() == (127 - (address >> 1 & 0x7F)).tolist()
        assert found.polarity.tolist() == (1 - address % 2).tolist()


def test_cifar10dvs_time_begins_at_the_first_event(cifar: Path) -> None:
    spec = f"cifar10dvs:{cifar}"
    batch = images.load(spec, samples=1, part="test", time_steps=4, bin_ms=1)
    assert batch.x.sum(dim=(1, 2, 3, 4)).tolist() == [1, 1, 0, 1]
    assert refusal(spec, bin_ms=1) == (
        "time_steps must be given with bin_ms: recordings of CIFAR10-DVS differ in length; got None"
    )


def test_cifar10dvs_refusals(cifar: Path) -> None:
    spec = f"cifar10dvs:{cifar}"
    assert refusal(spec, part="val") == f"the part of {spec} must be train or test; got 'val'"
    assert refusal(spec, image_size=127) == (
        "image size must be at least 128 pixels for CIFAR10-DVS: frames are not resized; got 127"
    )
    shutil.rmtree(cifar / "cat")
    assert specs.parts(spec) == ("train",)
    assert refusal(spec, part="test") == f"the part of {spec} must be train; got 'test'"
    (file := cifar / "dog" / "cifar10_dog_0.aedat").write_bytes(b"#!AER-DAT3.1\r\n")
    assert refusal(spec) == f"the beginning of {file} must be '#!AER-DAT2.0'; got '#!AER-DAT3.1'"


@pytest.mark.data
def test_the_official_frames_of_a_real_recording(data_root: Path, tmp_path: Path) -> None:
    """SpikingJelly's split by number, 16 frames, counted again from the bytes alone."""
    (tmp_path / "scissors").mkdir()
    source = data_root / "events" / "aedat2_dvs128_scissors.aedat"
    shutil.copy(source, tmp_path / "scissors")
    reader = specs.reader("cifar10dvs")
    request = images.Request(1, None, 0, time_steps=16, remainder="last")
    frames = reader.read(tmp_path, request)
    assert frames.note == "16 frames of equally many events (the rest in the last)"
    seen = read_aedat2(source)
    each = len(seen) // 16
    expected = np.zeros((16, 2, 128, 128), np.int64)
    for i, (x, y, p, _) in enumerate(seen):
        expected[min(i // each, 15), p, x, y] += 1
    assert np.array_equal(frames.pixels(np.array([0]))[:, 0], expected)


# --- events --------------------------------------------------------------------------------------


def test_events_of_any_format(tmp_path: Path) -> None:
    """The sensor: 128 x 128 as AEDAT states, and wider where an .npz reaches farther."""
    nbin(tmp_path / "a" / "1.bin", (1, 2, 0, 70))
    aedat2(tmp_path / "b" / "1.aedat", (3, 4, 1, 80))
    write_aedat3(tmp_path / "b" / "2.aedat", polarity([(5, 6, 0, 90)]))
    (tmp_path / "c").mkdir()
    np.savez(tmp_path / "c" / "1.npz", x=[150], y=[7], t=[10**6], p=[1])
    (tmp_path / "c" / "notes.txt").write_text("no recording")
    spec = f"events:{tmp_path}"
    batch = images.load(spec, samples=4, time_steps=1, bin_ms=1)
    assert batch.x.shape == (1, 4, 2, 128, 151)
    order = torch.randperm(4, generator=torch.Generator().manual_seed(0)).tolist()
    assert batch.y.tolist() == [[0, 1, 1, 2][i] for i in order]
    places = [[0, 2, 1], [1, 4, 3], [0, 6, 5], [1, 7, 150]]
    assert [torch.nonzero(batch.x[0, s]).tolist() for s in range(4)] == [[places[i]] for i in order]
    assert batch.description == (
        f"recordings ({tmp_path.name}), 4 recordings at 128 x 151 px, 1 frame of 1 ms"
    )
    assert specs.parts(spec) == ()
    centred = images.load(spec, samples=4, time_steps=1, image_size=160)
    assert centred.x.shape == (1, 4, 2, 160, 160)
    assert centred.x.sum() == 4


def test_events_of_one_sensor_have_its_size(tmp_path: Path) -> None:
    aedat2(tmp_path / "a" / "1.aedat", (3, 4, 1, 80))
    assert images.load(f"events:{tmp_path}", samples=1).x.shape[-2:] == (128, 128)


def test_events_refusals(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    spec = f"events:{tmp_path}"
    assert refusal(spec) == (
        "events must be a folder with one subfolder of recordings per class; "
        f"got '{tmp_path} (no .aedat or .bin or .npz there)'"
    )
    path = tmp_path / "a" / "1.npz"
    np.savez(path, x=[1], y=[1], t=[1])
    assert refusal(spec) == (
        f"arrays in {path} must be x, y, t and p, or one structured array of these; "
        f"got 'x, y, t'; {SAVE_AGAIN}"
    )
    np.savez(path, x=[1], y=[1], t=[1], p=[1])
    assert refusal(spec, bin_ms=1) == (
        f"time_steps must be given with bin_ms: recordings of {tmp_path} differ in length; got None"
    )
    (tmp_path / "a" / "2.aedat").write_bytes(b"#!AER-DAT4.0\r\n")
    assert refusal(spec) == (
        f"the beginning of {tmp_path / 'a' / '2.aedat'} must be #!AER-DAT2.0 or #!AER-DAT3.1; "
        "got '#!AER-DAT4.0'"
    )
    assert refusal(f"events:{path}") == (
        f"folder must be one that can be listed; got '{path}: Not a directory'"
    )


@pytest.mark.data
def test_real_recordings_of_three_cameras(data_root: Path, tmp_path: Path) -> None:
    for name, source in (("faces", "ncaltech101_faces_easy_0001.bin"),
                         ("scissors", "aedat2_dvs128_scissors.aedat"),
                         ("walking", "aedat2_dvs128_walking.aedat")):  # fmt: skip
        (tmp_path / name).mkdir()
        shutil.copy(data_root / "events" / source, tmp_path / name)
    batch = images.load(f"events:{tmp_path}", samples=3, time_steps=4)
    assert batch.x.shape == (4, 3, 2, 173, 151)
    totals = dict(zip(batch.y.tolist(), batch.x.sum(dim=(0, 2, 3, 4)).tolist(), strict=True))
    assert totals == {0: 67_445, 1: 143_655, 2: 19_182}


@pytest.mark.parametrize("kind", ["ncaltech101", "cifar10dvs", "dvsgesture", "events"])
def test_what_wants_images_gets_none_of_events(kind: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        specs.check(f"{kind}:{tmp_path}", 128)
    assert str(caught.value) == (
        f"data must be cifar10:PATH, digits, imagefolder:PATH, mnist:PATH or random; got '{kind}'; "
        "give --data digits"
    )
