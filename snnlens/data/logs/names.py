"""What a run folder's name says of its network, by rules: regular expressions with named groups."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from snnlens.errors import InputError

WHOLE = ("depth", "time_steps", "epochs", "seed", "classes")
WORDS = ("model", "residual", "connect", "dataset", "layout")
FACTS = (*WORDS, *WHOLE, "zero_init")
NEEDED = ("residual", "depth")
NO = ("", "0", "no", "false", "off")

# The published logs of the paper, and the folders that the code released with it writes today. In
# the old names `mem_add_resnet2` is Spiking ResNet, and `spiking_resnet` with a cnf is SEW ResNet.
# Source: fangwei123456/Spike-Element-Wise-ResNet at cfc547c, origin_logs/readme.md and train.py.
PUBLISHED, RELEASED, OWN = "published logs", "released code", "--pattern"
IMAGENET = {"model": "ResNet", "layout": "imagenet", "dataset": "ImageNet", "classes": 1000}
GESTURE = {"model": "7B-Net", "dataset": "DVS Gesture", "classes": 11}
CIFAR10_DVS = {"model": "Wide-7B-Net", "dataset": "CIFAR10-DVS", "classes": 10}
SEW, SPIKING, PLAIN = {"residual": "sew"}, {"residual": "spiking"}, {"residual": "plain"}
_CONNECT = r"(?P<connect>(?i:add|and|iand))(?![a-z])"
_DEPTH = r"(?P<depth>18|34|50|101|152)"
_STEPS = r"_T(?P<time_steps>\d+)"
_COSINE = (
    rf"_b\d+_lr[\d.e-]+{_STEPS}(?P<zero_init>_zi)?(?:_wd[\d.e-]+)?_coslr(?P<epochs>\d+)_[a-z]+"
)
_STEPPED = rf"_b\d+{_STEPS}(?:_Ttrain\d+)?(?:_wd[\d.e-]+)?_steplr\d+_[\d.]+_[a-z]+"


@dataclass(frozen=True)
class Rule:
    """A pattern to look for in a path, and what is known of every run that has it."""

    pattern: str
    facts: dict[str, Any] = field(default_factory=dict)
    name: str = OWN

    def facts_of(self, path: str) -> dict[str, Any] | None:
        """The facts that a path tells; None where the pattern is not in it."""
        found = re.search(self.pattern, path)
        if found is None:
            return None
        told = {key: _value(key, text) for key, text in found.groupdict().items()}
        return dict.fromkeys(FACTS) | self.facts | told | {"rule": self.name}


OFFICIAL = (
    Rule(f"mem_add_resnet2_{_DEPTH}{_COSINE}", IMAGENET | SPIKING, PUBLISHED),
    Rule(f"spiking_resnet{_DEPTH}{_COSINE}_cnf_{_CONNECT}", IMAGENET | SEW, PUBLISHED),
    # The name says zi, but the released network has no zero-init: nobody knows, so None.
    Rule(rf"DVSGNetSEW\d*_b\d+_lr[\d.e-]+{_STEPS}\w*?_steplr[\w.]+_cnf_{_CONNECT}", GESTURE | SEW,
         PUBLISHED),
    Rule(rf"SEWResNet_{_CONNECT}_T_(?P<time_steps>\d+)_T_train_\w+_lr_[\d.e-]+_CosALR_(?P<epochs>\d+)",
         CIFAR10_DVS | SEW, PUBLISHED),
    Rule(f"sew_resnet{_DEPTH}{_COSINE}_cnf_{_CONNECT}", IMAGENET | SEW, RELEASED),
    Rule(f"spiking_resnet{_DEPTH}{_COSINE}(?!_cnf|[a-z])", IMAGENET | SPIKING, RELEASED),
    Rule(f"SEWResNet{_STEPPED}_cnf_{_CONNECT}", GESTURE | SEW, RELEASED),
    Rule(f"SpikingResNet{_STEPPED}", GESTURE | SPIKING, RELEASED),
    Rule(f"PlainNet{_STEPPED}", GESTURE | PLAIN, RELEASED),
)  # fmt: skip


def rules(pattern: str | None) -> tuple[Rule, ...]:
    r"""The official repository's rules, or the user's own one instead of them.

    Args:
        pattern: a regular expression with the named groups residual and depth, and any of model,
            connect, dataset, layout, time_steps, epochs, seed, classes and zero_init.

    Raises:
        InputError: no regular expression, a group too few, or one that nobody knows.

    >>> rules(r"(?P<residual>sew|spiking)-(?P<depth>\\d+)-s(?P<seed>\\d+)")[0].name
    '--pattern'
    """
    if pattern is None:
        return OFFICIAL
    try:
        groups = re.compile(pattern).groupindex
    except re.error as error:
        wanted = "a regular expression"
        raise InputError("--pattern", got=pattern, wanted=wanted, do=str(error)) from error
    if missing := [f"(?P<{name}>...)" for name in NEEDED if name not in groups]:
        wanted = f"a regular expression with the group {' and the group '.join(missing)}"
        raise InputError("--pattern", got=pattern, wanted=wanted)
    if unknown := [name for name in groups if name not in FACTS]:
        wanted = "some of " + ", ".join(FACTS)
        raise InputError("the groups of --pattern", got=", ".join(unknown), wanted=wanted)
    return (Rule(pattern),)


def facts_of(path: PurePath, known: Sequence[Rule]) -> dict[str, Any] | None:
    """What the first fitting rule says of a run folder; None where none fits.

    The folder's own name is looked at first, then with its parent's before it, and so on: what is
    nearest to the run counts.

    >>> path = PurePath("/logs/sew_resnet/spiking_resnet18_b32_lr0.1_T4_coslr320_sgd_cnf_add_logs")
    >>> found = facts_of(path, rules(None))
    >>> found["residual"], found["connect"], found["depth"], found["zero_init"]
    ('sew', 'add', 18, False)
    """
    parts = [part for part in path.parts if part != path.anchor]
    for first in range(len(parts) - 1, -1, -1):
        name = "/".join(parts[first:])
        found = next((f for rule in known if (f := rule.facts_of(name)) is not None), None)
        if found is not None:
            return found
    return None


def network(facts: dict[str, Any]) -> str:
    """Name a network by its facts: kind, depth, zero-init, seed; a net of its own by its model.

    >>> network({"residual": "spiking", "depth": 18, "zero_init": True})
    'spiking-18-zero'
    >>> network({"model": "7B-Net", "residual": "sew", "connect": "add"})
    '7b-net-sew-add'
    """
    model = facts.get("model") or "ResNet"
    parts = [
        "" if model == "ResNet" else re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-"),
        facts["residual"],
        facts.get("connect"),
        facts.get("depth"),
        "zero" if facts.get("zero_init") else None,
        f"s{facts['seed']}" if facts.get("seed") is not None else None,
    ]
    return "-".join(str(part) for part in parts if part not in {None, ""})


def _value(key: str, text: str | None) -> Any:
    """A fact of the text of a group; None where the group took no part."""
    if key == "zero_init":
        return (text or "").lower() not in NO
    if text is None or key not in WHOLE:
        return text.lower() if text and key in {"residual", "connect"} else text
    if not (text.isdecimal() and len(text) < 10):
        what = f"{key} in the name of a run"
        raise InputError(what, got=text, wanted="a whole number", do="mend --pattern")
    return int(text)
