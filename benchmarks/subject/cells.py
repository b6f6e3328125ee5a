"""Cells on Cellburst: over a session's channel, as a client sends them, and whole, as the magic runs them."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from IPython.core.interactiveshell import InteractiveShell

from kernel_bridge.client.channel import Channel
from kernel_bridge.client.events import Event
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.protocol.cells import METADATA_KEY, CellRequest
from kernel_bridge.protocol.messages import SHELL, Message, new_header
from kernel_bridge.protocol.notes import PeerUp, Refused
from kernel_bridge.protocol.sessions import SessionInfo, SessionSpec
from kernel_bridge.protocol.wire import to_wire

START_S: Final = 300.0
CELL_S: Final = 120.0


class CellFailed(Exception):
    """A cell that is measured has to succeed."""


@dataclass
class Remote:
    """A session whose container answers, and a channel to it."""

    info: SessionInfo
    channel: Channel
    epoch: str = ""
    lines: int = field(default=0)  # that the last cell printed

    def run(self, code: str = "x = 1") -> None:
        """Run a cell and wait for its reply."""
        self._follow(self._send(code), until_text=False)

    def first_text(self, code: str) -> float:
        """Run a cell; return the seconds until the first text it printed was here. It has ended when this returns."""
        began_s = time.perf_counter()
        sent = self._send(code)
        self._follow(sent, until_text=True)
        took_s = time.perf_counter() - began_s
        self._follow(sent, until_text=False)
        return took_s

    def count_lines(self, code: str) -> None:
        """Run a cell and count the lines that arrive."""
        self.lines = 0
        self.run(code)

    def wait(self) -> None:
        """Wait until the container answers."""
        while True:
            event: Event = self.channel.events.get(timeout=START_S)
            if isinstance(event, PeerUp):
                self.epoch = event.epoch
                return
            if isinstance(event, Refused):
                raise CellFailed(f"{event.code}: {event.detail}")

    def _send(self, code: str) -> str:
        header = new_header("execute_request", "benchmark")
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        metadata = {METADATA_KEY: to_wire(CellRequest(epoch=self.epoch))}
        self.channel.send(Message(SHELL, header, metadata=metadata, content=content))
        return str(header["msg_id"])

    def _follow(self, sent: str, *, until_text: bool) -> None:
        while True:
            try:
                event = self.channel.events.get(timeout=CELL_S)
            except queue.Empty:
                raise CellFailed("the cell got no reply") from None
            if not isinstance(event, Message) or event.parent_id != sent:
                continue
            if event.type == "stream":
                self.lines += str(event.content["text"]).count("\n")
                if until_text:
                    return
            elif event.type == "execute_reply":
                if event.content.get("status") != "ok":
                    raise CellFailed(str(event.content))
                return


def open_remote(plane: ControlPlane, spec: SessionSpec) -> Remote:
    """Open a session, wake its container and wait until it answers."""
    info = plane.open_session(spec)
    remote = Remote(info, Channel(plane, info.id).start())
    remote.channel.wake()
    remote.wait()
    return remote


def close_remote(plane: ControlPlane, remote: Remote) -> None:
    """End a session, its container and all it kept."""
    remote.channel.close()
    plane.reset_session(remote.info.id)


@contextmanager
def remote_cells(plane: ControlPlane, spec: SessionSpec) -> Iterator[Remote]:
    """Open a session for as long as the context lasts."""
    remote = open_remote(plane, spec)
    try:
        yield remote
    finally:
        close_remote(plane, remote)


class Notebook:
    """An IPython shell in this process with the extension loaded: what a notebook's kernel is to `%%gpu`."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell

    def gpu(self, code: str, options: str = "") -> Any:
        """Run a whole `%%gpu` cell; raises what it raises."""
        return self.shell.run_cell_magic("gpu", f"A100 --quiet {options}", code)

    def __getitem__(self, name: str) -> Any:
        return self.shell.user_ns[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.shell.user_ns[name] = value


@contextmanager
def notebook() -> Iterator[Notebook]:
    """Load the extension into a shell of this process; the runtime it starts is the caller's to stop."""
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "cellburst")
    try:
        yield Notebook(shell)
    finally:
        shell.run_line_magic("unload_ext", "cellburst")  # else its channel would start the runtime again
