"""`cellburst volume put|get|cp|rm`: files into a volume, out of it, within it, and away."""

from __future__ import annotations

import argparse
import posixpath
from pathlib import Path

from kernel_bridge.cli.common import Nouns, add_command, connect
from kernel_bridge.cli.progress import Progress
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.client.replies import FileEntry
from kernel_bridge.errors import BadOption, Conflict, NotFound
from kernel_bridge.protocol.resources import show_size
from kernel_bridge.sdk.volume_batch import files_below
from kernel_bridge.sdk.volume_download import fetch, is_same
from kernel_bridge.sdk.volume_unpack import fetch_small
from kernel_bridge.sdk.volume_upload import SMALL_BYTES, Outgoing, send

_FEW = 20  # so many files are asked for one by one


def add_commands(verbs: Nouns) -> None:
    """Add the verbs of files."""
    put = add_command(verbs, "put", _put, "copy a local file or folder into a volume; what was cut goes on")
    put.add_argument("name", metavar="NAME")
    put.add_argument("local", metavar="LOCAL", type=Path)
    put.add_argument("path", metavar="PATH", nargs="?", default="", help="where to; with a slash at its end, a folder")
    get = add_command(verbs, "get", _get, "copy a file or folder out of a volume; what was cut goes on")
    get.add_argument("name", metavar="NAME[@VERSION]")
    get.add_argument("path", metavar="PATH")
    get.add_argument("local", metavar="LOCAL", nargs="?", type=Path, default=Path())
    get.add_argument("--force", action="store_true", help="overwrite files that are there")
    copy = add_command(verbs, "cp", _copy, "copy files and folders within a volume, or out of a version of it")
    copy.add_argument("name", metavar="NAME[@VERSION]")
    copy.add_argument("paths", metavar="PATH", nargs="+", help="what to copy, and last where to")
    remove = add_command(verbs, "rm", _remove, "delete a file of a volume, a version of it, or the volume")
    remove.add_argument("name", metavar="NAME[@VERSION]")
    remove.add_argument("path", metavar="PATH", nargs="?", default="")
    remove.add_argument("-r", "--recursive", action="store_true", help="a folder and all below it")
    remove.add_argument("--all", action="store_true", help="the volume itself, with everything in it")


def named(text: str) -> tuple[str, int]:
    """Read `NAME` or `NAME@VERSION`; raises BadOption."""
    name, at, version = text.partition("@")
    if at and not (version.isdecimal() and int(version) > 0):
        raise BadOption(f"`{text}`: a version is a number, for example `{name}@1`; `cellburst volume log {name}`.")
    return name, int(version or 0)


def count_text(files: int) -> str:
    """Write how many files."""
    return "1 file" if files == 1 else f"{files} files"


def _put(arguments: argparse.Namespace) -> None:
    files = _to_send(arguments.local, arguments.path)
    if not files:
        raise NotFound(f"{arguments.local} holds no files.")
    with connect() as plane, Progress(sum(each.local.stat().st_size for each in files)) as progress:
        sent = send(plane.volume_routes, arguments.name, files, progress.count)
    print(f"{count_text(sent)} in {arguments.name}")


def _get(arguments: argparse.Namespace) -> None:
    name, version = named(arguments.name)
    with connect() as plane:
        files = _to_fetch(plane, name, version, arguments)
        left = files if arguments.force else _not_there(plane, name, version, files)
        with Progress(sum(entry.size_bytes for entry, _ in left)) as progress:
            done: frozenset[str] = frozenset()
            if len(left) > _FEW:
                targets = {entry.path: target for entry, target in left}
                done = fetch_small(
                    plane.volume_routes,
                    name,
                    arguments.path.strip("/"),
                    version,
                    targets,
                    progress.count,
                    force=arguments.force,
                )
            for entry, target in left:
                if entry.path not in done:
                    fetch(plane.volume_routes, name, entry, target, progress.count, version)
    print(files[0][1] if len(files) == 1 else f"{count_text(len(files))} in {arguments.local}")


def _copy(arguments: argparse.Namespace) -> None:
    name, version = named(arguments.name)
    *sources, destination = arguments.paths
    if not sources:
        raise BadOption("Say what to copy and where to: `cellburst volume cp NAME FROM TO`.")
    with connect() as plane:
        copied = plane.volume_routes.copy(name, sources, destination, version)
    print(f"{count_text(copied)} copied to {destination} in {name}")


def _remove(arguments: argparse.Namespace) -> None:
    name, version = named(arguments.name)
    if bool(version) + bool(arguments.all) + bool(arguments.path) != 1:
        raise BadOption("Say what to delete: a PATH, a version as NAME@VERSION, or --all for the whole volume.")
    with connect() as plane:
        if version:
            freed_bytes = plane.volume_routes.forget(name, version)
            print(f"{arguments.name} is deleted: {show_size(freed_bytes)} of disk are free again")
            return
        if arguments.all:
            plane.volume_routes.delete(name)
        else:
            plane.volume_routes.remove(name, arguments.path, recursive=arguments.recursive)
    print(f"{arguments.path or name} is deleted")


def _not_there(
    plane: ControlPlane, name: str, version: int, files: list[tuple[FileEntry, Path]]
) -> list[tuple[FileEntry, Path]]:
    """Return the files that are not here yet; raises Conflict when what is here is not from an earlier try."""
    here = [(entry, target) for entry, target in files if target.exists()]
    same = set()
    for entry, target in here:
        # Of one file that was asked for there is no earlier try: it would have been left beside its name. The small
        # ones of many come in one body, so they are compared then.
        if len(files) > _FEW and entry.size_bytes <= SMALL_BYTES and target.stat().st_size == entry.size_bytes:
            continue
        if len(files) == 1 or not is_same(plane.volume_routes, name, entry, target, version):
            raise Conflict(f"{target} is there already: write --force to overwrite it, or another place to copy to.")
        same.add(entry.path)
    return [(entry, target) for entry, target in files if entry.path not in same]


def _to_send(local: Path, path: str) -> list[Outgoing]:
    """Return the local files and where each goes, as `cp -r` would have it."""
    if not local.exists():
        raise NotFound(f"There is no {local}.")
    into = posixpath.join(path, local.resolve().name) if path.endswith("/") or not path else path
    if local.is_file():
        return [Outgoing(local, into)]
    return [Outgoing(each, posixpath.join(into, each.relative_to(local).as_posix())) for each in files_below(local)]


def _to_fetch(
    plane: ControlPlane, name: str, version: int, arguments: argparse.Namespace
) -> list[tuple[FileEntry, Path]]:
    """Return the volume's files and where each goes, as `cp -r` would have it."""
    asked = arguments.path.strip("/")
    entries = plane.volume_routes.files(name, asked, recursive=True, version=version)
    files = [entry for entry in entries if entry.kind == "file"]
    if not files:
        raise NotFound(f"There are no files at {arguments.path} in {name}.")
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
