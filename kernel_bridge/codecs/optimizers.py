"""torch optimizers travel with all their attributes: a scheduler puts its own `step` among them.

torch's own pickle leaves those out, and what came back would have lost them.
"""

from __future__ import annotations

import copyreg
import sys
from typing import Any


def is_optimizer_type(kind: type) -> bool:
    """Whether a type is an optimizer that leaves its pickling to torch."""
    base = getattr(sys.modules.get("torch.optim"), "Optimizer", None)
    return base is not None and issubclass(kind, base) and kind.__getstate__ is base.__getstate__


def reduce_optimizer(optimizer: Any) -> Any:
    """Reduce an optimizer to its class and its attributes."""
    return copyreg.__newobj__, (type(optimizer),), dict(vars(optimizer))  # type: ignore[attr-defined]
