"""Jupyter messages from the container -> output under the cell, as if it had been made here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

from IPython.core.displayhook import CapturingDisplayHook

from jupyter_ext.notebook import in_ipykernel
from jupyter_ext.status import StatusLine
from kernel_bridge.protocol.cells import METADATA_KEY
from kernel_bridge.protocol.messages import Message

# The kernel's own messages; those that say something about the cell are read elsewhere.
_SILENT: Final = frozenset({"status", "execute_input", "error", "iopub_welcome"})
_COMMS: Final = frozenset({"comm_open", "comm_msg", "comm_close"})


class Outputs:
    """Shows what one cell prints and displays, through this process's own streams and display publisher.

    `show_result` is off for `z = %gpu f(x)`: there the value is returned, and IPython shows it or not.
    """

    def __init__(self, shell: Any, status: StatusLine, *, show_result: bool = True) -> None:
        self._shell = shell
        self._status = status
        self._show_result = show_result
        self._unflushed: set[str] = set()
        self._handlers: dict[str, Callable[[Message], None]] = {
            "stream": self._stream,
            "display_data": self._display,
            "update_display_data": self._update_display,
            "clear_output": self._clear,
            "execute_result": self._result,
            "error": self._error,
        }

    def show(self, message: Message) -> None:
        """Show one iopub message of the running cell."""
        if message.type in _COMMS:
            forward(self._shell, message)
        elif message.type == "error" and not message.metadata.get(METADATA_KEY, {}).get("by_the_way"):
            return  # it ends the cell, and is raised here
        elif handler := self._handlers.get(message.type):
            self._status.remove()
            handler(message)

    def flush(self) -> None:
        """Push out what was written: nothing more is at hand."""
        for name in self._unflushed:
            getattr(sys, name).flush()
        self._unflushed.clear()

    def _stream(self, message: Message) -> None:
        name = "stderr" if message.content.get("name") == "stderr" else "stdout"
        getattr(sys, name).write(message.content.get("text", ""))
        self._unflushed.add(name)

    def _display(self, message: Message, *, update: bool = False) -> None:
        content = message.content
        self._shell.display_pub.publish(
            data=content.get("data", {}),
            metadata=content.get("metadata", {}),
            transient=content.get("transient", {}),
            update=update,
        )

    def _update_display(self, message: Message) -> None:
        self._display(message, update=True)

    def _clear(self, message: Message) -> None:
        self._shell.display_pub.clear_output(wait=bool(message.content.get("wait")))

    def _error(self, message: Message) -> None:
        content = message.content
        kind = type(str(content.get("ename")), (Exception,), {})
        self._shell._showtraceback(kind, content.get("evalue", ""), list(content.get("traceback", ())))

    def _result(self, message: Message) -> None:
        if self._show_result:
            show_result(self._shell, message.content.get("data", {}), message.content.get("metadata", {}))


def show_result(shell: Any, data: dict[str, Any], metadata: dict[str, Any]) -> None:
    """Show a MIME bundle as this cell's `Out[n]`, without the value."""
    if isinstance(sys.displayhook, CapturingDisplayHook):  # inside %%capture
        sys.displayhook.outputs.append({"data": data, "metadata": metadata})
        return
    hook = shell.displayhook
    hook.start_displayhook()
    hook.write_output_prompt()
    hook.write_format_data(data, metadata)
    hook.log_output(data)
    hook.finish_displayhook()


def show_late(shell: Any, message: Message, parent: dict[str, Any]) -> None:
    """Show what arrives when its cell is over, under that cell where the front end can."""
    if message.type in _SILENT:
        return
    if in_ipykernel(shell) and parent:
        forward(shell, message, parent)
    elif message.type == "stream":
        getattr(sys, str(message.content.get("name", "stdout"))).write(message.content.get("text", ""))


def forward(shell: Any, message: Message, parent: dict[str, Any] | None = None) -> None:
    """Hand a message to the front end as it is; nobody listens outside ipykernel."""
    if not in_ipykernel(shell):
        return
    kernel = shell.kernel
    kernel.session.send(
        kernel.iopub_socket,
        message.type,
        message.content,
        metadata=message.metadata,
        parent=parent or kernel.get_parent(),
        ident=message.type.encode(),
        buffers=[bytes(buffer) for buffer in message.buffers] or None,
    )
