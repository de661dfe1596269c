"""Images, tables and batches that are not what they say: each reader, and the command line."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from snnlens.data import images, sets
from snnlens.data.readers import _labels, _npz, _photograph
from snnlens.experiments._batch import load_batch
from tests.trust.hostile_files import (
    bounded,
    command_refuses,
    damaged,
    impostors,
    in_little_memory,
    out_of_memory,
    refuses,
)
from tests.trust.tally import Count, fuzz

pytestmark = pytest.mark.promise("one-line")
RATES = ["rates", "--layout", "cifar", "--depth", "8", "--batch", "1", "--image-size", "16"]


def loads(spec: str, **options: Any) -> None:
    """What a run does with data: a batch, then a training and a test set."""
    images.load(spec, samples=1, image_size=16, **options)
    sets.load(spec, image_size=16, test_share=0.5)


# --- CIFAR-10 ------------------------------------------------------------------------------------


def zipped(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


PIXELS = np.arange(2 * 3072).reshape(2, 32, 32, 3).astype(np.uint8)
CIFAR = (
    zipped(images=PIXELS, labels=[1, 2], class_names=np.array(["a"] * 10)),
    zipped(x_train=PIXELS.transpose(0, 3, 1, 2), y_train=[[1], [2]], x_test=PIXELS, y_test=[0, 3]),
)
RECORDS = (bytes([3]) + PIXELS[0].tobytes()) * 2


@fuzz(120)
@given(data=damaged(*CIFAR))
def test_damaged_arrays_of_images(data: bytes, tmp_path: Path, tally: Count) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(data)
    refuses(loads, f"cifar10:{path}")
    tally("damaged images")


@fuzz(60)
@given(data=damaged(RECORDS))
def test_damaged_records(data: bytes, tmp_path: Path, tally: Count) -> None:
    path = tmp_path / "data_batch_1.bin"
    path.write_bytes(data)
    refuses(loads, f"cifar10:{path}")
    refuses(loads, f"cifar10:{tmp_path}")
    tally("damaged images", 2)


@pytest.mark.parametrize("names", [np.zeros(2**21, "S0"), np.zeros(2**21, "V0")], ids=["S0", "V0"])
def test_names_of_classes_without_bytes(names: Any, tmp_path: Path, tally: Count) -> None:
    """A few bytes may hold a billion names of no letters, and each class is a row of weights."""
    path = tmp_path / "a.npz"
    path.write_bytes(zipped(images=PIXELS, labels=[1, 2], class_names=names))
    with bounded(path):
        assert refuses(_npz.read, path)
    tally("files that promise gigabytes")


@impostors
@pytest.mark.parametrize("name", ["a.npz", "a.bin", "data_batch_1.bin"])
def test_something_else_in_the_place_of_images(
    name: str, impostor: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], tally: Count
) -> None:
    impostor(tmp_path / name)
    where = tmp_path if name.startswith("data") else tmp_path / name
    command_refuses([*RATES, "--data", f"cifar10:{where}"], capsys, tmp_path)
    tally("commands")


# --- MNIST ---------------------------------------------------------------------------------------


def idx(*shape: int, data: bytes | None = None) -> bytes:
    body = bytes(shape[0] * 784 if len(shape) == 3 else shape[0]) if data is None else data
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape) + body


def mnist(folder: Path, images_file: bytes, labels_file: bytes, end: str = "") -> str:
    (folder / f"train-images-idx3-ubyte{end}").write_bytes(images_file)
    (folder / f"train-labels-idx1-ubyte{end}").write_bytes(labels_file)
    return f"mnist:{folder}"


@pytest.mark.parametrize("end", ["", ".gz"])
@fuzz(60)
@given(data=st.data())
def test_damaged_idx_files(end: str, data: st.DataObject, tmp_path: Path, tally: Count) -> None:
    pack = gzip.compress if end else bytes
    files = [pack(idx(2, 28, 28)), pack(idx(2))]
    number = data.draw(st.integers(0, 1))
    files[number] = data.draw(damaged(files[number]))
    refuses(images.load, mnist(tmp_path, files[0], files[1], end), samples=1)
    tally("damaged images")


@pytest.mark.parametrize("count", [2**32 - 1, 2**31, 10**7, 3])
@pytest.mark.parametrize("end", ["", ".gz"])
def test_a_header_of_terabytes(count: int, end: str, tmp_path: Path, tally: Count) -> None:
    """3 TB of images in 4 kB: refused by the header, before anything is unpacked."""
    pack = gzip.compress if end else bytes
    header = idx(count, 28, 28, data=bytes(4000))
    spec = mnist(tmp_path, pack(header), pack(idx(count, data=b"")), end)
    with bounded(tmp_path / f"train-images-idx3-ubyte{end}"):
        assert refuses(images.load, spec, samples=1)
    tally("files that promise gigabytes")


def test_a_gzip_bomb(tmp_path: Path, tally: Count) -> None:
    """400 MB of zeros behind a header of two images are not unpacked."""
    part = gzip.compress(bytes(2**22), 9)
    spec = mnist(tmp_path, gzip.compress(idx(2, 28, 28)) + part * 100, gzip.compress(idx(2)), ".gz")
    with bounded(tmp_path / "train-images-idx3-ubyte.gz"):
        assert refuses(images.load, spec, samples=1)
    tally("gzip bombs")


# --- photographs ---------------------------------------------------------------------------------


def saved(kind: str, mode: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS[0]).convert(mode).save(file, kind)
    return file.getvalue()


PHOTOGRAPHS = tuple(
    saved(kind, mode)
    for kind in ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
    for mode in ("RGB", "L")
)


@fuzz(200)
@given(data=damaged(*PHOTOGRAPHS))
def test_damaged_photographs(data: bytes, tmp_path: Path, tally: Count) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(data)
    refuses(_photograph.read, path, 16)
    tally("damaged images")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *more: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(10**6)))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + body + chunk(b"IEND", b"")


BOMBS = {
    "pixels": png(60_000, 60_000),
    "more pixels": png(2**31 - 1, 2**31 - 1),
    "a little too many": png(10_000, 10_000),
    "text": png(8, 8, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**8), 9))),
    "profile": png(8, 8, chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(10**8), 9))),
    "frames": png(8, 8, chunk(b"acTL", struct.pack(">II", 2**32 - 1, 0))),
}


@pytest.mark.parametrize("name", BOMBS)
def test_decompression_bombs(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], tally: Count
) -> None:
    """Pillow's guard is heard; its warning is the same line as its error."""
    path = tmp_path / "a.png"
    path.write_bytes(BOMBS[name])
    with bounded(path):
        refused = refuses(_photograph.read, path, 16)
    if "pixels" in name or name == "a little too many":
        assert refused
        command_refuses([*RATES, "--data", f"imagefolder:{tmp_path}"], capsys, path, "pixels")
    tally("decompression bombs")


OTHERS = {
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(a) (w) file closefile\n",
    "a Windows metafile": b"\xd7\xcd\xc6\x9a" + bytes(100),
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
    "PDF": b"%PDF-1.4\n",
    "FITS": b"SIMPLE  =                    T" + bytes(2850),
    "a pickle": b"\x80\x05cos\nsystem\n.",
}


@pytest.mark.parametrize("name", OTHERS)
def test_files_that_are_called_photographs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Count
) -> None:
    """Pillow would start Ghostscript for PostScript, whatever the file is called."""
    started: list[object] = []
    monkeypatch.setattr("subprocess.Popen", lambda *a, **k: started.append(a))
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", "gs", raising=False)
    path = tmp_path / "a.jpg"
    path.write_bytes(OTHERS[name])
    assert refuses(_photograph.read, path, 16)
    assert not started
    tally("files of another kind")


# --- labels.csv, and folders ---------------------------------------------------------------------


@fuzz(100)
@given(data=damaged(b"file,class_id\na.png,3\n", b"\xef\xbb\xbfclass_id,x,file\n1,2,a.png\n"))
def test_damaged_labels(data: bytes, tmp_path: Path, tally: Count) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(data)
    refuses(_labels.read, path, ["a.png"])
    tally("damaged tables")


@pytest.mark.parametrize("text", ["9" * 5000, "0" * 5000 + "7", "0" * 11 + "9" * 30, "1e3", "\x1b"])
def test_extreme_class_ids(text: str, tmp_path: Path, tally: Count) -> None:
    (tmp_path / "labels.csv").write_text(f"file,class_id\na.png,{text}\n")
    assert refuses(_labels.read, tmp_path / "labels.csv", ["a.png"]) == (text[-1] != "7")
    tally("extreme numbers")


@impostors
@pytest.mark.parametrize("name", ["labels.csv", "a.png", "train/cat", "a"])
def test_something_else_in_a_folder_of_photographs(
    name: str, impostor: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], tally: Count
) -> None:
    (tmp_path / "train").mkdir()
    impostor(tmp_path / name)
    if name == "labels.csv":
        (tmp_path / "a.png").write_bytes(PHOTOGRAPHS[2])
    if name == "labels.csv" and impostor.__name__ in ("a_loop", "dangling"):
        return  # as if there were none: that is a folder without a table, and is read
    command_refuses([*RATES, "--data", f"imagefolder:{tmp_path}"], capsys, tmp_path)
    tally("commands")


@impostors
@pytest.mark.parametrize("kind", ["cifar10", "imagefolder", "mnist", "events", "nmnist"])
def test_something_else_in_the_place_of_a_data_set(
    kind: str, impostor: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], tally: Count
) -> None:
    impostor(tmp_path / "a")
    argv = ["checkup", "sew_7b_net", "--data", f"{kind}:{tmp_path / 'a'}", "--batch", "1"]
    command_refuses(argv, capsys, tmp_path)
    tally("commands")


# --- --input -------------------------------------------------------------------------------------

BATCH = safetensors.torch.save({"x": torch.ones(2, 3, 4), "y": torch.tensor([0, 1])})


def written(header: object, body: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file: the length of its header in 8 bytes, the header, the numbers."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def tensor(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


INPUTS = {
    "a header of 2^60 bytes": written(b"{}", length=2**60),
    "a header of 2^63 bytes": written(b"{}", length=2**63),
    "a header of 100 MB": written(b"{}", length=10**8),
    "a header of nothing": written(b"", length=0),
    "no JSON": written(b"\x80\x05."),
    "deep JSON": written(b'{"a":' * 50_000),
    "not UTF-8": written(b'{"\xff": 1}'),
    "a shape of 2^80": written({"x": tensor("F32", [2**40, 2**40], 0, 4)}, bytes(4)),
    "a shape of nothing": written({"x": tensor("F32", [0, 2**62], 0, 0)}),
    "a negative shape": written({"x": tensor("F32", [-1], 0, 4)}, bytes(4)),
    "overlapping": written(
        {"x": tensor("F32", [1], 0, 4), "y": tensor("I64", [1], 0, 8)}, bytes(8)
    ),
    "behind the end": written({"x": tensor("F32", [1], 2**40, 2**40 + 4)}, bytes(4)),
    "an unknown dtype": written({"x": tensor("OBJECT", [1], 0, 4)}, bytes(4)),
    "a name of lines": written({"x\n\x1b[31m" * 999: tensor("F32", [1], 0, 4)}, bytes(4)),
    "complex targets": written(
        {"x": tensor("F32", [1], 0, 4), "y": tensor("C64", [1], 4, 12)}, bytes(12)
    ),
    "a zip at the end": written({"x": tensor("F32", [1], 0, 4)}, bytes(4)) + b"PK\5\6" + bytes(18),
    "a cut zip": b"PK\3\4" + bytes(40) + b"PK\5\6" + b"\xff" * 18,
}


@pytest.mark.parametrize("name", INPUTS)
def test_batches_of_another_kind(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], tally: Count
) -> None:
    path = tmp_path / "batch.safetensors"
    path.write_bytes(INPUTS[name])
    with bounded(path):
        assert refuses(load_batch, str(path), None)
    command_refuses(["checkup", "sew_resnet8", "--input", str(path)], capsys, path.name)
    tally("batches")


@fuzz(150)
@given(data=damaged(BATCH))
def test_damaged_batches(data: bytes, tmp_path: Path, tally: Count) -> None:
    path = tmp_path / "batch.safetensors"
    path.write_bytes(data)
    refuses(load_batch, str(path), None)
    tally("damaged batches")


DTYPES = ["BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "I16", "U16", "F16", "BF16", "I32", "U32",
          "F32", "F64", "I64", "U64", "C64", "F4", "F8_E8M0", "F6_E2M3"]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
def test_inputs_of_every_dtype(dtype: str, tmp_path: Path, tally: Count) -> None:
    """Whatever a file may hold is a batch, or is refused."""
    path = tmp_path / "batch.safetensors"
    for size in (1, 2, 4, 8):
        path.write_bytes(written({"x": tensor(dtype, [4], 0, 4 * size)}, bytes(4 * size)))
        refuses(load_batch, str(path), None)
        tally("batches")


@impostors
def test_something_else_in_the_place_of_a_batch(
    impostor: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], tally: Count
) -> None:
    path = tmp_path / "batch.safetensors"
    impostor(path)
    command_refuses(["checkup", "sew_resnet8", "--input", str(path)], capsys, path)
    tally("commands")


def test_a_zip_of_other_files_is_no_batch(tmp_path: Path, tally: Count) -> None:
    with zipfile.ZipFile(tmp_path / "a.safetensors", "w") as file:
        file.writestr("a.txt", "hello")
    assert refuses(load_batch, str(tmp_path / "a.safetensors"), None)
    tally("batches")


def test_images_larger_than_the_memory(tmp_path: Path, tally: Count) -> None:
    """A .bin with a hole of 3 GB, read in 1 GB: one line, and exit code 2."""
    with (tmp_path / "a.bin").open("wb") as file:
        file.truncate(3073 * 10**6)
    imports = (
        "import sys; from snnlens.experiments import _networks, rates; from snnlens import cli"
    )
    code = f"sys.exit(cli.main([*{RATES}, '--data', sys.argv[1]]))"
    done = in_little_memory(imports, code, f"cifar10:{tmp_path / 'a.bin'}", megabytes=1024)
    assert out_of_memory(done)
    assert done.stderr.startswith("snnlens: the memory must be enough; ")
    tally("files that promise gigabytes")
