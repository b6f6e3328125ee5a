"""Volumes and their files."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from kernel_bridge.errors import Conflict
from kernel_bridge.protocol.wire import to_wire
from remote_runtime.api.auth import Gate, owner_of
from remote_runtime.api.bodies import check_length, receive, send_file
from remote_runtime.api.description import PATH_LIMIT_CHARS, FilePath, Name, gives_bytes, takes_bytes
from remote_runtime.store.rows import VolumeRow
from remote_runtime.store.sessions import Sessions
from remote_runtime.store.store import Store
from remote_runtime.volumes.service import FILE_LIMIT_BYTES, Entry, Volumes

Below = Annotated[str, Query(max_length=PATH_LIMIT_CHARS)]


def router(store: Store, volumes: Volumes, gate: Gate) -> APIRouter:
    """Make the routes of volumes."""
    routes = APIRouter(prefix="/v1/volumes", dependencies=[Depends(gate.person)])
    routes.include_router(_files(volumes), prefix="/{name}/files")

    @routes.get("")
    def listed(request: Request) -> list[dict[str, Any]]:
        """List the volumes with the sizes last seen."""
        return [_shown(row) for row in volumes.of(owner_of(request)).list()]

    @routes.get("/{name}")
    def get(name: Name, request: Request) -> dict[str, Any]:
        """Show a volume with its size now."""
        mine = volumes.of(owner_of(request))
        return {**_shown(mine.get(name)), "size_bytes": mine.measure(name)}

    @routes.put("/{name}", responses={201: {"description": "It is new."}})
    def put(name: Name, request: Request, response: Response) -> dict[str, Any]:
        """Make a volume; 201 when it is new, 200 when it was there."""
        row, new = volumes.of(owner_of(request)).ensure(name)
        response.status_code = 201 if new else 200
        return _shown(row)

    @routes.delete("/{name}", status_code=204)
    def delete(name: Name, request: Request) -> None:
        """Remove a volume and its files, unless a container has it mounted."""
        owner = owner_of(request)
        _refuse_mounted(store.sessions, owner, name)
        volumes.of(owner).delete(name)

    return routes


def _files(volumes: Volumes) -> APIRouter:
    routes = APIRouter()

    @routes.get("")
    def listed(name: Name, request: Request, path: Below = "", recursive: bool = False) -> Response:
        """List a directory of a volume, or everything below it, or one file."""
        found = volumes.of(owner_of(request)).entries(name, path, recursive=recursive)
        return JSONResponse({"entries": [_line(entry) for entry in found]})

    @routes.get("/{path:path}", response_class=Response, responses=gives_bytes())
    def get(name: Name, path: FilePath, request: Request) -> Response:
        """Send a file."""
        return send_file(*volumes.of(owner_of(request)).open(name, path))

    @routes.put("/{path:path}", status_code=201, openapi_extra=takes_bytes())
    async def put(name: Name, path: FilePath, request: Request, directory: bool = False) -> dict[str, Any]:
        """Take a file as it comes, over what was there; with `directory`, make a directory."""
        mine = volumes.of(owner_of(request))
        if directory:
            await asyncio.to_thread(mine.make_directory, name, path)
            return {"path": path.strip("/"), "kind": "directory"}
        check_length(request, FILE_LIMIT_BYTES)
        writer = await asyncio.to_thread(mine.writer, name, path)
        return _line(await receive(request, writer))

    @routes.delete("/{path:path}", status_code=204)
    def delete(name: Name, path: FilePath, request: Request, recursive: bool = False) -> None:
        """Remove a file, a link, or a directory."""
        volumes.of(owner_of(request)).remove(name, path, recursive=recursive)

    return routes


def _refuse_mounted(sessions: Sessions, owner: str, name: str) -> None:
    for session in sessions.list(owner):
        if session.container_id and any(mount.name == name for mount in session.spec.volumes):
            raise Conflict(f"Session {session.id} has the volume {name!r} mounted: stop it first, with `%gpu_stop`.")


def _shown(row: VolumeRow) -> dict[str, Any]:
    return {"name": row.name, "created_at_s": row.created_at_s, "size_bytes": row.size_bytes}


def _line(entry: Entry) -> dict[str, Any]:
    shown: dict[str, Any] = to_wire(entry)
    return shown
