"""Whether the kernel child's output is read: it waits while nobody takes it, unless the child has to listen.

A child whose output is not read stands still in its next `print`, as a process does whose pipe is full. It cannot be
interrupted or save its state there. So once it is asked to, it is read again, and what it prints is left out until
there is room: the one case in which output is lost, and it is said how much.
"""

from __future__ import annotations

from typing import Final

from kernel_bridge.protocol.messages import IOPUB, glance, peek_channel
from remote_runtime.agent.child_link import ChildLink

_OUTPUT: Final = frozenset({"stream", "display_data", "update_display_data", "clear_output"})


class Valve:
    """One container's."""

    def __init__(self) -> None:
        self._link: ChildLink | None = None
        self._full = False
        self._listens = False
        self._left_out_bytes = 0

    def attach(self, link: ChildLink | None) -> None:
        """Take the link to a new child, or none when the old one has ended."""
        self._link = link
        self._turn()

    def press(self, full: bool) -> None:
        """Hear that what is kept has reached its limit, or that there is room again."""
        self._full = full
        self._turn()

    def listen(self, *, on: bool) -> None:
        """Have the child read whatever lies in the way: it was interrupted, or saves; or that is over."""
        self._listens = on
        self._turn()

    def takes(self, body: bytes) -> bool:
        """Tell whether a message of the child is to be sent on; output for which there is no room is left out."""
        if not (self._full and self._listens) or peek_channel(body) != IOPUB:
            return True
        return glance(body).header.get("msg_type") not in _OUTPUT or self._leave_out(len(body))

    def takes_text(self, text: str) -> bool:
        """Tell the same of what a process wrote to a pipe."""
        return not (self._full and self._listens) or self._leave_out(len(text))

    def left_out(self) -> str:
        """Return what to say of what was left out since this was asked last; empty when nothing was."""
        size_bytes, self._left_out_bytes = self._left_out_bytes, 0
        if not size_bytes:
            return ""
        return f"cellburst: {size_bytes / 1e6:.1f} MB of output were left out, nobody took what came before\n"

    def _leave_out(self, size_bytes: int) -> bool:
        self._left_out_bytes += size_bytes
        return False

    def _turn(self) -> None:
        if self._link is not None:
            self._link.pause(on=self._full and not self._listens)
