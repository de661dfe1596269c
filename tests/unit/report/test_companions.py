"""report.json and report.md: the numbers of the runs, and no name that is markup."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from snnlens.errors import InputError
from snnlens.recording import store
from snnlens.recording.result import Finding
from snnlens.report import build, companions
from tests.unit.report import hostile, sample
from tests.unit.report.comment import rendered
from tests.unit.runs import answered, saved

SCHEMA = json.loads(
    (Path(__file__).parents[3] / "docs" / "schema" / "report-v1.json").read_text(encoding="utf-8")
)
KINDS: dict[str, Any] = {
    "string": str, "number": (int, float), "integer": int, "null": type(None), "array": list,
    "object": dict,
}  # fmt: skip
KNOWN = {"$schema", "title", "description", "type", "required", "properties", "items", "enum",
         "additionalProperties"}  # fmt: skip


def conforms(value: Any, schema: dict[str, Any], at: str = "$") -> None:
    """The part of JSON Schema that the schema uses; an unknown keyword is an error."""
    assert set(schema) <= KNOWN, at
    if "type" in schema:
        names = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        assert any(isinstance(value, KINDS[n]) for n in names), (at, value)
    assert value in schema.get("enum", [value]), at
    assert set(schema.get("required", [])) <= set(value if isinstance(value, dict) else []), at
    for i, item in enumerate(value if "items" in schema else []):
        conforms(item, schema["items"], f"{at}[{i}]")
    rest = schema.get("additionalProperties", True)
    for name, item in value.items() if isinstance(value, dict) else ():
        own = schema.get("properties", {}).get(name, rest)
        assert own is not False, (at, name)
        if isinstance(own, dict):
            conforms(item, own, f"{at}.{name}")


def strict(text: str) -> Any:
    """JSON alone: NaN and Infinity are none."""

    def no(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=no)


def beside(runs: list[Path], folder: Path, **more: Any) -> tuple[dict[str, Any], str]:
    """Both companions, read."""
    made, said = companions.write(runs, folder / "report.html", **more)
    text = made.read_text(encoding="utf-8")
    conforms(strict(text), SCHEMA)
    return strict(text), said.read_text(encoding="utf-8")


ALLOWED = {"h2", "h3", "p", "ul", "li", "strong", "em", "code", "table", "thead", "tbody",
           "tr", "th", "td"}  # fmt: skip


# --- report.json -------------------------------------------------------------------------------


@pytest.mark.parametrize("question", ["gradients", "checkup", "train"])
def test_the_json_has_the_run_s_own_numbers(question: str, tmp_path: Path) -> None:
    result = answered(question)
    found, _ = beside([saved(question)], tmp_path)
    (run,) = found["runs"]
    assert run["question"] == question
    assert [t["name"] for t in run["tables"]] == ["result", *result.extra]
    for table, frame in zip(run["tables"], [result.table, *result.extra.values()], strict=True):
        assert table["rows"] == len(frame)
        assert [c["name"] for c in table["columns"]] == list(frame.columns)
        wanted = json.loads(store.dumps(frame.head(5).to_dict(orient="records")))
        assert table["first"] == wanted
    assert len(found["findings"]) == len(result.findings)
    assert len(found["claims"]) == len(result.claims)
    assert sum(found["summary"]["findings"].values()) == len(result.findings)
    assert sum(found["summary"]["claims"].values()) == len(result.claims)
    assert run["provenance"]["data_fingerprint"] == result.record.provenance["data_fingerprint"]
    assert set(run["networks"]) == set(result.record.networks)


def test_units_are_those_of_the_columns(tmp_path: Path) -> None:
    found, _ = beside([saved("gradients")], tmp_path)
    units = {c["name"]: c["unit"] for c in found["runs"][0]["tables"][0]["columns"]}
    assert units["gradient_norm"] == "loss per spike"
    assert units["firing_rate_input"] == "spikes per neuron and step"


def test_the_worst_comes_first_in_both(tmp_path: Path) -> None:
    found, text = beside([sample.save(tmp_path / "run")], tmp_path)
    assert [f["severity"] for f in found["findings"]] == ["error", "warning", "note"]
    assert [c["verdict"] for c in found["claims"]] == ["fails", "not-testable", *["holds"] * 4]
    assert re.findall(r"^- \*\*(\w+)\*\*", text, re.MULTILINE) == ["error", "warning", "note"]
    assert re.findall(r"^\| \**([a-z ]+?)\** \|", text, re.MULTILINE) == [
        "fails", "not testable", *["holds"] * 4
    ]  # fmt: skip
    assert text.startswith("## snnlens: 1 error, 1 warning, 1 note; 1 of 6 claims fails\n")
    assert text.index("### Findings") < text.index("### Claims") < text.index("### Runs")


def test_no_nan_and_no_absolute_path(tmp_path: Path) -> None:
    frame = pd.DataFrame({"network": "n", "block": [0, 1], "factor": [np.nan, np.inf]})
    facts = {
        "command": "snnlens x --data imagefolder:/secret/place/photos",
        "deep": ["/secret/a/b"],
    }
    made = sample.result(sample.table(sample.NETWORKS[:1], 2), facts, caption="of /secret/x/y.npz")
    run = sample.save(tmp_path / "run", replace(made, table=frame), svg="")
    found, text = beside([run], tmp_path)
    assert found["runs"][0]["tables"][0]["first"][1]["factor"] is None
    assert "secret" not in json.dumps(found) + text
    assert found["runs"][0]["provenance"]["deep"] == ["…/b"]


def test_a_record_alone_is_said(tmp_path: Path) -> None:
    run = store.save(answered("rates").record, tmp_path / "bare")
    found, text = beside([run, saved("rates")], tmp_path)
    assert [r["question"] for r in found["runs"]] == [None, "rates"]
    assert [t["name"] for t in found["runs"][0]["tables"]] == ["record"]
    assert found["not_run"] == [{"name": "bare", "reason": build.NOT_ANALYSED}]
    assert "- not run: `bare`, a Record alone" in text
    alone = beside([run], tmp_path / "alone")[1]
    assert "Nothing was looked for" in alone


def test_two_runs_of_one_name_keep_apart(tmp_path: Path) -> None:
    runs = [sample.save(tmp_path / side / "run") for side in ("a", "b")]
    found, text = beside(runs, tmp_path)
    assert [r["name"] for r in found["runs"]] == ["run", "run (2)"]
    assert len({r["id"] for r in found["runs"]}) == 2
    assert {f["run"] for f in found["findings"]} == {"run", "run (2)"}
    assert "of `run (2)`" in text


# --- report.md ---------------------------------------------------------------------------------


def test_a_reader_sees_every_claim_and_finding(tmp_path: Path) -> None:
    page = rendered(beside([sample.save(tmp_path / "run")], tmp_path)[1])
    assert set(page.tags) <= ALLOWED
    for finding in sample.FINDINGS:
        for said in (finding.code, finding.site, finding.evidence, finding.next):
            assert str(said) in page.text
    for claim in sample.CLAIMS:
        assert claim.id in page.text
        assert claim.statement in page.text
        assert claim.bound in page.text
    assert page.tags.count("tr") == 1 + len(sample.CLAIMS)
    assert page.tags.count("td") == 4 * len(sample.CLAIMS)
    assert "1.041" in page.text


def test_no_name_is_markup(tmp_path: Path) -> None:
    found, text = beside([hostile.saved(tmp_path / "run")], tmp_path)
    assert [f["site"] for f in found["findings"]] == hostile.NAMES
    page = rendered(text)
    assert set(page.tags) <= ALLOWED
    assert page.links == []
    assert page.tags.count("tr") == 1 + len(hostile.NAMES)
    assert page.tags.count("td") == 4 * len(hostile.NAMES)
    assert not [line for line in text.splitlines() if line.startswith(("::", "##["))]
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", text)
    assert not re.search(r"(?<![`\w])@\w|(?<![`\w&])#\d", page.plain)
    assert "x" * 100 in page.text  # long names are cut, not lost
    assert "x" * 301 not in page.text


@pytest.mark.parametrize("count", [1, 40, 1000])
def test_it_fits_into_a_comment(count: int, tmp_path: Path) -> None:
    findings = [
        Finding(
            f"SNL{i % 900}", "error", hostile.LONG, f"{i}" + hostile.LONG, str(i), "|" * 300, ""
        )
        for i in range(count)
    ]
    claims = [replace(sample.CLAIMS[4], id=f"c{i}", statement="<" * 300) for i in range(count)]
    made = sample.result(sample.table(sample.NETWORKS[:1], 2), findings=findings, claims=claims)
    found, text = beside([sample.save(tmp_path / "run", made, svg="")], tmp_path)
    assert len(text) <= 65_000
    assert len(found["findings"]) == len(found["claims"]) == count
    if count == 1000:
        left = [int(n) for n in re.findall(r"and (\d+) more", text)]
        shown = text.count("- **error**"), text.count("| **fails** |")
        assert [a + b for a, b in zip(shown, left, strict=True)] == [1000, 1000]
    assert "### Runs" in text


def test_many_places_of_one_diagnosis_are_one_entry(tmp_path: Path) -> None:
    findings = [replace(sample.FINDINGS[1], site=f"layer{i}") for i in range(30)]
    run = sample.save(tmp_path / "run", sample.result(findings=findings), svg="")
    text = beside([run], tmp_path)[1]
    assert text.count("**error**") == 1
    assert "at `layer0`, at `layer1`, at `layer2`, at `layer3`, at `layer4` and 25 more:" in text
    assert text.startswith("## snnlens: 30 errors;")


def test_nothing_found_is_said(tmp_path: Path) -> None:
    made = sample.result(sample.table(sample.NETWORKS[:1], 2), findings=[], claims=[])
    text = beside([sample.save(tmp_path / "run", made, svg="")], tmp_path)[1]
    assert text.startswith("## snnlens: nothing found\n\n### Runs\n")


# --- writing -----------------------------------------------------------------------------------

CODE = """
import sys
sys.modules["torch"] = None
from pathlib import Path
from snnlens.report import companions
companions.write([Path(p) for p in sys.argv[2:]], Path(sys.argv[1]))
"""


def test_the_same_runs_give_the_same_bytes_without_torch(tmp_path: Path) -> None:
    runs = [str(saved(question)) for question in ("rates", "checkup")]
    for seed in (0, 1):
        subprocess.run(
            [sys.executable, "-W", "error", "-c", CODE, f"{tmp_path}/{seed}/r.html", *runs],
            check=True, env=os.environ | {"PYTHONHASHSEED": str(seed)},
        )  # fmt: skip
    for name in ("r.json", "r.md"):
        assert (tmp_path / "0" / name).read_bytes() == (tmp_path / "1" / name).read_bytes()


def test_nothing_is_replaced_unless_asked(tmp_path: Path) -> None:
    (tmp_path / "report.md").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        companions.write([saved("rates")], tmp_path / "report.html")
    assert str(caught.value) == (
        f"what lies beside the report must be a new file; got '{tmp_path / 'report.md'}'; add "
        "--force to replace it, or choose another report with -o"
    )
    assert {p.name for p in tmp_path.iterdir()} == {"report.md"}
    beside([saved("rates")], tmp_path, force=True)
    assert (tmp_path / "report.md").read_text(encoding="utf-8").startswith("## snnlens")


@pytest.mark.parametrize("name", ["report.json", "report.md"])
def test_a_page_is_no_companion(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="its companions end so"):
        companions.check(tmp_path / name, force=True)


def test_a_folder_in_the_way_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "report.json").mkdir()
    with pytest.raises(InputError, match="what lies beside the report must be a new file"):
        companions.check(tmp_path / "report.html", force=True)
