"""Whether this control plane could serve a cell now: words, never facts about it, for anyone may ask."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable, Coroutine
from typing import Any, Final

from remote_runtime.scheduler.parts import Parts
from remote_runtime.scheduler.reconciler import Reconciler

log = logging.getLogger(__name__)

OK: Final = "ok"
CHECK_WITHIN_S: Final = 5.0
ASKED_AGAIN_S: Final = 1.0  # how long an answer is good: whoever asks often costs no more
ROUND_WITHIN_S: Final = 60.0  # between two rounds of the reconciler, beyond its tick
DISK_FREE_BYTES: Final = 256 << 20

Check = Callable[[], Coroutine[Any, Any, bool]]


class Readiness:
    """Asks each part whether it works."""

    def __init__(self, parts: Parts, reconciler: Reconciler) -> None:
        self._parts = parts
        self._reconciler = reconciler
        self._asking = asyncio.Lock()
        self._answer: dict[str, str] = {}
        self._answered_at_s = float("-inf")

    async def checks(self) -> dict[str, str]:
        """Return a word for each part: `ok`, or what is the matter."""
        async with self._asking:
            if self._parts.clock.monotonic() - self._answered_at_s >= ASKED_AGAIN_S:
                self._answer = await self._ask()
                self._answered_at_s = self._parts.clock.monotonic()
            return self._answer

    async def _ask(self) -> dict[str, str]:
        return {
            "store": await self._word(self._store_is_writable, "not writable"),
            "provider": await self._word(self._a_provider_answers, "unreachable"),
            "reconciler": await self._word(self._reconciler_is_alive, "stuck"),
            "disk": await self._word(self._disk_has_room, "full"),
        }

    async def _word(self, check: Check, otherwise: str) -> str:
        try:
            async with asyncio.timeout(CHECK_WITHIN_S):
                return OK if await check() else otherwise
        except TimeoutError:
            return "slow"
        except Exception:  # whatever it is, the answer is no; the log says why
            log.warning("not ready", exc_info=True, extra={"fields": {"check": check.__name__}})
            return otherwise

    async def _store_is_writable(self) -> bool:
        await self._parts.store.run(self._parts.store.database.check_writable)
        return True

    async def _a_provider_answers(self) -> bool:
        for provider in self._parts.providers:
            if await provider.reachable():
                return True
        return False

    async def _reconciler_is_alive(self) -> bool:
        age_s = self._parts.clock.monotonic() - self._reconciler.round_at_s
        return age_s <= self._parts.settings.tick_s + ROUND_WITHIN_S

    async def _disk_has_room(self) -> bool:
        usage = await asyncio.to_thread(shutil.disk_usage, self._parts.settings.data_dir)
        return usage.free >= DISK_FREE_BYTES
