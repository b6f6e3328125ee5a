"""What a person may do with a session: open, look, stop, reset, pin, add packages."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kernel_bridge.errors import BadRequest, Conflict, NotFound
from kernel_bridge.protocol.ids import new_id
from kernel_bridge.protocol.sessions import SessionInfo, SessionSpec, SessionState
from remote_runtime.images.engine_builder import Asker
from remote_runtime.images.environment import check_python
from remote_runtime.scheduler.ending import Ender, unsaved_line
from remote_runtime.scheduler.parts import Parts
from remote_runtime.scheduler.placer import Placer
from remote_runtime.scheduler.starting import Starter, idle_after_s
from remote_runtime.store.rows import CellRow, SessionRow
from remote_runtime.store.sessions import no_session

_UNWRITTEN: Final = (
    "The stop cannot be written down, so the container stays for now: most often the runtime's disk has no space left, "
    "and its log says why"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerInfo:
    """A package layer, as whoever asked for it uses it."""

    path: str
    seconds: float
    cached: bool


class Sessions:
    """The sessions of everyone. Those of other owners are not found."""

    def __init__(self, parts: Parts, placer: Placer, starter: Starter, ender: Ender) -> None:
        self._parts = parts
        self._placer = placer
        self._starter = starter
        self._ender = ender

    async def open(self, spec: SessionSpec, owner: str) -> SessionInfo:
        """Find the standing session of this key or open one; starts nothing.

        Raises PythonMismatch, NotFound for a volume or secret, NoCapacity, BadOption: all before anything costs.
        """
        check_python(spec.notebook.python, spec.image.python)
        await self._check_names(spec, owner)
        placement = await self._placer.find(spec)
        row = await self._parts.store.run(self._parts.store.sessions.open, spec, owner)
        if row.new or (not row.container_id and row.card != placement.card):
            row = await self._placer.record(row, placement)
            self._parts.herald.session(row)
        if live := self._parts.roster.of(row.id):
            live.spec = spec
            live.idle_after_s = idle_after_s(spec.idle_after_s, self._parts.settings.idle_after_s)
            live.tell()
        return await self._info(row)

    async def info(self, session_id: str, owner: str | None = None) -> SessionInfo:
        """Return one session, closed ones too; raises NotFound."""
        row, spent = await self._parts.store.run(self._row_and_spent, session_id)
        return self._shown(_within_reach(row, owner), spent)

    async def list(self, owner: str | None) -> list[SessionInfo]:
        """Return the standing sessions of an owner or of everyone, oldest first."""
        rows = await self._parts.store.run(self._parts.store.sessions.list, owner)
        return [await self._info(row) for row in rows]

    async def cells(self, session_id: str, owner: str | None) -> tuple[CellRow, ...]:
        """Return the newest cells of a session, in the order they started."""
        await self.row(session_id, owner)
        await self._parts.writes.flushed()
        return await self._parts.store.run(self._parts.store.cells.list, session_id)

    async def stop(self, session_id: str, owner: str | None) -> SessionInfo:
        """Hibernate now and return when it is done; a session without a container stays as it is."""
        await self.row(session_id, owner)
        await self._starter.stop(session_id)
        if live := self._parts.roster.of(session_id):
            await asyncio.shield(self._ender.hibernate(live, "it was asked to stop"))
            if not live.over.is_set():
                reset = "Make room and stop it again, or discard it with `%gpu_reset`."
                why = unsaved_line(live.unsaved) if live.unsaved else _UNWRITTEN
                raise Conflict(f"{why.rstrip('.')}. {reset}")
        return await self.info(session_id)

    async def reset(self, session_id: str, owner: str | None, why: str = "it was reset") -> SessionInfo:
        """End the container, discard the state, close the session."""
        await self.row(session_id, owner)
        await self.close(session_id, why)
        return await self.info(session_id)

    async def close(self, session_id: str, why: str) -> None:
        """The same, for the control plane's own use. Twice is success."""
        store = self._parts.store
        # Nobody can wake it from here on.
        self._parts.herald.session(await store.run(store.sessions.set_state, session_id, SessionState.CLOSED))
        await self._starter.stop(session_id)
        if live := self._parts.roster.of(session_id):
            await self._ender.killed(live, why)
        await store.run(store.sessions.set_kept, session_id, names=(), size_bytes=0, epoch="", until_s=0.0)
        await asyncio.to_thread(self._parts.places.remove, session_id)

    async def expire(self, session: SessionRow) -> None:
        """Let go of what a session keeps; it stands, empty, and its notebook is told by its next cell."""
        store, kept_s = self._parts.store, self._parts.settings.hibernated_kept_s
        why = f"state is kept for {format_days(kept_s)}, which are over"
        await asyncio.to_thread(self._parts.places.forget_state, session.id)
        lost = dict.fromkeys(session.kept_names, why)
        self._parts.herald.session(
            await store.run(store.sessions.set_expired, session.id, new_id("epoch"), session.kept_lost | lost)
        )

    async def pin(self, session_id: str, owner: str | None, until_s: float | None) -> SessionInfo:
        """Keep the session's container until then, idle or not; None lets it go again."""
        await self.row(session_id, owner)
        if live := self._parts.roster.of(session_id):
            live.pinned_until_s = until_s
            live.tell()
        self._parts.herald.session(await self._parts.store.run(self._parts.store.sessions.pin, session_id, until_s))
        return await self.info(session_id)

    async def add_layer(
        self, session_id: str, owner: str | None, requirements: Sequence[str], *, resolve: bool = False
    ) -> LayerInfo:
        """Build a package layer for the session's environment and remember it."""
        if not requirements:
            raise BadRequest("Name at least one package, as `name==version`.")
        row = await self.row(session_id, owner)
        report = self._starter.reporter(session_id)
        environment = await self._parts.images.environment(row.spec.image, report, Asker(row.owner))
        layer = await self._parts.images.layer(environment, tuple(requirements), report, resolve=resolve)
        await self._parts.store.run(self._parts.store.sessions.append_layer, session_id, str(layer.path))
        return LayerInfo(path=str(layer.path), seconds=layer.seconds, cached=layer.cached)

    async def _check_names(self, spec: SessionSpec, owner: str) -> None:
        run, secrets, volumes = self._parts.store.run, self._parts.secrets.of(owner), self._parts.volumes.of(owner)
        for mount in spec.volumes:
            if not mount.path.startswith("/") or ".." in mount.path.split("/") or not mount.path.strip("/"):
                raise BadRequest(f"The volume {mount.name} wants an absolute path: `--volume {mount.name}:/data`.")
            try:
                await run(volumes.get, mount.name)
                await asyncio.to_thread(
                    volumes.check_mount, mount.name, mount.sub_path, mount.version, read_only=mount.read_only
                )
            except NotFound as error:
                if mount.sub_path or mount.version:
                    raise NotFound(f"`--volume {mount.source}:{mount.path}`: {error}") from None
                raise NotFound(
                    f"There is no volume {mount.name!r}: `cellburst volume create {mount.name}` makes one, or "
                    f"`cellburst.Volume.from_name({mount.name!r}, create_if_missing=True)` in the notebook."
                ) from None
        for name in spec.secrets:
            try:
                await run(secrets.require, (name,))
            except NotFound:
                raise NotFound(f"There is no secret {name!r}: `cellburst secret create {name} KEY=VALUE`.") from None

    async def row(self, session_id: str, owner: str | None) -> SessionRow:
        """Return a session's row if it is within an owner's reach; raises NotFound."""
        return _within_reach(await self._parts.store.run(self._parts.store.sessions.get, session_id), owner)

    def _row_and_spent(self, session_id: str) -> tuple[SessionRow, int]:
        """In one go on the store's thread: a notebook waits for it, and between two goes there may be writes."""
        return self._parts.store.sessions.get(session_id), self._parts.accounts.spent_microusd(session_id)

    async def _info(self, row: SessionRow) -> SessionInfo:
        return self._shown(row, await self._parts.store.run(self._parts.accounts.spent_microusd, row.id))

    def _shown(self, row: SessionRow, spent: int) -> SessionInfo:
        live = self._parts.roster.of(row.id)
        return SessionInfo(
            id=row.id,
            state=row.state,
            spec=row.spec,
            card=row.card,
            card_count=row.card_count,
            simulated=row.simulated,
            provider=row.provider,
            place=row.place,
            isolation=row.isolation,
            mend=row.mend,
            boot_id=row.boot_id,
            arena=row.arena,
            epoch=row.epoch,
            layers=row.layers,
            container_id=live.id if live else "",
            container_state=live.state if live else None,
            container_started_at_s=live.started_at_s if live else None,
            rate_microusd_per_h=row.rate_microusd_per_h,
            spent_microusd=spent,
            idle_since_s=live.idle_since_s if live else None,
            frozen=live is not None and live.frozen,
            pinned_until_s=row.pinned_until_s,
            new=row.new,
            kept_names=row.kept_names,
            kept_bytes=row.kept_bytes,
            kept_until_s=row.kept_until_s or None,
            lost=row.kept_lost,
            unsaved=live.unsaved if live else "",
        )


def _within_reach(row: SessionRow, owner: str | None) -> SessionRow:
    if owner is not None and row.owner != owner:
        raise no_session(row.id)  # in the words for one that never was
    return row


def format_days(seconds: float) -> str:
    """Write a long time: `7 days`, `36 hours`, `90 s`."""
    for unit, length_s in (("days", 86400.0), ("hours", 3600.0)):
        if seconds >= 2 * length_s and seconds % length_s == 0:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{seconds:.0f} s"
