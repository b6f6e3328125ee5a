"""A real control plane over the tests' fake provider, as a process: its containers are fake agents in another.

Prints its address when it listens. Only benchmarks start it; nothing that ships imports it.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import IO, Final

from kernel_bridge.protocol.wire import to_wire
from remote_runtime.app import create_plane
from remote_runtime.arenas import ArenaRoot
from remote_runtime.clock import SystemClock
from remote_runtime.providers.base import ContainerSpec, Handle, Offer
from remote_runtime.server import Server
from remote_runtime.settings import Settings
from remote_runtime.store.store import Store
from tests.fakes import FakeImages, FakeProvider

_BACKLOG: Final = 1024


class AnsweringProvider(FakeProvider):
    """The fake provider, whose containers have agents that dial."""

    def __init__(self, cards: int, agents: IO[bytes]) -> None:
        super().__init__(Offer(card="A100", total=cards, simulated=True), clock=SystemClock())
        self._agents = agents

    async def start(self, spec: ContainerSpec) -> Handle:
        """Start nothing, and tell the agents of it."""
        handle = await super().start(spec)
        self._agents.write(json.dumps(to_wire(spec.config)).encode() + b"\n")
        self._agents.flush()
        return handle


def main() -> int:
    """Serve until the process that started this closes its standard input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--cards", type=int, required=True)
    asked = parser.parse_args()
    command = [sys.executable, "-m", "benchmarks.load.fake_agents"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as agents:
        assert agents.stdin is not None
        _serve(asked.folder, AnsweringProvider(asked.cards, agents.stdin))
        agents.stdin.close()
    return 0


def _serve(folder: Path, provider: AnsweringProvider) -> None:
    settings = Settings(data_dir=folder / "data", runtime_dir=folder / "run")
    for made in (settings.data_dir, settings.runtime_dir, folder / "arena"):
        made.mkdir(parents=True)
    store = Store.open(settings.store_url, SystemClock(), settings.data_dir)
    store.tokens.register((folder / "token").read_text(), "benchmark")
    server = Server()
    plane = create_plane(
        settings,
        store,
        ArenaRoot(path=folder / "arena", kind="files"),
        control_url=f"unix:{settings.socket_path}",
        leave=server.leave,
        provider=provider,
        images=FakeImages(),
    )
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(settings.socket_path))
        listener.listen(_BACKLOG)
        server.prepare(plane, hibernates=False)
        print(settings.socket_path, flush=True)
        server.run([listener])
    store.close()


if __name__ == "__main__":
    sys.exit(os.EX_OK if main() == 0 else os.EX_SOFTWARE)
