"""Write one self-contained HTML page about one or more runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snnlens.commands._progress import shown
from snnlens.commands._runs import given
from snnlens.errors import InputError, Interrupted, one_line


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

    folders, made = given(runs), output.parent / "runs"
    with companions.places(output, force=force):
        if preset is not None:
            with shown(quiet) as progress:
                folders += api.run_preset(preset, made, progress=progress)
        if not folders:
            raise InputError("RUN", got="nothing", wanted="at least one run folder")
        try:
            sizes, beside = companions.write_with_page(folders, output, force=force)
        except KeyboardInterrupt:
            if preset is None:
                raise
            kept = f"the runs of the preset are whole and stay in {made}; there is no report"
            raise Interrupted(f"interrupted; {kept}") from None
    for section, size in sizes.items():
        typer.echo(one_line(f"{size / 1000:8.1f} kB  {section}"), err=True)
    typer.echo(one_line(f"beside it: {', '.join(path.name for path in beside)}"), err=True)
    typer.echo(str(output))
