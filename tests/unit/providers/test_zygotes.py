"""Asking a zygote for a container."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

from remote_runtime.providers.zygotes import _ask


class Unhurried:
    """A request whose asker is kept from looking at the rest of it until the zygote has answered and hung up."""

    descriptors = ()

    def __init__(self) -> None:
        self.hung_up = threading.Event()
        self._looks = 0

    @property
    def text(self) -> bytes:
        self._looks += 1
        if self._looks > 1:
            assert self.hung_up.wait(10)
        return b'{"op": "fork"}\n'


def test_a_zygote_that_answers_at_once_is_heard(tmp_path: Path) -> None:
    """Else its container would run and nobody know of it."""
    asked: Any = Unhurried()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "z"))
        listener.listen()

        def answer() -> None:
            with listener.accept()[0] as connection:
                connection.recv(1000)
                connection.sendall(b'{"pid": 7}\n')
            asked.hung_up.set()

        thread = threading.Thread(target=answer)
        thread.start()
        assert _ask(tmp_path / "z", asked) == {"pid": 7}
        thread.join()
