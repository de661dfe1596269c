"""The command line: parsing only. Each command calls the same functions as Python does.

stdout is data, stderr is progress. Exit codes: 0 fine, 1 findings or failing claims at or above
--fail-on, 2 wrong use or bad input, 3 a bug in snnlens, 5 nothing to record, 130 interrupted.
"""

from __future__ import annotations

import errno
import inspect
import io
import os
import sys
import textwrap
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain, count
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from snnlens import atomic, registry
from snnlens.commands._progress import shown
from snnlens.commands._streams import calm
from snnlens.errors import InputError, Interrupted, SlowBackend, SnnlensError, one_line, shortened

INTERRUPTED = 130
# What torch and numpy say when an allocation fails: on the CPU, on a GPU, of more than 2^63 bytes.
NO_MEMORY = ("DefaultCPUAllocator: ", "out of memory", "Storage size calculation overflowed",
             "integer multiplication overflow", "array is too big")  # fmt: skip
LESS = "ask for less (--batch, --time-steps, --image-size), or take a larger machine"
FAIL_ON = ("never", "note", "warning", "error")
QUESTIONS, YOUR_MODEL, RUNS = "Questions", "Your model", "Runs"  # of --help, in this order


def main(argv: list[str] | None = None) -> int:
    """Run a command; every outcome is an exit code and, if something is wrong, one line."""
    # Before torch is loaded: threads that wait by spinning make a run 5 to 10 times as slow when
    # another program has one of the cores; on a quiet machine waiting asleep costs a few percent.
    # In small letters: where the locale is Turkish, libgomp does not read its capitals.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    warnings.showwarning = _warning(warnings.showwarning)
    _calm_terminal()
    with calm():
        return _run(argv)


def _run(argv: list[str] | None) -> int:
    command = typer.main.get_command(app)
    try:
        _check_text(sys.argv[1:] if argv is None else argv)
        _check_here()
        code = command.main(argv, prog_name="snnlens", standalone_mode=False)
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 - the last line of defence
        return _outcome(error)
    if code == INTERRUPTED:  # newer typer returns it, older typer raises Abort
        return _say("interrupted; nothing was written", INTERRUPTED)
    return code if isinstance(code, int) else 0


def _calm_terminal() -> None:
    """A character that stdout cannot show is escaped; rich would fill lines of a billion."""
    if len(os.environ.get("COLUMNS", "")) > 4:
        del os.environ["COLUMNS"]
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def _check_text(argv: list[str]) -> None:
    """Parquet and JSON can hold no file name that is not UTF-8; no file name holds a NUL."""
    for text in argv:
        if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
            raise InputError("an argument", got=text, wanted="text in UTF-8")


def _check_here() -> None:
    """In a folder that is gone, libraries end the process without a word."""
    try:
        Path.cwd()
    except OSError:
        raise InputError(
            "the current folder", got="removed while this shell was in it", wanted="there",
            do="cd to another",
        ) from None  # fmt: skip


def _outcome(error: BaseException) -> int:
    """The exit code of an error, after its one line."""
    error = _of_this_machine(error) or error
    kind = type(error).__name__
    if isinstance(error, SnnlensError):
        sys.stderr.write(getattr(error, "traceback", ""))  # of the user's own code
        return _say(str(error), error.exit_code) if error.exit_code else 0
    if isinstance(error, KeyboardInterrupt) or kind == "Abort":  # typer turns Ctrl-C into Abort
        return _say("interrupted; nothing was written", INTERRUPTED)
    if hasattr(error, "format_message"):  # typer's own usage errors
        return _say(_usage(error), 2)
    traceback.print_exception(error)
    return _say(f"this is a bug in snnlens: {kind}: {error}", 3)


def _of_this_machine(error: BaseException) -> InputError | None:
    """What memory, file system or installation refused, wherever it was asked for."""
    if isinstance(error, MemoryError) or any(told in str(error) for told in NO_MEMORY):
        got = str(error) or "too little"
        return InputError("the memory", got=got, wanted="enough", do=LESS)
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return InputError("a path", got=error.filename, wanted="shorter")
    if isinstance(error, ModuleNotFoundError) and error.name == "torch":  # runs open without it
        return InputError(
            "a model needs a package that", got="torch", wanted="installed", do="pip install torch"
        )
    return None


def _usage(error: Any) -> str:
    """What typer says of a wrong option, and where the right ones are listed."""
    said = error.format_message().rstrip(".") or "COMMAND must be given; got nothing"
    return f"{said}; see `{error.ctx.command_path if error.ctx else 'snnlens'} --help`"


def _say(message: str, code: int) -> int:
    sys.stderr.write(f"snnlens: {shortened(one_line(message))}\n")
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
    runs = sorted(p.parent for p in Path("runs").glob("[!.]*/run.json"))  # none that is half made
    typer.echo("Runs in ./runs" + ("" if runs else "\n  none"))
    for run in runs:
        typer.echo(f"  {one_line(str(run))}")


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
        "Formula": [check.formula, inspect.cleandoc(check.__doc__ or "")],
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
    more = experiment.Params.__doc__ or ""  # `python -OO` takes it out
    call.__doc__ = f"{registry.listing('experiments')[name]}\n\n{more}"
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
    with _named(question, folder) as place, _whole(place), shown(quiet) as progress:
        result = api.answer(question, place, force=force, progress=progress, **given)
    if as_json:
        said = store.dumps({"run": str(place)} | result.as_json())
        typer.echo(said.encode(), nl=False)  # bytes: UTF-8 whatever the locale
    else:
        _summary(result, place)
    return 1 if _at_or_above(result, fail_on) else 0


@contextmanager
def _named(question: str, folder: Path | None) -> Iterator[Path]:
    """The folder of a run; without one runs/QUESTION-TIME, or -2 and so on of the same second."""
    if folder is not None:
        yield folder
        return
    usual = Path("runs") / f"{question}-{time.strftime('%Y%m%d-%H%M%S')}"
    names = (usual.with_name(f"{usual.name}-{number}") for number in count(2))
    with ExitStack() as stack:
        yield next(name for name in chain([usual], names) if _is_free(name, stack))


def _is_free(folder: Path, stack: ExitStack) -> bool:
    """Whether a run may have this name; then it is held until the stack ends."""
    try:
        return stack.enter_context(atomic.claimed(folder)) and not folder.exists()
    except OSError:  # the run itself will say why
        return True


@contextmanager
def _whole(folder: Path) -> Iterator[None]:
    """Ctrl-C says what there is: a run that has taken its place is whole."""
    before = atomic.identity(folder)
    try:
        yield
    except KeyboardInterrupt:
        if atomic.identity(folder) == before:
            raise
        raise Interrupted(f"interrupted; the run is whole and stays in {folder}") from None


def _summary(result: Any, folder: Path) -> None:
    """Claims and findings for a person."""
    marks = {"holds": "holds       ", "fails": "FAILS       ", "not-testable": "not testable"}
    _echo(result.caption)
    for line in result.headline:
        _echo(f"  {line}")
    for claim in result.claims:
        measured = "" if claim.measured is None else f"  measured {claim.measured:.6g}"
        _echo(f"  {marks[claim.verdict]}  {claim.id}{measured}  (bound: {claim.bound})")
        if claim.reason:
            _echo(f"                {claim.reason}")
    for finding in result.findings:
        site = f" at {finding.site}" if finding.site else ""
        _echo(f"  {finding.severity:12}  {finding.code}{site}: {finding.evidence}")
        if "checks" in result.extra:  # a check-up says what to do, too
            typer.echo(textwrap.fill(finding.next, 100, initial_indent=" " * 16 + "try: ",
                                     subsequent_indent=" " * 21))  # fmt: skip
    if "checks" in result.extra:
        typer.echo(_counted(result.extra["checks"]["outcome"]))
    _echo(f"Figure and numbers: {folder}")


def _echo(line: str) -> None:
    """A line of stdout, whatever a layer or a folder is called."""
    typer.echo(one_line(line))


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
