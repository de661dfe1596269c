"""The page as text: what it holds, in which order, and how it is written."""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest

from snnlens import registry
from snnlens.errors import InputError
from snnlens.recording import store
from snnlens.recording.record import Column, Quantity, Record, Schema
from snnlens.recording.result import Claim, Finding
from snnlens.report import build, view
from tests.unit import runs
from tests.unit.report import hostile, laid, sample

HOSTILE = "<script>alert(1)</script>"
LONG = "x" * 300


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample.save(tmp_path_factory.mktemp("runs") / "gradients")


@pytest.fixture(scope="module")
def page(run: Path) -> str:
    return build.build([run])


def text(page: str) -> str:
    """What a reader sees, roughly: no tags, one space between words."""
    body = re.sub(r"(?s)<script.*?</script>|<title.*?</title>", "", page.partition("<body>")[2])
    body = re.sub(r'<span class="nb">(.*?)</span>', r"\1", body)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_the_policy_allows_the_one_script(page: str) -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert unescape(policy) == (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'"
    )
    assert len(script) < 6000
    assert not re.search(r"\son\w+=", page)


def test_the_same_runs_give_the_same_page(run: Path, page: str) -> None:
    assert build.build([run]) == page
    assert build.build([Path(os.path.relpath(run))]) == page


def test_a_page_of_every_network_at_full_depth_is_small(run: Path, tmp_path: Path) -> None:
    sizes = build.write([run], tmp_path / "report.html")
    assert list(sizes) == [
        "frame", "header", "findings", "claims", "run gradients", "not run", "provenance"
    ]  # fmt: skip
    assert sum(sizes.values()) == (tmp_path / "report.html").stat().st_size < 2_000_000


def test_the_sections_are_in_order(page: str) -> None:
    assert re.findall(r'<section id="([^"]+)"', page) == [
        "findings", "claims", "run-gradients", "not-run", "provenance"
    ]  # fmt: skip


def test_the_summary_counts_everything(page: str) -> None:
    assert text(page).find(
        "6 claims: 4 hold , 1 fails , 1 not testable ; 3 findings: 1 error , 1 warning , 1 note"
    ) >= 0  # fmt: skip


def test_one_run_is_introduced_in_the_head(page: str) -> None:
    assert page.count('<code class="command">') == 1
    assert "snnlens gradients --depth 152 -o runs/gradients" in text(head(page))


def test_the_head_has_a_line_for_each_of_several_runs(run: Path, tmp_path: Path) -> None:
    """What it found; how it was made stands at the run, and the findings come soon."""
    bare = sample.save(tmp_path / "bare", runs.answered("rates"), svg="")
    page = build.build([run, bare])
    lines = [text(f"<body>{line}") for line in head(page).split("<li>")[1:]]
    assert lines[0].startswith("gradients ")
    assert lines[0].endswith("3 findings: 1 error , 1 warning , 1 note")
    assert lines[1].startswith("bare ")
    assert "--depth 152" not in text(head(page))
    section = str(page).partition('<section id="run-gradients"')[2].partition("<figure")[0]
    assert "snnlens gradients --depth 152 -o runs/gradients" in text(f"<body>{section}")


def test_of_a_record_alone_the_head_does_not_say_that_nothing_was_found(
    run: Path, tmp_path: Path
) -> None:
    alone = runs.made("rates").save(tmp_path / "alone")
    lines = [text(f"<body>{line}") for line in head(build.build([run, alone])).split("<li>")[1:]]
    assert lines[1].endswith("a Record alone, not analysed")
    assert "0 findings" not in lines[1]


def head(page: str) -> str:
    return "<body>" + str(page).partition("<header>")[2].partition("</header>")[0]


def test_the_worst_comes_first(page: str) -> None:
    found = re.findall(r'<li class="(error|warning|note)"', page)
    assert found == ["error", "warning", "note"]
    rows = re.findall(
        r'<tr role="row"( class="failing")?>\n<td role="cell"><span class="mark (\S+)"', page
    )
    assert [verdict for _, verdict in rows] == ["fails", "not-testable", *["holds"] * 4]
    assert [bool(failing) for failing, _ in rows] == [True, *[False] * 5]


def test_a_finding_leads_to_its_row_and_its_figure(tmp_path: Path) -> None:
    """Each way: from the finding to the row of its site, and from the row back."""
    page = build.build([sample.save(tmp_path / "a", laid.result())])
    entry = page.partition('id="run-a_f2"')[2].partition("</li>")[0]
    assert '<a href="#run-a_t11">layer3.11.output</a>' in entry
    assert '<a href="#run-a_t11">row block 11</a>' in entry
    assert '<a href="#run-a_figure">figure</a>' in entry
    row = page.partition('<tr id="run-a_t11"')[2].partition("</tr>")[0]
    assert ">11 <span class=at>layer3.11</span>" in row
    assert 'href="#run-a_f2" aria-label="Findings here: error SNL201">' in row
    assert page.count('<figure id="run-a_figure"') == 1
    bare = page.partition('id="run-a_f4"')[2].partition("</li>")[0]
    assert "row" not in re.sub(r"<[^>]+>", "", bare)
    assert "#run-a_figure" in bare


def test_cases_of_one_diagnosis_are_one_entry(tmp_path: Path) -> None:
    """The why and the what next of a code are said once, the evidence of each case."""
    runs = [sample.save(tmp_path / name, laid.result()) for name in ("a", "b")]
    shown = text(build.build(runs)).partition(" Findings ")[2].partition(" Claims ")[0]
    assert shown.count("Nothing passes.") == 4  # of SNL201, SNL305, SNL402 and SNL601
    assert shown.count("0 spikes at layer2.4.sn1") == 2
    assert "error SNL201 4 cases" in shown


def test_findings_are_counted_one_by_one(tmp_path: Path) -> None:
    shown = text(build.build([sample.save(tmp_path / "a", laid.result())]))
    assert "5 findings: 2 errors , 1 warning , 2 notes" in shown


def test_a_page_that_is_too_large_is_cut_to_the_worst_rows(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = build.build([run])
    monkeypatch.setattr(build, "MOST_BYTES", len(whole.encode()) - 1)
    sizes = build.write([run], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert sum(sizes.values()) == len(page.encode()) < build.MOST_BYTES
    assert page.count("<tr id=") == 200
    said = text(page)
    assert "Not every row is here, or the page would be larger than 2 MB" in said
    assert "the 200 worst of 400 rows are here, rows with findings first" in said
    kept = set(re.findall(r'<tr id="run-gradients_t(\d+)"', page))
    norms = sample.table()["gradient_norm"].sort_values(kind="stable")
    assert kept == {str(i) for i in norms.index[:200]}
    assert set(re.findall(r'href="#run-gradients_t(\d+)"', page)) <= kept
    (link,) = re.findall(r'href="data:text/csv;charset=utf-8,([^"]+)"', page)
    assert unquote(unescape(link)).count("\n") == 401  # the data is whole


def test_what_can_not_be_cut_is_not(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "MOST_BYTES", 1000)
    assert build.build([run]).count("<tr id=") == 200


def test_each_network_can_be_chosen(page: str) -> None:
    radios = re.findall(r'<input type="radio" name="run-gradients_t-net" value="(\w+)"', page)
    assert radios == [*map(str, range(8)), "all"]
    rules = re.findall(r'value="(\d+)"\]:checked\)>\[data-n\]:not\(\[data-n="(\d+)"\]\)', page)
    assert rules == [(str(i), str(i)) for i in range(8)]
    shown = re.findall(r'<div data-n="(\d+)"', page)
    assert shown == [str(i) for i in (*range(8), *range(8))]  # navigators, then tables


def test_every_question_says_how_to_read_it() -> None:
    """What is shown, what good and bad look like, what to do."""
    for question in registry.listing("analysis"):
        module = registry.module("analysis", question)
        fixed = not hasattr(module, "_notes")  # else they depend on the run
        notes = module.NOTES if fixed else runs.answered(question).notes
        terms = [view._note(note)[0] for note in notes]
        assert [t for t in terms if t] == ["Shown", "Good", "Bad", "What to do"], question


def test_checks_that_did_not_apply_are_named() -> None:
    shown = text(build.build([runs.saved("checkup")]))
    checks = runs.answered("checkup").extra["checks"]
    unused = checks["code"][checks["outcome"] == "not applicable"].tolist()
    assert f"{len(unused)} checks of checkup did not apply" in shown
    assert f"its table of checks says why: {', '.join(unused)}." in shown


@pytest.mark.parametrize("question", ["gradients", "rates", "checkup", "audit"])
def test_a_page_of_a_real_run_is_whole(question: str) -> None:
    """Ids are unique, and every link inside has its target."""
    page = build.build([runs.saved(question)])
    assert page == build.build([runs.saved(question)])
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    assert page.count('<figure class="navigator"') == len(runs.answered(question).record.networks)


def test_names_that_mean_something_elsewhere_are_only_names(tmp_path: Path) -> None:
    page = build.build([hostile.saved(tmp_path / "odd")])
    assert page.count("<script>") == 1
    assert page.count("</style>") == 1
    assert "<b>" not in page.replace('<p class="here"><b></b>', "").partition("*/ }")[2][:20]
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_nothing_found_is_said(tmp_path: Path) -> None:
    made = sample.result(sample.table(sample.NETWORKS[:1], 4), claims=[], findings=[], notes=[])
    shown = text(build.build([sample.save(tmp_path / "quiet", made)]))
    assert "Nothing found: no error, no warning and no note." in shown
    assert "No published statement speaks of these runs." in shown
    assert "0 claims; 0 findings" in shown.replace(" ;", ";")
    assert "Everything that was asked for ran, and every claim could be tested." in shown


def test_every_number_of_a_claim_and_its_bound_is_shown(page: str) -> None:
    shown = text(page)
    for claim in sample.CLAIMS:
        for said in (claim.id, claim.statement, claim.bound, claim.reason, claim.source):
            assert said in shown
    assert "3.4\u202f×\u202f10⁻⁶" in page


def test_the_exact_table_can_be_downloaded(run: Path, page: str) -> None:
    (link,) = re.findall(r'href="data:text/csv;charset=utf-8,([^"]+)" download="([^"]+)"', page)
    assert unquote(unescape(link[0])) == (run / "result.csv").read_text(encoding="utf-8")
    assert link[1] == "run-gradients-result.csv"


def test_no_address_is_loaded(page: str) -> None:
    sources = re.findall(r'\s(?:src|srcset|poster|data|action)="([^"]*)"', page)
    assert not sources
    assert not re.findall(r"<(?:link|iframe|object|embed|base|form)\b", page)
    assert set(re.findall(r'href="(https?:[^"]*)"', page)) == {"https://arxiv.org/abs/2102.04159"}


def test_ids_are_unique_and_every_link_inside_has_its_target(tmp_path: Path) -> None:
    small = sample.result(sample.table(sample.NETWORKS[:2], 4))
    runs = [sample.save(tmp_path / place / "gradients", small) for place in ("a", "b")]
    page = build.build(runs)
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= set(ids)
    assert "gradients (2)" in text(page)


def test_a_run_may_be_named_like_a_section(tmp_path: Path) -> None:
    made = sample.result(sample.table(sample.NETWORKS[:1], 4))
    page = build.build([sample.save(tmp_path / name, made) for name in ("claims", "header")])
    ids = re.findall(r'<section id="([^"]+)"', page)
    assert ids == ["findings", "claims", "run-claims", "run-header", "not-run", "provenance"]


def test_what_all_runs_share_is_said_once(tmp_path: Path) -> None:
    frame = sample.table(sample.NETWORKS[:1], 4)
    made = [sample.result(frame, {"started": f"2026-11-2{i}T00:00:00+00:00"}) for i in (1, 2)]
    runs = [sample.save(tmp_path / name, m) for name, m in zip("ab", made, strict=True)]
    shown = text(build.build(runs)).partition(" Provenance All runs ")[2].partition(" Methods ")[0]
    assert shown.count("3.11.2") == 2  # Python, and matplotlib among the packages
    assert shown.endswith(
        "a Started (UTC) 2026-11-21T00:00:00+00:00 b Started (UTC) 2026-11-22T00:00:00+00:00"
    )


def test_everything_of_a_user_is_escaped(tmp_path: Path) -> None:
    names = [(HOSTILE, "spiking", False), (LONG, "sew-add", True)]
    made = sample.result(
        sample.table(names, 4),
        provenance={"command": HOSTILE, HOSTILE: HOSTILE, "parameters": {HOSTILE: HOSTILE}},
        title=HOSTILE,
        caption=HOSTILE,
        notes=[HOSTILE, f"Good: {HOSTILE}"],
        claims=[Claim(*[HOSTILE] * 3, 1.0, HOSTILE, "fails", HOSTILE)],
        findings=[Finding(HOSTILE, "error", *[HOSTILE] * 5)],
    )
    run = sample.save(tmp_path / f"<i>{HOSTILE.replace('/', '')}", made)
    page = build.build([run], [build.Skipped(HOSTILE, HOSTILE)])
    assert page.count("<script>") == 1
    assert "<i>" not in page
    assert text(page).count(HOSTILE) > 15


def test_a_long_name_is_cut_and_whole_in_its_title(tmp_path: Path) -> None:
    run = sample.save(tmp_path / "long", sample.result(sample.table([(LONG, "sew-add", True)], 4)))
    page = build.build([run])
    assert f'<span title="{LONG}">{"x" * 59}…</span>' in page
    assert "x" * 60 + "…" not in text(page)


def test_absolute_paths_do_not_reach_the_page(tmp_path: Path) -> None:
    made = sample.result(
        sample.table(sample.NETWORKS[:1], 4),
        provenance={"command": "snnlens rates --data imagefolder:/srv/secret/photos"},
        caption="imagefolder:/srv/secret/x.",
    )
    run = sample.save(tmp_path / "paths", made)
    page = build.build([run], [build.Skipped("conversion", "no file /srv/secret/model.pt")])
    assert "secret" not in page
    assert str(tmp_path) not in page
    assert "imagefolder:…/photos" in page
    assert "no file …/model.pt" in page


@pytest.mark.parametrize(
    ("drawing", "says"),
    [
        ("", "figure.svg cannot be shown: the run has no figure.svg"),
        ("<svg", "figure.svg cannot be shown: it is not well-formed XML"),
        ("x" * 1_000_001, "figure.svg cannot be shown: it has 1.0 MB, and a page takes 1 MB"),
    ],
)
def test_a_figure_that_can_not_be_shown(tmp_path: Path, drawing: str, says: str) -> None:
    made = sample.result(sample.table(sample.NETWORKS[:1], 4))
    page = build.build([sample.save(tmp_path / "odd", made, svg=drawing)])
    assert f"No figure: {says}." in text(page).replace(" : ", ": ").replace("figure :", "figure:")


def test_a_record_alone_shows_what_was_recorded(tmp_path: Path) -> None:
    record = sample.result(sample.table(sample.NETWORKS[:1], 4)).record
    page = build.build([store.save(record, tmp_path / "mine")])
    assert "What was recorded" in text(page)
    assert "No figure: this run is a Record." in text(page).replace("figure: ", "figure: ")
    assert 'download="run-mine-record.csv"' in page
    assert "Nothing was looked for: no analysis has been made of these runs." in text(page)
    assert "mine a Record alone: measured, with nothing concluded from it" in text(page)


def test_the_table_of_a_record_begins_with_what_was_measured(tmp_path: Path) -> None:
    sites = pd.DataFrame({"network": ["m"], "site": ["sn1"], "module": ["sn1"], "block": [0]})
    table = pd.DataFrame({"network": ["m"], "site": ["sn1"], "step": [0], "a": [1], "b": [4]})
    schema = Schema(
        columns={"a": Column(), "b": Column()},
        quantities={"firing_rate": Quantity("ratio", ("a", "b"), "spikes per neuron and step")},
    )
    record = Record(sites, {"firing_rate": table}, {"firing_rate": schema}, {"m": {}}, {})
    page = build.build([store.save(record, tmp_path / "mine")])
    columns = dict(re.findall(r'data-c="(\d+)"[^>]* title="([^"]+)"', page))
    assert [columns[c] for c in "0123"] == ["site", "block", "firing_rate", "module"]
    assert ">0.2500</td>" in page


def test_what_was_skipped_is_enough_for_a_page() -> None:
    shown = text(build.build([], [build.Skipped("conversion", "needs a checkpoint")]))
    assert "0 runs" in shown
    assert "conversion needs a checkpoint" in shown


def message(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


def test_no_run() -> None:
    assert message(lambda: build.build([])) == (
        "RUN must be at least one run folder; got 'nothing'; see `snnlens list`"
    )


def test_a_file_that_is_there_is_kept(run: Path, tmp_path: Path) -> None:
    output = tmp_path / "report.html"
    output.write_text("mine", encoding="utf-8")
    assert message(lambda: build.write([run], output)) == (
        f"the report must be a new file; got {str(output)!r}; "
        "add --force to replace it, or choose another with -o"
    )
    assert output.read_text(encoding="utf-8") == "mine"
    build.write([run], output, force=True)
    assert output.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_a_folder_is_no_report(run: Path, tmp_path: Path) -> None:
    assert message(lambda: build.write([run], tmp_path, force=True)) == (
        f"the report must be a file and no folder; got {str(tmp_path)!r}; give -o report.html"
    )


def test_folders_above_the_report_are_made(run: Path, tmp_path: Path) -> None:
    build.write([run], tmp_path / "a" / "b" / "report.html")
    assert (tmp_path / "a" / "b" / "report.html").is_file()


def test_a_place_that_can_not_be_written(run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    output = tmp_path / "file" / "report.html"
    assert message(lambda: build.write([run], output)) == (
        f"the report must be in a writable folder; got {str(output)!r}"
    )


def test_a_full_disk_leaves_nothing(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    assert message(lambda: build.write([run], tmp_path / "report.html")) == (
        "the disk of the report must be with room for it; got 'full'; "
        "make room or choose another folder with -o"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "key", "wanted"),
    [
        ("claims.json", "verdict", "'holds', 'fails' or 'not-testable'"),
        ("findings.json", "severity", "'error', 'warning' or 'note'"),
    ],
)
def test_an_unknown_verdict_is_no_good_one(
    tmp_path: Path, name: str, key: str, wanted: str
) -> None:
    run = sample.save(tmp_path / "odd", sample.result(sample.table(sample.NETWORKS[:1], 4)))
    rows = json.loads((run / name).read_text(encoding="utf-8"))
    rows[0][key] = "fine"
    (run / name).write_text(json.dumps(rows), encoding="utf-8")
    facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
    changed = (run / name).read_bytes()
    facts["files"][name] = {"bytes": len(changed), "sha256": hashlib.sha256(changed).hexdigest()}
    (run / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    assert message(lambda: build.build([run])) == (
        f'{run / name} must be as written; got "0.{key}: input should be {wanted}"; '
        "the file was changed"
    )
