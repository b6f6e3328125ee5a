"""The containers that have not ended, as this control plane knows them between two looks at the database."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from kernel_bridge.protocol.notes import Saved
from kernel_bridge.protocol.sessions import ContainerState, SessionSpec
from remote_runtime.providers.base import Handle
from remote_runtime.scheduler.idle import Seen
from remote_runtime.scheduler.lifecycle import READY, move
from remote_runtime.store.rows import ContainerRow


@dataclass(slots=True, eq=False)
class Live:
    """One container and what is going on in it. Times are epoch seconds."""

    row: ContainerRow
    spec: SessionSpec
    idle_after_s: float
    owner: str = ""
    state: ContainerState = ContainerState.PENDING
    started_at_s: float | None = None
    handle: Handle | None = None
    running: dict[str, float] = field(default_factory=dict)  # cells, and when each was handed over
    idle_since_s: float | None = None
    pinned_until_s: float | None = None
    heard_at_s: float = 0.0  # from its agent, last
    agent_connected: bool = False
    outbox_messages: int = 0  # that its agent keeps until the notebook acknowledges them, as last heard
    outbox_bytes: int = 0
    frozen: bool = False  # its agent let user code stand still, as last heard
    client_gone_since_s: float | None = None
    goodbye: bool = False
    epoch: str = ""  # of its namespace, as its agent said
    ready: asyncio.Event = field(default_factory=asyncio.Event)  # its agent has said hello
    opened: bool = False  # its session is written down as open: it may hold values that are nowhere else
    over: asyncio.Event = field(default_factory=asyncio.Event)  # its end is written down
    saved: asyncio.Future[Saved | None] | None = None  # asked to hibernate
    ending: asyncio.Task[None] | None = None
    given_up: bool = False  # somebody wants it gone, saved or not
    unsaved: str = ""  # why its state could not be saved when that was last tried
    kept_silent: bool = False  # it was asked to save and did not answer in time
    unwritten: bool = False  # its state or its idleness is not in the database yet
    moved: Callable[[Live], None] | None = None  # told of every change of its state, and of its idle deadline

    @property
    def id(self) -> str:
        """Return the container's id."""
        return self.row.id

    @property
    def session_id(self) -> str:
        """Return the id of its session."""
        return self.row.session_id

    @property
    def is_ready(self) -> bool:
        """Tell whether it can run cells, or does."""
        return self.state in READY

    @property
    def is_ending(self) -> bool:
        """Tell whether somebody sees to its end. One whose end could not be written down may be ended again."""
        return self.ending is not None and not (self.ending.done() and not self.over.is_set())

    def become(self, to: ContainerState) -> None:
        """Take a legal step; raises IllegalMove."""
        before, self.state = self.state, move(self.state, to)
        if self.state is not before:
            self.tell()

    def tell(self) -> None:
        """Have it said how it stands now."""
        if self.moved is not None:
            self.moved(self)

    def started(self, cell_id: str, at_s: float) -> None:
        """Note that a cell runs."""
        self.running[cell_id] = at_s
        self.idle_since_s = None
        self.frozen = False
        if self.is_ready:
            self.become(ContainerState.BUSY)

    def works(self) -> None:
        """Note that its agent says a cell runs, even where nobody here knows which: its row may have been lost."""
        self.idle_since_s = None
        if self.is_ready:
            self.become(ContainerState.BUSY)

    def finished(self, cell_id: str, at_s: float) -> bool:
        """Note that a cell is over; False when it was not known to run."""
        known = self.running.pop(cell_id, None) is not None
        if not self.running:
            self.rest(at_s)
        return known

    def rest(self, at_s: float) -> None:
        """Note that no cell runs, unless that is known already."""
        before, began = self.state, self.idle_since_s is None
        if self.idle_since_s is None:
            self.idle_since_s = at_s
        if self.is_ready:
            self.become(ContainerState.IDLE)
        if began and self.state is before:  # else that was said
            self.tell()

    def shift(self, by_s: float) -> None:
        """Move every time that is remembered: the clock was set, and what was a minute ago still was."""
        self.heard_at_s += by_s
        self.running = {cell: at_s + by_s for cell, at_s in self.running.items()}
        self.idle_since_s = None if self.idle_since_s is None else self.idle_since_s + by_s
        self.started_at_s = None if self.started_at_s is None else self.started_at_s + by_s
        self.client_gone_since_s = None if self.client_gone_since_s is None else self.client_gone_since_s + by_s

    def not_after(self, now_s: float) -> None:
        """Forget times that are yet to come: the clock was set back, and nothing may wait until it is there again."""
        self.heard_at_s = min(self.heard_at_s, now_s)
        if self.idle_since_s is not None:
            self.idle_since_s = min(self.idle_since_s, now_s)
        if self.client_gone_since_s is not None:
            self.client_gone_since_s = min(self.client_gone_since_s, now_s)

    def seen(self, *, kernel_gone: bool) -> Seen:
        """Return it as the deciding functions want it."""
        return Seen(
            container_id=self.id,
            session_id=self.session_id,
            idle_since_s=self.idle_since_s,
            idle_after_s=self.idle_after_s,
            pinned_until_s=self.pinned_until_s,
            client_gone_since_s=self.client_gone_since_s,
            undelivered=self.outbox_messages > 0,
            kernel_ended=self.goodbye or kernel_gone,
            named=bool(self.spec.name),
        )


class Roster:
    """Every live container, by its id and by its session."""

    def __init__(self, moved: Callable[[Live], None] | None = None) -> None:
        self._moved = moved
        self._by_id: dict[str, Live] = {}
        self._by_session: dict[str, Live] = {}

    def __iter__(self) -> Iterator[Live]:
        return iter(tuple(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, live: Live) -> Live:
        """Take one in."""
        self._by_id[live.id] = self._by_session[live.session_id] = live
        live.moved = self._moved
        live.tell()
        return live

    def remove(self, live: Live) -> None:
        """Let one go."""
        self._by_id.pop(live.id, None)
        if self._by_session.get(live.session_id) is live:
            del self._by_session[live.session_id]

    def get(self, container_id: str) -> Live | None:
        """Return a container by its id."""
        return self._by_id.get(container_id)

    def of(self, session_id: str) -> Live | None:
        """Return a session's container."""
        return self._by_session.get(session_id)

    def held(self) -> Counter[tuple[str, str]]:
        """Return how many cards are taken, by provider and card."""
        taken: Counter[tuple[str, str]] = Counter()
        for live in self:
            taken[live.row.provider, live.row.card] += live.row.card_count
        return taken

    def devices(self) -> frozenset[str]:
        """Return the UUIDs of the cards that are taken."""
        return frozenset(device for live in self for device in live.row.devices)
