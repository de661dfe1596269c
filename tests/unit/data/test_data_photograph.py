"""One photograph: modes, resize, crop, and broken files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snnlens.data.readers._photograph import read
from snnlens.errors import InputError


def noise(height: int, width: int) -> np.ndarray:
    generator = np.random.default_rng([height, width])
    return generator.integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_centre_crop_without_resize_is_exact(tmp_path: Path) -> None:
    pixels = noise(4, 10)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(read(tmp_path / "a.png", 4), pixels[:, 3:7])
    Image.fromarray(pixels.transpose(1, 0, 2)).save(tmp_path / "b.png")
    assert np.array_equal(read(tmp_path / "b.png", 4), pixels.transpose(1, 0, 2)[3:7])


def test_twice_the_size_by_hand(tmp_path: Path) -> None:
    """Half-pixel centres: between 0 and 200, the values 0, 50, 150, 200."""
    Image.fromarray(np.array([[0, 200], [0, 200]], np.uint8)).save(tmp_path / "a.png")
    assert read(tmp_path / "a.png", 4)[:, :, 0].tolist() == [[0, 50, 150, 200]] * 4


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(37, 50, 16), (50, 37, 16), (256, 341, 224), (333, 500, 224), (9, 31, 20), (64, 64, 64)],
)
def test_equals_resizing_the_whole_and_then_cropping(
    tmp_path: Path, height: int, width: int, size: int
) -> None:
    """The usual two steps: Resize(size), then CenterCrop(size)."""
    image = Image.fromarray(noise(height, width))
    image.save(tmp_path / "a.png")
    short = min(height, width)
    whole = image.resize((size * width // short, size * height // short), Image.Resampling.BILINEAR)
    left, top = round((whole.width - size) / 2), round((whole.height - size) / 2)
    expected = np.asarray(whole.crop((left, top, left + size, top + size))).astype(int)
    found = read(tmp_path / "a.png", size)
    assert np.abs(found.astype(int) - expected).max() <= 1  # 8-bit rounding of the weights


@pytest.mark.parametrize("size", [1, 7, 224, 299])
@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (1, 30_000), (999, 1001)])
def test_any_shape_gives_a_square(tmp_path: Path, shape: tuple[int, int], size: int) -> None:
    Image.new("RGB", shape, (9, 8, 7)).save(tmp_path / "a.png")
    assert np.array_equal(read(tmp_path / "a.png", size), np.full((size, size, 3), (9, 8, 7)))


def saved(path: Path, mode: str, color: object) -> list[int]:
    """Save one colour and return it as read."""
    Image.new(mode, (5, 5), color).save(path)  # type: ignore[arg-type]
    pixels = read(path, 3)
    assert (pixels == pixels[0, 0]).all()
    colour: list[int] = pixels[0, 0].tolist()
    return colour


@pytest.mark.parametrize(
    ("name", "mode", "color", "expected"),
    [
        ("a.png", "L", 77, [77, 77, 77]),
        ("a.png", "1", 1, [255, 255, 255]),
        ("a.png", "P", 0, [0, 0, 0]),
        ("a.tif", "CMYK", (0, 255, 255, 0), [255, 0, 0]),
        ("a.tif", "CMYK", (0, 0, 0, 155), [100, 100, 100]),
        ("a.png", "RGBA", (10, 20, 30, 255), [10, 20, 30]),
        ("a.png", "RGBA", (255, 0, 0, 128), [255, 127, 127]),  # 255 (1 - 128 / 255)
        ("a.png", "RGBA", (0, 0, 0, 0), [255, 255, 255]),
        ("a.png", "LA", (100, 255), [100, 100, 100]),
        ("a.png", "I;16", 100 * 257, [100, 100, 100]),
        ("a.png", "I;16", 65535, [255, 255, 255]),
        ("a.tif", "I;16", 256, [1, 1, 1]),
        ("a.bmp", "RGB", (1, 2, 3), [1, 2, 3]),
        ("a.webp", "RGB", (255, 255, 255), [255, 255, 255]),
        ("a.ppm", "RGB", (1, 2, 3), [1, 2, 3]),
    ],
)
def test_modes_become_rgb(
    tmp_path: Path, name: str, mode: str, color: object, expected: list[int]
) -> None:
    assert saved(tmp_path / name, mode, color) == expected


def test_a_palette_with_a_transparent_colour_lies_on_white(tmp_path: Path) -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 200, 0, 0])
    image.save(tmp_path / "a.png", transparency=1)
    assert read(tmp_path / "a.png", 2).tolist() == [[[255, 255, 255]] * 2] * 2
    image.save(tmp_path / "b.png", transparency=0)
    assert read(tmp_path / "b.png", 2).tolist() == [[[200, 0, 0]] * 2] * 2


def test_of_an_animation_the_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("L", (4, 4), level) for level in (0, 255)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read(tmp_path / "a.gif", 2).max() == 0


def test_exif_orientation_is_ignored(tmp_path: Path) -> None:
    image = Image.fromarray(noise(20, 20))
    exif = image.getexif()
    exif[0x0112] = 6  # rotated by a quarter
    image.save(tmp_path / "turned.jpg", exif=exif)
    image.save(tmp_path / "plain.jpg")
    with Image.open(tmp_path / "turned.jpg") as turned:
        assert turned.getexif()[0x0112] == 6
    assert np.array_equal(read(tmp_path / "turned.jpg", 8), read(tmp_path / "plain.jpg", 8))


def refusal(path: Path) -> str:
    opened = len(list(Path("/dev/fd").iterdir()))
    with pytest.raises(InputError) as caught:
        read(path, 8)
    assert len(list(Path("/dev/fd").iterdir())) == opened
    return str(caught.value)


def undecodable(path: Path) -> str:
    return (
        f"photograph must be an image that Pillow can decode; got '{path}'; "
        "remove it or save it again"
    )


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.webp", "a.tif", "a.bmp", "a.ppm"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5])
def test_cut_files_are_named(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    Image.fromarray(noise(60, 60)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert refusal(path) == undecodable(path)


def test_a_text_file_is_no_photograph(tmp_path: Path) -> None:
    path = tmp_path / "renamed.jpg"
    path.write_text("a text file\n")
    assert refusal(path) == undecodable(path)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_modes_without_a_stated_white_are_refused(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.tif"
    Image.new(mode, (4, 4)).save(path)
    assert refusal(path) == undecodable(path)


@pytest.mark.parametrize("side", [4, 8])  # Pillow warns above its limit, raises above twice
def test_the_guard_against_decompression_bombs_stays_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: int
) -> None:
    path = tmp_path / "bomb.png"
    Image.new("RGB", (side, side)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert refusal(path) == f"photograph must be at most 10 pixels; got '{path}'; shrink it"
