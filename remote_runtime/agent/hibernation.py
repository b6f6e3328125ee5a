"""How a kernel child falls asleep and goes on for one before it: what it saves, finds, makes again and has to say."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from kernel_bridge.capture.mirror import Mirror
from kernel_bridge.capture.references import ReferenceTable
from kernel_bridge.protocol.cells import CellReply
from kernel_bridge.protocol.containers import ContainerConfig
from kernel_bridge.protocol.wire import to_wire
from remote_runtime.agent.background import running
from remote_runtime.agent.cell import CellRunner
from remote_runtime.agent.kept import KeptTable
from remote_runtime.agent.kernel_host import HostedKernel
from remote_runtime.agent.process_state import ProcessState
from remote_runtime.agent.rest import awake
from remote_runtime.agent.resume import Resumption
from remote_runtime.agent.saved import SavedState, describe_names
from remote_runtime.agent.secrets import SavingTable


class Hibernation:
    """One child's, from its fork to its end."""

    def __init__(self, config: ContainerConfig, kernel: HostedKernel, mirror: Mirror, references: KeptTable) -> None:
        self._namespace = kernel.namespace
        self._remarks: list[str] = []  # to show under the next cell
        self._process = ProcessState(self._remark)
        # On the disk there are references instead of secrets: what cannot be one is not saved.
        texts = references.texts
        saving = partial(SavingTable, texts) if texts else ReferenceTable
        why_not = texts.why_not_on_disk if texts else None
        self.saved = SavedState(config.state_dir, kernel.namespace, mirror, references, self._process, why_not, saving)
        references.saved = self.saved
        self._resumption = Resumption(kernel, self.saved, self._remark, again=config.again)

    def wake(self, epoch: str) -> str:
        """Find what was saved for this namespace; returns the namespace's epoch, another one if it starts empty."""
        self._process.begin()
        return self._resumption.begin(epoch)

    async def make_again(self) -> None:
        """Run the notebook's `on_wake` functions if they are due."""
        await self._resumption.make_again()

    def state_of(self, cells: CellRunner) -> dict[str, Any]:
        """Return what lives here, and what of it would be lost if the session slept now."""
        names = dict(describe_names(self._namespace, cells.remote_only()))
        names |= dict.fromkeys(self.saved.names - names.keys(), "saved")
        with self._namespace.plain():
            lost = self.saved.would_lose(cells.user_names())
        background = running(self._namespace)
        return {"names": names, "lost": lost | background, "background": sorted(background)}

    def rest(self) -> dict[str, Any]:
        """Return what would miss the processor if it were taken away until the next cell."""
        return awake(self._namespace)

    def save(self, cells: CellRunner) -> dict[str, Any]:
        """Write what lives here as the new state; returns what was kept and what could not be. Raises OSError."""
        with self._namespace.plain(), cells.aside.back():
            report = self.saved.save(cells.user_names(), cells.epoch, self._remarks)
        found: dict[str, Any] = to_wire(replace(report, lost=report.lost | running(self._namespace)))
        return found

    def tell(self, reply: CellReply) -> CellReply:
        """Add to a cell's reply what is to be shown under it; it is said once."""
        reply, self._remarks = replace(reply, notices=(*self._remarks, *reply.notices)), []
        return reply

    def _remark(self, line: str) -> None:
        """Have a line shown under the next cell."""
        self._remarks.append(line)
