"""What the scheduler does, told to the feed of events and to the log."""

from __future__ import annotations

import logging

from kernel_bridge.protocol.events import (
    CardCount,
    CardsChanged,
    CellChanged,
    ContainerChanged,
    CostChanged,
    Progressed,
    SessionChanged,
)
from kernel_bridge.protocol.notes import Progress
from kernel_bridge.protocol.sessions import ContainerState
from remote_runtime.clock import Clock
from remote_runtime.observability.feed import Feed
from remote_runtime.observability.metrics import Metrics
from remote_runtime.scheduler.idle import deadline_s
from remote_runtime.scheduler.roster import Live
from remote_runtime.store.rows import CellRow, CellStatus, SessionRow

log = logging.getLogger(__name__)

_EVERY_CELL = (ContainerState.IDLE, ContainerState.BUSY)


class Herald:
    """Says what happened. It waits for nothing and raises nothing."""

    def __init__(self, feed: Feed, metrics: Metrics, clock: Clock) -> None:
        self.feed = feed
        self.metrics = metrics
        self._clock = clock
        self._cards: tuple[CardCount, ...] = ()
        feed.hear(metrics.hear)

    def session(self, row: SessionRow) -> None:
        """A session changed."""
        self.feed.belongs(row.id, row.owner)
        self.feed.publish(session_event(row))
        log.info("session is %s", row.state, extra={"session_id": row.id})

    def container(self, live: Live) -> None:
        """A container moved on, or its deadline did."""
        self.feed.publish(container_event(live, self._clock.now()))
        level = logging.DEBUG if live.state in _EVERY_CELL else logging.INFO
        if log.isEnabledFor(level):
            log.log(level, "container is %s", live.state, extra=_ids(live))

    def placed(self, live: Live, waited_s: float) -> None:
        """A session has got its card."""
        self.metrics.queued(waited_s)
        fields = {"card": live.row.card, "count": live.row.card_count, "waited_s": round(waited_s, 3)}
        log.info("placed", extra={**_ids(live), "fields": fields})

    def cell_began(self, live: Live, cell_id: str, at_s: float) -> None:
        """A cell was handed to its container."""
        self._cell(live.session_id, live.id, cell_id, CellStatus.RUNNING, at_s, at_s)
        log.info("cell began", extra={**_ids(live), "cell_id": cell_id})

    def cell_ended(self, live: Live, cell_id: str, status: CellStatus, began_s: float, at_s: float) -> None:
        """A cell's reply went by."""
        self._cell(live.session_id, live.id, cell_id, status, began_s, at_s)
        fields = {"status": status.value, "seconds": round(at_s - began_s, 4)}
        log.info("cell ended", extra={**_ids(live), "cell_id": cell_id, "fields": fields})

    def cell_lost(self, row: CellRow, at_s: float) -> None:
        """A cell's container went away under it."""
        self._cell(row.session_id, row.container_id, row.id, CellStatus.LOST, row.started_at_s, at_s)
        ids = {"cell_id": row.id, "session_id": row.session_id, "container_id": row.container_id}
        log.warning("cell lost with its container", extra=ids)

    def progress(self, session_id: str, note: Progress) -> None:
        """A session waits for something."""
        self.feed.publish(Progressed(session_id=session_id, phase=note.phase, text=note.text, line=note.line))
        level = logging.DEBUG if note.line else logging.INFO
        fields = {"text": note.text} if note.text else {}
        log.log(level, "%s", note.line or note.phase, extra={"session_id": session_id, "fields": fields})

    def cost(self, session_id: str, spent_microusd: int) -> None:
        """This much a session has cost so far."""
        self.feed.publish(CostChanged(session_id=session_id, at_s=self._clock.now(), spent_microusd=spent_microusd))

    def cards(self, cards: tuple[CardCount, ...]) -> None:
        """These are the cards; told when they differ from what was told last."""
        if cards != self._cards:
            self._cards = cards
            self.feed.publish(CardsChanged(cards=cards))

    def _cell(self, session_id: str, container_id: str, cell_id: str, status: str, began_s: float, at_s: float) -> None:
        self.feed.publish(
            CellChanged(
                cell_id=cell_id,
                session_id=session_id,
                container_id=container_id,
                status=str(status),
                at_s=at_s,
                started_at_s=began_s,
            )
        )


def session_event(row: SessionRow) -> SessionChanged:
    """Return a session as events tell it."""
    return SessionChanged(
        session_id=row.id,
        state=row.state,
        name=row.spec.name,
        notebook=row.spec.notebook.path,
        image=row.spec.image.label,
        card=row.card,
        card_count=row.card_count,
        simulated=row.simulated,
        place=row.place,
        isolation=row.isolation,
        rate_microusd_per_h=row.rate_microusd_per_h,
        pinned_until_s=row.pinned_until_s,
        kept_names=row.kept_names,
        kept_bytes=row.kept_bytes,
        kept_until_s=row.kept_until_s or None,
        lost=tuple(sorted(row.kept_lost)),
    )


def container_event(live: Live, now_s: float) -> ContainerChanged:
    """Return a container as events tell it."""
    row = live.row
    return ContainerChanged(
        container_id=live.id,
        session_id=live.session_id,
        state=live.state,
        at_s=now_s,
        started_at_s=live.started_at_s,
        idle_since_s=live.idle_since_s,
        idle_deadline_s=deadline_s(live.idle_since_s, live.idle_after_s, live.pinned_until_s),
        rate_microusd_per_h=row.rates.total_microusd_per_h(row.card_count, row.cpu, row.memory_bytes),
    )


def _ids(live: Live) -> dict[str, str]:
    return {"session_id": live.session_id, "container_id": live.id}
