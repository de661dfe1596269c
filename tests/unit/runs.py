"""Small real runs, each made once per session: the smallest nets that have every kind of block.

`cifar` depth 8 has one block per stage (8 px is enough); depth 18 has two.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from snnlens import api
from snnlens.recording.record import Record
from snnlens.recording.result import Result

TINY: dict[str, Any] = {
    "depth": 8, "layout": "cifar", "image_size": 8, "batch": 4, "time_steps": 2, "threads": 1,
}  # fmt: skip
SUBJECT: dict[str, Any] = {  # of the questions that take a MODEL
    "model": "sew_resnet8", "image_size": 8, "batch": 4, "time_steps": 2, "threads": 1,
}  # fmt: skip
OF_A_MODEL = ("audit", "checkup")
TRAINING: dict[str, Any] = {  # of the questions that train
    "image_size": 8, "batch": 128, "time_steps": 2, "epochs": 2, "record_every": 1, "threads": 1,
}  # fmt: skip
TRAINS: dict[str, dict[str, Any]] = {
    "train": TRAINING | {"model": "sew_resnet8"},
    "degradation": TRAINING | {"depth": (8, 14), "seeds": 2, "epochs": 1},
}
CONVERTS: dict[str, dict[str, Any]] = {
    "conversion": {
        "depth": (2, 3), "width": 16, "seeds": 2, "epochs": 2, "time_steps": (1, 2, 4),
        "threads": 1, "samples": 60,
    },
}  # fmt: skip
ATTRIBUTES: dict[str, dict[str, Any]] = {  # an untrained network is refused: one set by hand
    "attribution": {
        "model": f"{Path(__file__).parents[2] / 'examples' / 'planted.py'}:network",
        "data": "planted", "time_steps": 6, "samples": 4, "steps": 4, "points": 4,
        "random_orders": 3, "belief": "all", "threads": 1,
        "method": ("ig", "input_x_gradient", "smoothgrad", "sam", "tsa"),
    },
}  # fmt: skip
DEPTH_18: dict[str, Any] = {
    "depth": 18, "image_size": 32, "batch": 4, "time_steps": 2, "threads": 1, "seed": 3,
}  # fmt: skip
# 38 layers: six blocks in each stage, so the first area has six identity blocks
DEPTH_38: dict[str, Any] = TINY | {"depth": 38, "residual": "spiking", "zero_init": "yes"}


FOLDERS = tempfile.TemporaryDirectory(prefix="snnlens-tests-")  # gone when the session ends


@cache
def made(question: str, *options: tuple[str, Any], base: str = "TINY") -> Record:
    """The Record of a run; equal calls share one."""
    chosen: dict[str, Any] = globals()["SUBJECT" if question in OF_A_MODEL else base]
    if question in ATTRIBUTES:
        chosen = ATTRIBUTES[question]
    if question in TRAINS | CONVERTS:
        points = tempfile.mkdtemp(prefix="points-", dir=FOLDERS.name)
        chosen = (TRAINS | CONVERTS)[question] | {"points": points}
    return api.run(question, **(chosen | dict(options)))


@cache
def answered(question: str, *options: tuple[str, Any], base: str = "TINY") -> Result:
    """The Result of that run."""
    return api.analyse(question, made(question, *options, base=base))


@cache
def saved(question: str) -> Path:
    """The run folder of the TINY run: to read, never to write into."""
    return api.save(answered(question), Path(FOLDERS.name) / question)
