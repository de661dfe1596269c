"""Other programs read what snnlens writes: pandas, DuckDB and Polars, number by number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

import snnlens
from snnlens.recording import store
from tests.unit.runs import answered, saved

QUESTIONS = ["gradients", "rates", "checkup", "train"]


def tables(folder: Path) -> list[Path]:
    """Every Parquet file of a run folder."""
    found = sorted(folder.rglob("*.parquet"))
    assert {p.relative_to(folder).as_posix() for p in found} >= {
        "record/sites.parquet", "result.parquet"
    }  # fmt: skip
    return found


def plain(values: Any) -> list[Any]:
    """Values as Python's own; what does not exist is None."""
    made = [v.item() if hasattr(v, "item") else v for v in values]
    return [None if v is None or v is pd.NA or v != v else v for v in made]  # noqa: PLR0124 - NaN


def by_pandas(path: Path) -> dict[str, list[Any]]:
    frame = pd.read_parquet(path)
    return {str(name): plain(frame[name]) for name in frame}


@pytest.mark.parametrize("question", QUESTIONS)
def test_duckdb_reads_every_table(question: str) -> None:
    for path in tables(saved(question)):
        wanted = by_pandas(path)
        with duckdb.connect() as database:
            answer = database.execute("select * from read_parquet(?)", [str(path)])
            names = [column[0] for column in answer.description or []]
            rows = answer.fetchall()
        assert names == list(wanted)
        found = dict(zip(names, map(plain, zip(*rows, strict=True)), strict=True))
        assert found == wanted, path.name


@pytest.mark.parametrize("question", QUESTIONS)
def test_polars_reads_every_table(question: str) -> None:
    for path in tables(saved(question)):
        wanted = by_pandas(path)
        frame = pl.read_parquet(path)
        assert frame.columns == list(wanted)
        assert {n: plain(frame[n].to_list()) for n in frame.columns} == wanted, path.name


def test_a_question_in_sql_has_the_answer_of_the_record() -> None:
    """The rates of a run from its sums: spikes / (neurons x T x samples)."""
    folder = saved("gradients")
    frame = store.load(folder).frame()
    query = """
        select s.network, s.site, sum(r.total) / sum(r.elements) as rate
        from read_parquet(?) s join read_parquet(?) r using (network, site)
        group by s.network, s.site, s."order" order by s.network, s."order"
    """
    files = [str(folder / "record" / f"{n}.parquet") for n in ("sites", "firing_rate")]
    with duckdb.connect() as database:
        rows = database.execute(query, files).fetchall()
    rates = {(network, site): rate for network, site, rate in rows}
    wanted = frame.set_index(["network", "site"])["firing_rate"].dropna()
    assert set(rates) == set(wanted.index)
    np.testing.assert_allclose([rates[key] for key in wanted.index], wanted, rtol=1e-15)


def test_polars_agrees_with_the_result() -> None:
    result = answered("gradients")
    frame = pl.read_parquet(saved("gradients") / "result.parquet")
    grouped = frame.group_by("network", maintain_order=True).agg(pl.col("gradient_norm").max())
    wanted = result.table.groupby("network", sort=False)["gradient_norm"].max()
    assert grouped["network"].to_list() == list(wanted.index)
    assert grouped["gradient_norm"].to_list() == list(wanted)


def test_the_csv_has_the_numbers_of_the_parquet() -> None:
    folder = saved("gradients")
    read = pl.read_csv(folder / "result.csv", infer_schema_length=None)
    wanted = by_pandas(folder / "result.parquet")
    assert read.columns == list(wanted)
    assert read["gradient_norm"].to_list() == wanted["gradient_norm"]


def test_a_frame_is_pandas_own() -> None:
    record = store.load(saved("gradients"))
    for frame in (record.frame(), record.frame(per_step=True)):
        assert type(frame) is pd.DataFrame
        assert frame["firing_rate"].dtype == np.float64
        assert frame["block"].dtype == "Int64"  # a site outside of blocks has none
        assert frame.index.equals(pd.RangeIndex(len(frame)))
    means = record.frame().groupby("network")["firing_rate"].mean()
    assert set(means.index) == set(record.networks)


def test_polars_and_duckdb_take_a_frame_as_it_is() -> None:
    """No file between: a Record's frame is an Arrow table for both."""
    frame = store.load(saved("rates")).frame()
    same = pl.from_pandas(frame)
    assert same["firing_rate"].to_list() == plain(frame["firing_rate"])
    with duckdb.connect() as database:
        database.register("frame", frame)
        (counted,) = database.execute("select count(*) from frame where block = 1").fetchall()
    assert counted == (int((frame["block"] == 1).fillna(value=False).sum()),)


def test_a_record_of_one_s_own_opens_in_both(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), snnlens.IF())
    with snnlens.record(model) as rec:
        model(torch.rand(5, 2, 4)).sum().backward()
    folder = rec.save(tmp_path / "mine")
    for path in sorted(folder.rglob("*.parquet")):
        wanted = by_pandas(path)
        assert {n: plain(v) for n, v in pl.read_parquet(path).to_dict().items()} == wanted
        rows = duckdb.sql(f"select * from '{path}'").fetchall()
        assert [plain(row) for row in zip(*rows, strict=True)] == list(wanted.values())
