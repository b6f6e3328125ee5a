"""ipykernel's kernel without ZeroMQ: the one module that knows its private names (ipykernel >=7.1,<8).

What ipykernel executes with is kept: `IPythonKernel.do_execute`, its shell, display publisher, display hook and comms.
What ties it to sockets is replaced: the session builds messages and hands them to a function, stdin waits for a reply
there, aborting queues is the loop's matter, and SIGINT wakes the loop that runs a top-level await.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

from ipykernel.ipkernel import IPythonKernel
from ipykernel.zmqshell import ZMQInteractiveShell
from IPython.core.interactiveshell import ExecutionResult
from jupyter_client.session import Session, extract_header
from traitlets.config import Config

from kernel_bridge.protocol.messages import IOPUB, STDIN, Message, new_header
from remote_runtime.agent.namespace import MainModule, Namespace

Publish = Callable[[Message], None]
Ask = Callable[[Message], Message | None]


class FrameSession(Session):
    """A jupyter session whose `send` makes one of our messages; the stream it is given is a channel's name."""

    publish: Publish | None = None

    def send(  # noqa: PLR0913, PLR0917 - jupyter_client's signature
        self,
        stream: Any,
        msg_or_type: Any,
        content: Any = None,
        parent: Any = None,
        ident: Any = None,
        buffers: Any = None,
        track: bool = False,
        header: Any = None,
        metadata: Any = None,
    ) -> dict[str, Any]:
        """Publish a message; returns it as a jupyter message dict."""
        message = _message(str(stream), msg_or_type, content, parent, buffers, header, metadata)
        if self.publish is not None:
            self.publish(message)
        return {"header": message.header, "content": message.content, "metadata": message.metadata}


class HostedShell(ZMQInteractiveShell):
    """The shell of a cell: its namespace pages, and stays that namespace through `%run`."""

    def run_line_magic(self, magic_name: str, line: str, _stack_depth: int = 1) -> Any:
        """Run a line magic, and put our builtins back: `%run` leaves the plain module behind."""
        try:
            return super().run_line_magic(magic_name, line, _stack_depth + 1)
        finally:
            self.user_ns.install_builtins()

    def init_history(self) -> None:
        """Keep no history file: the notebook has the history."""
        self.config.HistoryManager.enabled = False
        super().init_history()  # type: ignore[no-untyped-call]

    def enable_gui(self, gui: Any = None) -> None:
        """Refuse silently: there is no screen here."""


class HostedKernel(IPythonKernel):
    """IPythonKernel on a loop of ours."""

    shell_class = HostedShell
    ask: Ask | None = None  # sends an input_request and waits

    def attach(self, publish: Publish, ask: Ask) -> None:
        """Connect a kernel that was built before the fork to the world, and to the thread that is the main one now."""
        cast("FrameSession", self.session).publish = publish
        self.ask = ask
        self.shell_channel_thread.parent_thread = threading.current_thread()

    @property
    def namespace(self) -> Namespace:
        """Return the namespace cells run in."""
        return cast("Namespace", self._shell.user_ns)

    @property
    def hidden_names(self) -> dict[str, Any]:
        """Return what IPython itself bound in the namespace, by name."""
        hidden: dict[str, Any] = self._shell.user_ns_hidden
        return hidden

    @property
    def outcome(self) -> ExecutionResult | None:
        """Return the result of the last cell: its last expression's value and its error."""
        outcome: ExecutionResult | None = self._shell.last_execution_result
        return outcome

    def warm_up(self) -> None:
        """Have the patterns compiled with which a cell's text is read: most of what a first cell takes."""
        self._shell.transform_cell("x = f(1)\n")
        self._shell.check_complete("x = f(1)\n")

    async def run_code(self, code: str, content: dict[str, Any]) -> dict[str, Any]:
        """Run a cell as an execute_request's content asks; returns the content of the execute_reply."""
        self._shell.last_execution_result = None
        self._forget_input()
        reply: dict[str, Any] = await self.do_execute(  # type: ignore[no-untyped-call]
            code,
            bool(content.get("silent", False)),
            bool(content.get("store_history", True)),
            content.get("user_expressions") or {},
            bool(content.get("allow_stdin", False)),
        )
        return reply

    def begin(self, parent: dict[str, Any]) -> None:
        """Let what is published from now on belong to this message."""
        self.set_parent(b"", parent)  # type: ignore[no-untyped-call]

    @property
    def parent_header(self) -> dict[str, Any]:
        """Return the header of the message that is being handled."""
        parent = self.get_parent("shell")  # type: ignore[no-untyped-call]
        return parent.get("header", {}) if parent else {}

    @property
    def count(self) -> int:
        """Return the number the next cell gets."""
        return int(self._shell.execution_count)

    @property
    def _shell(self) -> Any:
        return self.shell

    def _forget_input(self) -> None:
        """Unbind `_i7` of the cell before: with one for each, every cell would be slower than the last."""
        name = f"_i{self.count - 1}"
        dict.pop(self.namespace, name, None)
        self.hidden_names.pop(name, None)

    def _input_request(self, prompt: str, ident: Any, parent: Any, password: bool = False) -> str:
        sys.stdout.flush()
        sys.stderr.flush()
        content = {"prompt": prompt, "password": password}
        reply = None
        if self.ask is not None:
            reply = self.ask(_message(STDIN, "input_request", content, parent))
        if reply is None or reply.content.get("value") == "\x04":
            raise EOFError
        return str(reply.content.get("value", ""))

    def _abort_queues(self, subshell_id: str | None = None) -> None:
        """Leave it to the notebook which cells still run."""

    @contextmanager
    def _cancel_on_sigint(self, future: asyncio.Future[Any]) -> Iterator[None]:
        """Cancel a top-level await at SIGINT; waking the loop from the handler is what makes it immediate."""
        loop = asyncio.get_running_loop()

        def interrupted(_signal: int, _frame: object) -> None:
            loop.call_soon_threadsafe(future.cancel)

        previous = signal.signal(signal.SIGINT, interrupted)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, previous)


def build_kernel() -> HostedKernel:
    """Make the kernel and its shell; they hold no thread, socket or loop, so a zygote may fork afterwards."""
    namespace = Namespace()
    config = Config()
    # Without this ipykernel imports debugpy (0.2 s, threads, a warning on stderr) for a debugger nobody can reach here.
    blocked = "debugpy" not in sys.modules
    if blocked:
        sys.modules["debugpy"] = None  # type: ignore[assignment]
    try:
        return _new_kernel(namespace, config)
    finally:
        if blocked:
            del sys.modules["debugpy"]


def _new_kernel(namespace: Namespace, config: Config) -> HostedKernel:
    config.HistoryManager.enabled = False
    config.InteractiveShell.cache_size = 0  # results live in the notebook's Out, not twice
    kernel = HostedKernel.instance(
        config=config,
        log=logging.getLogger("cellburst.kernel"),
        session=FrameSession(key=b"", username="cellburst"),
        iopub_socket=IOPUB,
        stdin_socket=STDIN,
        user_module=MainModule(namespace),
        user_ns=namespace,
        shell_channel_thread=SimpleNamespace(parent_thread=threading.current_thread()),
    )
    namespace.install_builtins()
    kernel.warm_up()
    return kernel


def _message(
    channel: str,
    msg_or_type: Any,
    content: Any = None,
    parent: Any = None,
    buffers: Any = None,
    header: Any = None,
    metadata: Any = None,
) -> Message:
    if isinstance(msg_or_type, dict):
        return Message(
            channel,
            msg_or_type["header"],
            msg_or_type.get("parent_header") or {},
            msg_or_type.get("metadata") or {},
            msg_or_type["content"],
            tuple(buffers or msg_or_type.get("buffers") or ()),
        )
    return Message(
        channel,
        header or new_header(msg_or_type, "cellburst"),
        extract_header(parent) if parent else {},
        metadata or {},
        content or {},
        tuple(buffers or ()),
    )
