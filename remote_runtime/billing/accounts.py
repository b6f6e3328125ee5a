"""What sessions and containers have cost: the meter's lines, taken from the store and written to the ledger."""

from __future__ import annotations

from remote_runtime.billing.meter import Line, Metered, lines
from remote_runtime.clock import Clock
from remote_runtime.store.rows import ContainerRow, LedgerEntry
from remote_runtime.store.store import Store


class Accounts:
    """Settles what has ended and tells what still runs. All methods may be called again."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def settle(self, container_id: str) -> int:
        """Write the lines of a container that has ended, once; return how many were new."""
        container = self._store.containers.get(container_id)
        if container.ended_at_s is None:
            return 0
        return self._store.ledger.close(container_id, self.entries(container))

    def settle_all(self) -> int:
        """Write the lines of every container that has ended unbilled, as after a crash; return how many were new."""
        return sum(self.settle(container.id) for container in self._store.containers.unbilled())

    def spent_microusd(self, session_id: str | None = None) -> int:
        """Return what a session, or all, has cost: what is in the ledger and what runs, up to now."""
        containers = self._store.containers
        waiting = [
            container
            for container in (*containers.live(), *containers.unbilled())
            if session_id in (None, container.session_id)
        ]
        running = sum(entry.cost_microusd for container in waiting for entry in self.entries(container))
        return self._store.ledger.spent_microusd(session_id) + running

    def running(self, session_id: str | None = None, owner: str | None = None) -> tuple[LedgerEntry, ...]:
        """Return the lines of the containers that run, of all or of one owner, as they would be if they ended now."""
        live = self._store.containers.live()
        chosen = (container for container in live if session_id in (None, container.session_id))
        found = (entry for container in chosen for entry in self.entries(container))
        return tuple(entry for entry in found if owner in (None, entry.owner))

    def entries(self, container: ContainerRow) -> tuple[LedgerEntry, ...]:
        """Return the ledger lines of a container up to its end, or to now; none for one that never started."""
        if container.started_at_s is None:
            return ()
        metered = self._metered(container, container.started_at_s)
        owner = self._store.sessions.get(container.session_id).owner
        bill = lines(metered, self._store.cells.intervals(container.id))
        return tuple(_entry(line, metered, container, owner) for line in bill)

    def _metered(self, container: ContainerRow, started_at_s: float) -> Metered:
        return Metered(
            card=container.card,
            card_count=container.card_count,
            cpu=container.cpu,
            memory_bytes=container.memory_bytes,
            rates=container.rates,
            started_at_s=started_at_s,
            ended_at_s=self._clock.now() if container.ended_at_s is None else container.ended_at_s,
        )


def _entry(line: Line, metered: Metered, container: ContainerRow, owner: str) -> LedgerEntry:
    return LedgerEntry(
        container_id=container.id,
        session_id=container.session_id,
        owner=owner,
        resource=line.resource,
        use=line.use,
        quantity=line.quantity,
        rate_microusd_per_h=line.rate_microusd_per_h,
        started_at_s=metered.started_at_s,
        ended_at_s=metered.ended_at_s,
        duration_ms=line.duration_ms,
        cost_microusd=line.cost_microusd,
        place=container.place,
        simulated=container.simulated,
        price_table=container.rates.table,
    )
