"""The two seams between the scheduler and the websockets: what it may say on them, and what it is told of them."""

from __future__ import annotations

from typing import Protocol

from kernel_bridge.protocol.notes import AgentHello, ChildEnded, Heartbeat, Note, Saved
from kernel_bridge.protocol.sessions import SessionInfo


class Lines(Protocol):
    """A session's two ends, as the scheduler may use them. An end that is not connected hears nothing."""

    async def tell_client(self, session_id: str, note: Note) -> None:
        """Say something to the notebook."""

    async def tell_agent(self, session_id: str, note: Note) -> bool:
        """Say something to the container; False when it is not connected."""

    def hold(self, session_id: str) -> None:
        """Stop what the notebook sends to the container; replies still flow."""

    async def resume(self, session_id: str) -> None:
        """Let it go on, with what was stopped meanwhile."""

    async def container_ended(self, session_id: str, why: str, running: tuple[str, ...]) -> None:
        """Hang up on the agent and tell the notebook that this stream is over."""

    def client_connected(self, session_id: str) -> bool:
        """Tell whether a notebook is connected."""

    def clients(self) -> int:
        """Return how many notebooks are connected."""

    def relayed(self) -> dict[str, tuple[int, int]]:
        """Return how many messages, and of how many bytes, were handed on to `notebook` and `container`."""


class Listener(Protocol):
    """What the websockets report. Nothing here waits for a database."""

    async def client_up(self, session_id: str) -> SessionInfo:
        """A notebook is here; return its session."""

    def client_down(self, session_id: str, *, goodbye: bool) -> None:
        """The notebook has gone, for good when it said goodbye."""

    def wanted(self, session_id: str) -> None:
        """The notebook has a cell to run."""

    async def agent_up(self, container_id: str, hello: AgentHello) -> str:
        """A container's agent is here; return its session. Raises NotFound when that container has ended."""

    async def joined(self, session_id: str) -> SessionInfo:
        """Both ends are here; return the session as the notebook should see it."""

    def agent_down(self, container_id: str) -> None:
        """The agent's connection has gone."""

    def beat(self, container_id: str, heartbeat: Heartbeat) -> None:
        """A sign of life."""

    def saved(self, container_id: str, saved: Saved) -> None:
        """The state lies in the session's directory."""

    def child_ended(self, container_id: str, ended: ChildEnded) -> None:
        """The process that ran user code ended; another took its place."""

    def cell_started(self, session_id: str, cell_id: str, code_digest: str) -> None:
        """A cell was handed to its container."""

    def cell_ended(self, session_id: str, cell_id: str, status: str, last_seq: int) -> None:
        """A cell's reply went by."""
