"""SNL902: a streamed number is not the one that a brute-force count gives."""

from __future__ import annotations

from collections.abc import Iterator

from snnlens.checks._base import Check
from snnlens.checks._seen import Seen, names
from snnlens.recording.result import Finding


class AuditDiffers(Check):
    """Each row of the audit: the number that was streamed, and the one counted from kept tensors."""

    name = "audit_differs"
    code = "SNL902"
    title = "a streamed number differs from brute force"
    why = "A number that a plain count does not confirm is wrong, here or there: do not publish it."
    next = (
        "Do not use this quantity of this model. See the audit's table for the two numbers, try the "
        "model in evaluation mode and without torch.compile, and report it with the model's class, "
        "its framework and both numbers: it is a bug of snnlens or of an adapter."
    )
    reference = "NeuroBench issue #258 and syops issue #4 (counts that were wrong for years)"
    formula = "streamed = brute force, integers exactly"
    thresholds = {"equal": "as the audit judged each row; integers are compared exactly"}

    def lacks(self, seen: Seen) -> str:
        none = "nobody counted this model by brute force; `snnlens audit` does"
        return "" if len(seen.table("audit")) else none

    def judge(self, seen: Seen) -> Iterator[Finding]:
        rows = seen.table("audit")
        odd = rows[~rows["equal"].astype(bool)]
        if len(odd):
            first = odd.iloc[0]
            kinds = list(dict.fromkeys(odd["quantity"]))
            evidence = (
                f"{seen.name}: {first['quantity']} at {first['site']} is {first['streamed']:.17g} "
                f"streamed and {first['brute']:.17g} by brute force; {len(odd)} of {len(rows)} numbers "
                f"differ ({names(kinds)})"
            )
            yield self.finding("error", seen.known(first["site"]), evidence)
