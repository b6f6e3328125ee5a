"""The files of volumes: list, read, write, remove, copy, and uploads that go on after a cut."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import IO, Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from kernel_bridge.errors import BadRequest
from kernel_bridge.protocol.content import CHUNK_BYTES, FILE_LIMIT_BYTES, check_content_digest, digest_of
from kernel_bridge.protocol.wire import to_wire
from remote_runtime.api.auth import owner_of
from remote_runtime.api.bodies import check_length, json_body, receive, send_file
from remote_runtime.api.description import PATH_LIMIT_CHARS, FilePath, Id, Name, gives_bytes, takes, takes_bytes
from remote_runtime.volumes.entries import Entry
from remote_runtime.volumes.service import Volumes
from remote_runtime.volumes.uploads import UploadRequest

PACK_LIMIT_BYTES: Final = 1 << 30
CHUNKS_LIMIT: Final = FILE_LIMIT_BYTES // CHUNK_BYTES
Below = Annotated[str, Query(max_length=PATH_LIMIT_CHARS)]
Version = Annotated[int, Query(ge=0, le=10**9)]
Number = Annotated[int, Path(ge=0, le=CHUNKS_LIMIT)]
DigestSaid = Annotated[str, Query(max_length=64, pattern="^([0-9a-f]{64})?$")]
_RANGE: Final = re.compile(r"bytes=(\d{1,18})-(\d{0,18})\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """What is to be copied where, within one volume; from a version of it where that is said."""

    sources: tuple[str, ...]
    destination: str
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """What the sender says the whole file holds."""

    digest: str


def files(volumes: Volumes) -> APIRouter:
    """Make the routes of a volume's files, each by its path."""
    routes = APIRouter()

    @routes.get("")
    def listed(
        name: Name, request: Request, path: Below = "", recursive: bool = False, version: Version = 0
    ) -> Response:
        """List a directory of a volume, or everything below it, or one file."""
        found = volumes.of(owner_of(request)).entries(name, path, recursive=recursive, version=version)
        return JSONResponse({"entries": [_line(entry) for entry in found]})

    @routes.get("/{path:path}", response_class=Response, responses=gives_bytes())
    def get(name: Name, path: FilePath, request: Request, version: Version = 0) -> Response:
        """Send a file, or the part of it that a `Range` header asks for."""
        file, size_bytes = volumes.of(owner_of(request)).open(name, path, version)
        wanted = request.headers.get("range")
        if wanted is not None:
            return _part(file, size_bytes, wanted)
        return send_file(file, size_bytes) if size_bytes > CHUNK_BYTES else _small(file)

    @routes.put("/{path:path}", status_code=201, openapi_extra=takes_bytes())
    async def put(
        name: Name,
        path: FilePath,
        request: Request,
        directory: bool = False,
        executable: bool = False,
        digest: DigestSaid = "",
    ) -> dict[str, Any]:
        """Take a file as it comes, over what was there, if it is what `digest` says; with `directory`, make one."""
        mine = volumes.of(owner_of(request))
        if directory:
            await asyncio.to_thread(mine.make_directory, name, path)
            return {"path": path.strip("/"), "kind": "directory"}
        check_length(request, FILE_LIMIT_BYTES)
        writer = await asyncio.to_thread(mine.writer, name, path, digest=digest)
        writer.executable = executable
        return _line(await receive(request, writer))

    @routes.delete("/{path:path}", status_code=204)
    def delete(name: Name, path: FilePath, request: Request, recursive: bool = False) -> None:
        """Remove a file, a link, or a directory."""
        volumes.of(owner_of(request)).remove(name, path, recursive=recursive)

    return routes


def transfers(volumes: Volumes) -> APIRouter:
    """Make the routes that move large files and many."""
    routes = APIRouter()
    routes.include_router(_uploads(volumes), prefix="/uploads")

    @routes.get("/content/{path:path}")
    def content(name: Name, path: FilePath, request: Request, version: Version = 0) -> Response:
        """Tell what a file holds: its digest, and those of its chunks that are not all zeros."""
        found = volumes.of(owner_of(request)).content(name, path, version)
        chunks = [[chunk.index, chunk.digest] for chunk in found.chunks]
        return JSONResponse({"size_bytes": found.size_bytes, "digest": found.digest, "chunks": chunks})

    @routes.post("/copy", openapi_extra=takes(Copy))
    async def copy(name: Name, request: Request) -> dict[str, int]:
        """Copy files and folders within a volume, or out of a version of it."""
        asked, mine = await json_body(request, Copy), volumes.of(owner_of(request))
        return {"files": await asyncio.to_thread(mine.copy, name, asked.sources, asked.destination, asked.version)}

    @routes.get("/pack", response_class=Response, responses=gives_bytes())
    def packed(name: Name, request: Request, path: Below = "", version: Version = 0) -> Response:
        """Send the small files below a directory in one body, in the form that `POST` takes and with an end."""
        pieces = volumes.of(owner_of(request)).packed(name, path, version)
        return StreamingResponse(pieces, media_type="application/octet-stream")

    @routes.post("/pack", status_code=201, openapi_extra=takes_bytes())
    async def pack(name: Name, request: Request) -> dict[str, int]:
        """Take many small files in one body; those that came whole stay."""
        check_length(request, PACK_LIMIT_BYTES)
        sink = await asyncio.to_thread(volumes.of(owner_of(request)).pack, name)
        return {"files": await receive(request, sink)}

    return routes


def _uploads(volumes: Volumes) -> APIRouter:
    routes = APIRouter()

    @routes.post("", status_code=201, openapi_extra=takes(UploadRequest))
    async def begin(name: Name, request: Request) -> dict[str, Any]:
        """Begin to send a file in chunks, or go on: the answer says which chunks are here."""
        asked, mine = await json_body(request, UploadRequest), volumes.of(owner_of(request))
        return {**to_wire(await asyncio.to_thread(mine.begin_upload, name, asked)), "chunk_bytes": CHUNK_BYTES}

    @routes.put("/{upload_id}/{index}", status_code=201, openapi_extra=takes_bytes())
    async def chunk(
        name: Name, upload_id: Id, index: Number, request: Request, digest: DigestSaid = ""
    ) -> dict[str, Any]:
        """Take one chunk, which must have the digest that is said."""
        check_length(request, CHUNK_BYTES)
        mine = volumes.of(owner_of(request))
        sink = await asyncio.to_thread(mine.chunk, name, upload_id, index, check_content_digest(digest))
        taken: dict[str, Any] = to_wire(await receive(request, sink))
        return taken

    @routes.post("/{upload_id}", status_code=201, openapi_extra=takes(Whole))
    async def finish(name: Name, upload_id: Id, request: Request) -> dict[str, Any]:
        """Put an uploaded file in its place, if it holds what the sender says."""
        asked, mine = await json_body(request, Whole), volumes.of(owner_of(request))
        return _line(await asyncio.to_thread(mine.finish_upload, name, upload_id, asked.digest))

    @routes.delete("/{upload_id}", status_code=204)
    def drop(name: Name, upload_id: Id, request: Request) -> None:
        """Give an upload up."""
        volumes.of(owner_of(request)).drop_upload(name, upload_id)

    return routes


def _part(file: IO[bytes], size_bytes: int, wanted: str) -> Response:
    found = _RANGE.match(wanted)
    first = int(found[1]) if found else 0
    last = min(int(found[2] or size_bytes - 1), size_bytes - 1) if found else 0
    if not found or first > last:
        file.close()
        raise BadRequest(f"`Range: {wanted[:60]}` is not within a file of {size_bytes} bytes.")
    file.seek(first)
    reply = send_file(file, last - first + 1)
    reply.status_code = 206
    reply.headers["Content-Range"] = f"bytes {first}-{last}/{size_bytes}"
    return reply


def _small(file: IO[bytes]) -> Response:
    """Send a file of one chunk at most, with the digest of what is sent."""
    with file:
        data = file.read(CHUNK_BYTES)
    headers = {"X-Content-Digest": digest_of(data), "X-Content-Type-Options": "nosniff"}
    return Response(data, media_type="application/octet-stream", headers=headers)


def _line(entry: Entry) -> dict[str, Any]:
    shown: dict[str, Any] = to_wire(entry)
    return shown
