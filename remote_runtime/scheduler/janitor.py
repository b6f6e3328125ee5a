"""The one task that lets go of what nobody needs: looks at what is kept, has it decided, removes it and says so."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Final

from kernel_bridge.errors import CellburstError
from remote_runtime.scheduler.eviction import Kept
from remote_runtime.scheduler.leavings import Leavings
from remote_runtime.scheduler.parts import Parts

log = logging.getLogger(__name__)

_HOUR_S: Final = 3600.0


class Janitor:
    """Keeps blobs, images, folders, logs and rows within the operator's budgets."""

    def __init__(self, parts: Parts, leavings: Leavings) -> None:
        self._parts = parts
        self._leavings = leavings
        self._one_at_a_time = asyncio.Lock()

    async def run(self) -> None:
        """Tidy up now and then, for ever: the body of an owned task."""
        every_s = self._parts.settings.tidy_every_s
        pause_s = every_s / 20  # the first time soon: an embedded runtime may not live long
        while True:
            await self._parts.clock.sleep(pause_s)
            pause_s = every_s
            try:
                await self.tidy()
            except CellburstError as error:
                log.error("nothing was tidied up: %s", error)
            except Exception:  # a folder that cannot be read must not be the end of tidiness
                log.exception("nothing was tidied up")

    async def tidy(self, *, dry_run: bool = False) -> list[Kept]:
        """Remove what is superfluous and return it; a dry run only tells."""
        gone = []
        async with self._one_at_a_time:
            for look in self._leavings.looks:
                for one, away in await look():
                    if dry_run or await away():
                        gone.append(one)
            if not dry_run:
                await self._forget()
                _say(gone)
        return gone

    async def _forget(self) -> None:
        parts, store = self._parts, self._parts.store
        await asyncio.to_thread(store.blobs.sweep, parts.clock.now() - _HOUR_S)
        await asyncio.to_thread(parts.volumes.look_after)
        before_s = parts.clock.now() - parts.settings.records_kept_s
        sessions = 0
        while some := await store.run(store.forgetting.sessions, before_s):
            sessions += some
        tokens = await store.run(store.forgetting.tokens, before_s)
        if sessions or tokens:
            log.info("forgot the rows of %d sessions and %d tokens", sessions, tokens)


def _say(gone: list[Kept]) -> None:
    for one in gone:
        log.debug("removed %s %s (%d bytes)", one.kind, one.name, one.size_bytes)
    for kind, count in Counter(one.kind for one in gone).items():
        size_bytes = sum(one.size_bytes for one in gone if one.kind is kind)
        log.info("removed what nobody needs: %s x %d, %.1f MB", kind, count, size_bytes / 1e6)
