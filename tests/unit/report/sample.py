"""A run that nobody ran: numbers of the right shape and size, to build pages from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from snnlens.recording import store
from snnlens.recording.record import Record
from snnlens.recording.result import Claim, Finding, Result

INK, GRID = "#262626", "#d9d9d9"
BLUE, VERMILLION = "#0072B2", "#D55E00"
BLOCKS = 50
DOWNSAMPLES = (0, 3, 11, 47)
NETWORKS = [
    (f"{kind}{zero}", kind, bool(zero))
    for kind in ("spiking", "sew-add", "sew-and", "sew-iand")
    for zero in ("", "-zero")
]

CLAIMS = [
    Claim("eq11-flat", "Zero-init SEW add, and, iand: the norm is the same at all inputs of one "
          "area.", "Fang et al. 2021, Eq. 11", 0.0, "max / min - 1 <= 1e-6 in each area", "holds"),
    Claim("eq8-exact", "Zero-init Spiking, T = 1: norm(l)/norm(m) = sqrt(q s1^2k + (1 - q) s0^2k), "
          "with m the area's deepest input and k = m - l.", "Fang et al. 2021, Eq. 8", 3.4e-6,
          "relative error <= 1e-5 at every block", "holds"),
    Claim("eq8-rate", "The factor per block tends to max(s1, s0).", "Fang et al. 2021, Eq. 8",
          None, "within 1e-3 in areas of at least six blocks", "not-testable",
          "no k reaches the limit in an area of this depth"),
    Claim("fig5-zero-init-equal", "O^l of all four zero-init networks are equal.",
          "Fang et al. 2021, Fig. 5", 0.0, "0 differing elements", "holds"),
    Claim("fig6-spiking-decays", "V_th 1, alpha 2, no zero-init: the norm falls toward the shallow "
          "blocks.", "Fang et al. 2021, Fig. 6", 1.0413,
          "factor <= .98, norm at the shallow end below half its deep end", "fails",
          "R^2 = 0.91, seed 0, n = 32: the sign of this factor flips near n = 32 to 64"),
    Claim("fig6-and-vanishes", "SEW and: silence.", "Fang et al. 2021, Fig. 6", 0.0,
          "exactly 0 at every block input", "holds",
          "O is silent from block 12 on: dead, not vanishing"),
]  # fmt: skip
FINDINGS = [
    Finding("SNL402", "note", "layer1.0", "mean of O^l 6.6 at block 46", "SEW add sums spikes "
            "without a bound inside an area.", "Use iand, or read the values as integers.",
            "Fang et al. 2021, Section 3.3"),
    Finding("SNL201", "error", "layer3.20.sn3", "0 spikes in 32 samples x 4 steps x 256 x 4 x 4 "
            "neurons", "A silent layer passes no gradient: everything below it stays as it is.",
            "Lower the threshold or raise the last BatchNorm's weight; look at the block before.",
            "https://arxiv.org/abs/2102.04159"),
    Finding("SNL304", "warning", "layer1.0", "norm 1.7e-26 at the input, 9.8e-3 at the output",
            "Each identity block multiplies the gradient by sigma'(1 - V_th) = 0.288.",
            "Use SEW blocks with add or iand, or a surrogate with sigma'(1 - V_th) = 1.", ""),
]  # fmt: skip
NOTES = [
    "Shown: the norm of the loss gradient at the input S^l of each block, from right to left.",
    "Good: a level line; every block learns at a similar rate.",
    "Bad: a line that falls toward the left (vanishing), rises (exploding) or is 0 (dead).",
    "What to do: SEW blocks with add or iand and zero-init keep the gradient.",
]
PARAMETERS = {
    "depth": 152, "layout": "imagenet", "residual": ["spiking", "sew"],
    "connect": ["add", "and", "iand"], "zero_init": "both", "neuron": "if", "threshold": 1.0,
    "tau": 2.0, "decay_input": True, "reset": "hard", "surrogate": "atan", "alpha": None,
    "time_steps": 4, "batch": 32, "image_size": None, "data": "digits", "seed": 0,
    "device": "cpu", "threads": None,
}  # fmt: skip
PROVENANCE: dict[str, Any] = {
    "snnlens": "0.1.0", "python": "3.11.2",
    "packages": {"torch": "2.13.0", "numpy": "2.4.6", "matplotlib": "3.11.2"},
    "git_commit": "5f953910c9a1b0a4c0ffee0000000000000000aa",
    "machine": "Linux x86_64, 2 CPUs", "started": "2026-11-22T01:53:00+00:00",
    "question": "gradients", "command": "snnlens gradients --depth 152 -o runs/gradients",
    "parameters": PARAMETERS, "device": "cpu", "threads": 2,
    "data": "digits (scikit-learn), 32 images at 64 px", "data_fingerprint": "ab" * 32,
}  # fmt: skip


def table(names: list[tuple[str, str, bool]] = NETWORKS, blocks: int = BLOCKS) -> pd.DataFrame:
    """One row per network and block, with the columns of `gradients`."""
    rng = np.random.default_rng(0)
    return pd.concat([_network(*n, blocks, rng) for n in names], ignore_index=True)


def _network(
    name: str, kind: str, zero: bool, blocks: int, rng: np.random.Generator
) -> pd.DataFrame:
    residual, _, connect = kind.partition("-")
    block = np.arange(blocks)
    area = np.searchsorted(DOWNSAMPLES, block)
    rate = {"spiking": 0.958, "sew-and": 0.3}.get(kind, 1.04) if not zero else 1.0
    noise = 1.0 if zero else np.exp(rng.normal(0, 0.05, blocks))
    norm = 2e-3 * (5.0 - area) * rate ** (blocks - 1 - block) * noise
    if kind == "sew-and" and not zero:
        norm[:12] = 0.0
    rates = 0.145 + 0.02 * rng.random((6, blocks))
    output = np.append(norm[1:], 2e-3)
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = np.where(output > 0, norm / output, np.nan)
    parts = ("input", "output", "residual")
    return pd.DataFrame(
        {
            "network": name,
            "residual": residual,
            "connect": connect or None,
            "layout": "imagenet",
            "depth": 152,
            "zero_init": zero,
            "block": block,
            "stage": np.searchsorted((3, 11, 47), block, side="right") + 1,
            "area": area,
            "block_kind": np.where(np.isin(block, DOWNSAMPLES), "downsample", "identity"),
            "gradient_norm": norm,
            "gradient_norm_output": output,
            "predicted_norm": norm * (1 + 1e-7) if zero and residual == "spiking" else np.nan,
            "factor": factor,
            "k": np.arange(blocks)[::-1] % 36,
        }
        | {f"firing_rate_{p}": r for p, r in zip(parts, rates[:3], strict=True)}
        | {f"nonzero_share_{p}": r for p, r in zip(parts, rates[3:], strict=True)}
        | {
            "time_steps": 4,
            "samples": 32,
            "seed": 0,
            "why_small": np.where(norm == 0, "silent", None),
        }
    )


def result(
    frame: pd.DataFrame | None = None, provenance: dict[str, Any] | None = None, **changes: Any
) -> Result:
    """The result of a run of ResNet-152; `changes` replace fields, `provenance` a part of it."""
    frame = table() if frame is None else frame
    sites = frame[["network", "block"]].assign(site=[f"block{b}" for b in frame["block"]])
    facts = {
        "depth": 152, "layout": "imagenet", "time_steps": 4, "neuron": "IF", "threshold": 1.0,
        "reset": "hard", "reset_potential": 0.0, "detach_reset": True, "surrogate": "atan",
        "alpha": 2.0, "training_mode": True, "batch": 32, "last_stage_samples": 128, "seed": 0,
        "data": PROVENANCE["data"],
    }  # fmt: skip
    networks = {
        str(row.network): facts
        | {"residual": row.residual, "connect": row.connect, "zero_init": bool(row.zero_init)}
        for row in frame.drop_duplicates("network").itertuples()
    }
    fields: dict[str, Any] = {
        "question": "gradients",
        "title": "Do gradients vanish or explode across depth?",
        "table": frame,
        "caption": "ResNet-152 (imagenet layout); IF, V_th = 1, atan, alpha = 2; T = 4; batch 32; "
        "n = 128 samples per channel and step in the last stage; digits (scikit-learn), 32 images "
        "at 64 px; seed 0; cpu.",
        "claims": CLAIMS,
        "findings": FINDINGS,
        "notes": NOTES,
        "record": Record(sites, {}, {}, networks, PROVENANCE | (provenance or {})),
    }
    return Result(**fields | changes)


def save(folder: Path, made: Result | None = None, svg: str | None = None) -> Path:
    """A run folder; `svg` stands in for the drawing, an empty one for none at all."""
    made = result() if made is None else made

    def draw(new: Path) -> None:
        if svg is None:
            _figure(made.table).savefig(new / "figure.svg", metadata=METADATA)
        elif svg:
            (new / "figure.svg").write_text(svg, encoding="utf-8")

    with mpl.rc_context({"svg.hashsalt": "snnlens", "svg.fonttype": "none"}):
        return store.save_run(made, folder, draw)


METADATA = {"Date": None, "Creator": None}


def _figure(frame: pd.DataFrame) -> Figure:
    """Four panels in the colours that snnlens draws with."""
    figure = Figure(figsize=(9, 5.2), facecolor="none", layout="constrained")
    kinds = list(dict.fromkeys(str(n).removesuffix("-zero") for n in frame["network"]))[:4]
    for axes, kind in zip(figure.subplots(2, 2, sharex=True).flat, kinds, strict=False):
        for suffix, colour in (("", BLUE), ("-zero", VERMILLION)):
            rows = frame[frame["network"] == kind + suffix]
            axes.plot(rows["block"], rows["gradient_norm"], "o-", ms=3, lw=1.2, color=colour,
                      label="with zero-init" if suffix else "without")  # fmt: skip
        axes.set_yscale("log")
        axes.set_title(kind[:40], color=INK, loc="left", fontsize=10)
        axes.grid(color=GRID, lw=0.6)
        axes.set_facecolor("none")
        axes.tick_params(colors=INK, labelsize=8)
        axes.spines[:].set_color(INK)
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("block l", color=INK, fontsize=9)
    figure.supylabel("gradient norm at block input (loss per spike)", color=INK, fontsize=9)
    legend = figure.axes[0].legend(frameon=False, fontsize=8, labelcolor=INK)
    legend.set_zorder(5)
    return figure
