"""What a forward function calls that torch.fx could not trace: seen once, while it runs."""

from __future__ import annotations

from typing import Any

from torch.overrides import TorchFunctionMode

from snnlens.conversion import known


class Watch(TorchFunctionMode):
    """Sees functional activations that a forward function calls."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(getattr(func, "__name__", func))
        clamps = name in known.CLAMPS and known.is_relu(args, kwargs or {})
        if clamps or name in known.NON_LINEAR:
            self.seen.add(f"{name}()")
        return func(*args, **(kwargs or {}))
