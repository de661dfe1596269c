"""Write one page of what is different between two or more runs of one question."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RUN_A RUN_B", help="Run folders; the first is what the others "
                       "are compared with.", show_default=False),
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The page.")
    ] = Path("compare.html"),
    force: Annotated[bool, typer.Option("--force", help="Replace an existing page.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object with all differences on stdout.")
    ] = False,
) -> None:  # fmt: skip
    """Write one page of what is different between two or more runs of one question."""
    from snnlens.recording import store
    from snnlens.report.compare import write

    found = write(list(runs or []), output, force=force)
    if as_json:
        said = store.dumps({"page": str(output)} | found.as_json())
        typer.echo(said.encode(), nl=False)  # bytes: UTF-8 whatever the locale
    else:
        typer.echo(str(output))
