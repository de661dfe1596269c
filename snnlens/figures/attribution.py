"""Attribution: maps of one sample over time, how far to believe them, and the spikes inside."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from snnlens.figures import _attribution_cells as cells
from snnlens.figures import _attribution_maps as maps
from snnlens.figures import _attribution_sections as sections
from snnlens.figures import style
from snnlens.figures._attribution_cells import Cell
from snnlens.figures._attribution_maps import Under
from snnlens.figures._conversion_layout import WIDTH, Box, Legend, Section, stacked

MOST_METHODS = 8
MOST_FRAMES = 8
FIRST = ("pixels", "events", "steps")  # the first of these that was run speaks for a method
LETTERS = 24  # of a line beside a map
SIZES = ("frames", "steps", "height", "width")
NO_TIME = pd.DataFrame(columns=["method", "place", "step", "value", "shown"])
NO_FRAMES = pd.DataFrame(
    columns=["method", "place", "frame", "first_step", "last_step", "y", "x", "value"]
)
NO_AREAS = pd.DataFrame(columns=["kind", "over"])
Tables = dict[str, pd.DataFrame]


def attribution_figure(extra: Tables, caption: str) -> Figure:
    """The figure of an attribution Result; what the Record did not hold is left out.

    It shows the first network, and its first eight methods.
    """
    network = extra["shown"]["network"].iloc[0]
    own = {name: t[t["network"] == network] for name, t in extra.items() if "network" in t}
    shown = {name: t for name, t in own.items() if len(t)}
    titles = _titles(shown["summary"])
    with style.styled():
        parts = [
            *_of_maps(shown, titles),
            *sections.of_curves(shown, titles),
            *sections.of_trust(shown, titles),
            *sections.of_spikes(shown),
        ]
        figure = stacked(parts or [Section(0.3, _nothing, [Legend([])])])
        style.caption_below(figure, _drawn(shown) + caption)
    return figure


def map_figure(maps_of: dict[str, Any]) -> Figure:
    """One method's map of one sample: frames over what it lies over, and the sum per step.

    Args:
        maps_of: values and shown [T, ...] (channels, rows, columns; or features), method, place,
            signed, target, predicted, score, baseline_score, delta (NaN: no claim); `title` and
            `relevance` where they are known.
    """
    cell = cells.of_arrays(maps_of, MOST_FRAMES)
    said = f"Map for class {maps_of['target']}, predicted {maps_of['predicted']}"
    with style.styled():
        draw = partial(_maps, [cell], said)
        return stacked([Section(cells.height([cell]), draw, [Legend([])])])


def _titles(summary: pd.DataFrame) -> dict[str, str]:
    """The first eight methods."""
    one = summary.drop_duplicates("method").head(MOST_METHODS)
    return {str(m): str(t) for m, t in zip(one["method"], one["title"], strict=True)}


def _nothing(figure: Figure, box: Box) -> None:
    y = 1 - box.top / figure.get_figheight()
    figure.text(cells.EDGE / WIDTH, y, "no maps were kept", fontsize=8.5, gid="heading")


# --- a: maps -----------------------------------------------------------------------------------


def _of_maps(shown: Tables, titles: dict[str, str]) -> list[Section]:
    """The input and a row per method; maps of one frame come first, several on a line."""
    if "shapes" not in shown:
        return []
    under = _input(shown)
    made = [] if under is None else [_input_cell(shown, under)]
    summary = shown["summary"]
    methods = [row for _, row in summary[summary["method"].isin(list(titles))].iterrows()]
    of = [_cell(shown, method, under) for method in methods]
    made += sorted(of, key=lambda cell: len(cell.time) > 0)
    return [Section(cells.height(made), partial(_maps, made, _heading(shown)), [Legend([])])]


def _maps(made: list[Cell], heading: str, figure: Figure, box: Box) -> None:
    up = box.top - 0.16
    figure.text(cells.EDGE / WIDTH, 1 - up / figure.get_figheight(), heading, fontsize=8.5,
                fontweight="bold", va="bottom", gid="heading")  # fmt: skip
    cells.draw(made, figure, box)


def _heading(shown: Tables) -> str:
    """Which sample it is, why this one, and of which class."""
    row = shown["shown"].iloc[0]
    label = f"class {row['label']}, " if pd.notna(row["label"]) else ""
    said = f"a  Sample {row['sample']} ({row['why']}): {label}predicted {row['predicted']}"
    other = f", explained for {row['target']}" if row["target"] != row["predicted"] else ""
    return said + other


def _input(shown: Tables) -> Under | None:
    """The input's frames; None where it was not recorded."""
    shape = shown["shapes"][shown["shapes"]["method"] == ""]
    if "inputs" not in shown or shape.empty:
        return None
    frames, height, width = (int(shape[c].iloc[0]) for c in ("frames", "height", "width"))
    values = maps.dense(shown["inputs"], frames, height, width)
    return Under(values, static=bool(shown["shown"]["static"].iloc[0]))


def _input_cell(shown: Tables, under: Under) -> Cell:
    row, shape = shown["shown"].iloc[0], shown["shapes"]
    steps = int(shape.loc[shape["method"] == "", "steps"].iloc[0])
    time = shown.get("time", NO_TIME)
    over = time[time["place"] == "input"].drop_duplicates("step")
    numbers = [f"f(x) = {_signed(row['score'])}", f"f(baseline) = {_signed(row['baseline'])}"]
    flat = cells.is_flat(under.frames)
    block = maps.block(*(int(shape.loc[shape["method"] == "", c].iloc[0]) for c in SIZES[2:]))
    return Cell(
        "Input", under.frames, maps.edges(shown["inputs"], len(under.frames), steps), None,
        over if steps > 1 else NO_TIME, numbers, None if flat else under, block,
    )  # fmt: skip


def _cell(shown: Tables, method: pd.Series[Any], under: Under | None) -> Cell:
    """One method's maps, sums per step and numbers."""
    shape = _own(shown["shapes"], method).iloc[0]
    count, steps, height, width = (int(shape[c]) for c in SIZES)
    frames = _own(shown.get("frames", NO_FRAMES), method)
    values = maps.dense(frames, count, height, width)
    of = maps.scale(values, signed=bool(method["signed"]), relevance=bool(method["relevance"]))
    over = "" if method["place"] == "input" else f", spikes of {method['place']}"
    flat = cells.is_flat(values) or (under is not None and cells.is_flat(under.frames))
    numbers = _numbers(shown, method) + [cells.NOTHING] * (not values.any())
    time = _own(shown.get("time", NO_TIME), method)
    return Cell(
        f"{method['title']}{over}", values, maps.edges(frames, count, steps), of,
        time if steps > 1 else NO_TIME, numbers, None if flat else under,
        maps.block(height, width),
    )  # fmt: skip


def _own(table: pd.DataFrame, method: pd.Series[Any]) -> pd.DataFrame:
    """The rows of one method's map."""
    keys = ["method", "place"]
    return table.loc[(table[keys] == method[keys]).all(axis=1)]


def _numbers(shown: Tables, method: pd.Series[Any]) -> list[str]:
    """Delta, and the area under deletion beside that of random orders."""
    delta = method["relative_delta"]
    said = [cells.missed(float(delta))] if pd.notna(delta) else []
    said += [] if method["relevance"] else ["activity, no class"]
    areas = _own(shown["areas"], method) if "areas" in shown else NO_AREAS
    by_over = areas[areas["kind"] == "deletion"].drop_duplicates("over").set_index("over")
    over = next((o for o in FIRST if o in by_over.index), None)
    if over is None:
        return said
    row = by_over.loc[[over]].iloc[0]
    return [*said, f"deletion {maps.short(row['mean_area'])}", *_random(row)]


def _random(row: pd.Series[Any]) -> list[str]:
    """The interval of random orders, on two lines where one is too short."""
    if pd.isna(row["low"]):
        return [f"random {maps.short(row['random_area'])}"]
    low, high = (maps.short(row[c]) for c in ("low", "high"))
    said = f"random {low} to {high}" if row["low"] < 0 else f"random {low}–{high}"
    return [said] if len(said) <= LETTERS else [f"random {low}", f"  to {high}"]


def _signed(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


# --- words -------------------------------------------------------------------------------------


def _drawn(shown: Tables) -> str:
    """What the caption says of the drawing itself."""
    parts = ["Attribution"]
    methods = shown["summary"]["method"].nunique()
    if "shapes" in shown:
        more = f"; the first {MOST_METHODS} of {methods} methods" if methods > MOST_METHODS else ""
        parts.append(f". a: maps of one sample{MAPS}{_blocks(shown)}{more}")
    parts += [CURVES] if "curves" in shown else []
    parts += [AGREEMENT] if "agreement" in shown else []
    parts += [ROBUST] if "robustness" in shown else []
    parts += [RASTERS] if {"rasters", "layers"} & set(shown) else []
    parts += [MEMBRANES] if "membranes" in shown else []
    return "".join(parts) + ". "


def _blocks(shown: Tables) -> str:
    """What is said of large maps, whose pixels or features are drawn in blocks."""
    sizes = {(int(h), maps.block(h, w)) for h, w in shown["shapes"][list(SIZES[2:])].to_numpy(int)}
    wide = {height > 1: block for height, block in sorted(sizes) if block > 1}
    words = {
        True: f"{wide.get(True)} x {wide.get(True)} pixels",
        False: f"{wide.get(False)} features",
    }
    return f"; drawn as sums of {' and of '.join(words[k] for k in wide)}" if wide else ""


MAPS = (
    ", channels and the steps of a frame summed, one scale a method, over the input in grey: "
    "vermilion for the class, blue against it, green activity that claims no class; delta: what "
    "the sum of a complete method misses of f(x) − f(baseline), median over samples; deletion: the "
    "mean area under the first curve of b, random: the 95 % interval of random orders"
)
CURVES = (
    ". b, c: score, mean over samples, when what a method ranks highest is set to the baseline or "
    "put into it first; grey: random orders, 95 % interval of their mean"
)
AGREEMENT = ". d: Spearman's correlation of two methods' maps, mean over samples"
ROBUST = ". e: the same between a map and that of a variant; small: samples, large: their median"
RASTERS = ". f: spikes, neurons evenly chosen"
MEMBRANES = ". g: membrane H before the reset, dashed the threshold, marks: spikes"
