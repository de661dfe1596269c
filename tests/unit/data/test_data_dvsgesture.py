"""DVS Gesture: cuts of recordings, parts, frames, refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from snnlens.data import images, specs
from snnlens.errors import InputError
from tests.unit.data.eventfiles import polarity, write_aedat3


def refusal(spec: str, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        images.load(spec, samples=1, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def gesture(tmp_path: Path) -> Path:
    """Two users to train on, one to test on; time in a file is where the tables say."""
    for name, rows in {
        "user01_lab": ["1,100,200", "11,200,300"],
        "user02_led": ["3,50,150", "3,160,170"],
        "user24_led": ["8,1000,1100"],
    }.items():
        starts = [int(row.split(",")[1]) for row in rows]
        seen = [(i, 2 * i, i % 2, start + extra) for i, start in enumerate(starts, 1)
                for extra in (0, 5, 9)]  # fmt: skip
        write_aedat3(tmp_path / f"{name}.aedat", polarity([(9, 9, 1, 0), *seen, (9, 9, 1, 5000)]))
        table = tmp_path / f"{name}_labels.csv"
        table.write_text("class,startTime_usec,endTime_usec\n" + "\n".join(rows) + "\n")
    (tmp_path / "trials_to_train.txt").write_text("user01_lab.aedat\r\nuser02_led.aedat\r\n\r\n")
    (tmp_path / "trials_to_test.txt").write_text("user24_led.aedat\n")
    return tmp_path


def test_dvsgesture_parts(gesture: Path) -> None:
    spec = f"dvsgesture:{gesture}"
    assert specs.parts(spec) == ("train", "test")
    trained = images.load(spec, samples=4, part="train", time_steps=3)
    tested = images.load(spec, samples=1, part="test", time_steps=3)
    assert sorted(trained.y.tolist()) == [0, 2, 2, 10]
    assert (tested.y.tolist(), trained.classes, tested.classes) == ([7], 11, 11)
    assert images.load(spec, samples=4, time_steps=3).fingerprint == trained.fingerprint
    assert tested.description == (
        "DVS Gesture (test part), 1 recording at 128 px, 3 frames of equally many events"
    )
    order = torch.randperm(4, generator=torch.Generator().manual_seed(0)).tolist()
    for sample, i in enumerate(order):  # one event a frame, at the place of its row
        row = i % 2 + 1
        places = [[t, row % 2, 2 * row, row] for t in range(3)]
        assert torch.nonzero(trained.x[:, sample]).tolist() == places


def test_dvsgesture_time_begins_with_the_gesture(gesture: Path) -> None:
    """start <= time < end: an event at the end of one row is the first of the next."""
    spec = f"dvsgesture:{gesture}"
    batch = images.load(spec, samples=4, bin_ms=0.005, time_steps=3)
    for sample in range(4):
        assert batch.x[:, sample].sum(dim=(1, 2, 3)).tolist() == [1, 2, 0]


def test_dvsgesture_decodes_a_file_once(gesture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    plain = Path.open

    def counted(path: Path, *args: object, **options: object) -> object:
        read.append(path)
        return plain(path, *args, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", counted)
    images.load(f"dvsgesture:{gesture}", samples=4, time_steps=2, seed=3)
    assert sorted(path.name for path in read if path.suffix == ".aedat") == [
        "user01_lab.aedat", "user02_led.aedat",
    ]  # fmt: skip


COLUMNS = "class, startTime_usec, endTime_usec"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("user02_led_labels.csv", "class,startTime_usec,endTime_usec\n3,50,150\n12,160,170\n",
         "row 2 of FILE must be WANTED; got '12, 160, 170'"),
        ("user02_led_labels.csv", "class,startTime_usec,endTime_usec\n3,150,150\n",
         "row 1 of FILE must be WANTED; got '3, 150, 150'"),
        ("user02_led_labels.csv", "class,startTime_usec,endTime_usec\n3,50\n",
         "row 1 of FILE must be WANTED; got '3, 50, '"),
        ("user02_led_labels.csv", "class,startTime_usec,endTime_usec\n3,5e1,99\n",
         "row 1 of FILE must be WANTED; got '3, 5e1, 99'"),
        ("user02_led_labels.csv", "class,start,end\n3,50,99\n",
         f"table must be one with rows of {COLUMNS}; got 'FILE'"),
        ("user02_led_labels.csv", "", f"table must be one with rows of {COLUMNS}; got 'FILE'"),
        ("user02_led_labels.csv", "\xff", "file must be a text in UTF-8; got 'FILE'"),
        ("trials_to_train.txt", "\n", "the trials in FILE must be one .aedat a line; got 'none'"),
        ("user01_lab.aedat", "", "recording must be a file of events; got 'FILE (empty)'"),
    ],
)  # fmt: skip
def test_dvsgesture_refusals(gesture: Path, name: str, text: str, message: str) -> None:
    (gesture / name).write_text(text, encoding="latin-1")
    wanted = "a class from 1 to 11, a start and a later end in us"
    expected = message.replace("FILE", str(gesture / name)).replace("WANTED", wanted)
    assert refusal(f"dvsgesture:{gesture}") == expected


def test_dvsgesture_a_gesture_without_events(gesture: Path) -> None:
    table = gesture / "user24_led_labels.csv"
    table.write_text("class,startTime_usec,endTime_usec\n8,2000,2100\n")
    assert refusal(f"dvsgesture:{gesture}", part="test") == (
        f"the number of events in row 1 of {table} must be at least 1; got 0"
    )


@pytest.mark.parametrize("name", ["user02_led_labels.csv", "user02_led.aedat"])
def test_dvsgesture_missing_files(gesture: Path, name: str) -> None:
    (gesture / name).unlink()
    spec = f"dvsgesture:{gesture}"
    assert refusal(spec) == (
        f"a file that {gesture / 'trials_to_train.txt'} needs must be one that is there; "
        f"got '{gesture / name}'"
    )
    with pytest.raises(InputError, match="needs must be one that is there"):
        specs.check(spec, 128, frames=True)


def test_dvsgesture_without_lists(gesture: Path) -> None:
    spec = f"dvsgesture:{gesture}"
    (gesture / "trials_to_train.txt").unlink()
    assert specs.parts(spec) == ("test",)
    assert images.load(spec, samples=1).y.tolist() == [7]
    (gesture / "trials_to_test.txt").unlink()
    assert refusal(spec) == (
        "dvsgesture must be the folder DvsGesture with trials_to_train.txt, trials_to_test.txt "
        f"and user*.aedat; got '{gesture}'"
    )
