"""One file per diagnosis: what is wrong, where, with which evidence, and what to try."""

from __future__ import annotations

from dataclasses import fields
from functools import cached_property
from typing import Any

import pandas as pd

from snnlens import registry
from snnlens.checks._base import Outcome
from snnlens.checks._seen import Seen, made
from snnlens.recording.record import Record
from snnlens.recording.result import Finding, ranked

__all__ = ["Outcome", "examine", "run_checks"]


def examine(record: Record) -> list[Outcome]:
    """How every check ended, by code: issue, passed, or not applicable and why."""
    once = _Once(**{f.name: getattr(record, f.name) for f in fields(record)})
    checks = [registry.plugin("checks", name)() for name in registry.listing("checks")]
    return [check.outcome(once) for check in sorted(checks, key=lambda c: c.code)]


def run_checks(record: Record) -> list[Finding]:
    """The findings of every check that applies to this record, worst first."""
    return ranked([f for outcome in examine(record) for f in outcome.findings])


class _Once(Record):
    """A Record whose frame is made once: every check asks for it, and none changes it."""

    @cached_property
    def seen(self) -> list[Seen]:
        """Its networks as the checks read them."""
        return made(self)

    def frame(self, *, per_step: bool = False, network: str | None = None) -> pd.DataFrame:
        kept: dict[bool, Any] = self.__dict__.setdefault("_frames", {})
        if per_step not in kept:
            kept[per_step] = super().frame(per_step=per_step)
        frame: pd.DataFrame = kept[per_step]
        if network is None:
            return frame
        return frame[frame["network"] == network].reset_index(drop=True)
