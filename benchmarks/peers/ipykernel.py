"""A stock ipykernel on this machine, spoken to by jupyter_client: what a notebook has without us."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from jupyter_client.manager import KernelManager, start_new_kernel

ANSWER_S: Final = 120.0


class LocalKernel:
    """One running kernel and a blocking client."""

    def __init__(self, manager: KernelManager, client: Any) -> None:
        self._manager = manager
        self._client = client
        self.lines = 0  # that the last cell printed

    def run(self, code: str = "x = 1") -> None:
        """Run a cell and wait for its reply; what it publishes is left for `drain`."""
        sent = self._client.execute(code)
        while (reply := self._client.get_shell_msg(timeout=ANSWER_S))["parent_header"].get("msg_id") != sent:
            pass
        if reply["content"]["status"] != "ok":
            raise RuntimeError(f"the local kernel failed: {reply['content']}")

    def drain(self) -> None:
        """Throw away what was published, so that it does not pile up."""
        while self._client.iopub_channel.msg_ready():
            self._client.get_iopub_msg(timeout=1)

    def count_lines(self, code: str) -> None:
        """Run a cell and count the lines that arrive, until it is idle again."""
        self.lines = 0
        sent = self._client.execute(code)
        for message in self._published(sent):
            if message["msg_type"] == "stream":
                self.lines += message["content"]["text"].count("\n")
        self._client.get_shell_msg(timeout=ANSWER_S)

    def first_text(self, code: str) -> float:
        """Run a cell; return the seconds until the first text it printed was here. It has ended when this returns."""
        began_s = time.perf_counter()
        sent, took_s = self._client.execute(code), 0.0
        for message in self._published(sent):
            if message["msg_type"] == "stream" and not took_s:
                took_s = time.perf_counter() - began_s
        self._client.get_shell_msg(timeout=ANSWER_S)
        return took_s

    def stop(self) -> None:
        """End it."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    def _published(self, sent: str) -> Iterator[dict[str, Any]]:
        """Yield what a cell publishes, up to its idle."""
        while True:
            try:
                message: dict[str, Any] = self._client.get_iopub_msg(timeout=ANSWER_S)
            except queue.Empty:
                raise RuntimeError("the local kernel fell silent") from None
            if message["parent_header"].get("msg_id") == sent:
                if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                    return
                yield message


def start() -> LocalKernel:
    """Start a kernel and wait until it answers."""
    return LocalKernel(*start_new_kernel(kernel_name="python3"))


@contextmanager
def local_kernel() -> Iterator[LocalKernel]:
    """Start a kernel for as long as the context lasts."""
    kernel = start()
    try:
        yield kernel
    finally:
        kernel.stop()
