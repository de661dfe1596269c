"""LICENCES.md: what snnlens needs to run, and under which licence each package stands.

python -m tests.contract.licences          writes it anew; test_supply.py says when that is due
"""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from collections.abc import Iterable
from importlib.metadata import Distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "LICENCES.md"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINNED = (ROOT / "constraints.txt").read_text(encoding="utf-8")
PINS = dict(re.findall(r"^([\w.-]+)==(\S+)", PINNED, re.MULTILINE))
EXTRAS = ("adapters", "logs", "scale")  # what a user may add at run time
SHORT = 60  # some packages write the whole text of their licence into the field
HEAD = """# Licences

snnlens itself is under the Apache License 2.0 ([LICENSE](LICENSE)). It installs the packages below
and contains none of them. Versions are those of constraints.txt, licences as each package states
them; of all that is needed to run, `tqdm` alone has a part under a copyleft licence (MPL-2.0, which
ends at its own files). A CUDA build of PyTorch brings NVIDIA's libraries along, under NVIDIA's own
terms. The pages of snnlens carry no font, no script and no style of others.
"""


def needed(requirements: Iterable[str], known: dict[str, Distribution]) -> dict[str, Distribution]:
    """The installed packages that these and what they bring along name, added to the known ones."""
    found = dict(known)
    for text in requirements:
        asked = Requirement(text)
        name = normal(asked.name)
        if name in found or name == "snnlens" or not applies(asked):
            continue
        found[name] = importlib.metadata.distribution(name)
        found = needed(found[name].requires or (), found)
    return found


def applies(asked: Requirement) -> bool:
    """Whether a requirement is for this machine, no extra being asked for."""
    return asked.marker is None or asked.marker.evaluate({"extra": ""})


def normal(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence(of: Distribution) -> str:
    """As the package states it: an expression, a short text, or its classifiers."""
    told = of.metadata.get("License-Expression") or of.metadata.get("License") or ""
    if told and len(told) <= SHORT and "\n" not in told:
        return told
    if of.metadata.get("License-Expression"):
        return told
    kinds = [c for c in of.metadata.get_all("Classifier") or () if c.startswith("License ::")]
    return ", ".join(kind.rpartition(" :: ")[2] for kind in kinds)


def rows(packages: dict[str, Distribution], without: Iterable[str] = ()) -> list[str]:
    """A table of packages."""
    return ["| package | version | licence |", "|---|---|---|"] + [
        f"| {name} | {PINS.get(name, 'any')} | {licence(packages[name])} |"
        for name in sorted(set(packages) - set(without))
    ]


def page() -> str:
    """The whole page, from what is installed here."""
    core = needed(PROJECT["dependencies"], {})
    lines = [HEAD, "## Always", "", *rows(core)]
    for extra in EXTRAS:
        more = needed(PROJECT["optional-dependencies"][extra], core)
        lines += ["", f"## With `snnlens[{extra}]`", "", *rows(more, without=core)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
