"""Write a run for other programs: LaTeX tables and figures, TensorBoard curves, a NIR graph."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snnlens.errors import InputError, one_line

SHAPE = "of nir: C,H,W of one sample, where the model does not say it"
SOFT = "of nir: write neurons that reset by subtraction, noted where only snnlens looks"


def command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="A run folder; of tensorboard a training folder, too; of nir a training folder, "
            "a file of weights or what names a model.",
            show_default=False,
        ),
    ],
    target: Annotated[
        str, typer.Option("--to", metavar="TARGET", help="latex, tensorboard or nir.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="A new folder.")],
    *,
    input_shape: Annotated[str | None, typer.Option(metavar="SHAPE", help=SHAPE)] = None,
    soft_reset: Annotated[bool, typer.Option("--soft-reset", help=SOFT)] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an older export.")] = False,
) -> None:
    """Write a run for other programs: LaTeX tables and figures, TensorBoard curves, a NIR graph."""
    from snnlens.report import export

    options = export.Options(_numbers(input_shape), soft_reset)
    sizes, says = export.write(source, target, output, force=force, options=options)
    for name, size in sizes.items():
        typer.echo(one_line(f"{size / 1000:8.1f} kB  {name}"), err=True)
    for line in says:
        typer.echo(one_line(line), err=True)
    typer.echo(str(output))


def _numbers(shape: str | None) -> tuple[int, ...] | None:
    """C,H,W of the command line.

    >>> _numbers("2,34,34"), _numbers(None)
    ((2, 34, 34), None)
    """
    if shape is None:
        return None
    parts = [part.strip() for part in shape.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise InputError("--input-shape", got=shape, wanted="whole numbers above 0, e.g. 3,32,32")
    return tuple(map(int, parts))
