"""The example whose answer is known on paper: right by construction, in the worst case too."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from snnlens.data import images

FILE = Path(__file__).parents[2] / "examples" / "planted.py"


def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("example_planted", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("steps", [1, 2, 8, 16])
@torch.no_grad()
def test_one_spike_of_the_class_at_the_middle_step(part: str, steps: int) -> None:
    batch = images.load("planted", samples=256, part=part, time_steps=steps)
    out = example().network()(batch.x)
    expected = torch.zeros(steps, 256, 4)
    expected[steps // 2, torch.arange(256), batch.y] = 1
    assert torch.equal(out, expected)


@torch.no_grad()
def test_the_fullest_background_that_can_be_drawn_reaches_no_threshold() -> None:
    """Every pixel one event at every step: H = 36/32 (1 - 2^-(t + 1)), exact in float32.

    At step 8 the first corner is lit: H = 36/32 + V / 2 reaches the threshold.
    """
    model, x = example().network(), torch.ones(16, 1, 2, 12, 12)
    x[8, 0, :, :3, :3] = 2
    seen: list[float] = []
    with model.lif.tap(lambda step: seen.append(step.membrane.flatten().tolist())):
        out = model(x)
    other = [36 / 32 * (1 - 2.0 ** -(t + 1)) for t in range(16)]
    assert [h[3] for h in seen] == other
    assert seen[8][0] == 36 / 32 + other[7] / 2
    assert out.nonzero().tolist() == [[8, 0, 0]]


def test_where_nothing_is_lit_there_is_no_answer() -> None:
    """The same frames without the events of the lit corner: every output is 0."""
    batch = images.load("planted", samples=8)
    with torch.no_grad():
        out = example().network()(batch.x * (batch.x < 2))
    assert not out.any()


def test_runs_as_a_script() -> None:
    command = [sys.executable, FILE]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "accuracy 100% of 256 samples; spikes at step [4]\n"


def test_it_is_short_and_in_the_readme() -> None:
    assert len(FILE.read_text(encoding="utf-8").splitlines()) <= 80
    assert "(planted.py)" in (FILE.parent / "README.md").read_text(encoding="utf-8")
