"""Parameter names of other repositories, turned into ours (torchvision's). No torch here."""

from __future__ import annotations

import re
from collections.abc import Iterable

from snnlens.errors import InputError

DISTRIBUTED = "module."  # before every key of a network that DistributedDataParallel wrapped
# SpikingJelly's SeqToANNContainer had its layers in `.module`; today it is an nn.Sequential.
RULES = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"\.conv(\d)\.(?:module\.)?0\.", r".conv\1."),  # container of Conv and BN
        (r"\.conv(\d)\.(?:module\.)?1\.", r".bn\1."),
        (r"\.downsample\.0\.(?:module\.)?([01])\.", r".downsample.\1."),  # SEW: container, SN
        (r"\.downsample\.module\.", ".downsample."),  # Spiking: a container alone
        (r"\.downsample(?:\.1|_sn)\.w$", ".downsample.2.w"),  # PLIF of a SEW shortcut
    )
)
SEW_ONLY = re.compile(r"\.downsample\.0\.(?:module\.)?[01]\.|\.downsample(?:\.[12]|_sn)\.w$")
SPIKING_ONLY = re.compile(r"\.downsample\.module\.")
# The official networks for events: widening layers, blocks and pools are a row named `conv`.
DVS_BLOCK = re.compile(r"conv\.(\d{1,4})\.(?:conv\.|sn\.)")
DVS_WIDER = re.compile(r"conv\.(\d{1,4})\.(?:0\.(?:module\.)?[01]\.|1\.w$)")
DVS_RULES = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"^out\.", "fc."),
        (r"^conv\.\d+\.0\.(?:module\.)?0\.", "conv{stage}."),
        (r"^conv\.\d+\.0\.(?:module\.)?1\.", "bn{stage}."),
        (r"^conv\.\d+\.1\.w$", "sn{stage}.w"),
        (r"^conv\.\d+\.conv\.(\d)\.0\.(?:module\.)?0\.", r"layer{stage}.{position}.conv\1."),
        (r"^conv\.\d+\.conv\.(\d)\.0\.(?:module\.)?1\.", r"layer{stage}.{position}.bn\1."),
        (r"^conv\.\d+\.conv\.(\d)\.1\.w$", r"layer{stage}.{position}.sn\1.w"),
        # the last convolution of a Spiking block: its neuron comes after the sum
        (r"^conv\.\d+\.conv\.(1)\.(?:module\.)?0\.", r"layer{stage}.{position}.conv\1."),
        (r"^conv\.\d+\.conv\.(1)\.(?:module\.)?1\.", r"layer{stage}.{position}.bn\1."),
        (r"^conv\.\d+\.sn\.w$", r"layer{stage}.{position}.sn2.w"),
    )
)
CONTAINER = re.compile(r"\.conv\d\.(?:module\.)?[01]\.")


def our_names(keys: Iterable[str]) -> dict[str, str]:
    """Each key of the file and the name that its tensor has in our networks.

    Raises InputError where two keys would get one name.

    >>> our_names(["layer1.0.conv2.module.1.bias", "layer2.0.downsample.0.module.0.weight"])
    {'layer1.0.conv2.module.1.bias': 'layer1.0.bn2.bias',
     'layer2.0.downsample.0.module.0.weight': 'layer2.0.downsample.0.weight'}
    """
    keys = list(keys)
    named = dict(zip(keys, _named(without_prefix(keys)), strict=True))
    seen: dict[str, str] = {}
    for key, name in named.items():
        if name in seen:
            raise InputError("the keys of a checkpoint", got=f"{seen[name]} beside {key}",
                             wanted=f"different: both are {name}")  # fmt: skip
        seen[name] = key
    return named


def without_prefix(keys: list[str]) -> list[str]:
    """The keys without the `module.` that DistributedDataParallel puts before all of them.

    >>> without_prefix(["module.fc.weight", "module.fc.bias"]), without_prefix(["module.a", "b"])
    (['fc.weight', 'fc.bias'], ['module.a', 'b'])
    """
    while keys and all(key.startswith(DISTRIBUTED) for key in keys):
        keys = [key.removeprefix(DISTRIBUTED) for key in keys]
    return keys


def residual_of(keys: Iterable[str]) -> str | None:
    """`sew` or `spiking` where the keys tell: only SEW has a neuron in its shortcut.

    Keys of torchvision and of SpikingJelly's models with IF neurons are the same for all kinds.

    >>> residual_of(["layer2.0.downsample.0.module.0.weight"])
    'sew'
    >>> residual_of(["layer2.0.downsample.module.0.weight"])
    'spiking'
    >>> residual_of(["layer2.0.downsample.0.weight"]) is None
    True
    """
    keys = list(keys)
    if any(SEW_ONLY.search(key) for key in keys):
        return "sew"
    if any(SPIKING_ONLY.search(key) for key in keys):
        return "spiking"
    # official code on today's SpikingJelly: convolutions in containers, the shortcut in one too
    contained = any(CONTAINER.search(key) for key in keys)
    plain = any(re.search(r"\.downsample\.0\.weight$", key) for key in keys)
    return "spiking" if contained and plain else None


def is_dvs(keys: Iterable[str]) -> bool:
    """Whether the keys are those of an official 7B-Net or Wide-7B-Net.

    >>> is_dvs(["conv.0.0.module.0.weight", "out.bias"]), is_dvs(["conv1.weight", "fc.bias"])
    (True, False)
    """
    return any(DVS_WIDER.match(key) for key in without_prefix(list(keys)))


def _named(keys: list[str]) -> list[str]:
    if is_dvs(keys):
        return _dvs_named(keys)
    return [_by_rules(key) for key in keys]


def _by_rules(key: str) -> str:
    for pattern, name in RULES:
        key = pattern.sub(name, key)
    return key


def _dvs_named(keys: list[str]) -> list[str]:
    """Each widening layer begins a stage; the blocks after it are counted, the pools are not."""
    places, stage, position = {}, 0, 0
    wider = {int(m[1]) for key in keys if (m := DVS_WIDER.match(key))}
    blocks = {int(m[1]) for key in keys if (m := DVS_BLOCK.match(key))}
    for index in sorted(wider | blocks):
        if index in wider:
            stage, position = stage + 1, -1
        else:
            position += 1
        places[index] = (stage, position)
    return [_dvs_name(key, places) for key in keys]


def _dvs_name(key: str, places: dict[int, tuple[int, int]]) -> str:
    index = re.match(r"conv\.(\d{1,4})\.", key)
    stage, position = places.get(int(index[1]), (0, 0)) if index else (0, 0)
    for pattern, name in DVS_RULES:
        if found := pattern.match(key):
            # their convolutions count from 0, ours from 1
            digit = str(int(found[1]) + 1) if found.groups() else ""
            place = name.replace(r"\1", digit).format(stage=stage, position=position)
            return place + key[found.end() :]
    return key
