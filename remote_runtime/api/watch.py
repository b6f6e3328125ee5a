"""What stands open on a token ends with it: connections are looked after, whoever revoked the token and where."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from kernel_bridge.errors import StoreUnavailable
from remote_runtime.clock import Clock
from remote_runtime.store.rows import Principal
from remote_runtime.store.store import Store

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.5  # a token may be revoked by another process on the same database, and expires without a word
HANG_UP_WITHIN_S: Final = 2.0  # one that does not read must not keep the others waiting
WRITE_EVERY: Final = 60  # so many looks between two notes of when tokens were last used

HangUp = Callable[[str], Awaitable[None]]
Watched = Callable[[HangUp], contextlib.AbstractContextManager[None]]


class Watch:
    """The connections that stand open, by the token that opened them."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._open: defaultdict[str, list[HangUp]] = defaultdict(list)

    @contextlib.contextmanager
    def over(self, principal: Principal, hang_up: HangUp) -> Iterator[None]:
        """Have `hang_up` called with a sentence that says why, once the token is worthless; until the block ends."""
        kept = self._open[principal.token_id]
        kept.append(hang_up)
        try:
            yield
        finally:
            kept.remove(hang_up)
            if not kept and self._open.get(principal.token_id) is kept:
                del self._open[principal.token_id]

    async def run(self) -> None:
        """Look every LOOK_EVERY_S, for ever: the body of an owned task."""
        looks = 0
        while True:
            await self._clock.sleep(LOOK_EVERY_S)
            looks += 1
            try:
                await self.look()
                if looks % WRITE_EVERY == 0:
                    await self._store.run(self._store.tokens.write_used)
            except StoreUnavailable as error:  # a line a look, not a page
                log.error("%s", error)
            except Exception:  # a locked database: the next look may see
                log.exception("the tokens of open connections could not be looked at")

    async def look(self) -> None:
        """Hang up where the token has become worthless."""
        if not self._open:
            return
        worthless = await asyncio.to_thread(self._store.tokens.why_worthless, tuple(self._open))
        endings = [
            _end(hang_up, f"The token of this connection {'has expired' if why == 'expired' else 'was revoked'}.")
            for token_id, why in worthless.items()
            for hang_up in tuple(self._open.pop(token_id, ()))
        ]
        await asyncio.gather(*endings)


def unwatched(_hang_up: HangUp) -> contextlib.AbstractContextManager[None]:
    """Look after nothing: for what opened without a token."""
    return contextlib.nullcontext()


async def _end(hang_up: HangUp, why: str) -> None:
    try:
        async with asyncio.timeout(HANG_UP_WITHIN_S):
            await hang_up(why)
    except Exception:  # it is deaf and dumb already; what is left is a socket whose other end does not read
        log.warning("a connection whose token is worthless did not close", exc_info=True)
