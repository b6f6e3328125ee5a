"""Values that a thread of the notebook changed in place while a cell changed them too."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Final
from weakref import WeakSet

from kernel_bridge.capture.mirror import Mirror
from kernel_bridge.capture.units import ReceivedUnit

_OURS: Final = "cellburst"
_SHELLS: Final = "IPythonHistorySavingThread"  # one for each shell of a process
_USUAL: Final = WeakSet(threading.enumerate())  # those of the kernel itself, which touch no values


def contested(mirror: Mirror, units: Iterable[ReceivedUnit]) -> frozenset[str]:
    """Return the names among those that come home whose values were changed here since the cell got them.

    Looking costs as much as packing these values. It is done where a thread of the user's runs: else nobody could.
    """
    return mirror.changed(name for unit in units for name in unit.names) if _others_run() else frozenset()


def _others_run() -> bool:
    mine = (threading.current_thread(), threading.main_thread())
    return any(
        thread not in mine and thread not in _USUAL and not thread.name.startswith((_OURS, _SHELLS))
        for thread in threading.enumerate()
    )
