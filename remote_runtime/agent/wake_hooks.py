"""Runs the `on_wake` functions of a notebook before the first cell of a container that takes another's place."""

from __future__ import annotations

import sys
import traceback
from types import TracebackType

from kernel_bridge.protocol.cells import ON_WAKE_NAME
from remote_runtime.agent.kernel_host import HostedKernel


class WakeHooks:
    """Those of one container; one that fails is tried again before the next cell."""

    def __init__(self, kernel: HostedKernel) -> None:
        self._kernel = kernel
        self._due = False
        self._done: set[str] = set()

    @property
    def due(self) -> bool:
        """Tell whether something is to be made again before a cell runs."""
        return self._due

    def want(self) -> None:
        """Have them run: this container goes on for one that is gone."""
        self._due = True

    async def run(self) -> None:
        """Run those that have not succeeded yet, in the order they were registered; an interrupt goes through."""
        hooks = self._kernel.namespace.get(ON_WAKE_NAME)
        failed = False
        for name, function in list(hooks.items()) if isinstance(hooks, dict) else ():
            if name in self._done:
                continue
            try:
                await self._kernel.call(function)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - the user's code: the state, and the cell, are worth more
                failed = True
                _tell(name, error)
            else:
                self._done.add(name)
        self._due = failed


def _tell(name: str, error: BaseException) -> None:
    lines = traceback.format_exception(type(error), error, _without_ours(error.__traceback__))
    print(f"on_wake {name} failed; it runs again before the next cell:", file=sys.stderr)  # noqa: T201 - under the cell
    print("".join(lines).rstrip(), file=sys.stderr)  # noqa: T201 - under the cell


def _without_ours(frames: TracebackType | None) -> TracebackType | None:
    """Return the frames from the function on."""
    while frames is not None and "remote_runtime/agent" in frames.tb_frame.f_code.co_filename:
        frames = frames.tb_next
    return frames
