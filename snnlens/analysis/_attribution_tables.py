"""The tables of `attribution`: areas under curves, completeness and agreement, per method and sample."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from snnlens.measures.attribution import area, falls_below, interval, relative_delta
from snnlens.recording.record import Record

OVERS = ("pixels", "steps", "events")
KINDS = ("deletion", "insertion")
AREAS = [f"{kind}_{over}" for over in OVERS for kind in KINDS]
RANDOM = "random"
VARIANTS = ("surrogate", "seed", "weights")
METHOD = ["network", "method", "place"]
KEYS = [*METHOD, "sample"]
MAP = [*KEYS, "label", "target", "predicted", "score", "baseline", "total", "delta",
       "relative_delta", "nonzero_share"]  # fmt: skip
OF_METHOD = [*METHOD, "ground", "title", "signed", "relevance", "complete"]
KIND = ["ground", "over", "kind"]
AREA = [*METHOD, "ground", "draw", "sample", "over", "kind", "area"]
BESIDE = [*METHOD, *KIND, "mean_area", "random_area", "low", "high", "draws", "samples",
          "samples_better"]  # fmt: skip
CURVE = [*METHOD, *KIND, "share", "score", "low", "high", "samples"]
MATRIX = ["network", "method", "other", "rank_correlation", "samples"]
ROBUST = ["network", "kind", "method", "other", "sample", "rank_correlation"]


def first(record: Record) -> dict[str, Any]:
    """The facts of the network that is explained."""
    return next((f for f in record.networks.values() if not f.get("auxiliary")), {})


def methods(record: Record) -> pd.DataFrame:
    """One row per network, method and place, in the order of the run, with what the method claims."""
    maps = _maps(record).drop_duplicates(METHOD)
    facts = [record.networks.get(n, {}) for n in maps["network"]]
    made = maps.assign(
        signed=maps["signed"].astype(bool),
        title=[_capital(t) for t in _each(facts, maps, "names")],
        relevance=[v is not False for v in _each(facts, maps, "claims_relevance")],
        complete=[v is True for v in _each(facts, maps, "complete")],
    )
    return made[OF_METHOD].reset_index(drop=True)


def rows(record: Record, under: pd.DataFrame) -> pd.DataFrame:
    """The main table: one row per network, method, place and sample; `under` are its areas."""
    maps = _maps(record).reset_index(drop=True)
    change = [maps[c].to_numpy(float) for c in ("delta", "score", "baseline")]
    maps = maps.assign(relative_delta=relative_delta(*change))
    made = maps[[*MAP, "ground"]].merge(_own(under), on=KEYS, how="left")
    made = made.merge(_random(under), on=["network", "ground", "sample"], how="left")
    trust = record.tables.get("attribution_trust", maps.iloc[:0])
    trust = trust.reindex(columns=[*KEYS, "infidelity", "sensitivity"])
    made = made.drop(columns="ground")
    made = made.merge(trust, on=KEYS, how="left", validate="many_to_one")
    return made.astype({"infidelity": float, "sensitivity": float})


# --- curves and the areas under them -------------------------------------------------------------


def areas(record: Record) -> pd.DataFrame:
    """The area under every curve: of one method (or random draw), sample, kind and what it is over."""
    made = []
    table = _curves(record).sort_values("share", kind="stable")
    for keys, of in table.groupby(AREA[:-1], sort=False):
        made.append([*keys, area(of["share"].to_numpy(float), of["score"].to_numpy(float))])
    return pd.DataFrame(made, columns=AREA)


def beside_random(under: pd.DataFrame, of: pd.DataFrame) -> pd.DataFrame:
    """One row per method, kind and what it is over: the mean area, and that of random orders.

    low and high are the 95 % interval of the random orders' mean, each order averaged over the same
    samples; samples_better counts the samples whose own area beats the mean of their random orders.
    """
    made = []
    for _, row in of.iterrows():
        own = under[(under[METHOD] == row[METHOD]).all(axis=1)]
        for kind, mine, random in _compared(under[under["network"] == row["network"]], own):
            mean, low, high = interval(random.groupby("draw")["area"].mean().to_numpy(float))
            by_chance, own_areas = random.groupby("sample")["area"].mean(), mine.set_index("sample")
            both = by_chance.to_frame("random").join(own_areas["area"])
            order = ["area", "random"] if kind[2] == "deletion" else ["random", "area"]
            better = sum(falls_below(*pair) for pair in both[order].to_numpy(float))
            made.append([*row[METHOD], *kind, mine["area"].mean(), mean, low, high,
                         random["draw"].nunique(), len(mine), better])  # fmt: skip
    return pd.DataFrame(made, columns=BESIDE)


def curves(record: Record) -> pd.DataFrame:
    """The mean over samples of each method's curve, and of random orders with a 95 % interval."""
    keys, made = CURVE[:7], []
    by = _curves(record).groupby([*keys, "draw"], sort=False)
    means = by["score"].agg(["mean", "count"]).reset_index()
    for key, of in means.groupby(keys, sort=False):
        draws = of["mean"].to_numpy(float)
        band = interval(draws) if key[1] == RANDOM else (float(draws[0]), np.nan, np.nan)
        made.append([*key, *band, int(of["count"].max())])
    return pd.DataFrame(made, columns=CURVE)


def _curves(record: Record) -> pd.DataFrame:
    """The recorded curves, each with what it takes away from."""
    nothing = pd.DataFrame(columns=[*AREA[:-1], "share", "score"])
    table = record.tables.get("attribution_curves", nothing)
    return table.assign(ground=_grounds(record, table))


def _compared(
    here: pd.DataFrame, own: pd.DataFrame
) -> Iterator[tuple[tuple[str, str, str], pd.DataFrame, pd.DataFrame]]:
    """Each kind of curve of a method, and the random orders of the same ground and samples."""
    random = here[here["method"] == RANDOM]
    for (ground, over, kind), mine in own.groupby(KIND, sort=False):
        alike = (random[KIND] == [ground, over, kind]).all(axis=1)
        within = random["sample"].isin(mine["sample"])
        yield (str(ground), str(over), str(kind)), mine, random[alike & within]


def _own(under: pd.DataFrame) -> pd.DataFrame:
    """A column per kind of curve of each map; every one of them, whether it was run or not."""
    own = under[under["method"] != RANDOM]
    made: dict[Any, dict[str, float]] = {}
    for *keys, _, _, sample, over, kind, value in own.itertuples(index=False):
        made.setdefault((*keys, sample), {})[f"{kind}_{over}"] = value
    return _wide(made, KEYS, AREAS)


def _random(under: pd.DataFrame) -> pd.DataFrame:
    """Per ground and sample the mean area of random orders and its 95 % interval."""
    drawn = under[under["method"] == RANDOM]
    made: dict[Any, dict[str, float]] = {}
    by = ["network", "ground", "sample", "over", "kind"]
    for (*keys, over, kind), of in drawn.groupby(by, sort=False):
        mean, low, high = interval(of["area"].to_numpy(float))
        name = f"random_{kind}_{over}"
        numbers = {name: mean, f"{name}_low": low, f"{name}_high": high}
        made.setdefault(tuple(keys), {}).update(numbers)
    names = [f"random_{name}{end}" for name in AREAS for end in ("", "_low", "_high")]
    return _wide(made, by[:3], names)


def _wide(made: dict[Any, dict[str, float]], keys: list[str], names: list[str]) -> pd.DataFrame:
    keyed = [dict(zip(keys, key, strict=True)) | numbers for key, numbers in made.items()]
    return pd.DataFrame(keyed, columns=[*keys, *names]).astype(dict.fromkeys(names, float))


# --- methods beside each other -------------------------------------------------------------------


def summary(record: Record, table: pd.DataFrame) -> pd.DataFrame:
    """One row per method and place over its samples: medians of relative delta and of rank
    correlations, means of the other numbers.
    """
    by = table.groupby(METHOD, sort=False)
    means = by[["nonzero_share", *AREAS, "infidelity", "sensitivity"]].mean()
    numbers = pd.concat([by.size().rename("samples"), by["relative_delta"].median(), means], axis=1)
    made = methods(record).merge(numbers.reset_index(), on=METHOD, how="left")
    found = robustness(record)
    for kind in VARIANTS:
        of = found[found["kind"] == kind].groupby(["network", "method"])["rank_correlation"]
        median = of.median().rename(f"rank_correlation_{kind}").reset_index()
        made = made.merge(median, on=["network", "method"], how="left")
        # of a static image the maps of variants are over the encoder, not over the pixels
        made.loc[made["ground"] == "image", median.columns[-1]] = np.nan
    return made


def agreement(record: Record) -> pd.DataFrame:
    """The matrix of methods in long form: rank correlation of their maps, mean over the samples
    where both have ranks.
    """
    pairs = _pairs(record)
    of = pairs[pairs["kind"] == "method"]
    if of.empty:
        return pd.DataFrame(columns=MATRIX)
    of = of.assign(samples=of["sample"].where(of["rank_correlation"].notna()))
    by = of.groupby(["network", "method", "other"], sort=False)
    half = by.agg(rank_correlation=("rank_correlation", "mean"), samples=("samples", "nunique"))
    other = half.reset_index().rename(columns={"method": "other", "other": "method"})
    both = pd.concat([half.reset_index(), other], ignore_index=True)
    own = both.groupby(["network", "method"], sort=False)["samples"].max().reset_index()
    like = np.where(own["samples"] > 0, 1.0, np.nan)  # a constant map is like no other
    same = own.assign(other=own["method"], rank_correlation=like)
    return pd.concat([both, same], ignore_index=True)[MATRIX]


def robustness(record: Record) -> pd.DataFrame:
    """One row per method, variant and sample: rank correlation with the map of the variant."""
    pairs = _pairs(record)
    return pairs.loc[pairs["kind"] != "method", ROBUST].reset_index(drop=True)


def _pairs(record: Record) -> pd.DataFrame:
    nothing = pd.DataFrame(columns=ROBUST).astype({"rank_correlation": float})
    return record.tables.get("attribution_pairs", nothing)


def _maps(record: Record) -> pd.DataFrame:
    maps = record.table("attribution_maps")
    return maps.assign(ground=_grounds(record, maps))


def _grounds(record: Record, table: pd.DataFrame) -> list[str]:
    """What is taken away below a map: of a sequence its input, of a static image its pixels or, for
    maps over layers, the first layer's spikes.
    """
    static = {n for n, f in record.networks.items() if f.get("static")}
    named = zip(table["network"], table["place"], strict=True)
    return ["input" if n not in static else "image" if p == "input" else "spikes" for n, p in named]


def _each(facts: list[dict[str, Any]], maps: pd.DataFrame, key: str) -> list[Any]:
    """What the facts say of each method; of names the method's own where they say nothing."""
    default = maps["method"] if key == "names" else [None] * len(maps)
    given = zip(facts, maps["method"], default, strict=True)
    return [(f.get(key) or {}).get(m, d) for f, m, d in given]


def _capital(title: str) -> str:
    return title[:1].upper() + title[1:]
