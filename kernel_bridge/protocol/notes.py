"""Notes: what the three parties on a session's websockets say to each other besides Jupyter messages.

client  ── Hello ──► control plane ── Welcome, Progress, PeerUp, PeerDown, Refused ──► client
agent   ── AgentHello, Heartbeat, ChildEnded, Saved ──► control plane ── AgentWelcome, PeerUp, Hibernate, Stop ──► agent
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from kernel_bridge.protocol.sessions import SessionInfo
from kernel_bridge.protocol.wire import tagged_from_wire, tagged_to_wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """Client: I am here. `stream` is the container I last spoke with, `received` how far I got in it."""

    kind: ClassVar[str] = "hello"
    protocol: int
    stream: str = ""
    received: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake:
    """Client: I have a cell to run; start a container if there is none."""

    kind: ClassVar[str] = "wake"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodbye:
    """Client: the notebook kernel ends; nobody will come back for what runs."""

    kind: ClassVar[str] = "goodbye"


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """Control plane to client: this is your session now."""

    kind: ClassVar[str] = "welcome"
    session: SessionInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Control plane to client: what is being waited for.

    `phase` is queued, building, starting or waking; `line` is one line of a build's log.
    """

    kind: ClassVar[str] = "progress"
    phase: str
    text: str = ""
    line: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerUp:
    """To either end: the other end is connected and has received up to `received` of the stream (a container)."""

    kind: ClassVar[str] = "peer_up"
    stream: str
    received: int = 0
    epoch: str = ""  # to the client: which namespace answers
    packages: dict[str, str] = field(default_factory=dict)  # to the client: versions of those whose values travel
    session: SessionInfo | None = None  # to the client


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerDown:
    """To either end: the other end is gone. `final`: it will not come back, and `why` is its end.

    `running` are the cells that had been handed to it and got no reply; any other may be sent again. None: not known.
    """

    kind: ClassVar[str] = "peer_down"
    why: str = ""
    final: bool = False
    running: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Control plane to client: the session cannot get a container, and why (an error's code and detail)."""

    kind: ClassVar[str] = "refused"
    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentHello:
    """Agent: I run this container, and have received so much of the client's stream."""

    kind: ClassVar[str] = "agent_hello"
    protocol: int
    container_id: str
    epoch: str
    stream: str = ""  # the one it was last told of
    received: int = 0
    busy: bool = False
    outbox_messages: int = 0  # kept until the notebook acknowledges them
    packages: dict[str, str] = field(default_factory=dict)  # versions of those whose values travel


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentWelcome:
    """Control plane to agent: go on."""

    kind: ClassVar[str] = "agent_welcome"
    heartbeat_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """Agent: alive."""

    kind: ClassVar[str] = "heartbeat"
    busy: bool
    rss_bytes: int = 0
    outbox_messages: int = 0  # kept until the notebook acknowledges them
    outbox_bytes: int = 0
    frozen: bool = False  # user code stands still until it is needed


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildEnded:
    """Agent: the process that ran user code ended by itself; a new one with an empty namespace takes its place."""

    kind: ClassVar[str] = "child_ended"
    cause: str
    epoch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hibernate:
    """Control plane to agent: save the state by value under this key; answer with Saved."""

    kind: ClassVar[str] = "hibernate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """Agent: the state lies in the session's state directory. `lost` maps names that could not be kept to why."""

    kind: ClassVar[str] = "saved"
    names: tuple[str, ...]
    lost: dict[str, str]
    size_bytes: int
    epoch: str
    failed: str = ""  # why nothing at all could be saved: the namespace is as it was, and still there


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Control plane to agent: end now."""

    kind: ClassVar[str] = "stop"


Note = (
    Hello | Wake | Goodbye | Welcome | Progress | PeerUp | PeerDown | Refused
    | AgentHello | AgentWelcome | Heartbeat | ChildEnded | Hibernate | Saved | Stop
)  # fmt: skip

KINDS: Final[dict[str, Any]] = {kind.kind: kind for kind in Note.__args__}


def note_to_wire(note: Note) -> dict[str, Any]:
    """Return a note as JSON values with its kind."""
    return tagged_to_wire(note)


def note_from_wire(fields: dict[str, Any]) -> Note:
    """Build the note these fields stand for; raises BadRequest for a kind nobody knows."""
    note: Note = tagged_from_wire(KINDS, fields, "A note")
    return note
