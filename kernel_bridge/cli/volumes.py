"""`cellburst volume ls|create|put|get|rm`."""

from __future__ import annotations

import argparse
import posixpath
from collections.abc import Iterator
from pathlib import Path

from kernel_bridge.cli.common import Nouns, add_command, add_json, add_noun, connect, show, time_text
from kernel_bridge.cli.progress import Progress
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.client.replies import FileEntry
from kernel_bridge.errors import BadOption, Conflict, NotFound
from kernel_bridge.protocol.resources import show_size

_CHUNK_BYTES = 1 << 20


def add_commands(nouns: Nouns) -> None:
    """Add `volume` and its verbs."""
    verbs = add_noun(nouns, "volume", "directories that outlive containers")
    listing = add_command(verbs, "ls", _list, "list the volumes, or what is in one")
    listing.add_argument("name", metavar="NAME", nargs="?")
    listing.add_argument("path", metavar="PATH", nargs="?", default="")
    listing.add_argument("-r", "--recursive", action="store_true", help="everything below it")
    add_json(listing)
    add_command(verbs, "create", _create, "create a volume").add_argument("name", metavar="NAME")
    put = add_command(verbs, "put", _put, "copy a local file or folder into a volume")
    put.add_argument("name", metavar="NAME")
    put.add_argument("local", metavar="LOCAL", type=Path)
    put.add_argument("path", metavar="PATH", nargs="?", default="", help="where to; with a slash at its end, a folder")
    get = add_command(verbs, "get", _get, "copy a file or folder out of a volume")
    get.add_argument("name", metavar="NAME")
    get.add_argument("path", metavar="PATH")
    get.add_argument("local", metavar="LOCAL", nargs="?", type=Path, default=Path())
    get.add_argument("--force", action="store_true", help="overwrite files that are there")
    remove = add_command(verbs, "rm", _remove, "delete a file of a volume, or the volume")
    remove.add_argument("name", metavar="NAME")
    remove.add_argument("path", metavar="PATH", nargs="?", default="")
    remove.add_argument("-r", "--recursive", action="store_true", help="a folder and all below it")
    remove.add_argument("--all", action="store_true", help="the volume itself, with everything in it")


def _list(arguments: argparse.Namespace) -> None:
    with connect() as plane:
        if arguments.name:
            _list_files(plane, arguments)
            return
        found = plane.volumes()
    rows = [("NAME", "SIZE", "CREATED"), *((v.name, show_size(v.size_bytes), time_text(v.created_at_s)) for v in found)]
    show(found, as_json=arguments.json, rows=rows, empty="no volumes; make one with `cellburst volume create NAME`")


def _list_files(plane: ControlPlane, arguments: argparse.Namespace) -> None:
    found = plane.volume_files(arguments.name, arguments.path, recursive=arguments.recursive)
    rows = [("PATH", "SIZE", "MODIFIED"), *map(_file_row, found)]
    show(found, as_json=arguments.json, rows=rows, empty="nothing is in it")


def _file_row(entry: FileEntry) -> tuple[str, str, str]:
    path = entry.path + ("/" if entry.kind == "directory" else "")
    return path, show_size(entry.size_bytes) if entry.kind == "file" else entry.kind, time_text(entry.modified_at_s)


def _create(arguments: argparse.Namespace) -> None:
    with connect() as plane:
        plane.create_volume(arguments.name)
    print(f"{arguments.name} is there")


def _put(arguments: argparse.Namespace) -> None:
    files = _to_send(arguments.local, arguments.path)
    if not files:
        raise NotFound(f"{arguments.local} holds no files.")
    with connect() as plane, Progress(sum(path.stat().st_size for path, _ in files)) as progress:
        for local, remote in files:
            pieces = progress.over(remote, _pieces(local))
            plane.put_file(arguments.name, remote, pieces, local.stat().st_size)
    print(f"{_count(len(files))} in {arguments.name}")


def _get(arguments: argparse.Namespace) -> None:
    with connect() as plane:
        files = _to_fetch(plane, arguments)
        taken = [target for _, target in files if target.exists()]
        if taken and not arguments.force:
            raise Conflict(f"{taken[0]} is there already: write --force to overwrite it, or another place to copy to.")
        with Progress(sum(entry.size_bytes for entry, _ in files)) as progress:
            for entry, target in files:
                _fetch(plane, arguments.name, entry, target, progress)
    print(files[0][1] if len(files) == 1 else f"{_count(len(files))} in {arguments.local}")


def _remove(arguments: argparse.Namespace) -> None:
    if arguments.all == bool(arguments.path):
        raise BadOption("Say what to delete: a PATH in the volume, or --all for the volume with everything in it.")
    with connect() as plane:
        if arguments.all:
            plane.delete_volume(arguments.name)
        else:
            plane.delete_file(arguments.name, arguments.path, recursive=arguments.recursive)
    print(f"{arguments.path or arguments.name} is deleted")


def _pieces(local: Path) -> Iterator[bytes]:
    with local.open("rb") as file:
        while piece := file.read(_CHUNK_BYTES):
            yield piece


def _to_send(local: Path, path: str) -> list[tuple[Path, str]]:
    """Return the local files and where each goes, as `cp -r` would have it."""
    if not local.exists():
        raise NotFound(f"There is no {local}.")
    into = posixpath.join(path, local.resolve().name) if path.endswith("/") or not path else path
    if local.is_file():
        return [(local, into)]
    found = sorted(each for each in local.rglob("*") if each.is_file())
    return [(each, posixpath.join(into, each.relative_to(local).as_posix())) for each in found]


def _to_fetch(plane: ControlPlane, arguments: argparse.Namespace) -> list[tuple[FileEntry, Path]]:
    """Return the volume's files and where each goes, as `cp -r` would have it."""
    asked = arguments.path.strip("/")
    entries = plane.volume_files(arguments.name, asked, recursive=True)
    files = [entry for entry in entries if entry.kind == "file"]
    if not files:
        raise NotFound(f"There are no files at {arguments.path} in {arguments.name}.")
    local: Path = arguments.local
    into = local / posixpath.basename(asked) if local.is_dir() else local
    return [(entry, _below(into, posixpath.relpath(entry.path, asked or "."))) for entry in files]


def _below(folder: Path, relative: str) -> Path:
    """Join a path the runtime named to a folder of ours, which it must not leave."""
    if relative == ".":
        return folder
    if relative.startswith(("/", "..")) or "\\" in relative:
        raise BadOption(f"The volume holds a file {relative!r} that has no place below {folder}.")
    return folder / relative


def _fetch(plane: ControlPlane, name: str, entry: FileEntry, target: Path, progress: Progress) -> None:
    """Copy one file; it appears under its name when all of it is here."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.part")
    try:
        with plane.get_file(name, entry.path) as (size_bytes, pieces), temporary.open("wb") as file:
            for piece in progress.over(entry.path, pieces):
                file.write(piece)
        if size_bytes is not None and temporary.stat().st_size != size_bytes:
            raise Conflict(f"{entry.path} did not arrive whole: try again.")
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _count(files: int) -> str:
    return "1 file" if files == 1 else f"{files} files"
