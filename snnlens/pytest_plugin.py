"""pytest --snnlens: the fixture `snnlens_gate` judges a model in a test, as `snnlens gate` does.

    def test_rates(snnlens_gate):
        snnlens_gate(build(), x, y, silent_max=0.1)

Nothing but pytest is imported before a test calls the fixture. Without --snnlens such tests are
skipped, and the last lines of the run say how many. PYTEST_DONT_REWRITE: there is no assert here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

NAME = "snnlens_gate"
OPTIONS = ("mode", "full", "time_axis", "per_step", "output", "seed")
WHY = "a gate of snnlens: give --snnlens"


def pytest_addoption(parser: pytest.Parser) -> None:
    """--snnlens: the tests that ask for `snnlens_gate` are run."""
    group = parser.getgroup("snnlens", "spiking networks")
    group.addoption(
        "--snnlens", action="store_true",
        help="run the tests that judge a spiking network with the fixture snnlens_gate; without "
        "it they are skipped",
    )  # fmt: skip


@pytest.fixture
def snnlens_gate(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Judge a spiking network: a check-up of model, x and y fails at findings and thresholds.

    `snnlens_gate(model, x, y, silent_max=0.1, firing_rate_min=0.001, ignore=["SNL207"])` returns
    the check-up's Result. What else it takes: `snnlens.pytest_plugin.judged`, docs/gate.md.
    """
    if not request.config.getoption("--snnlens"):
        pytest.skip(WHY)
    return judged


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """A gate that did not run is never silent."""
    count = sum(WHY in str(r.longrepr) for r in terminalreporter.stats.get("skipped", ()))
    if count:
        terminalreporter.write_line(f"{NAME}: {count} skipped; run them with --snnlens")


def judged(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    fail_on: str | None = None,
    ignore: Sequence[str] = (),
    where: Any = None,
    except_: Any = None,
    config: str | Path | None = None,
    **more: Any,
) -> Any:
    """The check-up's Result; the test fails where a finding or a threshold stops the gate.

    Args:
        model: as for `snnlens.checkup`.
        x: as for `snnlens.checkup`.
        y: as for `snnlens.checkup`.
        fail_on: note, warning or error (the default).
        ignore: codes of findings that do not count.
        where: at which sites the thresholds hold: {"role": "neuron", "site": "layer1.*"}.
        except_: at which sites they do not.
        config: a file with thresholds, such as snnlens.toml; none is read by itself.
        more: QUANTITY_min and QUANTITY_max, `loss` and `spiking`, options of `snnlens checkup`.
    """
    errors = import_module("snnlens.errors")
    chosen = {
        "fail_on": fail_on,
        "ignore": ignore,
        "where": where,
        "but": except_,
        "config": config,
    }
    try:
        result, said = _checked((model, x, y), chosen, more)
    except errors.SnnlensError as error:
        result, said = None, str(error)
    if said:
        pytest.fail(f"{NAME}: {said}", pytrace=False)
    return result


def _checked(
    subject: tuple[Any, Any, Any], chosen: dict[str, Any], more: dict[str, Any]
) -> tuple[Any, str]:
    """The check-up's Result, and what stops the gate; rules are read before the model runs."""
    from snnlens import api

    gate = import_module("snnlens.report.gate")
    keywords = import_module("snnlens.report.gate.keywords")
    limits, options = keywords.split(more, ("loss", "spiking", *OPTIONS), NAME)
    told = keywords.told(NAME, limits, **chosen)
    result = api.checkup(*subject, **options)
    verdict = gate.judge([gate.of_result(result, type(subject[0]).__name__)], told)
    return result, "" if verdict.green else gate.reasons(verdict)
