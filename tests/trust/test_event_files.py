"""Recordings of events that are not what they say: each decoder, each reader, the command line."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnlens.data import images, recordings
from snnlens.data.formats import aedat2, aedat3, nbin, npz
from tests.trust.hostile_files import (
    bounded,
    command_refuses,
    damaged,
    fresh,
    impostors,
    in_little_memory,
    out_of_memory,
    refuses,
    replaced,
)
from tests.trust.tally import Count, fuzz
from tests.unit.data.eventfiles import (
    AEDAT2,
    AEDAT3,
    address,
    packet,
    polarity,
    write_aedat2,
)

pytestmark = pytest.mark.promise("one-line")
EVENTS = [(1, 2, 1, 5), (3, 4, 0, 6), (127, 120, 1, 900)]
STRUCTURED = np.array(EVENTS, [("x", "<i4"), ("y", "<i4"), ("p", "?"), ("t", "<i8")])
INTEGERS = st.sampled_from([0, 1, -1, 8, 28, 2**15, 2**31 - 1, -(2**31), 2**20])


def zipped(*, packed: bool = False, **arrays: Any) -> bytes:
    file = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(file, **arrays)
    return file.getvalue()


def columns(**changes: Any) -> dict[str, Any]:
    x, y, p, t = zip(*EVENTS, strict=True)
    return {"x": x, "y": y, "p": p, "t": t} | changes


VALID: dict[ModuleType, tuple[bytes, ...]] = {
    nbin: (
        b"".join((x << 32 | y << 24 | p << 23 | t).to_bytes(5, "big") for x, y, p, t in EVENTS),
    ),
    aedat2: (AEDAT2 + b"".join(struct.pack(">II", address(x, y, p), t) for x, y, p, t in EVENTS),),
    aedat3: (AEDAT3 + polarity(EVENTS) + packet(bytes(12), 1, kind=2, size=12, time_at=8),),
    npz: (zipped(**columns()), zipped(packed=True, **columns()), zipped(a=STRUCTURED, b=[1])),
}
SUFFIX = {nbin: ".bin", aedat2: ".aedat", aedat3: ".aedat", npz: ".npz"}
FORMATS = pytest.mark.parametrize("module", VALID, ids=lambda m: m.__name__.rpartition(".")[2])


@FORMATS
def test_the_files_themselves_are_whole(module: ModuleType, tmp_path: Path) -> None:
    for data in VALID[module]:
        (tmp_path / f"a{SUFFIX[module]}").write_bytes(data)
        assert len(recordings.decode(tmp_path / f"a{SUFFIX[module]}")) == len(EVENTS)


@FORMATS
@fuzz(150)
@given(data=st.data())
def test_damaged_files(
    module: ModuleType, data: st.DataObject, tmp_path: Path, tally: Count
) -> None:
    path = tmp_path / f"a{SUFFIX[module]}"
    path.write_bytes(data.draw(damaged(*VALID[module])))
    refuses(module.decode, path)
    tally("damaged recordings")


@FORMATS
def test_a_file_cut_at_each_byte(module: ModuleType, tmp_path: Path, tally: Count) -> None:
    path = tmp_path / f"a{SUFFIX[module]}"
    whole = VALID[module][0]
    head = len(AEDAT2)
    first = len(AEDAT3 + polarity(EVENTS))  # a packet
    whole_after = {nbin: (5, 10), aedat2: (head + 8, head + 16), aedat3: (first,), npz: ()}
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        assert refuses(module.decode, path) or end in whole_after[module]
        tally("cut recordings")


@fuzz(150)
@given(fields=st.lists(INTEGERS, min_size=8, max_size=8), behind=st.binary(max_size=40))
def test_headers_of_packets(fields: list[int], behind: bytes, tmp_path: Path, tally: Count) -> None:
    kinds = [max(-(2**15), min(2**15 - 1, n)) for n in fields[:2]]
    path = tmp_path / "a.aedat"
    path.write_bytes(AEDAT3 + struct.pack("<hhiiiiii", *kinds, *fields[2:]) + behind)
    with bounded(path):
        refuses(aedat3.decode, path)
    tally("headers of packets")


def npy(said: str, body: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = said.encode("latin-1", "replace")
    width = "<H" if version == b"\x01\x00" else "<I"
    return b"\x93NUMPY" + version + struct.pack(width, len(text)) + text + body


def archive(path: Path, kind: int = zipfile.ZIP_STORED, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", kind) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def header(descr: str, shape: object) -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


HEADERS = [
    header("'<i8'", (10**12,)),
    header("'<i8'", (2**70,)),
    header("'<i8'", (-1,)),
    header("'|V0'", (2**40,)),
    header("'|S0'", (2**40,)),
    header("'|O'", (3,)),
    header("[('x', '|O')]", (3,)),
    header(f"[('x', '<i8', ({2**31},))]", (1,)),
    header("[]", (3,)),
    header("'os.system'", (3,)),
    header("'<i8'", "(3L,)"),  # as Python 2 wrote it
    header("'<i8'", "((((((((((((((")[:-3],
    "(" * 9000,
    "-" * 9000 + "1",
    "{'descr': '''",
    "__import__('os').abort()",
    "",
]


@pytest.mark.parametrize("version", [b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x09"])
@pytest.mark.parametrize("said", HEADERS, ids=lambda h: h[:60])
def test_headers_of_arrays(said: str, version: bytes, tmp_path: Path, tally: Count) -> None:
    path = archive(
        tmp_path / "a.npz", **{f"{n}.npy": npy(said, bytes(24), version) for n in "xypt"}
    )
    with bounded(path):
        assert refuses(npz.decode, path) or "3L" in said
    tally("headers of arrays")


MEMBERS: dict[str, dict[str, bytes]] = {
    "no array": {"readme.txt": b"hello"},
    "no arrays at all": {},
    "an array of another kind": {"x.npy": b"x" * 50},
    "pickled": {f"{n}.npy": npy(header("'|O'", (1,))) for n in "xypt"},
    "texts": {f"{n}.npy": npy(header("'<U1'", (1,)), b"abcd") for n in "xypt"},
    "names of a path": {"../../x.npy": b"", "/etc/passwd.npy": b""},
}


@pytest.mark.parametrize(
    "kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
@pytest.mark.parametrize("what", MEMBERS)
def test_what_is_in_an_archive(what: str, kind: int, tmp_path: Path, tally: Count) -> None:
    assert refuses(npz.decode, archive(tmp_path / "a.npz", kind, **MEMBERS[what]))
    tally("archives")


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_numpy_never_packs_is_not_unpacked(kind: int, tmp_path: Path, tally: Count) -> None:
    with np.load(io.BytesIO(zipped(**columns()))) as arrays:
        members = {
            f"{n}.npy": npy(
                header("'<i8'", (3,)),
                arrays[n].astype("<i8").tobytes(),
            )
            for n in "xypt"
        }
    assert not refuses(npz.decode, archive(tmp_path / "a.npz", **members))
    assert refuses(npz.decode, archive(tmp_path / "b.npz", kind, **members))
    tally("archives")


def test_a_zip_bomb(tmp_path: Path, tally: Count) -> None:
    """200 MB of zeros in 200 kB: refused by what it says, and nothing is unpacked."""
    zeros = npy(header("'<i8'", (25 * 10**6,))) + bytes(200 * 10**6)
    path = archive(tmp_path / "a.npz", zipfile.ZIP_DEFLATED, **{"x.npy": zeros})
    with bounded(path):
        assert refuses(npz.decode, path)
    tally("zip bombs")


@pytest.mark.parametrize(
    ("name", "value"), [("x", 4096), ("y", 2**62), ("x", -1), ("t", 2**63 - 1)]
)
def test_pixels_that_no_sensor_has(name: str, value: int, tmp_path: Path, tally: Count) -> None:
    """One event decides how large the frames are: at y = 2^62 they would be all there is."""
    (tmp_path / "a").mkdir()
    np.savez(tmp_path / "a" / "0.npz", **columns(**{name: [0, 1, value]}))
    load = lambda: images.load(f"events:{tmp_path}", samples=1, time_steps=1)  # noqa: E731
    assert refuses(load) == (name != "t")
    tally("extreme events")


@FORMATS
def test_a_decoder_takes_little_memory(module: ModuleType, tmp_path: Path, tally: Count) -> None:
    """So many times the size of the file, whatever is in it."""
    path = tmp_path / f"a{SUFFIX[module]}"
    many = np.arange(400_000)
    if module is nbin:
        path.write_bytes(bytes([1, 2, 3, 4, 5]) * len(many))
    elif module is aedat2:
        write_aedat2(path, [(0, int(t)) for t in many])
    elif module is aedat3:
        body = np.stack([np.full(len(many), 3, "<u4"), many.astype("<u4")], 1).tobytes()
        path.write_bytes(AEDAT3 + packet(body, len(many)))
    else:
        np.savez(path, x=many % 128, y=many % 128, p=many % 2, t=many)
    with bounded(path):
        module.decode(path)
    tally("recordings whose memory was measured")


# --- readers, and the command line ---------------------------------------------------------------

GESTURE = "class,startTime_usec,endTime_usec\n1,0,1000\n"


def gesture(folder: Path) -> Path:
    """The smallest folder DvsGesture."""
    (folder / "trials_to_train.txt").write_text("user01_lab.aedat\n")
    (folder / "user01_lab.aedat").write_bytes(VALID[aedat3][0])
    (folder / "user01_lab_labels.csv").write_text(GESTURE)
    return folder / "user01_lab.aedat"


def recording(kind: str, folder: Path) -> Path:
    """The only recording of a data set."""
    if kind == "dvsgesture":
        return gesture(folder)
    name, module = {
        "nmnist": ("0/0.bin", nbin), "ncaltech101": ("ant/0.bin", nbin),
        "cifar10dvs": ("cat/0.aedat", aedat2), "events": ("a/0.npz", npz),
    }[kind]  # fmt: skip
    (folder / name).parent.mkdir()
    (folder / name).write_bytes(VALID[module][0])
    return folder / name


KINDS = ["cifar10dvs", "dvsgesture", "events", "ncaltech101", "nmnist"]


@impostors
@pytest.mark.parametrize("kind", KINDS)
def test_something_else_in_the_place_of_a_recording(
    kind: str, impostor: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], tally: Count
) -> None:
    replaced(recording(kind, tmp_path), impostor)
    argv = ["checkup", "sew_7b_net", "--data", f"{kind}:{tmp_path}", "--batch", "1"]
    command_refuses(argv, capsys, tmp_path)
    tally("commands")


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_recording(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], tally: Count
) -> None:
    path = recording(kind, tmp_path)
    path.write_bytes(path.read_bytes()[:-3])
    argv = ["checkup", "sew_7b_net", "--data", f"{kind}:{tmp_path}", "--batch", "1"]
    command_refuses([*argv, "--image-size", "240"], capsys, path)
    tally("commands")


@pytest.mark.parametrize("name", ["trials_to_train.txt", "user01_lab_labels.csv"])
@impostors
def test_something_else_in_the_place_of_a_table(
    name: str, impostor: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], tally: Count
) -> None:
    gesture(tmp_path)
    replaced(tmp_path / name, impostor)
    argv = ["checkup", "sew_7b_net", "--data", f"dvsgesture:{tmp_path}", "--batch", "1"]
    command_refuses(argv, capsys, tmp_path)
    tally("commands")


NAMES = ["/", "..", ".", "../user01_lab.aedat", "/etc/passwd", "a" * 300 + ".aedat", "\0", "\ud800"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names_of_trials(name: str, tmp_path: Path, tally: Count) -> None:
    gesture(tmp_path)
    listed = f"{name}\n".encode("utf-8", "surrogatepass")
    (tmp_path / "trials_to_train.txt").write_bytes(listed)
    assert refuses(images.load, f"dvsgesture:{tmp_path}", samples=1, time_steps=1)
    tally("names of files")


@pytest.mark.parametrize("name", ["trials_to_train.txt", "user01_lab_labels.csv"])
@fuzz(60)
@given(data=st.data())
def test_damaged_tables(name: str, data: st.DataObject, tmp_path: Path, tally: Count) -> None:
    folder = fresh(tmp_path)
    gesture(folder)
    text = b"user01_lab.aedat\n" if name.startswith("trials") else GESTURE.encode()
    (folder / name).write_bytes(data.draw(damaged(text)))
    refuses(images.load, f"dvsgesture:{folder}", samples=1, time_steps=1)
    tally("damaged tables")


def test_a_recording_larger_than_the_memory(tmp_path: Path, tally: Count) -> None:
    """A file with a hole of 4 GB, read in 1 GB: one line, and exit code 2."""
    (tmp_path / "0").mkdir()
    with (tmp_path / "0" / "0.bin").open("wb") as file:
        file.truncate(5 * 2**30)
    imports = (
        "import sys; from snnlens.experiments import _subject, checkup; from snnlens import cli"
    )
    code = "sys.exit(cli.main(['checkup', 'sew_7b_net', '--batch', '1', '--data', sys.argv[1]]))"
    assert out_of_memory(in_little_memory(imports, code, f"events:{tmp_path}", megabytes=1024))
    tally("files that promise gigabytes")
