"""What a run folder's name says, by the official rules and by a user's own."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import pytest

from snnlens.data.logs import names
from snnlens.errors import InputError

IMAGENET = {"dataset": "ImageNet", "model": "ResNet", "layout": "imagenet", "classes": 1000,
            "time_steps": 4, "epochs": 320}  # fmt: skip
SEW, SPIKING = {"residual": "sew", "connect": "add"}, {"residual": "spiking", "connect": None}
GESTURE = {"dataset": "DVS Gesture", "model": "7B-Net", "classes": 11, "time_steps": 16,
           "depth": None, "epochs": None, "zero_init": None}  # fmt: skip
RUNS: list[tuple[str, dict[str, Any]]] = [
    # the published logs; `spiking_resnet` is SEW there
    ("sew_resnet/spiking_resnet101_b32_lr0.1_T4_coslr320_sgd_cnf_add_logs",
     IMAGENET | SEW | {"depth": 101, "zero_init": False, "rule": "published logs"}),
    ("spiking_resnet/mem_add_resnet2_18_b32_lr0.1_T4_zi_coslr320_sgd_logs",
     IMAGENET | SPIKING | {"depth": 18, "zero_init": True, "rule": "published logs"}),
    ("DVSGNetSEW32_b16_lr0.001_T16_Ttrain12_zi_steplr64_0.1_sgd_cnf_add_logs",
     GESTURE | SEW | {"rule": "published logs"}),
    ("SEWResNet_ADD_T_16_T_train_None_SGD_lr_0.01_CosALR_64_amp/logs",
     SEW | {"dataset": "CIFAR10-DVS", "model": "Wide-7B-Net", "classes": 10, "time_steps": 16,
            "epochs": 64, "depth": None, "rule": "published logs"}),
    ("SEWResNet_IAND_T_8_T_train_None_SGD_lr_0.01_CosALR_64_amp",
     {"connect": "iand", "time_steps": 8, "rule": "published logs"}),
    # what the released code writes today, where the names are the paper's
    ("sew_resnet34_b32_lr0.1_T4_coslr320_sgd_cnf_ADD_logs",
     IMAGENET | SEW | {"depth": 34, "zero_init": False, "rule": "released code"}),
    ("sew_resnet50_b32_lr0.1_T4_zi_wd0.0001_coslr90_adam_cnf_AND_logs",
     {"connect": "and", "zero_init": True, "epochs": 90, "rule": "released code"}),
    ("spiking_resnet152_b32_lr0.1_T4_zi_coslr320_sgd_logs",
     IMAGENET | SPIKING | {"depth": 152, "zero_init": True, "rule": "released code"}),
    ("spiking_resnet18_b32_lr0.1_T4_coslr320_sgd", SPIKING | {"rule": "released code"}),
    ("SEWResNet_b16_T16_Ttrain12_steplr64_0.1_sgd_cnf_ADD/lr0.001_logs",
     GESTURE | SEW | {"rule": "released code"}),
    ("SpikingResNet_b16_T16_Ttrain12_steplr64_0.1_sgd/lr0.1_logs",
     GESTURE | SPIKING | {"rule": "released code"}),
    ("PlainNet_b16_T16_steplr64_0.1_sgd/lr0.1_logs",
     GESTURE | {"residual": "plain", "connect": None, "rule": "released code"}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "wanted"), RUNS)
def test_the_official_names(path: str, wanted: dict[str, Any]) -> None:
    found = names.facts_of(PurePath("/some", "where", path), names.rules(None))
    assert found is not None
    assert {key: found[key] for key in wanted} == wanted
    assert set(found) == {*names.FACTS, "rule"}
    assert found["seed"] is None


@pytest.mark.parametrize(
    "path",
    ["resnet18", "spiking_resnet18", "spiking_resnet20_b32_lr0.1_T4_coslr320_sgd_cnf_add_logs",
     "mem_add_resnet2_18", "runs/baseline", "sew_resnet18_b32_lr0.1_T4_coslr320_sgd_logs"],
)  # fmt: skip
def test_other_names_fit_no_rule(path: str) -> None:
    assert names.facts_of(PurePath(path), names.rules(None)) is None


OWN = r"(?P<residual>sew|SPIKING)(?:-(?P<connect>[A-Z]+))?_d(?P<depth>\d+)(?:_s(?P<seed>\d+))?"


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("sew-IAND_d20_s3", {"residual": "sew", "connect": "iand", "depth": 20, "seed": 3}),
        ("SPIKING_d8", {"residual": "spiking", "connect": None, "depth": 8, "seed": None}),
    ],
)
def test_own_pattern(name: str, facts: dict[str, Any]) -> None:
    found = names.facts_of(PurePath(name), names.rules(OWN))
    assert found == dict.fromkeys(names.FACTS) | facts | {"rule": "--pattern"}


def test_the_name_nearest_to_the_run_counts() -> None:
    """A folder above may fit the pattern too; it is asked only where the run's own does not."""
    rules = names.rules(OWN)
    deep = names.facts_of(PurePath("/sew_d8/old/SPIKING_d20"), rules)
    above = names.facts_of(PurePath("/sew_d8/old/run"), rules)
    assert deep is not None
    assert above is not None
    assert (deep["residual"], deep["depth"]) == ("spiking", 20)
    assert (above["residual"], above["depth"]) == ("sew", 8)


def test_a_pattern_over_two_folders() -> None:
    rules = names.rules(r"^(?P<residual>\w+)/depth(?P<depth>\d+)$")
    found = names.facts_of(PurePath("/logs/plain/depth44"), rules)
    assert found is not None
    assert (found["residual"], found["depth"]) == ("plain", 44)


@pytest.mark.parametrize(
    ("text", "flag"), [("zi", True), ("1", True), ("", False), ("no", False), ("False", False)]
)
def test_zero_init_by_its_group(text: str, flag: bool) -> None:
    pattern = r"(?P<residual>sew)(?P<depth>\d+)_(?P<zero_init>\w*)$"
    found = names.facts_of(PurePath(f"sew8_{text}"), names.rules(pattern))
    assert found is not None
    assert found["zero_init"] is flag


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(?P<residual>sew", ("--pattern must be a regular expression; got '(?P<residual>sew'; "
         "missing ), unterminated subpattern at position 0")),
        (r"sew(?P<depth>\d+)", ("--pattern must be a regular expression with the group "
         r"(?P<residual>...); got 'sew(?P<depth>\\d+)'")),
        ("sew", ("--pattern must be a regular expression with the group (?P<residual>...) and the "
         "group (?P<depth>...); got 'sew'")),
        ("(?P<residual>a)(?P<depth>b)(?P<lr>c)", ("the groups of --pattern must be some of model, "
         "residual, connect, dataset, layout, depth, time_steps, epochs, seed, classes, zero_init; "
         "got 'lr'")),
    ],
)  # fmt: skip
def test_a_pattern_that_cannot_be_used(pattern: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        names.rules(pattern)
    assert str(error.value) == message


def test_a_depth_that_is_no_number() -> None:
    with pytest.raises(InputError) as error:
        names.facts_of(PurePath("sew-big"), names.rules("(?P<residual>sew)-(?P<depth>big)"))
    assert str(error.value) == (
        "depth in the name of a run must be a whole number; got 'big'; mend --pattern"
    )


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({"model": "ResNet", "residual": "sew", "connect": "add", "depth": 18}, "sew-add-18"),
        ({"residual": "spiking", "depth": 18, "zero_init": True, "seed": 0}, "spiking-18-zero-s0"),
        ({"model": "Wide-7B-Net", "residual": "sew", "connect": "add", "zero_init": None},
         "wide-7b-net-sew-add"),
        ({"model": "My Net (v2)", "residual": "plain", "depth": 20}, "my-net-v2-plain-20"),
    ],
)  # fmt: skip
def test_the_network_of_the_facts(facts: dict[str, Any], name: str) -> None:
    assert names.network(facts) == name
