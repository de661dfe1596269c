"""Parameters: each wrong one is one line; which networks they choose; the command that repeats."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import ValidationError

from snnlens import api
from snnlens.errors import InputError
from snnlens.experiments import gradients, identity, rates
from snnlens.experiments._params import NetworkParams, networks

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"depth": 51}, "depth must be 18, 34, 50, 101 or 152 in the imagenet layout; got 51"),
    ({"depth": 20}, ("depth must be 18, 34, 50, 101 or 152 in the imagenet layout; got 20; the "
                    "cifar layout has it: --layout cifar")),
    ({"depth": 18, "layout": "cifar"}, ("depth must be 6n + 2 from 8 to 1202 in the cifar layout; "
                    "got 18; the imagenet layout has it: --layout imagenet")),
    ({"depth": 1208, "layout": "cifar"},
     "depth must be 6n + 2 from 8 to 1202 in the cifar layout; got 1208"),
    ({"layout": "svhn"}, "layout must be imagenet or cifar; got 'svhn'"),
    ({"residual": "resnet"}, "residual must be ann, plain, spiking, sew or ms; got 'resnet'"),
    ({"residual": "sew,sew"}, ("residual must be ann, plain, spiking, sew or ms, each at most "
     "once; "
                              "got 'sew,sew'")),
    ({"residual": ()}, ("residual must be ann, plain, spiking, sew or ms, each at most once; got "
     "''")),
    ({"connect": "plus"}, "connect must be add, and or iand; got 'plus'"),
    ({"connect": "add,or"}, "connect must be add, and or iand; got 'or'"),
    ({"threshold": 0}, "threshold must be in (0, 1e6]; got 0.0"),
    ({"threshold": -1}, "threshold must be in (0, 1e6]; got -1.0"),
    ({"threshold": math.nan}, "threshold must be in (0, 1e6]; got nan"),
    ({"threshold": math.inf}, "threshold must be in (0, 1e6]; got inf"),
    ({"threshold": 1e7}, "threshold must be in (0, 1e6]; got 10000000.0"),
    ({"time_steps": 0}, "time_steps must be at least 1; got 0"),
    ({"batch": 0}, "batch must be at least 1; got 0"),
    ({"threads": 0}, "threads must be at least 1; got 0"),
    ({"image_size": 31}, ("image_size must be from 32 to 4096 pixels in the imagenet layout; got "
     "31")),
    ({"image_size": 4097},
     "image_size must be from 32 to 4096 pixels in the imagenet layout; got 4097"),
    ({"layout": "cifar", "depth": 20, "image_size": 3},
     "image_size must be from 4 to 4096 pixels in the cifar layout; got 3"),
    ({"batch": 1, "image_size": 32}, ("batch must be at least 2 at 32 px; got 1; BatchNorm in the "
                                     "last stage needs more than one sample per channel")),
    ({"data": "svhn"}, ("data must be cifar10:PATH, digits, imagefolder:PATH, mnist:PATH or "
                       "random; got 'svhn'; give --data digits")),
]  # fmt: skip


@pytest.mark.parametrize(("given", "message"), WRONG, ids=[str(w[0]) for w in WRONG])
@pytest.mark.parametrize("params", [gradients.Params, rates.Params, identity.Params])
def test_a_wrong_parameter_is_one_line(
    params: type[NetworkParams], given: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as error:
        params(**given)
    assert str(error.value) == message


@pytest.mark.parametrize("given", [
    {"threshold": 1e6}, {"threshold": 5e-324}, {"image_size": 32, "batch": 2}, {"time_steps": 1},
    {"batch": 1}, {"depth": 8, "layout": "cifar", "image_size": 4, "batch": 2},
])  # fmt: skip
def test_the_last_good_value(given: dict[str, Any]) -> None:
    NetworkParams(**given)


def test_frozen_and_closed() -> None:
    params = NetworkParams()
    with pytest.raises(ValidationError, match="frozen"):
        params.depth = 18  # type: ignore[misc]
    with pytest.raises(ValidationError, match="depht"):
        NetworkParams(depht=18)  # type: ignore[call-arg]


def test_defaults_are_those_of_the_issue() -> None:
    params = gradients.Params()
    assert (params.depth, params.layout, params.time_steps, params.batch, params.size) == (
        152, "imagenet", 4, 32, 64,
    )  # fmt: skip
    assert params.last_stage_samples == 128  # what the shapes need
    assert (params.threshold, params.neuron, params.surrogate, params.data, params.seed) == (
        1.0, "if", "atan", "digits", 0,
    )  # fmt: skip
    assert [n for n, _ in gradients.passes(params)] == [
        "spiking", "spiking-zero", "sew-add", "sew-add-zero", "sew-and", "sew-and-zero",
        "sew-iand", "sew-iand-zero", "spiking-zero-t1",
    ]  # fmt: skip
    assert identity.Params().residual == ("spiking", "sew", "ms")


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"residual": "spiking", "zero_init": "no"}, ["spiking"]),
        ({"residual": "spiking", "zero_init": False}, ["spiking"]),
        ({"residual": "spiking", "zero_init": True}, ["spiking-zero"]),
        ({"residual": "sew", "connect": "iand,add"},
         ["sew-iand", "sew-iand-zero", "sew-add", "sew-add-zero"]),
        ({"residual": ("ms", "ann"), "zero_init": "no"}, ["ms", "ann"]),
    ],
)  # fmt: skip
def test_networks_by_option(given: dict[str, Any], names: list[str]) -> None:
    assert [n.name for n in networks(NetworkParams(**given))] == names


def test_an_ann_has_one_step_and_the_extra_pass_has_one() -> None:
    params = gradients.Params(residual="ann,spiking", time_steps=6)
    steps = {name: network.time_steps for name, network in gradients.passes(params)}
    assert steps == {"ann": 1, "ann-zero": 1, "spiking": 6, "spiking-zero": 6, "spiking-zero-t1": 1}
    auxiliary = {name for name, network in gradients.passes(params) if network.auxiliary}
    assert auxiliary == {"spiking-zero-t1"}


# --- through api.parameters: pydantic's own complaints ------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"depth": "abc"}, "depth must be an integer; got 'abc'"),
        ({"depth": "50.5"}, "depth must be an integer; got '50.5'"),
        ({"threshold": "high"}, "threshold must be a number; got 'high'"),
        ({"decay_input": "perhaps"}, "decay_input must be yes or no; got 'perhaps'"),
        ({"zero_init": "maybe"}, "zero_init must be 'yes', 'no' or 'both'; got 'maybe'"),
        ({"neuron": "hh"}, "neuron must be 'if', 'lif' or 'plif'; got 'hh'"),
        ({"reset": "none"}, "reset must be 'hard' or 'soft'; got 'none'"),
        ({"depht": 18}, "a parameter must be one of " + ", ".join(NetworkParams.model_fields)
         + "; got 'depht'"),
    ],
)  # fmt: skip
def test_a_word_of_the_wrong_kind(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        api.parameters("gradients", given)
    assert str(error.value) == message


def test_the_seed_is_judged_before_the_run() -> None:
    most = "at most 9223372036854775807; got 9223372036854775808"
    said = {-1: "a whole number from 0 to 2^63 - 1; got -1; give --seed 0", 2**63: most}
    for seed, wanted in said.items():
        with pytest.raises(InputError) as error:
            api.run("rates", depth=8, layout="cifar", image_size=8, batch=4, seed=seed)
        assert str(error.value) == f"seed must be {wanted}"
