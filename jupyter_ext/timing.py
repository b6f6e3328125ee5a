"""Where a cell's time went, by the clock of the person who waited."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from kernel_bridge.protocol.cells import CellReply
from kernel_bridge.protocol.sessions import SessionInfo


@dataclass(slots=True)
class Timing:
    """One cell's moments; all of them together are the wall time from its first line to its footer."""

    began_s: float = field(default_factory=time.perf_counter)
    sent_s: float = 0.0
    answered_s: float = 0.0
    waited_for_container: bool = False  # one had to be started or woken

    def sent(self) -> None:
        """Note that the request is on its way; the last attempt counts."""
        self.sent_s = time.perf_counter()

    def answered(self) -> None:
        """Note that the reply is here."""
        self.answered_s = time.perf_counter()

    def run_s(self, reply: CellReply) -> float:
        """Return the seconds the code ran: as the container says, else as seen from here."""
        return reply.run_s or max(self.answered_s - self.sent_s - reply.prepare_s, 0.0)

    def before_s(self, reply: CellReply) -> float:
        """Return the seconds before the code ran: starting, packages, values packed here and rebuilt there."""
        return self.sent_s - self.began_s + reply.prepare_s

    def after_s(self, reply: CellReply) -> float:
        """Return the seconds since the code ended: finding what changed, and bringing it home."""
        return max(self.total_s() - self.before_s(reply) - self.run_s(reply), 0.0)

    def total_s(self) -> float:
        """Return the seconds since the cell began."""
        return time.perf_counter() - self.began_s

    def charged_s(self, info: SessionInfo) -> float:
        """Return the seconds of this cell in which its container stood there: what is paid for."""
        total_s = self.total_s()
        if not self.waited_for_container or not info.container_started_at_s:
            return total_s
        return min(max(time.time() - info.container_started_at_s, 0.0), total_s)
