"""SNL601: a map of zeros, which says nothing and looks like an answer."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from snnlens.checks._attribution import AttributionCheck, counted, extent, gains, largest, named
from snnlens.checks._seen import Seen, names
from snnlens.recording.result import Finding


class ZeroMap(AttributionCheck):
    """Maps whose values are all 0: everywhere, of a method, of a sample, or single ones."""

    name = "zero_map"
    code = "SNL601"
    title = "maps are zero"
    why = (
        "Where a layer is silent, or no surrogate gradient reaches the input (every membrane is out of "
        "its support, or something on the way has no gradient), the gradient is 0 at every element: the "
        "map is zeros, and no error is raised. SAM is zero where no neuron fires twice, occlusion where no "
        "window alone changes the score."
    )
    next = (
        "Run `snnlens checkup` on the model first: it names the silent layer (SNL202, SNL206) or where "
        "the gradient stops (SNL305, SNL307). Where f(x) differs from f(baseline), methods without a "
        "gradient (occlusion, feature_ablation with a --window that is large enough) still have a map. A "
        "sample without events has none."
    )
    reference = "Neftci et al. 2019 (surrogate gradients): where the surrogate is 0, nothing passes"
    formula = "sum of abs(map) = 0"
    thresholds = {"zero": "exactly 0; nothing is chosen", "error": "every map of the run is zero"}
    reads = ("attribution_maps",)

    def judge(self, seen: Seen) -> Iterator[Finding]:
        maps = named(seen.table("attribution_maps"))
        zero = maps["absolute"] == 0
        if zero.all():
            methods = list(dict.fromkeys(maps["map"]))
            yield self._found(seen, maps, "error", (
                f"all {counted(len(maps), 'map')} are zero ({names(methods)}; {extent(seen)})"
            ))  # fmt: skip
        elif zero.any():
            yield from self._kinds(seen, maps.assign(zero=zero))

    def _kinds(self, seen: Seen, maps: pd.DataFrame) -> Iterator[Finding]:
        """One finding for methods, one for samples, one for what is left."""
        of_method, of_sample = (maps.groupby(k)["zero"].transform("all") for k in ("map", "sample"))
        count = maps["sample"].nunique()
        if of_method.any():
            rows = maps[of_method]
            yield self._found(seen, rows, "warning", (
                f"in {'the one sample' if count == 1 else f'all {count} samples'} zero: the maps of "
                f"{names(list(dict.fromkeys(rows['map'])))}"
            ))  # fmt: skip
        if of_sample.any():
            rows, methods = maps[of_sample], maps["method"].nunique()
            which = list(dict.fromkeys(rows["sample"]))
            yield self._found(seen, rows, "warning", (
                f"of all {counted(methods, 'method')} zero: the maps of {counted(len(which), 'sample')} "
                f"of {count} ({names(which)})"
            ))  # fmt: skip
        rows = maps[maps["zero"] & ~of_method & ~of_sample]
        if len(rows):
            each = rows.groupby("map", sort=False)["sample"].unique()
            said = [
                f"{m} of {counted(len(s), 'sample')} ({names(list(s))})" for m, s in each.items()
            ]
            yield self._found(seen, rows, "warning", f"zero: the maps of {names(said)}")

    def _found(self, seen: Seen, rows: pd.DataFrame, severity: str, text: str) -> Finding:
        """The finding, with what the scores and the layers say of the reason."""
        silent = _silent(seen)
        layers = f"; 0 spikes in {names(silent)}" if silent else ""
        evidence = f"{seen.name}: {text}; largest |f(x) - f(baseline)| of these {largest(gains(rows)):.3g}{layers}"
        site = seen.known(silent[0]) if silent else None
        return self.finding("error" if severity == "error" else "warning", site, evidence)


def _silent(seen: Seen) -> list[str]:
    """The layers of which a raster was kept that have no spike in it, in order."""
    layers = seen.table("attribution_layers")
    return [str(s) for s in layers.loc[layers["spikes"] == 0, "site"]] if len(layers) else []
