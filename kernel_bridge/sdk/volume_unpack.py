"""Take the small files of a folder out of one answer, each checked: a request for each would take far longer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from kernel_bridge.client.volumes import VolumeRoutes
from kernel_bridge.errors import Conflict, RuntimeUnreachable
from kernel_bridge.protocol.content import digest_of
from kernel_bridge.sdk.volume_download import Count


def fetch_small(
    routes: VolumeRoutes,
    name: str,
    path: str,
    version: int,
    targets: Mapping[str, Path],
    count: Count,
    *,
    force: bool = False,
) -> frozenset[str]:
    """Write the small files below a folder to where they belong; return the paths that are done.

    A file that is here already with the same bytes is left alone; one with others is a Conflict without `force`, as is
    one that arrived otherwise than it was sent.
    """
    done = set()
    with routes.pack(name, path, version) as pieces:
        for head, data in unpacked(pieces):
            target = targets.get(head["path"])
            if target is not None:
                if digest_of(data) != head["digest"]:
                    raise Conflict(f"{head['path']} did not arrive as it was sent: try again.")
                _put(target, data, executable=bool(head["executable"]), force=force)
                count(head["path"], len(data))
                done.add(str(head["path"]))
    return frozenset(done)


def unpacked(pieces: Iterable[bytes]) -> Iterator[tuple[dict[str, str], bytes]]:
    """Yield the heads and the bytes of a pack's files; raises RuntimeUnreachable for one that has no end."""
    source, buffer = iter(pieces), bytearray()

    def take(size_bytes: int) -> bytes:
        while len(buffer) < size_bytes:
            piece = next(source, b"")
            if not piece:
                raise RuntimeUnreachable("The connection to the runtime broke: say it again, and what is here stays.")
            buffer.extend(piece)
        data = bytes(buffer[:size_bytes])
        del buffer[:size_bytes]
        return data

    while length := int.from_bytes(take(4), "big"):
        head = json.loads(take(length))
        yield head, take(int(head["size_bytes"]))


def _put(target: Path, data: bytes, *, executable: bool, force: bool) -> None:
    if target.is_file() and target.stat().st_size == len(data) and target.read_bytes() == data:
        return
    if not force and target.exists():
        raise Conflict(f"{target} is there already: write --force to overwrite it, or another place to copy to.")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    part.write_bytes(data)
    if executable:
        part.chmod(0o755)
    part.replace(target)
