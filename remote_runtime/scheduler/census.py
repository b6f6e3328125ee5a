"""Everything there is, at one moment: counted for the metrics, told to a new listener of events."""

from __future__ import annotations

from collections import Counter

from kernel_bridge.protocol.events import CardCount, CellChanged, CostChanged, Progressed, Snapshot
from remote_runtime.observability.metrics import Census
from remote_runtime.release import release
from remote_runtime.scheduler.herald import container_event, session_event
from remote_runtime.scheduler.parts import Parts
from remote_runtime.scheduler.placement import free_stocks
from remote_runtime.scheduler.roster import Live
from remote_runtime.scheduler.starting import Starter
from remote_runtime.store.rows import CellStatus


class CensusTaker:
    """Looks at the roster, the store and the cards."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def cards(self) -> tuple[CardCount, ...]:
        """Return the cards of every provider."""
        stocks = free_stocks(await self._parts.providers.stocks(), self._parts.roster.held())
        return tuple(
            CardCount(card=stock.card, total=stock.total, free=stock.free, simulated=stock.simulated)
            for stock in stocks
        )

    async def census(self) -> Census:
        """Count everything."""
        parts, store = self._parts, self._parts.store
        lives = tuple(parts.roster)
        return Census(
            sessions=await store.run(store.sessions.count_by_state),
            containers=Counter((live.state.value, live.row.provider) for live in lives),
            cards=await self.cards(),
            notebooks=parts.lines.clients(),
            agents=sum(live.agent_connected for live in lives),
            listeners=len(parts.herald.feed),
            relayed=parts.lines.relayed(),
            outbox_messages=sum(live.outbox_messages for live in lives),
            outbox_bytes=sum(live.outbox_bytes for live in lives),
            cost_microusd=await store.run(store.ledger.spent_by_resource),
            version=release(),
        )

    async def snapshot(self, owner: str | None, starter: Starter) -> Snapshot:
        """Return how everything of an owner, or everything, stands."""
        parts, store = self._parts, self._parts.store
        now_s = parts.clock.now()
        rows = await store.run(store.sessions.list, owner)
        lives = [live for row in rows if (live := parts.roster.of(row.id)) is not None]
        waiting = [(row.id, note) for row in rows if (note := starter.phase(row.id)) is not None]
        costs = [
            CostChanged(
                session_id=row.id, at_s=now_s, spent_microusd=await store.run(parts.accounts.spent_microusd, row.id)
            )
            for row in rows
        ]
        return Snapshot(
            at_s=now_s,
            sessions=tuple(map(session_event, rows)),
            containers=tuple(container_event(live, now_s) for live in lives),
            cells=tuple(cell for live in lives for cell in _running(live)),
            progress=tuple(Progressed(session_id=id_, phase=note.phase, text=note.text) for id_, note in waiting),
            costs=tuple(costs),
            cards=await self.cards(),
        )


def _running(live: Live) -> list[CellChanged]:
    return [
        CellChanged(
            cell_id=cell_id,
            session_id=live.session_id,
            container_id=live.id,
            status=CellStatus.RUNNING,
            at_s=began_s,
            started_at_s=began_s,
        )
        for cell_id, began_s in live.running.items()
    ]
