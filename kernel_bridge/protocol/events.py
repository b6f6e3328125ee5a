"""What `GET /v1/events` tells: how sessions, containers, cells, cards and costs change, as they change.

Every event has a `kind`. A Snapshot is made of the others, so a reader needs one function that takes in an event: for
a snapshot it starts over and takes in what is in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from kernel_bridge.protocol.sessions import ContainerState, SessionState
from kernel_bridge.protocol.wire import tagged_from_wire, tagged_to_wire


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChanged:
    """A session was opened or placed, fell asleep, woke, was pinned or closed."""

    kind: ClassVar[str] = "session"
    session_id: str
    state: SessionState
    name: str = ""  # `--session NAME`
    notebook: str = ""  # the notebook's file, where its front end tells it
    image: str = ""  # what the image is called
    card: str = ""
    card_count: int = 0
    simulated: bool = False
    place: str = ""
    isolation: str = ""
    rate_microusd_per_h: int = 0  # while it has a container
    pinned_until_s: float | None = None  # epoch seconds
    kept_names: tuple[str, ...] = ()  # hibernated: what its state holds
    kept_bytes: int = 0
    kept_until_s: float | None = None
    lost: tuple[str, ...] = ()  # names that could not be saved, or whose time is over


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerChanged:
    """A session's container moved on. Times are epoch seconds."""

    kind: ClassVar[str] = "container"
    container_id: str
    session_id: str
    state: ContainerState
    at_s: float
    started_at_s: float | None = None  # from here on it costs
    idle_since_s: float | None = None  # no cell runs
    idle_deadline_s: float | None = None  # when its state will be saved and it goes, if no cell comes
    rate_microusd_per_h: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CellChanged:
    """A cell began (`running`) or ended (`ok`, `error`, `aborted`, `lost`). Times are epoch seconds."""

    kind: ClassVar[str] = "cell"
    cell_id: str
    session_id: str
    container_id: str
    status: str
    at_s: float
    started_at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed:
    """What a session that waits for its container waits for: queued, building, starting, waking."""

    kind: ClassVar[str] = "progress"
    session_id: str
    phase: str
    text: str = ""
    line: str = ""  # of a build's log


@dataclass(frozen=True, slots=True, kw_only=True)
class CostChanged:
    """What a session has cost up to now, what runs included."""

    kind: ClassVar[str] = "cost"
    session_id: str
    at_s: float
    spent_microusd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CardCount:
    """How many cards of one name there are, and how many no container holds."""

    card: str
    total: int
    free: int
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CardsChanged:
    """The runtime's cards, all of them."""

    kind: ClassVar[str] = "cards"
    cards: tuple[CardCount, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """How everything stands: the first event of a reader that is new or was away for too long."""

    kind: ClassVar[str] = "snapshot"
    at_s: float
    sessions: tuple[SessionChanged, ...] = ()
    containers: tuple[ContainerChanged, ...] = ()
    cells: tuple[CellChanged, ...] = ()  # those that run
    progress: tuple[Progressed, ...] = ()
    costs: tuple[CostChanged, ...] = ()
    cards: tuple[CardCount, ...] = ()


RuntimeEvent = SessionChanged | ContainerChanged | CellChanged | Progressed | CostChanged | CardsChanged | Snapshot

KINDS: Final[dict[str, Any]] = {kind.kind: kind for kind in RuntimeEvent.__args__}


def event_to_wire(event: RuntimeEvent) -> dict[str, Any]:
    """Return an event as JSON values with its kind."""
    return tagged_to_wire(event)


def event_from_wire(fields: dict[str, Any]) -> RuntimeEvent:
    """Build the event these fields stand for; raises BadRequest for a kind nobody knows."""
    event: RuntimeEvent = tagged_from_wire(KINDS, fields, "An event")
    return event
