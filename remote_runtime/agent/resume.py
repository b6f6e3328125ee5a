"""How a kernel child goes on for one before it: what was saved is found, and what cannot be saved is made again."""

from __future__ import annotations

import time
from collections.abc import Callable

from kernel_bridge.protocol.ids import new_id
from remote_runtime.agent.after_import import AfterImport
from remote_runtime.agent.kernel_host import HostedKernel
from remote_runtime.agent.process_state import module_of
from remote_runtime.agent.saved import SavedState
from remote_runtime.agent.wake_hooks import WakeHooks


class Resumption:
    """One child's. `say` takes lines to be shown under the next cell; `again`: it is not the session's first."""

    def __init__(self, kernel: HostedKernel, saved: SavedState, say: Callable[[str], None], *, again: bool) -> None:
        self._saved = saved
        self._say = say
        self._again = again
        self._hooks = WakeHooks(kernel)
        self._imports = AfterImport()

    def begin(self, epoch: str) -> str:
        """Find what was saved for this namespace; returns the namespace's epoch, another one if it starts empty."""
        unreadable = self._saved.load(epoch)
        if unreadable:
            self._say(unreadable)
            epoch = new_id("epoch")
        for remark in self._saved.remarks:
            self._say(remark)
        if self._again or self._saved.woken:
            self._hooks.want()
        if self._saved.rewound:
            at = time.strftime("%H:%M", time.localtime(self._saved.saved_at_s))
            names = ", ".join(sorted(set(self._saved.rewound)))
            self._say(f"the container's memory was lost; as they were saved at {at}: {names}")
        for part in sorted(self._saved.process_parts):
            self._bring_back(part)
        return epoch

    async def make_again(self) -> None:
        """Run the notebook's `on_wake` functions if they are due."""
        if self._hooks.due:
            await self._hooks.run()

    def _bring_back(self, part: str) -> None:
        if module := module_of(part):
            self._imports.wait(module, lambda: self._restore(part))
        else:
            self._restore(part)

    def _restore(self, part: str) -> None:
        try:
            self._saved.restore_process(part)
        except Exception as error:  # noqa: BLE001 - whatever is in it; a cell that imports a library must not fail for it
            self._say(f"{part} could not be brought back: {type(error).__name__}: {error}")
