"""What is installed: lowest versions, hashes, licences, and what the public workflows run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from tests.contract import licences
from tests.contract.licences import PROJECT, ROOT, needed, normal

REQUIREMENTS = ROOT / "requirements"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PYTHONS = ["3.11", "3.12", "3.13"]
ELSEWHERE = re.compile(r"torch|triton|nvidia-.*|cuda-.*")  # in no hashed file: see its head
ACTION = re.compile(r"uses: (\S+)@([0-9a-f]{40}) # v\d+\.\d+\.\d+\n")


def pins(text: str) -> dict[str, str]:
    """`name==version`, of each line that begins with one."""
    return {normal(n): v for n, v in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)}


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


# --- the lowest versions ----------------------------------------------------------------------


def lowest(python: str) -> dict[str, Version]:
    """What requirements/lowest.txt asks of a Python."""
    lines = [
        line.partition("#")[0].strip() for line in read(REQUIREMENTS / "lowest.txt").split("\n")
    ]
    asked = [Requirement(line) for line in lines if line]
    here = [r for r in asked if r.marker is None or r.marker.evaluate({"python_version": python})]
    assert len({r.name for r in here}) == len(here)
    return {r.name: Version(str(r.specifier).removeprefix("==")) for r in here}


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lowest_versions_are_the_bounds_of_the_package(python: str) -> None:
    found, asked = lowest(python), [Requirement(text) for text in PROJECT["dependencies"]]
    bounds = {r.name: Version(s.version) for r in asked for s in r.specifier if s.operator == ">="}
    assert list(found)[: len(bounds)] == [r.name for r in asked] == list(bounds)
    for name, bound in bounds.items():
        if python == PYTHONS[-1]:  # the first wheels for it may be newer
            assert found[name] >= bound
        else:
            assert found[name] == bound, name
    assert all(found[r.name] in r.specifier for r in asked)


def test_the_pythons_are_those_of_the_package() -> None:
    said = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if " :: 3." in c]
    assert said == PYTHONS
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"
    assert workflow("versions")["jobs"]["try"]["strategy"]["matrix"]["python"] == PYTHONS


# --- the hashes -------------------------------------------------------------------------------


def entries() -> dict[str, list[str]]:
    """The hashes of each package of requirements/ci.txt."""
    found: dict[str, list[str]] = {}
    text = re.sub(r" \\\n\s+", " ", read(REQUIREMENTS / "ci.txt"))
    for line in text.splitlines():
        if line and not line.startswith("#"):
            pin, *hashes = line.split()
            assert re.fullmatch(r"[\w.-]+==[\w.]+", pin), line
            found[pin] = hashes
    return found


def test_every_file_that_ci_installs_has_a_hash() -> None:
    for pin, hashes in entries().items():
        assert hashes, pin
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", h) for h in hashes), pin


def test_the_locked_versions_are_those_of_the_constraints() -> None:
    locked = pins("\n".join(entries()))
    wanted = pins(read(ROOT / "constraints.txt")) | pins(read(REQUIREMENTS / "frameworks.txt"))
    assert {n: v for n, v in locked.items() if v != wanted.get(n, v)} == {}
    assert set(pins(read(REQUIREMENTS / "frameworks.txt"))) <= set(locked)


def test_nothing_that_is_needed_lacks_a_hash() -> None:
    extras = PROJECT["optional-dependencies"]
    core = needed([*PROJECT["dependencies"], *extras["logs"], *extras["scale"]], {})
    installed = needed([*extras["test"], *extras["adapters"]], core)
    locked = pins("\n".join(entries()))
    assert [n for n in installed if n not in locked and not ELSEWHERE.fullmatch(n)] == []
    assert [n for n in locked if ELSEWHERE.fullmatch(n)] == ["triton"]


# --- the licences -----------------------------------------------------------------------------


def test_the_page_of_licences_is_what_is_installed() -> None:
    assert read(licences.PAGE) == licences.page(), "python -m tests.contract.licences"


def test_every_package_says_its_licence() -> None:
    table = [
        line.split(" | ") for line in read(licences.PAGE).splitlines() if line.startswith("| ")
    ]
    told = {row[0].removeprefix("| "): row[2].removesuffix(" |") for row in table if len(row) == 3}
    assert {normal(Requirement(text).name) for text in PROJECT["dependencies"]} <= set(told)
    assert [name for name, licence in told.items() if not licence.strip()] == []
    copyleft = [name for name, licence in told.items() if re.search(r"GPL|MPL", licence)]
    assert copyleft == ["tqdm"]  # as the page's head says


# --- the public workflows ---------------------------------------------------------------------


def workflow(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(read(ROOT / ".github" / "workflows" / f"{name}.yml"))
    return found


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_a_workflow_is_pinned_and_may_do_little(path: Path) -> None:
    text = read(path)
    assert text.count("uses: ") == len(ACTION.findall(text)), "a full commit and its version"
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
    assert "secrets." not in text
    assert "pull_request_target" not in text
    assert text.count("actions/checkout@") == text.count("persist-credentials: false")


def test_one_action_is_one_commit_everywhere() -> None:
    used = {match for path in WORKFLOWS for match in ACTION.findall(read(path))}
    assert len(dict(used)) == len(used) >= 6


def test_the_workflows_install_by_hash_audit_and_list_what_they_install() -> None:
    jobs = {path.stem: workflow(path.stem)["jobs"].values() for path in WORKFLOWS}
    steps = {name: [s.get("run", "") for j in of for s in j["steps"]] for name, of in jobs.items()}
    ci = steps["ci"]
    locked = next(i for i, run in enumerate(ci) if "--require-hashes -r requirements/ci.txt" in run)
    assert "PIP_NO_INDEX=1" in ci[locked]
    assert locked < ci.index("bash .ci/run")
    supply = "\n".join(steps["supply"])
    assert "pip-audit --disable-pip --require-hashes --requirement requirements/ci.txt" in supply
    assert "cyclonedx-py requirements requirements/ci.txt" in supply
    assert "requirements/lowest.txt" in "\n".join(steps["versions"])
