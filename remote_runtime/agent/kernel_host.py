"""ipykernel's kernel without ZeroMQ: the one module that knows its private names (ipykernel >=7.1,<8).

What ipykernel executes with is kept: `IPythonKernel.do_execute`, its shell, display publisher, display hook and comms.
What ties it to sockets is replaced: the session builds messages and hands them to a function, stdin waits for a reply
there, aborting queues is the loop's matter, and SIGINT wakes the loop that runs a top-level await.
"""

from __future__ import annotations
import __future__

import asyncio
import inspect
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

from ipykernel.compiler import XCachingCompiler
from ipykernel.ipkernel import IPythonKernel
from ipykernel.zmqshell import ZMQInteractiveShell
from IPython.core.interactiveshell import ExecutionResult
from jupyter_client.session import Session, extract_header
from traitlets import Type
from traitlets.config import Config

from kernel_bridge.protocol.cells import METADATA_KEY
from kernel_bridge.protocol.messages import IOPUB, STDIN, Message, new_header
from remote_runtime.agent.namespace import MainModule, Namespace
from remote_runtime.agent.pip_magic import as_pip_line

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


class _Compiler(XCachingCompiler):
    """Knows the name of the first text that a cell had compiled, which is its own; to compute it again is slow."""

    first = ""

    def cache(self, transformed_code: str, number: int = 0, raw_code: str | None = None) -> str:
        name: str = super().cache(transformed_code, number, raw_code)
        self.first = self.first or name
        return name


class HostedShell(ZMQInteractiveShell):
    """The shell of a cell: its namespace pages, and stays that namespace through `%run`."""

    _inside = 0  # how many cells run inside another

    async def run_cell_async(self, *arguments: Any, **options: Any) -> ExecutionResult:
        """Run a cell; one that runs inside another leaves it the place where its last value is noted."""
        outer = self.displayhook.exec_result
        self._inside += outer is not None
        try:
            result: ExecutionResult = await super().run_cell_async(*arguments, **options)
            return result
        finally:
            self.displayhook.exec_result = outer
            self._inside -= outer is not None

    def _showtraceback(self, etype: Any, evalue: Any, stb: list[str]) -> None:
        """Show a traceback: the one that ends the cell, which the notebook shows itself, or one by the way.

        `%run`, `%time`, a cell run by a cell and a `_repr_html_` that fails show theirs, and the cell goes on.
        """
        hook: Any = self.displayhook
        ends = hook.exec_result is None or hook.exec_result.error_in_exec is evalue
        if ends and not self._inside:
            super()._showtraceback(etype, evalue, stb)  # type: ignore[no-untyped-call]
            return
        sys.stdout.flush()
        sys.stderr.flush()
        if getattr(hook, "msg", None) is not None:  # the last value's own: ipykernel fails the cell for it
            self._last_traceback_during_displayhook = True
        content = {"traceback": stb, "ename": etype.__name__, "evalue": str(evalue)}
        metadata = {METADATA_KEY: {"by_the_way": True}}
        hook.session.send(hook.pub_socket, "error", content, hook.parent_header, metadata=metadata)
        self._last_traceback = stb

    def run_line_magic(self, magic_name: str, line: str, _stack_depth: int = 1) -> Any:
        """Run a line magic, and put our builtins back: `%run` leaves the plain module behind."""
        try:
            return super().run_line_magic(magic_name, line, _stack_depth + 1)
        finally:
            self.user_ns.install_builtins()

    def system(self, cmd: str) -> None:
        """Run a shell command; `pip install` becomes the magic, as there is no pip here."""
        line = as_pip_line(cmd)
        if line is None:
            super().system(cmd)  # type: ignore[no-untyped-call]
        else:
            self.run_line_magic("pip", line, _stack_depth=2)

    def show_usage_error(self, exc: BaseException) -> None:
        """Leave it to the notebook, which shows the cell's error."""

    def init_history(self) -> None:
        """Keep no history file: the notebook has the history."""
        self.config.HistoryManager.enabled = False
        super().init_history()  # type: ignore[no-untyped-call]
        manager: Any = self.history_manager
        manager.store_inputs = partial(_remember_input, manager)

    def enable_gui(self, gui: Any = None) -> None:
        """Refuse silently: there is no screen here."""


class HostedKernel(IPythonKernel):
    """IPythonKernel on a loop of ours."""

    shell_class = HostedShell
    compiler_class = Type(_Compiler)
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
    def underscore_is_mine(self) -> bool:
        """Tell whether `_` is what the last results left there, and not bound by a cell."""
        held = dict.get(self.namespace, "_", self._shell.displayhook._)
        return held is self._shell.displayhook._

    @property
    def outcome(self) -> ExecutionResult | None:
        """Return the result of the last cell: its last expression's value and its error."""
        outcome: ExecutionResult | None = self._shell.last_execution_result
        return outcome

    @property
    def filename(self) -> str:
        """Return the name under which the text of the last cell was compiled."""
        return cast("_Compiler", self._shell.compile).first

    @property
    def defers_annotations(self) -> bool:
        """Tell whether a cell has said `from __future__ import annotations`."""
        return bool(self._shell.compile.flags & __future__.annotations.compiler_flag)

    def defer_annotations(self) -> None:
        """Compile cells from now on as if they said so."""
        self._shell.compile.flags |= __future__.annotations.compiler_flag

    def warm_up(self) -> None:
        """Have the patterns compiled with which a cell's text is read: most of what a first cell takes."""
        self._shell.transform_cell("x = f(1)\n")
        self._shell.check_complete("x = f(1)\n")

    async def run_code(self, code: str, content: dict[str, Any]) -> dict[str, Any]:
        """Run a cell as an execute_request's content asks; returns the content of the execute_reply."""
        self._shell.last_execution_result = None
        self._shell.compile.first = ""
        reply: dict[str, Any] = await self.do_execute(  # type: ignore[no-untyped-call]
            code,
            bool(content.get("silent", False)),
            bool(content.get("store_history", True)),
            content.get("user_expressions") or {},
            bool(content.get("allow_stdin", False)),
        )
        return reply

    async def call(self, function: Callable[[], Any]) -> None:
        """Call a function of the user's as a cell would, and wait for it where it is asynchronous."""
        with self._shell.builtin_trap, self._shell.display_trap:
            found = function()
            if inspect.isawaitable(found):
                waiting = asyncio.ensure_future(found)
                with self._cancel_on_sigint(waiting):
                    await _uncancelled(waiting)

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

    @count.setter
    def count(self, number: int) -> None:
        self._shell.execution_count = number

    def number_cell(self, filename: str, number: int) -> None:
        """Let tracebacks call a cell of the notebook by its number; 0 is none."""
        if number:
            self._shell.compile._filename_map[filename] = number

    @property
    def _shell(self) -> Any:
        return self.shell

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


async def _uncancelled(waiting: asyncio.Future[Any]) -> None:
    """Wait; an interrupt cancels what is waited for, and is one here."""
    try:
        await waiting
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _remember_input(manager: Any, _number: int, source: str, source_raw: str | None = None) -> None:
    """Keep a cell's text for `In`, and bind no `_i` and `_i7`: those come from the notebook when a cell reads them."""
    manager.input_hist_parsed.append(source.rstrip("\n"))
    manager.input_hist_raw.append((source if source_raw is None else source_raw).rstrip("\n"))


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
