"""Volumes: make, show, rename, remove, and their versions. Their files are routes of their own."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response

from kernel_bridge.errors import Conflict, Forbidden
from kernel_bridge.protocol.sessions import VolumeMount
from kernel_bridge.protocol.wire import to_wire
from remote_runtime.api.auth import Gate, owner_of, principal_of
from remote_runtime.api.bodies import json_body
from remote_runtime.api.description import Name, takes
from remote_runtime.api.routes import volume_files
from remote_runtime.billing.prices import PriceTable
from remote_runtime.store.rows import VolumeRow
from remote_runtime.store.sessions import Sessions
from remote_runtime.store.store import Store
from remote_runtime.volumes.service import Volumes

VersionNumber = Annotated[int, Path(ge=1, le=10**9)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to be other about a volume; None leaves it."""

    name: str | None = None
    quota_bytes: int | None = None  # 0: no limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What is said of a commit."""

    message: str = ""


def router(store: Store, volumes: Volumes, prices: PriceTable, gate: Gate) -> APIRouter:
    """Make the routes of volumes."""
    routes = APIRouter(prefix="/v1/volumes")
    people = [Depends(gate.person)]
    routes.include_router(volume_files.files(volumes), prefix="/{name}/files", dependencies=people)
    routes.include_router(volume_files.transfers(volumes), prefix="/{name}", dependencies=people)
    routes.include_router(_versions(store, volumes, gate), prefix="/{name}/versions")

    @routes.get("", dependencies=people)
    def listed(request: Request) -> list[dict[str, Any]]:
        """List the volumes with the sizes last seen."""
        return [_shown(row) for row in volumes.of(owner_of(request)).list()]

    @routes.get("/{name}", dependencies=people)
    def get(name: Name, request: Request) -> dict[str, Any]:
        """Show a volume: its size now, its growth, its quota, and what a month of it costs."""
        mine = volumes.of(owner_of(request))
        usage = mine.usage(name)
        cost = prices.volume_month_microusd(usage.disk_bytes + usage.history_bytes)
        return {**_shown(mine.get(name)), **to_wire(usage), "cost_month_microusd": cost}

    @routes.put("/{name}", responses={201: {"description": "It is new."}}, dependencies=people)
    def put(name: Name, request: Request, response: Response) -> dict[str, Any]:
        """Make a volume; 201 when it is new, 200 when it was there."""
        row, new = volumes.of(owner_of(request)).ensure(name)
        response.status_code = 201 if new else 200
        return _shown(row)

    @routes.post("/{name}", openapi_extra=takes(Change), dependencies=people)
    async def change(name: Name, request: Request) -> dict[str, Any]:
        """Rename a volume, unless a container has it mounted, or set its quota."""
        asked, owner = await json_body(request, Change), owner_of(request)
        return await store.run(_changed, store.sessions, volumes.of(owner), name, asked)

    @routes.delete("/{name}", status_code=204, dependencies=people)
    def delete(name: Name, request: Request) -> None:
        """Remove a volume, its versions and its files, unless a container has it mounted."""
        owner = owner_of(request)
        _refuse_mounted(store.sessions, owner, name)
        volumes.of(owner).delete(name)

    return routes


def _versions(store: Store, volumes: Volumes, gate: Gate) -> APIRouter:
    routes = APIRouter()

    @routes.get("", dependencies=[Depends(gate.anyone)])
    def log(name: Name, request: Request) -> dict[str, Any]:
        """List a volume's versions, newest first. A container sees those of the volumes it has mounted."""
        _check_container(store, request, name, writes=False)
        return {"versions": to_wire(volumes.of(principal_of(request).owner).log(name))}

    @routes.post("", status_code=201, openapi_extra=takes(Commit), dependencies=[Depends(gate.anyone)])
    async def commit(name: Name, request: Request) -> dict[str, Any]:
        """Keep what a volume holds now as a version. A container may where it has the volume mounted to write."""
        asked = await json_body(request, Commit)
        return await asyncio.to_thread(_committed, store, volumes, request, name, asked)

    @routes.delete("/{version}", dependencies=[Depends(gate.person)])
    def forget(name: Name, version: VersionNumber, request: Request) -> dict[str, Any]:
        """Forget a version, unless a container has it mounted."""
        owner = owner_of(request)
        _refuse_mounted(store.sessions, owner, name, version)
        return {"freed_bytes": volumes.of(owner).forget(name, version)}

    return routes


def _committed(store: Store, volumes: Volumes, request: Request, name: str, asked: Commit) -> dict[str, Any]:
    _check_container(store, request, name, writes=True)
    shown: dict[str, Any] = to_wire(volumes.of(principal_of(request).owner).commit(name, asked.message))
    return shown


def _changed(sessions: Sessions, volumes: Volumes, name: str, asked: Change) -> dict[str, Any]:
    if asked.quota_bytes is not None:
        volumes.set_quota(name, asked.quota_bytes)
    if asked.name is None or asked.name == name:
        return _shown(volumes.get(name))
    volumes.get(name)
    _refuse_mounted(sessions, volumes.owner, name)
    return _shown(volumes.rename(name, asked.name))


def _check_container(store: Store, request: Request, name: str, *, writes: bool) -> None:
    """Keep an agent to the volumes of its own session; raises Forbidden."""
    principal = principal_of(request)
    if not principal.container_id:
        return
    mounts: tuple[VolumeMount, ...] = ()
    for session in store.sessions.list(principal.owner):
        if session.container_id == principal.container_id:
            mounts = session.spec.volumes
    if not any(mount.name == name and not (writes and (mount.read_only or mount.version)) for mount in mounts):
        raise Forbidden(
            f"This cell's session does not have the volume {name!r} mounted{' to write' if writes else ''}."
        )


def _refuse_mounted(sessions: Sessions, owner: str, name: str, version: int = 0) -> None:
    for session in sessions.list(owner):
        mounts = session.spec.volumes if session.container_id else ()
        if any(mount.name == name and (not version or mount.version == version) for mount in mounts):
            raise Conflict(f"Session {session.id} has the volume {name!r} mounted: stop it first, with `%gpu_stop`.")


def _shown(row: VolumeRow) -> dict[str, Any]:
    return {"name": row.name, "created_at_s": row.created_at_s, "size_bytes": row.size_bytes}
