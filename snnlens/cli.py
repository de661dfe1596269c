"""The command line: parsing only. Each command calls the same functions as Python does.

stdout is data, stderr is progress. Exit codes: 0 fine, 1 findings or failing claims at or above
--fail-on, 2 wrong use or bad input, 3 a bug in snnlens, 5 nothing to record, 130 interrupted.
"""

from __future__ import annotations

import inspect
import os
import sys
import textwrap
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from snnlens import registry
from snnlens.commands._progress import shown
from snnlens.errors import InputError, SlowBackend, SnnlensError

INTERRUPTED = 130
FAIL_ON = ("never", "note", "warning", "error")
QUESTIONS, YOUR_MODEL, RUNS = "Questions", "Your model", "Runs"  # of --help, in this order


def main(argv: list[str] | None = None) -> int:
    """Run a command; every outcome is an exit code and, if something is wrong, one line."""
    # Before torch is loaded: threads that wait by spinning make a run 5 to 10 times as slow when
    # another program has one of the cores; on a quiet machine waiting asleep costs a few percent.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    warnings.showwarning = _warning(warnings.showwarning)
    command = typer.main.get_command(app)
    try:
        code = command.main(argv, prog_name="snnlens", standalone_mode=False)
    except BaseException as error:  # noqa: BLE001 - the last line of defence
        return _outcome(error)
    if code == INTERRUPTED:  # newer typer returns it, older typer raises Abort
        return _say("interrupted; nothing was written", INTERRUPTED)
    return code if isinstance(code, int) else 0


def _outcome(error: BaseException) -> int:
    """The exit code of an error, after its one line."""
    kind = type(error).__name__
    if isinstance(error, SnnlensError):
        sys.stderr.write(getattr(error, "traceback", ""))  # of the user's own code
        return _say(str(error), error.exit_code) if error.exit_code else 0
    if isinstance(error, KeyboardInterrupt) or kind == "Abort":  # typer turns Ctrl-C into Abort
        return _say("interrupted; nothing was written", INTERRUPTED)
    if hasattr(error, "format_message"):  # typer's own usage errors
        return _say(_usage(error), 2)
    if BrokenPipeError in (type(error), type(error.__context__)):  # stdout's reader has left
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - for the interpreter's last flush
        return 0
    traceback.print_exception(error)
    return _say(f"this is a bug in snnlens: {kind}: {error}", 3)


def _usage(error: Any) -> str:
    """What typer says of a wrong option, and where the right ones are listed."""
    said = error.format_message().rstrip(".") or "COMMAND must be given; got nothing"
    return f"{said}; see `{error.ctx.command_path if error.ctx else 'snnlens'} --help`"


def _say(message: str, code: int) -> int:
    sys.stderr.write(f"snnlens: {message}\n")
    return code


def _warning(usual: Callable[..., None]) -> Callable[..., None]:
    """A warning of snnlens is one line; the others stay as they are."""

    def show(message: Warning, category: type[Warning], *rest: Any, **more: Any) -> None:
        if issubclass(category, SlowBackend):
            sys.stderr.write(f"snnlens: {message}\n")
        else:
            usual(message, category, *rest, **more)

    return show


class _Commands(TyperGroup):
    """Questions and commands about runs are found by file name: a call imports its own file."""

    def list_commands(self, ctx: Any) -> list[str]:
        found = [
            *sorted(registry.listing("experiments"), key=_panel),
            *registry.listing("commands"),
        ]
        return [*found, *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        lines = registry.listing("experiments") | registry.listing("commands")
        if cmd_name not in lines:
            return super().get_command(ctx, cmd_name)
        stub = TyperCommand(cmd_name, help=lines[cmd_name], short_help=lines[cmd_name])
        stub.rich_help_panel = _panel(cmd_name)
        return stub

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = self.list_commands(ctx)
        if args[0] not in known and not args[0].startswith("-"):
            raise InputError("COMMAND", got=args[0], wanted="one of " + ", ".join(known))
        name, command, rest = super().resolve_command(ctx, args)
        if name in registry.listing("experiments"):
            command = _question(name)
        elif name in registry.listing("commands"):
            command = _single(name, registry.module("commands", name).command)
        return name, command, rest


def _panel(question: str) -> str:
    """Where --help shows a question: the PANEL that its file names, read without importing it."""
    if question in registry.listing("commands"):
        return RUNS
    source = (registry.PACKAGE / "experiments" / f"{question}.py").read_text(encoding="utf-8")
    return YOUR_MODEL if f'\nPANEL = "{YOUR_MODEL}"\n' in source else QUESTIONS


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Diagnose spiking networks: where the gradient vanishes, where the spikes die, and why.",
)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Show the version and stop.")] = False,
) -> None:
    if version:
        from snnlens.provenance import snnlens_version

        typer.echo(f"snnlens {snnlens_version()}")
        raise typer.Exit


@app.command("list", rich_help_panel="About")
def list_plugins() -> None:
    """List questions, probes, checks, adapters, methods, kinds of data, and the runs in ./runs."""
    from snnlens.data import specs

    for title, kind in (
        ("Questions", "experiments"), ("Analyses", "analysis"),
        ("Probes", "probes"), ("Checks", "checks"), ("Adapters", "adapters"),
        ("Methods of attribution", "attribution/methods"),
    ):  # fmt: skip
        typer.echo(title)
        for name, line in registry.listing(kind).items():
            typer.echo(f"  {name:20} {line}")
    typer.echo("Data\n  " + ", ".join(specs.kinds()))
    runs = sorted(p.parent for p in Path("runs").glob("*/run.json"))
    typer.echo("Runs in ./runs" + ("" if runs else "\n  none"))
    for run in runs:
        typer.echo(f"  {run}")


@app.command(rich_help_panel="About")
def explain(
    code: Annotated[
        str | None, typer.Argument(metavar="CODE", help="SNL302, or nothing: list the codes.")
    ] = None,
) -> None:
    """Say what a finding's code means, its formula and thresholds, and what to try."""
    checks = {c.code: c for n in registry.listing("checks") if (c := registry.plugin("checks", n))}
    if code is None:
        for known in sorted(checks):
            typer.echo(f"{known}  {checks[known].title}")
    elif code.upper() not in checks:
        raise InputError("CODE", got=code, wanted="one of " + ", ".join(sorted(checks)))
    else:
        typer.echo(_explained(checks[code.upper()]))


def _explained(check: Any) -> str:
    """A check's facts for a person, each under its headline."""
    sections = {
        "What it means": [check.why],
        "Formula": [check.formula, inspect.cleandoc(check.__doc__)],
        "Thresholds": [f"{name}: {text}" for name, text in check.thresholds.items()] or ["none"],
        "What to try": [check.next],
        "Reference": [check.reference],
    }
    lines = [f"{check.code}  {check.title}"]
    for headline, texts in sections.items():
        lines += ["", headline]
        for text in texts:
            lines += _wrapped(text, "    " if headline == "Thresholds" else "  ")
    return "\n".join(lines)


def _wrapped(text: str, rest: str) -> list[str]:
    """Lines for a person, no word of the formulas cut; `rest` comes before all but the first."""
    return textwrap.wrap(
        text, 88, initial_indent="  ", subsequent_indent=rest, break_on_hyphens=False
    )


@app.command(rich_help_panel="About")
def doctor() -> None:
    """Say what this machine has: versions, devices, threads, and which neuron backend runs."""
    from importlib import import_module

    for line in import_module("snnlens.experiments._machine").lines():
        typer.echo(line)


def _question(name: str) -> Any:
    """The command of a question, its options made from its Params."""
    experiment = registry.module("experiments", name)
    from snnlens.experiments._params import ordered

    fields = ordered(experiment.Params)

    def call(**options: Any) -> int:
        given = {k: v for k in fields if (v := options.pop(k)) is not None}
        return _answer(name, given, **options)

    parameters = [_option(field, spec) for field, spec in fields.items()]
    parameters += _common("--folder" if "output" in fields else "--output")
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in parameters}
    call.__doc__ = f"{registry.listing('experiments')[name]}\n\n{experiment.Params.__doc__}"
    return _single(name, call)


def _single(name: str, function: Callable[..., Any]) -> Any:
    """A function as a command of its own."""
    made = typer.Typer(add_completion=False, rich_markup_mode="rich")
    made.command(name)(function)
    return typer.main.get_command(made)


def _option(name: str, spec: Any) -> inspect.Parameter:
    """Every option is text here; Params judges it, so that each mistake has one wording."""
    extra = spec.json_schema_extra or {}
    if extra.get("argument"):
        return _argument(name, spec)
    if extra.get("flag"):
        flag = typer.Option("--" + name.replace("_", "-"), help=spec.description)
        return _keyword(name, bool | None, flag, None)
    default = spec.default
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
    text = spec.description + ("" if default is None else f" [default: {shown}]")
    flag = "--" + name.replace("_", "-")
    option = typer.Option(flag, help=text.replace("[", r"\["), metavar=_metavar(spec))
    return _keyword(name, str | None, option, None)


def _argument(name: str, spec: Any) -> inspect.Parameter:
    """A field that is given by its place: MODEL, RUN|CHECKPOINT."""
    text = spec.description.replace("[", r"\[")
    shown = spec.json_schema_extra.get("metavar", name.upper())
    argument = typer.Argument(metavar=shown, help=text, show_default=False)
    default = inspect.Parameter.empty if spec.is_required() else None
    return _keyword(name, str if spec.is_required() else str | None, argument, default)


def _metavar(spec: Any) -> str:
    kind = spec.annotation
    return {int: "N", float: "X", bool: "yes|no"}.get(kind, "TEXT")


def _common(folder: str) -> list[inspect.Parameter]:
    """The options that are no parameters; `--output` may be one: INDEX of a model's outputs."""
    option = typer.Option
    return [
        _keyword("folder", Path | None, option("-o", folder, help="the run folder "
                 r"\[default: runs/<command>-<time>]"), None),
        _keyword("force", bool, option("--force", help="replace an older run"), False),
        _keyword("as_json", bool, option("--json", help="one JSON object on stdout"), False),
        _keyword("fail_on", str, option(help="exit 1 at: never | note | warning | error"), "never"),
        _keyword("quiet", bool, option("--quiet", help="no progress on stderr"), False),
    ]  # fmt: skip


def _keyword(name: str, kind: Any, option: Any, default: Any) -> inspect.Parameter:
    annotation = Annotated[kind, option]
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def _answer(
    question: str,
    given: dict[str, Any],
    *,
    folder: Path | None,
    force: bool,
    as_json: bool,
    fail_on: str,
    quiet: bool,
) -> int:
    """Run, analyse, save, print."""
    from snnlens import api
    from snnlens.recording import store

    if fail_on not in FAIL_ON:
        raise InputError("--fail-on", got=fail_on, wanted="never, note, warning or error")
    folder = folder or Path("runs") / f"{question}-{time.strftime('%Y%m%d-%H%M%S')}"
    with shown(quiet) as progress:
        result = api.answer(question, folder, force=force, progress=progress, **given)
    if as_json:
        typer.echo(store.dumps({"run": str(folder)} | result.as_json()), nl=False)
    else:
        _summary(result, folder)
    return 1 if _at_or_above(result, fail_on) else 0


def _summary(result: Any, folder: Path) -> None:
    """Claims and findings for a person."""
    marks = {"holds": "holds       ", "fails": "FAILS       ", "not-testable": "not testable"}
    typer.echo(result.caption)
    for line in result.headline:
        typer.echo(f"  {line}")
    for claim in result.claims:
        measured = "" if claim.measured is None else f"  measured {claim.measured:.6g}"
        typer.echo(f"  {marks[claim.verdict]}  {claim.id}{measured}  (bound: {claim.bound})")
        if claim.reason:
            typer.echo(f"                {claim.reason}")
    for finding in result.findings:
        site = f" at {finding.site}" if finding.site else ""
        typer.echo(f"  {finding.severity:12}  {finding.code}{site}: {finding.evidence}")
        if "checks" in result.extra:  # a check-up says what to do, too
            typer.echo(textwrap.fill(finding.next, 100, initial_indent=" " * 16 + "try: ",
                                     subsequent_indent=" " * 21))  # fmt: skip
    if "checks" in result.extra:
        typer.echo(_counted(result.extra["checks"]["outcome"]))
    typer.echo(f"Figure and numbers: {folder}")


def _counted(outcomes: Any) -> str:
    """How the checks ended: none passes in silence."""
    count = {word: int((outcomes == word).sum()) for word in ("issue", "passed", "not applicable")}
    found = f"{count['issue']} found something" if count["issue"] else "none found anything"
    return (
        f"{len(outcomes)} checks: {found}, {count['passed']} passed, {count['not applicable']} do "
        "not apply (checks.csv says why; snnlens explain CODE says more)"
    )


def _at_or_above(result: Any, fail_on: str) -> bool:
    """A failing claim counts as a warning."""
    if fail_on == "never":
        return False
    least = FAIL_ON.index(fail_on)
    levels = [FAIL_ON.index(f.severity) for f in result.findings]
    levels += [FAIL_ON.index("warning") for c in result.claims if c.verdict == "fails"]
    return any(level >= least for level in levels)
