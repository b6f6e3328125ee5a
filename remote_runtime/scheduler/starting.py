"""How a session gets its container: a card, an image, a process, an agent that says hello."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from kernel_bridge.errors import CellburstError, Conflict, NoCapacity, SessionLost, StartFailed
from kernel_bridge.protocol.containers import ContainerConfig
from kernel_bridge.protocol.defaults import DEFAULTS
from kernel_bridge.protocol.notes import Progress, Refused
from kernel_bridge.protocol.sessions import ContainerState, SessionState
from remote_runtime.images.engine_builder import Asker
from remote_runtime.images.environment import check_python
from remote_runtime.images.records import Environment
from remote_runtime.providers.base import ContainerSpec, Phase
from remote_runtime.scheduler.ending import Ender
from remote_runtime.scheduler.idle import longest_idle
from remote_runtime.scheduler.parts import Parts
from remote_runtime.scheduler.placement import Placement
from remote_runtime.scheduler.placer import Placer
from remote_runtime.scheduler.queue import Holder, Queue, waiting_line
from remote_runtime.scheduler.roster import Live
from remote_runtime.scheduler.tasks import uncut
from remote_runtime.store.rows import NewContainer, SessionRow
from remote_runtime.store.tokens import container_scope
from remote_runtime.volumes.mounts import model_cache_env, mounts_of

log = logging.getLogger(__name__)

PRELOAD: Final = ("numpy", "pandas", "torch")
_LOOK_AGAIN_S: Final = 0.2


class Starter:
    """Starts containers, one at a time for a session however many ask."""

    def __init__(self, parts: Parts, placer: Placer, ender: Ender) -> None:
        self._parts = parts
        self._placer = placer
        self._ender = ender
        self._starts: dict[str, asyncio.Task[None]] = {}
        self._phases: dict[str, Progress] = {}
        self._placing = asyncio.Lock()
        self._queue = Queue()

    def wake(self, session_id: str) -> None:
        """See to it that the session has a container, or will be told why not."""
        under_way = self._starts.get(session_id)
        if under_way is None or under_way.done():
            self._starts[session_id] = self._parts.tasks.spawn(self._start(session_id), f"start {session_id}")

    def phase(self, session_id: str) -> Progress | None:
        """Return what a start under way is busy with, for a notebook that comes late."""
        return self._phases.get(session_id)

    async def stop(self, session_id: str) -> None:
        """Give up a start under way and return when what it began is undone."""
        if under_way := self._starts.get(session_id):
            under_way.cancel()
            await asyncio.wait([under_way])
            # Also to a notebook that asked again meanwhile: it was taken to wait for the start that has gone.
            refused = Refused(code=SessionLost.code, detail="The start of the container was given up: it was stopped.")
            await self._parts.lines.tell_client(session_id, refused)

    async def _start(self, session_id: str) -> None:
        try:
            if await self._has_none(session_id):
                await self._bring_up(session_id)
        except CellburstError as error:
            log.warning("no container: %s", error, extra={"session_id": session_id})
            await self._parts.lines.tell_client(session_id, Refused(code=error.code, detail=str(error)))
        except Exception:  # a full disk, a lost database: the notebook that waits must hear of it, too
            log.exception("no container", extra={"session_id": session_id})
            detail = "The container could not be started; the runtime's log says why."
            await self._parts.lines.tell_client(session_id, Refused(code=StartFailed.code, detail=detail))
        finally:
            self._phases.pop(session_id, None)
            self._starts.pop(session_id, None)

    async def _has_none(self, session_id: str) -> bool:
        """Wait for the end of one that is ending; False when the session has one that stays, or keeps it after all."""
        while (live := self._parts.roster.of(session_id)) is not None and live.ending is not None:
            if not live.is_ending:
                raise Conflict("The session's container could not be ended; the runtime's log says why. Try again.")
            await asyncio.wait([live.ending])
        return live is None

    async def _bring_up(self, session_id: str) -> None:
        store = self._parts.store
        session = await store.run(store.sessions.get, session_id)
        if session.state is SessionState.CLOSED:
            gone = "; ".join(f"{name}: {why}" for name, why in session.kept_lost.items())
            told = f" What it kept is gone: {gone}." if gone else ""
            raise SessionLost(f"The session was closed.{told} Run the cell again: it opens another.")
        asked_s = self._parts.clock.monotonic()
        live = await self._take_card(session)
        self._parts.herald.placed(live, self._parts.clock.monotonic() - asked_s)
        try:
            self._say(session_id, "building")
            await self._move(live, ContainerState.BUILDING)
            environment = await self._environment(session)
            await self._launch(live, session, environment)
            await self._answered(live)
            await uncut(self._opened(live, session))
        except BaseException as error:
            if not live.opened:  # else it may hold values by now: whoever gave up this start decides over it
                await uncut(self._ender.failed(live, str(error) or type(error).__name__))
            raise

    async def _environment(self, session: SessionRow) -> Environment:
        """Have the image built, by its owner's secrets; raises PythonMismatch for one that others made."""
        spec, parts = session.spec, self._parts
        hidden = parts.secrets.of(session.owner).environment
        given = await parts.store.run(hidden, spec.image.secrets) if spec.image.secrets else {}
        asker = Asker(session.owner, given)
        environment = await parts.images.environment(spec.image, self.reporter(session.id), asker)
        if environment.image:
            check_python(spec.notebook.python, environment.version)
        return environment

    async def _take_card(self, session: SessionRow) -> Live:
        """Write the container down with its card, as soon as one is free; raises NoCapacity when none becomes so."""
        try:
            async with asyncio.timeout(DEFAULTS.queue_timeout_s):
                while True:
                    async with self._placing:
                        placement = await self._placer.find(session.spec, self._queue.ahead(session.id))
                        if not placement.waits:
                            return await self._take(session, placement)
                        self._queue.join(session.id, placement)
                    await self._make_room(session, placement)
        except TimeoutError:
            raise NoCapacity(f"No {session.spec.gpu} became free in {DEFAULTS.queue_timeout_s:.0f} s.") from None
        finally:
            self._queue.leave(session.id)

    async def _make_room(self, session: SessionRow, placement: Placement) -> None:
        """Let the longest idle holder of such a card hibernate; else wait for one to come free."""
        now_s = self._parts.clock.now()
        holders = [
            live
            for live in self._parts.roster
            if live.is_ready
            and live.ending is None
            and (live.row.provider, live.row.card) == (placement.provider, placement.card)
        ]
        seen = (live.seen(kernel_gone=False) for live in holders)
        chosen = longest_idle(seen, now_s, self._parts.settings.orphan_after_s)
        if chosen is None:
            mine = (self._holder(live, session.owner, now_s) for live in holders)
            self._say(session.id, "queued", waiting_line(placement, self._queue.place(session.id), mine))
            await self._parts.clock.sleep(_LOOK_AGAIN_S)
            return
        self._say(session.id, "queued", f"an idle session hibernates and frees its {placement.card}")
        [idle] = [live for live in holders if live.id == chosen.container_id]
        await asyncio.shield(self._ender.hibernate(idle, "its card is wanted"))

    def _holder(self, live: Live, owner: str, now_s: float) -> Holder:
        """Return who has a card, as far as it is this person's business."""
        since_s = min(live.running.values(), default=now_s)
        notebook = live.spec.notebook.path if live.owner == owner else ""
        return Holder(notebook=notebook, count=live.row.card_count, busy_s=now_s - since_s)

    async def _take(self, session: SessionRow, placement: Placement) -> Live:
        """Write it down, or nothing: a container in the roster that nobody brings up would hold its card for ever."""
        try:
            return await uncut(self._write_down(session, placement))
        except BaseException as error:
            if live := self._parts.roster.of(session.id):
                await uncut(self._ender.failed(live, str(error) or type(error).__name__))
            raise

    async def _write_down(self, session: SessionRow, placement: Placement) -> Live:
        parts, store, spec = self._parts, self._parts.store, session.spec
        ground = parts.providers[placement.provider].ground
        wanted = NewContainer(
            provider=placement.provider,
            card=placement.card,
            card_count=placement.count,
            simulated=placement.simulated,
            devices=placement.devices,
            cpu=spec.billed_cpu,
            memory_bytes=spec.billed_memory_bytes,
            rates=parts.prices.rates(placement.card),
            place=ground.place,
            boot_id=ground.boot_id,
        )
        row = await store.run(store.containers.create, session.id, wanted)
        gone_since_s = None if parts.lines.client_connected(session.id) else parts.clock.now()
        idle_s = idle_after_s(spec.idle_after_s, parts.settings.idle_after_s)
        live = Live(row=row, spec=spec, idle_after_s=idle_s, owner=session.owner)
        live.pinned_until_s = session.pinned_until_s
        live.client_gone_since_s = gone_since_s
        parts.roster.add(live)
        await store.run(store.sessions.set_container, session.id, row.id)
        if (placement.card, placement.count) != (session.card, session.card_count):
            await self._placer.record(session, placement)  # another of its alternatives
        return live

    async def _launch(self, live: Live, session: SessionRow, environment: Environment) -> None:
        parts, store = self._parts, self._parts.store
        self._say(session.id, "waking" if session.state is SessionState.HIBERNATED else "starting")
        await self._move(live, ContainerState.STARTING)
        await asyncio.to_thread(parts.places.make, session.id)
        config = await self._config(live, session, environment)
        directory = parts.places.container(session.id, live.id)
        started_at_s = live.heard_at_s = parts.clock.now()
        provider = parts.providers[live.row.provider]
        live.handle = await provider.start(
            ContainerSpec(
                config=config,
                directory=directory,
                owner=session.owner,
                preload=PRELOAD,
                image=environment.image,
            )
        )
        live.started_at_s = started_at_s
        await store.run(store.containers.set_handle, live.id, live.handle, live.row.fence, started_at_s)

    async def _config(self, live: Live, session: SessionRow, environment: Environment) -> ContainerConfig:
        parts, store, spec = self._parts, self._parts.store, session.spec
        _, token = await store.run(store.tokens.create, live.id, container_scope(live.id), None, session.owner)
        hidden = await store.run(parts.secrets.of(session.owner).environment, spec.secrets)
        volumes = await asyncio.to_thread(mounts_of, parts.volumes.of(session.owner), spec.volumes)
        return ContainerConfig(
            container_id=live.id,
            session_id=session.id,
            epoch=session.epoch,
            again=await self._is_another(session),
            control_url=parts.control_url,
            token=token,
            python=str(environment.python),
            work_dir=str(parts.places.work(session.id)),
            notebook_directory=environment.workdir or spec.notebook.directory,
            state_dir=str(parts.places.state(session.id)),
            arena_dir=str(parts.places.arena(session.id)),
            mounts=(*environment.mounts, *volumes),
            layers=(*environment.layers, *session.layers),
            env={**environment.env, **model_cache_env(spec.volumes), **hidden},
            secret_keys=tuple(sorted(hidden)),
            card=live.row.card,
            card_count=live.row.card_count,
            simulated=live.row.simulated,
            devices=live.row.devices,
            memory_bytes=spec.memory_bytes,
            cpu=spec.cpu,
            network=spec.network,
            pids=parts.settings.pids,
            disk_bytes=parts.settings.disk_bytes,
            disk_reserve_bytes=parts.settings.disk_reserve_bytes,
            heartbeat_s=parts.settings.heartbeat_s,
            freeze_after_s=parts.settings.freeze_after_s,
            log_level=parts.settings.log_level,
            runtime_lost_after_s=parts.settings.runtime_lost_after_s,
        )

    async def _is_another(self, session: SessionRow) -> bool:
        """Tell whether the session had a container before this one."""
        if session.state is SessionState.HIBERNATED:
            return True
        had = await self._parts.store.run(self._parts.store.containers.of_session, session.id)
        return any(row.started_at_s is not None for row in had)

    async def _answered(self, live: Live) -> None:
        """Wait for the agent's hello, but not on a container that has ended; raises SessionLost."""
        if live.handle is None:
            raise SessionLost("The container has no handle.")
        provider = self._parts.providers[live.row.provider]
        for _ in range(int(DEFAULTS.start_timeout_s / _LOOK_AGAIN_S)):
            try:
                async with asyncio.timeout(_LOOK_AGAIN_S):
                    await live.ready.wait()
            except TimeoutError:
                status = await provider.poll(live.handle)
                if status.phase is Phase.GONE:
                    raise SessionLost(f"The container ended while it started: {status.cause}.") from None
            else:
                return
        raise SessionLost(f"The container did not answer within {DEFAULTS.start_timeout_s:.0f} s of its start.")

    async def _opened(self, live: Live, session: SessionRow) -> None:
        store = self._parts.store
        epoch = live.epoch or session.epoch  # it is another where what was saved could not be read
        if session.state is SessionState.HIBERNATED:
            await store.run(store.sessions.set_state, session.id, SessionState.OPEN)
        if session.state is SessionState.HIBERNATED or epoch != session.epoch:
            row = await store.run(store.sessions.set_epoch, session.id, epoch, session.kept_lost)  # the kept names live
            self._parts.herald.session(row)
        live.opened = True
        await store.run(store.containers.move, live.id, live.state, live.row.fence)
        await store.run(store.containers.release, live.id, live.row.fence)

    async def _move(self, live: Live, to: ContainerState) -> None:
        live.become(to)
        await self._parts.store.run(self._parts.store.containers.move, live.id, to, live.row.fence)

    def reporter(self, session_id: str) -> _Reporter:
        """Return what takes the lines of a build."""
        return _Reporter(self._parts, session_id)

    def _say(self, session_id: str, phase: str, text: str = "") -> None:
        progress = Progress(phase=phase, text=text)
        if self._phases.get(session_id) != progress:
            self._phases[session_id] = progress
            self._parts.herald.progress(session_id, progress)
            self._parts.sayings.put(lambda: self._parts.lines.tell_client(session_id, progress))


class _Reporter:
    """Hands the lines of a build to the notebook that waits for it."""

    def __init__(self, parts: Parts, session_id: str) -> None:
        self._parts = parts
        self._session_id = session_id

    def __call__(self, line: str) -> None:
        note = Progress(phase="building", line=line)
        self._parts.herald.progress(self._session_id, note)
        self._parts.sayings.put(lambda: self._parts.lines.tell_client(self._session_id, note))


def idle_after_s(asked_s: float, operators_s: float) -> float:
    """Return the idle window: what was asked for, or the operator's when nothing particular was."""
    return operators_s if asked_s == DEFAULTS.idle_after_s else asked_s
