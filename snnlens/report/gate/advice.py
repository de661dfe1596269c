"""What to try when a number breaks a bound: what the check of that matter says."""

from __future__ import annotations

from snnlens import registry

ADVICE = {  # quantity -> the check for a number that is too small, and for one too large
    "firing_rate": ("silent_layer", "saturated_layer"),
    "nonzero_share": ("silent_layer", "saturated_layer"),
    "silent_share": ("", "silent_neurons"),
    "silent_channel_share": ("", "silent_neurons"),
    "saturated_share": ("", "saturated_layer"),
    "saturated_channel_share": ("", "saturated_layer"),
    "gradient_norm": ("vanishing_gradient", "exploding_gradient"),
    "gradient_per_sample": ("vanishing_gradient", "exploding_gradient"),
    "factor": ("vanishing_gradient", "exploding_gradient"),
    "gradient_zero_share": ("", "no_gradient"),
    "gradient_non_finite": ("", "non_finite"),
    "surrogate_active": ("surrogate_inactive", ""),
    "membrane_low_share": ("", "membrane_far"),
    "membrane_high_share": ("", "membrane_far"),
    "xi": ("xi_range", "xi_range"),
    "identity_error": ("", "no_identity"),
    "mismatch_share": ("", "no_identity"),
}
BETWEEN = "look at the site in `snnlens report`, and at what changed before it; else mend the bound"
NO_NUMBER = (
    "a number that overflows or divides by 0 is a fault; where there is none by design, add "
    'missing = "skip" to the bound'
)


def advice(quantity: str, limit: str) -> str:
    """What to try: `limit` is min, max, drop, rise or missing.

    >>> advice("silent_share", "max").partition(":")[0]
    'snnlens explain SNL203'
    """
    if limit == "missing":
        return NO_NUMBER
    name = ADVICE.get(quantity, ("", ""))[limit in ("max", "rise")]
    if not name:
        return BETWEEN
    check = registry.plugin("checks", name)
    return f"snnlens explain {check.code}: {check.next}"
