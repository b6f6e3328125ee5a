"""What there is to tidy up, and how each thing goes: the looks and the hands of the janitor, without the decisions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from kernel_bridge.protocol.images import ImageRecipe
from remote_runtime.images.catalogue import Catalogue
from remote_runtime.images.shelf import Shelf, Stored, remove, size_of
from remote_runtime.scheduler.eviction import Budget, Kept, Kind, ended_containers, superfluous
from remote_runtime.scheduler.parts import Parts
from remote_runtime.store.rows import SessionRow

_DAY_S: Final = 86400.0
_HOUR_S: Final = 3600.0
_KINDS: Final = {
    "env": Kind.ENVIRONMENT,
    "layers": Kind.LAYER,
    "files": Kind.FILES,
    "bytecode": Kind.BYTECODE,
    "logs": Kind.BUILD,
    "recipes": Kind.BUILD,
    "tmp": Kind.BUILD,
}

Away = Callable[[], Awaitable[bool]]  # lets one thing go, unless somebody came for it; tells whether it went
Doomed = tuple[Kept, Away]
Close = Callable[[str, str], Awaitable[None]]


class Installed(Protocol):
    """What knows what was built here."""

    shelf: Shelf
    catalogue: Catalogue

    def names_of(self, recipe: ImageRecipe) -> frozenset[str]:
        """Return what a session with this recipe starts from, as the shelf names it."""


class Leavings:
    """Everything a control plane keeps, looked through kind by kind."""

    def __init__(self, parts: Parts, installed: Installed, close: Close) -> None:
        self._parts = parts
        self._installed = installed
        self._close = close
        self._began_s = parts.clock.now()

    @property
    def looks(self) -> tuple[Callable[[], Awaitable[list[Doomed]]], ...]:
        """Return the looks in the order in which they are to be had: what is closed first needs nothing after."""
        return self._abandoned, self._blobs, self._engine, self._images, self._containers, self._sessions, self._logs

    async def _abandoned(self) -> list[Doomed]:
        """Sessions that were opened and have had no container for long: closing one deletes its files."""
        store = self._parts.store
        before_s = self._parts.clock.now() - self._parts.settings.unused_kept_s
        rows = await store.run(store.forgetting.abandoned, before_s)
        return [
            (_session(row.id, row.opened_at_s, 0), self._closing(row))
            for row in rows
            if not self._parts.lines.client_connected(row.id)
        ]

    def _closing(self, row: SessionRow) -> Away:
        async def away() -> bool:
            if self._parts.roster.of(row.id) or self._parts.lines.client_connected(row.id):
                return False  # it wakes just now
            await self._close(row.id, "nobody used it for long")
            return True

        return away

    async def _blobs(self) -> list[Doomed]:
        store, settings = self._parts.store, self._parts.settings
        rows = await store.run(store.blobs.unused_since, float("inf"))
        kept = [
            Kept(kind=Kind.BLOB, name=row.digest, size_bytes=row.size_bytes, used_at_s=row.used_at_s) for row in rows
        ]
        budget = Budget(kept_s=settings.unused_kept_s, size_bytes=settings.blob_budget_bytes)
        return [(one, self._dropping(one)) for one in self._decide(kept, budget)]

    def _dropping(self, one: Kept) -> Away:
        store = self._parts.store

        async def away() -> bool:
            return await store.run(store.blobs.delete, one.name, one.used_at_s)

        return away

    async def _images(self) -> list[Doomed]:
        """Environments, layers and what belongs to them; what a session that stands would start from stays."""
        settings = self._parts.settings
        stock = await asyncio.to_thread(self._installed.shelf.stock)
        needed = await self._needed()
        kept = [_stored(stored, needed) for stored in stock]
        builds = [one for one in kept if one.kind is Kind.BUILD]
        chosen = self._decide(builds, Budget(kept_s=max(settings.unused_kept_s, _DAY_S), spared_s=_DAY_S))
        # What a container of an earlier control plane started from is not known: nothing goes while one lives.
        if not any(live.row.created_at_s < self._began_s for live in self._parts.roster):
            budget = Budget(kept_s=settings.unused_kept_s, size_bytes=settings.image_budget_bytes)
            chosen += self._decide((one for one in kept if one.kind is not Kind.BUILD), budget)
        return [(one, self._taking(one)) for one in chosen]

    async def _engine(self) -> list[Doomed]:
        """Images of a container engine; what several share counts for each of them."""
        store, settings, catalogue = self._parts.store, self._parts.settings, self._installed.catalogue
        found = [image for image in await asyncio.to_thread(catalogue.images) if image.image]
        standing = {row.spec.image.digest for row in await store.run(store.sessions.list)}
        kept = [
            Kept(
                kind=Kind.IMAGE,
                name=image.digest,
                size_bytes=image.size_bytes,
                used_at_s=image.used_at_s,
                needed=image.digest in standing or image.state == "building",
            )
            for image in found
        ]
        budget = Budget(kept_s=settings.unused_kept_s, size_bytes=settings.image_budget_bytes)
        return [(one, partial(catalogue.drop, one.name)) for one in self._decide(kept, budget)]

    async def _needed(self) -> frozenset[str]:
        store = self._parts.store
        needed: set[str] = set()
        for row in await store.run(store.sessions.list):
            needed |= self._installed.names_of(row.spec.image)
            needed.update(f"layers/{Path(layer).name}" for layer in row.layers)
        return frozenset(needed)

    def _taking(self, one: Kept) -> Away:
        async def away() -> bool:
            # No await between the shelf's look and its rename, on the loop where images are handed out.
            doomed = self._installed.shelf.take(one.name, one.used_at_s)
            if doomed is not None:
                await asyncio.to_thread(remove, doomed)
            return doomed is not None

        return away

    async def _containers(self) -> list[Doomed]:
        """Folders of containers that have ended; a session that stands for months has had many."""
        store, places = self._parts.store, self._parts.places
        found = await asyncio.to_thread(_container_folders, places.data_dir / "sessions")
        rows = [*await store.run(store.containers.live), *await store.run(store.containers.unbilled)]
        busy = frozenset(row.id for row in rows) | {live.id for live in self._parts.roster}
        ended = self._decide(ended_containers(found, busy), Budget(kept_s=_DAY_S, spared_s=_HOUR_S))
        return [(one, _deleting(partial(places.forget_container, *one.name.split("/")))) for one in ended]

    async def _sessions(self) -> list[Doomed]:
        """Folders of sessions that are closed or that no row knows."""
        store, places = self._parts.store, self._parts.places
        # Looked at before the rows are: a session that is opened meanwhile is among the rows.
        found = await asyncio.to_thread(_session_folders, (places.data_dir / "sessions", places.arena_root))
        standing = {row.id for row in await store.run(store.sessions.list)}
        standing |= {live.session_id for live in self._parts.roster}
        over = [one for one in found if one.name not in standing]
        chosen = self._decide(over, Budget(kept_s=_HOUR_S, spared_s=_HOUR_S))
        return [(one, self._clearing(one.name)) for one in chosen]

    def _clearing(self, session_id: str) -> Away:
        async def away() -> bool:
            await asyncio.to_thread(self._parts.places.remove, session_id)
            return True

        return away

    async def _logs(self) -> list[Doomed]:
        """Logs of environments' parent processes that have long been silent."""
        folder = self._parts.settings.runtime_dir / "zygotes"
        found = await asyncio.to_thread(_log_files, folder)
        chosen = self._decide(found, Budget(kept_s=max(self._parts.settings.unused_kept_s, _DAY_S)))
        return [(one, _deleting(partial(remove, folder / one.name))) for one in chosen]

    def _decide(self, kept: Iterable[Kept], budget: Budget) -> list[Kept]:
        return superfluous(kept, budget, self._parts.clock.now())


def _stored(stored: Stored, needed: frozenset[str]) -> Kept:
    return Kept(
        kind=_KINDS[stored.name.partition("/")[0]],
        name=stored.name,
        size_bytes=stored.size_bytes,
        used_at_s=stored.used_at_s,
        needed=stored.linked or stored.name in needed,
    )


def _session(session_id: str, used_at_s: float, size_bytes: int) -> Kept:
    return Kept(kind=Kind.SESSION, name=session_id, size_bytes=size_bytes, used_at_s=used_at_s)


def _deleting(work: Callable[[], None]) -> Away:
    async def away() -> bool:
        await asyncio.to_thread(work)
        return True

    return away


def _container_folders(sessions: Path) -> list[Kept]:
    found = []
    for path in sessions.glob("*/containers/*"):
        name = f"{path.parents[1].name}/{path.name}"
        with suppress(FileNotFoundError):  # its session is closed just now
            used_at_s = path.stat().st_mtime
            found.append(Kept(kind=Kind.CONTAINER, name=name, size_bytes=size_of(path), used_at_s=used_at_s))
    return found


def _session_folders(roots: Iterable[Path]) -> list[Kept]:
    found: dict[str, Kept] = {}
    for path in (path for root in roots for path in root.glob("ses_*")):
        older = found.get(path.name, _session(path.name, 0.0, 0))
        with suppress(FileNotFoundError):
            used_at_s = max(older.used_at_s, path.stat().st_mtime)
            found[path.name] = _session(path.name, used_at_s, older.size_bytes + size_of(path))
    return list(found.values())


def _log_files(folder: Path) -> list[Kept]:
    return [
        Kept(kind=Kind.LOG, name=path.name, size_bytes=path.stat().st_size, used_at_s=path.stat().st_mtime)
        for path in folder.glob("*.log")
    ]
