"""The columns that a table of a result may have: heading, unit and meaning."""

from __future__ import annotations

from typing import NamedTuple

PER_SPIKE = "loss per spike"
RATE = "spikes per neuron and step"
SHARE = "share of elements"


class Column(NamedTuple):
    """A column's heading (of a group of columns or its own), its unit and what it holds."""

    label: str
    meaning: str = ""
    unit: str = ""
    group: str = ""

    @property
    def full(self) -> str:
        """The heading in words, with its group's.

        >>> COLUMNS["predicted_norm"].full, COLUMNS["why_small"].full
        ('gradient norm (predicted)', 'why small')
        """
        text = f"{self.group} ({self.label})" if self.group else self.label
        return text if text[1:2].isupper() else text[:1].lower() + text[1:]


NORM, FIRING, NONZERO = "Gradient norm", "Firing rate", "Nonzero share"
ABOVE, LARGEST = "Above 1", "Largest value"
SILENT, SATURATED = "Silent", "Saturated"
MEMBRANE, STEPS = "Membrane", "share of neuron-steps"
TRAINING, TEST = "Training accuracy", "Test accuracy"
TOP1, TOP5, LOSS, INTERVAL = "Test top 1", "Test top 5", "Training loss", "Interval"
NATS, PERCENT = "nats", "%"
ACCURACY, ERROR, THETA = "Top 1", "Error, rms", "thresholds"
COUNTS, RESIDUAL, OF = "Counts", "By the residual potential", "share of values"
SCORE, OVERS = "score", ("pixels", "steps", "events")
RANKS = "Rank correlation with the map of"
DELETED, INSERTED = (
    "area under the score while what a map ranks highest is set to the baseline: small is good",
    "area under the score while what a map ranks highest is put into the baseline: large is good",
)
COLUMNS = {
    "network": Column("network", "residual kind and connection; -zero: with zero-init"),
    "residual": Column("residual", "kind of residual block"),
    "connect": Column("connect", "how a SEW block joins residual and shortcut: add, and, iand"),
    "layout": Column("layout", "which family of ResNets the depth belongs to"),
    "depth": Column("depth", "number of weighted layers"),
    "zero_init": Column("zero-init", "residual branches start at their identity value"),
    "time_steps": Column("T =", "time steps of the run", "steps"),
    "samples": Column("samples", "images in the batch"),
    "seed": Column("seed", "of the weights and of the choice of images"),
    "block": Column("Block", "index l, 0 at the image"),
    "stage": Column("Stage", "layer 1 to 4 that the block lies in"),
    "area": Column("Area", "run of block inputs joined by identity blocks"),
    "block_kind": Column("Kind", "identity, or downsample: its shortcut has a convolution"),
    "site": Column("Site", "the place in the model"),
    "module": Column("Module", "the module that was heard"),
    "gradient_norm": Column(
        "input", "L2 norm of the loss gradient at the block's input S^l, or at a layer's spikes",
        PER_SPIKE, NORM,
    ),
    "gradient_norm_output": Column(
        "output", "the same at the block's output O^l", PER_SPIKE, NORM
    ),
    "predicted_norm": Column(
        "predicted", "exact law of the identity chain, from the area's deepest input",
        PER_SPIKE, NORM,
    ),
    "predicted_norm_rate_only": Column(
        "rate only", "approximation from the firing rate alone", PER_SPIKE, NORM
    ),
    "gradient_per_sample": Column(
        "per sample", "norm times the root of the batch size, to compare runs of other sizes",
        "loss per spike and sqrt(sample)",
    ),
    "factor": Column("Factor", "gradient norm at the input over that at the output", "ratio"),
    "k": Column("k", "blocks up to the deepest input of the area", "blocks"),
    "firing_rate": Column("all", "spikes / (neurons x T x samples)", RATE, FIRING),
    "firing_rate_input": Column("input", "mean of S^l: spikes / (neurons x T x samples)",
                                RATE, FIRING),
    "firing_rate_output": Column("output", "mean of O^l", RATE, FIRING),
    "firing_rate_residual": Column("residual", "mean of the residual branch A^l", RATE, FIRING),
    "spikes": Column("Spikes", "of all steps and samples", "spikes"),
    "nonzero_share": Column("all", "elements that are not 0", SHARE, NONZERO),
    "nonzero_share_input": Column("input", "elements of S^l that are not 0", SHARE, NONZERO),
    "nonzero_share_output": Column("output", "elements of O^l that are not 0", SHARE, NONZERO),
    "nonzero_share_residual": Column("residual", "elements of A^l that are not 0", SHARE, NONZERO),
    "above_one_share": Column("all", "elements with more than one spike", SHARE, ABOVE),
    "above_one_share_input": Column("input", "elements of S^l above 1", SHARE, ABOVE),
    "above_one_share_output": Column("output", "elements of O^l above 1", SHARE, ABOVE),
    "above_one_share_residual": Column("residual", "elements of A^l above 1", SHARE, ABOVE),
    "largest": Column("all", "largest value", "spikes", LARGEST),
    "largest_input": Column("input", "largest value of S^l", "spikes", LARGEST),
    "largest_output": Column("output", "largest value of O^l", "spikes", LARGEST),
    "largest_residual": Column("residual", "largest value of A^l", "spikes", LARGEST),
    "identity_error": Column("Identity error", "||O - S|| / ||S||", "relative norm"),
    "mismatch_share": Column("Mismatches", "elements where O differs from S", SHARE),
    "capability_error": Column(
        "Best error", "identity error with the residual branch at its identity value",
        "relative norm",
    ),
    "capability_mismatch_share": Column(
        "Best mismatches", "mismatches with the residual branch at its identity value", SHARE
    ),
    "surrogate_active": Column(
        "Surrogate active", "where the surrogate's derivative is not 0", STEPS
    ),
    "surrogate_mean": Column("Surrogate mean", "mean of the surrogate's derivative"),
    "layer": Column("Layer", "spiking layers in the order of the forward pass, from 0"),
    "batch": Column("Batch", "samples in one call"),
    "neurons": Column("Neurons", "elements of the layer's state, of one sample"),
    "signal": Column("Signal", "what the layer gives: spikes (0 or 1), counts or values"),
    "threshold": Column("Threshold", "V_th above rest, the unit of the membrane"),
    "leak": Column("Leak", "dH/dV: what a step leaves of the membrane; 1 of an IF neuron"),
    "replayed": Column("Replayed", "spikes computed again by the equations of snnlens"),
    "replay_mismatches": Column("Mismatches", "replayed spikes that differ from the layer's own"),
    "bit_width": Column("Bit width", "bits that the largest value needs"),
    "silent_share": Column("neurons", "neurons without a spike", "share", SILENT),
    "silent_channel_share": Column("channels", "channels without a spike", "share", SILENT),
    "saturated_share": Column("neurons", "neurons that fire at every step", "share", SATURATED),
    "saturated_channel_share": Column(
        "channels", "channels that fire at every step", "share", SATURATED
    ),
    "membrane_low_share": Column("below −1", "H below -1 threshold", STEPS, MEMBRANE),
    "membrane_near_share": Column("near", "H within 1/2 of the threshold", STEPS, MEMBRANE),
    "membrane_high_share": Column("above 3", "H above 3 thresholds", STEPS, MEMBRANE),
    "membrane_p05": Column("Membrane, 5 %", "of all H before the reset", "thresholds"),
    "membrane_median": Column("Membrane, 50 %", "of all H before the reset", "thresholds"),
    "membrane_p95": Column("Membrane, 95 %", "of all H before the reset", "thresholds"),
    "current_mean": Column("Current mean", "of what charges the membrane"),
    "current_deviation": Column("Current deviation", "of what charges the membrane"),
    "xi": Column("xi", "(threshold - mean) / deviation of the free membrane"),
    "gradient_zero_share": Column("Zero gradients", "elements whose gradient is exactly 0"),
    "gradient_non_finite": Column("Not finite", "elements whose gradient is NaN or infinite"),
    "macs": Column("MACs", "multiply-accumulates"),
    "macs_total": Column("MACs", "connections, used or not; the zeros of a padding are none"),
    "macs_padded": Column("MACs, padded", "outputs x fan-in"),
    "events": Column("Events", "connections behind an input that is not 0"),
    "millijoule_per_sample": Column("Energy", "of the arithmetic alone", "mJ per sample"),
    "parameter_gradient": Column("Gradient", "norm at the parameter", "loss per weight"),
    "epoch": Column("Epoch", "from 0; in a table of what was recorded: whole epochs done"),
    "epochs": Column("Epochs", "in the log; of a sweep's point: to be done"),
    "train_loss": Column("Training loss", "of each batch before its step", NATS),
    "test_loss": Column("Test loss", "in evaluation mode", NATS),
    "train_top1": Column("top 1", "right class first", PERCENT, TRAINING),
    "train_top5": Column("top 5", "right class among the first five", PERCENT, TRAINING),
    "test_top1": Column("top 1", "right class first", PERCENT, TEST),
    "test_top5": Column("top 5", "right class among the first five", PERCENT, TEST),
    "learning_rate": Column("Learning rate", "of this epoch"),
    "top1_max": Column("best", "largest test accuracy of all epochs", PERCENT, TOP1),
    "top1_max_epoch": Column("Epoch of best top 1", "the first with it, from 0"),
    "top1_final": Column("last", "test accuracy after the last epoch", PERCENT, TOP1),
    "published_top1": Column("published", "what the paper prints", PERCENT, TOP1),
    "top5_max": Column("best", "a maximum of its own, of any epoch", PERCENT, TOP5),
    "top5_max_epoch": Column("Epoch of best top 5", "the first with it, from 0"),
    "top5_final": Column("last", "test accuracy after the last epoch", PERCENT, TOP5),
    "published_top5": Column("published", "what the paper prints", PERCENT, TOP5),
    "top5_at_top1_max": Column("at best top 1", "in the epoch of the best top 1", PERCENT, TOP5),
    "train_loss_final": Column("last", "after the last epoch", NATS, LOSS),
    "train_loss_min": Column("smallest", "of all epochs", NATS, LOSS),
    "train_loss_min_epoch": Column("Epoch of smallest loss", "the first with it, from 0"),
    "train_loss_last20": Column("last 20", "mean of the last 20 epochs", NATS, LOSS),
    "train_top1_final": Column("Training top 1", "after the last epoch", PERCENT),
    "test_loss_final": Column("Test loss, last", "after the last epoch", NATS),
    "at_chance": Column("At chance", "final training loss within 2 % of ln(classes)"),
    "complete": Column(
        "Complete", "of a training: all planned epochs are there; of a method: it claims that its "
        "map adds up to f(x) - f(baseline)",
    ),
    "slope": Column(
        "Slope", "of a surrogate: its largest derivative; of a sweep: of the final training loss "
        "against log2 depth, in nats per doubling",
    ),
    "low": Column("low", "95 % interval", "", INTERVAL),
    "high": Column("high", "95 % interval", "", INTERVAL),
    "state": Column("State", "done, running, waiting or failed"),
    "why": Column("Why", "it failed"),
    "kind": Column("Kind", "the network without its seed"),
    "family": Column("Family", "which ANN"),
    "width": Column("Width", "neurons of a hidden layer"),
    "levels": Column("Levels", "L of QCFS; none of a ReLU network"),
    "neuron": Column("Neuron", "what stood for the activations"),
    "view": Column("View", "accumulated: as it ran; local: fed with the ANN's activations"),
    "top1": Column("Top 1", "right class first", PERCENT),
    "top1_mean": Column("mean", "over seeds", PERCENT, ACCURACY),
    "top1_min": Column("lowest", "over seeds", PERCENT, ACCURACY),
    "points_below_ann": Column("Below the ANN", "the ANN's top 1 less this one", "points"),
    "spikes_per_neuron": Column(
        "Spikes", "of all T steps, per neuron and sample", "spikes per neuron and sample"
    ),
    "latency_steps": Column(
        "Latency", "on hardware that goes step by step: T, of parallel neurons layers x T", "steps"
    ),
    "smallest_steps_within_1_point": Column(
        "Smallest T", "within one point of the ANN", "steps"
    ),
    "right": Column("Right", "samples whose class came first"),
    "rms_inherited": Column("inherited", "made in the layers before", THETA, ERROR),
    "rms_clip": Column("clip", "above the threshold", THETA, ERROR),
    "rms_quantisation": Column("quantisation", "rounding to theta / T", THETA, ERROR),
    "rms_unevenness": Column("unevenness", "the order of the input spikes", THETA, ERROR),
    "rms_total": Column("all", "of the layer's mean output", THETA, ERROR),
    "mean_error": Column("Mean error", "signed", THETA),
    "differs_share": Column("differs", "counts that are not the requantised ANN's", OF, COUNTS),
    "uneven_share": Column("uneven", "counts that are not those of their mean current", OF, COUNTS),
    "correlation": Column(
        "Correlation", "Pearson's r of activation and rate, zeros included", "Pearson's r"
    ),
    "residual_more_share": Column("too many", "V(T) < 0 and k > 0", OF, RESIDUAL),
    "residual_less_share": Column("too few", "V(T) >= theta and k < T", OF, RESIDUAL),
    "why_small": Column(
        "Why small", "silent, surrogate inactive, product of factors, or underflow"
    ),
    "method": Column("Method", "of attribution, of conversion"),
    "place": Column("Place", "what the map lies over: the input, or the spikes of a layer"),
    "ground": Column("Taken from", "the input, a static image, or the spikes that stand for it"),
    "sample": Column("Sample", "its place in the batch, from 0"),
    "label": Column("Label", "the sample's own class"),
    "target": Column("Target", "the class that the map explains"),
    "predicted": Column("Predicted", "the class with the largest score"),
    "score": Column("f(x)", "score of the target", SCORE),
    "baseline": Column("f(baseline)", "score of the target at the baseline", SCORE),
    "total": Column("Sum", "of all values of the map; of a complete method f(x) - f(baseline)"),
    "delta": Column("Delta", "sum - (f(x) - f(baseline)), of complete methods", SCORE),
    "relative_delta": Column("Delta, relative", "|delta| / |f(x) - f(baseline)|", "share"),
    "signed": Column("Signed", "values below 0 speak against the class"),
    "relevance": Column("Relevance", "the map claims relevance for the class, not activity alone"),
    **{f"deletion_{o}": Column(o, DELETED, SCORE, "Deletion over") for o in OVERS},
    **{f"insertion_{o}": Column(o, INSERTED, SCORE, "Insertion over") for o in OVERS},
    **{
        f"random_{kind}_{o}{end}": Column(
            o + end.replace("_", ", "), f"{kind}, mean of random orders" + (
                f", {end[1:]} end of its 95 % interval" if end else ""
            ), SCORE, f"Random {kind} over",
        )
        for kind in ("deletion", "insertion") for o in OVERS for end in ("", "_low", "_high")
    },
    "infidelity": Column("Infidelity", "mean square by which the map misses what perturbations do"),
    "sensitivity": Column("Sensitivity", "largest relative change of the map near the sample"),
    "rank_correlation": Column("Rank correlation", "Spearman's, of two maps"),
    "rank_correlation_surrogate": Column("another surrogate", "median over samples", "", RANKS),
    "rank_correlation_seed": Column("another seed", "median over samples", "", RANKS),
    "rank_correlation_weights": Column("permuted weights", "median over samples", "", RANKS),
    "mean_area": Column("Area", "under the score, mean over samples", SCORE),
    "random_area": Column("Random", "mean area of random orders", SCORE),
    "draws": Column("Draws", "random orders"),
    "samples_better": Column("Better", "samples whose area beats the mean of their random orders"),
}  # fmt: skip

# What holds for a whole network goes into the heading of its table, not into each row.
FACTS = ("residual", "connect", "layout", "depth", "zero_init", "time_steps", "samples", "seed")


def column(name: str, units: dict[str, str]) -> Column:
    """The column of that name; for an unknown one its name in words, its unit from the Record.

    >>> column("spike_count", {"spike_count": "spikes"})
    Column(label='Spike count', meaning='', unit='spikes', group='')
    """
    known = COLUMNS.get(name)
    if known is None:
        words = name.replace("_", " ").strip()
        return Column(words[:1].upper() + words[1:], unit=units.get(name, ""))
    return known if known.unit else known._replace(unit=units.get(name, ""))
