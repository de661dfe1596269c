"""MODEL: built-in names, factories, and a line for every mistake."""

from __future__ import annotations

import random
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from snnlens.errors import InputError, NothingToRecord
from snnlens.experiments import _blame
from snnlens.experiments._blame import UserCodeError, user_code
from snnlens.experiments._imports import is_pickle
from snnlens.experiments._model import NAMES, WANTED, call_factory, load_class, load_model
from snnlens.models.resnet import resnet
from snnlens.registry import PACKAGE


@pytest.fixture(autouse=True)
def _in_an_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """sys.path and sys.modules are as before afterwards: MODEL changes both."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield  # type: ignore[misc]
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def write(path: str, text: str) -> None:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(textwrap.dedent(text), encoding="utf-8")


def refused(spec: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        load_model(spec)
    assert str(error.value) == message
    assert error.value.exit_code == 2


NET = """
    import torch
    from torch import nn

    class Net(nn.Sequential):
        def __init__(self, width=3):
            super().__init__(nn.Linear(2, width))

    def build():
        return Net()

    def builder(width, depth=3, *more, **options):
        return Net(width)

    COUNT, model = 3, Net()
    def two(): return Net(), 1
"""


# --- built-in ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "depth", "residual", "connect", "layout"),
    [
        ("sew_resnet18", 18, "sew", "add", "imagenet"),
        ("sew_resnet18_and", 18, "sew", "and", "imagenet"),
        ("sew_resnet34_iand", 34, "sew", "iand", "imagenet"),
        ("spiking_resnet18", 18, "spiking", None, "imagenet"),
        ("plain_resnet34", 34, "plain", None, "imagenet"),
        ("ms_resnet18", 18, "ms", None, "imagenet"),
        ("sew_resnet20", 20, "sew", "add", "cifar"),
        ("ms_resnet8", 8, "ms", None, "cifar"),
    ],
)
def test_built_in(name: str, depth: int, residual: str, connect: str | None, layout: str) -> None:
    model = load_model(name, seed=3, classes=10, time_steps=2)
    same = resnet(depth, residual=residual, connect=connect, layout=layout, classes=10,
                  time_steps=2, seed=3)  # fmt: skip
    assert model.facts() == same.facts()  # type: ignore[operator]
    for key, value in same.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key
    other = load_model(name, seed=4, classes=10)
    assert not torch.equal(other.state_dict()["fc.weight"], same.fc.weight)


def test_built_in_defaults() -> None:
    model = load_model("sew_resnet18")
    assert model.facts()["time_steps"] == 4  # type: ignore[operator]
    assert model.fc.out_features == 1000  # type: ignore[union-attr]


DEPTHS = "of depth 18, 34, 50, 101, 152, or 6n + 2 from 8 to 1202 (the cifar layout)"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("sew_resnet51", f"a built-in MODEL must be {DEPTHS}; got 'sew_resnet51'"),
        ("sew_resnet2", f"a built-in MODEL must be {DEPTHS}; got 'sew_resnet2'"),
        ("sew_resnet22", f"a built-in MODEL must be {DEPTHS}; got 'sew_resnet22'"),
        ("sew_resnet1208", f"a built-in MODEL must be {DEPTHS}; got 'sew_resnet1208'"),
        ("ms_resnet18_and", ("MODEL must be ms_resnet18; got 'ms_resnet18_and'; only sew has add, "
         "and, iand: sew_resnet18_and")),
        ("sew_resnet", (f"MODEL must be {WANTED}; got 'sew_resnet'; near names: "
         "sew_resnet50, sew_resnet34, sew_resnet18")),
        ("ann_resnet18", (f"MODEL must be {WANTED}; got 'ann_resnet18'; near names: "
         "plain_resnet18, ms_resnet18, sew_resnet18")),
        ("xyz", f"MODEL must be {WANTED}; got 'xyz'"),
        ("", f"MODEL must be {WANTED}; got ''"),
        (":", f"MODEL must be {WANTED}; got ':'"),
        ("torch.nn:", f"MODEL must be {WANTED}; got 'torch.nn:'"),
        (":build", f"MODEL must be {WANTED}; got ':build'"),
        ("net.safetensors", (f"MODEL must be {WANTED}; got 'net.safetensors'; weights alone are no "
         "model: load them in a factory")),
        ("net.py", f"MODEL must be {WANTED}; got 'net.py'; name its factory: net.py:build"),
        ("graph.nir", "MODEL must be a file that exists; got 'graph.nir'"),
        ("nowhere.py:build", "the file of MODEL must be one that exists; got 'nowhere.py'"),
        ("src/net:build", ("MODEL must be package.module:factory; got 'src/net'; a file is written "
         "src/net.py:factory")),
    ],
)  # fmt: skip
def test_mistakes_without_a_file(spec: str, message: str) -> None:
    refused(spec, message)


def test_every_name_that_is_offered_is_a_model() -> None:
    assert len(NAMES) == 20
    for name in NAMES[::5]:
        assert isinstance(load_model(name, classes=2), nn.Module)


# --- factories -----------------------------------------------------------------------------------


def test_a_module_of_the_current_folder() -> None:
    write("zoo/__init__.py", "")
    write("zoo/nets.py", NET)
    assert type(load_model("zoo.nets:build")).__qualname__ == "Net"
    assert type(load_model("zoo.nets:Net")).__qualname__ == "Net"  # a class is a factory
    assert sys.path[0] == str(Path.cwd())


def test_the_current_folder_comes_first(tmp_path: Path) -> None:
    """As with python -m, also where another folder is first and has a module of that name."""
    write("away/which.py", "from torch import nn\ndef build(): return nn.Linear(1, 1)")
    write("here/which.py", "from torch import nn\ndef build(): return nn.Linear(2, 2)")
    sys.path.insert(0, str(tmp_path / "away"))
    sys.path.insert(1, str(tmp_path / "here"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir("here")
        assert load_model("which:build").in_features == 2


def test_a_file_with_a_neighbour() -> None:
    write("deep/er/helper.py", "WIDTH = 7")
    write(
        "deep/er/net.py",
        """
        from dataclasses import dataclass
        from torch import nn
        from helper import WIDTH

        @dataclass
        class Sizes:
            width: "int" = WIDTH

        def build():
            return nn.Linear(2, Sizes().width)
    """,
    )
    assert load_model("deep/er/net.py:build").out_features == 7


def test_a_file_is_run_once_however_it_is_written() -> None:
    """Else --spiking net.py:Net would be another class than that of the layers of net.py:build."""
    write("net.py", "print('run')\n" + textwrap.dedent(NET))
    made = [load_model(spec) for spec in ("net.py:build", "net:build", "./net.py:build",
                                          f"{Path.cwd()}/net.py:build")]  # fmt: skip
    assert {type(model) for model in made} == {load_class("net.py:Net")}
    write("other/net.py", NET)
    assert load_class("other/net.py:Net") is not load_class("net.py:Net")
    assert load_class("other/net.py:Net") is load_class("other/../other/net.py:Net")
    write("json.py", NET)
    assert load_class("json.py:Net") is load_class("json.py:Net")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("zoo.nets:build", "what --spiking names must be a subclass of nn.Module; got 'function'"),
        ("json:JSONDecoder", ("what --spiking names must be a subclass of nn.Module; got "
         "'JSONDecoder'")),
        ("zoo.nets:Nett", ("the name in --spiking must be one that zoo.nets has; got 'Nett'; near "
         "names: Net")),
        ("Net", "--spiking must be package.module:Class or file.py:Class; got 'Net'"),
    ],
)  # fmt: skip
def test_what_is_no_class_of_layers(spec: str, message: str) -> None:
    write("zoo/__init__.py", "")
    write("zoo/nets.py", NET)
    with pytest.raises(InputError) as error:
        load_class(spec)
    assert str(error.value) == message


def test_a_file_with_the_name_of_a_module_replaces_none() -> None:
    write("json.py", "from torch import nn\nbuild = nn.Identity")
    before = sys.modules["json"]
    assert isinstance(load_model("json.py:build"), nn.Identity)
    assert sys.modules["json"] is before


def test_the_seed_comes_before_the_factory() -> None:
    write("chance.py", """
        import random
        import numpy as np
        import torch

        def build():
            net = torch.nn.Linear(2, 2)
            net.drawn = random.random(), np.random.rand()
            return net
    """)  # fmt: skip
    torch.rand(3), random.random()
    one, same, other = (load_model("chance:build", seed=s) for s in (5, 5, 6))
    assert torch.equal(one.weight, same.weight)  # type: ignore[arg-type]
    assert one.drawn == same.drawn
    assert not torch.equal(one.weight, other.weight)  # type: ignore[arg-type]
    assert not set(one.drawn) & set(other.drawn)  # type: ignore[arg-type]
    torch.manual_seed(5)
    assert torch.equal(one.weight, nn.Linear(2, 2).weight)  # type: ignore[arg-type]
    load_model("chance:build", seed=2**63 - 1)  # numpy takes 32 bits


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("zoo.nets:buld", ("the name in MODEL must be one that zoo.nets has; got 'buld'; near "
         "names: build, builder")),
        ("zoo.nets:Net.buld", "the name in MODEL must be one that zoo.nets has; got 'Net.buld'"),
        ("zoo.nets:qqqqqq", "the name in MODEL must be one that zoo.nets has; got 'qqqqqq'"),
        ("zoo.net:build", ("the module of MODEL must be one that exists; got 'zoo.net'; near "
         "names: nets")),
        ("zo:build", "the module of MODEL must be one that exists; got 'zo'; near names: zoo"),
        ("zo.nets:build", "the module of MODEL must be one that exists; got 'zo.nets'"),
        ("zoo.nets.more:build", "the module of MODEL must be one that exists; got 'zoo.nets.more'"),
        ("zoo.nets:COUNT", "the factory of MODEL must be CALLED; got 'int'"),
        ("zoo.nets:model", ("the factory of MODEL must be CALLED; got 'a model itself'; write "
         "`def build(): return model` and name that")),
        ("zoo.nets:builder", ("the factory of MODEL must be CALLED; got 'zoo.nets:builder(width)'; "
         "write one that gives them")),
        ("zoo.nets:two", "what zoo.nets:two returns must be an nn.Module; got 'tuple'"),
        ("zoo/nets.py:buld", ("the name in MODEL must be one that zoo/nets.py has; got 'buld'; "
         "near names: build, builder")),
    ],
)  # fmt: skip
def test_mistakes_with_a_module(spec: str, message: str) -> None:
    write("zoo/__init__.py", "")
    write("zoo/nets.py", NET)
    called = "a function or class that is called without arguments"
    refused(spec, message.replace("CALLED", called))


# --- pickles -------------------------------------------------------------------------------------

NEVER = ("a pickle is never read; load its weights in a factory, from safetensors or with "
         "torch.load(..., weights_only=True)")  # fmt: skip


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", ["net.pt", "net", "net.py"])
def test_a_pickle_is_refused(name: str, legacy: bool) -> None:
    torch.save({"x": torch.zeros(1)}, name, _use_new_zipfile_serialization=not legacy)
    assert is_pickle(Path(name))
    refused(name, f"MODEL must be {WANTED}; got {name!r}; {NEVER}")
    refused(f"{name}:build", f"MODEL must be {WANTED}; got '{name}:build'; {NEVER}")


def test_what_is_no_pickle() -> None:
    np.savez("x.npz", x=np.zeros(1))
    Path("empty").touch()
    assert not is_pickle(Path("x.npz"))
    assert not is_pickle(Path("empty"))


# --- what the user's code raises -----------------------------------------------------------------


def raised(spec: str) -> UserCodeError:
    with pytest.raises(UserCodeError) as error:
        load_model(spec)
    assert error.value.exit_code == 2
    return error.value


def test_a_factory_that_raises() -> None:
    write(
        "bad.py",
        """
        from torch import nn

        def inner():
            return nn.Linear(2, 2)(1)

        def build():
            try:
                return inner()
            except TypeError as error:
                raise ValueError("no model\\nsecond line") from error
    """,
    )
    error = raised("bad:build")
    assert str(error) == "bad:build raised ValueError: no model"
    assert isinstance(error.__cause__, ValueError)
    text = error.traceback
    assert text.splitlines()[0] == "Traceback (most recent call last):"
    assert text.endswith("ValueError: no model\nsecond line\n")
    for mine in ("in inner", "in build", 'bad.py", line 5', "direct cause"):
        assert mine in text
    for ours in (str(PACKAGE), "_call_impl", "importlib"):
        assert ours not in text


def test_a_module_that_raises_as_it_is_imported() -> None:
    write("bad.py", "import nosuchthing\ndef build(): ...")
    error = raised("bad:build")
    assert str(error) == "bad raised ModuleNotFoundError: No module named 'nosuchthing'"
    assert error.traceback == (
        "Traceback (most recent call last):\n"
        f'  File "{Path.cwd()}/bad.py", line 1, in <module>\n'
        "    import nosuchthing\n"
        "ModuleNotFoundError: No module named 'nosuchthing'\n"
    )
    again = raised("bad.py:build")
    assert str(again) == "bad.py raised ModuleNotFoundError: No module named 'nosuchthing'"
    assert again.traceback == error.traceback
    assert "bad" not in sys.modules


def test_a_package_that_raises_is_not_missing() -> None:
    write("zoo/__init__.py", "import zoo.nests")  # a submodule that is not there
    write("zoo/nets.py", NET)
    error = raised("zoo.nets:build")
    assert str(error) == "zoo.nets raised ModuleNotFoundError: No module named 'zoo.nests'"
    write("own/__init__.py", "raise ModuleNotFoundError('no own', name='own')")
    assert str(raised("own.nets:build")) == "own.nets raised ModuleNotFoundError: no own"


def test_a_syntax_error_shows_its_line() -> None:
    write("bad.py", "def build(:\n    pass")
    for spec in ("bad:build", "bad.py:build"):
        error = raised(spec)
        assert str(error) == f"{spec[:-6]} raised SyntaxError: invalid syntax (bad.py, line 1)"
        assert 'bad.py", line 1\n    def build(:\n' in error.traceback
        assert "Traceback" not in error.traceback


def test_a_script_that_exits() -> None:
    write("script.py", "import sys\nsys.exit(4)\ndef build(): ...")
    assert str(raised("script:build")) == "script raised SystemExit: 4"


def test_an_interrupt_and_our_own_lines_pass() -> None:
    write("bad.py", "def build(): raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_model("bad:build")
    write("deep.py", "import snnlens\ndef build(): return snnlens.resnet(51)")
    with pytest.raises(InputError, match=r"^depth must be 18"):
        load_model("deep:build")
    with pytest.raises(NothingToRecord), user_code("x"):
        raise NothingToRecord("nothing")


def test_what_it_prints_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """stdout is one JSON object."""
    write("loud.py", "from torch import nn\nprint('one')\ndef build():\n    print('two')\n"
                     "    return nn.Identity()")  # fmt: skip
    load_model("loud:build")
    load_model("loud.py:build")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "one\ntwo\ntwo\n")


def test_a_factory_of_another_option() -> None:
    with pytest.raises(InputError) as error:
        call_factory("ce", what="--loss", wanted="package.module:factory")
    assert str(error.value) == "--loss must be package.module:factory; got 'ce'"
    assert isinstance(call_factory("torch.nn:MSELoss", what="--loss"), nn.MSELoss)


# --- whose fault it is ---------------------------------------------------------------------------


def ours(name: str, body: str) -> object:
    """A function whose code lies in a file of snnlens, as a probe's does."""
    scope: dict[str, object] = {}
    exec(compile(textwrap.dedent(body), str(_blame.OURS / name), "exec"), scope)
    return scope["f"]


def test_an_error_of_a_probe_is_a_bug_of_ours() -> None:
    """Though it is raised below a frame of the user's forward pass and of torch's."""
    hook = ours(
        "probes/wrong.py",
        """
        import torch
        def f(module, args, output):
            torch.zeros(2) + torch.zeros(3)
    """,
    )
    inner = nn.Linear(2, 2)
    inner.register_forward_hook(hook)  # type: ignore[arg-type]
    run = ours(
        "experiments/run.py",
        """
        def f(model, x, user_code):
            with user_code("the model's forward"):
                return model(x)
    """,
    )
    for model in (inner, nn.Sequential(inner)):
        with pytest.raises(RuntimeError, match="size of tensor"):
            run(model, torch.zeros(1, 2), user_code)  # type: ignore[operator]


def test_an_error_of_the_user_below_code_of_ours_is_the_users() -> None:
    class Mine(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ torch.zeros(9, 9)

    run = ours(
        "experiments/run.py",
        """
        def f(model, x, user_code):
            with user_code("the model's forward"):
                return model(x)
    """,
    )
    with pytest.raises(UserCodeError) as error:
        run(Mine(), torch.zeros(1, 2), user_code)  # type: ignore[operator]
    assert str(error.value).startswith("the model's forward raised RuntimeError: mat1 and mat2")
    lines = error.value.traceback.splitlines()
    assert [line for line in lines if line.startswith("  File")] == [
        next(line for line in lines if "in forward" in line)
    ]


def test_a_built_in_layer_given_the_wrong_shape_is_no_bug() -> None:
    """Its frames are snnlens', and it is what runs, not who looks on."""
    run = ours("models/graph.py", "import torch\ndef f(): torch.zeros(2) + torch.zeros(3)")
    with pytest.raises(UserCodeError) as error, user_code("the model's forward"):
        run()  # type: ignore[operator]
    assert str(error.value).startswith("the model's forward raised RuntimeError: The size of")


def test_installed_packages_are_not_the_standard_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though site-packages lies in the standard library's folder; torch is torch there too."""
    packages = Path(np.__file__).parents[1]
    monkeypatch.setattr(_blame, "NEUTRAL", (packages / "torch", packages.parent))
    with pytest.raises(np.linalg.LinAlgError) as error:
        np.linalg.inv(np.zeros((2, 2)))
    assert "numpy" in Path(_blame.foreign_frames(error.value)[-1].filename).parts
    with pytest.raises(RuntimeError) as other:
        nn.Linear(2, 2)(torch.zeros(3))
    assert not any("torch" in Path(f.filename).parts for f in _blame.foreign_frames(other.value))


# --- real files ----------------------------------------------------------------------------------


@pytest.mark.data
def test_weights_of_others_are_refused(data_root: Path) -> None:
    path = data_root / "weights" / "sinabs_mnist_params.pt"
    refused(str(path), f"MODEL must be {WANTED}; got {str(path)!r}; {NEVER}")
