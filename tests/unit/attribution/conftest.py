"""What every test of attribution shares."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _no_instances() -> Iterator[None]:
    """snnTorch keeps every layer in a list of its class, and resets them all."""
    yield
    if "snntorch" in sys.modules:
        sys.modules["snntorch"].SpikingNeuron.init()
