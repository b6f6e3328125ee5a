"""The child's way to the blob service: the agent has the token, so it fetches and stores; bytes meet in the arena."""

from __future__ import annotations

from typing import Any, Protocol

import blake3

from kernel_bridge.codecs.arena import LEFT_BYTES, Arena
from kernel_bridge.errors import NotFound
from kernel_bridge.protocol.messages import STATE, Buffer, Message, new_header


class Asks(Protocol):
    """What reaches the agent, from whatever process."""

    def request(self, message: Message, timeout_s: float | None = None) -> Message | None:
        """Ask and wait for the answer; None when nobody answers."""


class AgentBlobs:
    """Blobs by BLAKE3, through the agent."""

    def __init__(self, pipe: Asks, arena: Arena) -> None:
        self._pipe = pipe
        self._arena = arena
        self._files: dict[str, str] = {}  # BLAKE3 -> the file of the arena that holds it

    def has(self, digest: str) -> bool:
        """Tell whether these bytes are in the arena."""
        return digest in self._files and self._arena.has(self._files[digest])

    def put(self, data: Buffer, digest: str = "") -> str:
        """Store the bytes; returns their BLAKE3. Raises NotFound when the service does not take them."""
        name = blake3.blake3(data, max_threads=blake3.blake3.AUTO).hexdigest()
        file = self._files[name] = self._arena.put(data, digest)
        self._ask("blob_put_request", {"digest": name, "file": file})
        return name

    def get(self, digest: str, size_bytes: int) -> memoryview:
        """Return the bytes as private memory; raises NotFound."""
        if not self.has(digest):
            self._files[digest] = str(self._ask("blob_get_request", {"digest": digest})["file"])
        found = self._arena.map(self._files[digest], size_bytes)
        self._arena.trim(LEFT_BYTES)
        return found

    def _ask(self, msg_type: str, content: dict[str, Any]) -> dict[str, Any]:
        reply = self._pipe.request(Message(STATE, new_header(msg_type, ""), content=content))
        if reply is None or reply.content.get("why"):
            raise NotFound(f"The blob service failed: {reply.content['why'] if reply else 'the agent is gone'}.")
        return reply.content
