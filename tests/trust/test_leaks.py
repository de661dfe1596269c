"""Every tool in a loop: no hook, tensor, thread, open file or temporary folder is left over."""

from __future__ import annotations

import gc
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import snnlens
from snnlens import api
from tests.trust.tally import Count, times

TOOLS = {"record": 100, "watch": 40, "bridge": 60, "attribute": 40, "checkup": 5, "audit": 5}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), snnlens.LIF(), nn.Linear(6, 3), snnlens.IF())


X = 3 * torch.rand(4, 2, 4, generator=torch.Generator().manual_seed(0))


def record(net: nn.Module) -> None:
    with snnlens.record(net, ["firing_rate", "gradient_norm", "spike_trains", "silence"]):
        net(X).sum().backward()


def watch(net: nn.Module) -> None:
    with snnlens.watch(net, every=2) as seen:
        for _ in range(2):
            net(X).sum().backward()
    assert seen.steps == 2


def bridge(net: nn.Module) -> None:
    with snnlens.bridge(net, X, target=1) as made:
        made(made.x)


def attribute(net: nn.Module) -> None:
    snnlens.attribute(net, X, target=1, steps=4)


def checkup(net: nn.Module) -> None:
    snnlens.checkup(net, X)


def audit(net: nn.Module) -> None:
    snnlens.audit(net, X)


def held(net: nn.Module) -> dict[str, Any]:
    """What a process can leak, counted."""
    gc.collect()
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return {
        "hooks": sum(len(getattr(m, kind)) for m in net.modules() for kind in hooks),
        "own": sorted(vars(net)),
        "tensors": sum(issubclass(type(found), Tensor) for found in gc.get_objects()),
        "threads": threading.active_count(),
        "native threads": len(names("/proc/self/task")),
        "open files": len(names("/proc/self/fd")),
        "temporary": names(tempfile.gettempdir()),
    }


def names(folder: str | Path) -> list[str]:
    """What lies in a folder; nothing where the system does not say."""
    return sorted(p.name for p in Path(folder).iterdir()) if Path(folder).is_dir() else []


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's is other programs', too."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))


@pytest.mark.promise("flat")
@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_in_a_loop_leaves_nothing(name: str, tally: Count) -> None:
    tool: Callable[[nn.Module], None] = globals()[name]
    net = network()
    for _ in range(2):  # what is made once stays: kernels, caches of captum and torch
        tool(net)
    before = held(net)
    for _ in range(times(TOOLS[name])):
        tool(net)
    assert held(net) == before
    assert before["hooks"] == 0
    tally(f"loops of {name}", times(TOOLS[name]))


@pytest.mark.promise("flat")
def test_runs_and_reports_in_a_loop_leave_nothing(tmp_path: Path, tally: Count) -> None:
    net, run, page = network(), tmp_path / "run", tmp_path / "report.html"

    def answer() -> None:
        api.save(snnlens.checkup(net, X), run, force=True)
        api.load(run)
        api.report([run], page, force=True)

    answer()
    before, files = held(net), names(tmp_path)
    for _ in range(times(2)):
        answer()
    assert held(net) == before
    assert names(tmp_path) == files
    tally("loops of run, report", times(2))
