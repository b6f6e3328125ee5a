"""The child's way to the blob service: the agent has the token, so it fetches and stores; bytes meet in the arena."""

from __future__ import annotations

from typing import Any

import blake3

from kernel_bridge.codecs.arena import Arena
from kernel_bridge.errors import NotFound
from kernel_bridge.protocol.messages import STATE, Buffer, Message, new_header
from remote_runtime.agent.pipe import Pipe


class AgentBlobs:
    """Blobs by BLAKE3, through the agent."""

    def __init__(self, pipe: Pipe, arena: Arena) -> None:
        self._pipe = pipe
        self._arena = arena

    def put(self, data: Buffer, digest: str = "") -> str:
        """Store the bytes; returns their BLAKE3. Raises NotFound when the service does not take them."""
        name = blake3.blake3(data, max_threads=blake3.blake3.AUTO).hexdigest()
        file = self._arena.put(data, digest)
        self._ask("blob_put_request", {"digest": name, "file": file})
        return name

    def get(self, digest: str, size_bytes: int) -> memoryview:
        """Return the bytes as private memory; raises NotFound."""
        reply = self._ask("blob_get_request", {"digest": digest})
        return self._arena.map(str(reply["file"]), size_bytes)

    def _ask(self, msg_type: str, content: dict[str, Any]) -> dict[str, Any]:
        reply = self._pipe.ask(Message(STATE, new_header(msg_type, ""), content=content))
        if reply is None or reply.content.get("why"):
            raise NotFound(f"The blob service failed: {reply.content['why'] if reply else 'the agent is gone'}.")
        return reply.content
