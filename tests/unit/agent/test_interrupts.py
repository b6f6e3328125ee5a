"""An interrupt that comes while a frame is on its way."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from kernel_bridge.protocol.framing import Frames
from kernel_bridge.protocol.messages import IOPUB, Message, decode, new_header
from remote_runtime.agent.pipe import Pipe


def test_a_frame_is_sent_whole(tmp_path: Path) -> None:
    """The interrupt waits for the frame's end, then it is raised."""
    ours, theirs = socket.socketpair()
    pipe = Pipe(ours, agent_socket=str(tmp_path / "agent.sock"))
    message = Message(IOPUB, new_header("stream", "test"), {}, {}, {"name": "stdout", "text": "x" * 900_000})
    bodies: list[bytes] = []

    def read() -> None:
        time.sleep(0.1)  # the socket's buffer is full, the sender waits
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)
        frames = Frames()
        while data := theirs.recv(1 << 16):
            bodies.extend(bytes(body) for _flags, body in frames.feed(data))

    before = signal.signal(signal.SIGINT, lambda *_: pipe.interrupts.arrived())
    reader = threading.Thread(target=read)
    reader.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            pipe.send(message)
        pipe.send(message)
    finally:
        signal.signal(signal.SIGINT, before)
        ours.close()
        reader.join()
        theirs.close()
    assert [len(decode(body).content["text"]) for body in bodies] == [900_000, 900_000]
