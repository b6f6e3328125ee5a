"""A control plane that lost its seat leaves; writes that find no database wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from kernel_bridge.errors import StoreUnavailable
from remote_runtime.scheduler import tasks
from remote_runtime.scheduler.seat import hold
from remote_runtime.scheduler.tasks import WriteBehind
from remote_runtime.store.seat import LEASE_S, RENEW_S, Seat
from tests.unit.scheduler.conftest import World


def test_who_is_outranked_leaves(play: Callable[..., None]) -> None:
    """Another sits down after the lease; the first notices at its next renewal and ends the process."""

    async def story(world: World) -> None:
        store, left = world.store, asyncio.Event()
        store.seat.take("one", "host a")
        holding = asyncio.ensure_future(hold(store, world.clock, left.set))
        await asyncio.sleep(0)
        Seat(store.database, world.clock).take("one", "host a, again")
        store.database.admit(store.seat._check)  # this process is still the first one
        world.clock.advance(RENEW_S)
        await asyncio.wait_for(left.wait(), 10)
        await holding

    play(story)


def test_a_seat_that_is_renewed_is_kept(play: Callable[..., None]) -> None:
    """However long it takes."""

    async def story(world: World) -> None:
        store = world.store
        store.seat.take("one", "host a")
        for _ in range(3):
            world.clock.advance(LEASE_S - 1)
            store.seat.renew()
        with pytest.raises(Exception, match="host a uses this database"):
            Seat(store.database, world.clock).take("two", "host b")

    play(story)


def test_a_write_waits_for_its_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a cell was is not forgotten because the database was away when it ended."""
    monkeypatch.setattr(tasks, "_AGAIN_AFTER_S", 0.0)
    tries: list[int] = []

    async def write() -> None:
        tries.append(1)
        if len(tries) < 4:
            raise StoreUnavailable

    async def story() -> None:
        writes = WriteBehind()
        draining = asyncio.ensure_future(writes.drain())
        writes.put(write)
        await asyncio.wait_for(writes.flushed(), 10)
        draining.cancel()

    asyncio.run(story())
    assert len(tries) == 4
