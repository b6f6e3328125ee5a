"""When user code that does nothing is stopped, and that it goes on before anything is asked of it.

The agent is never frozen. It looks about once a second, so a cell costs one flag: `touch`, which every message to the
kernel child and every signal begins with. The child says itself what of it goes on; what it does not know of (processes
that lost their parent, threads of compiled code) shows in the control group's count of processes and processor time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from remote_runtime.agent.limits import Watch

log = logging.getLogger("cellburst.agent")

_TICK_S: Final = 1.0
_QUIET_SHARE: Final = 0.02  # of a core: helpers that look around once in a while
_QUIET_S: Final = 0.02  # and what our own asking takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What is known of a child that has not been touched for a while."""

    idle_s: float
    used_cpu_s: float  # in that time, by all of its processes
    awake: tuple[str, ...] = ()  # what it says goes on in it
    waiting: int = 0  # processes of its that only wait to be asked
    processes: int = 1  # all there are, itself included


class Freezer:
    """One container's. `ask` sends the child a question and returns its id; `is_busy` while a cell or a save runs."""

    def __init__(self, watch: Watch, after_s: float, ask: Callable[[], str], is_busy: Callable[[], bool]) -> None:
        self._watch = watch
        self._after_s = after_s
        self._ask = ask
        self._is_busy = is_busy
        self._touched = True
        self._asked = ""  # the question that is not answered yet
        self._since_s = self._since_cpu_s = 0.0
        self.on_change: Callable[[bool], None] = lambda frozen: None
        self.frozen = False

    def touch(self) -> None:
        """Let user code go on: something is about to be asked of it."""
        self._touched = True
        if self.frozen:
            self._set(frozen=False)

    async def run(self) -> None:
        """Look from time to time, for as long as the agent lives; return at once where nothing can be frozen."""
        if not self._after_s or not self._watch.can_freeze:
            return
        while True:
            await asyncio.sleep(min(_TICK_S, self._after_s / 4))
            self._look()

    def hear(self, question: str, said: Mapping[str, Any]) -> None:
        """Take the child's answer; freeze it, unless something was asked of it meanwhile."""
        if not self._asked or question != self._asked or self._touched or self._is_busy():
            return
        rest = self._rest(tuple(said["awake"]), int(said["waiting"]), self._watch.count_processes())
        if why := why_not(rest, self._after_s):
            log.debug("not frozen: %s", why)
            self._count_anew()
        else:
            self._set(frozen=True)

    def _look(self) -> None:
        if self.frozen or (self._asked and not self._touched):
            return
        if self._touched or self._is_busy():
            self._count_anew()
            return
        rest = self._rest()
        if rest.idle_s < self._after_s:
            return
        if why := why_not(rest, self._after_s):
            log.debug("not frozen: %s", why)
            self._count_anew()
        else:
            self._asked = self._ask()
            self._touched = False

    def _count_anew(self) -> None:
        self._touched, self._asked = False, ""
        self._since_s, self._since_cpu_s = time.monotonic(), self._watch.cpu_s()

    def _rest(self, awake: tuple[str, ...] = (), waiting: int = 0, processes: int = 1) -> Rest:
        return Rest(
            idle_s=time.monotonic() - self._since_s,
            used_cpu_s=self._watch.cpu_s() - self._since_cpu_s,
            awake=awake,
            waiting=waiting,
            processes=processes,
        )

    def _set(self, *, frozen: bool) -> None:
        self._watch.freeze(on=frozen)
        self.frozen = frozen
        self._asked = ""
        log.info("user code is frozen" if frozen else "user code goes on")
        self.on_change(frozen)


def why_not(rest: Rest, after_s: float) -> str:
    """Say why user code has to go on running; empty where it may be stopped."""
    if rest.idle_s < after_s:
        return f"it was needed {rest.idle_s:.1f} s ago"
    if rest.used_cpu_s > max(_QUIET_S, _QUIET_SHARE * rest.idle_s):
        return f"it used the processor for {rest.used_cpu_s:.2f} s"
    if rest.awake:
        return f"{rest.awake[0]} goes on"
    if rest.processes > 1 + rest.waiting:
        return f"it has {rest.processes - 1 - rest.waiting} processes of which nothing is known"
    return ""
