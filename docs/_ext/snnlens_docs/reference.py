"""Pages of what the package finds by file name: its commands and options, its plug-ins."""

from __future__ import annotations

import re
from typing import Any

from snnlens import registry
from snnlens_docs.words import definitions, paragraphs, prose, table

COMMANDS = """
As `snnlens COMMAND --help` says them. Exit codes, and what `--json` prints:
[the contract](../contract.md).
""".strip()
LISTED = """
One file each, found by its name; `snnlens list` shows them. How to add one:
[contribute](../howto/contribute.md).
""".strip()
QUANTITIES = """
What a Record's `frame()` has of each probe, with its unit: quotients of sums, made when they are
asked for.
""".strip()
PLUGINS = {
    "probes": "Probes",
    "adapters": "Adapters",
    "attribution/methods": "Methods of attribution",
    "conversion/calibration": "Calibrations",
    "report/export": "Targets of export",
    "data/readers": "Kinds of data",
    "data/formats": "Event file formats",
}


def pages() -> dict[str, str]:
    """Path below docs/ and text of every page."""
    return {"reference/commands.md": commands(), "reference/plugins.md": plugins()}


def commands() -> str:
    """Every command with its arguments and options, as `snnlens COMMAND --help` has them."""
    import typer

    from snnlens.cli import app

    group: Any = typer.main.get_command(app)
    context = group.make_context("snnlens", [], resilient_parsing=True)
    parts = ["# Commands", COMMANDS]
    for name in group.list_commands(context):
        _, command, _ = group.resolve_command(context, [name])
        parts += [f"## {name}", paragraphs(_unmarked(command.help)), _options(command)]
    return "\n\n".join(p for p in parts if p) + "\n"


def plugins() -> str:
    """What lies in each folder of plug-ins, with the first line of each."""
    parts = ["# Plug-ins", LISTED]
    for kind, title in PLUGINS.items():
        rows = [[f"`{name}`", prose(line)] for name, line in _own(kind).items()]
        parts += [f"## {title}", table(["name", "what it is"], rows)]
    return "\n\n".join([*parts, "## Quantities", QUANTITIES, _quantities()]) + "\n"


def _quantities() -> str:
    probes = {name: registry.plugin("probes", name) for name in _own("probes")}
    rows = [
        [f"`{quantity}`", prose(of.unit), f"`{name}`"]
        for name, probe in probes.items()
        for quantity, of in probe.quantities.items()
    ]
    return table(["quantity", "unit", "probe"], sorted(rows))


def _own(kind: str) -> dict[str, str]:
    """The plug-ins of this package: those of others are no part of its documentation."""
    outside = registry.outside(kind)
    return {name: line for name, line in registry.listing(kind).items() if name not in outside}


def _options(command: Any) -> str:
    """Arguments, then options but --help, each with its help."""
    shown = [p for p in command.params if "--help" not in p.opts]
    return definitions({_named(p): prose(_unmarked(p.help)) or "see above" for p in shown})


def _named(parameter: Any) -> str:
    """`MODEL`, `-o`, `--folder PATH`."""
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name.upper()}`"
    *short, long = sorted(parameter.opts, key=len)
    value = f" {parameter.metavar}" if parameter.metavar else ""
    return ", ".join(f"`{name}`" for name in [*short, long + value])


def _unmarked(text: str | None) -> str:
    """Help without the marks that the terminal's renderer takes away."""
    return re.sub(r"\\\[", "[", text or "")
