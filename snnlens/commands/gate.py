"""Judge runs in CI: exit 1 at findings, failing claims and broken thresholds."""

from __future__ import annotations

import math
import os
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from snnlens.commands._runs import given
from snnlens.errors import InputError


def command(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN...", help="Run folders.")
    ] = None,
    *,
    fail_on: Annotated[
        str | None,
        typer.Option(
            help=r"exit 1 at: never | note | warning | error \[default: error]", metavar="TEXT"
        ),
    ] = None,
    format_: Annotated[str, typer.Option("--format", help="text | json | github | junit")] = "text",
    baseline: Annotated[
        Path | None, typer.Option(metavar="RUN0", help="An older run, to compare with.")
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(metavar="X", help=r"relative, with --baseline \[default: 0.05]"),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=r"thresholds \[default: \[gate] of snnlens.toml, or \[tool.snnlens.gate] of "
            "pyproject.toml, here or above]",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="A file instead of stdout.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="With -o: no text on stderr.")] = False,
) -> int:
    """Judge runs in CI: exit 1 at findings, failing claims and broken thresholds.

    Exit 2: a threshold that cannot be judged; 5: a run with nothing to judge.
    """
    _check(format_, output, force=force)
    told = _told(config, fail_on, tolerance, baseline)
    from snnlens.recording import checked
    from snnlens.report import gate

    folders = given(runs)
    with _place(output, force=force):
        with checked.reading(*folders, *filter(None, [baseline])):
            subjects = [gate.read(run) for run in folders]
            base = None if baseline is None else gate.read(baseline)
            verdict = gate.judge(subjects, told, base)
            said = gate.render(verdict, format_)
        if output is not None:
            _write(output, said, force=force)
    if output is None:
        typer.echo(said.encode(), nl=False)  # bytes: UTF-8 whatever the locale
    else:
        typer.echo(os.fsencode(output))
        if not quiet:
            typer.echo(gate.render(verdict, "text").encode(), nl=False, err=True)
    return 0 if verdict.green else 1


def _check(format_: str, output: Path | None, *, force: bool) -> None:
    """Wrong options answer before a run is read."""
    from snnlens.report.gate.formats import FORMATS
    from snnlens.report.gate.words import wrong

    if format_ not in FORMATS:
        raise wrong("--format", format_, list(FORMATS))
    if output is not None:
        _check_output(output, force=force)


def _check_output(output: Path, *, force: bool) -> None:
    if output.is_dir():
        raise InputError("--output", got=str(output), wanted="a file and no folder")
    if output.exists() and not force:
        raise InputError(
            "--output", got=str(output), wanted="a new file",
            do="add --force to replace it, or choose another with -o",
        )  # fmt: skip


def _told(
    config: Path | None, fail_on: str | None, tolerance: float | None, baseline: Path | None
) -> Any:
    """The thresholds, with what the command line says of them."""
    from dataclasses import replace

    from snnlens.report import gate
    from snnlens.report.gate.words import wrong

    if fail_on is not None and fail_on not in gate.FAIL_ON:
        raise wrong("--fail-on", fail_on, gate.FAIL_ON)
    if tolerance is not None and baseline is None:
        raise InputError("--tolerance", got=tolerance, wanted="with --baseline RUN0")
    if tolerance is not None and not (math.isfinite(tolerance) and tolerance >= 0):
        raise InputError("--tolerance", got=tolerance, wanted="at least 0")
    told = gate.find(Path()) if config is None else gate.read_rules(config)
    told = told if fail_on is None else replace(told, fail_on=fail_on)
    return told if tolerance is None else replace(told, tolerance=tolerance)


def _place(output: Path | None, *, force: bool) -> AbstractContextManager[None]:
    """Have the file's place to oneself, if there is to be a file."""
    from snnlens import atomic

    if output is None:
        return nullcontext()
    return atomic.place(output, "--output", "it", partial(_check_output, output, force=force))


def _write(output: Path, text: str, *, force: bool) -> None:
    """Whole or not at all."""
    from snnlens import atomic

    with _place(output, force=force):
        try:
            atomic.write_file(output, text.encode())
        except OSError as error:
            raise atomic.said(error, "--output", output, "it") from error
