"""Bad input: one line (got, wanted, what to do), exit 2, nothing written."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snnlens import api
from snnlens.cli import _panel, main
from tests.unit.runs import saved

SMALL = ["--layout", "cifar", "--depth", "8", "--image-size", "8", "--batch", "4"]
IMAGENET = "18, 34, 50, 101 or 152 in the imagenet layout"
QUESTIONS = sorted(api.registry.listing("experiments"), key=_panel)
ABOUT_RUNS = ["compare", "export", "gate", "report"]
COMMANDS = ", ".join([*QUESTIONS, *ABOUT_RUNS, "list", "explain", "doctor"])
CHECKS = [api.registry.plugin("checks", name) for name in api.registry.listing("checks")]
CODES = ", ".join(sorted(check.code for check in CHECKS))
PHOTOGRAPHS = "a folder of photographs, or of one subfolder of photographs per class"
SUFFIXES = ".jpg, .jpeg, .png, .bmp, .gif, .tif, .tiff, .webp, .ppm, .pgm"
SAVE_AGAIN = "save it with numpy.savez(path, images=..., labels=...)"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole stderr is the one line; stdout is empty; nothing new lies in the folder."""
    before = sorted(Path().rglob("*"))
    assert main(argv) == 2
    said = capsys.readouterr()
    assert (said.err, said.out) == (f"snnlens: {message}\n", "")
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--depth 51", f"depth must be {IMAGENET}; got 51"),
        ("--depth 56", (f"depth must be {IMAGENET}; got 56; the cifar layout has it: --layout "
         f"cifar")),
        ("--depth 18 --layout cifar", ("depth must be 6n + 2 from 8 to 1202 in the cifar layout; "
         "got "
         "18; the imagenet layout has it: --layout imagenet")),
        ("--depth deep", "depth must be an integer; got 'deep'"),
        ("--layout svhn", "layout must be imagenet or cifar; got 'svhn'"),
        ("--connect plus", "connect must be add, and or iand; got 'plus'"),
        ("--residual spiking,ms --connect and,iand",
         "connect must be left out: only the blocks of sew have one; got 'and,iand'"),
        ("--residual sew,dense", "residual must be ann, plain, spiking, sew or ms; got 'dense'"),
        ("--surrogate step", ("surrogate must be one of atan, constant, rectangular, sigmoid, "
         "superspike, triangular; got 'step'")),
        ("--alpha -2", "alpha must be a finite number above 0; got -2.0"),
        ("--threshold 0", "threshold must be in (0, 1e6]; got 0.0"),
        ("--threshold -1", "threshold must be in (0, 1e6]; got -1.0"),
        ("--threshold nan", "threshold must be in (0, 1e6]; got nan"),
        ("--threshold inf", "threshold must be in (0, 1e6]; got inf"),
        ("--threshold 1e7", "threshold must be in (0, 1e6]; got 10000000.0"),
        ("--threshold high", "threshold must be a number; got 'high'"),
        ("--time-steps 0", "time_steps must be at least 1; got 0"),
        ("--time-steps -3", "time_steps must be at least 1; got -3"),
        ("--batch 0", "batch must be at least 1; got 0"),
        ("--batch 2000", ("number of images in digits must be at least 2000; got 1797; give "
         "--batch "
         "1797 or fewer")),
        ("--batch 1 --image-size 32", ("batch must be at least 2 at 32 px; got 1; BatchNorm in the "
         "last stage needs more than one sample per channel")),
        ("--image-size 16", ("image_size must be from 32 to 4096 pixels in the imagenet layout; "
         "got "
         "16")),
        ("--image-size 0", ("image_size must be from 32 to 4096 pixels in the imagenet layout; got "
         "0")),
        ("--zero-init maybe", "zero_init must be 'yes', 'no' or 'both'; got 'maybe'"),
        ("--seed -1", "seed must be a whole number from 0 to 2^63 - 1; got -1; give --seed 0"),
        ("--device cuda:99", ("device must be one of this machine's; got 'cuda:99'; give --device "
         "cpu")),
        ("--fail-on bad", "--fail-on must be never, note, warning or error; got 'bad'"),
        ("--data svhn", ("data must be cifar10:PATH, digits, imagefolder:PATH, mnist:PATH or "
         "random; got 'svhn'; give --data digits")),
        ("--data digits:x", "data must be digits; got 'digits:x'; digits takes no path"),
        ("--data imagefolder", (f"data must be imagefolder:PATH; got 'imagefolder'; give "
         f"{PHOTOGRAPHS}")),
        ("--data imagefolder:nowhere", ("imagefolder path must be a file or folder that exists; "
         "got "
         f"'nowhere'; give {PHOTOGRAPHS}")),
        ("--nope", ("No such option: --nope (Possible options: --force, --mode); see `snnlens "
         "gradients --help`")),
        ("--dept 18", ("No such option: --dept (Possible options: --depth, --help, --mode); see "
         "`snnlens gradients "
         "--help`")),
        ("--depth", "Option '--depth' requires an argument; see `snnlens --help`"),
        ("more and", "Got unexpected extra argument(s) (and); see `snnlens gradients --help`"),
    ],
)  # fmt: skip
def test_options(options: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused(["gradients", *options.split()], message, capsys)


@pytest.mark.parametrize("question", ["rates", "identity"])
def test_other_questions_refuse_alike(question: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused([question, "--depth", "51"], f"depth must be {IMAGENET}; got 51", capsys)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["gradient"], f"COMMAND must be one of {COMMANDS}; got 'gradient'"),
        (["--depth", "18"], "No such option: --depth; see `snnlens --help`"),
        (["report"], "RUN must be at least one run folder; got 'nothing'"),
        (["report", "nowhere"], "RUN must be a run folder; got 'nowhere'; see `snnlens list`"),
        (["report", "--preset", "no.toml"], ("--preset must be a TOML file; got 'no.toml'; "
         "[Errno 2] "
         "No such file or directory: 'no.toml'")),
        (["explain", "SNL999"], f"CODE must be one of {CODES}; got 'SNL999'"),
        (["explain", ""], f"CODE must be one of {CODES}; got ''"),
        (["explain", "SNL302", "SNL303"], ("Got unexpected extra argument(s) (SNL303); see "
         "`snnlens explain --help`")),
    ],
)  # fmt: skip
def test_commands(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused(argv, message, capsys)


def test_nothing_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    """The help, and exit 2: a script that forgot its command must not go on."""
    assert main([]) == 2
    said = capsys.readouterr()
    assert "Usage: snnlens" in said.out
    assert said.err == "snnlens: COMMAND must be given; got nothing; see `snnlens --help`\n"


# --- data --------------------------------------------------------------------------------------


def test_an_empty_folder(capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    refused(
        ["gradients", *SMALL, "--data", "imagefolder:empty"],
        f"imagefolder must be {PHOTOGRAPHS}; got 'empty (nothing in it)'; give a folder with "
        f"{SUFFIXES}",
        capsys,
    )


def test_a_broken_image_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos").mkdir()
    for name in "abcd":
        Image.new("RGB", (9, 9), "red").save(f"photos/{name}.png")
    whole = Path("photos/c.png").read_bytes()
    Path("photos/c.png").write_bytes(whole[: len(whole) // 2])
    refused(
        ["gradients", *SMALL, "--data", "imagefolder:photos"],
        "photograph must be an image that Pillow can decode; got 'photos/c.png'; remove it or save "
        "it again",
        capsys,
    )


def test_too_few_images(capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos").mkdir()
    Image.new("RGB", (9, 9), "red").save("photos/a.png")
    refused(
        ["gradients", *SMALL, "--data", "imagefolder:photos"],
        "number of images in imagefolder:photos must be at least 4; got 1; give --batch 1 or fewer",
        capsys,
    )


def test_a_file_that_is_no_npz(capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.npz").write_text("no zip", encoding="utf-8")
    refused(
        ["gradients", *SMALL, "--data", "cifar10:x.npz"],
        f"cifar10 file must be an .npz (a zip archive of arrays); got 'x.npz'; {SAVE_AGAIN}",
        capsys,
    )


def test_an_npz_with_a_pickle(capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("x.npz", images=np.array([object()]), labels=np.zeros(1, int))
    refused(
        ["gradients", *SMALL, "--data", "cifar10:x.npz"],
        "cifar10 file must be whole arrays of plain numbers (a pickled object is never read); got "
        f"'x.npz'; {SAVE_AGAIN}",
        capsys,
    )


# --- the output folder -------------------------------------------------------------------------

NOT_NEW = "add --force to replace it, or choose another with -o"


def test_a_folder_that_exists(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.tex").write_text("years", encoding="utf-8")
    refused(
        ["gradients", *SMALL, "-o", "mine"],
        f"the output folder must be new; got 'mine'; {NOT_NEW}",
        capsys,
    )


def test_an_older_run_without_force(capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(saved("rates"), "mine")
    refused(
        ["rates", *SMALL, "-o", "mine"],
        f"the output folder must be new; got 'mine'; {NOT_NEW}",
        capsys,
    )


def test_force_never_replaces_what_is_no_run(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.tex").write_text("years", encoding="utf-8")
    refused(
        ["gradients", *SMALL, "-o", "mine", "--force"],
        "the output folder must be an older run or an empty folder; got 'mine'; --force replaces "
        "nothing else; choose another with -o",
        capsys,
    )
    assert Path("mine/thesis.tex").read_text(encoding="utf-8") == "years"


def test_a_file_in_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine").write_text("a file", encoding="utf-8")
    refused(
        ["gradients", *SMALL, "-o", "mine/run"],
        "the output folder must be inside a folder; got 'mine/run'",
        capsys,
    )


def test_no_room_on_the_disk(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 5 * 2**20, 5 * 2**20))
    refused(
        ["gradients", *SMALL, "-o", "mine"],
        "the disk of the output folder must be with at least 64 MB free; got '5 MB free'; make "
        "room "
        "or use -o",
        capsys,
    )


def test_a_disk_that_fills_while_it_is_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    def save(*_args: object, **_kw: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("snnlens.figures.style.save", save)
    refused(
        ["rates", *SMALL, "--residual", "spiking", "-o", "deep/mine", "--quiet"],
        "the disk of the output folder must be with room for the run; got 'full'; make room or "
        "choose another folder with -o",
        capsys,
    )


def test_a_wrong_option_is_said_before_the_folder(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine").mkdir()
    refused(["rates", "--depth", "51", "-o", "mine"], f"depth must be {IMAGENET}; got 51", capsys)


# --- the report --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[run]\n", ("--preset must be a TOML file; got 'p.toml'; Expected ']]' at the end of an "
         "array declaration (at line 1, column 6)")),
        ("", "--preset must be a file with at least one [[run]]; got 'p.toml'"),
        ("run = 3", "--preset must be a file with at least one [[run]]; got 'p.toml'"),
        ("[run]\nname = 'a'", "--preset must be a file with at least one [[run]]; got 'p.toml'"),
        ("run = [3]", "each [[run]] of the preset must be NAMED; got 3"),
        ("[[run]]\nname = '../a'\nquestion = 'rates'", ("each [[run]] of the preset must be NAMED; "
         "got {'name': '../a', 'question': 'rates'}")),
        ("[[run]]\nname = '.a'\nquestion = 'rates'", ("each [[run]] of the preset must be NAMED; "
         "got "
         "{'name': '.a', 'question': 'rates'}")),
        ("[[run]]\nname = 'a'", "each [[run]] of the preset must be NAMED; got {'name': 'a'}"),
        ("[[run]]\nname = 3\nquestion = 'rates'", ("each [[run]] of the preset must be NAMED; got "
         "{'name': 3, 'question': 'rates'}")),
        ("[[run]]\nname = 'a'\nquestion = 'why'",
         f"question must be one of {', '.join(sorted(QUESTIONS))}; got 'why'"),
        ("[[run]]\nname = 'a'\nquestion = 'rates'\ndepth = 51",
         f"depth must be {IMAGENET}; got 51"),
        (("[[run]]\nname = 'a'\nquestion = 'rates'\n" * 2),
         "the names in the preset must be all different; got 'a, a'"),
    ],
)  # fmt: skip
def test_presets(text: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    named = "with a question, and a name of letters, digits, '.', '_' and '-'"
    Path("p.toml").write_text(text, encoding="utf-8")
    refused(["report", "--preset", "p.toml"], message.replace("NAMED", named), capsys)


def test_a_later_mistake_in_a_preset_comes_before_the_first_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("p.toml").write_text(
        "[[run]]\nname = 'a'\nquestion = 'rates'\n[[run]]\nname = 'b'\nquestion = 'rates'\n"
        "force = true\n",
        encoding="utf-8",
    )
    names = ", ".join(api.registry.module("experiments", "rates").Params.model_fields)
    refused(
        ["report", "--preset", "p.toml"], f"a parameter must be one of {names}; got 'force'", capsys
    )
