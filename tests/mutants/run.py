"""Mutation testing: `python tests/mutants/run.py`, into mutants/ and reports/mutants.md.

mutmut makes the mutants, all in one copy of the sources, and its trampolines pick one at run time.
What it has no option for is here: decorated functions are mutated as far as their decorators allow
it (`WITH`), for most of the equations stand under `torch.no_grad()`; the wording of sentences is
not; and one pytest process collects the tests once and forks for each mutant, which is many times
faster than to start pytest again. A mutant meets the tests that killed its neighbours first.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import gc
import json
import os
import resource
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

MUTANTS = Path.cwd() / "mutants"
# Decorators that wrap a plain function once, where it is defined: a mutant can be swapped in below.
WITH = ("property", "cached_property", "cache", "contextmanager", "torch.no_grad()")
OTHERS = 40  # tests of other files that a mutant meets, after those of its own
MEMORY = 16 * 2**30  # bytes of address space: a mutant may ask for any amount


def is_prose(literal: str) -> bool:
    """Whether a string is a sentence or a part of one: it has a space in it."""
    return " " in literal


def patch() -> None:
    """Teach mutmut what it has no option for."""
    import libcst as cst
    from mutmut.mutation import file_mutation, mutators

    def strings(node: cst.BaseString) -> Iterable[cst.BaseString]:
        prose = isinstance(node, cst.SimpleString) and is_prose(node.value)
        return () if prose else mutators.operator_string(node)

    file_mutation.mutation_operators = [
        (kind, strings if operator is mutators.operator_string else operator)
        for kind, operator in mutators.mutation_operators
    ]
    skips = file_mutation.MutationVisitor._skip_node_and_children
    arrange = file_mutation.function_trampoline_arrangement

    def decorated(node: cst.CSTNode) -> bool:
        """Whether all its decorators are in WITH, and it has one."""
        if not isinstance(node, cst.FunctionDef):
            return False
        names = [cst.Module([]).code_for_node(d.decorator) for d in node.decorators]
        return bool(names) and all(name in WITH for name in names)

    def skip(visitor: Any, node: cst.CSTNode) -> bool:
        return False if decorated(node) else bool(skips(visitor, node))

    def arrangement(function: cst.FunctionDef, *args: Any, **kwargs: Any) -> Any:
        """The copies stand without the decorators; the function that picks one keeps them."""
        if not decorated(function):
            return arrange(function, *args, **kwargs)
        plain = function.with_changes(decorators=[])
        first, nodes, *rest = arrange(plain, *args, **kwargs)
        own = [*function.decorators, *nodes[0].decorators]
        return first, [nodes[0].with_changes(decorators=own), *nodes[1:]], *rest

    file_mutation.MutationVisitor._skip_node_and_children = skip
    file_mutation.function_trampoline_arrangement = arrangement


def generate() -> None:
    """Mutated sources and the tests, copied to mutants/; what did not change keeps its verdicts."""
    import mutmut.__main__ as mutmut

    MUTANTS.mkdir(exist_ok=True)
    with contextlib.redirect_stdout(None):
        mutmut.copy_src_dir()
        mutmut.copy_also_copy_files()
        mutmut.setup_source_paths()
        mutmut.create_mutants(2)


@dataclass
class Mutant:
    """One mutant: its name, the function that it changes and the file that keeps its verdict."""

    name: str
    data: Any
    function: str = field(init=False)

    def __post_init__(self) -> None:
        self.function = self.name.partition("__mutmut_")[0]


Running = dict[int, tuple[Mutant, float, int]]  # by process: until when, where it says what failed


def mutants(options: argparse.Namespace) -> list[Mutant]:
    """Those of the patterns that nobody judged yet; the survivors, or all, once more if asked."""
    from mutmut.mutation.data import SourceFileMutationData
    from mutmut.utils.file_utils import walk_mutatable_files

    found = []
    for path in sorted(walk_mutatable_files()):
        data = SourceFileMutationData(path=path)
        data.load()
        data.meta_path = data.meta_path.absolute()  # pytest runs in mutants/
        for name, code in list(data.exit_code_by_key.items())[:: options.every]:
            lives = code in {0, 33}
            due = lives if options.survivors else code is None or options.again
            if due and any(fnmatch.fnmatch(name, n) for n in options.names):
                found.append(Mutant(name, data))
    return found


class Killer:
    """A pytest plug-in that runs the tests once for their times, and then against each mutant."""

    def __init__(self, chosen: list[Mutant], options: argparse.Namespace) -> None:
        self.chosen, self.quick = chosen, options.quick
        self.children, self.seconds = options.children, options.seconds
        self.times: dict[str, float] = {}
        self.hits: dict[str, list[str]] = {}  # test: the functions that it calls
        self.kills: dict[str, Counter[str]] = defaultdict(Counter)  # function, module: by test
        self.failed = ""

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.failed = self.failed or report.nodeid

    def pytest_runtestloop(self, session: Any) -> bool:
        self.items = {item.nodeid: item for item in session.items}
        self.manager = session.config.pluginmanager
        self._learn()
        self.callers = self._callers()
        gc.freeze()  # or each child would copy what the collector touches
        self._judge()
        return True

    def _learn(self) -> None:
        """What each test calls and how long it takes, in a child: the parent has run nothing."""
        kept = MUTANTS / "hits.json"
        sources = max(p.stat().st_mtime for p in (MUTANTS / "snnlens").rglob("*.py"))
        since = kept.stat().st_mtime if kept.exists() else 0.0
        if since > sources or self.quick:
            self.times, self.hits = json.loads(kept.read_bytes())
        fresh = {i for i, item in self.items.items() if item.path.stat().st_mtime > since}
        due = [i for i in self.items if i in fresh or i not in self.times]
        if not due:
            return
        pid = os.fork()
        if not pid:
            self._measure(due, kept)
        if os.waitpid(pid, 0)[1]:
            raise SystemExit("a test fails without a mutant")
        self.times, self.hits = json.loads(kept.read_bytes())

    def _callers(self) -> dict[str, set[str]]:
        """The tests of each function, of those that are collected."""
        found = defaultdict(set)
        for test in self.items:
            for function in self.hits[test]:
                found[function].add(test)
        return found

    def _measure(self, due: list[str], kept: Path) -> None:
        from mutmut.mutation.trampoline import set_mutant_under_test
        from mutmut.state import state

        set_mutant_under_test("stats")
        for nodeid in due:
            item, began = self.items[nodeid], time.perf_counter()
            item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
            self.times[nodeid] = time.perf_counter() - began
            self.hits[nodeid] = sorted(state()._stats)
            state()._stats.clear()
        if self.failed:
            print(f"\n{self.failed} fails", file=sys.__stderr__, flush=True)
            os._exit(1)
        kept.write_text(json.dumps((self.times, self.hits)), encoding="utf-8")
        os._exit(0)

    def _order(self, mutant: Mutant) -> list[str]:
        """Its tests: first those that killed others of this function, then of this file."""
        module = mutant.function.rpartition(".")[0]
        here, near = self.kills[mutant.function], self.kills[module]
        stem = f"{Path(mutant.data.path).stem}.py"
        calls = self.callers[mutant.function]
        quick = sorted(calls, key=lambda t: (-here[t], -near[t], self.times[t]))
        own = [t for t in quick if t.partition("::")[0].endswith(stem)]
        tests = own + [t for t in quick if t not in own][: OTHERS if own else None]
        ends = accumulate(self.times[t] for t in tests)
        return [
            t for t, end in zip(tests, ends, strict=True) if end <= self.seconds or t == tests[0]
        ]

    def _judge(self) -> None:
        running: Running = {}
        seen: set[str] = set()
        for number, mutant in enumerate(self.chosen):
            tests = self._order(mutant)
            if not tests:
                _keep(mutant, 33)
                continue
            if mutant.data.path not in seen:
                self._without(mutant, tests)
                seen.add(mutant.data.path)
            while len(running) >= self.children:
                self._reap(running)
            self._start(mutant, mutant.name, tests, running)
            if number % 100 == 0:
                print(f"{number} of {len(self.chosen)}", file=sys.__stderr__, flush=True)
        while running:
            self._reap(running)

    def _without(self, mutant: Mutant, tests: list[str]) -> None:
        """The same tests in the same order, in a child like any other, of no mutant: they pass."""
        running: Running = {}
        self._start(mutant, f"{mutant.function}__mutmut_none", tests, running)
        ((pid, (_, _, reading)),) = running.items()
        with os.fdopen(reading, "rb") as pipe:
            failed = pipe.read().decode()
        if os.waitpid(pid, 0)[1]:
            print(f"{failed} fails without a mutant", file=sys.__stderr__, flush=True)
            raise SystemExit(1)

    def _start(self, mutant: Mutant, name: str, tests: list[str], running: Running) -> None:
        limit = 5 + 4 * sum(self.times[t] for t in tests)
        reading, writing = os.pipe()
        pid = _fork()
        if not pid:
            self._try(name, tests, int(limit), writing)
        os.close(writing)
        running[pid] = mutant, time.monotonic() + 10 * limit, reading

    def _try(self, name: str, tests: list[str], seconds: int, writing: int) -> None:
        from mutmut.mutation.trampoline import set_mutant_under_test

        with Path(os.devnull).open("w") as nothing:
            os.dup2(nothing.fileno(), 1)
            os.dup2(nothing.fileno(), 2)
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            set_mutant_under_test(name)
            self.manager.unregister(name="terminalreporter")
            gc.disable()
            items = [self.items[t] for t in tests]
            try:
                for item, after in zip(items, [*items[1:], None], strict=True):
                    item.ihook.pytest_runtest_protocol(item=item, nextitem=after)
                    if self.failed:
                        break
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is noticed
                self.failed = self.failed or repr(error)
            os.write(writing, self.failed.encode()[:4000])
            os._exit(1 if self.failed else 0)

    def _reap(self, running: Running) -> None:
        """Wait until one ends, or is out of time."""
        while True:
            for pid, (mutant, until, reading) in running.items():
                if time.monotonic() > until:
                    os.kill(pid, signal.SIGXCPU)
                done, status = os.waitpid(pid, os.WNOHANG)
                if done:
                    with os.fdopen(reading, "rb") as pipe:
                        killer = pipe.read().decode()
                    for group in (mutant.function, mutant.function.rpartition(".")[0]):
                        self.kills[group].update([killer] if killer else [])
                    del running[pid]
                    _keep(mutant, os.waitstatus_to_exitcode(status))
                    return
            time.sleep(0.005)


def _keep(mutant: Mutant, code: int) -> None:
    mutant.data.exit_code_by_key[mutant.name] = code
    mutant.data.save()


def _fork() -> int:
    """A fork, once there is room for one more process."""
    while True:
        try:
            return os.fork()
        except BlockingIOError:
            time.sleep(1)


def judge(killer: Killer) -> int:
    import pytest
    from mutmut.configuration import config

    print(f"{len(killer.chosen)} mutants to try", flush=True)
    os.environ["MUTANT_UNDER_TEST"] = ""
    here = Path.cwd()
    settings = config()
    os.chdir(MUTANTS)
    try:
        return int(pytest.main(
            ["--rootdir=.", "-q", *settings.pytest_add_cli_args,
             *settings.pytest_add_cli_args_test_selection], plugins=[killer],
        ))  # fmt: skip
    finally:
        os.chdir(here)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=["*"], help="patterns of mutants")
    parser.add_argument("--children", type=int, default=2, help="mutants tried at a time")
    parser.add_argument("--seconds", type=float, default=60.0, help="of tests a mutant meets")
    parser.add_argument("--every", type=int, default=1, help="a sample: each such mutant of a file")
    parser.add_argument("--survivors", action="store_true", help="try these again, no others")
    parser.add_argument("--again", action="store_true", help="try all again")
    parser.add_argument("--quick", action="store_true", help="known tests are not timed again")
    parser.add_argument("--report", action="store_true", help="only write the report")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import report  # beside this script

    patch()
    if not options.report:
        generate()
        chosen = mutants(options)
        code = judge(Killer(chosen, options)) if chosen else 0
        if code not in {0, 5}:
            return code
    report.write(MUTANTS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
