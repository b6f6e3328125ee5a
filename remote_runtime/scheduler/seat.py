"""Keeping the database's seat while the control plane runs, and leaving when another has taken it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from kernel_bridge.errors import Conflict, StoreUnavailable
from remote_runtime.clock import Clock
from remote_runtime.store.seat import RENEW_S
from remote_runtime.store.store import Store

log = logging.getLogger(__name__)


async def hold(store: Store, clock: Clock, leave: Callable[[], None]) -> None:
    """Renew the seat for ever: the body of an owned task. A database that is away can be taken by nobody else."""
    while store.seat.fence:
        await clock.sleep(RENEW_S)
        try:
            await store.run(store.seat.renew)
        except Conflict as error:
            log.critical("%s", error)
            leave()
            return
        except StoreUnavailable as error:
            log.error("%s", error)
