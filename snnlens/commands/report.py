"""Write one self-contained HTML page about one or more runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snnlens.commands._progress import shown
from snnlens.errors import InputError


def command(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN...", help="Run folders.")
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="The page.")] = Path("report.html"),
    preset: Annotated[
        Path | None, typer.Option(help="A TOML file that says which questions to run first.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing page.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress on stderr.")] = False,
) -> None:
    """Write one self-contained HTML page about one or more runs."""
    from snnlens import api
    from snnlens.report import companions

    folders = list(runs or [])
    if preset is not None:
        with shown(quiet) as progress:
            folders += api.run_preset(preset, output.parent / "runs", progress=progress)
    if not folders:
        raise InputError("RUN", got="nothing", wanted="at least one run folder")
    companions.check(output, force=force)
    sizes = api.report(folders, output, force=force)
    beside = companions.write(folders, output, force=force)
    for section, size in sizes.items():
        typer.echo(f"{size / 1000:8.1f} kB  {section}", err=True)
    typer.echo(f"beside it: {', '.join(path.name for path in beside)}", err=True)
    typer.echo(str(output))
