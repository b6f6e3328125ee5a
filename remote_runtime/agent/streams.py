"""sys.stdout and sys.stderr of the kernel child: the first line at once, then batches, never one message a flush."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any, Final

BATCH_S: Final = 0.02
BATCH_CHARS: Final = 32 << 10
FLUSHES: Final = 32  # that are sent at once in each BATCH_S: a loop that flushes every line costs no message a line
MESSAGE_CHARS: Final = 1 << 20
_STARTS: Final = frozenset({"subprocess.Popen", "os.system", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec"})


class Batcher:
    """One thread that writes out what streams hold back, BATCH_S after their last message."""

    def __init__(self) -> None:
        self._wanted = threading.Event()
        self._streams: list[CellStream] = []

    def add(self, stream: CellStream) -> None:
        """Look after a stream from now on."""
        self._streams.append(stream)

    def start(self) -> None:
        """Start the thread; call after the fork. From here on nothing is held back when a process starts."""
        threading.Thread(target=self._run, name="cellburst-output", daemon=True).start()
        sys.addaudithook(self._audit)

    def _audit(self, event: str, _arguments: tuple[Any, ...]) -> None:
        # What Python printed comes before what the new process prints.
        if event in _STARTS:
            for stream in self._streams:
                stream.write_out()

    def wake(self) -> None:
        """Say that a stream holds something back."""
        if not self._wanted.is_set():
            self._wanted.set()

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            self._wanted.wait()
            self._wanted.clear()
            pause.wait(BATCH_S)
            for stream in self._streams:
                stream.write_out()


class CellStream(io.TextIOBase):
    """Text the cell writes, sent as `stream` messages."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, name: str, descriptor: int, publish: Callable[[str, str], None], batcher: Batcher) -> None:
        self._name = name
        self._descriptor = descriptor
        self._publish = publish
        self._batcher = batcher
        self._lock = threading.RLock()
        self._parts: list[str] = []
        self._chars = 0
        self._last_s = 0.0
        self._flushes_since_s = 0.0
        self._flushes = 0
        self._owner = os.getpid()
        os.register_at_fork(after_in_child=self._forked)

    @property
    def name(self) -> str:
        """Return `<stdout>` or `<stderr>`, as a terminal's streams do."""
        return f"<{self._name}>"

    @property
    def buffer(self) -> io.BufferedIOBase:
        """Return a binary stream to the same place."""
        self.write_out()
        return _Binary(self)

    def close(self) -> None:
        """Stay open: it is the cell's way to the notebook, and the next cell's."""
        self.write_out()

    def writable(self) -> bool:
        """Say yes."""
        return True

    def isatty(self) -> bool:
        """Say no: there is no terminal, though colours are shown."""
        return False

    def fileno(self) -> int:
        """Return the descriptor that subprocesses inherit; what is written to it reaches the notebook too."""
        return self._descriptor

    def write(self, text: str) -> int:
        """Hold text back, or send it when nothing was sent lately; raises TypeError for anything but str."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if os.getpid() != self._owner:
            os.write(self._descriptor, text.encode(errors="replace"))
            return len(text)
        with self._lock:
            self._parts.append(text)
            self._chars += len(text)
            due = self._chars >= BATCH_CHARS or ("\n" in text and monotonic() - self._last_s >= BATCH_S)
            if due:
                self._send()
        if not due:
            self._batcher.wake()
        return len(text)

    def writelines(self, lines: Iterable[Any]) -> None:
        """Write each line."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Send what is held back, so that it precedes what is written to the descriptor next.

        Of more than FLUSHES in BATCH_S the rest is left to the batcher, and may be overtaken by such writing.
        """
        if self._chars and os.getpid() == self._owner:
            if self._may_flush():
                self.write_out()
            else:
                self._batcher.wake()

    def write_out(self) -> None:
        """Send what is held back, now; when this returns, what another thread was sending has been sent too."""
        if os.getpid() == self._owner:
            with self._lock:
                self._send()

    def _may_flush(self) -> bool:
        now_s = monotonic()
        if now_s - self._flushes_since_s >= BATCH_S:
            self._flushes_since_s, self._flushes = now_s, 0
        self._flushes += 1
        return self._flushes <= FLUSHES

    def _send(self) -> None:
        if not self._parts:
            return
        text = "".join(self._parts)
        self._parts.clear()
        self._chars = 0
        self._last_s = monotonic()
        # In pieces: what is larger than a frame could not be sent, ever.
        for start in range(0, len(text), MESSAGE_CHARS):
            self._publish(self._name, text[start : start + MESSAGE_CHARS])

    def _forked(self) -> None:
        self._lock = threading.RLock()
        self._parts = []
        self._chars = 0


class _Binary(io.BufferedIOBase):
    """`sys.stdout.buffer`: bytes written to the descriptor itself, after the text that came before them."""

    def __init__(self, stream: CellStream) -> None:
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._stream.write_out()
        view = memoryview(data).cast("B")
        sent = 0
        while sent < len(view):
            sent += os.write(self._stream.fileno(), view[sent:])
        return len(view)

    def flush(self) -> None:
        self._stream.write_out()
